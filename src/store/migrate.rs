//! All of one store into another, whatever they are: what is known first, Results last and the oldest first, so that a
//! migration that was cut off goes on where it was.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    Blob, DefinitionChange, HostKeyRecord, Loaded, OfTasks, OldQuery, PairRecord, Store, StoreError, Traced, Which,
    Write,
};
use crate::model::{AuditQuery, Evaluated, NotificationQuery, PairStatus, RunId, RunResult, Timestamp};

/// So many things go into one commit.
const BATCH: usize = 500;
/// So many ids of Results are looked at in one go.
const IDS: usize = 5000;
/// So many Results are read at the same time.
const AT_ONCE: usize = 8;
/// At most so many bytes of output.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// The last instant of all.
const END: i64 = 253_402_300_799_999;
/// While others write: a Result of before so long has its trace, most likely.
const SETTLED_MS: i64 = 60_000;
/// So few Results can be read of one moment; so often more are read before it.
const FEW: u64 = 500;
const ROUNDS: u32 = 5;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Results that the new store has.
    pub results: u64,
    /// Those that there are.
    pub of: u64,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// One of the stores.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The other store is somebody's.
    #[error(
        "the store that is to be filled holds something else ({0}): give an empty one; one that a migration of the same store was cut off in is gone on with"
    )]
    NotEmpty(String),
    /// It has not come out the same.
    #[error("the stores differ afterwards: {0}")]
    Differ(String),
}

/// Brings all that is in a store into another one, which is empty or holds the beginning of just that. Nobody else may
/// write to either. `moved` is told how far it is.
pub async fn migrate(from: &dyn Store, to: &dyn Store, mut moved: impl FnMut(Moved)) -> Result<Moved, MigrateError> {
    let (loaded, already) = (from.load().await?, to.load().await?);
    refuse_other(&loaded, &already)?;
    definitions(from, to, &loaded, &already).await?;
    audit(from, to).await?;
    let requests = from.requests().await?.into_iter().map(Write::Remember).collect();
    commit(to, requests).await?;
    commit(to, known(&loaded, &already)).await?;
    events(from, to).await?;
    let there = results(from, to, last()?, &mut moved).await?;
    notifications(from, to).await?;
    compare(from, to, there).await?;
    Ok(Moved { results: there, of: there })
}

/// Brings a store that others write to into an empty one, as it is at one moment. `moment` gives the store of that moment,
/// which can be read for a short time only: so nearly all Results are copied before it.
pub async fn copy(
    from: &dyn Store,
    to: &dyn Store,
    now: impl Fn() -> Timestamp,
    moment: impl AsyncFnOnce() -> Result<Arc<dyn Store>, StoreError>,
    mut moved: impl FnMut(Moved),
) -> Result<Moved, MigrateError> {
    for _ in 0..ROUNDS {
        let had = to.counts().await?.results;
        let settled = Timestamp::from_millis(now().millis() - SETTLED_MS).map_or_else(last, Ok)?;
        results(from, to, settled, &mut moved).await?;
        if to.counts().await?.results < had + FEW {
            break;
        }
    }
    let moment = moment().await?;
    let copied = copy_rest(&*moment, to, moved).await;
    moment.close().await;
    copied
}

async fn copy_rest(moment: &dyn Store, to: &dyn Store, moved: impl FnMut(Moved)) -> Result<Moved, MigrateError> {
    // They went after they were copied.
    let mut gone = Missing::new(to, moment, last()?).await?;
    loop {
        let ids = gone.next_few().await?;
        if ids.is_empty() {
            return migrate(moment, to, moved).await;
        }
        to.commit(vec![Write::RemoveResults(ids)]).await?;
    }
}

fn last() -> Result<Timestamp, StoreError> {
    Timestamp::from_millis(END).ok_or_else(|| StoreError::Corrupt("the end of time is out of range".to_owned()))
}

/// Whether there is nothing at all in a store.
pub async fn is_empty(store: &dyn Store) -> Result<bool, StoreError> {
    let audit = AuditQuery { limit: 1, ..AuditQuery::default() };
    let loaded = store.load().await?;
    Ok(loaded == Loaded::default() && store.counts().await?.results == 0 && store.audit(audit).await?.total == 0)
}

/// What is in the new store must be part of what is in the old one.
fn refuse_other(loaded: &Loaded, already: &Loaded) -> Result<(), MigrateError> {
    let same = |row| loaded.definitions.contains(row);
    if let Some(other) = already.definitions.iter().find(|row| !same(row)) {
        return Err(MigrateError::NotEmpty(format!("{} \"{}\"", other.noun.singular(), other.name)));
    }
    let pairs: HashSet<_> = loaded.pairs.iter().map(|pair| (&pair.host, &pair.task)).collect();
    match already.pairs.iter().find(|pair| !pairs.contains(&(&pair.host, &pair.task))) {
        Some(other) => Err(MigrateError::NotEmpty(format!("a task of host \"{}\"", other.host))),
        None => Ok(()),
    }
}

