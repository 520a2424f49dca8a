//! The service on MongoDB, or what stands in for it: it keeps what it has done, and waits for a server that is away.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::mongo_server::MongoServer;
use crate::store_away::Ticking;
use crate::support::service::{Service, alf, until};

/// A service on a database of this server.
fn service_on(server: &MongoServer) -> Service {
    let database = server.database();
    Service::start_with(&[
        ("ALF_STORE__KIND", "mongodb"),
        ("ALF_STORE__URL", server.url()),
        ("ALF_STORE__DATABASE", &database),
    ])
}

#[test]
fn a_killed_service_goes_on_where_it_was() {
    let Some(server) = MongoServer::start() else { return };
    let mut ticking = Ticking::on(service_on(&server));
    assert!(ticking.service.first_line.contains("store mongodb"), "{}", ticking.service.first_line);
    let before = ticking.results();
    ticking.service.end("KILL");
    ticking.instants_pass();
    ticking.service.restart();
    ticking.goes_on_with_nothing_lost(&before);
    assert!(!ticking.service.data_dir().join("alf.db").exists(), "nothing is kept in two places");
    assert_eq!(ticking.service.end("TERM"), Some(0));
}

#[test]
fn a_server_that_is_killed_or_paused_loses_nothing() {
    let Some(mut server) = MongoServer::start_to_be_harmed() else { return };
    let ticking = Ticking::on(service_on(&server));
    for harm in ["KILL", "STOP"] {
        let before = ticking.results();
        if harm == "KILL" {
            server.kill();
            // It does not answer, or there was no answer in time.
            ticking.away("answer");
            let status = ticking.service.call("GET", "/api/v1/results", &[], None).status;
            assert_eq!(status, 503, "what is in the store cannot be read");
            ticking.service.get("status/web1/tick");
            server.restart();
        } else {
            server.signal("STOP");
            ticking.instants_pass();
            server.signal("CONT");
        }
        ticking.goes_on_with_nothing_lost(&before);
    }
}

/// Starts the service without waiting for it.
fn spawn(data_dir: &Path, url: &str) -> Child {
    let log = std::fs::File::create(data_dir.with_extension("log")).unwrap();
    let mut command = alf(data_dir);
    command.args(["serve", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(log);
    command.env("ALF_STORE__KIND", "mongodb").env("ALF_STORE__URL", url).spawn().unwrap()
}

fn log(data_dir: &Path) -> String {
    std::fs::read_to_string(data_dir.with_extension("log")).unwrap_or_default()
}

fn waits(data_dir: &Path) {
    until("it says what it waits for", || log(data_dir).contains("Alf starts when it is there").then_some(()));
}

fn terminate(child: &mut Child) -> Option<i32> {
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    until("it ends", || child.try_wait().unwrap()).code()
}

#[test]
fn a_server_that_is_away_at_the_start_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut child = spawn(&data, "mongodb://alf:s3cret@127.0.0.1:1/?serverSelectionTimeoutMS=300");
    waits(&data);
    assert_eq!(terminate(&mut child), Some(0), "{}", log(&data));
    assert!(!log(&data).contains("s3cret"), "{}", log(&data));

    let Some(mut server) = MongoServer::start_to_be_harmed() else { return };
    server.kill();
    let mut child = spawn(&data, server.url());
    waits(&data);
    server.restart();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("store mongodb"), "{line} {}", log(&data));
    assert_eq!(terminate(&mut child), Some(0), "{}", log(&data));
}

#[test]
fn who_is_not_let_in_is_told_so_without_the_password() {
    let Some(server) = MongoServer::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut child = spawn(&data, &server.url_of("alf:s3cret"));
    let ended = until("it ends", || child.try_wait().unwrap());
    let said = log(&data);
    assert_eq!(ended.code(), Some(1), "{said}");
    assert!(said.contains("see to user and password in store.url") && !said.contains("s3cret"), "{said}");
    let shown = alf(&data)
        .arg("check-config")
        .env("ALF_STORE__KIND", "mongodb")
        .env("ALF_STORE__URL", server.url_of("alf:s3cret"))
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("mongodb://alf:***@") && !shown.contains("s3cret"), "{shown}");
}
