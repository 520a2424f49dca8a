//! The audit: entries are added, and read newest first; nothing changes or removes one.

use rusqlite::types::Value;
use rusqlite::{Connection, named_params, params_from_iter};

use super::fault::Fault;
use super::read;
use crate::model::{AuditEntry, AuditPage, AuditQuery, Name, RunId};

/// Adds an entry; one that is there already stays. Must run within a transaction.
pub(super) fn add(connection: &Connection, entry: &AuditEntry) -> Result<(), Fault> {
    let mut add = connection.prepare_cached(
        "INSERT OR IGNORE INTO audit (id, at, by, verb, noun, name, entry)
         VALUES (:id, :at, :by, :verb, :noun, :name, :entry)",
    )?;
    add.execute(named_params! {
        ":id": entry.id.as_bytes(),
        ":at": entry.at.millis(),
        ":by": entry.by.as_ref().map(Name::as_str),
        ":verb": entry.verb.to_string(),
        ":noun": entry.noun.map(crate::model::Noun::singular),
        ":name": entry.name.as_ref().map(Name::as_str),
        ":entry": read::to_json("an audit entry", entry)?,
    })?;
    Ok(())
}

/// One page, and how many match in all. Must run within a transaction, so that page and count go together.
pub(super) fn page(connection: &Connection, query: &AuditQuery) -> Result<AuditPage, Fault> {
    let conditions = [
        ("by = ?", query.by.as_ref().map(|by| Value::from(by.to_string()))),
        ("noun = ?", query.noun.map(|noun| Value::from(noun.singular().to_owned()))),
        ("name = ?", query.name.as_ref().map(|name| Value::from(name.to_string()))),
        ("verb = ?", query.verb.map(|verb| Value::from(verb.to_string()))),
        ("at >= ?", query.since.map(|since| Value::from(since.millis()))),
        ("at < ?", query.until.map(|until| Value::from(until.millis()))),
    ];
    let (mut terms, mut values): (Vec<_>, Vec<_>) =
        conditions.into_iter().filter_map(|(term, value)| Some((term, value?))).unzip();
    let total = {
        let mut count = connection.prepare(&format!("SELECT count(*) FROM audit {}", filter(&terms)))?;
        read::count(count.query_row(params_from_iter(&values), |row| row.get(0))?)?
    };
    if let Some(before) = query.before {
        terms.push("id < ?");
        values.push(Value::from(before.as_bytes().to_vec()));
    }
    // One more than asked for tells whether there is a next page.
    values.push(Value::from(read::to_count(query.limit as u64 + 1)));
    let sql = format!("SELECT entry FROM audit {} ORDER BY id DESC LIMIT ?", filter(&terms));
    let mut select = connection.prepare(&sql)?;
    let rows = select.query_and_then(params_from_iter(&values), |row| {
        read::json("an audit entry", row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)
    })?;
    let mut items: Vec<AuditEntry> = rows.collect::<Result<_, Fault>>()?;
    let more = items.len() > query.limit;
    items.truncate(query.limit);
    let next: Option<RunId> = items.last().map(|last| last.id).filter(|_| more);
    Ok(AuditPage { items, next, total })
}

fn filter(terms: &[&str]) -> String {
    if terms.is_empty() { String::new() } else { format!("WHERE {}", terms.join(" AND ")) }
}
