//! XML text, and map keys of both formats, into the type that is asked for.

use std::str::FromStr;

use serde::de::{Deserializer, Error, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::fault::ReadError;
use super::node::is_xml_space;

/// A text whose type is known only by who reads it.
#[derive(Clone, Copy)]
pub(super) struct TextReader<'a> {
    text: &'a str,
}

impl<'a> TextReader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text }
    }

    /// Numbers and names of choices may be indented; text is taken as it is.
    fn trimmed(self) -> &'a str {
        self.text.trim_matches(is_xml_space)
    }

    fn parsed<T: FromStr>(self) -> Option<T> {
        // Rust reads `+5` and `infinity`, the JSON that this equals does not.
        let text = self.trimmed();
        text.ends_with(|last: char| last.is_ascii_digit() || last == '.')
            .then_some(text)
            .filter(|text| !text.starts_with('+'))
            .and_then(|text| text.parse().ok())
    }

    fn wrong<'de, V: Visitor<'de>>(self, visitor: &V) -> ReadError {
        ReadError::invalid_type(Unexpected::Str(self.text), visitor)
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            // As JSON does: the visitor says whether the number is in its range.
            if let Some(number) = self.parsed::<u64>() {
                visitor.visit_u64(number)
            } else if let Some(number) = self.parsed::<i64>() {
                visitor.visit_i64(number)
            } else {
                Err(self.wrong(&visitor))
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for TextReader<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_str(self.text)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.trimmed() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(self.wrong(&visitor)),
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.parsed::<f64>() {
            Some(number) if number.is_finite() => visitor.visit_f64(number),
            _ => Err(self.wrong(&visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_enum(self.trimmed().into_deserializer())
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf identifier ignored_any unit unit_struct seq tuple tuple_struct map struct
    }
}
