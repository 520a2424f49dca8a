//! How pages are read: which days, by which index.

use super::*;
use crate::model::{Outcome, Reason, State, Trigger};
use crate::store::conformance::samples::DAY;

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
async fn what_is_rare_is_found_by_an_index() {
    let (_directory, store) = store();
    store.commit(vec![save(any_result())]).await.unwrap();
    let open = ResultQuery::default();
    let queries = [
        ("_pair", ResultQuery { host: Some(name("host")), ..open.clone() }),
        ("_pair", ResultQuery { host: Some(name("host")), task: Some(name("task")), ..open.clone() }),
        ("_pair", ResultQuery { among: Some(vec![name("host")]), ..open.clone() }),
        ("_outcome", ResultQuery { outcome: Some(Outcome::Problem), ..open.clone() }),
        ("_state", ResultQuery { state: Some(State::Warning), ..open.clone() }),
        ("_reason", ResultQuery { reason: Some(Reason::Timeout), ..open.clone() }),
        ("_trigger", ResultQuery { trigger: Some(Trigger::Manual), ..open.clone() }),
    ];
    for (index, query) in queries {
        let plan = store.readers.read(reader::LIMIT, move |connection| query::plan(connection, &query));
        for step in plan.await.unwrap() {
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
