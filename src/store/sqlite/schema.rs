//! The schema and its versions. Migrations go forward only; each is one transaction.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::fault::Fault;
use super::{actions, leases, partition, upkeep};

/// In the file's header (`PRAGMA application_id`), so that `file(1)` and Alf know whose database it is: "Alf" and 1.
const APPLICATION: i32 = 0x416C_6601;

/// One step of the schema: from the version before it to it.
type Migration = fn(&Connection) -> Result<(), Fault>;

/// One for each version.
const MIGRATIONS: [Migration; 12] = [
    |connection| Ok(connection.execute_batch(VERSION_1)?),
    |connection| Ok(connection.execute_batch(VERSION_2)?),
    groups,
    perfdata,
    |connection| Ok(connection.execute_batch(VERSION_5)?),
    |connection| Ok(connection.execute_batch(KEY_USES)?),
    |connection| Ok(connection.execute_batch(AUDIT)?),
    |connection| Ok(connection.execute_batch(REQUESTS)?),
    hours,
    causes,
    |connection| Ok(connection.execute_batch(actions::SCHEMA)?),
    |connection| Ok(connection.execute_batch(leases::SCHEMA)?),
];

/// The newest version this Alf knows.
pub(super) const NEWEST: u32 = MIGRATIONS.len() as u32;

