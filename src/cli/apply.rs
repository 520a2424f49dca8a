//! `alf apply`: makes Alf like what files say, and shows what that changed.

use std::collections::BTreeMap;
use std::time::Duration;

use awc::http::Method;

use super::args::{ApplyArgs, Format};
use super::bundle::{self, Bundle};
use super::client::{API, Accept, Answer, Client};
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::output::Output;
use super::session::Session;
use super::show;
use super::text::escaped;

use crate::model::Selector;

/// How much longer than others such a request may take to be answered.
const LONGER: Duration = Duration::from_secs(60);
/// How much of a value is shown, in characters.
const LONGEST_VALUE: usize = 40;

pub(super) async fn run(args: ApplyArgs, session: &mut Session) -> Result<Exit, CliError> {
    let bundle = bundle::read(&args.wanted.files, session)?;
    let client = session.client().await?.patient(LONGER);
    let wanted = Wanted { prune: args.wanted.prune.as_ref(), dry_run: args.dry_run };
    match session.format() {
        Format::Table | Format::Wide => {
            let answer = ask(&client, &bundle, wanted, true, Accept::Json, &mut session.output).await?.doc()?;
            plan(&answer, &mut session.output)?;
        }
        Format::Name => {
            let answer = ask(&client, &bundle, wanted, false, Accept::Json, &mut session.output).await?.doc()?;
            for list in ["created", "updated", "unchanged", "deleted"] {
                answer.list(list).iter().try_for_each(|item| session.output.line(&named(item, '/')))?;
            }
        }
        Format::Xml => {
            let answer = ask(&client, &bundle, wanted, false, Accept::Xml, &mut session.output).await?;
            show::write_xml(&mut session.output, &answer.body)?;
        }
        format => {
            let answer = ask(&client, &bundle, wanted, false, Accept::Json, &mut session.output).await?.doc()?;
            show::document(&mut session.output, format, &answer)?;
        }
    }
    if args.dry_run {
        session.output.note("dry run: nothing was changed");
    }
    Ok(Exit::Ok)
}

/// What is wanted of an apply.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// What is deleted.
    pub(super) prune: Option<&'a Selector>,
    /// Nothing is changed.
    pub(super) dry_run: bool,
}

/// Asks the service for it; what is wrong is told by file.
pub(super) async fn ask(
    client: &Client,
    bundle: &Bundle,
    Wanted { prune, dry_run }: Wanted<'_>,
    documents: bool,
    accept: Accept,
    output: &mut Output,
) -> Result<Answer, CliError> {
    let prune = prune.map(ToString::to_string);
    let mut query: Vec<(&str, &str)> = prune.iter().map(|prune| ("prune", prune.as_str())).collect();
    query.extend(dry_run.then_some(("dry_run", "true")));
    query.extend(documents.then_some(("documents", "true")));
    let path = format!("{API}/apply");
    let answer = match dry_run {
        true => client.send(Method::POST, &path, &query, &bundle.body, accept).await,
        false => client.post_once(&path, &query, &bundle.body, accept, output).await,
    };
    answer.map_err(|error| match error {
        CliError::Problem(problem) => CliError::Problem(problem.placed(|pointer| bundle.place(pointer))),
        other => other,
    })
}

/// `host web1`, or `host/web1`.
pub(super) fn named(item: &Doc, between: char) -> String {
    let noun = item.text("noun").unwrap_or_default().replace('_', "-");
    format!("{}{between}{}", escaped(&noun), escaped(item.text("name").unwrap_or_default()))
}

/// What was changed, a line each, and how much was not.
fn plan(answer: &Doc, output: &mut Output) -> Result<(), CliError> {
    for (list, sign, colour) in [("created", '+', 32), ("updated", '~', 33), ("deleted", '-', 31)] {
        for item in answer.list(list) {
            let mut line = format!("{sign} {}", named(item, ' '));
            if let (Some(before), Some(after)) = (item.get("before"), item.get("after")) {
                line.push_str(&format!("  {}", changes(before, after)));
            }
            output.line(&if output.colour() { format!("\u{1b}[{colour}m{line}\u{1b}[0m") } else { line })?;
        }
    }
    output.line(&format!("= {} unchanged", answer.list("unchanged").len()))?;
    Ok(())
}

/// `port: 22 → 2222, labels.role: (none) → web`.
pub(super) fn changes(before: &Doc, after: &Doc) -> String {
    let (old, new) = (before.leaves(), after.leaves());
    let find = |leaves: &[(String, String)]| -> BTreeMap<String, String> { leaves.iter().cloned().collect() };
    let (was, is) = (find(&old), find(&new));
    let gone = old.iter().filter(|(field, _)| !is.contains_key(field));
    let mut told = Vec::new();
    for (field, _) in new.iter().chain(gone) {
        let (was, is) = (was.get(field), is.get(field));
        if was != is {
            told.push(format!("{}: {} → {}", escaped(field), value(was), value(is)));
        }
    }
    // What an answer never shows is all that is left to differ.
    if told.is_empty() { "a secret".to_owned() } else { told.join(", ") }
}

fn value(value: Option<&String>) -> String {
    let Some(value) = value else { return "(none)".to_owned() };
    let shown: String = value.chars().take(LONGEST_VALUE).collect();
    let more = if shown.len() < value.len() { "…" } else { "" };
    if value.is_empty() { "\"\"".to_owned() } else { format!("{}{more}", escaped(&shown)) }
}
