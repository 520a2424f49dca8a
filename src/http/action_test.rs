//! `POST /actions/NAME/test`: what an Action would do about a stored Result, had it come just now. Nothing is sent, nothing
//! is counted.

use serde::Serialize;
use utoipa::ToSchema;

use super::body;
use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;
use crate::actors::handle::{MessagePreview, RunPreview, WouldTell};
use crate::model::{Catalog, Fault, Hold, Name, NoticeKind, NotificationOutcome, Noun, Rights, RunId};

/// What an Action would do about a Result.
#[derive(Serialize, ToSchema)]
pub(super) struct ActionTest {
    /// The Action.
    action: Name,
    /// Its version.
    version: u64,
    /// Whether it is enabled; it is tried out in any case.
    enabled: bool,
    /// The Result.
    result: RunId,
    /// Whether it is for such a Result, had that changed the state.
    matched: bool,
    /// The first condition that does not hold, or why nothing would come of it.
    why: Option<String>,
    /// What it would do.
    would: Vec<WouldDocument>,
}

/// What one recipient would be told, or would not.
#[derive(Serialize, ToSchema)]
pub(super) struct WouldDocument {
    /// Who; null where the Action names nobody.
    contact: Option<Name>,
    /// What it would tell; null where there is nothing to tell.
    #[serde(rename = "type")]
    kind: Option<NoticeKind>,
    /// What would become of it.
    outcome: Option<NotificationOutcome>,
    /// What would stand in the way.
    reason: Option<Hold>,
    /// The same in words.
    detail: String,
    /// The message, also where something would stand in its way.
    message: Option<MessagePreview>,
    /// What would run.
    run: Option<RunPreview>,
}

/// The dry run.
pub async fn test(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let name = call.name("name", Noun::Action)?;
    body::nothing(&call, "test")?;
    let catalog = call.handle().catalog();
    let action = catalog.actions.get(&name).cloned();
    let action = action.ok_or_else(|| Problem::not_found(format!("there is no action \"{name}\"")))?;
    rights.check_shown(&action, &catalog)?;
    let mut query = call.query.reader();
    let id: Option<RunId> = query.take("result");
    query.done()?;
    let id = id.ok_or_else(|| Problem::invalid(vec![Fault::new("/result", "is required: the id of a Result")]))?;
    let result = call.handle().result(id).await?;
    let result = result.ok_or_else(|| Problem::not_found(format!("there is no result {id}")))?;
    rights.check(&result.host, &catalog)?;
    let would = call.handle().would(&action, result).await?;
    let shown = ActionTest {
        action: name,
        version: action.meta.version,
        enabled: action.enabled,
        result: id,
        matched: would.matched,
        why: would.why,
        would: would.tells.into_iter().map(|tells| seen(tells, &rights, &catalog)).collect(),
    };
    call.document("test", &shown)
}

/// What one recipient would be told, as whoever asks may see it.
fn seen(tells: WouldTell, rights: &Rights, catalog: &Catalog) -> WouldDocument {
    let WouldTell { recipient, notification, message, run } = tells;
    let run = run.map(|run| {
        let hosts = run.hosts.into_iter().filter(|host| rights.cover_name(host, catalog)).collect();
        RunPreview { hosts, ..run }
    });
    // What is on its way in earnest would be sent here.
    let outcome = recipient.outcome.map(|outcome| match outcome {
        NotificationOutcome::Pending => NotificationOutcome::Sent,
        other => other,
    });
    let detail = if run.is_some() { String::new() } else { recipient.detail };
    WouldDocument {
        contact: recipient.contact,
        kind: recipient.kind,
        outcome,
        reason: notification.and_then(|one| one.reason),
        detail,
        message,
        run,
    }
}
