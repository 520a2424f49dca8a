//! Writes what was found out without a service, in the format that was asked for.

use serde::Serialize;

use super::args::{Format, Options};
use super::error::{CliError, Exit};
use super::session::{Context, Session};
use super::show;

/// Writes a document; `xml` is the same in XML.
pub fn report(document: &impl Serialize, xml: &str, options: Options, context: Context) -> Exit {
    let mut session = Session::new(options, context);
    let written = write(document, xml, &mut session).and_then(|()| Ok(session.output.flush()?));
    written.map(|()| Exit::Ok).unwrap_or_else(|error| {
        session.output.note(&format!("error: {error}"));
        error.exit()
    })
}

fn write(document: &impl Serialize, xml: &str, session: &mut Session) -> Result<(), CliError> {
    let failed = |error: serde_json::Error| CliError::Failed(error.to_string());
    let text = serde_json::to_string(document).map_err(failed)?;
    let doc = serde_json::from_str(&text).map_err(failed)?;
    match session.format() {
        Format::Xml => show::write_xml(&mut session.output, xml.as_bytes()),
        Format::Table | Format::Wide | Format::Name => {
            let doc: super::doc::Doc = doc;
            show::fields(&mut session.output, &doc.leaves())
        }
        format => show::document(&mut session.output, format, &doc),
    }
}
