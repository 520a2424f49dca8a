//! Times of day: `HH:MM` on the wall clock.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Timezone;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// A time of day, to the minute, from `00:00` to `24:00`, which is the end of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// The hour, up to 24.
    pub const fn hour(self) -> u16 {
        self.0 / 60
    }

    /// The minute of the hour.
    pub const fn minute(self) -> u16 {
        self.0 % 60
    }

    /// Whether it is the end of the day.
    pub const fn is_end(self) -> bool {
        self.0 == DAY
    }

    /// When that is on a day. A time that the clocks leave out is that at which they go on; of one that comes twice the
    /// first counts.
    pub(super) fn on(self, day: NaiveDate, zone: Timezone) -> Option<DateTime<Utc>> {
        let wall = day.and_time(NaiveTime::MIN).checked_add_signed(TimeDelta::minutes(self.0.into()))?;
        let minutes = (0..=i64::from(DAY)).map_while(|later| wall.checked_add_signed(TimeDelta::minutes(later)));
        let mut instants = minutes.filter_map(|wall| zone.tz().from_local_datetime(&wall).earliest());
        instants.next().map(|instant| instant.to_utc())
    }
}

impl FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str, most: u16| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u16>().ok().filter(|number| digits && *number <= most)
        };
        let parsed = text.split_once(':').and_then(|(hour, minute)| {
            let minutes = number(hour, 24)? * 60 + number(minute, 59)?;
            (minutes <= DAY).then_some(Self(minutes))
        });
        parsed.ok_or_else(|| {
            let shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
            format!("\"{shown}\" is not a time of day such as 07:00 or 22:30")
        })
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour(), self.minute())
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_are_read_and_shown() {
        for text in ["00:00", "06:05", "23:59", "24:00"] {
            assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), text);
        }
        for bad in ["", "7", "7:00", "07:0", "24:01", "25:00", "07:60", "07:00:00", "+7:00", "07.00", "ab:cd"] {
            assert!(bad.parse::<TimeOfDay>().is_err(), "{bad}");
        }
    }

    #[test]
    fn one_that_the_clocks_leave_out_is_that_at_which_they_go_on() {
        let berlin = Timezone::from(chrono_tz::Europe::Berlin);
        for (day, time, instant) in [
            ("2026-11-25", "22:00", "2026-11-25T21:00:00Z"),
            ("2026-11-25", "24:00", "2026-11-25T23:00:00Z"),
            ("2026-03-29", "02:30", "2026-03-29T01:00:00Z"),
            ("2026-10-25", "02:30", "2026-10-25T00:30:00Z"),
        ] {
            let on = time.parse::<TimeOfDay>().unwrap().on(day.parse().unwrap(), berlin);
            assert_eq!(on, Some(instant.parse().unwrap()), "{day} {time}");
        }
    }
}
