//! What a crash leaves: the file and its log as they are at any moment, the log's end cut off or wrong.

use super::*;

/// A store that was never closed, in a directory of its own, with the log changed.
fn as_left(directory: &TempDir, change: impl FnOnce(&mut Vec<u8>)) -> (TempDir, SqliteStore) {
    let left = tempfile::tempdir().unwrap();
    fs::copy(directory.path().join(FILE), left.path().join(FILE)).unwrap();
    let mut wal = fs::read(directory.path().join("alf.db-wal")).unwrap();
    change(&mut wal);
    fs::write(left.path().join("alf.db-wal"), wal).unwrap();
    let store = SqliteStore::open(left.path()).unwrap();
    (left, store)
}

/// How many of these commits are there; they must be the first ones, each as a whole.
async fn kept(store: &SqliteStore, commits: &[[RunId; 2]]) -> usize {
    let mut found = Vec::new();
    for commit in commits {
        let mut both = Vec::new();
        for id in commit {
            both.push(store.result(*id).await.unwrap().is_some());
        }
        assert_eq!(both[0], both[1], "a commit is there as a whole or not at all");
        found.push(both[0]);
    }
    let kept = found.iter().take_while(|there| **there).count();
    assert!(!found[kept..].contains(&true), "no commit may be there without those before it");
    kept
}

#[tokio::test]
async fn a_damaged_end_of_the_log_costs_only_what_comes_after() {
    let (directory, store) = store();
    let mut commits = Vec::new();
    let mut ends = Vec::new();
    for i in 0..12_u64 {
        let pair = [any_result(), any_result()];
        commits.push([pair[0].id, pair[1].id]);
        store.commit(pair.into_iter().map(save).collect()).await.unwrap();
        if i == 5 {
            // Half of it is in the file proper.
            on_writer(&store, |connection| {
                connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
            })
            .await;
        }
        ends.push(size(&directory.path().join("alf.db-wal")) as usize);
    }
    let (_left, whole) = as_left(&directory, |_| {});
    assert_eq!(kept(&whole, &commits).await, 12, "a crash loses nothing that was answered");

    let end = ends[11];
    for i in 0..24 {
        let cut = end * i / 24 + i % 3;
        let (_left, store) = as_left(&directory, |wal| wal.truncate(cut));
        let there = kept(&store, &commits).await;
        assert!(there >= 6, "what is in the file proper stays");
        store.commit(vec![save(any_result())]).await.unwrap();
        assert_eq!(store.results(all()).await.unwrap().total, 2 * there as u64 + 1, "and it goes on");

        let (_left, store) = as_left(&directory, |wal| {
            let at = (end * i / 24 + 17).min(wal.len() - 1);
            wal[at] ^= 0xFF;
        });
        assert!(kept(&store, &commits).await >= 6);
        store.check().await.unwrap();
    }
}
