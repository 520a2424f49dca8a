//! What cron(8) does at known changes of the clock, written out by hand.

use super::instants;

/// Line, zone, from, and all instants that follow, as `MM-DDTHH:MM` in UTC of the same year.
fn check(text: &str, zone: &str, from: &str, expected: &[&str]) {
    let year = &from[..5];
    let expected: Vec<String> = expected.iter().map(|at| format!("{year}{at}:00Z")).collect();
    assert_eq!(
        instants(text, zone, &format!("{from}:00Z"), expected.len()),
        expected,
        "{text:?} in {zone} after {from}"
    );
}

#[test]
fn a_fixed_time_in_the_gap_runs_once_right_after_it() {
    // Madrid skips 02:00-03:00 on 29 March 2026, at 01:00 UTC.
    let check = |text, expected: &[&str]| check(text, "Europe/Madrid", "2026-03-28T12:00", expected);
    check("30 2 * * *", &["03-29T01:00", "03-30T00:30"]);
    check("0,30 2 * * *", &["03-29T01:00", "03-30T00:00", "03-30T00:30"]);
    check("15 1-3 * * *", &["03-29T00:15", "03-29T01:00", "03-29T01:15", "03-29T23:15"]);
    check("30 2 * * sun", &["03-29T01:00", "04-05T00:30"]);
    check("0 3 * * *", &["03-29T01:00", "03-30T01:00"]);
    check("30 0-23 29 3 *", &["03-28T23:30", "03-29T00:30", "03-29T01:00", "03-29T01:30"]);
    check("15 30 2 * * *", &["03-29T01:00"]);
}

#[test]
fn a_wildcard_time_in_the_gap_does_not_run() {
    let check = |text, expected: &[&str]| check(text, "Europe/Madrid", "2026-03-28T22:45", expected);
    check("*/30 2 * * *", &["03-30T00:00", "03-30T00:30"]);
    check("0 */2 * * *", &["03-28T23:00", "03-29T02:00", "03-29T04:00"]);
    check("30 * * * *", &["03-28T23:30", "03-29T00:30", "03-29T01:30", "03-29T02:30"]);
    check("@hourly", &["03-28T23:00", "03-29T00:00", "03-29T01:00", "03-29T02:00"]);
    check("* 30 2 * * *", &["03-30T00:30"]);
}

#[test]
fn a_fixed_time_in_the_repeated_hour_runs_in_the_first_pass_only() {
    // Madrid repeats 02:00-03:00 on 25 October 2026, at 01:00 UTC.
    let zone = "Europe/Madrid";
    check("30 2 * * *", zone, "2026-10-24T12:00", &["10-25T00:30", "10-26T01:30"]);
    check(
        "0,30 1-2 * * *",
        zone,
        "2026-10-24T22:30",
        &["10-24T23:00", "10-24T23:30", "10-25T00:00", "10-25T00:30", "10-26T00:00"],
    );
    // A star that is not the first character makes no wildcard.
    check("45,* 2,* * * *", zone, "2026-10-25T00:58", &["10-25T00:59", "10-25T02:00", "10-25T02:01"]);
    // Asked from within the second pass.
    check("30 2 * * *", zone, "2026-10-25T01:10", &["10-26T01:30"]);
    check("0-59 0-23 * * *", zone, "2026-10-25T01:10", &["10-25T02:00"]);
    check("0 3 * * *", zone, "2026-10-25T01:10", &["10-25T02:00"]);
}

#[test]
fn a_wildcard_time_in_the_repeated_hour_runs_in_both_passes() {
    let zone = "Europe/Madrid";
    let twice: &[&str] = &["10-25T00:00", "10-25T00:30", "10-25T01:00", "10-25T01:30", "10-26T01:00"];
    check("*/30 2 * * *", zone, "2026-10-24T12:00", twice);
    check("0,30 */2 25 10 *", zone, "2026-10-24T23:00", &twice[..4]);
    let quarters: &[&str] = &["10-25T00:45", "10-25T01:00", "10-25T01:15", "10-25T01:30", "10-25T01:45", "10-25T02:00"];
    check("*/15 * * * *", zone, "2026-10-25T00:30", quarters);
    check("@hourly", zone, "2026-10-24T23:30", &["10-25T00:00", "10-25T01:00", "10-25T02:00"]);
    // The second pass is found from the first although the next match by the calendar is a year away.
    check("*/30 2 25 10 *", zone, "2026-10-25T00:45", &["10-25T01:00", "10-25T01:30"]);
}

