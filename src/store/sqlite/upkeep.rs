//! What is done to a database beside the service, or while none runs: a copy of it, a look over it, its size.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::fault::Fault;
use super::partition::{self, Tally};
use super::{FILE, actions, cause, connect, definitions, ledger, old, pairs, read, results, schema, size, standing};
use crate::model::{ContentHash, Noun};
use crate::store::StoreError;
use crate::store::sizes::{Sizes, TableSize};

/// Of so many faults SQLite tells.
const MOST_FAULTS: u32 = 20;

/// A connection to a database that is there, and is one of Alf's.
fn open(file: &Path) -> Result<Connection, Fault> {
    let connection = connect::writer(file)?;
    match schema::owner(&connection)? {
        schema::Owner::Usable if schema::version(&connection)? > 0 => Ok(connection),
        schema::Owner::Usable => Err(Fault::Unreadable("there is nothing in it".to_owned())),
        schema::Owner::Newer(found) => Err(Fault::Newer(found)),
        schema::Owner::Foreign => Err(Fault::Foreign),
    }
}

/// Has something read of the database in a directory, all of it of one moment.
fn reading<T>(data_dir: &Path, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
    let file = data_dir.join(FILE);
    let read = open(&file).and_then(|mut connection| {
        connection.pragma_update(None, "query_only", true)?;
        let transaction = connection.transaction()?;
        if schema::version(&transaction)? < schema::NEWEST {
            return Err(Fault::Older);
        }
        work(&transaction)
    });
    read.map_err(|fault| fault.at_opening(&file))
}

/// Whether a database is one of Alf's, with the newest schema.
pub(super) fn is_up_to_date(file: &Path) -> Result<(), StoreError> {
    let newest =
        open(file).and_then(
            |connection| {
                if schema::version(&connection)? == schema::NEWEST { Ok(()) } else { Err(Fault::Older) }
            },
        );
    newest.map_err(|fault| fault.at_opening(file))
}

/// Copies a database as it is at one moment into a file that is empty or not there, while others go on writing. What was
/// deleted is not in the copy.
pub fn copy(file: &Path, to: &Path) -> Result<(), StoreError> {
    let copied = open(file).and_then(|connection| vacuum_into(&connection, to));
    copied.map_err(|fault| fault.at_opening(file))?;
    let synced = File::open(to).and_then(|copy| copy.sync_all());
    synced.map_err(|error| StoreError::Open { place: to.display().to_string(), cause: cause(&error) })
}

fn vacuum_into(connection: &Connection, to: &Path) -> Result<(), Fault> {
    let to = to.to_str().ok_or_else(|| Fault::Unreadable(format!("{} is no path in UTF-8", to.display())))?;
    connection.execute("VACUUM INTO ?1", [to])?;
    Ok(())
}

/// Before its schema is changed: puts a copy of a database beside it, named with the version it has, in place of copies of
/// versions before. Answers where.
pub(super) fn keep_copy(connection: &Connection, file: &Path, version: u32) -> Result<PathBuf, Fault> {
    let name = |version: &str| PathBuf::from(format!("{}.schema-{version}", file.display()));
    let (copy, half) = (name(&version.to_string()), name("half"));
    let failed = |error: io::Error| Fault::NoCopy(copy.display().to_string(), cause(&error));
    let _ = fs::remove_file(&half);
    connect::prepare_file(&half).map_err(failed)?;
    vacuum_into(connection, &half)?;
    File::open(&half).and_then(|half| half.sync_all()).map_err(failed)?;
    fs::rename(&half, &copy).map_err(failed)?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let prefix = file.file_name().map(|name| format!("{}.schema-", name.to_string_lossy())).unwrap_or_default();
    for other in fs::read_dir(folder).map_err(failed)?.flatten() {
        if other.path() != copy && other.file_name().to_string_lossy().starts_with(&prefix) {
            let _ = fs::remove_file(other.path());
        }
    }
    Ok(copy)
}

