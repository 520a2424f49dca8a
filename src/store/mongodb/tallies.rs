//! How many Results there are of each day and each hour, by the time that their ids carry, counted as they are added: so
//! that nobody counts millions of documents. Nodes that write to the same database count apart, as best they can.

use std::collections::BTreeMap;

use mongodb::bson::{DateTime, Document, doc};
use mongodb::options::FindOptions;
use serde::Deserialize;

use super::changes::{Change, Changes, prefix};
use super::connect::Link;
use super::fault::Fault;
use super::read;
use super::schema::{TALLIES, each};
use super::view::View;
use super::writer::{self, Step};
use crate::model::{RunId, RunResult};

pub(super) const HOUR_MS: i64 = 3_600_000;
pub(super) const DAY_MS: i64 = 86_400_000;
/// So many documents there may be of one hour.
pub(super) const SLOTS: u8 = 16;

/// What is said of the Results of a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    /// From when on their ids are.
    pub(super) from: i64,
    /// Until before when.
    pub(super) until: i64,
    /// How many there are.
    pub(super) results: u64,
    /// The earliest `scheduled_at` of them.
    pub(super) first_scheduled: i64,
    /// The latest.
    pub(super) last_scheduled: i64,
}

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "_id")]
    id: String,
    results: i64,
    /// None of one that only tells what was removed.
    first_scheduled: Option<DateTime>,
    last_scheduled: Option<DateTime>,
}

/// What a stretch of time has got, less what was removed.
#[derive(Debug, Clone, Copy, Default)]
struct More {
    results: i64,
    /// The earliest and the latest `scheduled_at` of what it has got.
    scheduled: Option<(i64, i64)>,
}

impl More {
    fn take(&mut self, other: Self) {
        self.results += other.results;
        self.scheduled = match (self.scheduled, other.scheduled) {
            (Some(one), Some(two)) => Some((one.0.min(two.0), one.1.max(two.1))),
            (one, two) => one.or(two),
        };
    }

    fn count(self) -> Change {
        let mut count = doc! { "$inc": { "results": self.results } };
        if let Some((first, last)) = self.scheduled {
            count.insert("$min", doc! { "first_scheduled": DateTime::from_millis(first) });
            count.insert("$max", doc! { "last_scheduled": DateTime::from_millis(last) });
        }
        Change::Make(count)
    }
}

/// Results that were added and removed, by the hour.
#[derive(Debug, Default)]
pub(super) struct Added(BTreeMap<i64, More>);

impl Added {
    /// One more.
    pub(super) fn add(&mut self, result: &RunResult) {
        let at = result.scheduled_at.millis();
        self.hour(result.id).take(More { results: 1, scheduled: Some((at, at)) });
    }

    /// One less.
    pub(super) fn remove(&mut self, id: RunId) {
        self.hour(id).results -= 1;
    }

    fn hour(&mut self, id: RunId) -> &mut More {
        self.0.entry(id.millis().div_euclid(HOUR_MS)).or_default()
    }

    /// Counts them in.
    pub(super) fn count(self, slot: u8, changes: &mut Changes) {
        let mut days: BTreeMap<i64, More> = BTreeMap::new();
        for (hour, more) in self.0 {
            days.entry(hour.div_euclid(DAY_MS / HOUR_MS)).or_default().take(more);
            changes.set(TALLIES, key("hour", hour, slot).as_str(), more.count());
        }
        for (day, more) in days {
            changes.set(TALLIES, key("day", day, slot).as_str(), more.count());
        }
    }
}

fn key(unit: &str, n: i64, slot: u8) -> String {
    format!("{unit}/{n:010}/{slot:02}")
}

/// All days that have Results, oldest first.
pub(super) async fn days(view: &View) -> Result<Vec<Tally>, Fault> {
    find(view, doc! { "_id": prefix("day/") }, DAY_MS).await
}

/// The hours of a stretch of time that have Results, oldest first.
pub(super) async fn hours(view: &View, from: i64, until: i64) -> Result<Vec<Tally>, Fault> {
    let (from, until) = (from.div_euclid(HOUR_MS), until.div_euclid(HOUR_MS));
    find(view, doc! { "_id": { "$gte": key("hour", from, 0), "$lt": key("hour", until, 0) } }, HOUR_MS).await
}

/// Those that have Results. What several nodes have counted goes together.
async fn find(view: &View, filter: Document, length: i64) -> Result<Vec<Tally>, Fault> {
    let in_order = FindOptions::builder().sort(doc! { "_id": 1 }).build();
    let mut all: Vec<(i64, More)> = Vec::new();
    for row in view.find::<Row>(TALLIES, filter, in_order).await? {
        let n = number(&row.id)?;
        let scheduled = row.first_scheduled.zip(row.last_scheduled);
        let scheduled = scheduled.map(|(first, last)| (first.timestamp_millis(), last.timestamp_millis()));
        let more = More { results: row.results, scheduled };
        match all.last_mut() {
            Some((last, sum)) if *last == n => sum.take(more),
            _ => all.push((n, more)),
        }
    }
    let tallies = all.into_iter().filter(|(_, sum)| sum.results > 0).map(|(n, sum)| {
        let (first_scheduled, last_scheduled) = sum.scheduled.unwrap_or((i64::MIN, i64::MAX));
        let from = n * length;
        let results = read::count(sum.results)?;
        Ok(Tally { from, until: from + length, results, first_scheduled, last_scheduled })
    });
    tallies.collect()
}

fn number(id: &str) -> Result<i64, Fault> {
    let n = id.split('/').nth(1).and_then(|n| n.parse().ok());
    n.ok_or_else(|| Fault::Unreadable("a tally is malformed".to_owned()))
}

/// Forgets stretches of time that have no Results any more; nothing where somebody counts at the same moment.
pub(super) async fn forget_empty(link: &Link) -> Result<(), Fault> {
    let mut stretches: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in each(&View::of(&link.database), TALLIES, Ok::<Row, _>).await? {
        let stretch = row.id.rsplit_once('/').map_or_else(String::new, |(stretch, _)| stretch.to_owned());
        stretches.entry(stretch).or_default().push(row);
    }
    let mut changes = Changes::default();
    for rows in stretches.into_values().filter(|rows| rows.iter().map(|row| row.results).sum::<i64>() == 0) {
        for row in rows {
            changes.set(TALLIES, row.id.as_str(), Change::RemoveIf(doc! { "results": row.results }));
        }
    }
    match writer::write(link, vec![Step::Changes(changes)]).await {
        Err(fault) if fault.is_race() => Ok(()),
        done => done,
    }
}
