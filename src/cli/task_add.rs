//! `alf task add`: one line of a crontab as its three kinds of object, all or none.

use std::io::Read;

use super::args::{Format, TaskAddArgs};
use super::client::{Body, Client};
use super::doc::Doc;
use super::documents::text_of;
use super::error::{CliError, Exit};
use super::interpreter;
use super::nouns::path;
use super::session::Session;
use super::show;
use super::text::escaped;

use crate::model::{Limit, Noun, Timezone};

pub(super) async fn run(args: TaskAddArgs, session: &mut Session) -> Result<Exit, CliError> {
    if session.chosen_format() == Some(Format::Xml) {
        return Err(CliError::Usage(
            "-o xml: the service is asked for several objects here; allowed are json, yaml and name".to_owned(),
        ));
    }
    let task = task(&args, &mut session.stdin)?;
    let client = session.client().await?;
    let mut created: Vec<(Noun, Doc)> = Vec::new();
    for (noun, doc) in objects(&args, task) {
        match create(&client, noun, doc).await {
            Ok(doc) => created.push((noun, doc)),
            Err(error) => {
                undo(&client, created, session).await;
                return Err(error);
            }
        }
    }
    for (noun, doc) in &created {
        session.output.note(&format!("{noun} \"{}\" created", escaped(doc.text("name").unwrap_or_default())));
    }
    session.output.note(&due(&args, &created, session));
    let by_hand = match (args.on.first(), &args.selector) {
        (Some(host), _) => format!("alf run {host} {}", args.name),
        (None, Some(selector)) => format!("alf run -l {} {}", quoted(&selector.to_string()), args.name),
        (None, None) => format!("alf run HOST {}", args.name),
    };
    session.output.note(&format!("next: {by_hand}  (runs it now)"));
    match session.chosen_format() {
        Some(format @ (Format::Json | Format::Yaml)) => {
            let items = Doc::List(created.into_iter().map(|(_, doc)| doc).collect());
            show::document(&mut session.output, format, &Doc::map([("items", Some(items))]))?;
        }
        Some(Format::Name) => session.output.line(args.name.as_str())?,
        _ => {}
    }
    Ok(Exit::Ok)
}

/// The task of the line, with what it reads from files.
fn task(args: &TaskAddArgs, stdin: &mut dyn Read) -> Result<Doc, CliError> {
    let both = [args.work.script.as_deref(), args.stdin.as_deref()];
    if both.into_iter().all(|file| file.is_some_and(|file| file == "-")) {
        return Err(CliError::Usage("--script - and --stdin - cannot both read this command's stdin".to_owned()));
    }
    let limit = |limit: Limit| match limit {
        Limit::After(span) => Doc::from(span.to_string()),
        Limit::None => Doc::from("none"),
    };
    let own = [
        ("max_age", args.retention_max_age.map(limit)),
        ("keep_problems", args.retention_keep_problems.map(limit)),
        ("max_count", args.retention_max_count.map(|count| Doc::Number(count.into()))),
    ];
    let retention = own.iter().any(|(_, value)| value.is_some()).then(|| Doc::map(own));
    let words = |words: Vec<&str>| Doc::List(words.into_iter().map(Doc::from).collect());
    let arguments = (!args.args.is_empty()).then(|| words(args.args.iter().map(String::as_str).collect()));
    let script = match &args.work.script {
        None => None,
        Some(file) => {
            let body = text_of(file, stdin)?;
            let interpreter = interpreter::of(args.interpreter.as_deref(), &body);
            Some(Doc::map([("interpreter", interpreter), ("body", Some(body.into())), ("args", arguments.clone())]))
        }
    };
    let program =
        args.work.program.as_ref().map(|name| Doc::map([("name", Some(name.as_str().into())), ("args", arguments)]));
    let input = args.stdin.as_ref().map(|file| text_of(file, stdin)).transpose()?;
    Ok(Doc::map([
        ("name", Some(args.name.as_str().into())),
        ("title", args.title.as_deref().map(Doc::from)),
        ("command", args.work.command.as_deref().map(Doc::from)),
        ("script", script),
        ("program", program),
        ("stdin", input.map(Doc::from)),
        ("cwd", args.cwd.as_deref().map(Doc::from)),
        ("run_as", args.run_as.as_deref().map(Doc::from)),
        ("timeout", args.timeout.map(limit)),
        ("plugin", args.plugin.as_deref().map(Doc::from)),
        ("retention", retention),
    ]))
}

/// The objects of the line, each after those it names.
fn objects(args: &TaskAddArgs, document: Doc) -> Vec<(Noun, Doc)> {
    let task = args.name.as_str();
    let mut objects = vec![(Noun::Task, document)];
    for host in &args.on {
        let link = Doc::map([("task", Some(task.into())), ("host", Some(host.as_str().into()))]);
        objects.push((Noun::HostTask, link));
    }
    if let Some(selector) = &args.selector {
        let link = Doc::map([
            ("name", Some(format!("{task}@selector").into())),
            ("task", Some(task.into())),
            ("selector", Some(selector.to_string().into())),
        ]);
        objects.push((Noun::HostTask, link));
    }
    objects.push((
        Noun::TaskSchedule,
        Doc::map([
            ("name", Some(format!("{task}@cron").into())),
            ("task", Some(task.into())),
            ("cron", Some(args.cron.as_str().into())),
            ("timezone", args.timezone.map(|zone| zone.name().into())),
        ]),
    ));
    objects
}

async fn create(client: &Client, noun: Noun, doc: Doc) -> Result<Doc, CliError> {
    client.post(&path(noun), &[], &Body::Json(doc)).await?.doc()
}

/// Deletes what was created, the last first, and says so.
async fn undo(client: &Client, created: Vec<(Noun, Doc)>, session: &mut Session) {
    for (noun, doc) in created.into_iter().rev() {
        let name = doc.text("name").unwrap_or_default();
        let shown = escaped(name);
        match client.delete(&format!("{}/{name}", path(noun)), &[]).await {
            Ok(()) => session.output.note(&format!("{noun} \"{shown}\" deleted again")),
            Err(error) => session.output.note(&format!(
                "{noun} \"{shown}\" could not be deleted again ({error}); delete it with: alf {noun} delete {shown}"
            )),
        }
    }
}

/// When it is due, in the zone that the service says.
fn due(args: &TaskAddArgs, created: &[(Noun, Doc)], session: &Session) -> String {
    let zone: Timezone = created
        .last()
        .and_then(|(_, schedule)| schedule.text("timezone"))
        .and_then(|zone| zone.parse().ok())
        .or(args.timezone)
        .unwrap_or_default();
    let next = match args.cron.next_after(zone, session.now) {
        Some(next) => format!("; next at {}", session.times.at(next)),
        None => String::new(),
    };
    format!("due {} ({zone}){next}", args.cron.describe())
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", escaped(text).replace('\'', "'\\''"))
}
