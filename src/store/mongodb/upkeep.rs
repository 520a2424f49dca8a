//! What is done to a database beside the service, or while none runs: its size, filling it, and a look over it. What is to
//! agree is read as of one moment each, as others may be writing.

use std::collections::HashSet;

use futures_util::TryStreamExt as _;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc};
use mongodb::options::{CollectionOptions, FindOptions, ReadConcern};
use serde::Deserialize;

use super::connect::Link;
use super::fault::Fault;
use super::schema::{self, COLLECTIONS, OUTPUTS, RESULTS, TRACES};
use super::tallies::{self, HOUR_MS, Tally};
use super::view::View;
use super::{
    COMMIT, LIMIT, LOAD, MongoStore, UNBOUNDED, actions, definitions, learnt, old, once, pairs, read, results, standing,
};
use crate::model::{ContentHash, Noun, RunId, RunResult};
use crate::store::StoreError;
use crate::store::sizes::{Sizes, TableSize};

/// So many documents are looked at in one go.
const BATCH: usize = 1000;
/// Of so many faults of one kind each is told.
const MOST_FAULTS: usize = 20;

impl MongoStore {
    /// How large it is, and what is in it.
    pub async fn sizes(&self) -> Result<Sizes, StoreError> {
        let (bytes, used) = self.call(LIMIT, |inner| async move { inner.bytes().await }).await?.unzip();
        let sizes = self.call(LOAD, |inner| async move { sizes(&inner.link).await }).await?;
        Ok(Sizes { bytes, used, ..sizes })
    }

    /// What is wrong with it, a line each; nothing where it is sound.
    pub async fn faults(&self) -> Result<Vec<String>, StoreError> {
        self.call(UNBOUNDED, |inner| async move { faults(&inner.link).await }).await
    }

    /// By what it is being filled, or was when that was cut off; none if it is whole.
    pub async fn half(&self) -> Result<Option<String>, StoreError> {
        self.call(LIMIT, |inner| async move { schema::half(&inner.link.database).await }).await
    }

    /// From now on it is being filled by this, and nobody else opens it.
    pub async fn begin(&self, by: &'static str) -> Result<(), StoreError> {
        self.call(LIMIT, move |inner| async move { schema::begin(&inner.link.database, by).await }).await
    }

    /// It is whole.
    pub async fn finish(&self) -> Result<(), StoreError> {
        self.call(LIMIT, |inner| async move { schema::finish(&inner.link.database).await }).await
    }

    /// Removes all that is in it.
    pub async fn clear(&self) -> Result<(), StoreError> {
        self.call(COMMIT, |inner| async move { schema::clear(&inner.link.database).await }).await
    }
}

async fn sizes(link: &Link) -> Result<Sizes, Fault> {
    let view = View::of(&link.database);
    let mut sizes = Sizes {
        schema: schema::version_of(&link.database).await?,
        days: tallies::days(&view).await?.len() as u64,
        oldest: old::oldest(&view).await?,
        newest: old::newest(&view).await?,
        ..Sizes::default()
    };
    let (mut free, mut knows_free) = (0, false);
    for name in link.database.list_collection_names().await?.iter().filter(|name| COLLECTIONS.contains(&name.as_str()))
    {
        // There is but one concern of what it tells.
        let local = CollectionOptions::builder().read_concern(ReadConcern::local()).build();
        let collection = link.database.collection_with_options::<Document>(name, local);
        let mut said = collection.aggregate([doc! { "$collStats": { "storageStats": {} } }]).await?;
        let size: &mut TableSize = sizes.tables.entry(name.clone()).or_default();
        // One for each part that lies on a server of its own.
        while let Some(part) = said.try_next().await? {
            let part = part.get_document("storageStats").cloned().unwrap_or_default();
            let number = |key: &str| part.get(key).and_then(read::number);
            size.rows += number("count").unwrap_or_default();
            size.bytes += number("storageSize").unwrap_or_default() + number("totalIndexSize").unwrap_or_default();
            if let Some(of_part) = number("freeStorageSize") {
                knows_free = true;
                free += of_part;
            }
        }
    }
    sizes.free = knows_free.then_some(free);
    Ok(sizes)
}

