//! Labels: free text on a definition, by which selectors choose hosts.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A map of free text; keys hold none of `,=!()@`, no white space at the ends, and are not empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// The value of a label.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// All labels, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Takes pairs as labels; the message names the first key that is not allowed.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, String> {
        let mut labels = BTreeMap::new();
        for (key, value) in pairs {
            let key = key.into();
            check_key(&key)?;
            labels.insert(key, value.into());
        }
        Ok(Self(labels))
    }
}

/// Whether a text may be the key of a label.
pub(super) fn check_key(key: &str) -> Result<(), String> {
    let shown: String = key.chars().take(40).flat_map(char::escape_debug).collect();
    if key.is_empty() || key.trim() != key {
        return Err(format!("label key \"{shown}\" must not be empty nor begin or end with white space"));
    }
    if key.len() > 256 {
        return Err(format!("label key \"{shown}…\" is longer than 256 bytes"));
    }
    match key.chars().find(|c| ",=!()@".contains(*c)) {
        Some(c) => Err(format!("label key \"{shown}\" holds \"{c}\"; none of , = ! ( ) @ is allowed")),
        None => Ok(()),
    }
}

/// A key that is checked where it stands, so that its fault has its pointer.
struct LabelKey(String);

impl<'de> Deserialize<'de> for LabelKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        check_key(&key).map_err(de::Error::custom)?;
        Ok(Self(key))
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LabelsVisitor;
        impl<'de> Visitor<'de> for LabelsVisitor {
            type Value = Labels;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut labels = BTreeMap::new();
                while let Some((LabelKey(key), value)) = map.next_entry()? {
                    labels.insert(key, value);
                }
                Ok(Labels(labels))
            }
        }
        deserializer.deserialize_map(LabelsVisitor)
    }
}
