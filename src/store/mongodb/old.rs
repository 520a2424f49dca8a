//! What retention asks for: old Results, those beyond the newest of their pairs; what goes, and how it is counted off.

use std::time::Duration;

use mongodb::bson::{Binary, Document, doc};
use mongodb::options::FindOptions;
use serde::Deserialize;

use super::fault::Fault;
use super::schema::{NOTIFICATIONS, RESULTS};
use super::view::View;
use super::{LIMIT, read, tallies};
use crate::model::{Name, RunId, Timestamp};
use crate::store::{OfTasks, OldPage, OldQuery, SurplusQuery, Which};

/// Results that one call may look through in vain.
const MOST_READ: u64 = 200_000;
/// How long counting the Results of all pairs may take.
pub(super) const COUNTING: Duration = Duration::from_secs(120);

#[derive(Deserialize)]
struct Id {
    #[serde(rename = "_id")]
    id: Binary,
}

/// How many Results a pair has; an ad-hoc run has no task.
#[derive(Deserialize)]
struct Counted {
    #[serde(rename = "_id")]
    pair: PairOf,
    results: i64,
}

#[derive(Deserialize)]
struct PairOf {
    host: String,
    task: Option<String>,
}

/// The condition on the tasks.
fn of_tasks(tasks: &OfTasks) -> Document {
    let names = |names: &[Name]| -> Vec<String> { names.iter().map(Name::to_string).collect() };
    match tasks {
        OfTasks::AllBut(none) if none.is_empty() => Document::new(),
        OfTasks::AllBut(others) => doc! { "task": { "$nin": names(others) } },
        OfTasks::Only(these) => doc! { "task": { "$in": names(these) } },
    }
}

/// Old Results, the oldest first: of so many days at a time as one call may look through.
pub(super) async fn old(view: &View, query: &OldQuery) -> Result<OldPage, Fault> {
    let from = query.after.map_or(i64::MIN, |after| after.millis());
    let end = query.before.millis();
    let (mut until, mut looked_through) = (None, 0);
    for day in tallies::days(view).await?.iter().filter(|day| day.until > from && day.from < end) {
        if looked_through >= MOST_READ {
            break;
        }
        looked_through += day.results;
        until = Some(day.until);
    }
    let Some(until) = until else { return Ok(OldPage::default()) };
    let mut bounds = doc! { "$lt": read::first_id(until.min(end)) };
    bounds.extend(query.after.map(|after| ("$gt".to_owned(), read::to_uuid(after).into())));
    let mut filter = of_tasks(&query.tasks);
    filter.insert("_id", bounds);
    match query.which {
        Which::All => {}
        Which::Problems => drop(filter.insert("outcome", "PROBLEM")),
        Which::Others => drop(filter.insert("outcome", doc! { "$ne": "PROBLEM" })),
    }
    let ids = ids(view, RESULTS, filter, query.limit).await?;
    let next = if ids.len() == query.limit {
        ids.last().copied()
    } else {
        (until < end).then(|| read::millis(until).map(RunId::earliest)).transpose()?
    };
    Ok(OldPage { ids, next })
}

/// Results beyond the newest so many of their pairs.
pub(super) async fn surplus(view: &View, query: &SurplusQuery) -> Result<Vec<RunId>, Fault> {
    let pipeline = vec![
        doc! { "$match": of_tasks(&query.tasks) },
        doc! { "$group": { "_id": { "host": "$host", "task": "$task" }, "results": { "$sum": 1_i64 } } },
        doc! { "$match": { "results": { "$gt": read::to_count(query.keep) } } },
    ];
    let pairs: Vec<Counted> = view.aggregate(RESULTS, pipeline).await?;
    let mut found = Vec::new();
    for pair in pairs {
        let surplus = read::count(pair.results)?.saturating_sub(query.keep);
        let wanted = usize::try_from(surplus).unwrap_or(usize::MAX).min(query.limit - found.len());
        // None matches what is not there.
        let filter = doc! { "host": pair.pair.host, "task": pair.pair.task };
        found.extend(ids(view, RESULTS, filter, wanted).await?);
        if found.len() >= query.limit {
            break;
        }
    }
    Ok(found)
}

/// So many notifications of before an instant, the oldest first.
pub(super) async fn notifications(view: &View, before: Timestamp, most: u64) -> Result<Vec<RunId>, Fault> {
    let filter = doc! { "_id": { "$lt": read::first_id(before.millis()) } };
    ids(view, NOTIFICATIONS, filter, usize::try_from(most).unwrap_or(usize::MAX)).await
}

/// When the id of the oldest Result was made.
pub(super) async fn oldest(view: &View) -> Result<Option<Timestamp>, Fault> {
    let first = ids(view, RESULTS, doc! {}, 1).await?;
    first.first().map(|id| read::millis(id.millis())).transpose()
}

/// When the id of the newest Result was made.
pub(super) async fn newest(view: &View) -> Result<Option<Timestamp>, Fault> {
    let newest_first = FindOptions::builder().sort(doc! { "_id": -1 }).limit(1).projection(doc! { "_id": 1 }).build();
    let rows: Vec<Id> = view.find(RESULTS, doc! {}, newest_first).await?;
    rows.first().map(|row| read::millis(read::id(&row.id)?.millis())).transpose()
}

async fn ids(view: &View, of: &str, filter: Document, most: usize) -> Result<Vec<RunId>, Fault> {
    // No limit at all would be none.
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    if most == 0 {
        return Ok(Vec::new());
    }
    let only_ids = doc! { "_id": 1 };
    let oldest_first = FindOptions::builder().sort(only_ids.clone()).limit(most).projection(only_ids).max_time(LIMIT);
    let rows: Vec<Id> = view.find(of, filter, oldest_first.build()).await?;
    rows.iter().map(|row| read::id(&row.id)).collect()
}
