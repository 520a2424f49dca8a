//! `max_running`: on how many hosts of the node a task runs at once. Who finds no room waits without a session, and
//! those who wait go in the order in which they were due.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::published::Published;
use crate::model::{Name, RunId, Timestamp};

/// Who is earlier goes first.
type Due = (Timestamp, RunId);

/// Which tasks run on which hosts.
pub struct MaxRunning {
    tasks: Mutex<HashMap<Name, Runners>>,
    published: Published,
}

#[derive(Default)]
struct Runners {
    /// How many of its runs are on each host.
    hosts: HashMap<Name, usize>,
    waiting: BTreeMap<Due, (Name, oneshot::Sender<Slot>)>,
}

/// A run counts among those of its task until this is dropped.
pub(super) struct Slot {
    of: Arc<MaxRunning>,
    task: Name,
    host: Name,
}

/// A run's place among those that wait; who drops it waits no more.
pub(super) struct Waiting {
    of: Arc<MaxRunning>,
    task: Name,
    due: Due,
    slot: oneshot::Receiver<Slot>,
}

impl MaxRunning {
    /// As the present definitions say.
    pub fn new(published: Published) -> Self {
        Self { tasks: Mutex::default(), published }
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<Name, Runners>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On how many hosts the task may run; a definition that changes counts for those who wait, too.
    pub(super) fn most(&self, task: &Name) -> Option<usize> {
        let most = self.published.get().tasks.get(task)?.max_running?;
        usize::try_from(most).ok()
    }

    /// Goes at once, if there is room and nobody waits who was due before.
    pub(super) fn take(self: &Arc<Self>, task: &Name, host: &Name, due: Due) -> Option<Slot> {
        let most = self.most(task);
        let mut tasks = self.tasks();
        let runners = tasks.entry(task.clone()).or_default();
        let first = runners.waiting.first_key_value().is_none_or(|(other, _)| due < *other);
        if first && runners.has_room(host, most) {
            return Some(self.slot(runners, task, host));
        }
        None
    }

    /// Waits for room.
    pub(super) fn wait(self: &Arc<Self>, task: &Name, host: &Name, due: Due) -> Waiting {
        let (give, slot) = oneshot::channel();
        self.tasks().entry(task.clone()).or_default().waiting.insert(due, (host.clone(), give));
        self.grant(task);
        Waiting { of: Arc::clone(self), task: task.clone(), due, slot }
    }

    /// Definitions have changed.
    pub(super) fn look(self: &Arc<Self>) {
        let waited_for: Vec<Name> = self
            .tasks()
            .iter()
            .filter(|(_, runners)| !runners.waiting.is_empty())
            .map(|(task, _)| task.clone())
            .collect();
        waited_for.iter().for_each(|task| self.grant(task));
    }

    fn slot(self: &Arc<Self>, runners: &mut Runners, task: &Name, host: &Name) -> Slot {
        *runners.hosts.entry(host.clone()).or_default() += 1;
        Slot { of: Arc::clone(self), task: task.clone(), host: host.clone() }
    }

    fn grant(self: &Arc<Self>, task: &Name) {
        let most = self.most(task);
        // What could not be given is let go of outside of the lock: it comes back here.
        let mut unwanted = Vec::new();
        {
            let mut tasks = self.tasks();
            let Some(runners) = tasks.get_mut(task) else { return };
            while let Some(first) = runners.waiting.first_entry() {
                let host = first.get().0.clone();
                if !runners.has_room(&host, most) {
                    break;
                }
                let Some((_, (_, give))) = runners.waiting.pop_first() else { break };
                let slot = self.slot(runners, task, &host);
                unwanted.extend(give.send(slot).err());
            }
            if runners.hosts.is_empty() && runners.waiting.is_empty() {
                tasks.remove(task);
            }
        }
        drop(unwanted);
    }
}

impl Runners {
    fn has_room(&self, host: &Name, most: Option<usize>) -> bool {
        most.is_none_or(|most| self.hosts.len() < most || self.hosts.contains_key(host))
    }
}

impl Waiting {
    /// Until there is room.
    pub(super) async fn slot(&mut self) -> Option<Slot> {
        (&mut self.slot).await.ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(runners) = self.of.tasks().get_mut(&self.task) {
            runners.waiting.remove(&self.due);
        }
        // A slot that came in the last moment falls back by itself, and who waited behind this one is looked for.
        self.of.grant(&self.task);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(runners) = self.of.tasks().get_mut(&self.task)
            && let Some(count) = runners.hosts.get_mut(&self.host)
        {
            *count -= 1;
            if *count == 0 {
                runners.hosts.remove(&self.host);
            }
        }
        self.of.grant(&self.task);
    }
}
