//! From SQLite's errors to the store's: what happened, in which file, and what helps.

use std::path::Path;

use rusqlite::ErrorCode;

use super::schema;
use crate::store::StoreError;

/// What can go wrong inside this backend; it becomes a `StoreError` where the file's path is known.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// SQLite's own.
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    /// A value that cannot be what Alf wrote.
    #[error("{0}")]
    Unreadable(String),
    /// The catalog is at another revision.
    #[error("the catalog is at revision {0}")]
    Conflict(u64),
    /// Somebody else has this bucket of hosts by now.
    #[error("bucket {0} is another node's")]
    Fenced(u32),
    /// A newer Alf's, with this schema.
    #[error("its schema is {0}, of a newer Alf")]
    Newer(u32),
    /// An older Alf's, and nobody may change it now.
    #[error("its schema is that of an older Alf: start this one once, it brings it up to date")]
    Older,
    /// There is no copy of it as it was before, so it is not changed.
    #[error("a copy of it cannot be put at {0} before its schema is changed: {1}")]
    NoCopy(String, String),
    /// Not Alf's.
    #[error("it is another program's database: use another data directory")]
    Foreign,
    /// Nobody waits for the read any more, or its time is over.
    #[error("the time limit for reading was over: ask for less")]
    GivenUp,
    /// The store was closed.
    #[error("it is closed")]
    Closed,
    /// Something ended without an answer.
    #[error("{0} ended without an answer: try again")]
    Died(&'static str),
    /// Reads went on for too long.
    #[error("its log is in use: try again")]
    LogInUse,
    /// So many transactions wait already.
    #[error("{0} transactions wait to be written: the disk is too slow")]
    QueueFull(usize),
}

impl Fault {
    /// The store's error for the database at `file`.
    pub(super) fn at(self, file: &Path) -> StoreError {
        let place = file.display();
        match self {
            Self::Conflict(current) => StoreError::Conflict { current },
            Self::Fenced(bucket) => StoreError::Fenced { bucket },
            Self::Newer(found) => StoreError::Newer { place: place.to_string(), found, known: schema::NEWEST },
            Self::Foreign | Self::Older | Self::NoCopy(..) => StoreError::Corrupt(format!("{place}: {self}")),
            Self::Unreadable(what) => StoreError::Corrupt(format!("{place}: {what}")),
            Self::GivenUp | Self::Closed | Self::Died(_) | Self::LogInUse | Self::QueueFull(_) => {
                StoreError::Unavailable(format!("{place}: {self}"))
            }
            Self::Sql(error) => match passing(&error) {
                Some(cause) => StoreError::Unavailable(format!("{place}: {cause}")),
                None => StoreError::Corrupt(format!("{place}: {error}")),
            },
        }
    }

    /// The store's error for the database at `file`, which cannot be opened.
    pub(super) fn at_opening(self, file: &Path) -> StoreError {
        let cause = match &self {
            Self::Newer(_) => return self.at(file),
            Self::Sql(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => return self.at(file),
                Some(ErrorCode::NotADatabase) => {
                    "it is not an SQLite database: move it away, or use another data directory".to_owned()
                }
                _ => passing(error).unwrap_or_else(|| error.to_string()),
            },
            other => other.to_string(),
        };
        StoreError::Open { place: file.display().to_string(), cause }
    }

    /// Whether a new connection may help where this one does not.
    pub(super) fn spoils_connection(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        !matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::DiskFull
                    | ErrorCode::OperationInterrupted
            )
        )
    }
}

/// Cause and remedy of an error that may pass; none for one that will not.
fn passing(error: &rusqlite::Error) -> Option<String> {
    let remedy = match error.sqlite_error_code()? {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            "another program holds the database: end it, or let it finish"
        }
        ErrorCode::DiskFull => "the disk is full: make room on its file system",
        ErrorCode::SystemIoFailure => "reading or writing the file failed: see that its disk has room and is sound",
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
            "the file cannot be written: give Alf's user write access to it and to its directory"
        }
        ErrorCode::CannotOpen => "the file cannot be opened: see that it and its directory are there and writable",
        ErrorCode::OutOfMemory => "there is not enough memory",
        ErrorCode::OperationInterrupted => "the time limit for reading was over: ask for less",
        ErrorCode::FileLockingProtocolFailed => "locking the file failed: use a local file system",
        _ => return None,
    };
    Some(format!("{remedy} (SQLite: {error})"))
}
