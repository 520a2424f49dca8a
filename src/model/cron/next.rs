//! From wall-clock times to instants, by the rules of cron(8) as Debian's cron 3.0pl1 runs them.
//!
//! That cron keeps a virtual clock which every fixed job follows. When the wall clock jumps ahead, the virtual clock
//! runs through the missed minutes at once; when it jumps back, the virtual clock waits until it has caught up.
//! Wildcard jobs follow the wall clock itself. A jump of three hours ahead, or of more than three hours back, resets
//! the virtual clock for all.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use super::wall::{FIRST_YEAR, LAST_YEAR, Wall};

pub(super) const DAYLIGHT_SAVING: TimeDelta = TimeDelta::hours(3);
/// How far to look ahead for a change of the clock before trusting the current offset. Longer than the longest jump
/// back, so that none repeats times before the look; shorter than the week that lies between any two changes.
pub(super) const AHEAD: TimeDelta = TimeDelta::hours(25);
/// A leap towards a distant match ends this long before it: more than AHEAD, so that no zone's offset (at most 15 h)
/// or change nearby is missed.
const LEAP_MARGIN: TimeDelta = TimeDelta::hours(26);

/// A change of a zone's offset from UTC.
struct Change {
    /// First second (UTC) of the new offset.
    at: NaiveDateTime,
    before: TimeDelta,
    after: TimeDelta,
}

impl Change {
    fn is_daylight_saving(&self) -> bool {
        let jump = self.after - self.before;
        jump < DAYLIGHT_SAVING && jump >= -DAYLIGHT_SAVING
    }
}

/// The first instant strictly after `after` at which `wall` is due in `zone`.
pub(super) fn next_after(wall: &Wall, wild: bool, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    // Two days around the calendar leave room for every offset; and keep the sums below in chrono's range.
    let first = NaiveDate::from_ymd_opt(FIRST_YEAR - 1, 12, 30)?.and_time(NaiveTime::MIN);
    let last = NaiveDate::from_ymd_opt(LAST_YEAR + 1, 1, 2)?.and_time(NaiveTime::MIN);
    let mut now = after.naive_utc().with_nanosecond(0)?.max(first);
    if now >= last {
        return None;
    }
    let mut due_from = now + offset(zone, now) + TimeDelta::seconds(1);
    if !wild
        && let Some(change) = change_between(zone, now - DAYLIGHT_SAVING, now)
        && change.is_daylight_saving()
    {
        // In the second pass of a repeated hour everything up to the end of the first has been run.
        due_from = due_from.max(change.at + change.before);
    }
    // Each turn ends at a change of the clock or leaps to the next match, so a few turns suffice.
    while now < last {
        let next = wall.at_or_after(due_from)?;
        let at = next - offset(zone, now);
        let seen = now + AHEAD;
        match change_between(zone, now, seen) {
            Some(change) if at >= change.at => {
                let new_wall = change.at + change.after;
                if wild || !change.is_daylight_saving() {
                    due_from = new_wall;
                } else if next < new_wall {
                    return Some(change.at.and_utc());
                } else {
                    due_from = next;
                }
                now = change.at;
            }
            None if at > seen => {
                now = seen.max(next - LEAP_MARGIN);
                due_from = next;
            }
            _ => return Some(at.and_utc()),
        }
    }
    None
}

/// Whether the clock changes at no moment between the two, which are less than a week apart.
pub(super) fn is_calm(zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
    change_between(zone, from.naive_utc(), to.naive_utc()).is_none()
}

/// How far the clock of the zone is ahead of UTC.
pub(super) fn offset(zone: Tz, at: NaiveDateTime) -> TimeDelta {
    TimeDelta::seconds(i64::from(zone.offset_from_utc_datetime(&at).fix().local_minus_utc()))
}

/// The change later than `from` and not later than `to`, which are less than a week apart.
fn change_between(zone: Tz, from: NaiveDateTime, to: NaiveDateTime) -> Option<Change> {
    let (before, after) = (offset(zone, from), offset(zone, to));
    if before == after {
        return None;
    }
    let (mut low, mut high) = (from, to);
    while high - low > TimeDelta::seconds(1) {
        let middle = low + TimeDelta::seconds((high - low).num_seconds() / 2);
        if offset(zone, middle) == before {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(Change { at: high, before, after })
}
