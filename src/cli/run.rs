//! `alf run`: runs a task now, and is as that run was: its output while it comes, its end.

use std::cell::RefCell;

use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::args::{Format, RunArgs};
use super::client::{API, Accept, Body, Client};
use super::columns::{RESULT_ROWS, field};
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::live::{Told, end_of, or_why_waiting, to_end};
use super::many::on_many;
use super::progress::names;
use super::session::Session;
use super::show;
use super::text::escaped;

use crate::model::{Name, RunId, Selector};

/// How many runs are followed at once.
pub(super) const AT_ONCE: usize = 50;
/// How many hosts are named where all cannot be.
pub(super) const NAMED: usize = 10;

pub(super) async fn run(args: RunArgs, session: &mut Session) -> Result<Exit, CliError> {
    let mode = Mode::of(args.no_wait, args.timeout_wait);
    let (place, task) = match (args.selector, args.names.as_slice()) {
        (None, [host, task]) => (Place::Host(host.clone()), task),
        (Some(selector), [task]) => (Place::All(selector), task),
        (None, _) => return Err(CliError::Usage("both HOST and TASK are needed, or -l SELECTOR and TASK".to_owned())),
        (Some(_), _) => {
            return Err(CliError::Usage("-l SELECTOR stands in place of HOST; give only TASK with it".to_owned()));
        }
    };
    let path = match &place {
        Place::Host(host) => format!("{API}/hosts/{host}/tasks/{task}/run"),
        Place::All(_) => format!("{API}/tasks/{task}/run"),
    };
    let mut fields = args.given.fields(&mut session.stdin)?;
    if !args.args.is_empty() {
        fields.push(("args", Some(Doc::List(args.args.into_iter().map(Doc::Text).collect()))));
    }
    start(place, &path, fields, mode, args.group, session).await
}

/// Where something is run.
pub(super) enum Place {
    /// On one host.
    Host(Name),
    /// On all hosts of a selector.
    All(Selector),
}

/// What is done with a run.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    /// It is started.
    Start,
    /// Its end is waited for, at most until then.
    Wait(Option<Instant>),
}

impl Mode {
    /// As the flags say.
    pub(super) fn of(no_wait: bool, timeout_wait: Option<crate::model::Span>) -> Self {
        if no_wait {
            return Self::Start;
        }
        Self::Wait(timeout_wait.and_then(|limit| Instant::now().checked_add(limit.get())))
    }
}

/// Starts what a body says, and follows it as far as that is wanted; with `group` Results that are alike are shown once.
pub(super) async fn start(
    place: Place,
    path: &str,
    fields: Vec<(&'static str, Option<Doc>)>,
    mode: Mode,
    group: bool,
    session: &mut Session,
) -> Result<Exit, CliError> {
    match place {
        Place::Host(host) => {
            let body = if fields.is_empty() { Body::Empty } else { Body::Json(Doc::map(fields)) };
            on_one(&host, path, &body, mode, session).await
        }
        Place::All(selector) => {
            let selector = ("selector", Some(selector.to_string().into()));
            let body = Body::Json(Doc::map(fields.into_iter().chain([selector])));
            on_many(path, &body, mode, group, session).await
        }
    }
}

async fn on_one(host: &Name, path: &str, body: &Body, mode: Mode, session: &mut Session) -> Result<Exit, CliError> {
    let client = session.client().await?;
    let answer = client.post_once(path, &[], body, Accept::Json, &mut session.output).await?;
    let id = run_of(&answer.doc()?)?;
    let Mode::Wait(deadline) = mode else {
        session.output.line(&id.to_string())?;
        session.output.note(&format!("started; alf result {id} shows its end"));
        return Ok(Exit::Ok);
    };
    let format = session.chosen_format();
    let output = RefCell::new(&mut session.output);
    let work = async {
        if format.is_some() {
            return end_of(&client, id, deadline).await;
        }
        let mut tell = |told: Told<'_>| -> Result<(), CliError> {
            let mut output = output.borrow_mut();
            match told {
                Told::Out(bytes) => {
                    output.data(bytes)?;
                    output.flush()?;
                }
                Told::Err(bytes) => output.error_data(bytes),
                Told::Note(note) => output.note(&note),
            }
            Ok(())
        };
        to_end(&client, id, deadline, &mut tell).await
    };
    let open = RefCell::new(vec![(host.to_string(), id)]);
    let note = |text: &str| output.borrow_mut().note(text);
    let work = or_why_waiting(&client, id, host.as_str(), &note, work);
    let result = or_cancelled(&client, &open, &note, work).await?;
    match format {
        Some(Format::Xml) => {
            let path = format!("{API}/results/{}", field(&result, "id"));
            show::one(session, &client, &path, &RESULT_ROWS).await?;
        }
        Some(format) => show::thing(session, format, result.clone(), &RESULT_ROWS)?,
        None => {}
    }
    session.output.note(&verdict(&result));
    Ok(exit_of(&result))
}

