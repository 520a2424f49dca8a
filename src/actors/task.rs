//! `TaskActor`: one linked (host, task), scheduled or not. It owns the timer to the next instant, the pair's runs in
//! flight, its attempt counter and its last Results.
//!
//! Every due instant is claimed in the store before anything is sent, and leaves exactly one Result.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, Recipient, WrapFuture as _};
use actix::{ResponseActFuture, SpawnHandle};
use chrono::{DateTime, Utc};

use super::audit;
use super::due::{self, Due, Lines};
use super::error::AlfError;
use super::host::StartRun;
use super::ledger::{CUT_OFF, ResultOf, RunEnd, instant_of, unsent};
use super::news::Draft;
use super::order::{Fired, Order};
use super::parts::NodeParts;
use super::plan::PairPlan;
use super::saving::{self, Settled};
use super::supervision::{ActorHealth, Obituary, supervised};
use super::turns::{Turn, Waiting};
use crate::model::{
    Event, Given, Name, Outcome, PairStanding, PairStatus, Reason, RunId, RunResult, Taking, Timestamp, Trigger,
};
use crate::store::{OpenRun, StoreError, Written};

/// The longest sleep: a wall clock that was set is noticed within this time.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// The sleep while too much waits for the store.
const WHILE_FULL: Duration = Duration::from_secs(1);

/// What a claim came to.
pub(super) type Claimed = Result<Vec<Written>, StoreError>;

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
pub struct Replan(pub Arc<PairPlan>);

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
    pub plan: Arc<PairPlan>,
    /// What all actors of a node share.
    pub parts: Arc<NodeParts>,
    /// Who runs its runs.
    pub runner: Arc<Recipient<StartRun>>,
    /// Its runs that the host's actor still runs, from a life before this one.
    pub alive: HashSet<RunId>,
    /// Tells of its end.
    pub obituary: Obituary,
}

