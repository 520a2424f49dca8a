//! What lines mean on ordinary days, and how they are read and written.

use chrono::{DateTime, Utc};

use super::super::oracle::{Random, seeds};
use super::super::{CronField, CronLine};
use super::{instants, line};

const FROM: &str = "2026-01-01T00:00:00Z";

fn same(a: &str, b: &str) {
    assert_eq!(instants(a, "UTC", FROM, 60), instants(b, "UTC", FROM, 60), "{a:?} and {b:?}");
}

#[test]
fn fields_lists_ranges_steps_and_names() {
    assert_eq!(instants("30 2 * * *", "UTC", FROM, 2), ["2026-01-01T02:30:00Z", "2026-01-02T02:30:00Z"]);
    assert_eq!(instants("30 2 * * *", "Asia/Kolkata", FROM, 1), ["2026-01-01T21:00:00Z"]);
    assert_eq!(
        instants("15,45 30 2 * * *", "UTC", FROM, 3),
        ["2026-01-01T02:30:15Z", "2026-01-01T02:30:45Z", "2026-01-02T02:30:15Z"]
    );
    assert_eq!(
        instants("*/25 23 * * *", "UTC", FROM, 4),
        ["2026-01-01T23:00:00Z", "2026-01-01T23:25:00Z", "2026-01-01T23:50:00Z", "2026-01-02T23:00:00Z"]
    );
    same("0 9 * * 1-5", "0 9 * * mon-FRI");
    same("0 9 * * Mon,wed,5", "0 9 * * 1,3,5");
    same("0 9 * * mon-5", "0 9 * * 1-5");
    same("0 9 1 jan-MAR,Dec *", "0 9 1 1-3,12 *");
    same("0 9 * * 0", "0 9 * * 7");
    same("0 9 * * 5-7", "0 9 * * fri,sat,sun");
    same("0 9 * * 1-7/3", "0 9 * * mon,thu,sun");
    same("0 9 * * */2", "0 9 * * sun,tue,thu,sat");
    same("*/60 * * * *", "0 * * * *");
    same("*/90 */99 * * *", "0 0 * * *");
    same("05 007 01 * *", "5 7 1 * *");
    same("  0\t9  * \t* 1 \n", "0 9 * * 1");
    same("1,1,1-3 0 * * *", "1-3 0 * * *");
}

#[test]
fn weekdays_are_those_of_the_calendar() {
    // 1 January 2026 is a Thursday.
    for (weekday, date) in ["04", "05", "06", "07", "08", "02", "03", "04"].iter().enumerate() {
        let expected = format!("2026-01-{date}T09:00:00Z");
        assert_eq!(instants(&format!("0 9 * * {weekday}"), "UTC", "2026-01-01T12:00:00Z", 1), [expected]);
    }
}

#[test]
fn the_day_fields_are_joined_by_or_unless_one_begins_with_a_star() {
    let days = |text: &str, count| -> Vec<String> {
        let all = instants(text, "UTC", "2026-02-01T12:00:00Z", count);
        all.iter().map(|at| at[5..10].to_owned()).collect()
    };
    // Fridays in February 2026: 6, 13, 20, 27.
    assert_eq!(days("0 0 13 * 5", 5), ["02-06", "02-13", "02-20", "02-27", "03-06"]);
    assert_eq!(days("0 0 10,20 2 fri", 5), ["02-06", "02-10", "02-13", "02-20", "02-27"]);
    assert_eq!(days("0 0 13 * *", 2), ["02-13", "03-13"]);
    assert_eq!(days("0 0 * * 5", 2), ["02-06", "02-13"]);
    assert_eq!(days("0 0 */13 * 5", 3), ["02-27", "03-27", "05-01"]);
    assert_eq!(days("0 0 13 * */5", 2), ["02-13", "03-13"]);
    assert_eq!(days("0 0 1-31 * 5", 2), ["02-02", "02-03"]);
    assert_eq!(days("0 0 13 * 0-7", 2), ["02-02", "02-03"]);
    assert_eq!(days("0 0 13 * 5,*", 2), ["02-02", "02-03"]);
    // The date never comes, the weekday does.
    assert_eq!(days("0 0 30 2 5", 2), ["02-06", "02-13"]);
}

#[test]
fn macros_and_their_lines() {
    for (name, text) in [
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
    ] {
        same(name, text);
    }
}

