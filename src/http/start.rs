//! Starting runs: a task on a host now, with what is given to it.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use serde::Serialize;

use super::body::{self, Draft};
use super::call::Call;
use super::format::Node;
use super::problem::Problem;
use super::reply::Reply;
use super::results::bodies;
use crate::actors::handle::Order;
use crate::model::{Fault, Given, GivenDocument, Name, Noun, RunId, Span};

/// The longest `wait`.
const LONGEST_WAIT: Span = Span::seconds(10 * 60);

#[derive(Serialize)]
struct Started {
    run: RunId,
}

/// `POST /hosts/HOST/tasks/TASK/run`.
pub async fn task(call: Call) -> Result<Reply, Problem> {
    let host: Name = call.name("host", Noun::Host)?;
    let task: Name = call.name("task", Noun::Task)?;
    let wait = wait(&call)?;
    let given = match body::tree_or_nothing(&call, "run")? {
        Some(node) => only_given(node)?,
        None => Given::default(),
    };
    let run = call.handle().run(host, task, order(&call, given)).await?;
    answer(&call, run, wait).await
}

/// How long the answer may wait for the end of the run.
fn wait(call: &Call) -> Result<Duration, Problem> {
    let mut query = call.query.reader();
    let wait: Option<Span> = query.take("wait");
    if wait.is_some_and(|wait| wait > LONGEST_WAIT) {
        query.fault("wait", format!("must be at most {LONGEST_WAIT}; ask /runs/ID and /results/ID for longer runs"));
    }
    query.done()?;
    Ok(wait.map_or(Duration::ZERO, Span::get))
}

fn order(call: &Call, given: Given) -> Order {
    Order { given: Arc::new(given), ..Order::by(call.by()) }
}

/// A body that holds nothing but what is given to the run.
fn only_given(node: Node) -> Result<Given, Problem> {
    let mut faults = Vec::new();
    let given = given(node, &mut faults);
    if faults.is_empty() { Ok(given) } else { Err(Problem::invalid(faults)) }
}

/// What is given to the run; notes what is wrong with it.
fn given(node: Node, faults: &mut Vec<Fault>) -> Given {
    let Draft { document, faults: structural } = body::draft::<GivenDocument>(node);
    let checked = document.map_or_else(|| Ok(Given::default()), Given::check);
    let (given, semantic) = match checked {
        Ok(given) => (given, Vec::new()),
        Err(semantic) => (Given::default(), semantic),
    };
    faults.extend(body::joined(structural, semantic));
    given
}

/// The run's Result when it comes in time, else its id.
async fn answer(call: &Call, run: RunId, wait: Duration) -> Result<Reply, Problem> {
    if !wait.is_zero()
        && let Some(result) = call.handle().wait(run, wait).await?
    {
        return call.document("result", &result.document(bodies(call.format)));
    }
    let reply = call.document_with(StatusCode::ACCEPTED, "run", &Started { run })?;
    Ok(reply.with(LOCATION, format!("/api/v1/runs/{run}")))
}
