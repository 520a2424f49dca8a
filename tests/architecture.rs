//! The house rules as a test: who may import whom, how long a file may be, what may be called where, and that every
//! path and function that ARCHITECTURE.md names is there. It reads files only: it links nothing of Alf.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

#[path = "architecture/source.rs"]
mod source;

use source::{Source, paths_of};

/// A file longer than this has more than one subject.
const LONGEST_FILE: usize = 500;
/// `main.rs` only reads arguments and settings and hands over.
const LONGEST_MAIN: usize = 60;

/// Every room, and what it may import of the others. `actors::handle` is that one file of the room and no other;
/// `*` is everything, for those that put the rooms together.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("clock", &[]),
    ("vault", &[]),
    ("data_dir", &[]),
    ("handover", &["model"]),
    ("settings", &[]),
    ("logging", &[]),
    ("ssh", &["model", "clock"]),
    ("store", &["model", "clock"]),
    ("sinks", &["model", "clock"]),
    ("actors", &["model", "clock", "ssh", "store", "sinks", "vault"]),
    ("http", &["model", "actors::handle"]),
    ("web", &["model", "actors::handle"]),
    ("cli", &["model", "handover"]),
    ("courier", &["model", "clock", "settings", "sinks", "actors::reactions"]),
    ("app", &["*"]),
    ("serve", &["*"]),
    ("upkeep", &["*"]),
    ("main", &["*"]),
];

/// Crates that only some rooms may know, so that one can be exchanged without a search through the house.
const CRATES: &[(&str, &[&str])] = &[
    ("actix", &["actors"]),
    ("actix_web", &["http", "web", "app", "main"]),
    ("awc", &["cli", "sinks"]),
    ("async_ssh2_tokio", &["ssh"]),
    ("russh", &["ssh"]),
    // The settings check its URLs.
    ("mongodb", &["store", "settings"]),
    ("rusqlite", &["store"]),
    ("chacha20poly1305", &["vault"]),
    ("clap", &["cli", "main"]),
    ("comfy_table", &["cli"]),
    ("figment", &["settings"]),
    ("lettre", &["sinks"]),
    ("minijinja", &["model"]),
    ("env_logger", &["logging"]),
    // Says of types how they stand in documents; what makes the OpenAPI document of them is in http.
    ("utoipa", &["model", "ssh", "actors", "http"]),
];

/// What the model, being pure, does not know at all.
const IMPURE: &[&str] =
    &["tokio", "tokio_util", "actix_rt", "futures_util", "std::fs", "std::net", "std::process", "std::thread"];

/// Clocks that do not follow the paused time of tests; log lines alone carry the machine's own time.
const CLOCKS: &[&str] = &["Utc::now", "Local::now", "SystemTime::now", "std::time::Instant", "std::time::SystemTime"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// All files below a folder whose names end so, relative to the repository, sorted; empty if there is no such folder.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Every file of `src`, read once for all tests.
fn sources() -> &'static [Source] {
    static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| Source::load_all(root(), &files("src", ".rs")));
    &SOURCES
}

#[track_caller]
fn none(faults: Vec<String>, rule: &str) {
    assert!(faults.is_empty(), "{rule}\n  {}\n", faults.join("\n  "));
}

fn allowed(room: &str) -> Option<&'static [&'static str]> {
    ROOMS.iter().find(|(name, _)| *name == room).map(|(_, allowed)| *allowed)
}

#[test]
fn every_room_has_its_rule() {
    let rooms: BTreeSet<String> = sources().iter().map(|file| file.room().to_owned()).collect();
    let faults = rooms.iter().filter(|room| *room != "lib" && allowed(room).is_none()).cloned().collect();
    none(faults, "rooms without a line in ROOMS (tests/architecture.rs): say what they may import");
}

