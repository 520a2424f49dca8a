//! `HostActor`: one host. It owns the one SSH connection, its session permits and reconnects, and it supervises a
//! `TaskActor` for each linked task; runs of tasks that are not linked are its own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use actix::{Actor, ActorContext as _, ActorFutureExt as _, Addr, AsyncContext as _, Context, Handler, Message};
use actix::{ResponseActFuture, SpawnHandle, WrapFuture as _};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::AlfError;
use super::ledger::{ResultOf, RunEnd, unsent};
use super::link::{Failure, Link, OpenSession};
use super::parts::NodeParts;
use super::plan::{HostPlan, PairPlan};
use super::reconnect::Reconnect;
use super::run::Job;
use super::supervision::{ActorHealth, ChildEnded, Deaths, Obituary, Rebuild, Stop};
use super::task::{RunEnded, RunNow, StopFiring, TaskActor, TaskBirth};
use crate::model::{Name, PairStatus, Reason, RunId, Task, Trigger};
use crate::ssh::{ConnectError, Connected};
use crate::store::{HostKeyRecord, OpenRun, Write};

/// Runs that may wait or run on one host; beyond that a manual run is refused, a scheduled one skipped.
const MOST_RUNS: usize = 1000;

/// Runs a claimed run of a linked task.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StartRun {
    /// What.
    pub plan: PairPlan,
    /// The run.
    pub run: OpenRun,
}

/// A person wants a task run here now, linked or not.
#[derive(Debug, Message)]
#[rtype(result = "Result<RunId, AlfError>")]
pub struct RunTask {
    /// The task.
    pub task: Arc<Task>,
    /// The key that asks.
    pub by: Option<Name>,
}

/// The host is defined otherwise now.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReplanHost(pub HostPlan);

/// Ends all runs, killing their remote processes.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct EndRuns {
    /// Alf is stopping: they are recorded as aborted, not as cancelled.
    pub stopping: bool,
}

/// Asks how it and its tasks stand.
#[derive(Debug, Message)]
#[rtype(result = "ActorHealth")]
pub struct HostHealth;

/// For tests of supervision: panics, or lets a task's actor panic.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Crash {
    /// The task whose actor is to panic; none for the host's.
    pub task: Option<Name>,
}

/// Time to try the connection.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Connect;

/// What a host actor is born with.
pub struct HostBirth {
    /// The host and its tasks.
    pub plan: HostPlan,
    /// What all actors of a node share.
    pub parts: Arc<NodeParts>,
    /// Ends with its parent.
    pub parent: CancellationToken,
    /// Tells of its end.
    pub obituary: Obituary,
}

/// A task's actor, in whichever of its lives.
pub(super) struct Child {
    pub(super) addr: Option<Addr<TaskActor>>,
    pub(super) generation: u64,
    pub(super) deaths: Deaths,
    /// Ends of runs that came while it was being built anew.
    parked: Vec<RunEnded>,
}

/// A run that this actor runs.
struct Running {
    task: Name,
    cancel: CancellationToken,
}

/// One host.
pub struct HostActor {
    pub(super) plan: HostPlan,
    parts: Arc<NodeParts>,
    parent: CancellationToken,
    pub(super) children: HashMap<Name, Child>,
    /// Dropped with this actor, it ends the children.
    children_token: DropGuard,
    generations: u64,
    pub(super) link: watch::Sender<Link>,
    connecting: bool,
    timer: Option<SpawnHandle>,
    reconnect: Reconnect,
    connections: u64,
    pub(super) logins: u64,
    pub(super) permits: Arc<Semaphore>,
    pub(super) waiting: Arc<AtomicUsize>,
    runs: HashMap<RunId, Running>,
    stopping: Arc<AtomicBool>,
    firing: bool,
    _obituary: Obituary,
}

/// Half of what sshd allows: it frees a place late, so that back-to-back runs at the limit would be refused.
fn permits(plan: &HostPlan) -> Arc<Semaphore> {
    Arc::new(Semaphore::new((plan.host.max_sessions as usize / 2).max(1)))
}

