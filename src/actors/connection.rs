//! How a host's actor gets its connection and keeps it: it connects when a run asks for it, again as long as runs ask,
//! and pins a key that it learns before the connection is used. More than one there is only where long runs crowd it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{
    ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, Recipient, SpawnHandle, WrapFuture as _,
};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

use super::host::HostActor;
use super::jump::{self, NoWay};
use super::leftovers::Leftovers;
use super::link::{Failure, Link, OpenSession};
use super::node::FindHost;
use super::parts::NodeParts;
use super::reconnect::Reconnect;
use super::saving;
use crate::model::{Change, Event, Host, HostRecord, Reason};
use crate::ssh::Target;
use crate::store::{HostKeyRecord, Write};

/// Longer than any setting lets a connect take: one that hangs for ever must not keep its host from being tried again.
const LONGEST_CONNECT: Duration = Duration::from_secs(600);
/// A handshake that takes longer costs nothing but time: it gives its place to the next one.
const BRISK: Duration = Duration::from_secs(2);
/// How often a host is looked after while runs wait there, or while it has more than one connection.
const LOOK: Duration = Duration::from_secs(1);
/// How long after a kill that got no answer its run is looked for again.
const SWEEP: Duration = Duration::from_secs(10);
/// A connection beyond the first is closed when nobody has used it for so long.
const SPARE: Duration = Duration::from_secs(60);

/// A run waits for a place on a connection.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Wanted;

/// Time to try the connection.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Connect;

/// A host's connection as its actor keeps it.
pub(super) struct Connection {
    /// As runs see it.
    pub(super) link: watch::Sender<Link>,
    /// Successful connects.
    pub(super) logins: u64,
    /// Runs whose end nobody has seen.
    pub(super) leftovers: Leftovers,
    /// Hosts behind this one want the connection until then.
    pub(super) wanted_until: Option<Instant>,
    /// Which connection is the newest.
    generation: u64,
    /// The connect that is under way.
    connecting: Option<SpawnHandle>,
    /// The next try.
    timer: Option<SpawnHandle>,
    /// Waits for the jump host to be up again.
    pub(super) way_back: Option<SpawnHandle>,
    /// The next look at the places.
    looking: bool,
    /// The next look for leftovers.
    sweeping: bool,
    /// The next look at whether anybody still uses it.
    idle_timer: Option<SpawnHandle>,
    pub(super) reconnect: Reconnect,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            link: watch::Sender::new(Link::Idle),
            logins: 0,
            leftovers: Leftovers::default(),
            wanted_until: None,
            generation: 0,
            connecting: None,
            timer: None,
            way_back: None,
            looking: false,
            sweeping: false,
            idle_timer: None,
            reconnect: Reconnect::default(),
        }
    }
}

impl Connection {
    /// How it stands, in a word.
    pub(super) fn word(&self) -> &'static str {
        match &*self.link.borrow() {
            Link::Up => "connected",
            _ if self.connecting.is_some() => "connecting",
            Link::Idle => "idle",
            Link::Down(_) => "down",
        }
    }

    /// Why there is none, if the last try failed.
    pub(super) fn failure(&self) -> Option<String> {
        match &*self.link.borrow() {
            Link::Down(failure) => Some(failure.message.clone()),
            Link::Idle | Link::Up => None,
        }
    }

    /// Whether it is being made, or will be tried within so long.
    pub(super) fn tries_within(&self, wait: Duration) -> bool {
        self.connecting.is_some() || (self.timer.is_some() && self.reconnect.wait() <= wait)
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(&*self.link.borrow(), Link::Up)
    }
}

/// Why a connect came to nothing.
pub(super) enum NotConnected {
    /// The host could not be connected to.
    Failed(Failure),
    /// Its jump host is down.
    NoWay(NoWay),
}

impl<T: Into<Failure>> From<T> for NotConnected {
    fn from(failure: T) -> Self {
        Self::Failed(failure.into())
    }
}

/// One connect, and all it needs.
struct Try {
    parts: Arc<NodeParts>,
    host: Arc<Host>,
    target: Target,
    generation: u64,
    find: Recipient<FindHost>,
    /// None for a connection beyond the first.
    leftovers: Option<Leftovers>,
}

