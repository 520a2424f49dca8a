//! Pages of what is kept as JSON under an id, newest first, and how many match in all.

use futures_util::TryStreamExt as _;
use mongodb::Database;
use mongodb::bson::{Document, doc};
use serde::de::DeserializeOwned;

use super::fault::Fault;
use super::{LIMIT, read};
use crate::model::RunId;

/// The field with the JSON.
pub(super) const JSON: &str = "json";

/// A page.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// Whether there is more behind it.
    pub(super) more: bool,
    pub(super) total: u64,
}

/// Those that match, from behind `before` on, at most so many.
pub(super) async fn page<T: DeserializeOwned>(
    database: &Database,
    of: &str,
    mut filter: Document,
    before: Option<RunId>,
    limit: usize,
) -> Result<Page<T>, Fault> {
    let all = database.collection::<Document>(of);
    let total = all.count_documents(filter.clone()).max_time(LIMIT).await?;
    if let Some(before) = before {
        filter.insert("_id", doc! { "$lt": read::to_uuid(before) });
    }
    // One more than asked for tells whether there is a next page.
    let wanted = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let find = all.find(filter).sort(doc! { "_id": -1 }).limit(wanted).projection(doc! { JSON: 1 });
    let mut rows = find.max_time(LIMIT).await?;
    let mut items = Vec::new();
    while let Some(row) = rows.try_next().await? {
        items.push(of_json(of, &row)?);
    }
    let more = items.len() > limit;
    items.truncate(limit);
    Ok(Page { items, more, total })
}

/// What is kept as JSON in a document of this collection.
pub(super) fn of_json<T: DeserializeOwned>(of: &str, row: &Document) -> Result<T, Fault> {
    read::json(of, row.get_str(JSON).unwrap_or_default())
}
