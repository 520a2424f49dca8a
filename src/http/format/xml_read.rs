//! XML 1.0 → document tree.
//!
//! quick-xml finds the tags; what it leaves to its users is checked here: characters and references that XML 1.0 has
//! not, names, one root, everything closed, no DOCTYPE, depth and size.

use quick_xml::Reader;
use quick_xml::errors::{Error, IllFormedError, SyntaxError};
use quick_xml::events::{BytesDecl, BytesStart, Event};

use super::error::{FormatError, line_and_column};
use super::node::{Node, is_xml_space};
use super::wording::excerpt;
use super::xml_chars::{is_legal, is_name, resolve_reference};
use super::xml_element::OpenElement;
use super::{MAX_DEPTH, MAX_VALUES};

/// Reads an XML document whose root element must be `expected_root`. A byte order mark is passed over, comments and
/// processing instructions are nothing.
///
/// # Errors
/// Not UTF-8 or declared to be something else, not well-formed, a DOCTYPE, another root element, elements nested
/// deeper than [`MAX_DEPTH`] (the root is the first level), more than [`MAX_VALUES`] of them.
pub fn parse_xml(bytes: &[u8], expected_root: &str) -> Result<Node, FormatError> {
    parse_xml_any_of(bytes, &[expected_root])
}

/// [`parse_xml`] where one of several root elements may stand, as with an export that is applied again.
///
/// # Errors
/// As [`parse_xml`].
pub fn parse_xml_any_of(bytes: &[u8], expected_roots: &[&str]) -> Result<Node, FormatError> {
    let text = std::str::from_utf8(bytes).map_err(|error| FormatError::NotUtf8 { offset: error.valid_up_to() })?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if let Some((at, character)) = text.char_indices().find(|(_, character)| !is_legal(*character)) {
        let detail = format!("U+{:04X} is not a character of XML 1.0", u32::from(character));
        return Err(FormatError::xml(text, at, detail));
    }
    Document { text, expected_roots, open: Vec::new(), root: None, values: 0 }.read()
}

struct Document<'a> {
    text: &'a str,
    expected_roots: &'a [&'a str],
    /// The elements that are open, the root first.
    open: Vec<OpenElement>,
    root: Option<Node>,
    values: usize,
}

