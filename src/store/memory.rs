//! A [`Store`] in memory, for tests of what stands on a store: it answers on the caller's own thread, so that tokio's
//! paused time waits for it (the real ones answer from threads or servers, which paused time does not wait for), and it
//! can be told to be slow, to be away, to refuse and to panic. It keeps nothing beyond the process.

mod actions;
mod faults;
mod leases;
mod old;
mod pages;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use faults::Faults;
use futures_util::future::BoxFuture;

use super::{
    DefinitionChange, DefinitionRow, Definitions, HostKeyRecord, Lease, Loaded, OldPage, OldQuery, OnceRecord, OpenRun,
    PairRecord, Store, StoreCounts, StoreError, SurplusQuery, Traced, Write, Written,
};
use crate::model::{
    AuditEntry, AuditPage, AuditQuery, ContentHash, Event, HostRecord, Name, NotificationPage, NotificationQuery, Noun,
    PairStatus, Pause, ResultPage, ResultQuery, RunId, RunResult, Timestamp,
};

/// Keeps everything in memory. Clones share it, each as if it had been opened anew: closing one leaves the others open,
/// and a second Alf on a clone is a restart.
#[derive(Default)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
    closed: AtomicBool,
}

impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), closed: AtomicBool::new(false) }
    }
}

#[derive(Default)]
struct Inner {
    revision: u64,
    definitions: BTreeMap<(Noun, Name), DefinitionRow>,
    blobs: BTreeMap<ContentHash, Bytes>,
    pairs: BTreeMap<(Name, Option<Name>), Pair>,
    host_keys: BTreeMap<Name, HostKeyRecord>,
    hosts: BTreeMap<Name, HostRecord>,
    pause: Option<Pause>,
    missed_until: Option<Timestamp>,
    key_uses: BTreeMap<Name, Timestamp>,
    audit: BTreeMap<RunId, AuditEntry>,
    actions: actions::Kept,
    requests: BTreeMap<ContentHash, OnceRecord>,
    results: BTreeMap<RunId, RunResult>,
    /// Ids in the order in which they were saved.
    saved: Vec<RunId>,
    leases: leases::Leases,
    faults: Faults,
    counters: MemoryCounters,
}

#[derive(Default)]
struct Pair {
    claimed_until: Option<Timestamp>,
    open: BTreeMap<RunId, OpenRun>,
    status: Option<PairStatus>,
}

/// What a [`MemoryStore`] was asked to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryCounters {
    /// Commits that went through.
    pub commits: u64,
    /// Commits that failed by order.
    pub failed: u64,
    /// Writes in the commits that went through.
    pub writes: u64,
    /// Most writes in one of them.
    pub most_writes: usize,
    /// Results that were saved again.
    pub saved_again: u64,
    /// Claims that came too late.
    pub taken: u64,
}

impl MemoryStore {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self) -> Result<MutexGuard<'_, Inner>, StoreError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("it is closed".to_owned()));
        }
        Ok(self.inner())
    }

    /// What it was asked to do so far.
    pub fn counters(&self) -> MemoryCounters {
        self.inner().counters
    }

    /// All Results in the order in which they were saved.
    pub fn saved(&self) -> Vec<RunResult> {
        let inner = self.inner();
        inner.saved.iter().filter_map(|id| inner.results.get(id).cloned()).collect()
    }

    /// The Results of a pair in the order in which they were saved.
    pub fn results_of(&self, host: &str, task: &str) -> Vec<RunResult> {
        let of = |result: &RunResult| result.host.as_str() == host && is(&result.task, task);
        self.saved().into_iter().filter(of).collect()
    }

    /// What is kept of a pair.
    pub fn pair(&self, host: &str, task: &str) -> Option<PairRecord> {
        self.pairs().into_iter().find(|pair| pair.host.as_str() == host && is(&pair.task, task))
    }

    /// What is kept of all pairs, by host and task.
    pub fn pairs(&self) -> Vec<PairRecord> {
        self.inner().pairs()
    }

    /// What was learnt of a host.
    pub fn host_key(&self, host: &str) -> Option<HostKeyRecord> {
        self.inner().host_keys.get(host).cloned()
    }
}