#[test]
fn changes_at_midnight() {
    check("@daily", "America/Havana", "2026-03-07T12:00", &["03-08T05:00", "03-09T04:00"]);
    check("@daily", "America/Havana", "2026-10-31T12:00", &["11-01T04:00", "11-02T05:00"]);
    check("*/30 0 * * *", "America/Havana", "2026-11-01T04:15", &["11-01T04:30", "11-01T05:00", "11-01T05:30"]);
    check("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00", &["04-23T22:00", "04-24T21:00"]);
    check("30 23 * * *", "Africa/Cairo", "2026-10-29T12:00", &["10-29T20:30", "10-30T21:30"]);
    check("30 0 29 * *", "Asia/Beirut", "2026-03-28T12:00", &["03-28T22:00", "04-28T21:30"]);
    check("@midnight", "America/Santiago", "2026-09-05T12:00", &["09-06T04:00", "09-07T03:00"]);
    check("*/20 0 * * *", "America/Santiago", "2026-09-05T12:00", &["09-07T03:00"]);
}

#[test]
fn changes_of_other_lengths() {
    // Half an hour: repeated 01:30-02:00, skipped 02:00-02:30.
    let zone = "Australia/Lord_Howe";
    check("45 1 * * *", zone, "2026-04-04T12:00", &["04-04T14:45", "04-05T15:15"]);
    check("*/15 1 * * *", zone, "2026-04-04T14:20", &["04-04T14:30", "04-04T14:45", "04-04T15:00", "04-04T15:15"]);
    check("15 2 * * *", zone, "2026-10-03T12:00", &["10-03T15:30", "10-04T15:15"]);
    // Two hours.
    check("30 1,2 * * *", "Antarctica/Troll", "2026-03-28T12:00", &["03-29T01:00", "03-29T23:30"]);
    check("30 1 * * *", "Antarctica/Troll", "2026-10-24T12:00", &["10-24T23:30", "10-26T01:30"]);
    // Across the hour: repeated 02:45-03:45.
    let zone = "Pacific/Chatham";
    let both: &[&str] = &["04-04T13:45", "04-04T14:15", "04-04T14:30", "04-04T14:45", "04-04T15:00", "04-05T14:15"];
    check("*/15 3 * * *", zone, "2026-04-04T13:30", both);
    // A sparse line that falls into a gap of a zone far from UTC.
    check("0 3 27 9 *", zone, "2026-01-01T00:00", &["09-26T14:00"]);
    // Winter time as negative daylight-saving, in Ramadan.
    let zone = "Africa/Casablanca";
    check("30 2 * * *", zone, "2026-02-14T12:00", &["02-15T01:30", "02-16T02:30"]);
    check("30 2 * * *", zone, "2026-03-21T12:00", &["03-22T02:00", "03-23T01:30"]);
}

#[test]
fn changes_of_three_hours_and_more_are_no_daylight_saving() {
    // Samoa had no 30 December 2011.
    let zone = "Pacific/Apia";
    check("0 0 * * *", zone, "2011-12-29T00:00", &["12-29T10:00", "12-30T10:00", "12-31T10:00"]);
    assert_eq!(instants("0 12 30 12 *", zone, "2011-12-01T00:00:00Z", 1), ["2012-12-29T22:00:00Z"]);
    // Seven hours back: the new time counts for all, so fixed times run again.
    check("30 20 * * *", "Antarctica/Vostok", "1994-01-31T12:00", &["01-31T13:30", "01-31T20:30", "02-01T20:30"]);
    // Three hours: ahead too far, back not, by the way cron counts its minutes.
    check("0 2 * * *", "Antarctica/Casey", "2020-10-03T12:00", &["10-04T15:00"]);
    check("30 0 * * *", "Antarctica/Casey", "2020-03-07T12:00", &["03-07T13:30", "03-08T16:30"]);
}