impl HostActor {
    /// Without connection: the first run asks for it.
    pub fn new(birth: HostBirth) -> Self {
        Self {
            permits: permits(&birth.plan),
            plan: birth.plan,
            parts: birth.parts,
            parent: birth.parent,
            children: HashMap::new(),
            children_token: CancellationToken::new().drop_guard(),
            generations: 0,
            link: watch::Sender::new(Link::Idle),
            connecting: false,
            timer: None,
            reconnect: Reconnect::default(),
            connections: 0,
            logins: 0,
            waiting: Arc::default(),
            runs: HashMap::new(),
            stopping: Arc::default(),
            firing: true,
            _obituary: birth.obituary,
        }
    }

    fn name(&self) -> &Name {
        &self.plan.host.meta.name
    }

    // === its tasks ===

    fn start_child(&mut self, plan: PairPlan, ctx: &mut Context<Self>) {
        let task = plan.task.meta.name.clone();
        self.generations += 1;
        let generation = self.generations;
        let tell = ctx.address().recipient::<ChildEnded<Name>>().downgrade();
        let key = task.clone();
        let obituary = Obituary::new(move |cause| {
            if let Some(parent) = tell.upgrade() {
                parent.do_send(ChildEnded { key, generation, cause });
            }
        });
        let child = self.children.entry(task.clone()).or_insert_with(|| Child {
            addr: None,
            generation,
            deaths: Deaths::default(),
            parked: Vec::new(),
        });
        let mut alive: HashSet<RunId> =
            self.runs.iter().filter(|(_, running)| running.task == task).map(|(id, _)| *id).collect();
        alive.extend(child.parked.iter().map(|ended| ended.run.id));
        let addr = TaskActor::new(TaskBirth {
            host: self.plan.host.meta.name.clone(),
            plan,
            parts: Arc::clone(&self.parts),
            runner: ctx.address().recipient(),
            alive,
            parent: self.children_token.token().clone(),
            obituary,
        })
        .start();
        child.parked.drain(..).for_each(|ended| addr.do_send(ended));
        if !self.firing {
            addr.do_send(StopFiring);
        }
        child.deaths.born();
        (child.addr, child.generation) = (Some(addr), generation);
    }

    /// Hands the end of a run to the task's actor; keeps it while that one is being built anew; settles it here when
    /// the task is not linked (any more).
    fn deliver(&mut self, ended: RunEnded, task: &Name) {
        match self.children.get_mut(task) {
            Some(Child { addr: Some(addr), .. }) if addr.connected() => addr.do_send(ended),
            Some(child) => child.parked.push(ended),
            None => self.settle(&ended.run, task, ended.end),
        }
    }

    fn settle(&self, run: &OpenRun, task: &Name, end: RunEnd) {
        let of = ResultOf { host: self.name(), task, node: &self.parts.node };
        let result = of.ended(run, end, &PairStatus::default(), self.parts.clock.now());
        super::saving::save(&self.parts, result, None, None);
    }

    /// Settles runs that nobody runs: of another life of this actor or of Alf, of tasks that are not linked.
    fn settle_orphans(&self) {
        let alive: HashSet<RunId> = self.runs.keys().copied().collect();
        for (task, run) in self.parts.board.orphans(self.name(), None, &alive) {
            if !self.children.contains_key(&task) {
                let message = "Alf stopped or crashed in the middle of the run; what became of it is not known";
                self.settle(&run, &task, RunEnd::NotRun { reason: Reason::Aborted, message: message.to_owned() });
            }
        }
    }

    fn remove_child(&mut self, task: &Name) {
        if let Some(child) = self.children.remove(task) {
            if let Some(addr) = child.addr {
                addr.do_send(Stop);
            }
            child.parked.into_iter().for_each(|ended| self.settle(&ended.run, task, ended.end));
        }
        self.parts.board.unlink(self.name(), task);
        let forget = self.parts.writer.write(vec![Write::ForgetPair { host: self.name().clone(), task: task.clone() }]);
        actix_rt::spawn(async move {
            if let Err(error) = forget.await {
                log::error!("{error}");
            }
        });
    }

