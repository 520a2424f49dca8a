//! What is no cron line, and what the message says.

use super::super::CronLine;

fn message(text: &str) -> String {
    match text.parse::<CronLine>() {
        Ok(_) => panic!("{text:?} was accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn messages_name_the_field_and_what_is_allowed() {
    for (text, expected) in [
        ("60 * * * *", "minute: \"60\" is not in 0-59"),
        ("* 24 * * *", "hour: \"24\" is not in 0-23"),
        ("* * 0 * *", "day-of-month: \"0\" is not in 1-31"),
        ("* * * 13 *", "month: \"13\" is not in 1-12"),
        ("* * * * 8", "day-of-week: \"8\" is not in 0-7"),
        ("61 * * * * *", "second: \"61\" is not in 0-59"),
        ("* * * * fri-sun", "day-of-week: \"fri-sun\" runs backwards; write 5-7 or fri,sat,sun"),
        ("* * * * 6-2", "day-of-week: \"6-2\" runs backwards; write sat,sun,mon,tue"),
        ("* * * * 7-1", "day-of-week: \"7-1\" runs backwards; write sun,mon"),
        ("* 22-6 * * *", "hour: \"22-6\" runs backwards; write 22-23,0-6"),
        ("* 23-0 * * *", "hour: \"23-0\" runs backwards; write 23,0"),
        ("* * * nov-feb *", "month: \"nov-feb\" runs backwards; write 11-12,1-2"),
        ("5/15 * * * *", "minute: \"5/15\" has a step without a range; write 5-59/15 or */15"),
        ("* * * * 1/2", "day-of-week: \"1/2\" has a step without a range; write 1-6/2 or */2"),
        ("*/0 * * * *", "minute: step \"0\" of \"*/0\" is not a whole number above 0"),
        ("1-3/1/1 * * * *", "minute: step \"1/1\" of \"1-3/1/1\" is not a whole number above 0"),
        ("1,,2 * * * *", "minute: \"1,,2\" has an empty item beside a comma"),
        ("* * 30 2 *", "day-of-month: \"30\" in month \"2\" is a date that never comes"),
        ("0 0 ? * 1", "day-of-month: \"?\": \"?\" is not part of crontab; write *"),
        ("0 0 L * *", "day-of-month: \"L\": \"L\" (last) is not part of crontab"),
        ("0 0 * * 5L", "day-of-week: \"5L\": \"L\" (last) is not part of crontab"),
        ("0 0 15W * *", "day-of-month: \"15W\": \"W\" (nearest working day) is not part of crontab"),
        ("0 0 * * 5#2", "day-of-week: \"5#2\": \"#\" (n-th weekday of the month) is not part of crontab"),
        (
            "MON * * * *",
            "minute: \"MON\" is not understood; allowed: 0-59, with commas, ranges (a-b) and steps (*/n, a-b/n)",
        ),
        (
            "0 0 * * monday",
            "day-of-week: \"monday\" is not understood; allowed: 0-7 (Sunday is 0 and 7) or sun-sat, with commas, ranges \
             (a-b) and steps (*/n, a-b/n)",
        ),
        ("", "the line is empty; write 5 fields or a macro such as @daily"),
        (
            "* * * *",
            "expected 5 fields (minute hour day-of-month month day-of-week), or 6 with leading seconds, or a macro such \
             as @daily; found 4",
        ),
        ("0\u{a0}0 * * *", "U+00A0 is not allowed; fields are separated by blanks or tabs"),
        (
            "@reboot",
            "@reboot names no instant: when a host starts is not known to the schedule; write a time or @every",
        ),
        (
            "@Daily",
            "unknown macro \"@Daily\"; allowed, in lower case: @yearly @annually @monthly @weekly @daily @midnight \
             @hourly, or @every 90s",
        ),
        ("@daily 5", "@daily stands alone; nothing may follow it"),
        ("@every 999ms", "@every: interval \"999ms\" is shorter than 1s"),
        ("@every 0s", "@every: interval \"0s\" is shorter than 1s"),
        ("@every 36526d", "@every: interval \"36526d\" is longer than 36525d"),
        ("@every 99999999999999999999s", "@every: interval \"99999999999999999999s\" is longer than 36525d"),
        (
            "@every 30m1h",
            "@every: interval \"30m1h\" is not understood; write whole numbers with d, h, m, s or ms, larger units \
             first, such as 90s or 1h30m",
        ),
        ("@every", "@every takes one interval, written without blanks, such as @every 90s or @every 1h30m"),
    ] {
        assert_eq!(message(text), expected, "{text:?}");
    }
}

#[test]
fn what_other_parsers_let_through_is_refused() {
    let fields = [
        "1.5",
        "1-3-5",
        "1-",
        "-1",
        "-",
        "1,",
        ",1",
        ",",
        "+1",
        "**",
        "*5",
        "5*",
        "*-5",
        "*/",
        "/5",
        "*/-1",
        "*/+2",
        "*/2-4",
        "*/1.5",
        "*/x",
        "1-3/0",
        "1-3/",
        "0/2",
        "0x1",
        "1e1",
        "~",
        "H",
        "H/5",
        "R",
        "é",
        "\u{661}",
        "１",
        "ſun",
        "%",
        "1;2",
        "99999999999999999999",
        "*/99999999999999999999",
        "1 - 3",
        "LW",
        "L-3",
        "JANFEB",
        "JAN1",
        "1JAN",
        "MONDAY",
        "JANUARY",
        "Thurs",
        "mon-",
        "-mon",
        "mon/2",
        "jan-dec/",
        "fri#1",
        "1~5",
        "a",
        "TODAY",
    ];
    for position in 0..5 {
        for field in fields {
            let mut texts = ["*"; 5];
            texts[position] = field;
            message(&texts.join(" "));
        }
    }
    // Names only where they belong.
    for text in ["jan * * * *", "* mon * * *", "* * tue * *", "* * * sat *", "* * * * jan", "jan * * * * *"] {
        message(text);
    }
    for text in [
        "* * * * * * *",
        "* * * * * * 2026",
        "*",
        "* * * * *;",
        "0 0 31 2 *",
        "0 0 31 4,6,9,11 *",
        "0 0 30-31 2 */2",
        "0 0 0 31 feb *",
        "*\u{2003}* * * *",
        "* * *\n* *",
        "* * * * *\u{0}",
        "@",
        "@ daily",
        "@every -5m",
        "@every 5",
        "@every 1.5h",
        "@every 5 m",
        "@every 5M",
        "@every 1h1h",
        "@every\u{a0}5m",
        "@every5m",
        "@every 5m 10m",
        "@every 1y",
        "@midnight@",
    ] {
        message(text);
    }
    message(&format!("{} * * * *", "1,".repeat(600)));
}

#[test]
fn messages_are_one_short_line_of_plain_text() {
    for text in [
        format!("{} * * * *", "x".repeat(900)),
        "\u{1b}[31m * * * *".to_owned(),
        "é\u{202e} * * * *".to_owned(),
        "1\r2 * * * *".to_owned(),
        "x".repeat(1_000_000),
        format!("@{}", "y".repeat(900)),
        format!("@every {}", "1".repeat(900)),
    ] {
        let message = message(&text);
        assert!(message.len() < 250, "{message}");
        assert!(!message.contains(char::is_control) && !message.contains('\u{202e}'), "{message}");
    }
}
