//! One field of a line: the values it allows, and whether it begins with `*`.

use super::error::{CronError, CronField, quoted};

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The values of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Bit n is value n; Sunday is bit 0 only.
    bits: u64,
    /// The field's first character is `*`: cron's star bit, which decides on daylight-saving and on OR or AND of
    /// the day fields. `*/2` has it; `0-59` has not.
    pub(super) star: bool,
}

impl Field {
    /// A field of one value, without star: what macros and an unwritten seconds field consist of.
    pub(super) fn only(value: u32) -> Self {
        Self { bits: 1 << value, star: false }
    }

    /// The field that `*` gives.
    pub(super) fn any(field: CronField) -> Self {
        let (min, max) = highest_distinct(field);
        Self { bits: (min..=max).fold(0, |bits, value| bits | 1 << value), star: true }
    }

    /// Reads a field: a comma list of `*`, values and ranges, the latter and `*` with an optional step.
    pub(super) fn parse(field: CronField, text: &str) -> Result<Self, CronError> {
        let mut bits = 0;
        for item in text.split(',') {
            if item.is_empty() {
                return Err(CronError::field(field, format!("{} has an empty item beside a comma", quoted(text))));
            }
            bits |= parse_item(field, item)?;
        }
        if field == CronField::DayOfWeek && bits & (1 << 7) != 0 {
            bits = (bits & !(1 << 7)) | 1;
        }
        Ok(Self { bits, star: text.starts_with('*') })
    }

    pub(super) fn has(self, value: u32) -> bool {
        self.bits >> value & 1 == 1
    }

    /// Bit n is value n.
    pub(super) fn bits(self) -> u64 {
        self.bits
    }

    /// Its values that are less than this one.
    pub(super) fn below(self, value: u32) -> Self {
        Self { bits: self.bits & ((1 << value) - 1), ..self }
    }

    /// The values, ascending.
    pub(super) fn values(self) -> Vec<u32> {
        (0..60).filter(|value| self.has(*value)).collect()
    }

    pub(super) fn is_full(self, field: CronField) -> bool {
        self.bits == Self::any(field).bits
    }
}

/// Smallest and largest value that may be written.
fn bounds(field: CronField) -> (u32, u32) {
    match field {
        CronField::Second | CronField::Minute => (0, 59),
        CronField::Hour => (0, 23),
        CronField::DayOfMonth => (1, 31),
        CronField::Month => (1, 12),
        CronField::DayOfWeek => (0, 7),
    }
}

fn highest_distinct(field: CronField) -> (u32, u32) {
    match field {
        CronField::DayOfWeek => (0, 6),
        other => bounds(other),
    }
}

fn parse_item(field: CronField, item: &str) -> Result<u64, CronError> {
    let fail = |detail: String| Err(CronError::field(field, detail));
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (item, None),
    };
    let (min, max) = bounds(field);
    let (from, to) = if range == "*" {
        (min, max)
    } else if let Some((from, to)) = range.split_once('-') {
        (parse_value(field, from, item)?, parse_value(field, to, item)?)
    } else {
        let value = parse_value(field, range, item)?;
        if let Some(step) = step {
            let step = parse_number(step).map_or_else(|| "N".to_owned(), |step| step.to_string());
            return fail(format!(
                "{} has a step without a range; write {value}-{}/{step} or */{step}",
                quoted(item),
                highest_distinct(field).1
            ));
        }
        (value, value)
    };
    if from > to {
        return fail(format!("{} runs backwards; write {}", quoted(range), forwards(field, from, to)));
    }
    let step = match step {
        None => 1,
        Some(step) => match parse_number(step) {
            Some(step) if step > 0 => step,
            _ => {
                return fail(format!("step {} of {} is not a whole number above 0", quoted(step), quoted(item)));
            }
        },
    };
    // Steps longer than the range leave its first value, as in Debian: `*/90` is minute 0.
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    Ok((from..=to).step_by(step).fold(0, |bits, value| bits | 1 << value))
}

/// Digits only: `u32::from_str` would also take `+1`.
fn parse_number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn parse_value(field: CronField, text: &str, item: &str) -> Result<u32, CronError> {
    let (min, max) = bounds(field);
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match parse_number(text) {
            Some(value) if (min..=max).contains(&value) => Ok(value),
            _ => Err(CronError::field(field, format!("{} is not in {min}-{max}", quoted(text)))),
        };
    }
    let (names, first): (&[&str], u32) = match field {
        CronField::Month => (&MONTHS, 1),
        CronField::DayOfWeek => (&WEEKDAYS, 0),
        _ => (&[], 0),
    };
    if let Some(value) = (first..).zip(names).find_map(|(value, name)| text.eq_ignore_ascii_case(name).then_some(value))
    {
        return Ok(value);
    }
    Err(CronError::field(field, refusal(field, item)))
}

/// Why an item that is no value, range or step is refused; what other schedulers know is called by its name.
fn refusal(field: CronField, item: &str) -> String {
    let shown = quoted(item);
    let upper = item.to_ascii_uppercase();
    let quartz = upper.trim_start_matches(|c: char| c.is_ascii_digit());
    if item.contains('?') {
        return format!("{shown}: \"?\" is not part of crontab; write *");
    }
    if item.contains('#') {
        return format!("{shown}: \"#\" (n-th weekday of the month) is not part of crontab");
    }
    if quartz == "L" || upper.starts_with("L-") {
        return format!("{shown}: \"L\" (last) is not part of crontab");
    }
    if quartz == "W" || quartz == "LW" {
        return format!("{shown}: \"W\" (nearest working day) is not part of crontab");
    }
    if !item.is_ascii() {
        return format!("{shown} holds a character that is not ASCII; allowed: {}", allowed(field));
    }
    format!("{shown} is not understood; allowed: {}", allowed(field))
}

fn allowed(field: CronField) -> String {
    let (min, max) = bounds(field);
    let values = match field {
        CronField::Month => "1-12 or jan-dec".to_owned(),
        CronField::DayOfWeek => "0-7 (Sunday is 0 and 7) or sun-sat".to_owned(),
        _ => format!("{min}-{max}"),
    };
    format!("{values}, with commas, ranges (a-b) and steps (*/n, a-b/n)")
}

/// How to write what a backwards range means.
fn forwards(field: CronField, from: u32, to: u32) -> String {
    if field == CronField::DayOfWeek {
        // Through Sunday by names, since their numbers wrap around it.
        let last = to + 7;
        let names: Vec<&str> =
            (from..=last).take(7).filter_map(|day| WEEKDAYS.get(day as usize % 7).copied()).collect();
        let names = names.join(",");
        return if to == 0 && from < 7 { format!("{} or {names}", span(from, 7)) } else { names };
    }
    let (min, max) = bounds(field);
    format!("{},{}", span(from, max), span(min, to))
}

fn span(from: u32, to: u32) -> String {
    if from == to { from.to_string() } else { format!("{from}-{to}") }
}