#[test]
fn rare_dates_are_found_and_the_calendar_ends_in_2100() {
    assert_eq!(instants("0 0 29 2 *", "UTC", FROM, 2), ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
    assert_eq!(instants("0 0 29 2 */7", "UTC", FROM, 1), ["2032-02-29T00:00:00Z"]);
    assert_eq!(instants("0 0 29 2 *", "Europe/Madrid", "2096-03-01T00:00:00Z", 1), [""; 0]);
    assert_eq!(instants("0 0 31 12 *", "UTC", "2099-12-31T00:00:00Z", 5), ["2100-12-31T00:00:00Z"]);
    assert_eq!(instants("* * * * *", "Asia/Tokyo", "1935-05-05T00:00:00Z", 1), ["1969-12-31T15:00:00Z"]);
}

#[test]
fn the_next_instant_is_strictly_later() {
    assert_eq!(instants("30 2 * * *", "UTC", "2026-01-01T02:29:59.999999999Z", 1), ["2026-01-01T02:30:00Z"]);
    assert_eq!(instants("30 2 * * *", "UTC", "2026-01-01T02:30:00Z", 1), ["2026-01-02T02:30:00Z"]);
    assert_eq!(instants("30 2 * * *", "UTC", "2026-01-01T02:30:00.000000001Z", 1), ["2026-01-02T02:30:00Z"]);
    assert_eq!(instants("@every 1500ms", "UTC", "2026-01-01T00:00:01.5Z", 1), ["2026-01-01T00:00:03Z"]);
}

#[test]
fn every_is_in_step_with_the_epoch_in_every_zone() {
    for zone in ["UTC", "Europe/Madrid"] {
        // Midnight is 1774742400 s after the epoch: a multiple of 90 s, and 60 s more than one of 7 min.
        assert_eq!(
            instants("@every 90s", zone, "2026-03-29T00:59:00Z", 3),
            ["2026-03-29T01:00:00Z", "2026-03-29T01:01:30Z", "2026-03-29T01:03:00Z"]
        );
        assert_eq!(
            instants("@every 7m", zone, "2026-03-29T00:00:00Z", 2),
            ["2026-03-29T00:06:00Z", "2026-03-29T00:13:00Z"]
        );
        assert_eq!(
            instants("@every 1h30m", zone, "1970-01-01T00:00:00Z", 2),
            ["1970-01-01T01:30:00Z", "1970-01-01T03:00:00Z"]
        );
        assert_eq!(
            instants("@every 1m", zone, "1969-12-31T23:58:30Z", 2),
            ["1969-12-31T23:59:00Z", "1970-01-01T00:00:00Z"]
        );
    }
    assert_eq!(line("@every 1m30s500ms").interval(), Some(std::time::Duration::from_millis(90_500)));
    assert_eq!(line("@every 1d").interval(), line("@every 24h").interval());
    assert_eq!(line("@hourly").interval(), None);
    assert_eq!(line("@every 36525d").next_after("UTC".parse().unwrap(), DateTime::<Utc>::MAX_UTC), None);
}

#[test]
fn a_line_is_written_as_it_was_read() {
    let read = line(" 0\t9 * *  MON\n");
    assert_eq!(read.as_str(), "0\t9 * *  MON");
    assert_eq!(read.to_string(), read.as_str());
    assert_eq!(read, line("0\t9 * *  MON"));
    assert_ne!(read, line("0 9 * * mon"));
    let json = serde_json::to_string(&read).unwrap();
    assert_eq!(json, "\"0\\t9 * *  MON\"");
    assert_eq!(serde_json::from_str::<CronLine>(&json).unwrap(), read);
    let error = serde_json::from_str::<CronLine>("\"60 * * * *\"").unwrap_err();
    assert!(error.to_string().contains("minute: \"60\" is not in 0-59"), "{error}");
}

/// No text breaks the parser, and no line it accepts breaks the search, at any instant.
#[test]
fn no_text_and_no_instant_panics() {
    const PIECES: &[&str] = &[
        "0",
        "1",
        "7",
        "12",
        "31",
        "59",
        "60",
        "99999999999999999999",
        "*",
        "*/",
        "/",
        "-",
        ",",
        " ",
        " ",
        " ",
        "\t",
        "jan",
        "FEB",
        "sun",
        "fri",
        "@",
        "@every ",
        "@daily",
        "s",
        "m",
        "h",
        "ms",
        "?",
        "L",
        "W",
        "#",
        "+",
        ".",
        "\u{a0}",
        "ſ",
        "é",
        "\0",
        "\n",
        "0 0 1 1 *",
        "* * * * ",
        "0-59/7",
        "9223372036854775807",
        "~",
    ];
    let zones = ["UTC", "Pacific/Kiritimati", "America/New_York", "Africa/Monrovia", "Pacific/Apia"];
    let mut froms: Vec<DateTime<Utc>> = [0, -1, -86_400 * 365 * 80, 4_133_980_799, 4_102_444_800, 1_774_745_999]
        .into_iter()
        .map(|at| DateTime::from_timestamp(at, 999_999_999).unwrap())
        .collect();
    froms.extend([DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC]);
    for seed in seeds() {
        let mut random = Random(seed ^ 0xF022);
        let mut accepted = 0;
        for _ in 0..20_000 {
            let count = 1 + random.below(12);
            let text: String = (0..count).map(|_| *random.pick(PIECES)).collect();
            let Ok(line) = text.parse::<CronLine>() else { continue };
            accepted += 1;
            assert!(!line.describe().is_empty(), "{text:?}");
            let zone = random.pick(&zones).parse().unwrap();
            for from in &froms {
                let next = line.next_after(zone, *from);
                assert!(next.is_none_or(|next| next > *from), "ALF_TEST_SEED={seed}: {text:?} {from}");
            }
        }
        assert!(accepted > 100, "only {accepted} lines were lines");
    }
}

#[test]
fn errors_name_their_field() {
    let fields = [
        CronField::Second,
        CronField::Minute,
        CronField::Hour,
        CronField::DayOfMonth,
        CronField::Month,
        CronField::DayOfWeek,
    ];
    for (index, field) in fields.into_iter().enumerate() {
        let mut texts = ["*"; 6];
        texts[index] = "99";
        let error = texts.join(" ").parse::<CronLine>().unwrap_err();
        assert_eq!(error.field, Some(field));
        assert!(error.to_string().starts_with(&format!("{field}: \"99\" is not in ")), "{error}");
        if index > 0 {
            let error = texts[1..].join(" ").parse::<CronLine>().unwrap_err();
            assert_eq!(error.field, Some(field));
        }
    }
}
