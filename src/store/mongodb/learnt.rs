//! What was learnt: the keys of hosts, and when the API's keys were last shown.

use mongodb::bson::{DateTime, doc};
use serde::Deserialize;

use super::changes::{Change, Changes};
use super::fault::Fault;
use super::read;
use super::schema::{HOST_KEYS, KEY_USES, each};
use super::view::View;
use crate::model::{Name, Timestamp};
use crate::store::HostKeyRecord;

#[derive(Deserialize)]
struct HostKeyRow {
    #[serde(rename = "_id")]
    host: Name,
    address: String,
    port: u16,
    keys: String,
}

#[derive(Deserialize)]
struct KeyUseRow {
    #[serde(rename = "_id")]
    key: Name,
    used_at: DateTime,
}

/// Pins what was learnt of a host.
pub(super) fn pin(changes: &mut Changes, record: &HostKeyRecord) -> Result<(), Fault> {
    let document = doc! {
        "address": &record.address,
        "port": i32::from(record.port),
        "keys": read::to_json("host keys", &record.keys)?,
    };
    changes.set(HOST_KEYS, record.host.as_str(), Change::Put(document));
    Ok(())
}

/// Forgets what was learnt of a host.
pub(super) fn forget_host_key(changes: &mut Changes, host: &Name) {
    changes.set(HOST_KEYS, host.as_str(), Change::Remove);
}

/// All learnt host keys.
pub(super) async fn host_keys(view: &View) -> Result<Vec<HostKeyRecord>, Fault> {
    let read = |row: HostKeyRow| {
        let keys = read::json("host keys", &row.keys)?;
        Ok(HostKeyRecord { host: row.host, address: row.address, port: row.port, keys })
    };
    each(view, HOST_KEYS, read).await
}

/// Notes when a key was last shown; none forgets it.
pub(super) fn note_key_use(changes: &mut Changes, key: &Name, at: Option<Timestamp>) {
    let change = at.map_or(Change::Remove, |at| Change::Put(doc! { "used_at": read::to_date(at) }));
    changes.set(KEY_USES, key.as_str(), change);
}

/// When each key was last shown.
pub(super) async fn key_uses(view: &View) -> Result<Vec<(Name, Timestamp)>, Fault> {
    each(view, KEY_USES, |row: KeyUseRow| Ok((row.key, read::timestamp(row.used_at)?))).await
}
