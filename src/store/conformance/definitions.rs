//! Definitions and the catalog's revision.

use super::samples::{at, name};
use super::{load, must};
use crate::model::{ContentHash, Noun, Reference};
use crate::store::{Blob, DefinitionChange, DefinitionRow, Store, StoreError};

fn row(noun: Noun, called: &str, version: u64) -> DefinitionRow {
    DefinitionRow {
        noun,
        name: name(called),
        version,
        created_at: at(0),
        updated_at: at(i64::try_from(version).unwrap_or_default()),
        body: format!(r#"{{"name":"{called}","note":"ünïcödé 🦀 \" \u0000","version":{version}}}"#),
        sealed: None,
    }
}

fn remove(noun: Noun, called: &str) -> DefinitionChange {
    DefinitionChange::Remove(Reference { noun, name: name(called) })
}

/// Every kind of definition comes back as it was put, is replaced and is removed.
pub(super) async fn round_trip(store: &dyn Store) {
    let start = load(store).await.revision;
    let mut rows: Vec<_> = Noun::ALL.iter().map(|noun| row(*noun, "same-name", 1)).collect();
    rows.push(row(Noun::HostTask, &format!("task@{}", "x".repeat(252)), u64::from(u32::MAX) + 1));
    rows.push(DefinitionRow { sealed: Some((0..=255).collect()), ..row(Noun::Credential, "Sealed", 1) });
    rows.push(DefinitionRow { sealed: Some(Vec::new()), ..row(Noun::Credential, "sealed", 1) });
    rows.push(DefinitionRow { body: format!("\"{}\"", "x".repeat(1 << 20)), ..row(Noun::Task, "big", 1) });
    let changes = rows.iter().cloned().map(DefinitionChange::Put).collect();
    let revision = must("put", store.change_definitions(start, changes).await);
    assert_eq!(revision, start + 1, "a change must answer revision + 1");
    rows.sort_by_key(|row| (row.noun, row.name.clone()));
    let loaded = load(store).await;
    assert_eq!(loaded.revision, revision, "load must give the new revision");
    assert_eq!(loaded.definitions, rows, "definitions must come back as they were put");

    let replaced = DefinitionRow { sealed: Some(b"secret".to_vec()), ..row(Noun::Host, "same-name", 2) };
    let changes = vec![
        DefinitionChange::Put(replaced.clone()),
        remove(Noun::Task, "big"),
        remove(Noun::Schedule, "was-never-there"),
        DefinitionChange::Put(row(Noun::Key, "brief", 1)),
        remove(Noun::Key, "brief"),
    ];
    let again = must("replace and remove", store.change_definitions(revision, changes).await);
    assert_eq!(again, revision + 1);
    rows.retain(|row| (row.noun, row.name.as_str()) != (Noun::Task, "big"));
    for row in &mut rows {
        if row.noun == Noun::Host {
            *row = replaced.clone();
        }
    }
    assert_eq!(load(store).await.definitions, rows, "what was replaced or removed must be, and nothing else");
    let empty = must("no change", store.change_definitions(again, Vec::new()).await);
    assert_eq!(empty, again + 1, "each call must move the revision on");
}

/// A change made on what is no longer so is refused as a whole.
pub(super) async fn stale_revisions(store: &dyn Store) {
    let before = load(store).await;
    let current = before.revision;
    for wrong in [current - 1, current + 1] {
        let changes = vec![remove(Noun::Host, "same-name"), DefinitionChange::Put(row(Noun::Host, "intruder", 1))];
        let answer = store.change_definitions(wrong, changes).await;
        assert_eq!(answer, Err(StoreError::Conflict { current }), "revision {wrong} is not {current}");
    }
    assert_eq!(load(store).await, before, "a refused change must change nothing");
}

/// Of two writers that change the same revision one wins, each time.
pub(super) async fn race(store: &dyn Store, other: &dyn Store) {
    for round in 0..20 {
        let revision = load(store).await.revision;
        let put = |called: &str| vec![DefinitionChange::Put(row(Noun::Schedule, called, round))];
        let (one, two) = futures_util::future::join(
            store.change_definitions(revision, put("race")),
            other.change_definitions(revision, put("race")),
        )
        .await;
        let current = revision + 1;
        let lost = Err(StoreError::Conflict { current });
        assert!(
            (one == Ok(current) && two == lost) || (two == Ok(current) && one == lost),
            "of two writers at one revision exactly one must win, got {one:?} and {two:?}"
        );
    }
    assert_eq!(load(store).await, load(other).await, "both must see the same in the end");
}

/// Bytes come back as they were put, are kept with the change they belong to, and are forgotten with it.
pub(super) async fn blobs(store: &dyn Store) {
    let every_byte: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let blob = |bytes: &[u8]| Blob { sha256: ContentHash::of(bytes), bytes: bytes.to_vec().into() };
    let (one, two) = (blob(&every_byte), blob(b"\0\xff"));
    let get = async |which: &Blob| must("blob", store.blob(which.sha256.clone()).await);
    assert_eq!(get(&one).await, None, "what was never put must not be there");

    let before = load(store).await.revision;
    let put = |which: &Blob| DefinitionChange::PutBlob(which.clone());
    let stale = store.change_definitions(before - 1, vec![put(&two)]).await;
    assert_eq!(stale, Err(StoreError::Conflict { current: before }));
    assert_eq!(get(&two).await, None, "a refused change must keep no bytes");
    let changes = vec![put(&one), put(&two), put(&two), DefinitionChange::Put(row(Noun::Program, "probe", 1))];
    let revision = must("put", store.change_definitions(before, changes).await);
    assert_eq!(get(&one).await, Some(one.bytes.clone()), "bytes must come back as they were put");
    assert_eq!(get(&two).await, Some(two.bytes.clone()), "putting the same bytes again must leave them there");

    let forget = |which: &Blob| DefinitionChange::RemoveBlob(which.sha256.clone());
    let changes = vec![forget(&two), forget(&blob(b"never put")), put(&one)];
    must("remove", store.change_definitions(revision, changes).await);
    assert_eq!(get(&two).await, None, "what was removed must be gone");
    assert_eq!(get(&one).await, Some(one.bytes.clone()), "nothing else must be");
}

/// The largest program is kept whole, and goes with all of it.
pub(super) async fn large_blob(store: &dyn Store) {
    let bytes: Vec<u8> = (0..=255).cycle().take(64 << 20).collect();
    let blob = Blob { sha256: ContentHash::of(&bytes), bytes: bytes.into() };
    let before = load(store).await.revision;
    let kept = must("put", store.change_definitions(before, vec![DefinitionChange::PutBlob(blob.clone())]).await);
    // Not shown where they differ.
    assert!(must("blob", store.blob(blob.sha256.clone()).await).as_ref() == Some(&blob.bytes), "64 MiB must be kept");
    let forget = vec![DefinitionChange::RemoveBlob(blob.sha256.clone())];
    must("remove", store.change_definitions(kept, forget).await);
    assert_eq!(must("blob", store.blob(blob.sha256).await), None);
}

/// The bytes that `blobs` left behind.
pub(super) async fn blob_left(store: &dyn Store) -> bool {
    let every_byte: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    must("blob", store.blob(ContentHash::of(&every_byte)).await).is_some_and(|bytes| *bytes == every_byte)
}
