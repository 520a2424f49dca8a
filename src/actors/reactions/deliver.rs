//! Parcels on their way: tasks that are started, webhooks and e-mails that are sent; what could not be is tried again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::payload::Payload;
use super::would::MessagePreview;
use super::{Reactions, State};
use crate::actors::error::AlfError;
use crate::actors::parts::NodeParts;
use crate::model::action::{FireTask, Then};
use crate::model::{
    Action, Catalog, Cause, Contact, Evaluated, Given, Host, Name, Notification, NotificationOutcome, Parcel, RunId,
    RunResult, Task, Tiding, Timestamp,
};
use crate::sinks::SinkStats;
use crate::store::Write;

/// Delivered at once, and of them those of one Action: one whose receiver hangs keeps none of the others waiting.
const AT_ONCE: usize = 64;
const AT_ONCE_EACH: usize = 8;
/// First and longest wait before a parcel is tried again, in milliseconds.
const RETRY: (i64, i64) = (5_000, 600_000);
/// A message that could not be sent for so long is given up.
const MESSAGE_AGE: TimeDelta = TimeDelta::hours(24);
/// The same of a task that could not be started: later it could do harm.
const RUN_AGE: TimeDelta = TimeDelta::minutes(10);

/// A message to be sent, by the rules of its Action.
pub struct Message {
    /// Its id: whoever gets it twice knows it by that.
    pub id: String,
    /// The Action.
    pub action: Arc<Action>,
    /// To whom.
    pub contact: Option<Arc<Contact>>,
    /// The ids of the messages that it goes on from.
    pub threads: Vec<String>,
    /// What its templates are filled with.
    pub payload: Value,
    /// Where the secrets are that it names.
    pub catalog: Arc<Catalog>,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handed {
    /// The receiver has it; in words.
    Over(String),
    /// Not yet: it may be tried again.
    NotYet {
        /// Why.
        why: String,
        /// How long the receiver wants to be left alone.
        after: Option<Duration>,
    },
    /// It cannot be sent.
    Failed(String),
}

/// Takes things out of the house.
pub trait Courier: Send + Sync {
    /// Sees to it that there is a sink of metrics for each Action that is to have one; does nothing where the definitions
    /// are those of the last time.
    fn settle(&self, catalog: &Catalog);

    /// Takes what a run has measured to a sink of metrics; never waits.
    fn measure(&self, action: &Action, host: &Host, result: &RunResult);

    /// Takes a message to its receiver, in bounded time.
    fn deliver(&self, message: Message) -> BoxFuture<'static, Handed>;

    /// A message as it would be sent; what secrets say is not in it.
    fn preview(&self, message: &Message) -> MessagePreview;

    /// How each sink of metrics stands.
    fn sinks(&self) -> BTreeMap<Name, SinkStats>;

    /// Ends the sinks: what they have not sent is on disk then.
    fn close(&self) -> BoxFuture<'static, ()>;
}

/// What became of a parcel.
#[derive(Debug)]
pub(in crate::actors) enum Delivered {
    /// It has got there; for a run that is written with its claim.
    Done(String),
    /// It is tried again, not before this has passed.
    NotYet(String, Option<Duration>),
    /// It never will.
    Failed(String),
}

/// A run that is to be started.
pub(in crate::actors) struct Start {
    pub(in crate::actors) on: Name,
    pub(in crate::actors) task: Arc<Task>,
    pub(in crate::actors) given: Arc<Given>,
    pub(in crate::actors) cause: Cause,
    /// Written with its claim.
    pub(in crate::actors) with: Vec<Write>,
}

/// What is to be done with a parcel.
pub(in crate::actors) enum Deed {
    Start(Box<Start>),
    Send(Box<Message>),
    Fail(String),
    Wait(String),
}

impl Reactions {
    /// These parcels are on their way to the disk.
    pub(in crate::actors) fn writing(&self, parcels: &[RunId]) {
        let mut state = self.state();
        parcels.iter().for_each(|id| *state.in_writing.entry(*id).or_default() += 1);
    }

