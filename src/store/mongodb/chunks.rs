//! Bytes of any length, in documents of a few MiB: MongoDB takes none beyond 16 MiB. Each is `NAME/000000` and so on,
//! and has a document even where there are no bytes.

use mongodb::bson::{Binary, Document, doc};
use mongodb::options::FindOptions;
use serde::{Deserialize, Serialize};

use super::changes::{Change, Changes, prefix};
use super::fault::Fault;
use super::read;
use super::view::View;

/// The most bytes of one document.
const MOST: usize = 4 << 20;

#[derive(Serialize, Deserialize)]
struct Chunk {
    #[serde(rename = "_id")]
    id: String,
    bytes: Binary,
}

fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let nothing = bytes.is_empty().then_some(bytes);
    nothing.into_iter().chain(bytes.chunks(MOST))
}

/// Keeps bytes under a name that has none yet.
pub(super) fn insert(changes: &mut Changes, into: &'static str, name: &str, bytes: &[u8]) -> Result<(), Fault> {
    pieces(bytes).enumerate().try_for_each(|(n, piece)| {
        changes.insert(into, &Chunk { id: format!("{name}/{n:06}"), bytes: read::to_bytes(piece) })
    })
}

/// Keeps bytes under a name, unless they are kept.
pub(super) fn add(changes: &mut Changes, into: &'static str, name: &str, bytes: &[u8]) {
    changes.changes.remove(&(into, all_of(name).as_str().into()));
    for (n, piece) in pieces(bytes).enumerate() {
        changes.add(into, format!("{name}/{n:06}").as_str(), doc! { "bytes": read::to_bytes(piece) });
    }
}

/// Forgets the bytes under a name.
pub(super) fn remove(changes: &mut Changes, from: &'static str, name: &str) {
    let all = all_of(name);
    changes.changes.retain(|(of, key), _| {
        !(*of == from && matches!(key, super::changes::Key::Text(text) if text.starts_with(&all)))
    });
    changes.set(from, all.as_str(), Change::RemoveAll);
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
