//! Results in and out of their rows.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row, params};

use super::fault::Fault;
use super::names::{Names, Pair};
use super::pairs::Cursors;
use super::{actions, partition, read};
use crate::model::nagios::Metric;
use crate::model::{Captured, Kill, PAGE_PERFDATA, RunId, RunResult};

/// What the writer remembers between transactions; after one that failed it must forget it.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) names: Names,
    pub(super) cursors: Cursors,
    days: HashSet<i64>,
    /// What a transaction has added to each hour, or taken from it, until it is written down at its end.
    added: BTreeMap<i64, partition::Added>,
}

impl Known {
    /// Forgets all.
    pub(super) fn forget(&mut self) {
        self.names.forget();
        self.cursors.forget();
        self.days.clear();
        self.added.clear();
    }

    /// At the end of a transaction: counts the Results that it has added and removed. A day that has none left goes.
    pub(super) fn count(&mut self, connection: &Connection) -> Result<(), Fault> {
        let mut less = Vec::new();
        for (hour, added) in std::mem::take(&mut self.added) {
            partition::count(connection, hour, added)?;
            less.extend(added.is_less.then_some(hour));
        }
        for day in partition::remove_empty(connection, &less)? {
            self.days.remove(&day);
        }
        Ok(())
    }

    fn has_day(&mut self, connection: &Connection, day: i64) -> Result<bool, Fault> {
        if !self.days.contains(&day) {
            if !partition::exists(connection, day)? {
                return Ok(false);
            }
            self.days.insert(day);
        }
        Ok(true)
    }
}

/// Whether there is a Result with this id.
pub(super) fn exists(connection: &Connection, known: &mut Known, id: RunId) -> Result<bool, Fault> {
    let day = partition::day_of(id);
    if !known.has_day(connection, day)? {
        return Ok(false);
    }
    Ok(twins(connection, &partition::table(day)?, id)?.iter().any(|(_, twin)| *twin == id))
}

/// Puts the Results of one transaction into the tables of their days, most of them into the same one.
pub(super) struct Inserts<'t> {
    connection: &'t Connection,
    into: Option<Table<'t>>,
}

/// A day's table.
struct Table<'t> {
    day: i64,
    table: String,
    insert: CachedStatement<'t>,
}

impl<'t> Inserts<'t> {
    /// In the transaction that this connection is in.
    pub(super) fn new(connection: &'t Connection) -> Self {
        Self { connection, into: None }
    }

    /// Stores a Result; false if it is already there.
    pub(super) fn add(&mut self, known: &mut Known, pair: Pair, result: &RunResult) -> Result<bool, Fault> {
        let day = partition::day_of(result.id);
        if !known.has_day(self.connection, day)? {
            partition::create(self.connection, day, result.scheduled_at.millis())?;
            known.days.insert(day);
        }
        let into = match &mut self.into {
            Some(into) if into.day == day => into,
            other => other.insert(Table::of(self.connection, day)?),
        };
        // Twins take the places from the first one on, without a gap: where that is free there are none.
        let names = &mut known.names;
        if !into.write(self.connection, names, partition::first_key(result.id), pair, result)? {
            let Some(key) = free_key(self.connection, &into.table, result.id)? else { return Ok(false) };
            into.write(self.connection, names, key, pair, result)?;
        }
        known.added.entry(partition::hour_of(result.id)).or_default().add(result.scheduled_at.millis());
        Ok(true)
    }
}

/// Replaces what killing a run has found, if its Result is there.
pub(super) fn note_kill(connection: &Connection, id: RunId, kill: &Kill) -> Result<(), Fault> {
    let day = partition::day_of(id);
    if !partition::exists(connection, day)? {
        return Ok(());
    }
    let first = partition::first_key(id);
    let update = format!("UPDATE {} SET kill = ?1 WHERE key BETWEEN ?2 AND ?3 AND id = ?4", partition::table(day)?);
    let kill = read::to_json("a kill", kill)?;
    connection.prepare_cached(&update)?.execute((kill, first, partition::last_key(first), id.as_bytes()))?;
    Ok(())
}

/// Removes Results; how many of them were there.
pub(super) fn remove(connection: &Connection, known: &mut Known, ids: &[RunId]) -> Result<u64, Fault> {
    let mut removed = 0;
    for id in ids {
        let day = partition::day_of(*id);
        if !known.has_day(connection, day)? {
            continue;
        }
        let (table, first) = (partition::table(day)?, partition::first_key(*id));
        let last = partition::last_key(first);
        let remove = format!("DELETE FROM {table} WHERE key BETWEEN ?1 AND ?2 AND id = ?3 RETURNING key");
        let mut remove = connection.prepare_cached(&remove)?;
        let key: Option<i64> = remove.query_row((first, last, id.as_bytes()), |row| row.get(0)).optional()?;
        let Some(key) = key else { continue };
        // Twins leave no gap.
        let move_up = format!("UPDATE {table} SET key = key - 1 WHERE key > ?1 AND key <= ?2");
        connection.prepare_cached(&move_up)?.execute((key, last))?;
        actions::forget_trace(connection, *id)?;
        known.added.entry(partition::hour_of(*id)).or_default().remove();
        removed += 1;
    }
    Ok(removed)
}

