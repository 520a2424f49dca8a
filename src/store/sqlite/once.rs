//! Requests that are done once.

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::fault::Fault;
use super::read;
use crate::model::{ContentHash, Timestamp};
use crate::store::OnceRecord;

/// Remembers a request, in place of what was remembered under its key.
pub(super) fn remember(connection: &Connection, record: &OnceRecord) -> Result<(), Fault> {
    let came_to = read::to_json("what a request came to", &record.came_to)?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO requests (key, request, at, came_to) VALUES (?1, ?2, ?3, ?4)")?
        .execute((record.key.as_str(), record.request.as_str(), record.at.millis(), came_to))?;
    Ok(())
}

/// Forgets a request.
pub(super) fn forget(connection: &Connection, key: &ContentHash) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM requests WHERE key = ?1")?.execute([key.as_str()])?;
    Ok(())
}

/// Forgets requests of before an instant, and of the others the oldest beyond so many.
pub(super) fn forget_old(connection: &Connection, before: Timestamp, most: u64) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM requests WHERE at < ?1")?.execute([before.millis()])?;
    connection
        .prepare_cached(
            "DELETE FROM requests WHERE rowid IN (SELECT rowid FROM requests ORDER BY at DESC LIMIT -1 OFFSET ?1)",
        )?
        .execute([read::to_count(most)])?;
    Ok(())
}

/// The request that is remembered under this key.
pub(super) fn one(connection: &Connection, key: &ContentHash) -> Result<Option<OnceRecord>, Fault> {
    let mut select = connection.prepare_cached("SELECT key, request, at, came_to FROM requests WHERE key = ?1")?;
    select.query_row([key.as_str()], |row| Ok(record(row))).optional()?.transpose()
}

/// All requests that are remembered.
pub(super) fn all(connection: &Connection) -> Result<Vec<OnceRecord>, Fault> {
    let mut select = connection.prepare("SELECT key, request, at, came_to FROM requests")?;
    let rows = select.query_and_then([], record)?;
    rows.collect()
}

fn record(row: &Row<'_>) -> Result<OnceRecord, Fault> {
    let text = |column: usize| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
    let hash = |text: &str| text.parse().map_err(|error| Fault::Unreadable(format!("a request: {error}")));
    Ok(OnceRecord {
        key: hash(text(0)?)?,
        request: hash(text(1)?)?,
        at: read::timestamp(row.get(2)?)?,
        came_to: read::json("what a request came to", text(3)?)?,
    })
}
