//! A line in English words.
//!
//! Made from the sets of values, not from the text, so that `*/5`, `0-59/5` and `0,5,10,…` read alike. Two lines with
//! the same words match the same times of the same days.

use super::error::CronField;
use super::field::Field;
use super::line::Fields;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// From Monday, so that `Monday to Friday` and `Saturday and Sunday` come out.
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
/// Up to so many times a day are listed as such.
const CLOCK_TIMES: usize = 6;
/// Fewer are listed even where a step would say it.
const FEW_CLOCK_TIMES: usize = 3;

/// The line in words, such as `every 5 minutes on Monday to Friday`.
pub(super) fn describe(fields: &Fields) -> String {
    let listed = clock_times(fields);
    let days = days(fields);
    let day_words = match (&days, &listed) {
        (Some(days), _) => format!(" {days}"),
        (None, Some(_)) => " every day".to_owned(),
        (None, None) => String::new(),
    };
    let time = listed.unwrap_or_else(|| time_pattern(fields));
    let date = single_date(fields).map(|date| format!("{time} on {date}"));
    date.unwrap_or_else(|| format!("{time}{day_words}{}", months(fields)))
}

/// How the values of seconds, minutes or hours read best.
enum Pattern {
    All,
    /// From 0 in equal steps that also fit across the end: `*/5`.
    Every(u32),
    /// Anything else.
    Listed,
}

fn pattern(field: CronField, values: Field) -> Pattern {
    let size = if field == CronField::Hour { 24 } else { 60 };
    if values.is_full(field) {
        return Pattern::All;
    }
    let list = values.values();
    match list.as_slice() {
        [0, step, ..] if size % step == 0 && list.len() == (size / step) as usize && steady(&list) == Some(*step) => {
            Pattern::Every(*step)
        }
        _ => Pattern::Listed,
    }
}

/// The step between all neighbours, if it is the same.
fn steady(values: &[u32]) -> Option<u32> {
    let mut steps = values.windows(2).filter_map(|pair| match pair {
        [a, b] => Some(b - a),
        _ => None,
    });
    let first = steps.next()?;
    steps.all(|step| step == first).then_some(first)
}

/// First and last value, if there are no holes.
fn unbroken(values: &[u32]) -> Option<(u32, u32)> {
    match values {
        [only] => Some((*only, *only)),
        [first, .., last] if steady(values) == Some(1) => Some((*first, *last)),
        _ => None,
    }
}

/// `at 02:30`, `at 09:00, 12:00 and 18:00`: when there are few times and no shorter pattern.
fn clock_times(fields: &Fields) -> Option<String> {
    let (seconds, minutes, hours) = (fields.second.values(), fields.minute.values(), fields.hour.values());
    let count = seconds.len() * minutes.len() * hours.len();
    let patterned = |field, values: &Field| !matches!(pattern(field, *values), Pattern::Listed);
    let repeats = patterned(CronField::Second, &fields.second)
        || patterned(CronField::Minute, &fields.minute)
        || patterned(CronField::Hour, &fields.hour)
        || (hours.len() > 2 && unbroken(&hours).is_some());
    if count > CLOCK_TIMES || (count > FEW_CLOCK_TIMES && repeats) {
        return None;
    }
    let mut times = Vec::new();
    for hour in &hours {
        for minute in &minutes {
            for second in &seconds {
                times.push(if seconds == [0] {
                    format!("{hour:02}:{minute:02}")
                } else {
                    format!("{hour:02}:{minute:02}:{second:02}")
                });
            }
        }
    }
    Some(format!("at {}", joined(&times, "and")))
}

fn time_pattern(fields: &Fields) -> String {
    let minutes = fields.minute.values();
    let hours = fields.hour.values();
    if fields.second.values() != [0] {
        return seconds_pattern(fields);
    }
    let every = match pattern(CronField::Minute, fields.minute) {
        Pattern::All => "every minute".to_owned(),
        Pattern::Every(step) => format!("every {step} minutes"),
        Pattern::Listed if minutes == [0] => match (pattern(CronField::Hour, fields.hour), unbroken(&hours)) {
            (Pattern::All, _) => return "every hour".to_owned(),
            (Pattern::Every(step), _) => return format!("every {step} hours"),
            (_, Some((first, last))) => return format!("every hour from {first:02}:00 to {last:02}:00"),
            _ => return format!("at minute 0 of {}", hours_of(fields)),
        },
        Pattern::Listed => {
            return format!("at {} of {}", listed(&minutes, "minute"), hours_of(fields));
        }
    };
    let last_minute = minutes.last().copied().unwrap_or(0);
    match (fields.hour.is_full(CronField::Hour), unbroken(&hours)) {
        (true, _) => every,
        (false, Some((first, last))) => format!("{every} from {first:02}:00 to {last:02}:{last_minute:02}"),
        (false, None) => format!("{every} of {}", hours_of(fields)),
    }
}

