//! `TaskActor`: one linked (host, task), scheduled or not. It owns the timer to the next instant, the pair's runs in
//! flight, its attempt counter and its last Results.
//!
//! Every due instant is claimed in the store before anything is sent, and leaves exactly one Result.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, Recipient, WrapFuture as _};
use actix::{ActorContext as _, SpawnHandle};
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::due::{self, Due};
use super::error::AlfError;
use super::host::StartRun;
use super::ledger::{ResultOf, RunEnd, unsent};
use super::parts::NodeParts;
use super::plan::PairPlan;
use super::supervision::{ActorHealth, Obituary, Stop};
use crate::model::{Instants, Name, PairStatus, Reason, RunId, RunResult, Timestamp, Trigger};
use crate::store::{OpenRun, Write, Written};

/// The longest sleep: a wall clock that was set is noticed within this time.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// A person wants the task run now.
#[derive(Debug, Message)]
#[rtype(result = "Result<RunId, AlfError>")]
pub struct RunNow {
    /// The key that asks.
    pub by: Option<Name>,
}

/// A run has ended on the host.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct RunEnded {
    /// Which.
    pub run: OpenRun,
    /// How.
    pub end: RunEnd,
}

/// The pair is defined otherwise now.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Replan(pub PairPlan);

/// No instant is claimed from now on; what runs goes on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StopFiring;

/// Asks how it stands.
#[derive(Debug, Message)]
#[rtype(result = "ActorHealth")]
pub struct TaskHealth;

/// For tests of supervision: panics.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Crash;

/// What a task actor is born with.
pub struct TaskBirth {
    /// The host it is on.
    pub host: Name,
    /// What it runs and when.
    pub plan: PairPlan,
    /// What all actors of a node share.
    pub parts: Arc<NodeParts>,
    /// Who runs its runs.
    pub runner: Recipient<StartRun>,
    /// Its runs that the host's actor still runs, from a life before this one.
    pub alive: HashSet<RunId>,
    /// Ends with its parent.
    pub parent: CancellationToken,
    /// Tells of its end.
    pub obituary: Obituary,
}

/// One linked (host, task).
pub struct TaskActor {
    host: Name,
    plan: PairPlan,
    parts: Arc<NodeParts>,
    runner: Recipient<StartRun>,
    alive: HashSet<RunId>,
    parent: CancellationToken,
    status: PairStatus,
    /// Every instant up to this one has been dealt with, or is being.
    cursor: DateTime<Utc>,
    next: Option<Due>,
    in_flight: HashSet<RunId>,
    timer: Option<SpawnHandle>,
    firing: bool,
    _obituary: Obituary,
}

impl TaskActor {
    /// Begins where the ledger ends.
    pub fn new(birth: TaskBirth) -> Self {
        let now = birth.parts.clock.now();
        Self {
            host: birth.host,
            plan: birth.plan,
            parts: birth.parts,
            runner: birth.runner,
            alive: birth.alive,
            parent: birth.parent,
            status: PairStatus::default(),
            cursor: now,
            next: None,
            in_flight: HashSet::new(),
            timer: None,
            firing: true,
            _obituary: birth.obituary,
        }
    }

    fn task(&self) -> &Name {
        &self.plan.task.meta.name
    }

    fn open_run(&self, trigger: Trigger, schedule: Option<Name>, at: Timestamp, by: Option<Name>) -> OpenRun {
        let id = self.parts.ids.next(self.parts.clock.now().into());
        OpenRun { by, ..unsent(id, self.plan.task.meta.version, schedule, trigger, at) }
    }

