//! `StoreActor`: the one writer of the ledger. What waits when the last commit ends goes into the next one: no timer,
//! no added delay. Lossless: while the store is away, writes wait and are tried again; who wrote waits with them.
//!
//! What waits stands in a [`Queue`] that belongs to no actor, and leaves it when it is on disk: when the actor dies its
//! next life goes on where it stopped, nothing is lost and nothing overtakes what was written before it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, WrapFuture as _};
use tokio::sync::oneshot;

use super::error::AlfError;
use super::supervision::{ActorHealth, Obituary, Slot, supervised};
use crate::store::{Store, StoreError, Write, Written};

/// Most writes of one commit: beyond that a transaction delays those that wait behind it.
const MOST_WRITES: usize = 500;
/// Most bytes of output in one commit (but for the first Result in it), for the same reason.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// First and longest wait before a commit is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// A store that is back is noticed, and has taken what waits, within this time.
const FLUSHED_WITHIN: Duration = Duration::from_secs(7);

/// Something waits in the queue.
#[derive(Message)]
#[rtype(result = "()")]
struct Pump;

/// Asks how it stands.
#[derive(Message)]
#[rtype(result = "ActorHealth")]
pub struct StoreHealth;

type Answer = Result<Vec<Written>, StoreError>;

/// Writes that belong into one transaction; answered when they are on disk.
struct Commit {
    writes: Arc<[Write]>,
    answer: oneshot::Sender<Answer>,
}

/// What waits for the store, oldest first, that which is being committed included.
pub struct Queue {
    waiting: Mutex<Waiting>,
    /// `runs.queue`: when so much waits, who can wait writes nothing more; instants are dealt with later, requests refused.
    most: usize,
}

#[derive(Default)]
struct Waiting {
    commits: VecDeque<Commit>,
    /// Why the last commit failed, until one goes through.
    failing: Option<String>,
}

impl Queue {
    /// Empty; full when this many commits wait.
    pub fn new(most: usize) -> Self {
        Self { waiting: Mutex::default(), most }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one writer of the ledger.
pub struct StoreActor {
    store: Arc<dyn Store>,
    queue: Arc<Queue>,
    committing: bool,
    /// So many commits from the queue's front are done one by one: one of them is refused, and the others with it.
    /// Also one that tells whether a store that was away is back.
    one_by_one: usize,
    failures: u32,
    last_error: Option<String>,
    commits: u64,
    _obituary: Obituary,
}

impl StoreActor {
    /// On a store; goes on with what is in the queue.
    pub fn new(store: Arc<dyn Store>, queue: Arc<Queue>, obituary: Obituary) -> Self {
        Self {
            store,
            queue,
            committing: false,
            one_by_one: 0,
            failures: 0,
            last_error: None,
            commits: 0,
            _obituary: obituary,
        }
    }

    /// Commits what waits, if nothing is being committed.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        if self.committing {
            return;
        }
        let batch = self.batch();
        let count = batch.len();
        if count == 0 {
            return;
        }
        self.committing = true;
        let store = Arc::clone(&self.store);
        let job = async move {
            let writes = batch.iter().flat_map(|writes| writes.iter().cloned()).collect();
            store.commit(writes).await
        };
        ctx.spawn(job.into_actor(self).map(move |answer, actor, ctx| actor.committed(count, answer, ctx)));
    }

    /// The next commits' writes; they stay in the queue until they are done.
    fn batch(&self) -> Vec<Arc<[Write]>> {
        let mut waiting = self.queue.lock();
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
            if self.one_by_one > 0 || writes >= MOST_WRITES {
                break;
            }
        }
        batch
    }

    fn committed(&mut self, count: usize, answer: Answer, ctx: &mut Context<Self>) {
        match answer {
            Ok(written) => {
                if self.failures > 0 {
                    log::info!(failures = self.failures; "the store is back");
                }
                self.failures = 0;
                self.commits += 1;
                self.settle(count, Ok(written));
            }
            Err(error) if error.is_passing() => {
                self.wait(&error, ctx);
                return;
            }
            Err(error) if count == 1 => {
                log::error!("a write was refused for good: {error}");
                self.last_error = Some(error.to_string());
                self.settle(count, Err(error));
            }
            Err(_) => self.one_by_one = count,
        }
        self.committing = false;
        self.pump(ctx);
    }

    /// Takes commits that are done out of the queue and answers them.
    fn settle(&mut self, count: usize, answer: Answer) {
        self.one_by_one = self.one_by_one.saturating_sub(count);
        let done: Vec<Commit> = {
            let mut waiting = self.queue.lock();
            waiting.failing = None;
            waiting.commits.drain(..count).collect()
        };
        let mut written = match answer {
            Ok(written) => written.into_iter(),
            Err(error) => {
                for commit in done {
                    let _ = commit.answer.send(Err(error.clone()));
                }
                return;
            }
        };
        for commit in done {
            let part = written.by_ref().take(commit.writes.len()).collect();
            let _ = commit.answer.send(Ok(part));
        }
    }

    /// The store is away: tries again later.
    fn wait(&mut self, error: &StoreError, ctx: &mut Context<Self>) {
        if self.failures == 0 {
            log::error!("{error}; writes wait until it is back");
        }
        self.failures += 1;
        // One is enough to find out whether it is back.
        self.one_by_one = self.one_by_one.max(1);
        self.last_error = Some(error.to_string());
        self.queue.lock().failing = Some(error.to_string());
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

impl Handler<StoreHealth> for StoreActor {
    type Result = actix::MessageResult<StoreHealth>;

    fn handle(&mut self, _: StoreHealth, _: &mut Context<Self>) -> Self::Result {
        let state = if self.failures == 0 { "up" } else { "waiting for the store" };
        actix::MessageResult(ActorHealth {
            state: state.to_owned(),
            last_error: self.last_error.clone(),
            queue: self.queue.lock().commits.len() as u64,
            ..ActorHealth::up("store", self.store.kind()).with("commits", self.commits)
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

    /// Whether so much waits that who can wait should not add to it.
    pub fn is_full(&self) -> bool {
        self.queue.lock().commits.len() >= self.queue.most
    }

    /// Why the store does not take writes now, if it does not.
    pub fn failing(&self) -> Option<String> {
        self.queue.lock().failing.clone()
    }

    /// Waits until all is on disk that waits now; refuses when that takes longer than a store that is back needs.
    pub(super) async fn flushed(&self) -> Result<(), AlfError> {
        if self.waiting() == 0 {
            return Ok(());
        }
        let slow = || format!("{} writes wait for the store; try again", self.waiting());
        match tokio::time::timeout(FLUSHED_WITHIN, self.write(Vec::new())).await {
            Ok(written) => Ok(written.map(drop)?),
            Err(_) => Err(AlfError::Store(self.failing().unwrap_or_else(slow))),
        }
    }

    /// Nothing is written any more: who still waits is told so.
    pub fn close(&self) {
        self.queue.lock().commits.clear();
    }

    /// Writes, waiting as long as it takes; an error is one that no waiting mends. Writes are committed in the order of
    /// these calls, whenever their futures are polled. One whose future was dropped may be left out.
    pub fn write(&self, writes: Vec<Write>) -> impl Future<Output = Result<Vec<Written>, StoreError>> + use<> {
        let (answer, answered) = oneshot::channel();
        self.queue.lock().commits.push_back(Commit { writes: writes.into(), answer });
        // One that is being built anew looks into the queue by itself.
        self.actor.get().do_send(Pump);
        async move {
            answered
                .await
                .unwrap_or_else(|_| Err(StoreError::Unavailable("Alf ended before it was written".to_owned())))
        }
    }
}
