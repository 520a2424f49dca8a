//! Debian's clock loop, walked minute by minute over real instants, and `next_after` compared with it.
//!
//! The loop is the one of `cron.c` in Debian's cron 3.0pl1, its jobs and their stars those of `entry.c`; nothing here
//! uses the parser or the search under test. For lines with seconds the same loop runs second by second.

use chrono::{DateTime, Datelike, NaiveDate, Offset, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::CronLine;

const DEFAULT_SEED: u64 = 0x0A1F_2026_1025;
const HOUR: i64 = 3600;

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: u32) -> u32 {
        (self.next() % u64::from(end)) as u32
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u32) as usize]
    }
}

/// The fixed seed, and one from the environment to look further.
pub(super) fn seeds() -> Vec<u64> {
    let more = std::env::var("ALF_TEST_SEED").ok().map(|seed| seed.parse().expect("ALF_TEST_SEED is a number"));
    std::iter::once(DEFAULT_SEED).chain(more).collect()
}

fn offset(zone: Tz, utc: i64) -> i64 {
    let utc = DateTime::from_timestamp(utc, 0).unwrap().naive_utc();
    i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc())
}

/// A job as cron holds it.
pub(super) struct Job {
    pub(super) second: Vec<bool>,
    pub(super) minute: Vec<bool>,
    pub(super) hour: Vec<bool>,
    pub(super) day: Vec<bool>,
    pub(super) month: Vec<bool>,
    pub(super) weekday: Vec<bool>,
    wild: bool,
    pub(super) day_star: bool,
}

