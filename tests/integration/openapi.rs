//! The OpenAPI document as a client gets it, and whether real answers are what it says.

use serde_json::{Value, json};

use crate::support::http::{Answer, request};
use crate::support::schema::faults;
use crate::support::service::Service;
use crate::support::sshd::Sshd;

const XML: (&str, &str) = ("Accept", "application/xml");

/// The document, as anybody gets it.
fn document(service: &Service) -> Value {
    let answer = request(&service.address, "GET", "/openapi.json", &[], None).expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.json()
}

/// What the document says of an answer to a call.
#[track_caller]
fn described<'a>(api: &'a Value, method: &str, path: &str, status: u16) -> &'a Value {
    let answer = &api["paths"][path][method.to_lowercase()]["responses"][status.to_string()];
    assert!(!answer.is_null(), "{method} {path} answered {status}, which is not documented");
    match answer["$ref"].as_str() {
        Some(place) => api.pointer(place.trim_start_matches('#')).unwrap(),
        None => answer,
    }
}

#[track_caller]
fn check(api: &Value, method: &str, path: &str, answer: &Answer) {
    let described = described(api, method, path, answer.status);
    let Some(kind) = answer.header("content-type").map(|kind| kind.split(';').next().unwrap()) else {
        assert!(described["content"].is_null(), "{method} {path} has no body");
        return;
    };
    let media = &described["content"][kind];
    assert!(!media.is_null(), "{method} {path} {} came as {kind}, which is not documented", answer.status);
    if kind.ends_with("json") {
        let faults = faults(api, &media["schema"], &answer.json());
        assert!(faults.is_empty(), "{method} {path} {}: {faults:#?} in {}", answer.status, answer.text());
    } else if kind.ends_with("xml") {
        let root = media["schema"]["xml"]["name"].as_str().unwrap();
        let text = answer.text();
        assert!(text.contains(&format!("?>\n<{root}")), "{method} {path}: the root is not {root}: {text}");
    }
}

#[test]
fn the_document_and_its_page_are_for_everybody_and_ask_no_other_host() {
    let service = Service::start();
    let api = document(&service);
    assert_eq!(api["openapi"], "3.1.0");
    assert!(api["paths"].as_object().unwrap().len() > 40);
    assert_eq!(api["paths"]["/api/v1/hosts"]["post"]["x-alf-role"], "admin");
    assert_eq!(api["paths"]["/health/live"]["get"]["x-alf-role"], Value::Null);

    let page = request(&service.address, "GET", "/docs", &[], None).expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'sha256-"), "{policy}");
    let html = page.text();
    assert!(html.contains("/openapi.json") && !html.contains("http://") && !html.contains("https://"));
    assert!(!html.contains(" src=") && !html.contains("localStorage") && !html.contains("innerHTML"));
}

