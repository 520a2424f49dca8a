//! `alf status`: how each task stands on each host, and how a host stands itself.

use std::collections::BTreeSet;

use awc::http::Method;

use super::args::{Format, StatusArgs};
use super::client::{API, Accept, Body, Client, Query, query};
use super::columns::{STATUS_ROWS, duration, field, notes, state, time};
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::session::Session;
use super::show::{self, View};
use super::text::Times;
use super::watch::{self, Watched};

use crate::model::Name;

const NOTHING: &str = "no task is linked to a host here; `alf task add` links one";

pub(super) async fn run(args: StatusArgs, session: &mut Session) -> Result<Exit, CliError> {
    watch::show(&args, args.watch, session).await
}

impl Watched for StatusArgs {
    fn view(&self) -> View {
        STATUS_ROWS
    }

    async fn rows(&self, client: &Client) -> Result<Doc, CliError> {
        if let (Some(host), Some(task)) = (&self.host, &self.task) {
            let row = client.get(&format!("{API}/status/{host}/{task}"), &[]).await?;
            return Ok(Doc::map([("items", Some(Doc::List(vec![row])))]));
        }
        client.list(&format!("{API}/status"), &query(&filters(self))).await
    }

    async fn show(&self, client: &Client, session: &mut Session) -> Result<(), CliError> {
        match (&self.host, &self.task) {
            (Some(host), Some(task)) => pair(host, task, client, session).await,
            (Some(host), None) => one_host(host, self, client, session).await,
            (None, _) => rows_and_hosts(&query(&filters(self)), NOTHING, client, session).await,
        }
    }
}

/// Rows of status; at those for people also which of their hosts are down.
async fn rows_and_hosts(
    wanted: &Query<'_>,
    nothing: &str,
    client: &Client,
    session: &mut Session,
) -> Result<(), CliError> {
    let path = format!("{API}/status");
    if !matches!(session.format(), Format::Table | Format::Wide) {
        return show::list(session, client, &path, wanted, &STATUS_ROWS, nothing).await;
    }
    let rows = client.list(&path, wanted).await?;
    show::items(session, &rows, &STATUS_ROWS, nothing)?;
    tell_hosts_down(&rows, client, session).await;
    Ok(())
}

/// Most hosts that are asked why they are down.
const MOST_HOSTS: usize = 50;

/// A row shows what the last run came to; that none can run because its host is down is said beside.
async fn tell_hosts_down(rows: &Doc, client: &Client, session: &mut Session) {
    let none = |summary: &Doc, count: &str| matches!(field(summary, count).as_str(), "" | "0");
    if tell_paused(client, session)
        .await
        .is_some_and(|summary| none(&summary, "hosts_down") && none(&summary, "hosts_unreachable"))
    {
        return;
    }
    let hosts: BTreeSet<&str> = rows.list("items").iter().filter_map(|row| row.text("host")).collect();
    for host in hosts.into_iter().take(MOST_HOSTS) {
        // What cannot be asked is no reason to fail: the rows are told.
        let Ok(own) = client.get(&format!("{API}/status/{host}"), &[]).await else { return };
        if let Some(state @ ("DOWN" | "UNREACHABLE")) = own.text("state") {
            let since = time(&own, "since", session.times);
            session.output.note(&format!("host {host} is {state} since {since}: {}", field(&own, "message")));
        }
    }
}

/// That nothing is fired at all is told wherever somebody looks at what is; answers how all stand in short.
pub(super) async fn tell_paused(client: &Client, session: &mut Session) -> Option<Doc> {
    let summary = client.get(&format!("{API}/status/summary"), &[]).await.ok()?;
    if summary.is("paused") {
        let since = time(&summary, "paused_since", session.times);
        session.output.note(&format!("Alf is paused since {since}: schedules run nothing until `alf resume`"));
    }
    Some(summary)
}

