//! The HTTP API as a client meets it: JSON and XML as equals, conditions, pages, keys, errors.

use serde_json::{Value, json};

use crate::support::http::request;
use crate::support::service::Service;
use crate::support::sshd::Sshd;

const XML: (&str, &str) = ("Accept", "application/xml");

#[test]
fn a_definition_is_created_read_changed_and_deleted() {
    let service = Service::start();
    let created = service.send("POST", "hosts", &json!({"name": "web1", "labels": {"role": "web"}})).expect(201);
    assert_eq!(created.header("location"), Some("/api/v1/hosts/web1"));
    let etag = created.header("etag").unwrap().to_owned();
    let host = created.json();
    assert_eq!((&host["address"], &host["port"], &host["version"]), (&json!("web1"), &json!(22), &json!(1)));
    assert_eq!((&host["title"], &host["enabled"]), (&json!("web1"), &json!(true)));
    service.send("POST", "hosts", &json!({"name": "web1"})).expect(409);

    let same = service.call("GET", "/api/v1/hosts/web1", &[("If-None-Match", &etag)], None).expect(304);
    assert!(same.body.is_empty());
    service.send("PUT", "hosts/web1", &host).expect(200);
    assert_eq!(service.get("hosts/web1")["version"], 1, "a write that changes nothing is none");
    let changed = service.send("PATCH", "hosts/web1", &json!({"port": 2222, "labels": {"role": null, "env": "prod"}}));
    let changed = changed.expect(200).json();
    assert_eq!((&changed["port"], &changed["labels"]), (&json!(2222), &json!({"env": "prod"})));
    assert_eq!(changed["version"], 2);

    let stale = service.call("PUT", "/api/v1/hosts/web1", &[("If-Match", &etag)], Some(b"{}")).expect(412);
    assert_eq!(stale.header("content-type"), Some("application/problem+json"));
    service.call("PUT", "/api/v1/hosts/web1", &[("If-None-Match", "*")], Some(b"{}")).expect(412);
    service.call("PUT", "/api/v1/hosts/web2", &[("If-Match", "*")], Some(b"{}")).expect(412);
    service.send("PUT", "hosts/web2", &json!({})).expect(201);
    service.send("PUT", "hosts/web2", &json!({"name": "other"})).expect(422);
    service.call("DELETE", "/api/v1/hosts/web2", &[("If-Match", "\"stale\"")], None).expect(412);
    service.call("DELETE", "/api/v1/hosts/web2", &[], None).expect(204);
    service.call("GET", "/api/v1/hosts/web2", &[], None).expect(404);
}

#[test]
fn what_is_in_use_is_not_deleted_unless_told() {
    let service = Service::start();
    service.send("POST", "credentials", &json!({"name": "c", "agent": true})).expect(201);
    service.send("POST", "hosts", &json!({"name": "h", "credential": "c"})).expect(201);
    service.add_task("t", "h", json!({"command": "true"}), None);
    let refused = service.call("DELETE", "/api/v1/hosts/h", &[], None).expect(409);
    assert!(refused.text().contains("t@h"), "{}", refused.text());
    service.call("DELETE", "/api/v1/credentials/c?cascade=true", &[], None).expect(409);
    service.call("DELETE", "/api/v1/hosts/h?cascade=true", &[], None).expect(204);
    assert_eq!(service.get("host-tasks")["total"], 0);
    assert_eq!(service.get("tasks")["total"], 1);
}

#[test]
fn lists_come_in_pages_that_stay_true_while_things_change() {
    let service = Service::start();
    for number in 0..25 {
        let role = if number % 2 == 0 { "web" } else { "db" };
        let host = json!({"name": format!("h{number:02}"), "labels": {"role": role}, "title": format!("Box {number}")});
        service.send("POST", "hosts", &host).expect(201);
    }
    let mut names = Vec::new();
    let mut path = "/api/v1/hosts?limit=10".to_owned();
    loop {
        let page = service.call("GET", &path, &[], None).expect(200);
        let body = page.json();
        names.extend(body["items"].as_array().unwrap().iter().map(|host| host["name"].as_str().unwrap().to_owned()));
        if names.len() == 10 {
            // Before and behind the cursor: neither is shown twice nor pushes another out.
            service.send("POST", "hosts", &json!({"name": "a-new"})).expect(201);
            service.call("DELETE", "/api/v1/hosts/h00", &[], None).expect(204);
        }
        let Some(next) = body["next"].as_str() else {
            assert!(page.header("link").is_none());
            break;
        };
        assert!(page.header("link").unwrap().contains("rel=\"next\""));
        path = format!("/api/v1/hosts?limit=10&cursor={next}");
    }
    let expected: Vec<String> = (0..25).map(|number| format!("h{number:02}")).collect();
    assert_eq!(names, expected);
    assert_eq!(service.get("hosts?selector=role%3Ddb")["total"], 12);
    assert_eq!(service.get("hosts?selector=role%3Ddb,@name!%3Dh01")["total"], 11);
    assert_eq!(service.get("hosts?q=BOX%2023")["items"][0]["name"], "h23");
    for bad in ["limit=0", "limit=1001", "limit=x", "cursor=%21", "selector=", "colour=red"] {
        let refused = service.call("GET", &format!("/api/v1/hosts?{bad}"), &[], None);
        assert_eq!(refused.status, 422, "{bad}: {}", refused.text());
    }
}

