//! Between the model's types and BSON's. A value that Alf cannot have written is reported, never skipped.

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc};
use serde::de::DeserializeOwned;

use super::fault::Fault;
use crate::model::{Name, RunId, Timestamp};

/// A run's id, as MongoDB keeps UUIDs: they sort by time.
pub(super) fn to_uuid(id: RunId) -> Binary {
    Binary { subtype: BinarySubtype::Uuid, bytes: id.as_bytes().to_vec() }
}

/// The least of the ids that are made at or after an instant.
pub(super) fn first_id(millis: i64) -> Bson {
    let mut bytes = vec![0; 16];
    bytes[..6].copy_from_slice(&millis.clamp(0, (1 << 48) - 1).to_be_bytes()[2..]);
    Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes })
}

/// A run's id.
pub(super) fn id(binary: &Binary) -> Result<RunId, Fault> {
    let bytes = binary.bytes.as_slice().try_into().map_err(|_| Fault::Unreadable("an id is no UUID".to_owned()))?;
    Ok(RunId::from_bytes(bytes))
}

/// An instant, as MongoDB keeps dates: to the millisecond.
pub(super) fn to_date(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.millis())
}

/// An instant.
pub(super) fn timestamp(date: DateTime) -> Result<Timestamp, Fault> {
    millis(date.timestamp_millis())
}

/// An instant, by its milliseconds since the Unix epoch.
pub(super) fn millis(millis: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_millis(millis).ok_or_else(|| Fault::Unreadable(format!("{millis} is no instant")))
}

/// The condition for one host, or for these; none if nothing can match.
pub(super) fn of_hosts(host: Option<&Name>, among: Option<&[Name]>) -> Option<Document> {
    match (host, among) {
        (Some(host), Some(among)) if !among.contains(host) => None,
        (Some(host), _) => Some(doc! { "host": host.as_str() }),
        (None, Some(among)) => {
            let among: Vec<&str> = among.iter().map(Name::as_str).collect();
            Some(doc! { "host": { "$in": among } })
        }
        (None, None) => Some(Document::new()),
    }
}

/// The condition on a date: not before, and before.
pub(super) fn within(field: &str, since: Option<Timestamp>, until: Option<Timestamp>) -> Document {
    let mut bounds = Document::new();
    bounds.extend(since.map(|since| ("$gte".to_owned(), to_date(since).into())));
    bounds.extend(until.map(|until| ("$lt".to_owned(), to_date(until).into())));
    if bounds.is_empty() {
        bounds
    } else {
        doc! { field: bounds }
    }
}

/// Something kept as JSON.
pub(super) fn json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::Unreadable(format!("{what}: {error}")))
}

/// Something to be kept as JSON.
pub(super) fn to_json<T: serde::Serialize>(what: &str, value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault::Unwritable(format!("{what}: {error}")))
}

/// A number of a server's answer, which is in the type that fits.
pub(super) fn number(value: &Bson) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, reason = "no store has so many bytes that they do not fit")]
    let number = match value {
        Bson::Int64(number) => *number,
        Bson::Int32(number) => i64::from(*number),
        Bson::Double(number) => *number as i64,
        _ => return None,
    };
    u64::try_from(number).ok()
}

/// A count: MongoDB's integers have a sign, Alf's counts do not.
pub(super) fn count(stored: i64) -> Result<u64, Fault> {
    u64::try_from(stored).map_err(|_| Fault::Unreadable(format!("{stored} is no count")))
}

/// A count to be kept. None is beyond what MongoDB can keep: they count bytes, versions and rows.
pub(super) fn to_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Bytes.
pub(super) fn to_bytes(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}
