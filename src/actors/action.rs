//! `ActionActor`: looks at each thing that has happened once it is on disk, and at what time brings; sends what follows.
//!
//! What it knows stands in [`Reactions`], which belongs to no actor: the next life goes on where this one stopped.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, ResponseActFuture, ResponseFuture,
    StreamHandler, WrapFuture as _,
};

use super::error::AlfError;
use super::handle::ANSWER;
use super::host::RunTask;
use super::news::Draft;
use super::node::{FindHost, NodeActor};
use super::order::Order;
use super::parts::NodeParts;
use super::reactions::{
    Courier, Deed, Delivered, Facts, Handed, Happened, Next, Reactions, Start, Would, deed, not_started, shown,
};
use super::supervision::{ActorHealth, Obituary, Slot, supervised};
use crate::model::{
    Action, Change, Evaluated, Event, HostStanding, Name, NotificationOutcome, PairStanding, Parcel, RunId, RunResult,
    Scene, Search, TraceItem, Trigger,
};
use crate::store::Write;

/// How often what waits for something to end is looked at.
const TICK: Duration = Duration::from_secs(1);
/// How long after a store that could not be read it is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a search in what a run has written may take.
const SEARCH: Duration = Duration::from_secs(2);
/// How long a message may be on its way.
const DELIVERY: Duration = Duration::from_secs(60);
/// Longest chain of Actions that is followed back.
const LONGEST_CHAIN: usize = 16;

/// Something may have happened.
struct News;

/// Asks how it stands.
#[derive(Message)]
#[rtype(result = "ActorHealth")]
pub struct ActionHealth;

/// Asks what an Action would do about a Result, had it come just now; nothing is done.
#[derive(Message)]
#[rtype(result = "Would")]
pub(super) struct WouldDo {
    pub(super) action: Arc<Action>,
    pub(super) result: Arc<RunResult>,
}

/// Asks what each Action makes of a Result with which nothing changed.
#[derive(Message)]
#[rtype(result = "Vec<TraceItem>")]
pub(super) struct Retell(pub(super) Arc<RunResult>);

/// Looks at what has happened, and sends what follows.
pub struct ActionActor {
    parts: Arc<NodeParts>,
    node: Slot<NodeActor>,
    courier: Arc<dyn Courier>,
    /// An event is being looked at, or the store read.
    busy: bool,
    last_error: Option<String>,
    _obituary: Obituary,
}

impl ActionActor {
    /// Goes on where the life before it stopped.
    pub fn new(parts: Arc<NodeParts>, node: Slot<NodeActor>, courier: Arc<dyn Courier>, obituary: Obituary) -> Self {
        Self { parts, node, courier, busy: false, last_error: None, _obituary: obituary }
    }

    fn reactions(&self) -> &Arc<Reactions> {
        &self.parts.reactions
    }

    /// Looks at the next thing that has happened, if none is being looked at.
    fn next(&mut self, ctx: &mut Context<Self>) {
        if self.busy {
            return;
        }
        match self.reactions().next() {
            Next::Look(happened) => {
                self.busy = true;
                let facts = gather(Arc::clone(&self.parts), *happened);
                ctx.spawn(facts.into_actor(self).map(|facts, actor, ctx| {
                    actor.busy = false;
                    match facts {
                        Ok(facts) => actor.look_at(&facts, ctx),
                        Err(error) => actor.later(error, ctx),
                    }
                }));
            }
            Next::Read(most) => {
                self.busy = true;
                let store = Arc::clone(&self.parts.store);
                let read = async move { store.events_due(most).await };
                ctx.spawn(read.into_actor(self).map(move |events, actor, ctx| {
                    actor.busy = false;
                    match events {
                        Ok(events) => {
                            actor.reactions().read(events, most);
                            actor.next(ctx);
                        }
                        Err(error) => actor.later(error.to_string(), ctx),
                    }
                }));
            }
            Next::Nothing => {}
        }
    }

    /// The store could not be read: what was in hand is read again.
    fn later(&mut self, error: String, ctx: &mut Context<Self>) {
        log::warn!("what has happened cannot be read: {error}");
        self.last_error = Some(error);
        self.reactions().put_back();
        self.busy = true;
        ctx.run_later(AGAIN, |actor, ctx| {
            actor.busy = false;
            actor.next(ctx);
        });
    }

    fn look_at(&mut self, facts: &Facts, ctx: &mut Context<Self>) {
        self.last_error = None;
        self.courier.settle(&self.parts.published.get());
        let out = self.reactions().look_at(&self.parts, &*self.courier, facts);
        self.reactions().looked_at();
        self.write(out, ctx);
        self.next(ctx);
    }

