//! What is acknowledged stays, and is there once, whatever is done to what the store stands on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join;

use super::samples::{MINUTE, at, claim, full_status, id, name, result, save_with};
use super::{load, must, pages, pair};
use crate::model::RunId;
use crate::store::{Store, Write, Written};

/// How long until what did not go through is tried again.
const AGAIN: Duration = Duration::from_millis(50);
/// So many commits follow after all the harm is done.
const AFTERWARDS: usize = 20;

/// Writes all the time while this goes on, as the ledger does: a claim, and the Result of the one before.
pub(super) async fn writing(store: &dyn Store, harm: impl Future<Output = ()>) {
    let over = AtomicBool::new(false);
    let (host, task) = (name("harmed"), name("writing"));
    let writing = async {
        let (mut runs, mut left): (Vec<RunId>, usize) = (Vec::new(), AFTERWARDS);
        while left > 0 {
            left -= usize::from(over.load(Ordering::Relaxed));
            let n = i64::try_from(runs.len()).unwrap_or_default() + 1;
            let run = id(n * MINUTE);
            let mut writes = vec![claim(&host, &task, Some(at(n * MINUTE)), run)];
            let ended = runs.last().map(|last| save_with(result(&host, &task, *last), full_status(), None));
            writes.extend(ended);
            let written = again(store, &writes).await;
            assert_eq!(written.first(), Some(&Written::Claimed), "a claim that is repeated must still be ours");
            runs.push(run);
        }
        runs
    };
    let ((), runs) = join(
        async {
            harm.await;
            over.store(true, Ordering::Relaxed);
        },
        writing,
    )
    .await;
    let (Some(open), ended) = (runs.last(), runs.split_last().map(|(_, ended)| ended).unwrap_or_default()) else {
        return;
    };
    let mut newest = ended.to_vec();
    newest.reverse();
    assert_eq!(pages::all_ids(store).await, newest, "every Result that was acknowledged must be there, once");
    let results = must("counts", store.counts().await).results;
    assert_eq!(results, ended.len() as u64, "what is counted must be what is there");
    let record = pair(store, &host, &task).await;
    assert_eq!(record.open.iter().map(|run| &run.id).collect::<Vec<_>>(), [open], "the last run alone must be open");
    assert_eq!(record.status, full_status());
    assert_eq!(load(store).await.pairs.len(), 1);
}

/// Commits as the actor of the store does: until it goes through.
#[expect(clippy::panic, reason = "this is a test suite that lives in the library")]
async fn again(store: &dyn Store, writes: &[Write]) -> Vec<Written> {
    loop {
        match store.commit(writes.to_vec()).await {
            Ok(written) => return written,
            Err(error) if error.is_passing() => tokio::time::sleep(AGAIN).await,
            Err(error) => panic!("a commit was refused for good: {error}"),
        }
    }
}