#[test]
fn rooms_import_only_what_they_may() {
    let sources = sources();
    // A macro of a room stands at the crate's root when others may use it.
    let macros: BTreeMap<String, String> = sources
        .iter()
        .flat_map(|file| file.exported_macros().into_iter().map(|name| (name, file.room().to_owned())))
        .collect();
    let mut faults = Vec::new();
    for file in sources.iter().filter(|file| file.room() != "lib") {
        let allowed = allowed(file.room()).unwrap_or_default();
        for path in file.paths() {
            let Some(inside) = file.inside_the_crate(&path.segments) else { continue };
            let first = inside.first().map(String::as_str).unwrap_or("the whole crate");
            let target = macros.get(first).map_or(first, String::as_str);
            let whole = inside.join("::");
            let may = target == file.room()
                || allowed.iter().any(|rule| {
                    *rule == "*" || *rule == target || whole == *rule || whole.starts_with(&format!("{rule}::"))
                });
            if !may {
                let rule = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
                faults.push(format!("{} imports {whole}; {} may import {rule}", file.at(path.line), file.room()));
            }
        }
    }
    none(faults, "imports against the rules of DESIGN (ROOMS in tests/architecture.rs)");
}

#[test]
fn crates_stay_in_their_rooms() {
    let mut faults = Vec::new();
    for file in sources() {
        for path in file.paths() {
            let whole = path.segments.join("::");
            let is = |name: &str| whole == name || whole.starts_with(&format!("{name}::"));
            for (name, rooms) in CRATES.iter().filter(|(name, _)| is(name)) {
                if !rooms.contains(&file.room()) {
                    faults.push(format!("{} uses {name}, which belongs to {}", file.at(path.line), rooms.join(", ")));
                }
            }
            if file.room() == "model" && IMPURE.iter().any(|name| is(name)) {
                faults.push(format!("{} uses {whole}: the model does no I/O", file.at(path.line)));
            }
        }
        if file.room() == "model" {
            let lines = file.lines_with(|line| line.contains("async fn") || line.contains("async move"));
            faults.extend(lines.into_iter().map(|line| format!("{} is async: the model is not", file.at(line))));
        }
    }
    none(faults, "crates used outside the rooms they belong to (CRATES in tests/architecture.rs)");
}

#[test]
fn only_clock_rs_reads_the_clock() {
    let mut faults = Vec::new();
    for file in sources().iter().filter(|file| !["clock", "logging"].contains(&file.room())) {
        for path in file.paths() {
            let whole = format!("::{}::", path.segments.join("::"));
            if let Some(clock) = CLOCKS.iter().find(|clock| whole.contains(&format!("::{clock}::"))) {
                faults.push(format!(
                    "{} uses {clock}; the time of day is src/clock.rs, waiting is tokio's",
                    file.at(path.line)
                ));
            }
        }
    }
    none(faults, "clocks that do not follow paused time");
}

#[test]
fn nothing_panics_on_purpose() {
    let mut faults = Vec::new();
    for file in sources() {
        faults.extend(
            file.panics().into_iter().map(|line| format!("{}: say what is wrong with an error", file.at(line))),
        );
    }
    none(faults, "unwrap and expect outside tests, without #[expect(clippy::…, reason = …)]");
}

#[test]
fn files_are_short() {
    let mut faults = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for path in files(folder, ".rs") {
            let lines = read(&path).lines().count();
            let most = if path == Path::new("src/main.rs") { LONGEST_MAIN } else { LONGEST_FILE };
            if lines >= most {
                faults.push(format!("{} has {lines} lines; fewer than {most} are allowed", path.display()));
            }
        }
    }
    none(faults, "files that are too long: split them by subject");
}

#[test]
fn lib_rs_is_only_the_map() {
    let lib = Source::load_all(root(), &[PathBuf::from("src/lib.rs")]).remove(0);
    let is_map = |line: &str| line.is_empty() || (line.starts_with("pub mod ") && line.ends_with(';'));
    let faults = lib.lines_with(|line| !is_map(line.trim())).into_iter().map(|line| lib.at(line)).collect();
    none(faults, "src/lib.rs holds `pub mod ROOM;` lines and nothing else");
}

/// What stands in backticks in a document, code blocks left out, with its line.
fn spans(text: &str) -> Vec<(usize, String)> {
    let mut spans = Vec::new();
    let mut block = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            block = !block;
        } else if !block {
            spans.extend(line.split('`').skip(1).step_by(2).map(|span| (index + 1, span.to_owned())));
        }
    }
    spans
}

