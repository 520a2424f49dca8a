//! `HostActor`: one host. It owns the one SSH connection, its session permits and reconnects, and it supervises a
//! `TaskActor` for each linked task; runs of tasks that are not linked are its own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use actix::{Actor, ActorContext as _, ActorFutureExt as _, Addr, AsyncContext as _, Context, Handler, Message};
use actix::{Recipient, ResponseActFuture, ResponseFuture, WrapFuture as _};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::error::AlfError;
use super::jump;
use super::ledger::{CUT_OFF, ResultOf, RunEnd};
use super::node::FindHost;
use super::order::Order;
use super::parts::NodeParts;
use super::places::Places;
use super::plan::{HostPlan, PairPlan};
use super::run::Job;
use super::saving;
use super::supervision::{ActorHealth, ChildEnded, Crash, Deaths, Obituary, Rebuild, Stop, supervised};
use super::task::{Replan, RunEnded, RunNow, StopFiring, TaskActor, TaskBirth};
use super::unlinked::Gates;
use crate::model::{Event, Given, Name, PairStatus, Reason, RunId, Task, Trigger};
use crate::store::OpenRun;

/// How many actors may die while they take in the end of a run, before it is given up.
const MOST_DEATHS: u32 = 2;

/// Runs a claimed run of a linked task.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StartRun {
    /// What.
    pub plan: Arc<PairPlan>,
    /// The run.
    pub run: OpenRun,
    /// What is given to it.
    pub given: Arc<Given>,
}

/// A person wants a task run here now, linked or not, or ad hoc.
#[derive(Debug, Message)]
#[rtype(result = "Result<RunId, AlfError>")]
pub struct RunTask {
    /// The task.
    pub task: Arc<Task>,
    /// Whether it is not one of the catalog: its name is none then.
    pub ad_hoc: bool,
    /// What goes with it.
    pub order: Order,
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

/// For tests of supervision: lets a task's actor panic.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CrashTask(pub Name);

/// What a host actor is born with.
pub struct HostBirth {
    /// The host and its tasks.
    pub plan: HostPlan,
    /// What all actors of a node share.
    pub parts: Arc<NodeParts>,
    /// Finds its jump host.
    pub find: Recipient<FindHost>,
    /// Ends with its parent.
    pub parent: CancellationToken,
    /// Tells of its end.
    pub obituary: Obituary,
}

/// A task's actor, in whichever of its lives.
#[derive(Default)]
pub(super) struct Child {
    pub(super) addr: Option<Addr<TaskActor>>,
    generation: u64,
    pub(super) deaths: Deaths,
    /// Ends of runs that it has not taken in yet.
    parked: Vec<RunEnded>,
}

/// A run that this actor runs, or will as soon as it is claimed.
pub(super) struct Running {
    pub(super) task: Option<Name>,
    pub(super) trigger: Trigger,
    pub(super) cancel: CancellationToken,
}

/// One host.
pub struct HostActor {
    pub(super) plan: HostPlan,
    pub(super) parts: Arc<NodeParts>,
    parent: CancellationToken,
    pub(super) children: HashMap<Name, Child>,
    /// The children's way to this actor: the same for all of them.
    runner: Option<Arc<Recipient<StartRun>>>,
    generations: u64,
    pub(super) connection: Connection,
    pub(super) places: Arc<Places>,
    pub(super) find: Recipient<FindHost>,
    /// Handshakes at once of hosts behind this one.
    pub(super) through: Arc<Semaphore>,
    /// How many of the runs on the node may be of this host.
    share: Arc<Semaphore>,
    /// How many of the runs wait for their turn.
    pub(super) waiting: Arc<AtomicUsize>,
    pub(super) runs: HashMap<RunId, Running>,
    /// Of tasks that are not linked.
    pub(super) gates: Gates,
    stopping: Arc<AtomicBool>,
    _obituary: Obituary,
}

impl HostActor {
    /// Without connection: the first run asks for it.
    pub fn new(birth: HostBirth) -> Self {
        Self {
            places: Places::new(birth.plan.host.max_sessions),
            find: birth.find,
            through: Arc::new(Semaphore::new(jump::HANDSHAKES)),
            share: birth.parts.in_flight.share_of_host(),
            plan: birth.plan,
            parts: birth.parts,
            parent: birth.parent,
            children: HashMap::new(),
            runner: None,
            generations: 0,
            connection: Connection::default(),
            waiting: Arc::default(),
            runs: HashMap::new(),
            gates: Gates::default(),
            stopping: Arc::default(),
            _obituary: birth.obituary,
        }
    }

