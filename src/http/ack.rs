//! Acknowledging the PROBLEM of a host, or of a task on it.

use actix_web::http::StatusCode;

use super::body::{self, Draft};
use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;
use super::status;
use crate::model::{Ack, AckDocument, Name, Noun};

/// `POST /status/HOST/ack`, `POST /status/HOST/TASK/ack`: answers how it stands then; 409 when there is no PROBLEM.
pub async fn acknowledge(call: Call) -> Result<Reply, Problem> {
    let ack = if call.body.is_empty() { AckDocument::default() } else { document(&call)? };
    let ack = ack.check(call.by(), call.handle().now()).map_err(Problem::invalid)?;
    let is_of_task = set(&call, Some(ack)).await?;
    if is_of_task { status::pair(call).await } else { status::host(call).await }
}

/// `DELETE …/ack`.
pub async fn take_back(call: Call) -> Result<Reply, Problem> {
    set(&call, None).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Sets it; answers whether it is of a task, else it is of the host itself.
async fn set(call: &Call, ack: Option<Ack>) -> Result<bool, Problem> {
    let host = call.name("host", Noun::Host)?;
    let task: Option<Name> = if call.part("task").is_empty() { None } else { Some(call.name("task", Noun::Task)?) };
    call.handle().acknowledge(&host, task.as_ref(), ack).await?;
    Ok(task.is_some())
}

fn document(call: &Call) -> Result<AckDocument, Problem> {
    let Draft { document, faults } = body::read::<AckDocument>(call, "ack")?;
    if faults.is_empty() { Ok(document.unwrap_or_default()) } else { Err(Problem::invalid(faults)) }
}
