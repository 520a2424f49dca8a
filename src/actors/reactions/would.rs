//! What an Action would do: tried out on a copy of what is known, with the messages as they would be sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::desk::Desk;
use super::look::{Facts, item, look};
use super::surroundings::Surroundings;
use super::{Courier, Deed, Reactions, State};
use crate::actors::parts::NodeParts;
use crate::model::{Action, Evaluated, Name, Notification, Parcel, Recipient, TextValue, Tiding, TraceItem};

/// A message as it would be sent; what secrets say is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct MessagePreview {
    /// By which method.
    pub method: Option<String>,
    /// Where to.
    pub url: Option<String>,
    /// What it says beside its body.
    pub headers: BTreeMap<String, String>,
    /// Who sends it.
    pub from: Option<String>,
    /// To whom.
    pub to: Vec<String>,
    /// Its subject.
    pub subject: Option<String>,
    /// Its text.
    pub body: Option<String>,
    /// Why it could not be sent so.
    pub fault: Option<String>,
}

/// What would run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RunPreview {
    /// The task.
    pub task: Name,
    /// Where.
    pub hosts: Vec<Name>,
    /// What it would find in its environment of what has happened.
    pub env: BTreeMap<String, String>,
    /// What it would find on its standard input.
    pub stdin: Option<String>,
}

/// What one recipient would be told, or would not.
#[derive(Debug, Clone)]
pub struct WouldTell {
    /// Who, what, and what would become of it.
    pub recipient: Recipient,
    /// What would be noted of it.
    pub notification: Option<Notification>,
    /// The message.
    pub message: Option<MessagePreview>,
    /// What would run.
    pub run: Option<RunPreview>,
}

/// What an Action would do.
#[derive(Debug, Clone)]
pub struct Would {
    /// Whether it is for what happened.
    pub matched: bool,
    /// The first condition that does not hold, or why nothing would come of it.
    pub why: Option<String>,
    /// For each recipient.
    pub tells: Vec<WouldTell>,
}

/// What trying an Action out came to.
pub(in crate::actors) struct Tried {
    item: TraceItem,
    notifications: Vec<Notification>,
    parcels: Vec<Parcel>,
}

impl Reactions {
    /// Tries an Action out; nothing is done.
    pub(in crate::actors) fn try_out(&self, parts: &NodeParts, action: &Action, facts: &Facts) -> Tried {
        let catalog = parts.published.get();
        let around = Surroundings { catalog: &catalog, board: &parts.board, now: parts.clock.now().into() };
        // A copy, which is thrown away. What they were told already may be of this very Result.
        let mut state = {
            let state = self.state();
            State { notices: state.notices.clone(), sent: state.sent.clone(), ..State::default() }
        };
        state.notices.values_mut().for_each(|notice| notice.told = None);
        let mut out = Evaluated::default();
        let mut desk = Desk { action, around: &around, ids: &parts.ids, state: &mut state, out: &mut out };
        let item = match catalog.hosts.get(&facts.event.host) {
            Some(host) => look(&mut desk, &|_, _, _| {}, facts, host),
            None => {
                let why = Some(format!("there is no host \"{}\" any more", facts.event.host));
                TraceItem { why, ..item(action) }
            }
        };
        let mut parcels: Vec<Parcel> = state.parcels.into_values().collect();
        if action.then.is_message() {
            // What would be held back can be seen as well.
            let has = |parcel: &Parcel, id| parcel.tidings.iter().any(|tiding| tiding.notification == id);
            let held = out.notifications.iter().filter(|one| !parcels.iter().any(|parcel| has(parcel, one.id)));
            let held: Vec<Parcel> = held.map(parcel).collect();
            parcels.extend(held);
        }
        Tried { item, notifications: out.notifications, parcels }
    }
}

/// The parcel that would tell something.
fn parcel(of: &Notification) -> Parcel {
    let tiding = Tiding {
        notification: of.id,
        kind: of.kind,
        state: of.state,
        host: of.host.clone(),
        task: of.task.clone(),
        result: of.result,
        at: of.at,
        number: 1,
        thread: None,
    };
    Parcel {
        id: of.id,
        action: of.action.clone(),
        contact: of.contact.clone(),
        on: None,
        due_at: of.at,
        attempts: 0,
        tidings: vec![tiding],
    }
}

/// What it would do, with the messages as they would be sent.
pub(in crate::actors) async fn shown(
    parts: &NodeParts,
    courier: &dyn Courier,
    action: &Arc<Action>,
    tried: Tried,
) -> Would {
    let Tried { item: TraceItem { matched, why, told, .. }, notifications, parcels } = tried;
    let mut tells = Vec::with_capacity(told.len());
    for recipient in told {
        let notification = notifications.iter().find(|one| Some(one.id) == recipient.notification).cloned();
        let tell = WouldTell { recipient, notification, message: None, run: None };
        let own = |parcel: &&Parcel| {
            parcel.contact == tell.recipient.contact
                && tell.recipient.notification.is_some_and(|id| {
                    parcel.on.is_some() || parcel.tidings.iter().any(|tiding| tiding.notification == id)
                })
        };
        let own: Vec<&Parcel> = parcels.iter().filter(own).collect();
        let deed = match own.first() {
            Some(parcel) => Some(super::deliver::made(parts, Arc::clone(action), parcel).await),
            None => None,
        };
        let fault = |fault: String| Some(MessagePreview { fault: Some(fault), ..MessagePreview::default() });
        tells.push(match deed {
            None => tell,
            Some(Deed::Fail(why) | Deed::Wait(why)) => WouldTell { message: fault(why), ..tell },
            Some(Deed::Send(message)) => WouldTell { message: Some(courier.preview(&message)), ..tell },
            Some(Deed::Start(start)) => {
                let run = RunPreview {
                    task: start.task.meta.name.clone(),
                    hosts: own.iter().filter_map(|parcel| parcel.on.clone()).collect(),
                    env: start.given.own.clone(),
                    stdin: start.given.stdin.as_ref().and_then(TextValue::own).map(str::to_owned),
                };
                WouldTell { run: Some(run), ..tell }
            }
        });
    }
    Would { matched, why, tells }
}
