//! The board: how every pair, host and run stands now, for all to read without asking an actor.
//!
//! A pair's row is written by its `TaskActor`, a host's by its `HostActor`. A Result is on the board before it is in
//! the store, so that whoever sees it stored sees its status too; its run leaves the board after.

mod counting;
mod standing;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::{oneshot, watch};

pub use standing::{Standing, Standings};

use super::counts::Counts;
use super::figures::Figures;
use crate::model::{
    Host, HostRecord, Name, PairStatus, Pause, PublicKey, RunId, RunResult, RunRow, RunState, Timestamp,
};
use crate::ssh::output::LiveOutput;
use crate::store::{HostKeyRecord, OpenRun, PairRecord};

/// What the store knew at the start of how everything stands.
#[derive(Debug, Default)]
pub struct Restored {
    /// Pairs.
    pub pairs: Vec<PairRecord>,
    /// Keys learnt from hosts.
    pub host_keys: Vec<HostKeyRecord>,
    /// Hosts.
    pub hosts: Vec<(Name, HostRecord)>,
    /// Whether all firing is stopped.
    pub pause: Option<Pause>,
}

/// How everything stands now.
#[derive(Debug, Default)]
pub struct Board {
    inner: RwLock<Inner>,
    /// What has happened since the start.
    pub counts: Counts,
}

#[derive(Debug, Default)]
struct Inner {
    /// By host and task.
    pairs: BTreeMap<Name, BTreeMap<Name, Pair>>,
    /// How many of them are linked.
    linked_count: usize,
    hosts: BTreeMap<Name, HostRow>,
    runs: HashMap<RunId, Run>,
    /// Which of the runs are on a host: nobody looks through those of all hosts.
    of_host: HashMap<Name, HashSet<RunId>>,
    /// The runs of each host that were open when Alf ended last, until its actor has taken them in.
    cut_off: HashMap<Name, Vec<(Option<Name>, OpenRun)>>,
    figures: Figures,
    pause: Option<Pause>,
}

#[derive(Debug, Default)]
struct Pair {
    linked: bool,
    /// The same as its actor has.
    status: Arc<PairStatus>,
    max_attempts: u32,
    claimed_until: Option<Timestamp>,
    next_run_at: Option<Timestamp>,
    /// Rarely more than one.
    running: Vec<RunId>,
}

#[derive(Debug, Default)]
struct HostRow {
    record: HostRecord,
    learned: Option<HostKeyRecord>,
}

#[derive(Debug)]
struct Run {
    host: Name,
    task: Option<Name>,
    open: OpenRun,
    started_at: Option<Timestamp>,
    /// Its end is on the board; the store has it soon.
    storing: bool,
    waiting: Vec<oneshot::Sender<()>>,
    /// What it writes, from its start on.
    output: watch::Sender<Option<Arc<LiveOutput>>>,
}

impl Board {
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what the store knew at the start. Open runs stand as runs that nobody runs: they are settled as aborted
    /// by who owns their pair.
    pub fn restore(&self, loaded: Restored) {
        let mut inner = self.write();
        let mut pairs: BTreeMap<Name, Vec<(Name, Pair)>> = BTreeMap::new();
        for record in loaded.pairs {
            for open in record.open {
                inner.cut_off.entry(record.host.clone()).or_default().push((record.task.clone(), open.clone()));
                inner.begin(Run::new(&record.host, record.task.as_ref(), open));
            }
            let Some(task) = record.task else { continue };
            let status = Arc::new(record.status);
            let pair = Pair { status, claimed_until: record.claimed_until, ..Pair::default() };
            pairs.entry(record.host).or_default().push((task, pair));
        }
        // A map that is made at once has no empty places.
        inner.pairs = pairs.into_iter().map(|(host, of_host)| (host, of_host.into_iter().collect())).collect();
        for record in loaded.host_keys {
            let name = record.host.clone();
            inner.hosts.entry(name).or_default().learned = Some(record);
        }
        for (name, record) in loaded.hosts {
            inner.hosts.entry(name).or_default().record = record;
        }
        inner.pause = loaded.pause;
    }