impl Document<'_> {
    fn read(mut self) -> Result<Node, FormatError> {
        let mut reader = Reader::from_str(self.text);
        reader.config_mut().enable_all_checks(true);
        loop {
            let at = offset(reader.buffer_position());
            let event = match reader.read_event() {
                Ok(event) => event,
                Err(error) => return Err(self.refusal(&error, offset(reader.error_position()))),
            };
            match event {
                Event::Start(tag) => self.start(&tag, at)?,
                Event::Empty(tag) => {
                    self.start(&tag, at)?;
                    self.end();
                }
                Event::End(_) => self.end(),
                Event::Text(text) if text.contains("]]>") => {
                    return Err(self.wrong(at, "`]]>` in text: write `]]&gt;`"));
                }
                Event::Text(text) => self.characters(&text.xml10_content(), at)?,
                Event::CData(text) if self.open.is_empty() => {
                    return Err(self.wrong(at, format!("text outside the root element: \"{}\"", excerpt(&text))));
                }
                Event::CData(text) => self.characters(&text.xml10_content(), at)?,
                Event::GeneralRef(name) => {
                    let resolved = resolve_reference(&name).map_err(|detail| self.wrong(at, detail))?;
                    if self.open.is_empty() {
                        return Err(self.wrong(at, "a reference outside the root element"));
                    }
                    self.characters(&resolved, at)?;
                }
                Event::Comment(_) => {}
                Event::PI(instruction) => {
                    let target = instruction.target();
                    if !is_name(target) || target.eq_ignore_ascii_case("xml") {
                        let detail = format!("\"{}\" cannot name an instruction", excerpt(target));
                        return Err(self.wrong(at, detail));
                    }
                }
                Event::Decl(declaration) => self.declaration(&declaration, at)?,
                Event::DocType(_) => return Err(self.doctype(at)),
                Event::Eof => break,
            }
        }
        if let Some(open) = self.open.last() {
            return Err(self.wrong(self.text.len(), format!("<{}> is not closed", excerpt(&open.name))));
        }
        let end = self.text.len();
        self.root.take().ok_or_else(|| self.wrong(end, "there is no root element"))
    }

    fn start(&mut self, tag: &BytesStart<'_>, at: usize) -> Result<(), FormatError> {
        if self.root.is_some() {
            return Err(self.wrong(at, "a second root element"));
        }
        if self.open.len() >= MAX_DEPTH {
            let (line, column) = line_and_column(self.text, at);
            return Err(FormatError::TooDeep { line, column });
        }
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(FormatError::TooManyValues);
        }
        let is_root = self.open.is_empty();
        let element = OpenElement::new(tag, is_root).map_err(|detail| self.wrong(at, detail))?;
        if is_root && !self.expected_roots.contains(&element.name.as_str()) {
            return Err(FormatError::WrongRoot { expected: self.expected_roots.join("> or <"), found: element.name });
        }
        self.open.push(element);
        Ok(())
    }

    fn end(&mut self) {
        // quick-xml has compared the names already.
        let Some(element) = self.open.pop() else {
            return;
        };
        let (name, node) = element.close();
        match self.open.last_mut() {
            Some(parent) => parent.push_child(name, node),
            None => self.root = Some(node),
        }
    }

    fn characters(&mut self, text: &str, at: usize) -> Result<(), FormatError> {
        match self.open.last_mut() {
            Some(element) => element.push_text(text),
            None if text.chars().all(is_xml_space) => {}
            None => {
                let detail = format!("text outside the root element: \"{}\"", excerpt(text.trim()));
                return Err(self.wrong(at, detail));
            }
        }
        Ok(())
    }

    /// `XMLDecl` of XML 1.0, section 2.8: a version, then maybe an encoding, then maybe `standalone`.
    fn declaration(&self, declaration: &BytesDecl<'_>, at: usize) -> Result<(), FormatError> {
        if at != 0 {
            return Err(self.wrong(at, "an XML declaration that is not at the beginning"));
        }
        let mut allowed = ["version", "encoding", "standalone"].iter();
        let tag = BytesStart::from_content(&**declaration, "xml".len());
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| self.wrong(at, error.to_string()))?;
            let name = attribute.key.as_ref();
            if !allowed.any(|next| *next == name) {
                let detail = format!("`{}` has no place in the XML declaration", excerpt(name));
                return Err(self.wrong(at, detail));
            }
            let value = attribute.value.as_ref();
            match name {
                "version" if value != "1.0" => {
                    let detail = format!("XML {} is not read: only XML 1.0 is", excerpt(value));
                    return Err(self.wrong(at, detail));
                }
                "encoding" if !value.eq_ignore_ascii_case("utf-8") => {
                    return Err(FormatError::Encoding { declared: value.to_owned() });
                }
                "standalone" if !matches!(value, "yes" | "no") => {
                    return Err(self.wrong(at, "`standalone` is yes or no"));
                }
                _ => {}
            }
        }
        match tag.attributes().next() {
            Some(Ok(first)) if first.key.as_ref() == "version" => Ok(()),
            _ => Err(self.wrong(at, "an XML declaration begins with `version`")),
        }
    }

    fn refusal(&self, error: &Error, at: usize) -> FormatError {
        let detail = match error {
            Error::Syntax(SyntaxError::UnclosedDoctype) | Error::IllFormed(IllFormedError::MissingDoctypeName) => {
                return self.doctype(at);
            }
            Error::IllFormed(IllFormedError::MismatchedEndTag { expected, found }) => {
                format!("expected </{}>, found </{}>", excerpt(expected), excerpt(found))
            }
            Error::IllFormed(IllFormedError::UnmatchedEndTag(name)) => {
                format!("</{}> closes nothing", excerpt(name))
            }
            Error::IllFormed(IllFormedError::UnclosedReference) => {
                "an `&` without a `;`: write `&amp;` for the character".to_owned()
            }
            Error::Syntax(error) => error.to_string(),
            Error::IllFormed(error) => error.to_string(),
            other => other.to_string(),
        };
        self.wrong(at, detail)
    }

    fn doctype(&self, at: usize) -> FormatError {
        let (line, column) = line_and_column(self.text, at);
        FormatError::Doctype { line, column }
    }

    fn wrong(&self, at: usize, detail: impl Into<String>) -> FormatError {
        FormatError::xml(self.text, at, detail)
    }
}

/// quick-xml counts in 64 bits also where addresses have fewer; the text is in memory, so its offsets fit.
fn offset(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}
