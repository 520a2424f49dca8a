//! The collections, their indexes, and the version of it all.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::future::try_join_all;
use mongodb::bson::{Document, doc};
use mongodb::error::ErrorKind;
use mongodb::options::{FindOptions, IndexOptions};
use mongodb::{Database, IndexModel};

use super::fault::Fault;
use super::view::{Readable, View};

/// The newest version this Alf knows.
pub(super) const NEWEST: u32 = 1;

/// Whose database it is, with which schema; and what is written to see whether writes go through.
pub(super) const META: &str = "meta";
/// The catalog's revision: one document.
pub(super) const CATALOG: &str = "catalog";
/// A document a definition, `NOUN/NAME`.
pub(super) const DEFINITIONS: &str = "definitions";
/// The bytes of programs, by their SHA-256, in chunks.
pub(super) const BLOBS: &str = "blobs";
/// A document a (host, task), `HOST/TASK`.
pub(super) const PAIRS: &str = "pairs";
/// A document a Result, by its id, which sorts by time.
pub(super) const RESULTS: &str = "results";
/// What runs have written where that is too much for the Result's own document, in chunks.
pub(super) const OUTPUTS: &str = "outputs";
/// How many Results there are of each day and hour.
pub(super) const TALLIES: &str = "tallies";
/// How hosts stand.
pub(super) const HOSTS: &str = "hosts";
/// What holds for all hosts.
pub(super) const SWITCHES: &str = "switches";
/// The keys learnt from hosts.
pub(super) const HOST_KEYS: &str = "host_keys";
/// When each key of the API was last shown.
pub(super) const KEY_USES: &str = "key_uses";
/// The audit.
pub(super) const AUDIT: &str = "audit";
/// Which node has which bucket of hosts.
pub(super) const LEASES: &str = "leases";
/// Requests that are done once.
pub(super) const REQUESTS: &str = "requests";
/// Events that are not evaluated yet.
pub(super) const EVENTS_DUE: &str = "events_due";
/// What Actions have told and owe, `ACTION/HOST/TASK/CONTACT`.
pub(super) const NOTICES: &str = "notices";
/// Notifications, by their ids, which sort by time.
pub(super) const NOTIFICATIONS: &str = "notifications";
/// What is still to be sent.
pub(super) const PARCELS: &str = "parcels";
/// What Actions came to, by the id of the Result.
pub(super) const TRACES: &str = "traces";

pub(super) const COLLECTIONS: [&str; 20] = [
    META,
    CATALOG,
    DEFINITIONS,
    BLOBS,
    PAIRS,
    RESULTS,
    OUTPUTS,
    TALLIES,
    HOSTS,
    SWITCHES,
    HOST_KEYS,
    KEY_USES,
    AUDIT,
    REQUESTS,
    EVENTS_DUE,
    NOTICES,
    NOTIFICATIONS,
    PARCELS,
    TRACES,
    LEASES,
];

/// The document of `META` that tells that the database is not whole.
const HALF: &str = "half";

/// In place of what is said of an existing collection.
const NAMESPACE_EXISTS: i32 = 48;
/// An index with the same keys is there, and is otherwise another one.
const INDEX_OPTIONS_CONFLICT: i32 = 85;

/// The server's own removing of requests that no Alf forgets. Alf forgets them after a day, by its own clock.
const REQUESTS_GO: Duration = Duration::from_secs(26 * 3600);

/// An index, and which documents are in it if not all: those that are rare and looked for. A condition must be such that
/// MongoDB sees of a query that it keeps within it.
fn index(keys: Document, only: Option<Document>) -> IndexModel {
    let options = IndexOptions::builder().partial_filter_expression(only).build();
    IndexModel::builder().keys(keys).options(options).build()
}

