//! Many definitions at once, from outside: apply and export, JSON and XML as equals, many thousands of hosts.

use alf::model::Noun;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::http::Answer;
use crate::support::service::Service;

const XML: (&str, &str) = ("Accept", "application/xml");
const OF_XML: (&str, &str) = ("Content-Type", "application/xml");

fn apply(service: &Service, query: &str, document: &Value) -> Answer {
    service.send("POST", &format!("apply{query}"), document)
}

/// How many were created, updated, left unchanged and deleted.
#[track_caller]
fn counts(answer: Answer) -> [usize; 4] {
    let answer = answer.expect(200).json();
    ["created", "updated", "unchanged", "deleted"].map(|field| answer[field].as_array().unwrap().len())
}

/// Texts that formats, shells and line ends are known to stumble over.
const HARD: [&str; 8] = [
    "a\u{1}b\u{7f}",
    "]]>&amp;<x/>",
    " \t lead",
    "line\r\nline\n",
    "\u{1F600}\u{fffe}\u{202e}",
    "null",
    "0644",
    "- {a: b}",
];

/// One of every noun, with every field that has a say.
fn one_of_each() -> Value {
    let label = |text: &str| json!(text.replace(char::is_control, ""));
    let labels: Value = HARD.iter().enumerate().map(|(n, text)| (format!("l{n}"), label(text))).collect();
    let env: Value =
        HARD.iter().enumerate().map(|(n, text)| (format!("V{n}"), json!(text.replace('\0', "")))).collect();
    json!({
        "secrets": [{"name": "token", "value": "hunter2 of all"}],
        "credentials": [
            {"name": "named", "password": {"secret": "token"}},
            {"name": "pw", "password": "hunter2", "sudo_password": "s3cret", "user": "me", "labels": labels},
            {"name": "file", "key_file": "~/.ssh/id", "passphrase": "hunter2"},
            {"name": "agent", "agent": true},
        ],
        "hosts": [
            {"name": "web1", "address": "127.0.0.1", "port": 2222, "user": "u", "credential": "pw", "jump": "gate",
             "host_key": {"policy": "strict", "keys": []}, "max_sessions": 3, "max_attempts": 2, "env": env,
             "timezone": "Europe/Madrid", "enabled": false, "labels": labels, "title": "Web \u{1F600}",
             "description": HARD.join("|")},
            {"name": "gate", "enabled": false},
        ],
        "tasks": [
            {"name": "c", "command": HARD[3], "stdin": HARD[2], "env": env, "cwd": "/srv", "run_as": "deploy",
             "timeout": "none", "start_within": "1m30s", "kill_grace": "250ms", "output_limit": 0,
             "expect": {"exit_codes": [0, 3], "stdout_regex": "^a", "stderr_empty": true, "max_duration": "5s"},
             "overlap": "queue", "max_attempts": 4, "retry_interval": "1m", "enabled": false},
            {"name": "s", "script": {"interpreter": ["python3", "-u"], "body": HARD[1], "args": HARD}, "plugin": "nagios"},
            {"name": "p", "program": {"name": "probe", "args": ["-v"]}, "env": {"TOKEN": {"secret": "token"}},
             "stdin": {"secret": "token"}},
        ],
        "schedules": [{"name": "nightly", "cron": "30 2 * * mon-fri", "timezone": "host", "splay": "5m",
            "missed": "all", "missed_max_age": "2h", "not_before": "2026-01-01T00:00:00Z", "enabled": false}],
        "host_tasks": [
            {"task": "c", "host": "web1", "timeout": "5s", "env": env, "enabled": false},
            {"name": "all", "task": "s", "selector": "l5=null,!old"},
        ],
        "task_schedules": [
            {"task": "c", "schedule": "nightly", "host": "web1"},
            {"name": "often", "task": "s", "cron": "@every 90s", "timezone": "Asia/Kathmandu", "selector": "*"},
        ],
        "downtimes": [
            {"name": "copies", "selector": "role=db", "cron": "30 1 * * *", "timezone": "Europe/Berlin", "duration": "45m"},
            {"name": "once", "host": "web1", "task": "c", "starts_at": "2040-01-01T00:00:00Z", "mode": "pause",
             "ends_at": "2040-01-02T00:00:00Z", "comment": HARD[1]},
        ],
        "contacts": [
            {"name": "anna", "email": "anna@example.org", "phone": "+34 600", "addresses": {"pager": HARD[1]},
             "notify_on": ["CRITICAL", "DOWN"], "quiet_hours": {"timezone": "Europe/Berlin", "except": ["DOWN"],
             "periods": [{"days": "fri-mon", "from": "22:00", "to": "07:00"}]}},
            {"name": "ben"},
        ],
        "actions": [
            {"name": "fire", "when": {"object": "task", "tasks": ["c"], "hosts": ["web1"], "selector": "a=b",
             "task_selector": "!old", "outcome": "PROBLEM", "states": ["WARNING"], "reasons": ["timeout"],
             "exit_codes": [1, 2], "after": 3, "output_regex": HARD[1], "perf": "'a b' >= 1.5s"},
             "then": {"run": "s", "on": {"selector": "role=db"}}, "contacts": ["ben"], "recovery": false,
             "throttle": "5m", "repeat": "1h", "limit": "10/h", "enabled": false},
            {"name": "hook", "when": {"lasting": "1h"}, "then": {"webhook": {"url": "https://example.org/hook",
             "method": "PUT", "headers": {"X-A": "a & b", "Authorization": {"secret": "token"}}, "body": HARD[1],
             "hmac_secret": "hunter2 too", "timeout": "3s", "allow_private": true}}, "digest": "30s"},
            {"name": "graph", "then": {"influx": {"url": "http://influx:8086", "org": "o", "bucket": "b",
             "token": "s3cret too", "tags": {"dc": "1"}}}},
            {"name": "mail", "then": {"email": {"to": ["Ops <ops@example.org>"], "subject": "{{ host }}"}}, "contacts": ["anna"]},
        ],
    })
}

