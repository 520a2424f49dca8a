//! The keys of maps as text, as `serde_json` has them: texts, names of choices, numbers, `true` and `false`.

use std::fmt::Display;

use serde::Serialize;
use serde::ser::{Impossible, Serializer};

use super::error::FormatError;

/// Gives the text of a key.
pub(super) struct KeyWriter;

fn refused<T>(what: &str) -> Result<T, FormatError> {
    Err(FormatError::Unwritable { detail: format!("{what} cannot be the key of a map") })
}

macro_rules! displayed {
    ($($method:ident($value:ty))*) => {$(
        fn $method(self, value: $value) -> Result<String, FormatError> {
            Ok(value.to_string())
        }
    )*};
}

impl Serializer for KeyWriter {
    type Ok = String;
    type Error = FormatError;
    type SerializeSeq = Impossible<String, FormatError>;
    type SerializeTuple = Impossible<String, FormatError>;
    type SerializeTupleStruct = Impossible<String, FormatError>;
    type SerializeTupleVariant = Impossible<String, FormatError>;
    type SerializeMap = Impossible<String, FormatError>;
    type SerializeStruct = Impossible<String, FormatError>;
    type SerializeStructVariant = Impossible<String, FormatError>;

    displayed! {
        serialize_bool(bool) serialize_char(char) serialize_str(&str)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<String, FormatError> {
        Ok(value.to_string())
    }

    fn serialize_f32(self, _value: f32) -> Result<String, FormatError> {
        refused("a number with a fraction")
    }

    fn serialize_f64(self, _value: f64) -> Result<String, FormatError> {
        refused("a number with a fraction")
    }

    fn serialize_bytes(self, _value: &[u8]) -> Result<String, FormatError> {
        refused("a list")
    }

    fn serialize_none(self) -> Result<String, FormatError> {
        refused("null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<String, FormatError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<String, FormatError> {
        refused("null")
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<String, FormatError> {
        refused("null")
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<String, FormatError> {
        Ok(variant.to_owned())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<String, FormatError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<String, FormatError> {
        refused("a choice with data")
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Self::SerializeSeq, FormatError> {
        refused("a list")
    }

    fn serialize_tuple(self, _length: usize) -> Result<Self::SerializeTuple, FormatError> {
        refused("a list")
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleStruct, FormatError> {
        refused("a list")
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleVariant, FormatError> {
        refused("a choice with data")
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Self::SerializeMap, FormatError> {
        refused("an object")
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Self::SerializeStruct, FormatError> {
        refused("an object")
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStructVariant, FormatError> {
        refused("a choice with data")
    }
}