    /// Sets the timer to the next instant.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.next = if self.firing { due::next(&self.plan.lines, self.cursor) } else { None };
        let at = self.next.as_ref().map(|next| Timestamp::from(next.at));
        self.parts.board.set_next(&self.host, self.task(), at);
        let Some(next) = &self.next else { return };
        let wait = (next.at - self.parts.clock.now()).to_std().unwrap_or_default().min(LONGEST_SLEEP);
        self.timer = Some(ctx.run_later(wait, |actor, ctx| {
            actor.timer = None;
            actor.tick(ctx);
        }));
    }

    /// Deals with every instant that has come.
    fn tick(&mut self, ctx: &mut Context<Self>) {
        let now = self.parts.clock.now();
        if self.next.as_ref().is_some_and(|next| now - next.at > due::ASLEEP) {
            // Longer than any load explains: the machine was suspended, or its clock was set forward.
            self.catch_up(now, ctx);
        }
        while let Some(next) = self.next.take_if(|next| next.at <= now) {
            self.cursor = next.at;
            self.fire(Trigger::Schedule, next.schedule, next.at.into(), ctx);
            self.next = due::next(&self.plan.lines, self.cursor);
        }
        self.arm(ctx);
    }

    /// Deals with instants that passed while nobody looked: by the rule `last`, the newest runs if it is young enough,
    /// the others leave a SKIPPED each, the oldest folded into one.
    fn catch_up(&mut self, now: DateTime<Utc>, ctx: &mut Context<Self>) {
        let missed = due::missed(&self.plan.lines, self.cursor, now);
        let Some(last) = missed.last() else { return };
        log::info!(host = self.host.as_str(), task = self.task().as_str(), missed = missed.count();
            "instants passed while Alf was away");
        self.cursor = last;
        if let Some((first, last, count)) = missed.folded {
            let instants = Instants { from: first.into(), until: last.at.into(), count };
            let run = self.open_run(Trigger::Schedule, Some(last.schedule), instants.until, None);
            let message = format!("{count} instants passed while Alf was away");
            self.skip(run, Reason::Missed, message, (count > 1).then_some(instants));
        }
        for due in missed.skipped {
            let run = self.open_run(Trigger::Schedule, Some(due.schedule), due.at.into(), None);
            self.skip(run, Reason::Missed, "the instant passed while Alf was away".to_owned(), None);
        }
        if let Some(due) = missed.run {
            self.fire(Trigger::CatchUp, due.schedule, due.at.into(), ctx);
        }
        self.next = due::next(&self.plan.lines, self.cursor);
    }

    /// One instant has come: claim it and run it, or skip it while the last run is still going.
    fn fire(&mut self, trigger: Trigger, schedule: Name, at: Timestamp, ctx: &mut Context<Self>) {
        let run = self.open_run(trigger, Some(schedule), at, None);
        if let Some(other) = self.in_flight.iter().next() {
            let message = format!("run {other} is still going");
            self.skip(run, Reason::Overlap, message, None);
            return;
        }
        self.begin(run, Some(at), ctx);
    }

    /// Claims a run and hands it to the host.
    fn begin(&mut self, run: OpenRun, until: Option<Timestamp>, ctx: &mut Context<Self>) {
        self.in_flight.insert(run.id);
        self.parts.board.open(&self.host, self.task(), run.clone());
        let claim = Write::Claim { host: self.host.clone(), task: self.task().clone(), until, open: run.clone() };
        let claimed = self.parts.writer.write(vec![claim]);
        ctx.spawn(claimed.into_actor(self).map(move |answer, actor, _| match answer.as_deref() {
            Ok([Written::Taken]) => {
                log::info!(host = actor.host.as_str(), task = actor.task().as_str(), run:% = run.id;
                    "the instant was claimed before");
                actor.in_flight.remove(&run.id);
                actor.parts.board.withdraw(run.id);
            }
            Ok(_) => {
                if let Some(until) = until {
                    actor.parts.board.set_claimed(&actor.host, actor.task(), until);
                }
                actor.runner.do_send(StartRun { plan: actor.plan.clone(), run });
            }
            Err(error) => {
                let message = format!("could not be claimed: {error}");
                actor.ended(&run, RunEnd::NotRun { reason: Reason::Aborted, message });
            }
        }));
    }

    /// Stores a Result for an instant at which nothing is executed.
    fn skip(&mut self, run: OpenRun, reason: Reason, message: String, instants: Option<Instants>) {
        let (parts, host, task) = (Arc::clone(&self.parts), self.host.clone(), self.task().clone());
        let of = ResultOf { host: &host, task: &task, node: &parts.node };
        let result = of.skipped(&run, reason, message, instants, &self.status, parts.clock.now());
        let until = result.scheduled_at;
        self.save(result, Some(until));
        self.parts.board.set_claimed(&self.host, self.task(), until);
    }

    fn ended(&mut self, run: &OpenRun, end: RunEnd) {
        let (parts, host, task) = (Arc::clone(&self.parts), self.host.clone(), self.task().clone());
        let of = ResultOf { host: &host, task: &task, node: &parts.node };
        let result = of.ended(run, end, &self.status, parts.clock.now());
        self.save(result, None);
    }

    /// Takes a Result into the status and sends it to the store; the saving outlives this actor.
    fn save(&mut self, result: RunResult, until: Option<Timestamp>) {
        self.in_flight.remove(&result.id);
        self.status.take(&result);
        super::saving::save(&self.parts, result, Some(self.status.clone()), until);
    }

    /// Instants before now are nobody's: the pair is new, or due by other lines than before.
    fn start_watching(&mut self, now: DateTime<Utc>) {
        self.cursor = now;
        if self.plan.lines.is_empty() {
            return;
        }
        let until = Timestamp::from(now);
        self.parts.board.set_claimed(&self.host, self.task(), until);
        let watch = Write::Watch { host: self.host.clone(), task: self.task().clone(), until };
        let written = self.parts.writer.write(vec![watch]);
        actix_rt::spawn(async move {
            if let Err(error) = written.await {
                log::error!("{error}");
            }
        });
    }
}

