//! Bad input of every kind: a clear message with its cause and the next step, and nothing lost or crashed.

use std::path::Path;
use std::process::Output;

use serde_json::json;

use crate::support::service::{Service, alf, until};
use crate::support::sshd::Sshd;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A start that must fail: its exit code and what it said.
fn fails(data_dir: &Path, args: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = alf(data_dir).arg("serve").args(args).envs(environment.iter().copied()).output().unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code(), said(&output))
}

/// The settings of a mail server, with some that differ; the later one counts.
fn mail<'a>(others: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("ALF_EMAIL__SERVER", "mail.example.org"), ("ALF_EMAIL__FROM", "alf@example.org")], others].concat()
}

#[test]
fn wrong_settings_stop_the_start_with_one_line_and_64() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let config = dir.path().join("alf.toml");
    std::fs::write(&config, "[http]\nlisten = \"127.0.0.1:0\"\nbody_limt = 1\n").unwrap();
    let config = config.to_str().unwrap();
    for (args, environment, named) in [
        (vec!["--config", config], vec![], vec!["http.body_limt", "alf.toml"]),
        (vec!["--config", "/no/such/alf.toml"], vec![], vec!["/no/such/alf.toml"]),
        (vec!["--listen", "nowhere"], vec![], vec!["--listen", "nowhere"]),
        (vec!["--listen", "0.0.0.0:0"], vec![], vec!["http.allow_plaintext"]),
        (vec![], vec![("ALF_SCHEDULE__TIMEZONE", "Europe/Madird")], vec!["ALF_SCHEDULE__TIMEZONE", "IANA"]),
        (vec![], vec![("ALF_NO__SUCH", "1")], vec!["ALF_NO__SUCH"]),
        (vec![], vec![("ALF_STORE__KIND", "oracle")], vec!["ALF_STORE__KIND", "sqlite"]),
        (vec![], vec![("ALF_ACTIONS__ALLOW_PRIVATE", "10.0.0.0/33")], vec!["ALF_ACTIONS__ALLOW_PRIVATE"]),
        (vec![], vec![("ALF_ACTIONS__SPOOL_LIMIT", "much")], vec!["ALF_ACTIONS__SPOOL_LIMIT"]),
        (vec![], vec![("ALF_ACTIONS__CA_FILE", "/no/such/ca.pem")], vec!["ALF_ACTIONS__CA_FILE", "/no/such/ca.pem"]),
        (vec![], vec![("ALF_EMAIL__TLS", "perhaps")], vec!["ALF_EMAIL__TLS", "optional"]),
        (vec![], vec![("ALF_EMAIL__PORT", "0")], vec!["ALF_EMAIL__PORT"]),
        (vec![], vec![("ALF_EMAIL__SERVER", "mail.example.org")], vec!["ALF_EMAIL__SERVER", "email.from"]),
        (vec![], mail(&[("ALF_EMAIL__FROM", "nobody")]), vec!["ALF_EMAIL__FROM"]),
        (
            vec![],
            mail(&[("ALF_EMAIL__USER", "alf"), ("ALF_EMAIL__PASSWORD_FILE", "/no/such/password")]),
            vec!["ALF_EMAIL__PASSWORD_FILE", "/no/such/password"],
        ),
    ] {
        let (code, said) = fails(&data, &args, &environment);
        assert_eq!(code, Some(64), "{args:?} {environment:?}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        for name in named {
            assert!(said.contains(name), "{name} is not named in: {said}");
        }
    }
    let mut shown = alf(&data);
    let shown = shown.arg("check-config").envs(mail(&[("ALF_EMAIL__TLS", "none")])).output().unwrap();
    let text = String::from_utf8(shown.stdout).unwrap();
    for line in ["server = \"mail.example.org\"", "tls = \"none\"", "spool_limit = \"64MiB\""] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let checked = alf(&data).args(["check-config", "--config", config]).output().unwrap();
    assert_eq!(checked.status.code(), Some(64), "{}", said(&checked));
}

#[test]
fn other_variables_of_ours_are_left_alone() {
    let service = Service::start_with(&[("ALF_URL", "http://elsewhere"), ("ALF_API_KEY", "x"), ("ALF_WHATEVER", "1")]);
    assert!(service.first_line.contains("listening"));
}

#[test]
fn a_taken_port_and_a_useless_directory_are_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let (code, said) = fails(&dir.path().join("data"), &["--listen", &address], &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
    assert!(!said.contains("actor ended"), "{said}");
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (code, said) = fails(&file, &["--listen", "127.0.0.1:0"], &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(file.to_str().unwrap()), "{said}");
}

