//! Instants as text: RFC 3339, UTC, milliseconds.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use chrono::{DateTime, Datelike as _, SecondsFormat, SubsecRound, TimeDelta, Timelike as _, Utc};
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

    /// `2026-11-23T09:30:00.123Z`, where the year has four digits. Pages hold thousands of instants, and chrono takes ten
    /// times as long.
    fn text(self) -> Option<[u8; 24]> {
        let (date, time) = (self.0.date_naive(), self.0.time());
        let (year, millis) = (u32::try_from(date.year()).ok()?, time.nanosecond() / 1_000_000);
        if year > 9999 {
            return None;
        }
        let mut text = *b"YYYY-MM-DDThh:mm:ss.mmmZ";
        let mut put = |place: Range<usize>, mut number: u32| {
            for digit in text[place].iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        put(0..4, year);
        put(5..7, date.month());
        put(8..10, date.day());
        put(11..13, time.hour());
        put(14..16, time.minute());
        put(17..19, time.second());
        put(20..23, millis);
        Some(text)
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
    /// A leap second is the next second, as for Unix.
    fn from(instant: DateTime<Utc>) -> Self {
        let as_unix = || DateTime::from_timestamp_millis(instant.timestamp_millis());
        let leap = instant.nanosecond() >= 1_000_000_000;
        Self(if leap { as_unix() } else { None }.unwrap_or_else(|| instant.trunc_subsecs(3)))
    }
}

impl FromStr for Timestamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        DateTime::parse_from_rfc3339(text).map(|instant| Self::from(instant.with_timezone(&Utc))).map_err(|_| {
            let shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
            format!("\"{shown}\" is not an instant; write RFC 3339, for example 2026-11-23T09:30:00Z")
        })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text().as_ref().map(|text| str::from_utf8(text)) {
            Some(Ok(text)) => f.write_str(text),
            _ => f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true)),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.text().as_ref().map(|text| str::from_utf8(text)) {
            Some(Ok(text)) => serializer.serialize_str(text),
            _ => serializer.collect_str(self),
        }
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

    #[test]
    fn a_second_60_is_the_next_second() {
        for (text, shown) in [
            ("2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00.500Z"),
            ("2026-01-01T00:00:60Z", "2026-01-01T00:01:00.000Z"),
            ("2026-01-01T01:00:60+01:00", "2026-01-01T00:01:00.000Z"),
        ] {
            let instant: Timestamp = text.parse().unwrap();
            assert_eq!(instant.to_string(), shown);
            assert_eq!(shown.parse(), Ok(instant));
        }
    }

    #[test]
    fn any_instant_is_written_as_chrono_writes_it() {
        let instants = [
            "0000-01-01T00:00:00Z",
            "0999-12-31T23:59:59.999Z",
            "1969-12-31T23:59:59.001Z",
            "2000-02-29T12:00:00.010Z",
            "2016-12-31T23:59:60.5Z",
            "2026-07-08T09:05:06.7Z",
            "9999-12-31T23:59:59.999Z",
        ];
        let instants = instants.map(|text| text.parse::<Timestamp>().unwrap());
        let far = [-62_167_219_200_001, 253_402_300_800_000].map(|millis| Timestamp::from_millis(millis).unwrap());
        for instant in instants.into_iter().chain(far) {
            let expected = instant.get().to_rfc3339_opts(SecondsFormat::Millis, true);
            assert_eq!(instant.to_string(), expected);
            assert_eq!(serde_json::to_string(&instant).unwrap(), format!("\"{expected}\""));
        }
    }
}
