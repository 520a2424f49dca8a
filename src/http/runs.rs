//! Runs: what runs or waits, and how it is cancelled.

use actix_web::http::StatusCode;

use super::call::Call;
use super::page::Wanted;
use super::problem::Problem;
use super::reply::Reply;
use crate::actors::handle::Error;
use crate::model::RunId;

/// `GET /runs`.
pub async fn list(call: Call) -> Result<Reply, Problem> {
    let mut query = call.query.reader();
    let wanted = Wanted::read(&mut query, "runs");
    query.done()?;
    let runs = call.handle().runs().await?;
    let page = wanted.cut(runs.into_iter(), |run| run.id.to_string());
    call.page(("runs", "run"), &page)
}

/// `GET /runs/ID`: 404 once it has ended.
pub async fn get(call: Call) -> Result<Reply, Problem> {
    let id = id(&call)?;
    match call.handle().open_run(id).await {
        Ok(run) => call.document("run", &run),
        Err(error) => Err(has_ended(&call, id, error).await?),
    }
}

/// What is said of a run that is not there (any more).
pub async fn has_ended(call: &Call, id: RunId, error: Error) -> Result<Problem, Problem> {
    if matches!(error, Error::NoRun(_)) && call.handle().result(id).await?.is_some() {
        return Ok(Problem::not_found(format!("run {id} has ended: see /api/v1/results/{id}")));
    }
    Ok(error.into())
}

/// `DELETE /runs/ID`: 204 when the run's end has begun; its Result comes when that is through.
pub async fn cancel(call: Call) -> Result<Reply, Problem> {
    call.handle().cancel(id(&call)?).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// The id in the path; what cannot be one is not there.
pub fn id(call: &Call) -> Result<RunId, Problem> {
    let text = call.part("id");
    text.parse().map_err(|_| Problem::not_found(format!("there is no run \"{}\"", super::format::excerpt(text))))
}
