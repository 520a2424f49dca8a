//! The store room: where definitions, claims, Results and what was learnt are kept.
//!
//! One trait, one folder for each backend with the same file names in it, one conformance suite for all.

pub mod conformance;
pub mod error;
pub mod leases;
pub mod memory;
pub mod migrate;
pub mod mongodb;
pub mod once;
pub mod restore;
pub mod retention;
pub mod sizes;
pub mod sqlite;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::model::{
    AuditEntry, AuditPage, AuditQuery, Cause, ContentHash, Evaluated, Event, HostRecord, Kill, Name, Notice, NoticeKey,
    Notification, NotificationPage, NotificationQuery, Noun, PairStatus, Parcel, Pause, PublicKey, Reference,
    ResultPage, ResultQuery, RunId, RunResult, Timestamp, Trace, Trigger,
};
pub use error::StoreError;
pub use leases::Lease;
pub use once::{CameTo, ChangedOne, Changes, OnceRecord};
pub use retention::{OfTasks, OldPage, OldQuery, SurplusQuery, Which};

/// A definition as it is kept: its document as JSON, its secrets apart and sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionRow {
    /// Its kind.
    pub noun: Noun,
    /// Its name.
    pub name: Name,
    /// +1 at every write.
    pub version: u64,
    /// When it was first stored.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// The document, JSON, secrets as `{"set": true}`.
    pub body: String,
    /// Its secrets, encrypted before they get here.
    pub sealed: Option<Vec<u8>>,
}

impl DefinitionRow {
    /// The hash of the bytes that a program's document speaks of. Of the document nothing else is read.
    pub fn content(&self) -> Option<ContentHash> {
        let document: serde_json::Value = serde_json::from_str(&self.body).ok()?;
        document.get("sha256").filter(|_| self.noun == Noun::Program)?.as_str()?.parse().ok()
    }
}

/// A change to the definitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefinitionChange {
    /// Create or replace.
    Put(DefinitionRow),
    /// Remove; removing what is not there is no error.
    Remove(Reference),
    /// Keep bytes by their hash; those that are kept already stay as they are.
    PutBlob(Blob),
    /// Forget bytes; forgetting what is not there is no error.
    RemoveBlob(ContentHash),
    /// Tell the audit of it.
    Audit(Box<AuditEntry>),
    /// Remember the request that asked for all this, as `Write::Remember` does.
    Remember(OnceRecord),
}

/// Bytes that a definition speaks of.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob {
    /// By which they are found.
    pub sha256: ContentHash,
    /// The bytes.
    pub bytes: Bytes,
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob").field("sha256", &self.sha256).field("bytes", &self.bytes.len()).finish()
    }
}

/// A run that was claimed and has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRun {
    /// Its id.
    pub id: RunId,
    /// The task's version; none for an ad-hoc run.
    pub task_version: Option<u64>,
    /// The schedule that made it due.
    pub schedule: Option<Name>,
    /// What started it.
    pub trigger: Trigger,
    /// The key that started it.
    pub by: Option<Name>,
    /// The runs that were asked for together with it.
    pub group: Option<RunId>,
    /// Why an Action started it.
    pub cause: Option<Cause>,
    /// The line's instant.
    pub scheduled_at: Timestamp,
    /// When it was to start.
    pub due_at: Timestamp,
}

/// What is kept of a (host, task): the ledger's cursor, its open runs, its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairRecord {
    /// The host.
    pub host: Name,
    /// The task; none for the open ad-hoc runs of the host, of which nothing else is kept.
    pub task: Option<Name>,
    /// Every instant up to this one has been dealt with.
    pub claimed_until: Option<Timestamp>,
    /// Runs claimed and not ended.
    pub open: Vec<OpenRun>,
    /// How it stands.
    pub status: PairStatus,
}

/// The keys learnt from a host, valid for the address and port they were learnt at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeyRecord {
    /// The host.
    pub host: Name,
    /// Where they were learnt.
    pub address: String,
    /// Where they were learnt.
    pub port: u16,
    /// The keys.
    pub keys: Vec<PublicKey>,
}

