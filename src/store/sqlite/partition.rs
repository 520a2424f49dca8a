//! Results are kept by the day (UTC) that their ids carry, a table a day, so that old ones go by dropping a table.

use chrono::{DateTime, Datelike as _};
use rusqlite::Connection;

use super::fault::Fault;
use super::{read, schema};
use crate::model::RunId;

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
/// What stands below the milliseconds in a row id: counter and twins.
const BELOW_MS: u32 = 15;

/// A day, and what is said of its Results in `partitions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Partition {
    /// Days since the Unix epoch.
    pub(super) day: i64,
    /// How many Results are in it.
    pub(super) results: u64,
    /// The earliest `scheduled_at` in it.
    pub(super) first_scheduled: i64,
    /// The latest.
    pub(super) last_scheduled: i64,
}

/// An hour of a day, and what is said of its Results in `hours`: the same as of a day, so that a query which ends within
/// one looks at an hour's Results and not at a day's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hour {
    /// Hours since the Unix epoch.
    pub(super) hour: i64,
    /// How many Results are in it.
    pub(super) results: u64,
    /// The earliest `scheduled_at` in it.
    pub(super) first_scheduled: i64,
    /// The latest.
    pub(super) last_scheduled: i64,
}

impl Hour {
    /// The hour in which this run's id was made.
    pub(super) fn of(id: RunId) -> i64 {
        id.millis().div_euclid(HOUR_MS)
    }

    /// The first of the row ids of an hour's Results.
    pub(super) fn first_key(hour: i64) -> i64 {
        hour.saturating_mul(HOUR_MS) << BELOW_MS
    }
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

/// Results that an hour has got.
#[derive(Debug, Clone, Copy)]
pub(super) struct Added {
    results: i64,
    first_scheduled: i64,
    last_scheduled: i64,
}

impl Default for Added {
    fn default() -> Self {
        Self { results: 0, first_scheduled: i64::MAX, last_scheduled: i64::MIN }
    }
}

impl Added {
    /// One more.
    pub(super) fn add(&mut self, scheduled_at: i64) {
        self.results += 1;
        self.first_scheduled = self.first_scheduled.min(scheduled_at);
        self.last_scheduled = self.last_scheduled.max(scheduled_at);
    }
}

/// Counts new Results of an hour, and of its day.
pub(super) fn count(connection: &Connection, hour: i64, added: Added) -> Result<(), Fault> {
    let mut of_day = connection.prepare_cached(
        "UPDATE partitions SET results = results + ?2, first_scheduled = min(first_scheduled, ?3),
             last_scheduled = max(last_scheduled, ?4) WHERE day = ?1",
    )?;
    let day = hour.div_euclid(DAY_MS / HOUR_MS);
    of_day.execute((day, added.results, added.first_scheduled, added.last_scheduled))?;
    let mut of_hour = connection.prepare_cached(
        "INSERT INTO hours (hour, results, first_scheduled, last_scheduled) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET results = results + ?2, first_scheduled = min(first_scheduled, ?3),
             last_scheduled = max(last_scheduled, ?4)",
    )?;
    of_hour.execute((hour, added.results, added.first_scheduled, added.last_scheduled))?;
    Ok(())
}

/// Counts the Results of each hour of a day anew.
pub(super) fn count_hours(connection: &Connection, day: i64) -> Result<(), Fault> {
    let hour = format!("key / {}", HOUR_MS << BELOW_MS);
    connection.execute_batch(&format!(
        "INSERT INTO hours (hour, results, first_scheduled, last_scheduled)
             SELECT {hour}, count(*), min(scheduled_at), max(scheduled_at) FROM {} GROUP BY 1",
        table(day)?
    ))?;
    Ok(())
}

/// The hours of a day that have Results, oldest first.
pub(super) fn hours(connection: &Connection, day: i64) -> Result<Vec<Hour>, Fault> {
    let mut hours = connection.prepare_cached(
        "SELECT hour, results, first_scheduled, last_scheduled FROM hours WHERE hour >= ?1 AND hour < ?2 ORDER BY hour",
    )?;
    let of_day = DAY_MS / HOUR_MS;
    let rows = hours.query_and_then((day * of_day, (day + 1) * of_day), |row| {
        Ok(Hour {
            hour: row.get(0)?,
            results: read::count(row.get(1)?)?,
            first_scheduled: row.get(2)?,
            last_scheduled: row.get(3)?,
        })
    })?;
    rows.collect()
}

/// All days there are, newest first.
pub(super) fn all(connection: &Connection) -> Result<Vec<Partition>, Fault> {
    let mut all = connection
        .prepare_cached("SELECT day, results, first_scheduled, last_scheduled FROM partitions ORDER BY day DESC")?;
    let rows = all.query_and_then([], |row| {
        Ok(Partition {
            day: row.get(0)?,
            results: read::count(row.get(1)?)?,
            first_scheduled: row.get(2)?,
            last_scheduled: row.get(3)?,
        })
    })?;
    rows.collect()
}
