//! `alf store backup`: a copy of the store, taken while others use it. It is an SQLite database, whatever the store is.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::progress::Progress;
use super::{UpkeepError, file, note};
use crate::cli::BackupArgs;
use crate::clock::Clock;
use crate::settings::{Settings, StoreKind};
use crate::store::migrate::copy;
use crate::store::mongodb::MongoStore;
use crate::store::sqlite::{FILE, SqliteStore, upkeep};
use crate::store::{Store, StoreError};

pub(super) async fn run(settings: &Settings, args: &BackupArgs) -> Result<ExitCode, UpkeepError> {
    let to = if args.to.is_dir() {
        args.to.join(Clock::Wall.now().format("alf-%Y%m%d-%H%M%S.db").to_string())
    } else {
        args.to.clone()
    };
    if to.exists() {
        return Err(UpkeepError::Refused(format!("{} is there already: name another file", to.display())));
    }
    let bytes = match &settings.store.kind {
        StoreKind::Sqlite => of_file(&file(settings)?.join(FILE), &to)?,
        StoreKind::Mongodb { url, database } => {
            let store = MongoStore::open_there(url.reveal(), database).await?;
            let copied = of_database(&store, &to).await;
            store.close().await;
            copied?
        }
    };
    note(&format!("{bytes} bytes in {}", to.display()));
    note(&format!(
        "{} is not in it: keep a copy of it elsewhere; without it the secrets in the backup cannot be read",
        settings.secrets.key_file.display()
    ));
    Ok(ExitCode::SUCCESS)
}

fn folder(of: &Path) -> &Path {
    of.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Copies a store in a file into a file that is not there yet; its size.
fn of_file(store: &Path, to: &Path) -> Result<u64, UpkeepError> {
    let folder = folder(to);
    // For the owner only; gone with all that is in it where it does not come to an end.
    let half = tempfile::Builder::new().prefix(".alf-backup-").tempfile_in(folder).map_err(UpkeepError::io(folder))?;
    upkeep::copy(store, half.path())?;
    let whole = half.persist_noclobber(to).map_err(|error| UpkeepError::io(to)(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(UpkeepError::io(folder))?;
    Ok(whole.metadata().map_or(0, |file| file.len()))
}

/// Copies a store in a database into a file that is not there yet; its size.
pub(super) async fn of_database(store: &MongoStore, to: &Path) -> Result<u64, UpkeepError> {
    let folder = folder(to);
    let half = tempfile::Builder::new().prefix(".alf-backup-").tempdir_in(folder).map_err(UpkeepError::io(folder))?;
    let filled: PathBuf = half.path().join(FILE);
    let file = SqliteStore::open(half.path())?;
    let moment = async || Ok::<Arc<dyn Store>, StoreError>(Arc::new(store.of_one_moment().await?));
    let mut progress = Progress::new("results copied");
    let copied = copy(store, &file, || Clock::Wall.now().into(), moment, |moved| progress.tell(moved)).await;
    file.close().await;
    drop(file);
    copied?;
    // As compact, and as much one file, as that of a store in a file.
    of_file(&filled, to)
}
