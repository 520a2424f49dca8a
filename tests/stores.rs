//! Every store passes the one conformance suite, against the real thing.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "this is a test")]

#[path = "servers/mongodb.rs"]
mod server;

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use alf::clock::Clock;
use alf::model::{
    Captured, ContentHash, Evaluated, Name, Noun, Outcome, RunId, RunIds, RunResult, Timestamp, Trace, Trigger,
};
use alf::store::conformance::{self, Harness};
use alf::store::memory::MemoryStore;
use alf::store::migrate::{copy, is_empty, migrate};
use alf::store::mongodb::MongoStore;
use alf::store::sqlite::SqliteStore;
use alf::store::{Blob, DefinitionChange, DefinitionRow, OpenRun, Store, StoreError, Write};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, TryStreamExt as _};
use mongodb::IndexModel;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, doc};
use server::MongoServer;

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
    let from = InDirectory(directory.path().to_owned()).open().await;
    let again = tempfile::tempdir().expect("a directory for the store");
    moves(from, Arc::new(MemoryStore::new()), InDirectory(again.path().to_owned()).open().await).await;
}

/// All that the suite has left in a store goes into another one, a second time, as after a cut, and into a third.
async fn moves(from: Arc<dyn Store>, there: Arc<dyn Store>, back: Arc<dyn Store>) {
    let of = from.counts().await.expect("counts").results;
    for _ in 0..2 {
        let moved = migrate(&*from, &*there, |_| {}).await.expect("it moves");
        assert_eq!((moved.results, moved.of), (of, of));
    }
    let mut told = Vec::new();
    migrate(&*there, &*back, |moved| told.push(moved.results)).await.expect("it moves back");
    assert!(told.is_sorted() && told.last() == Some(&of), "{told:?}");
    let other = MemoryStore::new();
    other
        .commit(vec![Write::Watch {
            host: name("h"),
            task: name("t"),
            until: Timestamp::from_millis(0).expect("an instant"),
        }])
        .await
        .expect("it is written");
    let refused = migrate(&*from, &other, |_| {}).await.expect_err("a store in use is not filled").to_string();
    assert!(refused.contains("holds something else (a task of host \"h\")"), "{refused}");
    for store in [from, there, back] {
        store.close().await;
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

/// A store in a database of a server.
struct OnServer {
    url: String,
    database: String,
    compares_with_its_clock: bool,
}

impl OnServer {
    fn new(server: &MongoServer) -> Self {
        let compares_with_its_clock = server.compares_with_its_clock();
        Self { url: server.url().to_owned(), database: server.database(), compares_with_its_clock }
    }
}

impl Harness for OnServer {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        let opened = MongoStore::open(&self.url, &self.database, None);
        async { Arc::new(opened.await.expect("the store opens")) as Arc<dyn Store> }.boxed()
    }

    fn compares_with_its_clock(&self) -> bool {
        self.compares_with_its_clock
    }
}

#[tokio::test]
async fn mongodb() {
    let Some(server) = MongoServer::start() else { return };
    let full = OnServer::new(&server);
    conformance::run(&full).await;
    let directory = tempfile::tempdir().expect("a directory for the store");
    let there = InDirectory(directory.path().to_owned()).open().await;
    moves(full.open().await, there, OnServer::new(&server).open().await).await;
}

fn result(id: RunId) -> RunResult {
    let at = Timestamp::from_millis(id.millis()).expect("an instant");
    RunResult {
        id,
        host: name("h"),
        task: Some(name("t")),
        task_version: Some(1),
        schedule: None,
        node: "here".to_owned(),
        trigger: Trigger::Manual,
        by: None,
        group: None,
        cause: None,
        scheduled_at: at,
        due_at: at,
        started_at: Some(at),
        finished_at: at,
        attempt: 1,
        exit_code: Some(0),
        signal: None,
        outcome: Outcome::Ok,
        state: None,
        reason: None,
        hard: true,
        message: String::new(),
        stdout: Captured::new(b"said".to_vec(), 4),
        stderr: Captured::default(),
        perfdata: Some(Vec::new()),
        kill: None,
        instants: None,
    }
}

/// Each commit adds a Result, removes an old one, and says twice the same: a copy that is of one moment has all or
/// nothing of each.
#[tokio::test]
async fn mongodb_is_copied_as_it_is_at_one_moment() {
    const KEPT: usize = 300;
    let Some(server) = MongoServer::start() else { return };
    let server = OnServer::new(&server);
    let (store, writer) =
        (MongoStore::open(&server.url, &server.database, None).await.expect("it opens"), server.open().await);
    let ids = RunIds::default();
    let mut saved = Vec::new();
    let mut write = |n: i64| {
        saved.push(ids.next(Clock::Wall.now().into()));
        let at = Timestamp::from_millis(n).expect("an instant");
        let old: Vec<RunId> = saved.len().checked_sub(KEPT + 1).map(|old| saved[old]).into_iter().collect();
        let save = |id: &RunId| Write::Save { result: Box::new(result(*id)), status: None, until: None };
        let mut all: Vec<Write> = saved.last().map(save).into_iter().collect();
        all.extend([
            Write::NoteKeyUse { key: name("one"), at: Some(at) },
            Write::RemoveResults(old),
            Write::MissUntil(at),
        ]);
        all
    };
    let first: Vec<Write> = (0..).take(KEPT).flat_map(&mut write).collect();
    writer.commit(first).await.expect("it is written");
    let directory = tempfile::tempdir().expect("a directory for the store");
    let there = InDirectory(directory.path().to_owned()).open().await;
    let copied = async {
        // What is new counts as settled, so that some of it is copied before the moment.
        let now = || Timestamp::from(Clock::Wall.now() + chrono::TimeDelta::minutes(2));
        let moment = async || Ok::<Arc<dyn Store>, StoreError>(Arc::new(store.of_one_moment().await?));
        copy(&store, &*there, now, moment, |_| {}).await
    };
    let mut copied = Box::pin(copied);
    let mut last = i64::try_from(KEPT).unwrap();
    let moved = loop {
        tokio::select! {
            biased;
            written = writer.commit(write(last)) => drop(written.expect("it is written")),
            moved = &mut copied => break moved,
        }
        last += 1;
        if let Some(moved) = (&mut copied).now_or_never() {
            break moved;
        }
    };
    drop(copied);
    assert_eq!(moved.expect("it is copied").results, KEPT as u64);
    let loaded = there.load().await.expect("it is read");
    let at = loaded.missed_until.expect("it was written");
    assert_eq!(loaded.key_uses, [(name("one"), at)]);
    let n = usize::try_from(at.millis()).unwrap();
    assert!((KEPT..usize::try_from(last).unwrap()).contains(&n), "{n}, of {last}: others go on meanwhile");
    for (place, id) in saved.iter().enumerate() {
        let is_there = there.result(*id).await.expect("it is read").is_some();
        assert_eq!(is_there, place <= n && place + KEPT > n, "Result {place} at the moment of {n}");
    }
    let moment = store.of_one_moment().await.expect("it opens");
    moment.commit(vec![Write::MissUntil(at)]).await.expect_err("nothing is written to a moment");
    for store in [Arc::new(moment), Arc::new(store), writer, there] as [Arc<dyn Store>; 4] {
        store.close().await;
    }
}

/// Does harm to a sound store behind its back, and sees that it is told of.
#[tokio::test]
async fn mongodb_that_is_not_sound_is_told_of() {
    let Some(server) = MongoServer::start() else { return };
    let database = server.database();
    let there = MongoStore::open_there(server.url(), &database).await.expect_err("nothing is there").to_string();
    assert!(there.contains("there is no store in it"), "{there}");
    let store = MongoStore::open(server.url(), &database, None).await.unwrap();
    let ids = RunIds::default();
    let [small, large, open] = [(); 3].map(|()| ids.next(Clock::Wall.now().into()));
    let of_large = RunResult { stdout: Captured::new(vec![b'x'; 5 << 20], 5 << 20), ..result(large) };
    let trace = Trace { result: small, at: None, why: None, items: Vec::new() };
    let at = Timestamp::from_millis(0).unwrap();
    let run = OpenRun {
        id: open,
        task_version: None,
        schedule: None,
        trigger: Trigger::Manual,
        by: None,
        group: None,
        cause: None,
        scheduled_at: at,
        due_at: at,
    };
    let save = |result: RunResult| Write::Save { result: Box::new(result), status: None, until: None };
    let writes = vec![
        save(result(small)),
        save(of_large),
        Write::Evaluated(Box::new(Evaluated { trace: Some(trace), ..Evaluated::default() })),
        Write::Claim { host: name("h"), task: Some(name("t")), until: None, open: run },
        Write::SetHost { host: name("h"), record: Box::default() },
    ];
    store.commit(writes).await.unwrap();
    let bytes = Bytes::from_static(b"exit 0");
    let sha256 = ContentHash::of(&bytes);
    let program = DefinitionRow {
        noun: Noun::Program,
        name: name("p"),
        version: 1,
        created_at: at,
        updated_at: at,
        body: format!("{{\"name\":\"p\",\"sha256\":\"{sha256}\",\"size\":6}}"),
        sealed: None,
    };
    let changes = vec![DefinitionChange::Put(program), DefinitionChange::PutBlob(Blob { sha256, bytes })];
    store.change_definitions(0, changes).await.unwrap();
    assert_eq!(store.faults().await.unwrap(), Vec::<String>::new());
    let sizes = store.sizes().await.unwrap();
    assert_eq!((sizes.schema, sizes.days, sizes.tables["results"].rows), (1, 1, 2));
    assert_eq!(sizes.tables["outputs"].rows, 2, "{sizes:?}");

    let client = mongodb::Client::with_uri_str(server.url()).await.unwrap();
    let of = |collection: &str| client.database(&database).collection::<Document>(collection);
    let uuid = |id: RunId| Binary { subtype: BinarySubtype::Uuid, bytes: id.as_bytes().to_vec() };
    of("notifications").drop_index("host_1__id_1").await.unwrap();
    let mut twin = of("results").find_one(doc! { "_id": uuid(small) }).await.unwrap().unwrap();
    twin.insert("_id", uuid(open));
    of("results").insert_one(twin).await.unwrap();
    of("results").delete_one(doc! { "_id": uuid(small) }).await.unwrap();
    of("outputs").delete_one(doc! { "_id": format!("{large}/stdout/000001") }).await.unwrap();
    of("outputs").insert_one(doc! { "_id": format!("{small}/stdout/000000"), "bytes": uuid(small) }).await.unwrap();
    of("blobs").delete_many(doc! {}).await.unwrap();
    of("hosts").update_one(doc! { "_id": "h" }, doc! { "$set": { "value": "{" } }).await.unwrap();
    of("tallies").update_many(doc! {}, doc! { "$inc": { "results": 1_i64 } }).await.unwrap();
    let faults = store.faults().await.unwrap();
    let told = [
        "notifications: the index".to_owned(),
        "there are 2 results, 3 are counted".to_owned(),
        format!("run {open} of t on h is open and has a result"),
        "program \"p\": its file is missing".to_owned(),
        "statuses of hosts: ".to_owned(),
        format!("the output of {large} is not all there"),
        format!("1 outputs belong to results that are not there, the first to {small}"),
        format!("1 traces belong to results that are not there, the first to {small}"),
    ];
    for told in &told {
        assert!(faults.iter().any(|fault| fault.contains(told)), "{told}: {faults:#?}");
    }
    // The day, and its hour or hours.
    assert!((told.len() + 1..=told.len() + 3).contains(&faults.len()), "{faults:#?}");
    store.close().await;
}

#[tokio::test]
async fn mongodb_that_is_half_filled_is_opened_by_nobody_else() {
    let Some(server) = MongoServer::start() else { return };
    let database = server.database();
    // Once that index was another one.
    let requests = mongodb::Client::with_uri_str(server.url()).await.unwrap().database(&database);
    let requests = requests.collection::<Document>("requests");
    MongoStore::open(server.url(), &database, None).await.unwrap().close().await;
    requests.drop_index("at_1").await.unwrap();
    requests.create_index(IndexModel::builder().keys(doc! { "at": 1 }).build()).await.unwrap();
    let store = MongoStore::open_to_be_filled(server.url(), &database).await.unwrap();
    let indexes: Vec<IndexModel> = requests.list_indexes().await.unwrap().try_collect().await.unwrap();
    let expires = |index: &IndexModel| index.options.as_ref().and_then(|options| options.expire_after).is_some();
    assert!(indexes.iter().any(expires), "{indexes:?}");

    store.begin("restore").await.unwrap();
    store.commit(vec![Write::NoteKeyUse { key: name("k"), at: Timestamp::from_millis(0) }]).await.unwrap();
    let said = refused(server.url(), &database).await.to_string();
    assert!(said.contains("alf store restore is filling it, or was cut off"), "{said}");
    MongoStore::open_there(server.url(), &database).await.expect_err("it is half filled");
    let again = MongoStore::open_to_be_filled(server.url(), &database).await.unwrap();
    assert_eq!(again.half().await.unwrap().as_deref(), Some("restore"));
    again.clear().await.unwrap();
    assert!(is_empty(&again).await.unwrap());
    again.finish().await.unwrap();
    MongoStore::open_there(server.url(), &database).await.unwrap().close().await;
}

#[tokio::test]
async fn mongodb_killed_and_paused() {
    let Some(mut server) = MongoServer::start_to_be_harmed() else { return };
    let store = OnServer::new(&server);
    let harm = async {
        for n in 0..6 {
            tokio::time::sleep(Duration::from_millis(400)).await;
            if n % 2 == 0 {
                server.kill();
                tokio::time::sleep(Duration::from_millis(300)).await;
                server.restart();
            } else {
                server.signal("STOP");
                tokio::time::sleep(Duration::from_secs(1)).await;
                server.signal("CONT");
            }
        }
    };
    conformance::harmed(&store, harm).await;
}

/// Programs are written ahead of the change that names them; an Alf that is killed between the two leaves that to its
/// next life.
#[tokio::test]
async fn mongodb_keeps_no_program_that_was_cut_off() {
    let Some(server) = MongoServer::start() else { return };
    let database = server.database();
    let open = async || MongoStore::open(server.url(), &database, Some("node")).await.unwrap();
    let store = open().await;
    let bytes = Bytes::from_static(b"#!/bin/sh\n");
    let (blob, at) = (Blob { sha256: ContentHash::of(&bytes), bytes }, Timestamp::from_millis(0).unwrap());
    let named = DefinitionRow {
        noun: Noun::Program,
        name: name("named"),
        version: 1,
        created_at: at,
        updated_at: at,
        body: format!("{{\"sha256\":\"{}\"}}", blob.sha256.as_str()),
        sealed: None,
    };
    let changes = vec![DefinitionChange::PutBlob(blob.clone()), DefinitionChange::Put(named)];
    store.change_definitions(0, changes).await.unwrap();
    store.close().await;
    let there = mongodb::Client::with_uri_str(server.url()).await.unwrap().database(&database);
    let blobs = there.collection::<Document>("blobs");
    blobs.insert_one(doc! { "_id": format!("{}/000000", "a".repeat(64)), "bytes": "cut off" }).await.unwrap();
    let store = open().await;
    assert_eq!(blobs.count_documents(doc! {}).await.unwrap(), 1);
    assert_eq!(store.blob(blob.sha256).await.unwrap(), Some(blob.bytes));
    store.close().await;
}

/// Why a store cannot be opened.
async fn refused(url: &str, database: &str) -> StoreError {
    MongoStore::open(url, database, None).await.expect_err("it must not open")
}

#[tokio::test]
async fn mongodb_of_others_and_of_newer_ones_is_left_alone() {
    let Some(server) = MongoServer::start() else { return };
    let client = mongodb::Client::with_uri_str(server.url()).await.unwrap();
    let (others, newer) = (server.database(), server.database());
    client.database(&others).collection::<Document>("things").insert_one(doc! { "a": 1 }).await.unwrap();
    let said = refused(server.url(), &others).await.to_string();
    assert!(said.contains(&others) && said.contains("another program's") && said.contains("store.database"), "{said}");
    assert_eq!(client.database(&others).list_collection_names().await.unwrap(), ["things"]);

    MongoStore::open(server.url(), &newer, None).await.unwrap().close().await;
    let meta = client.database(&newer).collection::<Document>("meta");
    meta.update_one(doc! { "_id": "schema" }, doc! { "$set": { "version": 99 } }).await.unwrap();
    let error = refused(server.url(), &newer).await;
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error:?}");
    assert!(error.to_string().contains(&newer), "{error}");
}

