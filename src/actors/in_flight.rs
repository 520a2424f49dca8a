//! How many runs may be on the node at once, and who may not have all of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A run older than this counts among the long ones.
const LONG: Duration = Duration::from_secs(60);

/// Runs at once on the node. Those that go on for long count apart, up to as many again, and one host's at most for
/// half of them: so that commands that hang, on one host or on many, keep nobody else's from starting.
pub struct InFlight {
    most: usize,
    permits: Arc<Semaphore>,
    long: Arc<Semaphore>,
}

/// A run's place on the node.
pub(super) struct NodePlace {
    place: OwnedSemaphorePermit,
    _of_host: OwnedSemaphorePermit,
}

impl InFlight {
    /// So many.
    pub fn new(most: usize) -> Self {
        Self { most, permits: Arc::new(Semaphore::new(most)), long: Arc::new(Semaphore::new(most)) }
    }

    /// The part of them that a host may have.
    pub(super) fn share_of_host(&self) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(self.most.div_ceil(2)))
    }

    /// Waits for a place, first for one of those that the host may have.
    pub(super) async fn place(&self, of_host: Arc<Semaphore>) -> Option<NodePlace> {
        let of_host = of_host.acquire_owned().await.ok()?;
        let place = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        Some(NodePlace { place, _of_host: of_host })
    }

    /// When the run has gone on for long: gives its place to those that start, as soon as there is one among the long.
    pub(super) async fn grow_old(&self, place: &mut NodePlace) {
        tokio::time::sleep(LONG).await;
        if let Ok(long) = Arc::clone(&self.long).acquire_owned().await {
            place.place = long;
        }
    }
}
