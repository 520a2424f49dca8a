//! The next match on a clock without time zone, where every day has 24 hours.
//!
//! The search is the `cron` crate's. It never sees a zone: at daylight-saving changes it skips times, repeats them and
//! even goes backwards. Nor does it see the line: it joins the day fields by AND, counts weekdays from 1, and reads
//! `5/15` as a range; so it is given plain lists of numbers, once for AND, twice for OR.

use std::str::FromStr;

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use cron::Schedule;

use super::error::{CronError, CronField};
use super::field::Field;
use super::line::Fields;

/// First and last year of the `cron` crate's calendar.
pub(super) const FIRST_YEAR: i32 = 1970;
pub(super) const LAST_YEAR: i32 = 2100;

/// The times of a line on a clock without time zone.
#[derive(Debug)]
pub(super) struct Wall {
    schedule: Schedule,
    /// The other side of day-of-month OR day-of-week.
    or: Option<Schedule>,
}

impl Wall {
    pub(super) fn new(fields: &Fields) -> Result<Self, CronError> {
        let (day, weekday) =
            (numbers(CronField::DayOfMonth, fields.day_of_month), numbers(CronField::DayOfWeek, fields.day_of_week));
        if fields.days_joined_by_and() {
            return Ok(Self { schedule: schedule(fields, &day, &weekday)?, or: None });
        }
        Ok(Self { schedule: schedule(fields, &day, "*")?, or: Some(schedule(fields, "*", &weekday)?) })
    }

    /// The first match at or after `from`, which is a whole second; none after the year 2100.
    pub(super) fn at_or_after(&self, from: NaiveDateTime) -> Option<NaiveDateTime> {
        if from.year() > LAST_YEAR {
            return None;
        }
        let from = if from.year() < FIRST_YEAR {
            NaiveDate::from_ymd_opt(FIRST_YEAR, 1, 1)?.and_time(NaiveTime::MIN)
        } else {
            from
        };
        let before = from.checked_sub_signed(TimeDelta::seconds(1))?.and_utc();
        let next = |schedule: &Schedule| schedule.after(&before).next();
        let first = next(&self.schedule);
        let second = self.or.as_ref().and_then(next);
        first.into_iter().chain(second).min().map(|at| at.naive_utc())
    }
}

fn schedule(fields: &Fields, day: &str, weekday: &str) -> Result<Schedule, CronError> {
    let text = format!(
        "{} {} {} {day} {} {weekday}",
        numbers(CronField::Second, fields.second),
        numbers(CronField::Minute, fields.minute),
        numbers(CronField::Hour, fields.hour),
        numbers(CronField::Month, fields.month),
    );
    // Every such text is valid, but a refusal is better than a panic.
    Schedule::from_str(&text).map_err(|_| CronError::line("the line cannot be searched"))
}

fn numbers(field: CronField, values: Field) -> String {
    if values.is_full(field) {
        return "*".to_owned();
    }
    // The crate's Sunday is 1.
    let shift = u32::from(field == CronField::DayOfWeek);
    let numbers: Vec<String> = values.values().into_iter().map(|value| (value + shift).to_string()).collect();
    numbers.join(",")
}
