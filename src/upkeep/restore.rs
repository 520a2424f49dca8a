//! `alf store restore`: a backup in the place of the store.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{UpkeepError, note};
use crate::cli::RestoreArgs;
use crate::clock::Clock;
use crate::data_dir::DataDir;
use crate::settings::Settings;
use crate::store::Store as _;
use crate::store::restore::over_until;
use crate::store::sqlite::{FILE, SqliteStore, upkeep};

/// What SQLite keeps beside a database.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];

pub(super) async fn run(settings: &Settings, args: &RestoreArgs) -> Result<ExitCode, UpkeepError> {
    let held = DataDir::open(&settings.data_dir)?;
    let place = held.path().join(FILE);
    if place.exists() && !args.force {
        return Err(UpkeepError::Refused(format!(
            "there is a store in {}: --force keeps it aside and puts the backup in its place",
            held.path().display()
        )));
    }
    if !args.from.is_file() {
        return Err(UpkeepError::Refused(format!("{} is no file: name a backup", args.from.display())));
    }
    // Made ready where nobody looks, so that there is never half a store, nor one that would catch up.
    let folder = tempfile::Builder::new().prefix(".alf-restore-").tempdir_in(held.path());
    let folder = folder.map_err(UpkeepError::io(held.path()))?;
    let ready = folder.path().join(FILE);
    fs::copy(&args.from, &ready).map_err(UpkeepError::io(&args.from))?;
    upkeep::look(&ready)?;
    let store = SqliteStore::open(folder.path())?;
    let now = Clock::Wall.now();
    if !args.catch_up {
        over_until(&store, now.into()).await?;
    }
    store.close().await;
    drop(store);
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

fn with(path: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", path.display()))
}
