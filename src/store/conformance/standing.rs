//! What stands beside Results: a status that something else has changed, how hosts stand, whether firing is stopped.

use std::sync::Arc;

use super::samples::{at, full_status, id, name, result};
use super::{commit, commit_one, load, pair};
use crate::model::{Ack, HostRecord, HostState, PairStatus, Pause, Reason};
use crate::store::{Store, Write, Written};

/// A status is replaced without a Result, and by the next Result again.
pub(super) async fn statuses(store: &dyn Store) {
    let (host, task) = (name("standing"), name("statuses"));
    let set =
        |status: PairStatus| Write::SetStatus { host: host.clone(), task: task.clone(), status: Arc::new(status) };
    commit_one(store, set(full_status())).await;
    assert_eq!(pair(store, &host, &task).await.status, full_status(), "a status must come back as it was set");
    let acknowledged = PairStatus { ack: Some(Box::new(ack())), ..full_status() };
    let saved =
        Write::Save { result: Box::new(result(&host, &task, id(1))), status: Some(Arc::default()), until: None };
    assert_eq!(commit(store, vec![saved, set(acknowledged.clone())]).await, [Written::Done; 2]);
    assert_eq!(pair(store, &host, &task).await.status, acknowledged);
    commit_one(store, Write::ForgetPair { host: host.clone(), task: task.clone() }).await;
    assert_eq!(pair(store, &host, &task).await.status, PairStatus::default());
}

/// How hosts stand comes back, is replaced and forgotten.
pub(super) async fn hosts(store: &dyn Store) {
    let down = HostRecord {
        state: Some(HostState::Down),
        hard: true,
        attempt: 3,
        since: Some(at(5)),
        reason: Some(Reason::HostKey),
        message: Some("\u{1F525} in\nflames".to_owned()),
        ack: Some(ack()),
    };
    let up = HostRecord { state: Some(HostState::Up), hard: true, ..HostRecord::default() };
    let set = |host: &str, record: &HostRecord| Write::SetHost { host: name(host), record: Box::new(record.clone()) };
    let writes = vec![set("stands", &down), set("other", &HostRecord::default()), set("other", &up)];
    assert_eq!(commit(store, writes).await, [Written::Done; 3]);
    assert_eq!(load(store).await.hosts, [(name("other"), up), (name("stands"), down.clone())]);
    let forgets = vec![Write::ForgetHost(name("other")), Write::ForgetHost(name("never-there"))];
    assert_eq!(commit(store, forgets).await, [Written::Done; 2]);
    assert_eq!(load(store).await.hosts, [(name("stands"), down)]);
}

/// That firing is stopped is kept until it goes on.
pub(super) async fn pause(store: &dyn Store) {
    let first = Pause { by: None, at: at(1) };
    let second = Pause { by: Some(name("somebody")), at: at(2) };
    for pause in [None, Some(first), None, Some(second)] {
        commit_one(store, Write::SetPause(pause.clone())).await;
        assert_eq!(load(store).await.pause, pause);
    }
}

fn ack() -> Ack {
    Ack { by: Some(name("somebody")), comment: "known".to_owned(), at: at(3), until: Some(at(9)), sticky: true }
}

/// Up to when what was due is missed is kept, the last that was said.
pub(super) async fn missed_until(store: &dyn Store) {
    assert_eq!(load(store).await.missed_until, None, "nothing is missed that nobody said");
    for until in [at(7), at(5)] {
        commit_one(store, Write::MissUntil(until)).await;
        assert_eq!(load(store).await.missed_until, Some(until));
    }
}
