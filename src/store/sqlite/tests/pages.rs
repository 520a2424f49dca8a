//! How pages are read: which days, by which index.

use super::*;
use crate::model::{Outcome, Reason, State, Trigger};
use crate::store::conformance::samples::{DAY, MINUTE};

#[tokio::test]
async fn results_lie_in_a_table_a_day() {
    let (directory, store) = store();
    let instants = [-DAY, 0, 29_999, 30_000, 30_001];
    let writes = instants.map(|millis| save(result(&name("host"), &name("task"), id(millis))));
    store.commit(writes.to_vec()).await.unwrap();
    let stranger = stranger(&directory);
    for (day, results) in [("20261119", 1), ("20261120", 2), ("20261121", 2)] {
        let count = format!("SELECT count(*) FROM results_{day}");
        let found: i64 = stranger.query_row(&count, [], |row| row.get(0)).unwrap();
        assert_eq!(found, results, "{day}");
    }
    let mut days = stranger.prepare("SELECT day, results FROM partitions ORDER BY day").unwrap();
    let days: Vec<(i64, i64)> =
        days.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(days.iter().map(|(_, results)| *results).collect::<Vec<_>>(), [1, 2, 2]);
    assert!(days.is_sorted());
}

#[tokio::test]
async fn the_bounds_of_a_day_are_exact() {
    let (_directory, store) = store();
    let scheduled = [500, 100, 300, 200, 400];
    let (host, task) = (name("host"), name("task"));
    for millis in scheduled {
        let late = RunResult { scheduled_at: at(millis), ..result(&host, &task, id(0)) };
        store.commit(vec![save(late)]).await.unwrap();
    }
    let instants = [99, 100, 101, 499, 500, 501];
    for since in instants {
        for until in instants {
            let query = ResultQuery { since: Some(at(since)), until: Some(at(until)), ..all() };
            let page = store.results(query).await.unwrap();
            let expected = scheduled.iter().filter(|millis| since <= **millis && **millis < until).count();
            assert_eq!((page.items.len(), page.total), (expected, expected as u64), "{since}..{until}");
        }
    }
}

