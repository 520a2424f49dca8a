//! Reading: a few read-only connections, each read with a time limit, all of it off the async threads.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, InterruptHandle};
use tokio::sync::Semaphore;

use super::connect;
use super::fault::Fault;
use crate::store::StoreError;

/// How many reads go on at once; more wait.
const CONNECTIONS: u32 = 2;

/// How long one may take, waiting included.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// The pool.
#[derive(Debug, Clone)]
pub(super) struct Readers(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    file: PathBuf,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    fn take(&self) -> Result<Connection, Fault> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| connect::reader(&self.file), Ok)
    }

    fn give_back(&self, connection: Connection) {
        // After `close` nothing may stay open.
        if !self.permits.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

/// Tells a read that nobody waits for it any more.
#[derive(Default)]
pub(super) struct Cancelled {
    flag: AtomicBool,
    /// Only there while the connection is at work for this read, or another's would be interrupted.
    handle: Mutex<Option<InterruptHandle>>,
}

impl Cancelled {
    /// An error once nobody waits: to be asked between two statements, as SQLite only interrupts a running one.
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.flag.load(Ordering::Acquire) { Err(Fault::Cancelled) } else { Ok(()) }
    }

    fn begin(&self, connection: &Connection) {
        *self.handle.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection.get_interrupt_handle());
    }

    fn end(&self) {
        *self.handle.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Cancels when it is dropped.
struct Waiting(Arc<Cancelled>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.flag.store(true, Ordering::Release);
        if let Some(handle) = &*self.0.handle.lock().unwrap_or_else(PoisonError::into_inner) {
            handle.interrupt();
        }
    }
}

impl Readers {
    /// A pool for this database; opens nothing yet.
    pub(super) fn new(file: &Path) -> Self {
        let permits = Arc::new(Semaphore::new(CONNECTIONS as usize));
        Self(Arc::new(Pool { file: file.to_owned(), permits, idle: Mutex::default() }))
    }

    /// Reads in one transaction, so that all of it is of one moment.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce(&Connection, &Cancelled) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(limit, self.unlimited(work)).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::Cancelled.at(&self.0.file)),
        }
    }

    async fn unlimited<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &Cancelled) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let pool = Arc::clone(&self.0);
        let permit = Arc::clone(&pool.permits).acquire_owned().await.map_err(|_| Fault::Closed.at(&pool.file))?;
        let waiting = Waiting(Arc::default());
        let cancelled = Arc::clone(&waiting.0);
        let task = tokio::task::spawn_blocking(move || {
            let answer = pool.take().and_then(|mut connection| {
                cancelled.begin(&connection);
                let answer = in_transaction(&mut connection, |connection| work(connection, &cancelled));
                cancelled.end();
                if !answer.as_ref().is_err_and(Fault::spoils_connection) {
                    pool.give_back(connection);
                }
                answer
            });
            drop(permit);
            answer.map_err(|fault| fault.at(&pool.file))
        });
        let answer = task.await.map_err(|_| Fault::Died("a read").at(&self.0.file))?;
        drop(waiting);
        answer
    }

    /// Lets the reads that go on end and closes what is open.
    pub(super) async fn close(&self) {
        let all = tokio::time::timeout(LIMIT, self.0.permits.acquire_many(CONNECTIONS)).await;
        self.0.permits.close();
        drop(all);
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn in_transaction<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let transaction = connection.transaction()?;
    let answer = work(&transaction)?;
    transaction.commit()?;
    Ok(answer)
}
