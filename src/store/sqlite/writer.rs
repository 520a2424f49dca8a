//! Writing: one connection on its own thread, with a bounded queue in front of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::fault::Fault;
use super::results::Known;
use super::{connect, schema};
use crate::store::StoreError;

/// How many transactions may wait. Whoever comes then waits for a place.
const QUEUE: usize = 64;

/// How long to wait for a place in the queue.
const PLACE: Duration = Duration::from_secs(30);

type Job = Box<dyn FnOnce(&mut Desk) + Send>;

/// The writer's thread, seen from outside.
#[derive(Debug)]
pub(super) struct Writer {
    file: PathBuf,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer's thread works with.
#[derive(Debug)]
pub(super) struct Desk {
    file: PathBuf,
    /// None after an error that may lie with the connection.
    connection: Option<Connection>,
    known: Known,
    jobs: mpsc::Receiver<Job>,
}

impl Desk {
    /// Whether somebody waits for the writer, or for its end.
    pub(super) fn is_wanted(&self) -> bool {
        !self.jobs.is_empty() || self.jobs.is_closed()
    }

    /// Works in one transaction: all of it is on disk afterwards, or nothing.
    pub(super) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &mut Known) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let answer = self.attempt(work);
        if let Err(fault) = &answer {
            self.known.forget();
            if fault.spoils_connection() {
                self.connection = None;
            }
        }
        answer
    }

    /// Brings all that is in the write-ahead log into the database and cuts the log to nothing: pages as they were
    /// before stay in it otherwise, until they are written over. Waits a while for reads to end.
    pub(super) fn empty_log(&mut self) -> Result<(), Fault> {
        self.alone(|connection| {
            let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
            if busy { Err(Fault::LogInUse) } else { Ok(()) }
        })
    }

    /// Works with the connection by itself, in no transaction of its own.
    pub(super) fn alone<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        work(connected(&mut self.connection, &self.file)?)
    }

    fn attempt<T>(&mut self, work: impl FnOnce(&Transaction<'_>, &mut Known) -> Result<T, Fault>) -> Result<T, Fault> {
        let known = &mut self.known;
        let transaction =
            Transaction::new(connected(&mut self.connection, &self.file)?, TransactionBehavior::Immediate)?;
        let answer = work(&transaction, known)?;
        transaction.commit()?;
        Ok(answer)
    }

    /// The connection itself.
    #[cfg(test)]
    pub(super) fn connection(&mut self) -> &mut Connection {
        connected(&mut self.connection, &self.file).unwrap()
    }
}

fn connected<'a>(connection: &'a mut Option<Connection>, file: &Path) -> Result<&'a mut Connection, Fault> {
    match connection {
        Some(connection) => Ok(connection),
        none => {
            let again = connect::writer(file)?;
            if !matches!(schema::owner(&again)?, schema::Owner::Usable) {
                return Err(Fault::Unreadable("another database lies in its place".to_owned()));
            }
            connect::set_up(&again)?;
            Ok(none.insert(again))
        }
    }
}

impl Writer {
    /// Starts the thread with this connection.
    pub(super) fn start(file: &Path, connection: Connection) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let desk = Desk { file: file.to_owned(), connection: Some(connection), known: Known::default(), jobs: queue };
        let thread = thread::Builder::new().name("alf-sqlite".to_owned()).spawn(move || work_off(desk))?;
        Ok(Self { file: file.to_owned(), jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) })
    }

    /// Has something done on the writer's thread. It is in the queue when this returns, unless the queue is full, and
    /// will be done even if the future is dropped.
    pub(super) fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Desk) -> Result<T, Fault> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |desk| {
            // Who asked may have gone away: it is done all the same.
            let _ = answer.send(work(desk).map_err(|fault| fault.at(&desk.file)));
        });
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(jobs) = jobs else { return ready(Err(Fault::Closed.at(&self.file))).boxed() };
        match jobs.try_send(job) {
            Ok(()) => self.answer(answered).boxed(),
            Err(TrySendError::Closed(_)) => ready(Err(Fault::Died("the writer").at(&self.file))).boxed(),
            Err(TrySendError::Full(job)) => async move {
                match jobs.send_timeout(job, PLACE).await {
                    Ok(()) => self.answer(answered).await,
                    Err(_) => Err(Fault::QueueFull(QUEUE).at(&self.file)),
                }
            }
            .boxed(),
        }
    }

    /// Waits on a blocking thread: tokio's paused time, in tests, then stands still until the answer is there instead
    /// of jumping ahead as if nothing was going on.
    async fn answer<T: Send + 'static>(
        &self,
        answered: oneshot::Receiver<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match tokio::task::spawn_blocking(move || answered.blocking_recv()).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(Fault::Died("a write").at(&self.file)),
        }
    }

    /// Lets what is queued be done, then ends the thread and closes its connection.
    pub(super) async fn close(&self) {
        if let Some(thread) = self.stop() {
            // It only fails when the thread panicked, and then it is over, too.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    fn stop(&self) -> Option<JoinHandle<()>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Writer {
    /// A store that was not closed still ends with all it was given on disk.
    fn drop(&mut self) {
        if let Some(thread) = self.stop() {
            let _ = thread.join();
        }
    }
}

fn work_off(mut desk: Desk) {
    while let Some(job) = desk.jobs.blocking_recv() {
        if catch_unwind(AssertUnwindSafe(|| job(&mut desk))).is_err() {
            // Nobody knows what it left behind.
            desk.known.forget();
            desk.connection = None;
        }
    }
}
