//! `alf diff`: how Alf differs from what files say, line by line as diff(1) shows it. Exit codes are those of diff(1).

use std::time::Duration;

use similar::TextDiff;

use super::apply::{Wanted, ask, named};
use super::args::{DiffArgs, Format};
use super::bundle;
use super::client::Accept;
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::output::Output;
use super::session::Session;
use super::show;
use super::text::escaped_block;

/// How much longer than others such a request may take to be answered.
const LONGER: Duration = Duration::from_secs(60);

pub(super) async fn run(args: DiffArgs, session: &mut Session) -> Result<Exit, CliError> {
    match differences(&args, session).await {
        Ok(false) => Ok(Exit::Ok),
        Ok(true) => Ok(Exit::Failed),
        // 1 is for a difference: trouble must not be taken for one.
        Err(error) if error.exit() == Exit::Failed => {
            session.output.note(&format!("error: {error}"));
            Ok(Exit::Usage)
        }
        Err(error) => Err(error),
    }
}

/// Shows what differs; false if nothing does.
async fn differences(args: &DiffArgs, session: &mut Session) -> Result<bool, CliError> {
    let bundle = bundle::read(&args.wanted.files, session)?;
    let client = session.client().await?.patient(LONGER);
    let wanted = Wanted { prune: args.wanted.prune.as_ref(), dry_run: true };
    let answer = ask(&client, &bundle, wanted, true, Accept::Json, &mut session.output).await?.doc()?;
    let differ = || ["created", "updated", "deleted"].into_iter().flat_map(|list| answer.list(list));
    match session.format() {
        Format::Xml => return Err(CliError::Usage("-o xml: allowed are json, yaml and name".to_owned())),
        Format::Name => differ().try_for_each(|item| session.output.line(&named(item, '/')))?,
        Format::Table | Format::Wide => differ().try_for_each(|item| unified(item, &mut session.output))?,
        format => show::document(&mut session.output, format, &answer)?,
    }
    Ok(differ().next().is_some())
}

fn unified(item: &Doc, output: &mut Output) -> Result<(), CliError> {
    let name = named(item, '/');
    let side = |field: &str| match item.get(field) {
        None => Ok(("/dev/null".to_owned(), String::new())),
        Some(doc) => show::text(Format::Yaml, doc).map(|text| (format!("{name} {field}"), text + "\n")),
    };
    let ((old, before), (new, after)) = (side("before")?, side("after")?);
    if before == after {
        output.line(&format!("--- {old}\n+++ {new}\n@@ a secret differs @@"))?;
        return Ok(());
    }
    let diff = TextDiff::from_lines(before.as_str(), after.as_str());
    let text = diff.unified_diff().context_radius(3).header(&old, &new).to_string();
    for line in text.lines() {
        let line = escaped_block(line);
        let colour = match line.as_bytes().first() {
            Some(b'+') => 32,
            Some(b'-') => 31,
            Some(b'@') => 36,
            _ => 0,
        };
        let coloured = output.colour() && colour != 0;
        output.line(&if coloured { format!("\u{1b}[{colour}m{line}\u{1b}[0m") } else { line })?;
    }
    Ok(())
}