#[test]
fn every_fault_of_a_document_is_told_at_once_in_both_formats() {
    let service = Service::start();
    let json = json!({"name": "a b", "port": 99999, "max_sessions": 0, "credential": "none", "colour": "red"});
    let pointers = service.send("POST", "hosts", &json).pointers();
    for pointer in ["/name", "/port", "/colour"] {
        assert!(pointers.iter().any(|other| other == pointer), "{pointer} not in {pointers:?}");
    }
    let xml = "<host><name>a b</name><port>99999</port><colour>red</colour></host>";
    let headers = [("Content-Type", "application/xml"), ("Accept", "application/xml")];
    let answer = service.call("POST", "/api/v1/hosts", &headers, Some(xml.as_bytes())).expect(422);
    assert_eq!(
        answer.header("content-type").map(|kind| kind.split(';').next().unwrap()),
        Some("application/problem+xml")
    );
    for pointer in ["/name", "/port", "/colour"] {
        assert!(answer.text().contains(&format!("<pointer>{pointer}</pointer>")), "{}", answer.text());
    }
    let pointers =
        service.send("POST", "schedules", &json!({"name": "s", "cron": "61 * * * *", "timezone": "Mars"})).pointers();
    assert_eq!(pointers, ["/cron", "/timezone"]);
    let pointers = service.send("POST", "host-tasks", &json!({"task": "no", "host": "no"})).pointers();
    assert_eq!(pointers, ["/host", "/task"]);
    assert_eq!(service.get("hosts")["total"], 0);
}

#[test]
fn a_host_that_does_not_resolve_or_refuses_is_told_with_its_cause() {
    let (sshd, service) = (Sshd::start(), Service::start());
    let host = |name: &str, address: &str, port: u16, credential: &str| {
        let host = json!({"name": name, "address": address, "port": port, "credential": credential});
        service.send("POST", "hosts", &host).expect(201);
    };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    service.send("POST", "credentials", &json!({"name": "right", "key_file": sshd.client_key()})).expect(201);
    service.send("POST", "credentials", &json!({"name": "wrong", "password": "no", "user": "root"})).expect(201);
    host("nowhere", "no-such-host.invalid", 22, "right");
    host("refuses", "127.0.0.1", free, "right");
    host("denies", "127.0.0.1", sshd.port(), "wrong");
    service.send("POST", "tasks", &json!({"name": "t", "command": "true", "start_within": "1s"})).expect(201);
    for (name, reason) in [("nowhere", "unreachable"), ("refuses", "unreachable"), ("denies", "auth")] {
        let path = format!("hosts/{name}/tasks/t/run?wait=30s");
        let result = service.send("POST", &path, &json!({})).expect(200).json();
        assert_eq!(result["reason"], reason, "{result}");
        assert_eq!((&result["outcome"], &result["state"]), (&json!("PROBLEM"), &json!("UNKNOWN")));
        let status = service.get(&format!("status/{name}"));
        assert_eq!((&status["state"], &status["reason"]), (&json!("DOWN"), &json!(reason)));
        let (told, cause) = (result["message"].as_str().unwrap(), status["message"].as_str().unwrap());
        assert_eq!(told, format!("no connection to {name}: {cause}"));
    }
    service.send("POST", "host-tasks", &json!({"task": "t", "host": "nowhere"})).expect(201);
    let table = until("the table tells", || Some(service.cli(&["status"])).filter(|out| !out.stderr.is_empty()));
    assert!(said(&table).contains("host nowhere is DOWN since"), "{}", said(&table));
    assert!(service.get("status/nowhere")["message"].as_str().unwrap().contains("no-such-host.invalid"));
    assert!(service.log().contains("no-such-host.invalid"));
}

#[test]
fn a_host_with_another_key_than_before_is_not_logged_in_to() {
    let (mut sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task("t", "web1", json!({"command": "true", "start_within": "2s"}), None);
    assert_eq!(service.run("t")["outcome"], "OK");
    let learned = service.get("hosts/web1")["host_key"]["learned"].clone();
    assert!(sshd.host_key().contains(learned[0].as_str().unwrap().split(' ').nth(1).unwrap()), "{learned}");
    let put = service.get("hosts/web1");
    service.send("PUT", "hosts/web1", &put).expect(200);
    assert_eq!(service.get("hosts/web1")["host_key"]["learned"], learned, "no PUT touches what was learnt");

    sshd.restart_with_new_host_key();
    until("the old connection is lost", || Some(service.get("status/web1")).filter(|host| host["state"] == "DOWN"));
    let attempts = sshd.login_attempts();
    let result = service.run("t");
    assert_eq!(result["reason"], "host_key", "{result}");
    assert_eq!(result["message"].as_str().unwrap().matches("SHA256:").count(), 2, "{result}");
    assert_eq!(sshd.login_attempts(), attempts, "no login was tried: {}", sshd.log());
}
