//! Pages of Results, newest first, and how many match in all.

use mongodb::bson::{Bson, Document, doc};
use mongodb::options::FindOptions;

use super::fault::Fault;
use super::results::{self, Row};
use super::schema::RESULTS;
use super::tallies::{self, Tally};
use super::view::View;
use super::{LIMIT, read};
use crate::model::{ResultPage, ResultQuery};

/// Results that stand alike to the bounds of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    results: u64,
    /// Whether all of them are within the bounds; else each is to be looked at.
    is_within: bool,
    /// From which instant on, and until before which, their ids are; none for all there are.
    ids: Option<(i64, i64)>,
}

/// A query, and its conditions but for those of time.
struct Search<'a> {
    view: &'a View,
    query: &'a ResultQuery,
    everywhere: Document,
}

/// One page, and how many Results match in all.
pub(super) async fn page(view: &View, query: &ResultQuery) -> Result<ResultPage, Fault> {
    let Some(everywhere) = everywhere(query) else { return Ok(ResultPage::default()) };
    let search = Search { view, query, everywhere };
    let stretches = search.stretches().await?;
    let mut page = ResultPage::default();
    for stretch in &stretches {
        page.total += search.count(stretch).await?;
    }
    if query.limit > 0 && page.total > 0 {
        search.rows(&stretches, &mut page).await?;
    }
    Ok(page)
}

/// The conditions but for those of time; none if nothing can match.
fn everywhere(query: &ResultQuery) -> Option<Document> {
    let mut all = read::of_hosts(query.host.as_ref(), query.among.as_deref())?;
    if let Some(task) = &query.task {
        all.insert("task", task.as_str());
    }
    if let Some(outcome) = query.outcome {
        all.insert("outcome", outcome.to_string());
    }
    if let Some(state) = query.state {
        all.insert("state", results::to_number(state));
    }
    if let Some(reason) = query.reason {
        all.insert("reason", reason.to_string());
    }
    if let Some(group) = query.group {
        all.insert("group", read::to_uuid(group));
    }
    if let Some(trigger) = query.trigger {
        all.insert("trigger", trigger.to_string());
    }
    Some(all)
}

/// Where nothing but what is common is asked for: what is rare instead. It has an index, and all others match.
fn all_but(everywhere: &Document) -> Option<Document> {
    let mut terms = everywhere.iter();
    match (terms.next(), terms.next()) {
        (Some((key, Bson::String(text))), None) if key == "outcome" && text == "OK" => {
            Some(doc! { "outcome": { "$gt": "OK" } })
        }
        (Some((key, Bson::String(text))), None) if key == "trigger" && text == "schedule" => {
            Some(doc! { "trigger": { "$lt": "schedule" } })
        }
        _ => None,
    }
}

impl Search<'_> {
    /// The Results that can be within the query's bounds of `scheduled_at`, oldest first: day by day, and where a bound
    /// lies within one, hour by hour; those that lie together and stand alike as one.
    async fn stretches(&self) -> Result<Vec<Stretch>, Fault> {
        let days = tallies::days(self.view).await?;
        if self.query.since.is_none() && self.query.until.is_none() {
            let results = days.iter().map(|day| day.results).sum();
            return Ok(vec![Stretch { results, is_within: true, ids: None }]);
        }
        let mut stretches = Vec::new();
        for day in &days {
            match self.place(day) {
                None => {}
                Some(true) => push(&mut stretches, day, true),
                Some(false) => {
                    for hour in tallies::hours(self.view, day.from, day.until).await? {
                        if let Some(is_within) = self.place(&hour) {
                            push(&mut stretches, &hour, is_within);
                        }
                    }
                }
            }
        }
        Ok(stretches)
    }

    /// How Results stand to the query's bounds: whether all of them are within, or none if none is.
    fn place(&self, tally: &Tally) -> Option<bool> {
        let since = self.query.since.map_or(i64::MIN, |at| at.millis());
        let until = self.query.until.map_or(i64::MAX, |at| at.millis());
        (tally.last_scheduled >= since && tally.first_scheduled < until)
            .then_some(tally.first_scheduled >= since && tally.last_scheduled < until)
    }

    /// The conditions for Results with these ids, and on `scheduled_at` unless all of them are within the bounds.
    fn conditions(&self, ids: Option<(i64, i64)>, is_within: bool) -> Document {
        let mut all = self.everywhere.clone();
        if let Some((from, until)) = ids {
            all.insert("_id", doc! { "$gte": read::first_id(from), "$lt": read::first_id(until) });
        }
        if !is_within {
            all.extend(read::within("scheduled_at", self.query.since, self.query.until));
        }
        all
    }

    async fn count(&self, stretch: &Stretch) -> Result<u64, Fault> {
        if stretch.is_within && self.everywhere.is_empty() {
            return Ok(stretch.results);
        }
        let Some(mut others) = all_but(&self.everywhere).filter(|_| stretch.is_within) else {
            return self.view.count(RESULTS, self.conditions(stretch.ids, stretch.is_within)).await;
        };
        if let Some((from, until)) = stretch.ids {
            others.insert("_id", doc! { "$gte": read::first_id(from), "$lt": read::first_id(until) });
        }
        Ok(stretch.results.saturating_sub(self.view.count(RESULTS, others).await?))
    }

    async fn rows(&self, stretches: &[Stretch], page: &mut ResultPage) -> Result<(), Fault> {
        let ids = stretches.first().and_then(|one| one.ids).zip(stretches.last().and_then(|one| one.ids));
        let ids = ids.map(|((from, _), (_, until))| (from, until));
        let mut filter = self.conditions(ids, matches!(stretches, [Stretch { is_within: true, .. }]));
        if let Some(before) = self.query.before {
            let mut bounds = filter.get_document("_id").cloned().unwrap_or_default();
            let end = ids.map_or(i64::MAX, |(_, until)| until);
            if before.millis() < end {
                bounds.insert("$lt", read::to_uuid(before));
            }
            filter.insert("_id", bounds);
        }
        // One more than asked for tells whether there is a next page.
        let wanted = i64::try_from(self.query.limit).unwrap_or(i64::MAX).saturating_add(1);
        let newest_first = FindOptions::builder().sort(doc! { "_id": -1 }).limit(wanted);
        let newest_first = newest_first.projection(results::on_a_page()).max_time(LIMIT).build();
        for row in self.view.find::<Row>(RESULTS, filter, newest_first).await? {
            page.items.push(row.read()?);
        }
        if page.items.len() > self.query.limit {
            page.items.truncate(self.query.limit);
            page.next = page.items.last().map(|last| last.id);
        }
        Ok(())
    }
}

fn push(stretches: &mut Vec<Stretch>, tally: &Tally, is_within: bool) {
    match stretches.last_mut() {
        Some(Stretch { results, is_within: same, ids: Some((_, until)) })
            if *same == is_within && *until == tally.from =>
        {
            *results += tally.results;
            *until = tally.until;
        }
        _ => {
            stretches.push(Stretch { results: tally.results, is_within, ids: Some((tally.from, tally.until)) });
        }
    }
}
