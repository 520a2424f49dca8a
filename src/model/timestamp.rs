//! Instants as text: RFC 3339, UTC, milliseconds.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant, to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// The instant as chrono has it.
    pub fn get(self) -> DateTime<Utc> {
        self.0
    }

    /// Milliseconds since the Unix epoch: how stores keep it.
    pub fn millis(self) -> i64 {
        self.0.timestamp_millis()
    }

    /// From milliseconds since the Unix epoch; none outside of what a date can say.
    pub fn from_millis(millis: i64) -> Option<Self> {
        DateTime::from_timestamp_millis(millis).map(Self)
    }

    /// So many milliseconds later; the instant itself where no date could say that.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        TimeDelta::try_milliseconds(millis).and_then(|delta| self.0.checked_add_signed(delta)).map_or(self, Self)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(instant: DateTime<Utc>) -> Self {
        Self(instant.trunc_subsecs(3))
    }
}

impl FromStr for Timestamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        DateTime::parse_from_rfc3339(text).map(|instant| Self::from(instant.with_timezone(&Utc))).map_err(|_| {
            let shown: String = text.chars().take(40).flat_map(char::escape_default).collect();
            format!("\"{shown}\" is not an instant; write RFC 3339, for example 2026-11-23T09:30:00Z")
        })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_utc_with_milliseconds() {
        let instant: Timestamp = "2026-11-23T10:30:00.12345+01:00".parse().unwrap();
        assert_eq!(instant.to_string(), "2026-11-23T09:30:00.123Z");
        assert_eq!(Timestamp::from_millis(instant.millis()), Some(instant));
        assert!("2026-11-23".parse::<Timestamp>().is_err());
    }
}
