//! The writer's thread and the readers' pool.

use std::sync::mpsc;

use super::*;

/// Takes far longer than any test waits.
const ENDLESS: &str =
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100000000) SELECT count(*) FROM n";

fn endless(connection: &Connection) -> Result<i64, Fault> {
    Ok(connection.query_row(ENDLESS, [], |row| row.get(0))?)
}

/// Occupies the writer until what is returned is dropped; its queue is empty then.
fn occupy(store: &SqliteStore) -> (mpsc::Sender<()>, BoxFuture<'_, Result<(), StoreError>>) {
    let ((busy, free), (began, begun)) = (mpsc::channel(), mpsc::channel());
    let occupied = store.writer.call(move |_| {
        let _ = began.send(());
        let _ = free.recv();
        Ok(())
    });
    begun.recv().unwrap();
    (busy, occupied)
}

#[tokio::test]
async fn a_commit_that_nobody_waits_for_is_done() {
    let (directory, store) = store();
    let (first, second) = (any_result(), any_result());
    drop(store.commit(vec![save(first.clone())]));
    store.check().await.unwrap();
    assert_eq!(store.result(first.id).await.unwrap(), Some(first));
    drop(store.commit(vec![save(second.clone())]));
    drop(store);
    let store = SqliteStore::open(directory.path()).unwrap();
    assert_eq!(store.result(second.id).await.unwrap(), Some(second), "also when the store is dropped unclosed");
}

#[tokio::test]
async fn closing_ends_what_is_queued() {
    let (directory, store) = store();
    let (busy, occupied) = occupy(&store);
    let results: Vec<_> = (0..20).map(|_| any_result()).collect();
    let commits: Vec<_> = results.iter().map(|result| store.commit(vec![save(result.clone())])).collect();
    drop(busy);
    store.close().await;
    occupied.await.unwrap();
    for commit in commits {
        commit.await.unwrap();
    }
    let store = SqliteStore::open(directory.path()).unwrap();
    assert_eq!(store.results(all()).await.unwrap().total, 20);
}

/// Where writes never end.
struct Endless;

impl Source for Endless {
    fn next(&self) -> Vec<Arc<[Write]>> {
        vec![vec![save(any_result())].into()]
    }

    fn done(&self, _: Vec<Written>) {}
}

#[tokio::test]
async fn who_comes_between_writes_that_never_end_has_a_turn() {
    let (_directory, store) = store();
    for _ in 0..3 {
        let endless = store.commit_from(Arc::new(Endless));
        store.check().await.unwrap();
        endless.await.unwrap();
    }
    let endless = store.commit_from(Arc::new(Endless));
    store.close().await;
    endless.await.unwrap();
}