async fn commit(to: &dyn Store, writes: Vec<Write>) -> Result<(), StoreError> {
    for batch in writes.chunks(BATCH) {
        to.commit(batch.to_vec()).await?;
    }
    Ok(())
}

async fn definitions(from: &dyn Store, to: &dyn Store, loaded: &Loaded, already: &Loaded) -> Result<(), StoreError> {
    let mut revision = already.revision;
    for row in loaded.definitions.iter().filter(|row| !already.definitions.contains(row)) {
        let mut changes = vec![DefinitionChange::Put(row.clone())];
        if let Some(sha256) = row.content()
            && let Some(bytes) = from.blob(sha256.clone()).await?
        {
            changes.push(DefinitionChange::PutBlob(Blob { sha256, bytes }));
        }
        revision = to.change_definitions(revision, changes).await?;
    }
    Ok(())
}

async fn audit(from: &dyn Store, to: &dyn Store) -> Result<(), StoreError> {
    let mut query = AuditQuery { limit: BATCH, ..AuditQuery::default() };
    loop {
        let page = from.audit(query.clone()).await?;
        commit(to, page.items.into_iter().map(|entry| Write::Audit(Box::new(entry))).collect()).await?;
        match page.next {
            Some(next) => query.before = Some(next),
            None => return Ok(()),
        }
    }
}

/// How everything stands. What was begun is begun again: all of it can be repeated.
fn known(loaded: &Loaded, already: &Loaded) -> Vec<Write> {
    let mut writes = Vec::new();
    for PairRecord { host, task, claimed_until, open, status } in &loaded.pairs {
        let (host, task) = (host.clone(), task.clone());
        let ended = already.pairs.iter().filter(|pair| (&pair.host, &pair.task) == (&host, &task));
        let there: HashSet<RunId> = ended.flat_map(|pair| pair.open.iter().map(|open| open.id)).collect();
        for open in open.iter().filter(|open| !there.contains(&open.id)) {
            writes.push(Write::Claim { host: host.clone(), task: task.clone(), until: None, open: open.clone() });
        }
        let Some(task) = task else { continue };
        writes.extend(claimed_until.map(|until| Write::Watch { host: host.clone(), task: task.clone(), until }));
        if *status != PairStatus::default() {
            writes.push(Write::SetStatus { host, task, status: status.clone().into() });
        }
    }
    writes.extend(loaded.host_keys.iter().cloned().map(Write::PinHostKey));
    writes.extend(loaded.hosts.iter().cloned().map(|(host, record)| Write::SetHost { host, record: Box::new(record) }));
    writes.extend(loaded.key_uses.iter().cloned().map(|(key, at)| Write::NoteKeyUse { key, at: Some(at) }));
    writes.extend(loaded.missed_until.map(Write::MissUntil));
    writes.push(Write::SetPause(loaded.pause.clone()));
    writes.push(Write::Evaluated(Box::new(Evaluated {
        notices: loaded.notices.iter().cloned().map(|(key, notice)| (key, Some(notice))).collect(),
        parcels: loaded.parcels.clone(),
        ..Evaluated::default()
    })));
    writes
}

async fn events(from: &dyn Store, to: &dyn Store) -> Result<(), StoreError> {
    let events = from.events_due(usize::MAX).await?;
    commit(to, events.into_iter().map(|event| Write::Due(Box::new(event))).collect()).await
}

/// The ids of the Results of a store, the oldest first.
struct Ids<'a> {
    store: &'a dyn Store,
    /// What is asked for next, if there is more.
    query: Option<OldQuery>,
    page: std::vec::IntoIter<RunId>,
}

impl<'a> Ids<'a> {
    fn new(store: &'a dyn Store, before: Timestamp) -> Self {
        let query = OldQuery { before, after: None, which: Which::All, tasks: OfTasks::ALL, limit: IDS };
        Self { store, query: Some(query), page: Vec::new().into_iter() }
    }

    async fn next(&mut self) -> Result<Option<RunId>, StoreError> {
        loop {
            if let Some(id) = self.page.next() {
                return Ok(Some(id));
            }
            let Some(query) = self.query.take() else { return Ok(None) };
            let page = self.store.old_results(query.clone()).await?;
            self.query = page.next.map(|after| OldQuery { after: Some(after), ..query });
            self.page = page.ids.into_iter();
        }
    }
}

/// Walks over the Results of a store and finds those that another one has not got.
struct Missing<'a> {
    ids: Ids<'a>,
    others: Ids<'a>,
    /// The other store's next one.
    other: Option<RunId>,
    /// How many the store has, as far as it was walked over.
    walked: u64,
}

impl<'a> Missing<'a> {
    async fn new(of: &'a dyn Store, other: &'a dyn Store, before: Timestamp) -> Result<Self, StoreError> {
        let mut others = Ids::new(other, before);
        let other = others.next().await?;
        Ok(Self { ids: Ids::new(of, before), others, other, walked: 0 })
    }

