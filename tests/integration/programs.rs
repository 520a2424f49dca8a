//! Programs, what tasks run, and jump hosts, as a client of the API meets them.

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};

use crate::support::http::Answer;
use crate::support::service::Service;

const XML: (&str, &str) = ("Accept", "application/xml");
const FILE: (&str, &str) = ("Content-Type", "application/octet-stream");

fn put(service: &Service, name: &str, headers: &[(&str, &str)], bytes: &[u8]) -> Answer {
    let all = [&[FILE], headers].concat();
    service.call("PUT", &format!("/api/v1/programs/{name}"), &all, Some(bytes))
}

#[test]
fn a_program_is_put_read_changed_and_deleted() {
    let mut service = Service::start();
    let every_byte: Vec<u8> = (0..=255).cycle().take(1_500_000).collect();
    let created = put(&service, "probe", &[], &every_byte).expect(201);
    assert_eq!(created.header("location"), Some("/api/v1/programs/probe"));
    let etag = created.header("etag").unwrap().to_owned();
    let program = created.json();
    assert_eq!((&program["name"], &program["title"]), (&json!("probe"), &json!("probe")));
    assert_eq!((&program["size"], &program["version"]), (&json!(1_500_000), &json!(1)), "more than http.body_limit");
    let sha256 = program["sha256"].as_str().unwrap().to_owned();
    assert_eq!(sha256.len(), 64);
    put(&service, "probe", &[], &every_byte).expect(200);
    assert_eq!(service.get("programs/probe")["version"], 1, "the same bytes change nothing");

    let patch = json!({"title": "A probe", "labels": {"team": "ops"}, "sha256": "x", "size": 7, "version": 9});
    let patched = service.send("PATCH", "programs/probe", &patch).expect(200).json();
    assert_eq!((&patched["title"], &patched["labels"]), (&json!("A probe"), &json!({"team": "ops"})));
    assert_eq!(
        (&patched["sha256"], &patched["size"], &patched["version"]),
        (&json!(sha256), &json!(1_500_000), &json!(2))
    );

    put(&service, "probe", &[("If-Match", &etag)], b"#!/bin/sh\n").expect(412);
    put(&service, "probe", &[("If-None-Match", "*")], b"#!/bin/sh\n").expect(412);
    put(&service, "other", &[("If-Match", "*")], b"#!/bin/sh\n").expect(412);
    assert_eq!(service.programs_kept(), 1, "what was refused is not kept");
    let replaced = put(&service, "probe", &[("If-Match", "\"2\"")], b"#!/bin/sh\n").expect(200).json();
    assert_eq!(
        (&replaced["title"], &replaced["size"], &replaced["version"]),
        (&json!("A probe"), &json!(10), &json!(3))
    );
    assert_eq!(service.programs_kept(), 1, "bytes that nothing names are forgotten");

    put(&service, "same", &[("If-None-Match", "*")], b"#!/bin/sh\n").expect(201);
    assert_eq!(service.programs_kept(), 1, "the same bytes are kept once");
    assert_eq!(service.get("programs?q=A%20PROBE")["items"][0]["name"], "probe");
    assert_eq!(service.get("programs?selector=team%3Dops")["total"], 1);
    assert_eq!(service.get("stats")["totals"]["programs"], 2);
    let xml = service.call("GET", "/api/v1/programs", &[XML], None).expect(200).text();
    assert!(xml.contains("<programs total=\"2\"><program><name>probe</name>"), "{xml}");
    assert_eq!(service.end("TERM"), Some(0));
    service.restart();
    assert_eq!(service.get("programs/probe"), replaced, "it is there after a restart");
    service.call("DELETE", "/api/v1/programs/same", &[("If-Match", "\"9\"")], None).expect(412);
    service.call("DELETE", "/api/v1/programs/same", &[], None).expect(204);
    assert_eq!(service.programs_kept(), 1);
    service.call("DELETE", "/api/v1/programs/probe", &[], None).expect(204);
    assert_eq!(service.programs_kept(), 0);
    service.call("GET", "/api/v1/programs/probe", &[], None).expect(404);
}

