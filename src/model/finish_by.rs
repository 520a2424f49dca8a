//! By when something that was due must have gone well: a time of day, or a length of time after the instant.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::time_of_day::TimeOfDay;
use super::{CronLine, Span, Timezone};

/// By when an instant must have an OK Result: written `06:00` or `5h`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishBy {
    /// At the next such time of day, in the zone of the line.
    TimeOfDay {
        /// As it is written.
        text: String,
        /// The line that is due then: it knows how clock changes are taken.
        line: CronLine,
    },
    /// So long after the instant.
    Within(Span),
}

impl FinishBy {
    /// The last moment for what was due at this instant.
    pub fn of(&self, instant: DateTime<Utc>, zone: Timezone) -> Option<DateTime<Utc>> {
        match self {
            Self::TimeOfDay { line, .. } => line.next_after(zone, instant),
            Self::Within(span) => instant.checked_add_signed(TimeDelta::from_std(span.get()).ok()?),
        }
    }
}

impl FromStr for FinishBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(line) = time_of_day(text) {
            return Ok(Self::TimeOfDay { text: text.to_owned(), line });
        }
        match text.parse::<Span>() {
            Ok(span) if span.get().is_zero() => Err("must be longer than 0".to_owned()),
            Ok(span) => Ok(Self::Within(span)),
            Err(_) => {
                let shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
                Err(format!("\"{shown}\" is neither a time of day such as 06:00 nor a duration such as 5h"))
            }
        }
    }
}

/// `HH:MM`, as the line that is due then every day.
fn time_of_day(text: &str) -> Option<CronLine> {
    let time = text.parse::<TimeOfDay>().ok().filter(|time| !time.is_end())?;
    format!("{} {} * * *", time.minute(), time.hour()).parse().ok()
}

impl fmt::Display for FinishBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimeOfDay { text, .. } => f.write_str(text),
            Self::Within(span) => span.fmt(f),
        }
    }
}

impl Serialize for FinishBy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FinishBy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_the_next_one_in_the_zone_of_the_line() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let by: FinishBy = "06:00".parse().unwrap();
        let berlin = Timezone::from(chrono_tz::Europe::Berlin);
        assert_eq!(by.of(at("2026-11-25T01:30:00Z"), berlin), Some(at("2026-11-25T05:00:00Z")));
        assert_eq!(by.of(at("2026-11-25T05:00:00Z"), berlin), Some(at("2026-11-26T05:00:00Z")));
        let within: FinishBy = "1h30m".parse().unwrap();
        assert_eq!(within.of(at("2026-11-25T01:30:00Z"), berlin), Some(at("2026-11-25T03:00:00Z")));
        for text in ["06:00", "23:59", "5h", "1h30m"] {
            assert_eq!(text.parse::<FinishBy>().unwrap().to_string(), text);
        }
        for bad in ["6:00", "24:00", "06:60", "06:00:00", "soon", "0s", "", "+6:00"] {
            assert!(bad.parse::<FinishBy>().is_err(), "{bad}");
        }
    }
}
