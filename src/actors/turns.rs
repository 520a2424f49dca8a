//! A pair's runs beside one another: who goes now, who waits for those before it, who is skipped.
//!
//! What waits is claimed already, so that a crash leaves its Result too.

use std::future::ready;
use std::sync::Arc;

use actix::{Context, Handler, Message, ResponseFuture};
use futures_util::FutureExt as _;

use super::audit::tell_first;
use super::host::StartRun;
use super::ledger::RunEnd;
use super::once::Once;
use super::task::{Claimed, TaskActor};
use crate::model::{AuditEntry, Given, Overlap, Reason, RunId, Span, Trigger};
use crate::store::{OpenRun, Write};

/// What a run that is wanted now gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It goes at once.
    Now,
    /// It waits until those before it have ended.
    Later,
    /// It does not run: this one is still going, or waits already.
    Never(RunId),
}

/// A run that waits for those before it.
#[derive(Debug)]
pub(super) struct Waiting {
    run: OpenRun,
    given: Arc<Given>,
    claimed: bool,
}

impl Waiting {
    /// The run.
    pub(super) fn id(&self) -> RunId {
        self.run.id
    }
}

/// Ends a run that waits for its turn; false if it is not one of those that do.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub(super) struct CancelWaiting {
    /// The run.
    pub(super) id: RunId,
    /// What the audit is told of it.
    pub(super) told: AuditEntry,
}

/// Most runs of one pair that wait for their turn.
const MOST_WAITING: usize = 1000;

/// Whether a run waits for its turn whatever the task's `overlap` says.
pub(super) fn waits(trigger: Trigger) -> bool {
    matches!(trigger, Trigger::CatchUp | Trigger::Action)
}

impl TaskActor {
    /// What a run gets that is wanted now. What is caught up with was due one after the other and runs so; what an Action
    /// starts is not to be lost and waits for as long as it may. Neither takes the place that `overlap: queue` has for one.
    pub(super) fn turn_of(&self, trigger: Trigger) -> Turn {
        let going = self.in_flight.keys().next();
        let Some(before) = going.or(self.waiting.front().map(|waiting| &waiting.run.id)) else { return Turn::Now };
        let queued = self.waiting.iter().find(|waiting| !waits(waiting.run.trigger));
        match (self.plan.task.overlap, queued) {
            (Overlap::Allow, _) => Turn::Now,
            (Overlap::Skip | Overlap::Queue, _) if waits(trigger) && self.waiting.len() < MOST_WAITING => Turn::Later,
            (Overlap::Queue, None) => Turn::Later,
            (Overlap::Queue, Some(queued)) => Turn::Never(queued.run.id),
            (Overlap::Skip, _) => Turn::Never(*before),
        }
    }

    /// Claims a run: nothing is sent without it on disk; the audit is told with it, and the request for it is remembered. It
    /// waits where its turn is later.
    pub(super) fn claim(
        &mut self,
        run: &OpenRun,
        given: &Arc<Given>,
        turn: Turn,
        with: Vec<Write>,
        once: Option<Once>,
    ) -> impl Future<Output = Claimed> + use<> {
        let given = Arc::clone(given);
        match turn {
            Turn::Later => self.waiting.push_back(Waiting { run: run.clone(), given, claimed: false }),
            Turn::Now | Turn::Never(_) => drop(self.in_flight.insert(run.id, Some(given))),
        }
        // Another attempt of a run before this one would be one too many.
        self.forget_retry(|_| true);
        self.parts.board.open(&self.host, Some(self.task()), run.clone());
        let (host, task, open) = (self.host.clone(), Some(self.task().clone()), run.clone());
        let until = super::ledger::instant_of(run);
        let claim = Write::Claim { host, task, until, open };
        let remember = once.as_ref().map(|once| once.came_to_run(run.id));
        let claim = [claim].into_iter().chain(with).chain(remember).collect();
        let claimed = match run.trigger {
            // Who wanted it is told that it was not started, and asks again.
            Trigger::Manual | Trigger::Action => self.parts.writer.write_soon(claim).left_future(),
            Trigger::Schedule | Trigger::CatchUp | Trigger::Retry => self.parts.writer.write(claim).right_future(),
        };
        // The request keeps its place until the claim is settled.
        claimed.inspect(move |_| drop(once))
    }

    /// A run is claimed: it goes to the host, or waits on.
    pub(super) fn go(&mut self, run: OpenRun, given: Arc<Given>) {
        match self.waiting.iter_mut().find(|waiting| waiting.run.id == run.id) {
            Some(waiting) => {
                waiting.claimed = true;
                self.next_turn();
            }
            None => self.runner.do_send(StartRun { plan: Arc::clone(&self.plan), run, given }),
        }
    }

    /// A run that does not wait longer than this ends where it still waits.
    pub(super) fn waited_too_long(&mut self, id: RunId, start_within: Span) {
        let place = self.waiting.iter().position(|waiting| waiting.claimed && waiting.run.id == id);
        if let Some(waiting) = place.and_then(|place| self.waiting.remove(place)) {
            let message = format!("did not get its turn after other runs within start_within ({start_within})");
            self.ended(&waiting.run, RunEnd::NotRun { reason: Reason::Late, message });
        }
    }

    /// Hands the first that waits to the host when nothing goes any more; ends all that wait when Alf is stopping.
    pub(super) fn next_turn(&mut self) {
        let stopping = self.parts.is_stopping();
        while stopping || self.in_flight.is_empty() || self.plan.task.overlap == Overlap::Allow {
            let Some(Waiting { run, given, .. }) = self.waiting.pop_front_if(|waiting| waiting.claimed) else { return };
            if stopping {
                let message = "Alf stopped before it could start".to_owned();
                self.ended(&run, RunEnd::NotRun { reason: Reason::Aborted, message });
            } else {
                self.in_flight.insert(run.id, Some(Arc::clone(&given)));
                self.runner.do_send(StartRun { plan: Arc::clone(&self.plan), run, given });
            }
        }
    }
}

impl Handler<CancelWaiting> for TaskActor {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, CancelWaiting { id, told }: CancelWaiting, _: &mut Context<Self>) -> Self::Result {
        // One that is being claimed has not come to wait yet: who cancels asks again.
        let place = self.waiting.iter().position(|waiting| waiting.claimed && waiting.run.id == id);
        let Some(waiting) = place.and_then(|place| self.waiting.remove(place)) else {
            return Box::pin(ready(false));
        };
        // Written in this order, the audit knows of it when the Result is there.
        let told = tell_first(&self.parts.writer, told);
        let message = "cancelled before it started".to_owned();
        self.ended(&waiting.run, RunEnd::NotRun { reason: Reason::Cancelled, message });
        Box::pin(told.map(|()| true))
    }
}
