//! What all actors of a node share, injected once by the composition root.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::board::Board;
use super::catch_up::CatchUp;
use super::in_flight::InFlight;
use super::judge::Searches;
use super::max_running::MaxRunning;
use super::news::Journal;
use super::published::Published;
use super::reactions::Reactions;
use super::store::StoreWriter;
use crate::clock::Clock;
use crate::model::{FlapThresholds, Name, RunIds, Timestamp};
use crate::ssh::Connector;
use crate::store::Store;

/// What all actors of a node share.
pub struct NodeParts {
    /// This node's name.
    pub node: Name,
    /// The time of day.
    pub clock: Clock,
    /// How everything stands.
    pub board: Arc<Board>,
    /// What happens, for whoever listens.
    pub journal: Arc<Journal>,
    /// What follows from it.
    pub reactions: Arc<Reactions>,
    /// The present definitions.
    pub published: Published,
    /// Where the bytes of programs are.
    pub store: Arc<dyn Store>,
    /// The way to the ledger.
    pub writer: StoreWriter,
    /// Makes run ids.
    pub ids: RunIds,
    /// Makes connections.
    pub connector: Arc<dyn Connector>,
    /// Runs at once on this node.
    pub in_flight: InFlight,
    /// Hosts at once of each task.
    pub max_running: Arc<MaxRunning>,
    /// The turns of pairs that missed instants.
    pub catch_up: Arc<CatchUp>,
    /// Runs that may wait or run on one host; beyond that a manual run is refused, a scheduled one skipped.
    pub queue: usize,
    /// Searches at once in what runs have written.
    pub searches: Searches,
    /// Handshakes at once on this node.
    pub handshakes: Arc<Semaphore>,
    /// A connection that nobody uses for so long is closed; none for never.
    pub idle_timeout: Option<Duration>,
    /// From where on a pair flaps.
    pub flapping: FlapThresholds,
    /// Who logs in where nothing says otherwise.
    pub login: LoginDefaults,
    /// Up to when instants that nobody dealt with are missed, and not run: the store was restored then.
    pub missed_until: Option<Timestamp>,
    /// Alf is stopping: no instant is claimed, no run accepted any more, by whichever life of an actor.
    pub stopping: AtomicBool,
}

impl NodeParts {
    /// Whether anything may follow from what happens: else nothing of it is kept.
    pub(super) fn reacts(&self) -> bool {
        self.published.get().actions.values().any(|action| action.enabled)
    }

    /// Whether Alf is stopping.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// Who logs in where neither host nor credential says so.
#[derive(Debug, Clone, Default)]
pub struct LoginDefaults {
    /// `ssh.user`, else the user Alf runs as.
    pub user: String,
    /// `ssh.credential`: used by hosts that name none.
    pub credential: Option<Name>,
}
