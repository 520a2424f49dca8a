//! Results through the ledger, each claimed and saved, beside the same rows inserted in bare batches.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alf::actors::store::{Queue, StoreActor, StoreWriter};
use alf::actors::supervision::keep;
use alf::clock::Clock;
use alf::model::{Name, PairStatus, RunIds, RunResult, State, Trigger};
use alf::store::sqlite::{FILE, SqliteStore};
use alf::store::{OpenRun, Store, Write, Written};
use futures_util::future::join_all;
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, params_from_iter};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Failure, cpu_ms};
use crate::world::{TAKING, finished};

/// Rows of one bare transaction: as many as the ledger has writes in one.
const BATCH: usize = 500;
const PAIRS: usize = 10_000;

/// So many Results, so many of them on their way at once.
pub(crate) async fn measure(results: usize, at_once: usize) -> Result<Value, Failure> {
    let (one, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (seconds, cpu) = through_the_ledger(one.path(), results, at_once).await?;
    let (bare, bare_cpu) = bare(one.path(), other.path(), results)?;
    let (rate, bare_rate) = (results as f64 / seconds, results as f64 / bare);
    Ok(json!({"results": results, "at_once": at_once, "a_second": rate, "bare_a_second": bare_rate,
        "of_bare": rate / bare_rate, "cpu_ms_each": cpu / results as f64, "bare_cpu_ms_each": bare_cpu / results as f64}))
}

/// Pairs with a full list of last Results, each with its next one.
async fn through_the_ledger(dir: &Path, results: usize, at_once: usize) -> Result<(f64, f64), Failure> {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(dir)?);
    let queue = Arc::new(Queue::new(10_000));
    let (of_actor, of_queue) = (Arc::clone(&store), Arc::clone(&queue));
    let actor = keep("store", actix_rt::Arbiter::current(), move |obituary| {
        StoreActor::new(Arc::clone(&of_actor), Arc::clone(&of_queue), obituary)
    });
    let writer = StoreWriter::new(actor.clone(), queue);
    let (ids, at, next) = (RunIds::default(), Clock::Wall.now().into(), AtomicUsize::new(0));
    let pair = |n: usize| -> Result<(Name, Name), Failure> {
        Ok((Name::parse(&format!("host{:05}", n / 10))?, Name::parse(&format!("task{:03}", n % 10))?))
    };
    let (host, task) = pair(0)?;
    let (sample, status): (RunResult, PairStatus) = finished(ids.next(at), &host, &task, at, State::Ok);
    let one_after_the_other = async || -> Result<(), Failure> {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= results {
                return Ok(());
            }
            let (host, task) = pair(n % PAIRS)?;
            let instant = (at.get() + chrono::TimeDelta::milliseconds(n as i64)).into();
            let result = RunResult {
                id: ids.next(Clock::Wall.now().into()),
                host: host.clone(),
                task: Some(task.clone()),
                scheduled_at: instant,
                due_at: instant,
                ..sample.clone()
            };
            let open = OpenRun {
                id: result.id,
                task_version: result.task_version,
                schedule: result.schedule.clone(),
                trigger: Trigger::Schedule,
                by: None,
                group: None,
                scheduled_at: instant,
                due_at: instant,
            };
            let until = Some(instant);
            let claimed = writer.write(vec![Write::Claim { host, task: Some(task), until, open }]).await?;
            if claimed != [Written::Claimed] {
                return Err(format!("not claimed: {claimed:?}").into());
            }
            let mut status = status.clone();
            status.take(&result, TAKING);
            let save = Write::Save { result: Box::new(result), status: Some(Arc::new(status)), until };
            writer.write(vec![save]).await?;
        }
    };
    let (cpu, begun) = (cpu_ms()?, Instant::now());
    for done in join_all((0..at_once).map(|_| one_after_the_other())).await {
        done?;
    }
    let figures = (begun.elapsed().as_secs_f64(), cpu_ms()? - cpu);
    actor.stop().await;
    store.close().await;
    Ok(figures)
}

/// The rows of the ledger into an empty table of the same kind, as fast as SQLite takes them.
fn bare(ledger: &Path, dir: &Path, results: usize) -> Result<(f64, f64), Failure> {
    let from = Connection::open(ledger.join(FILE))?;
    let table: String = from.query_row(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'results_%' ORDER BY name DESC LIMIT 1",
        [],
        |row| row.get(0),
    )?;
    let mut schema = from.prepare("SELECT sql FROM sqlite_schema WHERE tbl_name = ?1 AND sql IS NOT NULL")?;
    let schema = schema.query_map([&table], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    let mut select = from.prepare(&format!("SELECT * FROM {table}"))?;
    let columns = select.column_count();
    let rows =
        select.query_map([], |row| (0..columns).map(|column| row.get(column)).collect::<Result<Vec<Cell>, _>>())?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    if rows.len() != results {
        return Err(format!("{} rows of {results} Results: measured over midnight?", rows.len()).into());
    }
    let mut to = Connection::open(dir.join("bare.db"))?;
    to.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 4096;",
    )?;
    to.execute_batch(&schema.join(";"))?;
    let insert = format!("INSERT INTO {table} VALUES ({})", vec!["?"; columns].join(","));
    let (cpu, begun) = (cpu_ms()?, Instant::now());
    for batch in rows.chunks(BATCH) {
        let transaction = to.transaction()?;
        let mut insert = transaction.prepare_cached(&insert)?;
        for row in batch {
            insert.execute(params_from_iter(row))?;
        }
        drop(insert);
        transaction.commit()?;
    }
    Ok((begun.elapsed().as_secs_f64(), cpu_ms()? - cpu))
}
