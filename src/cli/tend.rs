//! `alf ack`, `alf downtime`, `alf problems`, `alf pause` and `alf resume`: tending the fleet.

use awc::http::Method;

use super::args::{Format, NounVerb};
use super::args_tend::{AckArgs, DowntimeArgs, DowntimeSetArgs, DowntimeVerb, ProblemsArgs, Until};
use super::client::{API, Accept, Body, Client, query};
use super::columns::STATUS_ROWS;
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::nouns;
use super::session::Session;
use super::show::{self, View};
use super::status::tell_paused;
use super::watch::{self, Watched};
use super::xml_bundle;

use crate::model::{DowntimeMode, Noun, Timestamp};

/// `alf problems`: what somebody should look at.
pub(super) async fn problems(args: ProblemsArgs, session: &mut Session) -> Result<Exit, CliError> {
    watch::show(&args, args.watch, session).await
}

impl ProblemsArgs {
    fn filters(&self) -> Vec<(&'static str, String)> {
        let which = if self.all { ("outcome", "PROBLEM") } else { ("unhandled", "true") };
        let named = [
            ("host", self.host.as_ref().map(ToString::to_string)),
            ("selector", self.selector.as_ref().map(ToString::to_string)),
            (which.0, Some(which.1.to_owned())),
        ];
        named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Both lists as one, as the service writes them.
    async fn show_xml(&self, client: &Client, session: &mut Session) -> Result<(), CliError> {
        let mut lists = Vec::new();
        let mut more = false;
        let filters = self.filters();
        for (list, _) in LISTS {
            let query = [&query(&filters)[..], &[("limit", "1000")]].concat();
            let answer = client.send(Method::GET, &format!("{API}/{list}"), &query, &Body::Empty, Accept::Xml).await?;
            more |= answer.has_next;
            lists.push(String::from_utf8_lossy(&answer.body).into_owned());
        }
        let whole = xml_bundle::one_list("statuses", &lists);
        let whole = whole.map_err(|fault| CliError::Failed(format!("what the service sent {fault}")))?;
        show::write_xml(&mut session.output, whole.as_bytes())?;
        if more {
            session.output.note("note: only the first 1000 of each kind are shown; -o json shows all");
        }
        Ok(())
    }
}

/// What problems are of, and whether that is hosts themselves.
const LISTS: [(&str, bool); 2] = [("host-statuses", true), ("status", false)];

/// A host's own row beside those of its tasks.
fn of_no_task(row: Doc) -> Doc {
    match row {
        Doc::Map(mut fields) => {
            fields.insert(fields.len().min(1), ("task".to_owned(), Doc::Null));
            Doc::Map(fields)
        }
        other => other,
    }
}

impl Watched for ProblemsArgs {
    fn view(&self) -> View {
        STATUS_ROWS
    }

    /// Hosts that are down, each with its tasks behind it: these stay as they were when it went down.
    async fn rows(&self, client: &Client) -> Result<Doc, CliError> {
        let filters = self.filters();
        let mut rows = Vec::new();
        for (list, of_hosts) in LISTS {
            let some = client.list(&format!("{API}/{list}"), &query(&filters)).await?;
            rows.extend(some.list("items").iter().cloned().map(|row| if of_hosts { of_no_task(row) } else { row }));
        }
        // Stable: a host stands before its tasks.
        rows.sort_by(|one, other| one.text("host").cmp(&other.text("host")));
        let total = Doc::Number(rows.len().into());
        Ok(Doc::map([("items", Some(Doc::List(rows))), ("next", Some(Doc::Null)), ("total", Some(total))]))
    }

