//! The tree as a source of serde: what each kind of value is when a type asks for it.

use serde::de::{Deserializer, Error, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::access::{Fields, Items, Variant};
use super::fault::ReadError;
use super::node::{Element, Kind, Node};
use super::text_reader::TextReader;
use super::wording::{allowed, found};

/// Reads one node.
#[derive(Clone, Copy)]
pub(super) struct NodeReader<'a> {
    node: &'a Node,
}

impl<'a> NodeReader<'a> {
    pub(super) fn new(node: &'a Node) -> Self {
        Self { node }
    }

    /// The value by the type it has in its document, which is how JSON is read.
    fn typed<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::Unsigned(value) => visitor.visit_u64(*value),
            Kind::Signed(value) => visitor.visit_i64(*value),
            Kind::Float(value) => visitor.visit_f64(*value),
            Kind::Text(text) => visitor.visit_str(text),
            Kind::List(items) => visitor.visit_seq(Items::of_list(items)),
            Kind::Map(fields) => visitor.visit_map(Fields::of_map(fields)),
            Kind::Element(element) => guessed(element, visitor),
        }
    }

    /// The element, if that is what it is, after its notes have been reported.
    fn element(self) -> Result<Option<&'a Element>, ReadError> {
        match &self.node.kind {
            Kind::Element(element) if element.notes.is_empty() => Ok(Some(element)),
            Kind::Element(_) => Err(ReadError::notes()),
            _ => Ok(None),
        }
    }

    fn wrong<'de, V: Visitor<'de>>(self, visitor: &V) -> ReadError {
        ReadError::invalid_type(self.unexpected(), visitor)
    }

    /// What it is, where it is not what was wanted.
    fn unexpected(&self) -> Unexpected<'a> {
        match &self.node.kind {
            Kind::Null => Unexpected::Unit,
            Kind::Bool(value) => Unexpected::Bool(*value),
            Kind::Unsigned(value) => Unexpected::Unsigned(*value),
            Kind::Signed(value) => Unexpected::Signed(*value),
            Kind::Float(value) => Unexpected::Float(*value),
            Kind::Text(text) => Unexpected::Str(text),
            Kind::List(_) => Unexpected::Seq,
            Kind::Map(_) => Unexpected::Map,
            Kind::Element(element) => unexpected_element(element),
        }
    }
}

fn wrong_element<'de, V: Visitor<'de>>(element: &Element, visitor: &V) -> ReadError {
    ReadError::invalid_type(unexpected_element(element), visitor)
}

fn unexpected_element(element: &Element) -> Unexpected<'_> {
    match element.children.first() {
        _ if element.null => Unexpected::Unit,
        Some((name, _)) if name == "item" => Unexpected::Seq,
        Some(_) => Unexpected::Map,
        None => Unexpected::Str(&element.text),
    }
}

/// An element for a type that takes whatever there is.
fn guessed<'de, V: Visitor<'de>>(element: &Element, visitor: V) -> Result<V::Value, ReadError> {
    let all_are = |name: &str| element.children.iter().all(|(child, _)| child == name);
    if element.null {
        visitor.visit_unit()
    } else if element.children.is_empty() {
        visitor.visit_str(&element.text)
    } else if all_are("item") {
        visitor.visit_seq(Items::of_elements(&element.children))
    } else if all_are("entry") {
        visitor.visit_map(Fields::of_entries(&element.children))
    } else {
        visitor.visit_map(Fields::of_map(&element.children))
    }
}

fn text_of<'a, 'de, V: Visitor<'de>>(element: &'a Element, visitor: &V) -> Result<TextReader<'a>, ReadError> {
    if element.null || !element.children.is_empty() {
        return Err(wrong_element(element, visitor));
    }
    Ok(TextReader::new(&element.text))
}

/// Only elements and nothing else between them.
fn check_container<'de, V: Visitor<'de>>(element: &Element, visitor: &V) -> Result<(), ReadError> {
    if element.null || (element.children.is_empty() && !element.is_blank()) {
        return Err(wrong_element(element, visitor));
    }
    Ok(())
}

macro_rules! scalars {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            match self.element()? {
                Some(element) => text_of(element, &visitor)?.$method(visitor),
                None => self.typed(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for NodeReader<'_> {
    type Error = ReadError;

    scalars! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.element()?;
        self.typed(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match (&self.node.kind, self.element()?) {
            (Kind::Null, _) => visitor.visit_none(),
            (_, Some(element)) if element.null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.element()? {
            Some(element) if element.is_blank() => visitor.visit_unit(),
            _ => self.typed(visitor),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.element()? {
            Some(element) => {
                check_container(element, &visitor)?;
                visitor.visit_seq(Items::of_elements(&element.children))
            }
            None => self.typed(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.element()? {
            Some(element) => {
                check_container(element, &visitor)?;
                visitor.visit_map(Fields::of_entries(&element.children))
            }
            None => self.typed(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match (&self.node.kind, self.element()?) {
            (_, Some(element)) => {
                check_container(element, &visitor)?;
                visitor.visit_map(Fields::of_map(&element.children))
            }
            (Kind::Map(fields), _) => visitor.visit_map(Fields::of_map(fields)),
            // serde would take a list as the fields in their order: nobody means that.
            _ => Err(self.wrong(&visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let wrong = || {
            let detail = format!("expected one of {}, found {}", allowed(variants), found(self.unexpected()));
            ReadError::value(detail)
        };
        let children = match (&self.node.kind, self.element()?) {
            (Kind::Text(text), _) => return visitor.visit_enum(text.as_str().into_deserializer()),
            (_, Some(element)) if !element.null && element.children.is_empty() => {
                return TextReader::new(&element.text).deserialize_enum("", &[], visitor);
            }
            (_, Some(element)) if !element.null => &element.children,
            (Kind::Map(fields), _) => fields,
            _ => return Err(wrong()),
        };
        match Variant::only_of(children) {
            Some(variant) => visitor.visit_enum(variant),
            None => Err(wrong()),
        }
    }

    forward_to_deserialize_any! { bytes byte_buf }
}
