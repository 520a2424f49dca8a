//! The audit: entries are added, and read newest first; nothing changes or removes one.

use mongodb::bson::{Document, doc};

use super::changes::Changes;
use super::fault::Fault;
use super::pages::{self, JSON};
use super::read;
use super::schema::AUDIT;
use super::view::View;
use crate::model::{AuditEntry, AuditPage, AuditQuery, Name, Noun};

/// Adds an entry; one that is there already stays.
pub(super) fn add(changes: &mut Changes, entry: &AuditEntry) -> Result<(), Fault> {
    let mut document = doc! {
        "at": read::to_date(entry.at),
        "verb": entry.verb.to_string(),
        JSON: read::to_json("an audit entry", entry)?,
    };
    let others = [
        ("by", entry.by.as_ref().map(Name::as_str)),
        ("noun", entry.noun.map(Noun::singular)),
        ("name", entry.name.as_ref().map(Name::as_str)),
    ];
    document.extend(others.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?.into()))));
    changes.add(AUDIT, entry.id, document);
    Ok(())
}

/// One page, and how many match in all.
pub(super) async fn page(view: &View, query: &AuditQuery) -> Result<AuditPage, Fault> {
    let mut filter = Document::new();
    let texts = [
        ("by", query.by.as_ref().map(Name::to_string)),
        ("noun", query.noun.map(|noun| noun.singular().to_owned())),
        ("name", query.name.as_ref().map(Name::to_string)),
        ("verb", query.verb.map(|verb| verb.to_string())),
    ];
    filter.extend(texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?.into()))));
    filter.extend(read::within("at", query.since, query.until));
    let page = pages::page(view, AUDIT, filter, query.before, query.limit).await?;
    let next = page.items.last().map(|last: &AuditEntry| last.id).filter(|_| page.more);
    Ok(AuditPage { items: page.items, next, total: page.total })
}
