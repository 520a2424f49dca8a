//! `alf store` on MongoDB, or what stands in for it: beside a service that writes to it, and into a store of the other kind.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use mongodb::bson::{Document, doc};
use mongodb::{Client, Collection};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::mongo_server::MongoServer;
use crate::store::{done, files, filled, refused, store};
use crate::support::service::{Service, alf, until};
use crate::support::sshd::Sshd;

/// Settings for a store in a database.
struct OnServer {
    url: String,
    database: String,
}

impl OnServer {
    fn new(server: &MongoServer) -> Self {
        Self { url: server.url().to_owned(), database: server.database() }
    }

    fn environment(&self) -> [(&str, &str); 3] {
        [("ALF_STORE__KIND", "mongodb"), ("ALF_STORE__URL", &self.url), ("ALF_STORE__DATABASE", &self.database)]
    }

    fn command(&self, data_dir: &Path, args: &[&str]) -> Command {
        let mut command = alf(data_dir);
        command.arg("store").args(args).envs(self.environment());
        command
    }

    /// Runs `alf store …` on it.
    fn store(&self, data_dir: &Path, args: &[&str]) -> Output {
        self.command(data_dir, args).output().unwrap()
    }

    fn stats(&self, data_dir: &Path) -> Value {
        serde_json::from_str(&done(self.store(data_dir, &["stats", "-o", "json"])).0).unwrap()
    }

    /// Does something with a collection behind Alf's back.
    fn with<T>(
        &self,
        collection: &str,
        work: impl AsyncFnOnce(Collection<Document>) -> mongodb::error::Result<T>,
    ) -> T {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let client = Client::with_uri_str(&self.url).await.unwrap();
            work(client.database(&self.database).collection(collection)).await.unwrap()
        })
    }

    /// Kills what fills it when it has got so many Results; whether that was before its end.
    fn kill_at(&self, child: &mut Child, results: u64) -> bool {
        let ended = until("it is filled", || {
            let there = self.with("results", async |results| results.estimated_document_count().await);
            let ended = child.try_wait().unwrap().is_some();
            (ended || there >= results).then_some(ended)
        });
        let _ = child.kill();
        child.wait().unwrap();
        !ended
    }
}

fn spawn(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// A service with a task that runs each second, and one that has failed.
fn busy(sshd: &Sshd, environment: &[(&str, &str)]) -> Service {
    let service = Service::start_with(environment);
    service.add_host(sshd);
    service.send("PUT", "secrets/s", &json!({"value": "hidden"})).expect(201);
    service.add_task("often", "web1", json!({"command": "echo ran"}), Some("* * * * * *"));
    let own = json!({"command": "echo said; exit 1", "retention": {"max_age": "30d"}, "env": {"A": {"secret": "s"}}});
    service.add_task("check", "web1", own, None);
    service.run("check");
    until("it runs", || (ran(&service) >= 3).then_some(()));
    service
}

/// How many runs went well.
fn ran(service: &Service) -> u64 {
    service.get("results?outcome=OK")["total"].as_u64().unwrap()
}

fn export(service: &Service) -> String {
    done(service.cli(&["export"])).0
}

/// Brings the keys of a service to where it is to go on.
fn bring_keys(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for key in ["secret.key", "admin.key"] {
        fs::copy(from.join(key), to.join(key)).unwrap();
    }
}

#[test]
fn a_backup_is_taken_while_a_service_writes_and_restored_to_sqlite() {
    let Some(server) = MongoServer::start() else { return };
    let (sshd, place) = (Sshd::start(), OnServer::new(&server));
    let service = busy(&sshd, &place.environment());
    let backups = tempfile::tempdir().unwrap();
    let before = ran(&service);
    let (_, said) = done(place.store(&service.data_dir(), &["backup", backups.path().to_str().unwrap()]));
    assert!(said.contains("secret.key is not in it"), "{said}");
    let [backup] = &files(backups.path())[..] else { panic!("{:?}", files(backups.path())) };
    let backup = backups.path().join(backup);
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);

    let other = tempfile::tempdir().unwrap();
    let data = other.path().join("data");
    done(store(&data, &["restore", backup.to_str().unwrap()]));
    done(store(&data, &["check"]));
    bring_keys(&service.data_dir(), &data);
    let restored = Service::start_in(other, None, &[("ALF_STORE__KIND", "sqlite")]);
    assert_eq!(export(&restored), export(&service));
    let there = ran(&restored);
    assert!(there >= before, "{there}, {before}");
    assert_eq!(restored.run("check")["stdout"], "said\n", "the secret is there");
    until("it goes on", || (ran(&restored) > there + 1).then_some(()));
}

