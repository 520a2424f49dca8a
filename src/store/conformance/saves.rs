//! Saving Results: what it settles, and that it can be repeated.

use super::samples::{DAY, MINUTE, at, claim, full_status, id, name, result, save, save_with};
use super::{commit, commit_one, load, must, pair};
use crate::model::{Kill, PairStatus, PublicKey, ResultQuery, RunResult, State};
use crate::store::{HostKeyRecord, Store, Write, Written};

async fn total(store: &dyn Store, result: &RunResult) -> u64 {
    let query = ResultQuery { host: Some(result.host.clone()), task: result.task.clone(), ..ResultQuery::default() };
    must("results", store.results(query).await).total
}

/// Saving a Result closes its run, no other, and settles its instant.
pub(super) async fn settling(store: &dyn Store) {
    let (host, task) = (name("saves"), name("settling"));
    let (ends, goes_on, unclaimed) = (id(1), id(2), id(3));
    commit(store, vec![claim(&host, &task, Some(at(1)), ends), claim(&host, &task, Some(at(2)), goes_on)]).await;
    let answer = commit_one(store, save_with(result(&host, &task, ends), full_status(), None)).await;
    assert_eq!(answer, Written::Done);
    let record = pair(store, &host, &task).await;
    let open: Vec<_> = record.open.iter().map(|open| open.id).collect();
    assert_eq!(open, [goes_on], "saving must close the Result's run and no other");
    assert_eq!(record.claimed_until, Some(at(2)), "saving without instant must leave claimed_until");
    assert_eq!(record.status, full_status(), "the status must come back as it was saved");

    let skipped = save_with(result(&host, &task, unclaimed), full_status(), Some(at(MINUTE)));
    assert_eq!(commit_one(store, skipped).await, Written::Done, "a Result without a claim must be stored");
    let record = pair(store, &host, &task).await;
    assert_eq!(record.claimed_until, Some(at(MINUTE)), "saving must move claimed_until forward");
    let late = commit_one(store, claim(&host, &task, Some(at(MINUTE)), id(4))).await;
    assert_eq!(late, Written::Taken, "an instant that a Result settled must be taken");

    let task = name("unlinked");
    let unlinked = result(&host, &task, id(5));
    commit(store, vec![claim(&host, &task, None, unlinked.id), save(unlinked.clone())]).await;
    let record = pair(store, &host, &task).await;
    assert_eq!((record.claimed_until, record.open.len()), (None, 0), "an unlinked run must leave nothing behind");
    assert_eq!(record.status, PairStatus::default());
    assert_eq!(must("result", store.result(unlinked.id).await), Some(unlinked));
}

/// Saving the same id again changes nothing at all.
pub(super) async fn repeated(store: &dyn Store) {
    let (host, task) = (name("saves"), name("repeated"));
    let first = result(&host, &task, id(1));
    commit(store, vec![save_with(first.clone(), full_status(), Some(at(1)))]).await;
    let record = pair(store, &host, &task).await;
    let other = RunResult { message: "another".to_owned(), scheduled_at: at(DAY), ..first.clone() };
    for _ in 0..2 {
        let again = save_with(other.clone(), PairStatus::default(), Some(at(DAY)));
        assert_eq!(commit(store, vec![again, save(first.clone())]).await, [Written::Done; 2]);
    }
    assert_eq!(total(store, &first).await, 1, "saving the same id again must not store a second Result");
    assert_eq!(pair(store, &host, &task).await, record, "saving the same id again must not touch the pair");
    assert_eq!(must("result", store.result(first.id).await), Some(first), "the first Result must stay");
}

/// Nothing moves `claimed_until` back.
pub(super) async fn never_back(store: &dyn Store) {
    let (host, task) = (name("saves"), name("never-back"));
    let watch = |until| Write::Watch { host: host.clone(), task: task.clone(), until };
    assert_eq!(commit_one(store, watch(at(DAY))).await, Written::Done);
    assert_eq!(
        pair(store, &host, &task).await.claimed_until,
        Some(at(DAY)),
        "a new pair is watched from an instant on"
    );
    assert_eq!(commit_one(store, watch(at(MINUTE))).await, Written::Done);
    commit_one(store, save_with(result(&host, &task, id(1)), full_status(), Some(at(MINUTE)))).await;
    let early = commit_one(store, claim(&host, &task, Some(at(MINUTE)), id(2))).await;
    assert_eq!(early, Written::Taken, "an instant before the watch must be taken");
    let record = pair(store, &host, &task).await;
    assert_eq!(record.claimed_until, Some(at(DAY)), "claimed_until must never move back");
    assert_eq!(record.status, full_status());
    commit_one(store, watch(at(DAY + 1))).await;
    assert_eq!(pair(store, &host, &task).await.claimed_until, Some(at(DAY + 1)));
}

/// A status is replaced by the next one and left alone where there is none.
pub(super) async fn statuses(store: &dyn Store) {
    let (host, task) = (name("saves"), name("statuses"));
    let one_line = PairStatus { state: Some(State::Unknown), attempt: 1, ..PairStatus::default() };
    for status in [PairStatus::default(), full_status(), one_line.clone()] {
        commit_one(store, save_with(result(&host, &task, id(1)), status.clone(), Some(at(1)))).await;
        assert_eq!(pair(store, &host, &task).await.status, status, "a status must replace the one before");
    }
    commit_one(store, save(result(&host, &task, id(2)))).await;
    assert_eq!(pair(store, &host, &task).await.status, one_line, "saving without a status must leave it");
}

