//! A run's output as it comes, to its end: over event streams, gone on with where one broke off, and from the Result
//! where the run was faster.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout};

use super::client::{API, Client};
use super::doc::Doc;
use super::error::CliError;
use super::events::{Event, Events};
use super::result::{extent, output_of};
use super::text::escaped;

use crate::model::RunId;

/// The pause between two looks: it grows from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// A stream in which nothing comes for so long is broken: the service sends a comment every 15 s.
const SILENCE: Duration = Duration::from_secs(45);
/// How long a run may wait before its host is asked about.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a service that cannot be reached is tried again.
const AWAY: Duration = Duration::from_secs(30);

/// Both streams of a run, as they are named in documents.
const STREAMS: [&str; 2] = ["stdout", "stderr"];

/// What is told of a run.
pub(super) enum Told<'a> {
    /// Bytes of its standard output.
    Out(&'a [u8]),
    /// Bytes of its standard error.
    Err(&'a [u8]),
    /// Something about them.
    Note(String),
}

/// How much of both streams has been told.
#[derive(Default)]
struct Shown {
    /// The next offset of each.
    told: [u64; 2],
    /// Bytes of each that came faster than they could be told.
    left_out: [u64; 2],
}

/// Takes what is told.
type Tell<'a> = dyn FnMut(Told<'_>) -> Result<(), CliError> + 'a;

/// Why a stream is not read on.
enum Stopped {
    /// The run has ended.
    Ended,
    /// It broke off, for this cause.
    Broken(CliError),
}

/// Tells all that a run writes until it has ended; answers its Result.
pub(super) async fn to_end(
    client: &Client,
    id: RunId,
    deadline: Option<Instant>,
    tell: &mut Tell<'_>,
) -> Result<Doc, CliError> {
    let mut shown = Shown::default();
    let following = follow(client, id, &mut shown, tell);
    match deadline {
        Some(end) => tokio::time::timeout_at(end, following).await.map_err(|_| still_going(id))??,
        None => following.await?,
    }
    let result = end_of(client, id, deadline).await?;
    for (stream, bytes) in STREAMS.into_iter().zip(shown.left_out).filter(|(_, bytes)| *bytes > 0) {
        tell(Told::Note(format!("note: {bytes} bytes of {stream} were left out")))?;
    }
    rest(&result, shown.told, tell)?;
    Ok(result)
}

