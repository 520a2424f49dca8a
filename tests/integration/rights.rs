//! Keys: what those for some hosts may do, how they end, how lost ones are replaced. `rights_walk.rs` tries every call.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::support::http::{Answer, request};
use crate::support::service::Service;

/// Makes a key and answers it.
pub(crate) fn key(service: &Service, document: &Value) -> String {
    service.send("POST", "keys", document).expect(201).json()["key"].as_str().unwrap().to_owned()
}

pub(crate) fn call(service: &Service, key: &str, method: &str, path: &str, body: &Value) -> Answer {
    let body = matches!(method, "POST" | "PUT" | "PATCH").then(|| body.to_string());
    let headers = [("X-Api-Key", key), ("Content-Type", "application/json")];
    let headers = if key.is_empty() { &headers[1..] } else { &headers[..] };
    request(&service.address, method, path, headers, body.as_deref().map(str::as_bytes))
}

/// Two hosts with the same task each; nobody answers at either.
pub(crate) struct TwoHosts {
    pub(crate) service: Service,
    /// Of an ended run on `db1`.
    pub(crate) result: String,
    _listeners: [TcpListener; 2],
}

impl TwoHosts {
    pub(crate) fn start() -> Self {
        let service = Service::start();
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        service.send("PUT", "credentials/c", &json!({"user": "u", "password": "p"})).expect(201);
        service.send("PUT", "tasks/t", &json!({"command": "true"})).expect(201);
        for (host, role, listener) in [("web1", "web", &listeners[0]), ("db1", "db", &listeners[1])] {
            let port = listener.local_addr().unwrap().port();
            let document = json!({"address": "127.0.0.1", "port": port, "credential": "c", "labels": {"role": role}});
            service.send("PUT", &format!("hosts/{host}"), &document).expect(201);
            service.send("POST", "host-tasks", &json!({"task": "t", "host": host})).expect(201);
            let daily = json!({"name": format!("daily-{host}"), "task": "t", "cron": "@daily", "host": host});
            service.send("POST", "task-schedules", &daily).expect(201);
            let nightly = json!({"name": format!("nightly-{host}"), "host": host, "cron": "@daily", "duration": "1h"});
            service.send("POST", "downtimes", &nightly).expect(201);
            let repair = json!({"name": format!("repair-{host}"), "when": {"hosts": [host]}, "then": {"run": "t"}});
            service.send("POST", "actions", &repair).expect(201);
        }
        let mut hosts = Self { service, result: String::new(), _listeners: listeners };
        hosts.result = hosts.ended("db1");
        hosts
    }

    /// Begins a run, which waits for its host to answer.
    pub(crate) fn run(&self, host: &str) -> String {
        let run = self.service.send("POST", &format!("hosts/{host}/tasks/t/run"), &json!({})).expect(202).json();
        run["run"].as_str().unwrap().to_owned()
    }

    /// The Result of a run that was cancelled.
    fn ended(&self, host: &str) -> String {
        let run = self.run(host);
        self.service.call("DELETE", &format!("/api/v1/runs/{run}"), &[], None).expect(204);
        crate::support::service::until("the cancelled run's Result", || {
            let found = self.service.call("GET", &format!("/api/v1/results/{run}"), &[], None);
            (found.status == 200).then(|| run.clone())
        })
    }
}

