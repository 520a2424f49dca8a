//! Who may do what: every operation of the OpenAPI document, as the running service itself gives it, called with every kind of
//! key. What each is to need is said here once more, so that no route gets another role unnoticed.

use std::collections::{BTreeMap, BTreeSet};

use alf::http::routes;
use serde_json::{Value, json};

use crate::rights::{TwoHosts, call, key};
use crate::support::http::request;
use crate::support::service::Service;

/// The id of no run.
const NOWHERE: &str = "01a20867-2305-7000-a80f-36c3e8703ee2";
/// All methods that an operation may have.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// An operation, as the document has it.
struct Operation {
    method: String,
    path: String,
    /// The least role; none: no key is needed.
    role: Option<String>,
    /// Whether the key must have `exec`.
    exec: bool,
    /// Which hosts it reaches.
    hosts: Option<String>,
    /// Whether its answer does not end by itself.
    is_stream: bool,
    /// Whether it says that a key may not be good, or not good enough.
    refusals: (bool, bool),
}

impl Operation {
    fn of(method: &str, path: &str, described: &Value) -> Self {
        let responses = &described["responses"];
        let text = |field: &str| described[field].as_str().map(str::to_owned);
        Self {
            method: method.to_uppercase(),
            path: path.to_owned(),
            role: text("x-alf-role"),
            exec: described["x-alf-exec"] == true,
            hosts: text("x-alf-hosts"),
            is_stream: !responses["200"]["content"]["text/event-stream"].is_null(),
            refusals: (!responses["401"].is_null(), !responses["403"].is_null()),
        }
    }

    /// An event stream goes on and on; its head tells who may have it.
    fn tried(&self) -> &str {
        if self.is_stream { "HEAD" } else { &self.method }
    }

