//! Why a document is refused as a whole, or cannot be written.

use std::fmt::Display;

use super::wording::excerpt;

/// A document that cannot be read or written at all. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The bytes are not UTF-8, the only encoding there is here.
    #[error("the document is not UTF-8: bad byte at offset {offset}")]
    NotUtf8 {
        /// Offset of the first bad byte.
        offset: usize,
    },
    /// Not JSON, or not XML.
    #[error("not well-formed {format} at line {line}, column {column}: {detail}")]
    NotWellFormed {
        /// `JSON` or `XML`.
        format: &'static str,
        /// Line of the fault.
        line: usize,
        /// Column of the fault.
        column: usize,
        /// What is wrong there.
        detail: String,
    },
    /// More levels than [`super::MAX_DEPTH`].
    #[error("nested deeper than {} at line {line}, column {column}", super::MAX_DEPTH)]
    TooDeep {
        /// Line of the first level too many.
        line: usize,
        /// Column of the first level too many.
        column: usize,
    },
    /// More values than [`super::MAX_VALUES`].
    #[error("the document holds more than {} values", super::MAX_VALUES)]
    TooManyValues,
    /// An XML document with a document type declaration, which could define entities.
    #[error("a DOCTYPE is not allowed (line {line}, column {column})")]
    Doctype {
        /// Line of the declaration.
        line: usize,
        /// Column of the declaration.
        column: usize,
    },
    /// The XML declaration names another encoding than UTF-8.
    #[error("XML in the encoding \"{}\" is not read: only UTF-8 is", excerpt(.declared))]
    Encoding {
        /// The encoding the document declares.
        declared: String,
    },
    /// The root element is that of another kind of document.
    #[error("the root element is <{}>: expected <{expected}>", excerpt(.found))]
    WrongRoot {
        /// The name wanted, or several joined by `> or <`.
        expected: String,
        /// The name in the document.
        found: String,
    },
    /// A value that has no XML, such as a map whose keys are lists.
    #[error("cannot be written as XML: {detail}")]
    Unwritable {
        /// What stands in the way.
        detail: String,
    },
}

impl FormatError {
    /// A fault at a byte offset of an XML text.
    pub(super) fn xml(text: &str, offset: usize, detail: impl Into<String>) -> Self {
        let (line, column) = line_and_column(text, offset);
        Self::NotWellFormed { format: "XML", line, column, detail: detail.into() }
    }
}

impl serde::ser::Error for FormatError {
    fn custom<T: Display>(detail: T) -> Self {
        Self::Unwritable { detail: detail.to_string() }
    }
}

/// Where a byte offset is for a person with an editor.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    // Continuation bytes are not counted, so that a column is a character.
    let column = before[line_start..].iter().filter(|byte| **byte & 0xC0 != 0x80).count() + 1;
    (line, column)
}
