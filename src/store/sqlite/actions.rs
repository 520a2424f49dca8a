//! What Actions need kept: events that are due to be looked at, notices, notifications, parcels, traces.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, named_params, params_from_iter};

use super::fault::Fault;
use super::read;
use crate::model::{
    Evaluated, Event, Name, Notice, NoticeKey, Notification, NotificationPage, NotificationQuery, Parcel, RunId,
    Timestamp, Trace,
};
use crate::store::Traced;

/// Keeps an event until it is evaluated. Must run within a transaction.
pub(super) fn due(connection: &Connection, event: &Event) -> Result<(), Fault> {
    let json = read::to_json("an event", event)?;
    let mut add = connection.prepare_cached("INSERT OR IGNORE INTO events_due (id, event) VALUES (?1, ?2)")?;
    add.execute((event.id.as_bytes(), json))?;
    Ok(())
}

/// Keeps what evaluating came to. Must run within a transaction.
pub(super) fn evaluated(connection: &Connection, evaluated: &Evaluated) -> Result<(), Fault> {
    if let Some(event) = evaluated.event {
        connection.prepare_cached("DELETE FROM events_due WHERE id = ?1")?.execute([event.as_bytes()])?;
    }
    if let Some(trace) = &evaluated.trace {
        let json = read::to_json("a trace", trace)?;
        let mut put = connection.prepare_cached("INSERT OR REPLACE INTO traces (result, trace) VALUES (?1, ?2)")?;
        put.execute((trace.result.as_bytes(), json))?;
    }
    for (key, notice) in &evaluated.notices {
        set_notice(connection, key, notice.as_ref())?;
    }
    for notification in &evaluated.notifications {
        put_notification(connection, notification)?;
    }
    for parcel in &evaluated.parcels {
        let json = read::to_json("a parcel", parcel)?;
        let mut put = connection.prepare_cached("INSERT OR REPLACE INTO parcels (id, parcel) VALUES (?1, ?2)")?;
        put.execute((parcel.id.as_bytes(), json))?;
    }
    evaluated.delivered.iter().try_for_each(|parcel| delivered(connection, *parcel))
}

/// A parcel is done with. Must run within a transaction.
pub(super) fn delivered(connection: &Connection, parcel: RunId) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM parcels WHERE id = ?1")?.execute([parcel.as_bytes()])?;
    Ok(())
}

/// The trace of a Result goes with it. Must run within a transaction.
pub(super) fn forget_trace(connection: &Connection, result: RunId) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM traces WHERE result = ?1")?.execute([result.as_bytes()])?;
    Ok(())
}

/// Forgets so many notifications of before an instant, the oldest first; how many there were.
pub(super) fn forget_notifications(connection: &Connection, before: Timestamp, most: u64) -> Result<u64, Fault> {
    let mut forget = connection.prepare_cached(
        "DELETE FROM notifications WHERE id IN (SELECT id FROM notifications WHERE id < ?1 ORDER BY id LIMIT ?2)",
    )?;
    Ok(forget.execute((RunId::earliest(before).as_bytes(), read::to_count(most)))? as u64)
}

