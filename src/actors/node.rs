//! `NodeActor`: which hosts this node runs. It starts, changes and ends just the host actors that a change concerns, and
//! spreads them over a pool of arbiters.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Actor, ActorFutureExt as _, Addr, AsyncContext as _, Context, Handler, Message};
use actix::{ResponseFuture, WrapFuture as _};
use actix_rt::ArbiterHandle;
use futures_util::future::join_all;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::catalog::CatalogChanged;
use super::health::{ANSWER, of_child};
use super::heard::{self, Heard};
use super::host::{EndRuns, HostActor, HostBirth, HostHealth, ReplanHost};
use super::ledger::{ResultOf, RunEnd};
use super::parts::NodeParts;
use super::plan::HostPlan;
use super::published::Published;
use super::saving;
use super::supervision::{ActorHealth, ChildEnded, Deaths, Obituary, Rebuild, Stop, supervised};
use super::task::StopFiring;
use crate::model::{Catalog, Event, Name, Noun, PairStatus, Reason, Reference};
use crate::store::Write;

/// How often a host that was deleted is asked whether its runs have ended.
const WHILE_ENDING: Duration = Duration::from_millis(100);

/// Finds a host's actor.
#[derive(Debug, Message)]
#[rtype(result = "Option<Addr<HostActor>>")]
pub struct FindHost(pub Name);

/// Asks how the node stands, or one of its hosts.
#[derive(Debug, Message)]
#[rtype(result = "Option<ActorHealth>")]
pub struct NodeHealth {
    /// Just this host.
    pub host: Option<Name>,
}

/// To every host; answered when all have heard it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum Everyone {
    /// Alf is stopping: no instant is claimed, no run accepted from now on.
    StopFiring,
    /// All runs are ended, as Alf is stopping.
    EndRuns,
    /// All connections are closed.
    Stop,
}

struct Child {
    addr: Option<Addr<HostActor>>,
    plan: HostPlan,
    generation: u64,
    deaths: Deaths,
}

/// Which hosts this node runs.
pub struct NodeActor {
    pub(super) parts: Arc<NodeParts>,
    published: Published,
    arbiters: Vec<ArbiterHandle>,
    children: HashMap<Name, Child>,
    children_token: DropGuard,
    generations: u64,
    /// Hosts that were deleted and whose runs have not all ended: one of the same name starts when they have.
    ending: HashSet<Name>,
    _obituary: Obituary,
}

impl NodeActor {
    /// With a pool of at least one arbiter; hosts are started when the actor is.
    pub fn new(parts: Arc<NodeParts>, published: Published, arbiters: Vec<ArbiterHandle>, obituary: Obituary) -> Self {
        Self {
            parts,
            published,
            arbiters,
            children: HashMap::new(),
            children_token: CancellationToken::new().drop_guard(),
            generations: 0,
            ending: HashSet::new(),
            _obituary: obituary,
        }
    }

    fn start_child(&mut self, plan: HostPlan, ctx: &mut Context<Self>) {
        let name = plan.host.meta.name.clone();
        self.generations += 1;
        let generation = self.generations;
        let tell = ctx.address().recipient::<ChildEnded<Name>>().downgrade();
        let key = name.clone();
        let obituary = Obituary::new(move |cause| {
            if let Some(parent) = tell.upgrade() {
                parent.do_send(ChildEnded { key, generation, cause });
            }
        });
        let birth = HostBirth {
            plan: plan.clone(),
            parts: Arc::clone(&self.parts),
            find: ctx.address().recipient(),
            parent: self.children_token.token().clone(),
            obituary,
        };
        let pool = self.arbiters.len().max(1);
        let addr = match self.arbiters.get(usize::try_from(generation).unwrap_or_default() % pool) {
            Some(arbiter) => HostActor::start_in_arbiter(arbiter, move |_| HostActor::new(birth)),
            None => HostActor::new(birth).start(),
        };
        let child = self.children.entry(name).or_insert_with(|| Child {
            addr: None,
            plan: plan.clone(),
            generation,
            deaths: Deaths::default(),
        });
        child.deaths.born();
        (child.addr, child.plan, child.generation) = (Some(addr), plan, generation);
    }

