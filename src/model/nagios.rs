//! What a plugin of Nagios says: its text and its performance data.
//!
//! <https://www.monitoring-plugins.org/doc/guidelines.html>: after a `|` on the first line stand data, up to the line's
//! end; the lines after it are long output, up to another `|` from which on all that comes is data. Data are words such as
//! `'label'=value[unit];[warn];[crit];[min];[max]`. Plugins are looser than that, and so is this reader: a word it cannot
//! read is passed over and spoils nothing else.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

use super::State;

/// Most metrics that are kept of one run.
const MOST_METRICS: usize = 1000;
/// Longest label, in bytes.
const LONGEST_LABEL: usize = 256;
/// Longest unit, in bytes.
const LONGEST_UNIT: usize = 32;
/// Longest range, in bytes.
const LONGEST_RANGE: usize = 64;

/// The state that an exit code of a plugin stands for.
pub fn state_of(exit_code: i32) -> State {
    match exit_code {
        0 => State::Ok,
        1 => State::Warning,
        2 => State::Critical,
        _ => State::Unknown,
    }
}

/// A number that is one: neither infinite nor "not a number". Beyond 2^53 it is the nearest that 64 bits hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number(f64);

/// Lawful because it is never NaN.
impl Eq for Number {}

impl Number {
    /// As the machine has it; none if it is infinite or not a number.
    pub fn new(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self(value))
    }

    /// As the machine has it.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Of a text that is a number as a whole; the decimal point may be a comma.
    fn parse(text: &str) -> Option<Self> {
        let (number, rest) = Self::take(text)?;
        rest.is_empty().then_some(number)
    }

    /// The number that a text begins with, and what follows it.
    pub(super) fn take(text: &str) -> Option<(Self, &str)> {
        let digits = |at: usize| text[at..].bytes().take_while(u8::is_ascii_digit).count();
        let mut end = usize::from(text.starts_with(['-', '+']));
        let whole = digits(end);
        end += whole;
        let mut fraction = 0;
        if text[end..].starts_with(['.', ',']) {
            fraction = digits(end + 1);
            // `1.` is a number; `1,` is one with a comma behind it.
            if fraction > 0 || text[end..].starts_with('.') {
                end += 1 + fraction;
            }
        }
        if whole + fraction == 0 {
            return None;
        }
        if text[end..].starts_with(['e', 'E']) {
            let sign = usize::from(text[end + 1..].starts_with(['-', '+']));
            let exponent = digits(end + 1 + sign);
            if exponent > 0 {
                end += 1 + sign + exponent;
            }
        }
        let number = text[..end].replace(',', ".").parse().ok().and_then(Self::new)?;
        Some((number, &text[end..]))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Number {
    #[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // `12` reads better than `12.0`.
        if self.0.fract() == 0.0 && self.0.abs() < 9_007_199_254_740_992.0 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(f64::deserialize(deserializer)?).ok_or_else(|| de::Error::custom("must be a finite number"))
    }
}

/// Something that a plugin has measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Metric {
    /// What, in the plugin's words.
    pub label: String,
    /// How much; none where the plugin could not tell (`U`).
    pub value: Option<Number>,
    /// The unit of all its numbers: `s`, `%`, `B`, `c` (a counter), …
    pub unit: Option<String>,
    /// Outside this range it is WARNING (inside, with `@`): `[@][start:]end`, where `~` is minus infinity.
    pub warn: Option<String>,
    /// Outside this range it is CRITICAL.
    pub crit: Option<String>,
    /// The least it can be.
    pub min: Option<Number>,
    /// The most it can be.
    pub max: Option<Number>,
}

/// The text for people on the first line that says anything, without the data.
pub fn text_of(stdout: &str) -> Option<&str> {
    let line = stdout.lines().find(|line| !line.trim().is_empty())?;
    let text = line.split('|').next().unwrap_or_default().trim();
    Some(text).filter(|text| !text.is_empty())
}