#[test]
fn what_is_no_file_is_no_program() {
    let service = Service::start();
    for kind in ["application/json", "application/xml", "text/plain"] {
        let refused = service.call("PUT", "/api/v1/programs/p", &[("Content-Type", kind)], Some(b"{}")).expect(415);
        assert!(refused.text().contains("application/octet-stream"), "{}", refused.text());
    }
    service.call("PUT", "/api/v1/programs/p", &[], Some(b"x")).expect(415);
    let posted = service.send("POST", "programs", &json!({"name": "p"})).expect(415);
    assert!(posted.text().contains("PUT /api/v1/programs/NAME"), "{}", posted.text());
    put(&service, "p", &[], b"").expect(422);
    assert_eq!(put(&service, "a%20b", &[], b"x").pointers(), ["/name"]);
    let large = vec![b'x'; 64 * 1024 * 1024];
    assert_eq!(put(&service, "large", &[], &large).expect(201).json()["size"], 64 * 1024 * 1024);
    assert_eq!(service.send("PATCH", "programs/large", &json!({"title": "big", "x": 1})).pointers(), ["/x"]);
    // Refused by what it says it will send.
    let head = format!(
        "PUT /api/v1/programs/larger HTTP/1.1\r\nHost: alf\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
        service.key,
        large.len() + 1
    );
    let mut stream = std::net::TcpStream::connect(&service.address).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut refused = String::new();
    // The connection is cut behind the answer.
    let _ = stream.read_to_string(&mut refused);
    assert!(refused.starts_with("HTTP/1.1 413 ") && refused.contains("64 MiB"), "{refused}");
    assert_eq!(service.get("programs")["total"], 1);
    let operator = service.send("POST", "keys", &json!({"name": "o", "role": "operator"})).expect(201).json();
    let key = ("X-Api-Key", operator["key"].as_str().unwrap());
    let path = "/api/v1/programs/p";
    crate::support::http::request(&service.address, "PUT", path, &[key, FILE], Some(b"x")).expect(403);
}

#[test]
fn a_task_runs_one_thing_which_is_there() {
    let service = Service::start();
    let task =
        json!({"name": "t", "program": {"name": "probe", "args": ["-v", "a b"]}, "cwd": "/tmp", "run_as": "ops"});
    assert_eq!(service.send("POST", "tasks", &task).pointers(), ["/program/name"]);
    put(&service, "probe", &[], b"#!/bin/sh\n").expect(201);
    service.send("POST", "tasks", &task).expect(201);
    let refused = service.call("DELETE", "/api/v1/programs/probe?cascade=true", &[], None).expect(409);
    assert!(refused.text().contains("task \\\"t\\\""), "{}", refused.text());

    // The same in XML, both ways, and from one kind of work to another.
    let xml = service.call("GET", "/api/v1/tasks/t", &[XML], None).expect(200).text();
    assert!(xml.contains("<program><name>probe</name><args><item>-v</item><item>a b</item></args></program>"), "{xml}");
    let sent = [("Content-Type", "application/xml")];
    service.call("PUT", "/api/v1/tasks/t", &sent, Some(xml.as_bytes())).expect(200);
    assert_eq!(service.get("tasks/t")["version"], 1, "read as XML and sent back as XML it is the same");
    let script = r#"<task><script><interpreter><item>python3</item><item>-u</item></interpreter><body>import sys
</body><args><item/></args></script></task>"#;
    service.call("PUT", "/api/v1/tasks/t", &sent, Some(script.as_bytes())).expect(200);
    let script = json!({"interpreter": ["python3", "-u"], "body": "import sys\n", "args": [""]});
    assert_eq!(service.get("tasks/t")["script"], script);
    assert_eq!(service.get("tasks/t")["program"], Value::Null);
    service.call("DELETE", "/api/v1/programs/probe", &[], None).expect(204);
    let patched = service.send("PATCH", "tasks/t", &json!({"script": null, "command": "true"})).expect(200).json();
    assert_eq!((&patched["command"], &patched["script"]), (&json!("true"), &Value::Null));

    assert_eq!(service.send("POST", "tasks", &json!({"name": "x"})).pointers(), [""]);
    let both = service.send("PATCH", "tasks/t", &json!({"script": {"body": "x"}})).expect(422);
    assert!(both.text().contains("command and script are"), "{}", both.text());
    let all = json!({
        "name": "x", "script": {"interpreter": [], "body": "a\0", "args": ["ok", "\0"], "shell": 1},
        "program": {"name": "none"}, "cwd": "", "run_as": "-u", "nonsense": 1,
    });
    let expected = [
        "/cwd",
        "/nonsense",
        "/program/name",
        "/run_as",
        "/script/args/1",
        "/script/body",
        "/script/interpreter",
        "/script/shell",
    ];
    assert_eq!(service.send("POST", "tasks", &all).pointers(), expected);
}

