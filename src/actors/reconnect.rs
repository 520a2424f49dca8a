//! When to try a host again: 1 s, doubling to 30 s, ±20 %; and no more than three refused logins in ten minutes.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::Reason;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// Refused logins that are risked in the window below: more of them lock accounts and fill logs.
const REFUSALS: usize = 3;
const REFUSALS_IN: Duration = Duration::from_secs(600);

/// When to try a host again.
#[derive(Debug, Default)]
pub(super) struct Reconnect {
    failures: u32,
    refused: VecDeque<Instant>,
    not_before: Option<Instant>,
}

impl Reconnect {
    /// How long to wait from now.
    pub(super) fn wait(&self) -> Duration {
        self.not_before.map(|at| at.saturating_duration_since(Instant::now())).unwrap_or_default()
    }

    /// Connected.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// The connection was lost: it is tried again like after a first failure.
    pub(super) fn lost(&mut self) {
        self.failures = 1;
        self.not_before = Some(Instant::now() + jittered(FIRST));
    }

    /// A try failed.
    pub(super) fn failed(&mut self, reason: Reason) {
        let now = Instant::now();
        self.failures += 1;
        let mut wait = jittered(FIRST.saturating_mul(1 << (self.failures - 1).min(10)).min(LONGEST));
        if reason == Reason::Auth {
            self.refused.push_back(now);
            while self.refused.len() > REFUSALS {
                self.refused.pop_front();
            }
            if let Some(first) = self.refused.front().filter(|_| self.refused.len() == REFUSALS) {
                wait = wait.max((*first + REFUSALS_IN).saturating_duration_since(now));
            }
        }
        self.not_before = Some(now + wait);
    }
}

fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::random_range(0.8..=1.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_double_and_are_capped() {
        let mut reconnect = Reconnect::default();
        assert_eq!(reconnect.wait(), Duration::ZERO);
        for expected in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            reconnect.failed(Reason::Unreachable);
            let wait = reconnect.wait().as_secs_f64();
            assert!((expected * 0.79..=expected * 1.21).contains(&wait), "{wait} for {expected}");
        }
        reconnect.succeeded();
        assert_eq!(reconnect.wait(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn three_refused_logins_in_ten_minutes_and_no_more() {
        let mut reconnect = Reconnect::default();
        let start = Instant::now();
        let mut tries = 0;
        while start.elapsed() < REFUSALS_IN {
            reconnect.failed(Reason::Auth);
            tries += 1;
            tokio::time::advance(reconnect.wait()).await;
        }
        assert_eq!(tries, 3);
    }
}