/// Whether a file is a sound database of Alf's; the version of its schema.
pub fn look(file: &Path) -> Result<u32, StoreError> {
    let looked = open(file).and_then(|connection| {
        connection.pragma_update(None, "query_only", true)?;
        match faults_of_file(&connection, "quick_check")?.first() {
            Some(fault) => Err(Fault::Unreadable(fault.clone())),
            None => schema::version(&connection),
        }
    });
    looked.map_err(|fault| fault.at_opening(file))
}

/// How large the database in a directory is.
pub fn sizes(data_dir: &Path) -> Result<Sizes, StoreError> {
    let file = data_dir.join(FILE);
    reading(data_dir, |connection| {
        let days = partition::all(connection)?;
        let at = |key: Option<i64>| key.map(partition::millis_of_key).map(read::timestamp).transpose();
        let newest = days.first().map(|day| partition::table(day.number)).transpose()?;
        let newest = newest.map(|table| {
            Ok::<_, Fault>(connection.query_row(&format!("SELECT max(key) FROM {table}"), [], |row| row.get(0))?)
        });
        let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        Ok(Sizes {
            schema: schema::version(connection)?,
            bytes: Some(size(&file) + size(&PathBuf::from(format!("{}-wal", file.display())))),
            used: Some(old::used(connection)?),
            free: Some(read::count(number("freelist_count")?.saturating_mul(number("page_size")?))?),
            days: days.len() as u64,
            oldest: old::oldest(connection)?.map(read::timestamp).transpose()?,
            newest: at(newest.transpose()?.flatten())?,
            tables: tables(connection, &days)?,
        })
    })
}

fn tables(connection: &Connection, days: &[Tally]) -> Result<BTreeMap<String, TableSize>, Fault> {
    let mut sizes: BTreeMap<String, TableSize> = BTreeMap::new();
    let mut select = connection.prepare(
        "SELECT coalesce(s.tbl_name, d.name), sum(d.pgsize) FROM dbstat d LEFT JOIN sqlite_schema s ON s.name = d.name
         WHERE d.aggregate = TRUE GROUP BY 1",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (table, bytes): (String, i64) = (row.get(0)?, row.get(1)?);
        if table.starts_with("sqlite_") {
            continue;
        }
        let is_of_results = table.starts_with("results_");
        let size = sizes.entry(if is_of_results { "results".to_owned() } else { table.clone() }).or_default();
        size.bytes += read::count(bytes)?;
        if !is_of_results {
            let count = format!("SELECT count(*) FROM \"{table}\"");
            size.rows = read::count(connection.query_row(&count, [], |row| row.get(0))?)?;
        }
    }
    sizes.entry("results".to_owned()).or_default().rows = days.iter().map(|day| day.results).sum();
    Ok(sizes)
}

/// What is wrong with the database in a directory, a line each; nothing where it is sound.
pub fn check(data_dir: &Path) -> Result<Vec<String>, StoreError> {
    reading(data_dir, |connection| {
        let mut found = faults_of_file(connection, "integrity_check")?;
        // Of a file that is broken nothing else can be said.
        if found.is_empty() {
            results_agree(connection, &mut found)?;
            records_agree(connection, &mut found)?;
        }
        Ok(found)
    })
}

fn faults_of_file(connection: &Connection, pragma: &str) -> Result<Vec<String>, Fault> {
    let mut check = connection.prepare(&format!("PRAGMA {pragma}({MOST_FAULTS})"))?;
    let lines = check.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").map(|line| format!("the file is damaged: {line}")).collect())
}

