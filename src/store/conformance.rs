//! The conformance suite: every promise of the `Store` trait, tried out. A backend is done when it passes this against
//! the real thing. It panics at the first broken promise and says which.

mod actions;
mod audit;
mod claims;
mod definitions;
mod forgetting;
mod harmed;
mod leases;
mod once;
mod pages;
mod results;
mod retention;
pub(super) mod samples;
mod saves;
pub(super) mod sources;
mod standing;
mod told;

use std::fmt::Display;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Loaded, PairRecord, Store, Write, Written};
use crate::model::{Name, PairStatus};

/// Hands the suite the store under test.
pub trait Harness: Sync {
    /// Opens the store: empty the first time, later with what is in it. The suite has it open twice at times, as two
    /// nodes would.
    fn open(&self) -> BoxFuture<'_, Arc<dyn Store>>;

    /// Whether leases can be tried, which go by the store's clock: a stand-in for a server may not compare with it.
    fn compares_with_its_clock(&self) -> bool {
        true
    }
}

/// Tries out every promise.
pub async fn run(harness: &impl Harness) {
    let store = harness.open().await;
    let other = harness.open().await;
    assert!(!store.kind().is_empty(), "a store must say what kind it is");
    assert_eq!(load(&*store).await, Loaded::default(), "a new store must be empty");
    must("check", store.check().await);

    definitions::round_trip(&*store).await;
    definitions::stale_revisions(&*store).await;
    definitions::blobs(&*store).await;
    definitions::large_blob(&*store).await;
    definitions::race(&*store, &*other).await;
    audit::entries(&*store).await;
    audit::goes_with_the_change(&*store).await;
    claims::conditions(&*store).await;
    claims::ad_hoc(&*store).await;
    claims::repeated(&*store).await;
    claims::race(&*store, &*other).await;
    sources::in_order(&*store).await;
    saves::settling(&*store).await;
    saves::repeated(&*store).await;
    saves::never_back(&*store).await;
    saves::statuses(&*store).await;
    saves::order(&*store).await;
    saves::noting_a_kill(&*store).await;
    saves::forgetting(&*store).await;
    saves::host_keys(&*store).await;
    standing::statuses(&*store).await;
    standing::hosts(&*store).await;
    standing::pause(&*store).await;
    standing::missed_until(&*store).await;
    saves::key_uses(&*store).await;
    once::remembering(&*store).await;
    once::with_definitions(&*store).await;
    once::forgetting(&*store).await;
    actions::events(&*store).await;
    actions::outcomes(&*store).await;
    actions::notifications(&*store).await;
    told::filters(&*store).await;
    if harness.compares_with_its_clock() {
        leases::turns(&*store, &*other).await;
        leases::race(&*store, &*other).await;
        leases::fences(&*store, &*other).await;
    }
    leases::news(&*store, &*other).await;
    results::round_trip(&*store).await;
    results::twins(&*store).await;
    results::large(&*store).await;
    pages::filters(&*store).await;
    pages::paging(&*store).await;
    pages::paging_while_written(&*store, &*other).await;
    retention::old_ones(&*store).await;
    retention::surplus(&*store).await;
    retention::removing(&*store).await;
    retention::sweeping(&*store).await;
    retention::by_size(&*store).await;
    forgetting::traces(&*store).await;
    forgetting::notifications(&*store).await;
    reopening(harness, store, other).await;
}

/// Tries out that what is acknowledged stays while harm is done to what the store stands on, and that it goes on
/// afterwards. The store must be empty.
pub async fn harmed(harness: &impl Harness, harm: impl Future<Output = ()>) {
    let store = harness.open().await;
    harmed::writing(&*store, harm).await;
    store.close().await;
}

/// What was written is there after the store was closed, and stays as it was.
async fn reopening(harness: &impl Harness, store: Arc<dyn Store>, other: Arc<dyn Store>) {
    let before = (load(&*store).await, must("counts", store.counts().await).results, pages::all_ids(&*store).await);
    assert!(before.1 > 0 && before.1 == before.2.len() as u64, "counts().results must be the number of all Results");
    other.close().await;
    store.close().await;
    for _ in 0..2 {
        let store = harness.open().await;
        must("check after reopening", store.check().await);
        let counts = must("counts", store.counts().await);
        assert_eq!(load(&*store).await, before.0, "what load() gives must be the same after reopening");
        assert_eq!(counts.results, before.1, "the number of Results must be the same after reopening");
        assert_eq!(pages::all_ids(&*store).await, before.2, "all Results must be there after reopening");
        assert!(definitions::blob_left(&*store).await, "bytes must be there after reopening");
        assert!(once::one_left(&*store).await, "a request must be remembered after reopening");
        store.close().await;
        assert!(store.check().await.is_err(), "a closed store must not say that it can be written to");
        assert!(store.commit(Vec::new()).await.is_err(), "a closed store must refuse writes");
    }
}

/// The value, or a panic that says what failed.
#[expect(clippy::panic, reason = "this is a test suite that lives in the library")]
fn must<T, E: Display>(what: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{what} failed: {error}"))
}

/// All there is, in a fixed order.
async fn load(store: &dyn Store) -> Loaded {
    let mut loaded = must("load", store.load().await);
    loaded.definitions.sort_by_key(|row| (row.noun, row.name.clone()));
    loaded.host_keys.sort_by_key(|record| record.host.clone());
    loaded.hosts.sort_by_key(|(host, _)| host.clone());
    loaded.key_uses.sort();
    loaded.pairs.sort_by_key(|pair| (pair.host.clone(), pair.task.clone()));
    for pair in &mut loaded.pairs {
        pair.open.sort_by_key(|open| open.id);
    }
    // A record with nothing in it may be kept or not.
    let nothing = |pair: &PairRecord| {
        pair.claimed_until.is_none() && pair.open.is_empty() && pair.status == PairStatus::default()
    };
    loaded.pairs.retain(|pair| !nothing(pair));
    loaded
}

/// The record of a pair, an empty one if there is none.
async fn pair(store: &dyn Store, host: &Name, task: &Name) -> PairRecord {
    let mut pairs = load(store).await.pairs;
    pairs.retain(|pair| pair.host == *host && pair.task.as_ref() == Some(task));
    assert!(pairs.len() <= 1, "there must be one record of a pair, not {}", pairs.len());
    pairs.pop().unwrap_or_else(|| PairRecord {
        host: host.clone(),
        task: Some(task.clone()),
        claimed_until: None,
        open: Vec::new(),
        status: PairStatus::default(),
    })
}

async fn commit(store: &dyn Store, writes: Vec<Write>) -> Vec<Written> {
    let asked = writes.len();
    let answers = must("commit", store.commit(writes).await);
    assert_eq!(answers.len(), asked, "commit must give one answer for each write");
    answers
}

async fn commit_one(store: &dyn Store, write: Write) -> Written {
    commit(store, vec![write]).await[0]
}
