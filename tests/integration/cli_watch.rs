//! `-w`: drawn in place at a terminal, what has changed elsewhere.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::service::{Service, alf};
use crate::support::sshd::Sshd;
use crate::support::terminal::Terminal;

fn with_tasks() -> (Sshd, Service) {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task("bad", "web1", json!({"command": "exit 3"}), None);
    service.add_task("good", "web1", json!({"command": "true"}), None);
    (sshd, service)
}

#[test]
fn off_a_terminal_only_what_has_changed_is_written_again() {
    let (_sshd, service) = with_tasks();
    let mut command = alf(&service.data_dir());
    let command = command.args(["status", "-o", "json", "--watch=0.2"]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    let first = [next(), next()];
    assert_eq!((&first[0]["task"], &first[1]["task"]), (&json!("bad"), &json!("good")));
    service.run("bad");
    // While it ran it may have been looked at.
    let changed = std::iter::repeat_with(&mut next).find(|row| row["state"] == "CRITICAL" || row["task"] != "bad");
    assert_eq!(changed.unwrap()["task"], "bad", "the other is as it was");
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0), "Ctrl-C is how it is meant to end");
}

#[test]
fn a_row_that_is_no_more_is_told_of() {
    let (_sshd, service) = with_tasks();
    service.run("bad");
    let mut command = alf(&service.data_dir());
    let command = command.args(["problems", "-w=0.2"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || out.next().unwrap().unwrap();
    assert!(next().starts_with("HOST"));
    assert!(next().contains("CRITICAL"));
    let told = service.cli(&["ack", "web1", "bad", "-m", "known"]);
    assert!(told.status.success());
    let mut gone = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut gone).unwrap();
    assert_eq!(gone, "gone: web1/bad\n");
    child.kill().unwrap();
    child.wait().unwrap();
    let mut rest = String::new();
    child.stderr.take().unwrap().read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn at_a_terminal_it_is_drawn_in_place_until_ctrl_c() {
    let (_sshd, service) = with_tasks();
    let mut terminal = Terminal::start(&service.data_dir(), "status -w=0.2");
    terminal.shows("\x1b[36mPENDING\x1b[0m");
    terminal.shows("every 200ms; Ctrl-C ends it");
    service.run("bad");
    terminal.shows("\x1b[31mCRITICAL\x1b[0m");
    let cli = service.cli(&["pause"]);
    assert!(cli.status.success());
    terminal.shows("Alf is paused since");
    terminal.interrupt();
    assert_eq!(terminal.end(), Some(0), "{}", terminal.shown());
    let shown = terminal.shown();
    assert_eq!(shown.matches("\x1b[?7l").count(), shown.matches("\x1b[?7h").count(), "lines are wrapped again");
}

#[test]
fn lists_and_runs_are_watched_too_and_what_cannot_be_is_refused() {
    let (_sshd, service) = with_tasks();
    for words in ["runs -w=0.2", "host list -w=0.2", "problems -w=0.2"] {
        let mut terminal = Terminal::start(&service.data_dir(), words);
        terminal.shows("Ctrl-C ends it");
        terminal.interrupt();
        assert_eq!(terminal.end(), Some(0), "{words}: {}", terminal.shown());
    }
    for wrong in [&["status", "-w=0"][..], &["status", "-w", "-o", "xml"], &["runs", "-w=soon"]] {
        let refused = service.cli(wrong);
        assert_eq!(refused.status.code(), Some(2), "{wrong:?}");
        assert!(!refused.stderr.is_empty());
    }
    let nobody = alf(&service.data_dir()).env("ALF_URL", "http://127.0.0.1:9").args(["status", "-w"]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(5), "what was never there is not waited for");
}
