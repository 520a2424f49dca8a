//! The MongoDB store: a database of a replica set (of one member if need be), for one node or for many.
//!
//! Writes of a commit go into one transaction (`writer`), which holds only if nobody has changed meanwhile what they
//! build on (`ledger`, `pairs`). All work is done on threads of its own, so that it goes on whatever becomes of who
//! asked for it, and wherever that is.

mod actions;
mod audit;
mod changes;
mod chunks;
mod connect;
mod definitions;
mod fault;
mod learnt;
mod leases;
mod ledger;
mod old;
mod once;
mod pages;
mod pairs;
mod query;
mod read;
mod results;
mod schema;
mod sessions;
mod standing;
mod tallies;
mod upkeep;
mod view;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, ready};
use futures_util::{FutureExt as _, try_join};
use mongodb::bson::doc;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Mutex;

use super::{
    DefinitionChange, Definitions, Lease, Loaded, OldPage, OldQuery, OnceRecord, Source, Store, StoreCounts,
    StoreError, SurplusQuery, Traced, Write, Written,
};
use crate::model::{
    AuditPage, AuditQuery, ContentHash, Event, NotificationPage, NotificationQuery, ResultPage, ResultQuery, RunId,
    RunResult,
};
use connect::Link;
use fault::Fault;
use view::View;

/// How long a read may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a transaction may take, those included that were tried before it.
const COMMIT: Duration = Duration::from_secs(30);
/// How long reading everything at the start may take, and making indexes.
const LOAD: Duration = Duration::from_secs(120);
/// How long it may take to see whether writes go through: longer than to look for a server, and once more.
const CHECK: Duration = Duration::from_secs(8);
/// How long a commit may still take when the store is closed.
const CLOSE: Duration = Duration::from_secs(5);
/// Threads that speak to the server.
const THREADS: usize = 2;

/// A store in a MongoDB database.
#[derive(Debug)]
pub struct MongoStore {
    inner: Arc<Inner>,
    threads: Arc<Threads>,
}

#[derive(Debug)]
struct Inner {
    link: Link,
    /// What is read of it.
    view: View,
    /// Commits come one after the other, in the order in which they were asked for.
    committing: Mutex<()>,
    closed: AtomicBool,
}

/// The threads that do the work.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Threads {
    fn start() -> std::io::Result<Self> {
        let mut threads = Builder::new_multi_thread();
        threads.worker_threads(THREADS).thread_name("alf-mongodb").enable_all();
        threads.build().map(|runtime| Self(Some(runtime)))
    }

    /// Has something done within a time. It is begun when this returns, and goes on even if the future is dropped.
    fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Fault>> {
        let Some(runtime) = &self.0 else { return ready(Err(Fault::Closed)).boxed() };
        let task = runtime.spawn(tokio::time::timeout(limit, work));
        async move {
            match task.await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(Fault::GivenUp(limit.as_secs())),
                Err(_) => Err(Fault::Died("a call")),
            }
        }
        .boxed()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl MongoStore {
    /// Opens or creates the store in a database of the server at a URL (`mongodb://…` or `mongodb+srv://…`), for a node
    /// or for a program that is none. A server that is away is `Unavailable`: it may come.
    pub async fn open(url: &str, database: &str, node: Option<&str>) -> Result<Self, StoreError> {
        Self::connect(url, database, node, true).await?.if_whole().await
    }

    /// Opens the store that is there, and makes nothing.
    pub async fn open_there(url: &str, database: &str) -> Result<Self, StoreError> {
        Self::connect(url, database, None, false).await?.if_whole().await
    }

    /// Opens or creates the store to be filled from another one, also where that was cut off.
    pub async fn open_to_be_filled(url: &str, database: &str) -> Result<Self, StoreError> {
        // It has a name so that what a cut left open in the database does not stand in its way.
        Self::connect(url, database, Some("alf store"), true).await
    }

    async fn connect(url: &str, database: &str, node: Option<&str>, is_made: bool) -> Result<Self, StoreError> {
        let nowhere = |fault: Fault| fault.at(&format!("MongoDB, database {database}"));
        let failed = |cause: std::io::Error| StoreError::Open { place: "MongoDB".to_owned(), cause: cause.to_string() };
        let threads = Threads::start().map_err(failed)?;
        let is_node = node.is_some();
        let (url, name, node) = (url.to_owned(), database.to_owned(), node.map(str::to_owned));
        let link = threads.call(LIMIT, async move { Ok(connect::link(&url, &name, node.as_deref()).await) }).await;
        let link = link.map_err(nowhere)??;
        let (preparing, place) = (link.clone(), link.place.clone());
        let prepared = threads.call(LOAD, async move {
            if is_made {
                schema::prepare(&preparing.database).await?;
            } else if schema::look(&preparing.database).await?.is_none() {
                return Err(Fault::Empty);
            }
            preparing.sessions.end_former().await?;
            if is_node { definitions::forget_unnamed(&preparing).await } else { Ok(()) }
        });
        let prepared = prepared.await;
        prepared.map_err(|fault| fault.at_opening(&place))?;
        let view = View::of(&link.database);
        let inner = Inner { link, view, committing: Mutex::default(), closed: AtomicBool::new(false) };
        Ok(Self { inner: Arc::new(inner), threads: Arc::new(threads) })
    }

    async fn if_whole(self) -> Result<Self, StoreError> {
        match self.half().await? {
            None => Ok(self),
            Some(by) => Err(Fault::Half(by).at(&self.inner.link.place)),
        }
    }

    /// The store as it is at this moment, to be read alone while others write on. See [`View::of_one_moment`] for how long.
    pub async fn of_one_moment(&self) -> Result<Self, StoreError> {
        let inner = self.call(LIMIT, |inner| async move {
            let view = View::of_one_moment(&inner.link.database).await?;
            // The moment is that of the first read.
            definitions::revision(&view).await?;
            let link = inner.link.clone();
            Ok(Inner { link, view, committing: Mutex::default(), closed: AtomicBool::new(false) })
        });
        Ok(Self { inner: Arc::new(inner.await?), threads: Arc::clone(&self.threads) })
    }

    /// Has something done by the threads.
    fn call<T: Send + 'static, F: Future<Output = Result<T, Fault>> + Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce(Arc<Inner>) -> F,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        let place = &self.inner.link.place;
        if self.inner.closed.load(Ordering::Relaxed) {
            return ready(Err(Fault::Closed.at(place))).boxed();
        }
        let answer = self.threads.call(limit, work(Arc::clone(&self.inner)));
        async move { answer.await.map_err(|fault| fault.at(place)) }.boxed()
    }
}

