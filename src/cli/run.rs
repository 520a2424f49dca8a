//! `alf run`: runs a task now, and is as that run was: its output while it comes, its end.

use std::cell::RefCell;

use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::args::{Format, RunArgs};
use super::client::{API, Accept, Body, Client};
use super::columns::{RESULT_ROWS, field};
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::live::{Told, end_of, to_end, why_waiting};
use super::prefix::Prefix;
use super::session::Session;
use super::show;
use super::text::escaped;

use crate::model::{Name, RunId, Selector};

/// How many runs are followed at once; the others run as well, and are shown after them.
const AT_ONCE: usize = 50;

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
    start(place, &path, fields, mode, session).await
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

/// Starts what a body says, and follows it as far as that is wanted.
pub(super) async fn start(
    place: Place,
    path: &str,
    fields: Vec<(&'static str, Option<Doc>)>,
    mode: Mode,
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
            on_many(path, &body, mode, session).await
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
    let ids = RefCell::new(vec![id]);
    let note = |text: &str| output.borrow_mut().note(text);
    let explained = async {
        if let Some(why) = why_waiting(&client, id, host).await {
            note(&why);
        }
        std::future::pending().await
    };
    let work = async {
        tokio::select! {
            biased;
            done = work => done,
            never = explained => never,
        }
    };
    let result = or_cancelled(&client, &ids, &note, work).await?;
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

async fn on_many(path: &str, body: &Body, mode: Mode, session: &mut Session) -> Result<Exit, CliError> {
    if session.chosen_format() == Some(Format::Xml) {
        return Err(CliError::Usage(
            "-o xml: there is a Result of each host; allowed are json, yaml and name".to_owned(),
        ));
    }
    let client = session.client().await?;
    let group = client.post_once(path, &[], body, Accept::Json, &mut session.output).await?.doc()?;
    let started = group.list("runs").iter().map(|run| Ok((field(run, "host"), run_of(run)?)));
    let started: Vec<(String, RunId)> = started.collect::<Result<_, CliError>>()?;
    let mut exits = vec![Exit::Ok];
    for refused in group.list("refused") {
        session.output.note(&format!("{}: error: {}", field(refused, "host"), field(refused, "detail")));
        exits.push(Exit::Failed);
    }
    let Mode::Wait(deadline) = mode else {
        for (host, id) in &started {
            session.output.line(&id.to_string())?;
            session.output.note(&format!("{host}: started run {id}"));
        }
        return Ok(worst(exits));
    };
    let format = session.chosen_format();
    let ids = RefCell::new(started.iter().map(|(_, id)| *id).collect());
    let output = RefCell::new(&mut session.output);
    let results = RefCell::new(Vec::new());
    let failures = RefCell::new(exits);
    let work = async {
        let mut runs = futures_util::stream::iter(&started)
            .map(|(host, id)| {
                let (client, output) = (&client, &output);
                async move {
                    let mut prefix = Prefix::new(host);
                    let result = match format {
                        Some(_) => end_of(client, *id, deadline).await,
                        None => {
                            let mut tell = |told: Told<'_>| prefix.tell(told, &mut output.borrow_mut());
                            to_end(client, *id, deadline, &mut tell).await
                        }
                    };
                    prefix.end(&mut output.borrow_mut())?;
                    Ok::<_, CliError>((host, result))
                }
            })
            .buffer_unordered(AT_ONCE);
        while let Some(ended) = runs.next().await {
            let (host, result) = ended?;
            match result {
                Ok(result) => {
                    failures.borrow_mut().push(exit_of(&result));
                    output.borrow_mut().note(&format!("{host}: {}", verdict(&result)));
                    results.borrow_mut().push(result);
                }
                Err(error) => {
                    output.borrow_mut().note(&format!("{host}: error: {error}"));
                    failures.borrow_mut().push(error.exit());
                }
            }
        }
        Ok(())
    };
    let note = |text: &str| output.borrow_mut().note(text);
    or_cancelled(&client, &ids, &note, work).await?;
    let (results, exits) = (results.into_inner(), failures.into_inner());
    session.output.note(&summary(&results, exits.len() - 1));
    if format.is_some() && !results.is_empty() {
        let total = Doc::Number(results.len().into());
        let all = Doc::map([("items", Some(Doc::List(results))), ("next", Some(Doc::Null)), ("total", Some(total))]);
        show::items(session, &all, &RESULT_ROWS, "no Result")?;
    }
    Ok(worst(exits))
}

/// Does something that may be interrupted: the first time its runs are cancelled, and their ends waited for; the second
/// time they are left alone.
async fn or_cancelled<T>(
    client: &Client,
    runs: &RefCell<Vec<RunId>>,
    note: &dyn Fn(&str),
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    let interrupted = async {
        // Without the signal nothing can be interrupted, and all goes on.
        if tokio::signal::ctrl_c().await.is_err() {
            return std::future::pending().await;
        }
        note("cancelling; once more leaves it alone");
        let ids = runs.borrow().clone();
        let cancelled = ids.iter().map(|id| async move { client.delete(&format!("{API}/runs/{id}"), &[]).await });
        futures_util::stream::iter(cancelled).buffer_unordered(AT_ONCE).for_each(|_| std::future::ready(())).await;
        if tokio::signal::ctrl_c().await.is_err() {
            return std::future::pending().await;
        }
        Err(CliError::Failed("interrupted".to_owned()))
    };
    tokio::select! {
        biased;
        done = work => done,
        interrupted = interrupted => interrupted,
    }
}

fn run_of(answer: &Doc) -> Result<RunId, CliError> {
    let id = answer.text("run").and_then(|id| id.parse().ok());
    id.ok_or_else(|| CliError::Failed("the service started a run without saying its id".to_owned()))
}

fn worst(exits: Vec<Exit>) -> Exit {
    exits.into_iter().max_by_key(|exit| exit.code()).unwrap_or(Exit::Ok)
}

fn exit_of(result: &Doc) -> Exit {
    if result.text("outcome") == Some("OK") { Exit::Ok } else { Exit::Failed }
}

/// `3 hosts: 2 OK, 1 not`.
fn summary(results: &[Doc], hosts: usize) -> String {
    let good = results.iter().filter(|result| exit_of(result) == Exit::Ok).count();
    format!("{hosts} hosts: {good} OK, {} not", hosts - good)
}

/// `PROBLEM, CRITICAL (exit_code): …`, in one line.
fn verdict(result: &Doc) -> String {
    let mut verdict = field(result, "outcome");
    if let Some(state) = result.text("state").filter(|state| *state != "OK") {
        verdict.push_str(&format!(", {state}"));
    }
    if let Some(reason) = result.text("reason") {
        verdict.push_str(&format!(" ({reason})"));
    }
    if let Some(message) = result.text("message").filter(|message| !message.is_empty()) {
        verdict.push_str(&format!(": {message}"));
    }
    escaped(&verdict)
}
