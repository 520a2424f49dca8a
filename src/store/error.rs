//! What can go wrong with a store.

/// What can go wrong with a store; one line that names cause and remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else changed the definitions first: read again and try again.
    #[error("the definitions changed meanwhile (revision {current})")]
    Conflict {
        /// The revision that is there.
        current: u64,
    },
    /// Another node has this bucket of hosts by now.
    #[error("another node has bucket {bucket} of the hosts by now: what it was written under is over")]
    Fenced {
        /// Which.
        bucket: u32,
    },
    /// It cannot be reached or written now (locked, disk full, server away): try again.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// It was written by a newer Alf.
    #[error(
        "the store at {place} has schema {found}, written by a newer Alf; this one knows up to {known}: use the newer Alf, or another data directory (with MongoDB: another database)"
    )]
    Newer {
        /// Where.
        place: String,
        /// The schema found.
        found: u32,
        /// The newest schema this Alf knows.
        known: u32,
    },
    /// It cannot be opened at all.
    #[error("cannot open the store at {place}: {cause}")]
    Open {
        /// Where.
        place: String,
        /// Why.
        cause: String,
    },
    /// It will never take this: it is too large for it, say.
    #[error("the store does not take this: {0}")]
    Refused(String),
    /// What is in it cannot be read.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// Whether the same call may go through later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
