//! A document as it came: unlike `serde_json::Value` it keeps the order of fields, so that what is shown as JSON or
//! YAML begins with the name and not with whatever comes first in the alphabet.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Number;

/// Any JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Doc {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Doc>),
    Map(Vec<(String, Doc)>),
}

impl Doc {
    /// A map of the fields that are there.
    pub(super) fn map(fields: impl IntoIterator<Item = (&'static str, Option<Doc>)>) -> Self {
        Self::Map(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
    }

    /// A field of a map; null counts as none.
    pub(super) fn get(&self, field: &str) -> Option<&Self> {
        let Self::Map(fields) = self else { return None };
        fields.iter().find(|(name, _)| name == field).map(|(_, value)| value).filter(|value| **value != Self::Null)
    }

    /// A text field.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        match self.get(field) {
            Some(Self::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A field that is a whole number.
    pub(super) fn integer(&self, field: &str) -> Option<i64> {
        match self.get(field) {
            Some(Self::Number(number)) => number.as_i64(),
            _ => None,
        }
    }

    /// Whether a field is true.
    pub(super) fn is(&self, field: &str) -> bool {
        self.get(field) == Some(&Self::Bool(true))
    }

    /// The elements of a field that is a list.
    pub(super) fn list(&self, field: &str) -> &[Self] {
        match self.get(field) {
            Some(Self::List(items)) => items,
            _ => &[],
        }
    }

    /// In one line, as a person would write it: texts bare, maps as `key=value,…`, lists as `a,b`.
    pub(super) fn brief(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::List(items) => items.iter().map(Self::brief).collect::<Vec<_>>().join(","),
            Self::Map(fields) => {
                let pairs = fields.iter().map(|(name, value)| format!("{name}={}", value.brief()));
                pairs.collect::<Vec<_>>().join(",")
            }
        }
    }

    /// All leaves, each with its path: `("runs_per_minute.m1", "3.5")`.
    pub(super) fn leaves(&self) -> Vec<(String, String)> {
        let mut leaves = Vec::new();
        self.collect_leaves("", &mut leaves);
        leaves
    }

    fn collect_leaves(&self, path: &str, leaves: &mut Vec<(String, String)>) {
        match self {
            Self::Map(fields) => {
                for (name, value) in fields {
                    let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    value.collect_leaves(&below, leaves);
                }
            }
            other => leaves.push((path.to_owned(), other.brief())),
        }
    }
}

impl From<&str> for Doc {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Doc {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Serialize for Doc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Self::Map(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                fields.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Doc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DocVisitor)
    }
}

struct DocVisitor;

impl<'de> Visitor<'de> for DocVisitor {
    type Value = Doc;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value that JSON can hold")
    }

    fn visit_unit<E>(self) -> Result<Doc, E> {
        Ok(Doc::Null)
    }

    fn visit_none<E>(self) -> Result<Doc, E> {
        Ok(Doc::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Doc, D::Error> {
        Doc::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Doc, E> {
        Ok(Doc::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Doc, E> {
        Ok(Doc::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Doc, E> {
        Ok(Doc::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Doc, E> {
        Number::from_f64(value).map(Doc::Number).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Doc, E> {
        Ok(Doc::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Doc, E> {
        Ok(Doc::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Doc, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Doc::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Doc, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Doc::Map(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_keeps_the_order_of_its_fields() {
        let text = r#"{"name":"web1","address":"a","labels":{"z":"1","b":"2"},"n":[1,-2,2.5,true,null]}"#;
        let doc: Doc = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&doc).unwrap(), text);
        assert_eq!(doc.get("labels").unwrap().brief(), "z=1,b=2");
        assert_eq!(doc.leaves()[2], ("labels.z".to_owned(), "1".to_owned()));
    }
}