    pub(super) fn name(&self) -> &Name {
        &self.plan.host.meta.name
    }

    // === its tasks ===

    fn start_child(&mut self, plan: Arc<PairPlan>, ctx: &mut Context<Self>) {
        let task = plan.task.meta.name.clone();
        self.generations += 1;
        let generation = self.generations;
        let (tell, key) = (ctx.address().downgrade(), task.clone());
        let obituary = Obituary::new(move |cause| {
            if let Some(parent) = tell.upgrade() {
                parent.do_send(ChildEnded { key, generation, cause });
            }
        });
        let runner = Arc::clone(self.runner.get_or_insert_with(|| Arc::new(ctx.address().recipient())));
        let (host, parts) = (self.name().clone(), Arc::clone(&self.parts));
        let child = self.children.entry(task.clone()).or_default();
        let running = self.runs.iter().filter(|(_, running)| running.task.as_ref() == Some(&task)).map(|(id, _)| *id);
        let alive = running.chain(child.parked.iter().map(|ended| ended.run.id)).collect();
        let addr = TaskActor::new(TaskBirth { host, plan, parts, runner, alive, obituary }).start();
        child.deaths.born();
        (child.addr, child.generation) = (Some(addr), generation);
        for ended in std::mem::take(&mut child.parked) {
            self.deliver(ended, Some(&task), ctx);
        }
    }

    /// Hands the end of a run to the task's actor, and keeps it until that one, in whichever of its lives, has taken it
    /// in; settles it here when the task is not linked (any more), or there is none.
    fn deliver(&mut self, ended: RunEnded, task: Option<&Name>, ctx: &mut Context<Self>) {
        let Some((task, child)) = task.and_then(|task| Some((task, self.children.get_mut(task)?))) else {
            self.settle(&ended.run, task, ended.end);
            return;
        };
        let Some(addr) = &child.addr else {
            child.parked.push(ended);
            return;
        };
        let (task, taken) = (task.clone(), addr.send(ended.clone()));
        ctx.spawn(taken.into_actor(self).map(move |taken, actor, ctx| {
            if taken.is_err() && actor.is_open(&ended.run) {
                actor.bring_back(ended, &task, ctx);
            }
        }));
    }

    /// The end of a run that its task's actor died with: the next one is to have it, unless that is what they die of.
    fn bring_back(&mut self, ended: RunEnded, task: &Name, ctx: &mut Context<Self>) {
        let deaths = ended.deaths + 1;
        let end = if deaths > MOST_DEATHS {
            let message = "Alf failed at the end of the run; the log has the place".to_owned();
            RunEnd::NotRun { reason: Reason::Aborted, message }
        } else {
            ended.end
        };
        let ended = RunEnded { deaths, end, ..ended };
        match self.children.get_mut(task) {
            // Its obituary may still be on its way.
            Some(child) if child.addr.as_ref().is_none_or(|addr| !addr.connected()) => child.parked.push(ended),
            _ => self.deliver(ended, Some(task), ctx),
        }
    }

    /// Whether a run has no Result yet.
    fn is_open(&self, run: &OpenRun) -> bool {
        self.parts.board.run(run.id).is_some_and(|(_, storing)| !storing)
    }

    fn settle(&self, run: &OpenRun, task: Option<&Name>, end: RunEnd) {
        let of = ResultOf { host: self.name(), task, node: &self.parts.node, max_attempts: 1 };
        let result = of.ended(run, end, &PairStatus::default(), self.parts.clock.now());
        let event = if self.parts.reacts() { Event::of_unlinked(&result) } else { None };
        saving::save(&self.parts, result, None, None, None, event);
        task.iter().for_each(|task| saving::forget_pair(&self.parts, self.name(), task));
    }

