//! Which keys of a host are recorded, and whether the one it shows is good enough.
//!
//! The `known_hosts` format is sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, Marker};
use sha1::Sha1;

use super::KeyStanding;
use crate::model::{HostKeyPolicy, PublicKey};

/// What is recorded of a host's keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Its keys, revoked ones among them.
    pub keys: Vec<PublicKey>,
    /// Keys it must not show.
    pub revoked: Vec<PublicKey>,
    /// Where the keys stand, for messages.
    pub source: String,
    /// Where the revoked ones stand, for messages.
    pub revoked_in: String,
}

impl Recorded {
    /// The keys that it may show: those that are not revoked.
    pub fn trusted(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter().filter(|key| !self.revoked.contains(key))
    }
}

/// How the key that a host shows stands to what is recorded.
pub fn standing(recorded: &Recorded, offered: &PublicKey) -> KeyStanding {
    if recorded.revoked.contains(offered) {
        KeyStanding::Revoked
    } else if recorded.keys.contains(offered) {
        KeyStanding::Recorded
    } else if recorded.keys.is_empty() {
        KeyStanding::Unknown
    } else {
        KeyStanding::Changed { recorded: recorded.keys.clone(), source: recorded.source.clone() }
    }
}

/// Judges the key that a host shows: it must be a recorded one, or, where none is recorded, the policy must let it be
/// learnt. The error says why it is refused, with all fingerprints, in one line.
pub fn judge(host: &str, recorded: &Recorded, policy: HostKeyPolicy, offered: &PublicKey) -> Result<(), String> {
    let shown = describe(offered);
    match (standing(recorded, offered), policy) {
        (KeyStanding::Recorded, _) | (KeyStanding::Unknown, HostKeyPolicy::AcceptNew) => Ok(()),
        (KeyStanding::Revoked, _) => Err(format!(
            "the key of host {host} is revoked in {}: it showed {shown}; do not trust it",
            recorded.revoked_in
        )),
        (KeyStanding::Changed { recorded, source }, _) => {
            let known: Vec<String> = recorded.iter().map(describe).collect();
            Err(format!(
                "the key of host {host} has changed: it showed {shown}, recorded in {source} is {}; if the host was \
                 reinstalled, compare the new one with the host itself, then: alf host trust {host} --expect {}; \
                 otherwise somebody may be listening",
                known.join(" and "),
                offered.fingerprint()
            ))
        }
        (KeyStanding::Unknown, HostKeyPolicy::Strict) => Err(format!(
            "the key of host {host} is not recorded, and its policy is strict: it showed {shown}; compare that with \
             the host itself, then put \"{offered}\" into host_key.keys"
        )),
    }
}

fn describe(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint())
}

/// What is recorded of a host: the keys `given` with it, if there are any, else those of the `known_hosts` files; and
/// what those have revoked. A revoked key stays among the keys: it makes every other one a changed one.
pub async fn recorded(given: &[PublicKey], files: &[PathBuf], address: &str, port: u16) -> Result<Recorded, String> {
    let mut recorded = recorded_in(files, address, port).await?;
    if !given.is_empty() {
        recorded.keys = given.to_vec();
        recorded.source = "its definition".to_owned();
    }
    Ok(recorded)
}

/// Reads what `known_hosts` files have recorded. A file that is not there has recorded nothing; one that cannot be
/// read is an error, because it might hold the very key that protects us.
pub async fn recorded_in(files: &[PathBuf], address: &str, port: u16) -> Result<Recorded, String> {
    let mut recorded = Recorded::default();
    let (mut sources, mut revoked_in) = (Vec::new(), Vec::new());
    for file in files {
        let file = expand_home(file);
        let bytes = match tokio::fs::read(&file).await {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
            Err(error) => {
                return Err(format!(
                    "cannot read {}: {error}; make it readable, or take it out of ssh.known_hosts",
                    file.display()
                ));
            }
        };
        let found = lookup(&String::from_utf8_lossy(&bytes), address, port);
        for line in found.malformed {
            log::warn!("{} line {line} is not understood and ignored", file.display());
        }
        if !found.keys.is_empty() {
            sources.push(file.display().to_string());
        }
        if !found.revoked.is_empty() {
            revoked_in.push(file.display().to_string());
        }
        recorded.keys.extend(found.keys);
        recorded.revoked.extend(found.revoked);
    }
    recorded.source = sources.join(" and ");
    recorded.revoked_in = revoked_in.join(" and ");
    Ok(recorded)
}

/// `~/…` as the OS user's home.
pub(super) fn expand_home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_path_buf(),
    }
}

/// What the text of a `known_hosts` file says of a host.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Its keys, in the file's order.
    pub keys: Vec<PublicKey>,
    /// Its revoked keys.
    pub revoked: Vec<PublicKey>,
    /// Numbers of the lines that are not understood.
    pub malformed: Vec<usize>,
}

/// Looks a host up in the text of a `known_hosts` file.
pub fn lookup(text: &str, address: &str, port: u16) -> Found {
    let address = address.to_ascii_lowercase();
    let host = if port == 22 { address } else { format!("[{address}]:{port}") };
    let mut found = Found::default();
    for (number, line) in text.lines().enumerate() {
        // Fields may be parted by any blanks; the parser wants one.
        let line = line.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Ok(entry) = line.parse::<Entry>() else {
            found.malformed.push(number + 1);
            continue;
        };
        if entry.marker() == Some(&Marker::CertAuthority) || !matches(entry.host_patterns(), &host) {
            continue;
        }
        let key = entry.public_key().to_bytes().ok().and_then(|blob| PublicKey::from_blob(&blob).ok());
        match (key, entry.marker()) {
            (Some(key), Some(Marker::Revoked)) => found.revoked.push(key),
            (Some(key), _) => found.keys.push(key),
            (None, _) => found.malformed.push(number + 1),
        }
    }
    found
}

/// Whether a line is for `host`, which is a name or `[name]:port`.
fn matches(patterns: &HostPatterns, host: &str) -> bool {
    match patterns {
        HostPatterns::HashedName { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
            .is_ok_and(|mac| mac.chain_update(host.as_bytes()).verify_slice(hash).is_ok()),
        HostPatterns::Patterns(patterns) => {
            let mut any = false;
            for pattern in patterns {
                let pattern = pattern.to_ascii_lowercase();
                match pattern.strip_prefix('!') {
                    Some(not) if wildcard(not.as_bytes(), host.as_bytes()) => return false,
                    Some(_) => {}
                    None => any |= wildcard(pattern.as_bytes(), host.as_bytes()),
                }
            }
            any
        }
    }
}

/// Whether a text fits a pattern in which `*` is any text and `?` is any character.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests;