/// Names are kept once and referred to by small integers. A pair's key is its host's integer in the upper and its
/// task's in the lower half, so that one integer finds its row. What changes at every claim (`pairs`) is apart from what
/// is bigger and changes at every Result (`statuses`). Instants are milliseconds since the Unix epoch. The tables of
/// Results are made a day at a time (`partition`); `partitions` counts what is in them.
const VERSION_1: &str = "
CREATE TABLE catalog (revision INTEGER NOT NULL);
INSERT INTO catalog (revision) VALUES (0);
CREATE TABLE checks (done INTEGER NOT NULL);
INSERT INTO checks (done) VALUES (0);
CREATE TABLE definitions (
    noun TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    body TEXT NOT NULL,
    sealed BLOB,
    PRIMARY KEY (noun, name)
);
CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE pairs (pair INTEGER PRIMARY KEY, claimed_until INTEGER NOT NULL);
CREATE TABLE statuses (pair INTEGER PRIMARY KEY, status TEXT NOT NULL, last BLOB NOT NULL);
CREATE TABLE open_runs (
    pair INTEGER NOT NULL,
    id BLOB NOT NULL,
    task_version INTEGER NOT NULL,
    schedule TEXT,
    trigger TEXT NOT NULL,
    by TEXT,
    scheduled_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    PRIMARY KEY (pair, id)
) WITHOUT ROWID;
CREATE TABLE host_keys (host TEXT PRIMARY KEY, address TEXT NOT NULL, port INTEGER NOT NULL, keys TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE partitions (
    day INTEGER PRIMARY KEY,
    results INTEGER NOT NULL,
    first_scheduled INTEGER NOT NULL,
    last_scheduled INTEGER NOT NULL
);
";

/// The bytes of programs, by their SHA-256: the same under several names are kept once.
const VERSION_2: &str = "CREATE TABLE blobs (sha256 TEXT PRIMARY KEY, bytes BLOB NOT NULL);";

/// How hosts stand, and what holds for all of them (`pause`), as JSON.
const VERSION_5: &str = "
CREATE TABLE host_statuses (host TEXT PRIMARY KEY, status TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE switches (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
";
/// When each key was last shown.
const KEY_USES: &str = "CREATE TABLE key_uses (key TEXT PRIMARY KEY, used_at INTEGER NOT NULL) WITHOUT ROWID;";

/// The audit. What is looked for stands beside the whole entry.
const AUDIT: &str = "
CREATE TABLE audit (
    id BLOB PRIMARY KEY,
    at INTEGER NOT NULL,
    by TEXT,
    verb TEXT NOT NULL,
    noun TEXT,
    name TEXT,
    entry TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX audit_name ON audit (name) WHERE name IS NOT NULL;
";

/// Requests that are done once, by the digest of their key; what they came to as JSON.
const REQUESTS: &str = "
CREATE TABLE requests (key TEXT PRIMARY KEY, request TEXT NOT NULL, at INTEGER NOT NULL, came_to TEXT NOT NULL);
CREATE INDEX requests_at ON requests (at);
";

/// What is in each hour, as `partitions` has it of each day.
const HOURS: &str = "
CREATE TABLE hours (
    hour INTEGER PRIMARY KEY,
    results INTEGER NOT NULL,
    first_scheduled INTEGER NOT NULL,
    last_scheduled INTEGER NOT NULL
);
";

/// What makes the table of one day's Results. The partial indexes hold only what is rare and looked for.
pub(super) fn partition(table: &str) -> String {
    format!(
        "CREATE TABLE {table} (
            key INTEGER PRIMARY KEY,
            id BLOB NOT NULL,
            host INTEGER NOT NULL,
            task INTEGER NOT NULL,
            task_version INTEGER NOT NULL,
            schedule INTEGER,
            node INTEGER NOT NULL,
            trigger TEXT NOT NULL,
            by INTEGER,
            run_group BLOB,
            scheduled_at INTEGER NOT NULL,
            due_at INTEGER NOT NULL,
            started_at INTEGER,
            finished_at INTEGER NOT NULL,
            attempt INTEGER NOT NULL,
            exit_code INTEGER,
            signal TEXT,
            outcome TEXT NOT NULL,
            state TEXT,
            reason TEXT,
            hard INTEGER NOT NULL,
            message TEXT NOT NULL,
            kill TEXT,
            instants TEXT,
            stdout_total INTEGER NOT NULL,
            stderr_total INTEGER NOT NULL,
            stdout BLOB,
            stderr BLOB,
            perfdata TEXT,
            cause TEXT
        );
        CREATE INDEX {table}_pair ON {table} (host, task);
        CREATE INDEX {table}_outcome ON {table} (outcome) WHERE outcome <> 'OK';
        CREATE INDEX {table}_state ON {table} (state) WHERE state <> 'OK';
        CREATE INDEX {table}_reason ON {table} (reason) WHERE reason IS NOT NULL;
        CREATE INDEX {table}_trigger ON {table} (trigger) WHERE trigger <> 'schedule';
        {}",
        index_of_groups(table)
    )
}

fn index_of_groups(table: &str) -> String {
    format!("CREATE INDEX {table}_group ON {table} (run_group) WHERE run_group IS NOT NULL;")
}

/// Version 2: runs that were asked for together have a group.
fn groups(connection: &Connection) -> Result<(), Fault> {
    connection.execute_batch("ALTER TABLE open_runs ADD COLUMN run_group BLOB")?;
    for day in partition::all(connection)? {
        let table = partition::table(day.number)?;
        connection
            .execute_batch(&format!("ALTER TABLE {table} ADD COLUMN run_group BLOB; {}", index_of_groups(&table)))?;
    }
    Ok(())
}

/// Version 3: what plugins measured.
fn perfdata(connection: &Connection) -> Result<(), Fault> {
    for day in partition::all(connection)? {
        connection.execute_batch(&format!("ALTER TABLE {} ADD COLUMN perfdata TEXT", partition::table(day.number)?))?;
    }
    Ok(())
}

/// Version 9: what is in each hour.
fn hours(connection: &Connection) -> Result<(), Fault> {
    connection.execute_batch(HOURS)?;
    partition::all(connection)?.iter().try_for_each(|day| partition::count_hours(connection, day.number))
}

/// Version 10: runs that an Action started say which, and after what, as JSON.
fn causes(connection: &Connection) -> Result<(), Fault> {
    connection.execute_batch("ALTER TABLE open_runs ADD COLUMN cause TEXT")?;
    for day in partition::all(connection)? {
        connection.execute_batch(&format!("ALTER TABLE {} ADD COLUMN cause TEXT", partition::table(day.number)?))?;
    }
    Ok(())
}

/// What a database's header says of it.
pub(super) enum Owner {
    /// Nobody's yet, or ours with a schema we know: it may be used.
    Usable,
    /// A newer Alf's, with this schema.
    Newer(u32),
    /// Another program's.
    Foreign,
}

/// Whose database it is. Only reads.
pub(super) fn owner(connection: &Connection) -> Result<Owner, Fault> {
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let application = number("application_id")?;
    let version = u32::try_from(number("user_version")?).unwrap_or(u32::MAX);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (application, version, tables) {
        (APPLICATION, version, _) if version > NEWEST => Owner::Newer(version),
        (APPLICATION, 1.., _) | (0, 0, 0) => Owner::Usable,
        _ => Owner::Foreign,
    })
}

/// The schema as the first release of it made it, for tests of what comes after.
#[cfg(test)]
pub(super) const OLDEST: &str = VERSION_1;

/// Brings the schema up to the newest version; a copy of what was there before is kept beside the file.
pub(super) fn migrate(connection: &mut Connection, file: &Path) -> Result<(), Fault> {
    let before = version(connection)?;
    if (1..NEWEST).contains(&before) {
        let copy = upkeep::keep_copy(connection, file, before)?;
        log::info!(
            "the store as it was, with schema {before}, is in {}; it is brought up to schema {NEWEST}",
            copy.display()
        );
    }
    // A database that another program writes to can still be read: who has nothing to change need not wait for it.
    while version(connection)? < NEWEST {
        let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
        let version = version(&transaction)?;
        let Some(migration) = MIGRATIONS.get(version as usize) else { return Ok(()) };
        migration(&transaction)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", version + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

/// The version that a database has; 0 where there is nothing in it.
pub(super) fn version(connection: &Connection) -> Result<u32, Fault> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}