impl Actor for TaskActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let parent = self.parent.clone();
        ctx.spawn(async move { parent.cancelled().await }.into_actor(self).map(|(), _, ctx| ctx.stop()));
        let now = self.parts.clock.now();
        let (status, claimed_until) = self.parts.board.link(&self.host, self.task());
        self.status = status;
        self.in_flight.clone_from(&self.alive);
        for (_, orphan) in self.parts.board.orphans(&self.host, Some(self.task()), &self.alive) {
            let message = "Alf stopped or crashed in the middle of the run; what became of it is not known";
            self.ended(&orphan, RunEnd::NotRun { reason: Reason::Aborted, message: message.to_owned() });
        }
        match claimed_until {
            Some(until) => {
                self.cursor = until.get();
                self.catch_up(now, ctx);
            }
            None => self.start_watching(now),
        }
        self.arm(ctx);
    }
}

impl Handler<RunNow> for TaskActor {
    type Result = Result<RunId, AlfError>;

    fn handle(&mut self, request: RunNow, ctx: &mut Context<Self>) -> Self::Result {
        if !self.firing {
            return Err(AlfError::Unavailable("Alf is stopping".to_owned()));
        }
        if let Some(other) = self.in_flight.iter().next() {
            return Err(AlfError::Overlap(*other));
        }
        let run = self.open_run(Trigger::Manual, None, self.parts.clock.now().into(), request.by);
        let id = run.id;
        self.begin(run, None, ctx);
        Ok(id)
    }
}

impl Handler<RunEnded> for TaskActor {
    type Result = ();

    fn handle(&mut self, ended: RunEnded, _: &mut Context<Self>) {
        self.ended(&ended.run, ended.end);
    }
}

impl Handler<Replan> for TaskActor {
    type Result = ();

    fn handle(&mut self, Replan(plan): Replan, ctx: &mut Context<Self>) {
        let other_lines = plan.lines != self.plan.lines;
        self.plan = plan;
        if other_lines {
            self.start_watching(self.parts.clock.now());
        }
        self.arm(ctx);
    }
}

impl Handler<StopFiring> for TaskActor {
    type Result = ();

    fn handle(&mut self, _: StopFiring, ctx: &mut Context<Self>) {
        self.firing = false;
        self.arm(ctx);
    }
}

impl Handler<Stop> for TaskActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

impl Handler<TaskHealth> for TaskActor {
    type Result = actix::MessageResult<TaskHealth>;

    fn handle(&mut self, _: TaskHealth, _: &mut Context<Self>) -> Self::Result {
        let mut health = ActorHealth::up("task", self.task().as_str()).with("runs_in_flight", self.in_flight.len());
        if let Some(next) = &self.next {
            health = health.with("next_run_at", Timestamp::from(next.at)).with("schedule", &next.schedule);
        }
        actix::MessageResult(health)
    }
}

impl Handler<Crash> for TaskActor {
    type Result = ();

    #[expect(clippy::panic, reason = "a test asks for it")]
    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("a test asked the task actor to panic");
    }
}

