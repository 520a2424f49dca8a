//! The ledger: claims, Results, statuses. What the writes of a commit need to know is read at once for all of them, they
//! are done in memory, and what came of it is written at once, on condition that nobody has changed it meanwhile.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use futures_util::future::try_join;
use mongodb::Database;
use mongodb::bson::{Binary, doc};
use serde::Deserialize;

use super::changes::{Change, Changes};
use super::connect::Link;
use super::fault::Fault;
use super::pairs::{self, Pair};
use super::schema::{PAIRS, RESULTS};
use super::tallies::Added;
use super::view::View;
use super::writer::{self, Step};
use super::{actions, audit, learnt, leases, old, once, read, results, standing};
use crate::model::{Name, RunId, Timestamp};
use crate::store::{Lease, OpenRun, Write, Written};

/// Commits writes of many, in order: all of them or none.
pub(super) async fn commit(link: &Link, batch: &[Arc<[Write]>]) -> Result<Vec<Written>, Fault> {
    let mut attempts = 0;
    loop {
        let mut ledger = Ledger::read(&link.database, batch).await?;
        let writes = batch.iter().flat_map(|writes| writes.iter());
        let written = writes.map(|write| ledger.apply(write)).collect::<Result<_, Fault>>()?;
        match writer::write(link, ledger.finish(link.slot)?).await {
            Ok(()) => return Ok(written),
            Err(fault) => writer::stand_back(&mut attempts, fault).await?,
        }
    }
}

/// What the writes of one commit know and do.
#[derive(Default)]
struct Ledger {
    pairs: HashMap<String, Pair>,
    /// Runs whose Results are there, and whether some of them stands elsewhere.
    ended: HashMap<RunId, bool>,
    /// Those that are removed.
    removed: HashSet<RunId>,
    /// Notifications that go by their age, and are still there.
    old: HashSet<RunId>,
    added: Added,
    changes: Changes,
    /// What is to be done before `changes`.
    before: Vec<Step>,
}

/// What writes are about.
#[derive(Default)]
struct About {
    pairs: HashSet<String>,
    runs: HashSet<RunId>,
    /// Up to when, and how many, notifications go.
    notifications: Vec<(Timestamp, u64)>,
    leases: Vec<Lease>,
}

impl About {
    fn add(&mut self, write: &Write) {
        match write {
            Write::Claim { host, task, open, .. } => {
                self.pairs.insert(pairs::key(host, task.as_ref()));
                self.runs.insert(open.id);
            }
            Write::Save { result, .. } => {
                self.pairs.insert(pairs::key(&result.host, result.task.as_ref()));
                self.runs.insert(result.id);
            }
            Write::Watch { host, task, .. }
            | Write::SetStatus { host, task, .. }
            | Write::ForgetPair { host, task } => drop(self.pairs.insert(pairs::key(host, Some(task)))),
            Write::Under(lease) => self.leases.push(*lease),
            Write::RemoveResults(ids) => self.runs.extend(ids),
            Write::ForgetNotifications { before, most } => self.notifications.push((*before, *most)),
            _ => {}
        }
    }
}

impl Ledger {
    /// With all that these writes need to know.
    async fn read(database: &Database, batch: &[Arc<[Write]>]) -> Result<Self, Fault> {
        let mut about = About::default();
        batch.iter().flat_map(|writes| writes.iter()).for_each(|write| about.add(write));
        let keys = about.pairs.iter().map(String::as_str).collect();
        let (pairs, ended) = try_join(Pair::find(database, keys), ended(database, &about.runs)).await?;
        let pairs = pairs.into_iter().map(|pair| (pair.key(), pair)).collect();
        leases::check(database, &about.leases).await?;
        let mut old = HashSet::new();
        for (before, most) in about.notifications {
            old.extend(old::notifications(&View::of(database), before, most).await?);
        }
        Ok(Self { pairs, ended, old, ..Self::default() })
    }

