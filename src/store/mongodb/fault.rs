//! From the driver's errors to the store's: what happened, at which server, and what helps. The password never comes
//! with them: what the driver says of a URL is not repeated, and the place is put together of addresses.

use mongodb::error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, WriteFailure};

use super::schema;
use crate::store::StoreError;

/// Most characters of what a server or the driver says: it may describe the whole cluster.
const LONGEST: usize = 300;

/// The document is there already, or was when it was looked for.
const DUPLICATE: i32 = 11_000;
/// Two transactions wanted the same document.
const WRITE_CONFLICT: i32 = 112;
/// What a server answers to what it will never take: a document cannot be read, is too large, has too long a key, or there
/// is too much in a transaction for its cache.
const NEVER: [i32; 7] = [2, 9, 22, 121, 388, 10_334, 17_280];
/// Who logs in may not do this, or may not log in.
const FORBIDDEN: [i32; 2] = [13, 18];
const OUT_OF_DISK: i32 = 14_031;
/// The server has ended a transaction, or does not know any more how it was at its beginning.
const ENDED: [i32; 3] = [239, 251, 290];

/// What can go wrong inside this backend; it becomes a `StoreError` where the server's place is known.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The driver's own, or the server's.
    #[error("{}", told(.0))]
    Driver(#[from] Error),
    /// The server's, of one statement of many.
    #[error("{}", one_line(.message))]
    Statement {
        /// Its number.
        code: i32,
        /// In words.
        message: String,
    },
    /// A value that cannot be what Alf wrote.
    #[error("{0}")]
    Unreadable(String),
    /// A value that MongoDB cannot keep.
    #[error("{0}")]
    Unwritable(String),
    /// The catalog is at another revision.
    #[error("the catalog is at revision {0}")]
    Conflict(u64),
    /// Another node has this bucket of hosts by now.
    #[error("bucket {0} is another node's")]
    Fenced(u32),
    /// Somebody else changed a document that was to be changed: look again.
    #[error("others write to the same documents all the time: try again")]
    Stale,
    /// A newer Alf's, with this schema.
    #[error("its schema is {0}, of a newer Alf")]
    Newer(u32),
    /// Not Alf's.
    #[error("it is another program's database: use another one (store.database)")]
    Foreign,
    /// There are no transactions.
    #[error(
        "it is a server of its own, on which there are no transactions: make it a replica set, of one member if need be \
         (replication.replSetName, then rs.initiate())"
    )]
    Standalone,
    /// There is no store in it.
    #[error("there is no store in it: see to store.url and store.database")]
    Empty,
    /// Something is being put into it, or that was cut off.
    #[error("it is not whole: alf store {0} is filling it, or was cut off; let that end, or do it again")]
    Half(String),
    /// Its time was over.
    #[error("no answer within {0} s: is the server overloaded, or paused?")]
    GivenUp(u64),
    /// The store was closed.
    #[error("it is closed")]
    Closed,
    /// Something ended without an answer.
    #[error("{0} ended without an answer: try again")]
    Died(&'static str),
}

