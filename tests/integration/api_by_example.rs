//! `docs/api.md`: every command in it is run as it stands, and its answer is what is shown there.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::service::Service;
use crate::support::sshd::Sshd;

/// A refused command fails.
const PRELUDE: &str =
    "set -euo pipefail\ncurl() { command curl --silent --show-error --fail-with-body \"$@\"; echo; }\n";

/// The fenced blocks of a document: language and text.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let inside: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((language.to_owned(), inside.join("\n")));
        }
    }
    blocks
}

/// Whether all that is shown is there; of what is longer only the beginning is shown.
fn holds(whole: &Value, shown: &Value) -> bool {
    match (whole, shown) {
        (Value::Object(whole), Value::Object(shown)) => {
            shown.iter().all(|(name, value)| whole.get(name).is_some_and(|there| holds(there, value)))
        }
        (Value::Array(whole), Value::Array(shown)) => {
            whole.len() == shown.len() && whole.iter().zip(shown).all(|(there, value)| holds(there, value))
        }
        _ => whole == shown,
    }
}

#[test]
fn every_command_of_the_document_does_what_is_shown() {
    if !Command::new("curl").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("left out: curl is not installed");
        return;
    }
    let (sshd, service) = (Sshd::start(), Service::start());
    let document = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md")).unwrap();
    let blocks = blocks(&document);
    let scripts = blocks.iter().filter(|(language, _)| language == "sh").count();
    assert_eq!(scripts, 22, "eleven jobs in two forms");
    let scratch = tempfile::tempdir().unwrap();
    let mut printed = String::new();
    for (language, text) in &blocks {
        // This test's own sshd in the places of the document's host.
        let text = text
            .replace("web1.example.org", "127.0.0.1")
            .replace("\"port\": 22,", &format!("\"port\": {},", sshd.port()))
            .replace("<port>22<", &format!("<port>{}<", sshd.port()))
            .replace("deploy", &sshd.user())
            .replace("~/.ssh/id_ed25519", sshd.client_key().to_str().unwrap());
        match language.as_str() {
            "sh" => {
                let output = Command::new("bash")
                    .args(["-c", &format!("{PRELUDE}{text}")])
                    .current_dir(scratch.path())
                    .env("ALF_URL", format!("http://{}", service.address))
                    .env("ALF_API_KEY", &service.key)
                    .env("HOME", scratch.path())
                    .output()
                    .unwrap();
                printed = String::from_utf8(output.stdout).unwrap();
                let told = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success() && told.is_empty(), "{text}\n{printed}{told}");
            }
            "json" => {
                let last: Value =
                    serde_json::from_str(printed.lines().rfind(|line| !line.is_empty()).unwrap()).unwrap();
                let shown: Value = serde_json::from_str(&text).unwrap();
                assert!(holds(&last, &shown), "{shown} is not in {last}");
            }
            "xml" => {
                let last = printed.rsplit("<?xml").next().unwrap();
                assert!(last.contains(&*text), "{text} is not in {last}");
            }
            other => panic!("a block of {other}"),
        }
    }
}