    /// The next few of them; none at the end.
    async fn next_few(&mut self) -> Result<Vec<RunId>, StoreError> {
        let mut found = Vec::new();
        while found.len() < BATCH
            && let Some(id) = self.ids.next().await?
        {
            self.walked += 1;
            while self.other.is_some_and(|other| other < id) {
                self.other = self.others.next().await?;
            }
            if self.other != Some(id) {
                found.push(id);
            }
        }
        Ok(found)
    }
}

/// Results of before an instant with their traces, the oldest first, as far as the new store has not got them; how many
/// the old one has.
async fn results(
    from: &dyn Store,
    to: &dyn Store,
    before: Timestamp,
    moved: &mut impl FnMut(Moved),
) -> Result<u64, StoreError> {
    let mut progress = Moved { results: to.counts().await?.results, of: from.counts().await?.results };
    moved(progress);
    let mut missing = Missing::new(from, to, before).await?;
    loop {
        let ids = missing.next_few().await?;
        if ids.is_empty() {
            return Ok(missing.walked);
        }
        let mut read = stream::iter(ids).map(|id| whole(from, id)).buffered(AT_ONCE);
        let (mut writes, mut bytes) = (Vec::new(), 0);
        while let Some(read) = read.try_next().await? {
            // None of one that has gone meanwhile.
            let Some((result, trace)) = read else { continue };
            bytes += output(&result);
            writes.push(Write::Save { result: Box::new(result), status: None, until: None });
            if let Some((trace, _)) = trace {
                writes.push(Write::Evaluated(Box::new(Evaluated { trace: Some(trace), ..Evaluated::default() })));
            }
            if bytes >= MOST_BYTES {
                bytes = 0;
                to.commit(std::mem::take(&mut writes)).await?;
            }
        }
        to.commit(writes).await?;
        progress.results = to.counts().await?.results;
        moved(progress);
    }
}

/// A Result with its trace.
async fn whole(from: &dyn Store, id: RunId) -> Result<Option<(RunResult, Option<Traced>)>, StoreError> {
    let Some(result) = from.result(id).await? else { return Ok(None) };
    Ok(Some((result, from.trace(id).await?)))
}

fn output(result: &RunResult) -> usize {
    result.stdout.bytes.len() + result.stderr.bytes.len()
}

async fn notifications(from: &dyn Store, to: &dyn Store) -> Result<(), StoreError> {
    let mut query = NotificationQuery { limit: BATCH, ..NotificationQuery::default() };
    loop {
        let page = from.notifications(query.clone()).await?;
        let notifications = page.items;
        to.commit(vec![Write::Evaluated(Box::new(Evaluated { notifications, ..Evaluated::default() }))]).await?;
        match page.next {
            Some(next) => query.before = Some(next),
            None => return Ok(()),
        }
    }
}

/// The stores say the same of everything.
async fn compare(from: &dyn Store, to: &dyn Store, results: u64) -> Result<(), MigrateError> {
    let (one, other) = (sorted(from.load().await?), sorted(to.load().await?));
    let mut differ = Vec::new();
    let mut compare = |what: &str, same: bool| differ.extend((!same).then(|| what.to_owned()));
    compare("definitions", one.definitions == other.definitions);
    compare("tasks on hosts", one.pairs == other.pairs);
    compare("host keys", one.host_keys == other.host_keys);
    compare("hosts", one.hosts == other.hosts);
    compare("pause", (one.pause, one.missed_until) == (other.pause, other.missed_until));
    compare("uses of keys", one.key_uses == other.key_uses);
    compare("notices", one.notices == other.notices);
    compare("parcels", one.parcels == other.parcels);
    let others = to.counts().await?.results;
    compare(&format!("{results} and {others} results"), results == others);
    let audit = AuditQuery::default();
    compare("audit", from.audit(audit.clone()).await?.total == to.audit(audit).await?.total);
    let told = NotificationQuery::default();
    compare("notifications", from.notifications(told.clone()).await?.total == to.notifications(told).await?.total);
    if differ.is_empty() { Ok(()) } else { Err(MigrateError::Differ(differ.join(", "))) }
}

/// In an order of its own; records with nothing in them are as good as none.
fn sorted(mut loaded: Loaded) -> Loaded {
    loaded.definitions.sort_by_key(|row| (row.noun, row.name.clone()));
    loaded.host_keys.sort_by_key(|record: &HostKeyRecord| record.host.clone());
    loaded.hosts.sort_by_key(|(host, _)| host.clone());
    loaded.key_uses.sort();
    loaded.notices.sort_by_key(|(key, _)| key.clone());
    loaded.parcels.sort_by_key(|parcel| parcel.id);
    loaded
        .pairs
        .retain(|pair| pair.claimed_until.is_some() || !pair.open.is_empty() || pair.status != PairStatus::default());
    loaded.pairs.sort_by_key(|pair| (pair.host.clone(), pair.task.clone()));
    loaded.pairs.iter_mut().for_each(|pair| pair.open.sort_by_key(|open| open.id));
    loaded
}
