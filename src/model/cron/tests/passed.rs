//! Counting instants: as many as there are one after the other.

use chrono::{DateTime, TimeDelta, Utc};

use super::line;
use crate::model::Timezone;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn as_many_as_one_by_one_and_the_last_is_the_same() {
    let lines = [
        "* * * * *",
        "*/7 * * * *",
        "30 2 * * *",
        "0,30 1-3 * * *",
        "15 */2 * * *",
        "0 12 13 * fri",
        "0 12 */2 * fri",
        "59 23 28-31 2,3,10 *",
        "10-20/5 30 2 * * *",
        "@hourly",
        "@every 90m",
        "@every 7h",
    ];
    // Madrid's clock changes on 29 March and 25 October 2026, at 01:00 UTC; Lord Howe's by half an hour.
    let from = ["2026-03-26T22:10:05.250Z", "2026-10-22T00:00:00Z", "2026-04-03T13:29:59.999Z", "2028-02-27T10:30:00Z"];
    for (text, zone) in
        lines.iter().flat_map(|line| ["UTC", "Europe/Madrid", "Australia/Lord_Howe"].map(|zone| (line, zone)))
    {
        let (line, zone): (_, Timezone) = (line(text), zone.parse().unwrap());
        for from in from.map(at) {
            for hours in [0, 1, 5, 23, 49, 24 * 5] {
                let until = from + TimeDelta::hours(hours) + TimeDelta::milliseconds(hours * 123_457);
                let next = |at: &DateTime<Utc>| line.next_after(zone, *at).filter(|next| *next <= until);
                let walked: Vec<_> = std::iter::successors(next(&from), next).collect();
                let expected = (walked.len() as u64, walked.last().copied());
                assert_eq!(line.passed(zone, from, until), expected, "{text:?} in {zone:?} from {from} to {until}");
            }
        }
    }
}

#[test]
fn years_of_seconds_take_no_time() {
    let (from, until) = (at("2026-01-01T00:00:00Z"), at("2036-01-01T00:00:00Z"));
    let (count, last) = line("* * * * * *").passed(Timezone::UTC, from, until);
    assert_eq!((count, last), (315_532_800, Some(until)), "2028 and 2032 have a day more");
    assert_eq!(line("* * * * *").passed(Timezone::UTC, until, from), (0, None));
}