impl From<mongodb::bson::error::Error> for Fault {
    fn from(error: mongodb::bson::error::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl Fault {
    /// Whether looking again and doing the same once more may go through at once: somebody else was there first.
    pub(super) fn is_race(&self) -> bool {
        match self {
            Self::Stale => true,
            Self::Statement { code, .. } => matches!(*code, DUPLICATE | WRITE_CONFLICT),
            Self::Driver(error) => {
                matches!(code(error), Some(DUPLICATE | WRITE_CONFLICT))
                    || (error.contains_label(TRANSIENT_TRANSACTION_ERROR) && !is_away(error))
            }
            _ => false,
        }
    }

    /// Whether something is kept that cannot be read.
    pub(super) fn is_unreadable(&self) -> bool {
        match self {
            Self::Unreadable(_) => true,
            Self::Driver(error) => matches!(&*error.kind, ErrorKind::Bson(_) | ErrorKind::InvalidResponse { .. }),
            _ => false,
        }
    }

    /// Whether the server has answered with this number.
    pub(super) fn is_code(&self, number: i32) -> bool {
        matches!(self, Self::Driver(error) if code(error) == Some(number))
    }

    /// The store's error for the database at `place`.
    pub(super) fn at(self, place: &str) -> StoreError {
        match self {
            Self::Conflict(current) => StoreError::Conflict { current },
            Self::Fenced(bucket) => StoreError::Fenced { bucket },
            Self::Newer(found) => StoreError::Newer { place: place.to_owned(), found, known: schema::NEWEST },
            Self::Unreadable(_) | Self::Foreign => StoreError::Corrupt(format!("{place}: {self}")),
            Self::Unwritable(_) => StoreError::Refused(format!("{place}: {self}")),
            Self::Standalone | Self::Empty | Self::Half(_) => {
                StoreError::Open { place: place.to_owned(), cause: self.to_string() }
            }
            Self::Statement { code, .. } if NEVER.contains(&code) => StoreError::Refused(format!("{place}: {self}")),
            Self::Driver(ref error) if is_for_good(error) => StoreError::Refused(format!("{place}: {self}")),
            _ => StoreError::Unavailable(format!("{place}: {self}")),
        }
    }

    /// The store's error for the database at `place`, which cannot be opened. A server that is away may come; one that
    /// does not let Alf in will not change its mind by itself.
    pub(super) fn at_opening(self, place: &str) -> StoreError {
        let lets_in = match &self {
            Self::Driver(error) => !is_forbidden(error) && !is_for_good(error),
            Self::Unreadable(_) | Self::Unwritable(_) | Self::Foreign => false,
            _ => return self.at(place),
        };
        if lets_in { self.at(place) } else { StoreError::Open { place: place.to_owned(), cause: self.to_string() } }
    }
}

/// The number of an error that a server answered.
fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(error) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => Some(error.code),
        ErrorKind::InsertMany(error) => {
            let first = error.write_errors.as_ref().and_then(|errors| errors.first()).map(|error| error.code);
            first.or_else(|| error.write_concern_error.as_ref().map(|error| error.code))
        }
        _ => None,
    }
}

/// Whether nobody answers.
fn is_away(error: &Error) -> bool {
    matches!(
        &*error.kind,
        ErrorKind::Io(_)
            | ErrorKind::ConnectionPoolCleared { .. }
            | ErrorKind::ServerSelection { .. }
            | ErrorKind::DnsResolve { .. }
    )
}

fn is_forbidden(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Authentication { .. })
        || matches!(&*error.kind, ErrorKind::ServerSelection { message, .. } if message.contains("SCRAM failure"))
        || code(error).is_some_and(|code| FORBIDDEN.contains(&code))
}

fn is_for_good(error: &Error) -> bool {
    let kind = &*error.kind;
    matches!(kind, ErrorKind::InvalidArgument { .. } | ErrorKind::Bson(_) | ErrorKind::InvalidTlsConfig { .. })
        || code(error).is_some_and(|code| NEVER.contains(&code))
}

/// What happened and what helps.
fn told(error: &Error) -> String {
    let said = match &*error.kind {
        ErrorKind::Command(error) => error.message.clone(),
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.message.clone(),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => error.message.clone(),
        ErrorKind::InsertMany(failed) => {
            let first = failed.write_errors.as_ref().and_then(|errors| errors.first()).map(|error| &error.message);
            let first = first.or_else(|| failed.write_concern_error.as_ref().map(|error| &error.message));
            first.cloned().unwrap_or_else(|| "documents were not inserted".to_owned())
        }
        kind => kind.to_string(),
    };
    let said = one_line(&said);
    if is_forbidden(error) {
        return format!(
            "the server does not let Alf in: see to user and password in store.url and give that user the role readWrite on store.database ({said})"
        );
    }
    if is_away(error) {
        return format!("the server does not answer: see that it runs and that store.url names it ({said})");
    }
    match code(error) {
        Some(code) if ENDED.contains(&code) => format!(
            "the server has ended the transaction; where it takes longer than its transactionLifetimeLimitSeconds, raise that ({said})"
        ),
        Some(OUT_OF_DISK) => format!("the server's disk is full: make room on it ({said})"),
        Some(code) => format!("{said} (MongoDB's error {code})"),
        None => said,
    }
}

/// As one line of bounded length, without control characters.
fn one_line(text: &str) -> String {
    let mut line: String = text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > LONGEST {
        line.push('…');
    }
    line
}
