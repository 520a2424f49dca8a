//! `alf secret rotate-key`: another encryption key for the service.

use super::args::Format;
use super::client::{API, Accept, Body};
use super::error::{CliError, Exit};
use super::session::Session;
use super::show;

use awc::http::Method;

pub(super) async fn run(session: &mut Session) -> Result<Exit, CliError> {
    let client = session.client().await?;
    let path = format!("{API}/rotate-key");
    if session.chosen_format() == Some(Format::Xml) {
        let answer = client.send(Method::POST, &path, &[], &Body::Empty, Accept::Xml).await?;
        show::write_xml(&mut session.output, &answer.body)?;
        return Ok(Exit::Ok);
    }
    let done = client.post(&path, &[], &Body::Empty).await?.doc()?;
    let resealed = done.integer("resealed").unwrap_or_default();
    session
        .output
        .note(&format!("the encryption key is a new one: definitions whose secrets were encrypted anew: {resealed}"));
    session.output.note("backups of the old key file are of use only with backups of the old store");
    if let Some(format @ (Format::Json | Format::Yaml)) = session.chosen_format() {
        show::document(&mut session.output, format, &done)?;
    }
    Ok(Exit::Ok)
}