/// Whether a span names a file or folder of the repository rather than a URL, a command or a type.
fn is_path(span: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let ours = ["rs", "toml", "yaml", "md"].iter().any(|ending| span.ends_with(&format!(".{ending}")));
    !span.starts_with('/') && span.chars().all(legal) && (span.contains('/') || ours || span.starts_with("LICENSE-"))
}

#[test]
fn every_path_in_architecture_md_exists() {
    let mut faults = Vec::new();
    let mut named = 0;
    for (line, span) in spans(&read("ARCHITECTURE.md")).into_iter().filter(|(_, span)| is_path(span)) {
        named += 1;
        if !root().join(&span).exists() {
            faults.push(format!("ARCHITECTURE.md:{line} names `{span}`, which is not there"));
        }
    }
    none(faults, "a map of what is not there");
    assert!(named >= 20, "ARCHITECTURE.md names only {named} paths: it is no map, or this test does not see them");
}

#[test]
fn every_function_in_architecture_md_exists() {
    let sources = sources();
    let word = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let mut faults = Vec::new();
    for (line, span) in spans(&read("ARCHITECTURE.md")) {
        let parts: Vec<&str> = span.trim_end_matches("()").split("::").collect();
        if parts.len() < 2 || !parts.iter().all(|part| word(part)) || ["std", "tokio"].contains(&parts[0]) {
            continue;
        }
        let (owner, item) = (parts[parts.len() - 2], parts[parts.len() - 1]);
        // The last but one is a type of the same file, or a module: the file or folder of that name.
        let here = |file: &Source| file.has_word(item) && (file.has_word(owner) || file.is_module(owner));
        if !sources.iter().any(here) {
            faults.push(format!("ARCHITECTURE.md:{line} names `{span}`; no file of src/ has both of them"));
        }
    }
    none(faults, "a walk past what is not there");
}

#[test]
fn the_other_documents_name_what_is_there() {
    let folders = ["src/", "config/", "script/", "tests/", "benches/", ".ci/"];
    let mut faults = Vec::new();
    for document in ["README.md", "CHANGELOG.md"] {
        for (line, span) in spans(&read(document)) {
            let first = span.split_whitespace().next().unwrap_or_default().trim_start_matches("./");
            if folders.iter().any(|folder| first.starts_with(folder)) && !root().join(first).exists() {
                faults.push(format!("{document}:{line} names `{first}`, which is not there"));
            }
        }
    }
    none(faults, "documents about what is not there");
}

#[test]
fn every_configuration_file_that_is_mentioned_exists() {
    let mut readers: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", ".ci/run"].map(PathBuf::from).into();
    for folder in ["script", "config", "src", "tests"] {
        readers.extend(files(folder, ""));
    }
    let mut faults = Vec::new();
    for reader in readers.iter().filter(|path| !path.starts_with("tests/architecture.rs")) {
        let text = read(reader);
        for (start, _) in text.match_indices("config/") {
            let before = text[..start].chars().next_back();
            let name: String =
                text[start..].chars().take_while(|c| c.is_ascii_alphanumeric() || "._-/".contains(*c)).collect();
            let name = name.trim_end_matches('.');
            let ours = before.is_none_or(|c| !c.is_alphanumeric() && !"._-/~".contains(c));
            if ours && (name.ends_with(".toml") || name.ends_with(".yaml")) && !root().join(name).is_file() {
                faults.push(format!("{} mentions {name}, which is not there", reader.display()));
            }
        }
    }
    none(faults, "configuration files that are not there");
}

