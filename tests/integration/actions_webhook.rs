//! Webhooks of Actions: they arrive once though their receiver fails, hangs or sends them on; what a task writes changes
//! nothing but the text it is put into.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::checked::Checked;
use crate::support::hooks::{Hooks, Received, Reply};
use crate::support::service::{until, within};

/// A retry comes after 5 s, the next one after 10 s.
const RETRIES: Duration = Duration::from_secs(90);

/// A service that may send webhooks to this machine.
fn checked() -> Checked {
    Checked::start(&[("ALF_ACTIONS__ALLOW_PRIVATE", "127.0.0.1/32".to_owned())])
}

fn add(checked: &Checked, name: &str, webhook: Value) {
    let action = json!({"name": name, "when": {"tasks": ["check"]}, "then": {"webhook": webhook}, "recovery": false});
    checked.service.send("POST", "actions", &action).expect(201);
}

/// Waits until so many requests have come.
#[track_caller]
fn received(hooks: &Hooks, count: usize) -> Vec<Received> {
    within(RETRIES, "webhooks", || Some(hooks.received()).filter(|received| received.len() >= count))
}

#[test]
fn a_webhook_arrives_once_though_its_receiver_is_away_for_a_while() {
    let (checked, hooks) = (checked(), Hooks::start());
    add(
        &checked,
        "hook",
        json!({"url": hooks.url(), "timeout": "2s", "hmac_secret": "sh!", "headers": {"X-Team": "web"}}),
    );
    hooks.reply(&[Reply::With(503, vec![("Retry-After", "1".to_owned())]), Reply::Hang]);
    let failed = checked.check(2, "CRITICAL - bad");
    let requests = received(&hooks, 3);
    let deliveries: Vec<&str> = requests.iter().map(|request| request.header("x-alf-delivery").unwrap()).collect();
    assert!(deliveries.iter().all(|id| *id == deliveries[0]), "{deliveries:?}");
    let last = &requests[2];
    assert_eq!((last.line.as_str(), last.header("content-type")), ("POST /hook", Some("application/json")));
    assert_eq!(last.header("x-team"), Some("web"));
    let about = ["x-alf-action", "x-alf-type", "x-alf-host", "x-alf-task", "x-alf-state"];
    assert_eq!(about.map(|name| last.header(name).unwrap()), ["hook", "PROBLEM", "web1", "check", "CRITICAL"]);
    let result = last.json();
    for field in ["id", "host", "task", "state", "message", "stdout", "perfdata"] {
        assert_eq!(result[field], failed[field], "{field}");
    }
    // Verified as a receiver would in a shell.
    for request in &requests {
        let mut openssl = Command::new("openssl");
        openssl.args(["dgst", "-sha256", "-hmac", "sh!"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut hmac = openssl.spawn().unwrap();
        let mut stdin = hmac.stdin.take().unwrap();
        write!(stdin, "{}.", request.header("x-alf-timestamp").unwrap()).unwrap();
        stdin.write_all(&request.body).unwrap();
        drop(stdin);
        let out = String::from_utf8(hmac.wait_with_output().unwrap().stdout).unwrap();
        let hex = out.trim().rsplit(' ').next().unwrap();
        assert_eq!(request.header("x-alf-signature"), Some(format!("sha256={hex}").as_str()));
    }
    // It has come: it does not come again, though other things do.
    checked.check(1, "WARNING - better");
    let requests = received(&hooks, 4);
    assert_ne!(requests[3].header("x-alf-delivery"), Some(deliveries[0]));
    assert_eq!(requests[3].json()["state"], "WARNING");
    assert_eq!(hooks.received().len(), 4);
}

#[test]
fn what_a_receiver_refuses_is_given_up_and_where_it_sends_on_is_looked_at() {
    let (checked, hooks, private) = (checked(), Hooks::start(), Hooks::start());
    for (name, path) in [("refused", "400"), ("moved", "moved"), ("inside", "inside"), ("open", "open")] {
        let webhook = json!({"url": format!("{}/{path}", hooks.url()), "headers": {"Authorization": "Bearer x"}});
        add(&checked, name, webhook);
    }
    let elsewhere = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).unwrap();
    let inside = format!("http://{}/", elsewhere.local_addr().unwrap());
    hooks.answer("/hook/400", Reply::With(400, Vec::new()));
    hooks.answer("/hook/moved", Reply::With(307, vec![("Location", format!("{}/moved-here", private.url()))]));
    hooks.answer("/hook/inside", Reply::With(302, vec![("Location", inside)]));
    hooks.answer("/hook/open", Reply::With(302, vec![("Location", "file:///etc/passwd".to_owned())]));
    let failed = checked.check(2, "CRITICAL - bad");
    assert_eq!(received(&hooks, 4).len(), 4);
    let moved = received(&private, 1).remove(0);
    assert_eq!((moved.line.as_str(), &moved.json()["id"]), ("POST /hook/moved-here", &failed["id"]));
    assert_eq!(moved.header("authorization"), None, "that is for the other one alone");
    elsewhere.set_nonblocking(true).unwrap();
    assert!(elsewhere.accept().is_err(), "127.0.0.2 is not allowed");
    for (name, outcome, detail) in [
        ("refused", "failed", "400 Bad Request"),
        ("moved", "sent", "HTTP 204"),
        ("inside", "failed", "127.0.0.2 is no public address"),
        ("open", "failed", "http or https"),
    ] {
        let told = until(name, || {
            let told = checked.service.get(&format!("notifications?action={name}&outcome={outcome}"));
            told["items"][0]["detail"].as_str().map(str::to_owned)
        });
        assert!(told.contains(detail), "{name}: {told}");
    }
    // What was refused for good is not tried again; the others' next ones come.
    checked.check(1, "WARNING - better");
    let lines: Vec<String> = received(&hooks, 8).into_iter().map(|request| request.line).collect();
    assert_eq!(lines.iter().filter(|line| *line == "POST /hook/400").count(), 2, "{lines:?}");
}

/// What a template must not be led astray by.
const HOSTILE: &str = "CRITICAL - \"}], {{ host }} {% raw %} '<b a=\"&amp;\">' ]]> \\u0041 \u{1b}[31m\r\nBcc: eve@example.org\r\n\r\n<x/>";

#[test]
fn bodies_by_template_hold_whatever_a_task_writes() {
    let (checked, hooks) = (checked(), Hooks::start());
    let json_body = r#"{"text": "{{ message }}", "long": "{{ result.stdout }}", "code": {{ result.exit_code }}, "all": {{ result }}}"#;
    let xml_body = "<alarm host=\"{{ host }}\" says=\"{{ message }}\"><out>{{ result.stdout }}</out></alarm>";
    add(&checked, "json", json!({"url": format!("{}/json", hooks.url()), "body": json_body}));
    add(&checked, "xml", json!({"url": format!("{}/xml", hooks.url()), "body": xml_body, "method": "PUT"}));
    add(&checked, "plain", json!({"url": format!("{}/plain", hooks.url()), "body": "{{ host }}: {{ state }}"}));
    let failed = checked.check(2, HOSTILE);
    let mut requests = received(&hooks, 3);
    requests.sort_by(|one, other| one.line.cmp(&other.line));
    let [json, plain, xml] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((json.line.as_str(), json.header("content-type")), ("POST /hook/json", Some("application/json")));
    let document = json.json();
    assert_eq!((&document["text"], &document["long"]), (&failed["message"], &failed["stdout"]));
    assert_eq!((&document["code"], &document["all"]["id"]), (&json!(2), &failed["id"]));
    assert_eq!(
        (plain.text().as_str(), plain.header("content-type")),
        ("web1: CRITICAL", Some("text/plain; charset=utf-8"))
    );
    assert_eq!((xml.line.as_str(), xml.header("content-type")), ("PUT /hook/xml", Some("application/xml")));
    let text = xml.text();
    let mut reader = quick_xml::Reader::from_str(&text);
    while !matches!(
        reader.read_event().unwrap_or_else(|error| panic!("{error} in {text}")),
        quick_xml::events::Event::Eof
    ) {}
    let out = text.split_once("<out>").unwrap().1.split_once("</out>").unwrap().0;
    let out = quick_xml::escape::unescape(out).unwrap();
    assert_eq!(out, failed["stdout"].as_str().unwrap().replace('\u{1b}', "\u{fffd}"), "{text}");
}

#[test]
fn a_mebibyte_of_output_arrives_whole() {
    let (checked, hooks) = (checked(), Hooks::start());
    checked.service.send("PATCH", "tasks/check", &json!({"output_limit": 2_097_152})).expect(200);
    add(&checked, "whole", json!({"url": format!("{}/whole", hooks.url())}));
    add(
        &checked,
        "put-in",
        json!({"url": format!("{}/put-in", hooks.url()), "body": r#"{"out": "{{ result.stdout }}"}"#}),
    );
    let count = json!({"name": "count", "command": "cat > \"$HOME/input\"; wc -c < \"$HOME/input\""});
    checked.service.send("POST", "tasks", &count).expect(201);
    let fire = json!({"name": "fire", "when": {"tasks": ["check"]}, "then": {"run": "count"}});
    checked.service.send("POST", "actions", &fire).expect(201);
    let text = format!("CRITICAL - long\n{}", "x\"\\<&é\n".repeat(1 << 17));
    let failed = checked.check(2, &text);
    for request in received(&hooks, 2) {
        let document = request.json();
        let out = if request.line.ends_with("whole") { &document["stdout"] } else { &document["out"] };
        assert!(out == &failed["stdout"] && out == &json!(text), "{} {}", request.line, request.body.len());
    }
    assert_eq!(checked.fired(1)[0]["outcome"], "OK");
    let input: Value = serde_json::from_slice(&std::fs::read(checked.file("input")).unwrap()).unwrap();
    assert!(input["stdout"] == json!(text), "a task has all of it too");
}
