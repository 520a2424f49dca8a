//! Host keys: by which a host proves that it is the one we mean.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// What to do with a host whose key nobody has recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HostKeyPolicy {
    /// Refuse it.
    Strict,
    /// Learn its key at first contact and hold it to that key from then on.
    #[default]
    AcceptNew,
}

/// A public key in OpenSSH's one-line form, `ssh-ed25519 AAAA…` (RFC 4253 section 6.6 behind base64), without comment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey {
    algorithm: String,
    blob: Vec<u8>,
}

/// What is wrong with a text that should be a public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PublicKeyError(String);

impl PublicKey {
    /// Takes a key as it comes over the wire; the blob names its own algorithm first.
    pub fn from_blob(blob: &[u8]) -> Result<Self, PublicKeyError> {
        let malformed = || PublicKeyError("a public key must begin with the name of its algorithm".to_owned());
        let (length, rest) = blob.split_first_chunk::<4>().ok_or_else(malformed)?;
        let length = u32::from_be_bytes(*length) as usize;
        let name = rest.get(..length).filter(|_| length <= 64).ok_or_else(malformed)?;
        let algorithm = std::str::from_utf8(name).map_err(|_| malformed())?.to_owned();
        if algorithm.is_empty() || rest.len() == length {
            return Err(malformed());
        }
        Ok(Self { algorithm, blob: blob.to_vec() })
    }

    /// The key's algorithm, for example `ssh-ed25519`.
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// The key as it comes over the wire.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The blob in base64, as it stands in `known_hosts` files.
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.blob)
    }

    /// `SHA256:…`, as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&self.blob)))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, self.base64())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, self.fingerprint())
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        let mut words = text.split_ascii_whitespace();
        let (Some(algorithm), Some(blob)) = (words.next(), words.next()) else {
            return Err(PublicKeyError("expected a public key as \"ssh-ed25519 AAAA…\"".to_owned()));
        };
        let blob = STANDARD
            .decode(blob)
            .map_err(|error| PublicKeyError(format!("the key's second word is not base64: {error}")))?;
        let key = Self::from_blob(&blob)?;
        if key.algorithm != algorithm {
            return Err(PublicKeyError(format!(
                "the key says \"{}\" in front and \"{}\" inside",
                algorithm.escape_default().take(40).collect::<String>(),
                key.algorithm.escape_default()
            )));
        }
        Ok(key)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    #[test]
    fn a_key_is_read_and_shown() {
        let key: PublicKey = format!("{KEY} somebody@somewhere").parse().unwrap();
        assert_eq!(key.to_string(), KEY);
        assert_eq!(key.algorithm(), "ssh-ed25519");
        assert!(key.fingerprint().starts_with("SHA256:"));
        assert_eq!(key.fingerprint().len(), 50);
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        for bad in ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-ed25519 AAAA", &KEY.replace("ssh-ed25519 ", "ssh-rsa ")]
        {
            assert!(bad.parse::<PublicKey>().is_err(), "{bad}");
        }
    }
}
