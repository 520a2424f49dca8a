//! Reading: a few read-only connections, each read with a time limit, all of it off the async threads.

use std::path::{Path, PathBuf};
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

/// Where a read is, for whoever gives up waiting for it.
#[derive(Default)]
enum Stage {
    #[default]
    Waiting,
    /// It can be interrupted. Not so before, nor after: the connection may be at work for another read.
    Reading(InterruptHandle),
    Ended,
    /// Nobody waits for it any more.
    GivenUp,
}

/// Gives a read up when it is dropped.
struct Waiter(Arc<Mutex<Stage>>);

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Stage::Reading(handle) = enter(&self.0, Stage::GivenUp) {
            handle.interrupt();
        }
    }
}

/// Goes on to a stage; the one before.
fn enter(stage: &Mutex<Stage>, next: Stage) -> Stage {
    std::mem::replace(&mut *stage.lock().unwrap_or_else(PoisonError::into_inner), next)
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
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(limit, self.unlimited(work)).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::GivenUp.at(&self.0.file)),
        }
    }

    async fn unlimited<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let pool = Arc::clone(&self.0);
        let permit = Arc::clone(&pool.permits).acquire_owned().await.map_err(|_| Fault::Closed.at(&pool.file))?;
        let waiter = Waiter(Arc::default());
        let stage = Arc::clone(&waiter.0);
        let task = tokio::task::spawn_blocking(move || {
            let answer = pool.take().and_then(|mut connection| {
                let answer = of_one_moment(&mut connection, &stage, work);
                enter(&stage, Stage::Ended);
                if !answer.as_ref().is_err_and(Fault::spoils_connection) {
                    pool.give_back(connection);
                }
                answer
            });
            drop(permit);
            answer.map_err(|fault| fault.at(&pool.file))
        });
        let answer = task.await.map_err(|_| Fault::Died("a read").at(&self.0.file))?;
        drop(waiter);
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

/// Reads in one transaction that can be interrupted.
fn of_one_moment<T>(
    connection: &mut Connection,
    stage: &Mutex<Stage>,
    work: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let handle = connection.get_interrupt_handle();
    let transaction = connection.transaction()?;
    // SQLite forgets an interrupt when a statement begins while no other goes on: so one goes on.
    let mut lasting = transaction.prepare_cached("SELECT 1 UNION ALL SELECT 2")?;
    let mut rows = lasting.query([])?;
    rows.next()?;
    if let Stage::GivenUp = enter(stage, Stage::Reading(handle)) {
        return Err(Fault::GivenUp);
    }
    let answer = work(&transaction)?;
    drop(rows);
    drop(lasting);
    transaction.commit()?;
    Ok(answer)
}
