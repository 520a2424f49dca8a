//! `alf host doctor`: what is wrong with a host, step by step, and what helps.

use std::time::Duration;

use awc::http::Method;

use super::args::Format;
use super::client::{Accept, Body};
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::nouns::path_of;
use super::session::Session;
use super::show;
use super::table::Table;
use super::trust_args::HostArgs;

use crate::model::Noun;

/// How much longer than another answer this one may take.
const LONGER: Duration = Duration::from_secs(60);

pub(super) async fn run(args: HostArgs, session: &mut Session) -> Result<Exit, CliError> {
    let client = session.client().await?.patient(LONGER);
    let path = format!("{}/doctor", path_of(Noun::Host, &args.name));
    if session.format() == Format::Xml {
        let answer = client.send(Method::POST, &path, &[], &Body::Empty, Accept::Xml).await?;
        show::write_xml(&mut session.output, &answer.body)?;
        let failed = answer.body.windows(FAILED.len()).any(|window| window == FAILED);
        return Ok(if failed { Exit::Failed } else { Exit::Ok });
    }
    let examined = client.post(&path, &[], &Body::Empty).await?.doc()?;
    match session.format() {
        format @ (Format::Json | Format::Yaml) => show::document(&mut session.output, format, &examined)?,
        _ => table(&examined, session)?,
    }
    Ok(if examined.text("verdict") == Some("failed") { Exit::Failed } else { Exit::Ok })
}

/// What stands in XML where something has failed; text of a finding cannot hold it, because `<` is escaped there.
const FAILED: &[u8] = b"<verdict>failed</verdict>";

fn table(examined: &Doc, session: &mut Session) -> Result<(), CliError> {
    let mut table = Table::new(["", "CHECK", "VERDICT", "FOUND"]);
    let text = |finding: &Doc, field: &str| finding.text(field).unwrap_or_default().to_owned();
    for finding in examined.list("findings") {
        let verdict = text(finding, "verdict");
        let sign = match verdict.as_str() {
            "ok" => "✓",
            "warning" => "!",
            "failed" => "✗",
            _ => "·",
        };
        table.row([sign.to_owned(), text(finding, "check").replace('_', " "), verdict, text(finding, "detail")]);
        if let Some(remedy) = finding.text("remedy") {
            table.row([" ".to_owned(), " ".to_owned(), " ".to_owned(), format!("→ {remedy}")]);
        }
    }
    Ok(table.print(&mut session.output)?)
}