    /// A pair is linked: shown in Status from now on. Answers what the ledger knows of it.
    pub(super) fn link(&self, host: &Name, task: &Name) -> (Arc<PairStatus>, Option<Timestamp>) {
        let mut guard = self.write();
        let inner = &mut *guard;
        // Of a life before this one, or begun before the pair was linked.
        let running = inner.runs_of(host).filter(|run| !run.storing && run.task.as_ref() == Some(task));
        let running = running.map(|run| run.open.id).collect();
        let pair = inner.pairs.entry(host.clone()).or_default().entry(task.clone()).or_default();
        inner.linked_count += usize::from(!std::mem::replace(&mut pair.linked, true));
        pair.running = running;
        (Arc::clone(&pair.status), pair.claimed_until)
    }

    /// A pair is linked no more: its row goes.
    pub(super) fn unlink(&self, host: &Name, task: &Name) {
        let mut inner = self.write();
        let Some(of_host) = inner.pairs.get_mut(host) else { return };
        let gone = of_host.remove(task);
        if of_host.is_empty() {
            inner.pairs.remove(host);
        }
        inner.linked_count -= usize::from(gone.is_some_and(|pair| pair.linked));
    }

    /// When a pair is due next, and how many PROBLEMs in a row are hard.
    pub(super) fn set_next(&self, host: &Name, task: &Name, next: Option<Timestamp>, max_attempts: u32) {
        if let Some(pair) = self.write().pair_mut(host, Some(task)) {
            (pair.next_run_at, pair.max_attempts) = (next, max_attempts);
        }
    }

    /// A pair stands otherwise, though no Result has come.
    pub(super) fn set_status(&self, host: &Name, task: &Name, status: &Arc<PairStatus>) {
        if let Some(pair) = self.write().pair_mut(host, Some(task)) {
            pair.status.clone_from(status);
        }
    }

    /// Since when all firing is stopped, and by whom; none while it goes on.
    pub fn pause(&self) -> Option<Pause> {
        self.read().pause.clone()
    }

    /// Stops all firing, or lets it go on (none).
    pub(super) fn set_pause(&self, pause: Option<Pause>) {
        self.write().pause = pause;
    }

    /// How far the ledger of a pair has come: it never goes back.
    pub(super) fn set_claimed(&self, host: &Name, task: &Name, until: Timestamp) {
        if let Some(pair) = self.write().pair_mut(host, Some(task)) {
            pair.claimed_until = pair.claimed_until.max(Some(until));
        }
    }

    /// A run begins to wait.
    pub(super) fn open(&self, host: &Name, task: Option<&Name>, open: OpenRun) {
        let mut inner = self.write();
        if let Some(pair) = inner.pair_mut(host, task) {
            pair.running.push(open.id);
        }
        inner.begin(Run::new(host, task, open));
    }

    /// A run's command has started, and what it writes comes here.
    pub(super) fn started(&self, id: RunId, at: Timestamp, output: &Arc<LiveOutput>) {
        let mut inner = self.write();
        if let Some(run) = inner.runs.get_mut(&id) {
            let again = run.started_at.replace(at).is_some();
            run.output.send_replace(Some(Arc::clone(output)));
            if again {
                return;
            }
            let lateness = at.millis() - run.open.due_at.millis();
            self.counts.started(run.open.trigger, lateness);
            inner.figures.started(at, lateness);
        }
    }

    /// A run that came to nothing leaves without a Result (its claim was refused).
    pub(super) fn withdraw(&self, id: RunId) {
        let mut inner = self.write();
        inner.forget(id);
    }

    /// A run's Result is known: it counts as ended for Status and overlap; the store has it soon.
    pub(super) fn storing(&self, result: &RunResult, status: Option<&Arc<PairStatus>>) {
        let mut inner = self.write();
        if let Some(run) = inner.runs.get_mut(&result.id) {
            run.storing = true;
        }
        if let Some(pair) = inner.pair_mut(&result.host, result.task.as_ref()) {
            pair.is_over(result.id);
            if let Some(status) = status {
                pair.status.clone_from(status);
            }
        }
    }

