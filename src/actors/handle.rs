//! `AlfHandle`: the one door into the actor system for HTTP and for tests.

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use bytes::Bytes;

use super::action::ActionActor;
use super::board::Board;
use super::catalog::{CatalogActor, Change, Delete, Draft, Precondition, Put, PutProgram};
use super::doctor::ExamineHost;
use super::error::AlfError;
use super::host::HostActor;
use super::host_key::{ForgetHostKey, ShowHostKey, TrustHost};
use super::key_uses::KeyUses;
use super::news::Journal;
use super::node::{FindHost, NodeActor, NodeHealth};
use super::once::Requests;
use super::published::Published;
use super::reactions::{Courier, Reactions};
use super::refused::Refusals;
use super::retention::Sweeper;
use super::rotation::RotateKey;
use super::store::{StoreActor, StoreHealth, StoreWriter};
use super::supervision::{ActorHealth, Slot};
use crate::clock::Clock;
use crate::model::{
    AnyDefinition, Catalog, Content, Defaults, Fault, Host, HostStatus, Key, KeyDigest, KeyDocument, Name, Noun,
    Origin, ProgramDocument, PublicKey, Reference, ResultPage, ResultQuery, Rights, RunId, RunIds, RunResult, RunRow,
    SecretText, StatusRow, StatusSummary, Timestamp, Verb,
};
use crate::store::Store;

pub use super::apply::{Apply, ApplyItem};
pub use super::board::{Standing, Standings};
pub use super::catalog::Change as Applied;
pub use super::catalog::PutDone;
pub use super::catalog::{Draft as AnyDraft, Precondition as If};
pub use super::counts::{Counter, Histogram};
pub use super::error::AlfError as Error;
pub use super::follow::{Followed, Follower};
pub use super::host_key::{HostKeyView, TrustedKey};
pub use super::news::{Heard, Listener};
pub use super::once::{Asked, Once};
pub use super::order::Order;
pub use super::reactions::{ActionFigures, MessagePreview, ReceiverState, RunPreview, SinkFigures, WouldTell};
pub use super::refused::RefusedCall;
pub use super::retention::LastSweep;
pub use super::start::{Group, What};
pub use super::stats::Stats;
pub use super::supervision::ActorHealth as Health;
pub use crate::ssh::doctor::{Check, Finding, Verdict};
pub use crate::ssh::output::{Piece, Stream};
pub use crate::store::retention::Swept;
pub use crate::store::{CameTo, ChangedOne, Changes};

/// How long an actor may take to answer.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// How long sealing all secrets anew may take.
const ROTATE: Duration = Duration::from_secs(25);
/// How long a host's actor may take where it asks the host something: longer than it allows the host itself.
const ASKING: Duration = Duration::from_secs(25);
/// How long looking a host over may take: longer than the checks allow themselves.
const EXAMINING: Duration = Duration::from_secs(60);

/// The same where as much is written as fits into a program.
const LONG_ANSWER: Duration = Duration::from_secs(60);

/// What the door opens to; put together by the composition root.
pub struct HandleParts {
    /// The catalog's actor.
    pub catalog: Slot<CatalogActor>,
    /// The node's actor.
    pub node: Slot<NodeActor>,
    /// The store's actor.
    pub store_actor: Slot<StoreActor>,
    /// Looks at what happens.
    pub action: Slot<ActionActor>,
    /// Takes what they send out of the house.
    pub courier: Arc<dyn Courier>,
    /// What follows from it.
    pub reactions: Arc<Reactions>,
    /// The way to the store's actor.
    pub writer: StoreWriter,
    /// For reads.
    pub store: Arc<dyn Store>,
    /// The present definitions.
    pub published: Published,
    /// How everything stands.
    pub board: Arc<Board>,
    /// When each key was last shown.
    pub key_uses: KeyUses,
    /// What happens.
    pub journal: Arc<Journal>,
    /// Requests that are being done once.
    pub requests: Requests,
    /// How retention stands.
    pub sweeper: Sweeper,
    /// The time of day.
    pub clock: Clock,
    /// What stands in for fields left out.
    pub defaults: Arc<Defaults>,
    /// This node's name.
    pub node_name: Name,
    /// When this process started.
    pub started_at: Timestamp,
    /// Makes the ids of what the audit is told.
    pub audit_ids: Arc<RunIds>,
    /// What was refused and is not told yet.
    pub refusals: Refusals,
}

/// The one door into the actor system. Cheap to clone.
#[derive(Clone)]
pub struct AlfHandle(Arc<HandleParts>, Arc<Origin>);

