//! `alf host add`: a host as ssh knows it.

use std::path::Path;

use super::args::{Format, HostAddArgs};
use super::client::{Body, Client};
use super::columns::definitions;
use super::connect::is_loopback;
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::nouns::{path, path_of};
use super::session::Session;
use super::show;
use super::ssh_config::{Known, Target, ask, existing_key};
use super::text::escaped;

use crate::model::{Labels, Name, Noun};

/// The credential a host is to have.
struct Login {
    name: Name,
    /// Whether this command created it, and takes it back if the host is refused.
    created: bool,
}

pub(super) async fn run(args: HostAddArgs, session: &mut Session) -> Result<Exit, CliError> {
    let target = Target::parse(&args.target).map_err(CliError::Usage)?;
    let name = match args.name {
        Some(name) => name,
        None => Name::parse(&target.host)
            .map_err(|error| CliError::Usage(format!("{error}; give the host another name with --name")))?,
    };
    let labels = labels(&args.labels)?;
    let client = session.client().await?;
    let known = match args.no_ssh_config {
        true => Known::default(),
        false => ask(&session.ssh.clone(), &target).await?.unwrap_or_default(),
    };
    let jump = match args.jump {
        Some(name) => Some(name),
        None => jump_of(known.proxy_jump.as_deref(), &client, session).await?,
    };
    let login = match args.credential {
        Some(name) => Some(Login { name, created: false }),
        None => credential_for(&known, &name, &client, session).await?,
    };

    let address = known.address.clone().unwrap_or_else(|| target.host.clone());
    let port = target.port.or(known.port).filter(|port| *port != 22);
    let user = target.user.or(known.user.clone());
    let host = Doc::map([
        ("name", Some(name.as_str().into())),
        ("address", (address != name.as_str()).then(|| address.as_str().into())),
        ("port", port.map(|port| Doc::Number(port.into()))),
        ("user", user.as_deref().map(Doc::from)),
        ("credential", login.as_ref().map(|login| login.name.as_str().into())),
        ("jump", jump.as_ref().map(|jump| jump.as_str().into())),
        ("labels", labels),
    ]);
    let created = match create(&client, &host).await {
        Ok(created) => created,
        Err(error) => {
            take_back(&client, login.as_ref(), session).await;
            return Err(error);
        }
    };
    if let Some(command) = known.proxy_command {
        session.output.note(&format!(
            "note: ssh_config has ProxyCommand {} for this host, which Alf does not follow; it connects to the address itself",
            escaped(&command)
        ));
    }
    let login = user.map(|user| format!("{}@", escaped(&user))).unwrap_or_default();
    let port = port.map(|port| format!(" port {port}")).unwrap_or_default();
    let through = jump.map(|jump| format!(" through {jump}")).unwrap_or_default();
    session.output.note(&format!("host \"{name}\" created: {login}{}{port}{through}", escaped(&address)));
    session.output.note(&format!("next: alf task add NAME --command CMD --on {name} --cron '*/5 * * * *'"));
    match session.chosen_format() {
        Some(Format::Xml) => show::one(session, &client, &path_of(Noun::Host, &name), &definitions(Noun::Host)).await?,
        Some(format) => show::thing(session, format, created, &definitions(Noun::Host))?,
        None => {}
    }
    Ok(Exit::Ok)
}

/// The jump host that ssh_config names, where it is a host of the service, reached there as ssh_config says: of several
/// the last is the jump host, the one before it that one's own, and so on.
async fn jump_of(setting: Option<&str>, client: &Client, session: &mut Session) -> Result<Option<Name>, CliError> {
    let Some(setting) = setting else { return Ok(None) };
    let mut jump = None;
    let mut expected: Option<String> = None;
    for hop in setting.rsplit(',') {
        let name = Target::parse(hop.trim()).ok().and_then(|target| Name::parse(&target.host).ok());
        let there = match &name {
            Some(name) if jump.is_none() || expected.as_deref() == Some(name.as_str()) => {
                client.get(&path_of(Noun::Host, name), &[]).await.map(Some)
            }
            _ => Ok(None),
        };
        match there {
            Ok(Some(host)) => expected = host.text("jump").map(str::to_owned),
            Err(error) if !error.is_not_found() => return Err(error),
            Ok(None) | Err(_) => {
                session.output.note(&format!(
                    "note: ssh_config has ProxyJump {}, which does not name a host here; the address is connected to directly, unless you add the jump host first and name it with --jump",
                    escaped(setting)
                ));
                return Ok(None);
            }
        }
        jump = jump.or(name);
    }
    Ok(jump)
}