/// What rows are wanted.
fn filters(args: &StatusArgs) -> Vec<(&'static str, String)> {
    let all = [
        ("host", args.host.as_ref().map(Name::to_string)),
        ("selector", args.selector.as_ref().map(ToString::to_string)),
        ("state", args.state.as_deref().map(str::to_ascii_uppercase)),
        ("outcome", args.outcome.as_deref().map(str::to_ascii_uppercase)),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The host's own state, then its tasks.
async fn one_host(host: &Name, args: &StatusArgs, client: &Client, session: &mut Session) -> Result<(), CliError> {
    let path = format!("{API}/status/{host}");
    if session.format() == Format::Xml {
        let answer = client.send(Method::GET, &path, &[], &Body::Empty, Accept::Xml).await?;
        return show::write_xml(&mut session.output, &answer.body);
    }
    let own = client.get(&path, &[]).await?;
    let rows = client.list(&format!("{API}/status"), &query(&filters(args))).await?;
    match session.format() {
        format @ (Format::Json | Format::Yaml) => {
            let Doc::Map(mut fields) = own else {
                return Err(CliError::Failed(format!("{path} is not a document as the service gives it")));
            };
            fields.push(("tasks".to_owned(), Doc::List(rows.list("items").to_vec())));
            show::document(&mut session.output, format, &Doc::Map(fields))
        }
        Format::Name => show::items(session, &rows, &STATUS_ROWS, NOTHING),
        _ => {
            let mut shown = vec![("host".to_owned(), host.to_string())];
            shown.extend(host_fields(&own, session.times));
            show::fields(&mut session.output, &shown)?;
            session.output.line("")?;
            show::items(session, &rows, &STATUS_ROWS, NOTHING)?;
            tell_paused(client, session).await;
            Ok(())
        }
    }
}

fn host_fields(own: &Doc, times: Times) -> Vec<(String, String)> {
    let all = [
        ("state", state(own)),
        ("since", time(own, "since", times)),
        ("acknowledged", acknowledgement(own, times)),
        ("in downtime", if own.is("in_downtime") { "yes".to_owned() } else { String::new() }),
        ("reason", field(own, "reason")),
        ("message", field(own, "message")),
    ];
    kept(all)
}

/// Who knows of it, and what they say.
fn acknowledgement(doc: &Doc, times: Times) -> String {
    let Some(ack) = doc.get("ack").filter(|ack| !matches!(ack, Doc::Null)) else { return String::new() };
    let by = ack.text("by").map_or_else(String::new, |by| format!(" by {by}"));
    let until =
        if ack.text("until").is_some() { format!(" until {}", time(ack, "until", times)) } else { String::new() };
    let sticky = if ack.is("sticky") { ", sticky" } else { "" };
    format!("{}{by}{until}{sticky}: {}", time(ack, "at", times), field(ack, "comment"))
}

/// Those that say something.
fn kept(fields: impl IntoIterator<Item = (&'static str, String)>) -> Vec<(String, String)> {
    let said = fields.into_iter().filter(|(_, value)| !value.is_empty());
    said.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// One task on one host.
async fn pair(host: &Name, task: &Name, client: &Client, session: &mut Session) -> Result<(), CliError> {
    let path = format!("{API}/status/{host}/{task}");
    if !matches!(session.format(), Format::Table | Format::Wide) {
        return show::one(session, client, &path, &STATUS_ROWS).await;
    }
    let pair = client.get(&path, &[]).await?;
    let times = session.times;
    let kind = if pair.is("hard") { "hard" } else { "soft" };
    let attempt = format!("{} of {} ({kind})", field(&pair, "attempt"), field(&pair, "max_attempts"));
    let problem = pair.text("outcome").is_some_and(|outcome| outcome != "OK");
    let shown = kept([
        ("host", host.to_string()),
        ("task", task.to_string()),
        ("state", state(&pair)),
        ("outcome", field(&pair, "outcome")),
        ("attempt", if problem { attempt } else { String::new() }),
        ("since", time(&pair, "since", times)),
        ("running", if pair.is("running") { "yes" } else { "no" }.to_owned()),
        ("last executed", time(&pair, "last_executed_at", times)),
        ("next", time(&pair, "next_run_at", times)),
        ("acknowledged", acknowledgement(&pair, times)),
        ("notes", notes(&pair)),
        ("skipped in a row", field(&pair, "skipped_in_row")),
    ]);
    show::fields(&mut session.output, &shown)?;
    let last = pair.list("last");
    if !last.is_empty() {
        session.output.line("")?;
        let mut table = super::table::Table::new(["ID", "FINISHED", "OUTCOME", "STATE", "TOOK"]);
        for result in last {
            table.row([
                field(result, "id"),
                time(result, "finished_at", times),
                field(result, "outcome"),
                field(result, "state"),
                duration(result, "duration_ms"),
            ]);
        }
        table.print(&mut session.output)?;
    }
    let row = Doc::map([("items", Some(Doc::List(vec![pair])))]);
    tell_hosts_down(&row, client, session).await;
    Ok(())
}
