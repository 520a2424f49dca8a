//! Pages of Results: newest first, over the days from the newest to the oldest.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::fault::Fault;
use super::partition::{self, Partition};
use super::results::{self, Output};
use super::{names, read};
use crate::model::{Outcome, ResultPage, ResultQuery, State, Trigger};

/// Conditions joined by AND, with what stands for their question marks.
#[derive(Debug, Clone, Default)]
struct Conditions {
    terms: Vec<&'static str>,
    values: Vec<Value>,
}

impl Conditions {
    fn add(&mut self, term: &'static str, value: impl Into<Value>) {
        self.terms.push(term);
        self.values.push(value.into());
    }

    fn sql(&self) -> String {
        if self.terms.is_empty() { "1".to_owned() } else { self.terms.join(" AND ") }
    }
}

/// One page, and how many Results match in all. Must run within a transaction, so that page and count go together.
pub(super) fn page(connection: &Connection, query: &ResultQuery) -> Result<ResultPage, Fault> {
    let Some(everywhere) = everywhere(connection, query)? else { return Ok(ResultPage::default()) };
    let mut found = ResultPage::default();
    for day in partition::all(connection)? {
        let Some(conditions) = within(&everywhere, query, &day) else { continue };
        let table = partition::table(day.day)?;
        found.total += count(connection, &table, &day, &conditions)?;
        // One more than asked for tells whether there is a next page.
        let wanted = query.limit.saturating_add(1).saturating_sub(found.items.len());
        if query.limit > 0 && wanted > 0 {
            rows(connection, &table, &day, conditions, query, wanted, &mut found)?;
        }
    }
    if found.items.len() > query.limit {
        found.items.truncate(query.limit);
        found.next = found.items.last().map(|last| last.id);
    }
    Ok(found)
}

/// The conditions that are the same for every day; none if a name in them has never been used, so that nothing matches.
fn everywhere(connection: &Connection, query: &ResultQuery) -> Result<Option<Conditions>, Fault> {
    let mut conditions = Conditions::default();
    for (term, name) in [("host = ?", &query.host), ("task = ?", &query.task)] {
        if let Some(name) = name {
            let Some(id) = names::find(connection, name.as_str())? else { return Ok(None) };
            conditions.add(term, id);
        }
    }
    if let Some(among) = &query.among {
        let names = read::to_json("names of hosts", among)?;
        conditions.add("host IN (SELECT id FROM names WHERE name IN (SELECT value FROM json_each(?)))", names);
    }
    // What a partial index is about must be said again in its own words for SQLite to use it.
    if let Some(outcome) = query.outcome {
        let term = if outcome == Outcome::Ok { "outcome = ?" } else { "outcome = ? AND outcome <> 'OK'" };
        conditions.add(term, outcome.to_string());
    }
    if let Some(state) = query.state {
        let term = if state == State::Ok { "state = ?" } else { "state = ? AND state <> 'OK'" };
        conditions.add(term, state.to_string());
    }
    if let Some(reason) = query.reason {
        conditions.add("reason = ?", reason.to_string());
    }
    if let Some(group) = query.group {
        conditions.add("run_group = ?", group.as_bytes().to_vec());
    }
    if let Some(trigger) = query.trigger {
        let term = if trigger == Trigger::Schedule { "trigger = ?" } else { "trigger = ? AND trigger <> 'schedule'" };
        conditions.add(term, trigger.to_string());
    }
    Ok(Some(conditions))
}

/// The conditions for one day: without those on `scheduled_at` that hold for all of it; none if they hold for nothing
/// of it.
fn within(everywhere: &Conditions, query: &ResultQuery, day: &Partition) -> Option<Conditions> {
    let mut conditions = everywhere.clone();
    if let Some(since) = query.since.map(|at| at.millis()) {
        if day.last_scheduled < since {
            return None;
        }
        if day.first_scheduled < since {
            conditions.add("scheduled_at >= ?", since);
        }
    }
    if let Some(until) = query.until.map(|at| at.millis()) {
        if day.first_scheduled >= until {
            return None;
        }
        if day.last_scheduled >= until {
            conditions.add("scheduled_at < ?", until);
        }
    }
    Some(conditions)
}

fn count(connection: &Connection, table: &str, day: &Partition, conditions: &Conditions) -> Result<u64, Fault> {
    if conditions.terms.is_empty() {
        return Ok(day.results);
    }
    let sql = format!("SELECT count(*) FROM {table} WHERE {}", conditions.sql());
    read::count(connection.prepare(&sql)?.query_row(params_from_iter(&conditions.values), |row| row.get(0))?)
}

fn rows(
    connection: &Connection,
    table: &str,
    day: &Partition,
    mut conditions: Conditions,
    query: &ResultQuery,
    wanted: usize,
    found: &mut ResultPage,
) -> Result<(), Fault> {
    if let Some(before) = query.before {
        let last = partition::day_of(before);
        if day.day > last {
            return Ok(());
        }
        if day.day == last {
            conditions.add("key <= ?", partition::last_key(partition::first_key(before)));
            conditions.add("id < ?", before.as_bytes().to_vec());
        }
    }
    let sql = rows_sql(table, &conditions, wanted);
    let mut select = connection.prepare(&sql)?;
    let rows =
        select.query_and_then(params_from_iter(&conditions.values), |row| results::result(row, Output::Counted))?;
    for row in rows {
        found.items.push(row?);
    }
    Ok(())
}

/// The inner query can often be answered by an index alone, and sorts integers rather than rows.
fn rows_sql(table: &str, conditions: &Conditions, wanted: usize) -> String {
    format!(
        "SELECT {} FROM {table} r WHERE r.key IN (SELECT key FROM {table} WHERE {} ORDER BY key DESC LIMIT {wanted})
         ORDER BY r.key DESC",
        results::columns(Output::Counted),
        conditions.sql(),
    )
}

/// How SQLite would answer a query, for each day.
#[cfg(test)]
pub(super) fn plan(connection: &Connection, query: &ResultQuery) -> Result<Vec<String>, Fault> {
    let Some(conditions) = everywhere(connection, query)? else { return Ok(Vec::new()) };
    let mut plan = Vec::new();
    for day in partition::all(connection)? {
        let sql = format!("EXPLAIN QUERY PLAN {}", rows_sql(&partition::table(day.day)?, &conditions, 100));
        let mut explain = connection.prepare(&sql)?;
        let steps = explain.query_and_then(params_from_iter(&conditions.values), |row| row.get::<_, String>(3))?;
        for step in steps {
            plan.push(step?);
        }
    }
    Ok(plan)
}
