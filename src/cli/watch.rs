//! `-w`: the same again and again, until Ctrl-C. At a terminal it is drawn in place; elsewhere what has changed is
//! written below what was there.

use std::time::Duration;

use chrono::TimeDelta;
use clap::Args;
use tokio::time::Instant;

use super::args::Format;
use super::client::Client;
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::session::Session;
use super::show::{self, View};
use super::text::escaped;

use crate::model::Span;

/// The shortest and the longest pause between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(24 * 3600));
/// How many looks in a row may find no service: it is started again at times.
const TRIES: u32 = 30;
/// How many rows a terminal has that does not say.
const ROWS: u16 = 24;

/// What can be watched takes this.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct WatchArgs {
    /// Show it again every so many seconds [2], until Ctrl-C; off a terminal what has changed
    #[arg(
        short, long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "2",
        value_parser = period
    )]
    pub watch: Option<Span>,
}

fn period(text: &str) -> Result<Span, String> {
    let span = match text.parse::<f64>() {
        Ok(seconds) => format!("{:.0}ms", seconds * 1000.0).parse::<Span>(),
        Err(_) => text.parse(),
    };
    span.ok()
        .filter(|span| (PAUSES.0..=PAUSES.1).contains(&span.get()))
        .ok_or_else(|| "must be seconds from 0.1 to 86400, or a duration such as 1m30s".to_owned())
}

/// Something that can be watched.
pub(super) trait Watched {
    /// How its rows are shown.
    fn view(&self) -> View;

    /// Its rows, as a list.
    async fn rows(&self, client: &Client) -> Result<Doc, CliError>;

    /// Writes it, with what there is to say beside.
    async fn show(&self, client: &Client, session: &mut Session) -> Result<(), CliError>;
}

/// Shows something, once or until Ctrl-C.
pub(super) async fn show(watched: &impl Watched, args: WatchArgs, session: &mut Session) -> Result<Exit, CliError> {
    if args.watch.is_some() && session.format() == Format::Xml {
        return Err(CliError::Usage("-w writes no XML: many documents are none; use -o json".to_owned()));
    }
    let client = session.client().await?;
    let Some(pause) = args.watch else {
        watched.show(&client, session).await?;
        return Ok(Exit::Ok);
    };
    let watching = async {
        match session.redraws {
            true => draw(watched, pause, &client, session).await,
            false => tell(watched, pause, &client, session).await,
        }
    };
    let done = tokio::select! {
        biased;
        Ok(()) = tokio::signal::ctrl_c() => Ok(()),
        done = watching => done,
    };
    session.output.end_frame();
    done.map(|()| Exit::Ok)
}

/// Draws it in place.
async fn draw(watched: &impl Watched, pause: Span, client: &Client, session: &mut Session) -> Result<(), CliError> {
    let (begun, mut away, mut drawn) = (Instant::now(), Away::default(), false);
    while !session.output.is_closed() {
        session.output.begin_frame();
        let shown = watched.show(client, session).await;
        let mut body = session.output.end_frame();
        if let Some(error) = away.take(shown.map(|()| drawn = true), drawn)? {
            body = format!("error: {error}\n").into_bytes();
        }
        let now = TimeDelta::from_std(begun.elapsed()).ok().and_then(|since| session.now.checked_add_signed(since));
        let now = session.times.at(now.unwrap_or(session.now));
        let head = format!("{now}, every {pause}; Ctrl-C ends it\n\n");
        let text = [head.as_bytes(), &body].concat();
        let rows = (session.terminal_rows)().filter(|rows| *rows > 0).unwrap_or(ROWS);
        session.output.data(&frame(&String::from_utf8_lossy(&text), usize::from(rows)))?;
        session.output.flush()?;
        tokio::time::sleep(pause.get()).await;
    }
    Ok(())
}

/// What draws a text over all that is on the terminal: lines are cut where they and it end, and nothing flickers (ECMA-48,
/// and the private mode 7 of all its followers: whether lines are wrapped).
fn frame(text: &str, rows: usize) -> Vec<u8> {
    let lines: Vec<&str> = text.lines().collect();
    // The cursor stands in the last row.
    let room = rows.saturating_sub(1).max(1);
    let shown = if lines.len() > room { room - 1 } else { lines.len() };
    let mut frame = b"\x1b[?7l\x1b[H".to_vec();
    let more = lines.len() - shown;
    let cut = (more > 0).then(|| format!("… and {more} lines more"));
    for line in lines.into_iter().take(shown).chain(cut.as_deref()) {
        frame.extend_from_slice(line.as_bytes());
        frame.extend_from_slice(b"\x1b[K\n");
    }
    frame.extend_from_slice(b"\x1b[J\x1b[?7h");
    frame
}

/// Writes all rows, and then each that is new or another than before.
async fn tell(watched: &impl Watched, pause: Span, client: &Client, session: &mut Session) -> Result<(), CliError> {
    let view = watched.view();
    let (mut away, mut before, mut widths) = (Away::default(), None::<Vec<Doc>>, None);
    while !session.output.is_closed() {
        let rows = watched.rows(client).await.map(|rows| rows.list("items").to_vec());
        let mut now = None;
        if let Some(error) = away.take(rows.map(|rows| now = Some(rows)), before.is_some())? {
            session.output.note(&format!("error: {error}"));
        }
        if let Some(now) = now {
            let known = before.take().unwrap_or_default();
            let changed: Vec<Doc> = now.iter().filter(|row| !known.contains(row)).cloned().collect();
            show::more(session, &changed, &view, &mut widths)?;
            let name = |row: &Doc| escaped(&(view.name)(row));
            let gone = known.iter().map(name).filter(|old| now.iter().all(|row| name(row) != *old));
            gone.for_each(|gone| session.output.note(&format!("gone: {gone}")));
            session.output.flush()?;
            before = Some(now);
        }
        tokio::time::sleep(pause.get()).await;
    }
    Ok(())
}

/// How often in a row no service was found.
#[derive(Default)]
struct Away(u32);

impl Away {
    /// The error that is to be told and borne; others are handed on, as is one before anything was seen.
    fn take(&mut self, done: Result<(), CliError>, has_seen: bool) -> Result<Option<CliError>, CliError> {
        match done {
            Ok(()) => self.0 = 0,
            Err(error) if error.may_pass() && has_seen && self.0 < TRIES => {
                self.0 += 1;
                return Ok(Some(error));
            }
            Err(error) => return Err(error),
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_seconds_or_durations() {
        for (text, millis) in [("2", 2000), ("0.5", 500), ("1m30s", 90_000), ("250ms", 250)] {
            assert_eq!(period(text).unwrap().get(), Duration::from_millis(millis), "{text}");
        }
        for bad in ["", "0", "-1", "soon", "1e9", "inf", "nan", "1ms"] {
            assert!(period(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_frame_is_never_longer_than_the_terminal() {
        let shown = |text: &str, rows| String::from_utf8(frame(text, rows)).unwrap();
        assert_eq!(shown("a\nb\n", 24), "\x1b[?7l\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J\x1b[?7h");
        let cut = shown("1\n2\n3\n4\n5\n", 4);
        assert!(cut.contains("2\x1b[K\n… and 3 lines more\x1b[K\n\x1b[J"), "{cut:?}");
        assert_eq!(cut.matches('\n').count(), 3);
        assert_eq!(shown("1\n2\n", 1).matches('\n').count(), 1);
    }
}
