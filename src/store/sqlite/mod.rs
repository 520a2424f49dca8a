//! The SQLite store: one file in the data directory, no server.
//!
//! Writes go through one connection on its own thread (`writer`), reads through a small pool (`reader`). Results lie in
//! a table a day (`partition`).

mod actions;
mod audit;
mod connect;
mod definitions;
mod fault;
mod leases;
mod ledger;
mod names;
mod old;
mod once;
mod pairs;
mod partition;
mod query;
mod read;
mod reader;
mod results;
mod schema;
mod standing;
mod status;
#[cfg(test)]
mod tests;
pub mod upkeep;
mod writer;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::{
    DefinitionChange, Definitions, Lease, Loaded, OldPage, OldQuery, OnceRecord, Source, Store, StoreCounts,
    StoreError, SurplusQuery, Traced, Write, Written,
};
use crate::model::{
    AuditPage, AuditQuery, ContentHash, Event, NotificationPage, NotificationQuery, ResultPage, ResultQuery, RunId,
    RunResult,
};
use fault::Fault;
use ledger::Ledger;
use reader::Readers;
use writer::{Desk, Writer};

/// The database's name in the data directory.
pub const FILE: &str = "alf.db";

/// How long reading everything at the start may take.
const LOAD: Duration = Duration::from_secs(120);

/// How long counting the Results of every pair may take.
const SURPLUS: Duration = Duration::from_secs(60);

/// A store in a file. Its calls need a tokio runtime.
#[derive(Debug)]
pub struct SqliteStore {
    file: PathBuf,
    writer: Writer,
    readers: Readers,
}

impl SqliteStore {
    /// Opens or creates the store in a data directory, which must be there. Blocks while it brings the schema up to
    /// date. One that another program holds is `Unavailable`: it may be free later.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let file = data_dir.join(FILE);
        let failed = |cause: String| StoreError::Open { place: file.display().to_string(), cause };
        connect::check_library().map_err(failed)?;
        connect::prepare_file(&file).map_err(|error| failed(cause(&error)))?;
        let connection = connect::writer(&file).and_then(|mut connection| {
            match schema::owner(&connection)? {
                schema::Owner::Usable => {}
                schema::Owner::Newer(found) => return Err(Fault::Newer(found)),
                schema::Owner::Foreign => return Err(Fault::Foreign),
            }
            connect::set_up(&connection)?;
            schema::migrate(&mut connection, &file)?;
            Ok(connection)
        });
        let connection = connection.map_err(|fault| fault.at_opening(&file))?;
        let writer = Writer::start(&file, connection).map_err(|error| failed(cause(&error)))?;
        Ok(Self { writer, readers: Readers::new(&file), file })
    }
}

impl SqliteStore {
    /// Opens the store of a data directory beside an Alf that has it open: to be read alone, and only where its schema is
    /// the newest.
    pub fn open_beside(data_dir: &Path) -> Result<Self, StoreError> {
        let file = data_dir.join(FILE);
        upkeep::is_up_to_date(&file)?;
        let failed = |cause: String| StoreError::Open { place: file.display().to_string(), cause };
        let connection = connect::writer(&file).map_err(|fault| fault.at_opening(&file))?;
        let writer = Writer::start(&file, connection).map_err(|error| failed(cause(&error)))?;
        Ok(Self { writer, readers: Readers::new(&file), file })
    }
}

fn commit(desk: &mut Desk, batch: &[Arc<[Write]>]) -> Result<Vec<Written>, Fault> {
    desk.transaction(|transaction, known| {
        let mut ledger = Ledger::new(transaction, known)?;
        let written = batch.iter().flat_map(|writes| writes.iter()).map(|write| ledger.apply(write));
        let written = written.collect::<Result<_, Fault>>()?;
        ledger.finish()?;
        Ok(written)
    })
}

/// An error of the file system with its remedy.
fn cause(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => "its directory is not there: create it".to_owned(),
        ErrorKind::IsADirectory => "it is a directory: move it away, or use another data directory".to_owned(),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            format!("{error}: give Alf's user write access to it and to its directory")
        }
        ErrorKind::StorageFull => format!("{error}: make room on its file system"),
        _ => error.to_string(),
    }
}

/// The size of a file; nothing if it is not there.
fn size(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}

