//! `alf health`: the live actor tree.

use awc::http::Method;

use super::args::{Format, HealthArgs};
use super::client::{Accept, Body};
use super::columns::field;
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::session::Session;
use super::show;
use super::table::Table;

pub(super) async fn run(args: HealthArgs, session: &mut Session) -> Result<Exit, CliError> {
    let client = session.client().await?;
    // Health is at the root of the service, not under the API.
    let path = match args.host {
        Some(host) => format!("/health/actors/{host}"),
        None => "/health/actors".to_owned(),
    };
    match session.format() {
        Format::Xml => {
            let answer = client.send(Method::GET, &path, &[], &Body::Empty, Accept::Xml).await?;
            show::write_xml(&mut session.output, &answer.body)?;
        }
        format @ (Format::Json | Format::Yaml) => {
            let tree = client.get(&path, &[]).await?;
            show::document(&mut session.output, format, &tree)?;
        }
        Format::Table | Format::Wide | Format::Name => {
            let tree = client.get(&path, &[]).await?;
            let mut table = Table::new(["ACTOR", "STATE", "RESTARTS", "QUEUE", "LAST ERROR"]);
            let roots = match &tree {
                Doc::List(roots) => roots.as_slice(),
                one => std::slice::from_ref(one),
            };
            roots.iter().for_each(|root| branch(root, 0, &mut table));
            table.print(&mut session.output)?;
        }
    }
    Ok(Exit::Ok)
}

/// An actor and, indented below it, its children.
fn branch(actor: &Doc, depth: usize, table: &mut Table) {
    let name = [field(actor, "kind"), field(actor, "name")].join(" ");
    let mut row = vec![format!("{}{}", "  ".repeat(depth), name.trim())];
    row.extend(["state", "restarts", "queue", "last_error"].map(|name| field(actor, name)));
    table.row(row);
    actor.list("children").iter().for_each(|child| branch(child, depth + 1, table));
}
