//! The audit: who changed or started what, when, from where; and who was not let in.

use serde_json::{Value, json};

use crate::support::http::request;
use crate::support::service::{Service, until};
use crate::support::sshd::Sshd;

fn entries(service: &Service, query: &str) -> Vec<Value> {
    service.get(&format!("audit?{query}"))["items"].as_array().unwrap().clone()
}

#[test]
fn every_change_is_told_with_who_and_from_where_and_no_value() {
    let canary = "canary-77aa01";
    let mut service = Service::start();
    service.send("POST", "credentials", &json!({"name": "c", "password": canary})).expect(201);
    service.send("POST", "hosts", &json!({"name": "web1", "address": "192.0.2.7"})).expect(201);
    let patch = json!({"address": "192.0.2.8", "labels": {"role": "web"}});
    service.send("PATCH", "hosts/web1", &patch).expect(200);
    service.send("PATCH", "hosts/web1", &patch).expect(200);
    service.send("PATCH", "credentials/c", &json!({"password": format!("{canary}-2")})).expect(200);
    let headers = [("X-Request-Id", "by-hand-1"), ("Content-Type", "application/json")];
    service.call("DELETE", "/api/v1/hosts/web1", &headers, None).expect(204);
    service.send("POST", "apply", &json!({"hosts": [{"name": "a"}, {"name": "b"}]})).expect(200);

    let all = entries(&service, "by=admin");
    let told: Vec<String> = all
        .iter()
        .rev()
        .map(|entry| {
            format!(
                "{} {} {}",
                entry["verb"].as_str().unwrap(),
                entry["noun"].as_str().unwrap(),
                entry["name"].as_str().unwrap()
            )
        })
        .collect();
    let expected = [
        "create credential c",
        "create host web1",
        "update host web1",
        "update credential c",
        "delete host web1",
        "create host a",
        "create host b",
    ];
    assert_eq!(told, expected, "what changed nothing is no change");
    let update = &entries(&service, "noun=host&name=web1&verb=update")[0];
    assert_eq!(update["fields"], json!(["address", "labels"]));
    assert_eq!(
        (&update["by"], &update["address"], &update["outcome"]),
        (&json!("admin"), &json!("127.0.0.1"), &json!("ok"))
    );
    let password = &entries(&service, "noun=credential&verb=update")[0];
    assert_eq!(password["fields"], json!(["password"]), "a secret is told by its name");
    assert_eq!(entries(&service, "verb=delete")[0]["request"], "by-hand-1");
    let first = &entries(&service, "noun=key")[0];
    assert_eq!((&first["verb"], &first["by"]), (&json!("create"), &Value::Null), "Alf itself made the first key");

    let page = service.get("audit?by=admin&limit=3");
    assert_eq!((page["total"].as_u64(), page["items"].as_array().unwrap().len()), (Some(7), 3));
    let next = service.get(&format!("audit?by=admin&limit=100&cursor={}", page["next"].as_str().unwrap()));
    assert_eq!(next["items"].as_array().unwrap().len(), 4);
    let xml = service.call("GET", "/api/v1/audit?by=admin&limit=1&format=xml", &[], None).expect(200).text();
    assert!(xml.contains("<audit_entries") && xml.contains("<audit_entry><id>"), "{xml}");
    assert_eq!(service.call("GET", "/api/v1/audit?noun=gadget&verb=eat", &[], None).pointers(), ["/noun", "/verb"]);

    let cli = service.cli(&["audit", "--verb", "update", "--utc"]);
    let said = String::from_utf8_lossy(&cli.stdout).into_owned();
    assert!(said.starts_with("AT") && said.contains("address labels") && said.contains("127.0.0.1"), "{said}");

    service.end("KILL");
    service.restart();
    assert_eq!(entries(&service, "by=admin"), all, "it is on disk with what it tells of");
    let whole = service.get("audit?limit=1000").to_string();
    assert!(!whole.contains(canary) && !whole.contains("192.0.2.8"), "{whole}");
}

#[test]
fn who_may_read_all_hosts_may_read_it() {
    let service = Service::start();
    let read = |key: Value| {
        let key = service.send("POST", "keys", &key).expect(201).json()["key"].clone();
        let bearer = format!("Bearer {}", key.as_str().unwrap());
        request(&service.address, "GET", "/api/v1/audit", &[("Authorization", &bearer)], None)
    };
    for role in ["viewer", "operator"] {
        read(json!({"name": role, "role": role})).expect(200);
        let told = read(json!({"name": format!("of-web-{role}"), "role": role, "selector": "role=web"})).expect(403);
        assert!(told.text().contains("this, which concerns others as well, is not for the key"), "{}", told.text());
    }
    read(json!({"name": "of-web-admin", "role": "admin", "selector": "role=web"})).expect(403);
}

