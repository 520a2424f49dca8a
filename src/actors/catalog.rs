//! `CatalogActor`: the only writer of definitions in this process. Each write is one store transaction, conditional on
//! the catalog's revision; who loses reads again and tries again.

use std::sync::Arc;

use actix::{Actor, AtomicResponse, Context, Handler, Message, WrapFuture as _};
use bytes::Bytes;

use super::audit;
use super::definitions::{read_rows, to_row};
use super::error::AlfError;
use super::heard::PATIENCE;
use super::node::NodeActor;
use super::programs::blob_changes;
use super::published::Published;
use super::store::StoreWriter;
use super::supervision::{Obituary, Slot, supervised};
use crate::clock::Clock;
use crate::for_each_noun;
use crate::model::{
    Action, AnyDefinition, Catalog, Catalogued, Contact, Credential, Defaults, Definition, Downtime, Fault, Host,
    HostTask, Key, Noun, Origin, Program, ProgramDocument, Reference, Rights, RunIds, Schedule, Secret, Secrets, Task,
    TaskSchedule, Timestamp,
};
use crate::store::{DefinitionChange, OnceRecord, Store, StoreError};
use crate::vault::Vault;

/// How often a write that lost a race is tried.
pub(super) const TRIES: u32 = 5;

/// What must hold for a write to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    None,
    /// It is not there (`POST`, `If-None-Match: *`).
    Absent,
    /// It is there (`If-Match: *`).
    Exists,
    /// It is at one of these versions (`If-Match`).
    Version(Vec<u64>),
}

/// Creates or replaces a definition: checks every reference, persists, publishes.
#[derive(Message)]
#[rtype(result = "Result<PutDone, AlfError>")]
pub struct Put {
    /// The document.
    pub draft: Draft,
    /// What must hold.
    pub condition: Precondition,
    /// Those of whoever asks for it.
    pub rights: Rights,
    /// Who that is.
    pub origin: Arc<Origin>,
}

/// [`Put`] for a program whose bytes are new, or may be.
#[derive(Message)]
#[rtype(result = "Result<PutDone, AlfError>")]
pub struct PutProgram {
    /// The document, with the hash and the size of these bytes.
    pub document: ProgramDocument,
    /// The bytes.
    pub bytes: Bytes,
    /// What must hold.
    pub condition: Precondition,
    /// Those of whoever asks for it.
    pub rights: Rights,
    /// Who that is.
    pub origin: Arc<Origin>,
}

/// What a `Put` came to.
#[derive(Debug, Clone)]
pub struct PutDone {
    /// As it is now.
    pub definition: AnyDefinition,
    /// As it was before, where something is different from then.
    pub previous: Option<AnyDefinition>,
    /// Whether it was not there before.
    pub created: bool,
    /// Whether anything is different from before.
    pub changed: bool,
}

/// Deletes a definition.
#[derive(Message)]
#[rtype(result = "Result<(), AlfError>")]
pub struct Delete {
    /// Which.
    pub what: Reference,
    /// What must hold.
    pub condition: Precondition,
    /// The links that name it are deleted too.
    pub cascade: bool,
    /// Those of whoever asks for it.
    pub rights: Rights,
    /// Who that is.
    pub origin: Arc<Origin>,
}

/// To the node: definitions changed, the new snapshot is published. Answered when all hosts and tasks that it concerns
/// have heard of it.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct CatalogChanged {
    /// What was put or deleted.
    pub touched: Vec<Reference>,
}

