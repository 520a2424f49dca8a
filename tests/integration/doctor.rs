//! `alf host doctor` against a real sshd: what it finds, and that it finds nothing where nothing is wrong.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::support::service::{Service, until};
use super::support::sshd::{Options, Sshd};

/// `(verdict, detail and remedy)` of each check.
struct Seen(Value);

impl Seen {
    fn of(service: &Service) -> Self {
        let seen = Self(service.send("POST", "hosts/web1/doctor", &json!({})).expect(200).json());
        let checks: Vec<&str> =
            seen.0["findings"].as_array().unwrap().iter().map(|it| it["check"].as_str().unwrap()).collect();
        assert_eq!(
            checks,
            ["resolve", "connect", "host_key", "login", "shell", "sessions", "clock", "sudo", "proc"],
            "always all, in order"
        );
        seen
    }

    fn get(&self, check: &str) -> (&str, String) {
        let finding = self.0["findings"].as_array().unwrap().iter().find(|it| it["check"] == check).unwrap();
        let text = |field: &str| finding[field].as_str().unwrap_or_default().to_owned();
        (finding["verdict"].as_str().unwrap(), format!("{} → {}", text("detail"), text("remedy")))
    }

    #[track_caller]
    fn says(&self, check: &str, verdict: &str, words: &str) {
        let (found, said) = self.get(check);
        assert!(found == verdict && said.contains(words), "{check} should be {verdict} with \"{words}\": {}", self.0);
    }

    /// Everything after a check was left out because of it.
    #[track_caller]
    fn ends_with(&self, check: &str) {
        let after = self.0["findings"].as_array().unwrap().iter().skip_while(|it| it["check"] != check).skip(1);
        assert!(after.clone().all(|it| it["verdict"] == "skipped"), "{}", self.0);
        assert_eq!(self.0["verdict"], "failed");
    }
}

fn service(sshd: &Sshd) -> Service {
    let service = Service::start();
    service.add_host(sshd);
    service
}

#[test]
fn a_healthy_host_is_found_healthy_and_nothing_is_left_behind() {
    let sshd = Sshd::start();
    let service = service(&sshd);
    service.send("POST", "hosts/web1/trust", &json!({})).expect(200);
    let seen = Seen::of(&service);
    for check in ["resolve", "connect", "host_key", "login", "shell", "sessions", "clock"] {
        assert_eq!(seen.get(check).0, "ok", "{check}: {}", seen.0);
    }
    seen.says("connect", "ok", "SSH-2.0-OpenSSH");
    seen.says("login", "ok", &sshd.user());
    seen.says("sessions", "ok", "10 at once or more");
    assert!(["ok", "warning"].contains(&seen.get("sudo").0) && ["ok", "warning"].contains(&seen.get("proc").0));
    assert_eq!(sshd.logins(), 1, "one connection, its own");
    super::support::service::until("its connection is closed", || {
        (super::support::sshd::descendants(sshd.pid()).is_empty()).then_some(())
    });

    let shown = service.cli(&["host", "doctor", "web1"]);
    let table = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success() && table.contains("✓  resolve") && !table.contains('\u{1b}'), "{table}");
    let xml = service.call("POST", "/api/v1/hosts/web1/doctor?format=xml", &[], None).expect(200);
    assert!(xml.text().contains("<findings><item><check>resolve</check><verdict>ok</verdict>"), "{}", xml.text());
}

#[test]
fn a_session_limit_below_the_definitions_is_counted() {
    for (allowed, wanted) in [(4, 10), (1, 3)] {
        let sshd = Sshd::start_with(&Options { max_sessions: Some(allowed), ..Options::default() });
        let service = service(&sshd);
        service.send("PATCH", "hosts/web1", &json!({"max_sessions": wanted})).expect(200);
        let seen = Seen::of(&service);
        seen.says("sessions", "warning", &format!("allows {allowed} at once, the definition says {wanted}"));
        seen.says("sessions", "warning", &format!("set max_sessions to {allowed}"));
        seen.says("clock", "ok", "off");
        seen.says("host_key", "warning", "alf host trust web1 --expect SHA256:");
    }
}

