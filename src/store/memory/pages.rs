//! Pages of Results.

use super::Inner;
use crate::model::nagios::Metric;
use crate::model::{Captured, PAGE_PERFDATA, ResultPage, ResultQuery, RunResult};

impl Inner {
    pub(super) fn page(&self, query: &ResultQuery) -> ResultPage {
        let all = || self.results.values().rev().filter(|result| matches(query, result));
        let older = |result: &&RunResult| query.before.is_none_or(|before| result.id < before);
        let mut items: Vec<_> = all().filter(older).take(query.limit.saturating_add(1)).map(counted).collect();
        let more = items.len() > query.limit;
        items.truncate(query.limit);
        let next = items.last().map(|last| last.id).filter(|_| more);
        ResultPage { next, total: all().count() as u64, items }
    }
}

/// Without its output bodies.
fn counted(result: &RunResult) -> RunResult {
    let counted = |captured: &Captured| Captured::counted(captured.kept, captured.total);
    // What cannot be written is small: it is what the tests would see.
    let fits =
        |metrics: &Vec<Metric>| serde_json::to_string(metrics).is_ok_and(|json| json.len() as u64 <= PAGE_PERFDATA);
    let perfdata = result.perfdata.clone().filter(fits);
    RunResult { stdout: counted(&result.stdout), stderr: counted(&result.stderr), perfdata, ..result.clone() }
}

fn matches(query: &ResultQuery, result: &RunResult) -> bool {
    query.host.as_ref().is_none_or(|host| *host == result.host)
        && query.among.as_ref().is_none_or(|among| among.contains(&result.host))
        && query.task.as_ref().is_none_or(|task| result.task.as_ref() == Some(task))
        && query.outcome.is_none_or(|outcome| outcome == result.outcome)
        && query.state.is_none_or(|state| Some(state) == result.state)
        && query.reason.is_none_or(|reason| Some(reason) == result.reason)
        && query.trigger.is_none_or(|trigger| trigger == result.trigger)
        && query.group.is_none_or(|group| Some(group) == result.group)
        && query.since.is_none_or(|since| result.scheduled_at >= since)
        && query.until.is_none_or(|until| result.scheduled_at < until)
}
