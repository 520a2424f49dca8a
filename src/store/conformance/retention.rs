//! Retention: what is found to be old or too many, and that it goes and nothing else does.

use std::collections::BTreeSet;

use super::samples::{DAY, MINUTE, at, claim, full_status, id, name, result, save};
use super::{commit, commit_one, load, must, pair};
use crate::model::{Keep, Limit, Name, Outcome, Reason, ResultQuery, Retention, RunId, RunResult, Span, State};
use crate::store::retention::{Progress, Rules, Swept, foresee, sweep};
use crate::store::{OfTasks, OldQuery, Store, StoreError, SurplusQuery, Which, Write, Written};

/// Long before all that the suite has stored.
pub(super) const LONG_AGO: i64 = -3000 * DAY;

const OUTCOMES: [Outcome; 4] = [Outcome::Ok, Outcome::Problem, Outcome::Ok, Outcome::Skipped];

/// Results of two tasks on two hosts and of ad-hoc runs, every six hours for ten days.
fn history(label: &str, begin: i64) -> Vec<RunResult> {
    let hosts = ["one", "two"].map(|host| name(&format!("{label}-{host}")));
    let tasks = [Some("often"), Some("seldom"), None].map(|task| task.map(|task| name(&format!("{label}-{task}"))));
    let mut all = Vec::new();
    for step in 0..40_i64 {
        for (n, (host, task)) in (0..).zip(hosts.iter().flat_map(|host| tasks.iter().map(move |task| (host, task)))) {
            let outcome = OUTCOMES[usize::try_from(step + n).unwrap_or_default() % OUTCOMES.len()];
            let (state, reason) = match outcome {
                Outcome::Ok => (Some(State::Ok), None),
                Outcome::Problem => (Some(State::Critical), Some(Reason::ExitCode)),
                Outcome::Skipped => (None, Some(Reason::Overlap)),
            };
            let id = id(begin + step * DAY / 4 + n);
            let task_version = task.as_ref().map(|_| 1);
            let plain = result(host, &name("t"), id);
            all.push(RunResult { task: task.clone(), task_version, outcome, state, reason, ..plain });
        }
    }
    all
}

async fn store_all(store: &dyn Store, all: &[RunResult]) {
    commit(store, all.iter().cloned().map(save).collect()).await;
}

fn ids(all: &[RunResult], is: impl Fn(&RunResult) -> bool) -> Vec<RunId> {
    let mut ids: Vec<_> = all.iter().filter(|result| is(result)).map(|result| result.id).collect();
    ids.sort();
    ids
}

/// All that a query finds, a page after the other.
async fn walk(store: &dyn Store, mut query: OldQuery) -> Vec<RunId> {
    let mut all = Vec::new();
    loop {
        let page = must("old_results", store.old_results(query.clone()).await);
        assert!(page.ids.len() <= query.limit, "a page must not be longer than its limit");
        assert!(page.next > query.after || page.next.is_none(), "a walk must go forward");
        all.extend(page.ids);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return all,
        }
    }
}

/// Those of this history that the store has.
async fn left(store: &dyn Store, all: &[RunResult]) -> Vec<RunId> {
    let mut left = Vec::new();
    for one in all {
        left.extend(must("result", store.result(one.id).await).map(|found| found.id));
    }
    left.sort();
    left
}

/// Old Results are found by their age, outcome and task, all of them and the oldest first.
pub(super) async fn old_ones(store: &dyn Store) {
    let all = history("old", LONG_AGO);
    store_all(store, &all).await;
    let (often, seldom) = (name("old-often"), name("old-seldom"));
    let tasks =
        [OfTasks::ALL, OfTasks::Only(vec![often.clone()]), OfTasks::AllBut(vec![often, seldom, name("never-run")])];
    let end = LONG_AGO + 10 * DAY;
    for before in [LONG_AGO, LONG_AGO + 1, LONG_AGO + 3 * DAY / 4, LONG_AGO + 5 * DAY + MINUTE, end] {
        for which in [Which::All, Which::Problems, Which::Others] {
            for tasks in &tasks {
                for limit in [7, 1000] {
                    let query = OldQuery { before: at(before), after: None, which, tasks: tasks.clone(), limit };
                    let found = walk(store, query.clone()).await;
                    let expected = ids(&all, |result| query.has(result));
                    assert_eq!(found, expected, "wrong Results for {query:?}");
                    let after = expected.get(expected.len() / 2).copied();
                    let rest = walk(store, OldQuery { after, ..query.clone() }).await;
                    let expected: Vec<_> = expected.into_iter().filter(|id| Some(*id) > after).collect();
                    assert_eq!(rest, expected, "wrong Results behind {after:?} for {query:?}");
                }
            }
        }
    }
    remove(store, &all).await;
}

async fn remove(store: &dyn Store, all: &[RunResult]) {
    let gone = commit_one(store, Write::RemoveResults(ids(all, |_| true))).await;
    assert_eq!(gone, Written::Removed(all.len() as u64), "all must be removed");
}