async fn faults(link: &Link) -> Result<Vec<String>, Fault> {
    let mut found = schema::missing(&link.database).await?;
    found.extend(counters(link).await?);
    found.extend(records(link).await?);
    found.extend(outputs(link).await?);
    found.extend(strays(link, OUTPUTS, "outputs").await?);
    found.extend(strays(link, TRACES, "traces").await?);
    Ok(found)
}

async fn moment(link: &Link) -> Result<View, Fault> {
    View::of_one_moment(&link.database).await
}

/// Days and hours say of Results what is so.
async fn counters(link: &Link) -> Result<Vec<String>, Fault> {
    let view = moment(link).await?;
    let days = tallies::days(&view).await?;
    let uncounted = uncounted(&view, &days).await?;
    view.end().await;
    let mut found = Vec::new();
    if uncounted > 0 {
        found.push(format!("{uncounted} results are of days on which none are counted"));
    }
    for day in days {
        let view = moment(link).await?;
        found.extend(day_as_counted(&view, day.from, day.until).await?);
        view.end().await;
    }
    Ok(found)
}

/// How many Results are of none of these days.
async fn uncounted(view: &View, days: &[Tally]) -> Result<u64, Fault> {
    let mut uncounted = 0;
    let starts = days.iter().map(|day| Some(day.from)).chain([None]);
    let ends = [None].into_iter().chain(days.iter().map(|day| Some(day.until)));
    for (from, until) in ends.zip(starts) {
        let mut between = Document::new();
        between.extend(from.map(|from| ("$gte".to_owned(), read::first_id(from))));
        between.extend(until.map(|until| ("$lt".to_owned(), read::first_id(until))));
        let filter = if between.is_empty() {
            between
        } else {
            doc! { "_id": between }
        };
        uncounted += view.count(RESULTS, filter).await?;
    }
    Ok(uncounted)
}

/// The Results of an hour as they are.
#[derive(Deserialize)]
struct There {
    /// The least of the ids of the hour.
    #[serde(rename = "_id")]
    from: Binary,
    results: i64,
    first_scheduled: DateTime,
    last_scheduled: DateTime,
}

async fn day_as_counted(view: &View, from: i64, until: i64) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    let days = tallies::days(view).await?;
    let hours = tallies::hours(view, from, until).await?;
    let starts: Vec<i64> = (0..).map(|hour| from + hour * HOUR_MS).take_while(|start| *start <= until).collect();
    let boundaries: Vec<Bson> = starts.iter().copied().map(read::first_id).collect();
    let pipeline = vec![
        doc! { "$match": { "_id": { "$gte": read::first_id(from), "$lt": read::first_id(until) } } },
        doc! { "$bucket": { "groupBy": "$_id", "boundaries": boundaries, "output": {
            "results": { "$sum": 1_i64 },
            "first_scheduled": { "$min": "$scheduled_at" },
            "last_scheduled": { "$max": "$scheduled_at" },
        } } },
    ];
    let all: Vec<There> = view.aggregate(RESULTS, pipeline).await?;
    let mut sum = 0;
    for start in starts {
        let there = all.iter().find(|there| Bson::Binary(there.from.clone()) == read::first_id(start));
        let is = there.map_or(Ok(0), |there| read::count(there.results))?;
        sum += is;
        let hour = hours.iter().find(|hour| hour.from == start);
        let counted = hour.map_or(0, |hour| hour.results);
        let is_covered = hour.zip(there).is_none_or(|(hour, there)| {
            hour.first_scheduled <= there.first_scheduled.timestamp_millis()
                && hour.last_scheduled >= there.last_scheduled.timestamp_millis()
        });
        if is != counted {
            found.push(format!("of the hour from {} there are {is} results, {counted} are counted", utc(start)));
        } else if !is_covered {
            found.push(format!("of the hour from {} not all results are found by their time", utc(start)));
        }
    }
    let counted = days.iter().find(|day| day.from == from).map_or(0, |day| day.results);
    if sum != counted {
        found.push(format!("of the day from {} there are {sum} results, {counted} are counted", utc(from)));
    }
    Ok(found)
}

