//! `alf exec` on many hosts: alike output once, who still runs, Ctrl-C.

use std::process::{Child, Output, Stdio};

use serde_json::json;

use crate::support::service::{Service, alf, until};
use crate::support::sshd::Sshd;
use crate::support::terminal::Terminal;

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn with_hosts(names: &[&str]) -> (Sshd, Service) {
    let (sshd, service) = (Sshd::start(), Service::start());
    names.iter().for_each(|name| service.add_host_named(&sshd, name));
    (sshd, service)
}

fn spawn(service: &Service, arguments: &[&str]) -> Child {
    let mut command = alf(&service.data_dir());
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    let sent = std::process::Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// Whether SIGINT is caught, and does not end it outright (proc(5), `SigCgt`).
fn hears_interrupts(child: &Child) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & 2 != 0
}

#[test]
fn what_is_alike_is_shown_once_under_the_names_of_its_hosts() {
    let (_sshd, service) = with_hosts(&["a", "b", "c"]);
    let command = r#"echo same; echo beside >&2; test "$ALF_HOST" != b"#;
    let done = service.cli(&["exec", "-l", "*", "--group", "--", command]);
    assert_eq!(done.status.code(), Some(1), "{}", err(&done));
    assert_eq!(
        out(&done),
        "--- a, c (2 hosts): OK ---\nsame\n--- b: PROBLEM, CRITICAL (exit_code), exit code 1 ---\nsame\n"
    );
    assert_eq!(err(&done), "beside\nbeside\n3 hosts: 2 OK, 1 not: b\n", "no line of progress off a terminal");
    let done = service.cli(&["exec", "-l", "*", "-o", "json", "--", "true"]);
    let results: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((done.status.code(), results["total"].as_u64()), (Some(0), Some(3)));
    assert_eq!(err(&done), "3 hosts: all OK\n");
    for wrong in [&["exec", "a", "-g", "--", "true"][..], &["exec", "-l", "*", "-g", "-o", "json", "--", "true"]] {
        assert_eq!(service.cli(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn at_a_terminal_a_line_says_how_far_it_is_and_who_still_runs() {
    let (sshd, service) = with_hosts(&["a", "b"]);
    let go = sshd.dir().join("go");
    let command = format!("test $ALF_HOST = a || until [ -e {} ]; do sleep 0.1; done; echo done", go.display());
    let mut terminal = Terminal::start(&service.data_dir(), &format!("exec -l '*' -- '{command}'"));
    terminal.shows("1/2 hosts");
    terminal.shows("still running: b ");
    terminal.shows("a: done");
    std::fs::write(&go, "").unwrap();
    assert_eq!(terminal.end(), Some(0), "{}", terminal.shown());
    terminal.shows("2 hosts: all OK");
    let shown = terminal.shown();
    assert!(!shown.contains("\x1b[3"), "no colours: {shown:?}");
    let last = shown.rsplit("\x1b[2K").next().unwrap();
    assert!(!last.contains("/2 hosts") && last.contains("2 hosts: all OK"), "the line is gone: {last:?}");
}

#[test]
fn many_hosts_that_hang_keep_no_other_from_being_shown() {
    let (sshd, service) = (Sshd::start(), Service::start());
    // Nobody answers there: these are waited for, for minutes.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    for number in 0..55 {
        let host = json!({"name": format!("a{number:02}"), "address": "127.0.0.1", "port": port});
        service.send("POST", "hosts", &host).expect(201);
    }
    service.add_host_named(&sshd, "z");
    let mut child = spawn(&service, &["exec", "-l", "*", "--", "echo here"]);
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    assert_eq!(line, "z: here\n");
    signal(&child, "-INT");
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", err(&done));
    assert!(err(&done).contains("56 hosts: 1 OK, 55 not: a00, a01"), "{}", err(&done));
    assert!(err(&done).contains("cancelling what runs on a00"), "{}", err(&done));
}

#[test]
fn ctrl_c_cancels_what_runs_and_shows_what_has_ended() {
    let (sshd, service) = with_hosts(&["a", "b"]);
    let begun = sshd.dir().join("begun");
    let command = format!("test $ALF_HOST = b || {{ echo > {}; sleep 600; }}", begun.display());
    let child = spawn(&service, &["exec", "-l", "*", "--group", "--", &command]);
    until("b has ended, a has begun", || (begun.exists() && service.get("results?host=b")["total"] == 1).then_some(()));
    until("it hears Ctrl-C", || hears_interrupts(&child).then_some(()));
    signal(&child, "-INT");
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", err(&done));
    assert!(err(&done).contains("Ctrl-C again leaves it alone"), "{}", err(&done));
    assert!(err(&done).contains("2 hosts: 1 OK, 1 not: a"), "{}", err(&done));
    assert!(out(&done).contains("(cancelled)") && out(&done).contains("--- b: OK"), "{}", out(&done));
    assert_eq!(service.get("runs")["total"], 0);
}
