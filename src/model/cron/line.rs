//! A cron line as written, validated once.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::super::timezone::Timezone;
use super::error::{CronError, CronField, quoted};
use super::field::Field;
use super::wall::Wall;
use super::{every, next, passed, words};

/// Longest line, in bytes: room for every value of every field spelled out.
const MAX_LENGTH: usize = 1024;
const MACROS: &str = "@yearly @annually @monthly @weekly @daily @midnight @hourly, or @every 90s";

/// The six fields of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub(super) second: Field,
    pub(super) minute: Field,
    pub(super) hour: Field,
    pub(super) day_of_month: Field,
    pub(super) month: Field,
    pub(super) day_of_week: Field,
}

impl Fields {
    /// A job of cron(8)'s wildcard kind, which follows the wall clock through daylight-saving changes; all others
    /// are kept to once a day at their times.
    pub(super) fn is_wild(&self) -> bool {
        self.second.star || self.minute.star || self.hour.star
    }

    /// Both day fields must match; otherwise one is enough.
    pub(super) fn days_joined_by_and(&self) -> bool {
        self.day_of_month.star || self.day_of_week.star
    }

    /// Every day, hour and minute at second 0: what macros narrow down.
    fn any() -> Self {
        Self {
            second: Field::only(0),
            minute: Field::any(CronField::Minute),
            hour: Field::any(CronField::Hour),
            day_of_month: Field::any(CronField::DayOfMonth),
            month: Field::any(CronField::Month),
            day_of_week: Field::any(CronField::DayOfWeek),
        }
    }

    fn parse(texts: &[&str]) -> Result<Self, CronError> {
        let (second, rest) = match texts {
            [_, _, _, _, _] => (Field::only(0), texts),
            [second, rest @ ..] if rest.len() == 5 => (Field::parse(CronField::Second, second)?, rest),
            _ => return Err(wrong_count(texts.len())),
        };
        let [minute, hour, day_of_month, month, day_of_week] = rest else {
            return Err(wrong_count(texts.len()));
        };
        let fields = Self {
            second,
            minute: Field::parse(CronField::Minute, minute)?,
            hour: Field::parse(CronField::Hour, hour)?,
            day_of_month: Field::parse(CronField::DayOfMonth, day_of_month)?,
            month: Field::parse(CronField::Month, month)?,
            day_of_week: Field::parse(CronField::DayOfWeek, day_of_week)?,
        };
        if fields.never_comes() {
            return Err(CronError::field(
                CronField::DayOfMonth,
                format!("{} in month {} is a date that never comes", quoted(day_of_month), quoted(month)),
            ));
        }
        Ok(fields)
    }

    /// No chosen month has a chosen day. A weekday does not matter: each date falls on each of them in some year.
    fn never_comes(&self) -> bool {
        let first = (1..=31).find(|day| self.day_of_month.has(*day)).unwrap_or(32);
        let longest = (1..=12)
            .filter(|month| self.month.has(*month))
            .map(|month| match month {
                2 => 29,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            })
            .max()
            .unwrap_or(0);
        self.days_joined_by_and() && first > longest
    }
}

fn wrong_count(found: usize) -> CronError {
    CronError::line(format!(
        "expected 5 fields (minute hour day-of-month month day-of-week), or 6 with leading seconds, or a macro such \
         as @daily; found {found}"
    ))
}

#[derive(Debug)]
enum Rule {
    Fields { fields: Fields, wall: Box<Wall> },
    Every { interval: Duration, text: String },
}

#[derive(Debug)]
struct Parsed {
    text: String,
    rule: Rule,
}

/// A valid cron line: five fields of crontab(5), six with leading seconds, a macro, or `@every DURATION`.
///
/// Equal when written alike. Cheap to clone. Serialised as the text, and validated when read.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CronLine {
    parsed: Arc<Parsed>,
}