    /// Definitions have changed; answers which hosts were told of it.
    fn take_up(&mut self, touched: &[Reference], ctx: &mut Context<Self>) -> Vec<Addr<HostActor>> {
        if touched.iter().any(|what| what.noun == Noun::Task) {
            self.parts.max_running.look();
        }
        if touched.iter().all(|what| matches!(what.noun, Noun::Key | Noun::Program | Noun::Contact | Noun::Action)) {
            return Vec::new();
        }
        let catalog = self.published.get();
        let jumps = catalog.jumps();
        let names: BTreeSet<Name> = if touched.iter().all(|what| what.noun == Noun::Host) {
            // The one that leads to it now is another one, too.
            let jump = |what: &Reference| catalog.hosts.get(&what.name).and_then(|host| host.jump.clone());
            touched.iter().flat_map(|what| [Some(what.name.clone()), jump(what)]).flatten().collect()
        } else {
            // A task, a link or a credential may concern any host: those whose plan is the same hear nothing.
            catalog.hosts.keys().chain(self.children.keys()).cloned().collect()
        };
        names.iter().filter_map(|name| self.replan(&catalog, &jumps, name, ctx)).collect()
    }

    /// A host's plan may be another one now; answers who was told of it.
    fn replan(
        &mut self,
        catalog: &Catalog,
        jumps: &HashSet<Name>,
        name: &Name,
        ctx: &mut Context<Self>,
    ) -> Option<Addr<HostActor>> {
        let Some(host) = catalog.hosts.get(name) else { return self.end_host(name, ctx) };
        if self.ending.contains(name) {
            return None;
        }
        let plan = HostPlan::of(catalog, jumps, host, &self.parts.login);
        match self.children.get_mut(name) {
            None => self.start_child(plan, ctx),
            Some(child) if child.plan != plan => {
                child.plan = plan.clone();
                child.addr.iter().for_each(|addr| addr.do_send(ReplanHost(plan.clone())));
            }
            Some(_) => return None,
        }
        self.children.get(name)?.addr.clone()
    }

    /// A host was deleted: its runs are ended, then its actor, and what was learnt of it is forgotten. Answers who was
    /// told of it.
    fn end_host(&mut self, name: &Name, ctx: &mut Context<Self>) -> Option<Addr<HostActor>> {
        let child = self.children.remove(name)?;
        self.ending.insert(name.clone());
        // Without tasks its runs are its own: it settles them itself.
        let bare = HostPlan { pairs: Arc::default(), ..child.plan };
        child.addr.iter().for_each(|addr| addr.do_send(ReplanHost(bare.clone())));
        let name = name.clone();
        ctx.spawn(end_runs(child.addr.clone()).into_actor(self).map(move |(), actor, ctx| {
            actor.forget_strangers(Some(&name));
            actor.ending.remove(&name);
            let catalog = actor.published.get();
            actor.replan(&catalog, &catalog.jumps(), &name, ctx);
        }));
        child.addr
    }

    /// Settles runs that nobody runs, and forgets what is known, of this host, or of all hosts and pairs that are not
    /// defined (any more): deleted while Alf was away, or while this actor was.
    fn forget_strangers(&self, only: Option<&Name>) {
        let catalog = self.published.get();
        let board = &self.parts.board;
        let mut linked: HashSet<(Name, Name)> = HashSet::new();
        if only.is_none() {
            for host in catalog.hosts.values() {
                let of_host = catalog.tasks_of(host).into_iter();
                linked.extend(of_host.map(|(task, _)| (host.meta.name.clone(), task.meta.name.clone())));
            }
        }
        let strange = |host: &Name| only.is_none_or(|only| only == host);
        for host in board.hosts_with_runs().into_iter().filter(strange) {
            for (task, run) in board.orphans(&host, None, &HashSet::new()) {
                if task.as_ref().is_some_and(|task| linked.contains(&(host.clone(), task.clone()))) {
                    continue;
                }
                let of = ResultOf { host: &host, task: task.as_ref(), node: &self.parts.node, max_attempts: 1 };
                let message = "Alf stopped or crashed in the middle of the run, and its task is not linked any more";
                let end = RunEnd::NotRun { reason: Reason::Aborted, message: message.to_owned() };
                let result = of.ended(&run, end, &PairStatus::default(), self.parts.clock.now());
                let event = if self.parts.reacts() { Event::of_unlinked(&result) } else { None };
                saving::save(&self.parts, result, None, None, None, event);
            }
        }
        for (host, task) in board.pairs().into_iter().filter(|(host, _)| strange(host)) {
            if !linked.contains(&(host.clone(), task.clone())) {
                board.unlink(&host, &task);
                saving::forget_pair(&self.parts, &host, &task);
            }
        }
        for host in board.hosts().into_iter().filter(strange) {
            if only.is_some() || !catalog.hosts.contains_key(&host) {
                board.forget_host(&host);
                saving::send(&self.parts, vec![Write::ForgetHostKey(host.clone()), Write::ForgetHost(host)]);
            }
        }
    }
}

