//! `alf events`: what happens, as it happens.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::args::Format;
use super::args_tend::EventsArgs;
use super::client::{API, Client};
use super::columns::{field, time};
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::events::{Event, Events};
use super::session::Session;
use super::show;
use super::text::escaped;

/// A stream in which nothing comes for so long is broken: the service sends a comment every 15 s.
const SILENCE: Duration = Duration::from_secs(45);
/// Between two tries to go on with a stream that broke off, and how many of them may fail.
const AGAIN: Duration = Duration::from_secs(1);
const TRIES: u32 = 30;

/// Tells events until nobody reads them any more, or the service is away for long.
pub(super) async fn run(args: EventsArgs, session: &mut Session) -> Result<Exit, CliError> {
    if !matches!(session.format(), Format::Table | Format::Wide | Format::Json | Format::Yaml) {
        return Err(CliError::Usage("events are written as table, wide, json or yaml".to_owned()));
    }
    let client = session.client().await?;
    let named = [("host", args.host.as_ref()), ("task", args.task.as_ref())];
    let filters: Vec<String> =
        named.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?))).collect();
    let path = match filters.is_empty() {
        true => format!("{API}/events"),
        false => format!("{API}/events?{}", filters.join("&")),
    };
    let mut after = args.all.then(|| "0.0".to_owned());
    let mut failed = 0;
    while !session.output.is_closed() {
        let before = after.clone();
        match read(&client, &path, &mut after, session).await {
            Err(error) if error.is_away() => {
                failed = if before == after { failed + 1 } else { 1 };
                if failed > TRIES || (failed == 1 && after.is_none()) {
                    return Err(error);
                }
                tokio::time::sleep(AGAIN).await;
            }
            other => other?,
        }
    }
    Ok(Exit::Ok)
}

/// Tells one stream, from behind the event `after` on, to its end.
async fn read(client: &Client, path: &str, after: &mut Option<String>, session: &mut Session) -> Result<(), CliError> {
    let from = after.clone();
    let stream = client.events(path, from.as_deref()).await?;
    futures_util::pin_mut!(stream);
    let mut events = Events::default();
    while !session.output.is_closed() {
        let piece: Bytes = match timeout(SILENCE, stream.next()).await {
            Ok(Some(piece)) => piece?,
            Ok(None) | Err(_) => return Err(client.broken_off()),
        };
        let unreadable = || CliError::Failed("the service's event stream cannot be read".to_owned());
        for event in events.push(&piece).ok_or_else(unreadable)? {
            tell(&event, session)?;
            *after = event.id.or(after.take());
        }
        session.output.flush()?;
    }
    Ok(())
}

fn tell(event: &Event, session: &mut Session) -> Result<(), CliError> {
    let unreadable = |error: serde_json::Error| CliError::Failed(format!("an event cannot be read: {error}"));
    let data: Doc = serde_json::from_str(&event.data).map_err(unreadable)?;
    let whole = Doc::map([("event", Some(event.kind.as_str().into())), ("data", Some(data.clone()))]);
    match session.format() {
        Format::Json => {
            let line = serde_json::to_string(&whole).map_err(unreadable)?;
            Ok(session.output.line(&line)?)
        }
        Format::Yaml => {
            session.output.line("---")?;
            show::document(&mut session.output, Format::Yaml, &whole)
        }
        _ => {
            let line = line(&event.kind, &data, session);
            Ok(session.output.line(&escaped(&line))?)
        }
    }
}

/// An event in a line for people.
fn line(kind: &str, data: &Doc, session: &Session) -> String {
    let at = |name: &str| time(data, name, session.times);
    let of = match data.text("task") {
        Some(task) => format!("{} {task}", field(data, "host")),
        None => field(data, "host"),
    };
    let hard = if data.is("hard") { "hard" } else { "soft" };
    let was = data.text("before").unwrap_or("PENDING").to_owned();
    match kind {
        "result" => {
            let reason = data.text("reason").map_or_else(String::new, |reason| format!(" {reason}"));
            format!("{} result  {of} {}{reason}: {}", at("finished_at"), field(data, "outcome"), field(data, "message"))
        }
        "state" => {
            let flapping = if data.is("flapping") { ", flapping" } else { "" };
            let state = field(data, "state");
            format!("{} state   {of} {was} -> {state} ({hard}{flapping}): {}", at("since"), field(data, "message"))
        }
        "host" => {
            let message = data.text("message").map_or_else(String::new, |message| format!(": {message}"));
            format!("{} host    {of} {was} -> {} ({hard}){message}", at("since"), field(data, "state"))
        }
        "notification" => {
            let contact = data.text("contact").map_or_else(String::new, |contact| format!(" to {contact}"));
            let (kind, state) = (field(data, "type"), field(data, "state"));
            let told = format!("{kind} {state}{contact} by {}: {}", field(data, "action"), field(data, "outcome"));
            let detail = data.text("detail").filter(|detail| !detail.is_empty());
            let detail = detail.map_or_else(String::new, |detail| format!(", {detail}"));
            format!("{} notify  {of} {told}{detail}", at("at"))
        }
        "pause" if data.is("paused") => format!("{} pause   by {}", at("since"), field(data, "by")),
        "pause" => "resume".to_owned(),
        "gap" => match data.get("missed") {
            Some(Doc::Null) | None => {
                "gap     events from before the service was started again are not known".to_owned()
            }
            Some(_) => format!("gap     {} events were missed", field(data, "missed")),
        },
        other => format!("{other} {of}"),
    }
}
