//! What is wrong with a line, in which field.

use std::fmt;

/// A field of a cron line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CronField {
    /// 0-59, only in lines of six fields.
    Second,
    /// 0-59.
    Minute,
    /// 0-23.
    Hour,
    /// 1-31.
    DayOfMonth,
    /// 1-12 or jan-dec.
    Month,
    /// 0-7 or sun-sat; Sunday is 0 and 7.
    DayOfWeek,
}

impl CronField {
    /// The field's name as crontab(5) hyphenates it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day-of-month",
            Self::Month => "month",
            Self::DayOfWeek => "day-of-week",
        }
    }
}

impl fmt::Display for CronField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a text is no cron line: one line, with the field where there is one, and what is allowed there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{detail}", place(.field))]
pub struct CronError {
    /// The field at fault; none when the line as a whole is.
    pub field: Option<CronField>,
    /// What is wrong and what is allowed.
    pub detail: String,
}

impl CronError {
    pub(super) fn line(detail: impl Into<String>) -> Self {
        Self { field: None, detail: detail.into() }
    }

    pub(super) fn field(field: CronField, detail: impl Into<String>) -> Self {
        Self { field: Some(field), detail: detail.into() }
    }
}

fn place(field: &Option<CronField>) -> String {
    field.map(|field| format!("{field}: ")).unwrap_or_default()
}

/// A client's text within a message: in quotes, escaped, and short enough for one line.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push_str("...");
    }
    format!("\"{shown}\"")
}
