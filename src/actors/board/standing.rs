//! How the linked pairs stand, read where they are: of ten thousand of them a page shows a hundred.

use std::ops::Bound::{Excluded, Included, Unbounded};

use super::{Board, Inner, Pair};
use crate::model::{Ack, Name, Outcome, PairStanding, State, StatusRow, Timestamp};

/// How all linked pairs stand. In the order of host and task.
#[derive(Debug, Clone, Copy)]
pub struct Standings<'a>(&'a Inner);

/// A linked pair as it stands on the board.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The host.
    pub host: &'a Name,
    /// The task.
    pub task: &'a Name,
    pair: &'a Pair,
}

impl Standing<'_> {
    fn is_linked(&self) -> bool {
        self.pair.linked
    }

    /// How bad it is; none: never run.
    pub fn state(&self) -> Option<State> {
        self.pair.status.state
    }

    /// Whether it went well.
    pub fn outcome(&self) -> Option<Outcome> {
        self.pair.status.outcome
    }

    /// All of it, with so many of its last Results.
    pub(in crate::actors) fn row(&self, last: usize, now: Timestamp) -> StatusRow {
        self.pair.row(self.host, self.task, last, now)
    }
}

impl<'a> Standings<'a> {
    /// How many there are.
    pub fn count(self) -> usize {
        self.0.linked_count
    }

    /// All those of the hosts that are wanted.
    pub fn of(self, wanted: impl Fn(&Name) -> bool) -> impl Iterator<Item = Standing<'a>> {
        let wanted = self.0.pairs.iter().filter(move |(host, _)| wanted(host));
        let all = wanted.flat_map(|(host, tasks)| tasks.iter().map(move |(task, pair)| Standing { host, task, pair }));
        all.filter(Standing::is_linked)
    }

    /// Those that come after a host and a task, which need not be there.
    pub fn behind(self, host: &str, task: &str) -> impl Iterator<Item = Standing<'a>> {
        let hosts = self.0.pairs.range::<str, _>((Included(host), Unbounded));
        let all = hosts.flat_map(move |(name, tasks)| {
            let from = if name.as_str() == host { Excluded(task) } else { Unbounded };
            tasks.range::<str, _>((from, Unbounded)).map(move |(task, pair)| Standing { host: name, task, pair })
        });
        all.filter(Standing::is_linked)
    }
}

impl Board {
    /// Lets somebody read how all linked pairs stand. Nothing on the board changes meanwhile.
    pub fn with_status<R>(&self, read: impl FnOnce(Standings<'_>) -> R) -> R {
        read(Standings(&self.read()))
    }

    /// How one linked pair stands, as far as Actions look at it.
    pub(in crate::actors) fn standing(&self, host: &Name, task: &Name) -> Option<PairStanding> {
        let inner = self.read();
        inner.pairs.get(host)?.get(task).filter(|pair| pair.linked).map(|pair| PairStanding::from(&*pair.status))
    }

    /// By when a pair should have gone well, if it has not.
    pub(in crate::actors) fn late_since(&self, host: &Name, task: &Name) -> Option<Timestamp> {
        self.read().pairs.get(host)?.get(task)?.status.late.as_ref().map(|expected| expected.by)
    }

    /// How one linked pair stands.
    pub fn pair_status(&self, host: &Name, task: &Name, last: usize, now: Timestamp) -> Option<StatusRow> {
        let inner = self.read();
        inner.pairs.get(host)?.get(task).filter(|pair| pair.linked).map(|pair| pair.row(host, task, last, now))
    }
}

impl Pair {
    fn row(&self, host: &Name, task: &Name, last: usize, now: Timestamp) -> StatusRow {
        let status = &self.status;
        let ack = status.ack.as_ref().filter(|ack| ack.holds(now));
        StatusRow {
            host: host.clone(),
            task: task.clone(),
            state: status.state,
            outcome: status.outcome,
            hard: status.hard,
            attempt: status.attempt,
            max_attempts: self.max_attempts.max(1),
            since: status.since,
            flapping: status.flapping,
            acknowledged: ack.is_some(),
            ack: ack.map(|ack| Ack::clone(ack)),
            // The catalog knows.
            in_downtime: false,
            running: !self.running.is_empty(),
            next_run_at: self.next_run_at,
            last_executed_at: status.last_executed_at,
            skipped_in_row: status.skipped_in_row,
            stale: status.stale,
            late: status.late.is_some(),
            last: status.last.newest(last),
        }
    }
}
