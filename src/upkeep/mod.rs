//! `alf store …`: what is done to the store itself, beside the service or while none runs.

mod backup;
mod migrate;
mod progress;
mod prune;
mod restore;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

use crate::actors::definitions::faults_of;
use crate::cli::{Context, Options, StoreArgs, StoreVerb, report};
use crate::clock::Clock;
use crate::data_dir::{DataDir, DataDirError};
use crate::http::format::to_xml;
use crate::model::Timestamp;
use crate::settings::{Flags, Settings, SettingsError, StoreKind, environment};
use crate::store::migrate::MigrateError;
use crate::store::mongodb::MongoStore;
use crate::store::sizes::TableSize;
use crate::store::sqlite::{FILE, SqliteStore, upkeep};
use crate::store::{Store, StoreError};

/// What is wrong with the settings (sysexits.h: `EX_USAGE`).
const BAD_SETTINGS: u8 = 64;

/// Why it was not done. One line: what, and what to do.
#[derive(Debug, thiserror::Error)]
enum UpkeepError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error("{0}")]
    Refused(String),
    #[error("{path}: {cause}")]
    Io { path: String, cause: io::Error },
    #[error("the service is running: {0}")]
    Running(&'static str),
}

impl UpkeepError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |cause| Self::Io { path, cause }
    }

    fn code(&self) -> u8 {
        if matches!(self, Self::Settings(_)) { BAD_SETTINGS } else { 1 }
    }
}

/// Does what `alf store` was told to do, and says how that ended.
pub fn run(args: StoreArgs, options: Options) -> ExitCode {
    let flags = Flags { config: args.config, data_dir: options.data_dir.clone(), listen: None, node: None };
    let done = Settings::load(&flags, environment()).map_err(UpkeepError::from).and_then(|settings| {
        actix_rt::System::new().block_on(async {
            match args.verb {
                StoreVerb::Stats => stats(&settings, options).await,
                StoreVerb::Check => check(&settings).await,
                StoreVerb::Backup(args) => backup::run(&settings, &args).await,
                StoreVerb::Prune(args) => prune::run(&settings, &args).await,
                StoreVerb::Restore(args) => restore::run(&settings, &args).await,
                StoreVerb::Migrate(args) => migrate::run(&settings, &args).await,
            }
        })
    });
    done.unwrap_or_else(|error| {
        note(&format!("error: {error}"));
        ExitCode::from(error.code())
    })
}

/// A line on stderr; what cannot be written there cannot be told anywhere.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The store of the settings, and the data directory held: no Alf of this machine has it open.
async fn open(settings: &Settings) -> Result<(DataDir, Arc<dyn Store>), UpkeepError> {
    match &settings.store.kind {
        StoreKind::Sqlite => {
            file(settings)?;
            let held = DataDir::open(&settings.data_dir)?;
            let store = SqliteStore::open(held.path())?;
            Ok((held, Arc::new(store)))
        }
        kind @ StoreKind::Mongodb { .. } => Ok((DataDir::open(&settings.data_dir)?, beside(settings, kind).await?)),
    }
}

/// The store of the settings, to be read whether or not a service has it open.
async fn beside(settings: &Settings, kind: &StoreKind) -> Result<Arc<dyn Store>, UpkeepError> {
    Ok(match kind {
        StoreKind::Mongodb { url, database } => Arc::new(MongoStore::open_there(url.reveal(), database).await?),
        StoreKind::Sqlite => match DataDir::open(&settings.data_dir) {
            Ok(held) => Arc::new(SqliteStore::open(held.path())?),
            Err(DataDirError::InUse { .. }) => Arc::new(SqliteStore::open_beside(&settings.data_dir)?),
            Err(error) => return Err(error.into()),
        },
    })
}

fn none(file: &Path) -> UpkeepError {
    UpkeepError::Refused(format!(
        "there is no store {}: name the data directory of the service with --data-dir or ALF_DATA_DIR",
        file.display()
    ))
}

/// The directory of the file of a store in a file, which is there.
fn file(settings: &Settings) -> Result<&Path, UpkeepError> {
    let file = settings.data_dir.join(FILE);
    if file.is_file() { Ok(&settings.data_dir) } else { Err(none(&file)) }
}

#[derive(Serialize)]
struct Stats {
    kind: &'static str,
    place: String,
    schema: u32,
    bytes: Option<u64>,
    used_bytes: Option<u64>,
    free_bytes: Option<u64>,
    results: u64,
    oldest_result_at: Option<Timestamp>,
    newest_result_at: Option<Timestamp>,
    days: u64,
    tables: BTreeMap<String, TableSize>,
}

async fn stats(settings: &Settings, options: Options) -> Result<ExitCode, UpkeepError> {
    let (place, sizes) = match &settings.store.kind {
        StoreKind::Sqlite => (settings.data_dir.join(FILE).display().to_string(), upkeep::sizes(file(settings)?)?),
        StoreKind::Mongodb { url, database } => {
            let store = MongoStore::open_there(url.reveal(), database).await?;
            let sizes = store.sizes().await;
            store.close().await;
            (format!("database {database}"), sizes?)
        }
    };
    let stats = Stats {
        kind: settings.store.kind.as_str(),
        place,
        schema: sizes.schema,
        bytes: sizes.bytes,
        used_bytes: sizes.used,
        free_bytes: sizes.free,
        results: sizes.tables.get("results").map_or(0, |table| table.rows),
        oldest_result_at: sizes.oldest,
        newest_result_at: sizes.newest,
        days: sizes.days,
        tables: sizes.tables,
    };
    let xml = to_xml("store", &stats).map_err(|error| UpkeepError::Refused(error.to_string()))?;
    let context = Context::of_process(None, Clock::Wall.now());
    Ok(report(&stats, &xml, options, context).into())
}

/// Says what is wrong, a line each, or that nothing is.
async fn check(settings: &Settings) -> Result<ExitCode, UpkeepError> {
    let mut found = match &settings.store.kind {
        StoreKind::Sqlite => upkeep::check(file(settings)?)?,
        StoreKind::Mongodb { url, database } => {
            let store = MongoStore::open_there(url.reveal(), database).await?;
            // That it takes writes is seen, too.
            let faults = async { store.check().await.and(store.faults().await) }.await;
            store.close().await;
            faults?
        }
    };
    if found.is_empty() {
        let store = beside(settings, &settings.store.kind).await?;
        let loaded = store.load().await;
        store.close().await;
        found = faults_of(&loaded?.definitions);
    }
    let mut stdout = io::stdout().lock();
    for line in &found {
        let _ = writeln!(stdout, "{line}");
    }
    if found.is_empty() {
        note("the store is sound");
        return Ok(ExitCode::SUCCESS);
    }
    note(
        "the store is not sound: stop the service, keep a copy of the store, and restore a backup (alf store restore)",
    );
    Ok(ExitCode::FAILURE)
}
