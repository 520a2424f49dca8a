//! Jump hosts: a host that is reached through another one uses that one's own connection, and is UNREACHABLE while that
//! one is down.

use std::sync::Arc;
use std::time::Duration;

use actix::{
    ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, Recipient, ResponseFuture, WrapFuture as _,
};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

use super::host::HostActor;
use super::link::{Failure, Link, OpenSession};
use super::node::FindHost;
use crate::model::{Host, Name, Reason};
use crate::ssh::Target;

/// Handshakes at once through one jump host.
pub(super) const HANDSHAKES: usize = 10;
/// For how long a host is wanted by one behind it that has asked for it.
const WANTED: Duration = Duration::from_secs(60);
/// How soon a jump host that is down must be tried again to be waited for.
const SOON: Duration = Duration::from_secs(2);
/// How long a jump host may take to answer: its own connect has shorter limits.
const ANSWER: Duration = Duration::from_secs(600);

/// A host behind this one asks for the way to it; answered as soon as there is a connection or none comes about.
#[derive(Debug, Message)]
#[rtype(result = "Result<Way, NoWay>")]
pub(super) struct OpenWay;

/// The way to a host behind a jump host.
pub(super) struct Way {
    /// The jump host.
    pub(super) host: Name,
    /// Its own connection.
    pub(super) session: Arc<OpenSession>,
    /// Handshakes at once through it.
    pub(super) handshakes: Arc<Semaphore>,
}

/// Why there is no way to a host.
pub(super) struct NoWay {
    failure: Failure,
    /// Tells when the jump host is up again; none if it cannot say.
    link: Option<watch::Receiver<Link>>,
}

/// The way to a host; none if it is reached directly.
pub(super) async fn way(find: &Recipient<FindHost>, host: &Host) -> Result<Option<Way>, NoWay> {
    let Some(jump) = &host.jump else { return Ok(None) };
    let broken = || {
        let message = format!("its jump host \"{jump}\" is being restarted");
        NoWay { failure: Failure { reason: Reason::Unreachable, message }, link: None }
    };
    let actor = find.send(FindHost(jump.clone())).await.ok().flatten().ok_or_else(broken)?;
    match actor.send(OpenWay).timeout(ANSWER).await {
        Ok(Ok(way)) => Ok(Some(way)),
        Ok(Err(no_way)) => Err(NoWay { failure: behind(jump, &no_way.failure), ..no_way }),
        Err(_) => Err(broken()),
    }
}

fn behind(jump: &Name, failure: &Failure) -> Failure {
    let message = format!("its jump host \"{jump}\" is down: {}", failure.message);
    Failure { reason: Reason::Unreachable, message }
}

impl NoWay {
    /// In words.
    pub(super) fn message(&self) -> &str {
        &self.failure.message
    }
}

impl HostActor {
    /// Where and how to log in, the way there included, for those who ask the host something beside its runs. The way
    /// is open for as long as it is kept.
    pub(super) fn target_by_its_way(&self) -> impl Future<Output = Result<(Target, Option<Way>), NoWay>> + use<> {
        let (find, host, mut target) = (self.find.clone(), Arc::clone(&self.plan.host), self.target());
        async move {
            let way = way(&find, &host).await?;
            target.via = way.as_ref().map(|way| way.session.via(way.host.clone()));
            Ok((target, way))
        }
    }

    /// The jump host is down: so is the way to this one. Tried again as soon as that one is up.
    pub(super) fn no_way(&mut self, no_way: NoWay, ctx: &mut Context<Self>) {
        let NoWay { failure, link } = no_way;
        log::warn!(host = self.name().as_str(), reason:% = failure.reason; "{}", failure.message);
        self.connection.reconnect.failed(failure.reason);
        let now = self.parts.clock.now().into();
        self.change_host(|record| record.unreachable(now, &failure.message));
        self.connection.link.send_replace(Link::Down(failure));
        if let Some(before) = self.connection.way_back.take() {
            ctx.cancel_future(before);
        }
        if let Some(mut link) = link {
            let up = async move { link.wait_for(|link| matches!(link, Link::Up)).await.is_ok() };
            self.connection.way_back = Some(ctx.spawn(up.into_actor(self).map(|up, actor, ctx| {
                actor.connection.way_back = None;
                if up {
                    actor.connect_now(ctx);
                }
            })));
        }
    }
}

impl Handler<OpenWay> for HostActor {
    type Result = ResponseFuture<Result<Way, NoWay>>;

    fn handle(&mut self, _: OpenWay, ctx: &mut Context<Self>) -> Self::Result {
        let (host, places, handshakes) = (self.name().clone(), Arc::clone(&self.places), Arc::clone(&self.through));
        if let Some(session) = places.first() {
            return Box::pin(async move { Ok(Way { host, session, handshakes }) });
        }
        self.connection.wanted_until = Some(Instant::now() + WANTED);
        self.connect_soon(ctx);
        let mut link = self.connection.link.subscribe();
        // One that is known to be down is not waited for, unless it is tried again just now.
        let mut look = !self.connection.tries_within(SOON);
        Box::pin(async move {
            loop {
                let failure = match &*link.borrow_and_update() {
                    Link::Down(failure) if look => Some(failure.clone()),
                    _ => None,
                };
                if let Some(failure) = failure {
                    return Err(NoWay { failure, link: Some(link) });
                }
                if let Some(session) = places.first() {
                    return Ok(Way { host, session, handshakes });
                }
                look = true;
                if !matches!(timeout(ANSWER, link.changed()).await, Ok(Ok(()))) {
                    let failure = Failure { reason: Reason::Unreachable, message: "it does not answer".to_owned() };
                    return Err(NoWay { failure, link: None });
                }
            }
        })
    }
}
