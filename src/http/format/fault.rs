//! What is wrong in a document, and where.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use super::wording::{allowed, excerpt, expected, found, push_index, push_pointer};

/// One fault of a document that could be parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer (RFC 6901) of the value at fault, in XML as well; empty for the whole document.
    pub pointer: String,
    /// One line: what is wrong and what is allowed.
    pub detail: String,
}

/// One step from a value to one within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// Which child of the node it is.
    pub(super) index: usize,
    /// Its name or key; items of lists go by their index.
    pub(super) name: Option<String>,
}

/// Why a value could not be read. Made where serde finds out; the steps are added on the way back up.
#[derive(Debug)]
pub(super) struct ReadError {
    /// From the innermost outwards.
    steps: Vec<Step>,
    pub(super) cause: Cause,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The value itself.
    Value(String),
    /// Said by the type that reads it, maybe of the object as a whole.
    Custom(String),
    /// An object lacks a field.
    Missing(&'static str),
    /// A list has too few or too many items.
    Length(String),
    /// The element has notes.
    Notes,
}

impl ReadError {
    pub(super) fn value(detail: impl Into<String>) -> Self {
        Self::of(Cause::Value(detail.into()))
    }

    pub(super) fn notes() -> Self {
        Self::of(Cause::Notes)
    }

    /// The same fault, seen from one level further out.
    pub(super) fn within(mut self, index: usize, name: Option<&str>) -> Self {
        self.steps.push(Step { index, name: name.map(str::to_owned) });
        self
    }

    /// The steps from the root inwards.
    pub(super) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().rev()
    }

    pub(super) fn pointer(&self) -> String {
        let mut pointer = String::new();
        for step in self.steps() {
            match &step.name {
                Some(name) => push_pointer(&mut pointer, name),
                None => push_index(&mut pointer, step.index),
            }
        }
        pointer
    }

    fn of(cause: Cause) -> Self {
        Self { steps: Vec::new(), cause }
    }
}

impl Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Value(detail) | Cause::Custom(detail) | Cause::Length(detail) => formatter.write_str(detail),
            Cause::Missing(field) => write!(formatter, "the field `{field}` is required"),
            Cause::Notes => formatter.write_str("the element is not as it should be"),
        }
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: Display>(message: T) -> Self {
        Self::of(Cause::Custom(message.to_string()))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expectation: &dyn Expected) -> Self {
        Self::value(format!("expected {}, found {}", expected(&expectation.to_string()), found(unexpected)))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expectation: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expectation)
    }

    fn invalid_length(length: usize, expectation: &dyn Expected) -> Self {
        Self::of(Cause::Length(format!("expected {}, found {length} values", expected(&expectation.to_string()))))
    }

    fn unknown_variant(variant: &str, variants: &'static [&'static str]) -> Self {
        Self::value(format!("unknown value \"{}\"; allowed: {}", excerpt(variant), allowed(variants)))
    }

    fn unknown_field(_field: &str, fields: &'static [&'static str]) -> Self {
        // The pointer names the field.
        Self::value(format!("unknown field; allowed: {}", allowed(fields)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::of(Cause::Missing(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::value(format!("the field `{field}` is given twice"))
    }
}