impl Inner {
    /// Commits within its time, after those that were asked for before.
    async fn commit(&self, batch: &[Arc<[Write]>]) -> Result<Vec<Written>, Fault> {
        self.view.may_change()?;
        match tokio::time::timeout(COMMIT, ledger::commit(&self.link, batch)).await {
            Ok(written) => written,
            Err(_) => Err(Fault::GivenUp(COMMIT.as_secs())),
        }
    }

    async fn load(&self) -> Result<Loaded, Fault> {
        let view = &self.view;
        let ((revision, definitions), pairs, host_keys, key_uses, hosts, pause, missed_until, notices, parcels) = try_join!(
            definitions::load(view),
            pairs::all(view),
            learnt::host_keys(view),
            learnt::key_uses(view),
            standing::hosts(view),
            standing::pause(view),
            standing::missed_until(view),
            actions::notices(view),
            actions::parcels(view),
        )?;
        Ok(Loaded { revision, definitions, pairs, host_keys, key_uses, hosts, pause, missed_until, notices, parcels })
    }

    async fn counts(&self) -> Result<StoreCounts, Fault> {
        let days = tallies::days(&self.view).await?;
        let (bytes, used) = self.bytes().await?.unzip();
        Ok(StoreCounts {
            results: days.iter().map(|day| day.results).sum(),
            bytes,
            used,
            oldest: old::oldest(&self.view).await?,
        })
    }

    /// How many bytes the database takes, and how many what is in it takes before it is packed. Of a moment nobody knows.
    async fn bytes(&self) -> Result<Option<(u64, u64)>, Fault> {
        if self.view.may_change().is_err() {
            return Ok(None);
        }
        let said = self.link.database.run_command(doc! { "dbStats": 1 }).await?;
        let number = |key: &str| read::number(said.get(key)?);
        let (data, stored) = (number("dataSize"), number("storageSize"));
        Ok(number("indexSize")
            .zip(data.zip(stored))
            .map(|(indexes, (data, stored))| (stored + indexes, data + indexes)))
    }
}

/// No work of the store's own takes longer than its steps, each of which has its limit.
const UNBOUNDED: Duration = Duration::from_secs(u32::MAX as u64);