/// What is beyond the newest so many of a pair, over days, and the ad-hoc runs of a host as those of one pair.
pub(super) async fn surplus(store: &dyn Store) {
    let all = history("surplus", LONG_AGO);
    store_all(store, &all).await;
    let own: Vec<Name> = ["surplus-often", "surplus-seldom"].map(name).to_vec();
    for keep in [0, 1, 7, 39, 40] {
        for tasks in [OfTasks::Only(own.clone()), OfTasks::Only(own[..1].to_vec())] {
            let query = SurplusQuery { tasks: tasks.clone(), keep, limit: usize::MAX };
            let mut found = must("surplus_results", store.surplus_results(query).await);
            found.sort();
            let newer = |one: &RunResult| {
                let of_pair = |other: &&RunResult| (&other.host, &other.task) == (&one.host, &one.task);
                all.iter().filter(of_pair).filter(|other| other.id > one.id).count() as u64
            };
            let expected = ids(&all, |one| tasks.has(one.task.as_ref()) && newer(one) >= keep);
            assert_eq!(found, expected, "wrong surplus beyond {keep} of {tasks:?}");
        }
    }
    let some = SurplusQuery { tasks: OfTasks::Only(own.clone()), keep: 2, limit: 5 };
    assert!(!must("surplus_results", store.surplus_results(some).await).is_empty(), "some must be found");
    let query = SurplusQuery { tasks: OfTasks::AllBut(own), keep: 39, limit: usize::MAX };
    let found = must("surplus_results", store.surplus_results(query).await);
    let ad_hoc = ids(&all, |one| one.task.is_none());
    let oldest = [ad_hoc[0], ad_hoc[1]];
    assert!(oldest.iter().all(|id| found.contains(id)), "ad-hoc runs of a host are those of one pair");
    assert!(!found.iter().any(|id| ad_hoc[2..].contains(id)), "the newest are no surplus");
    remove(store, &all).await;
}

/// Removing takes Results away and nothing else, and can be repeated; the counts follow.
pub(super) async fn removing(store: &dyn Store) {
    let before = (load(store).await, must("counts", store.counts().await).results);
    let all = history("removing", LONG_AGO);
    store_all(store, &all).await;
    let (host, task) = (name("removing-one"), name("removing-often"));
    let mut twins = [id(LONG_AGO); 3].map(|twin| *twin.as_bytes());
    (0_u8..).zip(&mut twins).for_each(|(n, twin)| twin[15] = n);
    let twins = twins.map(|twin| result(&host, &task, RunId::from_bytes(twin)));
    store_all(store, &twins).await;
    let counts = must("counts", store.counts().await);
    assert_eq!(counts.results, before.1 + all.len() as u64 + 3);
    assert_eq!(counts.oldest, Some(at(LONG_AGO)), "counts must say how old the oldest is");

    assert_eq!(commit_one(store, Write::RemoveResults(vec![twins[0].id])).await, Written::Removed(1));
    store_all(store, &twins[1..]).await;
    let query =
        ResultQuery { host: Some(host.clone()), task: Some(task.clone()), limit: 1000, ..ResultQuery::default() };
    let page = must("results", store.results(query).await);
    assert_eq!(page.total, 42, "a twin of one that is gone must still be there once");
    assert_eq!(left(store, &twins).await, [twins[1].id, twins[2].id]);

    let first_days = ids(&all, |result| result.id < RunId::earliest(at(LONG_AGO + 3 * DAY)));
    let gone = first_days.len() as u64;
    let repeated = vec![Write::RemoveResults(first_days.clone()), Write::RemoveResults(first_days)];
    assert_eq!(commit(store, repeated).await, [Written::Removed(gone), Written::Removed(0)]);
    let rest: Vec<_> = all.into_iter().filter(|result| result.id > RunId::earliest(at(LONG_AGO + 3 * DAY))).collect();
    assert_eq!(left(store, &rest).await, ids(&rest, |_| true), "what was not named must stay");
    let late = result(&host, &task, id(LONG_AGO + DAY));
    store_all(store, std::slice::from_ref(&late)).await;
    assert_eq!(left(store, std::slice::from_ref(&late)).await, [late.id], "of a day that is gone one may still come");
    remove(store, &rest).await;
    remove(store, &[late, twins[1].clone(), twins[2].clone()]).await;
    let after = (load(store).await, must("counts", store.counts().await).results);
    assert_eq!(after, before, "nothing but Results may go, and all that were added went");
}

fn days(days: u64) -> Limit {
    Limit::After(Span::seconds(days * 86_400))
}

async fn swept(store: &dyn Store, rules: &Rules, now: i64) -> Swept {
    let foreseen = must("foresee", foresee(store, rules, at(now)).await);
    let removing = async |ids| match commit_one(store, Write::RemoveResults(ids)).await {
        Written::Removed(removed) => Ok::<_, StoreError>(removed),
        other => Err(StoreError::Corrupt(format!("removing was answered with {other:?}"))),
    };
    let swept = must("sweep", sweep(store, rules, &mut Progress::default(), at(now), removing).await);
    assert_eq!(swept, foreseen, "what was foreseen must go, and no more");
    swept
}

