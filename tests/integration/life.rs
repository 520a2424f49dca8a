//! The life of the service: start, signals, exit codes, what it leaves behind.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::support::service::{Service, alf, until};
use crate::support::sshd::Sshd;
use crate::support::stored::is_in_mongodb;

#[test]
fn it_says_where_it_listens_and_is_ready_at_once() {
    let started = Instant::now();
    let service = Service::start();
    let expected = format!("alf {} listening on http://{} (node ", env!("CARGO_PKG_VERSION"), service.address);
    assert!(service.first_line.starts_with(&expected), "{}", service.first_line);
    let store = if is_in_mongodb() { "mongodb" } else { "sqlite" };
    assert!(service.first_line.ends_with(&format!(", store {store})\n")), "{}", service.first_line);
    let ready = crate::support::http::request(&service.address, "GET", "/health/ready", &[], None);
    assert_eq!(ready.status, 200, "{}", ready.text());
    // Generous: the machine may be busy with other tests; an idle one needs a tenth of it.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn keys_and_secrets_are_for_the_owner_only() {
    let service = Service::start();
    let store = (!is_in_mongodb()).then_some("alf.db");
    for file in ["admin.key", "secret.key"].into_iter().chain(store) {
        let mode = std::fs::metadata(service.data_dir().join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
    let key = std::fs::read_to_string(service.data_dir().join("admin.key")).unwrap();
    assert!(key.starts_with("alf_") && key.ends_with('\n') && key.lines().count() == 1);
}

#[test]
fn a_running_task_may_end_by_itself_when_alf_is_told_to_stop() {
    let (sshd, mut service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task("short", "web1", json!({"command": "sleep 1; echo done"}), None);
    let run = service.send("POST", "hosts/web1/tasks/short/run", &json!({})).expect(202).json()["run"].clone();
    let run = run.as_str().unwrap().to_owned();
    until("it runs", || Some(service.get(&format!("runs/{run}"))).filter(|run| run["state"] == "running"));
    assert_eq!(service.end("TERM"), Some(0), "{}", service.log());
    service.restart();
    let result = service.get(&format!("results/{run}"));
    assert_eq!((&result["outcome"], &result["stdout"]), (&json!("OK"), &json!("done\n")));
}

#[test]
fn a_task_that_outlasts_the_grace_is_killed_and_recorded_as_aborted() {
    let sshd = Sshd::start();
    let mut service = Service::start_with(&[("ALF_SHUTDOWN__GRACE", "300ms")]);
    service.add_host(&sshd);
    let mark = sshd.dir().join("mark");
    let command = format!("echo $$ > {}; sleep 60", mark.display());
    service.add_task("long", "web1", json!({"command": command}), None);
    let run = service.send("POST", "hosts/web1/tasks/long/run", &json!({})).expect(202).json()["run"].clone();
    let pid = until("it runs", || std::fs::read_to_string(&mark).ok().filter(|pid| pid.ends_with('\n')));
    assert_eq!(service.end("TERM"), Some(0), "{}", service.log());
    assert!(!std::path::Path::new(&format!("/proc/{}", pid.trim())).exists(), "the remote process is still there");
    service.restart();
    let result = service.get(&format!("results/{}", run.as_str().unwrap()));
    assert_eq!((&result["reason"], &result["outcome"]), (&json!("aborted"), &json!("PROBLEM")), "{result}");
    assert_eq!(result["kill"]["gone"], true, "{result}");
}

#[test]
fn two_of_them_do_not_share_a_data_directory() {
    let service = Service::start();
    let second = alf(&service.data_dir()).args(["serve", "--listen", "127.0.0.1:0"]).output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains("in use") && said.contains(&service.pid().to_string()), "{said}");
    assert!(second.stdout.is_empty());
}

#[test]
fn sighup_reads_the_logging_file_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("logging.yaml");
    let log = dir.path().join("alf.log");
    let config = |level: &str| {
        format!("level: {level}\noutputs:\n  - kind: file\n    path: {}\n    format: json\n", log.display())
    };
    std::fs::write(&file, config("error")).unwrap();
    let service = Service::start_with(&[("ALF_LOGGING__FILE", file.to_str().unwrap())]);
    std::fs::write(&file, config("info")).unwrap();
    let sent = std::process::Command::new("kill").args(["-HUP", &service.pid().to_string()]).status();
    assert!(sent.unwrap().success());
    let line = until("a line at level info", || {
        let text = std::fs::read_to_string(&log).ok()?;
        text.lines().find(|line| line.contains("reloaded")).map(str::to_owned)
    });
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "INFO");
}