#[tokio::test]
async fn the_hours_of_a_day_add_up_to_it() {
    let (directory, store) = store();
    let (host, task) = (name("host"), name("task"));
    // Some were scheduled long before the hour in which they ran.
    let stored: Vec<RunResult> = (0..200_i64)
        .map(|n| {
            let instant = n * 7 * MINUTE;
            let late = if n % 9 == 0 { 5 * 60 * MINUTE } else { 0 };
            let outcome = if n % 4 == 0 { Outcome::Problem } else { Outcome::Ok };
            RunResult { scheduled_at: at(instant), outcome, ..result(&host, &task, id(instant + late)) }
        })
        .collect();
    store.commit(stored.iter().cloned().map(save).collect()).await.unwrap();
    let before = stranger(&directory);
    let hours = |connection: &rusqlite::Connection| -> Vec<(i64, i64, i64, i64)> {
        let mut hours = connection.prepare("SELECT * FROM hours ORDER BY hour").unwrap();
        let rows = hours.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    let counted = hours(&before);
    assert_eq!(counted.iter().map(|(_, results, ..)| results).sum::<i64>(), 200);
    // A store that has none counts them when it is opened.
    store.close().await;
    let days = partition::all(&before).unwrap();
    let causes =
        days.iter().map(|day| format!("ALTER TABLE {} DROP COLUMN cause;", partition::table(day.number).unwrap()));
    before.execute_batch(&causes.collect::<String>()).unwrap();
    before
        .execute_batch(
            "ALTER TABLE open_runs DROP COLUMN cause; DROP TABLE events_due; DROP TABLE notices; DROP TABLE notifications;
             DROP TABLE parcels; DROP TABLE traces; DROP TABLE hours; DROP TABLE leases; PRAGMA user_version = 8;",
        )
        .unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    assert_eq!(hours(&before), counted);
    for bound in [0, 3, 8 * 60, 8 * 60 + 1, 14 * 60 - 1, 23 * 60] {
        let bound = at(bound * MINUTE);
        for (since, until) in [(None, Some(bound)), (Some(bound), None), (Some(at(100 * MINUTE)), Some(bound))] {
            for outcome in [None, Some(Outcome::Ok), Some(Outcome::Problem)] {
                let query = ResultQuery { since, until, outcome, limit: 3, ..all() };
                let expected = stored.iter().filter(|result| {
                    outcome.is_none_or(|outcome| outcome == result.outcome)
                        && since.is_none_or(|since| since <= result.scheduled_at)
                        && until.is_none_or(|until| result.scheduled_at < until)
                });
                let mut ids: Vec<RunId> = expected.map(|result| result.id).collect();
                ids.sort_by_key(|id| std::cmp::Reverse(*id));
                let page = store.results(query).await.unwrap();
                assert_eq!(page.total, ids.len() as u64, "{outcome:?} {since:?}..{until:?}");
                ids.truncate(3);
                assert_eq!(page.items.iter().map(|item| item.id).collect::<Vec<_>>(), ids);
            }
        }
    }
}

#[tokio::test]
async fn what_leaves_few_is_found_by_an_index() {
    let (_directory, store) = store();
    store.commit(vec![save(any_result())]).await.unwrap();
    let open = ResultQuery::default();
    let of_host = ResultQuery { host: Some(name("host")), ..open.clone() };
    let queries = [
        ("_pair", of_host.clone()),
        ("_pair", ResultQuery { task: Some(name("task")), ..of_host.clone() }),
        ("_pair", ResultQuery { outcome: Some(Outcome::Problem), ..of_host.clone() }),
        ("_pair", ResultQuery { state: Some(State::Critical), reason: Some(Reason::Timeout), ..of_host.clone() }),
        ("_pair", ResultQuery { until: Some(at(DAY * 9)), ..of_host.clone() }),
        ("_pair", ResultQuery { among: Some(vec![name("host")]), ..open.clone() }),
        ("_outcome", ResultQuery { outcome: Some(Outcome::Problem), ..open.clone() }),
        ("_state", ResultQuery { state: Some(State::Warning), ..open.clone() }),
        ("_reason", ResultQuery { reason: Some(Reason::Timeout), ..open.clone() }),
        ("_trigger", ResultQuery { trigger: Some(Trigger::Manual), ..open.clone() }),
        ("_group", ResultQuery { group: Some(id(1)), outcome: Some(Outcome::Problem), ..of_host.clone() }),
    ];
    for (index, query) in queries {
        let asked = query.clone();
        let plan = store.readers.read(reader::LIMIT, move |connection| query::plan(connection, &query)).await.unwrap();
        assert!(plan.iter().any(|step| step.contains(index)), "{asked:?}: {plan:?}");
        for step in plan {
            assert!(
                step.contains(index) || step.contains("INTEGER PRIMARY KEY") || !step.contains("results_"),
                "{step}"
            );
        }
    }
}

#[tokio::test]
async fn a_page_is_of_one_moment() {
    let (_directory, store) = store();
    store.commit(vec![save(any_result())]).await.unwrap();
    let (reading, is_read) = std::sync::mpsc::channel();
    let (written, go_on) = std::sync::mpsc::channel::<()>();
    let page = store.readers.read(reader::LIMIT, move |connection| {
        let before = query::page(connection, &all())?;
        reading.send(()).unwrap();
        go_on.recv().unwrap();
        Ok((before, query::page(connection, &all())?))
    });
    let write = async {
        tokio::task::spawn_blocking(move || is_read.recv().unwrap()).await.unwrap();
        store.commit(vec![save(any_result())]).await.unwrap();
        written.send(()).unwrap();
    };
    let (pages, ()) = tokio::join!(page, write);
    let (before, after) = pages.unwrap();
    assert_eq!((before.total, &before), (1, &after));
    assert_eq!(store.results(all()).await.unwrap().total, 2);
}
