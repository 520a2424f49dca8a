//! `alf store restore`: a backup in the place of the store.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use tempfile::TempDir;

use super::progress::Progress;
use super::{UpkeepError, backup, note};
use crate::cli::RestoreArgs;
use crate::clock::Clock;
use crate::data_dir::DataDir;
use crate::settings::{Settings, StoreKind};
use crate::store::Store as _;
use crate::store::migrate::{is_empty, migrate};
use crate::store::mongodb::MongoStore;
use crate::store::restore::over_until;
use crate::store::sqlite::{FILE, SqliteStore, upkeep};

/// What SQLite keeps beside a database.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];
/// By what a database is being filled.
const RESTORE: &str = "restore";

pub(super) async fn run(settings: &Settings, args: &RestoreArgs) -> Result<ExitCode, UpkeepError> {
    let held = DataDir::open(&settings.data_dir)?;
    let now = Clock::Wall.now();
    match &settings.store.kind {
        StoreKind::Sqlite => into_file(&held, args, now).await?,
        StoreKind::Mongodb { url, database } => {
            let store = MongoStore::open_to_be_filled(url.reveal(), database).await?;
            let restored = into_database(&held, args, now, &store).await;
            store.close().await;
            restored?;
            note(&format!("restored to database {database}"));
        }
    }
    if !args.catch_up {
        note("what was due up to now counts as missed: nothing of it is run");
    }
    let key = &settings.secrets.key_file;
    if !key.exists() {
        note(&format!(
            "put the secret.key of the service that was backed up at {} before it starts: without it no secret can be read",
            key.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The backup as a store, where nobody looks: so there is never half a store, nor one that would catch up.
async fn made_ready(
    held: &DataDir,
    args: &RestoreArgs,
    now: DateTime<Utc>,
) -> Result<(TempDir, SqliteStore), UpkeepError> {
    if !args.from.is_file() {
        return Err(UpkeepError::Refused(format!("{} is no file: name a backup", args.from.display())));
    }
    let folder = tempfile::Builder::new().prefix(".alf-restore-").tempdir_in(held.path());
    let folder = folder.map_err(UpkeepError::io(held.path()))?;
    let ready = folder.path().join(FILE);
    fs::copy(&args.from, &ready).map_err(UpkeepError::io(&args.from))?;
    upkeep::look(&ready)?;
    let store = SqliteStore::open(folder.path())?;
    if !args.catch_up {
        over_until(&store, now.into()).await?;
    }
    Ok((folder, store))
}

async fn into_file(held: &DataDir, args: &RestoreArgs, now: DateTime<Utc>) -> Result<(), UpkeepError> {
    let place = held.path().join(FILE);
    if place.exists() && !args.force {
        return Err(UpkeepError::Refused(format!(
            "there is a store in {}: --force keeps it aside and puts the backup in its place",
            held.path().display()
        )));
    }
    let (folder, store) = made_ready(held, args, now).await?;
    store.close().await;
    drop(store);
    let ready = folder.path().join(FILE);
    File::open(&ready).and_then(|file| file.sync_all()).map_err(UpkeepError::io(&ready))?;
    if place.exists() {
        let aside = held.path().join(now.format("alf.db.before-restore-%Y%m%d-%H%M%S").to_string());
        for ending in BESIDE {
            let (from, to) = (with(&place, ending), with(&aside, ending));
            if from.exists() {
                fs::rename(&from, &to).map_err(UpkeepError::io(&from))?;
            }
        }
        note(&format!("the store that was there is kept as {}", aside.display()));
    }
    fs::rename(&ready, &place).map_err(UpkeepError::io(&place))?;
    File::open(held.path()).and_then(|folder| folder.sync_all()).map_err(UpkeepError::io(held.path()))?;
    note(&format!("restored to {}", place.display()));
    Ok(())
}

/// Nobody opens the database while it is filled, nor where that was cut off: then the same restore begins anew.
async fn into_database(
    held: &DataDir,
    args: &RestoreArgs,
    now: DateTime<Utc>,
    store: &MongoStore,
) -> Result<(), UpkeepError> {
    let was_cut_off = store.half().await?.as_deref() == Some(RESTORE);
    let is_somebodys = !was_cut_off && !is_empty(store).await?;
    if is_somebodys && !args.force {
        return Err(UpkeepError::Refused(format!(
            "there is a store in the database: --force backs it up into {} and puts the backup in its place",
            held.path().display()
        )));
    }
    let (_folder, backup) = made_ready(held, args, now).await?;
    if is_somebodys {
        let aside = held.path().join(now.format("alf-before-restore-%Y%m%d-%H%M%S.db").to_string());
        backup::of_database(store, &aside).await?;
        note(&format!("the store that was there is backed up as {}", aside.display()));
    }
    store.begin(RESTORE).await?;
    store.clear().await?;
    let mut progress = Progress::new("results restored");
    let filled = migrate(&backup, store, |moved| progress.tell(moved)).await;
    backup.close().await;
    filled?;
    store.finish().await?;
    Ok(())
}

fn with(path: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", path.display()))
}
