//! The document tree that both formats are read into.

use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// A value of a document. What comes from JSON has its type; what comes from XML gets one by the type it is read into.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub(super) kind: Kind,
    /// Faulty, and already reported: what reads the tree passes over it.
    pub(super) removed: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    /// Boxed, as it is much larger than the rest and a document may hold millions of numbers.
    Element(Box<Element>),
}

/// An XML element: a text, a list, a map or a struct, as the type it is read into will say.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Element {
    /// The map key of an `entry`.
    pub(super) key: Option<String>,
    /// `null="true"`: a null that has a place in a list or a map.
    pub(super) null: bool,
    pub(super) children: Vec<(String, Node)>,
    /// The text, decoded; empty when there are children.
    pub(super) text: String,
    /// What is wrong with the element whatever type is asked for, e.g. an unknown attribute.
    pub(super) notes: Vec<String>,
    /// The notes leave no value to read, as with bad base64.
    pub(super) broken: bool,
}

impl Element {
    /// Indentation between tags is nothing, so that an empty list may be written on two lines.
    pub(super) fn is_blank(&self) -> bool {
        self.children.is_empty() && self.text.chars().all(is_xml_space)
    }
}

/// The white space of XML (`S`, XML 1.0 section 2.3): less than Unicode's.
pub(super) fn is_xml_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

impl Node {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, removed: false }
    }

    /// How many values are in the tree, this one included.
    pub(super) fn size(&self) -> usize {
        let within: usize = match &self.kind {
            Kind::List(items) => items.iter().map(Self::size).sum(),
            Kind::Map(fields) => fields.iter().map(|(_, value)| value.size()).sum(),
            Kind::Element(element) => element.children.iter().map(|(_, child)| child.size()).sum(),
            _ => 0,
        };
        within + 1
    }

    pub(super) fn child_mut(&mut self, index: usize) -> Option<&mut Self> {
        match &mut self.kind {
            Kind::List(items) => items.get_mut(index),
            Kind::Map(fields) => fields.get_mut(index).map(|(_, value)| value),
            Kind::Element(element) => element.children.get_mut(index).map(|(_, child)| child),
            _ => None,
        }
    }

    pub(super) fn has_removed_child(&self) -> bool {
        match &self.kind {
            Kind::List(items) => items.iter().any(|item| item.removed),
            Kind::Map(fields) => fields.iter().any(|(_, value)| value.removed),
            Kind::Element(element) => element.children.iter().any(|(_, child)| child.removed),
            _ => false,
        }
    }

    pub(super) fn has_removed_field(&self, name: &str) -> bool {
        self.fields().iter().any(|(field, value)| field == name && value.removed)
    }

    /// Takes a field out as if it had never been there. `path` may lead into objects: `host_key/learned`.
    pub(super) fn drop_field(&mut self, path: &str) {
        let fields = match &mut self.kind {
            Kind::Map(fields) => fields,
            Kind::Element(element) => &mut element.children,
            _ => return,
        };
        match path.split_once('/') {
            None => fields.retain(|(name, _)| name != path),
            Some((first, rest)) => {
                for (_, value) in fields.iter_mut().filter(|(name, _)| name == first) {
                    value.drop_field(rest);
                }
            }
        }
    }

    /// Takes fields out of an object into one of their own, which has none where this is no object.
    pub fn take_fields(&mut self, names: &[&str]) -> Self {
        let chosen = |(name, _): &mut (String, Self)| names.contains(&name.as_str());
        match &mut self.kind {
            Kind::Map(fields) => Self::new(Kind::Map(fields.extract_if(.., chosen).collect())),
            Kind::Element(element) => {
                let children = element.children.extract_if(.., chosen).collect();
                Self::new(Kind::Element(Box::new(Element { children, ..Element::default() })))
            }
            _ => Self::new(Kind::Map(Vec::new())),
        }
    }

    /// The names of the fields of an object.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.fields().iter().map(|(name, _)| name.as_str())
    }

    fn fields(&self) -> &[(String, Self)] {
        match &self.kind {
            Kind::Map(fields) => fields,
            Kind::Element(element) => &element.children,
            _ => &[],
        }
    }
}

/// As JSON, without the fields that are null: as XML leaves them out by itself.
impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.kind {
            Kind::Null => serializer.serialize_unit(),
            Kind::Bool(value) => serializer.serialize_bool(*value),
            Kind::Unsigned(value) => serializer.serialize_u64(*value),
            Kind::Signed(value) => serializer.serialize_i64(*value),
            Kind::Float(value) => serializer.serialize_f64(*value),
            Kind::Text(text) => serializer.serialize_str(text),
            Kind::List(items) => serializer.collect_seq(items),
            Kind::Map(fields) => {
                let there = || fields.iter().filter(|(_, value)| value.kind != Kind::Null);
                let mut map = serializer.serialize_map(Some(there().count()))?;
                there().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
                map.end()
            }
            Kind::Element(element) => serializer.serialize_str(&element.text),
        }
    }
}
