//! What a run writes, read while it runs.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::events::Stream;
use crate::support::service::{Service, alf, until};
use crate::support::sshd::Sshd;

fn start(service: &Service, command: &str) -> String {
    let run = service.send("POST", "hosts/web1/exec", &json!({"command": command})).expect(202).json();
    run["run"].as_str().unwrap().to_owned()
}

#[test]
fn who_may_hear_no_more_of_a_run_is_told_no_more_of_it() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let key = |document: Value| {
        service.send("POST", "keys", &document).expect(201).json()["key"].as_str().unwrap().to_owned()
    };
    let revoked = key(json!({"name": "revoked", "role": "viewer"}));
    let web = key(json!({"name": "web", "role": "viewer", "selector": "role=web"}));
    service.send("PATCH", "hosts/web1", &json!({"labels": {"role": "web"}})).expect(200);
    let go = sshd.dir().join("go");
    let run = start(&service, &format!("echo one; until [ -e {} ]; do sleep 0.1; done; echo two", go.display()));
    let mut streams = [revoked, web].map(|key| Stream::open_with(&service, &format!("runs/{run}/output"), None, &key));
    for stream in &mut streams {
        assert_eq!(stream.event().2["data"], "one\n");
    }
    service.call("DELETE", "/api/v1/keys/revoked", &[], None).expect(204);
    service.send("PATCH", "hosts/web1", &json!({"labels": {"role": "db"}})).expect(200);
    std::fs::write(&go, "").unwrap();
    for stream in &mut streams {
        let rest: Vec<String> = std::iter::from_fn(|| Some(stream.line()).filter(|line| line != "0")).collect();
        assert!(!rest.iter().any(|line| line.contains("two") || line.starts_with("event:")), "{rest:?}");
    }
    until("the whole output", || service.get("results?host=web1")["items"].get(0).map(|_| ()));
}

#[test]
fn output_comes_while_the_run_goes_on_and_can_be_gone_on_with() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let go = sshd.dir().join("go");
    let wait = format!("until [ -e {} ]; do sleep 0.1; done", go.display());
    let run = start(&service, &format!("echo one; echo two >&2; {wait}; printf 'a\\377'; exit 3"));
    let mut stream = Stream::open(&service, &format!("runs/{run}/output"), None);
    let mut first = [stream.event(), stream.event()];
    first.sort_by(|one, other| one.0.cmp(&other.0));
    let data = |text: &str| json!({"offset": 0, "encoding": "utf-8", "data": text});
    assert_eq!((first[1].0.as_str(), &first[1].2), ("stdout", &data("one\n")));
    assert_eq!((first[0].0.as_str(), &first[0].2), ("stderr", &data("two\n")));
    assert_eq!(service.get(&format!("runs/{run}"))["state"], "running", "it still goes on");
    let mut later = Stream::open(&service, &format!("runs/{run}/output"), Some("2.4"));
    assert_eq!(later.event().2, json!({"offset": 2, "encoding": "utf-8", "data": "e\n"}));
    let refused = |headers: &[(&str, &str)]| service.call("GET", &format!("/api/v1/runs/{run}/output"), headers, None);
    refused(&[("Accept", "application/json")]).expect(406);
    refused(&[("Last-Event-ID", "x")]).expect(400);
    std::fs::write(&go, "").unwrap();
    for mut stream in [stream, later] {
        let (kind, id, data) = stream.event();
        assert_eq!((kind.as_str(), id.as_str(), &data["encoding"]), ("stdout", "6.4", &json!("base64")), "{data}");
        let (kind, _, end) = stream.event();
        assert_eq!((kind.as_str(), &end["run"], &end["exit_code"]), ("end", &json!(run), &json!(3)), "{end}");
        service.get(&format!("results/{run}"));
    }
    let ended = refused(&[("Accept", "text/event-stream")]).expect(404);
    assert!(ended.text().contains(&format!("/api/v1/results/{run}")), "{}", ended.text());
}

#[test]
fn a_waiting_run_is_waited_for_and_a_stop_ends_the_stream() {
    let mut service = Service::start();
    // Nobody answers there: the run waits.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    service.send("POST", "hosts", &json!({"name": "web1", "address": "127.0.0.1", "port": port})).expect(201);
    let run = start(&service, "true");
    let mut stream = Stream::open(&service, &format!("runs/{run}/output"), None);
    assert_eq!(service.get(&format!("runs/{run}"))["state"], "queued");
    let mut unread = Stream::open(&service, &format!("runs/{run}/output"), None);
    service.call("DELETE", &format!("/api/v1/runs/{run}"), &[], None).expect(204);
    let (kind, id, end) = stream.event();
    assert_eq!((kind.as_str(), id.as_str(), &end["reason"]), ("end", "0.0", &json!("cancelled")), "{end}");
    let second = start(&service, "true");
    let _open = Stream::open(&service, &format!("runs/{second}/output"), None);
    assert_eq!(service.end("TERM"), Some(0), "{}", service.log());
    let mut rest = String::new();
    let _ = unread.rest().read_to_string(&mut rest);
    assert!(rest.contains("cancelled"), "{rest}");
}

#[test]
fn the_command_line_shows_output_as_it_comes() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let go = sshd.dir().join("go");
    let command = format!("echo first; until [ -e {} ]; do sleep 0.1; done; echo last; exit 1", go.display());
    let mut child = alf(&service.data_dir())
        .args(["exec", "web1", "--", &command])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "first\n");
    assert_eq!(service.get("runs")["total"], 1, "it still goes on");
    std::fs::write(&go, "").unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), child.wait().unwrap().code()), ("last\n", Some(1)));
}

#[test]
fn an_interrupted_command_line_cancels_its_run() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let mut child = alf(&service.data_dir())
        .args(["exec", "web1", "--", "echo on; sleep 60"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let result = until("its Result", || service.get("results")["items"].as_array().unwrap().first().cloned());
    assert_eq!(result["reason"], "cancelled", "{result}");
}