#[tokio::test]
async fn mongodb_that_is_away_says_so_in_time_and_never_tells_the_password() {
    let nobody = "mongodb://alf:s3cret@127.0.0.1:1/?serverSelectionTimeoutMS=300";
    let error = refused(nobody, "alf").await;
    let said = error.to_string();
    assert!(error.is_passing() && said.contains("127.0.0.1:1") && said.contains("does not answer"), "{said}");
    assert!(!said.contains("s3cret") && !said.contains(char::is_control), "{said}");

    let Some(server) = MongoServer::start() else { return };
    let wrong = server.url_of("alf:s3cret");
    let said = refused(&wrong, "alf").await.to_string();
    assert!(said.contains("user and password") && !said.contains("s3cret"), "{said}");
}

/// Writes all the time in a process of its own, until it is killed.
#[tokio::test]
#[ignore = "started by mongodb_of_a_node_that_was_killed_is_soon_free, in a process that it kills"]
async fn mongodb_writes_until_it_is_killed() {
    let (url, database) = (std::env::var("URL").unwrap(), std::env::var("DATABASE").unwrap());
    let store = MongoStore::open(&url, &database, Some("killed")).await.unwrap();
    for n in 0.. {
        let at = Timestamp::from_millis(n).unwrap();
        store.commit(vec![Write::MissUntil(at), Write::NoteKeyUse { key: name("k"), at: Some(at) }]).await.unwrap();
        println!("{n} written");
    }
}

/// What it left open would hold its documents for a minute; a commit gives up before.
#[test]
fn mongodb_of_a_node_that_was_killed_is_soon_free() {
    let Some(server) = MongoServer::start_to_be_harmed() else { return };
    let database = server.database();
    for n in 0..8 {
        let mut writing = Command::new(std::env::current_exe().unwrap());
        writing.args(["--exact", "mongodb_writes_until_it_is_killed", "--ignored", "--nocapture"]);
        writing.env("URL", server.url()).env("DATABASE", &database).stdout(Stdio::piped());
        let mut writing = writing.spawn().unwrap();
        let told = BufReader::new(writing.stdout.take().unwrap()).lines();
        let mut told = told.map(|line| line.unwrap()).filter(|line| line.contains("written"));
        assert!(told.next().is_some(), "its first write goes through, after {n} kills");
        // Somewhere within a transaction, most likely.
        told.nth(n);
        writing.kill().unwrap();
        writing.wait().unwrap();
    }
}