impl Inner {
    fn pairs(&self) -> Vec<PairRecord> {
        let record = |((host, task), pair): (&(Name, Option<Name>), &Pair)| PairRecord {
            host: host.clone(),
            task: task.clone(),
            claimed_until: pair.claimed_until,
            open: pair.open.values().cloned().collect(),
            status: pair.status.clone().unwrap_or_default(),
        };
        self.pairs.iter().map(record).collect()
    }

    fn pair_mut(&mut self, host: &Name, task: Option<&Name>) -> &mut Pair {
        self.pairs.entry((host.clone(), task.cloned())).or_default()
    }

    fn commit(&mut self, writes: Vec<Write>) -> Result<Vec<Written>, StoreError> {
        if let Some(error) = self.faults.of(&writes) {
            self.counters.failed += 1;
            return Err(error);
        }
        for write in &writes {
            if let Write::Under(lease) = write {
                self.leases.check(*lease)?;
            }
        }
        self.counters.commits += 1;
        self.counters.writes += writes.len() as u64;
        self.counters.most_writes = self.counters.most_writes.max(writes.len());
        let written = writes.into_iter().map(|write| self.apply(write)).collect();
        self.pairs.retain(|_, pair| !pair.is_empty());
        self.faults.panic_if_told();
        Ok(written)
    }

    fn apply(&mut self, write: Write) -> Written {
        match write {
            Write::Claim { host, task, until, open } => {
                let ended = self.results.contains_key(&open.id);
                let pair = self.pair_mut(&host, task.as_ref());
                // The same answer as the first time: it got lost on its way.
                if ended || pair.open.contains_key(&open.id) {
                    return Written::Claimed;
                }
                if until.is_some() && !pair.move_forward(until) {
                    self.counters.taken += 1;
                    return Written::Taken;
                }
                pair.open.insert(open.id, open);
                Written::Claimed
            }
            Write::Save { result, status, until } => {
                if self.results.contains_key(&result.id) {
                    self.counters.saved_again += 1;
                    return Written::Done;
                }
                let pair = self.pair_mut(&result.host, result.task.as_ref());
                pair.open.remove(&result.id);
                pair.move_forward(until);
                if let Some(status) = status {
                    pair.status = Some(Arc::unwrap_or_clone(status));
                }
                self.saved.push(result.id);
                self.results.insert(result.id, *result);
                Written::Done
            }
            Write::Watch { host, task, until } => {
                self.pair_mut(&host, Some(&task)).move_forward(Some(until));
                Written::Done
            }
            Write::NoteKill { run, kill } => {
                if let Some(result) = self.results.get_mut(&run) {
                    result.kill = Some(kill);
                }
                Written::Done
            }
            Write::SetStatus { host, task, status } => {
                self.pair_mut(&host, Some(&task)).status = Some(Arc::unwrap_or_clone(status));
                Written::Done
            }
            Write::SetHost { host, record } => {
                self.hosts.insert(host, *record);
                Written::Done
            }
            Write::ForgetHost(host) => {
                self.hosts.remove(&host);
                Written::Done
            }
            Write::MissUntil(until) => {
                self.missed_until = Some(until);
                Written::Done
            }
            Write::SetPause(pause) => {
                self.pause = pause;
                Written::Done
            }
            Write::PinHostKey(record) => {
                self.host_keys.insert(record.host.clone(), record);
                Written::Done
            }
            Write::NoteKeyUse { key, at } => {
                match at {
                    Some(at) => self.key_uses.insert(key, at),
                    None => self.key_uses.remove(&key),
                };
                Written::Done
            }
            Write::ForgetHostKey(host) => {
                self.host_keys.remove(&host);
                Written::Done
            }
            Write::Due(event) => {
                self.actions.due.insert(event.id, *event);
                Written::Done
            }
            Write::Evaluated(evaluated) => {
                self.actions.evaluated(*evaluated);
                Written::Done
            }
            Write::Delivered(parcel) => {
                self.actions.parcels.remove(&parcel);
                Written::Done
            }
            Write::Audit(entry) => {
                self.audit.entry(entry.id).or_insert(*entry);
                Written::Done
            }
            Write::ForgetPair { host, task } => {
                self.pairs.remove(&(host, Some(task)));
                Written::Done
            }
            Write::Remember(record) => {
                self.requests.insert(record.key.clone(), record);
                Written::Done
            }
            Write::ForgetRequest(key) => {
                self.requests.remove(&key);
                Written::Done
            }
            Write::Under(_) => Written::Done,
            Write::RemoveResults(ids) => self.remove(&ids),
            Write::ForgetNotifications { before, most } => self.forget_notifications(before, most),
            Write::ForgetRequests { before, most } => {
                let mut kept: Vec<_> = self.requests.values().filter(|record| record.at >= before).cloned().collect();
                kept.sort_by_key(|record| std::cmp::Reverse(record.at));
                kept.truncate(usize::try_from(most).unwrap_or(usize::MAX));
                self.requests = kept.into_iter().map(|record| (record.key.clone(), record)).collect();
                Written::Done
            }
        }
    }
}

