//! A condition on what a plugin measured: `load1 > 5`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::super::nagios::{Metric, Number};

/// Longest condition, in bytes.
const LONGEST: usize = 512;
/// The comparisons; those of two characters first, so that they are not taken for those of one.
const COMPARISONS: [(&str, Comparison); 6] = [
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    ("==", Comparison::Equal),
    ("!=", Comparison::Unequal),
    (">", Comparison::Above),
    ("<", Comparison::Below),
];

/// How a measurement is to compare with a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
    Equal,
    Unequal,
}

impl Comparison {
    fn word(self) -> &'static str {
        COMPARISONS.iter().find(|(_, other)| *other == self).map_or("", |(word, _)| word)
    }

    #[expect(clippy::float_cmp, reason = "as the number is written, so it is compared")]
    fn holds(self, measured: f64, number: f64) -> bool {
        match self {
            Self::Above => measured > number,
            Self::AtLeast => measured >= number,
            Self::Below => measured < number,
            Self::AtMost => measured <= number,
            Self::Equal => measured == number,
            Self::Unequal => measured != number,
        }
    }
}

/// A condition on what a plugin measured: a label (in quotes where it holds spaces or signs), one of
/// `> >= < <= == !=`, and a number. With a unit behind the number the measurement must be in this unit.
#[derive(Debug, Clone, PartialEq)]
pub struct PerfCondition {
    label: String,
    comparison: Comparison,
    number: Number,
    unit: Option<String>,
}

/// Why a condition does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PerfMiss {
    /// No measurement has this label.
    #[error("nothing called \"{0}\" was measured")]
    Absent(String),
    /// The plugin could not tell.
    #[error("the plugin could not tell how much \"{0}\" is")]
    Unknown(String),
    /// It is in another unit.
    #[error("\"{0}\" is measured in {1}, not in {2}")]
    Unit(String, String, String),
    /// It compares otherwise.
    #[error("\"{0}\" is {1}")]
    Value(String, Number),
}

impl PerfCondition {
    /// The label of the measurement.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Whether it holds for what was measured.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check(&self, measured: &[Metric]) -> Result<(), PerfMiss> {
        let label = || self.label.clone();
        let metric = measured.iter().find(|metric| metric.label == self.label);
        let metric = metric.ok_or_else(|| PerfMiss::Absent(label()))?;
        if let Some(unit) = self.unit.as_ref().filter(|unit| metric.unit.as_ref() != Some(*unit)) {
            let other = metric.unit.clone().unwrap_or_else(|| "no unit".to_owned());
            return Err(PerfMiss::Unit(label(), other, unit.clone()));
        }
        let value = metric.value.ok_or_else(|| PerfMiss::Unknown(label()))?;
        if self.comparison.holds(value.get(), self.number.get()) {
            Ok(())
        } else {
            Err(PerfMiss::Value(label(), value))
        }
    }
}

/// Whether a label can stand without quotes.
fn is_plain(c: char) -> bool {
    !c.is_whitespace() && !"<>=!'\"".contains(c)
}

/// The label that a text begins with, and what follows it. Within quotes a quote is written twice, as plugins do.
fn take_label(text: &str) -> Option<(String, &str)> {
    let Some(quote) = text.chars().next().filter(|c| "'\"".contains(*c)) else {
        let end = text.find(|c| !is_plain(c)).unwrap_or(text.len());
        let (label, rest) = text.split_at(end);
        return (!label.is_empty()).then(|| (label.to_owned(), rest));
    };
    let mut label = String::new();
    let mut rest = text.strip_prefix(quote)?;
    loop {
        let (part, after) = rest.split_once(quote)?;
        label.push_str(part);
        let Some(more) = after.strip_prefix(quote) else {
            return (!label.is_empty()).then_some((label, after));
        };
        label.push(quote);
        rest = more;
    }
}

impl FromStr for PerfCondition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = || {
            let (label, rest) = take_label(text.trim())?;
            let rest = rest.trim_start();
            let (word, comparison) = COMPARISONS.into_iter().find(|(word, _)| rest.starts_with(word))?;
            let (number, unit) = Number::take(rest.strip_prefix(word)?.trim_start())?;
            let unit = unit.trim();
            let legal = unit.chars().all(|c| is_plain(c) && !c.is_ascii_digit() && !",.;+-".contains(c));
            let unit = Some(unit.to_owned()).filter(|unit| !unit.is_empty());
            legal.then_some(Self { label, comparison, number, unit })
        };
        let short = text.len() <= LONGEST && !text.chars().any(char::is_control);
        short.then(parsed).flatten().ok_or_else(|| {
            let shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
            format!(
                "\"{shown}\" is no condition such as load1 > 5 or '/var log' >= 90%: a label (in quotes where it holds \
                 spaces), one of > >= < <= == !=, and a number"
            )
        })
    }
}

impl fmt::Display for PerfCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.label.chars().all(is_plain) {
            f.write_str(&self.label)?;
        } else {
            write!(f, "'{}'", self.label.replace('\'', "''"))?;
        }
        write!(f, " {} {}{}", self.comparison.word(), self.number, self.unit.as_deref().unwrap_or_default())
    }
}

impl Serialize for PerfCondition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PerfCondition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::nagios;
    use super::*;

    fn condition(text: &str) -> PerfCondition {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn conditions_are_read_and_shown() {
        for (text, shown) in [
            ("load1 > 5", "load1 > 5"),
            ("load1>5", "load1 > 5"),
            ("  load1   >=  0.5 ", "load1 >= 0.5"),
            ("/ > 90%", "/ > 90%"),
            ("'/var log' != -1e3", "'/var log' != -1000"),
            ("\"it's\" == 1", "'it''s' == 1"),
            ("'it''s' < 1 MB", "'it''s' < 1MB"),
            ("rta <= 250ms", "rta <= 250ms"),
            ("größe > 1", "größe > 1"),
        ] {
            assert_eq!(condition(text).to_string(), shown, "{text}");
            assert_eq!(condition(shown), condition(text));
        }
        for bad in [
            "",
            "load1",
            "load1 >",
            "> 5",
            "load1 5",
            "load1 = 5",
            "load1 => 5",
            "load1 > five",
            "load1 > 5 > 3",
            "a b > 5",
            "'a > 5",
            "'' > 5",
            "load1 > 5 and load5 > 3",
            "load1 > inf",
            "load1 > NaN",
            "load1\n> 5",
        ] {
            assert!(bad.parse::<PerfCondition>().is_err(), "{bad}");
        }
        assert!(format!("{} > 5", "x".repeat(600)).parse::<PerfCondition>().is_err());
    }

    #[test]
    fn what_was_measured_is_compared_as_it_is() {
        let measured = nagios::perfdata("OK | load1=5.5;4;8 '/var log'=91%;80;90 rta=200ms lost=U", false);
        let told = |text: &str| condition(text).check(&measured).map_err(|miss| miss.to_string());
        for holds in ["load1 > 5", "load1 >= 5.5", "load1 == 5.5", "load1 != 5", "'/var log' > 90", "'/var log' > 90%"]
        {
            assert_eq!(told(holds), Ok(()), "{holds}");
        }
        for (text, miss) in [
            ("load1 < 5.5", "\"load1\" is 5.5"),
            ("load5 > 0", "nothing called \"load5\" was measured"),
            ("rta > 0.1s", "\"rta\" is measured in ms, not in s"),
            ("load1 > 1%", "\"load1\" is measured in no unit, not in %"),
            ("lost > 0", "the plugin could not tell how much \"lost\" is"),
        ] {
            assert_eq!(told(text).unwrap_err(), miss, "{text}");
        }
    }
}
