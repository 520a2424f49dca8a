//! Programs: files that tasks run on hosts. A definition says what is in the file; its bytes are kept by their hash.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use super::definition::{Defaults, Definition, Meta, Secrets, document};
use super::{Fault, Faults, Name, Noun};

/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// A file that tasks run on hosts.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// The common fields.
    pub meta: Meta,
    /// What is in it.
    pub content: Content,
}

/// What is in a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// By which its bytes are found.
    pub sha256: ContentHash,
    /// How many there are.
    pub size: u64,
}

impl Content {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self { sha256: ContentHash::of(bytes), size: u64::try_from(bytes.len()).unwrap_or(u64::MAX) }
    }
}

/// The SHA-256 of bytes (FIPS 180-4), 64 hexadecimal digits in lower case. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(Arc<str>);

/// What is wrong with a text that should be a SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a SHA-256: {DIGITS} hexadecimal digits in lower case")]
pub struct ContentHashError;

impl ContentHash {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(DIGITS);
        for byte in Sha256::digest(bytes) {
            for half in [byte >> 4, byte & 0xf] {
                text.extend(char::from_digit(half.into(), 16));
            }
        }
        Self(text.into())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContentHash {
    type Err = ContentHashError;

    fn from_str(text: &str) -> Result<Self, ContentHashError> {
        let legal = text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if legal { Ok(Self(text.into())) } else { Err(ContentHashError) }
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

document! {
    /// A program as a document.
    pub struct ProgramDocument {
        /// SHA-256 of its bytes; who writes a document does not set it.
        #[schema(read_only)]
        pub sha256: Option<ContentHash>,
        /// How many bytes there are; who writes a document does not set it.
        #[schema(read_only)]
        pub size: Option<u64>,
    }
}

impl ProgramDocument {
    /// The fields that follow from the bytes.
    pub const FROM_CONTENT: [&str; 2] = ["sha256", "size"];

    /// For a new program, or one whose bytes are replaced and all else stays.
    pub fn replacing(now: Option<&Program>, name: Option<Name>) -> Self {
        match now {
            Some(program) => Self { sha256: None, size: None, ..program.document() },
            None => Self { name, ..Self::default() },
        }
    }

    /// Gives the document its content.
    pub fn set_content(&mut self, content: Content) {
        (self.sha256, self.size) = (Some(content.sha256), Some(content.size));
    }
}

impl Definition for Program {
    const NOUN: Noun = Noun::Program;
    type Document = ProgramDocument;

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn check(mut document: ProgramDocument, _: &Secrets, _: &Defaults) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let meta = document.take_meta(Noun::Program, None, &mut faults);
        let content = document.sha256.zip(document.size).map(|(sha256, size)| Content { sha256, size });
        if content.as_ref().is_none_or(|content| content.size == 0) {
            faults.add("", "is empty: a program is the bytes of a file, sent with PUT");
        }
        faults.into_result(meta.zip(content).map(|(meta, content)| Self { meta, content }))
    }

    fn keep_left_out(document: &mut ProgramDocument, now: Option<&Self>) {
        (document.sha256, document.size) = (None, None);
        if let Some(now) = now {
            document.set_content(now.content.clone());
        }
    }

    fn document(&self) -> ProgramDocument {
        let mut document = ProgramDocument::with_meta(&self.meta);
        document.set_content(self.content.clone());
        document
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_known_by_its_hash() {
        let content = Content::of(b"abc");
        // FIPS 180-4's own example.
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!((content.sha256.as_str(), content.size), (known, 3));
        assert_eq!(known.parse(), Ok(content.sha256));
        for bad in ["", "ba78", &known.to_uppercase(), &known.replace('b', "g")] {
            assert!(bad.parse::<ContentHash>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_document_comes_back_as_it_was_and_new_bytes_keep_the_rest() {
        let mut document = ProgramDocument { name: Name::parse("probe").ok(), ..ProgramDocument::default() };
        document.title = Some("A probe".to_owned());
        document.set_content(Content::of(b"one"));
        let first = Program::check(document, &Secrets::new(), &Defaults::default()).unwrap();
        let shown = serde_json::to_string(&first.document()).unwrap();
        let again = Program::check(serde_json::from_str(&shown).unwrap(), &Secrets::new(), &Defaults::default());
        assert_eq!(again.unwrap(), first);

        let mut next = ProgramDocument::replacing(Some(&first), None);
        assert!(Program::check(next.clone(), &Secrets::new(), &Defaults::default()).is_err(), "no bytes, no program");
        next.set_content(Content::of(b"two"));
        let next = Program::check(next, &Secrets::new(), &Defaults::default()).unwrap();
        assert_eq!((next.meta.title(), next.content), ("A probe", Content::of(b"two")));
        let mut empty = ProgramDocument::replacing(None, Name::parse("x").ok());
        empty.set_content(Content::of(b""));
        assert!(Program::check(empty, &Secrets::new(), &Defaults::default()).is_err());
    }
}