fn utc(millis: i64) -> String {
    read::millis(millis).map_or_else(|_| millis.to_string(), |at| at.to_string())
}

/// All but Results can be read, open runs have no Result, and programs have their bytes.
async fn records(link: &Link) -> Result<Vec<String>, Fault> {
    let view = moment(link).await?;
    let mut found = Vec::new();
    for (what, looked) in [
        ("pairs", ended(&view).await),
        ("definitions", programs(&view).await),
        ("learnt host keys", learnt::host_keys(&view).await.map(nothing)),
        ("uses of keys", learnt::key_uses(&view).await.map(nothing)),
        ("statuses of hosts", standing::hosts(&view).await.map(nothing)),
        ("pause", standing::pause(&view).await.map(nothing)),
        ("instants that are missed", standing::missed_until(&view).await.map(nothing)),
        ("requests", once::all(&view).await.map(nothing)),
        ("notices", actions::notices(&view).await.map(nothing)),
        ("parcels", actions::parcels(&view).await.map(nothing)),
        ("events", actions::events(&view, usize::MAX).await.map(nothing)),
    ] {
        match looked {
            Err(fault) if fault.is_unreadable() => found.push(format!("{what}: {fault}")),
            looked => found.extend(looked?),
        }
    }
    view.end().await;
    Ok(found)
}

fn nothing<T>(_: T) -> Vec<String> {
    Vec::new()
}

/// Open runs that have Results.
async fn ended(view: &View) -> Result<Vec<String>, Fault> {
    let pairs = pairs::all(view).await?;
    let open: Vec<RunId> = pairs.iter().flat_map(|pair| pair.open.iter().map(|open| open.id)).collect();
    let mut ended = HashSet::new();
    for some in open.chunks(BATCH) {
        ended.extend(those_there(view, some).await?);
    }
    let mut found = Vec::new();
    for pair in pairs {
        for open in pair.open.iter().filter(|open| ended.contains(&open.id)) {
            let of = pair.task.as_ref().map_or_else(String::new, |task| format!("{task} on "));
            found.push(format!("run {} of {of}{} is open and has a result", open.id, pair.host));
        }
    }
    Ok(found)
}

/// Programs whose bytes are not what they say.
async fn programs(view: &View) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    for program in definitions::load(view).await?.1.iter().filter(|row| row.noun == Noun::Program) {
        let hash = program.content();
        let bytes = match &hash {
            Some(hash) => definitions::blob(view, hash).await?,
            None => None,
        };
        if bytes.is_none_or(|bytes| Some(ContentHash::of(&bytes)) != hash) {
            found.push(format!("program \"{}\": its file is missing or another one", program.name));
        }
    }
    Ok(found)
}

#[derive(Deserialize)]
struct Id {
    #[serde(rename = "_id")]
    id: Binary,
}

/// Those of these runs that have Results.
async fn those_there(view: &View, runs: &[RunId]) -> Result<HashSet<RunId>, Fault> {
    let ids: Vec<Binary> = runs.iter().copied().map(read::to_uuid).collect();
    let only_ids = FindOptions::builder().projection(doc! { "_id": 1 }).build();
    let rows: Vec<Id> = view.find(RESULTS, doc! { "_id": { "$in": ids } }, only_ids).await?;
    rows.iter().map(|row| read::id(&row.id)).collect()
}

/// The ids of a collection, so many at a time.
struct Walk {
    view: View,
    of: &'static str,
    filter: Document,
    after: Option<Bson>,
}

impl Walk {
    fn new(link: &Link, of: &'static str, filter: Document) -> Self {
        Self { view: View::of(&link.database), of, filter, after: None }
    }