    /// Settles ad-hoc runs and those of tasks that are not linked, and that nobody runs.
    fn settle_orphans(&self, reason: Reason, message: &str) {
        let alive: HashSet<RunId> = self.runs.keys().copied().collect();
        for (task, run) in self.parts.board.orphans(self.name(), None, &alive) {
            if task.as_ref().is_none_or(|task| !self.children.contains_key(task)) {
                self.settle(&run, task.as_ref(), RunEnd::NotRun { reason, message: message.to_owned() });
            }
        }
    }

    fn remove_child(&mut self, task: &Name) {
        if let Some(child) = self.children.remove(task) {
            if let Some(addr) = child.addr {
                addr.do_send(Stop);
            }
            child.parked.into_iter().for_each(|ended| self.settle(&ended.run, Some(task), ended.end));
        }
        self.parts.board.unlink(self.name(), task);
        saving::forget_pair(&self.parts, self.name(), task);
    }

    // === its runs ===

    /// Starts a run, which may have to wait at a gate for those before it.
    pub(super) fn start_run(
        &mut self,
        StartRun { plan, run, given }: StartRun,
        gate: Option<Arc<Semaphore>>,
        ctx: &mut Context<Self>,
    ) {
        let task = run.task_version.map(|_| plan.task.meta.name.clone());
        if !self.is_open(&run) {
            // Of a life of the task's actor that the next one has settled already.
            return;
        }
        let refusal = if self.stopping.load(Ordering::Relaxed) {
            Some((Reason::Aborted, "Alf stopped before it could start".to_owned()))
        } else if self.runs.len() >= self.parts.queue && !self.runs.contains_key(&run.id) {
            Some((Reason::Late, format!("{} runs wait for {} already (ssh.queue)", self.parts.queue, self.name())))
        } else {
            None
        };
        if let Some((reason, message)) = refusal {
            self.runs.remove(&run.id);
            self.deliver(RunEnded::new(run, RunEnd::NotRun { reason, message }), task.as_ref(), ctx);
            return;
        }
        let job = Job {
            host: Arc::clone(&self.plan.host),
            plan,
            run: run.clone(),
            given,
            gate,
            parts: Arc::clone(&self.parts),
            link: self.connection.link.subscribe(),
            connector: ctx.address().recipient(),
            places: Arc::clone(&self.places),
            leftovers: self.connection.leftovers.clone(),
            share: Arc::clone(&self.share),
            waiting: Arc::clone(&self.waiting),
            cancel: self.enlist(&run, task.as_ref()),
            stopping: Arc::clone(&self.stopping),
        };
        ctx.spawn(job.run().into_actor(self).map(move |end, actor, ctx| {
            actor.runs.remove(&run.id);
            actor.connect_if_wanted(ctx);
            actor.sweep_later(ctx);
            actor.deliver(RunEnded::new(run, end), task.as_ref(), ctx);
        }));
    }

    /// Counts a run among those of this actor; answers by what it is cancelled.
    pub(super) fn enlist(&mut self, run: &OpenRun, task: Option<&Name>) -> CancellationToken {
        let (task, trigger) = (task.cloned(), run.trigger);
        let running = || Running { task, trigger, cancel: CancellationToken::new() };
        self.runs.entry(run.id).or_insert_with(running).cancel.clone()
    }

    /// Why no run is accepted from a person now.
    fn refusal(&self) -> Option<AlfError> {
        let writer = &self.parts.writer;
        if self.parts.is_stopping() {
            Some(AlfError::Unavailable("Alf is stopping".to_owned()))
        } else if !self.plan.host.enabled {
            Some(AlfError::Disabled(self.name().clone()))
        } else if self.runs.len() >= self.parts.queue {
            Some(AlfError::QueueFull(format!("{} wait for host \"{}\"", self.parts.queue, self.name())))
        } else if let Some(error) = writer.failing() {
            Some(error.into())
        } else if writer.is_full() {
            Some(AlfError::QueueFull(format!("{} writes wait for the store", writer.waiting())))
        } else {
            None
        }
    }
}

impl Drop for HostActor {
    /// Its children end with it, however it ends.
    fn drop(&mut self) {
        self.children.values().filter_map(|child| child.addr.as_ref()).for_each(|addr| addr.do_send(Stop));
    }
}

impl Actor for HostActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let parent = self.parent.clone();
        ctx.spawn(async move { parent.cancelled().await }.into_actor(self).map(|(), _, ctx| ctx.stop()));
        self.parts.board.know_host(self.name());
        self.remember_cut_off(ctx);
        for plan in Arc::clone(&self.plan.pairs).iter() {
            self.start_child(Arc::clone(plan), ctx);
        }
        self.settle_orphans(Reason::Aborted, CUT_OFF);
    }
}

