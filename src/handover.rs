//! New keys handed to the service by way of its data directory, for who has lost every other: whoever may write there owns
//! the service anyway. It works whether the service runs or not, needs neither its settings nor its store, and what lies
//! there is no key but the digest of one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::{KeyDigest, KeyDocument};

/// Where they lie, in the data directory.
const FOLDER: &str = "new-keys";
/// What the names of those that are whole end with.
const ENDING: &str = "json";
/// A file with more bytes is none of ours.
const LARGEST: u64 = 64 * 1024;

/// A new key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What it may do.
    pub document: KeyDocument,
    /// By which it is known when it is shown.
    pub digest: KeyDigest,
}

/// Why a key cannot be handed over, or must not be taken up. One line: what, where, what to do.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// There is no data directory.
    #[error("there is no data directory {}: name that of the service with --data-dir or ALF_DATA_DIR", .0.display())]
    NoDataDir(PathBuf),
    /// The file system says no.
    #[error("{}: {cause}{}", path.display(), remedy(.cause))]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Others could have put it there.
    #[error("{} must belong to the owner of the data directory, and nobody else may write there: remove it", .0.display())]
    NotOurs(PathBuf),
    /// It cannot be read as a key.
    #[error("{} is no new key: {cause}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
}

fn remedy(cause: &io::Error) -> &'static str {
    match cause.kind() {
        ErrorKind::PermissionDenied => ": only the user that the service runs as, and root, may do this",
        _ => "",
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> HandoverError {
    let path = path.to_owned();
    move |cause| HandoverError::Io { path, cause }
}

/// Puts a key down for the service that has this data directory; answers the file, which is gone once it is taken up.
/// Root puts it down as the directory's owner.
pub fn put(data_dir: &Path, key: &NewKey) -> Result<PathBuf, HandoverError> {
    let owner = match fs::metadata(data_dir) {
        Ok(owner) if owner.is_dir() => owner,
        Ok(_) => return Err(HandoverError::NoDataDir(data_dir.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(HandoverError::NoDataDir(data_dir.to_owned())),
        Err(cause) => return Err(at(data_dir)(cause)),
    };
    let give = |path: &Path| -> io::Result<()> {
        let own = fs::symlink_metadata(path)?;
        if own.uid() == owner.uid() { Ok(()) } else { chown(path, Some(owner.uid()), Some(owner.gid())) }
    };
    let folder = data_dir.join(FOLDER);
    match DirBuilder::new().mode(0o700).create(&folder) {
        Ok(()) => give(&folder).map_err(at(&folder))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(cause) => return Err(at(&folder)(cause)),
    }
    check_folder(&folder, owner.uid())?;
    let name = format!("{:016x}", rand::random::<u64>());
    let (half, whole) = (folder.join(&name), folder.join(format!("{name}.{ENDING}")));
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&half)?;
        file.write_all(&serde_json::to_vec(key)?)?;
        file.sync_all()?;
        give(&half)?;
        fs::rename(&half, &whole)
    };
    write().map_err(|cause| {
        let _ = fs::remove_file(&half);
        at(&whole)(cause)
    })?;
    Ok(whole)
}

/// The keys that wait, each with its file, which is to be removed once the key is stored; and what is wrong with others.
pub fn waiting(data_dir: &Path) -> Vec<(PathBuf, Result<NewKey, HandoverError>)> {
    let folder = data_dir.join(FOLDER);
    let files = match fs::read_dir(&folder) {
        Ok(files) => files,
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        Err(cause) => return vec![(folder.clone(), Err(at(&folder)(cause)))],
    };
    let owner = match fs::metadata(data_dir).map_err(at(data_dir)) {
        Ok(owner) => owner.uid(),
        Err(error) => return vec![(folder, Err(error))],
    };
    if let Err(error) = check_folder(&folder, owner) {
        return vec![(folder, Err(error))];
    }
    let mut paths: Vec<PathBuf> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == ENDING));
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), read(&path, owner))).collect()
}

/// Nobody but its owner can have put anything into it.
fn check_folder(folder: &Path, owner: u32) -> Result<(), HandoverError> {
    let found = fs::symlink_metadata(folder).map_err(at(folder))?;
    if found.is_dir() && is_of(&found, owner) { Ok(()) } else { Err(HandoverError::NotOurs(folder.to_owned())) }
}

fn is_of(found: &fs::Metadata, owner: u32) -> bool {
    found.uid() == owner && found.mode() & 0o022 == 0
}

fn read(path: &Path, owner: u32) -> Result<NewKey, HandoverError> {
    let unreadable = |cause: String| HandoverError::Unreadable { path: path.to_owned(), cause };
    let found = fs::symlink_metadata(path).map_err(at(path))?;
    if !(found.is_file() && is_of(&found, owner)) {
        return Err(HandoverError::NotOurs(path.to_owned()));
    }
    let mut text = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut text)).map_err(at(path))?;
    serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn key(name: &str) -> NewKey {
        let document = serde_json::from_str(&format!(r#"{{"name": "{name}", "role": "admin"}}"#)).unwrap();
        NewKey { document, digest: KeyDigest::of("alf_x") }
    }

    fn names(dir: &Path) -> Vec<Result<String, String>> {
        let name = |key: NewKey| key.document.name.unwrap().to_string();
        waiting(dir).into_iter().map(|(_, key)| key.map(name).map_err(|error| error.to_string())).collect()
    }

    #[test]
    fn what_is_put_down_is_found_and_holds_no_key() {
        let dir = tempfile::tempdir().unwrap();
        assert!(waiting(dir.path()).is_empty());
        let file = put(dir.path(), &key("lost")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(&dir.path().join(FOLDER))), (0o600, 0o700));
        assert!(!fs::read_to_string(&file).unwrap().contains("alf_x"));
        assert_eq!(names(dir.path()), [Ok("lost".to_owned())]);
        fs::remove_file(file).unwrap();
        assert!(names(dir.path()).is_empty());
        let nowhere = put(&dir.path().join("none"), &key("lost")).unwrap_err().to_string();
        assert!(nowhere.contains("there is no data directory"), "{nowhere}");
    }

    #[test]
    fn what_others_may_have_put_there_is_not_taken_up() {
        let dir = tempfile::tempdir().unwrap();
        let file = put(dir.path(), &key("lost")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o622)).unwrap();
        assert!(names(dir.path())[0].as_ref().unwrap_err().contains("nobody else may write there"));
        let elsewhere = dir.path().join("elsewhere");
        fs::rename(&file, &elsewhere).unwrap();
        fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&elsewhere, &file).unwrap();
        assert!(names(dir.path())[0].as_ref().unwrap_err().contains("nobody else may write there"));
        let folder = dir.path().join(FOLDER);
        fs::remove_file(&file).unwrap();
        fs::write(&file, "{}").unwrap();
        assert!(names(dir.path())[0].as_ref().unwrap_err().contains("is no new key"));
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(names(dir.path())[0].as_ref().unwrap_err().contains("nobody else may write there"));
        assert!(put(dir.path(), &key("lost")).is_err());
    }
}