    /// Writes what came of something; what is to be sent goes once that is on disk.
    fn write(&self, out: Evaluated, ctx: &mut Context<Self>) {
        if out.is_empty() {
            return;
        }
        let event = out.event;
        let decided = out.notifications.iter().filter(|one| one.outcome != NotificationOutcome::Pending);
        let news: Vec<Draft> = decided.map(Draft::notification).collect();
        let parcels: Vec<RunId> = out.parcels.iter().map(|parcel| parcel.id).collect();
        self.reactions().writing(&parcels);
        let written = self.parts.writer.write(vec![Write::Evaluated(Box::new(out))]);
        ctx.spawn(written.into_actor(self).map(move |written, actor, ctx| {
            match &written {
                Ok(_) => news.into_iter().for_each(|draft| actor.parts.journal.tell(draft)),
                Err(error) => log::error!("what follows from something could not be stored: {error}"),
            }
            actor.reactions().written(&parcels);
            if let Some(event) = event {
                actor.reactions().forget(event);
            }
            actor.send(ctx);
        }));
    }

    /// Sends what is due.
    fn send(&self, ctx: &mut Context<Self>) {
        if self.parts.is_stopping() {
            return;
        }
        for parcel in self.reactions().due_parcels(self.parts.clock.now().into()) {
            let (parts, node, courier) = (Arc::clone(&self.parts), self.node.clone(), Arc::clone(&self.courier));
            let sent = async move {
                let what = deliver(&parts, &node, &*courier, &parcel).await;
                (parcel, what)
            };
            ctx.spawn(sent.into_actor(self).map(|(parcel, what), actor, ctx| {
                let out = actor.reactions().delivered(parcel, what, actor.parts.clock.now().into());
                actor.write(out, ctx);
            }));
        }
    }
}

/// Brings a parcel to where it belongs.
async fn deliver(parts: &Arc<NodeParts>, node: &Slot<NodeActor>, courier: &dyn Courier, parcel: &Parcel) -> Delivered {
    match deed(parts, parcel).await {
        Deed::Fail(why) => Delivered::Failed(why),
        Deed::Wait(why) => Delivered::NotYet(why, None),
        Deed::Send(message) => match tokio::time::timeout(DELIVERY, courier.deliver(*message)).await {
            Ok(Handed::Over(detail)) => Delivered::Done(detail),
            Ok(Handed::NotYet { why, after }) => Delivered::NotYet(why, after),
            Ok(Handed::Failed(why)) => Delivered::Failed(why),
            Err(_) => Delivered::NotYet(format!("it took longer than {} s", DELIVERY.as_secs()), None),
        },
        Deed::Start(deed) => {
            let detail = format!("task \"{}\" on host \"{}\"", deed.task.meta.name, deed.on);
            match start(node, parcel.id, *deed).await {
                Ok(_) => Delivered::Done(detail),
                Err(error) => not_started(&error),
            }
        }
    }
}

async fn start(node: &Slot<NodeActor>, id: RunId, start: Start) -> Result<RunId, AlfError> {
    let Start { on, task, given, cause, with } = start;
    let order = Order { given, fired: Some(super::order::Fired { id, cause, with }), ..Order::default() };
    let host = node.get().send(FindHost(on.clone())).timeout(ANSWER).await?;
    let host = host.ok_or_else(|| AlfError::Unavailable(format!("host \"{on}\" is being restarted")))?;
    host.send(RunTask { task, ad_hoc: false, order }).timeout(ANSWER).await?
}

/// Gathers what is needed to look at something; the error is the store's.
async fn gather(parts: Arc<NodeParts>, happened: Happened) -> Result<Facts, String> {
    let Happened { event, result } = happened;
    let result = match result {
        None if event.has_result => {
            let stored = parts.store.result(event.id).await.map_err(|error| error.to_string())?;
            stored.map(Arc::new)
        }
        result => result,
    };
    facts(&parts, event, result).await
}

async fn facts(parts: &Arc<NodeParts>, event: Event, result: Option<Arc<RunResult>>) -> Result<Facts, String> {
    let chain = match &result {
        Some(result) if result.trigger == Trigger::Action => chain(parts, result).await?,
        _ => Vec::new(),
    };
    let found = search(parts, &event, result.as_ref()).await;
    Ok(Facts { event, result, chain, found })
}

/// The Actions that led to a run, the last one first.
async fn chain(parts: &NodeParts, result: &RunResult) -> Result<Vec<Name>, String> {
    let mut chain = Vec::new();
    let mut cause = result.cause.clone();
    while let Some(here) = cause.take().filter(|_| chain.len() < LONGEST_CHAIN) {
        chain.push(here.action);
        if let Some(before) = here.result {
            let before = parts.store.result(before).await.map_err(|error| error.to_string())?;
            cause = before.and_then(|before| before.cause);
        }
    }
    Ok(chain)
}