impl std::ops::Deref for AlfHandle {
    type Target = HandleParts;

    fn deref(&self) -> &HandleParts {
        &self.0
    }
}

impl AlfHandle {
    /// To these parts.
    pub fn new(parts: HandleParts) -> Self {
        Self(Arc::new(parts), Arc::default())
    }

    /// The same for somebody who asks: the audit is told who.
    pub fn asked_by(&self, origin: Origin) -> Self {
        Self(Arc::clone(&self.0), Arc::new(origin))
    }

    /// Who asks; nobody where Alf itself acts.
    pub(super) fn origin(&self) -> &Arc<Origin> {
        &self.1
    }

    /// The definitions as they are now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.published.get()
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        self.clock.now().into()
    }

    /// This node's name.
    pub fn node_name(&self) -> &Name {
        &self.0.node_name
    }

    /// When this process started.
    pub fn started_at(&self) -> Timestamp {
        self.0.started_at
    }

    /// What stands in for fields left out.
    pub fn defaults(&self) -> &Defaults {
        &self.0.defaults
    }

    /// Which store is behind it: `sqlite`, …
    pub fn store_kind(&self) -> &'static str {
        self.store.kind()
    }

    /// Creates or replaces a definition.
    pub async fn put(&self, draft: Draft, condition: Precondition, rights: Rights) -> Result<PutDone, AlfError> {
        self.0.catalog.get().send(Put { draft, condition, rights, origin: Arc::clone(&self.1) }).timeout(ANSWER).await?
    }

    /// Creates a program, or replaces its bytes and its document.
    pub async fn put_program(
        &self,
        mut document: ProgramDocument,
        bytes: Bytes,
        condition: Precondition,
        rights: Rights,
    ) -> Result<PutDone, AlfError> {
        let hashed = bytes.clone();
        let content = tokio::task::spawn_blocking(move || Content::of(&hashed)).await;
        document.set_content(content.map_err(|error| AlfError::Unavailable(error.to_string()))?);
        let origin = Arc::clone(&self.1);
        let put = PutProgram { document, bytes, condition, rights, origin };
        self.0.catalog.get().send(put).timeout(LONG_ANSWER).await?
    }

    /// What is wrong with a document, the things it names included, without storing it.
    pub fn check(&self, draft: Draft) -> Vec<Fault> {
        draft.check(&self.catalog(), &self.0.defaults).err().unwrap_or_default()
    }

    /// Deletes a definition; with `cascade` the links that name it too.
    pub async fn delete(
        &self,
        what: Reference,
        condition: Precondition,
        cascade: bool,
        rights: Rights,
    ) -> Result<(), AlfError> {
        let delete = Delete { what, condition, cascade, rights, origin: Arc::clone(&self.1) };
        self.0.catalog.get().send(delete).timeout(ANSWER).await?
    }

    /// Creates, replaces and deletes many definitions at once, all or nothing.
    pub async fn apply(&self, wanted: Apply) -> Result<Change, AlfError> {
        let wanted = Apply { origin: Arc::clone(&self.1), ..wanted };
        self.0.catalog.get().send(wanted).timeout(LONG_ANSWER).await?
    }

    /// What is wrong with many documents, without storing them.
    pub fn check_all(&self, wanted: &Apply) -> Vec<Fault> {
        wanted.check(&self.catalog(), &self.0.defaults).err().unwrap_or_default()
    }

    /// Changes the key that secrets are encrypted with; answers how many definitions were sealed anew.
    pub async fn rotate_key(&self) -> Result<usize, AlfError> {
        self.0.catalog.get().send(RotateKey(Arc::clone(&self.1))).timeout(ROTATE).await?
    }

    /// Creates or replaces a key; the secret of a new one is returned here and never again.
    pub async fn put_key(
        &self,
        mut document: KeyDocument,
        condition: Precondition,
        rights: Rights,
    ) -> Result<(PutDone, Option<SecretText>), AlfError> {
        let secret = crate::model::new_key();
        document.set_key(&secret);
        let done = self.put(Draft::Key(document), condition, rights).await?;
        let shown = done.created.then_some(secret);
        Ok((done, shown))
    }

    /// Who shows this key, if it is one.
    pub fn authenticate(&self, shown: &str) -> Option<Arc<Key>> {
        let digest = KeyDigest::of(shown);
        // All are compared, so that the time tells nothing of which one it was.
        self.catalog()
            .keys
            .values()
            .fold(None, |found, key| if key.is(&digest) { Some(Arc::clone(key)) } else { found })
    }

    /// Which key a host shows now, and how it stands to what is recorded. Asks the host.
    pub async fn host_key(&self, host: &Name) -> Result<HostKeyView, AlfError> {
        self.host_actor(host).await?.send(ShowHostKey).timeout(ASKING).await?
    }

    /// Trusts the key that a host shows now, if it is the expected one; the host is connected to anew.
    pub async fn trust_host(&self, host: &Name, expect: Option<String>) -> Result<TrustedKey, AlfError> {
        self.host_actor(host).await?.send(TrustHost { expect, told: self.entry(Verb::Trust) }).timeout(ASKING).await?
    }

    /// Forgets what was learnt of a host's key; the host is connected to anew.
    pub async fn forget_host_key(&self, host: &Name) -> Result<(), AlfError> {
        self.host_actor(host).await?.send(ForgetHostKey(self.entry(Verb::ForgetKey))).timeout(ANSWER).await?
    }

    /// Looks a host over: one finding for each check, in order.
    pub async fn examine(&self, host: &Name) -> Result<Vec<Finding>, AlfError> {
        Ok(self.host_actor(host).await?.send(ExamineHost).timeout(EXAMINING).await?)
    }

    pub(super) async fn host_actor(&self, host: &Name) -> Result<Addr<HostActor>, AlfError> {
        if !self.catalog().hosts.contains_key(host) {
            return Err(AlfError::NotFound(Reference { noun: Noun::Host, name: host.clone() }));
        }
        let actor = self.0.node.get().send(FindHost(host.clone())).timeout(ANSWER).await?;
        actor.ok_or_else(|| AlfError::Unavailable(format!("host \"{host}\" is being restarted")))
    }

    /// Waits until a run has ended and its Result is stored, at most so long; none if it is not by then.
    pub async fn wait(&self, run: RunId, at_most: Duration) -> Result<Option<RunResult>, AlfError> {
        if let Some(ended) = self.board.ended(run)
            && tokio::time::timeout(at_most, ended).await.is_err()
        {
            return Ok(None);
        }
        self.result(run).await
    }

    /// All runs that have not ended, oldest first.
    pub async fn runs(&self) -> Result<Vec<RunRow>, AlfError> {
        let (mut open, storing) = self.board.runs();
        for row in storing {
            // Between the commit and its word of it a run is both stored and on the board: it has ended then.
            if self.store.result(row.id).await?.is_none() {
                open.push(row);
            }
        }
        open.sort_by_key(|row| row.id);
        Ok(open)
    }

    /// One run that has not ended.
    pub async fn open_run(&self, id: RunId) -> Result<RunRow, AlfError> {
        let (row, storing) = self.board.run(id).ok_or(AlfError::NoRun(id))?;
        if storing && self.store.result(id).await?.is_some() {
            return Err(AlfError::NoRun(id));
        }
        Ok(row)
    }

    /// One Result, whole.
    pub async fn result(&self, id: RunId) -> Result<Option<RunResult>, AlfError> {
        Ok(self.store.result(id).await?)
    }

    /// Results, newest first.
    pub async fn results(&self, query: ResultQuery) -> Result<ResultPage, AlfError> {
        Ok(self.store.results(query).await?)
    }

    /// Lets somebody read how all linked pairs stand, and make rows of those that are shown, with so many of their last
    /// Results.
    pub fn with_status<R>(
        &self,
        read: impl FnOnce(Standings<'_>, &dyn Fn(&Standing<'_>, usize) -> StatusRow) -> R,
    ) -> R {
        let now = self.now();
        let catalog = self.catalog();
        let downtimes = catalog.downtimes_at(now);
        let row = |one: &Standing<'_>, last| {
            let host = catalog.hosts.get(one.host);
            let in_downtime = host.is_some_and(|host| downtimes.cover(host, one.task));
            StatusRow { in_downtime, ..one.row(last, now) }
        };
        self.board.with_status(|all| read(all, &row))
    }

    /// How all linked pairs stand, by host and task, without their last Results.
    pub fn status(&self) -> Vec<StatusRow> {
        self.with_status(|all, row| all.of(|_| true).map(|one| row(&one, 0)).collect())
    }

    /// How one pair stands.
    pub fn pair_status(&self, host: &Name, task: &Name, last: usize) -> Option<StatusRow> {
        let now = self.now();
        let (catalog, row) = (self.catalog(), self.board.pair_status(host, task, last, now)?);
        let host = catalog.hosts.get(host);
        let in_downtime = host.is_some_and(|host| catalog.downtimes_at(now).cover(host, task));
        Some(StatusRow { in_downtime, ..row })
    }

    /// How a host stands.
    pub fn host_status(&self, host: &Name) -> Option<HostStatus> {
        let catalog = self.catalog();
        let defined = catalog.hosts.get(host)?;
        self.host_statuses([defined.as_ref()], &catalog).pop()
    }

    /// How these hosts stand, in their order.
    pub fn host_statuses<'a>(&self, hosts: impl IntoIterator<Item = &'a Host>, catalog: &Catalog) -> Vec<HostStatus> {
        let now = self.now();
        let downtimes = catalog.downtimes_at(now);
        let status = |host: &Host| {
            let record = self.board.host(&host.meta.name).unwrap_or_default();
            HostStatus::of(&host.meta.name, record, downtimes.cover_host(host), now)
        };
        hosts.into_iter().map(status).collect()
    }

    /// Hears what happens: from now on, or from behind the news of this number.
    pub fn listen(&self, after: Option<u64>) -> Listener {
        Listener::new(Arc::clone(&self.journal), after.unwrap_or_else(|| self.journal.newest()))
    }

    /// The number of the newest news.
    pub fn newest_news(&self) -> u64 {
        self.journal.newest()
    }

    /// The keys learnt from a host.
    pub fn learned_keys(&self, host: &Host) -> Vec<PublicKey> {
        self.board.learned_keys(host)
    }

    /// How many pairs and hosts are in each state, of the hosts that may be touched.
    pub fn summary(&self, rights: &Rights) -> StatusSummary {
        let catalog = self.catalog();
        self.board.summary(|host| rights.cover_name(host, &catalog))
    }

    /// Refuses what would have to wait for the store.
    pub(super) fn refuse_without_store(&self) -> Result<(), AlfError> {
        self.writer.failing().map_or(Ok(()), |error| Err(error.into()))
    }

    /// Whether Alf can do its work: nothing, or what is wrong.
    pub async fn ready(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        match self.store_actor.get().send(StoreHealth).timeout(ANSWER).await {
            Ok(health) => wrong.extend(health.last_error.filter(|_| health.state != "up")),
            Err(error) => wrong.push(AlfError::from(error).to_string()),
        }
        if wrong.is_empty()
            && let Err(error) = self.store.check().await
        {
            self.writer.found_away(&error);
            wrong.push(error.to_string());
        }
        wrong
    }

    /// The live actor tree: all of it but the branches of hosts that must not be touched.
    pub async fn health(&self, rights: &Rights) -> ActorHealth {
        let node = self.0.node.get().send(NodeHealth { host: None }).timeout(ANSWER).await;
        let mut children = vec![self.0.catalog.health("catalog"), self.store_health().await];
        match node {
            Ok(Some(mut node)) => {
                let catalog = self.catalog();
                node.children
                    .retain(|host| Name::parse(&host.name).is_ok_and(|name| rights.cover_name(&name, &catalog)));
                let kept = self.0.node.health("node");
                children.push(ActorHealth { restarts: kept.restarts, last_error: kept.last_error, ..node });
            }
            _ => children.push(self.0.node.health("node")),
        }
        children.push(self.action_health(rights).await);
        ActorHealth { children, ..ActorHealth::up("alf", self.0.node_name.as_str()) }
    }

    /// One host's branch of the tree.
    pub async fn host_health(&self, host: &Name) -> Result<Option<ActorHealth>, AlfError> {
        Ok(self.0.node.get().send(NodeHealth { host: Some(host.clone()) }).timeout(ANSWER).await?)
    }

    async fn store_health(&self) -> ActorHealth {
        let kept = self.store_actor.health("store");
        match self.store_actor.get().send(StoreHealth).timeout(ANSWER).await {
            Ok(health) => {
                let last_error = health.last_error.or(kept.last_error);
                ActorHealth { restarts: kept.restarts, last_error, ..health }
            }
            Err(_) => kept,
        }
    }

    /// The node's actor: for the composition root and for tests.
    pub fn node(&self) -> &Slot<NodeActor> {
        &self.0.node
    }

    /// How everything stands: for the composition root and for tests.
    pub fn board(&self) -> &Board {
        &self.0.board
    }

    /// Ends the actors, those that the node keeps included: Alf is stopping.
    pub async fn stop_actors(&self) {
        self.0.catalog.stop().await;
        self.0.action.stop().await;
        self.0.node.stop().await;
        self.0.store_actor.stop().await;
    }

    /// The definition, as one of any kind.
    pub fn definition(&self, what: &Reference) -> Result<AnyDefinition, AlfError> {
        self.catalog().get(what.noun, &what.name).ok_or_else(|| AlfError::NotFound(what.clone()))
    }
}