    /// They are there.
    pub(in crate::actors) fn written(&self, parcels: &[RunId]) {
        let mut state = self.state();
        for id in parcels {
            let left = state.in_writing.remove(id).unwrap_or_default().saturating_sub(1);
            if left > 0 {
                state.in_writing.insert(*id, left);
            }
        }
    }

    /// The parcels that are due, so many as may be under way at once; they are under way from now on.
    pub(in crate::actors) fn due_parcels(&self, now: Timestamp) -> Vec<Parcel> {
        let mut state = self.state();
        let State { parcels, in_writing, in_delivery, .. } = &mut *state;
        let mut of_each: HashMap<Name, usize> = HashMap::new();
        for action in in_delivery.values() {
            *of_each.entry(action.clone()).or_default() += 1;
        }
        let mut due = Vec::new();
        let is_due = |parcel: &&Parcel| parcel.due_at <= now && !in_writing.contains_key(&parcel.id);
        for parcel in parcels.values().filter(is_due) {
            if in_delivery.len() >= AT_ONCE {
                break;
            }
            let of_this = of_each.get(&parcel.action).copied().unwrap_or_default();
            if of_this < AT_ONCE_EACH && !in_delivery.contains_key(&parcel.id) {
                of_each.insert(parcel.action.clone(), of_this + 1);
                in_delivery.insert(parcel.id, parcel.action.clone());
                due.push(parcel.clone());
            }
        }
        due
    }