/// The whole of it: ages, PROBLEMs for longer, what tasks want otherwise, counts. Statuses and open runs stay.
pub(super) async fn sweeping(store: &dyn Store) {
    let all = history("sweeping", LONG_AGO);
    store_all(store, &all).await;
    let (host, often) = (name("sweeping-one"), name("sweeping-often"));
    let status = std::sync::Arc::new(full_status());
    let set = Write::SetStatus { host: host.clone(), task: often.clone(), status };
    commit(store, vec![claim(&host, &often, Some(at(LONG_AGO)), id(LONG_AGO)), set]).await;
    let (before, now) = (pair(store, &host, &often).await, LONG_AGO + 10 * DAY);
    let age = |result: &RunResult| at(now).millis() - result.id.millis();

    let keep = Keep { max_age: days(4), max_count: None, keep_problems: days(8) };
    let own = Keep { max_age: days(9), max_count: Some(6), keep_problems: days(2) };
    let rules = Rules::new(&Retention { keep, max_bytes: None }, [(often.clone(), own)]);
    let mut kept: BTreeSet<RunId> = BTreeSet::new();
    let mut by_count = 0;
    for host in ["sweeping-one", "sweeping-two"] {
        let mut of_often =
            ids(&all, |one| one.host.as_str() == host && one.task.as_ref() == Some(&often) && age(one) <= 9 * DAY);
        by_count += of_often.len() as u64 - 6;
        kept.extend(of_often.split_off(of_often.len() - 6));
    }
    let stays = |one: &RunResult| age(one) <= if one.outcome == Outcome::Problem { 8 * DAY } else { 4 * DAY };
    kept.extend(ids(&all, |one| one.task.as_ref() != Some(&often) && stays(one)));
    let swept_now = swept(store, &rules, now).await;
    assert_eq!(left(store, &all).await, kept.iter().copied().collect::<Vec<_>>(), "wrong Results are left");
    assert_eq!((swept_now.by_count, swept_now.all()), (by_count, (all.len() - kept.len()) as u64));
    assert_eq!(swept(store, &rules, now).await, Swept::default(), "what was swept is swept");
    assert_eq!(pair(store, &host, &often).await, before, "status, open runs and cursor must stay");

    let rules = Rules::new(&Retention { keep: Keep { max_age: days(1), ..Keep::ALL }, max_bytes: None }, []);
    assert_eq!(
        swept(store, &rules, now).await.all(),
        ids(&all, |one| { kept.contains(&one.id) && one.outcome != Outcome::Problem && age(one) > DAY }).len() as u64,
        "PROBLEMs that are kept for ever must stay"
    );
    let rules = Rules::new(
        &Retention { keep: Keep { max_age: days(1), keep_problems: days(1), ..Keep::ALL }, max_bytes: None },
        [],
    );
    swept(store, &rules, now + 2 * DAY).await;
    assert_eq!(left(store, &all).await, [], "what nobody keeps must go");
    commit_one(store, Write::ForgetPair { host, task: often }).await;
}

/// By size the oldest go first, until what is left fits, where a store knows how large it is.
pub(super) async fn by_size(store: &dyn Store) {
    let host = name("by-size");
    let large = |millis| {
        let stdout = crate::model::Captured::new(vec![b'x'; 100_000], 100_000);
        RunResult { stdout, ..result(&host, &name("large"), id(millis)) }
    };
    let all: Vec<_> = (0..40).map(|n| large(LONG_AGO + n * DAY / 10)).collect();
    store_all(store, &all).await;
    let Some(used) = must("counts", store.counts().await).used else {
        return remove(store, &all).await;
    };
    let most = used - 1_000_000;
    let rules = Rules::new(&Retention { keep: Keep::ALL, max_bytes: Some(most) }, []);
    let removing = async |ids| match commit_one(store, Write::RemoveResults(ids)).await {
        Written::Removed(removed) => Ok::<_, StoreError>(removed),
        other => Err(StoreError::Corrupt(format!("removing was answered with {other:?}"))),
    };
    let mut progress = Progress::default();
    let gone = must("sweep", sweep(store, &rules, &mut progress, at(LONG_AGO + 5 * DAY), removing).await);
    let counts = must("counts", store.counts().await);
    assert!(counts.used.is_some_and(|used| used <= most), "{counts:?} must fit into {most} bytes");
    let left = left(store, &all).await;
    assert_eq!(left, ids(&all, |_| true)[all.len() - left.len()..], "the oldest must go first");
    assert_eq!((gone.by_bytes, gone.all()), ((all.len() - left.len()) as u64, gone.by_bytes));
    let rest: Vec<_> = all.into_iter().filter(|one| left.contains(&one.id)).collect();
    remove(store, &rest).await;
    while must("give_back", store.give_back().await) {}
}