/// One linked (host, task).
pub struct TaskActor {
    pub(super) host: Name,
    pub(super) plan: Arc<PairPlan>,
    pub(super) parts: Arc<NodeParts>,
    pub(super) runner: Arc<Recipient<StartRun>>,
    /// The board has the same one.
    pub(super) status: Arc<PairStatus>,
    /// Since when its lines count; none where just their definitions tell.
    pub(super) since: Option<Timestamp>,
    /// Every instant up to this one has been dealt with, or is being.
    pub(super) cursor: DateTime<Utc>,
    /// Instants after the cursor may have passed while nobody looked.
    pub(super) behind: bool,
    /// It is in the line of those who catch up.
    pub(super) waits_to_catch_up: bool,
    /// Boxed, so that an actor takes less memory: there may be a hundred thousand of them.
    pub(super) next: Option<Box<Due>>,
    /// What goes, and what was given to it.
    pub(super) in_flight: BTreeMap<RunId, Option<Arc<Given>>>,
    /// What waits for it.
    pub(super) waiting: VecDeque<Waiting>,
    /// What goes with the next attempt.
    pub(super) retry_given: Option<Arc<Given>>,
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
            status: Arc::default(),
            since: None,
            cursor: now,
            behind: false,
            waits_to_catch_up: false,
            next: None,
            in_flight: birth.alive.into_iter().map(|id| (id, None)).collect(),
            waiting: VecDeque::new(),
            retry_given: None,
            timer: None,
            _obituary: birth.obituary,
        }
    }

    pub(super) fn task(&self) -> &Name {
        &self.plan.task.meta.name
    }

    /// The status, to be changed: those who have it as it was keep it so.
    pub(super) fn status_mut(&mut self) -> &mut PairStatus {
        Arc::make_mut(&mut self.status)
    }

    /// The lines by which it is due.
    pub(super) fn lines(&self) -> Lines<'_> {
        Lines { all: &self.plan.lines, since: self.since }
    }

    pub(super) fn open_run(
        &self,
        trigger: Trigger,
        schedule: Option<Name>,
        at: Timestamp,
        by: Option<Name>,
    ) -> OpenRun {
        let id = self.parts.ids.next(self.parts.clock.now().into());
        OpenRun { by, ..unsent(id, Some(self.plan.task.meta.version), schedule, trigger, at) }
    }

    /// A run that this instant makes due.
    pub(super) fn due_run(&self, trigger: Trigger, due: Due) -> OpenRun {
        let run = self.open_run(trigger, Some(due.schedule), due.at.into(), None);
        OpenRun { due_at: due.due_at.into(), ..run }
    }

    /// Sets the timer to the next instant, or to the next attempt before it.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        self.look();
        let next = self.next.as_ref().map(|next| next.due_at);
        let attempts = self.plan.task.max_attempts;
        self.parts.board.set_next(&self.host, self.task(), next.map(Timestamp::from), attempts);
        let retry = self.status.retry.as_ref().filter(|_| !self.parts.is_stopping()).map(|retry| retry.at.get());
        let expected = self.status.expected.as_ref().map(|expected| expected.by.get());
        match next.into_iter().chain(retry).chain(expected).min() {
            Some(at) => {
                let wait = (at - self.parts.clock.now()).to_std().unwrap_or_default();
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
    pub(super) fn look(&mut self) {
        self.next = if self.parts.is_stopping() { None } else { due::next(self.lines(), self.cursor).map(Box::new) };
    }

    /// The timer is up: deals with every instant that has come, when there is room for what they leave.
    pub(super) fn tick(&mut self, ctx: &mut Context<Self>) {
        if self.parts.writer.is_full() {
            // Not for the same time everywhere, or the same ones would find room each time.
            self.sleep(WHILE_FULL.mul_f64(rand::random_range(0.5..1.5)), ctx);
            return;
        }
        let now = self.parts.clock.now();
        self.look();
        if self.is_behind(now) {
            self.catch_up_in_turn(ctx);
            return;
        }
        self.deal(now, ctx);
        self.try_again(now, ctx);
        self.look_for_late(now);
        self.arm(ctx);
    }

    /// Deals with every instant that has come.
    fn deal(&mut self, now: DateTime<Utc>, ctx: &mut Context<Self>) {
        self.look();
        if self.is_behind(now) {
            self.catch_up(now, None, ctx);
        }
        self.behind = false;
        while let Some(next) = self.next.take_if(|next| next.due_at <= now) {
            self.cursor = next.due_at;
            self.fire(Trigger::Schedule, *next, ctx);
            self.look();
        }
    }

    /// One instant has come: claim it and run it, now or when those before it have ended, or skip it.
    pub(super) fn fire(&mut self, trigger: Trigger, due: Due, ctx: &mut Context<Self>) {
        let kept = self.kept_from_running(due.due_at);
        let run = self.due_run(trigger, due);
        if let Some((reason, message)) = kept {
            self.skip(run, reason, message);
            return;
        }
        self.expect(run.schedule.as_ref(), run.scheduled_at);
        match self.turn_of(trigger) {
            Turn::Never(other) => {
                let doing = if self.in_flight.contains_key(&other) { "is still going" } else { "waits for its turn" };
                self.skip(run, Reason::Overlap, format!("run {other} {doing}"));
            }
            turn => self.begin(run, Arc::default(), turn, ctx),
        }
    }

    /// Claims a run and lets it go; nobody waits to be told what the claim came to: it is in the ledger.
    pub(super) fn begin(&mut self, run: OpenRun, given: Arc<Given>, turn: Turn, ctx: &mut Context<Self>) {
        let claimed = self.claim(&run, &given, turn, Vec::new(), None);
        ctx.spawn(claimed.into_actor(self).map(move |answer, actor, _| {
            let _ = actor.claimed(run, given, answer);
        }));
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
                self.go(run, given);
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
        self.waiting.retain(|waiting| waiting.id() != run.id);
        self.parts.board.withdraw(run.id);
        self.next_turn();
    }

    /// Stores a Result for an instant at which nothing is executed.
    fn skip(&mut self, run: OpenRun, reason: Reason, message: String) {
        let result = self.result_of(|of, status, now| of.skipped(&run, reason, message, None, status, now));
        self.save(&run, result);
    }

    pub(super) fn ended(&mut self, run: &OpenRun, end: RunEnd) {
        let result = self.result_of(|of, status, now| of.ended(run, end, status, now));
        self.save(run, result);
    }

    pub(super) fn result_of(
        &self,
        make: impl FnOnce(&ResultOf<'_>, &PairStatus, DateTime<Utc>) -> RunResult,
    ) -> RunResult {
        let max_attempts = self.plan.task.max_attempts;
        let of = ResultOf { host: &self.host, task: Some(self.task()), node: &self.parts.node, max_attempts };
        make(&of, &self.status, self.parts.clock.now())
    }

    /// Takes a Result into the status and sends it to the store; the saving outlives this actor. The Result settles its
    /// instant even where a claim went before it: that one may have got lost with an actor.
    fn save(&mut self, run: &OpenRun, result: RunResult) {
        let before = Arc::clone(&self.status);
        let (result, until) = self.take_in(run, result);
        let change = Draft::state(&before, &self.status, &result);
        let event = self.event_of(PairStanding::from(&*before), &result);
        saving::save(&self.parts, result, Some(Arc::clone(&self.status)), until, change, event);
    }

    /// What Actions are to look at, where there are any.
    pub(super) fn event_of(&self, before: PairStanding, result: &RunResult) -> Option<Event> {
        let host_down = self.parts.board.is_down(&self.host);
        let event = || Event::of_pair(result, before, PairStanding::from(&*self.status), host_down);
        self.parts.reacts().then(event).flatten()
    }

    /// Takes a Result into the status; answers it as it is to be stored, and the instant that it settles.
    pub(super) fn take_in(&mut self, run: &OpenRun, mut result: RunResult) -> Settled {
        let given = self.in_flight.remove(&run.id).flatten();
        self.waiting.retain(|waiting| waiting.id() != run.id);
        // One dead host is one event: until it is UP again the states of its tasks stay.
        let host_is_down = self.parts.board.is_down(&self.host);
        let counts = !host_is_down && !result.reason.is_some_and(Reason::leaves_state);
        if !counts && result.outcome != Outcome::Ok {
            (result.attempt, result.hard) = self.status.standing();
        }
        let flapping = self.plan.task.flapping.then_some(self.parts.flapping);
        let seldom = self.is_seldom(run, &result);
        self.status_mut().take(&result, Taking { host_is_down, flapping, seldom });
        self.settle_expected(run, &result);
        if run.trigger == Trigger::Retry {
            // Of a life before this one: it is not tried yet another time.
            self.forget_retry(|_| true);
        }
        if counts {
            self.plan_retry(run, &result, given);
        }
        let until = instant_of(run);
        if let Some(until) = until {
            self.parts.board.set_claimed(&self.host, self.task(), until);
        }
        (result, until)
    }

    /// Whether the next instant is so far from a skipped one that what the pair shows is old at once.
    fn is_seldom(&self, run: &OpenRun, result: &RunResult) -> bool {
        let far = |next: Due| next.due_at - run.due_at.get() >= due::SELDOM;
        result.outcome == Outcome::Skipped
            && instant_of(run).is_some()
            && due::next(self.lines(), run.due_at.get()).is_none_or(far)
    }
}

impl Actor for TaskActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let (status, mut claimed_until) = self.parts.board.link(&self.host, self.task());
        self.status = status;
        // What was given to a run is not known any more, and without it it would be another one.
        self.forget_retry(|retry| retry.given);
        self.forget_expected();
        let same_lines = self.remember_lines();
        let alive = self.in_flight.keys().copied().collect();
        for (_, orphan) in self.parts.board.orphans(&self.host, Some(self.task()), &alive) {
            self.ended(&orphan, RunEnd::NotRun { reason: Reason::Aborted, message: CUT_OFF.to_owned() });
            claimed_until = claimed_until.max(instant_of(&orphan));
        }
        (self.cursor, self.behind) = (claimed_until.map_or(self.cursor, Timestamp::get), claimed_until.is_some());
        if !(self.behind && same_lines) {
            let now = self.parts.clock.now();
            self.deal(now, ctx);
            self.start_watching(now);
        }
        self.tick(ctx);
    }
}

