//! Takes up the keys that were handed over by way of the data directory.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::actors::handle::{AlfHandle, AnyDraft, Error, If};
use crate::handover::{self, NewKey};
use crate::model::{Name, Rights};

/// How often it is looked whether there are any.
const EVERY: Duration = Duration::from_secs(1);
/// How many names are tried for one whose own is taken.
const NAMES: u32 = 100;

/// Looks again and again.
pub(super) async fn watch(handle: AlfHandle, data_dir: PathBuf, mut told: HashSet<PathBuf>) {
    loop {
        take_up(&handle, &data_dir, &mut told).await;
        tokio::time::sleep(EVERY).await;
    }
}

/// Takes up all that wait; of what is wrong with one it is `told` once.
pub(super) async fn take_up(handle: &AlfHandle, data_dir: &Path, told: &mut HashSet<PathBuf>) {
    let folder = data_dir.to_owned();
    let Ok(waiting) = tokio::task::spawn_blocking(move || handover::waiting(&folder)).await else { return };
    for (path, key) in waiting {
        let done = match key {
            Ok(key) => store(handle, key).await,
            Err(error) => Err(error.to_string()),
        };
        match done {
            Ok(name) => {
                log::warn!(key = name.as_str(); "took up a key that was made on this machine");
                if let Err(error) = std::fs::remove_file(&path) {
                    log::error!("cannot remove {}: {error}", path.display());
                }
            }
            Err(why) => {
                if told.insert(path) {
                    log::error!("did not take up a key that was made on this machine: {why}");
                }
            }
        }
    }
}

/// Stores a key, under another name if its own is taken; answers the name. One that is stored already stays.
async fn store(handle: &AlfHandle, NewKey { mut document, digest }: NewKey) -> Result<Name, String> {
    if let Some(key) = handle.catalog().keys.values().find(|key| key.is(&digest)) {
        return Ok(key.meta.name.clone());
    }
    document.set_digest(&digest);
    let wanted = document.name.clone().ok_or("it has no name")?;
    for number in 1..=NAMES {
        if number > 1 {
            document.name = Some(Name::parse(&format!("{wanted}-{number}")).map_err(|error| error.to_string())?);
        }
        match handle.put(AnyDraft::Key(document.clone()), If::Absent, Rights::all()).await {
            Ok(done) => return Ok(done.definition.reference().name),
            Err(Error::Taken(_)) => {}
            Err(Error::Invalid(faults)) => {
                let told: Vec<String> =
                    faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.detail)).collect();
                return Err(told.join("; "));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(format!("too many keys are called {wanted}"))
}
