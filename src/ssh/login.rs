//! The ways to log in that a target offers, each ready to be used.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_ssh2_tokio::client::AuthMethod;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{PrivateKey, decode_secret_key};
use sha2::{Digest, Sha256};

use super::host_keys::expand_home;
use super::{ConnectError, Login};
use crate::model::SecretText;

/// How long an agent may take to say what keys it has.
const AGENT: Duration = Duration::from_secs(5);

/// Keys tried when no credential is named, in OpenSSH's order of preference by strength.
const DEFAULT_KEYS: [&str; 3] = ["~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"];

/// Keys kept decrypted at most.
const MOST_KEYS: usize = 1000;

/// One way to log in.
#[derive(Clone)]
pub(super) struct Method {
    /// For async-ssh2-tokio.
    pub(super) auth: AuthMethod,
    /// For messages: `the key in …`.
    pub(super) shown: String,
}

/// Private keys that were decrypted before: the key derivation takes a tenth of a second of a processor each time.
#[derive(Default)]
pub(super) struct KeyCache(Mutex<HashMap<[u8; 32], SecretText>>);

/// Why a private key cannot be used.
enum BadKey {
    NeedsPassphrase,
    Other(String),
}

/// The ways to log in, in the order in which they are tried; at least one.
pub(super) async fn methods(login: &Login, cache: &KeyCache) -> Result<Vec<Method>, ConnectError> {
    match login {
        Login::Password(password) => {
            let auth = AuthMethod::with_password(password.reveal());
            Ok(vec![Method { auth, shown: "the password".to_owned() }])
        }
        Login::PrivateKey { key, passphrase, .. } => {
            let shown = "the private key of its credential".to_owned();
            Ok(vec![key_method(cache, key.clone(), passphrase.clone(), shown).await?])
        }
        Login::KeyFile { path, passphrase } => {
            let path = expand_home(path);
            let shown = format!("the key in {}", path.display());
            let key = read(&path).await.map_err(|error| auth(format!("cannot read {shown}: {error}")))?;
            Ok(vec![key_method(cache, key, passphrase.clone(), shown).await?])
        }
        Login::Agent => match agent().await {
            Ok(method) => Ok(vec![method]),
            Err(cause) => Err(auth(format!("cannot log in with the agent: {cause}"))),
        },
        Login::Default => default(cache).await,
    }
}

async fn default(cache: &KeyCache) -> Result<Vec<Method>, ConnectError> {
    let mut methods = Vec::new();
    let mut tried = Vec::new();
    match agent().await {
        Ok(method) => methods.push(method),
        Err(cause) => tried.push(cause),
    }
    for file in DEFAULT_KEYS {
        let path = expand_home(Path::new(file));
        let shown = format!("the key in {file}");
        match read(&path).await {
            Ok(key) => match decrypted(cache, key, None).await {
                Ok(key) => methods.push(Method { auth: AuthMethod::with_key(key.reveal(), None), shown }),
                Err(BadKey::NeedsPassphrase) => tried.push(format!("{file} needs a passphrase")),
                Err(BadKey::Other(cause)) => tried.push(format!("{file} is not usable: {cause}")),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => tried.push(format!("no {file}")),
            Err(error) => tried.push(format!("cannot read {file}: {error}")),
        }
    }
    if methods.is_empty() {
        let tried = tried.join(", ");
        return Err(auth(format!("there is nothing to log in with: {tried}; give the host a credential")));
    }
    Ok(methods)
}

/// The agent, if it answers and has keys.
async fn agent() -> Result<Method, String> {
    if std::env::var_os("SSH_AUTH_SOCK").is_none() {
        return Err("no agent (SSH_AUTH_SOCK is not set)".to_owned());
    }
    let keys = tokio::time::timeout(AGENT, async {
        let mut agent = AgentClient::connect_env().await?;
        agent.request_identities().await
    });
    match keys.await {
        Ok(Ok(keys)) if keys.is_empty() => Err("the agent has no keys (ssh-add adds some)".to_owned()),
        Ok(Ok(_)) => Ok(Method { auth: AuthMethod::with_agent(), shown: "the keys of the agent".to_owned() }),
        Ok(Err(error)) => Err(format!("the agent at SSH_AUTH_SOCK does not answer: {error}")),
        Err(_) => Err(format!("the agent at SSH_AUTH_SOCK does not answer within {AGENT:?}")),
    }
}

async fn key_method(
    cache: &KeyCache,
    key: SecretText,
    passphrase: Option<SecretText>,
    shown: String,
) -> Result<Method, ConnectError> {
    match decrypted(cache, key, passphrase).await {
        Ok(key) => Ok(Method { auth: AuthMethod::with_key(key.reveal(), None), shown }),
        Err(BadKey::NeedsPassphrase) => Err(auth(format!("{shown} needs a passphrase, and none is given"))),
        Err(BadKey::Other(cause)) => Err(auth(format!("cannot use {shown}: {cause}"))),
    }
}

/// The key without its passphrase.
async fn decrypted(cache: &KeyCache, key: SecretText, passphrase: Option<SecretText>) -> Result<SecretText, BadKey> {
    let mut digest = Sha256::new();
    digest.update((key.reveal().len() as u64).to_be_bytes());
    digest.update(key.reveal());
    digest.update(passphrase.as_ref().map_or("", |passphrase| passphrase.reveal()));
    let id: [u8; 32] = digest.finalize().into();
    if let Some(known) = cache.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
        return Ok(known.clone());
    }
    let plain = tokio::task::spawn_blocking(move || decrypt(&key, passphrase.as_ref()))
        .await
        .map_err(|_| BadKey::Other("it could not be decrypted".to_owned()))??;
    let mut keys = cache.0.lock().unwrap_or_else(PoisonError::into_inner);
    if keys.len() >= MOST_KEYS {
        keys.clear();
    }
    keys.insert(id, plain.clone());
    Ok(plain)
}

fn decrypt(key: &SecretText, passphrase: Option<&SecretText>) -> Result<SecretText, BadKey> {
    let decoded = decode_secret_key(key.reveal(), passphrase.map(SecretText::reveal));
    let decoded: PrivateKey = decoded.map_err(|error| match (error, passphrase) {
        (russh::keys::Error::KeyIsEncrypted, None) => BadKey::NeedsPassphrase,
        (_, Some(_)) => {
            BadKey::Other("the passphrase is wrong, or it is not a private key in OpenSSH or PEM form".to_owned())
        }
        (_, None) => BadKey::Other("it is not a private key in OpenSSH or PEM form".to_owned()),
    })?;
    let mut text =
        decoded.to_openssh(LineEnding::LF).map_err(|_| BadKey::Other("its kind is not supported".to_owned()))?;
    Ok(SecretText::new(std::mem::take(&mut *text)))
}

async fn read(path: &PathBuf) -> std::io::Result<SecretText> {
    tokio::fs::read_to_string(path).await.map(SecretText::new)
}

fn auth(detail: String) -> ConnectError {
    ConnectError::Auth { detail }
}
