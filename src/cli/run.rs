//! `alf run`: runs a task now, and is as that run was: its output, its end.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::args::{Format, RunArgs};
use super::client::{API, Body, Client};
use super::columns::{RESULT_ROWS, field};
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::result::{extent, output_of};
use super::session::Session;
use super::show;
use super::text::escaped;

use crate::model::{Name, RunId, Selector};

/// How long the service is asked to hold a request; less than the client's own limit.
const WAIT: Duration = Duration::from_secs(20);
/// The pause between two looks for a Result: it grows from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How many hosts are asked at once.
const AT_ONCE: usize = 10;

pub(super) async fn run(args: RunArgs, session: &mut Session) -> Result<Exit, CliError> {
    let deadline = args.timeout_wait.and_then(|limit| Instant::now().checked_add(limit.get()));
    let mode = if args.no_wait { Mode::Start } else { Mode::Wait(deadline) };
    match (args.selector, args.names.as_slice()) {
        (None, [host, task]) => on_one(host, task, mode, session).await,
        (Some(selector), [task]) => on_many(&selector, task, mode, session).await,
        (None, _) => Err(CliError::Usage("both HOST and TASK are needed, or -l SELECTOR and TASK".to_owned())),
        (Some(_), _) => Err(CliError::Usage("-l SELECTOR stands in place of HOST; give only TASK with it".to_owned())),
    }
}

/// What is done with a run.
#[derive(Clone, Copy)]
enum Mode {
    /// It is started.
    Start,
    /// Its end is waited for, at most until then.
    Wait(Option<Instant>),
}

/// How far a run got.
enum Progress {
    /// It was started.
    Started(RunId),
    /// It is over.
    Ended(Doc),
}

async fn on_one(host: &Name, task: &Name, mode: Mode, session: &mut Session) -> Result<Exit, CliError> {
    let client = session.client().await?;
    let result = match execute(&client, host, task, mode).await? {
        Progress::Started(id) => {
            session.output.line(&id.to_string())?;
            session.output.note(&format!("started; alf result {id} shows its end"));
            return Ok(Exit::Ok);
        }
        Progress::Ended(result) => result,
    };
    match session.chosen_format() {
        Some(Format::Xml) => {
            let path = format!("{API}/results/{}", field(&result, "id"));
            show::one(session, &client, &path, &RESULT_ROWS).await?;
        }
        Some(format) => show::thing(session, format, result.clone(), &RESULT_ROWS)?,
        None => {
            session.output.data(&output_of(&result, "stdout")?)?;
            session.output.flush()?;
            session.output.error_data(&output_of(&result, "stderr")?);
            for note in truncations(&result)? {
                session.output.note(&format!("note: {note}"));
            }
        }
    }
    session.output.note(&verdict(&result));
    Ok(exit_of(&result))
}

async fn on_many(selector: &Selector, task: &Name, mode: Mode, session: &mut Session) -> Result<Exit, CliError> {
    if session.chosen_format() == Some(Format::Xml) {
        return Err(CliError::Usage(
            "-o xml: there is a Result of each host; allowed are json, yaml and name".to_owned(),
        ));
    }
    let client = session.client().await?;
    let hosts = client.list(&format!("{API}/hosts"), &[("selector", &selector.to_string())]).await?;
    let hosts: Vec<Name> = hosts.list("items").iter().filter_map(|host| host.text("name")?.parse().ok()).collect();
    if hosts.is_empty() {
        return Err(CliError::Failed(format!("no host matches the selector {}", escaped(&selector.to_string()))));
    }
    let client = &client;
    let mut runs = futures_util::stream::iter(hosts)
        .map(|host| async move {
            let progress = execute(client, &host, task, mode).await;
            (host, progress)
        })
        .buffer_unordered(AT_ONCE);
    let mut exits = vec![Exit::Ok];
    let mut results = Vec::new();
    while let Some((host, progress)) = runs.next().await {
        match progress {
            Ok(Progress::Started(id)) => {
                session.output.line(&id.to_string())?;
                session.output.note(&format!("{host}: started run {id}"));
            }
            Ok(Progress::Ended(result)) => {
                exits.push(exit_of(&result));
                if session.chosen_format().is_none() {
                    session.output.data(&prefixed(&host, &output_of(&result, "stdout")?))?;
                    session.output.flush()?;
                    session.output.error_data(&prefixed(&host, &output_of(&result, "stderr")?));
                    for note in truncations(&result)? {
                        session.output.note(&format!("{host}: note: {note}"));
                    }
                }
                session.output.note(&format!("{host}: {}", verdict(&result)));
                results.push(result);
            }
            Err(error) => {
                session.output.note(&format!("{host}: error: {error}"));
                exits.push(error.exit());
            }
        }
    }
    if session.chosen_format().is_some() && !results.is_empty() {
        let total = Doc::Number(results.len().into());
        let all = Doc::map([("items", Some(Doc::List(results))), ("next", Some(Doc::Null)), ("total", Some(total))]);
        show::items(session, &all, &RESULT_ROWS, "no Result")?;
    }
    Ok(exits.into_iter().max_by_key(|exit| exit.code()).unwrap_or(Exit::Ok))
}