/// A service in which there is one of every noun.
fn with_one_of_each() -> Service {
    let service = Service::start();
    let file = [("Content-Type", "application/octet-stream")];
    service.call("PUT", "/api/v1/programs/probe", &file, Some(b"#!/bin/sh\n")).expect(201);
    service.send("POST", "keys", &json!({"name": "ci", "role": "viewer"})).expect(201);
    assert_eq!(counts(apply(&service, "", &one_of_each()))[1..], [0, 0, 0]);
    service
}

#[test]
fn applying_an_export_changes_nothing_in_either_format() {
    let service = with_one_of_each();
    let export = service.call("GET", "/api/v1/export", &[], None).expect(200);
    let all = export.json();
    let mut total = 0;
    for noun in Noun::ALL {
        let of_noun = all[noun.plural()].as_array().unwrap_or_else(|| panic!("no {} in {all}", noun.plural()));
        assert!(!of_noun.is_empty(), "no {noun} is among what is exported: put one into one_of_each()");
        let names: Vec<_> = of_noun.iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert!(names.is_sorted(), "{names:?}");
        total += names.len();
    }
    let text = export.text();
    for left_out in
        ["hunter2", "s3cret", "\"set\"", "\"version\"", "created_at", "updated_at", "learned", "sha256", ":null"]
    {
        assert!(!text.contains(left_out), "{left_out} is in {text}");
    }
    for query in ["", "?prune=*", "?prune=*&dry_run=true"] {
        assert_eq!(counts(apply(&service, query, &all)), [0, 0, total, 0], "{query}");
    }
    let xml = service.call("GET", "/api/v1/export", &[XML], None).expect(200);
    assert!(xml.text().contains("<credentials><item><name>agent</name>"), "{}", xml.text());
    for path in ["/api/v1/apply", "/api/v1/apply?prune=*"] {
        assert_eq!(counts(service.call("POST", path, &[OF_XML], Some(&xml.body))), [0, 0, total, 0]);
    }
    let applied = service.call("POST", "/api/v1/apply", &[OF_XML, XML], Some(&xml.body)).expect(200).text();
    let begin = "<applied><created/><updated/><unchanged><item><noun>secret</noun><name>token</name>";
    assert!(applied.contains(begin), "{applied}");
    assert_eq!(service.get("hosts/web1")["version"], 1);

    // What is changed in the export is what is changed in Alf.
    let mut other = all.clone();
    other["hosts"][1]["port"] = json!(23);
    other["credentials"][3]["user"] = json!("you");
    let answer = apply(&service, "?documents=true", &other).expect(200).json();
    assert_eq!(answer["updated"][0]["noun"], "credential");
    assert_eq!(answer["updated"][1]["before"]["port"], 2222);
    assert_eq!(answer["updated"][1]["after"]["port"], 23);
    assert_eq!(service.get("credentials/pw")["password"], json!({"set": true}), "left out, it stays");
}