impl Store for SqliteStore {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    fn load(&self) -> BoxFuture<'_, Result<Loaded, StoreError>> {
        let load = self.readers.read(LOAD, |connection| {
            let revision = definitions::revision(connection)?;
            let definitions = definitions::load(connection)?;
            let pairs = pairs::all(connection)?;
            Ok(Loaded {
                revision,
                definitions,
                pairs,
                host_keys: ledger::host_keys(connection)?,
                key_uses: ledger::key_uses(connection)?,
                hosts: standing::hosts(connection)?,
                pause: standing::pause(connection)?,
                missed_until: standing::missed_until(connection)?,
                notices: actions::notices(connection)?,
                parcels: actions::parcels(connection)?,
            })
        });
        load.boxed()
    }

    fn change_definitions(
        &self,
        revision: u64,
        changes: Vec<DefinitionChange>,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.writer.call(move |desk| {
            desk.transaction(|transaction, _| definitions::change_for_good(transaction, revision, changes))
        })
    }

    fn definitions_since(&self, revision: u64) -> BoxFuture<'_, Result<Option<Definitions>, StoreError>> {
        let since = move |connection: &_| {
            let now = definitions::revision(connection)?;
            if now == revision { Ok(None) } else { Ok(Some((now, definitions::load(connection)?))) }
        };
        self.readers.read(LOAD, since).boxed()
    }

    fn take_lease(
        &self,
        bucket: u32,
        holder: String,
        time: Duration,
    ) -> BoxFuture<'_, Result<Option<Lease>, StoreError>> {
        self.writer
            .call(move |desk| desk.transaction(|transaction, _| leases::take(transaction, bucket, &holder, time)))
    }

    fn renew_lease(&self, lease: Lease, time: Duration) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.writer.call(move |desk| desk.transaction(|transaction, _| leases::renew(transaction, lease, time)))
    }

    fn release_lease(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        self.writer.call(move |desk| desk.transaction(|transaction, _| leases::release(transaction, lease)))
    }

    fn blob(&self, sha256: ContentHash) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        self.readers.read(reader::LIMIT, move |connection| definitions::blob(connection, &sha256)).boxed()
    }

    fn remembered(&self, key: ContentHash) -> BoxFuture<'_, Result<Option<OnceRecord>, StoreError>> {
        self.readers.read(reader::LIMIT, move |connection| once::one(connection, &key)).boxed()
    }

    fn requests(&self) -> BoxFuture<'_, Result<Vec<OnceRecord>, StoreError>> {
        self.readers.read(LOAD, once::all).boxed()
    }

    fn commit_all(&self, batch: Vec<Arc<[Write]>>) -> BoxFuture<'_, Result<Vec<Written>, StoreError>> {
        self.writer.call(move |desk| commit(desk, &batch))
    }

    /// On the writer's thread, which need not wait for another one between two transactions.
    fn commit_from(&self, source: Arc<dyn Source>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.writer.call(move |desk| {
            loop {
                let batch = source.next();
                if batch.is_empty() {
                    return Ok(());
                }
                source.done(commit(desk, &batch)?);
                if desk.is_wanted() {
                    return Ok(());
                }
            }
        })
    }

    fn result(&self, id: RunId) -> BoxFuture<'_, Result<Option<RunResult>, StoreError>> {
        self.readers.read(reader::LIMIT, move |connection| results::one(connection, id)).boxed()
    }

    fn results(&self, query: ResultQuery) -> BoxFuture<'_, Result<ResultPage, StoreError>> {
        let page = move |connection: &_| query::page(connection, &query);
        self.readers.read(reader::LIMIT, page).boxed()
    }

    fn old_results(&self, query: OldQuery) -> BoxFuture<'_, Result<OldPage, StoreError>> {
        self.readers.read(reader::LIMIT, move |connection| old::old(connection, &query)).boxed()
    }

    fn surplus_results(&self, query: SurplusQuery) -> BoxFuture<'_, Result<Vec<RunId>, StoreError>> {
        self.readers.read(SURPLUS, move |connection| old::surplus(connection, &query)).boxed()
    }

    fn give_back(&self) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.writer.call(|desk| desk.alone(old::give_back))
    }

    fn audit(&self, query: AuditQuery) -> BoxFuture<'_, Result<AuditPage, StoreError>> {
        self.readers.read(reader::LIMIT, move |connection| audit::page(connection, &query)).boxed()
    }

    fn events_due(&self, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        self.readers.read(reader::LIMIT, move |connection| actions::events(connection, limit)).boxed()
    }

    fn notifications(&self, query: NotificationQuery) -> BoxFuture<'_, Result<NotificationPage, StoreError>> {
        self.readers.read(reader::LIMIT, move |connection| actions::page(connection, &query)).boxed()
    }

    fn trace(&self, result: RunId) -> BoxFuture<'_, Result<Option<Traced>, StoreError>> {
        self.readers.read(reader::LIMIT, move |connection| actions::trace(connection, result)).boxed()
    }

    fn scrub(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.writer.call(Desk::empty_log)
    }

    fn counts(&self) -> BoxFuture<'_, Result<StoreCounts, StoreError>> {
        let file = self.file.clone();
        let counts = self.readers.read(reader::LIMIT, move |connection| {
            let results = partition::all(connection)?.iter().map(|day| day.results).sum();
            let mut wal: OsString = file.clone().into();
            wal.push("-wal");
            Ok(StoreCounts {
                results,
                bytes: Some(size(&file) + size(Path::new(&wal))),
                used: Some(old::used(connection)?),
                oldest: old::oldest(connection)?.map(read::timestamp).transpose()?,
            })
        });
        counts.boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.writer.call(|desk| {
            desk.transaction(|transaction, _| {
                transaction.prepare_cached("UPDATE checks SET done = done + 1")?.execute([])?;
                Ok(())
            })
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {
            self.readers.close().await;
            self.writer.close().await;
        }
        .boxed()
    }
}
