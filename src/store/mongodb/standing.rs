//! How hosts stand, and whether all firing is stopped.

use mongodb::Database;
use mongodb::bson::doc;
use serde::Deserialize;

use super::changes::{Change, Changes};
use super::fault::Fault;
use super::read;
use super::schema::{HOSTS, SWITCHES, each};
use crate::model::{HostRecord, Name, Pause};

/// The switch that stops all firing.
const PAUSE: &str = "pause";

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "_id")]
    name: Name,
    value: String,
}

/// Keeps how a host stands.
pub(super) fn set_host(changes: &mut Changes, host: &Name, record: &HostRecord) -> Result<(), Fault> {
    let value = read::to_json("the status of a host", record)?;
    changes.set(HOSTS, host.as_str(), Change::Put(doc! { "value": value }));
    Ok(())
}

/// Forgets how a host stands.
pub(super) fn forget_host(changes: &mut Changes, host: &Name) {
    changes.set(HOSTS, host.as_str(), Change::Remove);
}

/// How all hosts stand.
pub(super) async fn hosts(database: &Database) -> Result<Vec<(Name, HostRecord)>, Fault> {
    each(database, HOSTS, |row: Row| Ok((row.name, read::json("the status of a host", &row.value)?))).await
}

/// All firing is stopped, or goes on.
pub(super) fn set_pause(changes: &mut Changes, pause: Option<&Pause>) -> Result<(), Fault> {
    let change = match pause {
        Some(pause) => Change::Put(doc! { "value": read::to_json("a pause", pause)? }),
        None => Change::Remove,
    };
    changes.set(SWITCHES, PAUSE, change);
    Ok(())
}

/// Whether all firing is stopped.
pub(super) async fn pause(database: &Database) -> Result<Option<Pause>, Fault> {
    let found = database.collection::<Row>(SWITCHES).find_one(doc! { "_id": PAUSE }).await?;
    found.map(|row| read::json("a pause", &row.value)).transpose()
}
