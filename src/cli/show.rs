//! Writes documents in the format that was asked for.

use awc::http::Method;

use super::args::Format;
use super::client::{Accept, Body, Client, Query};
use super::doc::Doc;
use super::error::CliError;
use super::output::Output;
use super::session::Session;
use super::table::Table;
use super::text::{Times, escaped};

/// A column of a table.
pub(super) struct Column {
    /// Its title.
    pub(super) title: &'static str,
    /// Whether it is shown with `-o wide` only.
    pub(super) wide: bool,
    /// What stands there.
    pub(super) cell: fn(&Doc, Times) -> String,
}

/// How things of a kind are shown.
pub(super) struct View {
    /// The columns of their table.
    pub(super) columns: &'static [Column],
    /// What `-o name` shows.
    pub(super) name: fn(&Doc) -> String,
}

impl View {
    /// The columns for a format.
    pub(super) fn columns_for(&self, format: Format) -> impl Iterator<Item = &'static Column> {
        self.columns.iter().filter(move |column| !column.wide || format == Format::Wide)
    }

    /// A table of things, with titles.
    pub(super) fn table(&self, format: Format, items: &[Doc], times: Times) -> Table {
        let mut table = Table::new(self.columns_for(format).map(|column| column.title));
        for item in items {
            table.row(self.columns_for(format).map(|column| (column.cell)(item, times)));
        }
        table
    }
}

/// Fetches a whole list and writes it.
pub(super) async fn list(
    session: &mut Session,
    client: &Client,
    path: &str,
    query: &Query<'_>,
    view: &View,
    nothing: &str,
) -> Result<(), CliError> {
    if session.format() == Format::Xml {
        let mut query = query.to_vec();
        query.push(("limit", "1000"));
        let answer = client.send(Method::GET, path, &query, &Body::Empty, Accept::Xml).await?;
        write_xml(&mut session.output, &answer.body)?;
        if answer.has_next {
            session.output.note("note: only the first 1000 are shown; -o json shows all, or narrow the list");
        }
        return Ok(());
    }
    let all = client.list(path, query).await?;
    items(session, &all, view, nothing)
}

/// Writes a list that is there already.
pub(super) fn items(session: &mut Session, all: &Doc, view: &View, nothing: &str) -> Result<(), CliError> {
    let items = all.list("items");
    match session.format() {
        format @ (Format::Table | Format::Wide) if !items.is_empty() => {
            view.table(format, items, session.times).print(&mut session.output)?;
        }
        Format::Table | Format::Wide => session.output.note(nothing),
        Format::Name => names(&mut session.output, items, view)?,
        format => document(&mut session.output, format, all)?,
    }
    Ok(())
}

/// Writes some more of a list: rows under the same columns, or one JSON or YAML document each.
pub(super) fn more(
    session: &mut Session,
    items: &[Doc],
    view: &View,
    widths: &mut Option<Vec<u16>>,
) -> Result<(), CliError> {
    match session.format() {
        Format::Json => {
            for item in items {
                let line = serde_json::to_string(item).map_err(|error| CliError::Failed(error.to_string()))?;
                session.output.line(&line)?;
            }
        }
        Format::Yaml => {
            for item in items {
                session.output.line("---")?;
                document(&mut session.output, Format::Yaml, item)?;
            }
        }
        Format::Name => names(&mut session.output, items, view)?,
        format => {
            if widths.is_none() || !items.is_empty() {
                view.table(format, items, session.times).print_on(widths, &mut session.output)?;
            }
        }
    }
    Ok(())
}

/// Fetches one thing and writes it.
pub(super) async fn one(session: &mut Session, client: &Client, path: &str, view: &View) -> Result<(), CliError> {
    match session.format() {
        Format::Xml => {
            let answer = client.send(Method::GET, path, &[], &Body::Empty, Accept::Xml).await?;
            write_xml(&mut session.output, &answer.body)
        }
        format => {
            let doc = client.get(path, &[]).await?;
            thing(session, format, doc, view)
        }
    }
}

/// Writes one thing that is there already.
pub(super) fn thing(session: &mut Session, format: Format, doc: Doc, view: &View) -> Result<(), CliError> {
    match format {
        Format::Table | Format::Wide => {
            view.table(format, std::slice::from_ref(&doc), session.times).print(&mut session.output)?;
        }
        Format::Name => names(&mut session.output, &[doc], view)?,
        format => document(&mut session.output, format, &doc)?,
    }
    Ok(())
}

/// Writes fields and their values, one a line.
pub(super) fn fields(output: &mut Output, fields: &[(String, String)]) -> Result<(), CliError> {
    let mut table = Table::plain();
    fields.iter().for_each(|(name, value)| table.row([name.clone(), value.clone()]));
    Ok(table.print(output)?)
}

fn names(output: &mut Output, items: &[Doc], view: &View) -> Result<(), CliError> {
    Ok(items.iter().try_for_each(|item| output.line(&escaped(&(view.name)(item))))?)
}

/// Writes a document as YAML, else as JSON.
pub(super) fn document(output: &mut Output, format: Format, doc: &Doc) -> Result<(), CliError> {
    Ok(output.line(&text(format, doc)?)?)
}

/// A document as YAML, else as JSON, without a newline at its end.
pub(super) fn text(format: Format, doc: &Doc) -> Result<String, CliError> {
    let text = match format {
        Format::Yaml => serde_saphyr::to_string(doc).map_err(|error| error.to_string()),
        _ => serde_json::to_string_pretty(doc).map_err(|error| error.to_string()),
    };
    let text = text.map_err(|error| CliError::Failed(format!("cannot write the document: {error}")))?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

/// Writes XML as it came, with a newline at its end.
pub(super) fn write_xml(output: &mut Output, body: &[u8]) -> Result<(), CliError> {
    output.data(body)?;
    if !body.ends_with(b"\n") {
        output.data(b"\n")?;
    }
    Ok(())
}
