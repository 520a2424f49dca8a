//! Lists, objects and choices, step by step. Every error that comes from within gets the step it came through.

use std::collections::HashSet;
use std::slice::Iter;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

use super::fault::ReadError;
use super::node::{Kind, Node};
use super::reader::NodeReader;
use super::text_reader::TextReader;
use super::wording::excerpt;

/// The items of a list. Removed ones are passed over; the others keep their index.
pub(super) struct Items<'a> {
    source: ItemSource<'a>,
    next: usize,
}

enum ItemSource<'a> {
    List(&'a [Node]),
    Elements(&'a [(String, Node)]),
}

impl<'a> Items<'a> {
    pub(super) fn of_list(items: &'a [Node]) -> Self {
        Self { source: ItemSource::List(items), next: 0 }
    }

    /// The `item` elements of a list in XML.
    pub(super) fn of_elements(children: &'a [(String, Node)]) -> Self {
        Self { source: ItemSource::Elements(children), next: 0 }
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        loop {
            let index = self.next;
            self.next += 1;
            let node = match self.source {
                ItemSource::List(items) => items.get(index),
                ItemSource::Elements(children) => match children.get(index) {
                    Some((name, node)) if name != "item" && !node.removed => {
                        let detail = format!("expected <item>, found <{}>", excerpt(name));
                        return Err(ReadError::value(detail).within(index, Some(name)));
                    }
                    other => other.map(|(_, node)| node),
                },
            };
            match node {
                None => return Ok(None),
                Some(node) if node.removed => {}
                Some(node) => {
                    let item = seed.deserialize(NodeReader::new(node)).map_err(|error| error.within(index, None))?;
                    return Ok(Some(item));
                }
            }
        }
    }
}

/// The fields of an object, or the entries of a map.
pub(super) struct Fields<'a> {
    children: std::iter::Enumerate<Iter<'a, (String, Node)>>,
    entries: bool,
    given: HashSet<&'a str>,
    /// The field whose name has been handed out.
    current: Option<(usize, &'a str, &'a Node)>,
}

impl<'a> Fields<'a> {
    /// The fields of an object of JSON, or the child elements of a struct.
    pub(super) fn of_map(fields: &'a [(String, Node)]) -> Self {
        Self { children: fields.iter().enumerate(), entries: false, given: HashSet::new(), current: None }
    }

    /// The `entry` elements of a map in XML.
    pub(super) fn of_entries(children: &'a [(String, Node)]) -> Self {
        Self { entries: true, ..Self::of_map(children) }
    }

    fn key<'b>(&self, name: &'b str, node: &'b Node) -> Result<&'b str, ReadError> {
        if !self.entries {
            return Ok(name);
        }
        match &node.kind {
            Kind::Element(element) if name == "entry" => match &element.key {
                Some(key) => Ok(key),
                None if !element.notes.is_empty() => Err(ReadError::notes()),
                None => Err(ReadError::value("an <entry> has its key as the attribute `key` or `key64`")),
            },
            _ => Err(ReadError::value(format!("expected <entry key=\"…\">, found <{}>", excerpt(name)))),
        }
    }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let Some((index, (name, node))) = self.children.find(|(_, (_, node))| !node.removed) else {
            return Ok(None);
        };
        let key = self.key(name, node).map_err(|error| error.within(index, Some(name)))?;
        if !self.given.insert(key) {
            return Err(ReadError::value("given twice").within(index, Some(key)));
        }
        self.current = Some((index, key, node));
        seed.deserialize(TextReader::new(key)).map(Some).map_err(|error| error.within(index, Some(key)))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ReadError> {
        let (index, key, node) = self.current.take().ok_or_else(|| ReadError::value("a value was asked for twice"))?;
        seed.deserialize(NodeReader::new(node)).map_err(|error| error.within(index, Some(key)))
    }
}

/// A choice that carries data: an object whose only field names it.
pub(super) struct Variant<'a> {
    index: usize,
    name: &'a str,
    value: &'a Node,
}

impl<'a> Variant<'a> {
    pub(super) fn only_of(fields: &'a [(String, Node)]) -> Option<Self> {
        let mut present = fields.iter().enumerate().filter(|(_, (_, value))| !value.removed);
        match (present.next(), present.next()) {
            (Some((index, (name, value))), None) => Some(Self { index, name, value }),
            _ => None,
        }
    }
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), ReadError> {
        let source: serde::de::value::StrDeserializer<'a, ReadError> = self.name.into_deserializer();
        let variant = seed.deserialize(source).map_err(|error| error.within(self.index, Some(self.name)))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        let empty = match &self.value.kind {
            Kind::Null => true,
            Kind::Element(element) => element.is_blank(),
            _ => false,
        };
        if empty {
            return Ok(());
        }
        let error = ReadError::invalid_type(Unexpected::Other("a value"), &"null");
        Err(error.within(self.index, Some(self.name)))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, ReadError> {
        seed.deserialize(NodeReader::new(self.value)).map_err(|error| error.within(self.index, Some(self.name)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, ReadError> {
        NodeReader::new(self.value)
            .deserialize_tuple(length, visitor)
            .map_err(|error| error.within(self.index, Some(self.name)))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        NodeReader::new(self.value)
            .deserialize_struct("", fields, visitor)
            .map_err(|error| error.within(self.index, Some(self.name)))
    }
}
