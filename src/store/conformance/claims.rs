//! Claims: nothing runs without one, and no instant is claimed twice.

use futures_util::future::join_all;

use super::samples::{MINUTE, at, claim, id, name, open_run, result, save};
use super::{commit, commit_one, load, must, pair};
use crate::model::{Cause, ResultQuery, Trigger};
use crate::store::{Store, Write, Written};

/// An instant is claimed once; later ones can be, earlier ones not.
pub(super) async fn conditions(store: &dyn Store) {
    let (host, task) = (name("claims"), name("conditions"));
    let [first, second, third, manual] = [1, 2, 3, 4].map(id);
    let early = claim(&host, &task, Some(at(MINUTE)), first);
    assert_eq!(commit_one(store, early).await, Written::Claimed, "the first claim of an instant must succeed");
    for (instant, what) in [(MINUTE, "the same instant"), (MINUTE - 1, "an earlier instant")] {
        let answer = commit_one(store, claim(&host, &task, Some(at(instant)), second)).await;
        assert_eq!(answer, Written::Taken, "{what} must be taken");
    }
    let record = pair(store, &host, &task).await;
    assert_eq!(record.claimed_until, Some(at(MINUTE)));
    assert_eq!(record.open, [open_run(first, at(MINUTE))], "a claim must open its run, a refused one must not");

    let later = claim(&host, &task, Some(at(MINUTE + 1)), third);
    assert_eq!(commit_one(store, later).await, Written::Claimed, "a later instant must be free");
    let by_hand = Write::Claim {
        host: host.clone(),
        task: Some(task.clone()),
        until: None,
        open: crate::store::OpenRun {
            schedule: None,
            trigger: Trigger::Manual,
            by: Some(name("admin")),
            group: Some(id(0)),
            cause: Some(Cause { action: name("repair"), result: None }),
            ..open_run(manual, at(0))
        },
    };
    assert_eq!(commit_one(store, by_hand.clone()).await, Written::Claimed, "a run without instant is always free");
    let record = pair(store, &host, &task).await;
    assert_eq!(record.claimed_until, Some(at(MINUTE + 1)), "a run without instant must leave claimed_until");
    let open: Vec<_> = record.open.iter().map(|open| open.id).collect();
    assert_eq!(open, [first, third, manual]);
    let Write::Claim { open, .. } = by_hand else { return };
    assert_eq!(record.open[2], open, "an open run must come back as it was claimed");

    let elsewhere = commit_one(store, claim(&name("claims-2"), &task, Some(at(MINUTE)), id(5))).await;
    assert_eq!(elsewhere, Written::Claimed, "pairs must not disturb each other");
}

/// Ad-hoc runs are claimed like any others, and leave nothing behind but their Results.
pub(super) async fn ad_hoc(store: &dyn Store) {
    let (host, task) = (name("claims-ad-hoc"), name("beside"));
    let (first, second, group) = (id(1), id(2), id(3));
    let open = |id| crate::store::OpenRun { task_version: None, group: Some(group), ..open_run(id, at(0)) };
    let write = |id| Write::Claim { host: host.clone(), task: None, until: None, open: open(id) };
    let of_task = claim(&host, &task, None, id(4));
    assert_eq!(commit(store, vec![write(first), write(second), of_task]).await, [Written::Claimed; 3]);
    let record = |pairs: Vec<crate::store::PairRecord>| {
        pairs.into_iter().find(|pair| pair.host == host && pair.task.is_none()).map(|pair| pair.open)
    };
    assert_eq!(record(load(store).await.pairs), Some(vec![open(first), open(second)]));
    assert_eq!(pair(store, &host, &task).await.open.len(), 1, "they are no runs of a task");
    let ended =
        |id| crate::model::RunResult { task: None, task_version: None, group: Some(group), ..result(&host, &task, id) };
    commit(store, vec![save(ended(first)), save(ended(second))]).await;
    assert_eq!(record(load(store).await.pairs), None, "an ad-hoc run that ended must leave no record");
    assert_eq!(must("result", store.result(first).await), Some(ended(first)));
    let query = ResultQuery { host: Some(host.clone()), limit: 10, ..ResultQuery::default() };
    let total = async |query| must("results", store.results(query).await).total;
    assert_eq!(total(query.clone()).await, 2, "the host has them");
    assert_eq!(total(ResultQuery { group: Some(group), ..query.clone() }).await, 2, "the group has them");
    assert_eq!(total(ResultQuery { group: Some(id(9)), ..query.clone() }).await, 0);
    let among =
        |hosts: &[&str]| ResultQuery { among: Some(hosts.iter().copied().map(name).collect()), ..query.clone() };
    assert_eq!(total(among(&["nobody", host.as_str()])).await, 2, "one of these hosts has them");
    assert_eq!(total(among(&["nobody"])).await, 0);
    assert_eq!(total(among(&[])).await, 0, "no host has none");
    assert_eq!(total(ResultQuery { task: Some(task.clone()), ..query.clone() }).await, 0, "no task has them");
}

/// A claim that is repeated, because its answer got lost, is still ours; once its run ended it opens nothing.
pub(super) async fn repeated(store: &dyn Store) {
    let (host, task) = (name("claims"), name("repeated"));
    let (scheduled, manual) = (id(1), id(2));
    let writes = || vec![claim(&host, &task, Some(at(MINUTE)), scheduled), claim(&host, &task, None, manual)];
    for _ in 0..3 {
        assert_eq!(commit(store, writes()).await, [Written::Claimed; 2], "claiming the same id again must succeed");
    }
    assert_eq!(pair(store, &host, &task).await.open.len(), 2, "claiming again must not open a second run");
    commit(store, vec![save(result(&host, &task, scheduled)), save(result(&host, &task, manual))]).await;
    assert_eq!(commit(store, writes()).await, [Written::Claimed; 2], "also when its run has ended");
    let record = pair(store, &host, &task).await;
    assert_eq!(record.open, [], "a run that has ended must not be opened again");
    assert_eq!(record.claimed_until, Some(at(MINUTE)));
}

/// Of many who claim one instant at once, one gets it.
pub(super) async fn race(store: &dyn Store, other: &dyn Store) {
    let (host, task) = (name("claims"), name("race"));
    let mut winners = Vec::new();
    for round in 1..=10 {
        let instant = Some(at(round * MINUTE));
        let ids: Vec<_> = (0..16).map(|_| id(round * MINUTE)).collect();
        let claims = ids.iter().enumerate().map(|(i, id)| {
            let through = if i % 2 == 0 { store } else { other };
            commit_one(through, claim(&host, &task, instant, *id))
        });
        let answers = join_all(claims).await;
        let won: Vec<_> = ids.iter().zip(&answers).filter(|(_, answer)| **answer == Written::Claimed).collect();
        assert_eq!(won.len(), 1, "of 16 who claim one instant exactly one must win, got {answers:?}");
        assert_eq!(answers.iter().filter(|answer| **answer == Written::Taken).count(), 15);
        winners.extend(won.iter().map(|(id, _)| **id));
    }
    winners.sort();
    let open: Vec<_> = pair(store, &host, &task).await.open.iter().map(|open| open.id).collect();
    assert_eq!(open, winners, "the winners' runs must be open, and no others");
}