    /// The next ones; none at the end.
    async fn next(&mut self) -> Result<Vec<Bson>, Fault> {
        let mut filter = self.filter.clone();
        filter.extend(self.after.take().map(|after| ("_id".to_owned(), doc! { "$gt": after }.into())));
        let in_order = FindOptions::builder().sort(doc! { "_id": 1 }).projection(doc! { "_id": 1 });
        let few = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let rows: Vec<Document> = self.view.find(self.of, filter, in_order.limit(few).build()).await?;
        let ids: Vec<Bson> = rows.into_iter().filter_map(|mut row| row.remove("_id")).collect();
        self.after = ids.last().cloned();
        Ok(ids)
    }
}

/// Results that say they have written more than is there.
async fn outputs(link: &Link) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    let mut walk = Walk::new(link, RESULTS, doc! { "elsewhere": true });
    loop {
        let ids = walk.next().await?;
        if ids.is_empty() {
            return Ok(found);
        }
        for id in ids.iter().filter_map(run_of) {
            let view = moment(link).await?;
            match results::one(&view, id).await {
                Ok(result) => {
                    let is_whole = |result: &RunResult| {
                        [&result.stdout, &result.stderr].iter().all(|one| one.bytes.len() as u64 == one.kept)
                    };
                    if !result.as_ref().is_none_or(is_whole) {
                        found.push(format!("results: the output of {id} is not all there"));
                    }
                }
                Err(fault) if fault.is_unreadable() => found.push(format!("results: {fault}")),
                Err(fault) => return Err(fault),
            }
            view.end().await;
            if found.len() >= MOST_FAULTS {
                return Ok(found);
            }
        }
    }
}

/// The run that a document is of, by its id.
fn run_of(id: &Bson) -> Option<RunId> {
    match id {
        Bson::Binary(id) => read::id(id).ok(),
        Bson::String(id) => id.split('/').next().and_then(|id| id.parse().ok()),
        _ => None,
    }
}

/// What is kept beside Results that are not there.
async fn strays(link: &Link, of: &'static str, what: &str) -> Result<Vec<String>, Fault> {
    let mut strays = Vec::new();
    let mut walk = Walk::new(link, of, Document::new());
    loop {
        let ids = walk.next().await?;
        if ids.is_empty() {
            break;
        }
        let suspects = without_result(&walk.view, ids).await?;
        if !suspects.is_empty() {
            // Both may have gone in between.
            let view = moment(link).await?;
            let only_ids = FindOptions::builder().projection(doc! { "_id": 1 }).build();
            let rows: Vec<Document> = view.find(of, doc! { "_id": { "$in": suspects } }, only_ids).await?;
            let left = rows.into_iter().filter_map(|mut row| row.remove("_id")).collect();
            // What an open run has written may be there before its Result.
            let open: HashSet<RunId> = match pairs::all(&view).await {
                Ok(pairs) => pairs.iter().flat_map(|pair| pair.open.iter().map(|open| open.id)).collect(),
                Err(fault) if fault.is_unreadable() => HashSet::new(),
                Err(fault) => return Err(fault),
            };
            let left = without_result(&view, left).await?.into_iter();
            strays.extend(left.filter(|id| run_of(id).is_none_or(|run| !open.contains(&run))));
            view.end().await;
        }
    }
    let told = strays.first().map(|first| {
        let first = run_of(first).map_or_else(|| first.to_string(), |run| run.to_string());
        format!("{} {what} belong to results that are not there, the first to {first}", strays.len())
    });
    Ok(told.into_iter().collect())
}

/// Those of these ids whose run has no Result.
async fn without_result(view: &View, ids: Vec<Bson>) -> Result<Vec<Bson>, Fault> {
    let runs: Vec<RunId> = ids.iter().filter_map(run_of).collect();
    let there = those_there(view, &runs).await?;
    Ok(ids.into_iter().filter(|id| run_of(id).is_none_or(|run| !there.contains(&run))).collect())
}
