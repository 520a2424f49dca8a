//! `alf action test`: what an Action would do about a Result. Nothing is sent.

use awc::http::Method;
use clap::Args;

use super::args::Format;
use super::client::{API, Accept, Body};
use super::columns::field;
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::session::Session;
use super::show;
use super::text::escaped_block;

use crate::model::{Name, RunId};

/// What `action test` takes.
#[derive(Debug, Args)]
pub struct ActionTestArgs {
    /// The Action
    #[arg(value_parser = Name::parse)]
    pub name: Name,
    /// The id of a Result
    pub result: RunId,
}

pub(super) async fn run(args: ActionTestArgs, session: &mut Session) -> Result<Exit, CliError> {
    let client = session.client().await?;
    let path = format!("{API}/actions/{}/test", args.name);
    let result = args.result.to_string();
    let query = [("result", result.as_str())];
    let accept = if session.format() == Format::Xml { Accept::Xml } else { Accept::Json };
    let answer = client.send(Method::POST, &path, &query, &Body::Empty, accept).await?;
    if session.format() == Format::Xml {
        show::write_xml(&mut session.output, &answer.body)?;
        return Ok(Exit::Ok);
    }
    let test = answer.doc()?;
    match session.format() {
        Format::Table | Format::Wide => told(&test, session)?,
        Format::Name => session.output.line(args.name.as_str())?,
        format => show::document(&mut session.output, format, &test)?,
    }
    Ok(Exit::Ok)
}

/// The same for people: whether it matches, and for each recipient what would become of it.
fn told(test: &Doc, session: &mut Session) -> Result<(), CliError> {
    let matched = if test.is("matched") { "yes" } else { "no" };
    let all = [("action", field(test, "action")), ("matched", matched.to_owned()), ("why", field(test, "why"))];
    let mut fields: Vec<(String, String)> = of(&all);
    if !test.is("enabled") {
        fields.push(("note".to_owned(), "the Action is disabled".to_owned()));
    }
    show::fields(&mut session.output, &fields)?;
    for would in test.list("would") {
        session.output.line("")?;
        let mut fields = of(&[
            ("type", field(would, "type")),
            ("contact", field(would, "contact")),
            ("outcome", field(would, "outcome")),
            ("detail", field(would, "detail")),
        ]);
        let (message, run) = (would.get("message"), would.get("run"));
        if let Some(run) = run {
            fields.extend(of(&[("run", field(run, "task")), ("on", field(run, "hosts"))]));
        }
        if let Some(message) = message {
            let names = ["fault", "method", "url", "from", "to", "subject"];
            fields.extend(of(&names.map(|name| (name, field(message, name)))));
            let headers = message.get("headers").map(Doc::leaves).unwrap_or_default();
            fields.extend(headers.into_iter().map(|(name, value)| (format!("header {name}"), value)));
        }
        show::fields(&mut session.output, &fields)?;
        let body = message.and_then(|message| message.text("body")).or(run.and_then(|run| run.text("stdin")));
        if let Some(body) = body.filter(|body| !body.is_empty()) {
            session.output.line("")?;
            let text = escaped_block(body);
            session.output.line(text.strip_suffix('\n').unwrap_or(&text))?;
        }
    }
    Ok(())
}

/// Those fields in which something is.
fn of(fields: &[(&str, String)]) -> Vec<(String, String)> {
    let said = fields.iter().filter(|(_, value)| !value.is_empty());
    said.map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}