    // === its runs ===

    fn start_run(&mut self, plan: PairPlan, run: OpenRun, ctx: &mut Context<Self>) {
        let task = plan.task.meta.name.clone();
        if self.runs.len() >= MOST_RUNS {
            let message = format!("{MOST_RUNS} runs wait for {} already", self.name());
            self.deliver(RunEnded { run, end: RunEnd::NotRun { reason: Reason::Late, message } }, &task);
            return;
        }
        let cancel = CancellationToken::new();
        self.runs.insert(run.id, Running { task: task.clone(), cancel: cancel.clone() });
        let job = Job {
            host: Arc::clone(&self.plan.host),
            plan,
            run: run.clone(),
            parts: Arc::clone(&self.parts),
            link: self.link.subscribe(),
            permits: Arc::clone(&self.permits),
            waiting: Arc::clone(&self.waiting),
            cancel,
            stopping: Arc::clone(&self.stopping),
        };
        ctx.spawn(job.run().into_actor(self).map(move |end, actor, _| {
            actor.runs.remove(&run.id);
            actor.deliver(RunEnded { run, end }, &task);
        }));
        self.want_connection(ctx);
    }

    fn end_runs(&self, stopping: bool) {
        self.stopping.store(stopping, Ordering::Relaxed);
        self.runs.values().for_each(|running| running.cancel.cancel());
    }

    // === its connection ===

    /// Connects as soon as it may, unless it is connected or at it.
    fn want_connection(&mut self, ctx: &mut Context<Self>) {
        let up = matches!(&*self.link.borrow(), Link::Up(_));
        if !up && !self.connecting && self.timer.is_none() {
            self.timer = Some(ctx.notify_later(Connect, self.reconnect.wait()));
        }
    }

    fn connected(&mut self, connection: u64, result: Result<Connected, ConnectError>, ctx: &mut Context<Self>) {
        if connection != self.connections {
            return;
        }
        self.connecting = false;
        let now = self.parts.clock.now().into();
        match result {
            Ok(connected) => {
                log::info!(host = self.name().as_str(), address = self.plan.host.address(); "connected");
                self.reconnect.succeeded();
                self.logins += 1;
                self.parts.board.host_up(self.name(), now);
                let session = Arc::new(OpenSession::new(connected.session, connection));
                let lost = session.lost();
                ctx.spawn(lost.into_actor(self).map(move |cause, actor, ctx| actor.lost(connection, &cause, ctx)));
                self.link.send_replace(Link::Up(session));
            }
            Err(error) => {
                let failure = Failure::from(error);
                log::warn!(host = self.name().as_str(), reason:% = failure.reason; "{}", failure.message);
                self.reconnect.failed(failure.reason);
                self.parts.board.host_down(self.name(), now, failure.reason, &failure.message);
                self.link.send_replace(Link::Down(failure));
                if self.waiting.load(Ordering::Relaxed) > 0 {
                    self.want_connection(ctx);
                }
            }
        }
    }

    fn lost(&mut self, connection: u64, cause: &str, ctx: &mut Context<Self>) {
        if connection != self.connections {
            return;
        }
        log::warn!(host = self.name().as_str(); "connection lost: {cause}");
        let message = format!("the connection to {} was lost: {cause}", self.name());
        let failure = Failure { reason: Reason::Unreachable, message };
        self.parts.board.host_down(self.name(), self.parts.clock.now().into(), failure.reason, &failure.message);
        self.reconnect.lost();
        self.link.send_replace(Link::Down(failure));
        // Runs that were about to start learn of it now; they count as waiting from the next turn on.
        if !self.runs.is_empty() {
            self.want_connection(ctx);
        }
    }

    /// Leaves the connection to the runs that are on it, and makes a new one when next needed.
    fn drop_connection(&mut self, ctx: &mut Context<Self>) {
        self.connections += 1;
        self.connecting = false;
        self.reconnect = Reconnect::default();
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.link.send_replace(Link::Idle);
        self.parts.board.host_unknown(self.name());
        if !self.runs.is_empty() {
            self.want_connection(ctx);
        }
    }
}

