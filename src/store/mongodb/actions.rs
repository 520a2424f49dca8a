//! What Actions need kept: events that are due to be looked at, notices, notifications, parcels, traces.

use mongodb::bson::{Document, doc};
use mongodb::options::FindOptions;
use serde::de::DeserializeOwned;

use super::changes::{Change, Changes};
use super::fault::Fault;
use super::pages::{self, JSON};
use super::read;
use super::schema::{EVENTS_DUE, NOTICES, NOTIFICATIONS, PARCELS, TRACES, each};
use super::view::View;
use crate::model::{
    Evaluated, Event, Name, Notice, NoticeKey, Notification, NotificationPage, NotificationQuery, Parcel, RunId, Trace,
};
use crate::store::Traced;

/// Keeps an event until it is evaluated.
pub(super) fn due(changes: &mut Changes, event: &Event) -> Result<(), Fault> {
    changes.add(EVENTS_DUE, event.id, doc! { JSON: read::to_json("an event", event)? });
    Ok(())
}

/// Keeps what evaluating came to.
pub(super) fn evaluated(changes: &mut Changes, evaluated: &Evaluated) -> Result<(), Fault> {
    if let Some(event) = evaluated.event {
        changes.set(EVENTS_DUE, event, Change::Remove);
    }
    if let Some(trace) = &evaluated.trace {
        changes.set(TRACES, trace.result, Change::Put(doc! { JSON: read::to_json("a trace", trace)? }));
    }
    for (key, notice) in &evaluated.notices {
        let change = match notice {
            Some(notice) => Change::Put(doc! {
                "key": read::to_json("the key of a notice", key)?,
                JSON: read::to_json("a notice", notice)?,
            }),
            None => Change::Remove,
        };
        changes.set(NOTICES, id(key).as_str(), change);
    }
    for notification in &evaluated.notifications {
        changes.set(NOTIFICATIONS, notification.id, Change::Put(document(notification)?));
    }
    for parcel in &evaluated.parcels {
        changes.set(PARCELS, parcel.id, Change::Put(doc! { JSON: read::to_json("a parcel", parcel)? }));
    }
    evaluated.delivered.iter().for_each(|parcel| delivered(changes, *parcel));
    Ok(())
}

/// A parcel is done with.
pub(super) fn delivered(changes: &mut Changes, parcel: RunId) {
    changes.set(PARCELS, parcel, Change::Remove);
}

/// What Actions came to for a Result is forgotten.
pub(super) fn forget_trace(changes: &mut Changes, result: RunId) {
    changes.set(TRACES, result, Change::Remove);
}

/// Forgets a notification, which must be there.
pub(super) fn forget_notification(changes: &mut Changes, id: RunId) {
    changes.set(NOTIFICATIONS, id, Change::RemoveIf(Document::new()));
}

/// No name holds a slash.
fn id(key: &NoticeKey) -> String {
    let text = |name: &Option<Name>| name.as_ref().map(Name::to_string).unwrap_or_default();
    format!("{}/{}/{}/{}", key.action, key.host, text(&key.task), text(&key.contact))
}

fn document(notification: &Notification) -> Result<Document, Fault> {
    let mut document = doc! {
        "at": read::to_date(notification.at),
        "action": notification.action.as_str(),
        "host": notification.host.as_str(),
        "outcome": notification.outcome.to_string(),
        "type": notification.kind.to_string(),
        JSON: read::to_json("a notification", notification)?,
    };
    let others = [
        ("contact", notification.contact.as_ref().map(Name::to_string)),
        ("task", notification.task.as_ref().map(Name::to_string)),
        ("state", notification.state.map(|state| state.to_string())),
    ];
    document.extend(others.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?.into()))));
    Ok(document)
}

/// One page of notifications, and how many match in all.
pub(super) async fn page(view: &View, query: &NotificationQuery) -> Result<NotificationPage, Fault> {
    let Some(mut filter) = read::of_hosts(query.host.as_ref(), query.among.as_deref()) else {
        return Ok(NotificationPage::default());
    };
    let texts = [
        ("contact", query.contact.as_ref().map(Name::to_string)),
        ("action", query.action.as_ref().map(Name::to_string)),
        ("task", query.task.as_ref().map(Name::to_string)),
        ("outcome", query.outcome.map(|outcome| outcome.to_string())),
        ("type", query.kind.map(|kind| kind.to_string())),
        ("state", query.state.map(|state| state.to_string())),
    ];
    filter.extend(texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?.into()))));
    filter.extend(read::within("at", query.since, query.until));
    let page = pages::page(view, NOTIFICATIONS, filter, query.before, query.limit).await?;
    let next = page.items.last().map(|last: &Notification| last.id).filter(|_| page.more);
    Ok(NotificationPage { items: page.items, next, total: page.total })
}

/// What every Action came to for a Result, and the notifications that it names; those that are gone are left out.
pub(super) async fn trace(view: &View, result: RunId) -> Result<Option<Traced>, Fault> {
    let found = view.find_one(TRACES, doc! { "_id": read::to_uuid(result) }).await?;
    let Some(trace) = found.map(|row| pages::of_json::<Trace>(TRACES, &row)).transpose()? else { return Ok(None) };
    let mut named = Vec::new();
    for id in trace.notifications() {
        let one = doc! { "_id": read::to_uuid(id) };
        let found = view.find_one(NOTIFICATIONS, one).await?;
        named.extend(found.map(|row| pages::of_json(NOTIFICATIONS, &row)).transpose()?);
    }
    Ok(Some((trace, named)))
}

/// So many events that are due, the oldest first.
pub(super) async fn events(view: &View, limit: usize) -> Result<Vec<Event>, Fault> {
    // None at all would be all of them.
    if limit == 0 { Ok(Vec::new()) } else { oldest_first(view, EVENTS_DUE, limit).await }
}

/// All parcels, the oldest first.
pub(super) async fn parcels(view: &View) -> Result<Vec<Parcel>, Fault> {
    oldest_first(view, PARCELS, 0).await
}

async fn oldest_first<T: DeserializeOwned>(view: &View, of: &str, limit: usize) -> Result<Vec<T>, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let oldest_first = FindOptions::builder().sort(doc! { "_id": 1 }).limit(limit).build();
    let rows: Vec<Document> = view.find(of, doc! {}, oldest_first).await?;
    rows.iter().map(|row| pages::of_json(of, row)).collect()
}

/// All notices.
pub(super) async fn notices(view: &View) -> Result<Vec<(NoticeKey, Notice)>, Fault> {
    let read = |row: Document| {
        let key = read::json("the key of a notice", row.get_str("key").unwrap_or_default())?;
        Ok((key, pages::of_json(NOTICES, &row)?))
    };
    each(view, NOTICES, read).await
}
