//! The only wall clock. In tests it follows tokio's paused time, so that schedules do.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use tokio::time::Instant;

/// Tells the time of day.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock.
    Wall,
    /// A fixed start, moved on by tokio's time, which tests pause and advance.
    Virtual {
        /// What the clock showed at `origin`.
        start: DateTime<Utc>,
        /// When tokio's time was there.
        origin: Instant,
        /// By how many milliseconds it was set since.
        set: Arc<AtomicI64>,
    },
}

impl Clock {
    /// A clock that shows `start` now and follows tokio's time from here.
    pub fn starting_at(start: DateTime<Utc>) -> Self {
        Self::Virtual { start, origin: Instant::now(), set: Arc::default() }
    }

    /// Sets a virtual clock forward or back, as somebody may set the machine's.
    pub fn set_by(&self, step: TimeDelta) {
        if let Self::Virtual { set, .. } = self {
            set.fetch_add(step.num_milliseconds(), Ordering::Relaxed);
        }
    }

    /// The time of day, to the millisecond: Alf keeps no finer instants.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    pub fn now(&self) -> DateTime<Utc> {
        let now = match self {
            Self::Wall => Utc::now(),
            Self::Virtual { start, origin, set } => {
                let passed = TimeDelta::from_std(origin.elapsed()).unwrap_or(TimeDelta::MAX);
                *start + passed + TimeDelta::milliseconds(set.load(Ordering::Relaxed))
            }
        };
        now.trunc_subsecs(3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_virtual_clock_follows_paused_time() {
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let clock = Clock::starting_at(start);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(clock.now(), start + TimeDelta::hours(1));
    }
}
