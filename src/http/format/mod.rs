//! Documents as users send and get them: JSON and XML, which are equals.
//!
//! Reading: bytes → [`Node`] ([`parse_json`], [`parse_xml`]: the document as a whole is taken or refused) → any
//! serde type ([`read_document`]: every fault in it at once, each with its JSON pointer).
//! Writing XML: any serde type → text ([`to_xml`], [`to_xml_ns`], [`list_to_xml`]); JSON is written by `serde_json`.
//!
//! * `node.rs`        the document tree both formats are read into
//! * `json_read.rs`   bytes → tree; `xml_read.rs`, `xml_element.rs`: the same for XML
//! * `xml_chars.rs`   what characters XML 1.0 can hold, escapes, references
//! * `read.rs`        tree → serde type, all faults; `reader.rs`, `access.rs`, `text_reader.rs`: the serde side of it
//! * `lists.rs`       a document that is made of lists, taken apart
//! * `fault.rs`       what went wrong where; `wording.rs`: how it is said to people
//! * `xml_write.rs`   serde type → XML; `xml_tag.rs`: its tags; `xml_key.rs`: map keys; `xml_list.rs`: one page of a list
//! * `error.rs`       why a document is refused as a whole
//!
//! XML has these rules and no others: a field is a child element, an absent element is null, a list holds
//! `<item>`s, a map holds `<entry key="…">`s, text that XML cannot hold is base64 (`encoding="base64"`, `key64="…"`),
//! and a null that cannot be absent, because it has a place in a list or a map, is `null="true"`.
//!
//! Types that are read must not use serde's `flatten`, `untagged` or `tag = "…"` where numbers or booleans are in it:
//! these hide from a format what a text is meant as. (A text or an object of texts is fine.) Types that are written
//! may, but a map of their own making must say its length (`collect_map` over a filter does not), see `xml_write.rs`.

mod access;
mod error;
mod fault;
mod json_read;
mod lists;
mod node;
mod read;
mod reader;
#[cfg(test)]
mod tests;
mod text_reader;
mod wording;
mod xml_chars;
mod xml_element;
mod xml_key;
mod xml_list;
mod xml_read;
mod xml_tag;
mod xml_write;

pub use error::FormatError;
pub use fault::Fault;
pub use json_read::parse_json;
pub use lists::{ListWords, take_lists};
pub use node::Node;
pub use read::{read_document, read_document_ignoring};
pub use wording::excerpt;
pub use xml_list::list_to_xml;
pub use xml_read::{parse_xml, parse_xml_any_of};
pub use xml_write::{to_xml, to_xml_ns};

/// How deep lists, objects or elements may be nested in a document that is read.
pub const MAX_DEPTH: usize = 64;

/// How many values (numbers, texts, lists, objects, elements) a document may hold: what bounds memory, because two
/// bytes of JSON already are a value.
pub const MAX_VALUES: usize = 2_000_000;

/// How many faults are reported for one document.
pub const MAX_FAULTS: usize = 100;
