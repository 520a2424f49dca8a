//! How hosts stand, and whether all firing is stopped.

use rusqlite::{Connection, OptionalExtension as _};

use super::fault::Fault;
use super::read;
use crate::model::{HostRecord, Name, Pause, Timestamp};

/// The switch that stops all firing.
const PAUSE: &str = "pause";
/// The instant up to which what was not dealt with is missed.
const MISSED_UNTIL: &str = "missed-until";

/// Keeps how a host stands.
pub(super) fn set_host(connection: &Connection, host: &Name, record: &HostRecord) -> Result<(), Fault> {
    let status = read::to_json("the status of a host", record)?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO host_statuses (host, status) VALUES (?1, ?2)")?
        .execute((host.as_str(), status))?;
    Ok(())
}

/// Forgets how a host stands.
pub(super) fn forget_host(connection: &Connection, host: &Name) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM host_statuses WHERE host = ?1")?.execute([host.as_str()])?;
    Ok(())
}

/// How all hosts stand.
pub(super) fn hosts(connection: &Connection) -> Result<Vec<(Name, HostRecord)>, Fault> {
    let mut select = connection.prepare("SELECT host, status FROM host_statuses")?;
    let rows = select.query_and_then([], |row| {
        let (host, status): (String, String) = (row.get(0)?, row.get(1)?);
        Ok((read::name(&host)?, read::json("the status of a host", &status)?))
    })?;
    rows.collect()
}

/// All firing is stopped, or goes on.
pub(super) fn set_pause(connection: &Connection, pause: Option<&Pause>) -> Result<(), Fault> {
    match pause {
        Some(pause) => connection
            .prepare_cached("INSERT OR REPLACE INTO switches (name, value) VALUES (?1, ?2)")?
            .execute((PAUSE, read::to_json("a pause", pause)?))?,
        None => connection.prepare_cached("DELETE FROM switches WHERE name = ?1")?.execute([PAUSE])?,
    };
    Ok(())
}

/// What was due up to this instant is missed.
pub(super) fn miss_until(connection: &Connection, until: Timestamp) -> Result<(), Fault> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO switches (name, value) VALUES (?1, ?2)")?
        .execute((MISSED_UNTIL, read::to_json("an instant", &until)?))?;
    Ok(())
}

/// Up to when what was due is missed.
pub(super) fn missed_until(connection: &Connection) -> Result<Option<Timestamp>, Fault> {
    switch(connection, MISSED_UNTIL)?.map(|value| read::json("an instant", &value)).transpose()
}

/// Whether all firing is stopped.
pub(super) fn pause(connection: &Connection) -> Result<Option<Pause>, Fault> {
    switch(connection, PAUSE)?.map(|value| read::json("a pause", &value)).transpose()
}

fn switch(connection: &Connection, name: &str) -> Result<Option<String>, Fault> {
    let mut select = connection.prepare("SELECT value FROM switches WHERE name = ?1")?;
    Ok(select.query_row([name], |row| row.get(0)).optional()?)
}