#[test]
fn xml_says_the_same_as_json() {
    let service = Service::start();
    let xml = r#"<?xml version="1.0"?><host><name>web1</name><description>a &lt;b&gt;
c&#13;</description><labels><entry key="role">web</entry><entry key="ä b">&#233;</entry></labels><port>2222</port></host>"#;
    let headers = [("Content-Type", "text/xml"), XML];
    let created = service.call("POST", "/api/v1/hosts", &headers, Some(xml.as_bytes())).expect(201);
    assert!(created.header("content-type").unwrap().starts_with("application/xml"));
    let host = service.get("hosts/web1");
    assert_eq!(host["labels"], json!({"role": "web", "ä b": "é"}));
    assert_eq!((&host["description"], &host["port"]), (&json!("a <b>\nc\r"), &json!(2222)));

    let read = service.call("GET", "/api/v1/hosts/web1", &[XML], None).expect(200);
    assert!(
        read.text().contains("<host>") && read.text().contains(r#"<entry key="role">web</entry>"#),
        "{}",
        read.text()
    );
    let back = service.call("PUT", "/api/v1/hosts/web1", &[("Content-Type", "application/xml")], Some(&read.body));
    back.expect(200);
    assert_eq!(service.get("hosts/web1"), host, "what was read as XML and sent back changed nothing");

    let list = service.call("GET", "/api/v1/hosts?format=xml", &[], None).expect(200).text();
    assert!(list.contains(r#"<hosts total="1"><host><name>web1</name>"#), "{list}");
    let problem = service.call("GET", "/api/v1/hosts/none", &[XML], None).expect(404);
    assert!(problem.header("content-type").unwrap().starts_with("application/problem+xml"));
    assert!(problem.text().contains(r#"<problem xmlns="urn:ietf:rfc:7807">"#), "{}", problem.text());

    for (body, status) in [
        ("<!DOCTYPE host><host><name>x</name></host>", 400),
        ("<host><name>x</host>", 400),
        ("<task><name>x</name></task>", 400),
        ("<host><name>x</name><port>many</port></host>", 422),
        (&format!("<host>{}{}</host>", "<a>".repeat(100), "</a>".repeat(100)), 400),
    ] {
        let answer =
            service.call("POST", "/api/v1/hosts", &[("Content-Type", "application/xml")], Some(body.as_bytes()));
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
    service.call("PATCH", "/api/v1/hosts/web1", &[("Content-Type", "application/xml")], Some(b"<host/>")).expect(415);
}

#[test]
fn what_cannot_be_read_or_answered_is_refused_by_its_name() {
    let service = Service::start();
    let post = |body: &[u8], kind: &str| service.call("POST", "/api/v1/hosts", &[("Content-Type", kind)], Some(body));
    post(b"{", "application/json").expect(400);
    post(b"{\"name\": \"\xff\"}", "application/json").expect(400);
    post("[".repeat(1000).as_bytes(), "application/json").expect(400);
    post(b"name: x", "text/yaml").expect(415);
    post(&vec![b' '; 2 * 1024 * 1024], "application/json").expect(413);
    service.call("GET", "/api/v1/hosts", &[("Accept", "text/html")], None).expect(406);
    let wrong = service.call("DELETE", "/api/v1/hosts", &[], None).expect(405);
    assert!(wrong.header("allow").unwrap().contains("GET"), "{wrong:?}");
    let problem = service.call("GET", "/api/v1/nonsense", &[], None).expect(404);
    let id = problem.header("x-request-id").unwrap().to_owned();
    let problem = problem.json();
    assert_eq!((&problem["status"], &problem["instance"]), (&json!(404), &json!(id)));
    assert!(problem["title"].is_string() && problem["type"].is_string() && problem["detail"].is_string());
}

#[test]
fn every_call_but_two_needs_a_key_of_the_right_role() {
    let service = Service::start();
    let bare =
        |method: &str, path: &str, headers: &[(&str, &str)]| request(&service.address, method, path, headers, None);
    for path in ["/api/v1/", "/api/v1/hosts", "/api/v1/status", "/health/actors"] {
        let refused = bare("GET", path, &[]).expect(401);
        assert!(refused.header("www-authenticate").is_some(), "{path}");
    }
    bare("GET", "/health/live", &[]).expect(200);
    bare("GET", "/health/ready", &[]).expect(200);
    bare("GET", "/api/v1/hosts", &[("X-Api-Key", &service.key)]).expect(200);
    bare("GET", "/api/v1/hosts", &[("Authorization", "Bearer wrong")]).expect(401);
    bare("GET", &format!("/api/v1/hosts?key={}", service.key), &[]).expect(401);

    let viewer = service.send("POST", "keys", &json!({"name": "v", "role": "viewer"})).expect(201).json();
    let operator = service.send("POST", "keys", &json!({"name": "o", "role": "operator"})).expect(201).json();
    let shown = service.call("GET", "/api/v1/keys/v", &[], None).expect(200).text();
    assert!(!shown.contains(viewer["key"].as_str().unwrap()), "a key is shown once");
    service.send("POST", "hosts", &json!({"name": "h", "enabled": false})).expect(201);
    service.send("POST", "tasks", &json!({"name": "t", "command": "true"})).expect(201);
    let as_key = |key: &Value, method: &str, path: &str| {
        bare(method, path, &[("X-Api-Key", key["key"].as_str().unwrap())]).status
    };
    assert_eq!(as_key(&viewer, "GET", "/api/v1/hosts"), 200);
    assert_eq!(as_key(&viewer, "POST", "/api/v1/hosts/h/tasks/t/run"), 403);
    assert_eq!(as_key(&viewer, "DELETE", "/api/v1/hosts/h"), 403);
    assert_ne!(as_key(&operator, "POST", "/api/v1/hosts/h/tasks/t/run"), 403);
    assert_eq!(as_key(&operator, "DELETE", "/api/v1/hosts/h"), 403);
    service.call("DELETE", "/api/v1/keys/v", &[], None).expect(204);
    assert_eq!(as_key(&viewer, "GET", "/api/v1/hosts"), 401, "a deleted key opens nothing");
}

#[test]
fn bad_keys_are_slowed_down_and_good_ones_never() {
    let service = Service::start();
    let bad = |number: usize| {
        let key = format!("alf_bad{number}");
        request(&service.address, "GET", "/api/v1/hosts", &[("X-Api-Key", &key)], None)
    };
    let statuses: Vec<u16> = (0..25).map(|number| bad(number).status).collect();
    assert_eq!(statuses[..20], [401; 20]);
    assert_eq!(statuses[24], 429);
    assert!(bad(99).header("retry-after").is_some());
    service.get("hosts");
}

#[test]
fn a_schedule_is_previewed_in_words_and_instants() {
    let service = Service::start();
    let preview = service
        .get("schedules/preview?cron=30%202%20*%20*%20*&timezone=Europe/Madrid&from=2026-03-28T12:00:00Z&count=3");
    let next: Vec<&str> = preview["next"].as_array().unwrap().iter().map(|at| at.as_str().unwrap()).collect();
    assert_eq!(next, ["2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z", "2026-03-31T00:30:00.000Z"]);
    assert_eq!((&preview["cron"], &preview["timezone"]), (&json!("30 2 * * *"), &json!("Europe/Madrid")));
    assert!(!preview["description"].as_str().unwrap().is_empty());
    assert_eq!(service.get("schedules/preview?cron=@hourly")["next"].as_array().unwrap().len(), 5);
    let refused = service.call("GET", "/api/v1/schedules/preview?cron=61%20*%20*%20*%20*", &[], None).expect(422);
    assert!(refused.text().contains("minute"), "{}", refused.text());
    service.call("GET", "/api/v1/schedules/preview", &[], None).expect(422);
}

#[test]
fn results_runs_stats_and_health_are_told_in_both_formats() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task("esc", "web1", json!({"command": "printf '\\033[1mx'"}), None);
    service.add_task("slow", "web1", json!({"command": "sleep 20"}), None);
    let json = service.run("esc");
    assert_eq!((&json["stdout"], &json["stdout_encoding"]), (&json!("\u{1b}[1mx"), &json!("utf-8")));
    let path = format!("/api/v1/results/{}", json["id"].as_str().unwrap());
    let xml = service.call("GET", &path, &[XML], None).expect(200).text();
    assert!(xml.contains("<stdout_encoding>base64</stdout_encoding>"), "XML cannot hold ESC: {xml}");
    let listed = service.get("results?host=web1&task=esc&outcome=OK&trigger=manual");
    assert_eq!(listed["total"], 1);
    assert!(listed["items"][0].get("stdout").is_none(), "lists come without output");
    assert_eq!(service.get("results?state=CRITICAL")["total"], 0);
    for bad in ["outcome=fine", "state=BAD", "reason=x", "trigger=x", "since=yesterday", "limit=0", "x=1"] {
        service.call("GET", &format!("/api/v1/results?{bad}"), &[], None).expect(422);
    }

    let started = service.send("POST", "hosts/web1/tasks/slow/run", &json!({})).expect(202);
    let run = started.json()["run"].as_str().unwrap().to_owned();
    assert_eq!(started.header("location"), Some(format!("/api/v1/runs/{run}").as_str()));
    assert_eq!(service.get("runs")["items"][0]["id"], run.as_str());
    service.call("GET", &format!("/api/v1/results/{run}"), &[], None).expect(404);
    let refused = service.send("POST", "hosts/web1/tasks/slow/run", &json!({})).expect(409);
    assert!(refused.text().contains(&run), "{}", refused.text());
    let waited = service.send("POST", "hosts/web1/tasks/slow/run?wait=10ms", &json!({}));
    assert_eq!(waited.status, 409);
    service.send("POST", "hosts/web1/tasks/none/run", &json!({})).expect(404);
    service.send("POST", "hosts/web1/tasks/slow/run", &json!({"nonsense": 1})).expect(422);

    let stats =
        crate::support::service::until("it runs", || Some(service.get("stats")).filter(|stats| stats["running"] == 1));
    assert_eq!((&stats["totals"]["hosts"], &stats["queued"]), (&json!(1), &json!(0)), "{stats}");
    assert!(stats["runs_per_minute"]["m1"].as_f64().unwrap() > 0.0, "{stats}");
    let tree = service.call("GET", "/health/actors", &[], None).expect(200).json();
    let node = tree["children"].as_array().unwrap().iter().find(|child| child["kind"] == "node").unwrap();
    let host = &node["children"][0];
    assert_eq!((&host["kind"], &host["name"], &host["state"]), (&json!("host"), &json!("web1"), &json!("up")));
    assert_eq!(host["children"].as_array().unwrap().len(), 2);
    let branch = service.call("GET", "/health/actors/web1", &[], None).expect(200).json();
    assert_eq!(branch["name"], "web1");
    service.call("GET", "/health/actors/none", &[], None).expect(404);
    for path in
        ["/api/v1/", "/api/v1/stats", "/api/v1/status", "/api/v1/status/summary", "/api/v1/runs", "/health/actors"]
    {
        let xml = service.call("GET", path, &[XML], None).expect(200);
        assert!(xml.text().starts_with("<?xml"), "{path}: {}", xml.text());
    }
}

#[test]
fn a_selector_link_follows_the_hosts() {
    let service = Service::start();
    service.send("POST", "tasks", &json!({"name": "t", "command": "true"})).expect(201);
    service.send("POST", "host-tasks", &json!({"name": "all-web", "task": "t", "selector": "role=web"})).expect(201);
    service.send("POST", "hosts", &json!({"name": "h1", "labels": {"role": "web"}})).expect(201);
    service.send("POST", "hosts", &json!({"name": "h2"})).expect(201);
    let hosts = || -> Vec<String> {
        let status = service.get("status");
        status["items"].as_array().unwrap().iter().map(|row| row["host"].as_str().unwrap().to_owned()).collect()
    };
    crate::support::service::until("h1 is linked", || (hosts() == ["h1"]).then_some(()));
    service.send("PATCH", "hosts/h2", &json!({"labels": {"role": "web"}})).expect(200);
    crate::support::service::until("h2 is linked", || (hosts() == ["h1", "h2"]).then_some(()));
    service.send("POST", "host-tasks", &json!({"task": "t", "host": "h1", "enabled": false})).expect(201);
    crate::support::service::until("h1 is excluded", || (hosts() == ["h2"]).then_some(()));
    assert_eq!(service.get("status")["items"][0]["state"], Value::Null, "never run is PENDING");
}