impl Pair {
    /// Moves `claimed_until` forward; false if it is there or beyond.
    fn move_forward(&mut self, until: Option<Timestamp>) -> bool {
        let forward = until > self.claimed_until;
        if forward {
            self.claimed_until = until;
        }
        forward
    }

    /// Whether there is anything to keep.
    fn is_empty(&self) -> bool {
        self.claimed_until.is_none() && self.open.is_empty() && self.status.is_none()
    }
}

/// Whether that is the task; an ad-hoc run has none.
fn is(task: &Option<Name>, named: &str) -> bool {
    task.as_ref().is_some_and(|task| task.as_str() == named)
}

/// Lets time pass, and does not as much as take a turn where none is to pass.
async fn pass(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

impl Store for MemoryStore {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn load(&self) -> BoxFuture<'_, Result<Loaded, StoreError>> {
        let inner = self.inner();
        let loaded = Loaded {
            revision: inner.revision,
            definitions: inner.definitions.values().cloned().collect(),
            pairs: inner.pairs(),
            host_keys: inner.host_keys.values().cloned().collect(),
            hosts: inner.hosts.iter().map(|(host, record)| (host.clone(), record.clone())).collect(),
            pause: inner.pause.clone(),
            missed_until: inner.missed_until,
            key_uses: inner.key_uses.iter().map(|(key, at)| (key.clone(), *at)).collect(),
            notices: inner.actions.notices.iter().map(|(key, notice)| (key.clone(), *notice)).collect(),
            parcels: inner.actions.parcels.values().cloned().collect(),
        };
        Box::pin(std::future::ready(Ok(loaded)))
    }

    fn change_definitions(
        &self,
        revision: u64,
        changes: Vec<DefinitionChange>,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let mut inner = self.opened()?;
            inner.faults.of_definitions()?;
            if inner.revision != revision {
                return Err(StoreError::Conflict { current: inner.revision });
            }
            for change in changes {
                match change {
                    DefinitionChange::Put(row) => drop(inner.definitions.insert((row.noun, row.name.clone()), row)),
                    DefinitionChange::Remove(what) => drop(inner.definitions.remove(&(what.noun, what.name))),
                    DefinitionChange::PutBlob(blob) => drop(inner.blobs.insert(blob.sha256, blob.bytes)),
                    DefinitionChange::RemoveBlob(sha256) => drop(inner.blobs.remove(&sha256)),
                    DefinitionChange::Audit(entry) => drop(inner.audit.insert(entry.id, *entry)),
                    DefinitionChange::Remember(record) => {
                        drop(inner.requests.insert(record.key.clone(), record));
                    }
                }
            }
            inner.revision += 1;
            Ok(inner.revision)
        })
    }

    fn definitions_since(&self, revision: u64) -> BoxFuture<'_, Result<Option<Definitions>, StoreError>> {
        let inner = self.inner();
        let now = (inner.revision != revision).then(|| (inner.revision, inner.definitions.values().cloned().collect()));
        Box::pin(std::future::ready(Ok(now)))
    }

    fn take_lease(
        &self,
        bucket: u32,
        holder: String,
        time: Duration,
    ) -> BoxFuture<'_, Result<Option<Lease>, StoreError>> {
        Box::pin(std::future::ready(Ok(self.inner().leases.take(bucket, &holder, time))))
    }

    fn renew_lease(&self, lease: Lease, time: Duration) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(std::future::ready(Ok(self.inner().leases.renew(lease, time))))
    }

    fn release_lease(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner().leases.release(lease);
        Box::pin(std::future::ready(Ok(())))
    }

    fn blob(&self, sha256: ContentHash) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        let found = self.inner().blobs.get(&sha256).cloned();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn remembered(&self, key: ContentHash) -> BoxFuture<'_, Result<Option<OnceRecord>, StoreError>> {
        Box::pin(std::future::ready(self.opened().map(|inner| inner.requests.get(&key).cloned())))
    }

    fn requests(&self) -> BoxFuture<'_, Result<Vec<OnceRecord>, StoreError>> {
        Box::pin(std::future::ready(self.opened().map(|inner| inner.requests.values().cloned().collect())))
    }

    fn commit_all(&self, batch: Vec<Arc<[Write]>>) -> BoxFuture<'_, Result<Vec<Written>, StoreError>> {
        Box::pin(async move {
            let delays = self.opened()?.faults.delays();
            pass(delays.before).await;
            let written = self.inner().commit(batch.iter().flat_map(|writes| writes.iter().cloned()).collect())?;
            pass(delays.after).await;
            Ok(written)
        })
    }

    fn result(&self, id: RunId) -> BoxFuture<'_, Result<Option<RunResult>, StoreError>> {
        let found = self.inner().results.get(&id).cloned();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn results(&self, query: ResultQuery) -> BoxFuture<'_, Result<ResultPage, StoreError>> {
        let page = self.inner().page(&query);
        Box::pin(std::future::ready(Ok(page)))
    }

    fn old_results(&self, query: OldQuery) -> BoxFuture<'_, Result<OldPage, StoreError>> {
        Box::pin(std::future::ready(Ok(self.inner().old(&query))))
    }

    fn surplus_results(&self, query: SurplusQuery) -> BoxFuture<'_, Result<Vec<RunId>, StoreError>> {
        Box::pin(std::future::ready(Ok(self.inner().surplus(&query))))
    }

    fn audit(&self, query: AuditQuery) -> BoxFuture<'_, Result<AuditPage, StoreError>> {
        let inner = self.inner();
        let all = || inner.audit.values().rev().filter(|entry| query.matches(entry));
        let older = |entry: &&AuditEntry| query.before.is_none_or(|before| entry.id < before);
        let mut items: Vec<_> = all().filter(older).take(query.limit.saturating_add(1)).cloned().collect();
        let more = items.len() > query.limit;
        items.truncate(query.limit);
        let next = items.last().map(|last| last.id).filter(|_| more);
        let page = AuditPage { next, total: all().count() as u64, items };
        Box::pin(std::future::ready(Ok(page)))
    }

    fn events_due(&self, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        let events = self.inner().actions.due.values().take(limit).cloned().collect();
        Box::pin(std::future::ready(Ok(events)))
    }

    fn notifications(&self, query: NotificationQuery) -> BoxFuture<'_, Result<NotificationPage, StoreError>> {
        Box::pin(std::future::ready(Ok(self.inner().actions.page(&query))))
    }

    fn trace(&self, result: RunId) -> BoxFuture<'_, Result<Option<Traced>, StoreError>> {
        Box::pin(std::future::ready(Ok(self.inner().actions.trace(result))))
    }

    fn scrub(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::ready(self.opened().map(|_| ())))
    }

    fn counts(&self) -> BoxFuture<'_, Result<StoreCounts, StoreError>> {
        let inner = self.inner();
        let oldest = inner.results.keys().next().and_then(|id| Timestamp::from_millis(id.millis()));
        let counts = StoreCounts { results: inner.results.len() as u64, oldest, ..StoreCounts::default() };
        Box::pin(std::future::ready(Ok(counts)))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        let fault =
            self.opened().and_then(|inner| inner.faults.of(&[]).map_or_else(|| inner.faults.of_definitions(), Err));
        Box::pin(std::future::ready(fault))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.closed.store(true, Ordering::Relaxed);
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::{self, Harness};

    impl Harness for MemoryStore {
        fn open(&self) -> BoxFuture<'_, Arc<dyn Store>> {
            Box::pin(std::future::ready(Arc::new(self.clone()) as Arc<dyn Store>))
        }
    }

    #[tokio::test]
    async fn it_keeps_the_promises_of_every_store() {
        conformance::run(&MemoryStore::new()).await;
    }
}
