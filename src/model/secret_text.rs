//! Secret texts: never shown, logged or stored in the clear.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::Name;
use super::text_value::{SecretForm, TextVisitor, serialize_reference};

/// A line of a secret that is shorter, such as a bracket, tells nothing.
const TELLING: usize = 4;

/// A secret text: overwritten in memory when dropped, shown nowhere. It has no `Serialize` on purpose.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Arc<Zeroizing<String>>);

impl SecretText {
    /// Takes a text as a secret.
    pub fn new(text: String) -> Self {
        Self(Arc::new(Zeroizing::new(text)))
    }

    /// The clear text: only for what logs in, encrypts or runs with it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// A message without the secret, should what it quotes hold it, or a line of it.
    pub fn hide_in(&self, message: &str) -> String {
        let lines = self.0.lines().filter(|line| line.len() >= TELLING);
        let parts = [self.reveal()].into_iter().filter(|whole| !whole.is_empty()).chain(lines);
        parts.fold(message.to_owned(), |message, part| message.replace(part, "…"))
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// A secret as it stands in a document: a text when written, `{"set": true}` when read; or the name of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretField {
    /// A new value.
    New(SecretText),
    /// `{"set": true}`: the value that is already there stays.
    Kept,
    /// `{"secret": NAME}`: that of a secret.
    Secret(Name),
}

impl SecretField {
    /// The secret it names.
    pub(super) fn secret(&self) -> Option<&Name> {
        match self {
            Self::Secret(name) => Some(name),
            Self::New(_) | Self::Kept => None,
        }
    }
}

impl Serialize for SecretField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Self::Secret(name) = self {
            return serialize_reference(name, serializer);
        }
        let mut shown = serializer.serialize_struct("set", 1)?;
        shown.serialize_field("set", &true)?;
        shown.end()
    }
}

impl<'de> Deserialize<'de> for SecretField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor(PhantomData))
    }
}

impl SecretForm for SecretField {
    const EXPECTED: &str = "a text, {\"secret\": NAME}, or {\"set\": true} to keep the value that is there";
    const MAY_BE_KEPT: bool = true;

    fn text(text: String) -> Self {
        Self::New(SecretText::new(text))
    }

    fn secret(name: Name) -> Self {
        Self::Secret(name)
    }

    fn kept() -> Option<Self> {
        Some(Self::Kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let field = SecretField::New(SecretText::new("hunter2".to_owned()));
        assert_eq!(serde_json::to_string(&field).unwrap(), r#"{"set":true}"#);
        assert!(!format!("{field:?}").contains("hunter2"));
        let secret = SecretText::new("hunter2".to_owned());
        assert_eq!(secret.hide_in("it said: hunter2, hunter"), "it said: …, hunter");
        let lines = SecretText::new("{\nhunter2\n}".to_owned());
        assert_eq!(lines.hide_in("sh: {hunter2}"), "sh: {…}");
        assert_eq!(SecretText::new(String::new()).hide_in("as it is"), "as it is");
    }

    #[test]
    fn a_secret_is_read_as_text_or_kept_or_named() {
        let read = |json: &str| serde_json::from_str::<SecretField>(json);
        assert_eq!(read(r#""hunter2""#).unwrap(), SecretField::New(SecretText::new("hunter2".to_owned())));
        assert_eq!(read(r#"{"set":true}"#).unwrap(), SecretField::Kept);
        let named = SecretField::Secret(Name::parse("token").unwrap());
        // A merge patch leaves the one beside the other.
        for json in [r#"{"secret":"token"}"#, r#"{"set":true,"secret":"token"}"#] {
            assert_eq!(read(json).unwrap(), named);
        }
        assert_eq!(serde_json::to_string(&named).unwrap(), r#"{"secret":"token"}"#);
        for bad in [r#"{"set":false}"#, "{}", "4711", r#"{"sat":true}"#, r#"{"set":"4711"}"#, r#"{"secret":"a b"}"#] {
            let error = read(bad).unwrap_err().to_string();
            assert!(!error.contains("4711") && !error.contains("a b"), "{error}");
        }
    }
}