/// The rows whose ids begin with the same time and counter.
fn twins(connection: &Connection, table: &str, id: RunId) -> Result<Vec<(i64, RunId)>, Fault> {
    let first = partition::first_key(id);
    let mut look =
        connection.prepare_cached(&format!("SELECT key, id FROM {table} WHERE key BETWEEN ?1 AND ?2 ORDER BY key"))?;
    let rows =
        look.query_map([first, partition::last_key(first)], |row| Ok((row.get(0)?, RunId::from_bytes(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A row id for a Result, such that row ids stand in the order of ids; none if the Result is there already.
fn free_key(connection: &Connection, table: &str, id: RunId) -> Result<Option<i64>, Fault> {
    let twins = twins(connection, table, id)?;
    if twins.iter().any(|(_, twin)| *twin == id) {
        return Ok(None);
    }
    let first = partition::first_key(id);
    let (Some((last, _)), mut free) = (twins.last(), first) else { return Ok(Some(first)) };
    if *last == partition::last_key(first) {
        return Err(Fault::Unreadable(format!(
            "too many Results begin like {id}: is the clock set back again and again?"
        )));
    }
    let mut make_room = connection.prepare_cached(&format!("UPDATE {table} SET key = key + 1 WHERE key = ?1"))?;
    for (key, twin) in twins.iter().rev() {
        if *twin < id {
            free = key + 1;
            break;
        }
        make_room.execute([key])?;
    }
    Ok(Some(free))
}

impl<'t> Table<'t> {
    fn of(connection: &'t Connection, day: i64) -> Result<Self, Fault> {
        let table = partition::table(day)?;
        let insert = connection.prepare_cached(&format!(
            "INSERT INTO {table} (key, id, host, task, task_version, schedule, node, trigger, by, run_group,
                 scheduled_at, due_at, started_at, finished_at, attempt, exit_code, signal, outcome, state, reason, hard, message, kill, instants,
                 stdout_total, stderr_total, stdout, stderr, perfdata, cause)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
                 ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30)
             ON CONFLICT (key) DO NOTHING"
        ))?;
        Ok(Self { day, table, insert })
    }

    /// Writes a row; false if there is one with this key.
    fn write(
        &mut self,
        connection: &Connection,
        names: &mut Names,
        key: i64,
        pair: Pair,
        result: &RunResult,
    ) -> Result<bool, Fault> {
        let node = names.id(connection, &result.node)?;
        let schedule = result.schedule.as_ref().map(|name| names.id(connection, name.as_str())).transpose()?;
        let by = result.by.as_ref().map(|name| names.id(connection, name.as_str())).transpose()?;
        let kill = result.kill.as_ref().map(|kill| read::to_json("a kill", kill)).transpose()?;
        let instants = result.instants.map(|instants| read::to_json("folded instants", &instants)).transpose()?;
        let cause = result.cause.as_ref().map(|cause| read::to_json("a cause", cause)).transpose()?;
        let measured = result.perfdata.as_ref().filter(|metrics| !metrics.is_empty());
        let perfdata = measured.map(|metrics| read::to_json("perfdata", metrics)).transpose()?;
        // In the order of the columns: looking thirty names up costs more than the insert.
        let added = self.insert.execute(params![
            key,
            result.id.as_bytes(),
            pair.host,
            pair.task,
            read::to_count(result.task_version.unwrap_or_default()),
            schedule,
            node,
            result.trigger.to_string(),
            by,
            result.group.as_ref().map(RunId::as_bytes),
            result.scheduled_at.millis(),
            result.due_at.millis(),
            result.started_at.map(|at| at.millis()),
            result.finished_at.millis(),
            result.attempt,
            result.exit_code,
            result.signal,
            result.outcome.to_string(),
            result.state.map(|state| state.to_string()),
            result.reason.map(|reason| reason.to_string()),
            result.hard,
            result.message,
            kill,
            instants,
            read::to_count(result.stdout.total),
            read::to_count(result.stderr.total),
            body(&result.stdout),
            body(&result.stderr),
            perfdata,
            cause,
        ])?;
        Ok(added == 1)
    }
}

fn body(captured: &Captured) -> Option<&[u8]> {
    Some(captured.bytes.as_slice()).filter(|bytes| !bytes.is_empty())
}

/// Whether output comes with a Result, or only its counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    Whole,
    Counted,
}

/// What to select, from a table of Results `r`, for `result`.
pub(super) fn columns(output: Output) -> String {
    let bodies = match output {
        Output::Whole => "r.stdout, r.stderr",
        // SQLite answers `length` of a blob without reading it, and `octet_length` of a text.
        Output::Counted => "length(r.stdout), length(r.stderr)",
    };
    let perfdata = match output {
        Output::Whole => "r.perfdata".to_owned(),
        Output::Counted => {
            format!("CASE WHEN octet_length(r.perfdata) > {PAGE_PERFDATA} THEN '' ELSE r.perfdata END")
        }
    };
    let name = |column: &str| format!("(SELECT name FROM names WHERE id = r.{column})");
    format!(
        "r.id, {}, {}, r.task_version, {}, {}, r.trigger, {}, r.scheduled_at, r.due_at, r.started_at, r.finished_at,
         r.attempt, r.exit_code, r.signal, r.outcome, r.state, r.reason, r.hard, r.message, r.kill, r.instants,
         r.stdout_total, r.stderr_total, {bodies}, r.run_group, {perfdata}, r.cause",
        name("host"),
        name("task"),
        name("schedule"),
        name("node"),
        name("by"),
    )
}

/// The Result of a row of `columns`.
pub(super) fn result(row: &Row<'_>, output: Output) -> Result<RunResult, Fault> {
    let text = |column: usize| row.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from);
    let needed = |column: usize| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
    let captured = |total: usize, body: usize| -> Result<Captured, Fault> {
        let total = read::count(row.get(total)?)?;
        Ok(match output {
            Output::Whole => Captured::new(row.get::<_, Option<Vec<u8>>>(body)?.unwrap_or_default(), total),
            Output::Counted => {
                Captured::counted(read::count(row.get::<_, Option<i64>>(body)?.unwrap_or_default())?, total)
            }
        })
    };
    Ok(RunResult {
        id: RunId::from_bytes(row.get(0)?),
        host: read::name(needed(1)?)?,
        // An ad-hoc run has no task, and so no version of it.
        task: text(2)?.map(read::name).transpose()?,
        task_version: text(2)?.map(|_| read::count(row.get(3)?)).transpose()?,
        schedule: text(4)?.map(read::name).transpose()?,
        node: row.get(5)?,
        trigger: read::word(needed(6)?)?,
        by: text(7)?.map(read::name).transpose()?,
        group: row.get::<_, Option<_>>(26)?.map(RunId::from_bytes),
        scheduled_at: read::timestamp(row.get(8)?)?,
        due_at: read::timestamp(row.get(9)?)?,
        started_at: row.get::<_, Option<i64>>(10)?.map(read::timestamp).transpose()?,
        finished_at: read::timestamp(row.get(11)?)?,
        attempt: row.get(12)?,
        exit_code: row.get(13)?,
        signal: row.get(14)?,
        outcome: read::word(needed(15)?)?,
        state: text(16)?.map(read::word).transpose()?,
        reason: text(17)?.map(read::word).transpose()?,
        hard: row.get(18)?,
        message: row.get(19)?,
        kill: text(20)?.map(|json| read::json("a kill", json)).transpose()?,
        instants: text(21)?.map(|json| read::json("folded instants", json)).transpose()?,
        stdout: captured(22, 24)?,
        stderr: captured(23, 25)?,
        perfdata: perfdata(text(27)?)?,
        cause: text(28)?.map(|json| read::json("a cause", json)).transpose()?,
    })
}

/// What was measured: of no text nothing, of an empty one it is left out.
fn perfdata(text: Option<&str>) -> Result<Option<Vec<Metric>>, Fault> {
    match text {
        None => Ok(Some(Vec::new())),
        Some("") => Ok(None),
        Some(json) => read::json("perfdata", json).map(Some),
    }
}

/// One Result, whole.
pub(super) fn one(connection: &Connection, id: RunId) -> Result<Option<RunResult>, Fault> {
    let day = partition::day_of(id);
    if !partition::exists(connection, day)? {
        return Ok(None);
    }
    let sql = format!(
        "SELECT {} FROM {} r WHERE r.key BETWEEN ?1 AND ?2 AND r.id = ?3",
        columns(Output::Whole),
        partition::table(day)?
    );
    let first = partition::first_key(id);
    let found = connection
        .prepare_cached(&sql)?
        .query_row((first, partition::last_key(first), id.as_bytes()), |row| Ok(result(row, Output::Whole)))
        .optional()?;
    found.transpose()
}
