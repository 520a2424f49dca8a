//! A host's connection as its runs see it: up or down, and why.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;

use crate::model::Reason;
use crate::ssh::{ConnectError, Ending, Exec, Session};

/// A host's connection.
#[derive(Clone, Default)]
pub(super) enum Link {
    /// Not asked for yet, or asked for and not there yet.
    #[default]
    Idle,
    /// The last try failed, or the connection was lost.
    Down(Failure),
    /// There.
    Up(Arc<OpenSession>),
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
}

impl OpenSession {
    pub(super) fn new(session: Arc<dyn Session>, generation: u64, open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self { session, generation, open: Arc::clone(open) }
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
