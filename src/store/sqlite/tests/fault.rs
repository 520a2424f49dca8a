//! Faults while it runs: nothing half done, the cause named, and it works again by itself.

use std::sync::Arc;

use super::*;
use crate::store::conformance::samples::{DAY, MINUTE};
use crate::store::conformance::sources::Waiting;

async fn impatient(store: &SqliteStore) {
    on_writer(store, |connection| connection.busy_timeout(Duration::from_millis(20)).unwrap()).await;
}

#[tokio::test]
async fn a_locked_database_is_waited_for() {
    let (directory, store) = store();
    store.commit(vec![save(any_result())]).await.unwrap();
    impatient(&store).await;
    let holder = stranger(&directory);
    holder.execute_batch("BEGIN IMMEDIATE; UPDATE catalog SET revision = 7").unwrap();
    is_unavailable(store.commit(vec![save(any_result())]).await, "another program holds the database: end it");
    is_unavailable(store.change_definitions(0, Vec::new()).await, "another program holds the database");
    is_unavailable(store.check().await, "another program holds the database");
    assert_eq!(store.results(all()).await.unwrap().total, 1, "what is there can still be read");
    holder.execute_batch("ROLLBACK").unwrap();
    store.check().await.unwrap();
    store.commit(vec![save(any_result())]).await.unwrap();
    assert_eq!(store.results(all()).await.unwrap().total, 2);
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_is_worked_around() {
    let (_directory, store) = store();
    store.commit(vec![save(any_result())]).await.unwrap();
    let full = "PRAGMA max_page_count = 1";
    on_writer(&store, move |connection| connection.query_row(full, [], |_| Ok(())).unwrap()).await;
    // New names, a new day: all of that is undone with the rest.
    let (host, task) = (name("new-host"), name("new-task"));
    let run = id(5 * DAY);
    let big = RunResult { stdout: crate::model::Captured::new(vec![7; 1 << 20], 1 << 20), ..result(&host, &task, run) };
    let writes = vec![claim(&host, &task, run), save(result(&host, &task, id(5 * DAY + MINUTE))), save(big)];
    for _ in 0..3 {
        is_unavailable(store.commit(writes.clone()).await, "the disk is full: make room");
    }
    let loaded = store.load().await.unwrap();
    assert_eq!(loaded.pairs, [], "nothing of a failed commit may stay");
    assert_eq!(store.results(all()).await.unwrap().total, 1);
    assert_eq!(store.counts().await.unwrap().results, 1);

    let room = "PRAGMA max_page_count = 1000000";
    on_writer(&store, move |connection| connection.query_row(room, [], |_| Ok(())).unwrap()).await;
    let answers = store.commit(writes).await.unwrap();
    assert_eq!(answers, [Written::Claimed, Written::Done, Written::Done]);
    let found = store.result(run).await.unwrap().unwrap();
    assert_eq!((found.host, found.task, found.stdout.bytes.len()), (host, Some(task), 1 << 20));
    assert_eq!(store.results(all()).await.unwrap().total, 3);
}

#[tokio::test]
async fn a_commit_is_done_as_a_whole_or_not_at_all() {
    let (_directory, store) = store();
    let first = id(0);
    let twin = |last: u8| {
        let mut bytes = *first.as_bytes();
        bytes[15] = last;
        save(result(&name("host"), &name("task"), RunId::from_bytes(bytes)))
    };
    // There is room for eight ids that begin alike.
    let mut writes = vec![claim(&name("host"), &name("task"), id(1)), save(any_result())];
    writes.extend((0..9).map(twin));
    let error = store.commit(writes.clone()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt(text) if text.contains("too many Results")), "{error}");
    assert_eq!(store.load().await.unwrap(), Loaded::default());
    assert_eq!(store.results(all()).await.unwrap(), ResultPage::default());
    writes.pop();
    store.commit(writes).await.unwrap();
    assert_eq!(store.results(all()).await.unwrap().items.len(), 9);
}

