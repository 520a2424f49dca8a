//! Bytes of any length, in documents of a few MiB: MongoDB takes none beyond 16 MiB. Each is `NAME/000000` and so on,
//! and has a document even where there are no bytes. They are written ahead of the transaction that gives them a meaning.

use std::collections::BTreeSet;

use mongodb::bson::{Binary, Document, doc};
use mongodb::options::FindOptions;
use serde::Deserialize;

use super::changes::{Change, Changes, prefix};
use super::fault::Fault;
use super::read;
use super::view::View;

/// The most bytes of one document.
const MOST: usize = 4 << 20;

#[derive(Deserialize)]
struct Chunk {
    bytes: Binary,
}

fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let nothing = bytes.is_empty().then_some(bytes);
    nothing.into_iter().chain(bytes.chunks(MOST))
}

/// Keeps bytes under a name, which means these bytes and no others.
pub(super) fn keep(changes: &mut Changes, of: &'static str, name: &str, bytes: &[u8]) {
    changes.changes.remove(&(of, all_of(name).as_str().into()));
    for (n, piece) in pieces(bytes).enumerate() {
        changes.ahead.insert((of, format!("{name}/{n:06}")), doc! { "bytes": read::to_bytes(piece) });
    }
}

/// Forgets the bytes under a name.
pub(super) fn remove(changes: &mut Changes, of: &'static str, name: &str) {
    let all = all_of(name);
    changes.ahead.retain(|(from, id), _| !(*from == of && id.starts_with(&all)));
    changes.set(of, all.as_str(), Change::RemoveAll);
}

/// All names that there are bytes of.
pub(super) async fn names(view: &View, of: &str) -> Result<BTreeSet<String>, Fault> {
    let only_ids = FindOptions::builder().projection(doc! { "_id": 1 }).build();
    let ids = view.find::<Document>(of, doc! {}, only_ids).await?;
    let name = |id: &Document| id.get_str("_id").ok()?.rsplit_once('/').map(|(name, _)| name.to_owned());
    Ok(ids.iter().filter_map(name).collect())
}

fn all_of(name: &str) -> String {
    format!("{name}/")
}

/// The bytes under a name; none if there are none.
pub(super) async fn get(view: &View, of: &str, name: &str) -> Result<Option<Vec<u8>>, Fault> {
    let filter: Document = doc! { "_id": prefix(&all_of(name)) };
    let in_order = FindOptions::builder().sort(doc! { "_id": 1 }).build();
    let mut bytes = None;
    for chunk in view.find::<Chunk>(of, filter, in_order).await? {
        bytes.get_or_insert_with(Vec::new).extend_from_slice(&chunk.bytes.bytes);
    }
    Ok(bytes)
}
