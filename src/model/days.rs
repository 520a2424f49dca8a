//! Days of the week: `mon-fri`, `sat,sun`.

use std::fmt;
use std::str::FromStr;

use chrono::Weekday;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Some days of the week, at least one. Written as names and ranges of them (`mon-fri,sun`); a range may go over the
/// week's end (`fri-mon`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Days([bool; 7]);

impl Days {
    /// Every day.
    pub const ALL: Self = Self([true; 7]);

    /// Whether it is one of them.
    pub fn hold(self, day: Weekday) -> bool {
        let index = usize::try_from(day.num_days_from_monday()).ok();
        index.and_then(|index| self.0.get(index)).is_some_and(|held| *held)
    }
}

impl FromStr for Days {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown = |text: &str| text.chars().take(20).flat_map(char::escape_debug).collect::<String>();
        let day = |text: &str| {
            let found = NAMES.iter().position(|name| name.eq_ignore_ascii_case(text));
            found.ok_or_else(|| {
                format!("\"{}\" is not a day; write for example mon-fri or sat,sun ({})", shown(text), NAMES.join(", "))
            })
        };
        let mut days = [false; 7];
        for item in text.split(',').map(str::trim) {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let (first, last) = (day(first.trim())?, day(last.trim())?);
            let count = (last + 7 - first) % 7 + 1;
            for held in (0..count).map(|step| (first + step) % 7) {
                if let Some(held) = days.get_mut(held) {
                    *held = true;
                }
            }
        }
        Ok(Self(days))
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        let mut days = self.0.iter().zip(NAMES).peekable();
        while let Some((held, first)) = days.next() {
            if !held {
                continue;
            }
            let mut last = first;
            while let Some((_, name)) = days.next_if(|(held, _)| **held) {
                last = name;
            }
            words.push(if first == last { first.to_owned() } else { format!("{first}-{last}") });
        }
        f.write_str(&words.join(","))
    }
}

impl Serialize for Days {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_and_shown_in_the_order_of_the_week() {
        for (text, shown) in [
            ("mon-fri", "mon-fri"),
            ("sat,sun", "sat-sun"),
            ("mon-fri,sun", "mon-fri,sun"),
            ("fri-mon", "mon,fri-sun"),
            ("SUN, Wed", "wed,sun"),
            ("tue-tue", "tue"),
            ("mon-sun", "mon-sun"),
        ] {
            let days: Days = text.parse().unwrap();
            assert_eq!(days.to_string(), shown, "{text}");
            assert_eq!(shown.parse::<Days>().unwrap(), days);
        }
        for bad in ["", "monday", "mon-", "-", "mon,,tue", "mon-fri-sun", "1-5", "*"] {
            assert!(bad.parse::<Days>().is_err(), "{bad}");
        }
        let weekend: Days = "sat,sun".parse().unwrap();
        assert!(weekend.hold(Weekday::Sun) && !weekend.hold(Weekday::Fri));
    }
}
