//! `alf store migrate`: all of the store into another one.

use std::path::Path;
use std::process::ExitCode;

use super::progress::Progress;
use super::{UpkeepError, note, open};
use crate::cli::MigrateArgs;
use crate::data_dir::DataDir;
use crate::settings::{Settings, StoreKind};
use crate::store::Store;
use crate::store::migrate::{Moved, is_empty, migrate};
use crate::store::mongodb::MongoStore;
use crate::store::sqlite::SqliteStore;

/// By what a database is being filled.
const MIGRATE: &str = "migrate";

pub(super) async fn run(settings: &Settings, args: &MigrateArgs) -> Result<ExitCode, UpkeepError> {
    let (_held, from) = open(settings).await?;
    let (_there, to) = other(args, settings).await?;
    let moved = fill(&*from, &to).await;
    to.store().close().await;
    from.close().await;
    note(&format!("{} results moved, and all that belongs to them; both stores say the same", moved?.results));
    note("secret.key is not in the store: the service needs the same one with the new store");
    Ok(ExitCode::SUCCESS)
}

/// The store that is to be filled.
enum Other {
    Directory(SqliteStore),
    Database(MongoStore),
}

impl Other {
    fn store(&self) -> &dyn Store {
        match self {
            Self::Directory(store) => store,
            Self::Database(store) => store,
        }
    }
}

async fn fill(from: &dyn Store, to: &Other) -> Result<Moved, UpkeepError> {
    let mut progress = Progress::new("results moved");
    let database = match to {
        // One that has all of it stays whole.
        Other::Database(store) if store.half().await?.is_some() || is_empty(store).await? => {
            store.begin(MIGRATE).await?;
            Some(store)
        }
        _ => None,
    };
    let moved = migrate(from, to.store(), |moved| progress.tell(moved)).await?;
    if let Some(database) = database {
        database.finish().await?;
    }
    Ok(moved)
}

/// The store that is to be filled, and what is held of it.
async fn other(args: &MigrateArgs, settings: &Settings) -> Result<(Option<DataDir>, Other), UpkeepError> {
    let same = || UpkeepError::Refused("--to is the store that is to be moved".to_owned());
    if args.to.starts_with("mongodb:") || args.to.starts_with("mongodb+srv:") {
        if let StoreKind::Mongodb { url, database } = &settings.store.kind
            && (url.reveal(), database.as_str()) == (&args.to, &args.database)
        {
            return Err(same());
        }
        return Ok((None, Other::Database(MongoStore::open_to_be_filled(&args.to, &args.database).await?)));
    }
    let Some(directory) = args.to.strip_prefix("sqlite:") else {
        return Err(UpkeepError::Refused("--to is sqlite:DIR, or mongodb://… as in store.url".to_owned()));
    };
    let directory = Path::new(directory.strip_prefix("//").unwrap_or(directory));
    let there = directory.canonicalize().ok();
    if there.is_some() && there == settings.data_dir.canonicalize().ok() {
        // The directory is held already; its store is the one that is to be moved, or there is none in it yet.
        return match &settings.store.kind {
            StoreKind::Sqlite => Err(same()),
            StoreKind::Mongodb { .. } => Ok((None, Other::Directory(SqliteStore::open(directory)?))),
        };
    }
    let held = DataDir::open(directory)?;
    let store = SqliteStore::open(held.path())?;
    Ok((Some(held), Other::Directory(store)))
}
