//! Catching up with instants that passed while nobody looked: Alf was down, the machine suspended, its clock set
//! forward, the store away. All pairs are behind then, so that they take turns: what they missed never fills the
//! store's queue, and what is due now gets through between.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix::{ActorFutureExt as _, AsyncContext as _, Context, WrapFuture as _};
use chrono::{DateTime, Utc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::due::{self, Due};
use super::saving::{self, Settled};
use super::task::TaskActor;
use crate::model::{Instants, PairStanding, Reason, Trigger};
use crate::store::OpenRun;

/// How many pairs of the node catch up at a time. Each writes up to a hundred Results at once.
const AT_ONCE: usize = 16;

/// The turns of those who catch up.
pub struct CatchUp {
    turns: Arc<Semaphore>,
    /// How many wait or are at it, and what they have found missed: told in one line when all have caught up.
    behind: Mutex<Behind>,
}

#[derive(Debug, Default)]
struct Behind {
    here: u64,
    pairs: u64,
    instants: u64,
}

impl Default for CatchUp {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), behind: Mutex::default() }
    }
}

impl CatchUp {
    /// Waits for a turn.
    async fn turn(self: Arc<Self>) -> Turn {
        let mut turn = Turn { of: Arc::clone(&self), missed: AtomicU64::new(0), permit: None };
        self.count(|behind| behind.here += 1);
        turn.permit = Arc::clone(&self.turns).acquire_owned().await.ok();
        turn
    }

    fn count<T>(&self, with: impl FnOnce(&mut Behind) -> T) -> T {
        with(&mut self.behind.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One pair's turn: kept until what it missed is stored.
pub(super) struct Turn {
    of: Arc<CatchUp>,
    missed: AtomicU64,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let missed = self.missed.load(Ordering::Relaxed);
        let all = self.of.count(|behind| {
            behind.here = behind.here.saturating_sub(1);
            behind.pairs += u64::from(missed > 0);
            behind.instants += missed;
            (behind.here == 0).then(|| std::mem::take(behind))
        });
        if let Some(Behind { pairs: pairs @ 1.., instants, .. }) = all {
            log::info!(pairs, instants; "instants passed while Alf was away");
        }
    }
}

impl TaskActor {
    /// Whether instants passed while nobody looked; those to come are known.
    pub(super) fn is_behind(&self, now: DateTime<Utc>) -> bool {
        let Some(next) = &self.next else { return false };
        // Longer than any load explains.
        let asleep = now - next.due_at > due::ASLEEP;
        next.due_at <= now && (self.behind || asleep)
    }

    /// Catches up as soon as it is this pair's turn. Until then nothing of it is due: instants are dealt with in order.
    pub(super) fn catch_up_in_turn(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.waits_to_catch_up, true) {
            return;
        }
        let turn = Arc::clone(&self.parts.catch_up).turn();
        ctx.spawn(turn.into_actor(self).map(|turn, actor, ctx| {
            actor.waits_to_catch_up = false;
            actor.look();
            let now = actor.parts.clock.now();
            // While too much waits for the store already it comes back later.
            if !actor.parts.writer.is_full() && actor.is_behind(now) {
                actor.catch_up(now, Some(Arc::new(turn)), ctx);
            }
            actor.tick(ctx);
        }));
    }

    /// Deals with what was missed: by the schedule's `missed` it runs or leaves a SKIPPED each, the oldest folded into
    /// one.
    pub(super) fn catch_up(&mut self, now: DateTime<Utc>, turn: Option<Arc<Turn>>, ctx: &mut Context<Self>) {
        self.behind = false;
        let missed = due::missed(self.lines(), self.cursor, now, self.parts.missed_until);
        let Some(last) = missed.last() else { return };
        log::debug!(host = self.host.as_str(), task = self.task().as_str(), missed = missed.count();
            "instants passed while Alf was away");
        turn.iter().for_each(|turn| turn.missed.store(missed.count(), Ordering::Relaxed));
        self.cursor = last;
        let mut before = PairStanding::from(&*self.status);
        let mut skipped = Vec::new();
        if let Some((first, last, count)) = missed.folded {
            let instants = Instants { from: first.into(), until: last.at.into(), count };
            let message = format!("{count} instants passed while Alf was away");
            skipped.push(self.missed(last, message, (count > 1).then_some(instants)));
        }
        for (due, runs) in missed.told {
            if runs {
                // Written in the order in which they were due.
                self.save_skipped(&mut skipped, before, turn.as_ref());
                before = PairStanding::from(&*self.status);
                self.fire(Trigger::CatchUp, due, ctx);
            } else {
                skipped.push(self.missed(due, "the instant passed while Alf was away".to_owned(), None));
            }
        }
        self.save_skipped(&mut skipped, before, turn.as_ref());
        self.look();
    }

    fn missed(&mut self, due: Due, message: String, instants: Option<Instants>) -> Settled {
        let run: OpenRun = self.due_run(Trigger::Schedule, due);
        let result = self.result_of(|of, status, now| of.skipped(&run, Reason::Missed, message, instants, status, now));
        self.take_in(&run, result)
    }

    /// What is skipped together is stored together, the status with the newest; that one is what has happened.
    fn save_skipped(&self, skipped: &mut Vec<Settled>, before: PairStanding, turn: Option<&Arc<Turn>>) {
        if let Some((newest, _)) = skipped.last() {
            let event = self.event_of(before, newest);
            saving::save_all(&self.parts, std::mem::take(skipped), Arc::clone(&self.status), event, turn.cloned());
        }
    }
}