/// The indexes of the collections that have any. The id at the end of most gives documents in the order of time.
fn indexes() -> [(&'static str, Vec<IndexModel>); 4] {
    let results = vec![
        index(doc! { "host": 1, "_id": 1 }, None),
        index(doc! { "host": 1, "task": 1, "_id": 1 }, None),
        index(doc! { "outcome": 1, "_id": 1 }, Some(doc! { "outcome": { "$gt": "OK" } })),
        index(doc! { "state": 1, "_id": 1 }, Some(doc! { "state": { "$gt": 0 } })),
        index(doc! { "reason": 1, "_id": 1 }, Some(doc! { "reason": { "$exists": true } })),
        // All others come before it in the alphabet.
        index(doc! { "trigger": 1, "_id": 1 }, Some(doc! { "trigger": { "$lt": "schedule" } })),
        index(doc! { "group": 1, "_id": 1 }, Some(doc! { "group": { "$exists": true } })),
    ];
    let notifications = vec![
        index(doc! { "host": 1, "_id": 1 }, None),
        index(doc! { "contact": 1, "_id": 1 }, Some(doc! { "contact": { "$exists": true } })),
    ];
    let audit = vec![index(doc! { "name": 1, "_id": 1 }, Some(doc! { "name": { "$exists": true } }))];
    let goes = IndexOptions::builder().expire_after(REQUESTS_GO).build();
    let requests = vec![IndexModel::builder().keys(doc! { "at": 1 }).options(goes).build()];
    [(RESULTS, results), (NOTIFICATIONS, notifications), (AUDIT, audit), (REQUESTS, requests)]
}

/// Sees whose database it is; the collections that are there, or none if it is not Alf's yet and could be.
pub(super) async fn look(database: &Database) -> Result<Option<Vec<String>>, Fault> {
    let hello = database.run_command(doc! { "hello": 1 }).await?;
    let has_transactions = hello.contains_key("setName") || matches!(hello.get_str("msg"), Ok("isdbgrid"));
    if !has_transactions {
        return Err(Fault::Standalone);
    }
    let there: Vec<String> = database.list_collection_names().await?;
    let found = database.collection::<Document>(META).find_one(doc! { "_id": "schema" }).await?;
    match found.as_ref().map(|found| (found.get_str("application"), version(found))) {
        Some((Ok("alf"), Some(version))) if version > NEWEST => Err(Fault::Newer(version)),
        Some((Ok("alf"), Some(_))) => Ok(Some(there)),
        Some(_) => Err(Fault::Foreign),
        None if there.iter().any(|name| !name.starts_with("system.")) => Err(Fault::Foreign),
        None => Ok(None),
    }
}

/// Sees whose database it is, and makes what is missing. Safe to do by several at once, and again after it broke off.
pub(super) async fn prepare(database: &Database) -> Result<(), Fault> {
    let there = look(database).await?;
    if there.is_none() {
        // First of all, so that what breaks off here is known for ours.
        add(database, META, doc! { "_id": "schema", "application": "alf", "version": NEWEST }).await?;
    }
    let there = there.unwrap_or_default();
    let missing = COLLECTIONS.into_iter().filter(|collection| there.iter().all(|name| name != collection));
    try_join_all(missing.map(|collection| make(database, collection))).await?;
    try_join_all(indexes().map(|(collection, indexes)| make_indexes(database, collection, indexes))).await?;
    add(database, CATALOG, doc! { "_id": "catalog", "revision": 0_i64 }).await
}

/// Indexes of a collection that are there afterwards.
async fn make_indexes(database: &Database, collection: &str, indexes: Vec<IndexModel>) -> Result<(), Fault> {
    let collection = database.collection::<Document>(collection);
    let made = collection.create_indexes(indexes.clone()).await.map_err(Fault::from);
    if !matches!(&made, Err(fault) if fault.is_code(INDEX_OPTIONS_CONFLICT)) {
        return made.map(drop);
    }
    // An earlier Alf made one of them otherwise.
    let there: Vec<IndexModel> = collection.list_indexes().await?.try_collect().await?;
    let differs = |there: &&IndexModel| {
        indexes.iter().any(|index| index.keys == there.keys)
            && indexes.iter().all(|index| essence(index) != essence(there))
    };
    for other in there.iter().filter(differs) {
        if let Some(name) = other.options.as_ref().and_then(|options| options.name.clone()) {
            collection.drop_index(name).await?;
        }
    }
    collection.create_indexes(indexes).await?;
    Ok(())
}

/// What of it all is not there, or is another one, a line each.
pub(super) async fn missing(database: &Database) -> Result<Vec<String>, Fault> {
    let there = look(database).await?.unwrap_or_default();
    let mut missing = Vec::new();
    for collection in COLLECTIONS {
        if there.iter().all(|name| name != collection) {
            missing.push(format!("the collection {collection} is missing"));
            continue;
        }
        let found: Vec<IndexModel> =
            database.collection::<Document>(collection).list_indexes().await?.try_collect().await?;
        let of_collection = indexes().into_iter().find(|(of, _)| *of == collection);
        for index in of_collection.map(|(_, indexes)| indexes).unwrap_or_default() {
            if found.iter().all(|found| essence(found) != essence(&index)) {
                missing.push(format!(
                    "{collection}: the index {} is missing or another one; a start of the service makes it",
                    index.keys
                ));
            }
        }
    }
    Ok(missing)
}

/// What makes an index the one it is.
fn essence(index: &IndexModel) -> (Vec<&String>, Option<&Document>, Option<Duration>) {
    let options = index.options.as_ref();
    let only = options.and_then(|options| options.partial_filter_expression.as_ref());
    (index.keys.keys().collect(), only, options.and_then(|options| options.expire_after))
}

/// By what it is being filled, or was when that was cut off: nobody is to use it before it is whole.
pub(super) async fn half(database: &Database) -> Result<Option<String>, Fault> {
    let found = database.collection::<Document>(META).find_one(doc! { "_id": HALF }).await?;
    Ok(found.map(|found| found.get_str("by").unwrap_or("migrate").to_owned()))
}

/// From now on it is not whole.
pub(super) async fn begin(database: &Database, by: &str) -> Result<(), Fault> {
    add(database, META, doc! { "_id": HALF, "by": by }).await
}

/// It is whole again.
pub(super) async fn finish(database: &Database) -> Result<(), Fault> {
    database.collection::<Document>(META).delete_one(doc! { "_id": HALF }).await?;
    Ok(())
}

/// Nothing is in it afterwards.
pub(super) async fn clear(database: &Database) -> Result<(), Fault> {
    for collection in COLLECTIONS.into_iter().filter(|collection| *collection != META) {
        database.collection::<Document>(collection).drop().await?;
    }
    prepare(database).await
}

/// The version that it has.
pub(super) async fn version_of(database: &Database) -> Result<u32, Fault> {
    let found = database.collection::<Document>(META).find_one(doc! { "_id": "schema" }).await?;
    found.as_ref().and_then(version).ok_or(Fault::Empty)
}

fn version(schema: &Document) -> Option<u32> {
    schema.get("version").and_then(|version| {
        let version = version.as_i64().or_else(|| version.as_i32().map(i64::from))?;
        Some(u32::try_from(version).unwrap_or(u32::MAX))
    })
}

async fn make(database: &Database, collection: &str) -> Result<(), Fault> {
    match database.create_collection(collection).await {
        Err(error) if !matches!(&*error.kind, ErrorKind::Command(error) if error.code == NAMESPACE_EXISTS) => {
            Err(error.into())
        }
        _ => Ok(()),
    }
}

/// A document that is there afterwards; one that is there stays as it is.
async fn add(database: &Database, to: &str, mut document: Document) -> Result<(), Fault> {
    let id = document.remove("_id").unwrap_or_default();
    let to = database.collection::<Document>(to);
    let add = to.update_one(doc! { "_id": id }, doc! { "$setOnInsert": document });
    match add.upsert(true).await.map_err(Fault::from) {
        // Somebody else has added it at the same time.
        Err(fault) if fault.is_race() => Ok(()),
        added => added.map(drop),
    }
}

/// All documents of a collection.
pub(super) async fn each<T: Readable, V>(
    view: &View,
    collection: &str,
    read: impl Fn(T) -> Result<V, Fault>,
) -> Result<Vec<V>, Fault> {
    view.find(collection, doc! {}, FindOptions::default()).await?.into_iter().map(read).collect()
}

/// Writes something, to see whether writes go through.
pub(super) async fn check(database: &Database) -> Result<(), Fault> {
    let meta = database.collection::<Document>(META);
    meta.update_one(doc! { "_id": "check" }, doc! { "$inc": { "done": 1_i64 } }).upsert(true).await?;
    Ok(())
}