impl Actor for HostActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let parent = self.parent.clone();
        ctx.spawn(async move { parent.cancelled().await }.into_actor(self).map(|(), _, ctx| ctx.stop()));
        self.parts.board.host_unknown(self.name());
        for plan in self.plan.pairs.clone() {
            self.start_child(plan, ctx);
        }
        self.settle_orphans();
    }
}

impl Handler<StartRun> for HostActor {
    type Result = ();

    fn handle(&mut self, start: StartRun, ctx: &mut Context<Self>) {
        self.start_run(start.plan, start.run, ctx);
    }
}

impl Handler<RunTask> for HostActor {
    type Result = ResponseActFuture<Self, Result<RunId, AlfError>>;

    fn handle(&mut self, request: RunTask, _: &mut Context<Self>) -> Self::Result {
        let refuse = |error| Box::pin(actix::fut::ready(Err(error)));
        if !self.plan.host.enabled {
            return refuse(AlfError::Disabled(self.name().clone()));
        }
        if self.runs.len() >= MOST_RUNS {
            return refuse(AlfError::QueueFull(format!("{MOST_RUNS} wait for host \"{}\"", self.name())));
        }
        let task = request.task.meta.name.clone();
        if let Some(child) = self.children.get(&task) {
            let Some(addr) = child.addr.clone() else {
                return refuse(AlfError::Unavailable(format!("task \"{task}\" is being restarted")));
            };
            let answer = async move { addr.send(RunNow { by: request.by }).await? };
            return Box::pin(answer.into_actor(self));
        }
        // Not linked: no row in Status, no instants; claimed all the same, so that a crash leaves its Result.
        let now = self.parts.clock.now().into();
        let id = self.parts.ids.next(now);
        let run = OpenRun {
            by: request.by,
            ..unsent(id, request.task.meta.version, None, Trigger::Manual, now)
        };
        self.parts.board.open(self.name(), &task, run.clone());
        let host = self.name().clone();
        let claimed = self.parts.writer.write(vec![Write::Claim { host, task, until: None, open: run.clone() }]);
        Box::pin(claimed.into_actor(self).map(move |answer, actor, ctx| match answer {
            Ok(_) => {
                actor.start_run(PairPlan::unlinked(request.task), run, ctx);
                Ok(id)
            }
            Err(error) => {
                actor.parts.board.withdraw(id);
                Err(error.into())
            }
        }))
    }
}

impl Handler<ReplanHost> for HostActor {
    type Result = ();

    fn handle(&mut self, ReplanHost(plan): ReplanHost, ctx: &mut Context<Self>) {
        let before = std::mem::replace(&mut self.plan, plan);
        if before.host.max_sessions != self.plan.host.max_sessions {
            self.permits = permits(&self.plan);
        }
        if self.plan.connects_otherwise(&before) {
            self.drop_connection(ctx);
        }
        let linked: HashSet<Name> = self.plan.pairs.iter().map(|pair| pair.task.meta.name.clone()).collect();
        let gone: Vec<Name> = self.children.keys().filter(|task| !linked.contains(*task)).cloned().collect();
        gone.iter().for_each(|task| self.remove_child(task));
        for pair in self.plan.pairs.clone() {
            match self.children.get(&pair.task.meta.name) {
                None => self.start_child(pair, ctx),
                // One that is being built anew gets the present plan then.
                Some(Child { addr: Some(addr), .. }) if !before.pairs.contains(&pair) => {
                    addr.do_send(super::task::Replan(pair));
                }
                Some(_) => {}
            }
        }
    }
}

impl Handler<ChildEnded<Name>> for HostActor {
    type Result = ();

    fn handle(&mut self, ended: ChildEnded<Name>, ctx: &mut Context<Self>) {
        let Some(child) = self.children.get_mut(&ended.key) else {
            self.settle_orphans();
            return;
        };
        if child.generation != ended.generation {
            return;
        }
        child.addr = None;
        let wait = child.deaths.died(ended.cause);
        log::error!(host = self.plan.host.meta.name.as_str(), task = ended.key.as_str(),
            restart_in_ms = wait.as_millis() as u64; "task actor ended: {:?}", ended.cause);
        ctx.notify_later(Rebuild(ended.key), wait);
    }
}

