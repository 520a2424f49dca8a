//! Time zones by their IANA names.

use std::fmt;
use std::str::FromStr;

use chrono_tz::{TZ_VARIANTS, Tz};
use serde::{Deserialize, Serialize};

/// A time zone of the IANA database, such as `Europe/Madrid`. Serialised as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timezone(Tz);

impl Timezone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(Tz::UTC);

    /// The zone, for use with chrono.
    #[must_use]
    pub fn tz(self) -> Tz {
        self.0
    }

    /// The zone's IANA name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

impl Default for Timezone {
    fn default() -> Self {
        Self::UTC
    }
}

impl From<Tz> for Timezone {
    fn from(zone: Tz) -> Self {
        Self(zone)
    }
}

impl fmt::Display for Timezone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The zone of a line: one by name, or that of each host, written `host`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum LineZone {
    /// This one.
    Named(Timezone),
    /// Each host's own.
    Host,
}

impl LineZone {
    /// The zone on a host whose own one this is.
    #[must_use]
    pub fn on(self, host: Timezone) -> Timezone {
        match self {
            Self::Named(zone) => zone,
            Self::Host => host,
        }
    }
}

impl TryFrom<String> for LineZone {
    type Error = UnknownTimezone;

    fn try_from(text: String) -> Result<Self, UnknownTimezone> {
        if text == "host" { Ok(Self::Host) } else { text.parse().map(Self::Named) }
    }
}

impl From<LineZone> for String {
    fn from(zone: LineZone) -> Self {
        match zone {
            LineZone::Named(zone) => zone.into(),
            LineZone::Host => "host".to_owned(),
        }
    }
}

/// A text that names no time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone {shown}{} (IANA names, e.g. UTC, Europe/Madrid)", hint(.meant))]
pub struct UnknownTimezone {
    /// The text, escaped and in quotes.
    shown: String,
    /// The name it is closest to.
    meant: Option<&'static str>,
}

fn hint(meant: &Option<&'static str>) -> String {
    meant.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

impl FromStr for Timezone {
    type Err = UnknownTimezone;

    fn from_str(text: &str) -> Result<Self, UnknownTimezone> {
        text.parse().map(Self).map_err(|_| {
            let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
            if text.chars().nth(LONGEST).is_some() {
                shown.push_str("...");
            }
            UnknownTimezone { shown: format!("\"{shown}\""), meant: closest(text) }
        })
    }
}

impl TryFrom<String> for Timezone {
    type Error = UnknownTimezone;

    fn try_from(text: String) -> Result<Self, UnknownTimezone> {
        text.parse()
    }
}

impl From<Timezone> for String {
    fn from(zone: Timezone) -> Self {
        zone.name().to_owned()
    }
}

/// Longer than any zone's name; what is longer is not compared with all of them.
const LONGEST: usize = 48;

/// The zone that was probably meant: the same but for case and blanks, a city without its region, or a slip of the
/// fingers away.
fn closest(text: &str) -> Option<&'static str> {
    let plain = |text: &str| text.trim().replace([' ', '-'], "_").to_ascii_lowercase();
    let wanted = plain(text);
    let length = wanted.chars().count();
    if length == 0 || length > LONGEST {
        return None;
    }
    let names = || TZ_VARIANTS.iter().map(|zone| zone.name());
    names()
        .find(|name| plain(name) == wanted)
        .or_else(|| names().find(|name| name.rsplit('/').next().is_some_and(|city| plain(city) == wanted)))
        .or_else(|| {
            // Abbreviations such as CEST are a letter away from quite other zones.
            let allowed = match length {
                0..=4 => return None,
                5..=8 => 1,
                9..=12 => 2,
                _ => 3,
            };
            names()
                .map(|name| (slips(&wanted, &plain(name)), name))
                .filter(|(slips, _)| *slips <= allowed)
                .min_by_key(|(slips, _)| *slips)
                .map(|(_, name)| name)
        })
}

/// Insertions, deletions, replacements and swaps of neighbours between two texts (optimal string alignment distance).
fn slips(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX - 1);
            let mut least = (at(&above, j + 1) + 1).min(at(&row, j) + 1).min(at(&above, j) + usize::from(from != to));
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(to) && b.get(j - 1) == Some(from);
            if swapped {
                least = least.min(at(&before, j - 1) + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_as_they_are() {
        for name in ["UTC", "Europe/Madrid", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "Asia/Kolkata"] {
            let zone: Timezone = name.parse().unwrap();
            assert_eq!(zone.to_string(), name);
            let json = serde_json::to_string(&zone).unwrap();
            assert_eq!(json, format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<Timezone>(&json).unwrap(), zone);
        }
        assert_eq!(Timezone::default().name(), "UTC");
    }

    #[test]
    fn a_wrong_name_is_told_the_right_one() {
        let message = |text: &str| text.parse::<Timezone>().unwrap_err().to_string();
        assert_eq!(
            message("Europe/Madird"),
            "unknown time zone \"Europe/Madird\"; did you mean Europe/Madrid? (IANA names, e.g. UTC, Europe/Madrid)"
        );
        for (wrong, right) in [
            ("europe/madrid", "Europe/Madrid"),
            ("Madrid", "Europe/Madrid"),
            ("new york", "America/New_York"),
            ("Europe/Berln", "Europe/Berlin"),
            ("utc", "UTC"),
            (" UTC", "UTC"),
        ] {
            assert!(message(wrong).contains(&format!("did you mean {right}?")), "{}", message(wrong));
        }
        for hopeless in ["", "CEST", "+02:00", "host", "Romance Standard Time", &"x".repeat(100_000)] {
            assert!(!message(hopeless).contains("mean"), "{}", message(hopeless));
            assert!(message(hopeless).len() < 200);
        }
        assert_eq!(
            message("a\n\u{1b}[31m"),
            "unknown time zone \"a\\n\\u{1b}[31m\" (IANA names, e.g. UTC, Europe/Madrid)"
        );
        assert!(serde_json::from_str::<Timezone>("\"Mars/Base\"").is_err());
    }
}