    /// A run's Result is stored: it leaves the board, and who waits for it is told.
    pub(super) fn stored(&self, id: RunId) {
        self.write().forget(id);
    }

    /// Runs of a pair (none: of all tasks and of none) that are neither ended nor among those that somebody still runs.
    pub(super) fn orphans(
        &self,
        host: &Name,
        task: Option<&Name>,
        alive: &HashSet<RunId>,
    ) -> Vec<(Option<Name>, OpenRun)> {
        let inner = self.read();
        let mut orphans: Vec<_> = inner
            .runs_of(host)
            .filter(|run| task.is_none_or(|task| run.task.as_ref() == Some(task)))
            .filter(|run| !run.storing && !alive.contains(&run.open.id))
            .map(|run| (run.task.clone(), run.open.clone()))
            .collect();
        orphans.sort_by_key(|(_, open)| open.id);
        orphans
    }

    /// The runs of a host that were open when Alf ended last, for who asks first.
    pub(super) fn take_cut_off(&self, host: &Name) -> Vec<(Option<Name>, OpenRun)> {
        self.write().cut_off.remove(host).unwrap_or_default()
    }

    /// Whether a pair has runs on the board, those on their way to the store left out.
    pub(super) fn has_runs(&self, host: &Name, task: &Name) -> bool {
        self.read().runs_of(host).any(|run| !run.storing && run.task.as_ref() == Some(task))
    }

    /// All hosts that have runs on the board.
    pub(super) fn hosts_with_runs(&self) -> HashSet<Name> {
        self.read().of_host.keys().cloned().collect()
    }

    /// All pairs the ledger knows, linked or not.
    pub(super) fn pairs(&self) -> Vec<(Name, Name)> {
        let inner = self.read();
        inner.pairs.iter().flat_map(|(host, tasks)| tasks.keys().map(|task| (host.clone(), task.clone()))).collect()
    }

    /// All hosts something is known of.
    pub(super) fn hosts(&self) -> Vec<Name> {
        self.read().hosts.keys().cloned().collect()
    }

    /// Whether a host was lost or could not be reached, and has not been connected to since.
    pub(super) fn is_down(&self, host: &Name) -> bool {
        self.read().hosts.get(host).is_some_and(|row| row.record.is_down())
    }

    /// Changes how a host stands; answers how it did before and does now, where that is different.
    pub(super) fn change_host(
        &self,
        host: &Name,
        change: impl FnOnce(&mut HostRecord),
    ) -> Option<(HostRecord, HostRecord)> {
        let mut inner = self.write();
        let record = &mut inner.hosts.entry(host.clone()).or_default().record;
        let before = record.clone();
        change(record);
        (before != *record).then(|| (before, record.clone()))
    }

    /// A host is defined: shown from now on.
    pub(super) fn know_host(&self, host: &Name) {
        self.write().hosts.entry(host.clone()).or_default();
    }

    /// When a pair is due next.
    pub(super) fn next_run(&self, host: &Name, task: &Name) -> Option<Timestamp> {
        self.read().pairs.get(host)?.get(task)?.next_run_at
    }

    /// A host is gone with all that is known of it.
    pub(super) fn forget_host(&self, host: &Name) {
        let mut inner = self.write();
        inner.hosts.remove(host);
        inner.cut_off.remove(host);
    }

    /// A host's key was learnt.
    pub(super) fn learn(&self, record: HostKeyRecord) {
        let name = record.host.clone();
        self.write().hosts.entry(name).or_default().learned = Some(record);
    }

    /// What was learnt of a host's key is forgotten.
    pub(super) fn forget_key(&self, host: &Name) {
        if let Some(row) = self.write().hosts.get_mut(host) {
            row.learned = None;
        }
    }

    /// The keys learnt from a host where it is now; those of another address or port do not count.
    pub fn learned_keys(&self, host: &Host) -> Vec<PublicKey> {
        let inner = self.read();
        let learned = inner.hosts.get(&host.meta.name).and_then(|row| row.learned.as_ref());
        learned
            .filter(|record| record.address == host.address() && record.port == host.port)
            .map(|record| record.keys.clone())
            .unwrap_or_default()
    }

