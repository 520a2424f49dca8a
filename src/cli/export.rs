//! `alf export`: all definitions, in the form that `alf apply` takes.

use awc::http::Method;

use super::args::Format;
use super::client::{API, Accept, Body};
use super::error::{CliError, Exit};
use super::session::Session;
use super::show;

pub(super) async fn run(session: &mut Session) -> Result<Exit, CliError> {
    let path = format!("{API}/export");
    let format = match session.chosen_format() {
        None => Format::Yaml,
        Some(format @ (Format::Json | Format::Yaml | Format::Xml)) => format,
        Some(_) => return Err(CliError::Usage("-o: allowed are yaml, json and xml".to_owned())),
    };
    let client = session.client().await?;
    if format == Format::Xml {
        let answer = client.send(Method::GET, &path, &[], &Body::Empty, Accept::Xml).await?;
        show::write_xml(&mut session.output, &answer.body)?;
    } else {
        show::document(&mut session.output, format, &client.get(&path, &[]).await?)?;
    }
    Ok(Exit::Ok)
}
