//! Pages of Results: which, in which order, how many.

use super::samples::{DAY, MINUTE, at, id, name, result, save};
use super::{commit, must};
use crate::model::{Outcome, Reason, ResultPage, ResultQuery, RunId, RunResult, State, Trigger};
use crate::store::Store;

async fn page(store: &dyn Store, query: &ResultQuery) -> ResultPage {
    must("results", store.results(query.clone()).await)
}

fn ids(page: &ResultPage) -> Vec<RunId> {
    page.items.iter().map(|item| item.id).collect()
}

/// All ids that match, a page after the other.
async fn walk(store: &dyn Store, query: &ResultQuery) -> Vec<RunId> {
    let mut query = query.clone();
    let mut all = Vec::new();
    loop {
        let page = page(store, &query).await;
        assert!(page.items.len() <= query.limit, "a page must not be longer than its limit");
        assert!(page.next.is_none() || page.items.len() == query.limit, "a page with a next one must be full");
        all.extend(ids(&page));
        match page.next {
            Some(next) => {
                assert_eq!(all.last(), Some(&next), "`next` must be the last id of the page");
                query.before = Some(next);
            }
            None => return all,
        }
    }
}

/// The ids of all Results there are.
pub(super) async fn all_ids(store: &dyn Store) -> Vec<RunId> {
    walk(store, &ResultQuery { limit: 37, ..ResultQuery::default() }).await
}

/// Results of two hosts and tasks over four days with every kind of verdict.
fn dataset(host: [&str; 2]) -> Vec<RunResult> {
    let verdicts = [
        (Outcome::Ok, Some(State::Ok), None),
        (Outcome::Problem, Some(State::Critical), Some(Reason::ExitCode)),
        (Outcome::Ok, Some(State::Ok), None),
        (Outcome::Problem, Some(State::Warning), Some(Reason::ExitCode)),
        (Outcome::Skipped, None, Some(Reason::Overlap)),
        (Outcome::Ok, Some(State::Ok), None),
        (Outcome::Problem, Some(State::Unknown), Some(Reason::Unreachable)),
    ];
    let triggers = [Trigger::Schedule, Trigger::Schedule, Trigger::Manual, Trigger::Schedule, Trigger::CatchUp];
    (0..140_i64)
        .map(|i| {
            let pick = usize::try_from(i).unwrap_or_default();
            let (outcome, state, reason) = verdicts[pick % verdicts.len()];
            let instant = i * 41 * MINUTE;
            let ran_late = if i % 11 == 0 { DAY } else { 0 };
            RunResult {
                scheduled_at: at(instant),
                outcome,
                state,
                reason,
                trigger: triggers[pick % triggers.len()],
                ..result(&name(host[pick % 2]), &name(["a", "b", "c"][pick % 3]), id(instant + ran_late))
            }
        })
        .collect()
}

fn matches(query: &ResultQuery, result: &RunResult) -> bool {
    query.host.as_ref().is_none_or(|host| *host == result.host)
        && query.task.as_ref().is_none_or(|task| Some(task) == result.task.as_ref())
        && query.outcome.is_none_or(|outcome| outcome == result.outcome)
        && query.state.is_none_or(|state| Some(state) == result.state)
        && query.reason.is_none_or(|reason| Some(reason) == result.reason)
        && query.trigger.is_none_or(|trigger| trigger == result.trigger)
        && query.since.is_none_or(|since| since <= result.scheduled_at)
        && query.until.is_none_or(|until| result.scheduled_at < until)
}

/// Every filter, alone and with each other, gives what matches: no more, no less, newest first.
pub(super) async fn filters(store: &dyn Store) {
    let mut all = dataset(["filter-1", "filter-2"]);
    commit(store, all.iter().cloned().map(save).collect()).await;
    all.sort_by_key(|result| std::cmp::Reverse(result.id));
    let hosts = ["filter-1", "filter-2"].map(|host| Some(name(host)));
    let instants =
        [None, Some(at(0)), Some(at(41 * MINUTE)), Some(at(41 * MINUTE + 1)), Some(at(2 * DAY)), Some(at(9 * DAY))];
    let mut queries = Vec::new();
    for host in &hosts {
        let base = ResultQuery { host: host.clone(), limit: 1000, ..ResultQuery::default() };
        for task in [None, Some(name("a")), Some(name("never-run"))] {
            for outcome in [None, Some(Outcome::Ok), Some(Outcome::Problem), Some(Outcome::Skipped)] {
                for trigger in [None, Some(Trigger::Schedule), Some(Trigger::Manual)] {
                    queries.push(ResultQuery { task: task.clone(), outcome, trigger, ..base.clone() });
                }
            }
            for state in [State::Ok, State::Warning, State::Critical, State::Unknown] {
                queries.push(ResultQuery { task: task.clone(), state: Some(state), ..base.clone() });
            }
            for reason in [Reason::ExitCode, Reason::Overlap, Reason::Unreachable, Reason::Setup] {
                queries.push(ResultQuery { task: task.clone(), reason: Some(reason), ..base.clone() });
            }
            for since in instants {
                for until in instants {
                    for outcome in [None, Some(Outcome::Problem)] {
                        queries.push(ResultQuery { task: task.clone(), outcome, since, until, ..base.clone() });
                    }
                }
            }
        }
    }
    for query in &queries {
        let expected: Vec<_> = all.iter().filter(|result| matches(query, result)).map(|result| result.id).collect();
        let found = page(store, query).await;
        assert_eq!(ids(&found), expected, "wrong Results for {query:?}");
        assert_eq!(found.total, expected.len() as u64, "wrong total for {query:?}");
        assert_eq!(found.next, None, "there is no next page after all of {query:?}");
    }
    let nobody = ResultQuery { host: Some(name("nobody")), limit: 10, ..ResultQuery::default() };
    assert_eq!(page(store, &nobody).await, ResultPage::default(), "a host without Results has none");
    without_host(store, &all).await;
}