impl Try {
    /// Connects, pins what was learnt, ends what is left of runs whose end nobody has seen.
    async fn connect(mut self) -> Result<Arc<OpenSession>, NotConnected> {
        let unreachable = |message: String| Failure { reason: Reason::Unreachable, message };
        let name = self.host.meta.name.clone();
        let way = jump::way(&self.find, &self.host).await.map_err(NotConnected::NoWay)?;
        self.target.via = way.as_ref().map(|way| way.session.via(way.host.clone()));
        let gates = [Some(Arc::clone(&self.parts.handshakes)), way.as_ref().map(|way| Arc::clone(&way.handshakes))];
        let target = self.target;
        let handshake = brisk(gates, self.parts.connector.connect(target));
        let connected = timeout(LONGEST_CONNECT, handshake).await;
        let connected =
            connected.map_err(|_| unreachable(format!("{name} did not answer within {LONGEST_CONNECT:?}")))??;
        // From here on it is closed when it is dropped.
        let through = way.map(|way| way.session);
        let session = Arc::new(OpenSession::new(
            connected.session,
            self.generation,
            &self.parts.board.counts.connections,
            through,
        ));
        if let Some(key) = connected.learned {
            log::info!(host = name.as_str(), key:? = key; "host key learnt");
            let (address, port) = (self.host.address().to_owned(), self.host.port);
            let record = HostKeyRecord { host: name.clone(), address, port, keys: vec![key] };
            // Pinned before first use: a key that was forgotten in a crash would be learnt a second time.
            let pinned = self.parts.writer.write(vec![Write::PinHostKey(record.clone())]).await;
            pinned.map_err(|error| unreachable(format!("the host's key could not be stored: {error}")))?;
            self.parts.board.learn(record);
        }
        if let Some(leftovers) = self.leftovers {
            leftovers.sweep(&session, &name, &self.parts).await;
        }
        Ok(session)
    }
}

/// Begins when each gate has a place for it, and gives the places back as soon as it is done or found to be slow: the
/// gates keep many handshakes from costing all others their time, and one that hangs costs nothing.
async fn brisk<T>(gates: [Option<Arc<Semaphore>>; 2], work: impl Future<Output = T>) -> T {
    let mut permits = Vec::new();
    for gate in gates.into_iter().flatten() {
        permits.extend(gate.acquire_owned().await);
    }
    tokio::pin!(work);
    if let Ok(done) = timeout(BRISK, &mut work).await {
        return done;
    }
    drop(permits);
    work.await
}

impl HostActor {
    fn connected(&mut self, result: Result<Arc<OpenSession>, NotConnected>, ctx: &mut Context<Self>) {
        self.connection.connecting = None;
        match result {
            Ok(session) => self.up(session, ctx),
            Err(NotConnected::Failed(failure)) => self.failed(failure, ctx),
            Err(NotConnected::NoWay(no_way)) => self.no_way(no_way, ctx),
        }
    }

    fn up(&mut self, session: Arc<OpenSession>, ctx: &mut Context<Self>) {
        log::info!(host = self.name().as_str(), address = self.plan.host.address(); "connected");
        self.connection.reconnect.succeeded();
        self.connection.logins += 1;
        self.parts.board.counts.logins.add(1);
        let now = self.parts.clock.now().into();
        self.change_host(|record| record.up(now));
        let (lost, generation) = (session.lost(), session.generation);
        ctx.spawn(lost.into_actor(self).map(move |cause, actor, ctx| actor.lost(generation, &cause, ctx)));
        self.places.add(session);
        if !self.connection.is_up() {
            self.connection.link.send_replace(Link::Up);
        }
        self.look_later(ctx);
        self.watch_idle(ctx);
        self.sweep_later(ctx);
    }

