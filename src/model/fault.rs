//! Faults of a document: all of them at once, each with its place.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Reference;

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// Where: a JSON pointer (RFC 6901), for XML documents too; empty for the document as a whole.
    pub pointer: String,
    /// What, and what is allowed.
    pub detail: String,
}

impl Fault {
    /// A fault at a pointer such as `/port`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }

    /// The JSON pointer of a key within what is at another one (RFC 6901).
    pub fn at_key(pointer: &str, key: &str) -> String {
        format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
    }

    /// A field names what is not there.
    pub fn missing(pointer: impl Into<String>, what: &Reference) -> Self {
        Self::new(pointer, format!("there is no {what}"))
    }
}

/// Collects faults while a document is checked.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Notes a fault.
    pub fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.0.push(Fault::new(pointer, detail));
    }

    /// The value, or a fault in its place.
    pub fn take<T, E: std::fmt::Display>(&mut self, pointer: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.add(pointer, error.to_string())).ok()
    }

    /// A field that must be there.
    pub fn require<T>(&mut self, pointer: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.add(pointer, "is required");
        }
        value
    }

    /// A text field with a bound on its length.
    pub fn text(&mut self, pointer: &str, value: Option<String>, longest: usize) -> Option<String> {
        let text = value?;
        if text.len() > longest {
            self.add(pointer, format!("is {} bytes long; at most {longest} are allowed", text.len()));
        }
        Some(text)
    }

    /// Those that were noted.
    pub fn found(self) -> Vec<Fault> {
        self.0
    }

    /// The model if there is no fault, else all faults. `model` is none only when a fault was noted.
    pub fn into_result<T>(mut self, model: Option<T>) -> Result<T, Vec<Fault>> {
        match model {
            Some(model) if self.0.is_empty() => Ok(model),
            _ => {
                if self.0.is_empty() {
                    self.add("", "is incomplete");
                }
                Err(self.0)
            }
        }
    }
}
