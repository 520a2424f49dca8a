//! How often at most: `10/h`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Most times that a rate may allow.
const MOST: u32 = 1_000_000;
/// Units of time, with their length in seconds.
const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];

/// So many times within a length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    times: u32,
    unit: &'static str,
    within: Duration,
}

impl Rate {
    /// How many times, at least once.
    pub const fn times(self) -> u32 {
        self.times
    }

    /// Within which length of time.
    pub const fn within(self) -> Duration {
        self.within
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(times, unit)| {
            let digits = !times.is_empty() && times.bytes().all(|byte| byte.is_ascii_digit());
            let times = times.parse().ok().filter(|times| digits && (1..=MOST).contains(times))?;
            let (unit, seconds) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
            Some(Self { times, unit, within: Duration::from_secs(seconds) })
        });
        parsed.ok_or_else(|| {
            let shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
            format!("\"{shown}\" is no rate; write for example 5/m, 10/h or 100/d (1 to {MOST} times in s, m, h or d)")
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.times, self.unit)
    }
}

/// How often at most, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MostOften {
    /// So often.
    At(Rate),
    /// As often as it comes.
    None,
}

impl MostOften {
    /// The rate, if there is one.
    pub fn get(self) -> Option<Rate> {
        match self {
            Self::At(rate) => Some(rate),
            Self::None => None,
        }
    }
}

impl Serialize for MostOften {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::At(rate) => serializer.collect_str(rate),
            Self::None => serializer.serialize_str("none"),
        }
    }
}

impl<'de> Deserialize<'de> for MostOften {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "none" {
            return Ok(Self::None);
        }
        text.parse().map(Self::At).map_err(|error: String| de::Error::custom(format!("{error}, or none")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_shown() {
        for (text, times, seconds) in [("10/h", 10, 3600), ("5/m", 5, 60), ("100/d", 100, 86_400), ("1/s", 1, 1)] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.times(), rate.within()), (times, Duration::from_secs(seconds)));
            assert_eq!(rate.to_string(), text);
        }
        for bad in ["", "10", "0/h", "10/", "/h", "10/w", "-1/h", "+1/h", "1.5/h", "1000001/d", "10 / h", "10/hour"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
        assert_eq!(serde_json::from_str::<MostOften>(r#""none""#).unwrap().get(), None);
        assert!(serde_json::from_str::<MostOften>(r#""never""#).unwrap_err().to_string().contains("or none"));
    }
}