    fn is(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// Every operation, by path.
fn operations(service: &Service) -> BTreeMap<String, Vec<Operation>> {
    let document = request(&service.address, "GET", "/openapi.json", &[], None).expect(200).json();
    let of = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().unwrap().iter();
        (path.clone(), methods.map(|(method, described)| Operation::of(method, path, described)).collect())
    };
    let all: BTreeMap<String, Vec<Operation>> = document["paths"].as_object().unwrap().iter().map(of).collect();
    assert!(all.values().map(Vec::len).sum::<usize>() > 90, "this is no walk through the whole document");
    all
}

/// The least role that a call is to need, and whether `exec` as well: viewers read; operators run, cancel, acknowledge, set
/// downtimes, pause and ask hosts; admins do all.
fn promised(method: &str, path: &str) -> (Option<&'static str>, bool) {
    let below = path.strip_prefix("/api/v1").unwrap_or(path);
    let role = match (method, below) {
        ("GET", "/openapi.json" | "/docs" | "/health/live" | "/health/ready") => None,
        ("GET", "/hosts/{host}/host-key") | ("POST", "/hosts/{host}/doctor") => Some("operator"),
        ("GET", _) => Some("viewer"),
        ("POST", "/hosts/{host}/exec" | "/exec") => return (Some("operator"), true),
        ("POST", "/hosts/{host}/tasks/{task}/run" | "/tasks/{task}/run" | "/pause" | "/resume") => Some("operator"),
        ("POST", "/actions/{name}/test") => Some("operator"),
        ("DELETE", "/runs/{id}") => Some("operator"),
        ("POST" | "DELETE", "/status/{host}/ack" | "/status/{host}/{task}/ack") => Some("operator"),
        (_, "/downtimes" | "/downtimes/{name}") => Some("operator"),
        _ => Some("admin"),
    };
    (role, false)
}

/// The path with its variable parts filled in.
#[track_caller]
fn filled(path: &str, parts: &[(&str, &str)]) -> String {
    let filled = parts.iter().fold(path.to_owned(), |path, (part, text)| path.replace(&format!("{{{part}}}"), text));
    assert!(!filled.contains('{'), "{path}: this test does not know what to put there");
    filled
}

/// The path, of things that are not there.
fn nowhere(path: &str) -> String {
    filled(path, &[("host", "none"), ("task", "none"), ("name", "none"), ("id", NOWHERE)])
}

#[test]
fn every_operation_of_the_document_lets_in_whom_it_says_and_nobody_else() {
    let service = Service::start();
    let make = |name: &str, role: &str, exec: bool| key(&service, &json!({"name": name, "role": role, "exec": exec}));
    let expired = json!({"name": "expired", "role": "admin", "expires_at": "2020-01-01T00:00:00Z"});
    let nobody = [("no key", String::new()), ("an expired key", key(&service, &expired))];
    let keys = [
        ("viewer", false, make("viewer", "viewer", false)),
        ("operator", false, make("operator", "operator", false)),
        ("operator", true, make("runner", "operator", true)),
        ("admin", true, service.key.clone()),
    ];
    let rank = |role: &str| ["viewer", "operator", "admin"].iter().position(|known| *known == role).unwrap();
    for operation in operations(&service).into_values().flatten() {
        let is = operation.is();
        let (role, exec) = (operation.role.as_deref(), operation.exec);
        assert_eq!((role, exec), promised(&operation.method, &operation.path), "{is}");
        assert_eq!(operation.refusals.0, role.is_some(), "{is} does not tell whether it may answer 401");
        let url = nowhere(&operation.path);
        for (words, key) in &nobody {
            let answer = call(&service, key, operation.tried(), &url, &json!({}));
            assert_eq!(answer.status == 401, role.is_some(), "{is} with {words}: {}", answer.status);
            assert_ne!(answer.status, 403, "{is} with {words}");
        }
        for (own, may_exec, key) in &keys {
            let may = role.is_none_or(|least| rank(own) >= rank(least)) && (*may_exec || !exec);
            let status = call(&service, key, operation.tried(), &url, &json!({})).status;
            assert_eq!(status == 403, !may, "{is} as {own}: {status}");
            assert!(may || operation.refusals.1, "{is} does not tell that it may answer 403");
            assert!(status != 401 && status < 500, "{is} as {own}: {status}");
        }
    }
    let told = call(&service, &nobody[1].1, "GET", "/api/v1/hosts", &json!({})).expect(401).text();
    assert!(told.contains("expired at 2020-01-01T00:00:00.000Z"), "{told}");
}

#[test]
fn what_is_in_the_document_is_there_and_nothing_else_is() {
    let service = Service::start();
    let documented = operations(&service);
    for (path, here) in &documented {
        let url = nowhere(path);
        let mut methods: BTreeSet<&str> = here.iter().map(|operation| operation.method.as_str()).collect();
        for operation in here {
            let answer = call(&service, &service.key, operation.tried(), &url, &json!({}));
            assert_ne!(answer.status, 405, "{} is in the document only", operation.is());
            let told = answer.text();
            assert!(!told.contains("there is nothing at this URL"), "{} is in the document only", operation.is());
        }
        for other in METHODS.iter().filter(|method| !methods.contains(*method)) {
            let status = call(&service, &service.key, other, &url, &json!({})).status;
            assert_eq!(status, 405, "{other} {path} is there, and not in the document");
        }
        methods.insert("OPTIONS");
        if methods.contains("GET") {
            methods.insert("HEAD");
            let head = call(&service, &service.key, "HEAD", &url, &Value::Null);
            assert!(head.body.is_empty(), "HEAD {path}: {}", head.text());
            if !here.iter().any(|operation| operation.is_stream) {
                let whole = call(&service, &service.key, "GET", &url, &Value::Null);
                assert_eq!((head.status, head.header("content-type")), (whole.status, whole.header("content-type")));
            }
        }
        let options = call(&service, &service.key, "OPTIONS", &url, &Value::Null).expect(204);
        let allowed: BTreeSet<&str> = options.header("allow").unwrap().split(", ").collect();
        assert_eq!(allowed, methods, "{path}");
    }
    let routed: BTreeSet<String> = routes().iter().map(alf::http::route::At::path).collect();
    let documented: BTreeSet<String> = documented.into_keys().collect();
    assert_eq!(routed, documented);
}

/// What concerns no host.
const HOSTLESS: [&str; 7] = ["", "/", "/schedules/preview", "/openapi.json", "/docs", "/health/live", "/health/ready"];

/// What a key that is for other hosts comes to.
enum Foreign {
    /// It is refused.
    Refused(Value),
    /// It sees all but what is of the other hosts.
    Filtered,
    /// It is served: this concerns no host.
    Shown,
    /// It hears nothing of the other hosts: a stream without an end, which `events.rs` listens to.
    Stream,
}

/// What is known of the calls whose handlers go by the rights themselves.
#[track_caller]
fn foreign(method: &str, path: &str) -> Foreign {
    let path = path.trim_start_matches("/api/v1");
    match (method, path) {
        ("GET", "/events") => Foreign::Stream,
        ("GET", "/runs" | "/results" | "/status" | "/status/summary" | "/health/actors") => Foreign::Filtered,
        ("GET" | "DELETE", "/runs/{id}")
        | (
            "GET",
            "/runs/{id}/output"
            | "/results/{id}"
            | "/results/{id}/stdout"
            | "/results/{id}/stderr"
            | "/results/{id}/trace",
        )
        | (
            "GET" | "PUT" | "PATCH" | "DELETE",
            "/hosts/{name}" | "/host-tasks/{name}" | "/task-schedules/{name}" | "/downtimes/{name}" | "/actions/{name}",
        ) => Foreign::Refused(json!({})),
        ("POST", "/hosts") => Foreign::Refused(json!({"name": "db9", "labels": {"role": "db"}})),
        ("POST", "/host-tasks") => Foreign::Refused(json!({"name": "l", "task": "t", "host": "db1"})),
        ("POST", "/task-schedules") => {
            Foreign::Refused(json!({"name": "l", "task": "t", "cron": "@daily", "host": "db1"}))
        }
        ("POST", "/downtimes") => {
            Foreign::Refused(json!({"name": "l", "host": "db1", "cron": "@daily", "duration": "1h"}))
        }
        // Of an Action that is for the other host.
        ("POST", "/actions/{name}/test") => Foreign::Refused(json!({})),
        ("POST", "/actions") => {
            Foreign::Refused(json!({"name": "a", "when": {"hosts": ["db1"]}, "then": {"run": "t"}}))
        }
        ("POST", "/tasks/{task}/run") => Foreign::Refused(json!({"selector": "role=db"})),
        ("POST", "/apply") => Foreign::Refused(json!({"hosts": [{"name": "db1", "port": 23}]})),
        ("POST", "/exec") => Foreign::Refused(json!({"selector": "role=db", "command": "true"})),
        ("GET", path) if path.ends_with("/{name}") => Foreign::Shown,
        ("GET", path) if path.rfind('/') == Some(0) => Foreign::Filtered,
        _ => panic!("{method} {path}: this test does not know what a key for other hosts comes to there"),
    }
}

#[test]
fn a_key_for_some_hosts_reaches_no_other_one_by_any_operation() {
    let hosts = TwoHosts::start();
    let service = &hosts.service;
    let web = key(service, &json!({"name": "web", "role": "admin", "selector": "role=web"}));
    let running = hosts.run("db1");
    for operation in operations(service).into_values().flatten() {
        let (method, path) = (operation.method.as_str(), operation.path.as_str());
        let name = match path.trim_start_matches("/api/v1/").split('/').next().unwrap() {
            "hosts" => "db1",
            "host-tasks" => "t@db1",
            "task-schedules" => "daily-db1",
            "downtimes" => "nightly-db1",
            "actions" => "repair-db1",
            "tasks" => "t",
            "credentials" => "c",
            "keys" => "admin",
            _ => "none",
        };
        let id = if path.contains("/runs/") { &running } else { &hosts.result };
        let url = filled(path, &[("host", "db1"), ("task", "t"), ("name", name), ("id", id)]);
        let refused = |body: &Value| {
            let answer = call(service, &web, method, &url, body);
            assert_eq!(answer.status, 403, "{method} {url}: {}", answer.text());
            assert!(answer.text().contains("role=web"), "{method} {url} does not say why: {}", answer.text());
            assert!(operation.refusals.1, "{method} {path} does not tell that it may answer 403");
        };
        match operation.hosts.as_deref() {
            Some("all") => refused(&json!({})),
            Some("named") => {
                assert!(path.contains("{host}"), "{path} names no host");
                refused(&json!({}));
            }
            Some("own") => match foreign(method, path) {
                Foreign::Refused(body) => refused(&body),
                Foreign::Stream => {}
                Foreign::Shown => assert!([200, 404].contains(&call(service, &web, method, &url, &json!({})).status)),
                Foreign::Filtered => {
                    let text = call(service, &web, method, &url, &json!({})).expect(200).text();
                    assert!(!text.contains("db1"), "{method} {url}: {text}");
                }
            },
            Some(other) => panic!("{method} {path}: what are the hosts \"{other}\"?"),
            None => {
                let is_known = HOSTLESS.contains(&path.trim_start_matches("/api/v1"));
                assert!(is_known, "{method} {path}: does this concern no host?");
                assert_ne!(call(service, &web, method, &url, &json!({})).status, 403, "{method} {url}");
            }
        }
    }
    let kept = service.get("hosts/db1");
    assert_eq!(kept["version"], 1, "nothing of it came to anything");
    assert_eq!(service.get("host-tasks")["total"], 2);
}
