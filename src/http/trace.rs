//! `GET /results/ID/trace`: what every Action came to for a Result, and what it fired.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::call::Call;
use super::notifications::seen;
use super::problem::Problem;
use super::reply::Reply;
use super::results::find;
use super::route::API;
use crate::model::{
    Catalog, Hold, Name, NoticeKind, Notification, NotificationOutcome, Outcome, Recipient, Rights, RunId, RunState,
    State, Timestamp, TraceItem,
};

/// What every Action came to for a Result.
#[derive(Serialize, ToSchema)]
pub(super) struct TraceDocument {
    /// The Result.
    result: RunId,
    /// When they were looked at; null: they were not.
    at: Option<Timestamp>,
    /// Why there is nothing here, where there is not.
    why: Option<String>,
    /// Every Action that was enabled then, by name.
    items: Vec<TraceEntry>,
}

/// What one Action came to.
#[derive(Serialize, ToSchema)]
pub(super) struct TraceEntry {
    /// The Action.
    action: Name,
    /// Its version then.
    version: u64,
    /// Whether it is for what happened.
    matched: bool,
    /// The first condition that did not hold, or why nothing came of it.
    why: Option<String>,
    /// What it sent or started, or tried to.
    fired: Vec<ToldDocument>,
    /// What something stood in the way of, and whom there was nothing to tell.
    held: Vec<ToldDocument>,
}

/// What one recipient was told, or was not.
#[derive(Serialize, ToSchema)]
pub(super) struct ToldDocument {
    /// Who; null where the Action names nobody.
    contact: Option<Name>,
    /// What it tells; null where there was nothing to tell.
    #[serde(rename = "type")]
    kind: Option<NoticeKind>,
    /// What became of it until now.
    outcome: Option<NotificationOutcome>,
    /// What stood in the way.
    reason: Option<Hold>,
    /// What became of it, in words.
    detail: String,
    /// The notification.
    notification: Option<RunId>,
    /// The run that was started.
    run: Option<FiredRun>,
}

/// A run that an Action started.
#[derive(Serialize, ToSchema)]
pub(super) struct FiredRun {
    /// Its id, and that of its Result.
    id: RunId,
    /// Where that is.
    url: String,
    /// Where it runs; null before it is started.
    host: Option<Name>,
    /// What runs.
    task: Option<Name>,
    /// Where it is.
    stage: Stage,
    /// How it went.
    outcome: Option<Outcome>,
    /// How bad it was.
    state: Option<State>,
    /// The same in words.
    message: Option<String>,
}

/// Where a run is that an Action started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// It is not started yet, or never was.
    NotStarted,
    /// It waits for a connection, a session or a place.
    Queued,
    /// Its command runs.
    Running,
    /// It is over: there is a Result, or was one that was deleted since.
    Ended,
}

/// The trace.
pub async fn show(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let result = find(&call, &rights).await?;
    let (trace, notifications) = call.handle().trace(&result).await?;
    let catalog = call.handle().catalog();
    let notifications: HashMap<RunId, Notification> =
        notifications.into_iter().map(|one| (one.id, seen(one, &rights, &catalog))).collect();
    let mut items = Vec::with_capacity(trace.items.len());
    for item in trace.items.into_iter().filter(|item| is_shown(&item.action, &rights, &catalog)) {
        items.push(entry(&call, &rights, item, &notifications).await?);
    }
    call.document("trace", &TraceDocument { result: trace.result, at: trace.at, why: trace.why, items })
}

/// Whether whoever asks may know of an Action; of those that are gone nobody need be kept.
fn is_shown(action: &Name, rights: &Rights, catalog: &Catalog) -> bool {
    catalog.actions.get(action).is_none_or(|action| rights.show(action, catalog))
}

async fn entry(
    call: &Call,
    rights: &Rights,
    item: TraceItem,
    notifications: &HashMap<RunId, Notification>,
) -> Result<TraceEntry, Problem> {
    let TraceItem { action, version, matched, why, told } = item;
    let mut entry = TraceEntry { action, version, matched, why, fired: Vec::new(), held: Vec::new() };
    for recipient in told {
        let now = recipient.notification.and_then(|id| notifications.get(&id));
        let Recipient { contact, kind, outcome, detail, notification, run } = recipient;
        let run = match now.map_or(run, |now| now.run) {
            Some(run) => fired(call, rights, run).await?,
            None => None,
        };
        let told = ToldDocument {
            contact,
            kind,
            outcome: now.map(|now| now.outcome).or(outcome),
            reason: now.and_then(|now| now.reason),
            detail: now.map_or(detail, |now| now.detail.clone()),
            notification,
            run,
        };
        match told.outcome {
            Some(NotificationOutcome::Pending | NotificationOutcome::Sent | NotificationOutcome::Failed) => {
                entry.fired.push(told);
            }
            Some(NotificationOutcome::Held | NotificationOutcome::Throttled | NotificationOutcome::Dropped) | None => {
                entry.held.push(told);
            }
        }
    }
    Ok(entry)
}

/// A run that an Action started, where whoever asks may know of it.
async fn fired(call: &Call, rights: &Rights, id: RunId) -> Result<Option<FiredRun>, Problem> {
    let catalog = call.handle().catalog();
    let nothing = FiredRun {
        id,
        url: format!("{API}/results/{id}"),
        host: None,
        task: None,
        stage: Stage::NotStarted,
        outcome: None,
        state: None,
        message: None,
    };
    let open = call.handle().open_run(id).await.ok();
    if let Some(run) = open {
        let stage = if run.state == RunState::Running { Stage::Running } else { Stage::Queued };
        let url = format!("{API}/runs/{id}");
        let shown = rights.cover_name(&run.host, &catalog);
        return Ok(shown.then_some(FiredRun { url, host: Some(run.host), task: run.task, stage, ..nothing }));
    }
    Ok(match call.handle().result(id).await? {
        Some(run) => rights.cover_name(&run.host, &catalog).then_some(FiredRun {
            host: Some(run.host),
            task: run.task,
            stage: Stage::Ended,
            outcome: Some(run.outcome),
            state: run.state,
            message: Some(run.message),
            ..nothing
        }),
        None => Some(nothing),
    })
}