/// Looks for what Actions search for in what a run has written, in bounded time and on threads of their own.
async fn search(
    parts: &Arc<NodeParts>,
    event: &Event,
    result: Option<&Arc<RunResult>>,
) -> HashMap<Name, Result<(), String>> {
    let mut found = HashMap::new();
    let (catalog, Some(result)) = (parts.published.get(), result) else { return found };
    let Some(host) = catalog.hosts.get(&event.host) else { return found };
    let task = event.task().and_then(|task| catalog.tasks.get(task)).map(Arc::as_ref);
    let scene = Scene { event, host, task, result: Some(result), in_row: 0, measures: false };
    for action in catalog.actions.values().filter(|action| action.enabled) {
        let Some(pattern) = action.when.output_regex.as_ref().filter(|_| action.when.is_for(&scene)) else { continue };
        let (of, text) = (pattern.clone(), Arc::clone(result));
        let search = parts.searches.search(pattern, SEARCH, move || of.search(&text.stdout.bytes)).await;
        let answer = match search {
            Search::Found => Ok(()),
            Search::NotFound => Err("output_regex: it is not in the output".to_owned()),
            Search::NotInParts => {
                Err("output_regex: it is not in the parts of the output that are searched".to_owned())
            }
            Search::TooSlow(limit) => Err(format!("output_regex: the search took longer than {} s", limit.as_secs())),
        };
        found.insert(action.meta.name.clone(), answer);
    }
    found
}

impl Actor for ActionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.reactions().start_over();
        self.courier.settle(&self.parts.published.get());
        let reactions = Arc::clone(self.reactions());
        ctx.add_stream(futures_util::stream::unfold(reactions, |reactions| async move {
            reactions.wait().await;
            Some((News, reactions))
        }));
        ctx.run_interval(TICK, |actor, ctx| actor.tick(ctx));
        self.next(ctx);
        self.send(ctx);
    }
}

impl ActionActor {
    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.courier.settle(&self.parts.published.get());
        self.next(ctx);
        let out = self.reactions().look_around(&self.parts);
        self.write(out, ctx);
        self.send(ctx);
    }
}

supervised!(ActionActor);

impl StreamHandler<News> for ActionActor {
    fn handle(&mut self, _: News, ctx: &mut Context<Self>) {
        self.next(ctx);
    }
}

impl Handler<WouldDo> for ActionActor {
    type Result = ResponseFuture<Would>;

    fn handle(&mut self, WouldDo { action, result }: WouldDo, _: &mut Context<Self>) -> Self::Result {
        let (parts, courier) = (Arc::clone(&self.parts), Arc::clone(&self.courier));
        Box::pin(async move {
            // It is taken for one that changes everything.
            let event = event_of(&result, PairStanding::default());
            let facts = facts(&parts, event.clone(), Some(Arc::clone(&result))).await;
            let nothing = |_| Facts { event, result: Some(result), chain: Vec::new(), found: HashMap::new() };
            let tried = parts.reactions.try_out(&parts, &action, &facts.unwrap_or_else(nothing));
            shown(&parts, &*courier, &action, tried).await
        })
    }
}

impl Handler<Retell> for ActionActor {
    type Result = ResponseActFuture<Self, Vec<TraceItem>>;

    fn handle(&mut self, Retell(result): Retell, _: &mut Context<Self>) -> Self::Result {
        let parts = Arc::clone(&self.parts);
        let gathered = async move {
            let event = event_of(&result, standing(&result));
            facts(&parts, event, Some(result)).await
        };
        let told = gathered.into_actor(self).map(|facts, actor, _| match facts {
            Ok(facts) => actor.reactions().retell(&actor.parts, &facts),
            Err(error) => {
                log::warn!("what led to a result cannot be read: {error}");
                Vec::new()
            }
        });
        Box::pin(told)
    }
}

/// How a pair stands with a Result.
fn standing(result: &RunResult) -> PairStanding {
    PairStanding { state: result.state, hard: result.hard, attempt: result.attempt, ..PairStanding::default() }
}

/// The event that a stored Result is, after this.
fn event_of(result: &RunResult, before: PairStanding) -> Event {
    let after = standing(result);
    let change = match &result.task {
        Some(task) => Change::Pair { task: task.clone(), before, after, host_down: false },
        None => Change::Host { before: HostStanding::default(), after: HostStanding::default() },
    };
    Event { id: result.id, at: result.finished_at, host: result.host.clone(), has_result: true, change }
}

impl Handler<ActionHealth> for ActionActor {
    type Result = actix::MessageResult<ActionHealth>;

    fn handle(&mut self, _: ActionHealth, _: &mut Context<Self>) -> Self::Result {
        let reactions = self.reactions();
        let mut health = ActorHealth::up("action", "action").with("parcels", reactions.parcels());
        health.queue = reactions.waiting() as u64;
        health.last_error = self.last_error.clone();
        actix::MessageResult(health)
    }
}
