//! Opening: what is made, what is refused.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::model::nagios::perfdata;
use crate::model::{Cause, ContentHash, Trigger};
use crate::store::{Blob, DefinitionChange};

fn refused(directory: &TempDir, said: &str) {
    let error = SqliteStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(said) && text.contains("alf.db"), "{text}");
    assert!(!error.is_passing());
}

#[tokio::test]
async fn its_files_are_for_the_owner_only() {
    let (directory, store) = store();
    store.commit(vec![save(any_result())]).await.unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["alf.db", "alf.db-shm", "alf.db-wal"]);
    drop(store);
    fs::set_permissions(directory.path().join(FILE), fs::Permissions::from_mode(0o644)).unwrap();
    let _again = SqliteStore::open(directory.path()).unwrap();
    let mode = fs::metadata(directory.path().join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "one that others can read is closed to them");
}

#[tokio::test]
async fn a_commit_is_on_disk_before_it_is_answered() {
    let (_directory, store) = store();
    for _ in 0..2 {
        on_writer(&store, |connection| {
            let number =
                |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).unwrap();
            assert_eq!(number("synchronous"), 2, "FULL");
            assert_eq!(number("auto_vacuum"), 2, "INCREMENTAL, or a dropped day gives nothing back");
            assert_eq!(number("mmap_size"), 0);
            let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
            assert_eq!(mode, "wal");
        })
        .await;
        // Once more with the connection that is opened after an error.
        let lost =
            store.writer.call(|desk| desk.transaction(|_, _| Err::<(), _>(Fault::Sql(rusqlite::Error::InvalidQuery))));
        assert!(lost.await.is_err());
    }
}

