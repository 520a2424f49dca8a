//! `TaskActor`: one linked (host, task), scheduled or not. It owns the timer to the next instant, the pair's runs in
//! flight, its attempt counter and its last Results.
//!
//! Every due instant is claimed in the store before anything is sent, and leaves exactly one Result.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, Recipient, WrapFuture as _};
use actix::{ActorContext as _, ResponseActFuture, SpawnHandle};
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::due::{self, Due};
use super::error::AlfError;
use super::host::StartRun;
use super::ledger::{ResultOf, RunEnd, instant_of, unsent};
use super::order::Order;
use super::parts::NodeParts;
use super::plan::PairPlan;
use super::supervision::{ActorHealth, Obituary, supervised};
use crate::model::{Given, Instants, Name, PairStatus, Reason, RunId, RunResult, Timestamp, Trigger};
use crate::store::{OpenRun, StoreError, Write, Written};

/// The longest sleep: a wall clock that was set is noticed within this time.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// The sleep while too much waits for the store.
const WHILE_FULL: Duration = Duration::from_secs(1);

/// What a claim came to.
type Claimed = Result<Vec<Written>, StoreError>;

/// A person wants the task run now.
#[derive(Debug, Message)]
#[rtype(result = "Result<RunId, AlfError>")]
pub struct RunNow {
    /// What goes with it.
    pub order: Order,
}

/// A run has ended on the host.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct RunEnded {
    /// Which.
    pub run: OpenRun,
    /// How.
    pub end: RunEnd,
    /// How many lives of the actor ended before they had taken this in.
    pub deaths: u32,
}

impl RunEnded {
    /// Told for the first time.
    pub fn new(run: OpenRun, end: RunEnd) -> Self {
        Self { run, end, deaths: 0 }
    }
}

/// The pair is defined otherwise now.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Replan(pub PairPlan);

/// Alf is stopping: no instant is claimed from now on; what runs goes on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StopFiring;

/// Asks how it stands.
#[derive(Debug, Message)]
#[rtype(result = "ActorHealth")]
pub struct TaskHealth;

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
    /// Instants after the cursor may have passed while nobody looked.
    behind: bool,
    next: Option<Due>,
    in_flight: HashSet<RunId>,
    timer: Option<SpawnHandle>,
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
            behind: false,
            next: None,
            in_flight: HashSet::new(),
            timer: None,
            _obituary: birth.obituary,
        }
    }

    fn task(&self) -> &Name {
        &self.plan.task.meta.name
    }

    fn open_run(&self, trigger: Trigger, schedule: Option<Name>, at: Timestamp, by: Option<Name>) -> OpenRun {
        let id = self.parts.ids.next(self.parts.clock.now().into());
        OpenRun { by, ..unsent(id, Some(self.plan.task.meta.version), schedule, trigger, at) }
    }

    /// Sets the timer to the next instant.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        self.look();
        let at = self.next.as_ref().map(|next| Timestamp::from(next.at));
        self.parts.board.set_next(&self.host, self.task(), at);
        match &self.next {
            Some(next) => {
                let wait = (next.at - self.parts.clock.now()).to_std().unwrap_or_default();
                self.sleep(wait.min(LONGEST_SLEEP), ctx);
            }
            None => self.wake(ctx),
        }
    }

    fn sleep(&mut self, wait: Duration, ctx: &mut Context<Self>) {
        self.wake(ctx);
        self.timer = Some(ctx.run_later(wait, |actor, ctx| {
            actor.timer = None;
            actor.tick(ctx);
        }));
    }

    /// Takes the timer back.
    fn wake(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
    }

    /// Finds the next instant; none while Alf is stopping.
    fn look(&mut self) {
        self.next = if self.parts.is_stopping() { None } else { due::next(&self.plan.lines, self.cursor) };
    }

    /// The timer is up: deals with every instant that has come, when there is room for what they leave.
    fn tick(&mut self, ctx: &mut Context<Self>) {
        if self.parts.writer.is_full() {
            self.sleep(WHILE_FULL, ctx);
            return;
        }
        self.deal(self.parts.clock.now(), ctx);
        self.arm(ctx);
    }

    /// Deals with every instant that has come.
    fn deal(&mut self, now: DateTime<Utc>, ctx: &mut Context<Self>) {
        self.look();
        // Longer than any load explains: the machine was suspended, its clock set forward, or the store away.
        let asleep = self.next.as_ref().is_some_and(|next| now - next.at > due::ASLEEP);
        if std::mem::take(&mut self.behind) || asleep {
            self.catch_up(now, ctx);
        }
        while let Some(next) = self.next.take_if(|next| next.at <= now) {
            self.cursor = next.at;
            self.fire(Trigger::Schedule, next.schedule, next.at.into(), ctx);
            self.look();
        }
    }

    /// Deals with instants that passed while nobody looked: by the rule `last`, the newest runs if it is young enough,
    /// the others leave a SKIPPED each, the oldest folded into one.
    fn catch_up(&mut self, now: DateTime<Utc>, ctx: &mut Context<Self>) {
        if self.next.is_none() {
            return;
        }
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
        self.look();
    }

    /// One instant has come: claim it and run it, or skip it while the last run is still going.
    fn fire(&mut self, trigger: Trigger, schedule: Name, at: Timestamp, ctx: &mut Context<Self>) {
        let run = self.open_run(trigger, Some(schedule), at, None);
        if let Some(other) = self.in_flight.iter().next() {
            let message = format!("run {other} is still going");
            self.skip(run, Reason::Overlap, message, None);
            return;
        }
        let claimed = self.claim(&run, Some(at));
        ctx.spawn(claimed.into_actor(self).map(move |answer, actor, _| {
            // Whatever it came to is in the ledger: nobody waits here to be told.
            let _ = actor.claimed(run, Arc::default(), answer);
        }));
    }

    /// Claims a run: nothing is sent without it on disk.
    fn claim(&mut self, run: &OpenRun, until: Option<Timestamp>) -> impl Future<Output = Claimed> + use<> {
        self.in_flight.insert(run.id);
        self.parts.board.open(&self.host, Some(self.task()), run.clone());
        let (host, task, open) = (self.host.clone(), Some(self.task().clone()), run.clone());
        self.parts.writer.write(vec![Write::Claim { host, task, until, open }])
    }

    /// Hands a run that is claimed to the host.
    fn claimed(&mut self, run: OpenRun, given: Arc<Given>, answer: Claimed) -> Result<(), AlfError> {
        match answer.as_deref() {
            Ok([Written::Taken]) => {
                log::info!(host = self.host.as_str(), task = self.task().as_str(), run:% = run.id;
                    "the instant was claimed before");
                self.withdraw(&run);
                Err(AlfError::Unavailable("the instant was claimed before".to_owned()))
            }
            Ok(_) => {
                if let Some(until) = instant_of(&run) {
                    self.parts.board.set_claimed(&self.host, self.task(), until);
                }
                self.runner.do_send(StartRun { plan: self.plan.clone(), run, given });
                Ok(())
            }
            Err(error) if instant_of(&run).is_some() => {
                let message = format!("could not be claimed: {error}");
                self.ended(&run, RunEnd::NotRun { reason: Reason::Aborted, message });
                Err(error.clone().into())
            }
            Err(error) => {
                self.withdraw(&run);
                Err(error.clone().into())
            }
        }
    }

    /// A run that came to nothing, and leaves nothing.
    fn withdraw(&mut self, run: &OpenRun) {
        self.in_flight.remove(&run.id);
        self.parts.board.withdraw(run.id);
    }

    /// Stores a Result for an instant at which nothing is executed.
    fn skip(&mut self, run: OpenRun, reason: Reason, message: String, instants: Option<Instants>) {
        let (parts, host, task) = (Arc::clone(&self.parts), self.host.clone(), self.task().clone());
        let of = ResultOf { host: &host, task: Some(&task), node: &parts.node };
        let result = of.skipped(&run, reason, message, instants, &self.status, parts.clock.now());
        self.save(&run, result);
    }

    fn ended(&mut self, run: &OpenRun, end: RunEnd) {
        let (parts, host, task) = (Arc::clone(&self.parts), self.host.clone(), self.task().clone());
        let of = ResultOf { host: &host, task: Some(&task), node: &parts.node };
        let result = of.ended(run, end, &self.status, parts.clock.now());
        self.save(run, result);
    }

    /// Takes a Result into the status and sends it to the store; the saving outlives this actor. The Result settles its
    /// instant even where a claim went before it: that one may have got lost with an actor.
    fn save(&mut self, run: &OpenRun, result: RunResult) {
        self.in_flight.remove(&run.id);
        self.status.take(&result);
        let until = instant_of(run);
        if let Some(until) = until {
            self.parts.board.set_claimed(&self.host, self.task(), until);
        }
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
        super::saving::send(
            &self.parts,
            vec![Write::Watch { host: self.host.clone(), task: self.task().clone(), until }],
        );
    }
}

