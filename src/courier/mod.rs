//! Takes what Actions send out of the house: messages by webhook and e-mail, measurements to their sinks.
//!
//! All of it happens on an arbiter of its own, so that no receiver holds up a run.

mod measures;
mod message;
mod preview;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use actix_rt::{Arbiter, ArbiterHandle};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::actors::reactions::{Courier, Handed, Message, MessagePreview};
use crate::clock::Clock;
use crate::model::{Action, Catalog, Host, Name, RunResult};
use crate::settings::{ActionsSettings, EmailSettings};
use crate::sinks::{Destinations, Point, SinkStats, Trust, Webhooks};
use measures::Measures;

/// What is needed to send a message.
struct Office {
    webhooks: Webhooks,
    email: Option<EmailSettings>,
    trust: Trust,
}

/// Takes things to Graphite, web servers, mail servers.
pub struct Carrier {
    office: Arc<Office>,
    measures: Measures,
    arbiter: ArbiterHandle,
    _thread: Arbiter,
}

impl Carrier {
    /// By these settings; what sinks cannot get rid of at once stands in a directory for each under `spool`.
    pub fn new(
        actions: &ActionsSettings,
        email: Option<EmailSettings>,
        trust: Trust,
        spool: PathBuf,
        clock: &Clock,
    ) -> Self {
        let thread = Arbiter::new();
        let arbiter = thread.handle();
        let limit = u64::try_from(actions.spool_limit).unwrap_or(u64::MAX);
        let measures = Measures::start(&arbiter, spool, limit, trust.clone(), clock.clone());
        let destinations = Destinations::new(actions.allow_private.clone());
        let webhooks = Webhooks::new(trust.clone(), destinations, clock.clone());
        Self { office: Arc::new(Office { webhooks, email, trust }), measures, arbiter, _thread: thread }
    }
}

impl Courier for Carrier {
    fn settle(&self, catalog: &Catalog) {
        self.measures.settle(catalog);
    }

    fn measure(&self, action: &Action, host: &Host, result: &RunResult) {
        self.measures.offer(&action.meta.name, Point::all_of(result, host.address()));
    }

    fn deliver(&self, message: Message) -> BoxFuture<'static, Handed> {
        let (tell, told) = oneshot::channel();
        let office = Arc::clone(&self.office);
        // What speaks HTTP stays on the thread it was made on.
        self.arbiter.spawn_fn(move || {
            actix_rt::spawn(async move {
                let _ = tell.send(office.deliver(&message).await);
            });
        });
        let stopping = || Handed::NotYet { why: "Alf is stopping".to_owned(), after: None };
        told.map(move |handed| handed.unwrap_or_else(|_| stopping())).boxed()
    }

    fn preview(&self, message: &Message) -> MessagePreview {
        self.office.preview(message)
    }

    fn sinks(&self) -> BTreeMap<Name, SinkStats> {
        self.measures.stats()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.measures.close()
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.arbiter.stop();
    }
}
