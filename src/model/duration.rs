//! Durations as text: `90s`, `5m`, `1h30m`, `250ms`, and `none` where a limit may be absent.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Units in falling order, with their length in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// What is wrong with a text that should be a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration; write for example 250ms, 90s, 5m, 1h30m or 2d")]
pub struct DurationError(String);

/// A length of time, whole milliseconds, shown and read as text such as `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(Duration);

impl Span {
    /// Whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Of the standard library's, whole milliseconds of it.
    pub const fn new(length: Duration) -> Self {
        Self(Duration::from_millis(length.as_millis() as u64))
    }

    /// As the standard library has it.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let fail = || DurationError(text.chars().take(40).collect());
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let mut rest = text;
        let mut total: u64 = 0;
        let mut smallest = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(fail)?;
            let (number, after) = rest.split_at(digits);
            let letters = after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len());
            let (unit, next) = after.split_at(letters);
            let (_, length) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(fail)?;
            if *length >= smallest {
                return Err(fail());
            }
            smallest = *length;
            let number: u64 = number.parse().map_err(|_| fail())?;
            total = number.checked_mul(*length).and_then(|part| total.checked_add(part)).ok_or_else(fail)?;
            rest = next;
        }
        // A hundred years: beyond that instants overflow.
        if smallest == u64::MAX || total > 36_525 * 86_400_000 {
            return Err(fail());
        }
        Ok(Self(Duration::from_millis(total)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        // 90s stays 90s: people write it so, and two minutes or more read better in minutes.
        if rest < 120_000 && rest % 1_000 == 0 {
            return write!(f, "{}s", rest / 1_000);
        }
        for (unit, length) in UNITS {
            if unit == "d" && rest % length != 0 {
                continue;
            }
            let count = rest / length;
            if count > 0 {
                write!(f, "{count}{unit}")?;
                rest %= length;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A limit that may be absent: a duration, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// At most this long.
    After(Span),
    /// No limit.
    None,
}

impl Limit {
    /// The limit, if there is one.
    pub fn get(self) -> Option<Duration> {
        match self {
            Self::After(span) => Some(span.get()),
            Self::None => None,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(span) => span.fmt(f),
            Self::None => f.write_str("none"),
        }
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "none" {
            return Ok(Self::None);
        }
        text.parse().map(Self::After).map_err(|error: DurationError| de::Error::custom(format!("{error}, or none")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown() {
        for (text, millis, shown) in [
            ("90s", 90_000, "90s"),
            ("5m", 300_000, "5m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("250ms", 250, "250ms"),
            ("1s500ms", 1_500, "1s500ms"),
            ("0s", 0, "0s"),
            ("0", 0, "0s"),
            ("60m", 3_600_000, "1h"),
            ("2d", 172_800_000, "2d"),
            ("36h", 129_600_000, "36h"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.get().as_millis(), millis, "{text}");
            assert_eq!(span.to_string(), shown, "{text}");
            assert_eq!(shown.parse::<Span>().unwrap(), span, "{shown}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for bad in ["", "5", "m", "-5m", "5 m", "1.5h", "5M", "30m1h", "5m5m", "1x", "99999999999999999999s", "40000d"]
        {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<Limit>("\"none\"").is_ok());
        assert!(serde_json::from_str::<Limit>("\"never\"").is_err());
    }
}
