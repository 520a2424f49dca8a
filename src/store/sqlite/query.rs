//! Pages of Results: newest first, over the days from the newest to the oldest.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::fault::Fault;
use super::partition::{self, Tally};
use super::results::{self, Output};
use super::{names, read};
use crate::model::{Outcome, ResultPage, ResultQuery, RunResult, State, Trigger};

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

    /// Where nothing but what is common is asked for: what is rare instead. It has an index, and all others match.
    fn all_but(&self) -> Option<&'static str> {
        match self.terms.as_slice() {
            [OK] => Some("outcome <> 'OK'"),
            [BY_SCHEDULE] => Some("trigger <> 'schedule'"),
            _ => None,
        }
    }
}

const OK: &str = "outcome = ?";
const BY_SCHEDULE: &str = "trigger = ?";

/// Results of one day that stand alike to the bounds of a query.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    results: u64,
    /// Whether all of them are within the bounds; else each is to be looked at.
    is_within: bool,
    /// From which row id on, and up to which; none for the whole day.
    keys: Option<(i64, i64)>,
}

/// A query, and the conditions that are the same for every day.
struct Search<'a> {
    connection: &'a Connection,
    query: &'a ResultQuery,
    everywhere: Conditions,
}

/// One page, and how many Results match in all. Must run within a transaction, so that page and count go together.
pub(super) fn page(connection: &Connection, query: &ResultQuery) -> Result<ResultPage, Fault> {
    let Some(everywhere) = everywhere(connection, query)? else { return Ok(ResultPage::default()) };
    let search = Search { connection, query, everywhere };
    let mut found = ResultPage::default();
    for day in partition::all(connection)? {
        let stretches = search.stretches(&day)?;
        let table = partition::table(day.number)?;
        let matching: u64 = stretches.iter().map(|stretch| search.count(&table, stretch)).sum::<Result<_, _>>()?;
        found.total += matching;
        // One more than asked for tells whether there is a next page.
        let wanted = query.limit.saturating_add(1).saturating_sub(found.items.len());
        if query.limit > 0 && wanted > 0 && matching > 0 {
            search.rows(&table, day.number, &stretches, wanted, &mut found.items)?;
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
    // SQLite does not know how many Results an index leaves, and where several fit it would take that of all PROBLEMs
    // before that of one host. A plus keeps it from an index.
    let by_group = query.group.is_some();
    let by_pair = query.host.is_some() && !by_group;
    let term = |of_group, otherwise| if by_group { of_group } else { otherwise };
    let rare = |plain, indexed| if by_group || by_pair { plain } else { indexed };
    for (term, name) in [(term("+host = ?", "host = ?"), &query.host), (term("+task = ?", "task = ?"), &query.task)] {
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
        let term = if outcome == Outcome::Ok { OK } else { rare("+outcome = ?", "outcome = ? AND outcome <> 'OK'") };
        conditions.add(term, outcome.to_string());
    }
    if let Some(state) = query.state {
        let term = if state == State::Ok { "state = ?" } else { rare("+state = ?", "state = ? AND state <> 'OK'") };
        conditions.add(term, state.to_string());
    }
    if let Some(reason) = query.reason {
        conditions.add(rare("+reason = ?", "reason = ?"), reason.to_string());
    }
    if let Some(group) = query.group {
        conditions.add("run_group = ?", group.as_bytes().to_vec());
    }
    if let Some(trigger) = query.trigger {
        let by_schedule = trigger == Trigger::Schedule;
        let indexed = if by_schedule { BY_SCHEDULE } else { "trigger = ? AND trigger <> 'schedule'" };
        conditions.add(rare("+trigger = ?", indexed), trigger.to_string());
    }
    Ok(Some(conditions))
}

impl Search<'_> {
    /// The Results of a day that can be within the query's bounds of `scheduled_at`, oldest first: the day as one, but
    /// where a bound lies within it, hour by hour.
    fn stretches(&self, day: &Tally) -> Result<Vec<Stretch>, Fault> {
        let Some(is_within) = self.place(day.first_scheduled, day.last_scheduled) else { return Ok(Vec::new()) };
        if is_within {
            return Ok(vec![Stretch { results: day.results, is_within, keys: None }]);
        }
        let mut stretches: Vec<Stretch> = Vec::new();
        for hour in partition::hours(self.connection, day.number)? {
            let Some(is_within) = self.place(hour.first_scheduled, hour.last_scheduled) else { continue };
            let [first, end] = [hour.number, hour.number + 1].map(partition::first_key_of_hour);
            match stretches.last_mut() {
                Some(Stretch { results, is_within: same, keys: Some((_, last)) })
                    if *same == is_within && *last == first =>
                {
                    *results += hour.results;
                    *last = end;
                }
                _ => stretches.push(Stretch { results: hour.results, is_within, keys: Some((first, end)) }),
            }
        }
        Ok(stretches)
    }

    /// How Results that were scheduled from a first to a last instant stand to the query's bounds: whether all of them
    /// are within, or none if none is.
    fn place(&self, first_scheduled: i64, last_scheduled: i64) -> Option<bool> {
        let since = self.query.since.map_or(i64::MIN, |at| at.millis());
        let until = self.query.until.map_or(i64::MAX, |at| at.millis());
        (last_scheduled >= since && first_scheduled < until)
            .then_some(first_scheduled >= since && last_scheduled < until)
    }

    /// The conditions for Results with these row ids, if not for all of a day, and on `scheduled_at` unless all of them
    /// are within the bounds.
    fn conditions(&self, keys: Option<(i64, i64)>, is_within: bool) -> Conditions {
        let mut conditions = self.everywhere.clone();
        if let Some((first, end)) = keys {
            conditions.add("key >= ?", first);
            conditions.add("key < ?", end);
        }
        if let Some(since) = self.query.since.filter(|_| !is_within) {
            conditions.add("scheduled_at >= ?", since.millis());
        }
        if let Some(until) = self.query.until.filter(|_| !is_within) {
            conditions.add("scheduled_at < ?", until.millis());
        }
        conditions
    }

    fn count(&self, table: &str, stretch: &Stretch) -> Result<u64, Fault> {
        let count = |conditions: &Conditions| -> Result<u64, Fault> {
            let sql = format!("SELECT count(*) FROM {table} WHERE {}", conditions.sql());
            let mut count = self.connection.prepare(&sql)?;
            read::count(count.query_row(params_from_iter(&conditions.values), |row| row.get(0))?)
        };
        if stretch.is_within && self.everywhere.terms.is_empty() {
            return Ok(stretch.results);
        }
        let Some(rare) = self.everywhere.all_but().filter(|_| stretch.is_within) else {
            return count(&self.conditions(stretch.keys, stretch.is_within));
        };
        let mut others = Conditions { terms: vec![rare], values: Vec::new() };
        if let Some((first, end)) = stretch.keys {
            others.add("+key >= ?", first);
            others.add("+key < ?", end);
        }
        Ok(stretch.results.saturating_sub(count(&others)?))
    }

    fn rows(
        &self,
        table: &str,
        day: i64,
        stretches: &[Stretch],
        wanted: usize,
        found: &mut Vec<RunResult>,
    ) -> Result<(), Fault> {
        let keys = stretches.first().and_then(|one| one.keys).zip(stretches.last().and_then(|one| one.keys));
        let keys = keys.map(|((first, _), (_, end))| (first, end));
        let mut conditions = self.conditions(keys, matches!(stretches, [Stretch { is_within: true, .. }]));
        if let Some(before) = self.query.before {
            let last = partition::day_of(before);
            if day > last {
                return Ok(());
            }
            if day == last {
                conditions.add("key <= ?", partition::last_key(partition::first_key(before)));
                conditions.add("id < ?", before.as_bytes().to_vec());
            }
        }
        let sql = rows_sql(table, &conditions, wanted);
        let mut select = self.connection.prepare(&sql)?;
        let rows =
            select.query_and_then(params_from_iter(&conditions.values), |row| results::result(row, Output::Counted))?;
        for row in rows {
            found.push(row?);
        }
        Ok(())
    }
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

/// How SQLite would answer a query, for each day: its rows, and their count.
#[cfg(test)]
pub(super) fn plan(connection: &Connection, query: &ResultQuery) -> Result<Vec<String>, Fault> {
    let Some(everywhere) = everywhere(connection, query)? else { return Ok(Vec::new()) };
    let search = Search { connection, query, everywhere };
    let mut plan = Vec::new();
    for day in partition::all(connection)? {
        let table = partition::table(day.number)?;
        for stretch in search.stretches(&day)? {
            let conditions = search.conditions(stretch.keys, stretch.is_within);
            let count = format!("SELECT count(*) FROM {table} WHERE {}", conditions.sql());
            for sql in [rows_sql(&table, &conditions, 100), count] {
                let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let steps =
                    explain.query_and_then(params_from_iter(&conditions.values), |row| row.get::<_, String>(3))?;
                for step in steps {
                    plan.push(step?);
                }
            }
        }
    }
    Ok(plan)
}
