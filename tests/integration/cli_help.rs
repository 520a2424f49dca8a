//! What helps to type: completions and manual pages.

use std::path::Path;
use std::process::Output;

use serde_json::json;

use crate::support::service::{Service, alf};

fn out(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What bash is told about how a line goes on.
fn goes_on(data_dir: &Path, words: &[&str]) -> Vec<String> {
    let index = (words.len() - 1).to_string();
    let mut command = alf(data_dir);
    command.envs([("ALF_COMPLETE", "bash"), ("_CLAP_IFS", "\n"), ("_CLAP_COMPLETE_INDEX", index.as_str())]);
    let asked = command.arg("--").args(words).output().unwrap();
    out(&asked).lines().map(str::to_owned).collect()
}

#[test]
fn names_are_completed_from_the_service() {
    let mut service = Service::start();
    for name in ["web1", "web2", "db1"] {
        service.send("POST", "hosts", &json!({"name": name})).expect(201);
    }
    service.send("POST", "tasks", &json!({"name": "load", "command": "uptime"})).expect(201);
    let data = service.data_dir();
    for (words, expected) in [
        (&["alf", "exec", "w"][..], &["web1", "web2"][..]),
        (&["alf", "host", "delete", "db1", "web"], &["web1", "web2"]),
        (&["alf", "run", "d"], &["db1"]),
        (&["alf", "run", "db1", "l"], &["load"]),
        (&["alf", "run", "-l", "role=web", "l"], &["load"]),
        (&["alf", "task", "add", "x", "--on", "db"], &["db1"]),
        (&["alf", "check"], &["check-config"]),
        (&["alf", "status", "--out"], &["--outcome", "--output"]),
        (&["alf", "host", "list", "-o", "w"], &["wide"]),
    ] {
        let mut found = goes_on(&data, words);
        found.sort();
        assert_eq!(found, expected, "{words:?}");
    }
    service.end("TERM");
    assert!(goes_on(&data, &["alf", "exec", "w"]).is_empty(), "nobody to be asked is no fault");
}

#[test]
fn each_shell_is_told_to_ask() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = out(&alf(dir.path()).args(["completions", shell]).output().unwrap());
        assert!(script.contains("ALF_COMPLETE") && script.contains("alf"), "{shell}: {script}");
    }
    let refused = alf(dir.path()).args(["completions", "tcsh"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let read = r#"source <("$ALF" completions bash) && complete -p alf"#;
    let bash = std::process::Command::new("bash").args(["-c", read]).env("ALF", env!("CARGO_BIN_EXE_alf")).output();
    assert!(out(&bash.unwrap()).contains("-F _clap_complete_alf alf"));
}

#[test]
fn each_verb_has_a_manual_page() {
    let dir = tempfile::tempdir().unwrap();
    let page = out(&alf(dir.path()).arg("man").output().unwrap());
    for said in [".TH alf 1", "SUBCOMMANDS", "alf\\-exec(1)", "\"EXIT STATUS\"", "ENVIRONMENT", "alf serve &"] {
        assert!(page.contains(said), "{said} is not in {page}");
    }
    let pages = dir.path().join("man/man1");
    out(&alf(dir.path()).args(["man", "--dir"]).arg(&pages).output().unwrap());
    assert_eq!(std::fs::read_to_string(pages.join("alf.1")).unwrap(), page);
    for name in ["alf-exec", "alf-host", "alf-host-add", "alf-task-schedule-list", "alf-downtime", "alf-man"] {
        let page = std::fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".SH NAME") && page.contains("COMMON OPTIONS"), "{name}: {page}");
    }
    let exec = std::fs::read_to_string(pages.join("alf-exec.1")).unwrap();
    assert!(exec.contains(".SH EXAMPLES\n.nf\nalf exec web1 \\-\\- df \\-h /var\n"), "{exec}");
    let refused = alf(dir.path()).args(["man", "--dir"]).arg(pages.join("alf.1")).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
}
