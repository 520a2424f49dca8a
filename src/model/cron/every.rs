//! `@every DURATION`: a plain interval, in step with the Unix epoch so that a restart does not shift it.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::error::quoted;

/// Shorter intervals are work for a service, not for a scheduler.
const SHORTEST_MS: u64 = 1_000;
/// A hundred years: beyond it the next instant could lie past what a clock can say.
const LONGEST_MS: u64 = 36_525 * 86_400_000;

/// Units in the order in which they must be written: text, singular, milliseconds.
const UNITS: [(&str, &str, u64); 5] = [
    ("d", "day", 86_400_000),
    ("h", "hour", 3_600_000),
    ("m", "minute", 60_000),
    ("s", "second", 1_000),
    ("ms", "millisecond", 1),
];

/// Reads an interval such as `90s`, `5m`, `1h30m` or `1s250ms`: whole numbers with units `d` (24 h), `h`, `m`, `s`,
/// `ms`, larger units first. From one second to a hundred years.
pub(super) fn parse_every(text: &str) -> Result<Duration, String> {
    let mut total: u64 = 0;
    for (count, unit) in parts(text)? {
        total = UNITS
            .get(unit)
            .and_then(|(_, _, ms)| count.checked_mul(*ms))
            .and_then(|ms| total.checked_add(ms))
            .filter(|total| *total <= LONGEST_MS)
            .ok_or_else(|| format!("interval {} is longer than 36525d", quoted(text)))?;
    }
    if total < SHORTEST_MS {
        return Err(format!("interval {} is shorter than 1s", quoted(text)));
    }
    Ok(Duration::from_millis(total))
}

/// Counts with the index of their unit, as written.
fn parts(text: &str) -> Result<Vec<(u64, usize)>, String> {
    let bad = || {
        format!(
            "interval {} is not understood; write whole numbers with d, h, m, s or ms, larger units first, such as \
             90s or 1h30m",
            quoted(text)
        )
    };
    let mut found: Vec<(u64, usize)> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_lowercase()).len();
        let (letters, tail) = tail.split_at(letters);
        let unit = UNITS.iter().position(|(unit, _, _)| *unit == letters).ok_or_else(bad)?;
        if number.is_empty() || found.last().is_some_and(|(_, last)| *last >= unit) {
            return Err(bad());
        }
        // Only a number beyond 64 bits fails here.
        let count = number.parse().map_err(|_| format!("interval {} is longer than 36525d", quoted(text)))?;
        found.push((count, unit));
        rest = tail;
    }
    if found.is_empty() { Err(bad()) } else { Ok(found) }
}

/// The first multiple of the interval since the Unix epoch that is strictly after `after`.
pub(super) fn next_after(interval: Duration, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let interval = i64::try_from(interval.as_millis()).ok().filter(|ms| *ms > 0)?;
    let next = after.timestamp_millis().div_euclid(interval).checked_add(1)?.checked_mul(interval)?;
    DateTime::from_timestamp_millis(next)
}

/// How many multiples of the interval lie later than `after` and not later than `until`, and the last of them.
pub(super) fn passed(interval: Duration, after: DateTime<Utc>, until: DateTime<Utc>) -> (u64, Option<DateTime<Utc>>) {
    let Some(interval) = i64::try_from(interval.as_millis()).ok().filter(|ms| *ms > 0) else { return (0, None) };
    let [first, last] = [after, until].map(|at| at.timestamp_millis().div_euclid(interval));
    let count = u64::try_from(last - first).unwrap_or_default();
    (count, DateTime::from_timestamp_millis(last * interval).filter(|_| count > 0))
}

/// The interval in words, in the units it was written in: `every 90 seconds`, `every 1 hour 30 minutes`.
pub(super) fn describe(text: &str) -> String {
    let parts: Vec<(u64, &str)> = parts(text)
        .unwrap_or_default()
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .filter_map(|(count, unit)| UNITS.get(unit).map(|(_, name, _)| (count, *name)))
        .collect();
    if let [(1, name)] = parts.as_slice() {
        return format!("every {name}");
    }
    let words: Vec<String> =
        parts.into_iter().map(|(count, name)| format!("{count} {name}{}", if count == 1 { "" } else { "s" })).collect();
    format!("every {}", words.join(" "))
}
