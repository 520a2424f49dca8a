//! How many instants of a line lie between two moments, counted a day at a time and not one by one: a month of seconds
//! is millions of them.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;

use super::field::Field;
use super::line::Fields;
use super::next::{self, AHEAD, DAYLIGHT_SAVING};
use super::wall::Wall;

const DAY: TimeDelta = TimeDelta::days(1);

/// How many instants later than `after` and not later than `until` there are, and the last of them.
pub(super) fn passed(
    (fields, wall): (&Fields, &Wall),
    zone: Tz,
    after: DateTime<Utc>,
    until: DateTime<Utc>,
) -> (u64, Option<DateTime<Utc>>) {
    let (mut count, mut last) = (0, None);
    let mut from = after;
    while from < until {
        let to = from.checked_add_signed(DAY).map_or(until, |to| to.min(until));
        // As far around as the rules for changes of the clock look.
        let calm = next::is_calm(zone, from - DAYLIGHT_SAVING - DAYLIGHT_SAVING, to + AHEAD);
        if calm {
            let offset = next::offset(zone, from.naive_utc());
            let (more, newest) = between(fields, from.naive_utc() + offset, to.naive_utc() + offset);
            count += more;
            last = newest.map(|at| (at - offset).and_utc()).or(last);
        } else {
            let mut at = from;
            while let Some(next) = next::next_after(wall, fields.is_wild(), zone, at).filter(|next| *next <= to) {
                (at, last) = (next, Some(next));
                count += 1;
            }
        }
        from = to;
    }
    (count, last)
}

/// The same on a clock without time zone.
fn between(fields: &Fields, after: NaiveDateTime, until: NaiveDateTime) -> (u64, Option<NaiveDateTime>) {
    let (mut count, mut last) = (0, None);
    let mut date = Some(after.date());
    while let Some(day) = date.filter(|day| *day <= until.date()) {
        date = day.succ_opt();
        if !fields.is_due_on(day) {
            continue;
        }
        let before = if day == after.date() { fields.up_to(after.time()).0 } else { 0 };
        let end = if day == until.date() { until.time() } else { END_OF_DAY };
        let (upto, newest) = fields.up_to(end);
        if upto > before {
            count += upto - before;
            last = newest.map(|time| day.and_time(time)).or(last);
        }
    }
    (count, last)
}

const END_OF_DAY: NaiveTime = match NaiveTime::from_hms_opt(23, 59, 59) {
    Some(time) => time,
    None => NaiveTime::MIN,
};

impl Fields {
    fn is_due_on(&self, day: NaiveDate) -> bool {
        let (date, weekday) =
            (self.day_of_month.has(day.day()), self.day_of_week.has(day.weekday().num_days_from_sunday()));
        let due = if self.days_joined_by_and() { date && weekday } else { date || weekday };
        due && self.month.has(day.month())
    }

    /// How many times of a day there are up to this one, and the last of them.
    fn up_to(&self, time: NaiveTime) -> (u64, Option<NaiveTime>) {
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        let [hours, minutes, seconds] = [self.hour, self.minute, self.second];
        let (full_hour, full_minute) = (minutes.count() * seconds.count(), seconds.count());
        let mut count = hours.below(hour).count() * full_hour;
        let mut last = hours.below(hour).highest().map(|hour| (Some(hour), minutes.highest(), seconds.highest()));
        if hours.has(hour) {
            count += minutes.below(minute).count() * full_minute;
            let earlier = minutes.below(minute).highest();
            last = earlier.map(|minute| (Some(hour), Some(minute), seconds.highest())).or(last);
            if minutes.has(minute) {
                let these = seconds.below(second + 1);
                count += these.count();
                last = these.highest().map(|second| (Some(hour), Some(minute), Some(second))).or(last);
            }
        }
        let time = last.and_then(|(hour, minute, second)| NaiveTime::from_hms_opt(hour?, minute?, second?));
        (count, time)
    }
}

impl Field {
    fn count(self) -> u64 {
        u64::from(self.bits().count_ones())
    }

    fn highest(self) -> Option<u32> {
        self.bits().checked_ilog2()
    }
}
