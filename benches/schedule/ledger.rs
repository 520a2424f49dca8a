//! Results through the ledger, each claimed and saved, beside a bare program that writes the same rows in batches.

use std::cell::Cell;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use alf::actors::store::{Queue, StoreActor, StoreWriter};
use alf::actors::supervision::keep;
use alf::clock::Clock;
use alf::model::{Name, PairStatus, RunIds, RunResult, State, Timestamp, Trigger};
use alf::store::sqlite::FILE;
use alf::store::{OpenRun, Store, Write, Written};
use rusqlite::types::Value as Column;
use rusqlite::{Connection, Row, params_from_iter};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::place::{Place, Server};
use crate::support::{Failure, cpu_ms};
use crate::world::{TAKING, finished};

/// Results of one bare batch: as many as the ledger has writes in a commit here.
const BATCH: usize = 500;
const PAIRS: usize = 10_000;

/// So many Results, so many of them on their way at once; in SQLite, or on a MongoDB server.
pub(crate) async fn measure(results: usize, at_once: usize, server: Server) -> Result<Value, Failure> {
    let (one, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
    server.clear().await?;
    let place = Place { dir: one.path().to_owned(), server };
    let (seconds, cpu, commits) = through_the_ledger(place.open().await?, results, at_once).await?;
    let (bare_commits, (bare, bare_cpu)) = if place.server.is_there() {
        (results.div_ceil(BATCH), place.server.bare(results, BATCH).await?)
    } else {
        (2 * results.div_ceil(BATCH), bare(one.path(), other.path(), results)?)
    };
    place.server.clear().await?;
    let (rate, bare_rate) = (results as f64 / seconds, results as f64 / bare);
    Ok(json!({"results": results, "at_once": at_once, "a_second": rate, "bare_a_second": bare_rate,
        "of_bare": rate / bare_rate, "commits": commits, "bare_commits": bare_commits,
        "cpu_ms_each": cpu / results as f64, "bare_cpu_ms_each": bare_cpu / results as f64}))
}

/// Pairs with a full list of last Results, each with its next one. Who claims and saves is a task of its own, as actors are:
/// all in one would be woken in another order than that of their writes.
async fn through_the_ledger(store: Arc<dyn Store>, results: usize, at_once: usize) -> Result<(f64, f64, u64), Failure> {
    let queue = Arc::new(Queue::new(10_000));
    let (of_actor, of_queue) = (Arc::clone(&store), Arc::clone(&queue));
    let actor = keep("store", actix_rt::Arbiter::current(), move |obituary| {
        StoreActor::new(Arc::clone(&of_actor), Arc::clone(&of_queue), obituary)
    });
    let writer = StoreWriter::new(actor.clone(), queue);
    let (ids, at) = (RunIds::default(), Clock::Wall.now().into());
    let (host, task) = pair(0)?;
    let (sample, status) = finished(ids.next(at), &host, &task, at, State::Ok);
    let work = Rc::new(Work { writer, results, ids, at, next: Cell::new(0), sample, status });
    let (cpu, begun) = (cpu_ms()?, Instant::now());
    let clients: Vec<_> = (0..at_once).map(|_| actix_rt::spawn(one_after_the_other(Rc::clone(&work)))).collect();
    for client in clients {
        client.await??;
    }
    let figures = (begun.elapsed().as_secs_f64(), cpu_ms()? - cpu, work.writer.commits());
    actor.stop().await;
    store.close().await;
    Ok(figures)
}

/// What is to be done, by all together.
struct Work {
    writer: StoreWriter,
    results: usize,
    ids: RunIds,
    at: Timestamp,
    next: Cell<usize>,
    sample: RunResult,
    status: PairStatus,
}

fn pair(n: usize) -> Result<(Name, Name), String> {
    let name = |text: String| Name::parse(&text).map_err(|error| error.to_string());
    Ok((name(format!("host{:05}", n / 10))?, name(format!("task{:03}", n % 10))?))
}

async fn one_after_the_other(work: Rc<Work>) -> Result<(), String> {
    loop {
        let n = work.next.replace(work.next.get() + 1);
        if n >= work.results {
            return Ok(());
        }
        let (host, task) = pair(n % PAIRS)?;
        let instant = work.at.plus_millis(n as i64);
        let result = RunResult {
            id: work.ids.next(Clock::Wall.now().into()),
            host: host.clone(),
            task: Some(task.clone()),
            scheduled_at: instant,
            due_at: instant,
            ..work.sample.clone()
        };
        let open = OpenRun {
            id: result.id,
            task_version: result.task_version,
            schedule: result.schedule.clone(),
            trigger: Trigger::Schedule,
            by: None,
            group: None,
            cause: None,
            scheduled_at: instant,
            due_at: instant,
        };
        let until = Some(instant);
        let write = async |write| work.writer.write(vec![write]).await.map_err(|error| error.to_string());
        let claimed = write(Write::Claim { host, task: Some(task), until, open }).await?;
        if claimed != [Written::Claimed] {
            return Err(format!("not claimed: {claimed:?}"));
        }
        let mut status = work.status.clone();
        status.take(&result, TAKING);
        write(Write::Save { result: Box::new(result), status: Some(Arc::new(status)), until }).await?;
    }
}

/// What one Result writes, as SQLite takes it.
struct Rows {
    pair: i64,
    id: Vec<u8>,
    claimed_until: i64,
    open: Vec<Column>,
    result: Vec<Column>,
    status: (String, Vec<u8>),
}

/// The same rows by a bare program, as fast as SQLite takes them: into empty tables with the same columns and indexes, with
/// the same settings, prepared statements, the claims of a batch in one transaction and what ends its runs in another.
fn bare(ledger: &Path, dir: &Path, results: usize) -> Result<(f64, f64), Failure> {
    let from = Connection::open(ledger.join(FILE))?;
    let (table, day): (String, i64) = from.query_row(
        "SELECT name, day FROM sqlite_schema, partitions WHERE type = 'table' AND name LIKE 'results_%' ORDER BY name DESC, day DESC LIMIT 1",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let all = rows_of(&from, &table)?;
    if all.len() != results {
        return Err(format!("{} rows of {results} Results: measured over midnight?", all.len()).into());
    }
    let mut to = Connection::open(dir.join("bare.db"))?;
    to.execute_batch(
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384;
         PRAGMA mmap_size = 0; PRAGMA wal_autocheckpoint = 4096; PRAGMA journal_size_limit = 33554432;",
    )?;
    let mut schema = from.prepare(
        "SELECT sql FROM sqlite_schema WHERE tbl_name IN (?1, 'pairs', 'open_runs', 'statuses', 'partitions', 'hours') AND sql IS NOT NULL",
    )?;
    let schema = schema.query_map([&table], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    to.execute_batch(&schema.join(";"))?;
    to.execute("INSERT INTO partitions VALUES (?1, 0, 0, 0)", [day])?;
    let places = |row: &[Column]| vec!["?"; row.len()].join(",");
    let first = all.first().ok_or("there are no rows")?;
    let open = format!("INSERT INTO open_runs VALUES ({})", places(&first.open));
    let insert = format!("INSERT INTO {table} VALUES ({})", places(&first.result));
    let (cpu, begun) = (cpu_ms()?, Instant::now());
    for batch in all.chunks(BATCH) {
        let transaction = to.transaction()?;
        claim(&transaction, &open, batch)?;
        transaction.commit()?;
        let transaction = to.transaction()?;
        save(&transaction, &insert, day, batch)?;
        transaction.commit()?;
    }
    Ok((begun.elapsed().as_secs_f64(), cpu_ms()? - cpu))
}

fn claim(to: &Connection, open: &str, batch: &[Rows]) -> rusqlite::Result<()> {
    let mut cursor = to.prepare_cached(
        "INSERT INTO pairs VALUES (?1, ?2) ON CONFLICT (pair) DO UPDATE SET claimed_until = excluded.claimed_until",
    )?;
    let mut open = to.prepare_cached(open)?;
    for row in batch {
        cursor.execute((row.pair, row.claimed_until))?;
        open.execute(params_from_iter(&row.open))?;
    }
    Ok(())
}

fn save(to: &Connection, insert: &str, day: i64, batch: &[Rows]) -> rusqlite::Result<()> {
    let mut insert = to.prepare_cached(insert)?;
    let mut close = to.prepare_cached("DELETE FROM open_runs WHERE pair = ?1 AND id = ?2")?;
    let mut status = to.prepare_cached(
        "INSERT INTO statuses VALUES (?1, ?2, ?3) ON CONFLICT (pair) DO UPDATE SET status = excluded.status, last = excluded.last",
    )?;
    for row in batch {
        insert.execute(params_from_iter(&row.result))?;
        close.execute((row.pair, &row.id))?;
        status.execute((row.pair, &row.status.0, &row.status.1))?;
    }
    let count = batch.len() as i64;
    to.prepare_cached("UPDATE partitions SET results = results + ?2 WHERE day = ?1")?.execute((day, count))?;
    let hour = "INSERT INTO hours VALUES (?1, ?2, 0, 0) ON CONFLICT DO UPDATE SET results = results + ?2";
    to.prepare_cached(hour)?.execute((day * 24, count))?;
    Ok(())
}

/// All that the ledger has written, and what it has written and deleted again.
fn rows_of(from: &Connection, table: &str) -> Result<Vec<Rows>, Failure> {
    let cells = |row: &Row<'_>, columns: Range<usize>| -> rusqlite::Result<Vec<Column>> {
        columns.map(|column| row.get(column)).collect()
    };
    let mut select = from.prepare(&format!(
        "SELECT s.pair, s.status, s.last,
             s.pair, r.id, r.task_version, n.name, r.trigger, r.by, r.scheduled_at, r.due_at, r.run_group, r.cause, r.*
         FROM {table} r JOIN statuses s ON s.pair = r.host << 32 | r.task JOIN names n ON n.id = r.schedule ORDER BY r.key"
    ))?;
    let columns = select.column_count();
    let rows = select.query_map([], |row| {
        let (id, mut last): (Vec<u8>, Vec<u8>) = (row.get(4)?, row.get(2)?);
        // Of a pair's statuses the last one is there; the others had another id in front, behind one byte. The same bytes again
        // would cost nothing: SQLite leaves a page alone where nothing in it changes.
        if let Some(newest) = last.get_mut(1..=id.len()) {
            newest.copy_from_slice(&id);
        }
        Ok(Rows {
            pair: row.get(0)?,
            id,
            claimed_until: row.get(9)?,
            open: cells(row, 3..13)?,
            result: cells(row, 13..columns)?,
            status: (row.get(1)?, last),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
