//! Requests that are done once.

use futures_util::TryStreamExt as _;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::{ClientSession, Database};
use serde::Deserialize;

use super::changes::{Change, Changes};
use super::fault::Fault;
use super::read;
use super::schema::{REQUESTS, each};
use super::view::View;
use crate::model::{ContentHash, Timestamp};
use crate::store::OnceRecord;

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "_id")]
    key: String,
    request: String,
    at: DateTime,
    came_to: String,
}

/// Remembers a request, in place of what was remembered under its key.
pub(super) fn remember(changes: &mut Changes, record: &OnceRecord) -> Result<(), Fault> {
    let document = doc! {
        "request": record.request.as_str(),
        "at": read::to_date(record.at),
        "came_to": read::to_json("what a request came to", &record.came_to)?,
    };
    changes.set(REQUESTS, record.key.as_str(), Change::Put(document));
    Ok(())
}

/// Forgets a request.
pub(super) fn forget(changes: &mut Changes, key: &ContentHash) {
    changes.set(REQUESTS, key.as_str(), Change::Remove);
}

/// Forgets requests of before an instant, and of the others the oldest beyond so many.
pub(super) async fn forget_old(
    database: &Database,
    session: &mut ClientSession,
    before: Timestamp,
    most: u64,
) -> Result<(), Fault> {
    let requests = database.collection::<Document>(REQUESTS);
    requests.delete_many(doc! { "at": { "$lt": read::to_date(before) } }).session(&mut *session).await?;
    let find = requests.find(doc! {}).sort(doc! { "at": -1 }).skip(most).projection(doc! { "_id": 1 });
    let mut beyond = find.session(&mut *session).await?;
    let rows: Vec<Document> = beyond.stream(session).try_collect().await?;
    if !rows.is_empty() {
        let keys: Vec<&str> = rows.iter().filter_map(|row| row.get_str("_id").ok()).collect();
        requests.delete_many(doc! { "_id": { "$in": keys } }).session(session).await?;
    }
    Ok(())
}

/// The request that is remembered under this key.
pub(super) async fn one(view: &View, key: &ContentHash) -> Result<Option<OnceRecord>, Fault> {
    let found = view.find_one(REQUESTS, doc! { "_id": key.as_str() }).await?;
    found.map(record).transpose()
}

/// All requests that are remembered.
pub(super) async fn all(view: &View) -> Result<Vec<OnceRecord>, Fault> {
    each(view, REQUESTS, record).await
}

fn record(row: Row) -> Result<OnceRecord, Fault> {
    let hash = |text: &str| text.parse().map_err(|error| Fault::Unreadable(format!("a request: {error}")));
    Ok(OnceRecord {
        key: hash(&row.key)?,
        request: hash(&row.request)?,
        at: read::timestamp(row.at)?,
        came_to: read::json("what a request came to", &row.came_to)?,
    })
}
