//! `alf host trust` and `alf host forget-key`: whom to believe, by hand.

use awc::http::Method;

use super::args::Format;
use super::client::{Accept, Body, Client};
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::nouns::path_of;
use super::session::Session;
use super::show;
use super::text::escaped;
use super::trust_args::{HostArgs, TrustArgs};

use crate::model::{Name, Noun};

pub(super) async fn trust(args: TrustArgs, session: &mut Session) -> Result<Exit, CliError> {
    let client = session.client().await?;
    let expect = match args.expect {
        Some(expect) => expect,
        None => match asked(&args.name, args.yes, &client, session).await? {
            Some(shown) => shown,
            None => return Ok(Exit::Failed),
        },
    };
    let path = format!("{}/trust", path_of(Noun::Host, &args.name));
    let body = Body::Json(Doc::map([("expect", Some(expect.as_str().into()))]));
    if session.chosen_format() == Some(Format::Xml) {
        let answer = client.send(Method::POST, &path, &[], &body, Accept::Xml).await?;
        show::write_xml(&mut session.output, &answer.body)?;
        return Ok(Exit::Ok);
    }
    let trusted = client.post(&path, &[], &body).await?.doc()?;
    let replaced: Vec<String> = trusted.list("replaced").iter().map(|key| escaped(&key.brief())).collect();
    let replaced = if replaced.is_empty() { String::new() } else { format!(", no longer {}", replaced.join(" and ")) };
    session.output.note(&format!("host \"{}\" is trusted with {}{replaced}", args.name, escaped(&expect)));
    match session.chosen_format() {
        Some(Format::Table | Format::Wide | Format::Name) | None => {}
        Some(format) => show::document(&mut session.output, format, &trusted)?,
    }
    Ok(Exit::Ok)
}

/// Shows what the host shows; its fingerprint, if that is to be trusted.
async fn asked(name: &Name, yes: bool, client: &Client, session: &mut Session) -> Result<Option<String>, CliError> {
    let view = client.get(&format!("{}/host-key", path_of(Noun::Host, name)), &[]).await?;
    let text = |doc: &Doc, field: &str| escaped(doc.text(field).unwrap_or_default());
    let offered = view.get("offered").cloned().unwrap_or(Doc::Null);
    let fingerprint = offered.text("fingerprint").unwrap_or_default().to_owned();
    session.output.note(&format!("host \"{name}\" shows {} {}", text(&offered, "algorithm"), escaped(&fingerprint)));
    for key in view.list("recorded") {
        session.output.note(&format!("recorded: {} ({})", text(key, "fingerprint"), text(key, "source")));
    }
    match view.text("standing") {
        Some("changed") => session.output.note(
            "it is another key than the recorded one: either the host was installed anew, or somebody is in between",
        ),
        Some("revoked") => {
            return Err(CliError::Failed("this key is revoked in a known_hosts file; do not trust it".to_owned()));
        }
        Some("recorded") => session.output.note("it is a recorded key"),
        _ => session.output.note("no key of it is recorded"),
    }
    if yes {
        return Ok(Some(fingerprint));
    }
    if !session.is_interactive {
        return Err(CliError::Failed(format!(
            "nobody is there to be asked: compare the fingerprint with the host itself, then use --expect {}, or --yes",
            escaped(&fingerprint)
        )));
    }
    session.output.error_data(b"Compare it with ssh-keygen -l on the host itself. Trust it? [y/N] ");
    let answer = session.line()?;
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(Some(fingerprint));
    }
    session.output.note("nothing was changed");
    Ok(None)
}

pub(super) async fn forget_key(args: HostArgs, session: &mut Session) -> Result<Exit, CliError> {
    let client = session.client().await?;
    client.post(&format!("{}/forget-key", path_of(Noun::Host, &args.name)), &[], &Body::Empty).await?;
    session.output.note(&format!("what was learnt of the key of host \"{}\" is forgotten", args.name));
    Ok(Exit::Ok)
}