/// All data of a plugin's output, at most 1000. With `cut`, the output goes on behind this text: the last word of it, of
/// which nobody knows whether it is whole, is not read.
pub fn perfdata(stdout: &str, cut: bool) -> Vec<Metric> {
    let stdout = match stdout.rfind(char::is_whitespace) {
        _ if !cut => stdout,
        Some(last) => &stdout[..last],
        None => "",
    };
    // What stands before the first line that says anything is no line of the plugin's.
    let mut rest = stdout.trim_start();
    let mut metrics = Vec::new();
    let first = rest.lines().next().unwrap_or_default();
    if let Some((_, data)) = first.split_once('|') {
        words(data, &mut metrics);
    }
    rest = &rest[first.len()..];
    if let Some((_, data)) = rest.split_once('|') {
        data.lines().for_each(|line| words(line, &mut metrics));
    }
    metrics
}

/// Reads one line of data.
fn words(line: &str, metrics: &mut Vec<Metric>) {
    let apart = |c: char| c.is_whitespace() || c == '|';
    let mut rest = line.trim_start_matches(apart);
    while !rest.is_empty() && metrics.len() < MOST_METRICS {
        let (read, after) = match label(rest) {
            Some((label, after)) => {
                let (word, after) = after.split_at(after.find(apart).unwrap_or(after.len()));
                (metric(label, word), after)
            }
            None => (None, &rest[rest.find(apart).unwrap_or(rest.len())..]),
        };
        metrics.extend(read);
        rest = after.trim_start_matches(apart);
    }
}

/// The label at the beginning of a text, and what follows its `=`.
fn label(text: &str) -> Option<(String, &str)> {
    let (label, rest) = match text.strip_prefix('\'') {
        None => {
            let end = text.find(|c: char| c.is_whitespace() || "='|".contains(c))?;
            (text[..end].to_owned(), &text[end..])
        }
        Some(quoted) => {
            let mut label = String::new();
            let mut rest = quoted;
            loop {
                let (part, after) = rest.split_once('\'')?;
                label.push_str(part);
                match after.strip_prefix('\'') {
                    Some(further) => {
                        label.push('\'');
                        rest = further;
                    }
                    None => break (label, after),
                }
            }
        }
    };
    let rest = rest.strip_prefix('=')?;
    let good = !label.is_empty() && label.len() <= LONGEST_LABEL && !label.contains(char::is_control);
    good.then_some((label, rest))
}

fn metric(label: String, word: &str) -> Option<Metric> {
    let mut fields = word.trim_end_matches(',').split(';');
    let first = fields.next()?;
    let (value, unit) = match Number::take(first) {
        Some((number, unit)) => (Some(number), unit),
        None if first == "U" => (None, ""),
        None => return None,
    };
    let hexadecimal = first.trim_start_matches(['-', '+']).starts_with("0x");
    if hexadecimal || !is_unit(unit) {
        return None;
    }
    let mut range = || fields.next().and_then(range);
    let (warn, crit) = (range(), range());
    let (min, max) = (fields.next().and_then(Number::parse), fields.next().and_then(Number::parse));
    Some(Metric { label, value, unit: Some(unit.to_owned()).filter(|unit| !unit.is_empty()), warn, crit, min, max })
}

/// The guidelines know `s`, `%`, `B`, `c` and a few of their multiples and ask to be liberal: `MiB/s`, `°C`, `m3`, `W`.
fn is_unit(unit: &str) -> bool {
    let begins = |c: char| c.is_alphabetic() || "%°".contains(c);
    let goes_on = |c: char| begins(c) || c.is_ascii_digit() || "/-_^²³".contains(c);
    unit.is_empty() || (unit.len() <= LONGEST_UNIT && unit.starts_with(begins) && unit.chars().all(goes_on))
}

/// `[@][start:][end]`: `10`, `10:`, `~:5`, `10:20`, `@10:20`; decimal commas become points.
fn range(text: &str) -> Option<String> {
    if text.is_empty() || text.len() > LONGEST_RANGE {
        return None;
    }
    let bounds = text.strip_prefix('@').unwrap_or(text);
    let good = match bounds.split_once(':') {
        None => Number::parse(bounds).is_some(),
        Some((start, end)) => {
            let number_or = |text: &str, other: &str| text == other || Number::parse(text).is_some();
            (number_or(start, "~") || start.is_empty()) && number_or(end, "")
        }
    };
    good.then(|| text.replace(',', "."))
}

#[cfg(test)]
mod tests;
