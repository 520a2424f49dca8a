//! The command line against the real service: what it prints where, and its exit codes.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::service::{Service, alf, until};
use crate::support::sshd::Sshd;

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn good(output: Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    out(&output)
}

#[test]
fn one_crontab_line_becomes_a_running_task() {
    let (sshd, service) = (Sshd::start(), Service::start());
    let at = format!("{}@127.0.0.1:{}", sshd.user(), sshd.port());
    service.send("POST", "credentials", &json!({"name": "key", "key_file": sshd.client_key()})).expect(201);
    good(service.cli(&["host", "add", &at, "--name", "web1", "--credential", "key"]));
    let host = service.get("hosts/web1");
    assert_eq!((&host["address"], &host["port"]), (&json!("127.0.0.1"), &json!(sshd.port())));
    good(service.cli(&["task", "add", "tick", "--command", "echo hello", "--on", "web1", "--cron", "@every 1s"]));
    until("a result", || (service.get("results?outcome=OK")["total"].as_u64() > Some(0)).then_some(()));

    let table = good(service.cli(&["status"]));
    assert!(table.contains("web1") && table.contains("tick") && table.contains("OK"), "{table}");
    assert!(!table.contains('\u{1b}'), "no colour off a terminal");
    let rows: Value = serde_json::from_str(&good(service.cli(&["status", "-o", "json"]))).unwrap();
    assert!(rows.to_string().contains("\"tick\""));
    // On a busy machine the newest may be a SKIPPED.
    let results = good(service.cli(&["results", "--outcome", "ok", "-o", "name"]));
    let id = results.lines().next().unwrap().trim();
    let result: Value = serde_json::from_str(&good(service.cli(&["result", id, "-o", "json"]))).unwrap();
    assert_eq!(result["stdout"], "hello\n", "{result}");
    assert!(good(service.cli(&["hosts", "list", "-o", "xml"])).contains("<name>web1</name>"));
    assert!(good(service.cli(&["tasks", "get", "tick", "-o", "yaml"])).contains("command: echo hello"));
    assert_eq!(good(service.cli(&["hosts", "list", "-o", "name"])).trim(), "web1");
}

#[test]
fn run_shows_the_output_apart_and_answers_by_its_exit_code() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task("good", "web1", json!({"command": "echo out; echo err >&2"}), None);
    service.add_task("bad", "web1", json!({"command": "exit 3"}), None);
    let run = service.cli(&["run", "web1", "good"]);
    assert_eq!((run.status.code(), out(&run).as_str()), (Some(0), "out\n"), "{}", err(&run));
    assert!(err(&run).contains("err\n"));
    let run = service.cli(&["run", "web1", "bad"]);
    assert_eq!((run.status.code(), out(&run).as_str()), (Some(1), ""));
    assert!(err(&run).contains("exit code 3"), "{}", err(&run));
    let run = service.cli(&["run", "web1", "none"]);
    assert_eq!(run.status.code(), Some(1));
    assert!(err(&run).contains("none"), "{}", err(&run));
}

#[test]
fn the_status_of_a_host_says_what_keeps_its_tasks_from_being_told_of() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task("bad", "web1", json!({"command": "exit 3"}), None);
    service.run("bad");
    let quiet = service.cli(&["status", "web1"]);
    assert!(!err(&quiet).contains("paused"), "{}", err(&quiet));
    good(service.cli(&["ack", "web1", "bad", "-m", "known"]));
    good(service.cli(&["downtime", "web1", "--for", "2h", "-m", "moving"]));
    good(service.cli(&["pause"]));
    for arguments in [&["status"][..], &["status", "web1"]] {
        let shown = service.cli(arguments);
        let row = out(&shown).lines().find(|line| line.contains("bad")).unwrap().to_owned();
        assert!(row.ends_with("ack downtime"), "{row}");
        assert!(err(&shown).contains("Alf is paused since"), "{arguments:?}: {}", err(&shown));
    }
    let pair = service.cli(&["status", "web1", "bad"]);
    assert!(out(&pair).contains(": known") && out(&pair).contains("ack downtime"), "{}", out(&pair));
    assert!(err(&pair).contains("Alf is paused since"), "{}", err(&pair));
    let own = good(service.cli(&["status", "web1"]));
    assert!(own.lines().any(|line| line.starts_with("in downtime") && line.ends_with("yes")), "{own}");
}

#[test]
fn definitions_come_from_files_in_any_format() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let yaml = file("hosts.yaml", "name: a\nlabels: {role: web}\n---\nname: b\nport: 2222\n");
    let json = file("hosts.json", r#"[{"name": "c"}, {"name": "d"}]"#);
    let xml = file("host.xml", "<host><name>e</name></host>");
    for path in [&yaml, &json, &xml] {
        good(service.cli(&["hosts", "create", "-f", path]));
    }
    assert_eq!(good(service.cli(&["host", "list", "-o", "name"])), "a\nb\nc\nd\ne\n");
    let wrong = file("wrong.yaml", "name: f\nport: many\ncolour: red\n");
    let refused = service.cli(&["hosts", "create", "-f", &wrong]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("port") && err(&refused).contains("colour"), "{}", err(&refused));
    good(service.cli(&["hosts", "delete", "a"]));
    assert_eq!(service.cli(&["hosts", "get", "a"]).status.code(), Some(1));
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let service = Service::start();
    assert_eq!(service.cli(&["no-such-verb"]).status.code(), Some(2));
    assert_eq!(service.cli(&["run"]).status.code(), Some(2));
    assert_eq!(service.cli(&["--version"]).status.code(), Some(0));
    let denied = alf(&service.data_dir()).env("ALF_API_KEY", "wrong").args(["hosts", "list"]).output().unwrap();
    assert_eq!(denied.status.code(), Some(4), "{}", err(&denied));
    let nobody =
        alf(&service.data_dir()).env("ALF_URL", "http://127.0.0.1:9").args(["hosts", "list"]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(5), "{}", err(&nobody));
    assert!(err(&nobody).contains("127.0.0.1:9") && err(&nobody).contains("alf serve"), "{}", err(&nobody));
    let dir = tempfile::tempdir().unwrap();
    let no_key = alf(dir.path()).args(["hosts", "list"]).output().unwrap();
    assert!(matches!(no_key.status.code(), Some(4 | 5)), "{}", err(&no_key));
}

#[test]
fn cron_lines_are_explained_without_a_service() {
    let dir = tempfile::tempdir().unwrap();
    let explained =
        alf(dir.path()).args(["cron", "explain", "30 2 * * mon-fri", "--timezone", "Europe/Madrid"]).output();
    let explained = good(explained.unwrap());
    assert!(explained.contains("02:30") && explained.contains("Monday"), "{explained}");
    let refused = alf(dir.path()).args(["cron", "explain", "61 * * * *"]).output().unwrap();
    assert_ne!(refused.status.code(), Some(0));
    assert!(err(&refused).contains("minute"), "{}", err(&refused));
}
