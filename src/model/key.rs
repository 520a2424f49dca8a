//! Keys: who may call the API. Only a hash of a key is kept.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;

use super::definition::{Defaults, Definition, Meta, Secrets, document};
use super::{Fault, Faults, Noun, ReadOnly, SecretText, Selector, Timestamp};

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads, and runs defined tasks.
    Operator,
    /// All.
    Admin,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        })
    }
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
    /// The hosts it may touch; all where there is none.
    pub selector: Option<Selector>,
    /// From when on it is good for nothing.
    pub expires_at: Option<Timestamp>,
    /// SHA-256 of the key in base64: a key has 256 random bits, so a slow hash would protect nothing.
    hash: SecretText,
}

/// What is kept of a key, and compared with what somebody shows: its SHA-256, computed once however many keys there are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyDigest(String);

impl KeyDigest {
    /// Of a key as it was shown.
    pub fn of(shown: &str) -> Self {
        Self(URL_SAFE_NO_PAD.encode(Sha256::digest(shown.as_bytes())))
    }
}

impl Key {
    /// Whether this is the key somebody shows; takes the same time whether or not.
    pub fn is(&self, shown: &KeyDigest) -> bool {
        self.hash.reveal().as_bytes().ct_eq(shown.0.as_bytes()).into()
    }

    /// Whether its time is over.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Refuses a key, made by who has this one, that may do more than it.
    pub(super) fn check_makes(&self, other: &Self) -> Result<(), String> {
        let own = &self.meta.name;
        if other.role > self.role || (other.exec && !self.exec) {
            return Err(format!("the key \"{own}\" makes no key that may do more than itself: role and exec"));
        }
        match self.expires_at {
            Some(end) if other.expires_at.is_none_or(|other| other > end) => Err(format!(
                "the key \"{own}\" makes no key that lives longer than itself: expires_at must be at most {end}"
            )),
            _ => Ok(()),
        }
    }
}

/// What a key is made of.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A new random key, `alf_` and 43 characters: 256 random bits, easy to find for who scans for leaked secrets.
pub fn new_key() -> SecretText {
    let mut key = String::with_capacity(47);
    key.push_str("alf_");
    // 62 does not divide 256: bytes from 248 on would make some characters likelier than others.
    let random = std::iter::repeat_with(rand::random::<u8>).filter(|byte| *byte < 248);
    key.extend(random.take(43).map(|byte| char::from(ALPHABET[usize::from(byte % 62)])));
    SecretText::new(key)
}

document! {
    /// A key as a document.
    pub struct KeyDocument {
        /// What it may do.
        pub role: Option<Role>,
        /// Whether it may run anything on hosts, not only defined tasks. An admin always may.
        pub exec: Option<bool>,
        /// The hosts it may touch; all where there is none.
        pub selector: Option<Selector>,
        /// From when on it is good for nothing.
        pub expires_at: Option<Timestamp>,
        /// When it was last shown, to the minute.
        #[schema(value_type = Option<Timestamp>, read_only)]
        pub last_used_at: ReadOnly<Timestamp>,
        /// The hash of a new key; never on the wire.
        #[serde(skip)]
        pub hash: Option<SecretText>,
    }
}

impl KeyDocument {
    /// Gives the document the key whose hash is to be kept.
    pub fn set_key(&mut self, key: &SecretText) {
        self.set_digest(&KeyDigest::of(key.reveal()));
    }

    /// The same where only its digest is known.
    pub fn set_digest(&mut self, digest: &KeyDigest) {
        self.hash = Some(SecretText::new(digest.0.clone()));
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
        // One that is there keeps its secret, whatever was made for one that is not.
        let hash = kept.get("hash").cloned().or(document.hash);
        if hash.is_none() {
            faults.add("", "a key is made with POST /api/v1/keys or PUT /api/v1/keys/NAME, which show it once");
        }
        let (selector, expires_at) = (document.selector, document.expires_at);
        let key = meta.zip(role).zip(hash);
        let key = key.map(|((meta, role), hash)| Self { meta, role, exec, selector, expires_at, hash });
        faults.into_result(key)
    }

    fn document(&self) -> KeyDocument {
        KeyDocument {
            role: Some(self.role),
            exec: Some(self.exec),
            selector: self.selector.clone(),
            expires_at: self.expires_at,
            ..KeyDocument::with_meta(&self.meta)
        }
    }

    fn secrets(&self) -> Secrets {
        Secrets::from([("hash".to_owned(), self.hash.clone())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_long_and_never_the_same() {
        let (one, other) = (new_key(), new_key());
        assert_eq!(one.reveal().len(), 47);
        assert!(one.reveal().starts_with("alf_"));
        assert_ne!(one.reveal(), other.reveal());
    }

    #[test]
    fn only_the_right_key_opens() {
        let mut document: KeyDocument = serde_json::from_str(r#"{"name":"k","role":"admin"}"#).unwrap();
        document.set_key(&SecretText::new("alf_right".to_owned()));
        let key = Key::check(document, &Secrets::new(), &Defaults::default()).unwrap();
        assert!(key.is(&KeyDigest::of("alf_right")));
        assert!(!key.is(&KeyDigest::of("alf_wrong")) && !key.is(&KeyDigest::of("")));
        let shown = serde_json::to_string(&key.document()).unwrap();
        assert!(!shown.contains("hash") && !shown.contains(key.hash.reveal()));
        let mut replaced: KeyDocument = serde_json::from_str(r#"{"name":"k","role":"viewer"}"#).unwrap();
        replaced.set_key(&SecretText::new("alf_other".to_owned()));
        let replaced = Key::check(replaced, &key.secrets(), &Defaults::default()).unwrap();
        assert!(replaced.is(&KeyDigest::of("alf_right")) && !replaced.is(&KeyDigest::of("alf_other")));
    }
}
