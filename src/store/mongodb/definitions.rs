//! The definitions and the catalog's revision.

use bytes::Bytes;
use mongodb::bson::{Binary, DateTime, doc};
use mongodb::options::FindOptions;
use serde::Deserialize;

use super::changes::{Change, Changes};
use super::connect::Link;
use super::fault::Fault;
use super::schema::{BLOBS, CATALOG, DEFINITIONS, each};
use super::view::View;
use super::writer::{self, Step};
use super::{audit, chunks, once, read};
use crate::model::{ContentHash, Name, Noun, Reference};
use crate::store::{DefinitionChange, DefinitionRow, Definitions};

#[derive(Deserialize)]
struct Row {
    noun: String,
    name: Name,
    version: i64,
    created_at: DateTime,
    updated_at: DateTime,
    body: String,
    sealed: Option<Binary>,
}

#[derive(Deserialize)]
struct Catalog {
    revision: i64,
}

/// The catalog's revision.
pub(super) async fn revision(view: &View) -> Result<u64, Fault> {
    let found = view.find_one::<Catalog>(CATALOG, doc! { "_id": CATALOG }).await?;
    read::count(found.ok_or_else(|| Fault::Unreadable("the catalog is not there".to_owned()))?.revision)
}

/// Changes definitions if the catalog is at this revision; the new revision.
pub(super) async fn change(link: &Link, at: u64, all: &[DefinitionChange]) -> Result<u64, Fault> {
    let mut attempts = 0;
    loop {
        let current = revision(&View::of(&link.database)).await?;
        if current != at {
            return Err(Fault::Conflict(current));
        }
        let mut changes = Changes::default();
        all.iter().try_for_each(|change| add(&mut changes, change))?;
        let next = doc! { "$set": { "revision": read::to_count(at + 1) } };
        changes.set(CATALOG, CATALOG, Change::AmendIf(doc! { "revision": read::to_count(at) }, next));
        match writer::write(link, vec![Step::Changes(changes)]).await {
            Ok(()) => return Ok(at + 1),
            Err(fault) => writer::stand_back(&mut attempts, fault).await?,
        }
    }
}

fn add(changes: &mut Changes, change: &DefinitionChange) -> Result<(), Fault> {
    match change {
        DefinitionChange::Put(row) => {
            let which = Reference { noun: row.noun, name: row.name.clone() };
            changes.set(DEFINITIONS, key(&which).as_str(), Change::Put(document(row)));
        }
        DefinitionChange::Remove(which) => changes.set(DEFINITIONS, key(which).as_str(), Change::Remove),
        DefinitionChange::PutBlob(blob) => chunks::keep(changes, BLOBS, blob.sha256.as_str(), &blob.bytes),
        DefinitionChange::RemoveBlob(sha256) => chunks::remove(changes, BLOBS, sha256.as_str()),
        DefinitionChange::Audit(entry) => audit::add(changes, entry)?,
        DefinitionChange::Remember(record) => once::remember(changes, record)?,
    }
    Ok(())
}

fn key(which: &Reference) -> String {
    format!("{}/{}", which.noun.singular(), which.name)
}

fn document(row: &DefinitionRow) -> mongodb::bson::Document {
    let mut document = doc! {
        "noun": row.noun.singular(),
        "name": row.name.as_str(),
        "version": read::to_count(row.version),
        "created_at": read::to_date(row.created_at),
        "updated_at": read::to_date(row.updated_at),
        "body": &row.body,
    };
    document.extend(row.sealed.as_ref().map(|sealed| ("sealed".to_owned(), read::to_bytes(sealed).into())));
    document
}

/// The bytes with this hash.
pub(super) async fn blob(view: &View, sha256: &ContentHash) -> Result<Option<Bytes>, Fault> {
    Ok(chunks::get(view, BLOBS, sha256.as_str()).await?.map(Bytes::from))
}

/// Forgets bytes that no program names: they were there ahead of a change that never came.
pub(super) async fn forget_unnamed(link: &Link) -> Result<(), Fault> {
    let view = View::of(&link.database);
    let at = revision(&view).await?;
    let mut unnamed = chunks::names(&view, BLOBS).await?;
    if unnamed.is_empty() {
        return Ok(());
    }
    let programs = doc! { "noun": Noun::Program.singular() };
    for program in view.find::<Row>(DEFINITIONS, programs, FindOptions::default()).await? {
        unnamed.retain(|sha256| !program.body.contains(sha256.as_str()));
    }
    if unnamed.is_empty() {
        return Ok(());
    }
    let mut changes = Changes::default();
    unnamed.iter().for_each(|sha256| chunks::remove(&mut changes, BLOBS, sha256));
    // Whoever is just about to name them looks again, and keeps them anew.
    let next = doc! { "$set": { "revision": read::to_count(at + 1) } };
    changes.set(CATALOG, CATALOG, Change::AmendIf(doc! { "revision": read::to_count(at) }, next));
    match writer::write(link, vec![Step::Changes(changes)]).await {
        Err(fault) if fault.is_race() => Ok(()),
        done => done,
    }
}

/// All definitions, and the revision at which they are.
pub(super) async fn load(view: &View) -> Result<Definitions, Fault> {
    loop {
        let before = revision(view).await?;
        let rows = each(view, DEFINITIONS, definition).await?;
        // Who changes them moves the revision on with them.
        if revision(view).await? == before {
            return Ok((before, rows));
        }
    }
}

/// The same, if the catalog is at another revision.
pub(super) async fn since(view: &View, at: u64) -> Result<Option<Definitions>, Fault> {
    if revision(view).await? == at { Ok(None) } else { load(view).await.map(Some) }
}

fn definition(row: Row) -> Result<DefinitionRow, Fault> {
    Ok(DefinitionRow {
        noun: Noun::parse(&row.noun)
            .ok_or_else(|| Fault::Unreadable(format!("\"{}\" is no kind of definition", row.noun.escape_default())))?,
        name: row.name,
        version: read::count(row.version)?,
        created_at: read::timestamp(row.created_at)?,
        updated_at: read::timestamp(row.updated_at)?,
        body: row.body,
        sealed: row.sealed.map(|sealed| sealed.bytes),
    })
}