#[test]
fn scripts_can_be_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut scripts = files("script", "");
    scripts.retain(|path| !path.starts_with("script/lib"));
    scripts.push(PathBuf::from(".ci/run"));
    let mut faults = Vec::new();
    for path in scripts {
        let executable = fs::metadata(root().join(&path)).is_ok_and(|file| file.permissions().mode() & 0o111 == 0o111);
        if !executable {
            faults.push(format!("{} is not executable: chmod +x", path.display()));
        }
        if !read(&path).starts_with("#!") {
            faults.push(format!("{} does not begin with #!", path.display()));
        }
    }
    for path in ["script/demo", "script/test", "script/lint", "script/audit"] {
        if !root().join(path).is_file() {
            faults.push(format!("{path} is not there"));
        }
    }
    none(faults, "scripts that nobody can run");
}

#[test]
fn both_licences_are_there() {
    assert!(
        read("LICENSE-MIT").contains("Permission is hereby granted, free of charge"),
        "LICENSE-MIT is not the MIT licence"
    );
    let apache = read("LICENSE-APACHE");
    assert!(apache.contains("Version 2.0, January 2004"), "LICENSE-APACHE is not the Apache licence 2.0");
    assert!(apache.contains("END OF TERMS AND CONDITIONS"), "LICENSE-APACHE is cut short");
    assert!(read("Cargo.toml").contains("license = \"MIT OR Apache-2.0\""), "Cargo.toml names another licence");
}

#[test]
fn this_test_sees_what_it_forbids() {
    let seen =
        |code: &str| -> Vec<String> { paths_of(code).into_iter().map(|path| path.segments.join("::")).collect() };
    assert_eq!(
        seen("use crate::{store::{self, Store as S}, ssh::*};"),
        ["crate::store", "crate::store::Store", "crate::ssh::*"]
    );
    assert_eq!(seen("fn a() { crate::http::serve(1) }"), ["crate::http::serve"]);
    assert_eq!(seen("impl From<crate::app::App> for X {}"), ["crate::app::App"]);
    assert_eq!(seen("let v = Vec::<u8>::new(); std::time::Instant::now()"), ["Vec", "std::time::Instant::now"]);
    assert_eq!(seen("pub use super::super::store::Store;"), ["super::super::store::Store"]);

    let text = "//! `crate::http` in words\n/* crate::cli /* nested */ */ const T: &str = \"crate::cli\"; // crate::web\n\
                const R: &str = r#\"crate::app \"quoted\" \"#; const C: [char; 2] = ['\"', '\\''];\n\
                fn f<'a>(x: &'a str) -> &'a str { x.trim() }\n\
                #[cfg(test)]\nmod tests { fn g() { crate::http::x(\"}\"); None::<u8>.unwrap() } }\nfn h() { crate::store::x() }\n";
    let file = Source::new(PathBuf::from("src/model/deep/file.rs"), text);
    let found: Vec<_> = file.paths().into_iter().map(|path| (path.line, path.segments.join("::"))).collect();
    assert_eq!(found, [(7, "crate::store::x".to_owned())]);
    assert!(file.panics().is_empty());
    let reasoned = "#[expect(clippy::expect_used, reason = \"never\")]\nfn a() { x.expect(\"y\") }\n#[must_use]\nfn b() { x.expect(\"y\") }\n";
    assert_eq!(Source::new(PathBuf::from("src/app.rs"), reasoned).panics(), [4]);
    assert_eq!(file.lines_with(|line| line.contains(".trim()")), [4]);

    let inside = |path: &[&str]| file.inside_the_crate(&path.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
    let all = |path: &[&str]| inside(path).map(|segments| segments.join("::"));
    assert_eq!(all(&["crate", "http"]).as_deref(), Some("http"));
    assert_eq!(all(&["super", "x"]).as_deref(), Some("model::deep::x"));
    assert_eq!(all(&["super", "super", "super", "http"]).as_deref(), Some("http"));
    assert_eq!(all(&["std", "fs"]), None);
    assert_eq!(spans("a `b/c.rs` d\n```\n`not/this`\n```\n`E::f`"), [(1, "b/c.rs".to_owned()), (5, "E::f".to_owned())]);
    assert!(is_path("src/app.rs") && is_path("Cargo.toml") && is_path("LICENSE-MIT") && is_path(".ci/run"));
    assert!(!is_path("/api/v1/hosts") && !is_path("a b/c") && !is_path("app::build") && !is_path("main"));
}