supervised!(HostActor);

impl Handler<StartRun> for HostActor {
    type Result = ();

    fn handle(&mut self, start: StartRun, ctx: &mut Context<Self>) {
        // Its task's actor sees to its turn.
        self.start_run(start, None, ctx);
    }
}

impl Handler<RunTask> for HostActor {
    type Result = ResponseActFuture<Self, Result<RunId, AlfError>>;

    fn handle(&mut self, request: RunTask, _: &mut Context<Self>) -> Self::Result {
        let refuse = |error| Box::pin(actix::fut::ready(Err(error)));
        if let Some(error) = self.refusal() {
            return refuse(error);
        }
        let task = (!request.ad_hoc).then(|| request.task.meta.name.clone());
        if let Some((task, child)) = task.as_ref().and_then(|task| Some((task, self.children.get(task)?))) {
            let Some(addr) = child.addr.clone() else {
                return refuse(AlfError::Unavailable(format!("task \"{task}\" is being restarted")));
            };
            let answer = async move { addr.send(RunNow { order: request.order }).await? };
            return Box::pin(answer.into_actor(self));
        }
        self.run_unlinked(request)
    }
}

impl Handler<ReplanHost> for HostActor {
    type Result = ();

    fn handle(&mut self, ReplanHost(plan): ReplanHost, ctx: &mut Context<Self>) {
        let before = std::mem::replace(&mut self.plan, plan);
        if before.host.max_sessions != self.plan.host.max_sessions {
            self.places.set_most(self.plan.host.max_sessions);
        }
        if self.plan.connects_otherwise(&before) {
            self.drop_connection(ctx);
        }
        let linked: HashSet<Name> = self.plan.pairs.iter().map(|pair| pair.task.meta.name.clone()).collect();
        let gone: Vec<Name> = self.children.keys().filter(|task| !linked.contains(*task)).cloned().collect();
        gone.iter().for_each(|task| self.remove_child(task));
        let before: HashMap<&Name, &Arc<PairPlan>> =
            before.pairs.iter().map(|pair| (&pair.task.meta.name, pair)).collect();
        for pair in Arc::clone(&self.plan.pairs).iter() {
            let name = &pair.task.meta.name;
            match self.children.get(name) {
                None => self.start_child(Arc::clone(pair), ctx),
                // One that is being built anew gets the present plan then.
                Some(Child { addr: Some(addr), .. }) if before.get(name) != Some(&pair) => {
                    addr.do_send(Replan(Arc::clone(pair)))
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
            let message = "cancelled before it started: the task was taken from the host";
            self.settle_orphans(Reason::Cancelled, message);
            saving::forget_pair(&self.parts, self.name(), &ended.key);
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
            self.parts.board.counts.tasks_restarted.add(1);
            self.start_child(plan, ctx);
        }
    }
}

impl Handler<StopFiring> for HostActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: StopFiring, _: &mut Context<Self>) -> Self::Result {
        let heard: Vec<_> =
            self.children.values().filter_map(|child| Some(child.addr.as_ref()?.send(StopFiring))).collect();
        Box::pin(join_all(heard).map(|_| ()))
    }
}

impl Handler<EndRuns> for HostActor {
    type Result = ();

    fn handle(&mut self, end: EndRuns, _: &mut Context<Self>) {
        self.stopping.store(end.stopping, Ordering::Relaxed);
        self.runs.values().for_each(|running| running.cancel.cancel());
    }
}

impl Handler<CrashTask> for HostActor {
    type Result = ();

    fn handle(&mut self, CrashTask(task): CrashTask, _: &mut Context<Self>) {
        let addr = self.children.get(&task).and_then(|child| child.addr.as_ref());
        addr.into_iter().for_each(|addr| addr.do_send(Crash));
    }
}
