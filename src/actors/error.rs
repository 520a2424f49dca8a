//! What an actor may answer instead of what was asked for.

use crate::model::{Denied, Fault, Name, Noun, Reference, RunId};

/// Why a request was not done. `http/problem.rs` alone knows which status code each is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlfError {
    /// The document is wrong.
    #[error("{} fault(s)", .0.len())]
    Invalid(Vec<Fault>),
    /// There is no such thing.
    #[error("there is no {0}")]
    NotFound(Reference),
    /// There is no such run, or it has ended.
    #[error("there is no run {0}")]
    NoRun(RunId),
    /// The name is taken.
    #[error("there is a {0} already")]
    Taken(Reference),
    /// Others name it.
    #[error("{used} is in use by {}", list(.users))]
    InUse {
        /// What was to be deleted.
        used: Reference,
        /// Who names it.
        users: Vec<Reference>,
    },
    /// Others name what an apply leaves out: all of it, each with the pointer of the list it is left out of.
    #[error("{} left out and in use, see errors", .0.len())]
    LeftOutInUse(Vec<Fault>),
    /// It is not (or no longer) what the caller believed.
    #[error("{reference} is at version {}, not at the one that If-Match names", .version.map_or("none".to_owned(), |v| v.to_string()))]
    Precondition {
        /// What was to be changed.
        reference: Reference,
        /// The version it has now; none if it is not there.
        version: Option<u64>,
    },
    /// The task runs there already.
    #[error("it already runs there, or waits to: run {0}")]
    Overlap(RunId),
    /// The same request is being done, under the same idempotency key.
    #[error("the request with this Idempotency-Key is still being done")]
    BeingDone,
    /// The idempotency key was that of another request.
    #[error(
        "another request had this Idempotency-Key: one key goes with one request, that is method, path, query and body"
    )]
    KeyOfAnother,
    /// What became of a request is too much to be kept.
    #[error(
        "the request with this Idempotency-Key was done, and its answer was too large to be kept; what is there now shows what it did"
    )]
    TooLargeToRemember,
    /// There is no PROBLEM that could be acknowledged.
    #[error("there is nothing to acknowledge: {0}")]
    NothingToAcknowledge(String),
    /// The task is not linked to the host, so it has no status there.
    #[error("task \"{task}\" is not linked to host \"{host}\"")]
    NotLinked {
        /// The host.
        host: Name,
        /// The task.
        task: Name,
    },
    /// Nothing runs on a host that is disabled.
    #[error("host \"{0}\" is disabled")]
    Disabled(Name),
    /// More is waiting than is allowed.
    #[error("too many runs are waiting: {0}")]
    QueueFull(String),
    /// The key that a host shows is not to be trusted.
    #[error("{0}")]
    HostKey(String),
    /// The file with the encryption key cannot be changed.
    #[error("{0}")]
    KeyFile(String),
    /// It is not for whoever asks.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The store is not available.
    #[error("{0}")]
    Store(String),
    /// Alf is stopping, or a part of it is being restarted.
    #[error("{0}")]
    Unavailable(String),
    /// Somebody asked for something that this noun cannot do.
    #[error("a {0} cannot be changed this way")]
    NotForThis(Noun),
}

pub(super) fn list(users: &[Reference]) -> String {
    let shown: Vec<String> = users.iter().take(20).map(ToString::to_string).collect();
    let more = users.len().saturating_sub(20);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

impl From<crate::store::StoreError> for AlfError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

impl From<actix::MailboxError> for AlfError {
    fn from(error: actix::MailboxError) -> Self {
        Self::Unavailable(match error {
            actix::MailboxError::Closed => "the part of Alf that does this is being restarted".to_owned(),
            actix::MailboxError::Timeout => "the part of Alf that does this did not answer in time".to_owned(),
        })
    }
}
