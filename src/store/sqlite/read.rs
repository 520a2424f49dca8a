//! From columns to the model's types. A value that Alf cannot have written is reported, never skipped.

use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as WordError, StrDeserializer};

use super::fault::Fault;
use crate::model::{Name, Timestamp};

/// A name, of a link or not.
pub(super) fn name(text: &str) -> Result<Name, Fault> {
    Name::parse_link(text).map_err(|error| Fault::Unreadable(error.to_string()))
}

/// An instant.
pub(super) fn timestamp(millis: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_millis(millis).ok_or_else(|| Fault::Unreadable(format!("{millis} is no instant")))
}

/// One of the model's words, such as an outcome.
pub(super) fn word<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Fault> {
    let text: StrDeserializer<'de, WordError> = text.into_deserializer();
    T::deserialize(text).map_err(|error| Fault::Unreadable(error.to_string()))
}

/// Something kept as JSON.
pub(super) fn json<'de, T: Deserialize<'de>>(what: &str, text: &'de str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::Unreadable(format!("{what}: {error}")))
}

/// Something to be kept as JSON.
pub(super) fn to_json<T: serde::Serialize>(what: &str, value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault::Unreadable(format!("{what}: {error}")))
}

/// A count: SQLite's integers have a sign, Alf's counts do not.
pub(super) fn count(stored: i64) -> Result<u64, Fault> {
    u64::try_from(stored).map_err(|_| Fault::Unreadable(format!("{stored} is no count")))
}

/// A count to be kept. None is beyond what SQLite can keep: they count bytes, versions and rows.
pub(super) fn to_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