/// Sends a host.
async fn create(client: &Client, host: &Doc) -> Result<Doc, CliError> {
    client.post(&path(Noun::Host), &[], &Body::Json(host.clone())).await?.doc()
}

fn labels(pairs: &[String]) -> Result<Option<Doc>, CliError> {
    let mut labels = Vec::new();
    for pair in pairs {
        let (key, value) = pair.split_once('=').ok_or_else(|| {
            CliError::Usage(format!("--label \"{}\" must be KEY=VALUE, for example role=web", escaped(pair)))
        })?;
        Labels::from_pairs([(key, value)]).map_err(CliError::Usage)?;
        labels.push((key.to_owned(), value.into()));
    }
    Ok((!labels.is_empty()).then_some(Doc::Map(labels)))
}

/// A credential with the key that ssh_config names for the host: one that is there already, or a new one.
async fn credential_for(
    known: &Known,
    host: &Name,
    client: &Client,
    session: &mut Session,
) -> Result<Option<Login>, CliError> {
    let Some(key) = existing_key(&known.identity_files, session.home.as_deref()) else { return Ok(None) };
    let Some(shown) = key.to_str() else { return Ok(None) };
    if !is_loopback(client.url()) {
        session.output.note(&format!(
            "note: ssh_config names the key {}, which is on this machine and not on that of the service; give the host a credential there",
            escaped(shown)
        ));
        return Ok(None);
    }
    for name in credential_names(&key, host) {
        match client.get(&path_of(Noun::Credential, &name), &[]).await {
            Ok(there) if there.text("key_file") == Some(shown) => {
                session.output.note(&format!("credential \"{name}\" has the key {} already", escaped(shown)));
                return Ok(Some(Login { name, created: false }));
            }
            Ok(_) => {}
            Err(error) if error.is_not_found() => {
                let credential = Doc::map([("name", Some(name.as_str().into())), ("key_file", Some(shown.into()))]);
                client.post(&path(Noun::Credential), &[], &Body::Json(credential)).await?;
                session.output.note(&format!("credential \"{name}\" created: key {}", escaped(shown)));
                return Ok(Some(Login { name, created: true }));
            }
            Err(error) => return Err(error),
        }
    }
    Err(CliError::Failed(format!(
        "the credentials that the key {} would be named after have other keys; create one and name it with --credential",
        escaped(shown)
    )))
}

/// The key's own name, then the host's before it.
fn credential_names(key: &Path, host: &Name) -> Vec<Name> {
    let file: String = key
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' })
        .collect();
    let file = file.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    [file.to_owned(), format!("{host}-{file}")].iter().filter_map(|name| Name::parse(name).ok()).collect()
}

async fn take_back(client: &Client, login: Option<&Login>, session: &mut Session) {
    let Some(Login { name, .. }) = login.filter(|login| login.created) else { return };
    match client.delete(&path_of(Noun::Credential, name), &[]).await {
        Ok(()) => session.output.note(&format!("credential \"{name}\" deleted again")),
        Err(error) => session.output.note(&format!("credential \"{name}\" could not be deleted again: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_named_after_the_key() {
        let host = Name::parse("web1").unwrap();
        let names = |key: &str| credential_names(Path::new(key), &host).iter().map(Name::to_string).collect::<Vec<_>>();
        assert_eq!(names("/home/me/.ssh/id_web"), ["id_web", "web1-id_web"]);
        assert_eq!(names("/home/me/.ssh/.my key"), ["my-key", "web1-my-key"]);
    }
}
