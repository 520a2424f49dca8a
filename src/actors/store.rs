//! `StoreActor`: the one writer of the ledger. What waits when the last commit ends goes into the next one: no timer,
//! no added delay. Lossless: while the store is away, writes wait and are tried again; who wrote waits with them, and
//! the runs they belong to hold the permits that bound how many can wait.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, WrapFuture as _};
use tokio::sync::oneshot;

use super::supervision::{ActorHealth, Obituary, Slot};
use crate::store::{Store, StoreError, Write, Written};

/// Most writes of one commit: beyond that a transaction delays those that wait behind it.
const MOST_WRITES: usize = 500;
/// First and longest wait before a commit is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Writes all of these in one transaction; answered when they are on disk.
#[derive(Message)]
#[rtype(result = "()")]
struct Commit {
    writes: Vec<Write>,
    answer: oneshot::Sender<Result<Vec<Written>, StoreError>>,
}

/// Asks how it stands.
#[derive(Message)]
#[rtype(result = "ActorHealth")]
pub struct StoreHealth;

/// For tests of supervision: panics.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Crash;

/// The one writer of the ledger.
pub struct StoreActor {
    store: Arc<dyn Store>,
    waiting: VecDeque<Commit>,
    committing: bool,
    failures: u32,
    last_error: Option<String>,
    commits: u64,
    _obituary: Obituary,
}

impl StoreActor {
    /// On a store.
    pub fn new(store: Arc<dyn Store>, obituary: Obituary) -> Self {
        Self {
            store,
            waiting: VecDeque::new(),
            committing: false,
            failures: 0,
            last_error: None,
            commits: 0,
            _obituary: obituary,
        }
    }

    /// Commits what waits, if nothing is being committed.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        if self.committing || self.waiting.is_empty() {
            return;
        }
        let mut batch = Vec::new();
        let mut writes = 0;
        while let Some(next) = self.waiting.pop_front() {
            // Nobody waits for it any more: it may have gone through before, and is safe to leave out.
            if next.answer.is_closed() {
                continue;
            }
            writes += next.writes.len();
            batch.push(next);
            if writes >= MOST_WRITES {
                break;
            }
        }
        if batch.is_empty() {
            return;
        }
        self.committing = true;
        let store = Arc::clone(&self.store);
        let job = async move {
            let all = batch.iter().flat_map(|commit| commit.writes.iter().cloned()).collect();
            let result = store.commit(all).await;
            (batch, result)
        };
        ctx.spawn(job.into_actor(self).map(|(batch, result), actor, ctx| actor.committed(batch, result, ctx)));
    }

    fn committed(
        &mut self,
        batch: Vec<Commit>,
        result: Result<Vec<Written>, StoreError>,
        ctx: &mut Context<Self>,
    ) {
        match result {
            Ok(written) => {
                if self.failures > 0 {
                    log::info!(failures = self.failures; "the store is back");
                }
                self.failures = 0;
                self.commits += 1;
                let mut written = written.into_iter();
                for commit in batch {
                    let part = written.by_ref().take(commit.writes.len()).collect();
                    let _ = commit.answer.send(Ok(part));
                }
            }
            Err(error) if !error.is_passing() && batch.len() == 1 => {
                log::error!("a write was refused for good: {error}");
                self.last_error = Some(error.to_string());
                batch.into_iter().for_each(|commit| {
                    let _ = commit.answer.send(Err(error.clone()));
                });
            }
            Err(error) => {
                if self.failures == 0 {
                    log::error!("{error}; writes wait until it is back");
                }
                self.failures += 1;
                self.last_error = Some(error.to_string());
                // A write that is refused for good is found by committing one at a time.
                let one_by_one = !error.is_passing();
                batch.into_iter().rev().for_each(|commit| self.waiting.push_front(commit));
                if one_by_one {
                    self.retry_one(ctx);
                    return;
                }
                let wait = RETRY.0.saturating_mul(1 << self.failures.min(10)).min(RETRY.1);
                ctx.run_later(wait, |actor, ctx| {
                    actor.committing = false;
                    actor.pump(ctx);
                });
                return;
            }
        }
        self.committing = false;
        self.pump(ctx);
    }

    fn retry_one(&mut self, ctx: &mut Context<Self>) {
        let Some(commit) = self.waiting.pop_front() else { return };
        let store = Arc::clone(&self.store);
        let job = async move {
            let result = store.commit(commit.writes.clone()).await;
            (vec![commit], result)
        };
        ctx.spawn(job.into_actor(self).map(|(batch, result), actor, ctx| actor.committed(batch, result, ctx)));
    }
}

impl Actor for StoreActor {
    type Context = Context<Self>;
}

impl Handler<Commit> for StoreActor {
    type Result = ();

    fn handle(&mut self, commit: Commit, ctx: &mut Context<Self>) {
        self.waiting.push_back(commit);
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
            queue: self.waiting.len() as u64,
            ..ActorHealth::up("store", self.store.kind()).with("commits", self.commits)
        })
    }
}

impl Handler<Crash> for StoreActor {
    type Result = ();

    #[expect(clippy::panic, reason = "a test asks for it")]
    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("a test asked the store actor to panic");
    }
}

/// Writes through the store actor, whichever of its lives it is in. Cheap to clone.
#[derive(Clone)]
pub struct StoreWriter {
    actor: Slot<StoreActor>,
    waiting: Arc<AtomicU64>,
}

impl StoreWriter {
    /// To this actor.
    pub fn new(actor: Slot<StoreActor>) -> Self {
        Self { actor, waiting: Arc::default() }
    }

    /// How many writes wait.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Writes, waiting as long as it takes; an error is one that no waiting mends. Writes are committed in the order of
    /// these calls, whenever their futures are polled. Every write is safe to repeat, so that one whose answer was lost
    /// with the actor is simply sent again.
    pub fn write(&self, writes: Vec<Write>) -> impl Future<Output = Result<Vec<Written>, StoreError>> + use<> {
        let counted = Counted::new(Arc::clone(&self.waiting));
        let actor = self.actor.clone();
        let mut answered = send(&actor, writes.clone());
        async move {
            let _counted = counted;
            let mut wait = RETRY.0;
            loop {
                if let Ok(result) = answered.await {
                    return result;
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(RETRY.1);
                answered = send(&actor, writes.clone());
            }
        }
    }
}

fn send(actor: &Slot<StoreActor>, writes: Vec<Write>) -> oneshot::Receiver<Result<Vec<Written>, StoreError>> {
    let (answer, answered) = oneshot::channel();
    actor.get().do_send(Commit { writes, answer });
    answered
}

/// Counts one who waits, for as long as it lives.
struct Counted(Arc<AtomicU64>);

impl Counted {
    fn new(counter: Arc<AtomicU64>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