#[test]
fn real_answers_are_what_the_document_says() {
    let (sshd, service) = (Sshd::start(), Service::start());
    let api = document(&service);
    let ask = |method: &str, path: &str, url: &str, body: Option<Value>| {
        let url = format!("/api/v1{url}");
        let bytes = body.map(|body| body.to_string());
        let bytes = bytes.as_deref().map(str::as_bytes);
        let headers = [("Content-Type", "application/json")];
        let answer = service.call(method, &url, &headers[usize::from(bytes.is_none())..], bytes);
        check(&api, method, &format!("/api/v1{path}"), &answer);
        if method == "GET" {
            check(&api, method, &format!("/api/v1{path}"), &service.call(method, &url, &[XML], None));
        }
        answer
    };
    service.add_host(&sshd);
    service.add_task("hello", "web1", json!({"command": "echo hi; exit $N", "env": {"N": "0"}}), Some("@daily"));
    ask("POST", "/schedules", "/schedules", Some(json!({"name": "s", "cron": "@hourly"})));
    let downtime = json!({"name": "d", "host": "web1", "cron": "@yearly", "duration": "1h"});
    ask("POST", "/downtimes", "/downtimes", Some(downtime)).expect(201);
    ask("POST", "/contacts", "/contacts", Some(json!({"name": "anna", "email": "anna@example.org"}))).expect(201);
    let action = json!({"name": "page", "when": {"hosts": ["web1"]}, "then": {"run": "hello"}, "contacts": ["anna"]});
    ask("POST", "/actions", "/actions", Some(action)).expect(201);
    let key = json!({"name": "k", "role": "viewer"});
    assert!(ask("POST", "/keys", "/keys", Some(key)).expect(201).json()["key"].is_string());
    for (noun, name) in [
        ("hosts", "web1"),
        ("credentials", "key-web1"),
        ("tasks", "hello"),
        ("schedules", "s"),
        ("host-tasks", "hello@web1"),
        ("task-schedules", "when-hello-web1"),
        ("downtimes", "d"),
        ("contacts", "anna"),
        ("actions", "page"),
        ("keys", "admin"),
    ] {
        ask("GET", &format!("/{noun}"), &format!("/{noun}?limit=1"), None).expect(200);
        let (path, url) = (format!("/{noun}/{{name}}"), format!("/{noun}/{name}"));
        let shown = ask("GET", &path, &url, None).expect(200).json();
        let patched = json!({"title": "another"});
        ask("PATCH", &path, &url, Some(patched)).expect(200);
        // What is read may be sent back, and the document says so.
        let sent = &api["paths"][format!("/api/v1{path}")]["put"]["requestBody"]["content"]["application/json"];
        let wrong = faults(&api, &sent["schema"], &shown);
        assert!(wrong.is_empty(), "{noun}: {wrong:?}");
        ask("PUT", &path, &url, Some(shown)).expect(200);
        ask("PUT", &path, &url, Some(json!({"nothing": 1}))).expect(422);
        ask("GET", &path, &format!("/{noun}/none"), None).expect(404);
    }
    let sent = service.call(
        "PUT",
        "/api/v1/programs/p",
        &[("Content-Type", "application/octet-stream")],
        Some(b"#!/bin/sh\n"),
    );
    check(&api, "PUT", "/api/v1/programs/{name}", &sent);
    ask("GET", "/programs", "/programs", None).expect(200);

    let run = ("/hosts/{host}/tasks/{task}/run", "/hosts/web1/tasks/hello/run");
    let wait = format!("{}?wait=60s", run.1);
    let result = ask("POST", run.0, &wait, Some(json!({}))).expect(200).json();
    ask("POST", run.0, run.1, Some(json!({"env": {"N": "3"}}))).expect(202);
    let id = result["id"].as_str().unwrap();
    let nowhere = "01a20867-2305-7000-a80f-36c3e8703ee2";
    ask("POST", "/hosts/{host}/exec", "/hosts/web1/exec?wait=60s", Some(json!({"command": "uptime"}))).expect(200);
    ask("POST", "/exec", "/exec", Some(json!({"command": "sleep 60", "selector": "*"}))).expect(202);
    ask("POST", "/tasks/{task}/run", "/tasks/hello/run", Some(json!({"selector": "@name=web1"})));
    for (path, url) in [
        ("/", "/"),
        ("", ""),
        ("/runs", "/runs"),
        ("/runs/{id}", &format!("/runs/{nowhere}")),
        ("/results", "/results?limit=2"),
        ("/results/{id}", &format!("/results/{id}")),
        ("/results/{id}", &format!("/results/{nowhere}")),
        ("/results/{id}/stdout", &format!("/results/{id}/stdout")),
        ("/status", "/status"),
        ("/status", "/status?state=WRONG"),
        ("/status/summary", "/status/summary"),
        ("/host-statuses", "/host-statuses?outcome=OK"),
        ("/host-statuses", "/host-statuses?state=OK"),
        ("/status/{host}", "/status/web1"),
        ("/status/{host}/{task}", "/status/web1/hello"),
        ("/stats", "/stats"),
        ("/export", "/export"),
        ("/schedules/preview", "/schedules/preview?cron=@daily"),
        ("/hosts/{host}/host-key", "/hosts/web1/host-key"),
    ] {
        ask("GET", path, url, None);
    }
    ask("POST", "/hosts/{host}/doctor", "/hosts/web1/doctor", None).expect(200);
    ask("POST", "/hosts/{host}/trust", "/hosts/web1/trust", None).expect(200);
    let export = service.get("export");
    assert_eq!(faults(&api, &json!({"$ref": "#/components/schemas/Definitions"}), &export), Vec::<String>::new());
    let applied = ask(
        "POST",
        "/apply",
        "/apply?dry_run=true&documents=true",
        Some(json!({"tasks": [{"name": "hello", "command": "true"}]})),
    );
    assert_eq!(applied.expect(200).json()["updated"][0]["name"], "hello");
    ask("POST", "/pause", "/pause", None).expect(200);
    ask("POST", "/resume", "/resume", Some(json!({}))).expect(200);
    for path in ["/health/live", "/health/ready", "/health/actors", "/metrics"] {
        check(&api, "GET", path, &service.call("GET", path, &[], None));
    }
    check(&api, "GET", "/health/actors/{host}", &service.call("GET", "/health/actors/web1", &[], None));
    check(&api, "GET", "/api/v1/hosts", &request(&service.address, "GET", "/api/v1/hosts", &[], None));
    check(&api, "GET", "/api/v1/hosts", &service.call("GET", "/api/v1/hosts", &[("Accept", "image/png")], None));
}

#[test]
fn every_example_is_what_its_schema_says() {
    let service = Service::start();
    let api = document(&service);
    let mut looked_at = 0;
    let mut look = |place: &str, content: &Value| {
        for (kind, media) in content.as_object().into_iter().flatten().filter(|(kind, _)| kind.contains("json")) {
            let wrong = faults(&api, &media["schema"], &media["example"]);
            assert!(wrong.is_empty(), "{place} as {kind}: {wrong:?}");
            looked_at += 1;
        }
    };
    for (path, methods) in api["paths"].as_object().unwrap() {
        for (method, call) in methods.as_object().unwrap() {
            let place = format!("{method} {path}");
            look(&place, &call["requestBody"]["content"]);
            call["responses"].as_object().unwrap().values().for_each(|answer| look(&place, &answer["content"]));
        }
    }
    for (name, problem) in api["components"]["responses"].as_object().unwrap() {
        look(name, &problem["content"]);
    }
    assert!(looked_at > 80, "only {looked_at} examples");
}
