//! A store that takes writes from where they wait.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::samples::{at, claim, id, name};
use super::{must, pair};
use crate::store::{Source, Store, Write, Written};

/// What belongs into one transaction.
type Batch = Vec<Arc<[Write]>>;

/// Batches that wait, and what became of those that are done.
#[derive(Default)]
pub(crate) struct Waiting(Mutex<(VecDeque<Batch>, Vec<Vec<Written>>)>);

impl Waiting {
    /// With these batches.
    pub(crate) fn of(batches: impl IntoIterator<Item = Batch>) -> Arc<Self> {
        Arc::new(Self(Mutex::new((batches.into_iter().collect(), Vec::new()))))
    }

    /// How many batches were not taken, and the answers to those that were done.
    pub(crate) fn left_and_done(&self) -> (usize, Vec<Vec<Written>>) {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.0.len(), inner.1.clone())
    }
}

impl Source for Waiting {
    fn next(&self) -> Batch {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.pop_front().unwrap_or_default()
    }

    fn done(&self, written: Vec<Written>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.push(written);
    }
}

/// Every batch is taken, in order, and answered write for write.
pub(super) async fn in_order(store: &dyn Store) {
    let (host, task) = (name("sources"), name("order"));
    let one = |n: i64| {
        let claimed = |run| -> Arc<[Write]> { vec![claim(&host, &task, Some(at(n)), id(run))].into() };
        vec![claimed(n), claimed(n + 100)]
    };
    let waiting = Waiting::of((1..=20).map(one));
    for _ in 0..20 {
        // It may leave some, for others to have their turn, but not all.
        let before = waiting.left_and_done().0;
        must("commit_from", store.commit_from(Arc::clone(&waiting) as Arc<dyn Source>).await);
        assert!(before == 0 || waiting.left_and_done().0 < before, "a store must take what waits");
    }
    let (left, done) = waiting.left_and_done();
    assert_eq!((left, done), (0, vec![vec![Written::Claimed, Written::Taken]; 20]));
    let record = pair(store, &host, &task).await;
    assert_eq!((record.claimed_until, record.open.len()), (Some(at(20)), 20));
}
