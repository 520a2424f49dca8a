//! The session places of a host: how many runs may be on each of its connections, and who is next.
//!
//! sshd allows so many sessions on a connection (`MaxSessions`) and frees one a moment after it has said that it is
//! over, so that back-to-back runs at the limit are refused. Half of it is where a connection begins; while somebody
//! waits and nothing is refused it grows by one a second, and a refused session (which is asked for again, and is
//! never a failure) takes it back by one. One place is always left for a kill.
//!
//! Runs older than a minute may hold half of a connection: when more of them do and others wait, the host gets one
//! more connection.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::link::OpenSession;
use crate::model::{Name, RunId};

/// A run older than this is a long one.
const LONG: Duration = Duration::from_secs(60);
/// How long a limit is kept before it is tried with one more.
const CALM: Duration = Duration::from_secs(1);
/// Connections of one host at most.
const MOST_CONNECTIONS: usize = 8;
/// How many of those who wait are shown.
const SHOWN: usize = 20;

/// In which line a run waits: its task's; those without a task have one of their own.
pub(super) type Line = Option<Name>;

/// The session places of a host.
pub(super) struct Places(Mutex<Inner>);

struct Inner {
    /// What sshd allows on one connection, by the host's definition.
    most: usize,
    lanes: Vec<Lane>,
    queue: Queue,
    granted: u64,
}

/// One connection, and who is on it.
struct Lane {
    session: Arc<OpenSession>,
    limit: usize,
    /// When the limit changed last.
    changed: Instant,
    /// How many sessions were refused when last looked at.
    refused: u64,
    /// When each run on it began.
    held: HashMap<u64, Instant>,
    /// When the last of them left, or the connection was made.
    idle_since: Instant,
    /// It is lost: it takes nobody any more.
    lost: bool,
}

/// Who waits: the tasks take turns, within a task who came first is first.
#[derive(Default)]
struct Queue {
    tasks: BTreeMap<Line, VecDeque<Waiting>>,
    turns: VecDeque<Line>,
}

struct Waiting {
    run: RunId,
    give: oneshot::Sender<Place>,
}

/// A session place that somebody has; it is free again when this is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    pub(super) session: Arc<OpenSession>,
    id: u64,
}

/// How the places of one connection stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LaneFigures {
    /// Which connection.
    pub(super) generation: u64,
    /// Places in use.
    pub(super) used: usize,
    /// Places there are now.
    pub(super) limit: usize,
    /// Held by runs older than a minute.
    pub(super) long: usize,
    /// Sessions that the host refused and was asked for again.
    pub(super) refused: u64,
}

fn start_of(most: usize) -> usize {
    (most / 2).max(1)
}

