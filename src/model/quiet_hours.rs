//! Quiet hours: when a contact is not to be told.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike as _, Days as DaysLater, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::days::Days;
use super::definition::Defaults;
use super::time_of_day::TimeOfDay;
use super::{AnyState, Faults, Timestamp, Timezone};

/// Most periods of one contact.
const MOST_PERIODS: usize = 100;
/// So far the end of quiet hours is looked for: all periods come again every week, so what is quiet for longer has none.
const FARTHEST: TimeDelta = TimeDelta::days(14);

/// When a contact is not to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct QuietHours {
    /// The zone whose wall clock it follows.
    pub timezone: Timezone,
    /// When, week by week.
    pub periods: Vec<QuietPeriod>,
    /// States that are told all the same.
    pub except: BTreeSet<AnyState>,
}

/// A time of some days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietPeriod {
    /// The days on which it begins.
    pub days: Days,
    /// From this time of day.
    pub from: TimeOfDay,
    /// To this one, that day or, where it is not after `from`, the next.
    pub to: TimeOfDay,
}

/// Quiet hours as a document.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuietHoursDocument {
    /// The zone whose wall clock it follows: an IANA name.
    pub timezone: Option<Timezone>,
    /// When, week by week.
    pub periods: Option<Vec<QuietPeriodDocument>>,
    /// States that are told all the same.
    pub except: Option<Vec<AnyState>>,
}

/// A time of some days of the week, as a document.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuietPeriodDocument {
    /// The days on which it begins: `mon-fri`, `sat,sun`; every day where none are given.
    pub days: Option<Days>,
    /// From this time of day.
    pub from: Option<TimeOfDay>,
    /// To this one, that day or, where it is not after `from`, the next.
    pub to: Option<TimeOfDay>,
}

impl QuietHours {
    /// When the quiet time ends that goes on at this moment; none if none does. Periods that follow on one another are
    /// one time, whose end is at most a fortnight off.
    pub fn quiet_until(&self, now: Timestamp) -> Option<Timestamp> {
        let farthest = now.get().checked_add_signed(FARTHEST)?;
        let mut until = self.end_of_period(now.get())?;
        while until < farthest
            && let Some(later) = self.end_of_period(until)
        {
            until = later;
        }
        Some(until.min(farthest).into())
    }

    /// The end of the period that goes on at this moment; of the longest, where there are several.
    fn end_of_period(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let today = now.with_timezone(&self.timezone.tz()).date_naive();
        let days = [today.pred_opt(), Some(today)].into_iter().flatten();
        let ends = days.flat_map(|day| {
            self.periods.iter().filter_map(move |period| {
                if !period.days.hold(day.weekday()) {
                    return None;
                }
                let last = if period.to > period.from { day } else { day.checked_add_days(DaysLater::new(1))? };
                let (begin, end) = (period.from.on(day, self.timezone)?, period.to.on(last, self.timezone)?);
                (begin <= now && now < end).then_some(end)
            })
        });
        ends.max()
    }

    /// Checks a document that stands at `/quiet_hours`, finding all its faults.
    pub(super) fn check(document: QuietHoursDocument, defaults: &Defaults, faults: &mut Faults) -> Self {
        let given = document.periods.unwrap_or_default();
        if given.is_empty() || given.len() > MOST_PERIODS {
            faults.add("/quiet_hours/periods", format!("must hold 1 to {MOST_PERIODS} periods"));
        }
        let mut periods = Vec::new();
        for (index, period) in given.into_iter().enumerate() {
            let pointer = |field: &str| format!("/quiet_hours/periods/{index}/{field}");
            let from = faults.require(&pointer("from"), period.from);
            let to = faults.require(&pointer("to"), period.to);
            if from.is_some_and(TimeOfDay::is_end) {
                faults.add(pointer("from"), "must be before the end of the day: 00:00 of the next");
            }
            let days = period.days.unwrap_or(Days::ALL);
            periods.extend(from.zip(to).map(|(from, to)| QuietPeriod { days, from, to }));
        }
        Self {
            timezone: document.timezone.unwrap_or(defaults.timezone),
            periods,
            except: document.except.into_iter().flatten().collect(),
        }
    }

