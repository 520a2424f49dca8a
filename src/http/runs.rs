//! Runs: start one now, cancel one, and what runs or waits.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use serde::{Deserialize, Serialize};

use super::body::{self, Draft};
use super::call::Call;
use super::page::Wanted;
use super::problem::Problem;
use super::reply::Reply;
use super::results::bodies;
use crate::actors::handle::Error;
use crate::model::{Name, Noun, RunId, Span};

/// The longest `wait`.
const LONGEST_WAIT: Span = Span::seconds(10 * 60);

/// What may be given to a run: nothing yet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunDocument {}

#[derive(Serialize)]
struct Started {
    run: RunId,
}

/// `POST /hosts/HOST/tasks/TASK/run`.
pub async fn start(call: Call) -> Result<Reply, Problem> {
    let host: Name = call.name("host", Noun::Host)?;
    let task: Name = call.name("task", Noun::Task)?;
    let mut query = call.query.reader();
    let wait: Option<Span> = query.take("wait");
    if wait.is_some_and(|wait| wait > LONGEST_WAIT) {
        query.fault("wait", format!("must be at most {LONGEST_WAIT}; ask /runs/ID and /results/ID for longer runs"));
    }
    query.done()?;
    if !call.body.is_empty() {
        let Draft { faults, .. } = body::read::<RunDocument>(&call, "run")?;
        if !faults.is_empty() {
            return Err(Problem::invalid(faults));
        }
    }
    let run = call.handle().run(host, task, call.by()).await?;
    let wait = wait.map_or(Duration::ZERO, Span::get);
    if !wait.is_zero()
        && let Some(result) = call.handle().wait(run, wait).await?
    {
        return call.document("result", &result.document(bodies(call.format)));
    }
    let reply = call.document_with(StatusCode::ACCEPTED, "run", &Started { run })?;
    Ok(reply.with(LOCATION, format!("/api/v1/runs/{run}")))
}

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
    let run = match call.handle().open_run(id).await {
        Err(Error::NoRun(id)) if call.handle().result(id).await?.is_some() => {
            return Err(Problem::not_found(format!("run {id} has ended: see /api/v1/results/{id}")));
        }
        run => run?,
    };
    call.document("run", &run)
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
