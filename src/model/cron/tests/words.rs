//! Lines in words.

use std::collections::HashMap;

use super::super::oracle::{Job, Random, job, seeds};
use super::line;

#[test]
fn lines_in_words() {
    for (text, words) in [
        ("* * * * *", "every minute"),
        ("*/5 * * * *", "every 5 minutes"),
        ("0-59/5 * * * *", "every 5 minutes"),
        ("*/7 * * * *", "at every 7th minute from 0 to 56 of every hour"),
        ("5-59/15 * * * *", "at every 15th minute from 5 to 50 of every hour"),
        ("*/90 * * * *", "every hour"),
        ("0 * * * *", "every hour"),
        ("30 * * * *", "at minute 30 of every hour"),
        ("0,10 * * * *", "at minutes 0 and 10 of every hour"),
        ("1,5,10-20 * * * *", "at minutes 1, 5 and 10 to 20 of every hour"),
        ("0 */2 * * *", "every 2 hours"),
        ("0 */12 * * *", "at 00:00 and 12:00 every day"),
        ("0 1-23/2 * * *", "at minute 0 of every 2nd hour from 1 to 23"),
        ("15 */4 * * *", "at minute 15 of every 4th hour from 0 to 20"),
        ("0 9-17 * * *", "every hour from 09:00 to 17:00"),
        ("*/15 9-17 * * mon-fri", "every 15 minutes from 09:00 to 17:45 on Monday to Friday"),
        ("* 2 * * *", "every minute from 02:00 to 02:59"),
        ("*/20 5 * * *", "at 05:00, 05:20 and 05:40 every day"),
        ("* 1,3 * * *", "every minute of hours 1 and 3"),
        ("30 2 * * *", "at 02:30 every day"),
        ("30 2 * * 1-5", "at 02:30 on Monday to Friday"),
        ("0 9,13,18 * * *", "at 09:00, 13:00 and 18:00 every day"),
        ("0 22 * * 6,7", "at 22:00 on Saturday and Sunday"),
        ("0 22 * * 5-7", "at 22:00 on Friday to Sunday"),
        ("0 22 * * sun-tue", "at 22:00 on Monday, Tuesday and Sunday"),
        ("14 14 1 * *", "at 14:14 on day 1 of the month"),
        ("15 14 1 * 5", "at 14:15 on day 1 of the month or on Friday"),
        ("15 14 1,15 jan,mar 5", "at 14:15 on days 1 and 15 of the month or on Friday, in January and March"),
        ("0 0 */2 * *", "at 00:00 on every 2nd day of the month from 1 to 31"),
        ("0 0 */2 * 1-5", "at 00:00 on every 2nd day of the month from 1 to 31, if that is a Monday to Friday"),
        ("0 0 13 * */5", "at 00:00 on day 13 of the month, if that is a Friday or Sunday"),
        ("0 0 1-31 * 5", "at 00:00 every day"),
        ("0 0 13 * 0-6", "at 00:00 every day"),
        ("0 0 13 * 5,*", "at 00:00 every day"),
        ("0 0 13 6 5,*", "at 00:00 every day in June"),
        ("0 0 */1 * 5", "at 00:00 on Friday"),
        ("0 0 29 2 *", "at 00:00 on 29 February"),
        ("*/10 * 1 1 *", "every 10 minutes on 1 January"),
        ("0 12 * 6-8 *", "at 12:00 every day in June to August"),
        ("0 12 * 6-8 1", "at 12:00 on Monday in June to August"),
        ("0 0 1 */3 *", "at 00:00 on day 1 of the month in January, April, July and October"),
        ("* * * * * *", "every second"),
        ("*/10 * * * * *", "every 10 seconds"),
        ("30 * * * * *", "at second 30 of every minute"),
        ("0 */5 * * * *", "every 5 minutes"),
        ("15 30 2 * * *", "at 02:30:15 every day"),
        ("*/10 30 2 * * *", "every 10 seconds of minute 30 of hour 2"),
        ("*/10 * 9-17 * * *", "every 10 seconds of every minute of hours 9 to 17"),
        ("* 0 * * * *", "every second of minute 0 of every hour"),
        ("5 */10 * * * *", "at second 5 of every 10th minute from 0 to 50 of every hour"),
        ("@yearly", "at 00:00 on 1 January"),
        ("@monthly", "at 00:00 on day 1 of the month"),
        ("@weekly", "at 00:00 on Sunday"),
        ("@daily", "at 00:00 every day"),
        ("@hourly", "every hour"),
        ("@every 90s", "every 90 seconds"),
        ("@every 1h30m", "every 1 hour 30 minutes"),
        ("@every 1m", "every minute"),
        ("@every 0h5m", "every 5 minutes"),
        ("@every 1s250ms", "every 1 second 250 milliseconds"),
    ] {
        assert_eq!(line(text).describe(), words, "{text:?}");
    }
}

/// What a line matches, apart from how it is written: the times, the months, and the days with their rule.
fn meaning(job: &Job) -> (Vec<Vec<bool>>, String, Vec<bool>, Vec<bool>) {
    let any_day = !job.day[1..].contains(&false);
    let any_weekday = !job.weekday[..7].contains(&false);
    let (rule, days, weekdays) = match (job.day_star, any_day, any_weekday) {
        (_, true, true) | (false, true, _) | (false, _, true) => ("all", false, false),
        (true, true, false) => ("weekday", false, true),
        (true, false, true) => ("day", true, false),
        (true, false, false) => ("and", true, true),
        (false, false, false) => ("or", true, true),
    };
    let keep = |keep: bool, values: &[bool]| if keep { values.to_vec() } else { Vec::new() };
    let times = [&job.second, &job.minute, &job.hour, &job.month];
    (times.map(Clone::clone).to_vec(), rule.to_owned(), keep(days, &job.day), keep(weekdays, &job.weekday[..7]))
}

/// Words that fit two different lines would be wrong for one of them.
#[test]
fn different_lines_have_different_words() {
    const TIMES: &[&str] = &[
        "*",
        "0",
        "5",
        "23",
        "*/2",
        "*/3",
        "*/5",
        "*/6",
        "*/7",
        "*/12",
        "0,6",
        "0-5",
        "2-4",
        "1,3",
        "0-20/5",
        "1-23/2",
        "0-22/2",
        "0,1",
        "1,2,3,5",
        "0-23",
        "5,10,15,20",
    ];
    const DAYS: &[&str] = &["*", "1", "2", "7", "*/2", "*/3", "1-7", "2,4,6", "1,3,5,7", "*/7", "1-5", "5,*", "1,7"];
    for seed in seeds() {
        let mut random = Random(seed ^ 0x3035);
        let mut seen = HashMap::new();
        for _ in 0..15_000 {
            let text = [TIMES, TIMES, TIMES, DAYS, DAYS, DAYS].map(|from| *random.pick(from)).join(" ");
            let words = line(&text).describe();
            let meaning = meaning(&job(&text));
            let (first, first_meaning) = seen.entry(words.clone()).or_insert_with(|| (text.clone(), meaning.clone()));
            assert!(*first_meaning == meaning, "ALF_TEST_SEED={seed}: {first:?} and {text:?} are both {words:?}");
        }
    }
}