/// Does something that may be interrupted: the first time the runs that are open are cancelled, and their ends waited
/// for; the second time they are left alone.
pub(super) async fn or_cancelled<T>(
    client: &Client,
    open: &RefCell<Vec<(String, RunId)>>,
    note: &dyn Fn(&str),
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    let interrupted = async {
        // Without the signal nothing can be interrupted, and all goes on.
        if tokio::signal::ctrl_c().await.is_err() {
            return std::future::pending().await;
        }
        let runs = open.borrow().clone();
        note(&format!("cancelling what runs on {}; Ctrl-C again leaves it alone", hosts_of(&runs)));
        let cancelled = runs.iter().map(|(_, id)| async move { client.delete(&format!("{API}/runs/{id}"), &[]).await });
        futures_util::stream::iter(cancelled).buffer_unordered(AT_ONCE).for_each(|_| std::future::ready(())).await;
        if tokio::signal::ctrl_c().await.is_err() {
            return std::future::pending().await;
        }
        let left = open.borrow();
        Err(CliError::Failed(format!("interrupted; what runs on {} may go on: see alf runs", hosts_of(&left))))
    };
    tokio::select! {
        biased;
        done = work => done,
        interrupted = interrupted => interrupted,
    }
}

fn hosts_of(runs: &[(String, RunId)]) -> String {
    let hosts: Vec<&str> = runs.iter().map(|(host, _)| host.as_str()).collect();
    names(&hosts, NAMED)
}

/// The id of a run that was started.
pub(super) fn run_of(answer: &Doc) -> Result<RunId, CliError> {
    let id = answer.text("run").and_then(|id| id.parse().ok());
    id.ok_or_else(|| CliError::Failed("the service started a run without saying its id".to_owned()))
}

/// The exit of many: the worst of them.
pub(super) fn worst(exits: Vec<Exit>) -> Exit {
    exits.into_iter().max_by_key(|exit| exit.code()).unwrap_or(Exit::Ok)
}

/// The exit of one run.
pub(super) fn exit_of(result: &Doc) -> Exit {
    if result.text("outcome") == Some("OK") { Exit::Ok } else { Exit::Failed }
}

/// `PROBLEM, CRITICAL (exit_code)`.
pub(super) fn outcome(result: &Doc) -> String {
    let mut outcome = field(result, "outcome");
    if let Some(state) = result.text("state").filter(|state| *state != "OK") {
        outcome.push_str(&format!(", {state}"));
    }
    if let Some(reason) = result.text("reason") {
        outcome.push_str(&format!(" ({reason})"));
    }
    escaped(&outcome)
}

/// `PROBLEM, CRITICAL (exit_code): …`, in one line.
pub(super) fn verdict(result: &Doc) -> String {
    match result.text("message").filter(|message| !message.is_empty()) {
        Some(message) => format!("{}: {}", outcome(result), escaped(message)),
        None => outcome(result),
    }
}
