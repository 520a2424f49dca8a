//! `StoreActor`: the one writer of the ledger. What waits when the last commit ends goes into the next one: no timer,
//! no added delay; the store takes it by itself (`Feed`) and goes on while the answers are told here. Lossless: while the store is away, writes wait and are tried again; who wrote waits with them.
//!
//! What waits stands in a [`Queue`] that belongs to no actor, and leaves it when it is on disk: when the actor dies its
//! next life goes on where it stopped, nothing is lost and nothing overtakes what was written before it. Only who says
//! so ([`StoreWriter::write_soon`]) is refused instead: a person, who would ask again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{Actor, ActorFutureExt as _, Addr, AsyncContext as _, Context, Handler, Message, WrapFuture as _};
use tokio::sync::oneshot;

use super::counts::Counter;
use super::supervision::{ActorHealth, Obituary, Slot, supervised};
use crate::store::{Source, Store, StoreError, Write, Written};

/// Most writes of one commit: beyond that a transaction delays those that wait behind it.
const MOST_WRITES: usize = 500;
/// Most bytes of output in one commit (but for the first Result in it), for the same reason.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// First and longest wait before a commit is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// How long who is in a hurry waits for a slow store: less than a person is made to wait for an answer.
const SOON: Duration = Duration::from_secs(5);

/// Something waits in the queue.
#[derive(Message)]
#[rtype(result = "()")]
struct Pump;

/// A commit went through: who waits for it is told.
#[derive(Message)]
#[rtype(result = "()")]
struct Settle;

/// Somebody found the store away.
#[derive(Message)]
#[rtype(result = "()")]
struct Away(StoreError);

/// Asks how it stands.
#[derive(Message)]
#[rtype(result = "ActorHealth")]
pub struct StoreHealth;

type Answer = Result<Vec<Written>, StoreError>;

/// Writes that belong into one transaction; answered when they are on disk.
struct Commit {
    writes: Arc<[Write]>,
    answer: oneshot::Sender<Answer>,
    /// Whether it is refused, not kept, when the store is away.
    soon: bool,
}

/// What waits for the store, oldest first, that which is being committed included.
pub struct Queue {
    waiting: Mutex<Waiting>,
    /// Transactions that went through.
    commits: Counter,
    /// `runs.queue`: when so much waits, who can wait writes nothing more; instants are dealt with later, requests refused.
    most: usize,
}

#[derive(Default)]
struct Waiting {
    commits: VecDeque<Commit>,
    /// So many of them, from the front, are being committed.
    committing: usize,
    /// So many, from the front, are committed one by one: one of them is refused, and the others with it. Also one that
    /// tells whether a store that was away is back.
    one_by_one: usize,
    /// Those on disk whose writers are not told yet, and what to tell them.
    done: Vec<(Vec<Commit>, Vec<Written>)>,
    /// Why the last commit failed, until one goes through.
    failing: Option<StoreError>,
}

impl Waiting {
    /// Takes out those that were being committed.
    fn take_committed(&mut self) -> Vec<Commit> {
        let count = std::mem::take(&mut self.committing).min(self.commits.len());
        self.one_by_one = self.one_by_one.saturating_sub(count);
        self.failing = None;
        self.commits.drain(..count).collect()
    }
}

impl Queue {
    /// Empty; full when this many commits wait.
    pub fn new(most: usize) -> Self {
        Self { waiting: Mutex::default(), commits: Counter::default(), most }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next commits' writes; they stay in the queue until they are done.
    fn batch(&self) -> Vec<Arc<[Write]>> {
        let mut waiting = self.lock();
        let mut batch: Vec<Arc<[Write]>> = Vec::new();
        let (mut writes, mut bytes) = (0, 0);
        while let Some(commit) = waiting.commits.get(batch.len()) {
            // Nobody waits for it any more: who wrote it died with it, and what it opened is settled otherwise.
            if commit.answer.is_closed() {
                waiting.commits.remove(batch.len());
                continue;
            }
            writes += commit.writes.len();
            bytes += commit.writes.iter().map(output).sum::<usize>();
            if bytes > MOST_BYTES && !batch.is_empty() {
                break;
            }
            batch.push(Arc::clone(&commit.writes));
            if waiting.one_by_one > 0 || writes >= MOST_WRITES {
                break;
            }
        }
        waiting.committing = batch.len();
        batch
    }

    /// Tells the writers of what is on disk so.
    fn settle(&self) {
        let done = std::mem::take(&mut self.lock().done);
        for (commits, written) in done {
            let mut written = written.into_iter();
            for commit in commits {
                let part = written.by_ref().take(commit.writes.len()).collect();
                let _ = commit.answer.send(Ok(part));
            }
        }
    }

    /// What was being committed is refused for good; true if it was a single one, whose writer is told. Else they are
    /// tried one by one.
    fn refused(&self, error: &StoreError) -> bool {
        let mut waiting = self.lock();
        if waiting.committing > 1 {
            waiting.one_by_one = std::mem::take(&mut waiting.committing);
            return false;
        }
        let refused = waiting.take_committed();
        drop(waiting);
        for commit in refused {
            let _ = commit.answer.send(Err(error.clone()));
        }
        true
    }

    /// The store is away: who cannot wait for it is told so, but for what is being committed.
    fn refuse(&self, error: &StoreError) {
        let mut waiting = self.lock();
        waiting.failing = Some(error.clone());
        let behind = waiting.committing.min(waiting.commits.len());
        let (refused, kept): (Vec<_>, Vec<_>) = waiting.commits.drain(behind..).partition(|commit| commit.soon);
        waiting.commits.extend(kept);
        drop(waiting);
        for commit in refused {
            let _ = commit.answer.send(Err(error.clone()));
        }
    }

    /// Takes a commit back; false when it is too late for that.
    fn take_back(&self, writes: &Arc<[Write]>) -> bool {
        let mut waiting = self.lock();
        let place = waiting.commits.iter().position(|commit| Arc::ptr_eq(&commit.writes, writes));
        place.filter(|place| *place >= waiting.committing).and_then(|place| waiting.commits.remove(place)).is_some()
    }
}

/// The queue as the store sees it, on whatever thread.
struct Feed {
    queue: Arc<Queue>,
    actor: Addr<StoreActor>,
}

impl Source for Feed {
    fn next(&self) -> Vec<Arc<[Write]>> {
        self.queue.batch()
    }