supervised!(TaskActor);

impl Handler<RunNow> for TaskActor {
    type Result = ResponseActFuture<Self, Result<RunId, AlfError>>;

    fn handle(&mut self, request: RunNow, ctx: &mut Context<Self>) -> Self::Result {
        let Order { by, group, given, origin, once, fired } = request.order;
        let trigger = if fired.is_some() { Trigger::Action } else { Trigger::Manual };
        let turn = self.turn_of(trigger);
        if let Turn::Never(other) = turn {
            return Box::pin(actix::fut::ready(Err(AlfError::Overlap(other))));
        }
        let run = self.open_run(trigger, None, self.parts.clock.now().into(), by);
        let (run, with) = match fired {
            Some(Fired { id, cause, with }) => (OpenRun { id, cause: Some(cause), ..run }, with),
            None => (OpenRun { group, ..run }, Vec::new()),
        };
        let told = audit::of_run(origin.as_deref(), run.id, run.due_at, &self.host, Some(self.task()));
        let with = told.into_iter().chain(with).collect();
        let claimed = self.claim(&run, &given, turn, with, once);
        if turn == Turn::Later {
            let (id, start_within) = (run.id, self.plan.task.start_within);
            ctx.run_later(start_within.get(), move |actor, _| actor.waited_too_long(id, start_within));
        }
        self.arm(ctx);
        Box::pin(claimed.into_actor(self).map(move |answer, actor, _| {
            let id = run.id;
            actor.claimed(run, given, answer).map(|()| id)
        }))
    }
}

