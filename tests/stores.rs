//! Every store passes the one conformance suite, against the real thing.
#![expect(clippy::expect_used, reason = "this is a test")]

use std::path::PathBuf;
use std::sync::Arc;

use alf::store::Store;
use alf::store::conformance::{self, Harness};
use alf::store::sqlite::SqliteStore;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

/// A store in a directory.
struct InDirectory(PathBuf);

impl Harness for InDirectory {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        async { Arc::new(SqliteStore::open(&self.0).expect("the store opens")) as Arc<dyn Store> }.boxed()
    }
}

#[tokio::test]
async fn sqlite() {
    let directory = tempfile::tempdir().expect("a directory for the store");
    conformance::run(&InDirectory(directory.path().to_owned())).await;
}
