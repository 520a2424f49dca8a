//! How many of what is on the board stand how.

use super::Board;
use crate::model::{HostState, Name, State, StatusSummary, Timestamp};

impl Board {
    /// How many runs run, and how many wait.
    pub fn in_flight(&self) -> (u64, u64) {
        let inner = self.read();
        let open = inner.runs.values().filter(|run| !run.storing);
        open.fold((0, 0), |(running, queued), run| match run.started_at {
            Some(_) => (running + 1, queued),
            None => (running, queued + 1),
        })
    }

    /// How many pairs and hosts are in each state, of the hosts that are counted.
    pub fn summary(&self, counts: impl Fn(&Name) -> bool) -> StatusSummary {
        let inner = self.read();
        let pause = inner.pause.as_ref();
        let mut summary = StatusSummary {
            paused: pause.is_some(),
            paused_since: pause.map(|pause| pause.at),
            paused_by: pause.and_then(|pause| pause.by.clone()),
            ..StatusSummary::default()
        };
        for (_, _, pair) in inner.linked().filter(|(host, _, _)| counts(host)) {
            summary.total += 1;
            summary.running += u64::from(!pair.running.is_empty());
            *match pair.status.state {
                Some(State::Ok) => &mut summary.ok,
                Some(State::Warning) => &mut summary.warning,
                Some(State::Critical) => &mut summary.critical,
                Some(State::Unknown) => &mut summary.unknown,
                None => &mut summary.pending,
            } += 1;
        }
        for (_, host) in inner.hosts.iter().filter(|(name, _)| counts(name)) {
            *match host.record.state {
                Some(HostState::Up) => &mut summary.hosts_up,
                Some(HostState::Down) => &mut summary.hosts_down,
                Some(HostState::Unreachable) => &mut summary.hosts_unreachable,
                None => &mut summary.hosts_pending,
            } += 1;
        }
        summary
    }

    /// Runs a minute over the last 1, 5 and 15 minutes.
    pub fn runs_per_minute(&self, now: Timestamp) -> [f64; 3] {
        self.read().figures.runs_per_minute(now)
    }

    /// Lateness of the last runs in milliseconds: p50 and p99.
    pub fn lateness_ms(&self) -> Option<(i64, i64)> {
        self.read().figures.lateness_ms()
    }
}
