//! Retention: old Results go by themselves, a few at a time between the commits of those who write, and what that freed
//! is given back to the file system.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::counts::Counter;
use super::error::AlfError;
use super::handle::AlfHandle;
use super::store::StoreWriter;
use crate::model::{Keep, Retention, RunId, Task, Timestamp};
use crate::store::retention::{Progress, Rules, Swept, foresee, sweep};
use crate::store::{StoreError, Write, Written};

/// When it is first looked after a start: there is enough to do then.
const FIRST: Duration = Duration::from_secs(60);
/// How often it is looked.
const EVERY: Duration = Duration::from_secs(600);
/// After so many looks, six hours, it is begun anew with the oldest: some were stored when they were old already, as those
/// of long runs.
const ANEW: u64 = 36;
/// How long one step may keep who writes waiting, and how many Results it may remove.
const STEP: Duration = Duration::from_millis(12);
const STEPS: (usize, usize) = (20, 1000);
/// The shortest rest between two steps.
const REST: Duration = Duration::from_millis(2);

/// How retention stands.
#[derive(Debug)]
pub struct Sweeper {
    retention: Retention,
    /// Held while it goes on: two at a time would but be in each other's way.
    progress: tokio::sync::Mutex<(u64, Progress)>,
    last: Mutex<Option<LastSweep>>,
    /// Results that were removed since the start.
    pub removed: Counter,
}

/// The last time that it was looked what is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSweep {
    /// When that was over.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What went.
    pub swept: Swept,
}

impl Sweeper {
    /// By these settings.
    pub fn new(retention: Retention) -> Self {
        Self { retention, progress: tokio::sync::Mutex::default(), last: Mutex::default(), removed: Counter::default() }
    }

    /// The last time; none before the first.
    pub fn last(&self) -> Option<LastSweep> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many Results a step removes: as many as take no longer than a step may.
struct Pace(usize);

impl Pace {
    fn took(&mut self, took: Duration) {
        let next = if took > STEP { self.0 / 2 } else { self.0 + self.0 / 8 };
        self.0 = next.clamp(STEPS.0, STEPS.1);
    }
}

async fn remove(writer: &StoreWriter, pace: &mut Pace, ids: &[RunId]) -> Result<u64, StoreError> {
    let (mut rest, mut removed) = (ids, 0);
    while let Some((step, behind)) = rest.split_at_checked(pace.0.min(rest.len())).filter(|(step, _)| !step.is_empty())
    {
        let begun = Instant::now();
        let written = writer.write(vec![Write::RemoveResults(step.to_vec())]).await?;
        removed +=
            written.into_iter().map(|one| if let Written::Removed(count) = one { count } else { 0 }).sum::<u64>();
        let took = begun.elapsed();
        pace.took(took);
        // Half of the time belongs to others.
        tokio::time::sleep(took.max(REST)).await;
        rest = behind;
    }
    Ok(removed)
}

impl AlfHandle {
    /// What goes, by the settings, or by these in their place, and by what tasks say.
    fn rules(&self, retention: &Retention) -> Rules {
        let catalog = self.catalog();
        let own = |task: &Task| Some((task.meta.name.clone(), retention.keep.with(task.retention.as_ref()?)));
        Rules::new(retention, catalog.tasks.values().filter_map(|task| own(task)))
    }

    /// Which Results are kept by the settings.
    pub fn keep(&self) -> Keep {
        self.sweeper.retention.keep
    }

    /// What would go now.
    pub async fn foresee(&self, retention: Option<Retention>) -> Result<Swept, AlfError> {
        let rules = self.rules(&retention.unwrap_or(self.sweeper.retention));
        Ok(foresee(&*self.store, &rules, self.now()).await?)
    }

    /// Removes what the settings, or these in their place, do not keep. Waits for one that goes on.
    pub async fn sweep(&self, retention: Option<Retention>) -> Result<Swept, AlfError> {
        let sweeper = &self.sweeper;
        let mut held = sweeper.progress.lock().await;
        let rules = self.rules(&retention.unwrap_or(sweeper.retention));
        let (looks, progress) = &mut *held;
        if looks.is_multiple_of(ANEW) || retention.is_some() {
            *progress = Progress::default();
        }
        *looks += 1;
        let (begun, mut pace) = (Instant::now(), Pace(STEPS.0));
        let removing = async |ids: Vec<RunId>| {
            let removed = remove(&self.writer, &mut pace, &ids).await?;
            sweeper.removed.add(removed);
            Ok(removed)
        };
        let swept = sweep(&*self.store, &rules, progress, self.now(), removing).await?;
        while let Some(before) = rules.notifications_before(self.now()) {
            let forget = Write::ForgetNotifications { before, most: STEPS.1 as u64 };
            if self.writer.write(vec![forget]).await? != [Written::Removed(STEPS.1 as u64)] {
                break;
            }
            tokio::time::sleep(REST).await;
        }
        while self.store.give_back().await? {
            tokio::time::sleep(REST).await;
        }
        let last = LastSweep { at: self.now(), took: begun.elapsed(), swept };
        *sweeper.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        if swept.all() > 0 {
            log::info!(by_age = swept.by_age, by_count = swept.by_count, by_bytes = swept.by_bytes, took_ms = last.took.as_millis() as u64;
                "old results were removed");
        }
        Ok(swept)
    }

    /// Does so again and again.
    pub async fn keep_results(self) {
        tokio::time::sleep(FIRST).await;
        loop {
            if let Err(error) = self.sweep(None).await {
                log::warn!("old results are not removed: {error}");
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_as_large_as_the_store_is_fast() {
        let mut pace = Pace(STEPS.0);
        for _ in 0..100 {
            pace.took(Duration::from_millis(1));
        }
        assert_eq!(pace.0, STEPS.1);
        pace.took(STEP * 2);
        assert_eq!(pace.0, STEPS.1 / 2);
        for _ in 0..100 {
            pace.took(STEP * 2);
        }
        assert_eq!(pace.0, STEPS.0);
    }
}