/// Ends the runs of a host that was deleted, then its actor. A run ends as soon as its command is killed and its Result
/// can be written; there is no hurry.
async fn end_runs(addr: Option<Addr<HostActor>>) {
    let Some(addr) = addr else { return };
    let _ = addr.send(EndRuns { stopping: false }).await;
    while addr.send(HostHealth).await.is_ok_and(|health| health.details.get("runs").is_some_and(|runs| runs != "0")) {
        tokio::time::sleep(WHILE_ENDING).await;
    }
    let _ = addr.send(Stop).await;
}

impl Actor for NodeActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.watch_clock(ctx);
        self.forget_strangers(None);
        let catalog = self.published.get();
        let jumps = catalog.jumps();
        for host in catalog.hosts.values() {
            self.start_child(HostPlan::of(&catalog, &jumps, host, &self.parts.login), ctx);
        }
    }
}

impl Handler<CatalogChanged> for NodeActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, changed: CatalogChanged, ctx: &mut Context<Self>) -> Self::Result {
        heard::by_all(self.take_up(&changed.touched, ctx))
    }
}

impl Handler<Heard> for NodeActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Heard, _: &mut Context<Self>) -> Self::Result {
        let hosts: Vec<_> = self.children.values().filter_map(|child| child.addr.clone()).collect();
        heard::by_all(hosts)
    }
}

impl Handler<FindHost> for NodeActor {
    type Result = Option<Addr<HostActor>>;

    fn handle(&mut self, FindHost(name): FindHost, _: &mut Context<Self>) -> Self::Result {
        self.children.get(&name).and_then(|child| child.addr.clone())
    }
}

impl Handler<ChildEnded<Name>> for NodeActor {
    type Result = ();

    fn handle(&mut self, ended: ChildEnded<Name>, ctx: &mut Context<Self>) {
        let Some(child) = self.children.get_mut(&ended.key).filter(|child| child.generation == ended.generation) else {
            return;
        };
        child.addr = None;
        let wait = child.deaths.died(ended.cause);
        log::error!(host = ended.key.as_str(), restart_in_ms = wait.as_millis() as u64;
            "host actor ended: {:?}", ended.cause);
        ctx.notify_later(Rebuild(ended.key), wait);
    }
}

impl Handler<Rebuild<Name>> for NodeActor {
    type Result = ();

    fn handle(&mut self, Rebuild(name): Rebuild<Name>, ctx: &mut Context<Self>) {
        let catalog = self.published.get();
        if let Some(host) = catalog.hosts.get(&name)
            && self.children.get(&name).is_some_and(|child| child.addr.is_none())
        {
            self.parts.board.counts.hosts_restarted.add(1);
            self.start_child(HostPlan::of(&catalog, &catalog.jumps(), host, &self.parts.login), ctx);
        }
    }
}

impl Handler<Everyone> for NodeActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, what: Everyone, _: &mut Context<Self>) -> Self::Result {
        if what == Everyone::StopFiring {
            self.parts.stopping.store(true, Ordering::Relaxed);
        }
        let addrs: Vec<_> = self.children.values().filter_map(|child| child.addr.clone()).collect();
        if what == Everyone::Stop {
            self.children.clear();
        }
        // Who is no more has nothing to stop.
        Box::pin(async move {
            match what {
                Everyone::StopFiring => drop(join_all(addrs.iter().map(|addr| addr.send(StopFiring))).await),
                Everyone::EndRuns => {
                    drop(join_all(addrs.iter().map(|addr| addr.send(EndRuns { stopping: true }))).await)
                }
                Everyone::Stop => drop(join_all(addrs.iter().map(|addr| addr.send(Stop))).await),
            }
        })
    }
}

supervised!(NodeActor);

impl Handler<NodeHealth> for NodeActor {
    type Result = ResponseFuture<Option<ActorHealth>>;

    fn handle(&mut self, NodeHealth { host }: NodeHealth, _: &mut Context<Self>) -> Self::Result {
        let mut children: Vec<_> = self
            .children
            .iter()
            .filter(|(name, _)| host.as_ref().is_none_or(|host| host == *name))
            .map(|(name, child)| (name.clone(), child.addr.clone(), child.deaths.clone()))
            .collect();
        children.sort_by(|one, other| one.0.cmp(&other.0));
        let node = self.parts.node.clone();
        Box::pin(async move {
            let hosts = children.into_iter().map(|(name, addr, deaths)| async move {
                let answer = match addr {
                    Some(addr) => addr.send(HostHealth).timeout(ANSWER * 2).await.ok(),
                    None => {
                        Some(ActorHealth { state: "restarting".to_owned(), ..ActorHealth::up("host", name.as_str()) })
                    }
                };
                of_child("host", name.as_str(), &deaths, answer)
            });
            let mut hosts = join_all(hosts).await;
            match host {
                Some(_) => hosts.pop(),
                None => Some(ActorHealth { children: hosts, ..ActorHealth::up("node", node.as_str()) }),
            }
        })
    }
}