#[test]
fn a_backup_is_restored_to_mongodb_over_another_store_only_by_force() {
    let Some(server) = MongoServer::start() else { return };
    let (sshd, one, other) = (Sshd::start(), OnServer::new(&server), OnServer::new(&server));
    let mut service = busy(&sshd, &one.environment());
    for _ in 0..3 {
        let (_, said) = done(one.store(&service.data_dir(), &["check"]));
        assert!(said.contains("is sound"), "{said}");
    }
    let backup = service.data_dir().join("copy.db");
    let backup = backup.to_str().unwrap();
    done(one.store(&service.data_dir(), &["backup", backup]));
    let export = export(&service);
    let seen = ran(&service);
    until("it goes on", || (ran(&service) >= seen + 2).then_some(()));
    assert_eq!(service.end("TERM"), Some(0));

    let elsewhere = tempfile::tempdir().unwrap();
    let data = elsewhere.path().join("data");
    let nowhere = refused(other.store(&data, &["stats"]));
    assert!(nowhere.contains("there is no store in it"), "{nowhere}");
    let (_, said) = done(other.store(&data, &["restore", backup]));
    assert!(said.contains("restored to database") && said.contains("counts as missed"), "{said}");
    bring_keys(&service.data_dir(), &data);
    let mut restored = Service::start_in(elsewhere, None, &other.environment());
    assert_eq!(self::export(&restored), export);
    let there = ran(&restored);
    until("it goes on", || (ran(&restored) > there + 1).then_some(()));
    let missed = restored.get("results?reason=missed");
    assert!(missed["total"].as_u64().unwrap() >= 1, "what was due since the backup counts as missed: {missed}");
    assert_eq!(restored.run("check")["stdout"], "said\n", "the secret is there");
    let before = ran(&restored);
    assert_eq!(restored.end("TERM"), Some(0));

    let data = restored.data_dir();
    let said = refused(other.store(&data, &["restore", backup]));
    assert!(said.contains("--force backs it up into"), "{said}");
    let broken = data.join("broken.db");
    fs::write(&broken, "no database").unwrap();
    refused(other.store(&data, &["restore", broken.to_str().unwrap(), "--force"]));
    let results = other.stats(&data)["results"].as_u64().unwrap();
    assert!(results > before, "what is no backup changes nothing");
    let (_, said) = done(other.store(&data, &["restore", backup, "--force"]));
    assert!(said.contains("is backed up as"), "{said}");
    assert!(other.stats(&data)["results"].as_u64().unwrap() < results);
    let aside = files(&data).into_iter().find(|name| name.starts_with("alf-before-restore-")).unwrap();
    let kept = tempfile::tempdir().unwrap();
    fs::rename(data.join(aside), kept.path().join("alf.db")).unwrap();
    assert_eq!(crate::store::stats(kept.path())["results"], results);
    assert!(!files(&data).iter().any(|name| name.starts_with(".alf")), "nothing half done is left");
}

#[test]
fn a_restore_that_is_killed_leaves_what_nobody_opens_and_is_done_again() {
    let Some(server) = MongoServer::start_to_be_harmed() else { return };
    let (place, dir) = (OnServer::new(&server), tempfile::tempdir().unwrap());
    let (from, data) = (dir.path().join("from"), dir.path().join("data"));
    filled(&from, 3000);
    let backup = dir.path().join("copy.db");
    let backup = backup.to_str().unwrap();
    done(store(&from, &["backup", backup]));
    let mut restoring = spawn(place.command(&data, &["restore", backup]));
    if place.kill_at(&mut restoring, 1000) {
        let said = refused(place.store(&data, &["stats"]));
        assert!(said.contains("it is not whole: alf store restore is filling it"), "{said}");
        done(place.store(&data, &["restore", backup]));
    }
    assert_eq!(place.stats(&data)["results"], 3000);
    done(place.store(&data, &["check"]));
}