#[tokio::test]
async fn a_full_queue_makes_wait_and_loses_nothing() {
    let (_directory, store) = store();
    let (busy, _occupied) = occupy(&store);
    let commits: Vec<_> = (0..200).map(|_| store.commit(vec![save(any_result())])).collect();
    let mut commits = futures_util::future::join_all(commits);
    assert!(futures_util::poll!(&mut commits).is_pending());
    drop(busy);
    for answer in commits.await {
        answer.unwrap();
    }
    assert_eq!(store.results(all()).await.unwrap().total, 200);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_stays_full_is_reported() {
    let (_directory, store) = store();
    let (busy, _occupied) = occupy(&store);
    // None is waited for, so that paused time may jump ahead.
    let commits: Vec<_> = (0..64).map(|_| store.commit(vec![save(any_result())])).collect();
    is_unavailable(store.check().await, "transactions wait to be written");
    drop(busy);
    for commit in commits {
        commit.await.unwrap();
    }
    assert_eq!(store.results(all()).await.unwrap().total, 64);
    store.check().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn paused_time_does_not_pass_while_the_store_works() {
    let (_directory, store) = store();
    let before = tokio::time::Instant::now();
    for _ in 0..20 {
        let work = async {
            store.commit(vec![save(any_result())]).await.unwrap();
            store.results(all()).await.unwrap();
        };
        tokio::time::timeout(Duration::from_millis(1), work).await.expect("time stands still");
    }
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn a_panic_costs_one_call() {
    let (_directory, store) = store();
    let first = any_result();
    store.commit(vec![save(first.clone())]).await.unwrap();
    let panicked = store.writer.call(|desk| {
        desk.transaction(|transaction, known| {
            Ledger::new(transaction, known)?.apply(&save(any_result()))?;
            if transaction.is_busy() || !transaction.is_autocommit() {
                panic!("on purpose");
            }
            Ok(())
        })
    });
    is_unavailable(panicked.await, "ended without an answer");
    let panicked = store.readers.read(reader::LIMIT, |_| -> Result<(), Fault> { panic!("on purpose") });
    is_unavailable(panicked.await, "ended without an answer");
    store.commit(vec![save(any_result())]).await.unwrap();
    assert_eq!(store.results(all()).await.unwrap().total, 2, "what the panic interrupted is undone");
}

#[tokio::test]
async fn a_read_ends_with_its_time() {
    let (_directory, store) = store();
    store.commit(vec![save(any_result())]).await.unwrap();
    // More than there are connections: each gives its place back.
    for _ in 0..4 {
        is_unavailable(store.readers.read(Duration::from_millis(20), endless).await, "the time limit for reading");
    }
    let mut given_up: Vec<_> = (0..8).map(|_| store.readers.read(reader::LIMIT, endless).boxed()).collect();
    for read in &mut given_up {
        assert!(futures_util::poll!(read).is_pending());
    }
    drop(given_up);
    assert_eq!(store.results(all()).await.unwrap().total, 1, "nobody reads for those who went away");
}

#[tokio::test]
async fn a_read_that_was_given_up_between_two_statements_ends() {
    let (_directory, store) = store();
    let (reading, is_reading) = tokio::sync::oneshot::channel();
    let (gone, is_gone) = mpsc::channel::<()>();
    let (ended, end) = tokio::sync::oneshot::channel();
    let read = store.readers.read(reader::LIMIT, move |connection| {
        reading.send(()).unwrap();
        is_gone.recv().unwrap();
        ended.send(endless(connection)).unwrap();
        Ok(())
    });
    tokio::select! {
        biased;
        _ = read => unreachable!("nobody told it to go on"),
        reading = is_reading => reading.unwrap(),
    }
    gone.send(()).unwrap();
    let fault = end.await.unwrap().unwrap_err();
    let said = fault.at(Path::new("alf.db")).to_string();
    assert!(said.contains("the time limit for reading"), "{said}");
    assert_eq!(store.results(all()).await.unwrap().total, 0, "the connection is good for another read");
}

#[tokio::test]
async fn readers_cannot_write() {
    let (_directory, store) = store();
    let written =
        store.readers.read(reader::LIMIT, |connection| Ok(connection.execute("UPDATE catalog SET revision = 7", [])?));
    assert!(written.await.is_err());
    assert_eq!(store.load().await.unwrap().revision, 0);
}

#[tokio::test]
async fn a_read_that_ended_disturbs_no_other() {
    let (_directory, store) = store();
    // It ends, but is not told yet.
    let mut first = store.readers.read(reader::LIMIT, |_| Ok(())).boxed();
    assert!(futures_util::poll!(&mut first).is_pending());
    let mut others = Vec::new();
    for _ in 0..2 {
        let (reading, is_reading) = tokio::sync::oneshot::channel();
        let (go_on, goes_on) = mpsc::channel::<()>();
        let readers = store.readers.clone();
        let other = tokio::spawn(async move {
            let work = move |connection: &Connection| {
                reading.send(()).unwrap();
                goes_on.recv().unwrap();
                Ok(connection.query_row("SELECT count(*) FROM names", [], |row| row.get::<_, i64>(0))?)
            };
            readers.read(reader::LIMIT, work).await
        });
        others.push((other, is_reading, go_on));
    }
    // With two connections in all, one of these has the first one's.
    for (_, is_reading, _) in &mut others {
        is_reading.await.unwrap();
    }
    first.await.unwrap();
    for (other, _, go_on) in others {
        go_on.send(()).unwrap();
        assert_eq!(other.await.unwrap().unwrap(), 0);
    }
}
