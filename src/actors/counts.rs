//! What has happened since the start, counted where it happens and read by `GET /metrics`. Atomics, no lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::model::{Reason, Trigger};

/// Bounds of lateness in seconds: most runs start within milliseconds, those that wait for their turn later.
const LATENESS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// Bounds of the durations of runs, in seconds.
const DURATIONS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0];

/// Counts up.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long things took: how many of them at most so long.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One for each bound and one for what is longer, not added up.
    counts: Box<[Counter]>,
    micros: Counter,
}

impl Histogram {
    /// With these bounds in seconds, the shortest first.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: (0..=bounds.len()).map(|_| Counter::default()).collect(), micros: Counter::default() }
    }

    /// Something took so long.
    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let place = self.bounds.iter().position(|bound| seconds <= *bound).unwrap_or(self.bounds.len());
        if let Some(count) = self.counts.get(place) {
            count.add(1);
        }
        self.micros.add(u64::try_from(took.as_micros()).unwrap_or_default());
    }

    /// How many took at most so long, for each bound; infinity, which is all of them, is the last.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let at_most = self.counts.iter().scan(0, |sum, count| {
            *sum += count.get();
            Some(*sum)
        });
        bounds.zip(at_most).collect()
    }

    /// How long all of them took together, in seconds.
    pub fn sum(&self) -> f64 {
        Duration::from_micros(self.micros.get()).as_secs_f64()
    }
}

/// What has happened since the start.
#[derive(Debug)]
pub struct Counts {
    /// From when runs were due to their start.
    pub lateness: Histogram,
    /// From the start of runs to their end.
    pub durations: Histogram,
    /// Results that could not be stored at all.
    pub lost: Counter,
    /// Connects that came about.
    pub logins: Counter,
    /// SSH connections that are open, or on their way to be closed.
    pub connections: Arc<AtomicUsize>,
    /// Actors of hosts that were built anew.
    pub hosts_restarted: Counter,
    /// Actors of tasks that were built anew.
    pub tasks_restarted: Counter,
    started: [Counter; Trigger::ALL.len()],
    ok: Counter,
    results: [Counter; Reason::ALL.len()],
    failures: [Counter; Reason::ALL.len()],
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            lateness: Histogram::new(LATENESS),
            durations: Histogram::new(DURATIONS),
            lost: Counter::default(),
            logins: Counter::default(),
            connections: Arc::default(),
            hosts_restarted: Counter::default(),
            tasks_restarted: Counter::default(),
            started: Default::default(),
            ok: Counter::default(),
            results: Default::default(),
            failures: Default::default(),
        }
    }
}

impl Counts {
    /// A run's command started, so many milliseconds after it was due.
    pub(super) fn started(&self, trigger: Trigger, lateness_ms: i64) {
        count(&Trigger::ALL, &self.started, trigger);
        self.lateness.observe(Duration::from_millis(u64::try_from(lateness_ms).unwrap_or_default()));
    }

    /// A Result is stored; where something was executed, that took so many milliseconds.
    pub(super) fn stored(&self, reason: Option<Reason>, duration_ms: Option<i64>) {
        match reason {
            None => self.ok.add(1),
            Some(reason) => count(&Reason::ALL, &self.results, reason),
        }
        if let Some(took) = duration_ms {
            self.durations.observe(Duration::from_millis(u64::try_from(took).unwrap_or_default()));
        }
    }

    /// A connect came to nothing.
    pub(super) fn not_connected(&self, reason: Reason) {
        count(&Reason::ALL, &self.failures, reason);
    }

    /// Runs whose command was sent, by what started them.
    pub fn runs_started(&self) -> impl Iterator<Item = (Trigger, u64)> {
        Trigger::ALL.into_iter().zip(self.started.iter().map(Counter::get))
    }

    /// Results that were stored, by their reason.
    pub fn results(&self) -> impl Iterator<Item = (Option<Reason>, u64)> {
        let others = Reason::ALL.into_iter().map(Some).zip(self.results.iter().map(Counter::get));
        std::iter::once((None, self.ok.get())).chain(others)
    }

    /// Connects that came to nothing, by why.
    pub fn connect_failures(&self) -> impl Iterator<Item = (Reason, u64)> {
        let all = Reason::ALL.into_iter().zip(self.failures.iter().map(Counter::get));
        // The reasons of a connect; of others there are none.
        all.filter(|(reason, count)| {
            *count > 0 || matches!(reason, Reason::Unreachable | Reason::Auth | Reason::HostKey)
        })
    }

    /// How many SSH connections are open.
    pub fn open_connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed) as u64
    }
}

fn count<T: PartialEq>(all: &[T], counters: &[Counter], one: T) {
    let found = all.iter().zip(counters).find(|(other, _)| **other == one);
    if let Some((_, counter)) = found {
        counter.add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_adds_up() {
        let histogram = Histogram::new(&[0.1, 1.0]);
        for millis in [0, 100, 101, 1000, 5000] {
            histogram.observe(Duration::from_millis(millis));
        }
        assert_eq!(histogram.buckets(), [(0.1, 2), (1.0, 4), (f64::INFINITY, 5)]);
        assert_eq!(histogram.sum(), 6.201);
    }

    #[test]
    fn results_are_counted_by_reason_and_only_what_ran_has_a_duration() {
        let counts = Counts::default();
        counts.stored(None, Some(20));
        counts.stored(Some(Reason::Late), None);
        counts.stored(Some(Reason::Late), None);
        let moved: Vec<_> = counts.results().filter(|(_, count)| *count > 0).collect();
        assert_eq!(moved, [(None, 1), (Some(Reason::Late), 2)]);
        assert_eq!(counts.durations.buckets().last(), Some(&(f64::INFINITY, 1)));
        counts.started(Trigger::Retry, -3);
        assert_eq!(counts.runs_started().filter(|(_, count)| *count > 0).collect::<Vec<_>>(), [(Trigger::Retry, 1)]);
        assert_eq!(counts.lateness.buckets().first(), Some(&(0.005, 1)), "early is not late");
    }
}