#[test]
fn a_store_moves_to_mongodb_and_back_whatever_cuts_it_off() {
    let Some(mut server) = MongoServer::start_to_be_harmed() else { return };
    let (sshd, place) = (Sshd::start(), OnServer::new(&server));
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    filled(&data, 3000);
    let mut service = Service::start_in(dir, None, &[("ALF_STORE__KIND", "sqlite")]);
    service.add_host(&sshd);
    service.send("PUT", "secrets/s", &json!({"value": "hidden"})).expect(201);
    let task = json!({"command": "echo said; exit 1", "env": {"A": {"secret": "s"}}});
    service.add_task("check", "web1", task, None);
    let ran: Vec<Value> = (0..3).map(|_| service.run("check")).collect();
    let exported = export(&service);
    assert_eq!(service.end("TERM"), Some(0));
    let migrate = || {
        let mut command = alf(&data);
        command.args(["store", "migrate", "--to", &place.url, "--database", &place.database]);
        command
    };
    let mut moving = spawn(migrate());
    if place.kill_at(&mut moving, 1000) {
        let said = refused(place.store(&data, &["stats"]));
        assert!(said.contains("it is not whole: alf store migrate is filling it"), "{said}");
        let mut moving = spawn(migrate());
        let begun = place.with("results", async |results| results.estimated_document_count().await);
        let more = |ended| ended || place.with("results", async |all| all.estimated_document_count().await) > begun;
        until("it goes on", || more(moving.try_wait().unwrap().is_some()).then_some(()));
        server.kill();
        moving.wait().unwrap();
        server.restart();
    }
    let (_, said) = done(migrate().output().unwrap());
    assert!(said.contains("3003 results moved"), "{said}");
    assert_eq!(place.stats(&data)["results"], 3003);
    done(place.store(&data, &["check"]));

    let same = |service: &Service| {
        assert_eq!(export(service), exported);
        for result in &ran {
            assert_eq!(service.get(&format!("results/{}", result["id"].as_str().unwrap())), *result);
        }
        assert_eq!(service.run("check")["stdout"], "said\n", "the secret is there");
        service.get("results")["total"].as_u64().unwrap()
    };
    let there = tempfile::tempdir().unwrap();
    bring_keys(&data, &there.path().join("data"));
    let mut moved = Service::start_in(there, None, &place.environment());
    assert_eq!(same(&moved), 3004);
    assert_eq!(moved.end("TERM"), Some(0));

    let back = tempfile::tempdir().unwrap();
    let to = format!("sqlite:{}", back.path().join("data").display());
    let (_, said) = done(place.store(&moved.data_dir(), &["migrate", "--to", &to]));
    assert!(said.contains("3004 results moved"), "{said}");
    bring_keys(&data, &back.path().join("data"));
    let back = Service::start_in(back, None, &[("ALF_STORE__KIND", "sqlite")]);
    assert_eq!(same(&back), 3005);
    done(back.cli(&["store", "check"]));
}

#[test]
fn what_is_wrong_with_a_store_on_a_server_is_told() {
    let Some(server) = MongoServer::start() else { return };
    let (place, dir) = (OnServer::new(&server), tempfile::tempdir().unwrap());
    let (from, data) = (dir.path().join("from"), dir.path().join("data"));
    filled(&from, 100);
    done(alf(&from).args(["store", "migrate", "--to", &place.url, "--database", &place.database]).output().unwrap());
    let stats = place.stats(&data);
    assert_eq!((&stats["kind"], &stats["schema"], &stats["results"]), (&json!("mongodb"), &json!(1), &json!(100)));
    assert_eq!(stats["tables"]["results"]["rows"], 100, "{stats}");
    assert!(stats["days"].as_u64().unwrap() >= 5 && stats["oldest_result_at"].is_string(), "{stats}");
    let newest = doc! { "$inc": { "results": 1_i64 } };
    place.with("tallies", async |tallies| tallies.update_one(doc! { "_id": { "$gte": "hour/" } }, newest).await);
    let checked = place.store(&data, &["check"]);
    assert_eq!(checked.status.code(), Some(1));
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(said.contains("are counted") && said.lines().count() == 1, "{said}");
}
