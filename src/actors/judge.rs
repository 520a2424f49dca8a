//! The verdict on a run that has ended, off the threads of actors: a pattern may take its time on what was written, and
//! nobody else is to wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::ledger::RunEnd;
use super::parts::NodeParts;
use super::verdict;
use crate::model::{Name, Pattern, Reason, Search, Task};
use crate::ssh::Ending;

/// How long a pattern may be searched for.
const LIMIT: Duration = Duration::from_secs(5);
/// How long a search may wait for its place.
const PLACE: Duration = Duration::from_secs(60);
/// More output than this is read for its verdict on a thread of its own.
const SMALL: usize = 64 * 1024;

/// The searches that go on. None can be stopped, so their number is bounded, and one that takes too long is not begun
/// anew for the next run before it has ended.
#[derive(Debug)]
pub struct Searches {
    places: Arc<Semaphore>,
    /// How many searches for a pattern go on that nobody waits for any more.
    overdue: Arc<Mutex<HashMap<String, usize>>>,
}

impl Searches {
    /// With so many at once.
    pub fn new(most: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), overdue: Arc::default() }
    }

    fn overdue(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.overdue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does a search for this pattern, at most for so long.
    pub(super) async fn search(
        &self,
        pattern: &Pattern,
        limit: Duration,
        work: impl FnOnce() -> Search + Send + 'static,
    ) -> Search {
        let Ok(Ok(place)) = timeout(PLACE, Arc::clone(&self.places).acquire_owned()).await else {
            return Search::TooSlow(PLACE);
        };
        if self.overdue().contains_key(pattern.as_str()) {
            return Search::TooSlow(limit);
        }
        let mut search = tokio::task::spawn_blocking(work);
        if let Ok(found) = timeout(limit, &mut search).await {
            // A search that panics has found nothing out.
            return found.unwrap_or(Search::TooSlow(limit));
        }
        let (key, overdue) = (pattern.as_str().to_owned(), Arc::clone(&self.overdue));
        *self.overdue().entry(key.clone()).or_default() += 1;
        actix_rt::spawn(async move {
            let _ = search.await;
            let mut overdue = overdue.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = overdue.get_mut(&key) {
                *count -= 1;
            }
            overdue.retain(|_, count| *count > 0);
            drop(place);
        });
        Search::TooSlow(limit)
    }
}

/// Judges a run of a task that was sent to a host and has ended.
pub(super) async fn judge(parts: &NodeParts, ending: Ending, task: &Arc<Task>, host: &Name, stopping: bool) -> RunEnd {
    let ending = Arc::new(ending);
    let searched = match verdict::pattern(&ending, task) {
        None => None,
        Some(pattern) => {
            let (ending, task, sought) = (Arc::clone(&ending), Arc::clone(task), pattern.clone());
            let work = move || verdict::search(&sought, &ending.stdout, &task);
            Some(parts.searches.search(pattern, LIMIT, work).await)
        }
    };
    let verdict = {
        let (ending, task, host) = (Arc::clone(&ending), Arc::clone(task), host.clone());
        move || verdict::of(&ending, &task, &host, stopping, searched)
    };
    let verdict =
        if ending.stdout.bytes.len() > SMALL { tokio::task::spawn_blocking(verdict).await } else { Ok(verdict()) };
    match verdict {
        Ok(verdict) => RunEnd::Ran { ending, verdict: Box::new(verdict) },
        Err(error) => {
            log::error!(host = host.as_str(); "a verdict failed: {error}");
            let message = "Alf failed at the verdict on the run; the log has the place".to_owned();
            RunEnd::NotRun { reason: Reason::Aborted, message }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[actix_rt::test]
    async fn a_search_that_takes_too_long_is_given_up_and_not_begun_anew_meanwhile() {
        let searches = Searches::new(2);
        let (end, ended) = mpsc::channel::<()>();
        let endless = move || {
            let _ = ended.recv();
            Search::Found
        };
        assert_eq!(searches.search(&pattern("slow"), SHORT, endless).await, Search::TooSlow(SHORT));
        let again = searches.search(&pattern("slow"), SHORT, || unreachable!("it still goes on")).await;
        assert_eq!(again, Search::TooSlow(SHORT));
        let other = searches.search(&pattern("other"), LIMIT, || Search::NotFound).await;
        assert_eq!(other, Search::NotFound, "others are searched for");
        drop(end);
        while !searches.overdue().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(searches.search(&pattern("slow"), LIMIT, || Search::Found).await, Search::Found);
        assert_eq!(searches.places.available_permits(), 2);
    }

    #[actix_rt::test]
    async fn there_are_no_more_threads_than_allowed() {
        let searches = Searches::new(1);
        let (end, ended) = mpsc::channel::<()>();
        let endless = move || {
            let _ = ended.recv();
            Search::Found
        };
        assert_eq!(searches.search(&pattern("slow"), SHORT, endless).await, Search::TooSlow(SHORT));
        let other = pattern("other");
        let mut waits = std::pin::pin!(searches.search(&other, LIMIT, || Search::Found));
        assert!(timeout(SHORT, &mut waits).await.is_err(), "it waits for its place");
        drop(end);
        assert_eq!(waits.await, Search::Found);
    }

    #[actix_rt::test]
    async fn a_search_that_panics_has_found_nothing() {
        let searches = Searches::new(1);
        let failed = searches.search(&pattern("x"), LIMIT, || panic!("a search that was told to panic")).await;
        assert_eq!(failed, Search::TooSlow(LIMIT));
        assert_eq!(searches.places.available_permits(), 1);
    }
}
