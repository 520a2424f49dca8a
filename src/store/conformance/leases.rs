//! What several nodes on one store need: leases that fence off who lost them, and news of changed definitions.

use std::time::Duration;

use futures_util::future::join_all;

use super::samples::{MINUTE, at, claim, id, name};
use super::{commit, load, must, pair};
use crate::model::{Noun, Reference};
use crate::store::{DefinitionChange, Lease, Store, StoreError, Write, Written};

/// Long enough not to end meanwhile.
const LONG: Duration = Duration::from_secs(600);
/// Soon over.
const SHORT: Duration = Duration::from_millis(200);
/// Between two looks.
const MOMENT: Duration = Duration::from_millis(20);

async fn take(store: &dyn Store, bucket: u32, holder: &str, time: Duration) -> Option<Lease> {
    must("take", store.take_lease(bucket, holder.to_owned(), time).await)
}

/// Who takes a bucket has it until it is over or given back.
pub(super) async fn turns(store: &dyn Store, other: &dyn Store) {
    let mine = take(store, 7, "a", LONG).await.filter(|lease| lease.bucket == 7);
    let Some(mine) = mine else { return assert_eq!(mine, None, "a bucket that nobody has must be free") };
    assert_eq!(take(other, 7, "b", LONG).await, None, "a bucket that somebody has must not be free");
    assert!(take(other, 8, "b", LONG).await.is_some(), "buckets must not disturb each other");
    assert!(must("renew", store.renew_lease(mine, SHORT).await), "who has it may have it for another while");
    let theirs = loop {
        if let Some(theirs) = take(other, 7, "b", LONG).await {
            break theirs;
        }
        tokio::time::sleep(MOMENT).await;
    };
    assert!(theirs.fence > mine.fence, "each who takes it must get a higher fence");
    assert!(!must("renew", store.renew_lease(mine, LONG).await), "what somebody else has cannot be renewed");
    must("release", store.release_lease(mine).await);
    assert_eq!(take(store, 7, "a", LONG).await, None, "nor given back");
    let again = take(other, 7, "b", LONG).await;
    assert!(again.is_some_and(|again| again.fence > theirs.fence), "who has it may take it again");
    let Some(again) = again else { return };
    must("release", other.release_lease(again).await);
    must("release", other.release_lease(again).await);
    assert!(!must("renew", other.renew_lease(again, LONG).await), "what was given back cannot be renewed");
    let back = take(store, 7, "a", LONG).await;
    assert!(back.is_some_and(|back| back.fence > again.fence), "what was given back must be free at once");
}

/// Of many who take a bucket at once one gets it.
pub(super) async fn race(store: &dyn Store, other: &dyn Store) {
    for bucket in 100..105 {
        let all = (0..16).map(|n| take(if n % 2 == 0 { store } else { other }, bucket, HOLDERS[n], LONG));
        let won = join_all(all).await.into_iter().flatten().count();
        assert_eq!(won, 1, "of 16 who take one bucket exactly one must get it");
    }
}

const HOLDERS: [&str; 16] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"];

/// Who has lost a bucket, and does not know yet, writes nothing under it.
pub(super) async fn fences(store: &dyn Store, other: &dyn Store) {
    let (host, task) = (name("leases"), name("fences"));
    let under = |lease, n| vec![Write::Under(lease), claim(&host, &task, Some(at(n * MINUTE)), id(n))];
    let old = loop {
        if let Some(lease) = take(store, 9, "a", SHORT).await {
            break lease;
        }
        tokio::time::sleep(MOMENT).await;
    };
    let written = commit(store, under(old, 1)).await;
    assert_eq!(written, [Written::Done, Written::Claimed], "who has it must be able to write");
    let new = loop {
        if let Some(lease) = take(other, 9, "b", LONG).await {
            break lease;
        }
        tokio::time::sleep(MOMENT).await;
    };
    let refused = Err(StoreError::Fenced { bucket: 9 });
    assert_eq!(store.commit(under(old, 2)).await, refused, "who has lost it must not");
    assert_eq!(store.commit(under(Lease { bucket: 10_000, fence: 1 }, 2)).await.ok(), None, "nor who never had it");
    let mixed = [under(new, 3), under(old, 4)].concat();
    assert_eq!(other.commit(mixed).await, refused, "of such a commit nothing must be done");
    assert_eq!(pair(store, &host, &task).await.claimed_until, Some(at(MINUTE)));
    assert_eq!(commit(other, under(new, 2)).await, [Written::Done, Written::Claimed]);
    must("release", other.release_lease(new).await);
    assert_eq!(other.commit(under(new, 5)).await, refused, "who has given it back must not");
    assert_eq!(pair(store, &host, &task).await.claimed_until, Some(at(2 * MINUTE)));
}

/// What one changes the other sees.
pub(super) async fn news(store: &dyn Store, other: &dyn Store) {
    let before = load(store).await;
    let since = async |revision| must("definitions_since", other.definitions_since(revision).await);
    assert_eq!(since(before.revision).await, None, "nothing has changed");
    let gone = DefinitionChange::Remove(Reference { noun: Noun::Host, name: name("same-name") });
    let revision = must("change", store.change_definitions(before.revision, vec![gone]).await);
    let found = since(before.revision).await;
    let Some((at, mut rows)) = found else { return assert!(found.is_some(), "a change must be seen by others") };
    rows.sort_by_key(|row| (row.noun, row.name.clone()));
    assert_eq!((at, &rows), (revision, &load(store).await.definitions), "all definitions as they are now");
    assert_eq!(rows.len() + 1, before.definitions.len());
    assert_eq!(since(revision).await, None);
}