    /// Tells when a run is stored; none if it is not on the board.
    pub fn ended(&self, id: RunId) -> Option<oneshot::Receiver<()>> {
        let mut inner = self.write();
        let run = inner.runs.get_mut(&id)?;
        let (tell, told) = oneshot::channel();
        run.waiting.retain(|waiting| !waiting.is_closed());
        run.waiting.push(tell);
        Some(told)
    }

    /// Runs that have not ended, and those that have and are on their way to the store.
    pub fn runs(&self) -> (Vec<RunRow>, Vec<RunRow>) {
        let inner = self.read();
        let (storing, open): (Vec<_>, Vec<_>) = inner.runs.values().partition(|run| run.storing);
        (open.into_iter().map(Run::row).collect(), storing.into_iter().map(Run::row).collect())
    }

    /// One run, and whether it is on its way to the store.
    pub fn run(&self, id: RunId) -> Option<(RunRow, bool)> {
        self.read().runs.get(&id).map(|run| (run.row(), run.storing))
    }

    /// What a run writes, once its command has started (another, if it had to be started again); closed when the run
    /// leaves the board.
    pub(super) fn output(&self, id: RunId) -> Option<watch::Receiver<Option<Arc<LiveOutput>>>> {
        self.read().runs.get(&id).map(|run| run.output.subscribe())
    }

    /// How many runs are on the board, those on their way to the store included.
    pub fn unsettled(&self) -> usize {
        self.read().runs.len()
    }

    /// How a host stands.
    pub fn host(&self, host: &Name) -> Option<HostRecord> {
        self.read().hosts.get(host).map(|row| row.record.clone())
    }
}

impl Inner {
    fn pair_mut(&mut self, host: &Name, task: Option<&Name>) -> Option<&mut Pair> {
        self.pairs.get_mut(host)?.get_mut(task?)
    }

    fn linked(&self) -> impl Iterator<Item = (&Name, &Name, &Pair)> {
        let all = self.pairs.iter().flat_map(|(host, tasks)| tasks.iter().map(move |(task, pair)| (host, task, pair)));
        all.filter(|(_, _, pair)| pair.linked)
    }

    fn runs_of(&self, host: &Name) -> impl Iterator<Item = &Run> {
        self.of_host.get(host).into_iter().flatten().filter_map(|id| self.runs.get(id))
    }

    fn begin(&mut self, run: Run) {
        self.of_host.entry(run.host.clone()).or_default().insert(run.open.id);
        self.runs.insert(run.open.id, run);
    }

    fn forget(&mut self, id: RunId) {
        if let Some(run) = self.runs.remove(&id) {
            if let Some(of_host) = self.of_host.get_mut(&run.host) {
                of_host.remove(&id);
                if of_host.is_empty() {
                    self.of_host.remove(&run.host);
                }
            }
            if let Some(pair) = self.pair_mut(&run.host, run.task.as_ref()) {
                pair.is_over(id);
            }
            for waiting in run.waiting {
                let _ = waiting.send(());
            }
        }
    }
}

impl Pair {
    fn is_over(&mut self, id: RunId) {
        self.running.retain(|running| *running != id);
    }
}

impl Run {
    fn new(host: &Name, task: Option<&Name>, open: OpenRun) -> Self {
        Self {
            host: host.clone(),
            task: task.cloned(),
            open,
            started_at: None,
            storing: false,
            waiting: Vec::new(),
            output: watch::Sender::default(),
        }
    }

    fn row(&self) -> RunRow {
        RunRow {
            id: self.open.id,
            host: self.host.clone(),
            task: self.task.clone(),
            schedule: self.open.schedule.clone(),
            trigger: self.open.trigger,
            by: self.open.by.clone(),
            group: self.open.group,
            cause: self.open.cause.clone(),
            state: if self.started_at.is_some() { RunState::Running } else { RunState::Queued },
            scheduled_at: self.open.scheduled_at,
            due_at: self.open.due_at,
            started_at: self.started_at,
        }
    }
}