fn seconds_pattern(fields: &Fields) -> String {
    let (every, names_minute) = match pattern(CronField::Second, fields.second) {
        Pattern::All => ("every second".to_owned(), false),
        Pattern::Every(step) => (format!("every {step} seconds"), false),
        Pattern::Listed => (format!("at {}", listed(&fields.second.values(), "second")), true),
    };
    let all_hours = fields.hour.is_full(CronField::Hour);
    let minutes = if !fields.minute.is_full(CronField::Minute) {
        format!(" of {}", listed(&fields.minute.values(), "minute"))
    } else if !names_minute && all_hours {
        return every;
    } else if all_hours {
        return format!("{every} of every minute");
    } else {
        " of every minute".to_owned()
    };
    format!("{every}{minutes} of {}", hours_of(fields))
}

fn hours_of(fields: &Fields) -> String {
    if fields.hour.is_full(CronField::Hour) { "every hour".to_owned() } else { listed(&fields.hour.values(), "hour") }
}

/// `on day 1 of the month or on Friday`; none when every day of the month will do.
fn days(fields: &Fields) -> Option<String> {
    let all_days = fields.day_of_month.is_full(CronField::DayOfMonth);
    let all_weekdays = fields.day_of_week.is_full(CronField::DayOfWeek);
    let days = listed(&fields.day_of_month.values(), "day");
    let days = if days.starts_with("every") {
        days.replacen(" from ", " of the month from ", 1)
    } else {
        format!("{days} of the month")
    };
    // Monday becomes 0, Sunday 6.
    let mut weekdays: Vec<u32> = fields.day_of_week.values().into_iter().map(|day| (day + 6) % 7).collect();
    weekdays.sort_unstable();
    let weekdays = |last: &str| joined(&runs(&weekdays, |day| named(&WEEKDAYS, day)), last);
    match (fields.days_joined_by_and(), all_days, all_weekdays) {
        (_, true, true) | (false, true, _) | (false, _, true) => None,
        (true, true, false) => Some(format!("on {}", weekdays("and"))),
        (true, false, true) => Some(format!("on {days}")),
        (true, false, false) => Some(format!("on {days}, if that is a {}", weekdays("or"))),
        (false, false, false) => Some(format!("on {days} or on {}", weekdays("and"))),
    }
}

/// ` in January and March`, or nothing.
fn months(fields: &Fields) -> String {
    if fields.month.is_full(CronField::Month) {
        return String::new();
    }
    let months: Vec<u32> = fields.month.values().iter().map(|month| month - 1).collect();
    let names = joined(&runs(&months, |month| named(&MONTHS, month)), "and");
    // A comma, lest the months seem to belong to the weekday alone.
    let two_day_fields = days(fields).is_some()
        && !fields.day_of_month.is_full(CronField::DayOfMonth)
        && !fields.day_of_week.is_full(CronField::DayOfWeek);
    format!("{} in {names}", if two_day_fields { "," } else { "" })
}

/// `1 January`, for one day of one month whatever its weekday.
fn single_date(fields: &Fields) -> Option<String> {
    let any_weekday = fields.days_joined_by_and() && fields.day_of_week.is_full(CronField::DayOfWeek);
    match (fields.day_of_month.values().as_slice(), fields.month.values().as_slice()) {
        ([day], [month]) if any_weekday => Some(format!("{day} {}", named(&MONTHS, month - 1))),
        _ => None,
    }
}

/// `minute 5`, `minutes 1, 5 and 10 to 20`, `every 7th minute from 0 to 56`.
fn listed(values: &[u32], unit: &str) -> String {
    match (values, steady(values)) {
        ([only], _) => format!("{unit} {only}"),
        ([first, _, _, .., last], Some(step)) if step > 1 => {
            format!("every {} {unit} from {first} to {last}", ordinal(step))
        }
        _ => format!("{unit}s {}", joined(&runs(values, |value| value.to_string()), "and")),
    }
}

/// Three and more neighbours as `a to b`, all others alone.
fn runs(values: &[u32], name: impl Fn(u32) -> String) -> Vec<String> {
    values
        .chunk_by(|a, b| a + 1 == *b)
        .flat_map(|run| match run {
            [first, _, .., last] => vec![format!("{} to {}", name(*first), name(*last))],
            few => few.iter().map(|value| name(*value)).collect(),
        })
        .collect()
}

/// `a`, `a and b`, `a, b and c`.
fn joined(words: &[String], last_word: &str) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} {last_word} {last}", first.join(", ")),
    }
}

fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

fn named(names: &[&str], index: u32) -> String {
    names.get(index as usize).map_or_else(|| index.to_string(), |name| (*name).to_owned())
}