impl Handler<RunEnded> for TaskActor {
    type Result = ();

    fn handle(&mut self, ended: RunEnded, ctx: &mut Context<Self>) {
        self.ended(&ended.run, ended.end);
        self.next_turn();
        self.arm(ctx);
    }
}

impl Handler<Replan> for TaskActor {
    type Result = ();

    fn handle(&mut self, Replan(plan): Replan, ctx: &mut Context<Self>) {
        if self.is_due_by(&plan.lines) {
            // Their other rules may be new; since when they count is not.
            self.plan = plan;
        } else {
            let now = self.parts.clock.now();
            // What came before the change came by the old lines.
            self.deal(now, ctx);
            self.plan = plan;
            self.start_watching(now);
        }
        let enabled = self.plan.task.enabled;
        self.forget_retry(|_| !enabled);
        self.forget_expected();
        self.next_turn();
        self.arm(ctx);
    }
}

impl Handler<StopFiring> for TaskActor {
    type Result = ();

    fn handle(&mut self, _: StopFiring, ctx: &mut Context<Self>) {
        self.next_turn();
        self.arm(ctx);
    }
}

impl Handler<TaskHealth> for TaskActor {
    type Result = actix::MessageResult<TaskHealth>;

    fn handle(&mut self, _: TaskHealth, _: &mut Context<Self>) -> Self::Result {
        let mut health = ActorHealth::up("task", self.task().as_str()).with("runs_in_flight", self.in_flight.len());
        if let Some(next) = &self.next {
            health = health.with("next_run_at", Timestamp::from(next.due_at)).with("schedule", &next.schedule);
        }
        actix::MessageResult(health)
    }
}