#[test]
fn a_jump_host_is_there_in_use_and_no_loop() {
    let service = Service::start();
    let refused = |path: &str, body: Value| {
        let problem = service.send("PUT", path, &body).expect(422).json();
        assert_eq!(problem["errors"][0]["pointer"], "/jump", "{problem}");
        assert_eq!(problem["errors"].as_array().unwrap().len(), 1, "{problem}");
        problem["errors"][0]["detail"].as_str().unwrap().to_owned()
    };
    assert!(refused("hosts/a", json!({"jump": "b"})).contains("there is no host"));
    assert!(refused("hosts/a", json!({"jump": "a"})).contains("a → a"));
    for (host, jump) in [("c", None), ("b", Some("c")), ("a", Some("b"))] {
        service.send("PUT", &format!("hosts/{host}"), &json!({"jump": jump})).expect(201);
    }
    assert_eq!(service.get("hosts/a")["jump"], "b");
    assert!(refused("hosts/c", json!({"jump": "a"})).contains("c → a → b → c"));
    assert!(refused("hosts/a", json!({"jump": "a"})).contains("a → a"));
    let held = service.call("DELETE", "/api/v1/hosts/b?cascade=true", &[], None).expect(409);
    assert!(held.text().contains("host \\\"a\\\""), "{}", held.text());
    service.send("PATCH", "hosts/a", &json!({"jump": null})).expect(200);
    service.call("DELETE", "/api/v1/hosts/b", &[], None).expect(204);

    for n in 1..=8 {
        let jump = if n == 1 { "c".to_owned() } else { format!("h{}", n - 1) };
        service.send("PUT", &format!("hosts/h{n}"), &json!({"jump": jump})).expect(201);
    }
    assert!(refused("hosts/h9", json!({"jump": "h8"})).contains("more than 8"));
    assert!(refused("hosts/c", json!({"jump": "a"})).contains("h8 → h7"));
    assert_eq!(service.get("status/summary")["hosts_unreachable"], 0);
}

#[test]
fn a_credential_has_a_certificate_and_sudos_password() {
    let service = Service::start();
    let kind = "ssh-ed25519-cert-v01@openssh.com";
    let line = format!("{kind} AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tBwcHBw== fleet");
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----\n";
    let credential =
        json!({"name": "c", "private_key": key, "certificate": format!("{line}\n"), "sudo_password": "s3cret"});
    service.send("POST", "credentials", &credential).expect(201);
    let shown = service.get("credentials/c");
    assert_eq!((&shown["certificate"], &shown["sudo_password"]), (&json!(line), &json!({"set": true})));
    service.send("PUT", "credentials/c", &shown).expect(200);
    assert_eq!(service.get("credentials/c")["version"], 1, "sent back as it was shown it is the same");
    let bad = json!({"name": "d", "password": "x", "certificate": "ssh-ed25519 AAAA", "sudo_password": ""});
    let expected = ["/certificate", "/certificate", "/sudo_password"];
    assert_eq!(service.send("POST", "credentials", &bad).pointers(), expected);
}

#[test]
fn the_command_line_uploads_programs_and_adds_tasks_for_them() {
    let service = Service::start();
    let file = service.data_dir().join("probe");
    std::fs::write(&file, "#!/bin/sh\necho hi\n").unwrap();
    let file = file.to_str().unwrap();
    let done = service.cli(&["program", "create", "probe", file]);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(service.get("programs/probe")["size"], 18);
    let again = service.cli(&["program", "create", "probe", file]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(service.cli(&["program", "put", "probe", "-f", file]).status.success());
    service.send("POST", "hosts", &json!({"name": "h", "enabled": false})).expect(201);
    let added = ["task", "add", "t", "--program", "probe", "--arg", "-v", "--on", "h", "--cron", "@hourly"];
    let done = service.cli(&added);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(service.get("tasks/t")["program"], json!({"name": "probe", "args": ["-v"]}));
    let listed = service.cli(&["program", "list", "-o", "name"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout), "probe\n");
    let held = service.cli(&["program", "delete", "probe"]);
    assert!(String::from_utf8_lossy(&held.stderr).contains("in use by task"), "{held:?}");
}