pub(super) fn job(line: &str) -> Job {
    let line = match line {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        other => other,
    };
    let mut texts: Vec<&str> = line.split_whitespace().collect();
    if texts.len() == 5 {
        texts.insert(0, "0");
    }
    let star = |n: usize| texts[n].starts_with('*');
    let mut weekday = bits(texts[5], 0, 7, "sun mon tue wed thu fri sat");
    weekday[0] |= weekday[7];
    Job {
        second: bits(texts[0], 0, 59, ""),
        minute: bits(texts[1], 0, 59, ""),
        hour: bits(texts[2], 0, 23, ""),
        day: bits(texts[3], 1, 31, ""),
        month: bits(texts[4], 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"),
        weekday,
        wild: star(0) || star(1) || star(2),
        day_star: star(3) || star(5),
    }
}

fn bits(text: &str, low: usize, high: usize, names: &str) -> Vec<bool> {
    let value = |text: &str| {
        let named = names.split(' ').position(|name| name == text.to_lowercase());
        named.map_or_else(|| text.parse().unwrap(), |index| index + low)
    };
    let mut set = vec![false; high + 1];
    for item in text.split(',') {
        let (range, step) = item.split_once('/').unwrap_or((item, "1"));
        let (mut at, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (value(from), value(to)),
            None => (value(range), value(range)),
        };
        while at <= to {
            set[at] = true;
            at += step.parse::<usize>().unwrap();
        }
    }
    set
}

/// A stretch of real time in a zone, as the clock shows it once a minute (or second).
struct Window {
    zone: Tz,
    unit: i64,
    start: i64,
    /// Wall-clock time in units since 1970, one for each unit of real time.
    clock: Vec<i64>,
    first_day: i64,
    /// Day of month, month, weekday from Sunday, for each day from `first_day`.
    days: Vec<(usize, usize, usize)>,
}

impl Window {
    fn new(zone: Tz, unit: i64, start: i64, end: i64) -> Self {
        let clock: Vec<i64> = (0..(end - start) / unit)
            .map(|n| start + n * unit)
            .map(|utc| (utc + offset(zone, utc)).div_euclid(unit))
            .collect();
        let day = |clock: &i64| (clock * unit).div_euclid(24 * HOUR);
        let first_day = clock.iter().map(day).min().unwrap() - 1;
        let last_day = clock.iter().map(day).max().unwrap() + 1;
        let days = (first_day..=last_day)
            .map(|day| {
                let date = NaiveDate::from_num_days_from_ce_opt(719_163 + day as i32).unwrap();
                (date.day() as usize, date.month() as usize, date.weekday().num_days_from_sunday() as usize)
            })
            .collect();
        Self { zone, unit, start, clock, first_day, days }
    }

    fn end(&self) -> i64 {
        self.start + self.clock.len() as i64 * self.unit
    }

    /// `find_jobs`: is the job among those of this minute of the virtual clock?
    fn finds(&self, job: &Job, clock: i64, wild: bool, fixed: bool) -> bool {
        if !(if job.wild { wild } else { fixed }) {
            return false;
        }
        let time = clock * self.unit;
        let of_day = time.rem_euclid(24 * HOUR) as usize;
        if !job.second[of_day % 60] || !job.minute[of_day / 60 % 60] || !job.hour[of_day / 3600] {
            return false;
        }
        let (day, month, weekday) = self.days[(time.div_euclid(24 * HOUR) - self.first_day) as usize];
        job.month[month]
            && if job.day_star { job.day[day] && job.weekday[weekday] } else { job.day[day] || job.weekday[weekday] }
    }

    /// Cron's main loop: the instants at which it runs the job.
    fn runs(&self, job: &Job) -> Vec<i64> {
        let minute = 60 / self.unit;
        let mut runs = Vec::new();
        let mut virtual_time = self.clock[0];
        for (index, &running) in self.clock.iter().enumerate().skip(1) {
            let difference = running - virtual_time;
            let far = difference > 180 * minute || difference <= -180 * minute;
            let found = if difference == 1 || far {
                virtual_time = running;
                self.finds(job, running, true, true)
            } else if difference > 0 {
                let small = difference <= 5 * minute;
                let mut found = !small && self.finds(job, running, true, false);
                while virtual_time < running {
                    virtual_time += 1;
                    found |= self.finds(job, virtual_time, small, true);
                }
                found
            } else {
                self.finds(job, running, true, false)
            };
            if found {
                runs.push(self.start + index as i64 * self.unit);
            }
        }
        runs
    }
}

/// First seconds of a new offset within a year.
fn changes(zone: Tz, year: i32) -> Vec<i64> {
    let start = |year| {
        let date = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
        date.and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp()
    };
    let mut found = Vec::new();
    let mut low = start(year);
    while low < start(year + 1) {
        let high = low + 24 * HOUR;
        if offset(zone, low) != offset(zone, high) {
            let (mut before, mut after) = (low, high);
            while after - before > 1 {
                let middle = (before + after) / 2;
                if offset(zone, middle) == offset(zone, low) {
                    before = middle;
                } else {
                    after = middle;
                }
            }
            found.push(after);
        }
        low = high;
    }
    found
}

/// A field in one of the ways people write them, with values from `likely` more often than not.
fn random_field(random: &mut Random, low: u32, high: u32, likely: &[u32]) -> String {
    let mut value = || {
        if random.below(3) > 0 { *random.pick(likely) } else { low + random.below(high - low + 1) }
    };
    let (a, b, c) = (value(), value(), value());
    let (from, to) = (a.min(b), a.max(b));
    let step = *random.pick(&[1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 60, 90]);
    match random.below(14) {
        0..=2 => "*".to_owned(),
        3 | 4 => format!("*/{step}"),
        5 | 6 => a.to_string(),
        7 => format!("{a},{b}"),
        8 => format!("{a},{from}-{to},{c}"),
        9 => format!("{from}-{to}"),
        10 => format!("{from}-{to}/{step}"),
        11 => format!("{a},*"),
        12 => format!("*,{a}"),
        _ => format!("{low}-{high}"),
    }
}

/// A line whose times are near a change of the clock more often than not.
fn random_line(random: &mut Random, zone: Tz, change: i64, seconds: bool) -> String {
    let walls: Vec<DateTime<Utc>> = [(change - 1, change - 1), (change, change)]
        .into_iter()
        .map(|(utc, at)| DateTime::from_timestamp(utc + offset(zone, at), 0).unwrap())
        .collect();
    if !seconds && random.below(40) == 0 {
        let macros = ["@yearly", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];
        return (*random.pick(&macros)).to_owned();
    }
    let hour_of = |wall: &DateTime<Utc>| (wall.timestamp().rem_euclid(24 * HOUR) / HOUR) as u32;
    let hours: Vec<u32> = walls.iter().flat_map(|wall| (22..28).map(move |n| (hour_of(wall) + n) % 24)).collect();
    let days: Vec<u32> = walls.iter().map(Datelike::day).collect();
    let months: Vec<u32> = walls.iter().map(Datelike::month).collect();
    let weekdays: Vec<u32> = walls.iter().map(|wall| wall.weekday().num_days_from_sunday()).collect();
    let mut line = String::new();
    if seconds {
        line.push_str(&random_field(random, 0, 59, &[0, 1, 30, 59]));
        line.push(' ');
    }
    line.push_str(&random_field(random, 0, 59, &[0, 1, 15, 29, 30, 45, 59]));
    line.push(' ');
    line.push_str(&random_field(random, 0, 23, &hours));
    line.push(' ');
    for (low, high, likely) in [(1, 31, &days), (1, 12, &months)] {
        if random.below(2) == 0 {
            line.push('*');
        } else {
            line.push_str(&random_field(random, low, high, likely));
        }
        line.push(' ');
    }
    match random.below(8) {
        0..=3 => line.push('*'),
        4 => line.push_str(["mon-fri", "MON,WED,Sun", "sun-tue", "5-7"][random.below(4) as usize]),
        _ => line.push_str(&random_field(random, 0, 7, &weekdays)),
    }
    line
}

/// Every zone shape there is: usual hours, half hours, two hours, midnight gaps, negative DST, skipped days, and
/// changes of three hours and more, which are no daylight-saving to cron.
const ZONES: &[(&str, i32)] = &[
    ("Europe/Madrid", 2026),
    ("America/New_York", 2026),
    ("Australia/Lord_Howe", 2026),
    ("Antarctica/Troll", 2026),
    ("America/Havana", 2026),
    ("Africa/Cairo", 2026),
    ("Asia/Beirut", 2026),
    ("America/Santiago", 2026),
    ("Africa/Casablanca", 2026),
    ("Pacific/Chatham", 2026),
    ("Europe/Dublin", 2026),
    ("Asia/Gaza", 2027),
    ("Asia/Kathmandu", 1986),
    ("America/Caracas", 2007),
    ("Asia/Pyongyang", 2018),
    ("America/Scoresbysund", 2024),
    ("Antarctica/Casey", 2010),
    ("Antarctica/Casey", 2020),
    ("Antarctica/Vostok", 1994),
    ("Pacific/Apia", 2011),
    ("Pacific/Kwajalein", 1993),
];

fn random_change(random: &mut Random) -> (Tz, i64) {
    loop {
        let (zone, year) = if random.below(3) > 0 {
            let (name, year) = random.pick(ZONES);
            (name.parse().unwrap(), *year)
        } else {
            (*random.pick(&TZ_VARIANTS), 1975 + random.below(100) as i32)
        };
        let changes = changes(zone, year);
        if !changes.is_empty() {
            return (zone, *random.pick(&changes));
        }
    }
}

/// Compares from one instant; answers what it should have been, and was, unless past the window.
fn compare(
    seed: u64,
    text: &str,
    line: &CronLine,
    window: &Window,
    runs: &[i64],
    after: i64,
    nanos: u32,
) -> Option<i64> {
    let expected = runs.get(runs.partition_point(|run| *run <= after)).copied();
    let from = DateTime::from_timestamp(after, nanos).unwrap();
    let got = line.next_after(window.zone.into(), from).map(|at| at.timestamp());
    let show = |at: Option<i64>| at.and_then(|at| DateTime::from_timestamp(at, 0)).map(|at| at.to_rfc3339());
    assert!(
        got == expected || (expected.is_none() && got.is_none_or(|got| got >= window.end())),
        "ALF_TEST_SEED={seed}: {text:?} in {} after {from:?}: {:?}, but cron runs it at {:?}",
        window.zone,
        show(got),
        show(expected),
    );
    expected
}

fn check_line(seed: u64, random: &mut Random, text: &str, window: &Window, change: i64, steps: u32) -> bool {
    let line: CronLine = match text.parse() {
        Ok(line) => line,
        Err(error) => {
            assert!(error.to_string().contains("never comes"), "{text:?}: {error}");
            return false;
        }
    };
    let runs = window.runs(&job(text));
    // Not before the loop has a history to know of.
    let low = window.start + 4 * HOUR;
    for _ in 0..8 {
        let after = random.between((change - 4 * HOUR).max(low), change + 4 * HOUR);
        let nanos = random.below(2) * 999_999_999;
        compare(seed, text, &line, window, &runs, after, nanos);
    }
    let mut after = Some(random.between(low, change));
    for _ in 0..steps {
        let Some(from) = after else { break };
        after = compare(seed, text, &line, window, &runs, from, 0);
    }
    true
}

#[test]
fn lines_near_clock_changes_run_when_debians_cron_runs_them() {
    for seed in seeds() {
        let mut random = Random(seed);
        let mut lines = 0;
        while lines < 3_600 {
            let (zone, change) = random_change(&mut random);
            let window = Window::new(zone, 60, (change - 30 * HOUR).div_euclid(60) * 60, change + 30 * HOUR);
            for _ in 0..30 {
                let text = random_line(&mut random, zone, change, false);
                lines += u32::from(check_line(seed, &mut random, &text, &window, change, 24));
            }
        }
    }
}

#[test]
fn lines_with_seconds_follow_the_same_loop() {
    for seed in seeds() {
        let mut random = Random(seed ^ 6);
        for _ in 0..24 {
            let (zone, change) = random_change(&mut random);
            let window = Window::new(zone, 1, change - 9 * HOUR, change + 5 * HOUR);
            for _ in 0..8 {
                let text = random_line(&mut random, zone, change, true);
                check_line(seed, &mut random, &text, &window, change, 24);
            }
        }
    }
}

#[test]
fn sparse_lines_run_on_the_right_days_of_a_whole_year() {
    for seed in seeds() {
        let mut random = Random(seed ^ 365);
        for _ in 0..4 {
            let (zone, change) = random_change(&mut random);
            let start = (change - 10 * 24 * HOUR).div_euclid(60) * 60;
            let window = Window::new(zone, 60, start, start + 400 * 24 * HOUR);
            for _ in 0..5 {
                let text = loop {
                    let text = random_line(&mut random, zone, change, false);
                    if text.split(' ').nth(2) != Some("*") {
                        break text;
                    }
                };
                check_line(seed, &mut random, &text, &window, change, 300);
            }
        }
    }
}
