//! Acknowledgements, downtimes and pauses as a client sets and sees them, in JSON and XML.

use serde_json::json;

use crate::support::service::{Service, until};
use crate::support::sshd::Sshd;

const XML: (&str, &str) = ("Accept", "application/xml");
const SENDS_XML: (&str, &str) = ("Content-Type", "application/xml");

#[test]
fn a_problem_is_acknowledged_and_unhandled_no_more() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task("fails", "web1", json!({"command": "exit 3"}), None);
    service.send("POST", "status/web1/fails/ack", &json!({})).expect(409);
    let result = service.send("POST", "hosts/web1/tasks/fails/run?wait=30s", &json!({})).expect(200).json();
    assert_eq!(result["outcome"], "PROBLEM");
    assert_eq!(service.get("status?unhandled=true")["total"], 1);
    assert_eq!(service.get("status?unhandled=false")["total"], 0);

    let past = json!({"comment": "known", "until": "2020-01-01T00:00:00Z"});
    let refused = service.send("POST", "status/web1/fails/ack", &past).expect(422);
    assert_eq!(refused.json()["errors"][0]["pointer"], "/until");
    let row = service.send("POST", "status/web1/fails/ack", &json!({"comment": "known", "sticky": true})).expect(200);
    let row = row.json();
    assert_eq!(
        (&row["acknowledged"], &row["ack"]["comment"], &row["ack"]["by"]),
        (&json!(true), &json!("known"), &json!("admin"))
    );
    assert_eq!(service.get("status?unhandled=true")["total"], 0);
    let xml = service.call("GET", "/api/v1/status/web1/fails", &[XML], None).expect(200).text();
    assert!(xml.contains("<acknowledged>true</acknowledged>") && xml.contains("<comment>known</comment>"), "{xml}");
    service.call("DELETE", "/api/v1/status/web1/fails/ack", &[], None).expect(204);
    assert_eq!(service.get("status/web1/fails")["acknowledged"], false);
    let ack = b"<ack><comment>again</comment></ack>";
    service.call("POST", "/api/v1/status/web1/fails/ack", &[SENDS_XML], Some(ack)).expect(200);
    assert_eq!(service.get("status/web1/fails")["ack"]["comment"], "again");

    service.send("POST", "status/web1/ack", &json!({})).expect(409);
    service.send("POST", "status/nowhere/ack", &json!({})).expect(404);
    service.send("POST", "status/web1/nothing/ack", &json!({})).expect(404);
}

