//! `NodeActor`: which hosts this node runs. It starts, changes and ends just the host actors that a change concerns, and
//! spreads them over a pool of arbiters.

use std::collections::HashMap;
use std::sync::Arc;

use actix::{Actor, ActorContext as _, Addr, AsyncContext as _, Context, Handler, Message};
use actix::{ResponseFuture, WrapFuture as _};
use actix_rt::ArbiterHandle;
use futures_util::future::join_all;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::catalog::CatalogChanged;
use super::health::{ANSWER, of_child};
use super::host::{EndRuns, HostActor, HostBirth, HostHealth, ReplanHost};
use super::ledger::{ResultOf, RunEnd};
use super::parts::NodeParts;
use super::plan::HostPlan;
use super::published::Published;
use super::supervision::{ActorHealth, ChildEnded, Deaths, Obituary, Rebuild, Stop};
use super::task::StopFiring;
use crate::model::{Catalog, Name, Noun, PairStatus, Reason};
use crate::store::Write;

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

/// To every host.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub enum Everyone {
    /// No instant is claimed from now on.
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
    parts: Arc<NodeParts>,
    published: Published,
    arbiters: Vec<ArbiterHandle>,
    children: HashMap<Name, Child>,
    children_token: DropGuard,
    generations: u64,
    firing: bool,
    _obituary: Obituary,
}

impl NodeActor {
    /// With a pool of at least one arbiter; hosts are started when the actor is.
    pub fn new(
        parts: Arc<NodeParts>,
        published: Published,
        arbiters: Vec<ArbiterHandle>,
        obituary: Obituary,
    ) -> Self {
        Self {
            parts,
            published,
            arbiters,
            children: HashMap::new(),
            children_token: CancellationToken::new().drop_guard(),
            generations: 0,
            firing: true,
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
            parent: self.children_token.token().clone(),
            obituary,
        };
        let pool = self.arbiters.len().max(1);
        let addr = match self.arbiters.get(usize::try_from(generation).unwrap_or_default() % pool) {
            Some(arbiter) => HostActor::start_in_arbiter(arbiter, move |_| HostActor::new(birth)),
            None => HostActor::new(birth).start(),
        };
        if !self.firing {
            addr.do_send(StopFiring);
        }
        let child = self.children.entry(name).or_insert_with(|| Child {
            addr: None,
            plan: plan.clone(),
            generation,
            deaths: Deaths::default(),
        });
        child.deaths.born();
        (child.addr, child.plan, child.generation) = (Some(addr), plan, generation);
    }

    /// A host's plan may be another one now.
    fn replan(&mut self, catalog: &Catalog, name: &Name, ctx: &mut Context<Self>) {
        let Some(host) = catalog.hosts.get(name) else {
            self.end_host(name, ctx);
            return;
        };
        let plan = HostPlan::of(catalog, host, &self.parts.login);
        match self.children.get_mut(name) {
            None => self.start_child(plan, ctx),
            Some(child) if child.plan != plan => {
                child.plan = plan.clone();
                child.addr.iter().for_each(|addr| addr.do_send(ReplanHost(plan.clone())));
            }
            Some(_) => {}
        }
    }

    /// A host was deleted: its runs are ended, then its actor, and what was learnt of it is forgotten.
    fn end_host(&mut self, name: &Name, ctx: &mut Context<Self>) {
        let Some(child) = self.children.remove(name) else { return };
        let parts = Arc::clone(&self.parts);
        let name = name.clone();
        let mut forget = vec![Write::ForgetHostKey(name.clone())];
        for pair in &child.plan.pairs {
            let task = pair.task.meta.name.clone();
            parts.board.unlink(&name, &task);
            forget.push(Write::ForgetPair { host: name.clone(), task });
        }
        let ending = async move {
            if let Some(addr) = child.addr {
                let bare = HostPlan { pairs: Vec::new(), ..child.plan };
                // Without tasks its runs are its own: it settles them itself.
                let _ = addr.send(ReplanHost(bare)).await;
                let _ = addr.send(EndRuns { stopping: false }).await;
                while addr.send(HostHealth).await.is_ok_and(|health| health.details.get("runs").is_some_and(|n| n != "0")) {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
                addr.do_send(Stop);
            }
            parts.board.forget_host(&name);
            if let Err(error) = parts.writer.write(forget).await {
                log::error!("{error}");
            }
        };
        ctx.spawn(ending.into_actor(self));
    }

    /// Runs and pairs of hosts that were deleted while Alf was away.
    fn settle_strangers(&self, catalog: &Catalog) {
        for host in self.parts.board.hosts_with_runs() {
            if catalog.hosts.contains_key(&host) {
                continue;
            }
            for (task, run) in self.parts.board.orphans(&host, None, &std::collections::HashSet::new()) {
                let of = ResultOf { host: &host, task: &task, node: &self.parts.node };
                let message = "Alf stopped or crashed in the middle of the run, and its host is defined no more";
                let end = RunEnd::NotRun { reason: Reason::Aborted, message: message.to_owned() };
                let result = of.ended(&run, end, &PairStatus::default(), self.parts.clock.now());
                super::saving::save(&self.parts, result, None, None);
            }
        }
    }
}

impl Actor for NodeActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let catalog = self.published.get();
        self.settle_strangers(&catalog);
        for host in catalog.hosts.values() {
            self.start_child(HostPlan::of(&catalog, host, &self.parts.login), ctx);
        }
    }
}

impl Handler<CatalogChanged> for NodeActor {
    type Result = ();

    fn handle(&mut self, changed: CatalogChanged, ctx: &mut Context<Self>) {
        let catalog = self.published.get();
        if changed.touched.iter().all(|what| what.noun == Noun::Key) {
            return;
        }
        if changed.touched.iter().all(|what| what.noun == Noun::Host) {
            for what in &changed.touched {
                self.replan(&catalog, &what.name, ctx);
            }
            return;
        }
        // A task, a link or a credential may concern any host: those whose plan is the same hear nothing.
        let names: std::collections::BTreeSet<Name> =
            catalog.hosts.keys().chain(self.children.keys()).cloned().collect();
        for name in &names {
            self.replan(&catalog, name, ctx);
        }
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
            self.start_child(HostPlan::of(&catalog, host, &self.parts.login), ctx);
        }
    }
}

impl Handler<Everyone> for NodeActor {
    type Result = ();

    fn handle(&mut self, what: Everyone, _: &mut Context<Self>) {
        for addr in self.children.values().filter_map(|child| child.addr.as_ref()) {
            match what {
                Everyone::StopFiring => addr.do_send(StopFiring),
                Everyone::EndRuns => addr.do_send(EndRuns { stopping: true }),
                Everyone::Stop => addr.do_send(Stop),
            }
        }
        match what {
            Everyone::StopFiring => self.firing = false,
            Everyone::EndRuns => {}
            Everyone::Stop => self.children.clear(),
        }
    }
}

impl Handler<Stop> for NodeActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

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
                    None => Some(ActorHealth {
                        state: "restarting".to_owned(),
                        ..ActorHealth::up("host", name.as_str())
                    }),
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
