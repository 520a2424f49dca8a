//! The ledger: claims, Results, statuses, learnt host keys.

use rusqlite::{CachedStatement, Connection, params};

use super::fault::Fault;
use super::names::Pair;
use super::results::{self, Known};
use super::{actions, audit, leases, once, read, standing, status};
use crate::model::{Name, PairStatus, RunId, Timestamp};
use crate::store::{HostKeyRecord, OpenRun, Write, Written};

/// The ledger in one transaction. What most writes need is looked up once for all of them.
pub(super) struct Ledger<'t> {
    connection: &'t Connection,
    known: &'t mut Known,
    results: results::Inserts<'t>,
    move_forward: CachedStatement<'t>,
    open: CachedStatement<'t>,
    close: CachedStatement<'t>,
    set_status: CachedStatement<'t>,
}

impl<'t> Ledger<'t> {
    /// In the transaction that this connection is in.
    pub(super) fn new(connection: &'t Connection, known: &'t mut Known) -> Result<Self, Fault> {
        Ok(Self {
            connection,
            known,
            results: results::Inserts::new(connection),
            move_forward: connection.prepare_cached(
                "INSERT INTO pairs (pair, claimed_until) VALUES (?1, ?2)
                 ON CONFLICT (pair) DO UPDATE SET claimed_until = excluded.claimed_until
                 WHERE claimed_until < excluded.claimed_until",
            )?,
            open: connection.prepare_cached(
                "INSERT OR IGNORE INTO open_runs
                     (pair, id, task_version, schedule, trigger, by, run_group, scheduled_at, due_at, cause)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?,
            close: connection.prepare_cached("DELETE FROM open_runs WHERE pair = ?1 AND id = ?2")?,
            set_status: connection.prepare_cached(
                "INSERT INTO statuses (pair, status, last) VALUES (?1, ?2, ?3)
                 ON CONFLICT (pair) DO UPDATE SET status = excluded.status, last = excluded.last",
            )?,
        })
    }

    /// Does one write.
    pub(super) fn apply(&mut self, write: &Write) -> Result<Written, Fault> {
        let connection = self.connection;
        match write {
            Write::Claim { host, task, until, open } => {
                let pair = self.known.names.pair(connection, host, task.as_ref())?;
                return self.claim(pair, *until, open);
            }
            Write::Save { result, status, until } => {
                let pair = self.known.names.pair(connection, &result.host, result.task.as_ref())?;
                if self.results.add(self.known, pair, result)? {
                    self.close.execute((pair.key(), result.id.as_bytes()))?;
                    if let Some(until) = until {
                        self.move_forward(pair, *until)?;
                    }
                    if let Some(status) = status {
                        self.set_status(pair, status)?;
                    }
                }
            }
            Write::Watch { host, task, until } => {
                let pair = self.known.names.pair(connection, host, Some(task))?;
                self.move_forward(pair, *until)?;
            }
            Write::NoteKill { run, kill } => results::note_kill(connection, *run, kill)?,
            Write::SetStatus { host, task, status } => {
                let pair = self.known.names.pair(connection, host, Some(task))?;
                self.set_status(pair, status)?;
            }
            Write::SetHost { host, record } => standing::set_host(connection, host, record)?,
            Write::ForgetHost(host) => standing::forget_host(connection, host)?,
            Write::MissUntil(until) => standing::miss_until(connection, *until)?,
            Write::SetPause(pause) => standing::set_pause(connection, pause.as_ref())?,
            Write::PinHostKey(record) => pin(connection, record)?,
            Write::ForgetHostKey(host) => {
                connection.prepare_cached("DELETE FROM host_keys WHERE host = ?1")?.execute([host.as_str()])?;
            }
            Write::Due(event) => actions::due(connection, event)?,
            Write::Evaluated(evaluated) => actions::evaluated(connection, evaluated)?,
            Write::Delivered(parcel) => actions::delivered(connection, *parcel)?,
            Write::Audit(entry) => audit::add(connection, entry)?,
            Write::NoteKeyUse { key, at: Some(at) } => {
                let note = "INSERT INTO key_uses (key, used_at) VALUES (?1, ?2)
                     ON CONFLICT (key) DO UPDATE SET used_at = excluded.used_at";
                connection.prepare_cached(note)?.execute((key.as_str(), at.millis()))?;
            }
            Write::NoteKeyUse { key, at: None } => {
                connection.prepare_cached("DELETE FROM key_uses WHERE key = ?1")?.execute([key.as_str()])?;
            }
            Write::Under(lease) => leases::check(connection, *lease)?,
            Write::RemoveResults(ids) => {
                return Ok(Written::Removed(results::remove(connection, self.known, ids)?));
            }
            Write::ForgetNotifications { before, most } => {
                return Ok(Written::Removed(actions::forget_notifications(connection, *before, *most)?));
            }
            Write::Remember(record) => once::remember(connection, record)?,
            Write::ForgetRequest(key) => once::forget(connection, key)?,
            Write::ForgetRequests { before, most } => once::forget_old(connection, *before, *most)?,
            Write::ForgetPair { host, task } => {
                let pair = self.known.names.pair(connection, host, Some(task))?;
                self.known.cursors.remove(pair);
                for table in ["pairs", "statuses", "open_runs"] {
                    connection
                        .prepare_cached(&format!("DELETE FROM {table} WHERE pair = ?1"))?
                        .execute([pair.key()])?;
                }
            }
        }
        Ok(Written::Done)
    }

    /// At the end of the transaction: counts the Results that it has added and removed.
    pub(super) fn finish(self) -> Result<(), Fault> {
        self.known.count(self.connection)
    }

    fn claim(&mut self, pair: Pair, until: Option<Timestamp>, open: &OpenRun) -> Result<Written, Fault> {
        // A claim that is repeated because its answer got lost must neither be lost nor open an ended run again. The
        // cursor tells it apart: the first one has moved it there.
        let forward = until.map(|until| self.move_forward(pair, until)).transpose()?;
        if forward != Some(true) {
            let is_open = self
                .connection
                .prepare_cached("SELECT 1 FROM open_runs WHERE pair = ?1 AND id = ?2")?
                .exists((pair.key(), open.id.as_bytes()))?;
            if is_open || results::exists(self.connection, self.known, open.id)? {
                return Ok(Written::Claimed);
            }
            if forward == Some(false) {
                return Ok(Written::Taken);
            }
        }
        let cause = open.cause.as_ref().map(|cause| read::to_json("a cause", cause)).transpose()?;
        self.open.execute(params![
            pair.key(),
            open.id.as_bytes(),
            read::to_count(open.task_version.unwrap_or_default()),
            open.schedule.as_ref().map(Name::as_str),
            open.trigger.to_string(),
            open.by.as_ref().map(Name::as_str),
            open.group.as_ref().map(RunId::as_bytes),
            open.scheduled_at.millis(),
            open.due_at.millis(),
            cause,
        ])?;
        Ok(Written::Claimed)
    }

    /// Moves `claimed_until` forward; false if it is there or beyond.
    fn move_forward(&mut self, pair: Pair, until: Timestamp) -> Result<bool, Fault> {
        if self.known.cursors.is_at(pair, until) {
            return Ok(false);
        }
        let moved = self.move_forward.execute((pair.key(), until.millis()))? == 1;
        self.known.cursors.note(pair, until);
        Ok(moved)
    }

    fn set_status(&mut self, pair: Pair, status: &PairStatus) -> Result<(), Fault> {
        let (json, last) = status::write(status)?;
        self.set_status.execute((pair.key(), json, last))?;
        Ok(())
    }
}

fn pin(connection: &Connection, record: &HostKeyRecord) -> Result<(), Fault> {
    let keys = read::to_json("host keys", &record.keys)?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO host_keys (host, address, port, keys) VALUES (?1, ?2, ?3, ?4)")?
        .execute((record.host.as_str(), &record.address, record.port, keys))?;
    Ok(())
}

/// When each key was last shown.
pub(super) fn key_uses(connection: &Connection) -> Result<Vec<(Name, Timestamp)>, Fault> {
    let mut select = connection.prepare("SELECT key, used_at FROM key_uses")?;
    let rows = select.query_and_then([], |row| {
        let name = read::name(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?;
        Ok((name, read::timestamp(row.get(1)?)?))
    })?;
    rows.collect()
}

/// All learnt host keys.
pub(super) fn host_keys(connection: &Connection) -> Result<Vec<HostKeyRecord>, Fault> {
    let mut select = connection.prepare("SELECT host, address, port, keys FROM host_keys")?;
    let rows = select.query_and_then([], |row| {
        let text = |column: usize| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
        Ok(HostKeyRecord {
            host: read::name(text(0)?)?,
            address: row.get(1)?,
            port: row.get(2)?,
            keys: read::json("host keys", text(3)?)?,
        })
    })?;
    rows.collect()
}
