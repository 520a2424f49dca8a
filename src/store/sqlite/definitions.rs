//! The definitions and the catalog's revision.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use super::fault::Fault;
use super::{audit, once, read};
use crate::model::{ContentHash, Noun};
use crate::store::{DefinitionChange, DefinitionRow};

/// The catalog's revision.
pub(super) fn revision(connection: &Connection) -> Result<u64, Fault> {
    read::count(connection.prepare_cached("SELECT revision FROM catalog")?.query_row([], |row| row.get(0))?)
}

/// The same as [`change`], and what is replaced or removed, secrets above all, is overwritten in the file. Not for what
/// is written all day: it would cost as much again.
pub(super) fn change_for_good(connection: &Connection, at: u64, changes: Vec<DefinitionChange>) -> Result<u64, Fault> {
    connection.execute_batch("PRAGMA secure_delete = ON")?;
    let changed = change(connection, at, changes);
    connection.execute_batch("PRAGMA secure_delete = OFF")?;
    changed
}

/// Changes definitions if the catalog is at this revision; the new revision. Must run within a transaction.
fn change(connection: &Connection, at: u64, changes: Vec<DefinitionChange>) -> Result<u64, Fault> {
    let current = revision(connection)?;
    if current != at {
        return Err(Fault::Conflict(current));
    }
    for change in changes {
        match change {
            DefinitionChange::Put(row) => put(connection, &row)?,
            DefinitionChange::Remove(which) => {
                connection
                    .prepare_cached("DELETE FROM definitions WHERE noun = ?1 AND name = ?2")?
                    .execute((which.noun.singular(), which.name.as_str()))?;
            }
            DefinitionChange::PutBlob(blob) => {
                connection
                    .prepare_cached("INSERT OR IGNORE INTO blobs (sha256, bytes) VALUES (?1, ?2)")?
                    .execute((blob.sha256.as_str(), &*blob.bytes))?;
            }
            DefinitionChange::Audit(entry) => audit::add(connection, &entry)?,
            DefinitionChange::Remember(record) => once::remember(connection, &record)?,
            DefinitionChange::RemoveBlob(sha256) => {
                connection.prepare_cached("DELETE FROM blobs WHERE sha256 = ?1")?.execute([sha256.as_str()])?;
            }
        }
    }
    connection.prepare_cached("UPDATE catalog SET revision = revision + 1")?.execute([])?;
    Ok(at + 1)
}

fn put(connection: &Connection, row: &DefinitionRow) -> Result<(), Fault> {
    let mut put = connection.prepare_cached(
        "INSERT OR REPLACE INTO definitions (noun, name, version, created_at, updated_at, body, sealed)
         VALUES (:noun, :name, :version, :created_at, :updated_at, :body, :sealed)",
    )?;
    put.execute(named_params! {
        ":noun": row.noun.singular(),
        ":name": row.name.as_str(),
        ":version": read::to_count(row.version),
        ":created_at": row.created_at.millis(),
        ":updated_at": row.updated_at.millis(),
        ":body": row.body,
        ":sealed": row.sealed,
    })?;
    Ok(())
}

/// The bytes with this hash.
pub(super) fn blob(connection: &Connection, sha256: &ContentHash) -> Result<Option<Bytes>, Fault> {
    let mut found = connection.prepare_cached("SELECT bytes FROM blobs WHERE sha256 = ?1")?;
    let bytes: Option<Vec<u8>> = found.query_row([sha256.as_str()], |row| row.get(0)).optional()?;
    Ok(bytes.map(Bytes::from))
}

/// All definitions.
pub(super) fn load(connection: &Connection) -> Result<Vec<DefinitionRow>, Fault> {
    let mut all =
        connection.prepare("SELECT noun, name, version, created_at, updated_at, body, sealed FROM definitions")?;
    let rows = all.query_and_then([], definition)?;
    rows.collect()
}

fn definition(row: &Row<'_>) -> Result<DefinitionRow, Fault> {
    let noun = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
    Ok(DefinitionRow {
        noun: Noun::parse(noun)
            .ok_or_else(|| Fault::Unreadable(format!("\"{}\" is no kind of definition", noun.escape_default())))?,
        name: read::name(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?,
        version: read::count(row.get(2)?)?,
        created_at: read::timestamp(row.get(3)?)?,
        updated_at: read::timestamp(row.get(4)?)?,
        body: row.get(5)?,
        sealed: row.get(6)?,
    })
}
