//! Figures of the whole, for `GET /stats` and `GET /metrics`.

use super::error::AlfError;
use super::handle::AlfHandle;
use super::reactions::ActionFigures;
use crate::model::{Noun, StatusSummary};
use crate::store::StoreCounts;

/// Figures of the whole, without those that only the store knows.
#[derive(Debug, Clone)]
pub struct Stats {
    /// How many definitions there are of each noun.
    pub totals: Vec<(Noun, u64)>,
    /// Results of runs that executed something, a minute, over the last 1, 5 and 15 minutes.
    pub runs_per_minute: [f64; 3],
    /// Runs whose command runs now.
    pub running: u64,
    /// Runs that wait.
    pub queued: u64,
    /// How many pairs and hosts are in each state, and whether all firing is stopped.
    pub summary: StatusSummary,
    /// SSH connections that are open.
    pub connections: u64,
    /// Lateness of the last runs in milliseconds: p50 and p99; none before the first.
    pub lateness_ms: Option<(i64, i64)>,
    /// Writes that wait for the store.
    pub store_queue: u64,
    /// Whether the store takes writes.
    pub store_is_up: bool,
    /// Transactions that wrote to the ledger.
    pub commits: u64,
    /// Events that wait to be looked at.
    pub events_waiting: u64,
    /// Figures of every Action, by name.
    pub actions: Vec<ActionFigures>,
    /// How often actors were built anew, by their kind.
    pub restarts: [(&'static str, u64); 6],
}

impl AlfHandle {
    /// Figures of the whole.
    pub fn stats(&self) -> Stats {
        let catalog = self.catalog();
        let totals =
            Noun::ALL.into_iter().map(|noun| (noun, u64::try_from(catalog.count(noun)).unwrap_or(u64::MAX))).collect();
        let (running, queued) = self.board.in_flight();
        let counts = &self.board.counts;
        Stats {
            totals,
            runs_per_minute: self.board.runs_per_minute(self.now()),
            running,
            queued,
            summary: self.board.summary(|_| true),
            connections: counts.open_connections(),
            lateness_ms: self.board.lateness_ms(),
            store_queue: self.writer.waiting(),
            store_is_up: self.writer.failing().is_none(),
            commits: self.writer.commits(),
            events_waiting: self.events_waiting(),
            actions: self.action_figures(),
            restarts: [
                ("catalog", self.catalog.restarts()),
                ("node", self.node.restarts()),
                ("store", self.store_actor.restarts()),
                ("action", self.action.restarts()),
                ("host", counts.hosts_restarted.get()),
                ("task", counts.tasks_restarted.get()),
            ],
        }
    }

    /// How much the store holds.
    pub async fn stored(&self) -> Result<StoreCounts, AlfError> {
        Ok(self.store.counts().await?)
    }
}
