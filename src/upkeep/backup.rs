//! `alf store backup`: a copy of the store, taken while others use it.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

use super::{UpkeepError, file, note};
use crate::cli::BackupArgs;
use crate::clock::Clock;
use crate::settings::Settings;
use crate::store::sqlite::{FILE, upkeep};

pub(super) fn run(settings: &Settings, args: &BackupArgs) -> Result<ExitCode, UpkeepError> {
    let store = file(settings)?.join(FILE);
    let to = if args.to.is_dir() {
        args.to.join(Clock::Wall.now().format("alf-%Y%m%d-%H%M%S.db").to_string())
    } else {
        args.to.clone()
    };
    if to.exists() {
        return Err(UpkeepError::Refused(format!("{} is there already: name another file", to.display())));
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // For the owner only; gone with all that is in it where it does not come to an end.
    let half = tempfile::Builder::new().prefix(".alf-backup-").tempfile_in(folder).map_err(UpkeepError::io(folder))?;
    upkeep::copy(&store, half.path())?;
    let whole = half.persist_noclobber(&to).map_err(|error| UpkeepError::io(&to)(error.error))?;
    let bytes = whole.metadata().map_or(0, |file| file.len());
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(UpkeepError::io(folder))?;
    note(&format!("{bytes} bytes in {}", to.display()));
    note(&format!(
        "{} is not in it: keep a copy of it elsewhere; without it the secrets in the backup cannot be read",
        settings.secrets.key_file.display()
    ));
    Ok(ExitCode::SUCCESS)
}
