//! Results are kept by the day (UTC) that their ids carry, a table a day; one without any goes.

use chrono::{DateTime, Datelike as _};
use rusqlite::{Connection, Row};

use super::fault::Fault;
use super::{read, schema};
use crate::model::{RunId, Timestamp};

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_HOURS: i64 = DAY_MS / HOUR_MS;
/// What stands below the milliseconds in a row id: counter and twins.
const BELOW_MS: u32 = 15;

/// What is said of the Results of a day in `partitions`, and of an hour in `hours`, so that a query which ends within one
/// looks at an hour's Results and not at a day's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    /// Days, or hours, since the Unix epoch.
    pub(super) number: i64,
    /// How many Results are in it.
    pub(super) results: u64,
    /// None of them was scheduled earlier.
    pub(super) first_scheduled: i64,
    /// None later.
    pub(super) last_scheduled: i64,
}

impl Tally {
    /// Whether it says of Results what is so of these.
    pub(super) fn covers(&self, counted: &Self) -> bool {
        self.results == counted.results
            && self.first_scheduled <= counted.first_scheduled
            && self.last_scheduled >= counted.last_scheduled
    }

    fn of(row: &Row<'_>) -> Result<Self, Fault> {
        Ok(Self {
            number: row.get(0)?,
            results: read::count(row.get(1)?)?,
            first_scheduled: row.get(2)?,
            last_scheduled: row.get(3)?,
        })
    }
}

/// The hour in which this run's id was made.
pub(super) fn hour_of(id: RunId) -> i64 {
    id.millis().div_euclid(HOUR_MS)
}

/// The first of the row ids of an hour's Results.
pub(super) fn first_key_of_hour(hour: i64) -> i64 {
    hour.saturating_mul(HOUR_MS) << BELOW_MS
}

/// The first of the row ids of Results of an instant or a later one.
pub(super) fn first_key_at(at: Timestamp) -> i64 {
    at.millis() << BELOW_MS
}

/// The instant that a row id carries.
pub(super) fn millis_of_key(key: i64) -> i64 {
    key >> BELOW_MS
}

/// The first instant of a day.
pub(super) fn begin(day: i64) -> Result<Timestamp, Fault> {
    read::timestamp(day.saturating_mul(DAY_MS))
}

/// The day whose partition holds this run's Result.
pub(super) fn day_of(id: RunId) -> i64 {
    id.millis().div_euclid(DAY_MS)
}

/// The first of the row ids that a run's Result may have: the first 60 bits of a UUIDv7 but for the version, which are
/// time and counter. They are unique to a generator, but a clock that is set back may give them out again, so three
/// bits are left for telling such twins apart.
pub(super) fn first_key(id: RunId) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
    let millis = i64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    let counter = i64::from(u16::from_be_bytes([g & 0x0F, h]));
    millis << BELOW_MS | counter << 3
}

/// The last of the row ids that go with a first one.
pub(super) fn last_key(first: i64) -> i64 {
    first | 7
}

/// The table of a day: `results_YYYYMMDD`.
pub(super) fn table(day: i64) -> Result<String, Fault> {
    let date = DateTime::from_timestamp_millis(day.saturating_mul(DAY_MS))
        .ok_or_else(|| Fault::Unreadable(format!("day {day} is out of range")))?;
    Ok(format!("results_{:04}{:02}{:02}", date.year(), date.month(), date.day()))
}

/// Whether there is a table for this day.
pub(super) fn exists(connection: &Connection, day: i64) -> Result<bool, Fault> {
    Ok(connection.prepare_cached("SELECT 1 FROM partitions WHERE day = ?1")?.exists([day])?)
}

/// Makes the table of a day, for a first Result.
pub(super) fn create(connection: &Connection, day: i64, scheduled_at: i64) -> Result<(), Fault> {
    connection.execute_batch(&schema::partition(&table(day)?))?;
    let mut begin = connection.prepare_cached(
        "INSERT INTO partitions (day, results, first_scheduled, last_scheduled) VALUES (?1, 0, ?2, ?2)",
    )?;
    begin.execute((day, scheduled_at))?;
    Ok(())
}

/// Results that an hour has got, less those that were removed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Added {
    results: i64,
    first_scheduled: i64,
    last_scheduled: i64,
    /// Whether any were removed.
    pub(super) is_less: bool,
}