    /// The document, defaults filled in.
    pub(super) fn document(&self) -> QuietHoursDocument {
        let period =
            |one: &QuietPeriod| QuietPeriodDocument { days: Some(one.days), from: Some(one.from), to: Some(one.to) };
        QuietHoursDocument {
            timezone: Some(self.timezone),
            periods: Some(self.periods.iter().map(period).collect()),
            except: Some(self.except.iter().copied().collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::State;

    fn read(json: &str) -> Result<QuietHours, Vec<String>> {
        let mut faults = Faults::default();
        let hours = QuietHours::check(serde_json::from_str(json).unwrap(), &Defaults::default(), &mut faults);
        let found = faults.into_result(Some(hours));
        found.map_err(|faults| faults.into_iter().map(|fault| fault.pointer).collect())
    }

    fn until(hours: &QuietHours, now: &str) -> Option<String> {
        hours.quiet_until(now.parse().unwrap()).map(|until| until.to_string())
    }

    #[test]
    fn what_goes_over_midnight_belongs_to_the_day_it_begins() {
        let hours = read(
            r#"{"timezone":"Europe/Berlin","periods":[{"days":"mon-fri","from":"22:00","to":"07:00"}],
                "except":["CRITICAL"]}"#,
        );
        let hours = hours.unwrap();
        // 2026-11-25 is a Wednesday; Berlin is an hour ahead.
        for (now, expected) in [
            ("2026-11-25T20:59:59.999Z", None),
            ("2026-11-25T21:00:00Z", Some("2026-11-26T06:00:00.000Z")),
            ("2026-11-26T05:59:59.999Z", Some("2026-11-26T06:00:00.000Z")),
            ("2026-11-26T06:00:00Z", None),
            ("2026-11-28T05:00:00Z", Some("2026-11-28T06:00:00.000Z")),
            ("2026-11-28T22:00:00Z", None),
            ("2026-11-29T23:00:00Z", None),
        ] {
            assert_eq!(until(&hours, now).as_deref(), expected, "{now}");
        }
        assert_eq!(hours.except, BTreeSet::from([AnyState::Task(State::Critical)]));
    }

    #[test]
    fn periods_that_follow_on_one_another_are_one_time() {
        let hours = read(
            r#"{"periods":[{"days":"mon-fri","from":"18:00","to":"08:00"},{"days":"sat,sun","from":"00:00","to":"24:00"},
                {"days":"mon","from":"00:00","to":"09:30"}]}"#,
        );
        let hours = hours.unwrap();
        let monday = Some("2026-11-30T09:30:00.000Z".to_owned());
        assert_eq!(until(&hours, "2026-11-27T18:00:00Z"), monday, "from Friday evening on");
        assert_eq!(until(&hours, "2026-11-29T23:59:59Z"), monday);
        assert_eq!(until(&hours, "2026-11-30T09:30:00Z"), None);
        assert_eq!(until(&hours, "2026-11-30T18:00:00Z").as_deref(), Some("2026-12-01T08:00:00.000Z"));
        let always = read(r#"{"periods":[{"from":"05:00","to":"05:00"}]}"#).unwrap();
        assert_eq!(until(&always, "2026-11-25T12:00:00Z").as_deref(), Some("2026-12-09T12:00:00.000Z"));
    }

    #[test]
    fn they_follow_the_wall_clock_over_its_changes() {
        let night = read(r#"{"timezone":"Europe/Berlin","periods":[{"from":"01:30","to":"04:00"}]}"#).unwrap();
        // On 2026-03-29 it is an hour shorter, on 2026-10-25 an hour longer.
        for (now, expected) in [
            ("2026-03-29T00:30:00Z", Some("2026-03-29T02:00:00.000Z")),
            ("2026-03-29T02:00:00Z", None),
            ("2026-10-24T23:30:00Z", Some("2026-10-25T03:00:00.000Z")),
            ("2026-10-25T02:59:59Z", Some("2026-10-25T03:00:00.000Z")),
            ("2026-10-25T03:00:00Z", None),
        ] {
            assert_eq!(until(&night, now).as_deref(), expected, "{now}");
        }
        // Wholly within the hour that is left out, it does not come that day.
        let gone = read(r#"{"timezone":"Europe/Berlin","periods":[{"from":"02:15","to":"02:45"}]}"#).unwrap();
        assert_eq!(until(&gone, "2026-03-29T01:00:00Z"), None);
        assert_eq!(until(&gone, "2026-03-28T01:20:00Z").as_deref(), Some("2026-03-28T01:45:00.000Z"));
        // In an hour that comes twice the first one counts.
        assert_eq!(until(&gone, "2026-10-25T00:20:00Z").as_deref(), Some("2026-10-25T00:45:00.000Z"));
        assert_eq!(until(&gone, "2026-10-25T01:20:00Z"), None);
    }

    #[test]
    fn every_fault_is_told_at_its_place() {
        assert_eq!(read("{}").unwrap_err(), ["/quiet_hours/periods"]);
        let half = r#"{"periods":[{"from":"22:00"},{"days":"sat","to":"07:00"},{"from":"24:00","to":"07:00"}]}"#;
        assert_eq!(
            read(half).unwrap_err(),
            ["0/to", "1/from", "2/from"].map(|at| format!("/quiet_hours/periods/{at}"))
        );
        let again = read(r#"{"periods":[{"days":"sun,sat","from":"00:00","to":"24:00"}]}"#).unwrap();
        assert_eq!(read(&serde_json::to_string(&again.document()).unwrap()), Ok(again));
    }
}
