//! The key file: one key a line, 32 bytes as base64, never half written, never readable by others.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::TryRng as _;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use super::{Key, Keys, VaultError};

/// More than a key file can have in it.
const LONGEST_FILE: u64 = 1024;

/// The keys in a file, which is made, with a new key, if it is not there.
pub(super) fn open(path: &Path) -> Result<Keys, VaultError> {
    match read(path) {
        Err(VaultError::File { verb: "read", .. }) => {
            if is_missing(path) {
                create(path).map_err(|error| file_error("create", path, &error))?;
            }
            // Else somebody may just have made it.
            read(path)
        }
        other => other,
    }
}

/// The keys in a file.
pub(super) fn read(path: &Path) -> Result<Keys, VaultError> {
    let failed = |error: io::Error| file_error("read", path, &error);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(ErrorKind::IsADirectory.into()));
    }
    // Its group may read it: so keys are handed out from outside (a file of root's, systemd's credentials).
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o037 != 0 {
        return Err(VaultError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(LONGEST_FILE as usize));
    file.take(LONGEST_FILE).read_to_end(&mut text).map_err(failed)?;
    let malformed = || VaultError::Malformed { path: path.to_owned() };
    let mut keys = text.trim_ascii().split(|byte| *byte == b'\n').map(|line| decode(line).ok_or_else(malformed));
    let first = keys.next().ok_or_else(malformed)??;
    Ok(Keys { first, older: keys.collect::<Result<_, _>>()? })
}

fn decode(line: &[u8]) -> Option<Arc<Key>> {
    let mut key = Zeroizing::new([0; 33]);
    match STANDARD.decode_slice(line.trim_ascii(), &mut *key) {
        Ok(32) => key.first_chunk::<32>().map(|key| Arc::new(Key::new(Zeroizing::new(*key)))),
        _ => None,
    }
}

/// A new key.
pub(super) fn new_key() -> io::Result<Key> {
    let mut key = Zeroizing::new([0_u8; 32]);
    SysRng.try_fill_bytes(&mut *key).map_err(io::Error::other)?;
    Ok(Key::new(key))
}

/// Puts these keys in the place of those in the file: at any moment there is either file, whole.
pub(super) fn replace(path: &Path, keys: &Keys) -> Result<(), VaultError> {
    let write = || {
        // What stands behind a link is replaced, not the link.
        let path = fs::canonicalize(path)?;
        let temporary = write_beside(&path, keys.all())?;
        let renamed = fs::rename(&temporary, &path).and_then(|()| sync_directory(&path));
        let _ = fs::remove_file(&temporary);
        renamed
    };
    write().map_err(|error| file_error("replace", path, &error))
}

/// Makes a file with a new key. Whoever else makes one at the same time wins or loses; the loser's key is never used.
fn create(path: &Path) -> io::Result<()> {
    let temporary = write_beside(path, [&Arc::new(new_key()?)])?;
    // Unlike a rename it does not replace a key that somebody else has just made.
    let written = match fs::hard_link(&temporary, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
            fs::rename(&temporary, path)
        }
        other => other,
    };
    // It is not there after a rename, and of no harm if it stays.
    let _ = fs::remove_file(&temporary);
    written?;
    sync_directory(path)
}

/// Writes keys to a new file beside this one, for the owner only, and on disk when this returns.
fn write_beside<'a>(path: &Path, keys: impl IntoIterator<Item = &'a Arc<Key>>) -> io::Result<PathBuf> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{:016x}.new", rand::random::<u64>()));
    let temporary = PathBuf::from(temporary);
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        for key in keys {
            let line = Zeroizing::new(format!("{}\n", *Zeroizing::new(STANDARD.encode(*key.bytes))));
            file.write_all(line.as_bytes())?;
        }
        file.sync_all()
    };
    let written = write();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map(|()| temporary)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

pub(super) fn file_error(verb: &'static str, path: &Path, error: &io::Error) -> VaultError {
    let cause = match error.kind() {
        ErrorKind::PermissionDenied if verb == "replace" => {
            format!(
                "{error}: give Alf's user write access to its directory, or change the key where the file comes from"
            )
        }
        ErrorKind::ReadOnlyFilesystem | ErrorKind::ResourceBusy if verb == "replace" => {
            format!(
                "{error}: change the key where the file comes from, or let secrets.key_file name one that Alf may replace"
            )
        }
        ErrorKind::PermissionDenied => format!("{error}: give Alf's user access to it"),
        ErrorKind::NotFound if verb == "create" => "its directory is not there: create it".to_owned(),
        ErrorKind::NotFound => "it is not there: restore it".to_owned(),
        ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    };
    VaultError::File { verb, path: path.to_owned(), cause }
}

fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}