    /// Does one write.
    fn apply(&mut self, write: &Write) -> Result<Written, Fault> {
        let changes = &mut self.changes;
        match write {
            Write::Claim { host, task, until, open } => return Ok(self.claim(host, task.as_ref(), *until, open)),
            Write::Save { result, status, until } => {
                if self.ended.contains_key(&result.id) {
                    return Ok(Written::Done);
                }
                let was_removed = self.removed.contains(&result.id);
                if was_removed {
                    self.flush();
                }
                results::insert(&mut self.changes, result)?;
                if was_removed {
                    self.changes.nothing_ahead();
                }
                self.ended.insert(result.id, true);
                self.added.add(result);
                let pair = self.pair(&result.host, result.task.as_ref());
                pair.close(result.id);
                if let Some(until) = until {
                    pair.move_forward(*until);
                }
                if let Some(status) = status {
                    pair.set_status(status);
                }
            }
            Write::Watch { host, task, until } => drop(self.pair(host, Some(task)).move_forward(*until)),
            Write::NoteKill { run, kill } => changes.set(RESULTS, *run, Change::Amend(results::note_kill(kill)?)),
            Write::SetStatus { host, task, status } => self.pair(host, Some(task)).set_status(status),
            Write::SetHost { host, record } => standing::set_host(changes, host, record)?,
            Write::ForgetHost(host) => standing::forget_host(changes, host),
            Write::MissUntil(until) => standing::miss_until(changes, *until)?,
            Write::SetPause(pause) => standing::set_pause(changes, pause.as_ref())?,
            Write::PinHostKey(record) => learnt::pin(changes, record)?,
            Write::ForgetHostKey(host) => learnt::forget_host_key(changes, host),
            Write::NoteKeyUse { key, at } => learnt::note_key_use(changes, key, *at),
            Write::Due(event) => actions::due(changes, event)?,
            Write::Evaluated(evaluated) => actions::evaluated(changes, evaluated)?,
            Write::Delivered(parcel) => actions::delivered(changes, *parcel),
            Write::Under(lease) => leases::touch(changes, *lease),
            Write::RemoveResults(ids) => return Ok(Written::Removed(self.remove(ids))),
            Write::ForgetNotifications { before, most } => {
                let mut gone: Vec<RunId> =
                    self.old.iter().filter(|id| **id < RunId::earliest(*before)).copied().collect();
                gone.sort();
                gone.truncate(usize::try_from(*most).unwrap_or(usize::MAX));
                for id in &gone {
                    self.old.remove(id);
                    actions::forget_notification(changes, *id);
                }
                return Ok(Written::Removed(gone.len() as u64));
            }
            Write::Audit(entry) => audit::add(changes, entry)?,
            Write::Remember(record) => once::remember(changes, record)?,
            Write::ForgetRequest(key) => once::forget(changes, key),
            Write::ForgetRequests { before, most } => {
                // It looks at what the writes before it have left.
                self.flush();
                self.before.push(Step::ForgetRequests { before: *before, most: *most });
            }
            Write::ForgetPair { host, task } => self.pair(host, Some(task)).forget(),
        }
        Ok(Written::Done)
    }

    /// What comes next is done after what was before it.
    fn flush(&mut self) {
        self.before.push(Step::Changes(std::mem::take(&mut self.changes)));
    }

    /// Removes Results, if they are there; how many were.
    fn remove(&mut self, ids: &[RunId]) -> u64 {
        let mut removed = 0;
        for id in ids {
            let Some(elsewhere) = self.ended.remove(id) else { continue };
            results::remove(&mut self.changes, *id, elsewhere);
            actions::forget_trace(&mut self.changes, *id);
            self.added.remove(*id);
            self.removed.insert(*id);
            removed += 1;
        }
        removed
    }

    fn claim(&mut self, host: &Name, task: Option<&Name>, until: Option<Timestamp>, open: &OpenRun) -> Written {
        let has_ended = self.ended.contains_key(&open.id);
        let pair = self.pair(host, task);
        // A claim that is repeated because its answer got lost must neither be lost nor open an ended run again.
        if has_ended || pair.has_open(open.id) {
            return Written::Claimed;
        }
        if until.is_some_and(|until| !pair.move_forward(until)) {
            return Written::Taken;
        }
        pair.open(open);
        Written::Claimed
    }

    fn pair(&mut self, host: &Name, task: Option<&Name>) -> &mut Pair {
        self.pairs.entry(pairs::key(host, task)).or_insert_with(|| Pair::new(host, task))
    }

    /// What is to be done, in order.
    fn finish(mut self, slot: u8) -> Result<Vec<Step>, Fault> {
        for pair in self.pairs.into_values() {
            if let Some((key, change)) = pair.change()? {
                self.changes.changes.insert((PAIRS, key), change);
            }
        }
        self.added.count(slot, &mut self.changes);
        self.before.push(Step::Changes(self.changes));
        Ok(self.before)
    }
}

#[derive(Deserialize)]
struct Ended {
    #[serde(rename = "_id")]
    id: Binary,
    #[serde(default)]
    elsewhere: bool,
}

/// Those of these runs whose Results are there.
async fn ended(database: &Database, runs: &HashSet<RunId>) -> Result<HashMap<RunId, bool>, Fault> {
    if runs.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<Binary> = runs.iter().map(|run| read::to_uuid(*run)).collect();
    let results = database.collection::<Ended>(RESULTS);
    let mut rows = results.find(doc! { "_id": { "$in": ids } }).projection(doc! { "_id": 1, "elsewhere": 1 }).await?;
    let mut ended = HashMap::new();
    while let Some(row) = rows.try_next().await? {
        ended.insert(read::id(&row.id)?, row.elsewhere);
    }
    Ok(ended)
}
