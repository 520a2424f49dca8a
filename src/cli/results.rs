//! `alf results`: what became of runs; with `-f` also of those to come.

use std::collections::HashSet;
use std::time::Duration;

use awc::http::Method;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::args::{Format, ResultsArgs};
use super::client::{API, Accept, Body, Client};
use super::columns::{RESULT_ROWS, field};
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::session::Session;
use super::show::{self, View};

use crate::model::{Name, Span};

/// The largest page that the service gives.
const PAGE: usize = 1000;
/// How many of the newest are looked at for new ones: ids are given at a run's start, so that a Result may come to
/// stand below newer ids.
const WINDOW: usize = 500;
/// How often new ones are looked for.
const PERIOD: Duration = Duration::from_secs(1);

pub(super) async fn run(args: Box<ResultsArgs>, session: &mut Session) -> Result<Exit, CliError> {
    let filters = filters(&args, session.now)?;
    let query: Vec<(&str, &str)> = filters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let list = Listed {
        path: format!("{API}/results"),
        view: &RESULT_ROWS,
        nothing: "no Result matches",
        key: |result| field(result, "id"),
    };
    if args.follow {
        follow(&list, &query, limit, session).await
    } else {
        show_newest(&list, &query, limit, session).await
    }
}

/// A list that the service gives newest first.
pub(super) struct Listed<'a> {
    /// Where it is.
    pub(super) path: String,
    /// How it is shown.
    pub(super) view: &'a View,
    /// What is said where there is nothing.
    pub(super) nothing: &'a str,
    /// By which an item that is followed is known: it is shown again where that is another.
    pub(super) key: fn(&Doc) -> String,
}

/// Shows the newest that match.
pub(super) async fn show_newest(
    list: &Listed<'_>,
    query: &[(&str, &str)],
    limit: usize,
    session: &mut Session,
) -> Result<Exit, CliError> {
    let client = session.client().await?;
    if session.format() == Format::Xml {
        let wanted = limit.min(PAGE).to_string();
        let mut query = query.to_vec();
        query.push(("limit", &wanted));
        let answer = client.send(Method::GET, &list.path, &query, &Body::Empty, Accept::Xml).await?;
        show::write_xml(&mut session.output, &answer.body)?;
        return Ok(Exit::Ok);
    }
    let items = newest(&client, &list.path, query, limit).await?;
    show::items(session, &items, list.view, list.nothing)?;
    Ok(Exit::Ok)
}

fn filters(args: &ResultsArgs, now: DateTime<Utc>) -> Result<Vec<(&'static str, String)>, CliError> {
    let instant = |flag: &str, text: &Option<String>| text.as_deref().map(|text| instant(flag, text, now)).transpose();
    let all = [
        ("host", args.host.as_ref().map(Name::to_string)),
        ("task", args.task.as_ref().map(Name::to_string)),
        ("outcome", args.outcome.as_deref().map(str::to_ascii_uppercase)),
        ("state", args.state.as_deref().map(str::to_ascii_uppercase)),
        ("reason", args.reason.clone()),
        ("since", instant("--since", &args.since)?),
        ("until", instant("--until", &args.until)?),
    ];
    Ok(all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

/// An instant, or so long before now.
pub(super) fn instant(flag: &str, text: &str, now: DateTime<Utc>) -> Result<String, CliError> {
    let shown = |instant: DateTime<Utc>| instant.to_rfc3339_opts(SecondsFormat::Millis, true);
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Ok(shown(instant.to_utc()));
    }
    let ago = text.parse::<Span>().ok().and_then(|span| TimeDelta::from_std(span.get()).ok());
    ago.and_then(|ago| now.checked_sub_signed(ago)).map(shown).ok_or_else(|| {
        CliError::Usage(format!(
            "{flag} \"{}\" is no time; write an instant such as 2026-11-23T10:30:00Z, or how long ago, such as 2h",
            super::text::escaped(text)
        ))
    })
}

/// The newest that match, as a list.
pub(super) async fn newest(client: &Client, path: &str, query: &[(&str, &str)], limit: usize) -> Result<Doc, CliError> {
    let mut items: Vec<Doc> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let wanted = (limit - items.len()).min(PAGE).to_string();
        let mut query = query.to_vec();
        query.push(("limit", &wanted));
        if let Some(cursor) = &cursor {
            query.push(("cursor", cursor));
        }
        let page = client.get(path, &query).await?;
        items.extend_from_slice(page.list("items"));
        let next = page.text("next").map(str::to_owned);
        if next.is_none() || next == cursor || page.list("items").is_empty() || items.len() >= limit {
            items.truncate(limit);
            return Ok(Doc::map([
                ("items", Some(Doc::List(items))),
                ("next", Some(next.map_or(Doc::Null, Doc::from))),
                ("total", page.get("total").cloned()),
            ]));
        }
        cursor = next;
    }
}

/// The last ones, oldest first, and then each new one until nobody reads any more.
pub(super) async fn follow(
    list: &Listed<'_>,
    query: &[(&str, &str)],
    limit: usize,
    session: &mut Session,
) -> Result<Exit, CliError> {
    if session.format() == Format::Xml {
        return Err(CliError::Usage("-f writes no XML: a stream of documents is none; use -o json".to_owned()));
    }
    let client = session.client().await?;
    let mut seen: HashSet<String> = HashSet::new();
    let mut widths = None;
    let mut first = true;
    while !session.output.is_closed() {
        let page = newest(&client, &list.path, query, WINDOW.max(if first { limit } else { 0 })).await?;
        let new: Vec<&Doc> = page.list("items").iter().filter(|item| !seen.contains(&(list.key)(item))).collect();
        let shown = if first { limit } else { new.len() };
        let new: Vec<Doc> = new.into_iter().take(shown).rev().cloned().collect();
        show::more(session, &new, list.view, &mut widths)?;
        session.output.flush()?;
        // Those that left the window cannot come back into it.
        seen = page.list("items").iter().map(list.key).collect();
        first = false;
        tokio::time::sleep(PERIOD).await;
    }
    Ok(Exit::Ok)
}