#[test]
fn what_is_started_and_cancelled_is_told() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task("long", "web1", json!({"command": "sleep 60"}), None);
    let run = service.send("POST", "hosts/web1/tasks/long/run", &json!({})).expect(202).json()["run"].clone();
    let exec = json!({"command": "echo secret-words"});
    let exec = service.send("POST", "hosts/web1/exec?wait=60s", &exec).expect(200).json()["id"].clone();
    until("it is cancelled", || {
        let answer = service.call("DELETE", &format!("/api/v1/runs/{}", run.as_str().unwrap()), &[], None);
        (answer.status == 204).then_some(())
    });
    let started = &entries(&service, "verb=run")[0];
    assert_eq!(
        (&started["noun"], &started["name"], &started["host"]),
        (&json!("task"), &json!("long"), &json!("web1"))
    );
    assert_eq!((&started["run"], &started["by"]), (&run, &json!("admin")));
    let executed = &entries(&service, "verb=exec")[0];
    assert_eq!((&executed["run"], &executed["noun"], &executed["host"]), (&exec, &Value::Null, &json!("web1")));
    assert!(!executed.to_string().contains("secret-words"));
    // It was told before it was done.
    let cancelled = &entries(&service, "verb=cancel")[0];
    assert_eq!((&cancelled["run"], &cancelled["host"]), (&run, &json!("web1")));
}

#[test]
fn an_acknowledgement_is_told_with_what_it_changes() {
    let (sshd, mut service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task("bad", "web1", json!({"command": "false"}), None);
    assert_eq!(service.run("bad")["outcome"], "PROBLEM");
    service.send("POST", "status/web1/bad/ack", &json!({"comment": "canary-19"})).expect(200);
    service.end("KILL");
    service.restart();
    let status = until("its status is back", || {
        let answer = service.call("GET", "/api/v1/status/web1/bad", &[], None);
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(status["acknowledged"], true);
    let told = entries(&service, "verb=ack");
    assert_eq!((told.len(), &told[0]["name"], &told[0]["host"]), (1, &json!("bad"), &json!("web1")));
    assert!(!told[0].to_string().contains("canary"), "{}", told[0]);
    service.call("DELETE", "/api/v1/status/web1/bad/ack", &[], None).expect(204);
    assert_eq!(entries(&service, "verb=unack").len(), 1);
}

#[test]
fn calls_that_a_key_may_not_make_are_told_together() {
    let mut service = Service::start();
    service.send("POST", "hosts", &json!({"name": "db1"})).expect(201);
    let make = |document: Value| service.send("POST", "keys", &document).expect(201).json()["key"].clone();
    let viewer = make(json!({"name": "viewer", "role": "viewer"}));
    let web = make(json!({"name": "web", "role": "admin", "selector": "role=web"}));
    let refused = |key: &Value, method: &str, path: &str, body: Option<&[u8]>| {
        let headers = [("X-Api-Key", key.as_str().unwrap()), ("X-Request-Id", "by-hand-2")];
        request(&service.address, method, &format!("/api/v1/{path}"), &headers, body).expect(403);
    };
    for _ in 0..20 {
        refused(&viewer, "POST", "hosts", Some(b"{\"name\": \"canary-20\"}"));
        refused(&web, "DELETE", "hosts/db1", None);
    }
    refused(&viewer, "DELETE", "hosts/db1", None);
    refused(&web, "GET", "status/db1", None);
    let told = until("each kind is told", || Some(entries(&service, "verb=call")).filter(|told| told.len() >= 4));
    let of = |by: &str, call: &str| {
        let found = told.iter().find(|entry| entry["by"] == by && entry["call"] == call);
        found.unwrap_or_else(|| panic!("{call} by {by} is not told in {told:?}")).clone()
    };
    of("viewer", "DELETE /api/v1/hosts/{name}");
    assert_eq!(of("web", "GET /api/v1/status/{host}")["host"], "db1");
    let delete = of("web", "DELETE /api/v1/hosts/{name}");
    assert_eq!((&delete["noun"], &delete["name"]), (&json!("host"), &json!("db1")));
    assert_eq!((&delete["outcome"], &delete["address"]), (&json!("refused"), &json!("127.0.0.1")));
    assert_eq!((&delete["request"], &delete["count"]), (&json!("by-hand-2"), &json!(1)));
    let cli = service.cli(&["audit", "--verb", "call"]);
    let said = String::from_utf8_lossy(&cli.stdout).into_owned();
    assert!(said.contains("POST /api/v1/hosts") && said.contains("refused"), "{said}");

    assert_eq!(service.end("TERM"), Some(0));
    service.restart();
    let told = entries(&service, "verb=call");
    let counts: u64 = told.iter().map(|entry| entry["count"].as_u64().unwrap()).sum();
    assert_eq!(counts, 42, "none is left out");
    assert!(told.len() <= 12, "{told:?}");
    assert!(!json!(told).to_string().contains("canary"));
}

#[test]
fn a_flood_of_bad_keys_is_told_together() {
    let mut service = Service::start();
    for n in 0..200 {
        let bearer = format!("Bearer alf_wrong{n}");
        let refused = request(&service.address, "GET", "/api/v1/hosts", &[("Authorization", &bearer)], None);
        assert!([401, 429].contains(&refused.status), "{}", refused.text());
    }
    let first = until("the first is told", || entries(&service, "verb=login").pop());
    assert_eq!((&first["outcome"], &first["count"], &first["by"]), (&json!("refused"), &json!(1), &Value::Null));
    assert_eq!(first["address"], "127.0.0.1");
    assert_eq!(service.end("TERM"), Some(0));
    service.restart();
    let told = entries(&service, "verb=login");
    let counts: u64 = told.iter().map(|entry| entry["count"].as_u64().unwrap()).sum();
    assert_eq!(counts, 200, "none is left out");
    assert!(told.len() <= 6, "{told:?}");
    assert!(!json!(told).to_string().contains("alf_wrong"));
}
