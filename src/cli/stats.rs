//! `alf stats`: figures of the service.

use awc::http::Method;

use super::args::Format;
use super::client::{API, Accept, Body};
use super::error::{CliError, Exit};
use super::session::Session;
use super::show;

pub(super) async fn run(session: &mut Session) -> Result<Exit, CliError> {
    let client = session.client().await?;
    let path = format!("{API}/stats");
    match session.format() {
        Format::Xml => {
            let answer = client.send(Method::GET, &path, &[], &Body::Empty, Accept::Xml).await?;
            show::write_xml(&mut session.output, &answer.body)?;
        }
        Format::Table | Format::Wide | Format::Name => {
            let stats = client.get(&path, &[]).await?;
            show::fields(&mut session.output, &stats.leaves())?;
        }
        format => {
            let stats = client.get(&path, &[]).await?;
            show::document(&mut session.output, format, &stats)?;
        }
    }
    Ok(Exit::Ok)
}
