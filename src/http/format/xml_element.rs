//! One XML element while it is read: its attributes, then its content.

use quick_xml::events::BytesStart;

use super::node::{Element, Kind, Node, is_xml_space};
use super::wording::excerpt;
use super::xml_chars::{attribute_value, decode_base64, is_name};

/// How many faults of one start tag are told: a tag may have thousands of attributes.
const MAX_NOTES: usize = 8;

/// An element whose end tag has not come yet.
pub(super) struct OpenElement {
    pub(super) name: String,
    base64: bool,
    element: Element,
}

impl OpenElement {
    /// Reads a start tag. `Err` says why it is not well-formed.
    pub(super) fn new(tag: &BytesStart<'_>, is_root: bool) -> Result<Self, String> {
        let name = tag.name().as_ref().to_owned();
        if !is_name(&name) {
            return Err(format!("\"{}\" is not the name of an element", excerpt(&name)));
        }
        let mut open = Self { name, base64: false, element: Element::default() };
        let mut key_attributes = 0;
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let attribute_name = attribute.key.as_ref();
            if !is_name(attribute_name) {
                return Err(format!("\"{}\" is not the name of an attribute", excerpt(attribute_name)));
            }
            let value = attribute_value(&attribute.value)?;
            key_attributes += usize::from(matches!(attribute_name, "key" | "key64"));
            open.take_attribute(attribute_name, value, is_root);
        }
        if key_attributes > 1 {
            open.note("only one of the attributes `key` and `key64` may be given".to_owned());
        }
        Ok(open)
    }

    fn take_attribute(&mut self, name: &str, value: String, is_root: bool) {
        match (name, value.as_str()) {
            ("encoding", "base64") => self.base64 = true,
            ("encoding", other) => {
                self.note(format!("unknown encoding \"{}\"; allowed: base64", excerpt(other)));
                self.element.broken = true;
            }
            ("null", "true") => self.element.null = true,
            ("null", "false") => {}
            ("null", other) => {
                self.note(format!(
                    "unknown value \"{}\" of the attribute `null`; allowed: true, false",
                    excerpt(other)
                ));
            }
            ("key", _) if self.name == "entry" => self.element.key = Some(value),
            ("key64", _) if self.name == "entry" => match decode_base64(&value) {
                Ok(key) => self.element.key = Some(key),
                Err(why) => self.note(format!("the attribute `key64` {why}")),
            },
            // A name space says nothing here, and XML tools like to write one.
            ("xmlns", _) if is_root => {}
            _ => self.note(format!(
                "unknown attribute `{}`; allowed: encoding, null, key or key64 of an entry",
                excerpt(name)
            )),
        }
    }

    fn note(&mut self, note: String) {
        if self.element.notes.len() < MAX_NOTES {
            self.element.notes.push(note);
        }
    }

    pub(super) fn push_text(&mut self, text: &str) {
        self.element.text.push_str(text);
    }

    pub(super) fn push_child(&mut self, name: String, child: Node) {
        self.element.children.push((name, child));
    }

    /// The end tag: what the element is as a whole.
    pub(super) fn close(mut self) -> (String, Node) {
        let blank = self.element.text.chars().all(is_xml_space);
        if !self.element.children.is_empty() {
            if !blank {
                // Not repeated: it may be a secret in the wrong place.
                self.note("text between elements".to_owned());
            }
            if self.base64 {
                self.note("an element with encoding=\"base64\" holds text, not elements".to_owned());
            }
            self.element.text = String::new();
        } else if self.base64 && !self.element.broken {
            match decode_base64(&self.element.text) {
                Ok(text) => self.element.text = text,
                Err(why) => {
                    self.note(format!("the text {why}"));
                    self.element.broken = true;
                }
            }
        }
        if self.element.null && !(blank && self.element.children.is_empty()) {
            self.note("an element with null=\"true\" holds nothing".to_owned());
        }
        (self.name, Node::new(Kind::Element(Box::new(self.element))))
    }
}