/// Reads streams, one after the other, until the run has ended.
async fn follow(client: &Client, id: RunId, shown: &mut Shown, tell: &mut Tell<'_>) -> Result<(), CliError> {
    let (mut pause, longest) = PAUSES;
    let mut last_news = Instant::now();
    loop {
        let before = shown.told;
        match read(client, id, shown, tell).await? {
            Stopped::Ended => return Ok(()),
            Stopped::Broken(error) => {
                if before != shown.told {
                    (last_news, pause) = (Instant::now(), PAUSES.0);
                }
                if last_news.elapsed() > AWAY {
                    return Err(error);
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

/// Reads one stream, from where the last one ended.
async fn read(client: &Client, id: RunId, shown: &mut Shown, tell: &mut Tell<'_>) -> Result<Stopped, CliError> {
    let [out, err] = shown.told;
    let (path, after) = (format!("{API}/runs/{id}/output"), format!("{out}.{err}"));
    let stream = match client.events(&path, Some(&after)).await {
        Ok(stream) => stream,
        Err(error) if error.is_not_found() => return Ok(Stopped::Ended),
        Err(error) if error.may_pass() => return Ok(Stopped::Broken(error)),
        Err(error) => return Err(error),
    };
    futures_util::pin_mut!(stream);
    let mut events = Events::default();
    loop {
        let piece: Bytes = match timeout(SILENCE, stream.next()).await {
            Ok(Some(Ok(piece))) => piece,
            Ok(Some(Err(error))) => return Ok(Stopped::Broken(error)),
            Ok(None) | Err(_) => return Ok(Stopped::Broken(client.broken_off())),
        };
        let unreadable = || CliError::Failed("the service's event stream cannot be read".to_owned());
        for event in events.push(&piece).ok_or_else(unreadable)? {
            if event.kind == "end" {
                return Ok(Stopped::Ended);
            }
            take(&event, shown, tell).ok_or_else(unreadable)??;
        }
    }
}

/// Takes one event in; none if it is none of ours.
fn take(event: &Event, shown: &mut Shown, tell: &mut Tell<'_>) -> Option<Result<(), CliError>> {
    let Shown { told, left_out } = shown;
    let data: Doc = serde_json::from_str(&event.data).ok()?;
    let number = |field: &str| data.integer(field).and_then(|number| u64::try_from(number).ok());
    if event.kind == "gap" {
        let place = STREAMS.iter().position(|stream| data.text("stream") == Some(*stream))?;
        let (from, to) = (number("from")?, number("to")?);
        let stream = STREAMS[place];
        told[place] = to;
        let note = format!("note: {stream} comes faster than it can be shown; parts of it are left out");
        let first = left_out[place] == 0;
        left_out[place] += to - from.min(to);
        return Some(if first { tell(Told::Note(note)) } else { Ok(()) });
    }
    let Some(place) = STREAMS.iter().position(|stream| event.kind == *stream) else { return Some(Ok(())) };
    let text = data.text("data").unwrap_or_default();
    let bytes = match data.text("encoding") {
        Some("base64") => STANDARD.decode(text).ok()?,
        _ => text.as_bytes().to_vec(),
    };
    told[place] = number("offset")? + bytes.len() as u64;
    Some(tell(if place == 0 { Told::Out(&bytes) } else { Told::Err(&bytes) }))
}

/// Tells what of a Result's output was not told while the run went on.
fn rest(result: &Doc, told: [u64; 2], tell: &mut Tell<'_>) -> Result<(), CliError> {
    for (place, stream) in STREAMS.into_iter().enumerate() {
        let bytes = output_of(result, stream)?;
        let total = result.integer(&format!("{stream}_bytes")).and_then(|total| u64::try_from(total).ok());
        let truncated = result.is(&format!("{stream}_truncated"));
        let missing = match told[place] {
            0 => &bytes[..],
            told if truncated => {
                if total.is_some_and(|total| total > told) {
                    let id = result.text("id").unwrap_or_default();
                    tell(Told::Note(format!("note: the end of {stream} was not seen; alf result {id} has it")))?;
                }
                continue;
            }
            told => bytes.get(usize::try_from(told).unwrap_or(usize::MAX)..).unwrap_or_default(),
        };
        if !missing.is_empty() {
            tell(if place == 0 { Told::Out(missing) } else { Told::Err(missing) })?;
        }
        if truncated {
            tell(Told::Note(format!("note: of {stream} these are {}", extent(result, stream, bytes.len()))))?;
        }
    }
    Ok(())
}

/// Looks for the Result of a run until it is there.
pub(super) async fn end_of(client: &Client, id: RunId, deadline: Option<Instant>) -> Result<Doc, CliError> {
    let (mut pause, longest) = PAUSES;
    let mut last_news = Instant::now();
    loop {
        match look(client, id).await {
            Ok(Some(result)) => return Ok(result),
            Ok(None) => last_news = Instant::now(),
            Err(error) if error.may_pass() && last_news.elapsed() <= AWAY => {}
            Err(error) => return Err(error),
        }
        if deadline.is_some_and(|end| Instant::now() + pause > end) {
            return Err(still_going(id));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

/// The Result of a run, once it is there.
async fn look(client: &Client, id: RunId) -> Result<Option<Doc>, CliError> {
    let result = format!("{API}/results/{id}");
    match client.get(&result, &[]).await {
        Err(error) if error.is_not_found() => {}
        other => return other.map(Some),
    }
    match client.get(&format!("{API}/runs/{id}"), &[]).await {
        // It ended between the two looks, and its Result is there now; else there is no such run.
        Err(error) if error.is_not_found() => client.get(&result, &[]).await.map(Some),
        other => other.map(|_| None),
    }
}

/// Waits for a run's end; says why it does not start, if it is its host that keeps it waiting.
pub(super) async fn or_why_waiting<T>(
    client: &Client,
    id: RunId,
    host: &str,
    note: &dyn Fn(&str),
    end: impl Future<Output = T>,
) -> T {
    let explained = async {
        if let Some(why) = why_waiting(client, id, host).await {
            note(&why);
        }
        std::future::pending().await
    };
    tokio::select! {
        biased;
        ended = end => ended,
        never = explained => never,
    }
}

/// Why a run does not start, if it is its host that keeps it waiting; asked for until it has started.
async fn why_waiting(client: &Client, id: RunId, host: &str) -> Option<String> {
    loop {
        tokio::time::sleep(PATIENCE).await;
        let run = client.get(&format!("{API}/runs/{id}"), &[]).await.ok()?;
        if run.text("state") != Some("queued") {
            return None;
        }
        let status = client.get(&format!("{API}/status/{host}"), &[]).await.ok()?;
        if let Some(state @ ("DOWN" | "UNREACHABLE")) = status.text("state") {
            let why = escaped(status.text("message").unwrap_or("it cannot be said why"));
            return Some(format!("waiting: {host} is {state}: {why}; see alf host doctor {host}"));
        }
    }
}

fn still_going(id: RunId) -> CliError {
    CliError::Failed(format!("run {id} still goes on after --timeout-wait; alf result {id} shows its end"))
}