impl CronLine {
    /// The line as written, without blanks around it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.parsed.text
    }

    /// The first instant strictly after `after` at which the line is due in `zone`.
    ///
    /// Daylight-saving as in cron(8): when minute or hour (or second) begins with `*` the line follows the wall
    /// clock, through both passes of a repeated hour and past a skipped one; any other line is due once, right after
    /// the gap if its time was skipped, and in the first pass of a repeated hour. Clock changes of three hours and
    /// more are no daylight-saving: the new time counts. `@every` knows no zone: multiples of the interval since the
    /// Unix epoch.
    ///
    /// The calendar of lines with fields is 1970 to 2100: from earlier instants the first one in 1970 is given, and
    /// none after 2100.
    #[must_use]
    pub fn next_after(&self, zone: Timezone, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.parsed.rule {
            Rule::Fields { fields, wall } => next::next_after(wall, fields.is_wild(), zone.tz(), after),
            Rule::Every { interval, .. } => every::next_after(*interval, after),
        }
    }

    /// How many instants later than `after` and not later than `until` there are, and the last of them: as many as
    /// [`Self::next_after`] gives one after the other, without walking through them.
    #[must_use]
    pub fn passed(&self, zone: Timezone, after: DateTime<Utc>, until: DateTime<Utc>) -> (u64, Option<DateTime<Utc>>) {
        match &self.parsed.rule {
            Rule::Fields { fields, wall } => passed::passed((fields, wall), zone.tz(), after, until),
            Rule::Every { interval, .. } => every::passed(*interval, after, until),
        }
    }

    /// The interval of an `@every` line; none for lines that name times.
    #[must_use]
    pub fn interval(&self) -> Option<Duration> {
        match &self.parsed.rule {
            Rule::Fields { .. } => None,
            Rule::Every { interval, .. } => Some(*interval),
        }
    }

    /// The line in English words, such as `at 02:30 on Monday to Friday`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.parsed.rule {
            Rule::Fields { fields, .. } => words::describe(fields),
            Rule::Every { text, .. } => every::describe(text),
        }
    }
}

impl FromStr for CronLine {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        if text.len() > MAX_LENGTH {
            return Err(CronError::line(format!(
                "the line has {} bytes; at most {MAX_LENGTH} are allowed",
                text.len()
            )));
        }
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        if let Some(c) = text.chars().find(|c| *c != ' ' && *c != '\t' && (c.is_whitespace() || c.is_control())) {
            return Err(CronError::line(format!(
                "U+{:04X} is not allowed; fields are separated by blanks or tabs",
                u32::from(c)
            )));
        }
        let words: Vec<&str> = text.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        let rule = match words.as_slice() {
            [] => return Err(CronError::line("the line is empty; write 5 fields or a macro such as @daily")),
            [first, rest @ ..] if first.starts_with('@') => at_rule(first, rest)?,
            fields => with_fields(Fields::parse(fields)?)?,
        };
        Ok(Self { parsed: Arc::new(Parsed { text: text.to_owned(), rule }) })
    }
}

fn with_fields(fields: Fields) -> Result<Rule, CronError> {
    let wall = Box::new(Wall::new(&fields)?);
    Ok(Rule::Fields { fields, wall })
}

/// Macros and `@every`.
fn at_rule(name: &str, rest: &[&str]) -> Result<Rule, CronError> {
    if name == "@every" {
        let [text] = rest else {
            return Err(CronError::line(
                "@every takes one interval, written without blanks, such as @every 90s or @every 1h30m",
            ));
        };
        let interval = every::parse_every(text).map_err(|detail| CronError::line(format!("@every: {detail}")))?;
        return Ok(Rule::Every { interval, text: (*text).to_owned() });
    }
    let any = Fields::any();
    let hourly = Fields { minute: Field::only(0), ..any };
    let daily = Fields { hour: Field::only(0), ..hourly };
    let monthly = Fields { day_of_month: Field::only(1), ..daily };
    let fields = match name {
        "@yearly" | "@annually" => Fields { month: Field::only(1), ..monthly },
        "@monthly" => monthly,
        "@weekly" => Fields { day_of_week: Field::only(0), ..daily },
        "@daily" | "@midnight" => daily,
        "@hourly" => hourly,
        "@reboot" => {
            return Err(CronError::line(
                "@reboot names no instant: when a host starts is not known to the schedule; write a time or @every",
            ));
        }
        other => {
            return Err(CronError::line(format!("unknown macro {}; allowed, in lower case: {MACROS}", quoted(other))));
        }
    };
    if rest.is_empty() {
        with_fields(fields)
    } else {
        Err(CronError::line(format!("{name} stands alone; nothing may follow it")))
    }
}

impl PartialEq for CronLine {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for CronLine {}

impl fmt::Display for CronLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CronLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CronLine").field(&self.as_str()).finish()
    }
}

impl TryFrom<String> for CronLine {
    type Error = CronError;

    fn try_from(text: String) -> Result<Self, CronError> {
        text.parse()
    }
}

impl From<CronLine> for String {
    fn from(line: CronLine) -> Self {
        line.as_str().to_owned()
    }
}
