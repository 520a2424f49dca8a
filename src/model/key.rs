//! Keys: who may call the API. Only a hash of a key is kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use super::definition::{Defaults, Definition, Meta, Secrets, document};
use super::{Fault, Faults, Noun, SecretText};

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads, and runs defined tasks.
    Operator,
    /// All.
    Admin,
}

/// A key to the API.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The common fields.
    pub meta: Meta,
    /// What it may do.
    pub role: Role,
    /// Whether it may run anything on hosts, not only defined tasks. An admin always may.
    pub exec: bool,
    /// SHA-256 of the key in base64: a key has 256 random bits, so a slow hash would protect nothing.
    hash: SecretText,
}

/// What is compared of a key that somebody shows: its SHA-256, computed once however many keys there are.
pub struct KeyDigest(String);

impl KeyDigest {
    /// Of a key as it was shown.
    pub fn of(shown: &str) -> Self {
        Self(hash_of(shown))
    }
}

impl Key {
    /// Whether this is the key somebody shows; takes the same time whether or not.
    pub fn is(&self, shown: &KeyDigest) -> bool {
        self.hash.reveal().as_bytes().ct_eq(shown.0.as_bytes()).into()
    }
}

/// How a key is kept.
fn hash_of(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(key.as_bytes()))
}

document! {
    /// A key as a document.
    pub struct KeyDocument {
        /// What it may do.
        pub role: Option<Role>,
        /// Whether it may run anything on hosts, not only defined tasks. An admin always may.
        pub exec: Option<bool>,
        /// The hash of a new key; never on the wire.
        #[serde(skip)]
        pub hash: Option<SecretText>,
    }
}

impl KeyDocument {
    /// Gives the document the key whose hash is to be kept.
    pub fn set_key(&mut self, key: &SecretText) {
        self.hash = Some(SecretText::new(hash_of(key.reveal())));
    }
}

impl Definition for Key {
    const NOUN: Noun = Noun::Key;
    type Document = KeyDocument;

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn check(mut document: KeyDocument, kept: &Secrets, _: &Defaults) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let meta = document.take_meta(Noun::Key, None, &mut faults);
        let role = faults.require("/role", document.role);
        if document.role == Some(Role::Viewer) && document.exec == Some(true) {
            faults.add("/exec", "needs the role operator or admin");
        }
        let exec = document.exec.unwrap_or(false) || document.role == Some(Role::Admin);
        let hash = document.hash.or_else(|| kept.get("hash").cloned());
        if hash.is_none() {
            faults.add("", "a key is made with POST /api/v1/keys, which shows it once");
        }
        let key = meta.zip(role).zip(hash).map(|((meta, role), hash)| Self { meta, role, exec, hash });
        faults.into_result(key)
    }

    fn document(&self) -> KeyDocument {
        KeyDocument { role: Some(self.role), exec: Some(self.exec), ..KeyDocument::with_meta(&self.meta) }
    }

    fn secrets(&self) -> Secrets {
        Secrets::from([("hash".to_owned(), self.hash.clone())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_opens() {
        let mut document: KeyDocument = serde_json::from_str(r#"{"name":"k","role":"admin"}"#).unwrap();
        document.set_key(&SecretText::new("alf_right".to_owned()));
        let key = Key::check(document, &Secrets::new(), &Defaults::default()).unwrap();
        assert!(key.is(&KeyDigest::of("alf_right")));
        assert!(!key.is(&KeyDigest::of("alf_wrong")) && !key.is(&KeyDigest::of("")));
        let shown = serde_json::to_string(&key.document()).unwrap();
        assert!(!shown.contains("hash") && !shown.contains(key.hash.reveal()));
    }
}
