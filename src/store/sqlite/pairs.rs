//! What is kept of all pairs, read at the start: row by row, as it is much and the records alone are to stay of it. And what
//! the writer remembers of some.

use std::collections::{BTreeMap, HashMap};

use rusqlite::Connection;

use super::fault::Fault;
use super::names::{AD_HOC, Pair};
use super::{read, status};
use crate::model::{Name, PairStatus, RunId, Timestamp};
use crate::store::{OpenRun, PairRecord};

/// More pairs than those whose runs are under way need not be remembered.
const REMEMBERED: usize = 4096;

/// How far the writer has moved `claimed_until` of the pairs that were written to lately: a Result's instant was claimed when
/// its run began, and there is nothing to be moved when it is saved.
#[derive(Debug, Default)]
pub(super) struct Cursors(HashMap<i64, Timestamp>);

impl Cursors {
    /// Whether it is known that this pair's is there or beyond.
    pub(super) fn is_at(&self, pair: Pair, until: Timestamp) -> bool {
        self.0.get(&pair.key()).is_some_and(|at| *at >= until)
    }

    /// It is there, or beyond.
    pub(super) fn note(&mut self, pair: Pair, until: Timestamp) {
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        self.0.insert(pair.key(), until);
    }

    /// Forgets a pair.
    pub(super) fn remove(&mut self, pair: Pair) {
        self.0.remove(&pair.key());
    }

    /// Forgets all.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

/// All pairs' records.
pub(super) fn all(connection: &Connection) -> Result<Vec<PairRecord>, Fault> {
    let (names, mut open) = (names(connection)?, open_runs(connection)?);
    let name = |id: i64| names.get(&id).cloned().ok_or_else(|| Fault::Unreadable(format!("there is no name {id}")));
    let record = |pair: i64, claimed_until, open, status| {
        let task = Some(pair & 0xFFFF_FFFF).filter(|id| *id != AD_HOC);
        let (host, task) = (name(pair >> 32)?, task.map(name).transpose()?);
        Ok::<_, Fault>(PairRecord { host, task, claimed_until, open, status })
    };
    let mut records = Vec::new();
    let mut select = connection.prepare(
        "SELECT pair, claimed_until, status, last FROM (SELECT pair FROM pairs UNION SELECT pair FROM statuses)
         LEFT JOIN pairs USING (pair) LEFT JOIN statuses USING (pair) ORDER BY pair",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let pair = row.get(0)?;
        let claimed_until = row.get::<_, Option<i64>>(1)?.map(read::timestamp).transpose()?;
        let json = row.get_ref(2)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        let last = row.get_ref(3)?.as_blob_or_null().map_err(rusqlite::Error::from)?;
        let status = match json.zip(last) {
            Some((json, last)) => status::read(json, last)?,
            None => PairStatus::default(),
        };
        records.push(record(pair, claimed_until, open.remove(&pair).unwrap_or_default(), status)?);
    }
    // Of what is not scheduled, nothing but its runs is kept.
    for (pair, open) in open {
        records.push(record(pair, None, open, PairStatus::default())?);
    }
    Ok(records)
}

/// All names by their numbers; pairs share them. Those of nodes, which are any text, are left out.
fn names(connection: &Connection) -> Result<HashMap<i64, Name>, Fault> {
    let mut select = connection.prepare("SELECT id, name FROM names")?;
    let mut rows = select.query([])?;
    let mut names = HashMap::new();
    while let Some(row) = rows.next()? {
        if let Ok(name) = read::name(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?) {
            names.insert(row.get(0)?, name);
        }
    }
    Ok(names)
}

/// The runs of each pair that were claimed and have not ended.
fn open_runs(connection: &Connection) -> Result<BTreeMap<i64, Vec<OpenRun>>, Fault> {
    let mut open: BTreeMap<i64, Vec<OpenRun>> = BTreeMap::new();
    let mut select = connection.prepare(
        "SELECT pair, id, task_version, schedule, trigger, by, scheduled_at, due_at, run_group, cause FROM open_runs
         ORDER BY pair, id",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let text = |column: usize| row.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from);
        let trigger = row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?;
        let pair: i64 = row.get(0)?;
        let version = read::count(row.get(2)?)?;
        open.entry(pair).or_default().push(OpenRun {
            id: RunId::from_bytes(row.get(1)?),
            task_version: (pair & 0xFFFF_FFFF != AD_HOC).then_some(version),
            schedule: text(3)?.map(read::name).transpose()?,
            trigger: read::word(trigger)?,
            by: text(5)?.map(read::name).transpose()?,
            group: row.get::<_, Option<_>>(8)?.map(RunId::from_bytes),
            cause: text(9)?.map(|json| read::json("a cause", json)).transpose()?,
            scheduled_at: read::timestamp(row.get(6)?)?,
            due_at: read::timestamp(row.get(7)?)?,
        });
    }
    Ok(open)
}