impl Places {
    /// For a host whose sshd allows so many sessions on a connection; there is none yet.
    pub(super) fn new(most: u32) -> Arc<Self> {
        let (most, lanes, queue) = (most as usize, Vec::new(), Queue::default());
        Arc::new(Self(Mutex::new(Inner { most, lanes, queue, granted: 0 })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host's sshd allows so many sessions on a connection.
    pub(super) fn set_most(self: &Arc<Self>, most: u32) {
        {
            let mut inner = self.inner();
            inner.most = most as usize;
            let limit = start_of(inner.most);
            inner.lanes.iter_mut().for_each(|lane| lane.limit = limit);
        }
        self.grant();
    }

    /// Waits for a place; who lets go of the receiver waits no more.
    pub(super) fn wait(self: &Arc<Self>, task: Line, run: RunId) -> oneshot::Receiver<Place> {
        let (give, take) = oneshot::channel();
        self.inner().queue.push(task, Waiting { run, give });
        self.grant();
        take
    }

    /// One more connection.
    pub(super) fn add(self: &Arc<Self>, session: Arc<OpenSession>) {
        {
            let mut inner = self.inner();
            let (limit, now, refused) = (start_of(inner.most), Instant::now(), session.refused());
            let held = HashMap::new();
            inner.lanes.push(Lane { session, limit, changed: now, refused, held, idle_since: now, lost: false });
        }
        self.grant();
    }

    /// A connection is no more; who is on it stays on it. Answers how many others there are, none if it was not there.
    pub(super) fn remove(&self, generation: u64) -> Option<usize> {
        let mut inner = self.inner();
        let before = inner.lanes.len();
        inner.lanes.retain(|lane| lane.session.generation != generation);
        (inner.lanes.len() < before).then_some(inner.lanes.len())
    }

    /// No connection is wanted any more.
    pub(super) fn clear(&self) {
        self.inner().lanes.clear();
    }

    /// How many connections there are.
    pub(super) fn connections(&self) -> usize {
        self.inner().lanes.len()
    }

    /// The first connection: the one that leads on to other hosts.
    pub(super) fn first(&self) -> Option<Arc<OpenSession>> {
        self.inner().lanes.iter().find(|lane| !lane.lost).map(|lane| Arc::clone(&lane.session))
    }

    /// In words, that the host gives no session on any of its connections, although nobody has one.
    pub(super) fn refusal(&self) -> Option<String> {
        let refusals: Option<Vec<String>> = self.inner().lanes.iter().map(|lane| lane.session.refusal()).collect();
        refusals?.pop()
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.inner().queue.len()
    }

    /// Those who are next: task, run, place in the queue from 1 on.
    pub(super) fn next(&self) -> Vec<(Line, RunId, usize)> {
        self.inner().queue.in_order(SHOWN)
    }

    /// How each connection stands.
    pub(super) fn figures(&self) -> Vec<LaneFigures> {
        let now = Instant::now();
        let inner = self.inner();
        let figures = |lane: &Lane| LaneFigures {
            generation: lane.session.generation,
            used: lane.held.len(),
            limit: lane.limit,
            long: lane.long(now),
            refused: lane.session.refused(),
        };
        inner.lanes.iter().map(figures).collect()
    }

    /// Whether one more connection is called for: somebody waits, and on each that there is long runs hold more than
    /// half of the places.
    pub(super) fn wants_more(&self) -> bool {
        let now = Instant::now();
        let inner = self.inner();
        let crowded = |lane: &Lane| lane.lost || lane.long(now) * 2 > lane.limit;
        !inner.queue.is_empty()
            && !inner.lanes.is_empty()
            && inner.lanes.len() < MOST_CONNECTIONS
            && inner.lanes.iter().all(crowded)
    }

    /// Grows and gives: called while somebody waits, at least once a second.
    pub(super) fn look(self: &Arc<Self>) {
        self.grant();
    }

    /// Takes out the connections beyond the first that nobody has used for so long, and with `all` the first too; not
    /// those that lead on to other hosts. Answers how many are left.
    pub(super) fn shed(&self, unused_for: Duration, all: bool) -> usize {
        let now = Instant::now();
        let mut inner = self.inner();
        if inner.queue.is_empty() {
            let mut place = 0;
            inner.lanes.retain(|lane| {
                place += 1;
                let unused = lane.held.is_empty()
                    && now - lane.idle_since >= unused_for
                    && Arc::strong_count(&lane.session) == 1;
                !unused || (place == 1 && !all)
            });
        }
        inner.lanes.len()
    }

    fn grant(self: &Arc<Self>) {
        // What could not be given is let go of outside of the lock: it comes back here.
        let mut unwanted = Vec::new();
        {
            let mut inner = self.inner();
            inner.queue.forget_gone();
            inner.adapt();
            while !inner.queue.is_empty() {
                let Some(at) = inner.free() else { break };
                let Some(waiting) = inner.queue.pop() else { break };
                inner.granted += 1;
                let id = inner.granted;
                let lane = &mut inner.lanes[at];
                lane.held.insert(id, Instant::now());
                let place = Place { places: Arc::clone(self), session: Arc::clone(&lane.session), id };
                if let Err(place) = waiting.give.send(place) {
                    lane.held.remove(&id);
                    unwanted.push(place);
                }
            }
        }
        drop(unwanted);
    }

    fn release(self: &Arc<Self>, generation: u64, id: u64) {
        let left = {
            let mut inner = self.inner();
            let lane = inner.lanes.iter_mut().find(|lane| lane.session.generation == generation);
            lane.is_some_and(|lane| {
                lane.idle_since = Instant::now();
                lane.held.remove(&id).is_some()
            })
        };
        if left {
            self.grant();
        }
    }
}

impl Inner {
    /// The connection that takes the next one: the first with a free place.
    fn free(&self) -> Option<usize> {
        self.lanes.iter().position(|lane| !lane.lost && lane.held.len() < lane.limit)
    }

    fn adapt(&mut self) {
        let now = Instant::now();
        let most = self.most.saturating_sub(1).max(1);
        let wanted = !self.queue.is_empty();
        for lane in &mut self.lanes {
            let refused = lane.session.refused();
            if refused > lane.refused {
                lane.refused = refused;
                (lane.limit, lane.changed) = ((lane.limit - 1).max(1), now);
            } else if wanted && lane.held.len() >= lane.limit && lane.limit < most && now - lane.changed >= CALM {
                (lane.limit, lane.changed) = (lane.limit + 1, now);
            }
        }
    }
}

impl Lane {
    fn long(&self, now: Instant) -> usize {
        self.held.values().filter(|began| now - **began > LONG).count()
    }
}

impl Queue {
    fn push(&mut self, task: Line, waiting: Waiting) {
        let line = self.tasks.entry(task.clone()).or_default();
        if line.is_empty() {
            self.turns.push_back(task);
        }
        line.push_back(waiting);
    }

    fn pop(&mut self) -> Option<Waiting> {
        let task = self.turns.pop_front()?;
        let line = self.tasks.get_mut(&task)?;
        let next = line.pop_front();
        if line.is_empty() {
            self.tasks.remove(&task);
        } else {
            self.turns.push_back(task);
        }
        next
    }

    /// Who has given up does not stand in anybody's way.
    fn forget_gone(&mut self) {
        self.tasks.retain(|_, line| {
            line.retain(|waiting| !waiting.give.is_closed());
            !line.is_empty()
        });
        self.turns.retain(|task| self.tasks.contains_key(task));
    }

    fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    fn len(&self) -> usize {
        self.tasks.values().flatten().filter(|waiting| !waiting.give.is_closed()).count()
    }

    /// Who is next, in the order in which they will be.
    fn in_order(&self, most: usize) -> Vec<(Line, RunId, usize)> {
        let mut order = Vec::new();
        let longest = self.tasks.values().map(VecDeque::len).max().unwrap_or(0);
        for round in 0..longest {
            for task in &self.turns {
                if let Some(waiting) = self.tasks.get(task).and_then(|line| line.get(round)) {
                    order.push((task.clone(), waiting.run, order.len() + 1));
                    if order.len() == most {
                        return order;
                    }
                }
            }
        }
        order
    }
}

impl Place {
    /// Its connection was found lost: nobody else is sent there.
    pub(super) fn condemn(&self) {
        let mut inner = self.places.inner();
        if let Some(lane) = inner.lanes.iter_mut().find(|lane| lane.session.generation == self.session.generation) {
            lane.lost = true;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.release(self.session.generation, self.id);
    }
}

#[cfg(test)]
mod tests;
