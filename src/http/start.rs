//! Starting runs: a task or something ad hoc, on a host or on many, with what is given to it.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{self, Draft};
use super::call::Call;
use super::format::Node;
use super::once::{self, Due, WAIT};
use super::problem::Problem;
use super::reply::Reply;
use super::results::bodies;
use crate::actors::handle::{CameTo, Group, Once, Order, What};
use crate::model::{Fault, Given, GivenDocument, Name, Noun, Rights, RunId, Selector, Span, TaskDocument};

/// The longest `wait`.
const LONGEST_WAIT: Span = Span::seconds(10 * 60);

/// Fields of a task that say nothing of how it is run once.
pub(super) const NOT_AD_HOC: [&str; 13] = [
    "name",
    "title",
    "description",
    "labels",
    "enabled",
    "overlap",
    "max_attempts",
    "retry_interval",
    "flapping",
    "max_running",
    "retention",
    "version",
    "created_at",
];

#[derive(Serialize, ToSchema)]
pub(super) struct Started {
    run: RunId,
}

#[derive(Serialize, ToSchema)]
pub(super) struct StartedOnMany {
    group: RunId,
    runs: Vec<StartedThere>,
    refused: Vec<Refused>,
}

#[derive(Serialize, ToSchema)]
struct StartedThere {
    host: Name,
    run: RunId,
}

#[derive(Serialize, ToSchema)]
struct Refused {
    host: Name,
    detail: String,
}

/// Which hosts.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Chosen {
    selector: Option<Selector>,
}

/// `POST /hosts/HOST/tasks/TASK/run`.
pub async fn task(call: Call) -> Result<Reply, Problem> {
    let host: Name = call.name("host", Noun::Host)?;
    let task: Name = call.name("task", Noun::Task)?;
    let wait = wait(&call)?;
    let once = match once::due(&call).await? {
        Due::Now(once) => once,
        Due::Done(came_to) => return replay(&call, came_to, wait).await,
    };
    let given = match body::tree_or_nothing(&call, "run")? {
        Some(node) => only_given(&call, node)?,
        None => Given::default(),
    };
    let run = call.handle().run(host, task, order(&call, given, once)).await?;
    answer(&call, run, wait).await
}

/// `POST /tasks/TASK/run`, on all hosts of a selector.
pub async fn task_on_many(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let task: Name = call.name("task", Noun::Task)?;
    let once = match once::due(&call).await? {
        Due::Now(once) => once,
        Due::Done(came_to) => return replay(&call, came_to, Duration::ZERO).await,
    };
    let mut node = body::tree(&call, "run")?;
    let mut faults = Vec::new();
    let selector = selector(&mut node, &mut faults);
    let given = given(&call, node, &mut faults)?;
    match selector {
        Some(selector) if faults.is_empty() => on_many(&call, rights, selector, What::Task(task), given, once).await,
        _ => Err(Problem::invalid(faults)),
    }
}

/// `POST /hosts/HOST/exec`.
pub async fn exec(call: Call) -> Result<Reply, Problem> {
    let host: Name = call.name("host", Noun::Host)?;
    let wait = wait(&call)?;
    let once = match once::due(&call).await? {
        Due::Now(once) => once,
        Due::Done(came_to) => return replay(&call, came_to, wait).await,
    };
    let node = body::tree(&call, "run")?;
    let mut faults = Vec::new();
    let (what, given) = ad_hoc(&call, node, &mut faults)?;
    match what {
        Some(what) if faults.is_empty() => {
            let run = call.handle().start(host, what, order(&call, given, once)).await?;
            answer(&call, run, wait).await
        }
        _ => Err(Problem::invalid(faults)),
    }
}

/// `POST /exec`, on all hosts of a selector.
pub async fn exec_on_many(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let once = match once::due(&call).await? {
        Due::Now(once) => once,
        Due::Done(came_to) => return replay(&call, came_to, Duration::ZERO).await,
    };
    let mut node = body::tree(&call, "run")?;
    let mut faults = Vec::new();
    let selector = selector(&mut node, &mut faults);
    let (what, given) = ad_hoc(&call, node, &mut faults)?;
    match selector.zip(what) {
        Some((selector, what)) if faults.is_empty() => on_many(&call, rights, selector, what, given, once).await,
        _ => Err(Problem::invalid(faults)),
    }
}

/// Takes the selector out of a body.
fn selector(node: &mut Node, faults: &mut Vec<Fault>) -> Option<Selector> {
    let Draft { document, faults: structural } = body::draft::<Chosen>(node.take_fields(&["selector"]));
    let selector = document.and_then(|chosen| chosen.selector);
    if selector.is_none() && structural.is_empty() {
        faults.push(Fault::new("/selector", "is required"));
    }
    faults.extend(structural);
    selector
}