    /// What became of a parcel; what comes of that is to be written.
    pub(in crate::actors) fn delivered(&self, mut parcel: Parcel, what: Delivered, now: Timestamp) -> Evaluated {
        let mut state = self.state();
        state.in_delivery.remove(&parcel.id);
        let oldest = parcel.tidings.iter().map(|tiding| tiding.at).min().unwrap_or(parcel.due_at);
        let age = if parcel.on.is_some() { RUN_AGE } else { MESSAGE_AGE };
        let what = match what {
            Delivered::NotYet(why, _) if now.get() - oldest.get() > age => {
                Delivered::Failed(format!("given up: {why}"))
            }
            what => what,
        };
        match &what {
            Delivered::Done(_) => state.arrived(&parcel.action),
            Delivered::NotYet(why, _) => state.trouble(&parcel.action, why, false, now),
            Delivered::Failed(why) => state.trouble(&parcel.action, why, true, now),
        }
        let counts = state.counts.entry(parcel.action.clone()).or_default();
        let many = parcel.tidings.len() as u64;
        let (outcome, detail) = match what {
            Delivered::Done(detail) => {
                counts.fired += many;
                (NotificationOutcome::Sent, detail)
            }
            Delivered::Failed(detail) => {
                counts.failed += many;
                log::warn!(action = parcel.action.as_str(), contact = parcel.contact.as_ref().map_or("", Name::as_str);
                    "could not be delivered: {detail}");
                (NotificationOutcome::Failed, detail)
            }
            Delivered::NotYet(why, after) => {
                let after = after.map_or(0, |after| i64::try_from(after.as_millis()).unwrap_or(i64::MAX));
                let wait = RETRY.0.saturating_mul(1 << parcel.attempts.min(16)).max(after).min(RETRY.1);
                parcel.attempts += 1;
                parcel.due_at = now.plus_millis(wait);
                log::info!(action = parcel.action.as_str(), attempt = parcel.attempts, retry_in_ms = wait;
                    "not delivered yet: {why}");
                state.parcels.insert(parcel.id, parcel.clone());
                let detail = format!("not sent yet (attempt {}): {why}", parcel.attempts);
                let notifications = notifications(&parcel, NotificationOutcome::Pending, &detail);
                return Evaluated { parcels: vec![parcel], notifications, ..Evaluated::default() };
            }
        };
        state.parcels.remove(&parcel.id);
        let notifications = notifications(&parcel, outcome, &detail);
        Evaluated { delivered: vec![parcel.id], notifications, ..Evaluated::default() }
    }
}

/// The notifications of a parcel, with what became of them.
fn notifications(parcel: &Parcel, outcome: NotificationOutcome, detail: &str) -> Vec<Notification> {
    let one = |tiding: &Tiding| Notification {
        id: tiding.notification,
        at: tiding.at,
        action: parcel.action.clone(),
        contact: parcel.contact.clone(),
        host: tiding.host.clone(),
        task: tiding.task.clone(),
        result: tiding.result,
        kind: tiding.kind,
        state: tiding.state,
        outcome,
        reason: None,
        detail: detail.to_owned(),
        run: parcel.on.is_some().then_some(parcel.id),
    };
    parcel.tidings.iter().map(one).collect()
}

/// What is to be done with a parcel.
pub(in crate::actors) async fn deed(parts: &NodeParts, parcel: &Parcel) -> Deed {
    let catalog = parts.published.get();
    let Some(action) = catalog.actions.get(&parcel.action).filter(|action| action.enabled).cloned() else {
        return Deed::Fail("the Action was deleted or disabled".to_owned());
    };
    made(parts, action, parcel).await
}

/// The same for an Action whatever has become of it.
pub(super) async fn made(parts: &NodeParts, action: Arc<Action>, parcel: &Parcel) -> Deed {
    let catalog = parts.published.get();
    let contact = match &parcel.contact {
        Some(name) => match catalog.contacts.get(name) {
            Some(contact) => Some(Arc::clone(contact)),
            None => return Deed::Fail("the contact was deleted".to_owned()),
        },
        None => None,
    };
    let who = contact.clone();
    let payload = match Payload::of(parts, &catalog, parcel, who.as_deref()).await {
        Ok(Some(payload)) => payload,
        Ok(None) => return Deed::Fail("what it tells of is gone".to_owned()),
        Err(why) => return Deed::Wait(why),
    };
    match (&action.then, &parcel.on) {
        (Then::Run(fire), Some(on)) => start(&catalog, parcel, fire, on, &payload),
        (Then::Webhook(_) | Then::Email(_), None) => {
            let id = parcel.id.to_string();
            let mut threads: Vec<String> = Vec::new();
            for thread in parcel.tidings.iter().filter_map(|tiding| tiding.thread).map(|thread| thread.to_string()) {
                if !threads.contains(&thread) {
                    threads.push(thread);
                }
            }
            Deed::Send(Box::new(Message { id, action, contact, threads, payload: payload.document(), catalog }))
        }
        _ => Deed::Fail("the Action was changed meanwhile".to_owned()),
    }
}

fn start(catalog: &Catalog, parcel: &Parcel, fire: &FireTask, on: &Name, payload: &Payload) -> Deed {
    let Some(task) = catalog.tasks.get(&fire.task).cloned() else {
        return Deed::Fail(format!("there is no task \"{}\" any more", fire.task));
    };
    if !catalog.hosts.contains_key(on) {
        return Deed::Fail(format!("there is no host \"{on}\" any more"));
    }
    let detail = format!("task \"{}\" on host \"{on}\"", fire.task);
    let notifications = notifications(parcel, NotificationOutcome::Sent, &detail);
    let done = Evaluated { delivered: vec![parcel.id], notifications, ..Evaluated::default() };
    Deed::Start(Box::new(Start {
        on: on.clone(),
        task,
        given: Arc::new(payload.given()),
        cause: Cause { action: parcel.action.clone(), result: parcel.tidings.first().and_then(|tiding| tiding.result) },
        with: vec![Write::Evaluated(Box::new(done))],
    }))
}

/// Whether a task that could not be started may be later.
pub(in crate::actors) fn not_started(error: &AlfError) -> Delivered {
    match error {
        AlfError::Disabled(_) | AlfError::NotFound(_) | AlfError::Denied(_) | AlfError::Invalid(_) => {
            Delivered::Failed(error.to_string())
        }
        _ => Delivered::NotYet(error.to_string(), None),
    }
}
