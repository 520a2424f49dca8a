//! Requests that are done once: remembered with what they did, found again, forgotten.

use serde_json::json;

use super::samples::{DAY, MINUTE, at, claim, id, name};
use super::{commit, commit_one, load, must, pair};
use crate::model::{ContentHash, Timestamp};
use crate::store::{CameTo, ChangedOne, Changes, DefinitionChange, OnceRecord, Store, StoreError, Write, Written};

fn hash(of: &str) -> ContentHash {
    ContentHash::of(of.as_bytes())
}

/// After what any clock says: a store may have requests forgotten by their age.
fn later(millis: i64) -> Timestamp {
    at(36_500 * DAY + millis)
}

fn record(key: &str, millis: i64, came_to: CameTo) -> OnceRecord {
    OnceRecord { key: hash(key), request: hash("a request"), at: later(millis), came_to }
}

async fn found(store: &dyn Store, key: &str) -> Option<OnceRecord> {
    must("remembered", store.remembered(hash(key)).await)
}

/// What was remembered comes back with all that is in it, together with the claim it was written with.
pub(super) async fn remembering(store: &dyn Store) {
    assert_eq!(found(store, "run").await, None, "nothing is remembered that nobody wrote");
    let (host, task, run) = (name("once"), name("remembering"), id(1));
    let of_run = record("run", 1, CameTo::Run(run));
    let writes = vec![claim(&host, &task, None, run), Write::Remember(of_run.clone())];
    assert_eq!(commit(store, writes).await, [Written::Claimed, Written::Done]);
    assert_eq!(found(store, "run").await, Some(of_run));
    assert_eq!(pair(store, &host, &task).await.open.len(), 1);

    commit_one(store, Write::Remember(record("group", 2, CameTo::Begun(run)))).await;
    let of_group = OnceRecord {
        request: hash("another"),
        ..record(
            "group",
            3,
            CameTo::Group {
                id: run,
                runs: vec![(name("a"), id(2))],
                refused: vec![(name("b"), "it is \"off\" \u{1F525}\n".to_owned())],
            },
        )
    };
    assert_eq!(commit_one(store, Write::Remember(of_group.clone())).await, Written::Done);
    assert_eq!(found(store, "group").await, Some(of_group), "what is remembered later must replace what was");
    let large = record("large", 4, CameTo::TooLarge);
    commit_one(store, Write::Remember(large.clone())).await;
    assert_eq!(found(store, "large").await, Some(large));
}

/// A change of definitions and the request for it are remembered together, or neither.
pub(super) async fn with_definitions(store: &dyn Store) {
    let revision = load(store).await.revision;
    let all = |name_of: &str| {
        let one = ChangedOne { noun: "host".to_owned(), name: name(name_of), before: None, after: None };
        let documents =
            (Some(json!({"name": "t@h", "args": ["\u{1F525}\n"]})), Some(json!({"name": "t@h", "args": []})));
        let other = ChangedOne { name: name("t@h"), before: documents.0, after: documents.1, ..one.clone() };
        vec![one, other]
    };
    let of_apply = record(
        "apply",
        5,
        CameTo::Applied(Changes { created: all("a"), updated: Vec::new(), unchanged: all("b"), deleted: all("c") }),
    );
    let change = || vec![DefinitionChange::Remember(of_apply.clone())];
    let stale = store.change_definitions(revision + 1, change()).await;
    assert_eq!(stale, Err(StoreError::Conflict { current: revision }));
    assert_eq!(found(store, "apply").await, None, "a change that was not made must not be remembered");
    must("a change", store.change_definitions(revision, change()).await);
    assert_eq!(found(store, "apply").await, Some(of_apply));
}

/// One request is forgotten by its key, many by their age and by their number.
pub(super) async fn forgetting(store: &dyn Store) {
    let forget = vec![Write::ForgetRequest(hash("large")), Write::ForgetRequest(hash("never there"))];
    assert_eq!(commit(store, forget).await, [Written::Done; 2]);
    assert_eq!(found(store, "large").await, None);
    assert!(found(store, "apply").await.is_some(), "others must stay");

    let remember = |key: &str, millis| Write::Remember(record(key, millis, CameTo::Run(id(1))));
    commit(store, vec![remember("old", DAY), remember("new", DAY + MINUTE), remember("left", DAY + 2 * MINUTE)]).await;
    commit_one(store, Write::ForgetRequests { before: later(DAY), most: 100 }).await;
    for (key, is_there) in [("run", false), ("group", false), ("apply", false), ("old", true), ("new", true)] {
        assert_eq!(found(store, key).await.is_some(), is_there, "{key}");
    }
    commit_one(store, Write::ForgetRequests { before: later(0), most: 2 }).await;
    for (key, is_there) in [("old", false), ("new", true), ("left", true)] {
        assert_eq!(found(store, key).await.is_some(), is_there, "{key}: the oldest must go first");
    }
    let mut all = must("requests", store.requests().await);
    all.sort_by_key(|one| one.at);
    let kept = [found(store, "new").await, found(store, "left").await];
    assert_eq!(all.into_iter().map(Some).collect::<Vec<_>>(), kept, "all that is remembered must be listed");
}

/// What [`forgetting`] has left.
pub(super) async fn one_left(store: &dyn Store) -> bool {
    found(store, "left").await.is_some()
}
