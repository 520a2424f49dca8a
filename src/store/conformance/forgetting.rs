//! What goes with Results, and notifications by their age.

use super::retention::LONG_AGO;
use super::samples::{DAY, MINUTE, at, id, name, result, save};
use super::{commit, commit_one, must};
use crate::model::{
    Evaluated, NoticeKind, Notification, NotificationOutcome, NotificationQuery, RunId, Timestamp, Trace,
};
use crate::store::{Store, Write, Written};

fn trace(result: RunId) -> Trace {
    Trace { result, at: Some(at(1)), why: Some("nobody is told".to_owned()), items: Vec::new() }
}

async fn has_trace(store: &dyn Store, result: RunId) -> bool {
    must("trace", store.trace(result).await).is_some()
}

/// The trace of a Result goes with it, those of others stay; what is looked at again afterwards has one again.
pub(super) async fn traces(store: &dyn Store) {
    let (host, task) = (name("traced"), name("t"));
    let ids = [0, 1, 2].map(|n| id(LONG_AGO + n * MINUTE));
    let [gone, stays, untold] = ids;
    let keep = |id| Write::Evaluated(Box::new(Evaluated { trace: Some(trace(id)), ..Evaluated::default() }));
    let mut writes: Vec<Write> = ids.iter().map(|id| save(result(&host, &task, *id))).collect();
    writes.extend([keep(gone), keep(stays)]);
    commit(store, writes).await;
    assert!(has_trace(store, gone).await && has_trace(store, stays).await);

    assert_eq!(commit_one(store, Write::RemoveResults(vec![gone, untold])).await, Written::Removed(2));
    assert!(!has_trace(store, gone).await, "the trace of a Result must go with it");
    assert!(has_trace(store, stays).await, "the trace of another Result must stay");
    // Both in one go: what comes later holds.
    let again = vec![save(result(&host, &task, gone)), keep(gone), Write::RemoveResults(vec![gone, stays])];
    assert_eq!(commit(store, again).await, [Written::Done, Written::Done, Written::Removed(2)]);
    for id in ids {
        assert!(!has_trace(store, id).await, "a trace must not outlive its Result");
    }
}

fn notification(id: RunId, at: Timestamp) -> Notification {
    Notification {
        id,
        at,
        action: name("page"),
        contact: Some(name("anna")),
        host: name("forgotten"),
        task: None,
        result: None,
        kind: NoticeKind::Problem,
        state: None,
        outcome: NotificationOutcome::Sent,
        reason: None,
        detail: String::new(),
        run: None,
    }
}

/// Old notifications go, so many at a time and the oldest first; those of the instant and later ones stay.
pub(super) async fn notifications(store: &dyn Store) {
    let ids: Vec<RunId> = (0..6).map(|n| id(LONG_AGO + n * DAY)).collect();
    let all: Vec<Notification> = (0..6).zip(&ids).map(|(n, id)| notification(*id, at(LONG_AGO + n * DAY))).collect();
    commit_one(store, Write::Evaluated(Box::new(Evaluated { notifications: all, ..Evaluated::default() }))).await;
    let total = async |query: NotificationQuery| must("notifications", store.notifications(query).await).total;
    let others = total(NotificationQuery::default()).await - 6;
    let left = async || {
        let query = NotificationQuery { host: Some(name("forgotten")), limit: 100, ..NotificationQuery::default() };
        let mut left: Vec<RunId> =
            must("notifications", store.notifications(query).await).items.iter().map(|one| one.id).collect();
        left.sort();
        left
    };
    let forget = |days: i64, most| Write::ForgetNotifications { before: at(LONG_AGO + days * DAY), most };
    assert_eq!(commit_one(store, forget(0, 100)).await, Written::Removed(0), "those of the instant must stay");
    assert_eq!(commit_one(store, forget(4, 0)).await, Written::Removed(0), "none must go where none may");
    assert_eq!(left().await, ids);
    assert_eq!(commit_one(store, forget(4, 1)).await, Written::Removed(1));
    assert_eq!(left().await, ids[1..], "the oldest must go first");
    assert_eq!(commit(store, vec![forget(3, 1), forget(3, 5)]).await, [Written::Removed(1); 2], "each goes once");
    assert_eq!(left().await, ids[3..]);
    assert_eq!(commit_one(store, forget(6, 100)).await, Written::Removed(3));
    assert_eq!(left().await, []);
    assert_eq!(total(NotificationQuery::default()).await, others, "those of others must stay");
}
