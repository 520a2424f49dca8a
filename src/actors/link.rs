//! A host's connection as its runs see it: up or down, and why.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::model::{Name, Reason};
use crate::ssh::{ConnectError, Ending, Exec, KillReport, Leftover, Session, Via};

/// A host's connection.
#[derive(Clone, Default)]
pub(super) enum Link {
    /// Not asked for yet, or asked for and not there yet.
    #[default]
    Idle,
    /// The last try failed, or the connection was lost.
    Down(Failure),
    /// There: its places are given by [`super::places::Places`].
    Up,
}

/// Why there is no connection.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// As a Result has it.
    pub(super) reason: Reason,
    /// In words.
    pub(super) message: String,
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let reason = match error {
            ConnectError::Unreachable { .. } => Reason::Unreachable,
            ConnectError::Auth { .. } => Reason::Auth,
            ConnectError::HostKey { .. } => Reason::HostKey,
        };
        Self { reason, message: error.to_string() }
    }
}

/// A session that closes when the last run on it is done and the host wants it no more.
pub(super) struct OpenSession {
    session: Arc<dyn Session>,
    /// Counts it until it is closed.
    open: Arc<AtomicUsize>,
    /// Which connection of the host it is.
    pub(super) generation: u64,
    /// The jump host's connection that it goes through: kept for as long as this one.
    _through: Option<Arc<OpenSession>>,
}

impl OpenSession {
    pub(super) fn new(
        session: Arc<dyn Session>,
        generation: u64,
        open: &Arc<AtomicUsize>,
        through: Option<Arc<Self>>,
    ) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self { session, generation, open: Arc::clone(open), _through: through }
    }

    /// The way on to a host behind this one.
    pub(super) fn via(&self, host: Name) -> Via {
        Via { host, session: Arc::clone(&self.session) }
    }

    pub(super) fn refused(&self) -> u64 {
        self.session.refused()
    }

    pub(super) fn refusal(&self) -> Option<String> {
        self.session.refusal()
    }

    pub(super) fn sweep(&self, leftover: Leftover) -> BoxFuture<'static, KillReport> {
        self.session.sweep(leftover)
    }

    /// Whether it is lost.
    pub(super) fn is_lost(&self) -> bool {
        self.session.lost().now_or_never().is_some()
    }

    pub(super) fn exec(&self, exec: Exec) -> BoxFuture<'static, Ending> {
        self.session.exec(exec)
    }

    pub(super) fn lost(&self) -> BoxFuture<'static, String> {
        self.session.lost()
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        // Outside of a runtime (the process is ending) the operating system closes it.
        if tokio::runtime::Handle::try_current().is_ok() {
            let (closing, open) = (self.session.close(), Arc::clone(&self.open));
            tokio::spawn(async move {
                closing.await;
                open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }
}
