//! How the linked pairs stand, read where they are: of ten thousand of them a page shows a hundred.

use super::{Board, Pair};
use crate::model::{Ack, Name, Outcome, State, StatusRow, Timestamp};

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

impl Board {
    /// Lets somebody read how all linked pairs stand, by host and task. Nothing on the board changes meanwhile.
    pub fn with_status<R>(&self, read: impl FnOnce(&mut dyn Iterator<Item = Standing<'_>>) -> R) -> R {
        let inner = self.read();
        read(&mut inner.linked().map(|(host, task, pair)| Standing { host, task, pair }))
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
            last: status.last.iter().take(last).collect(),
        }
    }
}