impl Store for MongoStore {
    fn kind(&self) -> &'static str {
        "mongodb"
    }

    fn load(&self) -> BoxFuture<'_, Result<Loaded, StoreError>> {
        self.call(LOAD, |inner| async move { inner.load().await })
    }

    fn change_definitions(
        &self,
        revision: u64,
        changes: Vec<DefinitionChange>,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.call(COMMIT, move |inner| async move {
            inner.view.may_change()?;
            definitions::change(&inner.link, revision, &changes).await
        })
    }

    fn definitions_since(&self, revision: u64) -> BoxFuture<'_, Result<Option<Definitions>, StoreError>> {
        self.call(LOAD, move |inner| async move { definitions::since(&inner.view, revision).await })
    }

    fn take_lease(
        &self,
        bucket: u32,
        holder: String,
        time: Duration,
    ) -> BoxFuture<'_, Result<Option<Lease>, StoreError>> {
        self.call(LIMIT, move |inner| async move { leases::take(&inner.link, bucket, &holder, time).await })
    }

    fn renew_lease(&self, lease: Lease, time: Duration) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.call(LIMIT, move |inner| async move { leases::renew(&inner.link, lease, time).await })
    }

    fn release_lease(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        self.call(LIMIT, move |inner| async move { leases::release(&inner.link, lease).await })
    }

    fn blob(&self, sha256: ContentHash) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        self.call(LIMIT, move |inner| async move { definitions::blob(&inner.view, &sha256).await })
    }

    fn remembered(&self, key: ContentHash) -> BoxFuture<'_, Result<Option<OnceRecord>, StoreError>> {
        self.call(LIMIT, move |inner| async move { once::one(&inner.view, &key).await })
    }

    fn requests(&self) -> BoxFuture<'_, Result<Vec<OnceRecord>, StoreError>> {
        self.call(LOAD, |inner| async move { once::all(&inner.view).await })
    }

    fn commit_all(&self, batch: Vec<Arc<[Write]>>) -> BoxFuture<'_, Result<Vec<Written>, StoreError>> {
        self.call(UNBOUNDED, move |inner| async move {
            let _turn = inner.committing.lock().await;
            inner.commit(&batch).await
        })
    }

    fn commit_from(&self, source: Arc<dyn Source>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.call(UNBOUNDED, move |inner| async move {
            let _turn = inner.committing.lock().await;
            loop {
                let batch = source.next();
                if batch.is_empty() {
                    return Ok(());
                }
                source.done(inner.commit(&batch).await?);
            }
        })
    }

    fn result(&self, id: RunId) -> BoxFuture<'_, Result<Option<RunResult>, StoreError>> {
        self.call(LIMIT, move |inner| async move { results::one(&inner.view, id).await })
    }

    fn results(&self, query: ResultQuery) -> BoxFuture<'_, Result<ResultPage, StoreError>> {
        self.call(LIMIT, move |inner| async move { query::page(&inner.view, &query).await })
    }

    fn old_results(&self, query: OldQuery) -> BoxFuture<'_, Result<OldPage, StoreError>> {
        self.call(LIMIT, move |inner| async move { old::old(&inner.view, &query).await })
    }

    fn surplus_results(&self, query: SurplusQuery) -> BoxFuture<'_, Result<Vec<RunId>, StoreError>> {
        self.call(old::COUNTING, move |inner| async move { old::surplus(&inner.view, &query).await })
    }

    /// The server uses again what is free, and gives it back in its own time; what was counted off goes.
    fn give_back(&self) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.call(COMMIT, |inner| async move { tallies::forget_empty(&inner.link).await.map(|()| false) })
    }

    fn audit(&self, query: AuditQuery) -> BoxFuture<'_, Result<AuditPage, StoreError>> {
        self.call(LIMIT, move |inner| async move { audit::page(&inner.view, &query).await })
    }

    fn events_due(&self, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        self.call(LIMIT, move |inner| async move { actions::events(&inner.view, limit).await })
    }

    fn notifications(&self, query: NotificationQuery) -> BoxFuture<'_, Result<NotificationPage, StoreError>> {
        self.call(LIMIT, move |inner| async move { actions::page(&inner.view, &query).await })
    }

    fn trace(&self, result: RunId) -> BoxFuture<'_, Result<Option<Traced>, StoreError>> {
        self.call(LIMIT, move |inner| async move { actions::trace(&inner.view, result).await })
    }

    /// The server's own business: it writes over what was, in its own time. What is kept of a secret is sealed.
    fn scrub(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.check()
    }

    fn counts(&self) -> BoxFuture<'_, Result<StoreCounts, StoreError>> {
        self.call(LIMIT, |inner| async move { inner.counts().await })
    }

    fn check(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.call(CHECK, |inner| async move { schema::check(&inner.link.database).await })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.closed.store(true, Ordering::Relaxed);
        let inner = Arc::clone(&self.inner);
        let closed = self.threads.call(CLOSE * 2, async move {
            if inner.view.end().await {
                return Ok(());
            }
            let _turn = tokio::time::timeout(CLOSE, inner.committing.lock()).await;
            inner.link.sessions.close();
            inner.link.client.clone().shutdown().immediate(true).await;
            Ok(())
        });
        closed.map(|_| ()).boxed()
    }
}