/// Starts a run and waits as far as that is wanted.
async fn execute(client: &Client, host: &Name, task: &Name, mode: Mode) -> Result<Progress, CliError> {
    let path = format!("{API}/hosts/{host}/tasks/{task}/run");
    let wait = match mode {
        Mode::Start => None,
        Mode::Wait(deadline) => Some(deadline.map_or(WAIT, |end| end.duration_since(Instant::now()).min(WAIT))),
    };
    let wait = wait.map(|wait| format!("{}ms", wait.as_millis().max(1)));
    let query: Vec<_> = wait.iter().map(|wait| ("wait", wait.as_str())).collect();
    let answer = client.post(&path, &query, &Body::Empty).await?;
    let doc = answer.doc()?;
    if answer.status != 202 {
        return Ok(Progress::Ended(doc));
    }
    let id = doc.text("run").and_then(|id| id.parse().ok());
    let id: RunId = id.ok_or_else(|| CliError::Failed("the service started a run without saying its id".to_owned()))?;
    match mode {
        Mode::Start => Ok(Progress::Started(id)),
        Mode::Wait(deadline) => end_of(client, id, deadline).await.map(Progress::Ended),
    }
}

/// Looks for the Result of a run until it is there.
async fn end_of(client: &Client, id: RunId, deadline: Option<Instant>) -> Result<Doc, CliError> {
    let (mut pause, longest) = PAUSES;
    loop {
        match client.get(&format!("{API}/results/{id}"), &[]).await {
            Err(error) if error.is_not_found() => {}
            other => return other,
        }
        match client.get(&format!("{API}/runs/{id}"), &[]).await {
            Ok(_) => {}
            // It ended between the two looks, and its Result is there now; else there is no such run.
            Err(error) if error.is_not_found() => return client.get(&format!("{API}/results/{id}"), &[]).await,
            Err(error) => return Err(error),
        }
        if deadline.is_some_and(|end| Instant::now() + pause > end) {
            return Err(CliError::Failed(format!(
                "run {id} still goes on after --timeout-wait; alf result {id} shows its end"
            )));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

fn exit_of(result: &Doc) -> Exit {
    if result.text("outcome") == Some("OK") { Exit::Ok } else { Exit::Failed }
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

fn truncations(result: &Doc) -> Result<Vec<String>, CliError> {
    let mut notes = Vec::new();
    for stream in ["stdout", "stderr"] {
        if result.is(&format!("{stream}_truncated")) {
            let kept = output_of(result, stream)?.len();
            notes.push(format!("of {stream} these are {}", extent(result, stream, kept)));
        }
    }
    Ok(notes)
}

/// Each line with the host's name before it, and a newline at the end of the last.
fn prefixed(host: &Name, bytes: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(bytes.len() * 2);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        shown.extend_from_slice(format!("{host}: ").as_bytes());
        shown.extend_from_slice(line);
    }
    if !shown.is_empty() && !shown.ends_with(b"\n") {
        shown.push(b'\n');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_prefixed_byte_for_byte() {
        let host = Name::parse("web1").unwrap();
        assert_eq!(prefixed(&host, b"a\n\n\xff"), b"web1: a\nweb1: \nweb1: \xff\n");
        assert_eq!(prefixed(&host, b""), b"");
    }
}