#[tokio::test]
async fn what_waits_behind_a_batch_that_fails_is_not_taken() {
    let (_directory, store) = store();
    // There is room for eight ids that begin alike.
    let twin = |last: u8| save(result(&name("host"), &name("task"), RunId::from_bytes([last; 16])));
    let alike = |last: u8| {
        let mut bytes = [7; 16];
        bytes[15] = last;
        save(result(&name("host"), &name("task"), RunId::from_bytes(bytes)))
    };
    let one = |writes: Vec<Write>| vec![writes.into()];
    let waiting = Waiting::of([one(vec![twin(1)]), one((0..9).map(alike).collect()), one(vec![twin(2)])]);
    let error = store.commit_from(Arc::clone(&waiting) as Arc<dyn Source>).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt(text) if text.contains("too many Results")), "{error}");
    assert_eq!(waiting.left_and_done(), (1, vec![vec![Written::Done]]));
    assert_eq!(store.results(all()).await.unwrap().total, 1);
    store.commit_from(Arc::clone(&waiting) as Arc<dyn Source>).await.unwrap();
    assert_eq!(waiting.left_and_done(), (0, vec![vec![Written::Done]; 2]));
    assert_eq!(store.results(all()).await.unwrap().total, 2);
}

#[tokio::test]
async fn a_database_that_vanished_is_not_made_anew() {
    let (directory, store) = store();
    store.commit(vec![save(any_result())]).await.unwrap();
    store.results(all()).await.unwrap();
    for entry in fs::read_dir(directory.path()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let failed =
        store.writer.call(|desk| desk.transaction(|_, _| Err::<(), _>(Fault::Sql(rusqlite::Error::InvalidQuery))));
    assert!(failed.await.is_err());
    is_unavailable(store.commit(vec![save(any_result())]).await, "see that it and its directory are there");
    is_unavailable(store.check().await, "see that it and its directory are there");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_cannot_be_read_is_reported_with_its_place() {
    let breakages = [
        ("UPDATE definitions SET noun = 'gadget'", "\"gadget\" is no kind of definition"),
        ("UPDATE definitions SET name = '../etc'", "name"),
        ("UPDATE definitions SET version = -1", "-1 is no count"),
        ("UPDATE statuses SET status = '{'", "a status: "),
        ("UPDATE statuses SET last = x'0100'", "the last Results of a status are malformed"),
        ("UPDATE statuses SET last = x''", "the last Results of a status are malformed"),
        ("UPDATE names SET name = ' ' WHERE name = 'task'", "name"),
        ("UPDATE open_runs SET id = x'00'", "Cannot read 16 byte value"),
        ("UPDATE open_runs SET trigger = 'whim'", "whim"),
        ("UPDATE host_keys SET keys = '[\"none\"]'", "host keys: "),
        ("DROP TABLE statuses", "no such table: statuses"),
    ];
    for (breakage, said) in breakages {
        let (directory, store) = store();
        let row = crate::store::DefinitionRow {
            noun: crate::model::Noun::Host,
            name: name("web"),
            version: 1,
            created_at: at(0),
            updated_at: at(0),
            body: "{}".to_owned(),
            sealed: None,
        };
        store.change_definitions(0, vec![DefinitionChange::Put(row)]).await.unwrap();
        let saved = Write::Save { result: Box::new(any_result()), status: Some(Arc::default()), until: None };
        let pinned =
            crate::store::HostKeyRecord { host: name("h"), address: "h".to_owned(), port: 22, keys: Vec::new() };
        let writes = vec![claim(&name("host"), &name("task"), id(1)), saved, Write::PinHostKey(pinned)];
        store.commit(writes).await.unwrap();
        store.load().await.unwrap();
        stranger(&directory).execute_batch(breakage).unwrap();
        let error = store.load().await.unwrap_err();
        let StoreError::Corrupt(text) = &error else { panic!("{breakage}: {error:?}") };
        assert!(text.contains(said) && text.contains("alf.db: "), "{breakage}: {text}");
    }
}

#[tokio::test]
async fn a_damaged_file_is_reported() {
    let (directory, store) = store();
    store.commit((0..2000).map(|_| save(any_result())).collect()).await.unwrap();
    store.close().await;
    let file = directory.path().join(FILE);
    let mut bytes = fs::read(&file).unwrap();
    for page in bytes.chunks_mut(4096).skip(60) {
        page.fill(0xA5);
    }
    fs::write(&file, bytes).unwrap();
    let store = SqliteStore::open(directory.path()).unwrap();
    let error = store.results(all()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt(text) if text.contains("malformed")), "{error}");
}