#[test]
fn a_host_that_is_down_is_a_problem_until_somebody_has_taken_it_on() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dead = json!({"name": "dead", "address": "127.0.0.1", "port": free, "credential": "key-web1", "labels": {"role": "old"}});
    service.send("POST", "hosts", &dead).expect(201);
    service.send("POST", "hosts/web1/exec?wait=30s", &json!({"command": "true"})).expect(200);
    service.send("POST", "hosts/dead/exec", &json!({"command": "true", "start_within": "1m"})).expect(202);
    until("it is down", || (service.get("host-statuses?state=DOWN")["total"] == 1).then_some(()));
    let all = service.get("host-statuses");
    assert_eq!((&all["items"][0]["host"], &all["items"][1]["state"]), (&json!("dead"), &json!("UP")));
    assert_eq!(service.get("host-statuses?outcome=OK")["items"][0]["host"], "web1");
    assert_eq!(service.get("host-statuses?unhandled=true&selector=role%3Dweb")["total"], 0);
    let xml = service.call("GET", "/api/v1/host-statuses?host=dead", &[XML], None).expect(200).text();
    assert!(xml.contains("<status><host>dead</host><state>DOWN</state>"), "{xml}");
    let refused = service.call("GET", "/api/v1/host-statuses?state=CRITICAL", &[], None).expect(422).text();
    assert!(refused.contains("allowed: UP, DOWN, UNREACHABLE, PENDING"), "{refused}");
    let refused = service.call("GET", "/api/v1/status?state=null", &[], None).expect(422).text();
    assert!(refused.contains("allowed: OK, WARNING, CRITICAL, UNKNOWN, PENDING"), "{refused}");

    let problems = |args: &[&str]| {
        let done = service.cli(&[&["problems"], args].concat());
        assert_eq!(done.status.code(), Some(0));
        (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap())
    };
    for args in [&[][..], &["dead"], &["-l", "role=old"]] {
        let (rows, told) = problems(args);
        let row: Vec<&str> = rows.lines().nth(1).unwrap_or_default().split_whitespace().take(3).collect();
        assert_eq!(row, ["dead", "-", "DOWN"], "{args:?}: {rows} {told}");
        assert!(rows.contains("refused"), "it says why: {rows}");
    }
    assert!(problems(&["web1"]).1.contains("no PROBLEM"));
    let (xml, _) = problems(&["-o", "xml"]);
    assert!(xml.contains("<statuses total=\"1\">") && xml.contains("<state>DOWN</state>"), "{xml}");
    let done = service.cli(&["ack", "dead", "-m", "known", "--until", "2h"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(problems(&[]).1.contains("no PROBLEM that nobody has taken on"));
    let (rows, _) = problems(&["--all"]);
    assert!(rows.contains("DOWN") && rows.contains("ack"), "{rows}");
}

#[test]
fn downtimes_are_a_noun_that_operators_may_set() {
    let service = Service::start();
    service.send("POST", "hosts", &json!({"name": "web1", "labels": {"role": "web"}})).expect(201);
    let key = service.send("POST", "keys", &json!({"name": "op", "role": "operator"})).expect(201).json();
    let operator = ("X-Api-Key", key["key"].as_str().unwrap());
    let downtime =
        br#"<downtime><name>d</name><host>web1</host><cron>0 2 * * *</cron><duration>2h</duration></downtime>"#;
    let asked = [operator, SENDS_XML];
    let created = crate::support::http::request(&service.address, "POST", "/api/v1/downtimes", &asked, Some(downtime));
    assert_eq!(created.expect(201).header("location"), Some("/api/v1/downtimes/d"));
    let shown = service.get("downtimes/d");
    assert_eq!(
        (&shown["mode"], &shown["timezone"], &shown["duration"]),
        (&json!("suppress"), &json!("UTC"), &json!("2h"))
    );
    let now = json!({"selector": "role=web", "comment": "x", "starts_at": "2020-01-01T00:00:00Z",
        "ends_at": "2099-01-01T00:00:00Z"});
    service.send("PUT", "downtimes/now", &now).expect(201);
    assert_eq!(service.get("status/web1")["in_downtime"], true);
    service.call("DELETE", "/api/v1/downtimes/now", &[], None).expect(204);
    assert_eq!(service.get("status/web1")["in_downtime"], false);
    let bad = json!({"name": "bad", "host": "nowhere", "starts_at": "2020-01-01T00:00:00Z"});
    let refused = service.send("POST", "downtimes", &bad).expect(422).json();
    assert_eq!(refused["errors"].as_array().unwrap().len(), 2, "{refused}");
    service.call("DELETE", "/api/v1/hosts/web1", &[], None).expect(409);
    service.call("DELETE", "/api/v1/hosts/web1?cascade=true", &[], None).expect(204);
    assert_eq!(service.get("downtimes")["total"], 0);
}

#[test]
fn all_firing_is_stopped_until_it_goes_on_and_is_shown_everywhere() {
    let (sshd, mut service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task("often", "web1", json!({"command": "true"}), Some("* * * * * *"));
    until("the first run", || (service.get("results?outcome=OK")["total"].as_u64() > Some(0)).then_some(()));
    let paused = service.send("POST", "pause", &json!({})).expect(200).json();
    assert_eq!((&paused["paused"], &paused["paused_by"]), (&json!(true), &json!("admin")));
    until("skipped instants", || (service.get("results?reason=missed")["total"].as_u64() > Some(1)).then_some(()));
    assert_eq!(service.get("stats")["paused"], true);
    assert_eq!(service.get("")["paused"], true);
    assert_eq!(service.end("KILL"), None);
    service.restart();
    assert_eq!(service.get("status/summary")["paused"], true, "after a crash, too");
    let executed = service.get("results?outcome=OK")["total"].clone();
    assert_eq!(service.send("POST", "resume", &json!({})).expect(200).json()["paused"], false);
    until("runs", || (service.get("results?outcome=OK")["total"].as_u64() > executed.as_u64()).then_some(()));
}

#[test]
fn what_is_defined_is_in_the_status_at_once_also_after_a_crash() {
    let mut service = Service::start();
    service.send("POST", "tasks", &json!({"name": "t", "command": "true"})).expect(201);
    service.send("POST", "schedules", &json!({"name": "yearly", "cron": "@yearly"})).expect(201);
    let hosts: Vec<String> = (0..20).map(|n| format!("h{n}")).collect();
    for host in &hosts {
        service.send("POST", "hosts", &json!({"name": host, "address": "127.0.0.1", "port": 1})).expect(201);
        assert_eq!(service.get(&format!("status/{host}"))["host"], host.as_str());
        service.send("POST", "host-tasks", &json!({"host": host, "task": "t"})).expect(201);
        assert_eq!(service.get(&format!("status/{host}/t"))["next_run_at"], json!(null));
    }
    service.send("POST", "task-schedules", &json!({"task": "t", "schedule": "yearly"})).expect(201);
    let all_have_it = |service: &Service| {
        for host in &hosts {
            assert!(
                service.get(&format!("status/{host}/t"))["next_run_at"].is_string(),
                "{host} knows what comes next"
            );
        }
    };
    all_have_it(&service);
    service.end("KILL");
    service.restart();
    all_have_it(&service);
    for host in &hosts {
        service.call("DELETE", &format!("/api/v1/hosts/{host}?cascade=true"), &[], None).expect(204);
        service.call("GET", &format!("/api/v1/status/{host}/t"), &[], None).expect(404);
        service.call("GET", &format!("/api/v1/status/{host}"), &[], None).expect(404);
    }
}
