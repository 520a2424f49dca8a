//! `GET /events`: what happens, as it happens.

use serde_json::json;

use crate::support::events::Stream;
use crate::support::service::{Service, until};
use crate::support::sshd::Sshd;

#[test]
fn results_changes_of_state_and_hosts_are_told_and_can_be_gone_on_with() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task("works", "web1", json!({"command": "exit 0"}), None);
    service.add_task("fails", "web1", json!({"command": "exit 3"}), None);
    let mut stream = Stream::open(&service, "events", None);
    let run =
        |task: &str| service.send("POST", &format!("hosts/web1/tasks/{task}/run?wait=30s"), &json!({})).expect(200);
    run("works");
    let (kind, _, host) = stream.event();
    assert_eq!(
        (kind.as_str(), &host["host"], &host["before"], &host["state"]),
        ("host", &json!("web1"), &json!(null), &json!("UP"))
    );
    let (kind, _, result) = stream.event();
    assert_eq!((kind.as_str(), &result["task"], &result["outcome"]), ("result", &json!("works"), &json!("OK")));
    assert!(result.get("stdout").is_none_or(|stdout| stdout.is_null()), "{result}");
    let (kind, _, state) = stream.event();
    assert_eq!((kind.as_str(), &state["before"], &state["state"]), ("state", &json!(null), &json!("OK")));
    run("fails");
    let (kind, after, _) = stream.event();
    assert_eq!(kind, "result");
    drop(stream);
    service.send("POST", "pause", &json!({})).expect(200);
    let mut stream = Stream::open(&service, "events", Some(&after));
    let (kind, _, state) = stream.event();
    assert_eq!((kind.as_str(), &state["task"], &state["state"]), ("state", &json!("fails"), &json!("CRITICAL")));
    assert_eq!(stream.event().0, "pause");

    // A filter, and what is of another life.
    let mut of_task = Stream::open(&service, "events?task=works", Some("0.0"));
    let (kind, _, gap) = of_task.event();
    assert_eq!((kind.as_str(), &gap["missed"]), ("gap", &json!(null)));
    assert_eq!(of_task.event().2["task"], "works");
    service.call("GET", "/api/v1/events?limit=1", &[("Accept", "text/event-stream")], None).expect(422);
    service.call("GET", "/api/v1/events", &[("Accept", "application/json")], None).expect(406);
}

#[test]
fn a_key_for_some_hosts_hears_nothing_of_the_others() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_host_named(&sshd, "db1");
    let key =
        service.send("POST", "keys", &json!({"name": "k", "role": "viewer", "selector": "@name=db1"})).expect(201);
    let key = key.json()["key"].as_str().unwrap().to_owned();
    let mut stream = Stream::open_with(&service, "events", None, &key);
    for host in ["web1", "db1"] {
        service.send("POST", &format!("hosts/{host}/exec?wait=30s"), &json!({"command": "true"})).expect(200);
    }
    let (_, _, first) = stream.event();
    assert_eq!(first["host"], "db1");
    let foreign = [("X-Api-Key", key.as_str()), ("Accept", "text/event-stream")];
    crate::support::http::request(&service.address, "GET", "/api/v1/events?host=web1", &foreign, None).expect(403);
}

#[test]
fn the_command_line_tells_them_in_a_line_each() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.send("POST", "hosts/web1/exec?wait=30s", &json!({"command": "echo hello"})).expect(200);
    let mut child = crate::support::service::alf(&service.data_dir())
        .args(["events", "-f", "--all", "--utc"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let found = until("the Result's line", || {
        let line = lines.next().unwrap().unwrap();
        line.contains(" result ").then_some(line)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(found.contains("web1") && found.contains("OK: hello"), "{found}");
}