/// One write of the ledger. Many go into one transaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Opens a run. With `until`, only if that instant has not been claimed yet: `claimed_until` moves forward to it,
    /// conditionally. Answered by `Claimed` or `Taken`. Claiming the same run id again is `Claimed`.
    Claim {
        /// The host.
        host: Name,
        /// The task; none for an ad-hoc run.
        task: Option<Name>,
        /// The instant, for a scheduled run.
        until: Option<Timestamp>,
        /// The run.
        open: OpenRun,
    },
    /// Stores a Result, closes its open run if there is one, moves `claimed_until` forward to `until` (never back)
    /// and, if given, replaces the status. Saving the same id again changes nothing. Answered by `Done`.
    Save {
        /// The Result.
        result: Box<RunResult>,
        /// The pair's status with this Result in it; none for a run of a pair that is not linked.
        status: Option<Arc<PairStatus>>,
        /// The instant it settles, when it was not claimed before.
        until: Option<Timestamp>,
    },
    /// Moves `claimed_until` forward (never back): from when a new pair is watched. Answered by `Done`.
    Watch {
        /// The host.
        host: Name,
        /// The task.
        task: Name,
        /// The instant.
        until: Timestamp,
    },
    /// Writes into a stored Result what looking for its left-behind processes has found; nothing if it is not there.
    /// Answered by `Done`.
    NoteKill {
        /// The Result.
        run: RunId,
        /// What was found.
        kill: Kill,
    },
    /// Replaces a pair's status: what changed is not a Result's doing. Answered by `Done`.
    SetStatus {
        /// The host.
        host: Name,
        /// The task.
        task: Name,
        /// The pair's status.
        status: Arc<PairStatus>,
    },
    /// Keeps how a host stands, replacing what was there. Answered by `Done`.
    SetHost {
        /// The host.
        host: Name,
        /// How it stands.
        record: Box<HostRecord>,
    },
    /// Forgets how a host stands. Answered by `Done`.
    ForgetHost(Name),
    /// Instants up to this one that were not dealt with are missed, and not run: somebody else may have run them. Answered
    /// by `Done`.
    MissUntil(Timestamp),
    /// All firing is stopped, or goes on (none). Answered by `Done`.
    SetPause(Option<Pause>),
    /// Pins what was learnt of a host, replacing what was there. Answered by `Done`.
    PinHostKey(HostKeyRecord),
    /// Forgets the keys learnt from a host. Answered by `Done`.
    ForgetHostKey(Name),
    /// Notes when a key was last shown; none forgets it. Answered by `Done`.
    NoteKeyUse {
        /// The key's name.
        key: Name,
        /// When.
        at: Option<Timestamp>,
    },
    /// Keeps an event until it is evaluated; in one transaction with what it tells of. Answered by `Done`.
    Due(Box<Event>),
    /// Keeps what evaluating came to. Answered by `Done`.
    Evaluated(Box<Evaluated>),
    /// A parcel is done with: in one transaction with what that left. Answered by `Done`.
    Delivered(RunId),
    /// Adds an entry to the audit; one that is there stays as it is. Answered by `Done`.
    Audit(Box<AuditEntry>),
    /// Forgets a pair's record, not its Results. Answered by `Done`.
    ForgetPair {
        /// The host.
        host: Name,
        /// The task.
        task: Name,
    },
    /// Remembers a request that is to be done once, replacing what was remembered under its key. Answered by `Done`.
    Remember(OnceRecord),
    /// Forgets the request with this key. Answered by `Done`.
    ForgetRequest(ContentHash),
    /// Removes Results and their traces, not what is known of their pairs; those that are not there are no error.
    /// Answered by `Removed`.
    RemoveResults(Vec<RunId>),
    /// Forgets notifications of before an instant, so many of them, the oldest first. Answered by `Removed`.
    ForgetNotifications {
        /// Those of this instant are kept.
        before: Timestamp,
        /// So many go.
        most: u64,
    },
    /// What is in the same commit is only done while this bucket is held as it says: else all of it is refused, for good,
    /// by `StoreError::Fenced`. Answered by `Done`.
    Under(Lease),
    /// Forgets requests of before an instant, and of the others the oldest beyond so many. Answered by `Done`.
    ForgetRequests {
        /// Those of this instant are kept.
        before: Timestamp,
        /// So many are kept.
        most: u64,
    },
}

/// What a write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is on disk.
    Done,
    /// The claim is ours, on disk.
    Claimed,
    /// The instant was claimed before.
    Taken,
    /// So many were there, and are gone.
    Removed(u64),
}

/// All that a node needs at its start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// The catalog's revision.
    pub revision: u64,
    /// All definitions, in no order.
    pub definitions: Vec<DefinitionRow>,
    /// All pair records.
    pub pairs: Vec<PairRecord>,
    /// All learnt host keys.
    pub host_keys: Vec<HostKeyRecord>,
    /// How hosts stand.
    pub hosts: Vec<(Name, HostRecord)>,
    /// Whether all firing is stopped.
    pub pause: Option<Pause>,
    /// Up to when instants that were not dealt with are missed, and not run.
    pub missed_until: Option<Timestamp>,
    /// When each key was last shown.
    pub key_uses: Vec<(Name, Timestamp)>,
    /// What was told by Actions and is owed.
    pub notices: Vec<(NoticeKey, Notice)>,
    /// What is still to be sent, the oldest first.
    pub parcels: Vec<Parcel>,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// Results stored.
    pub results: u64,
    /// Bytes on disk, where the backend can say.
    pub bytes: Option<u64>,
    /// Bytes of them in which something is, where the backend can say.
    pub used: Option<u64>,
    /// When the oldest Result's id was made.
    pub oldest: Option<Timestamp>,
}

/// Where writes wait, for a store that takes them as soon as it has done those before.
pub trait Source: Send + Sync {
    /// The next batch, for one transaction: writes of many, oldest first. Empty when nothing waits.
    fn next(&self) -> Vec<Arc<[Write]>>;

