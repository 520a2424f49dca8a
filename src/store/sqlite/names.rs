//! Names as small integers: each is kept once, rows refer to it.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _};

use super::fault::Fault;
use crate::model::Name;

/// More names than this are not kept in memory.
const REMEMBERED: usize = 100_000;

/// In place of a task's integer where there is no task.
pub(super) const AD_HOC: i64 = 0;

/// A pair, its names as integers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) host: i64,
    pub(super) task: i64,
}

impl Pair {
    /// Its key in its row: its host's integer in the upper half, its task's in the lower. No name has the integer 0: it
    /// stands for the task of ad-hoc runs.
    pub(super) fn key(self) -> i64 {
        self.host << 32 | self.task
    }
}

/// What the writer remembers of the names it has met. After a transaction that failed it must forget them, as names
/// that came with it are gone.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, i64>);

impl Names {
    /// The integer of a name; new names get one.
    pub(super) fn id(&mut self, connection: &Connection, name: &str) -> Result<i64, Fault> {
        if let Some(id) = self.0.get(name) {
            return Ok(*id);
        }
        let id = match find(connection, name)? {
            Some(id) => id,
            None => connection.prepare_cached("INSERT INTO names (name) VALUES (?1)")?.insert([name])?,
        };
        if id > i64::from(i32::MAX) {
            return Err(Fault::Unreadable("there are more names in it than integers for them".to_owned()));
        }
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        self.0.insert(name.to_owned(), id);
        Ok(id)
    }

    /// The integers of a pair, or of the ad-hoc runs of a host.
    pub(super) fn pair(&mut self, connection: &Connection, host: &Name, task: Option<&Name>) -> Result<Pair, Fault> {
        let host = self.id(connection, host.as_str())?;
        let task = task.map_or(Ok(AD_HOC), |task| self.id(connection, task.as_str()))?;
        Ok(Pair { host, task })
    }

    /// Forgets all.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

/// The integer of a name, if it has one.
pub(super) fn find(connection: &Connection, name: &str) -> Result<Option<i64>, Fault> {
    let mut look = connection.prepare_cached("SELECT id FROM names WHERE name = ?1")?;
    Ok(look.query_row([name], |row| row.get(0)).optional()?)
}
