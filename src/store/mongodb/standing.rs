//! How hosts stand, and whether all firing is stopped.

use mongodb::bson::doc;
use serde::Deserialize;

use super::changes::{Change, Changes};
use super::fault::Fault;
use super::read;
use super::schema::{HOSTS, SWITCHES, each};
use super::view::View;
use crate::model::{HostRecord, Name, Pause, Timestamp};

/// The switch that stops all firing.
const PAUSE: &str = "pause";
/// The instant up to which what was not dealt with is missed.
const MISSED_UNTIL: &str = "missed-until";

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
pub(super) async fn hosts(view: &View) -> Result<Vec<(Name, HostRecord)>, Fault> {
    each(view, HOSTS, |row: Row| Ok((row.name, read::json("the status of a host", &row.value)?))).await
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

/// What was due up to this instant is missed.
pub(super) fn miss_until(changes: &mut Changes, until: Timestamp) -> Result<(), Fault> {
    changes.set(SWITCHES, MISSED_UNTIL, Change::Put(doc! { "value": read::to_json("an instant", &until)? }));
    Ok(())
}

/// Up to when what was due is missed.
pub(super) async fn missed_until(view: &View) -> Result<Option<Timestamp>, Fault> {
    switch(view, MISSED_UNTIL).await?.map(|value| read::json("an instant", &value)).transpose()
}

/// Whether all firing is stopped.
pub(super) async fn pause(view: &View) -> Result<Option<Pause>, Fault> {
    switch(view, PAUSE).await?.map(|value| read::json("a pause", &value)).transpose()
}

async fn switch(view: &View, name: &str) -> Result<Option<String>, Fault> {
    let found = view.find_one::<Row>(SWITCHES, doc! { "_id": name }).await?;
    Ok(found.map(|row| row.value))
}