macro_rules! drafts {
    ($($kind:ident $field:ident),*) => {
        /// A document of any kind, not yet checked.
        #[derive(Debug, Clone)]
        pub enum Draft {
            $(#[doc = concat!("For the ", stringify!($field), ".")] $kind(<$kind as Definition>::Document),)*
        }

        impl Draft {
            /// Checks the document and that what it names is there, finding all faults; secrets that are kept come
            /// from the definition it replaces.
            pub fn check(self, catalog: &Catalog, defaults: &Defaults) -> Result<AnyDefinition, Vec<Fault>> {
                let mut missing = catalog.missing(self.named());
                missing.extend(self.misfits(catalog));
                match self.check_alone(catalog, defaults) {
                    Ok(definition) if missing.is_empty() => Ok(definition),
                    Ok(_) => Err(missing),
                    Err(faults) => Err(faults.into_iter().chain(missing).collect()),
                }
            }

            /// Checks the document by itself; secrets that are kept come from the definition it replaces.
            pub(super) fn check_alone(
                self,
                catalog: &Catalog,
                defaults: &Defaults,
            ) -> Result<AnyDefinition, Vec<Fault>> {
                match self {
                    $(Self::$kind(document) => {
                        let kept = document.name.as_ref().and_then(|name| $kind::map(catalog).get(name));
                        let kept = kept.map(|one| one.secrets()).unwrap_or_default();
                        checked::<$kind>(document, &kept, defaults)
                    })*
                }
            }

            /// What the document names, each with the JSON pointer of the field.
            pub(super) fn named(&self) -> Vec<(String, Reference)> {
                match self { $(Self::$kind(document) => $kind::named_in(document),)* }
            }

            /// What is wrong with the document beside the other definitions, but for names of what is not there; and what
            /// is wrong with it only where it is put.
            pub(super) fn misfits(&self, catalog: &Catalog) -> Vec<Fault> {
                match self {
                    $(Self::$kind(document) => {
                        document.unfit_texts().into_iter().chain($kind::misfits_of(document, catalog)).collect()
                    })*
                }
            }

            /// What the document is for, where it says so itself.
            pub(super) fn reference(&self) -> Option<Reference> {
                match self {
                    $(Self::$kind(document) => {
                        document.name.clone().map(|name| Reference { noun: $kind::NOUN, name })
                    })*
                }
            }

            /// Puts in what an apply may leave out.
            pub(super) fn keep_left_out(&mut self, catalog: &Catalog) {
                match self {
                    $(Self::$kind(document) => {
                        let now = document.name.as_ref().and_then(|name| $kind::map(catalog).get(name));
                        $kind::keep_left_out(document, now.map(AsRef::as_ref));
                    })*
                }
            }

            /// The document of a stored definition.
            pub(super) fn read(noun: Noun, body: &str) -> Result<Self, serde_json::Error> {
                Ok(match noun { $(Noun::$kind => Self::$kind(serde_json::from_str(body)?),)* })
            }

            /// Checks a stored document with its own secrets.
            pub(super) fn check_stored(self, kept: &Secrets, defaults: &Defaults) -> Result<AnyDefinition, Vec<Fault>> {
                match self { $(Self::$kind(document) => checked::<$kind>(document, kept, defaults),)* }
            }
        }

        /// The same definition with other bookkeeping.
        pub(super) fn stamped(
            definition: AnyDefinition,
            version: u64,
            created_at: Timestamp,
            updated_at: Timestamp,
        ) -> AnyDefinition {
            match definition {
                $(AnyDefinition::$kind(mut one) => {
                    let meta = Arc::make_mut(&mut one).meta_mut();
                    (meta.version, meta.created_at, meta.updated_at) = (version, Some(created_at), Some(updated_at));
                    AnyDefinition::$kind(one)
                })*
            }
        }

        /// When a definition was first stored and last changed.
        fn stamps(definition: &AnyDefinition) -> (Option<Timestamp>, Option<Timestamp>) {
            match definition {
                $(AnyDefinition::$kind(one) => (one.meta().created_at, one.meta().updated_at),)*
            }
        }
    };
}
for_each_noun!(drafts);

fn checked<T: Catalogued>(
    document: T::Document,
    kept: &Secrets,
    defaults: &Defaults,
) -> Result<AnyDefinition, Vec<Fault>> {
    T::check(document, kept, defaults).map(|one| T::any(Arc::new(one)))
}

/// The only writer of definitions in this process.
pub struct CatalogActor {
    pub(super) parts: Arc<CatalogParts>,
    _obituary: Obituary,
}

/// What the catalog actor works with.
pub struct CatalogParts {
    /// Where the snapshot stands.
    pub published: Published,
    /// Where definitions are kept.
    pub store: Arc<dyn Store>,
    /// The way to the ledger, which is in the same store: it knows when that is away.
    pub writer: StoreWriter,
    /// What seals their secrets.
    pub vault: Arc<Vault>,
    /// What stands in for fields left out.
    pub defaults: Arc<Defaults>,
    /// The time of day.
    pub clock: Clock,
    /// Makes the ids of what the audit is told.
    pub audit_ids: Arc<RunIds>,
    /// Who is told of changes.
    pub node: Slot<NodeActor>,
}

impl CatalogActor {
    /// With these parts.
    pub fn new(parts: Arc<CatalogParts>, obituary: Obituary) -> Self {
        Self { parts, _obituary: obituary }
    }
}

impl Actor for CatalogActor {
    type Context = Context<Self>;
}

supervised!(CatalogActor);

impl Handler<Put> for CatalogActor {
    type Result = AtomicResponse<Self, Result<PutDone, AlfError>>;

    fn handle(&mut self, put: Put, _: &mut Context<Self>) -> Self::Result {
        let parts = Arc::clone(&self.parts);
        AtomicResponse::new(Box::pin(async move { parts.put(put, None).await }.into_actor(self)))
    }
}

impl Handler<PutProgram> for CatalogActor {
    type Result = AtomicResponse<Self, Result<PutDone, AlfError>>;

    fn handle(&mut self, program: PutProgram, _: &mut Context<Self>) -> Self::Result {
        let parts = Arc::clone(&self.parts);
        let PutProgram { document, bytes, condition, rights, origin } = program;
        let put = Put { draft: Draft::Program(document), condition, rights, origin };
        AtomicResponse::new(Box::pin(async move { parts.put(put, Some(bytes)).await }.into_actor(self)))
    }
}

impl Handler<Delete> for CatalogActor {
    type Result = AtomicResponse<Self, Result<(), AlfError>>;

    fn handle(&mut self, delete: Delete, _: &mut Context<Self>) -> Self::Result {
        let parts = Arc::clone(&self.parts);
        AtomicResponse::new(Box::pin(async move { parts.delete(delete).await }.into_actor(self)))
    }
}

/// What a write comes to, worked out against one snapshot.
#[derive(Debug, Default)]
pub struct Change {
    /// What was to be put, in order, with what is the same as before.
    pub put: Vec<PutDone>,
    /// What goes.
    pub gone: Vec<AnyDefinition>,
    /// The bytes of the program that is put, where they came with it.
    pub(super) sent: Option<Bytes>,
    /// The request for it, where that is done once.
    pub(super) remember: Option<OnceRecord>,
}

impl CatalogParts {
    async fn put(&self, put: Put, sent: Option<Bytes>) -> Result<PutDone, AlfError> {
        let done = self.change(&put.origin, |catalog| {
            let definition = put.draft.clone().check(catalog, &self.defaults).map_err(AlfError::Invalid)?;
            let reference = definition.reference();
            let previous = catalog.get(reference.noun, &reference.name);
            put.rights.check_change(previous.as_ref(), Some(&definition), catalog, catalog)?;
            holds(&put.condition, &reference, previous.as_ref().map(AnyDefinition::version))?;
            Ok(Change { put: vec![self.settled(definition, previous)], sent: sent.clone(), ..Change::default() })
        });
        let done = done.await?.put.pop();
        done.ok_or_else(|| AlfError::Unavailable("what was put is not there".to_owned()))
    }

    async fn delete(&self, delete: Delete) -> Result<(), AlfError> {
        let done = self.change(&delete.origin, |catalog| {
            let what = &delete.what;
            let Some(previous) = catalog.get(what.noun, &what.name) else {
                return Err(AlfError::NotFound(what.clone()));
            };
            delete.rights.check_change(Some(&previous), None, catalog, catalog)?;
            holds(&delete.condition, what, Some(previous.version()))?;
            let users = catalog.users_of(what);
            let (links, others): (Vec<_>, Vec<_>) = users.iter().cloned().partition(|user| user.noun.goes_along());
            if !others.is_empty() || !(links.is_empty() || delete.cascade) {
                return Err(AlfError::InUse { used: what.clone(), users });
            }
            let links = links.into_iter().filter_map(|link| catalog.get(link.noun, &link.name));
            Ok(Change { gone: links.chain([previous]).collect(), ..Change::default() })
        });
        done.await.map(|_| ())
    }

    /// A definition as it is to be stored: its version counts what is different from before.
    pub(super) fn settled(&self, definition: AnyDefinition, previous: Option<AnyDefinition>) -> PutDone {
        let now = Timestamp::from(self.clock.now());
        let Some(previous) = previous else {
            return PutDone {
                definition: stamped(definition, 1, now, now),
                previous: None,
                created: true,
                changed: true,
            };
        };
        let (created_at, updated_at) = stamps(&previous);
        let (created_at, updated_at) = (created_at.unwrap_or(now), updated_at.unwrap_or(now));
        if stamped(definition.clone(), previous.version(), created_at, updated_at) == previous {
            return PutDone { definition: previous, previous: None, created: false, changed: false };
        }
        let definition = stamped(definition, previous.version() + 1, created_at, now);
        PutDone { definition, previous: Some(previous), created: false, changed: true }
    }

    /// Works a change out and writes it; who loses the race works it out again.
    pub(super) async fn change(
        &self,
        origin: &Origin,
        work_out: impl Fn(&Catalog) -> Result<Change, AlfError>,
    ) -> Result<Change, AlfError> {
        for _ in 0..TRIES {
            let catalog = self.published.get();
            let change = work_out(&catalog)?;
            let mut next = (*catalog).clone();
            let mut changes = Vec::new();
            let mut touched = Vec::new();
            for one in &change.gone {
                let what = one.reference();
                next.remove(what.noun, &what.name);
                changes.push(DefinitionChange::Remove(what.clone()));
                touched.push(what);
            }
            for done in change.put.iter().filter(|done| done.changed) {
                changes.push(DefinitionChange::Put(to_row(&done.definition, &self.vault).map_err(AlfError::Store)?));
                touched.push(done.definition.reference());
                next.insert(done.definition.clone());
            }
            if touched.iter().any(|what| what.noun == Noun::Program) {
                changes.extend(blob_changes(&catalog, &next, change.sent.as_ref())?);
            }
            changes.extend(audit::told(&change, &self.audit_ids, self.clock.now().into(), origin));
            changes.extend(change.remember.clone().map(DefinitionChange::Remember));
            if changes.is_empty() || self.write(&catalog, changes, next, touched).await? {
                return Ok(change);
            }
        }
        Err(AlfError::Unavailable("others keep changing the definitions; try again".to_owned()))
    }

    /// The node hears of a change. Who asked for it is answered when all that it concerns have heard of it, or not long
    /// after: they find it in the status then.
    async fn tell(&self, touched: Vec<Reference>) {
        // A node that is being built anew begins with what is published.
        let _ = self.node.get().send(CatalogChanged { touched }).timeout(PATIENCE).await;
    }

    /// Writes a change of this catalog and publishes the next one; false when somebody else was first and it was read
    /// again.
    pub(super) async fn write(
        &self,
        catalog: &Catalog,
        changes: Vec<DefinitionChange>,
        mut next: Catalog,
        touched: Vec<Reference>,
    ) -> Result<bool, AlfError> {
        // What came due by the old definitions comes before the new ones: after a crash nobody would know of it. A store
        // that is away is not waited for: who asked would be answered too late, and have it done after all.
        self.writer.flushed().await?;
        match self.store.change_definitions(catalog.revision, changes).await {
            Ok(revision) => {
                next.revision = revision;
                self.published.set(Arc::new(next));
                self.tell(touched).await;
                Ok(true)
            }
            Err(StoreError::Conflict { .. }) => {
                let loaded = self.store.load().await?;
                let next = read_rows(loaded.revision, loaded.definitions, &self.vault, &self.defaults)?;
                let touched = differences(catalog, &next);
                self.published.set(Arc::new(next));
                self.tell(touched).await;
                Ok(false)
            }
            Err(error) => {
                self.writer.found_away(&error);
                Err(error.into())
            }
        }
    }
}

fn holds(condition: &Precondition, reference: &Reference, version: Option<u64>) -> Result<(), AlfError> {
    let good = match condition {
        Precondition::None => true,
        Precondition::Absent if version.is_some() => return Err(AlfError::Taken(reference.clone())),
        Precondition::Absent => true,
        Precondition::Exists => version.is_some(),
        Precondition::Version(versions) => version.is_some_and(|version| versions.contains(&version)),
    };
    if good { Ok(()) } else { Err(AlfError::Precondition { reference: reference.clone(), version }) }
}

/// What is different between two snapshots.
fn differences(old: &Catalog, new: &Catalog) -> Vec<Reference> {
    macro_rules! each {
        ($($kind:ident $field:ident),*) => {{
            let mut touched = Vec::new();
            $(
                let names = old.$field.keys().chain(new.$field.keys());
                touched.extend(
                    names
                        .filter(|name| old.$field.get(*name) != new.$field.get(*name))
                        .map(|name| Reference { noun: Noun::$kind, name: name.clone() }),
                );
            )*
            touched
        }};
    }
    for_each_noun!(each)
}
