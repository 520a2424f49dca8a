//! `alf store` on MongoDB, or what stands in for it: beside a service that writes to it, and into a store of the other kind.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use crate::mongo_server::MongoServer;
use crate::store::{done, files, store};
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