impl Default for Added {
    fn default() -> Self {
        Self { results: 0, first_scheduled: i64::MAX, last_scheduled: i64::MIN, is_less: false }
    }
}

impl Added {
    /// One more.
    pub(super) fn add(&mut self, scheduled_at: i64) {
        self.results += 1;
        self.first_scheduled = self.first_scheduled.min(scheduled_at);
        self.last_scheduled = self.last_scheduled.max(scheduled_at);
    }

    /// One less.
    pub(super) fn remove(&mut self) {
        self.results -= 1;
        self.is_less = true;
    }
}

/// Counts the Results that an hour, and its day, have got or lost.
pub(super) fn count(connection: &Connection, hour: i64, added: Added) -> Result<(), Fault> {
    let mut of_day = connection.prepare_cached(
        "UPDATE partitions SET results = results + ?2, first_scheduled = min(first_scheduled, ?3),
             last_scheduled = max(last_scheduled, ?4) WHERE day = ?1",
    )?;
    let day = hour.div_euclid(DAY_HOURS);
    of_day.execute((day, added.results, added.first_scheduled, added.last_scheduled))?;
    let mut of_hour = connection.prepare_cached(
        "INSERT INTO hours (hour, results, first_scheduled, last_scheduled) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET results = results + ?2, first_scheduled = min(first_scheduled, ?3),
             last_scheduled = max(last_scheduled, ?4)",
    )?;
    of_hour.execute((hour, added.results, added.first_scheduled, added.last_scheduled))?;
    Ok(())
}

/// Counts the Results of each hour of a day.
fn hour_by_hour(day: i64) -> Result<String, Fault> {
    let hour = format!("key / {}", HOUR_MS << BELOW_MS);
    let table = table(day)?;
    Ok(format!("SELECT {hour}, count(*), min(scheduled_at), max(scheduled_at) FROM {table} GROUP BY 1"))
}

/// What is in each hour of a day, counted anew.
pub(super) fn count_by_hour(connection: &Connection, day: i64) -> Result<Vec<Tally>, Fault> {
    let mut count = connection.prepare(&hour_by_hour(day)?)?;
    let rows = count.query_and_then([], Tally::of)?;
    rows.collect()
}

/// Writes down what is in each hour of a day.
pub(super) fn count_hours(connection: &Connection, day: i64) -> Result<(), Fault> {
    let counted = hour_by_hour(day)?;
    connection
        .execute_batch(&format!("INSERT INTO hours (hour, results, first_scheduled, last_scheduled) {counted}"))?;
    Ok(())
}

/// The hours of a day that have Results, oldest first.
pub(super) fn hours(connection: &Connection, day: i64) -> Result<Vec<Tally>, Fault> {
    let mut hours = connection.prepare_cached(
        "SELECT hour, results, first_scheduled, last_scheduled FROM hours WHERE hour >= ?1 AND hour < ?2 ORDER BY hour",
    )?;
    let rows = hours.query_and_then((day * DAY_HOURS, (day + 1) * DAY_HOURS), Tally::of)?;
    rows.collect()
}

/// All days there are, newest first.
pub(super) fn all(connection: &Connection) -> Result<Vec<Tally>, Fault> {
    let mut all = connection
        .prepare_cached("SELECT day, results, first_scheduled, last_scheduled FROM partitions ORDER BY day DESC")?;
    let rows = all.query_and_then([], Tally::of)?;
    rows.collect()
}

/// Takes hours and days away that have no Results left; the days.
pub(super) fn remove_empty(connection: &Connection, hours: &[i64]) -> Result<Vec<i64>, Fault> {
    let mut gone = Vec::new();
    for hour in hours {
        connection.prepare_cached("DELETE FROM hours WHERE hour = ?1 AND results = 0")?.execute([hour])?;
        let day = hour.div_euclid(DAY_HOURS);
        let is_empty = "DELETE FROM partitions WHERE day = ?1 AND results = 0";
        if connection.prepare_cached(is_empty)?.execute([day])? > 0 {
            connection.execute_batch(&format!("DROP TABLE {}", table(day)?))?;
            gone.push(day);
        }
    }
    Ok(gone)
}