impl Handler<Rebuild<Name>> for HostActor {
    type Result = ();

    fn handle(&mut self, Rebuild(task): Rebuild<Name>, ctx: &mut Context<Self>) {
        let plan = self.plan.pairs.iter().find(|pair| pair.task.meta.name == task).cloned();
        if let Some(plan) = plan
            && self.children.get(&task).is_some_and(|child| child.addr.is_none())
        {
            self.start_child(plan, ctx);
        }
    }
}

impl Handler<Connect> for HostActor {
    type Result = ();

    fn handle(&mut self, _: Connect, ctx: &mut Context<Self>) {
        self.timer = None;
        if self.runs.is_empty() {
            return;
        }
        self.connecting = true;
        self.connections += 1;
        let connection = self.connections;
        let host = Arc::clone(&self.plan.host);
        let target = self.plan.target(self.parts.board.learned_keys(&host), &self.parts.login);
        let parts = Arc::clone(&self.parts);
        let connect = async move {
            let connected = parts.connector.connect(target).await?;
            if let Some(key) = &connected.learned {
                let name = host.meta.name.clone();
                log::info!(host = name.as_str(), key:? = key; "host key learnt");
                let record =
                    HostKeyRecord { host: name, address: host.address().to_owned(), port: host.port, keys: vec![key.clone()] };
                // Pinned before first use: a key that was forgotten in a crash would be learnt a second time.
                parts.writer.write(vec![Write::PinHostKey(record.clone())]).await.map_err(|error| {
                    ConnectError::Unreachable { detail: format!("the host's key could not be stored: {error}") }
                })?;
                parts.board.learn(record);
            }
            Ok(connected)
        };
        ctx.spawn(connect.into_actor(self).map(move |result, actor, ctx| actor.connected(connection, result, ctx)));
    }
}

impl Handler<StopFiring> for HostActor {
    type Result = ();

    fn handle(&mut self, _: StopFiring, _: &mut Context<Self>) {
        self.firing = false;
        for child in self.children.values() {
            child.addr.iter().for_each(|addr| addr.do_send(StopFiring));
        }
    }
}

impl Handler<EndRuns> for HostActor {
    type Result = ();

    fn handle(&mut self, end: EndRuns, _: &mut Context<Self>) {
        self.end_runs(end.stopping);
    }
}

impl Handler<Stop> for HostActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

impl Handler<Crash> for HostActor {
    type Result = ();

    #[expect(clippy::panic, reason = "a test asks for it")]
    fn handle(&mut self, crash: Crash, _: &mut Context<Self>) {
        match crash.task.and_then(|task| self.children.get(&task)?.addr.clone()) {
            Some(addr) => addr.do_send(super::task::Crash),
            None => panic!("a test asked the host actor to panic"),
        }
    }
}

/// How a host's link stands, in a word.
pub(super) fn word(link: &Link, connecting: bool) -> &'static str {
    match link {
        Link::Up(_) => "connected",
        _ if connecting => "connecting",
        Link::Idle => "idle",
        Link::Down(_) => "down",
    }
}

impl HostActor {
    /// Figures of its own, without its children.
    pub(super) fn own_health(&self) -> ActorHealth {
        let running = self.runs.len().saturating_sub(self.waiting.load(Ordering::Relaxed));
        let link = self.link.borrow();
        let mut health = ActorHealth::up("host", self.name().as_str())
            .with("connection", word(&link, self.connecting))
            .with("address", format!("{}:{}", self.plan.host.address(), self.plan.host.port))
            .with("logins", self.logins)
            .with("sessions_free", self.permits.available_permits())
            .with("runs", self.runs.len());
        health.queue = (self.runs.len() - running) as u64;
        if let Link::Down(failure) = &*link {
            health.last_error = Some(failure.message.clone());
        }
        health
    }
}