#[test]
fn a_key_for_some_hosts_works_on_those_and_follows_their_labels() {
    let hosts = TwoHosts::start();
    let service = &hosts.service;
    let web = key(service, &json!({"name": "web", "role": "admin", "selector": "role=web"}));
    let ask = |method: &str, path: &str, body: Value| call(service, &web, method, &format!("/api/v1/{path}"), &body);
    let total = |path: &str| ask("GET", path, Value::Null).expect(200).json()["total"].clone();
    let ended = hosts.ended("web1");
    for (path, expected) in [
        ("hosts", 1),
        ("host-tasks", 1),
        ("task-schedules", 1),
        ("actions", 1),
        ("tasks", 1),
        ("status", 1),
        ("results", 1),
        ("results?host=web1", 1),
        ("results?task=t", 1),
        ("status?selector=role%20in%20(web,db)", 1),
        ("runs", 0),
    ] {
        assert_eq!(total(path), expected, "{path}");
    }
    assert_eq!(ask("GET", "status/summary", Value::Null).json()["hosts_pending"], 1);
    for path in ["results?host=db1", "status?host=db1"] {
        ask("GET", path, Value::Null).expect(403);
    }
    ask("GET", &format!("results/{ended}"), Value::Null).expect(200);
    ask("GET", "hosts/none", Value::Null).expect(404);

    // A selector is narrowed to the key's hosts.
    let started = ask("POST", "tasks/t/run", json!({"selector": "role in (web,db)"})).expect(202).json();
    assert_eq!((started["runs"].as_array().unwrap().len(), &started["runs"][0]["host"]), (1, &json!("web1")));
    assert_eq!(started["refused"], json!([]));
    let run = started["runs"][0]["run"].as_str().unwrap();
    ask("GET", &format!("runs/{run}"), Value::Null).expect(200);
    ask("DELETE", &format!("runs/{run}"), Value::Null).expect(204);
    ask("POST", "tasks/t/run", json!({"selector": "role=none"})).expect(422);

    // Definitions: hosts that are within both before and after, and links that name one.
    ask("PUT", "hosts/web2", json!({"labels": {"role": "web"}})).expect(201);
    ask("PATCH", "hosts/web2", json!({"port": 2222})).expect(200);
    ask("PATCH", "hosts/web2", json!({"labels": {"role": "db"}})).expect(403);
    ask("PATCH", "hosts/web2", json!({"jump": "db1"})).expect(403);
    ask("POST", "host-tasks", json!({"task": "t", "host": "web2"})).expect(201);
    ask("POST", "host-tasks", json!({"name": "all", "task": "t", "selector": "role=web"})).expect(403);
    ask("PATCH", "host-tasks/t@web2", json!({"host": "db1"})).expect(403);
    ask("POST", "task-schedules", json!({"name": "s", "task": "t", "cron": "@daily"})).expect(403);
    ask("PUT", "tasks/t", json!({"command": "false"})).expect(403);
    ask("DELETE", "hosts/web2?cascade=true", Value::Null).expect(204);

    // Credentials and secrets only where hosts of its own name them already.
    service.send("PUT", "credentials/dbs", &json!({"user": "u", "password": "p"})).expect(201);
    service.send("PATCH", "hosts/db1", &json!({"credential": "dbs"})).expect(200);
    let web3 = |credential: &str| json!({"name": "web3", "labels": {"role": "web"}, "credential": credential});
    for (method, path, body) in [
        ("POST", "hosts", web3("dbs")),
        ("PATCH", "hosts/web1", json!({"credential": "dbs"})),
        ("POST", "apply", json!({"hosts": [web3("dbs")]})),
    ] {
        let told = ask(method, path, body).expect(403).text();
        assert!(told.contains("it may only name what one of these, or a link that names one, names already"), "{told}");
    }
    ask("POST", "hosts", web3("c")).expect(201);
    ask("DELETE", "hosts/web3", Value::Null).expect(204);

    // Labels change, and with them who may touch the host: at once.
    service.send("PATCH", "hosts/db1", &json!({"labels": {"role": "web"}})).expect(200);
    ask("GET", "hosts/db1", Value::Null).expect(200);
    assert_eq!(total("results?host=db1"), 1);
    service.send("PATCH", "hosts/web1", &json!({"labels": {"role": "db"}})).expect(200);
    ask("GET", "status/web1", Value::Null).expect(403);
    ask("GET", &format!("results/{ended}"), Value::Null).expect(403);
}

#[test]
fn a_key_has_its_end_and_makes_none_that_outlives_it() {
    let service = Service::start();
    let until = "2999-01-01T00:00:00.000Z";
    let short = key(&service, &json!({"name": "short", "role": "admin", "expires_at": until}));
    let make = |document: Value| call(&service, &short, "POST", "/api/v1/keys", &document);
    let told = make(json!({"name": "long", "role": "viewer"})).expect(403).text();
    assert!(told.contains("expires_at must be at most 2999-01-01"), "{told}");
    make(json!({"name": "same", "role": "admin", "expires_at": until})).expect(201);
    call(&service, &short, "PATCH", "/api/v1/keys/short", &json!({"expires_at": null})).expect(403);
    let shown = service.get("keys/short");
    assert_eq!((&shown["expires_at"], &shown["selector"]), (&json!(until), &Value::Null));
    service.send("PATCH", "keys/short", &json!({"expires_at": "2020-01-01T00:00:00Z"})).expect(200);
    make(json!({"name": "late", "role": "viewer"})).expect(401);
    let pointers =
        service.send("POST", "keys", &json!({"name": "k", "role": "viewer", "selector": "", "expires_at": "soon"}));
    assert_eq!(pointers.pointers(), ["/expires_at", "/selector"]);
}