    fn failed(&mut self, failure: Failure, ctx: &mut Context<Self>) {
        log::warn!(host = self.name().as_str(), reason:% = failure.reason; "{}", failure.message);
        self.connection.reconnect.failed(failure.reason);
        self.parts.board.counts.not_connected(failure.reason);
        if self.places.connections() == 0 {
            let now = self.parts.clock.now().into();
            let most = Some(self.plan.host.max_attempts);
            self.change_host(|record| record.down(now, failure.reason, &failure.message, most));
            self.connection.link.send_replace(Link::Down(failure));
        }
        self.connect_if_wanted(ctx);
    }

    fn lost(&mut self, generation: u64, cause: &str, ctx: &mut Context<Self>) {
        let Some(others) = self.places.remove(generation) else { return };
        log::warn!(host = self.name().as_str(); "connection lost: {cause}");
        if others > 0 {
            return;
        }
        let message = format!("the connection to {} was lost: {cause}", self.name());
        let failure = Failure { reason: Reason::Unreachable, message };
        let now = self.parts.clock.now().into();
        self.change_host(|record| record.down(now, failure.reason, &failure.message, None));
        self.connection.reconnect.lost();
        self.connection.link.send_replace(Link::Down(failure));
        self.connect_if_wanted(ctx);
    }

    /// Leaves the connection to the runs that are on it, and makes a new one when next needed.
    pub(super) fn drop_connection(&mut self, ctx: &mut Context<Self>) {
        let connection = &mut self.connection;
        connection.reconnect = Reconnect::default();
        let under_way = [connection.timer.take(), connection.connecting.take(), connection.way_back.take()];
        for under_way in under_way.into_iter().flatten() {
            ctx.cancel_future(under_way);
        }
        self.places.clear();
        self.connection.link.send_replace(Link::Idle);
        // Another one, of which nothing is known.
        self.change_host(|record| *record = HostRecord::default());
    }

    /// Changes how the host stands, on the board and in the store.
    pub(super) fn change_host(&self, change: impl FnOnce(&mut HostRecord)) {
        if let Some((before, record)) = self.parts.board.change_host(self.name(), change) {
            self.parts.journal.host(self.name(), &before, &record);
            let write = Write::SetHost { host: self.name().clone(), record: Box::new(record.clone()) };
            let event = self.parts.reacts().then(|| self.event(&before, &record));
            saving::send_event(&self.parts, write, event);
        }
    }

    fn event(&self, before: &HostRecord, after: &HostRecord) -> Event {
        let at = self.parts.clock.now().into();
        let change = Change::Host { before: before.into(), after: after.into() };
        Event { id: self.parts.ids.next(at), at, host: self.name().clone(), has_result: false, change }
    }

