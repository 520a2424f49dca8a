//! Opening connections: one that writes, a few that read.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::fault::Fault;

/// The first release without the WAL-reset bug (<https://sqlite.org/wal.html#walresetbug>).
const OLDEST_SQLITE: i32 = 3_051_003;

/// What `PRAGMA auto_vacuum` calls it: dropped tables give their room back when they are asked to.
pub(super) const INCREMENTAL: i64 = 2;

/// How long SQLite waits for a lock that another program holds.
const BUSY: Duration = Duration::from_millis(5000);

/// Refuses an SQLite that can lose commits.
pub(super) fn check_library() -> Result<(), String> {
    if rusqlite::version_number() >= OLDEST_SQLITE {
        return Ok(());
    }
    let found = rusqlite::version();
    Err(format!("SQLite {found} can lose commits in WAL mode: build Alf with the bundled one, 3.51.3 or newer"))
}

/// Makes an empty file that only its owner can read, or sees to that with the one that is there. SQLite gives its
/// own files beside it the same mode.
pub(super) fn prepare_file(file: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    if fs::metadata(file)?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // Opening it shows what SQLite would hide: it falls back to reading when it may not write.
    let opened = OpenOptions::new().write(true).open(file)?;
    let mode = opened.metadata()?.permissions().mode();
    if mode & 0o077 != 0 {
        opened.set_permissions(PermissionsExt::from_mode(mode & 0o700))?;
    }
    Ok(())
}

/// A connection that may write, with nothing set and nothing changed yet. Never creates the file: a store that
/// vanished must not come back empty.
pub(super) fn writer(file: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// Sets the connection that writes up, once it is known whose database it is.
pub(super) fn set_up(connection: &Connection) -> Result<(), Fault> {
    // Only works before the first table, and before WAL; later it would but write, and wait for who writes.
    if connection.pragma_query_value(None, "auto_vacuum", |row| row.get::<_, i64>(0))? != INCREMENTAL {
        connection.pragma_update(None, "auto_vacuum", INCREMENTAL)?;
    }
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(Fault::Unreadable(format!(
            "its journal mode stays \"{mode}\" instead of \"wal\": use a local file system"
        )));
    }
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA cache_size = -16384;
         PRAGMA mmap_size = 0;
         PRAGMA temp_store = MEMORY;
         PRAGMA wal_autocheckpoint = 4096;
         PRAGMA journal_size_limit = 33554432;
         PRAGMA trusted_schema = OFF;",
    )?;
    // A ledger's statements, and an insert and a look-up for each of the few days that are written to.
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// A connection that reads.
pub(super) fn reader(file: &Path) -> Result<Connection, Fault> {
    let connection = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE,
    )?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(
        "PRAGMA query_only = ON;
         PRAGMA cache_size = -4096;
         PRAGMA mmap_size = 0;
         PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF;",
    )?;
    connection.set_prepared_statement_cache_capacity(16);
    Ok(connection)
}
