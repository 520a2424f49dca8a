//! Values that are a text where they stand, or a secret's by its name.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, MapAccess, Unexpected, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Catalog, Name, Noun, Reference, SecretField, SecretText};

/// A text where it stands, or a secret's by its name. What a secret says is looked up each time it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextValue<T = String> {
    /// The text.
    Own(T),
    /// That of a secret.
    Secret(Name),
}

/// A definition names a secret that is not there: it was deleted since.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no secret \"{0}\" any more")]
pub struct NoSecret(Name);

impl<T> TextValue<T> {
    /// The secret it names.
    pub fn secret(&self) -> Option<&Name> {
        match self {
            Self::Own(_) => None,
            Self::Secret(name) => Some(name),
        }
    }

    /// The secret it names, with the pointer of where it stands.
    pub fn reference(&self, pointer: &str) -> Option<(String, Reference)> {
        Reference::to(Noun::Secret, pointer, self.secret())
    }
}

impl TextValue<SecretText> {
    /// The text, whosever it is.
    pub fn reveal(&self, catalog: &Catalog) -> Result<SecretText, NoSecret> {
        match self {
            Self::Own(text) => Ok(text.clone()),
            Self::Secret(name) => catalog.secret(name).cloned().ok_or_else(|| NoSecret(name.clone())),
        }
    }

    /// The clear text, if it stands here.
    pub(super) fn own_secret(&self) -> Option<&str> {
        match self {
            Self::Own(text) => Some(text.reveal()),
            Self::Secret(_) => None,
        }
    }

    /// As readers of its document see it.
    pub(super) fn shown(&self) -> SecretField {
        match self {
            Self::Own(_) => SecretField::Kept,
            Self::Secret(name) => SecretField::Secret(name.clone()),
        }
    }
}

impl TextValue {
    /// The text, if it stands here.
    pub fn own(&self) -> Option<&str> {
        match self {
            Self::Own(text) => Some(text),
            Self::Secret(_) => None,
        }
    }

    /// The text, whosever it is; that of a secret is noted, so that it can be kept out of messages.
    pub fn reveal(&self, catalog: &Catalog, secrets: &mut Vec<SecretText>) -> Result<String, NoSecret> {
        match self {
            Self::Own(text) => Ok(text.clone()),
            Self::Secret(name) => {
                let secret = catalog.secret(name).ok_or_else(|| NoSecret(name.clone()))?;
                secrets.push(secret.clone());
                Ok(secret.reveal().to_owned())
            }
        }
    }
}

impl Serialize for TextValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Own(text) => serializer.serialize_str(text),
            Self::Secret(name) => serialize_reference(name, serializer),
        }
    }
}

/// `{"secret": NAME}`.
pub(super) fn serialize_reference<S: Serializer>(name: &Name, serializer: S) -> Result<S::Ok, S::Error> {
    let mut shown = serializer.serialize_struct("reference", 1)?;
    shown.serialize_field("secret", name)?;
    shown.end()
}

impl<'de> Deserialize<'de> for TextValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor(PhantomData))
    }
}

/// What stands in a document where a text may be secret.
pub(super) trait SecretForm: Sized {
    /// What is allowed, in words.
    const EXPECTED: &str;
    /// Whether it may be `{"set": true}`.
    const MAY_BE_KEPT: bool;

    fn text(text: String) -> Self;
    fn secret(name: Name) -> Self;
    fn kept() -> Option<Self>;
}

impl SecretForm for TextValue {
    const EXPECTED: &str = "a text, or {\"secret\": NAME}";
    const MAY_BE_KEPT: bool = false;

    fn text(text: String) -> Self {
        Self::Own(text)
    }

    fn secret(name: Name) -> Self {
        Self::Secret(name)
    }

    fn kept() -> Option<Self> {
        None
    }
}

/// Reads what may be secret. No message of it repeats what was sent.
pub(super) struct TextVisitor<T>(pub(super) PhantomData<T>);

macro_rules! refused {
    ($($method:ident($kind:ty) $what:literal,)*) => {$(
        fn $method<E: de::Error>(self, _: $kind) -> Result<T, E> {
            Err(E::invalid_type(Unexpected::Other($what), &self))
        }
    )*};
}

impl<'de, T: SecretForm> Visitor<'de> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        Ok(T::text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<T, E> {
        Ok(T::text(text))
    }

    refused! {
        visit_bool(bool) "true or false",
        visit_u64(u64) "a number",
        visit_i64(i64) "a number",
        visit_f64(f64) "a number",
    }

    /// With both fields it is the secret: a merge patch puts one beside the other.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let fields: &'static [&'static str] = if T::MAY_BE_KEPT { &["secret", "set"] } else { &["secret"] };
        let (mut secret, mut set) = (None, false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "secret" => secret = Some(map.next_value::<Quiet<Name>>()?.0),
                "set" if T::MAY_BE_KEPT => set = map.next_value::<Quiet<bool>>()?.0,
                _ => return Err(de::Error::unknown_field("", fields)),
            }
        }
        let kept = if set { T::kept() } else { None };
        secret.map(T::secret).or(kept).ok_or_else(|| de::Error::custom(format!("expected {}", T::EXPECTED)))
    }
}

/// A value that messages do not repeat: it may be a secret in the wrong place.
struct Quiet<T>(T);

impl<'de> Deserialize<'de> for Quiet<Name> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer).ok();
        let name = text.and_then(|text| Name::parse(&text).ok());
        name.map(Self).ok_or_else(|| de::Error::custom("must be the name of a secret"))
    }
}

impl<'de> Deserialize<'de> for Quiet<bool> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bool::deserialize(deserializer).map(Self).map_err(|_| de::Error::custom("must be true"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_or_the_name_of_a_secret() {
        let name = Name::parse("token").unwrap();
        for (json, value) in
            [(r#""plain""#, TextValue::Own("plain".to_owned())), (r#"{"secret":"token"}"#, TextValue::Secret(name))]
        {
            assert_eq!(serde_json::from_str::<TextValue>(json).unwrap(), value);
            assert_eq!(serde_json::to_string(&value).unwrap(), json);
        }
    }

    #[test]
    fn no_message_repeats_what_was_sent() {
        for bad in [
            "4711",
            "true",
            "null",
            r#"["hunter2 4711"]"#,
            r#"{"secret":"hunter2 4711"}"#,
            r#"{"secret":4711}"#,
            r#"{"hunter2 4711":"x"}"#,
            r#"{"secret":{"set":"hunter2 4711"}}"#,
            r#"{"set":true}"#,
            "{}",
        ] {
            let error = serde_json::from_str::<TextValue>(bad).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && !error.contains("4711"), "{error}");
        }
    }
}
