//! Runs: what runs or waits, and how it is cancelled.

use actix_web::http::StatusCode;

use super::call::Call;
use super::page::Wanted;
use super::problem::Problem;
use super::reply::Reply;
use crate::actors::handle::Error;
use crate::model::{Rights, RunId, RunRow};

/// `GET /runs`.
pub async fn list(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let mut query = call.query.reader();
    let wanted = Wanted::read(&mut query, "runs");
    query.done()?;
    let runs = call.handle().runs().await?;
    let catalog = call.handle().catalog();
    let runs = runs.into_iter().filter(|run| rights.cover_name(&run.host, &catalog));
    let page = wanted.cut(runs, |run| run.id.to_string());
    call.page(("runs", "run"), &page)
}

/// `GET /runs/ID`: 404 once it has ended.
pub async fn get(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let run = open(&call, &rights).await?;
    call.document("run", &run)
}

/// The run in the path, if it has not ended and may be touched.
pub async fn open(call: &Call, rights: &Rights) -> Result<RunRow, Problem> {
    let id = id(call)?;
    match call.handle().open_run(id).await {
        Ok(run) => {
            rights.check(&run.host, &call.handle().catalog())?;
            Ok(run)
        }
        Err(error) => Err(has_ended(call, id, error).await?),
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
pub async fn cancel(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let run = open(&call, &rights).await?;
    call.handle().cancel(run.id).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// The id in the path; what cannot be one is not there.
pub fn id(call: &Call) -> Result<RunId, Problem> {
    let text = call.part("id");
    text.parse().map_err(|_| Problem::not_found(format!("there is no run \"{}\"", super::format::excerpt(text))))
}