    async fn show(&self, client: &Client, session: &mut Session) -> Result<(), CliError> {
        if session.format() == Format::Xml {
            return self.show_xml(client, session).await;
        }
        let nothing =
            if self.all { "no PROBLEM" } else { "no PROBLEM that nobody has taken on (all: alf problems --all)" };
        show::items(session, &self.rows(client).await?, &STATUS_ROWS, nothing)?;
        if matches!(session.format(), Format::Table | Format::Wide) {
            tell_paused(client, session).await;
        }
        Ok(())
    }
}

/// `alf ack`.
pub(super) async fn ack(args: AckArgs, session: &mut Session) -> Result<Exit, CliError> {
    let client = session.client().await?;
    let task = args.task.as_ref().map_or_else(String::new, |task| format!("/{task}"));
    let path = format!("{API}/status/{}{task}/ack", args.host);
    let what = args.task.as_ref().map_or_else(|| args.host.to_string(), |task| format!("{task} on {}", args.host));
    if args.remove {
        client.delete(&path, &[]).await?;
        session.output.note(&format!("{what} is not acknowledged any more"));
        return Ok(Exit::Ok);
    }
    let now = session.now.into();
    let ends = args.until.or(args.lasts.map(Until::After));
    let until = ends.map(|ends| instant(ends, now)).transpose()?;
    let body = Doc::map([
        ("comment", args.message.as_deref().map(Doc::from)),
        ("until", until.map(|until| until.to_string().into())),
        ("sticky", args.sticky.then_some(Doc::Bool(true))),
    ]);
    client.post(&path, &[], &Body::Json(body)).await?;
    let ends = until.map_or_else(String::new, |until| format!(" until {}", session.times.at(until.get())));
    session.output.note(&format!("{what} is acknowledged{ends}"));
    Ok(Exit::Ok)
}

/// `alf downtime`.
pub(super) async fn downtime(args: DowntimeArgs, session: &mut Session) -> Result<Exit, CliError> {
    let verb = match args.verb {
        None => return set_downtime(args.set, session).await,
        Some(DowntimeVerb::List(args)) => NounVerb::List(args),
        Some(DowntimeVerb::Get(args)) => NounVerb::Get(args),
        Some(DowntimeVerb::Create(args)) => NounVerb::Create(args),
        Some(DowntimeVerb::Edit(args)) => NounVerb::Edit(args),
        Some(DowntimeVerb::Delete(args)) => NounVerb::Delete(args),
    };
    nouns::run(Noun::Downtime, verb, session).await
}

async fn set_downtime(args: DowntimeSetArgs, session: &mut Session) -> Result<Exit, CliError> {
    let now = Timestamp::from(session.now);
    let starts_at = args.from.unwrap_or(now);
    let ends_at = match (args.lasts, args.until) {
        (Some(lasts), _) => instant(Until::After(lasts), starts_at)?,
        (None, Some(until)) => instant(until, now)?,
        (None, None) => return Err(CliError::Usage("say how long: --for or --until".to_owned())),
    };
    let of = args.host.as_ref().map_or("hosts", |host| host.as_str());
    let stamp = now.get().format("%Y%m%d-%H%M%S%3f");
    // A name has room for 128 bytes.
    let short: String = of.chars().take(100).collect();
    let name = args.name.as_ref().map_or_else(|| format!("{short}-{stamp}"), ToString::to_string);
    let mode = match args.mode() {
        DowntimeMode::Pause => "pause",
        DowntimeMode::Suppress => "suppress",
    };
    let document = Doc::map([
        ("name", Some(name.as_str().into())),
        ("host", args.host.as_ref().map(|host| host.as_str().into())),
        ("selector", args.selector.as_ref().map(|selector| selector.to_string().into())),
        ("task", args.task.as_ref().map(|task| task.as_str().into())),
        ("starts_at", Some(starts_at.to_string().into())),
        ("ends_at", Some(ends_at.to_string().into())),
        ("comment", args.message.as_deref().map(Doc::from)),
        ("mode", Some(mode.into())),
    ]);
    let client = session.client().await?;
    nouns::create_one(Noun::Downtime, &Body::Json(document), &client, session).await?;
    session.output.note(&format!("until {}; to end it: alf downtime delete {name}", session.times.at(ends_at.get())));
    Ok(Exit::Ok)
}

/// `alf pause` and `alf resume`.
pub(super) async fn pause(paused: bool, session: &mut Session) -> Result<Exit, CliError> {
    let client = session.client().await?;
    let verb = if paused { "pause" } else { "resume" };
    client.post(&format!("{API}/{verb}"), &[], &Body::Empty).await?;
    session.output.note(if paused {
        "nothing is run by schedules until `alf resume`; what runs goes on"
    } else {
        "schedules run again"
    });
    Ok(Exit::Ok)
}

fn instant(until: Until, from: Timestamp) -> Result<Timestamp, CliError> {
    until.instant(from).ok_or_else(|| CliError::Usage("it ends later than any date can say".to_owned()))
}