#[test]
fn every_fault_is_told_with_its_place_and_nothing_is_done() {
    let service = Service::start();
    let wrong = json!({
        "hosts": [{"name": "good"}, {"name": "a", "port": 0, "colour": "red"}, {"name": "b", "port": "many"}, 7, {"name": "good"}],
        "host_tasks": [{"task": "none", "host": "a"}, {"task": "none", "host": "b"}],
        "machines": [],
        "tasks": {"name": "t"},
    });
    let expected = [
        "/host_tasks/0/task",
        "/host_tasks/1/task",
        "/hosts/1/colour",
        "/hosts/1/port",
        "/hosts/2/port",
        "/hosts/3",
        "/hosts/4/name",
        "/machines",
        "/tasks",
    ];
    assert_eq!(apply(&service, "", &wrong).pointers(), expected);
    let xml = b"<export><hosts total=\"1\"><host><name>good</name></host><task/></hosts><hosts/>\
        <tasks>some text</tasks></export>";
    let wrong = service.call("POST", "/api/v1/apply", &[OF_XML], Some(xml)).pointers();
    assert_eq!(wrong, ["/hosts", "/hosts", "/hosts/1", "/hosts/1/name", "/tasks"]);
    service.call("POST", "/api/v1/apply", &[OF_XML], Some(b"<hosts/>")).expect(400);
    service.call("POST", "/api/v1/apply", &[], Some(b"[]")).expect(422);
    service.call("POST", "/api/v1/apply", &[], Some(b"")).expect(400);
    assert_eq!(apply(&service, "?prune=&dry_run=maybe", &json!({})).pointers(), ["/dry_run", "/prune"]);
    assert_eq!(service.get("hosts")["total"], 0);
    let good = b"<export><hosts><host><name>good</name></host></hosts></export>";
    assert_eq!(counts(service.call("POST", "/api/v1/apply", &[OF_XML], Some(good))), [1, 0, 0, 0]);
    assert_eq!(counts(apply(&service, "", &json!({}))), [0, 0, 0, 0]);
}

#[test]
fn what_is_pruned_is_told_before_and_refused_while_it_is_in_use() {
    let service = Service::start();
    let all = json!({"hosts": [{"name": "a"}, {"name": "b", "labels": {"by": "git"}}],
        "tasks": [{"name": "t", "command": "true"}], "host_tasks": [{"task": "t", "host": "b"}]});
    assert_eq!(counts(apply(&service, "", &all)), [4, 0, 0, 0]);
    let refused = apply(&service, "?prune=*", &json!({"hosts": [], "tasks": []})).expect(409).json();
    let errors = json!([
        {"pointer": "/hosts", "detail": "host \"b\" is left out, but in use by host-task \"t@b\""},
        {"pointer": "/tasks", "detail": "task \"t\" is left out, but in use by host-task \"t@b\""},
    ]);
    assert_eq!(refused["errors"], errors, "{refused}");
    let without = json!({"hosts": [{"name": "a"}], "host_tasks": []});
    let answer = apply(&service, "?prune=*&dry_run=true", &without).expect(200).json();
    let gone = json!([{"noun": "host", "name": "b"}, {"noun": "host_task", "name": "t@b"}]);
    assert_eq!((&answer["deleted"], &answer["unchanged"]), (&gone, &json!([{"noun": "host", "name": "a"}])));
    assert_eq!(service.get("hosts")["total"], 2);
    assert_eq!(apply(&service, "?prune=*", &without).expect(200).json(), answer);
    assert_eq!(service.get("hosts")["total"], 1);
    // Keys and credentials stay, the admin's own above all.
    assert_eq!(counts(apply(&service, "?prune=*", &json!({"keys": [], "credentials": []}))), [0, 0, 0, 0]);
    assert_eq!(service.get("tasks")["total"], 1);
}

#[test]
fn thousands_of_hosts_come_and_go_in_seconds() {
    const HOSTS: usize = 5000;
    let service = Service::start();
    let hosts: Vec<Value> = (0..HOSTS)
        .map(|n| json!({"name": format!("h{n}"), "address": "127.0.0.1", "port": 9, "labels": {"rack": format!("r{}", n % 40)}}))
        .collect();
    let links: Vec<Value> = (0..HOSTS).step_by(10).map(|n| json!({"task": "t", "host": format!("h{n}")})).collect();
    let fleet = json!({"hosts": hosts, "tasks": [{"name": "t", "command": "true"}], "host_tasks": links});
    let timed = |query: &str, document: &Value, expected: [usize; 4]| {
        let began = Instant::now();
        assert_eq!(counts(apply(&service, query, document)), expected);
        // The node has taken it in as well.
        service.get("stats");
        let took = began.elapsed();
        println!("apply{query}: {expected:?} in {took:?}");
        assert!(took.as_secs() < 30, "{took:?}");
    };
    let all = HOSTS + HOSTS / 10 + 1;
    timed("", &fleet, [all, 0, 0, 0]);
    timed("", &fleet, [0, 0, all, 0]);
    timed("?prune=*", &json!({"hosts": [], "host_tasks": []}), [0, 0, 0, all - 1]);
}