    /// Whether anybody waits for a connection.
    fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0 || self.is_wanted_by_others()
    }

    /// Whether others than its runs, which ask by themselves, wait for a connection.
    fn is_wanted_by_others(&self) -> bool {
        let behind = self.connection.wanted_until.is_some_and(|until| until > Instant::now());
        behind || (self.plan.host.enabled && self.connection.leftovers.are_urgent())
    }

    /// Connects for those who do not ask by themselves.
    pub(super) fn connect_if_wanted(&mut self, ctx: &mut Context<Self>) {
        if self.places.connections() == 0 && self.is_wanted_by_others() {
            self.connect_soon(ctx);
        }
    }

    /// Connects as soon as it may, unless it is at it.
    pub(super) fn connect_soon(&mut self, ctx: &mut Context<Self>) {
        let connection = &mut self.connection;
        if connection.connecting.is_none() && connection.timer.is_none() {
            connection.timer = Some(ctx.notify_later(Connect, connection.reconnect.wait()));
        }
    }

    /// Connects at once, if a connect is waiting for its time: what kept it from coming about is over.
    pub(super) fn connect_now(&mut self, ctx: &mut Context<Self>) {
        self.connection.reconnect = Reconnect::default();
        if let Some(timer) = self.connection.timer.take() {
            ctx.cancel_future(timer);
        }
        if !self.connection.is_up() && self.connection.connecting.is_none() {
            ctx.notify(Connect);
        }
    }

    /// Looks after the places every now and then, for as long as somebody waits.
    fn look_later(&mut self, ctx: &mut Context<Self>) {
        let crowded = self.places.waiting() > 0 || self.places.connections() > 1;
        if crowded && !std::mem::replace(&mut self.connection.looking, true) {
            ctx.run_later(LOOK, |actor, ctx| {
                actor.connection.looking = false;
                actor.places.look();
                if actor.places.wants_more() {
                    actor.connect_soon(ctx);
                }
                actor.places.shed(SPARE, false);
                actor.look_later(ctx);
            });
        }
    }

    /// What is left of the runs that were open when Alf ended last is looked for at the first login, which is made for
    /// it.
    pub(super) fn remember_cut_off(&mut self, ctx: &mut Context<Self>) {
        self.connection.leftovers.cut_off(&self.plan.host, &self.parts);
        self.connect_if_wanted(ctx);
    }

    /// Looks again for what could not be looked for although the connection holds: the host was stuck for a while.
    pub(super) fn sweep_later(&mut self, ctx: &mut Context<Self>) {
        if !self.connection.leftovers.are_there() || std::mem::replace(&mut self.connection.sweeping, true) {
            return;
        }
        ctx.run_later(SWEEP, |actor, ctx| {
            let leftovers = actor.connection.leftovers.clone();
            let (session, host, parts) = (actor.places.first(), actor.name().clone(), Arc::clone(&actor.parts));
            let swept = async move {
                if let Some(session) = session {
                    leftovers.sweep(&session, &host, &parts).await;
                }
            };
            ctx.spawn(swept.into_actor(actor).map(|(), actor, ctx| {
                actor.connection.sweeping = false;
                // Without a connection the next one looks for them.
                if actor.connection.is_up() {
                    actor.sweep_later(ctx);
                }
            }));
        });
    }

    /// Closes the connection when nobody has used it for `ssh.idle_timeout` and nobody will for as long.
    fn watch_idle(&mut self, ctx: &mut Context<Self>) {
        let Some(idle) = self.parts.idle_timeout else { return };
        if let Some(timer) = self.connection.idle_timer.take() {
            ctx.cancel_future(timer);
        }
        let timer = ctx.run_later((idle / 2).max(Duration::from_millis(10)), move |actor, ctx| {
            actor.connection.idle_timer = None;
            let soon = actor.parts.clock.now() + idle;
            if !actor.connection.is_up() {
                return;
            }
            let board = &actor.parts.board;
            let mut next =
                actor.plan.pairs.iter().filter_map(|pair| board.next_run(actor.name(), &pair.task.meta.name));
            let due = next.any(|next| next.get() <= soon);
            if due || actor.places.shed(idle, true) > 0 {
                actor.watch_idle(ctx);
                return;
            }
            log::info!(host = actor.name().as_str(); "connection closed: nobody has used it for {idle:?}");
            actor.connection.link.send_replace(Link::Idle);
        });
        self.connection.idle_timer = Some(timer);
    }
}

impl Handler<Wanted> for HostActor {
    type Result = ();

    fn handle(&mut self, _: Wanted, ctx: &mut Context<Self>) {
        if self.connection.is_up() {
            self.look_later(ctx);
        } else {
            self.connect_soon(ctx);
        }
    }
}

impl Handler<Connect> for HostActor {
    type Result = ();

    fn handle(&mut self, _: Connect, ctx: &mut Context<Self>) {
        self.connection.timer = None;
        let first = self.places.connections() == 0;
        let wanted = if first { self.is_wanted() } else { self.places.wants_more() };
        if !wanted || self.connection.connecting.is_some() {
            return;
        }
        self.connection.generation += 1;
        let host = Arc::clone(&self.plan.host);
        let attempt = Try {
            parts: Arc::clone(&self.parts),
            target: self.plan.target(self.parts.board.learned_keys(&host), &self.parts.login),
            host,
            generation: self.connection.generation,
            find: self.find.clone(),
            leftovers: first.then(|| self.connection.leftovers.clone()),
        };
        let connecting = attempt.connect().into_actor(self).map(|result, actor, ctx| actor.connected(result, ctx));
        self.connection.connecting = Some(ctx.spawn(connecting));
    }
}
