//! JSON (RFC 8259) → document tree.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::error::FormatError;
use super::node::{Kind, Node};
use super::wording::excerpt;
use super::{MAX_DEPTH, MAX_VALUES};

/// Reads a JSON text. A byte order mark is passed over.
///
/// # Errors
/// Not UTF-8, not well-formed, the same key twice in one object, nested deeper than [`MAX_DEPTH`], more than
/// [`MAX_VALUES`] values.
pub fn parse_json(bytes: &[u8]) -> Result<Node, FormatError> {
    let text = std::str::from_utf8(bytes).map_err(|error| FormatError::NotUtf8 { offset: error.valid_up_to() })?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let bounds = Bounds::default();
    let mut source = serde_json::Deserializer::from_str(text);
    let node =
        Value { depth: 0, bounds: &bounds }.deserialize(&mut source).map_err(|error| refusal(&error, &bounds))?;
    source.end().map_err(|error| refusal(&error, &bounds))?;
    Ok(node)
}

/// What is counted over the whole document, and which count went too far.
#[derive(Default)]
struct Bounds {
    values: Cell<usize>,
    too_deep: Cell<bool>,
    too_many: Cell<bool>,
}

fn refusal(error: &serde_json::Error, bounds: &Bounds) -> FormatError {
    let (line, column) = (error.line(), error.column().max(1));
    if bounds.too_deep.get() {
        return FormatError::TooDeep { line, column };
    }
    if bounds.too_many.get() {
        return FormatError::TooManyValues;
    }
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    let detail = message.strip_suffix(&position).unwrap_or(&message).to_owned();
    FormatError::NotWellFormed { format: "JSON", line, column, detail }
}

/// Reads one value, `depth` lists and objects down.
#[derive(Clone, Copy)]
struct Value<'a> {
    depth: usize,
    bounds: &'a Bounds,
}

impl Value<'_> {
    /// For what a list or an object holds.
    fn within<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            self.bounds.too_deep.set(true);
            return Err(E::custom("too deep"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Node, D::Error> {
        let values = self.bounds.values.get() + 1;
        self.bounds.values.set(values);
        if values > MAX_VALUES {
            self.bounds.too_many.set(true);
            return Err(D::Error::custom("too many"));
        }
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::new(Kind::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::new(Kind::Bool(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::new(Kind::Unsigned(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::new(Kind::Signed(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::new(Kind::Float(value)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::new(Kind::Text(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Node::new(Kind::Text(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<Node, A::Error> {
        let seed = self.within()?;
        let mut items = Vec::new();
        while let Some(item) = source.next_element_seed(seed)? {
            items.push(item);
        }
        Ok(Node::new(Kind::List(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<Node, A::Error> {
        let seed = self.within()?;
        let mut seen = HashSet::new();
        let mut fields = Vec::new();
        while let Some(key) = source.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format_args!("the key \"{}\" is given twice", excerpt(&key))));
            }
            fields.push((key, source.next_value_seed(seed)?));
        }
        Ok(Node::new(Kind::Map(fields)))
    }
}
