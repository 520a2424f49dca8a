//! Targets and commands for tests that talk to [`Sshd`].

use std::time::Duration;

use alf::clock::Clock;
use alf::model::{HostKeyPolicy, Name, PublicKey};
use alf::ssh::client::RusshConnector;
use alf::ssh::{ConnectError, Connected, Connector, Ending, Exec, Limits, Login, OfferedKey, Target};

use super::sshd::Sshd;

/// Limits that no healthy sshd comes near.
pub(crate) fn limits() -> Limits {
    Limits {
        connect: Duration::from_secs(10),
        login: Duration::from_secs(20),
        keepalive_interval: Duration::from_secs(15),
        keepalive_max: 3,
        known_hosts: Vec::new(),
    }
}

/// The host `web1` at this sshd, with the key that may log in.
pub(crate) fn target(sshd: &Sshd) -> Target {
    Target {
        host: Name::parse("web1").unwrap(),
        address: "127.0.0.1".to_owned(),
        port: sshd.port(),
        user: sshd.user(),
        login: Login::KeyFile { path: sshd.client_key(), passphrase: None },
        policy: HostKeyPolicy::AcceptNew,
        keys: Vec::new(),
        via: None,
        leads_on: false,
    }
}

/// The key this sshd shows.
pub(crate) fn host_key(sshd: &Sshd) -> PublicKey {
    sshd.host_key().parse().unwrap()
}

/// Connects once.
pub(crate) async fn connect_with(limits: Limits, target: Target) -> Result<Connected, ConnectError> {
    RusshConnector::new(limits, Clock::Wall).connect(target).await
}

/// Connects to a host that lets us in.
pub(crate) async fn connect(sshd: &Sshd) -> Connected {
    connect_with(limits(), target(sshd)).await.unwrap()
}

/// A command with nothing but Alf's own variables.
pub(crate) fn exec(command: &str) -> Exec {
    let run = uuid::Uuid::now_v7().to_string();
    Exec {
        env: vec![("ALF_HOST".to_owned(), "web1".to_owned()), ("ALF_TASK".to_owned(), "test".to_owned())],
        timeout: Some(Duration::from_secs(30)),
        kill_grace: Duration::from_secs(2),
        ..Exec::command(run, command)
    }
}

/// The standard output as text.
pub(crate) fn stdout(ending: &Ending) -> &str {
    std::str::from_utf8(&ending.stdout.bytes).unwrap()
}

/// Asks for the key that a host shows.
pub(crate) async fn offered_key(limits: Limits, target: Target) -> Result<OfferedKey, ConnectError> {
    RusshConnector::new(limits, Clock::Wall).offered_key(target).await
}