#[test]
fn a_key_in_a_url_is_refused_and_bad_keys_are_slowed_down_while_good_ones_are_served() {
    let service = Service::start();
    for name in ["key", "api_key", "access_token"] {
        let path = format!("/api/v1/hosts?{name}={}", service.key);
        for (answer, status) in
            [(request(&service.address, "GET", &path, &[], None), 401), (service.call("GET", &path, &[], None), 422)]
        {
            let told = answer.expect(status).text();
            assert!(told.contains("does not belong in a URL") && !told.contains(&service.key), "{told}");
        }
    }
    let bad = || call(&service, "alf_wrong", "GET", "/api/v1/hosts", &Value::Null);
    for _ in 0..20 {
        bad().expect(401);
    }
    let slowed = bad().expect(429);
    let wait: u64 = slowed.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    service.call("GET", "/api/v1/hosts", &[], None).expect(200);
    call(&service, "", "GET", "/api/v1/hosts", &Value::Null).expect(401);
}

#[test]
fn when_a_key_was_last_used_is_known_also_after_a_restart_and_makes_no_version() {
    let mut service = Service::start();
    let ci = key(&service, &json!({"name": "ci", "role": "viewer"}));
    let made = service.call("GET", "/api/v1/keys/ci", &[], None).expect(200);
    assert_eq!(made.json()["last_used_at"], Value::Null);
    call(&service, &ci, "POST", "/api/v1/hosts", &json!({})).expect(403);
    call(&service, &ci, "GET", "/api/v1/hosts", &Value::Null).expect(200);
    let used = service.call("GET", "/api/v1/keys/ci", &[], None).expect(200);
    assert!(used.json()["last_used_at"].is_string(), "{}", used.text());
    assert_eq!((&used.json()["version"], used.header("etag")), (&json!(1), made.header("etag")));
    service.send("PATCH", "keys/ci", &json!({"last_used_at": "2000-01-01T00:00:00Z", "title": "CI"})).expect(200);
    assert_eq!(service.end("TERM"), Some(0));
    service.restart();
    assert_eq!(service.get("keys/ci")["last_used_at"], used.json()["last_used_at"]);
    assert!(service.get("keys/admin")["last_used_at"].is_string());
}

#[test]
fn a_lost_key_is_replaced_on_the_machine_itself_whether_the_service_runs_or_not() {
    let mut service = Service::start();
    let offline = |service: &Service, more: &[&str]| {
        let done = service.cli(&[&["key", "create", "--offline", "--role", "admin"], more].concat());
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{told}");
        (String::from_utf8(done.stdout).unwrap().trim().to_owned(), told)
    };
    let (key, told) = offline(&service, &["--name", "found"]);
    assert!(told.contains("key \"found\" created"), "{told}");
    let made = call(&service, &key, "GET", "/api/v1/keys/found", &Value::Null).expect(200).json();
    assert_eq!((&made["role"], &made["exec"]), (&json!("admin"), &json!(true)));

    assert_eq!(service.end("TERM"), Some(0));
    let (unnamed, told) = offline(&service, &["--expires", "1d"]);
    assert!(told.contains("is good as soon as the service of"), "{told}");
    let (again, _) = offline(&service, &["--name", "found"]);
    service.restart();
    for key in [&key, &unnamed, &again] {
        call(&service, key, "GET", "/api/v1/keys", &Value::Null).expect(200);
    }
    service.key = unnamed;
    assert_eq!(service.get("keys/found-2")["role"], "admin");
    assert!(std::fs::read_dir(service.data_dir().join("new-keys")).unwrap().next().is_none());
    let refused = service.cli(&["key", "create", "--offline", "--role", "viewer", "--exec"]);
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
}
