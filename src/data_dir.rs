//! The data directory: one Alf a directory.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The lock's file.
const LOCK: &str = "alf.lock";

/// Why the data directory cannot be used. One line: what, where, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataDirError {
    /// It is not there and cannot be made.
    #[error("cannot create the data directory {}: {cause}", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Something else lies in its place.
    #[error("the data directory {} is not a directory: move it away, or use another data directory", path.display())]
    NotADirectory {
        /// The directory.
        path: PathBuf,
    },
    /// Nothing can be written in it.
    #[error("cannot write in the data directory {}: {cause}", path.display())]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Another Alf uses it.
    #[error("the data directory {} is in use by another Alf{}: stop it, or use another data directory", path.display(), shown(*pid))]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The other's process id, if it could be read.
        pid: Option<u32>,
    },
    /// Its file system knows no locks.
    #[error("cannot lock the data directory {}: {cause}: use a local file system", path.display())]
    Lock {
        /// The directory.
        path: PathBuf,
        /// Why.
        cause: String,
    },
}

fn shown(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

/// The data directory, held for this process until it is dropped; also when the process is killed.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Its lock ends when it is closed. The file stays: whoever removes a lock's file lets two hold it.
    _lock: File,
}

impl DataDir {
    /// Takes the directory, which is made, for the owner only, if it is not there.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let path = path.to_owned();
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(DataDirError::NotADirectory { path }),
            Err(error) if error.kind() == ErrorKind::NotFound => create(&path)?,
            Err(error) if error.kind() == ErrorKind::NotADirectory => return Err(DataDirError::NotADirectory { path }),
            Err(error) => return Err(DataDirError::NotWritable { cause: advice(&error), path }),
        }
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK));
        let mut lock = match opened {
            Ok(lock) => lock,
            Err(error) => return Err(DataDirError::NotWritable { cause: advice(&error), path }),
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataDirError::InUse { pid: read_pid(&mut lock), path }),
            Err(TryLockError::Error(error)) => return Err(DataDirError::Lock { cause: error.to_string(), path }),
        }
        match write_pid(&mut lock) {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(error) => Err(DataDirError::NotWritable { cause: advice(&error), path }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn create(path: &Path) -> Result<(), DataDirError> {
    // Two may start at once: the lock tells them apart, not this.
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| match error.kind() {
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => DataDirError::NotADirectory { path: path.to_owned() },
        _ => DataDirError::Create { path: path.to_owned(), cause: advice(&error) },
    })
}

fn advice(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            format!("{error}: give Alf's user write access to it, or use another data directory")
        }
        ErrorKind::StorageFull => format!("{error}: make room on its file system"),
        _ => error.to_string(),
    }
}

fn read_pid(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn it_is_made_for_the_owner_only() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state/alf");
        let taken = DataDir::open(&path).unwrap();
        assert_eq!(taken.path(), path);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let lock = path.join("alf.lock");
        assert_eq!(fs::metadata(&lock).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(lock).unwrap(), format!("{}\n", std::process::id()));
    }

    #[test]
    fn one_alf_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("alf.lock"), "12345678901\n").unwrap();
        let first = DataDir::open(directory.path()).unwrap();
        let error = DataDir::open(directory.path()).unwrap_err();
        let (path, pid) = (directory.path().to_owned(), Some(std::process::id()));
        assert_eq!(error, DataDirError::InUse { path, pid });
        assert!(error.to_string().contains(&format!("(process {})", std::process::id())), "{error}");
        drop(first);
        assert!(DataDir::open(directory.path()).is_ok(), "what a stopped Alf leaves is no lock");
    }

    #[test]
    fn what_is_no_directory_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below")] {
            assert_eq!(DataDir::open(&path).unwrap_err(), DataDirError::NotADirectory { path });
        }
        let dangling = directory.path().join("dangling");
        std::os::unix::fs::symlink(directory.path().join("gone"), &dangling).unwrap();
        assert_eq!(DataDir::open(&dangling).unwrap_err(), DataDirError::NotADirectory { path: dangling });
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("read-only");
        fs::create_dir(&path).unwrap();
        fs::create_dir(path.join("alf.lock")).unwrap();
        let error = DataDir::open(&path).unwrap_err();
        assert!(matches!(error, DataDirError::NotWritable { .. }), "{error}");
        fs::remove_dir(path.join("alf.lock")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o500)).unwrap();
        // Root may write everywhere.
        if File::create(path.join("probe")).is_err() {
            let error = DataDir::open(&path).unwrap_err().to_string();
            assert!(error.contains("give Alf's user write access"), "{error}");
            let error = DataDir::open(&path.join("below")).unwrap_err();
            assert!(matches!(error, DataDirError::Create { .. }), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }
}
