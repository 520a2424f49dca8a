//! How faults are said to people: in terms of documents, not of Rust types.

use std::fmt::Write;

use serde::de::Unexpected;

/// How much of a user's input an error message repeats, in characters.
const EXCERPT_LENGTH: usize = 60;

/// The beginning of a text from outside, fit for a message or a log line: at most 60 characters, control characters
/// and quotes escaped.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let mut characters = text.chars();
    let mut out = String::new();
    for character in characters.by_ref().take(EXCERPT_LENGTH) {
        match character {
            '\'' => out.push('\''),
            other => out.extend(other.escape_debug()),
        }
    }
    if characters.next().is_some() {
        out.push('…');
    }
    out
}

/// What a type expects, given serde's name for it.
pub(super) fn expected(serde_name: &str) -> String {
    let whole =
        |from: &dyn std::fmt::Display, to: &dyn std::fmt::Display| format!("a whole number from {from} to {to}");
    match serde_name {
        "u8" => whole(&0, &u8::MAX),
        "u16" => whole(&0, &u16::MAX),
        "u32" => whole(&0, &u32::MAX),
        "u64" | "usize" => "a whole number, not negative".to_owned(),
        "i8" => whole(&i8::MIN, &i8::MAX),
        "i16" => whole(&i16::MIN, &i16::MAX),
        "i32" => whole(&i32::MIN, &i32::MAX),
        "i64" | "isize" => "a whole number".to_owned(),
        "a nonzero u8" => whole(&1, &u8::MAX),
        "a nonzero u16" => whole(&1, &u16::MAX),
        "a nonzero u32" => whole(&1, &u32::MAX),
        "a nonzero u64" | "a nonzero usize" => whole(&1, &u64::MAX),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a string" => "text".to_owned(),
        "a character" => "a single character".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        "unit" => "null".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        // Visitors written for Alf say what they want in its users' words already.
        other => other.to_owned(),
    }
}

/// What a document holds, named as its author would.
pub(super) fn found(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Float(value) => format!("{value:?}"),
        Unexpected::Char(value) => format!("text \"{}\"", value.escape_debug()),
        Unexpected::Str(text) => format!("text \"{}\"", excerpt(text)),
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map | Unexpected::StructVariant => "an object".to_owned(),
        Unexpected::UnitVariant => "text".to_owned(),
        other => other.to_string(),
    }
}

/// `a, b, c`, or that there is nothing to choose from.
pub(super) fn allowed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Adds one token to a JSON pointer (RFC 6901). Very long keys are cut: a pointer is there to find a place by, and
/// a hundred of them must not make an answer a hundred times the size of the request.
pub(super) fn push_pointer(pointer: &mut String, token: &str) {
    const TOKEN_LENGTH: usize = 256;
    pointer.push('/');
    for (count, character) in token.chars().enumerate() {
        if count == TOKEN_LENGTH {
            pointer.push('…');
            break;
        }
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

/// The same for an index.
pub(super) fn push_index(pointer: &mut String, index: usize) {
    // Writing to a String cannot fail.
    let _ = write!(pointer, "/{index}");
}