    fn done(&self, written: Vec<Written>) {
        let mut waiting = self.queue.lock();
        let commits = waiting.take_committed();
        waiting.done.push((commits, written));
        drop(waiting);
        self.queue.commits.add(1);
        // If it is being built anew, its next life tells them.
        self.actor.do_send(Settle);
    }
}

/// The one writer of the ledger.
pub struct StoreActor {
    store: Arc<dyn Store>,
    queue: Arc<Queue>,
    committing: bool,
    failures: u32,
    last_error: Option<String>,
    _obituary: Obituary,
}

impl StoreActor {
    /// On a store; goes on with what is in the queue.
    pub fn new(store: Arc<dyn Store>, queue: Arc<Queue>, obituary: Obituary) -> Self {
        // A store that was away for the life before this one still is.
        let failures = u32::from(queue.lock().failing.is_some());
        Self { store, queue, committing: false, failures, last_error: None, _obituary: obituary }
    }

    /// Has what waits committed, if nothing is being committed. When nothing waits for a store that was away, it is
    /// asked whether it is back.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        if self.committing {
            return;
        }
        let nothing_waits = self.queue.lock().commits.is_empty();
        // What the store did for the life before this one is told by none but this one.
        self.settle();
        if nothing_waits && self.failures == 0 {
            return;
        }
        self.committing = true;
        let store = Arc::clone(&self.store);
        let feed = Arc::new(Feed { queue: Arc::clone(&self.queue), actor: ctx.address() });
        let job = async move { if nothing_waits { store.check().await } else { store.commit_from(feed).await } };
        ctx.spawn(job.into_actor(self).map(move |answer, actor, ctx| actor.committed(nothing_waits, answer, ctx)));
    }

    fn committed(&mut self, only_asked: bool, answer: Result<(), StoreError>, ctx: &mut Context<Self>) {
        if only_asked && answer.is_ok() {
            self.queue.lock().failing = None;
        }
        self.settle();
        match answer {
            Ok(()) => {}
            Err(error) if error.is_passing() || only_asked => {
                self.wait(&error, ctx);
                return;
            }
            Err(error) => {
                if self.queue.refused(&error) {
                    log::error!("a write was refused for good: {error}");
                    self.last_error = Some(error.to_string());
                }
            }
        }
        self.committing = false;
        self.pump(ctx);
    }

    /// Tells the writers of what is on disk so.
    fn settle(&mut self) {
        if self.failures > 0 && self.queue.lock().failing.is_none() {
            log::info!(failures = self.failures; "the store is back");
            self.failures = 0;
        }
        self.queue.settle();
    }

    /// The store is away: tries again later. Who cannot wait so long is told.
    fn wait(&mut self, error: &StoreError, ctx: &mut Context<Self>) {
        if self.failures == 0 {
            log::error!("{error}; writes wait until it is back");
        }
        self.failures += 1;
        self.last_error = Some(error.to_string());
        self.committing = true;
        let mut waiting = self.queue.lock();
        waiting.committing = 0;
        // One is enough to find out whether it is back.
        waiting.one_by_one = waiting.one_by_one.max(1);
        drop(waiting);
        self.queue.refuse(error);
        let wait = RETRY.0.saturating_mul(1 << (self.failures - 1).min(10)).min(RETRY.1);
        ctx.run_later(wait, |actor, ctx| {
            actor.committing = false;
            actor.pump(ctx);
        });
    }
}

/// Bytes of output in a write.
fn output(write: &Write) -> usize {
    match write {
        Write::Save { result, .. } => result.stdout.bytes.len() + result.stderr.bytes.len(),
        _ => 0,
    }
}

impl Actor for StoreActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.pump(ctx);
    }
}

