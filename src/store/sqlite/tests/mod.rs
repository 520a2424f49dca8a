//! What only this backend can get wrong; what it promises is tried out by the conformance suite.

mod crash;
mod fault;
mod opening;
mod pages;
mod scrubbing;
mod threads;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::model::Name;
use crate::store::conformance::samples::{at, id, name, result, save};

fn store() -> (TempDir, SqliteStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    (directory, store)
}

/// A connection to the database past the store, as another program has it.
fn stranger(directory: &TempDir) -> Connection {
    let connection = Connection::open(directory.path().join(FILE)).unwrap();
    connection.busy_timeout(Duration::ZERO).unwrap();
    connection
}

/// A new Result of the pair `host`, `task`.
fn any_result() -> RunResult {
    result(&name("host"), &name("task"), id(0))
}

fn all() -> ResultQuery {
    ResultQuery { limit: 1000, ..ResultQuery::default() }
}

/// Has something done with the writer's own connection.
async fn on_writer(store: &SqliteStore, work: impl FnOnce(&Connection) + Send + 'static) {
    let done = store.writer.call(move |desk| {
        work(desk.connection());
        Ok(())
    });
    done.await.unwrap();
}

/// Whether an error is one that passes, and says this.
fn is_unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>, said: &str) {
    let error = answer.unwrap_err();
    assert!(error.is_passing(), "{error:?}");
    assert!(error.to_string().contains(said), "{error}");
    assert!(error.to_string().contains("alf.db: "), "the file must be named: {error}");
    assert!(!error.to_string().contains('\n'));
}

fn claim(host: &Name, task: &Name, run: RunId) -> Write {
    crate::store::conformance::samples::claim(host, task, Some(at(0)), run)
}
