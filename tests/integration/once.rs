//! `Idempotency-Key`: what is repeated under it is done once, by whoever and whenever it is repeated.

use serde_json::{Value, json};

use crate::support::http::Answer;
use crate::support::service::{Service, until};
use crate::support::sshd::Sshd;

/// A POST under `/api/v1` with an idempotency key.
fn post(service: &Service, path: &str, key: &str, body: &Value) -> Answer {
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
    service.call("POST", &format!("/api/v1/{path}"), &headers, Some(body.to_string().as_bytes()))
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

#[test]
fn twenty_repetitions_at_once_are_one_run() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let count = sshd.dir().join("count");
    let body = json!({"command": format!("echo x >> {}; echo done", count.display())});
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let all: Vec<_> =
            (0..20).map(|_| scope.spawn(|| post(&service, "hosts/web1/exec?wait=60s", "k", &body))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| !is_replayed(answer)).count(), 1, "one of them is the first");
    let results: Vec<Value> = answers.into_iter().map(|answer| answer.expect(200).json()).collect();
    assert!(results.iter().all(|result| result == &results[0]), "{results:?}");
    assert_eq!(results[0]["stdout"], "done\n");
    assert_eq!(std::fs::read_to_string(count).unwrap(), "x\n", "it ran once");
}

#[test]
fn over_a_crash_a_run_is_neither_doubled_nor_forgotten() {
    let (sshd, mut service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let count = sshd.dir().join("count");
    let command = format!("echo x >> {}; sleep 60", count.display());
    service.add_task("long", "web1", json!({"command": command}), None);
    let first = post(&service, "hosts/web1/tasks/long/run", "k", &json!({})).expect(202);
    assert!(!is_replayed(&first));
    let run = first.json()["run"].clone();
    until("it runs", || std::fs::read_to_string(&count).ok().filter(|count| count.ends_with('\n')));
    service.end("KILL");
    service.restart();

    let again = post(&service, "hosts/web1/tasks/long/run?format=xml", "k", &json!({})).expect(202);
    assert!(is_replayed(&again));
    assert!(again.text().ends_with(&format!("<run><run>{}</run></run>", run.as_str().unwrap())), "{}", again.text());
    let result = post(&service, "hosts/web1/tasks/long/run?wait=60s", "k", &json!({})).expect(200).json();
    assert_eq!((&result["id"], &result["reason"]), (&run, &json!("aborted")), "{result}");
    assert_eq!(std::fs::read_to_string(&count).unwrap(), "x\n", "it was not sent again");

    let other = post(&service, "hosts/web1/tasks/long/run", "k", &json!({"env": {"A": "b"}})).expect(422).json();
    let detail = other["detail"].as_str().unwrap();
    assert!(detail.contains("another request had this Idempotency-Key"), "{detail}");
}

#[test]
fn a_group_and_an_apply_are_answered_as_before() {
    let (sshd, mut service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.send("POST", "hosts", &json!({"name": "off", "enabled": false})).expect(201);
    let body = json!({"selector": "*", "command": "true"});
    let first = post(&service, "exec", "group", &body).expect(202).json();
    assert_eq!((first["runs"].as_array().unwrap().len(), &first["refused"][0]["host"]), (1, &json!("off")));
    let document =
        json!({"tasks": [{"name": "check", "command": "true"}], "hosts": [{"name": "off", "enabled": false}]});
    let applied = post(&service, "apply?documents=true", "apply", &document).expect(200).json();
    assert_eq!(applied["created"][0]["after"]["command"], "true", "{applied}");

    service.end("KILL");
    service.restart();
    let again = post(&service, "exec", "group", &body).expect(202);
    assert!(is_replayed(&again) && again.json() == first, "{}", again.text());
    service.call("DELETE", "/api/v1/tasks/check", &[], None).expect(204);
    let again = post(&service, "apply?documents=true", "apply", &document).expect(200);
    assert!(is_replayed(&again) && again.json() == applied, "{}", again.text());
    let xml = post(&service, "apply?documents=true&format=xml", "apply", &document).expect(200);
    assert!(is_replayed(&xml) && xml.text().contains("<after><name>check</name>"), "{}", xml.text());
    service.call("GET", "/api/v1/tasks/check", &[], None).expect(404);
    let anew = post(&service, "apply", "another", &document).expect(200);
    assert!(!is_replayed(&anew));
    service.call("GET", "/api/v1/tasks/check", &[], None).expect(200);
    let xml = post(&service, "apply?format=xml", "another", &document).expect(200).text();
    assert!(xml.contains("<created><item><noun>task</noun><name>check</name></item></created>"), "{xml}");
}

#[test]
fn what_is_refused_leaves_nothing_and_a_key_belongs_to_whoever_shows_it() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let body = json!({});
    post(&service, "hosts/web1/tasks/check/run", "k", &body).expect(404);
    service.add_task("check", "web1", json!({"command": "true"}), None);
    let run = post(&service, "hosts/web1/tasks/check/run?wait=60s", "k", &body).expect(200).json();
    assert_eq!(run["outcome"], "OK");
    let path = "/api/v1/hosts/web1/tasks/check/run?wait=60s";
    let key = service.send("POST", "keys", &json!({"name": "other", "role": "operator"})).expect(201).json();
    let bearer = format!("Bearer {}", key["key"].as_str().unwrap());
    let headers = [("Authorization", bearer.as_str()), ("Idempotency-Key", "k"), ("Content-Type", "application/json")];
    let theirs = crate::support::http::request(&service.address, "POST", path, &headers, Some(b"{}")).expect(200);
    assert!(!is_replayed(&theirs) && theirs.json()["id"] != run["id"], "{}", theirs.text());

    for bad in ["", "a b", "\u{e9}", &"x".repeat(256)] {
        let said = post(&service, "hosts/web1/tasks/check/run", bad, &body).expect(400).json();
        assert!(said["detail"].as_str().unwrap().contains("1 to 255 visible characters"), "{said}");
    }
    let twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")];
    service.call("POST", "/api/v1/hosts/web1/tasks/check/run", &twice, None).expect(400);
    post(&service, "hosts/web1/tasks/check/run?wait=60s", &"x".repeat(255), &body).expect(200);
}