/// Filters that leave the host open find the Results of others, too.
async fn without_host(store: &dyn Store, all: &[RunResult]) {
    let open = ResultQuery { limit: 1000, ..ResultQuery::default() };
    for query in [
        open.clone(),
        ResultQuery { task: Some(name("a")), ..open.clone() },
        ResultQuery { outcome: Some(Outcome::Problem), ..open.clone() },
        ResultQuery { state: Some(State::Warning), ..open.clone() },
        ResultQuery { reason: Some(Reason::Unreachable), ..open.clone() },
        ResultQuery { trigger: Some(Trigger::CatchUp), until: Some(at(2 * DAY)), ..open.clone() },
    ] {
        let found = page(store, &query).await;
        assert_eq!(found.total, found.items.len() as u64, "wrong total for {query:?}");
        assert!(found.items.iter().all(|item| matches(&query, item)), "a Result that does not match {query:?}");
        assert!(found.items.is_sorted_by(|one, two| one.id > two.id), "not newest first: {query:?}");
        let known: Vec<_> = all.iter().filter(|result| matches(&query, result)).map(|result| result.id).collect();
        let mut found = ids(&found);
        found.retain(|id| known.contains(id));
        assert_eq!(found, known, "wrong Results for {query:?}");
    }
}

/// Pages of any length give each Result once; the total is that of all pages.
pub(super) async fn paging(store: &dyn Store) {
    let both = ResultQuery { since: Some(at(0)), ..ResultQuery::default() };
    let filtered =
        ResultQuery { host: Some(name("filter-1")), outcome: Some(Outcome::Problem), ..ResultQuery::default() };
    for query in [both, filtered] {
        let whole = page(store, &ResultQuery { limit: 1000, ..query.clone() }).await;
        for limit in [1, 2, 7, whole.items.len() - 1, whole.items.len(), whole.items.len() + 1] {
            let query = ResultQuery { limit, ..query.clone() };
            assert_eq!(walk(store, &query).await, ids(&whole), "pages of {limit} must give each Result once");
            let middle = ResultQuery { before: Some(whole.items[1].id), ..query };
            assert_eq!(page(store, &middle).await.total, whole.total, "the total must be that of all pages");
        }
        let nothing = page(store, &query).await;
        assert_eq!((nothing.items.len(), nothing.next, nothing.total), (0, None, whole.total), "limit 0 only counts");
        let between = ResultQuery { before: Some(id(DAY + 20 * MINUTE)), limit: 1000, ..query };
        let older: Vec<_> = ids(&whole).into_iter().filter(|id| Some(*id) < between.before).collect();
        assert_eq!(ids(&page(store, &between).await), older, "a page may begin at an id that is not there");
    }
}

/// Who walks the pages while others write gets each Result that was there, once.
pub(super) async fn paging_while_written(store: &dyn Store, other: &dyn Store) {
    let all = dataset(["busy-1", "busy-2"]);
    commit(store, all.iter().cloned().map(save).collect()).await;
    let mut query = ResultQuery { host: Some(name("busy-1")), limit: 7, ..ResultQuery::default() };
    let mut seen = Vec::new();
    for round in 0..100_i64 {
        let page = page(store, &query).await;
        seen.extend(ids(&page));
        let Some(next) = page.next else { break };
        query.before = Some(next);
        // One newer than all, one older than all, one next to where the walk stands.
        let (host, task) = (name("busy-1"), name("a"));
        let new = [10 * DAY + round, -10 * DAY + round, next.millis() - at(0).millis() + 3];
        commit(other, new.iter().map(|millis| save(result(&host, &task, id(*millis)))).collect()).await;
    }
    let mut once = seen.clone();
    once.dedup();
    assert_eq!(once, seen, "no Result may be on two pages");
    assert!(seen.is_sorted_by(|one, two| one > two), "pages must go from the newest to the oldest");
    for was_there in all.iter().filter(|result| result.host.as_str() == "busy-1") {
        assert!(seen.contains(&was_there.id), "no Result that was there may be left out");
    }
}
