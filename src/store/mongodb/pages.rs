//! Pages of what is kept as JSON under an id, newest first, and how many match in all.

use mongodb::bson::{Document, doc};
use mongodb::options::FindOptions;
use serde::de::DeserializeOwned;

use super::fault::Fault;
use super::view::View;
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
    view: &View,
    of: &str,
    mut filter: Document,
    before: Option<RunId>,
    limit: usize,
) -> Result<Page<T>, Fault> {
    let total = view.count(of, filter.clone()).await?;
    if let Some(before) = before {
        filter.insert("_id", doc! { "$lt": read::to_uuid(before) });
    }
    // One more than asked for tells whether there is a next page.
    let wanted = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let newest_first = FindOptions::builder().sort(doc! { "_id": -1 }).limit(wanted);
    let newest_first = newest_first.projection(doc! { JSON: 1 }).max_time(LIMIT).build();
    let rows: Vec<Document> = view.find(of, filter, newest_first).await?;
    let mut items = rows.iter().map(|row| of_json(of, row)).collect::<Result<Vec<T>, Fault>>()?;
    let more = items.len() > limit;
    items.truncate(limit);
    Ok(Page { items, more, total })
}

/// What is kept as JSON in a document of this collection.
pub(super) fn of_json<T: DeserializeOwned>(of: &str, row: &Document) -> Result<T, Fault> {
    read::json(of, row.get_str(JSON).unwrap_or_default())
}
