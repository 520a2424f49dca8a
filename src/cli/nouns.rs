//! `alf NOUN list|get|create|delete`; `edit` has its own file.

use super::args::{CreateArgs, DeleteArgs, Format, ListArgs, NounVerb};
use super::client::{API, Accept, Body, Client, query};
use super::columns::definitions;
use super::doc::Doc;
use super::documents;
use super::edit;
use super::error::{CliError, Exit};
use super::session::Session;
use super::show::{self, View};
use super::text::escaped;
use super::watch::{self, Watched};

use awc::http::Method;

use crate::model::{Name, Noun};

/// Where the definitions of a noun are.
pub(super) fn path(noun: Noun) -> String {
    format!("{API}/{}", noun.url())
}

/// Where one definition is; names hold nothing that a URL would take for its own.
pub(super) fn path_of(noun: Noun, name: &Name) -> String {
    format!("{API}/{}/{name}", noun.url())
}

pub(super) async fn run(noun: Noun, verb: NounVerb, session: &mut Session) -> Result<Exit, CliError> {
    match verb {
        NounVerb::List(args) => list(noun, args, session).await,
        NounVerb::Get(args) => {
            let client = session.client().await?;
            show::one(session, &client, &path_of(noun, &args.name), &definitions(noun)).await?;
            Ok(Exit::Ok)
        }
        NounVerb::Create(args) => create(noun, &args, session).await,
        NounVerb::Edit(args) => edit::run(noun, &args, session).await,
        NounVerb::Delete(args) => delete(noun, &args, session).await,
    }
}

/// The definitions of a noun, or some.
struct List {
    noun: Noun,
    filters: Vec<(&'static str, String)>,
}

async fn list(noun: Noun, args: ListArgs, session: &mut Session) -> Result<Exit, CliError> {
    let filters = [("selector", args.selector.map(|selector| selector.to_string())), ("q", args.query)];
    let filters = filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    watch::show(&List { noun, filters }, args.watch, session).await
}

impl Watched for List {
    fn view(&self) -> View {
        definitions(self.noun)
    }

    async fn rows(&self, client: &Client) -> Result<Doc, CliError> {
        client.list(&path(self.noun), &query(&self.filters)).await
    }

    async fn show(&self, client: &Client, session: &mut Session) -> Result<(), CliError> {
        let noun = self.noun;
        let nothing = match (noun, self.filters.is_empty()) {
            (_, false) => format!("no {noun} matches"),
            (Noun::Host, true) => "there is no host yet; add one with `alf host add [USER@]HOST`".to_owned(),
            (Noun::Task, true) => {
                "there is no task yet; add one with `alf task add NAME --command CMD --on HOST --cron LINE`".to_owned()
            }
            (Noun::Program, true) => {
                "there is no program yet; upload one with `alf program create NAME FILE`".to_owned()
            }
            (Noun::Secret, true) => "there is no secret yet; create one with `alf secret create NAME FILE`".to_owned(),
            (_, true) => format!("there is no {noun} yet; create one with `alf {noun} create -f FILE`"),
        };
        show::list(session, client, &path(noun), &query(&self.filters), &definitions(noun), &nothing).await
    }
}

/// Creates all that a file holds; one that is refused does not keep the others back.
async fn create(noun: Noun, args: &CreateArgs, session: &mut Session) -> Result<Exit, CliError> {
    let bodies = documents::read(&args.file, &mut session.stdin)?;
    let client = session.client().await?;
    let mut exit = Exit::Ok;
    for (index, body) in bodies.iter().enumerate() {
        match create_one(noun, body, &client, session).await {
            Ok(()) => {}
            Err(error) if bodies.len() == 1 || error.is_away() => return Err(error),
            Err(error @ CliError::Output(_)) => return Err(error),
            Err(error) => {
                session.output.note(&format!("error: document {} ({}): {error}", index + 1, describe(body)));
                exit = error.exit();
            }
        }
    }
    Ok(exit)
}

fn describe(body: &Body) -> String {
    match body {
        Body::Json(doc) => {
            doc.text("name").map_or_else(|| "without a name".to_owned(), |name| format!("\"{}\"", escaped(name)))
        }
        Body::Xml(_) | Body::Empty => "XML".to_owned(),
    }
}

/// Creates one definition and writes what came of it.
pub(super) async fn create_one(
    noun: Noun,
    body: &Body,
    client: &Client,
    session: &mut Session,
) -> Result<(), CliError> {
    if session.chosen_format() == Some(Format::Xml) {
        let answer = client.send(Method::POST, &path(noun), &[], body, Accept::Xml).await?;
        return show::write_xml(&mut session.output, &answer.body);
    }
    let created = client.post(&path(noun), &[], body).await?.doc()?;
    // A key is shown once: it must not be lost in a format that leaves it out.
    let whole = |format: &Format| noun != Noun::Key || matches!(format, Format::Json | Format::Yaml);
    match session.chosen_format().filter(whole) {
        Some(format) => show::thing(session, format, created, &definitions(noun)),
        None => {
            let name = created.text("name").unwrap_or_default();
            if let Some(key) = created.text("key").filter(|_| noun == Noun::Key) {
                session.output.line(key)?;
            }
            session.output.note(&format!("{noun} \"{}\" created", escaped(name)));
            Ok(())
        }
    }
}

async fn delete(noun: Noun, args: &DeleteArgs, session: &mut Session) -> Result<Exit, CliError> {
    let client = session.client().await?;
    let query: &[_] = if args.cascade { &[("cascade", "true")] } else { &[] };
    for name in &args.names {
        if let Err(error) = client.delete(&path_of(noun, name), query).await {
            if error.is_conflict() && !args.cascade && matches!(noun, Noun::Host | Noun::Task | Noun::Schedule) {
                session.output.note("note: --cascade deletes the links that use it too");
            }
            return Err(error);
        }
        session.output.note(&format!("{noun} \"{name}\" deleted"));
    }
    Ok(Exit::Ok)
}
