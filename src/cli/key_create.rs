//! `alf key create`: a new key, shown once.

use super::args::KeyCreateArgs;
use super::client::Body;
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::nouns;
use super::session::Session;

use crate::model::{Noun, Role};

pub(super) async fn run(args: KeyCreateArgs, session: &mut Session) -> Result<Exit, CliError> {
    let role = match args.role {
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Admin => "admin",
    };
    let exec = args.exec.then_some(Doc::Bool(true));
    let key = Doc::map([("name", Some(args.name.as_str().into())), ("role", Some(role.into())), ("exec", exec)]);
    let client = session.client().await?;
    nouns::create_one(Noun::Key, &Body::Json(key), &client, session).await?;
    session.output.note("this is the only time it is shown: only a hash of it is kept");
    Ok(Exit::Ok)
}
