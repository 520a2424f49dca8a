//! Any serde value → XML.
//!
//! | of Rust, of JSON | in XML |
//! |---|---|
//! | field of a struct | child element of its name; `None`, `()` and non-finite numbers are absent |
//! | list, tuple | `<item>` for each; `None` is `<item null="true"/>` |
//! | map | `<entry key="…">` for each, or `key64="…"`; `None` is `<entry key="…" null="true"/>` |
//! | object of a type with `flatten` | child elements, as of a struct: serde gives it as a map of unknown length |
//! | choice with data | one child element of the choice's name |
//! | text, or name of a choice | text, or base64 with `encoding="base64"` |

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant, Serializer,
};

use super::error::FormatError;
use super::xml_key::KeyWriter;
use super::xml_tag::{ElementWriter, OpenTag, OpenVariant};

/// The first line of every document.
pub(super) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// Writes a document whose root element is `root`.
///
/// # Errors
/// The value has no XML: a map key that is not text or a number, a field or choice whose name XML cannot hold.
pub fn to_xml<T: Serialize + ?Sized>(root: &str, value: &T) -> Result<String, FormatError> {
    let mut out = DECLARATION.to_owned();
    value.serialize(ElementWriter::root(&mut out, root, &[]))?;
    Ok(out)
}

/// [`to_xml`] in a name space, as problem documents are (RFC 7807, appendix A; kept by RFC 9457).
///
/// # Errors
/// As [`to_xml`].
pub fn to_xml_ns<T: Serialize + ?Sized>(root: &str, name_space: &str, value: &T) -> Result<String, FormatError> {
    let mut out = DECLARATION.to_owned();
    value.serialize(ElementWriter::root(&mut out, root, &[("xmlns", name_space)]))?;
    Ok(out)
}

macro_rules! numbers {
    ($($method:ident($number:ty))*) => {$(
        fn $method(self, value: $number) -> Result<(), FormatError> {
            self.number(value)
        }
    )*};
}

impl<'a> Serializer for ElementWriter<'a> {
    type Ok = ();
    type Error = FormatError;
    type SerializeSeq = OpenTag<'a>;
    type SerializeTuple = OpenTag<'a>;
    type SerializeTupleStruct = OpenTag<'a>;
    type SerializeTupleVariant = OpenVariant<'a>;
    type SerializeMap = OpenTag<'a>;
    type SerializeStruct = OpenTag<'a>;
    type SerializeStructVariant = OpenVariant<'a>;

    numbers! {
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
    }

    fn serialize_bool(self, value: bool) -> Result<(), FormatError> {
        self.text(if value { "true" } else { "false" })
    }

    fn serialize_f32(self, value: f32) -> Result<(), FormatError> {
        if value.is_finite() { self.number(value) } else { self.null() }
    }

    fn serialize_f64(self, value: f64) -> Result<(), FormatError> {
        if value.is_finite() { self.number(value) } else { self.null() }
    }

    fn serialize_char(self, value: char) -> Result<(), FormatError> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), FormatError> {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), FormatError> {
        // A list of numbers, as in JSON.
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Result<(), FormatError> {
        self.null()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), FormatError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), FormatError> {
        self.null()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), FormatError> {
        self.null()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), FormatError> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), FormatError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), FormatError> {
        let mut tag = self.open(None)?;
        value.serialize(tag.child(variant))?;
        tag.close()
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<OpenTag<'a>, FormatError> {
        self.open(None)
    }

    fn serialize_tuple(self, _length: usize) -> Result<OpenTag<'a>, FormatError> {
        self.open(None)
    }

    fn serialize_tuple_struct(self, _name: &'static str, _length: usize) -> Result<OpenTag<'a>, FormatError> {
        self.open(None)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<OpenVariant<'a>, FormatError> {
        OpenVariant::open(self, variant)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<OpenTag<'a>, FormatError> {
        let mut tag = self.open(None)?;
        // A collection knows how long it is; a struct with flattened parts does not, and `serialize_map(None)` is all
        // that serde's derive says of it.
        tag.flattened = length.is_none();
        Ok(tag)
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<OpenTag<'a>, FormatError> {
        self.open(None)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<OpenVariant<'a>, FormatError> {
        OpenVariant::open(self, variant)
    }
}

macro_rules! items {
    ($($compound:ident :: $method:ident for $writer:ident, $($inner:ident)?;)*) => {$(
        impl $compound for $writer<'_> {
            type Ok = ();
            type Error = FormatError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), FormatError> {
                self.$($inner.)?item(value)
            }

            fn end(self) -> Result<(), FormatError> {
                self.close()
            }
        }
    )*};
}

items! {
    SerializeSeq::serialize_element for OpenTag, ;
    SerializeTuple::serialize_element for OpenTag, ;
    SerializeTupleStruct::serialize_field for OpenTag, ;
    SerializeTupleVariant::serialize_field for OpenVariant, inner;
}

impl SerializeStruct for OpenTag<'_> {
    type Ok = ();
    type Error = FormatError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), FormatError> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), FormatError> {
        self.close()
    }
}

impl SerializeStructVariant for OpenVariant<'_> {
    type Ok = ();
    type Error = FormatError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), FormatError> {
        self.inner.field(name, value)
    }

    fn end(self) -> Result<(), FormatError> {
        self.close()
    }
}

impl SerializeMap for OpenTag<'_> {
    type Ok = ();
    type Error = FormatError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), FormatError> {
        self.key = Some(key.serialize(KeyWriter)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), FormatError> {
        let key = self.key.take().unwrap_or_default();
        if self.flattened { self.field(&key, value) } else { self.entry(&key, value) }
    }

    fn end(self) -> Result<(), FormatError> {
        self.close()
    }
}
