//! The tags of XML as a serde value makes them: what an element is called, how its start tag is, what is null.

use serde::Serialize;

use super::error::FormatError;
use super::wording::excerpt;
use super::xml_chars::{encode_base64, is_legal, is_name, push_attribute, push_text};

/// What an element is to the one around it.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// A null is simply not there.
    Field,
    /// The data of a choice or an item of a list: a null must be seen.
    Kept,
    /// The same, with its key.
    Entry(&'a str),
    /// The whole document; a null is empty.
    Root(&'a [(&'a str, &'a str)]),
}

/// Writes one element, start tag to end tag, once the value has said what it is.
pub(super) struct ElementWriter<'a> {
    out: &'a mut String,
    name: &'a str,
    place: Place<'a>,
}

impl<'a> ElementWriter<'a> {
    /// A root element. The attributes' values must be legal in XML.
    pub(super) fn root(out: &'a mut String, name: &'a str, attributes: &'a [(&'a str, &'a str)]) -> Self {
        Self { out, name, place: Place::Root(attributes) }
    }

    /// An element that has a place among its like.
    pub(super) fn kept(out: &'a mut String, name: &'a str) -> Self {
        Self { out, name, place: Place::Kept }
    }

    /// Writes the start tag, with one more attribute if there is one.
    pub(super) fn open(self, attribute: Option<(&str, &str)>) -> Result<OpenTag<'a>, FormatError> {
        if !is_name(self.name) {
            let detail = format!("\"{}\" is not the name of an element", excerpt(self.name));
            return Err(FormatError::Unwritable { detail });
        }
        self.out.push('<');
        self.out.push_str(self.name);
        match self.place {
            Place::Field | Place::Kept => {}
            Place::Entry(key) if key.chars().all(is_legal) => push_pair(self.out, "key", key),
            Place::Entry(key) => push_pair(self.out, "key64", &encode_base64(key)),
            Place::Root(attributes) => attributes.iter().for_each(|(name, value)| push_pair(self.out, name, value)),
        }
        if let Some((name, value)) = attribute {
            push_pair(self.out, name, value);
        }
        self.out.push('>');
        Ok(OpenTag { content: self.out.len(), out: self.out, name: self.name, key: None, flattened: false })
    }

    pub(super) fn null(self) -> Result<(), FormatError> {
        match self.place {
            Place::Field => Ok(()),
            Place::Root(_) => self.open(None)?.close(),
            Place::Kept | Place::Entry(_) => self.open(Some(("null", "true")))?.close(),
        }
    }

    pub(super) fn text(self, text: &str) -> Result<(), FormatError> {
        let legal = text.chars().all(is_legal);
        let tag = self.open((!legal).then_some(("encoding", "base64")))?;
        if legal {
            push_text(tag.out, text);
        } else {
            tag.out.push_str(&encode_base64(text));
        }
        tag.close()
    }

    /// A number as `serde_json` writes it, so that both formats say the same.
    pub(super) fn number<N: Serialize>(self, number: N) -> Result<(), FormatError> {
        let text =
            serde_json::to_string(&number).map_err(|error| FormatError::Unwritable { detail: error.to_string() })?;
        self.text(&text)
    }
}

fn push_pair(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    push_attribute(out, value);
    out.push('"');
}

/// An element whose start tag is written.
pub(super) struct OpenTag<'a> {
    out: &'a mut String,
    name: &'a str,
    /// Where its content begins.
    content: usize,
    /// Of a map: the key whose value comes next.
    pub(super) key: Option<String>,
    /// Of a map: its keys are the fields of a struct.
    pub(super) flattened: bool,
}

impl<'a> OpenTag<'a> {
    pub(super) fn close(self) -> Result<(), FormatError> {
        close_tag(self.out, self.name, self.content);
        Ok(())
    }

    /// Within: an element that is always written.
    pub(super) fn child<'b>(&'b mut self, name: &'b str) -> ElementWriter<'b> {
        ElementWriter::kept(self.out, name)
    }

    pub(super) fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), FormatError> {
        value.serialize(self.child("item"))
    }

    pub(super) fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), FormatError> {
        value.serialize(ElementWriter { out: self.out, name, place: Place::Field })
    }

    pub(super) fn entry<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), FormatError> {
        value.serialize(ElementWriter { out: self.out, name: "entry", place: Place::Entry(key) })
    }
}

/// The element of a choice, and within it the element of what was chosen.
pub(super) struct OpenVariant<'a> {
    outer: &'a str,
    pub(super) inner: OpenTag<'a>,
}

impl<'a> OpenVariant<'a> {
    pub(super) fn open(writer: ElementWriter<'a>, variant: &'static str) -> Result<Self, FormatError> {
        let OpenTag { out, name, .. } = writer.open(None)?;
        Ok(Self { outer: name, inner: ElementWriter::kept(out, variant).open(None)? })
    }

    pub(super) fn close(self) -> Result<(), FormatError> {
        let OpenTag { out, name, content, .. } = self.inner;
        close_tag(out, name, content);
        // Never empty: the choice is in it.
        close_tag(out, self.outer, 0);
        Ok(())
    }
}

/// Writes an end tag, or makes an empty element of a start tag after which nothing came.
fn close_tag(out: &mut String, name: &str, content: usize) {
    if out.len() == content {
        out.pop();
        out.push_str("/>");
    } else {
        out.push_str("</");
        out.push_str(name);
        out.push('>');
    }
}