/// Tables, days and hours say the same of Results, and all that a Result names is there.
fn results_agree(connection: &Connection, found: &mut Vec<String>) -> Result<(), Fault> {
    let mut select =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'results_*'")?;
    let mut tables = select.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    for day in partition::all(connection)? {
        let table = partition::table(day.number)?;
        let Some(place) = tables.iter().position(|name| *name == table) else {
            found.push(format!("{table} is missing: {} results are counted in it", day.results));
            continue;
        };
        tables.swap_remove(place);
        let hours = partition::count_by_hour(connection, day.number)?;
        let counted: Vec<_> = partition::hours(connection, day.number)?;
        let sum = hours.iter().map(|hour| hour.results).sum::<u64>();
        if sum != day.results {
            found.push(format!("{table} has {sum} results, {} are counted", day.results));
        }
        let wrong =
            |hour: &&Tally| counted.iter().find(|one| one.number == hour.number).is_none_or(|one| !one.covers(hour));
        if let Some(hour) = hours.iter().find(wrong) {
            found.push(format!("{table}: hour {} has {} results, and is counted otherwise", hour.number, hour.results));
        }
        if counted.iter().map(|hour| hour.results).sum::<u64>() != sum {
            found.push(format!("{table}: its hours are not all counted as they are"));
        }
        let nameless = format!(
            "SELECT count(*) FROM {table} WHERE host NOT IN (SELECT id FROM names) OR node NOT IN (SELECT id FROM names)
                 OR task <> 0 AND task NOT IN (SELECT id FROM names)
                 OR schedule NOT IN (SELECT id FROM names) OR by NOT IN (SELECT id FROM names)"
        );
        let nameless: i64 = connection.query_row(&nameless, [], |row| row.get(0))?;
        if nameless > 0 {
            found.push(format!("{table}: {nameless} results name what has no name"));
        }
    }
    found.extend(tables.into_iter().map(|table| format!("{table} belongs to no day")));
    Ok(())
}

/// All else can be read, open runs have no Result, and programs have their bytes.
fn records_agree(connection: &Connection, found: &mut Vec<String>) -> Result<(), Fault> {
    let mut note = |what: &str, error: Fault| found.push(format!("{what}: {error}"));
    let pairs = pairs::all(connection).unwrap_or_else(|error| {
        note("pairs", error);
        Vec::new()
    });
    let programs = definitions::load(connection).unwrap_or_else(|error| {
        note("definitions", error);
        Vec::new()
    });
    for (what, read) in [
        ("learnt host keys", ledger::host_keys(connection).map(drop)),
        ("uses of keys", ledger::key_uses(connection).map(drop)),
        ("statuses of hosts", standing::hosts(connection).map(drop)),
        ("pause", standing::pause(connection).map(drop)),
        ("notices", actions::notices(connection).map(drop)),
        ("parcels", actions::parcels(connection).map(drop)),
        ("events", actions::events(connection, usize::MAX).map(drop)),
    ] {
        if let Err(error) = read {
            note(what, error);
        }
    }
    for pair in pairs {
        for open in pair.open {
            if results::one(connection, open.id)?.is_some() {
                let of = pair.task.as_ref().map_or_else(String::new, |task| format!("{task} on "));
                found.push(format!("run {} of {of}{} is open and has a result", open.id, pair.host));
            }
        }
    }
    for program in programs.iter().filter(|row| row.noun == Noun::Program) {
        let hash = program.content();
        let bytes = hash.as_ref().map(|hash| definitions::blob(connection, hash)).transpose()?.flatten();
        if bytes.is_none_or(|bytes| Some(ContentHash::of(&bytes)) != hash) {
            found.push(format!("program \"{}\": its file is missing or another one", program.name));
        }
    }
    Ok(())
}

/// Gives all free room of the database in a directory back at once, also of one that was made without giving back in
/// small steps. Nobody else may have it open; it takes as much room again meanwhile.
pub fn compact(data_dir: &Path) -> Result<(), StoreError> {
    let file = data_dir.join(FILE);
    let compacted = open(&file).and_then(|connection| {
        connection.pragma_update(None, "auto_vacuum", connect::INCREMENTAL)?;
        Ok(connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")?)
    });
    compacted.map_err(|fault| fault.at_opening(&file))
}
