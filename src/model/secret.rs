//! Secrets: texts that are never shown, logged or stored in the clear.

use std::fmt;
use std::sync::Arc;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// A secret text: overwritten in memory when dropped, shown nowhere. It has no `Serialize` on purpose.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Arc<Zeroizing<String>>);

impl SecretText {
    /// Takes a text as a secret.
    pub fn new(text: String) -> Self {
        Self(Arc::new(Zeroizing::new(text)))
    }

    /// The clear text: only for what logs in or encrypts with it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// A secret as it stands in a document: a text when written, `{"set": true}` when read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretField {
    /// A new value.
    New(SecretText),
    /// `{"set": true}`: the value that is already there stays.
    Kept,
}

impl Serialize for SecretField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut shown = serializer.serialize_struct("set", 1)?;
        shown.serialize_field("set", &true)?;
        shown.end()
    }
}

impl<'de> Deserialize<'de> for SecretField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = SecretField;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or {\"set\": true} to keep the value that is there")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretField, E> {
        Ok(SecretField::New(SecretText::new(text.to_owned())))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<SecretField, E> {
        Ok(SecretField::New(SecretText::new(text)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretField, A::Error> {
        let mut set = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != "set" {
                return Err(de::Error::unknown_field(&key, &["set"]));
            }
            set = Some(map.next_value::<SetFlag>()?.0);
        }
        match set {
            Some(true) => Ok(SecretField::Kept),
            _ => Err(de::Error::custom("expected a text, or {\"set\": true} to keep the value that is there")),
        }
    }
}

/// A boolean that XML may also give as text.
struct SetFlag(bool);

impl<'de> Deserialize<'de> for SetFlag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bool::deserialize(deserializer).map(Self)
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
    }

    #[test]
    fn a_secret_is_read_as_text_or_kept() {
        let new: SecretField = serde_json::from_str(r#""hunter2""#).unwrap();
        assert_eq!(new, SecretField::New(SecretText::new("hunter2".to_owned())));
        let kept: SecretField = serde_json::from_str(r#"{"set":true}"#).unwrap();
        assert_eq!(kept, SecretField::Kept);
        for bad in [r#"{"set":false}"#, "{}", "1", r#"{"sat":true}"#] {
            assert!(serde_json::from_str::<SecretField>(bad).is_err(), "{bad}");
        }
    }
}
