//! Figures of the runs that started lately.

use std::collections::VecDeque;

use crate::model::Timestamp;

/// How far back runs are counted, in seconds.
const WINDOW: i64 = 15 * 60;
/// Of how many runs the lateness is kept.
const SAMPLES: usize = 1000;

/// Figures of the runs that started lately; bounded however many there are.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Runs started in each second, oldest first.
    seconds: VecDeque<(i64, u64)>,
    lateness: VecDeque<i64>,
}

impl Figures {
    /// A run's command started, so many milliseconds after it was due.
    pub(super) fn started(&mut self, at: Timestamp, lateness: i64) {
        let second = at.millis().div_euclid(1000);
        match self.seconds.back_mut() {
            Some((last, count)) if *last == second => *count += 1,
            _ => self.seconds.push_back((second, 1)),
        }
        while self.seconds.front().is_some_and(|(first, _)| *first <= second - WINDOW) {
            self.seconds.pop_front();
        }
        if self.lateness.len() == SAMPLES {
            self.lateness.pop_front();
        }
        self.lateness.push_back(lateness.max(0));
    }

    /// Runs a minute over the last 1, 5 and 15 minutes.
    pub(super) fn runs_per_minute(&self, now: Timestamp) -> [f64; 3] {
        let now = now.millis().div_euclid(1000);
        [1, 5, 15].map(|minutes: u32| {
            let from = now - i64::from(minutes) * 60;
            let runs: u64 = self.seconds.iter().filter(|(second, _)| *second > from).map(|(_, count)| count).sum();
            runs as f64 / f64::from(minutes)
        })
    }

    /// p50 and p99 in milliseconds.
    pub(super) fn lateness_ms(&self) -> Option<(i64, i64)> {
        let mut sorted: Vec<i64> = self.lateness.iter().copied().collect();
        sorted.sort_unstable();
        let at = |hundredths: usize| sorted.get((sorted.len() * hundredths / 100).min(sorted.len() - 1)).copied();
        if sorted.is_empty() { None } else { at(50).zip(at(99)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_counted_by_the_minute() {
        let mut figures = Figures::default();
        let at = |second: i64| Timestamp::from_millis(second * 1000).unwrap();
        for second in 0..600 {
            figures.started(at(second), second % 100);
        }
        let [m1, m5, m15] = figures.runs_per_minute(at(599));
        assert_eq!((m1, m5, m15), (60.0, 60.0, 40.0));
        assert_eq!(figures.lateness_ms(), Some((50, 99)));
        figures.started(at(100_000), 0);
        assert_eq!(figures.seconds.len(), 1, "what is older than the window is forgotten");
    }
}
