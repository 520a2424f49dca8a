//! Whether what an actor was told has reached all that it concerns: whoever changes a definition, or asks as soon as Alf
//! has started, finds what has become of it in the status.

use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Message, ResponseFuture};
use futures_util::{StreamExt as _, stream};

use super::host::HostActor;
use super::task::TaskActor;

/// How long that is waited for: an actor that is busy does it all the same, later.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// So many are asked at once.
const AT_ONCE: usize = 16;

/// Answered when all that was sent to an actor before has reached those below it, too.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Heard;

/// When all of them have heard; who is no more has nothing to hear. Some at a time: there may be very many.
pub(super) fn by_all<A: Actor<Context = Context<A>> + Handler<Heard>>(addrs: Vec<Addr<A>>) -> ResponseFuture<()> {
    Box::pin(stream::iter(addrs).for_each_concurrent(AT_ONCE, |addr| async move {
        let _ = addr.send(Heard).await;
    }))
}

impl Handler<Heard> for HostActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Heard, _: &mut Context<Self>) -> Self::Result {
        let tasks: Vec<_> = self.children.values().filter_map(|child| child.addr.clone()).collect();
        by_all(tasks)
    }
}

impl Handler<Heard> for TaskActor {
    type Result = ();

    fn handle(&mut self, _: Heard, _: &mut Context<Self>) {}
}