/// The writes of one commit are done in their order.
pub(super) async fn order(store: &dyn Store) {
    let (host, task) = (name("saves"), name("order"));
    let (first, second) = (id(1), id(2));
    let writes = vec![
        claim(&host, &task, Some(at(1)), first),
        claim(&host, &task, Some(at(1)), second),
        save_with(result(&host, &task, first), full_status(), Some(at(5))),
        claim(&host, &task, Some(at(4)), second),
        claim(&host, &task, Some(at(6)), second),
        claim(&host, &name("order-2"), Some(at(1)), id(3)),
    ];
    use Written::{Claimed, Done, Taken};
    assert_eq!(commit(store, writes).await, [Claimed, Taken, Done, Taken, Claimed, Claimed]);
    let open: Vec<_> = pair(store, &host, &task).await.open.iter().map(|open| open.id).collect();
    assert_eq!(open, [second]);
    assert_eq!(commit(store, Vec::new()).await, [], "a commit of nothing is no error");
}

/// What was found of a run's processes is written into its Result, and into no other.
pub(super) async fn noting_a_kill(store: &dyn Store) {
    let (host, task) = (name("saves"), name("noting"));
    let (kept, other) = (result(&host, &task, id(1)), result(&host, &task, id(2)));
    commit(store, vec![save(kept.clone()), save(other.clone())]).await;
    let kill = Kill { requested_at: at(7), gone: Some(true), detail: "2 processes ended".to_owned() };
    let writes =
        vec![Write::NoteKill { run: kept.id, kill: kill.clone() }, Write::NoteKill { run: id(3), kill: kill.clone() }];
    assert_eq!(commit(store, writes).await, [Written::Done; 2], "a Result that is not there is no error");
    let noted = must("result", store.result(kept.id).await);
    assert_eq!(noted, Some(RunResult { kill: Some(kill), ..kept }));
    assert_eq!(must("result", store.result(other.id).await), Some(other));
}

/// A forgotten pair starts anew; its Results stay.
pub(super) async fn forgetting(store: &dyn Store) {
    let (host, task) = (name("saves"), name("forgetting"));
    let kept = result(&host, &task, id(1));
    let writes = vec![
        claim(&host, &task, Some(at(DAY)), id(2)),
        save_with(kept.clone(), full_status(), None),
        Write::ForgetPair { host: host.clone(), task: task.clone() },
        Write::ForgetPair { host: name("never"), task: name("there") },
    ];
    assert_eq!(commit(store, writes).await[2..], [Written::Done; 2], "forgetting what is not there is no error");
    let known = load(store).await.pairs.into_iter().any(|pair| pair.host == host && pair.task.as_ref() == Some(&task));
    assert!(!known, "a forgotten pair must have no record");
    assert_eq!(must("result", store.result(kept.id).await).as_ref(), Some(&kept), "its Results must stay");
    assert_eq!(total(store, &kept).await, 1);
    let anew = commit_one(store, claim(&host, &task, Some(at(1)), id(3))).await;
    assert_eq!(anew, Written::Claimed, "a forgotten pair must start anew");
}

/// Learnt host keys come back, are replaced and forgotten.
pub(super) async fn host_keys(store: &dyn Store) {
    let key = |algorithm: &str, fill: u8| {
        let length = u32::try_from(algorithm.len()).unwrap_or_default().to_be_bytes();
        must("a key", PublicKey::from_blob(&[&length, algorithm.as_bytes(), &[fill; 33]].concat()))
    };
    let pinned = |port: u16, keys: Vec<PublicKey>| HostKeyRecord {
        host: name("pinned"),
        address: "2001:db8::1".to_owned(),
        port,
        keys,
    };
    let loaded = async || load(store).await.host_keys;
    let first = pinned(22, vec![key("ssh-ed25519", 1), key("ecdsa-sha2-nistp256", 2)]);
    let other = HostKeyRecord { host: name("other"), ..pinned(u16::MAX, vec![key("ssh-rsa", 3)]) };
    let pins = vec![Write::PinHostKey(first.clone()), Write::PinHostKey(other.clone())];
    assert_eq!(commit(store, pins).await, [Written::Done; 2]);
    assert_eq!(loaded().await, [other.clone(), first], "host keys must come back as they were pinned");
    let second = HostKeyRecord { address: "elsewhere".to_owned(), ..pinned(2222, vec![key("ssh-ed25519", 4)]) };
    commit_one(store, Write::PinHostKey(second.clone())).await;
    assert_eq!(loaded().await, [other.clone(), second], "pinning must replace what was there");
    let forgets = vec![Write::ForgetHostKey(name("pinned")), Write::ForgetHostKey(name("never-there"))];
    assert_eq!(commit(store, forgets).await, [Written::Done; 2]);
    assert_eq!(loaded().await, [other]);
}

/// When keys were last used comes back, is replaced and forgotten.
pub(super) async fn key_uses(store: &dyn Store) {
    let note = |key: &str, at| Write::NoteKeyUse { key: name(key), at };
    let writes = vec![note("ci", Some(at(1))), note("ops", Some(at(2))), note("ci", Some(at(3))), note("none", None)];
    assert_eq!(commit(store, writes).await, [Written::Done; 4]);
    assert_eq!(load(store).await.key_uses, [(name("ci"), at(3)), (name("ops"), at(2))]);
    commit_one(store, note("ops", None)).await;
    assert_eq!(load(store).await.key_uses, [(name("ci"), at(3))]);
}
