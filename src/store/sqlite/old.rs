//! What retention asks for: old Results, those beyond the newest of their pairs, and room to be given back.

use std::collections::HashMap;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::fault::Fault;
use super::partition::{self, Tally};
use super::{connect, read};
use crate::model::RunId;
use crate::store::{OfTasks, OldPage, OldQuery, SurplusQuery, Which};

/// Rows that one call may look through in vain.
const MOST_READ: u64 = 200_000;
/// Pages that are given back at a time: as many as do not keep who writes waiting.
const GIVEN: i64 = 128;
/// A tenth of the file is left as room for what comes next, and so many pages at least.
const SPARE: (i64, i64) = (10, 4096);

/// A condition on the tasks, with what stands for its question mark.
fn of_tasks(tasks: &OfTasks) -> Result<(&'static str, Vec<Value>), Fault> {
    // The plus keeps it from an index: rows are read in the order of their ids.
    let (term, names) = match tasks {
        OfTasks::AllBut(names) if names.is_empty() => return Ok(("1", Vec::new())),
        OfTasks::AllBut(names) => {
            ("+task NOT IN (SELECT id FROM names WHERE name IN (SELECT value FROM json_each(?)))", names)
        }
        OfTasks::Only(names) => {
            ("+task IN (SELECT id FROM names WHERE name IN (SELECT value FROM json_each(?)))", names)
        }
    };
    Ok((term, vec![read::to_json("names of tasks", names)?.into()]))
}

/// Old Results, the oldest first, of one day at a time. Must run within a transaction.
pub(super) fn old(connection: &Connection, query: &OldQuery) -> Result<OldPage, Fault> {
    let (first, end) = (query.after.map_or(i64::MIN, partition::first_key), partition::first_key_at(query.before));
    let from = query.after.map_or(i64::MIN, partition::day_of);
    let mut read = 0;
    for day in partition::all(connection)?.iter().rev().filter(|day| day.number >= from) {
        if partition::first_key_at(partition::begin(day.number)?) >= end {
            break;
        }
        let (ids, looked_through) = old_of_day(connection, query, day, first, end)?;
        read += looked_through;
        if ids.len() == query.limit {
            return Ok(OldPage { next: ids.last().copied(), ids });
        }
        if !ids.is_empty() || read >= MOST_READ {
            return Ok(OldPage { ids, next: Some(RunId::earliest(partition::begin(day.number + 1)?)) });
        }
    }
    Ok(OldPage::default())
}

/// Those of a day with row ids from a first one on and before an end, and how many rows were looked through for them.
fn old_of_day(
    connection: &Connection,
    query: &OldQuery,
    day: &Tally,
    first: i64,
    end: i64,
) -> Result<(Vec<RunId>, u64), Fault> {
    let table = partition::table(day.number)?;
    let (which, rows) = match query.which {
        Which::All => ("1", day.results),
        // In the words of the index.
        Which::Problems => ("outcome = 'PROBLEM' AND outcome <> 'OK'", 0),
        Which::Others => {
            let count = format!("SELECT count(*) FROM {table} WHERE outcome <> 'OK'");
            let not_ok = read::count(connection.prepare_cached(&count)?.query_row([], |row| row.get(0))?)?;
            // A day of which nothing but PROBLEMs was left is looked at again and again.
            if not_ok == day.results {
                ("outcome = 'SKIPPED' AND outcome <> 'OK'", 0)
            } else {
                ("outcome <> 'PROBLEM'", day.results)
            }
        }
    };
    let (tasks, mut values) = of_tasks(&query.tasks)?;
    let behind = query.after.map(|after| after.as_bytes().to_vec()).unwrap_or_default();
    values.extend([Value::from(first), end.into(), behind.into(), read::to_count(query.limit as u64).into()]);
    let sql = format!(
        "SELECT id FROM {table} WHERE {tasks} AND {which} AND key >= ? AND key < ? AND id > ? ORDER BY key LIMIT ?"
    );
    let mut select = connection.prepare_cached(&sql)?;
    let ids = select.query_map(params_from_iter(values), |row| Ok(RunId::from_bytes(row.get(0)?)))?;
    Ok((ids.collect::<Result<_, _>>()?, rows))
}

/// Results beyond the newest so many of their pairs, the newest days first. Must run within a transaction.
pub(super) fn surplus(connection: &Connection, query: &SurplusQuery) -> Result<Vec<RunId>, Fault> {
    let (tasks, values) = of_tasks(&query.tasks)?;
    let mut newer: HashMap<(i64, i64), u64> = HashMap::new();
    let mut found = Vec::new();
    for day in partition::all(connection)? {
        let table = partition::table(day.number)?;
        let count = format!("SELECT host, task, count(*) FROM {table} WHERE {tasks} GROUP BY host, task");
        let mut count = connection.prepare(&count)?;
        let mut rows = count.query(params_from_iter(&values))?;
        let mut beyond = Vec::new();
        while let Some(row) = rows.next()? {
            let (pair, results) = ((row.get(0)?, row.get(1)?), read::count(row.get(2)?)?);
            let newer = newer.entry(pair).or_default();
            let surplus = results.saturating_sub(query.keep.saturating_sub(*newer));
            *newer += results;
            if surplus > 0 {
                beyond.push((pair, surplus));
            }
        }
        let oldest = format!("SELECT id FROM {table} WHERE host = ?1 AND task = ?2 ORDER BY key LIMIT ?3");
        let mut oldest = connection.prepare(&oldest)?;
        for ((host, task), surplus) in beyond {
            let ids =
                oldest.query_map((host, task, read::to_count(surplus)), |row| Ok(RunId::from_bytes(row.get(0)?)))?;
            for id in ids {
                found.push(id?);
            }
            if found.len() >= query.limit {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// The instant that the id of the oldest Result carries.
pub(super) fn oldest(connection: &Connection) -> Result<Option<i64>, Fault> {
    let Some(day) = partition::all(connection)?.last().map(|day| day.number) else { return Ok(None) };
    let first = format!("SELECT min(key) FROM {}", partition::table(day)?);
    let key: Option<i64> = connection.prepare_cached(&first)?.query_row([], |row| row.get(0))?;
    Ok(key.map(partition::millis_of_key))
}

/// Bytes of the database in which something is.
pub(super) fn used(connection: &Connection) -> Result<u64, Fault> {
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let pages = number("page_count")? - number("freelist_count")?;
    read::count(pages.saturating_mul(number("page_size")?))
}

/// Gives some free pages back to the file system; whether there are more to give. Must not run within a transaction.
pub(super) fn give_back(connection: &Connection) -> Result<bool, Fault> {
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    if number("auto_vacuum")? != connect::INCREMENTAL {
        return Ok(false);
    }
    let spare = (number("page_count")? / SPARE.0).max(SPARE.1);
    let more = number("freelist_count")? - spare;
    if more <= 0 {
        return Ok(false);
    }
    // One row a page.
    let mut give = connection.prepare(&format!("PRAGMA incremental_vacuum({})", more.min(GIVEN)))?;
    let mut rows = give.query([])?;
    while rows.next()?.is_some() {}
    Ok(more > GIVEN)
}
