//! `alf secret create` and `alf secret edit`: a file, or stdin, becomes a secret's value.

use std::path::{Path, PathBuf};

use super::args::{CreateArgs, Format, NounVerb};
use super::client::{Accept, Body};
use super::columns::definitions;
use super::doc::Doc;
use super::documents::{shown, text_of};
use super::error::{CliError, Exit};
use super::nouns::{self, path_of};
use super::secret_args::{SecretCreateArgs, SecretEditArgs, ValueArgs};
use super::session::Session;
use super::show;

use awc::http::Method;

use crate::model::Noun;

pub(super) async fn create(args: SecretCreateArgs, session: &mut Session) -> Result<Exit, CliError> {
    if let Some(file) = args.file {
        return nouns::run(Noun::Secret, NounVerb::Create(CreateArgs { file }), session).await;
    }
    let value = value(args.value, session)?;
    let name = args.name.map(|name| name.as_str().into());
    let secret = Doc::map([("name", name), ("title", args.title.map(Doc::Text)), ("value", Some(value))]);
    let client = session.client().await?;
    nouns::create_one(Noun::Secret, &Body::Json(secret), &client, session).await?;
    Ok(Exit::Ok)
}

pub(super) async fn edit(args: SecretEditArgs, session: &mut Session) -> Result<Exit, CliError> {
    let change = Body::Json(Doc::map([("value", Some(value(args.value, session)?))]));
    let client = session.client().await?;
    let xml = session.chosen_format() == Some(Format::Xml);
    let accept = if xml { Accept::Xml } else { Accept::Json };
    let answer = client.send(Method::PATCH, &path_of(Noun::Secret, &args.name), &[], &change, accept).await?;
    match session.chosen_format() {
        Some(Format::Xml) => show::write_xml(&mut session.output, &answer.body)?,
        Some(format) => show::thing(session, format, answer.doc()?, &definitions(Noun::Secret))?,
        None => session.output.note(&format!("secret \"{}\" has its new value", args.name)),
    }
    Ok(Exit::Ok)
}

/// The value: all of the file but the newline that an editor or `echo` puts at its end.
fn value(args: ValueArgs, session: &mut Session) -> Result<Doc, CliError> {
    let path = args.path.unwrap_or_else(|| PathBuf::from("-"));
    if path == Path::new("-") && session.is_interactive {
        session.output.note("the value, as it is typed, to its end (Ctrl-D at the beginning of a line):");
    }
    let mut text = text_of(&path, &mut session.stdin)?;
    if !args.exact && text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        return Err(CliError::Failed(format!("{}: is empty, which no secret may be", shown(&path))));
    }
    Ok(Doc::Text(text))
}
