//! How a host's actor gets its one connection and keeps it: it connects when a run asks for it, again as long as runs
//! ask, and pins a key that it learns before the connection is used.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, SpawnHandle, WrapFuture as _};
use tokio::sync::watch;

use super::host::HostActor;
use super::link::{Failure, Link, OpenSession};
use super::parts::NodeParts;
use super::reconnect::Reconnect;
use crate::model::{Host, Reason};
use crate::ssh::{ConnectError, Target};
use crate::store::{HostKeyRecord, Write};

/// Longer than any setting lets a connect take: one that hangs for ever must not keep its host from being tried again.
const LONGEST_CONNECT: Duration = Duration::from_secs(600);

/// A run waits for the connection.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Wanted;

/// Time to try the connection.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Connect;

/// A host's connection as its actor keeps it.
pub(super) struct Connection {
    /// As runs see it.
    pub(super) link: watch::Sender<Link>,
    /// Successful connects.
    pub(super) logins: u64,
    /// Which connection it is, or will be.
    generation: u64,
    /// The connect that is under way.
    connecting: Option<SpawnHandle>,
    /// The next try.
    timer: Option<SpawnHandle>,
    reconnect: Reconnect,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            link: watch::Sender::new(Link::Idle),
            logins: 0,
            generation: 0,
            connecting: None,
            timer: None,
            reconnect: Reconnect::default(),
        }
    }
}

impl Connection {
    /// How it stands, in a word.
    pub(super) fn word(&self) -> &'static str {
        match &*self.link.borrow() {
            Link::Up(_) => "connected",
            _ if self.connecting.is_some() => "connecting",
            Link::Idle => "idle",
            Link::Down(_) => "down",
        }
    }

    /// Why there is none, if the last try failed.
    pub(super) fn failure(&self) -> Option<String> {
        match &*self.link.borrow() {
            Link::Down(failure) => Some(failure.message.clone()),
            Link::Idle | Link::Up(_) => None,
        }
    }
}

/// Connects, and pins what was learnt.
async fn connect(
    parts: Arc<NodeParts>,
    host: Arc<Host>,
    target: Target,
    generation: u64,
) -> Result<Arc<OpenSession>, ConnectError> {
    let unreachable = |detail: String| ConnectError::Unreachable { detail };
    let connecting = tokio::time::timeout(LONGEST_CONNECT, parts.connector.connect(target));
    let connected = connecting
        .await
        .map_err(|_| unreachable(format!("{} did not answer within {LONGEST_CONNECT:?}", host.meta.name)))??;
    // From here on it is closed when it is dropped.
    let session = Arc::new(OpenSession::new(connected.session, generation, &parts.sessions));
    if let Some(key) = connected.learned {
        let name = host.meta.name.clone();
        log::info!(host = name.as_str(), key:? = key; "host key learnt");
        let record = HostKeyRecord { host: name, address: host.address().to_owned(), port: host.port, keys: vec![key] };
        // Pinned before first use: a key that was forgotten in a crash would be learnt a second time.
        let pinned = parts.writer.write(vec![Write::PinHostKey(record.clone())]).await;
        pinned.map_err(|error| unreachable(format!("the host's key could not be stored: {error}")))?;
        parts.board.learn(record);
    }
    Ok(session)
}

impl HostActor {
    fn connected(&mut self, result: Result<Arc<OpenSession>, ConnectError>, ctx: &mut Context<Self>) {
        self.connection.connecting = None;
        let now = self.parts.clock.now().into();
        match result {
            Ok(session) => {
                log::info!(host = self.name().as_str(), address = self.plan.host.address(); "connected");
                self.connection.reconnect.succeeded();
                self.connection.logins += 1;
                self.parts.board.host_up(self.name(), now);
                let (lost, generation) = (session.lost(), session.generation);
                ctx.spawn(lost.into_actor(self).map(move |cause, actor, _| actor.lost(generation, &cause)));
                self.connection.link.send_replace(Link::Up(session));
            }
            Err(error) => {
                let failure = Failure::from(error);
                log::warn!(host = self.name().as_str(), reason:% = failure.reason; "{}", failure.message);
                self.connection.reconnect.failed(failure.reason);
                self.parts.board.host_down(self.name(), now, failure.reason, &failure.message);
                self.connection.link.send_replace(Link::Down(failure));
            }
        }
    }

    fn lost(&mut self, generation: u64, cause: &str) {
        if generation != self.connection.generation {
            return;
        }
        log::warn!(host = self.name().as_str(); "connection lost: {cause}");
        let message = format!("the connection to {} was lost: {cause}", self.name());
        let failure = Failure { reason: Reason::Unreachable, message };
        self.parts.board.host_down(self.name(), self.parts.clock.now().into(), failure.reason, &failure.message);
        self.connection.reconnect.lost();
        self.connection.link.send_replace(Link::Down(failure));
    }

    /// Leaves the connection to the runs that are on it, and makes a new one when next needed.
    pub(super) fn drop_connection(&mut self, ctx: &mut Context<Self>) {
        let connection = &mut self.connection;
        connection.generation += 1;
        connection.reconnect = Reconnect::default();
        for under_way in [connection.timer.take(), connection.connecting.take()].into_iter().flatten() {
            ctx.cancel_future(under_way);
        }
        connection.link.send_replace(Link::Idle);
        self.parts.board.host_unknown(self.name());
    }
}

impl Handler<Wanted> for HostActor {
    type Result = ();

    /// Connects as soon as it may, unless it is connected or at it.
    fn handle(&mut self, _: Wanted, ctx: &mut Context<Self>) {
        let connection = &mut self.connection;
        let up = matches!(&*connection.link.borrow(), Link::Up(_));
        if !up && connection.connecting.is_none() && connection.timer.is_none() {
            connection.timer = Some(ctx.notify_later(Connect, connection.reconnect.wait()));
        }
    }
}

impl Handler<Connect> for HostActor {
    type Result = ();

    fn handle(&mut self, _: Connect, ctx: &mut Context<Self>) {
        self.connection.timer = None;
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        self.connection.generation += 1;
        let host = Arc::clone(&self.plan.host);
        let target = self.plan.target(self.parts.board.learned_keys(&host), &self.parts.login);
        let connecting = connect(Arc::clone(&self.parts), host, target, self.connection.generation);
        let connecting = ctx.spawn(connecting.into_actor(self).map(|result, actor, ctx| actor.connected(result, ctx)));
        self.connection.connecting = Some(connecting);
    }
}
