//! Runs of tasks that are not linked to the host, and ad-hoc ones: no row in Status, no instants; claimed all the same,
//! so that a crash leaves its Result. Those of one task go one after the other by its `overlap`, as those of a pair do.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use actix::{ActorFutureExt as _, ResponseActFuture, WrapFuture as _};
use futures_util::FutureExt as _;
use tokio::sync::Semaphore;

use super::audit;
use super::error::AlfError;
use super::host::{HostActor, RunTask, StartRun};
use super::ledger::unsent;
use super::order::{Fired, Order};
use super::plan::PairPlan;
use super::turns::waits;
use crate::model::{Name, Overlap, RunId, Trigger};
use crate::store::{OpenRun, Write};

/// Where runs of a task wait for those before them; there is none while it does not run.
#[derive(Debug, Default)]
pub(super) struct Gates(HashMap<Name, Weak<Semaphore>>);

impl Gates {
    fn of(&mut self, task: &Name) -> Arc<Semaphore> {
        self.0.retain(|_, gate| gate.strong_count() > 0);
        self.0.get(task).and_then(Weak::upgrade).unwrap_or_else(|| {
            let gate = Arc::new(Semaphore::new(1));
            self.0.insert(task.clone(), Arc::downgrade(&gate));
            gate
        })
    }
}

impl HostActor {
    /// Claims and starts one.
    pub(super) fn run_unlinked(&mut self, request: RunTask) -> ResponseActFuture<Self, Result<RunId, AlfError>> {
        let task = (!request.ad_hoc).then(|| request.task.meta.name.clone());
        let trigger = if request.order.fired.is_some() { Trigger::Action } else { Trigger::Manual };
        let gate = match task.as_ref().map(|task| self.gate(task, request.task.overlap, trigger)).transpose() {
            Ok(gate) => gate.flatten(),
            Err(other) => return Box::pin(actix::fut::ready(Err(AlfError::Overlap(other)))),
        };
        let now = self.parts.clock.now().into();
        let Order { by, group, given, origin, once, fired } = request.order;
        let version = task.as_ref().map(|_| request.task.meta.version);
        let (id, cause, with) = match fired {
            Some(Fired { id, cause, with }) => (id, Some(cause), with),
            None => (self.parts.ids.next(now), None, Vec::new()),
        };
        let run = OpenRun { by, group, cause, ..unsent(id, version, None, trigger, now) };
        self.parts.board.open(self.name(), task.as_ref(), run.clone());
        self.enlist(&run, task.as_ref());
        let host = self.name().clone();
        let told = audit::of_run(origin.as_deref(), id, now, &host, task.as_ref());
        let claim = Write::Claim { host, task, until: None, open: run.clone() };
        let remember = once.as_ref().map(|once| once.came_to_run(id));
        let claim = [claim].into_iter().chain(told).chain(remember).chain(with).collect();
        // The request keeps its place until the claim is settled.
        let claimed = self.parts.writer.write_soon(claim).inspect(move |_| drop(once));
        Box::pin(claimed.into_actor(self).map(move |answer, actor, ctx| match answer {
            Ok(_) => {
                let plan = Arc::new(PairPlan::unlinked(&actor.plan.host, request.task));
                actor.start_run(StartRun { plan, run, given }, gate, ctx);
                Ok(id)
            }
            Err(error) => {
                actor.runs.remove(&id);
                actor.parts.board.withdraw(id);
                Err(error.into())
            }
        }))
    }

    /// Where a run of a task waits for those before it, if it does; the one for whose sake it does not run. It is as with
    /// those of a pair (`TaskActor::turn_of`).
    fn gate(&mut self, task: &Name, overlap: Overlap, trigger: Trigger) -> Result<Option<Arc<Semaphore>>, RunId> {
        let mut there: Vec<(RunId, Trigger)> = self
            .runs
            .iter()
            .filter(|(_, run)| run.task.as_ref() == Some(task))
            .map(|(id, run)| (*id, run.trigger))
            .collect();
        there.sort_by_key(|(id, _)| *id);
        let queued = there.iter().skip(1).find(|(_, trigger)| !waits(*trigger));
        match (overlap, there.first(), queued) {
            (Overlap::Allow, ..) => return Ok(None),
            (Overlap::Skip, Some((other, _)), _) | (Overlap::Queue, _, Some((other, _))) if !waits(trigger) => {
                return Err(*other);
            }
            _ => {}
        }
        Ok(Some(self.gates.of(task)))
    }
}
