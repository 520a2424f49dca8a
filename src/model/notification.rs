//! Notifications: who was told what, and what was not told, and why; parcels: what is still to be sent; traces: what
//! every Action came to for a Result.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AnyState, Hold, Name, Notice, NoticeKind, RunId, Timestamp};

/// What became of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NotificationOutcome {
    /// It is on its way.
    Pending,
    /// It was sent; a task was started.
    Sent,
    /// Something stands in the way: it is owed.
    Held,
    /// The same was told shortly before, or the Action has told as much as it may: it is owed.
    Throttled,
    /// It was owed, and was over before it could be sent.
    Dropped,
    /// It could not be sent.
    Failed,
}

impl std::fmt::Display for NotificationOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}

/// Something that was told, or was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Notification {
    /// Its id; ids sort by time.
    #[schema(value_type = String)]
    pub id: RunId,
    /// When it was decided upon.
    pub at: Timestamp,
    /// The Action.
    pub action: Name,
    /// Who is told; null where the Action names nobody.
    pub contact: Option<Name>,
    /// Of which host.
    pub host: Name,
    /// Of which task there; null for the host itself.
    pub task: Option<Name>,
    /// The Result that tells of it.
    #[schema(value_type = Option<String>)]
    pub result: Option<RunId>,
    /// What it tells.
    #[serde(rename = "type")]
    pub kind: NoticeKind,
    /// The state it tells of.
    pub state: Option<AnyState>,
    /// What became of it.
    pub outcome: NotificationOutcome,
    /// What stands, or stood, in the way.
    pub reason: Option<Hold>,
    /// What became of it, in words.
    pub detail: String,
    /// The run that it is.
    #[schema(value_type = Option<String>)]
    pub run: Option<RunId>,
}

impl Notification {
    /// Whether it was told, or was to be: that counts for the limit of its Action.
    pub fn counts(&self) -> bool {
        matches!(self.outcome, NotificationOutcome::Pending | NotificationOutcome::Sent | NotificationOutcome::Failed)
    }
}

/// Which notifications are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotificationQuery {
    /// To this contact.
    pub contact: Option<Name>,
    /// By this Action.
    pub action: Option<Name>,
    /// Of this host.
    pub host: Option<Name>,
    /// Of these hosts.
    pub among: Option<Vec<Name>>,
    /// Of this task.
    pub task: Option<Name>,
    /// Of which this became.
    pub outcome: Option<NotificationOutcome>,
    /// That tell this.
    pub kind: Option<NoticeKind>,
    /// Of this state.
    pub state: Option<AnyState>,
    /// At or after this.
    pub since: Option<Timestamp>,
    /// Before this.
    pub until: Option<Timestamp>,
    /// Only those before this one: where the page before ended.
    pub before: Option<RunId>,
    /// At most so many.
    pub limit: usize,
}

impl NotificationQuery {
    /// Whether one is looked for, wherever the page begins.
    pub fn matches(&self, one: &Notification) -> bool {
        self.contact.as_ref().is_none_or(|contact| one.contact.as_ref() == Some(contact))
            && self.action.as_ref().is_none_or(|action| one.action == *action)
            && self.host.as_ref().is_none_or(|host| one.host == *host)
            && self.among.as_ref().is_none_or(|among| among.contains(&one.host))
            && self.task.as_ref().is_none_or(|task| one.task.as_ref() == Some(task))
            && self.outcome.is_none_or(|outcome| one.outcome == outcome)
            && self.kind.is_none_or(|kind| one.kind == kind)
            && self.state.is_none_or(|state| one.state == Some(state))
            && self.since.is_none_or(|since| one.at >= since)
            && self.until.is_none_or(|until| one.at < until)
    }
}

/// A page of notifications, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotificationPage {
    /// The notifications.
    pub items: Vec<Notification>,
    /// The last of them, if there are more behind it.
    pub next: Option<RunId>,
    /// How many match in all.
    pub total: u64,
}

/// What a notice is of: who is told by which Action of which host or task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NoticeKey {
    /// The Action.
    pub action: Name,
    /// The host.
    pub host: Name,
    /// The task; none for the host itself.
    pub task: Option<Name>,
    /// The contact; none where the Action names nobody.
    pub contact: Option<Name>,
}

/// One thing that a parcel tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tiding {
    /// Its notification.
    pub notification: RunId,
    /// What it tells.
    pub kind: NoticeKind,
    /// The state it tells of.
    pub state: Option<AnyState>,
    /// Of which host.
    pub host: Name,
    /// Of which task there.
    pub task: Option<Name>,
    /// The Result that tells of it.
    pub result: Option<RunId>,
    /// When it was decided upon.
    pub at: Timestamp,
    /// Which notification of the same PROBLEM it is.
    pub number: u32,
    /// The parcel that told of this PROBLEM first; none where it is this one.
    #[serde(default)]
    pub thread: Option<RunId>,
}

/// What is still to be sent: kept until it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// Its id; that of the run where it is one.
    pub id: RunId,
    /// The Action.
    pub action: Name,
    /// To whom.
    pub contact: Option<Name>,
    /// Where its task is run, if it is a run.
    pub on: Option<Name>,
    /// Not before: more may come until then.
    pub due_at: Timestamp,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// What it tells; several where they were joined.
    pub tidings: Vec<Tiding>,
}

/// What became of one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Recipient {
    /// Who; null where the Action names nobody.
    pub contact: Option<Name>,
    /// What it tells; null where there was nothing to tell.
    #[serde(rename = "type")]
    pub kind: Option<NoticeKind>,
    /// What became of it.
    pub outcome: Option<NotificationOutcome>,
    /// In words.
    pub detail: String,
    /// The notification; there is one for all but what there was nothing to tell of.
    #[schema(value_type = Option<String>)]
    pub notification: Option<RunId>,
    /// The run that was started.
    #[schema(value_type = Option<String>)]
    pub run: Option<RunId>,
}

/// What one Action came to for a Result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TraceItem {
    /// The Action.
    pub action: Name,
    /// Its version then.
    pub version: u64,
    /// Whether it is for what happened.
    pub matched: bool,
    /// The first condition that did not hold, or why nothing came of it.
    pub why: Option<String>,
    /// What became of it, for each recipient.
    pub told: Vec<Recipient>,
}

/// What every Action came to for a Result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trace {
    /// The Result.
    #[schema(value_type = String)]
    pub result: RunId,
    /// When they were looked at; null: they were not, or not yet.
    pub at: Option<Timestamp>,
    /// Why there is nothing here, where there is not.
    pub why: Option<String>,
    /// Every Action, by name.
    pub items: Vec<TraceItem>,
}

impl Trace {
    /// The notifications that it names.
    pub fn notifications(&self) -> impl Iterator<Item = RunId> {
        self.items.iter().flat_map(|item| &item.told).filter_map(|told| told.notification)
    }
}

/// What evaluating something came to: all of it is kept at once, or nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evaluated {
    /// The event, which is evaluated with this.
    pub event: Option<RunId>,
    /// What every Action came to.
    pub trace: Option<Trace>,
    /// Notices that have changed; none: there is nothing in them to be remembered.
    pub notices: Vec<(NoticeKey, Option<Notice>)>,
    /// Notifications that are new, or have come to something else.
    pub notifications: Vec<Notification>,
    /// Parcels that are new, or wait for something else.
    pub parcels: Vec<Parcel>,
    /// Parcels that are done with.
    pub delivered: Vec<RunId>,
}

impl Evaluated {
    /// Whether there is nothing to be kept.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
