//! What was replaced or removed is not to be found in the files any more.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::model::{Noun, Reference};
use crate::store::DefinitionRow;

/// Whether these bytes are in one of the store's files.
fn found(directory: &TempDir, bytes: &[u8]) -> Vec<String> {
    let files = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let with = files.filter(|file| fs::read(file).unwrap().windows(bytes.len()).any(|window| window == bytes));
    with.map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

fn sealed(called: &str, mark: u8, length: usize) -> DefinitionChange {
    let sealed = (0..length).map(|n| mark ^ (n % 251) as u8).collect();
    DefinitionChange::Put(DefinitionRow {
        noun: Noun::Credential,
        name: name(called),
        version: 1,
        created_at: at(0),
        updated_at: at(0),
        body: "{}".to_owned(),
        sealed: Some(sealed),
    })
}

fn bytes(mark: u8) -> Vec<u8> {
    (0..40).map(|n| mark ^ n).collect()
}

#[tokio::test]
async fn no_old_secret_is_left_in_a_file() {
    let (directory, store) = store();
    // Some fit into a page of the database, others need pages of their own.
    let sizes = [40, 200, 3000, 10_000, 50_000];
    let put = |mark: u8| (0..50).map(move |n| sealed(&format!("c{n}"), mark, sizes[n % sizes.len()]));
    let mut revision = store.change_definitions(0, put(0x55).collect()).await.unwrap();
    assert!(!found(&directory, &bytes(0x55)).is_empty());
    revision = store.change_definitions(revision, put(0xaa).collect()).await.unwrap();
    store.scrub().await.unwrap();
    assert_eq!(found(&directory, &bytes(0x55)), Vec::<String>::new());
    assert_eq!(found(&directory, &bytes(0xaa)), [FILE]);
    let gone =
        (0..50).map(|n| DefinitionChange::Remove(Reference { noun: Noun::Credential, name: name(&format!("c{n}")) }));
    store.change_definitions(revision, gone.collect()).await.unwrap();
    store.scrub().await.unwrap();
    assert_eq!(found(&directory, &bytes(0xaa)), Vec::<String>::new());
    store.close().await;
}

#[tokio::test]
async fn a_read_that_goes_on_is_said_to_be_in_the_way() {
    let (directory, store) = store();
    on_writer(&store, |connection| connection.busy_timeout(Duration::ZERO).unwrap()).await;
    let reader = stranger(&directory);
    reader.execute_batch("BEGIN; SELECT * FROM catalog").unwrap();
    store.change_definitions(0, vec![sealed("c", 1, 40)]).await.unwrap();
    is_unavailable(store.scrub().await, "its log is in use");
    reader.execute_batch("COMMIT").unwrap();
    store.scrub().await.unwrap();
    store.close().await;
}