fn set_notice(connection: &Connection, key: &NoticeKey, notice: Option<&Notice>) -> Result<(), Fault> {
    let text = |name: &Option<Name>| name.as_ref().map(Name::to_string).unwrap_or_default();
    let (task, contact) = (text(&key.task), text(&key.contact));
    let key = (key.action.as_str(), key.host.as_str(), task, contact);
    match notice {
        Some(notice) => {
            let json = read::to_json("a notice", notice)?;
            let mut put = connection.prepare_cached(
                "INSERT OR REPLACE INTO notices (action, host, task, contact, notice) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            put.execute((key.0, key.1, key.2, key.3, json))?;
        }
        None => {
            let mut remove = connection
                .prepare_cached("DELETE FROM notices WHERE action = ?1 AND host = ?2 AND task = ?3 AND contact = ?4")?;
            remove.execute(key)?;
        }
    }
    Ok(())
}

fn put_notification(connection: &Connection, notification: &Notification) -> Result<(), Fault> {
    let mut put = connection.prepare_cached(
        "INSERT OR REPLACE INTO notifications (id, at, action, contact, host, notification)
         VALUES (:id, :at, :action, :contact, :host, :notification)",
    )?;
    put.execute(named_params! {
        ":id": notification.id.as_bytes(),
        ":at": notification.at.millis(),
        ":action": notification.action.as_str(),
        ":contact": notification.contact.as_ref().map(Name::as_str),
        ":host": notification.host.as_str(),
        ":notification": read::to_json("a notification", notification)?,
    })?;
    Ok(())
}

/// One page of notifications, and how many match in all. Must run within a transaction.
pub(super) fn page(connection: &Connection, query: &NotificationQuery) -> Result<NotificationPage, Fault> {
    let name = |name: &Option<Name>| name.as_ref().map(|name| Value::from(name.to_string()));
    let among = query.among.as_ref().map(|among| read::to_json("host names", among)).transpose()?.map(Value::from);
    let conditions = [
        ("contact = ?", name(&query.contact)),
        ("action = ?", name(&query.action)),
        ("host = ?", name(&query.host)),
        ("host IN (SELECT value FROM json_each(?))", among),
        ("notification ->> 'task' = ?", name(&query.task)),
        ("notification ->> 'outcome' = ?", query.outcome.map(|outcome| Value::from(outcome.to_string()))),
        ("notification ->> 'type' = ?", query.kind.map(|kind| Value::from(kind.to_string()))),
        ("notification ->> 'state' = ?", query.state.map(|state| Value::from(state.to_string()))),
        ("at >= ?", query.since.map(|since| Value::from(since.millis()))),
        ("at < ?", query.until.map(|until| Value::from(until.millis()))),
    ];
    let (mut terms, mut values): (Vec<_>, Vec<_>) =
        conditions.into_iter().filter_map(|(term, value)| Some((term, value?))).unzip();
    let total = {
        let mut count = connection.prepare(&format!("SELECT count(*) FROM notifications {}", filter(&terms)))?;
        read::count(count.query_row(params_from_iter(&values), |row| row.get(0))?)?
    };
    if let Some(before) = query.before {
        terms.push("id < ?");
        values.push(Value::from(before.as_bytes().to_vec()));
    }
    // One more than asked for tells whether there is a next page.
    values.push(Value::from(read::to_count(query.limit as u64 + 1)));
    let sql = format!("SELECT notification FROM notifications {} ORDER BY id DESC LIMIT ?", filter(&terms));
    let mut select = connection.prepare(&sql)?;
    let rows = select.query_and_then(params_from_iter(&values), |row| {
        read::json("a notification", row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)
    })?;
    let mut items: Vec<Notification> = rows.collect::<Result<_, Fault>>()?;
    let more = items.len() > query.limit;
    items.truncate(query.limit);
    let next: Option<RunId> = items.last().map(|last| last.id).filter(|_| more);
    Ok(NotificationPage { items, next, total })
}

fn filter(terms: &[&str]) -> String {
    if terms.is_empty() { String::new() } else { format!("WHERE {}", terms.join(" AND ")) }
}

/// What every Action came to for a Result, and the notifications that it names; those that are gone are left out.
pub(super) fn trace(connection: &Connection, result: RunId) -> Result<Option<Traced>, Fault> {
    let mut select = connection.prepare_cached("SELECT trace FROM traces WHERE result = ?1")?;
    let json: Option<String> = select.query_row([result.as_bytes()], |row| row.get(0)).optional()?;
    let Some(json) = json else { return Ok(None) };
    let trace: Trace = read::json("a trace", &json)?;
    let mut select = connection.prepare_cached("SELECT notification FROM notifications WHERE id = ?1")?;
    let mut found = Vec::new();
    for id in trace.notifications() {
        let json: Option<String> = select.query_row([id.as_bytes()], |row| row.get(0)).optional()?;
        found.extend(json.map(|json| read::json("a notification", &json)).transpose()?);
    }
    Ok(Some((trace, found)))
}

/// So many events that are due, the oldest first.
pub(super) fn events(connection: &Connection, limit: usize) -> Result<Vec<Event>, Fault> {
    let mut select = connection.prepare("SELECT event FROM events_due ORDER BY id LIMIT ?1")?;
    let rows = select.query_and_then([read::to_count(limit as u64)], |row| {
        read::json("an event", row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)
    })?;
    rows.collect()
}

/// All notices.
pub(super) fn notices(connection: &Connection) -> Result<Vec<(NoticeKey, Notice)>, Fault> {
    let mut select = connection.prepare("SELECT action, host, task, contact, notice FROM notices")?;
    let rows = select.query_and_then([], |row| {
        let text = |column: usize| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
        let or_none = |text: &str| (!text.is_empty()).then(|| read::name(text)).transpose();
        let key = NoticeKey {
            action: read::name(text(0)?)?,
            host: read::name(text(1)?)?,
            task: or_none(text(2)?)?,
            contact: or_none(text(3)?)?,
        };
        Ok((key, read::json("a notice", text(4)?)?))
    })?;
    rows.collect()
}

/// All parcels, the oldest first.
pub(super) fn parcels(connection: &Connection) -> Result<Vec<Parcel>, Fault> {
    let mut select = connection.prepare("SELECT parcel FROM parcels ORDER BY id")?;
    let rows = select
        .query_and_then([], |row| read::json("a parcel", row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?))?;
    rows.collect()
}

/// The tables.
pub(super) const SCHEMA: &str = "
CREATE TABLE events_due (id BLOB PRIMARY KEY, event TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE notices (
    action TEXT NOT NULL,
    host TEXT NOT NULL,
    task TEXT NOT NULL,
    contact TEXT NOT NULL,
    notice TEXT NOT NULL,
    PRIMARY KEY (action, host, task, contact)
) WITHOUT ROWID;
CREATE TABLE notifications (
    id BLOB PRIMARY KEY,
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    contact TEXT,
    host TEXT NOT NULL,
    notification TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX notifications_host ON notifications (host, id);
CREATE INDEX notifications_contact ON notifications (contact, id) WHERE contact IS NOT NULL;
CREATE TABLE parcels (id BLOB PRIMARY KEY, parcel TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE traces (result BLOB PRIMARY KEY, trace TEXT NOT NULL) WITHOUT ROWID;
";