    /// That batch is on disk; one answer for each write.
    fn done(&self, written: Vec<Written>);
}

/// The catalog's revision, and all definitions at it, in no order.
pub type Definitions = (u64, Vec<DefinitionRow>);

/// What every Action came to for a Result, and the notifications that it names as they are now.
pub type Traced = (Trace, Vec<Notification>);

/// Keeps everything. Every call is safe to repeat; a call that answers `Ok` is on disk.
pub trait Store: Send + Sync {
    /// `sqlite`, `mongodb`.
    fn kind(&self) -> &'static str;

    /// All that a node needs at its start.
    fn load(&self) -> BoxFuture<'_, Result<Loaded, StoreError>>;

    /// Changes definitions in one transaction, if the catalog is still at `revision`; answers the new revision
    /// (`revision + 1`), or `StoreError::Conflict`.
    fn change_definitions(
        &self,
        revision: u64,
        changes: Vec<DefinitionChange>,
    ) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// All definitions and the catalog's revision, if that is another one: what others have changed.
    fn definitions_since(&self, revision: u64) -> BoxFuture<'_, Result<Option<Definitions>, StoreError>>;

    /// Takes a bucket of hosts for a time, by the store's own clock, if nobody has it, or this very holder; none if
    /// somebody else has. What was written `Write::Under` an earlier lease of it is refused from now on.
    fn take_lease(
        &self,
        bucket: u32,
        holder: String,
        time: Duration,
    ) -> BoxFuture<'_, Result<Option<Lease>, StoreError>>;

    /// Has it for that time from now on; false if it is over, or somebody else's.
    fn renew_lease(&self, lease: Lease, time: Duration) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Gives it back; what is somebody else's by now stays so.
    fn release_lease(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The bytes with this hash, as they were put; none if they are not kept.
    fn blob(&self, sha256: ContentHash) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>>;

    /// The request that is remembered under this key.
    fn remembered(&self, key: ContentHash) -> BoxFuture<'_, Result<Option<OnceRecord>, StoreError>>;

    /// All requests that are remembered.
    fn requests(&self) -> BoxFuture<'_, Result<Vec<OnceRecord>, StoreError>>;

    /// Commits writes of many in one transaction, in order; one answer for each write. On an error none of them is done.
    fn commit_all(&self, batch: Vec<Arc<[Write]>>) -> BoxFuture<'_, Result<Vec<Written>, StoreError>>;

    /// Commits what a source gives, a transaction a batch, until nothing waits there or others wait for the store. An
    /// error is that of the batch taken last, of which nothing is done.
    fn commit_from(&self, source: Arc<dyn Source>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            loop {
                let batch = source.next();
                if batch.is_empty() {
                    return Ok(());
                }
                source.done(self.commit_all(batch).await?);
            }
        })
    }

    /// Commits writes in one transaction, as [`Self::commit_all`] does.
    fn commit(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<Vec<Written>, StoreError>> {
        self.commit_all(vec![writes.into()])
    }

    /// One Result, whole.
    fn result(&self, id: RunId) -> BoxFuture<'_, Result<Option<RunResult>, StoreError>>;

    /// Results, newest first by id, without output bodies (their true counts stay).
    fn results(&self, query: ResultQuery) -> BoxFuture<'_, Result<ResultPage, StoreError>>;

    /// Old Results that a rule of retention looks for, the oldest first by id.
    fn old_results(&self, query: OldQuery) -> BoxFuture<'_, Result<OldPage, StoreError>>;

    /// Results beyond the newest so many of their pairs, in no order; none only when there are none.
    fn surplus_results(&self, query: SurplusQuery) -> BoxFuture<'_, Result<Vec<RunId>, StoreError>>;

    /// Gives a little of the room that is not needed any more back to the file system, where that does not go by itself;
    /// whether there is more to give.
    fn give_back(&self) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(std::future::ready(Ok(false)))
    }

    /// Entries of the audit, newest first by id.
    fn audit(&self, query: AuditQuery) -> BoxFuture<'_, Result<AuditPage, StoreError>>;

    /// So many events that are not evaluated yet, the oldest first.
    fn events_due(&self, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, StoreError>>;

    /// Notifications, newest first by id.
    fn notifications(&self, query: NotificationQuery) -> BoxFuture<'_, Result<NotificationPage, StoreError>>;

    /// What every Action came to for a Result, and the notifications that it names as they are now.
    fn trace(&self, result: RunId) -> BoxFuture<'_, Result<Option<Traced>, StoreError>>;

    /// Sees to it that nothing of a definition that was replaced or removed is left in the store's files.
    fn scrub(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// How much there is.
    fn counts(&self) -> BoxFuture<'_, Result<StoreCounts, StoreError>>;

    /// Whether writes would go through now.
    fn check(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Ends all work and closes what is open. No call follows.
    fn close(&self) -> BoxFuture<'_, ()>;
}