#[test]
fn an_sshd_that_gives_no_session_is_named_by_the_doctor_and_by_the_results_of_runs() {
    let sshd = Sshd::start_with(&Options { max_sessions: Some(0), ..Options::default() });
    let service = service(&sshd);
    service.add_task("check", "web1", json!({"command": "true", "start_within": "3s"}), None);
    service.add_task("other", "web1", json!({"command": "true", "start_within": "5s"}), None);
    let other = service.send("POST", "hosts/web1/tasks/other/run", &json!({})).expect(202).json()["run"].clone();
    let result = service.run("check");
    assert_eq!((&result["outcome"], &result["state"]), (&json!("PROBLEM"), &json!("UNKNOWN")), "{result}");
    assert_eq!((&result["reason"], &result["started_at"]), (&json!("refused"), &Value::Null), "{result}");
    let message = result["message"].as_str().unwrap();
    assert!(message.starts_with("sshd of web1 refused: 127.0.0.1:") && message.contains("MaxSessions"), "{message}");
    let other = until("the other one's Result", || {
        let answer = service.call("GET", &format!("/api/v1/results/{}", other.as_str().unwrap()), &[], None);
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(other["reason"], "refused", "{other}");
    assert_eq!(service.get("status/web1")["state"], "UP");
    let seen = Seen::of(&service);
    seen.says("sessions", "failed", "gives no session");
    seen.says("sessions", "failed", "set MaxSessions in sshd_config");
    seen.says("shell", "skipped", "because sessions failed");
    seen.ends_with("sessions");
}

#[test]
fn where_our_own_run_has_the_only_session_the_other_is_late() {
    let sshd = Sshd::start_with(&Options { max_sessions: Some(1), ..Options::default() });
    let service = service(&sshd);
    service.add_task("long", "web1", json!({"command": "sleep 300"}), None);
    service.add_task("check", "web1", json!({"command": "true", "start_within": "3s"}), None);
    let long = service.send("POST", "hosts/web1/tasks/long/run", &json!({})).expect(202).json()["run"].clone();
    let long = format!("runs/{}", long.as_str().unwrap());
    until("it runs", || Some(service.get(&long)).filter(|run| run["state"] == "running"));
    let result = service.run("check");
    assert_eq!((&result["outcome"], &result["reason"]), (&json!("SKIPPED"), &json!("late")), "{result}");
    service.call("DELETE", &format!("/api/v1/{long}"), &[], None).expect(204);
    until("it has ended", || (service.call("GET", &format!("/api/v1/{long}"), &[], None).status == 404).then_some(()));
}

#[test]
fn shells_that_are_noisy_slow_or_none_at_all_are_told_apart() {
    let program = |sshd_dir: &std::path::Path, body: &str| {
        let path = sshd_dir.join("shell");
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let shells = tempfile::tempdir().unwrap();
    for (body, verdict, words) in [
        ("echo Welcome to web1; exec /bin/sh \"$@\"", "warning", "Welcome to web1"),
        ("sleep 0.7; exec /bin/sh \"$@\"", "warning", "start files"),
        ("echo This account is not available; exit 1", "failed", "This account is not available"),
    ] {
        let login_shell = Some(program(shells.path(), body));
        let sshd = Sshd::start_with(&Options { login_shell, ..Options::default() });
        let service = service(&sshd);
        let seen = Seen::of(&service);
        seen.says("shell", verdict, words);
        if verdict == "failed" {
            seen.ends_with("shell");
        }
    }
}

#[test]
fn what_stands_in_the_way_of_a_login_is_named_and_the_rest_is_skipped() {
    let mut sshd = Sshd::start();
    let service = service(&sshd);
    service.send("PATCH", "hosts/web1", &json!({"user": "nobody-of-that-name"})).expect(200);
    let seen = Seen::of(&service);
    seen.says("login", "failed", "nobody-of-that-name");
    seen.ends_with("login");
    service.send("PATCH", "hosts/web1", &json!({"user": null})).expect(200);

    service.send("POST", "hosts/web1/trust", &json!({})).expect(200);
    sshd.restart_with_new_host_key();
    let before = sshd.login_attempts();
    let seen = Seen::of(&service);
    seen.says("host_key", "failed", "was the host installed anew?");
    seen.ends_with("host_key");
    assert_eq!(sshd.login_attempts(), before);

    sshd.kill();
    let seen = Seen::of(&service);
    seen.says("connect", "failed", "is sshd running there?");
    seen.ends_with("connect");
    let shown = service.cli(&["host", "doctor", "web1"]);
    assert_eq!(shown.status.code(), Some(1));

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let web = std::thread::spawn(move || {
        use std::io::Write as _;
        let (mut stream, _) = silent.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    service.send("PATCH", "hosts/web1", &json!({"port": port})).expect(200);
    Seen::of(&service).says("connect", "failed", "not as an SSH server");
    web.join().unwrap();

    service.send("PATCH", "hosts/web1", &json!({"address": "no-such-host.invalid"})).expect(200);
    let seen = Seen::of(&service);
    seen.says("resolve", "failed", "no-such-host.invalid");
    seen.ends_with("resolve");
}

#[test]
fn sudo_is_tried_with_the_password_that_runs_would_give_it() {
    let home = Sshd::start();
    let path = home.dir().join("sudo");
    std::fs::write(&path, super::ssh_sudo::FAKE_SUDO).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = vec![format!("SetEnv HOME={0} PATH={0}:/usr/bin:/bin", home.dir().display())];
    let sshd = Sshd::start_with(&Options { config, ..Options::default() });
    let service = service(&sshd);
    let task = json!({"command": "true", "run_as": "asks"});
    service.add_task("check", "web1", task, None);
    for (password, verdict, words) in [
        ("open  sesame\\", "ok", "with the sudo_password of the credential"),
        ("wrong-one", "warning", "see that sudo_password of the credential is right"),
    ] {
        let patch = json!({"sudo_password": password});
        service.send("PATCH", "credentials/key-web1", &patch).expect(200);
        let seen = Seen::of(&service);
        seen.says("sudo", verdict, words);
        assert!(!seen.0.to_string().contains("sesame") && !seen.0.to_string().contains("wrong-one"), "{}", seen.0);
    }
}

#[test]
fn a_run_that_waits_for_a_host_that_is_down_says_why() {
    let mut sshd = Sshd::start();
    let service = service(&sshd);
    sshd.kill();
    let waited = service.cli(&["exec", "web1", "--timeout-wait", "10s", "--", "true"]);
    let said = String::from_utf8_lossy(&waited.stderr).into_owned();
    assert!(said.contains("waiting: web1 is DOWN") && said.contains("refused the connection"), "{said}");
    assert!(!waited.status.success() && said.contains("alf host doctor web1"), "{said}");
}
