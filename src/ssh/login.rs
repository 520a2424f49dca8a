//! The ways to log in that a target offers, each ready to be used.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Certificate, PrivateKey, decode_secret_key};
use sha2::{Digest, Sha256};

use super::host_keys::expand_home;
use super::{ConnectError, Login, agent, certificate};
use crate::model::SecretText;

/// Keys tried when no credential is named, in OpenSSH's order of preference by strength.
const DEFAULT_KEYS: [&str; 3] = ["~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"];

/// Keys kept decrypted at most.
const MOST_KEYS: usize = 1000;

/// One way to log in.
pub(super) enum Method {
    /// A password, for a host that asks for one.
    Password(SecretText),
    /// A key.
    Key(Box<Key>),
    /// The keys of the agent.
    Agent(Vec<AgentIdentity>),
}

/// A private key that can be used.
pub(super) struct Key {
    /// For messages: `the key in …`.
    pub(super) shown: String,
    /// In OpenSSH form without a passphrase.
    pub(super) plain: SecretText,
    /// What goes with it. One that stands beside a key file is not all there is to it: the key alone may be tried too.
    pub(super) certificate: Option<Certificate>,
}

impl Key {
    /// The key itself.
    pub(super) fn private(&self) -> Result<PrivateKey, String> {
        decode_secret_key(self.plain.reveal(), None).map_err(|error| format!("cannot use {}: {error}", self.shown))
    }
}

/// Private keys that were decrypted before: the key derivation takes a tenth of a second of a processor each time.
#[derive(Default)]
pub(super) struct KeyCache(Mutex<HashMap<[u8; 32], SecretText>>);

/// Why a private key cannot be used.
enum BadKey {
    NeedsPassphrase,
    Other(String),
}

/// The ways to log in at this time, in the order in which they are tried; at least one.
pub(super) async fn methods(login: &Login, cache: &KeyCache, now: DateTime<Utc>) -> Result<Vec<Method>, ConnectError> {
    match login {
        Login::Password(password) => Ok(vec![Method::Password(password.clone())]),
        Login::PrivateKey { key, passphrase, certificate } => {
            let shown = "the private key of its credential".to_owned();
            let plain = usable(cache, key.clone(), passphrase.clone(), &shown).await?;
            let mut key = Key { shown, plain, certificate: None };
            if let Some(text) = certificate {
                let private = key.private().map_err(auth)?;
                let checked = certificate::usable(text, &private, now);
                key.certificate =
                    Some(checked.map_err(|cause| auth(format!("the certificate of its credential {cause}")))?);
                key.shown = "the certificate of its credential".to_owned();
            }
            Ok(vec![Method::Key(Box::new(key))])
        }
        Login::KeyFile { path, passphrase } => {
            let path = expand_home(path);
            let shown = format!("the key in {}", path.display());
            let key = read(&path).await.map_err(|error| auth(format!("cannot read {shown}: {error}")))?;
            let plain = usable(cache, key, passphrase.clone(), &shown).await?;
            Ok(with_certificate(&path, Key { shown, plain, certificate: None }, now).await)
        }
        Login::Agent => match agent::identities().await {
            Ok(keys) => Ok(vec![Method::Agent(keys)]),
            Err(cause) => Err(auth(format!("cannot log in with the agent: {cause}"))),
        },
        Login::Default => default(cache, now).await,
    }
}

async fn default(cache: &KeyCache, now: DateTime<Utc>) -> Result<Vec<Method>, ConnectError> {
    let mut methods = Vec::new();
    let mut tried = Vec::new();
    match agent::identities().await {
        Ok(keys) => methods.push(Method::Agent(keys)),
        Err(cause) => tried.push(cause),
    }
    for file in DEFAULT_KEYS {
        let path = expand_home(Path::new(file));
        let shown = format!("the key in {file}");
        match read(&path).await {
            Ok(key) => match decrypted(cache, key, None).await {
                Ok(plain) => {
                    methods.extend(with_certificate(&path, Key { shown, plain, certificate: None }, now).await);
                }
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

/// The key of a file, and before it the certificate that stands beside it as `…-cert.pub`, if it can be used
/// (ssh(1), `-i identity_file`).
async fn with_certificate(path: &Path, key: Key, now: DateTime<Utc>) -> Vec<Method> {
    let mut beside = path.as_os_str().to_owned();
    beside.push("-cert.pub");
    let beside = PathBuf::from(beside);
    let mut methods = Vec::new();
    if let Ok(text) = tokio::fs::read_to_string(&beside).await
        && let Ok(private) = key.private()
    {
        match certificate::usable(&text, &private, now) {
            Ok(certificate) => {
                let shown = format!("the certificate in {}", beside.display());
                let certified = Key { shown, plain: key.plain.clone(), certificate: Some(certificate) };
                methods.push(Method::Key(Box::new(certified)));
            }
            Err(cause) => log::warn!("the certificate in {} {cause}; not used", beside.display()),
        }
    }
    methods.push(Method::Key(Box::new(key)));
    methods
}

async fn usable(
    cache: &KeyCache,
    key: SecretText,
    passphrase: Option<SecretText>,
    shown: &str,
) -> Result<SecretText, ConnectError> {
    decrypted(cache, key, passphrase).await.map_err(|why| match why {
        BadKey::NeedsPassphrase => auth(format!("{shown} needs a passphrase, and none is given")),
        BadKey::Other(cause) => auth(format!("cannot use {shown}: {cause}")),
    })
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
