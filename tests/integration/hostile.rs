//! Hosts that mean harm, or are broken beyond what SSH allows: an answer in time that says what is wrong, no panic, no
//! memory without bound, no task or socket left behind, and other hosts untouched.

mod floods;
mod login;
mod sessions;

use std::time::Duration;

use alf::ssh::{ConnectError, Ending, Exec, Limits, Session};
use tokio::time::Instant;

use crate::support::hostile::{Hostile, nothing_left};
use crate::support::ssh::{connect_with, limits};

/// What an answer may take beyond all limits, on a machine that is busy.
const SLACK: Duration = Duration::from_secs(5);

/// Limits for hosts that never answer.
fn short() -> Limits {
    Limits {
        connect: Duration::from_millis(300),
        login: Duration::from_millis(300),
        keepalive_interval: Duration::from_millis(200),
        keepalive_max: 1,
        ..limits()
    }
}

/// What a host at which no login comes about is said to be; nothing of the try is left behind.
async fn refused(hostile: &Hostile, limits: Limits) -> ConnectError {
    let most = (limits.connect + limits.login) * 3 + SLACK;
    let begun = Instant::now();
    let error = connect_with(limits, hostile.target()).await.map(|_| ()).unwrap_err();
    assert!(begun.elapsed() < most, "it took {:?}: {error}", begun.elapsed());
    fit_for_a_message(hostile, &error.to_string());
    nothing_left(hostile).await;
    error
}

/// That no login comes about and that it is no matter of credentials or keys; one of these words says why.
async fn unreachable(hostile: Hostile, limits: Limits, words: &[&str]) {
    match refused(&hostile, limits).await {
        ConnectError::Unreachable { detail } => assert!(words.iter().any(|it| detail.contains(it)), "{detail}"),
        other => panic!("{other:?}"),
    }
}

/// That no login comes about, once a credential was shown: whether the host refused it cannot always be told.
async fn no_login(hostile: Hostile, limits: Limits) {
    match refused(&hostile, limits).await {
        ConnectError::Auth { .. } | ConnectError::Unreachable { .. } => {}
        other @ ConnectError::HostKey { .. } => panic!("{other:?}"),
    }
}

/// That a message names the place, is one bounded line, and holds nothing that a terminal obeys and no secret.
fn fit_for_a_message(hostile: &Hostile, message: &str) {
    assert!(message.contains(&hostile.address().to_string()), "{message}");
    assert!(message.chars().count() <= 2000, "{} characters", message.chars().count());
    assert!(!message.contains(char::is_control), "{message:?}");
    assert!(!message.contains("hunter2"), "{message}");
}

/// The one run over a connection to a host; nothing of either is left behind.
async fn one_run(hostile: &Hostile, limits: Limits, exec: Exec) -> Ending {
    let connected = connect_with(limits, hostile.target()).await.unwrap();
    let ending = connected.session.exec(exec).await;
    leave(hostile, &*connected.session).await;
    drop(connected);
    nothing_left(hostile).await;
    ending
}

/// Closes a connection, which never takes long.
async fn leave(hostile: &Hostile, session: &dyn Session) {
    let begun = Instant::now();
    session.close().await;
    assert!(begun.elapsed() < SLACK, "goodbye to {} took {:?}", hostile.address(), begun.elapsed());
}