/// What is to be run ad hoc: a task without what only a defined task has, and what is given to the run.
fn ad_hoc(call: &Call, mut node: Node, faults: &mut Vec<Fault>) -> Result<(Option<What>, Given), Problem> {
    let given = given(call, node.take_fields(&GivenDocument::FIELDS), faults)?;
    let out_of_place = node.take_fields(&NOT_AD_HOC);
    let told = |name: &str| Fault::new(format!("/{name}"), "does not go with an ad-hoc run");
    faults.extend(out_of_place.field_names().map(told));
    let Draft { document, faults: structural } = body::draft::<TaskDocument>(node);
    let checked = document.map(|document| call.handle().ad_hoc(document));
    let (what, semantic) = match checked {
        Some(Ok(task)) => (Some(What::AdHoc(task)), Vec::new()),
        Some(Err(semantic)) => (None, semantic),
        None => (None, Vec::new()),
    };
    faults.extend(body::joined(structural, semantic));
    Ok((what, given))
}

/// Starts it on all hosts of a selector; where it could not be started is told with why. Once it has begun it goes on to
/// the last of them, also when who asked goes away.
async fn on_many(
    call: &Call,
    rights: Rights,
    selector: Selector,
    what: What,
    given: Given,
    once: Option<Once>,
) -> Result<Reply, Problem> {
    let handle = call.handle().clone();
    let started = actix_web::rt::spawn(async move {
        let given = Arc::new(given);
        let group = handle.start_on_many(&selector, &rights, what, given, once.as_ref()).await?;
        let started = StartedOnMany::of(group);
        if let Some(once) = once {
            handle.began(once, started.came_to()).await;
        }
        Ok::<_, Problem>(started)
    });
    started.await.map_err(|error| Problem::internal(error.to_string()))??.reply(call)
}

impl StartedOnMany {
    fn of(Group { id, runs, refused }: Group) -> Self {
        let refused = refused.into_iter();
        Self {
            group: id,
            runs: runs.into_iter().map(|(host, run)| StartedThere { host, run }).collect(),
            refused: refused.map(|(host, error)| Refused { host, detail: Problem::from(error).detail() }).collect(),
        }
    }

    fn came_to(&self) -> CameTo {
        CameTo::Group {
            id: self.group,
            runs: self.runs.iter().map(|there| (there.host.clone(), there.run)).collect(),
            refused: self.refused.iter().map(|there| (there.host.clone(), there.detail.clone())).collect(),
        }
    }

    fn reply(&self, call: &Call) -> Result<Reply, Problem> {
        let reply = call.document_with(StatusCode::ACCEPTED, "run", self)?;
        Ok(reply.with(LOCATION, format!("/api/v1/results?group={}", self.group)))
    }
}

/// The answer to a request that was done before.
async fn replay(call: &Call, came_to: CameTo, wait: Duration) -> Result<Reply, Problem> {
    let reply = match came_to {
        CameTo::Run(run) => answer(call, run, wait).await,
        CameTo::Group { id, runs, refused } => {
            let started = StartedOnMany {
                group: id,
                runs: runs.into_iter().map(|(host, run)| StartedThere { host, run }).collect(),
                refused: refused.into_iter().map(|(host, detail)| Refused { host, detail }).collect(),
            };
            started.reply(call)
        }
        _ => Err(once::not_of_this_call()),
    };
    reply.map(once::replayed)
}

/// How long the answer may wait for the end of the run.
fn wait(call: &Call) -> Result<Duration, Problem> {
    let mut query = call.query.reader();
    let wait: Option<Span> = query.take(WAIT);
    if wait.is_some_and(|wait| wait > LONGEST_WAIT) {
        query.fault("wait", format!("must be at most {LONGEST_WAIT}; ask /runs/ID and /results/ID for longer runs"));
    }
    query.done()?;
    Ok(wait.map_or(Duration::ZERO, Span::get))
}

fn order(call: &Call, given: Given, once: Option<Once>) -> Order {
    Order { given: Arc::new(given), once, ..Order::by(call.by()) }
}

/// A body that holds nothing but what is given to the run.
fn only_given(call: &Call, node: Node) -> Result<Given, Problem> {
    let mut faults = Vec::new();
    let given = given(call, node, &mut faults)?;
    if faults.is_empty() { Ok(given) } else { Err(Problem::invalid(faults)) }
}

/// What is given to the run; notes what is wrong with it. Refused outright where it names secrets and the key may not.
fn given(call: &Call, node: Node, faults: &mut Vec<Fault>) -> Result<Given, Problem> {
    let Draft { document, faults: structural } = body::draft::<GivenDocument>(node);
    let checked = document.map_or_else(|| Ok(Given::default()), Given::check);
    let (given, semantic) = match checked {
        Ok(given) => (given, Vec::new()),
        Err(semantic) => (Given::default(), semantic),
    };
    faults.extend(body::joined(structural, semantic));
    let named = given.named();
    if !named.is_empty() {
        if let Some(key) = &call.key {
            Rights::of(Arc::clone(key)).check_gives_secrets()?;
        }
        faults.extend(call.handle().catalog().missing(named));
    }
    Ok(given)
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