supervised!(StoreActor);

impl Handler<Pump> for StoreActor {
    type Result = ();

    fn handle(&mut self, _: Pump, ctx: &mut Context<Self>) {
        self.pump(ctx);
    }
}

impl Handler<Settle> for StoreActor {
    type Result = ();

    fn handle(&mut self, _: Settle, _: &mut Context<Self>) {
        self.settle();
    }
}

impl Handler<Away> for StoreActor {
    type Result = ();

    fn handle(&mut self, Away(error): Away, ctx: &mut Context<Self>) {
        if !error.is_passing() {
            return;
        }
        if self.committing {
            // What is being committed finds out by itself.
            self.queue.refuse(&error);
        } else {
            self.wait(&error, ctx);
        }
    }
}

impl Handler<StoreHealth> for StoreActor {
    type Result = actix::MessageResult<StoreHealth>;

    fn handle(&mut self, _: StoreHealth, _: &mut Context<Self>) -> Self::Result {
        let state = if self.failures == 0 { "up" } else { "waiting for the store" };
        actix::MessageResult(ActorHealth {
            state: state.to_owned(),
            last_error: self.last_error.clone(),
            queue: self.queue.lock().commits.len() as u64,
            ..ActorHealth::up("store", self.store.kind()).with("commits", self.queue.commits.get())
        })
    }
}

/// Writes through the store actor, whichever of its lives it is in. Cheap to clone.
#[derive(Clone)]
pub struct StoreWriter {
    actor: Slot<StoreActor>,
    queue: Arc<Queue>,
}

impl StoreWriter {
    /// Through this queue to this actor.
    pub fn new(actor: Slot<StoreActor>, queue: Arc<Queue>) -> Self {
        Self { actor, queue }
    }

    /// How many commits wait.
    pub fn waiting(&self) -> u64 {
        self.queue.lock().commits.len() as u64
    }

    /// How many transactions went through.
    pub fn commits(&self) -> u64 {
        self.queue.commits.get()
    }

    /// Whether so much waits that who can wait should not add to it.
    pub fn is_full(&self) -> bool {
        self.queue.lock().commits.len() >= self.queue.most
    }

    /// Why the store does not take writes now, if it does not.
    pub fn failing(&self) -> Option<StoreError> {
        self.queue.lock().failing.clone()
    }

    /// Waits until all is on disk that waits now, as [`Self::write_soon`] does.
    pub(super) async fn flushed(&self) -> Result<(), StoreError> {
        if self.waiting() == 0 && self.failing().is_none() {
            return Ok(());
        }
        self.write_soon(Vec::new()).await.map(drop)
    }

    /// Nothing is written any more: who still waits is told so.
    pub fn close(&self) {
        self.queue.settle();
        self.queue.lock().commits.clear();
    }

    /// Somebody found the store away: it is asked from now on until it is back, and who cannot wait is refused meanwhile.
    pub fn found_away(&self, error: &StoreError) {
        self.actor.get().do_send(Away(error.clone()));
    }

    /// Writes, waiting as long as it takes; an error is one that no waiting mends. Writes are committed in the order of
    /// these calls, whenever their futures are polled. One whose future was dropped may be left out.
    pub fn write(&self, writes: Vec<Write>) -> impl Future<Output = Answer> + use<> {
        let (_, answered) = self.enqueue(writes, false);
        async move { answered.await.unwrap_or_else(|_| Err(ended())) }
    }

    /// The same for who would rather be refused than wait for a store that is away, or slow for more than a few seconds:
    /// with an error nothing was written, and nothing will be.
    pub fn write_soon(&self, writes: Vec<Write>) -> impl Future<Output = Answer> + use<> {
        let refused = self.failing();
        let queued = if refused.is_none() { Some(self.enqueue(writes, true)) } else { None };
        let queue = Arc::clone(&self.queue);
        async move {
            let Some((writes, mut answered)) = queued else { return Err(refused.unwrap_or_else(ended)) };
            let answer = match tokio::time::timeout(SOON, &mut answered).await {
                Ok(answer) => answer,
                Err(_) if queue.take_back(&writes) => {
                    let slow = format!("it is slow: others have waited for it for more than {} s", SOON.as_secs());
                    return Err(StoreError::Unavailable(slow));
                }
                Err(_) => answered.await,
            };
            answer.unwrap_or_else(|_| Err(ended()))
        }
    }

    fn enqueue(&self, writes: Vec<Write>, soon: bool) -> (Arc<[Write]>, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        let writes: Arc<[Write]> = writes.into();
        let mut waiting = self.queue.lock();
        waiting.commits.push_back(Commit { writes: Arc::clone(&writes), answer, soon });
        let is_busy = waiting.committing > 0;
        drop(waiting);
        // While something is being committed the queue is looked into afterwards in any case, and by one that is being built
        // anew, too.
        if !is_busy {
            self.actor.get().do_send(Pump);
        }
        (writes, answered)
    }
}

fn ended() -> StoreError {
    StoreError::Unavailable("Alf ended before it was written".to_owned())
}