#[tokio::test]
async fn closed_it_is_one_file() {
    let (directory, store) = store();
    store.commit(vec![save(any_result())]).await.unwrap();
    store.results(all()).await.unwrap();
    store.close().await;
    let names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["alf.db"]);
    is_unavailable(store.results(all()).await, "it is closed");
    is_unavailable(store.check().await, "it is closed");
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let (directory, store) = store();
    drop(store);
    let file = directory.path().join(FILE);
    stranger(&directory).pragma_update(None, "user_version", 99).unwrap();
    stranger(&directory).pragma_update(None, "journal_mode", "DELETE").unwrap();
    let before = fs::read(&file).unwrap();
    let error = SqliteStore::open(directory.path()).unwrap_err();
    assert_eq!(error, StoreError::Newer { place: file.display().to_string(), found: 99, known: schema::NEWEST });
    assert!(error.to_string().contains("use the newer Alf"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn one_of_the_first_schema_is_brought_up_to_date_with_all_that_is_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let old = stranger(&directory);
    old.execute_batch(schema::OLDEST).unwrap();
    old.execute_batch(
        "PRAGMA application_id = 1097623041; PRAGMA user_version = 1; UPDATE catalog SET revision = 7;
         INSERT INTO definitions VALUES ('host', 'web1', 3, 1000, 2000, '{\"name\":\"web1\"}', NULL);",
    )
    .unwrap();
    drop(old);
    fs::write(directory.path().join("alf.db.schema-0"), "an earlier copy").unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    let copy = directory.path().join("alf.db.schema-1");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let count = |sql: &str| Connection::open(&copy).unwrap().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((count("PRAGMA user_version"), count("SELECT revision FROM catalog")), (1, 7), "as it was");
    assert!(!directory.path().join("alf.db.schema-0").exists(), "the last copy alone is kept");
    let loaded = store.load().await.unwrap();
    assert_eq!((loaded.revision, loaded.definitions.len()), (7, 1));
    assert_eq!(loaded.definitions[0].body, r#"{"name":"web1"}"#);
    let blob = Blob { sha256: ContentHash::of(b"x"), bytes: Bytes::from_static(b"x") };
    store.change_definitions(7, vec![DefinitionChange::PutBlob(blob)]).await.unwrap();
    store.close().await;
    let store = SqliteStore::open(directory.path()).unwrap();
    assert_eq!(store.blob(ContentHash::of(b"x")).await.unwrap().as_deref(), Some(&b"x"[..]));
    let version: u32 = stranger(&directory).pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, schema::NEWEST);
}

/// Takes away what came after both of the versions below.
fn later(table: &str) -> String {
    let later =
        "DROP TABLE host_statuses; DROP TABLE switches; DROP TABLE key_uses; DROP TABLE audit; DROP TABLE requests;
         DROP TABLE hours;";
    format!("{later} {}", causes(table))
}

/// Takes away what came with causes.
fn causes(table: &str) -> String {
    format!(
        "ALTER TABLE {table} DROP COLUMN cause; ALTER TABLE open_runs DROP COLUMN cause; DROP TABLE events_due;
         DROP TABLE notices; DROP TABLE notifications; DROP TABLE parcels; DROP TABLE traces; DROP TABLE leases;"
    )
}

#[tokio::test]
async fn a_store_without_groups_is_brought_up_to_date() {
    let (directory, store) = store();
    let kept = any_result();
    store.commit(vec![save(kept.clone()), claim(&name("h"), &name("t"), id(5))]).await.unwrap();
    store.close().await;
    drop(store);
    let old = stranger(&directory);
    let table = partition::table(partition::day_of(kept.id)).unwrap();
    old.execute_batch(&format!(
        "DROP INDEX {table}_group; ALTER TABLE {table} DROP COLUMN run_group;
         ALTER TABLE {table} DROP COLUMN perfdata;
         ALTER TABLE open_runs DROP COLUMN run_group; {} PRAGMA user_version = 2;",
        later(&table)
    ))
    .unwrap();
    drop(old);
    let store = SqliteStore::open(directory.path()).unwrap();
    assert_eq!(store.result(kept.id).await.unwrap(), Some(kept.clone()), "what was there is there");
    assert_eq!(store.load().await.unwrap().pairs[0].open[0].group, None);
    let grouped = RunResult { id: id(6), group: Some(id(7)), ..kept };
    store.commit(vec![save(grouped.clone())]).await.unwrap();
    assert_eq!(store.result(grouped.id).await.unwrap(), Some(grouped));
}

#[tokio::test]
async fn a_store_without_causes_is_brought_up_to_date() {
    let (directory, store) = store();
    let kept = any_result();
    store.commit(vec![save(kept.clone()), claim(&name("h"), &name("t"), id(5))]).await.unwrap();
    store.close().await;
    drop(store);
    let table = partition::table(partition::day_of(kept.id)).unwrap();
    let before = format!("{} PRAGMA user_version = 9;", causes(&table));
    stranger(&directory).execute_batch(&before).unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    assert_eq!(store.result(kept.id).await.unwrap(), Some(kept.clone()), "what was there is there");
    assert_eq!(store.load().await.unwrap().pairs[0].open[0].cause, None);
    let caused = RunResult {
        id: id(6),
        trigger: Trigger::Action,
        cause: Some(Cause { action: name("repair"), result: Some(kept.id) }),
        ..kept
    };
    store.commit(vec![save(caused.clone())]).await.unwrap();
    assert_eq!(store.result(caused.id).await.unwrap(), Some(caused));
}

#[tokio::test]
async fn a_store_without_perfdata_is_brought_up_to_date() {
    let (directory, store) = store();
    let kept = any_result();
    store.commit(vec![save(kept.clone())]).await.unwrap();
    store.close().await;
    drop(store);
    let table = partition::table(partition::day_of(kept.id)).unwrap();
    let before = format!("ALTER TABLE {table} DROP COLUMN perfdata; {} PRAGMA user_version = 3;", later(&table));
    stranger(&directory).execute_batch(&before).unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    assert_eq!(store.result(kept.id).await.unwrap(), Some(kept.clone()), "what was there is there");
    let measured = RunResult { id: id(6), perfdata: Some(perfdata("OK | a=1", false)), ..kept };
    store.commit(vec![save(measured.clone())]).await.unwrap();
    assert_eq!(store.result(measured.id).await.unwrap(), Some(measured));
}

#[test]
fn another_programs_database_is_refused_and_left_alone() {
    for make in ["CREATE TABLE theirs (x)", "PRAGMA application_id = 7", "PRAGMA user_version = 1"] {
        let directory = tempfile::tempdir().unwrap();
        stranger(&directory).execute_batch(make).unwrap();
        let before = fs::read(directory.path().join(FILE)).unwrap();
        refused(&directory, "another program's database");
        assert_eq!(fs::read(directory.path().join(FILE)).unwrap(), before);
    }
}

#[test]
fn what_is_no_database_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(FILE), "no database at all ".repeat(1000)).unwrap();
    let before = fs::read(directory.path().join(FILE)).unwrap();
    refused(&directory, "not an SQLite database");
    assert_eq!(fs::read(directory.path().join(FILE)).unwrap(), before);
    fs::remove_file(directory.path().join(FILE)).unwrap();
    fs::create_dir(directory.path().join(FILE)).unwrap();
    refused(&directory, "it is a directory");
}

#[test]
fn a_data_directory_that_is_not_there_or_not_writable_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let error = SqliteStore::open(&directory.path().join("not-there")).unwrap_err().to_string();
    assert!(error.contains("not-there/alf.db") && error.contains("directory is not there"), "{error}");
    fs::write(directory.path().join("file"), "").unwrap();
    let error = SqliteStore::open(&directory.path().join("file")).unwrap_err().to_string();
    assert!(error.contains("directory is not there"), "{error}");

    let (directory, store) = store();
    drop(store);
    let file = directory.path().join(FILE);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    // Root may write everything.
    if fs::OpenOptions::new().write(true).open(&file).is_err() {
        refused(&directory, "give Alf's user write access");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o500)).unwrap();
        refused(&directory, "write");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn one_that_is_locked_cannot_be_made_and_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let holder = stranger(&directory);
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    is_unavailable(SqliteStore::open(directory.path()), "another program holds the database");
    holder.execute_batch("ROLLBACK").unwrap();
    SqliteStore::open(directory.path()).unwrap();
}

#[tokio::test]
async fn one_that_another_program_writes_to_can_be_opened() {
    let (directory, store) = store();
    let kept = any_result();
    store.commit(vec![save(kept.clone())]).await.unwrap();
    store.close().await;
    drop(store);
    let holder = stranger(&directory);
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    assert_eq!(store.result(kept.id).await.unwrap(), Some(kept));
}
