//! `alf result ID --trace`: what every Action came to for a Result.

use super::args::Format;
use super::client::Client;
use super::columns::{field, time};
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::session::Session;
use super::show::{self, Column, View};
use super::text::Times;

/// A row for each Action, or for each that it told something or did not.
static ROWS: [Column; 7] = [
    Column { title: "ACTION", wide: false, cell: |row, _| field(row, "action") },
    Column { title: "MATCHED", wide: false, cell: |row, _| if row.is("matched") { "yes" } else { "no" }.to_owned() },
    Column { title: "TYPE", wide: false, cell: |row, _| field(row, "type") },
    Column { title: "CONTACT", wide: false, cell: |row, _| field(row, "contact") },
    Column { title: "OUTCOME", wide: false, cell: |row, _| field(row, "outcome") },
    Column { title: "WHY", wide: false, cell: why },
    Column { title: "NOTIFICATION", wide: true, cell: |row, _| field(row, "notification") },
];

const VIEW: View = View { columns: &ROWS, name: |row| field(row, "action") };

pub(super) async fn run(client: &Client, path: &str, session: &mut Session) -> Result<Exit, CliError> {
    let path = format!("{path}/trace");
    let format = session.format();
    if !matches!(format, Format::Table | Format::Wide | Format::Name) {
        show::one(session, client, &path, &VIEW).await?;
        return Ok(Exit::Ok);
    }
    let trace = client.get(&path, &[]).await?;
    let rows: Vec<Doc> = trace.list("items").iter().flat_map(rows).collect();
    let why = trace.text("why").unwrap_or("there is nothing here that this key may see").to_owned();
    let is_empty = rows.is_empty();
    show::items(session, &Doc::map([("items", Some(Doc::List(rows)))]), &VIEW, &why)?;
    if format != Format::Name && !is_empty {
        let looked = || format!("looked at {}", time(&trace, "at", session.times));
        session.output.note(&trace.text("why").map_or_else(looked, str::to_owned));
    }
    Ok(Exit::Ok)
}

/// The rows of one Action.
fn rows(item: &Doc) -> Vec<Doc> {
    let of = |told: Option<&Doc>| {
        let from = |doc: Option<&Doc>, name: &str| doc.and_then(|doc| doc.get(name)).cloned();
        Doc::map([
            ("action", from(Some(item), "action")),
            ("matched", from(Some(item), "matched")),
            ("why", from(Some(item), "why")),
            ("type", from(told, "type")),
            ("contact", from(told, "contact")),
            ("outcome", from(told, "outcome")),
            ("detail", from(told, "detail")),
            ("run", from(told, "run")),
            ("notification", from(told, "notification")),
        ])
    };
    let told: Vec<Doc> = ["fired", "held"].iter().flat_map(|list| item.list(list)).map(|told| of(Some(told))).collect();
    if told.is_empty() { vec![of(None)] } else { told }
}

/// Why an Action is not for it, or what became of what it told; of a run how it went.
fn why(row: &Doc, _: Times) -> String {
    let mut words: Vec<String> =
        [field(row, "why"), field(row, "detail")].into_iter().filter(|it| !it.is_empty()).collect();
    if let Some(run) = row.get("run") {
        let (outcome, state) = (field(run, "outcome"), field(run, "state"));
        let state = if state == outcome { String::new() } else { state };
        let went = ["run".to_owned(), field(run, "id"), field(run, "stage"), outcome, state];
        let went: Vec<String> = went.into_iter().filter(|word| !word.is_empty()).collect();
        words.push(went.join(" "));
    }
    words.join("; ")
}