impl Actor for TaskActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let parent = self.parent.clone();
        ctx.spawn(async move { parent.cancelled().await }.into_actor(self).map(|(), _, ctx| ctx.stop()));
        let (status, mut claimed_until) = self.parts.board.link(&self.host, self.task());
        self.status = status;
        self.in_flight.clone_from(&self.alive);
        for (_, orphan) in self.parts.board.orphans(&self.host, Some(self.task()), &self.alive) {
            let message = "Alf stopped or crashed in the middle of the run; what became of it is not known";
            self.ended(&orphan, RunEnd::NotRun { reason: Reason::Aborted, message: message.to_owned() });
            claimed_until = claimed_until.max(instant_of(&orphan));
        }
        match claimed_until {
            Some(until) => (self.cursor, self.behind) = (until.get(), true),
            None => self.start_watching(self.parts.clock.now()),
        }
        self.tick(ctx);
    }
}

supervised!(TaskActor);

impl Handler<RunNow> for TaskActor {
    type Result = ResponseActFuture<Self, Result<RunId, AlfError>>;

    fn handle(&mut self, request: RunNow, _: &mut Context<Self>) -> Self::Result {
        if let Some(other) = self.in_flight.iter().next() {
            return Box::pin(actix::fut::ready(Err(AlfError::Overlap(*other))));
        }
        let Order { by, group, given } = request.order;
        let run = self.open_run(Trigger::Manual, None, self.parts.clock.now().into(), by);
        let run = OpenRun { group, ..run };
        let claimed = self.claim(&run, None);
        Box::pin(claimed.into_actor(self).map(move |answer, actor, _| {
            let id = run.id;
            actor.claimed(run, given, answer).map(|()| id)
        }))
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
        if other_lines {
            let now = self.parts.clock.now();
            // What came before the change came by the old lines.
            self.deal(now, ctx);
            self.plan = plan;
            self.start_watching(now);
        } else {
            self.plan = plan;
        }
        self.arm(ctx);
    }
}

impl Handler<StopFiring> for TaskActor {
    type Result = ();

    fn handle(&mut self, _: StopFiring, ctx: &mut Context<Self>) {
        self.arm(ctx);
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
