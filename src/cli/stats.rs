//! `alf stats`: figures of the service.

use awc::http::Method;

use super::args::Format;
use super::client::{API, Accept, Body};
use super::columns::field;
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::session::Session;
use super::show;

pub(super) async fn run(session: &mut Session) -> Result<Exit, CliError> {
    let client = session.client().await?;
    let path = format!("{API}/stats");
    match session.format() {
        Format::Xml => {
            let answer = client.send(Method::GET, &path, &[], &Body::Empty, Accept::Xml).await?;
            show::write_xml(&mut session.output, &answer.body)?;
        }
        Format::Table | Format::Wide | Format::Name => {
            let stats = client.get(&path, &[]).await?;
            let mut fields = stats.leaves();
            fields.retain(|(name, _)| name != "actions");
            fields.extend(stats.list("actions").iter().map(action));
            show::fields(&mut session.output, &fields)?;
        }
        format => {
            let stats = client.get(&path, &[]).await?;
            show::document(&mut session.output, format, &stats)?;
        }
    }
    Ok(Exit::Ok)
}

/// An Action in one line.
fn action(doc: &Doc) -> (String, String) {
    let figures = ["fired", "held", "throttled", "failed", "queued"].map(|name| format!("{} {name}", field(doc, name)));
    let away = field(doc, "last_error");
    let state = field(doc, "state");
    let ails = if state == "up" || away.is_empty() { String::new() } else { format!(": {away}") };
    (format!("actions.{}", field(doc, "action")), format!("{}, {state}{ails}", figures.join(", ")))
}
