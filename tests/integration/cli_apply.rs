//! Files and what they make of Alf: `alf apply`, `diff`, `export` and `edit` against the real service.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::support::service::{Service, alf};

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn ended(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}{}", out(output), err(output));
    out(output)
}

/// A directory with files in it.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }
}

#[test]
fn a_directory_of_all_formats_but_xml_becomes_one_change() {
    let service = Service::start();
    let files = Files::new();
    files.put("fleet.yaml", "hosts:\n- name: web1\n  labels: {role: web}\n---\ntasks:\n- {name: t, command: uptime}\n");
    files.put("hosts/db.json", r#"[{"name": "db1", "port": 2222}]"#);
    files.put("more/host-tasks.yml", "task: t\nhost: web1\n---\n{name: dbs, task: t, selector: '@name=db1'}\n");
    files.put("more/.hidden.yaml", "not: [this");
    files.put("more/README.md", "# nor this");
    let dry = ended(&service.cli(&["apply", "-f", files.path(), "--dry-run"]), 0);
    assert_eq!(service.get("hosts")["total"], 0);
    let plan = ended(&service.cli(&["apply", "-f", files.path()]), 0);
    assert_eq!(
        plan,
        "+ host web1\n+ host db1\n+ task t\n+ host-task t@web1\n+ host-task dbs\n= 0 unchanged\n".to_owned()
    );
    assert_eq!(plan, dry);
    assert_eq!(ended(&service.cli(&["apply", "-f", files.path()]), 0), "= 5 unchanged\n");

    let hosts = files.put("hosts.yaml", "name: web1\nport: 23\nlabels: {role: db, env: prod}\n");
    let changed = "~ host web1  labels.env: (none) → prod, labels.role: web → db, port: 22 → 23\n= 0 unchanged\n";
    let plan = ended(&service.cli(&["apply", "-f", &hosts]), 0);
    let (sorted, expected) = (sorted_words(&plan), sorted_words(changed));
    assert_eq!(sorted, expected, "{plan}");
    let none = files.put("none.yaml", "tasks: []\n");
    let refused = service.cli(&["apply", "-f", &none, "--prune", "*"]);
    ended(&refused, 1);
    assert!(err(&refused).contains("t@web1"), "{}", err(&refused));
    let pruned = ended(&service.cli(&["apply", "-f", &hosts, "--prune", "role=old", "-o", "json"]), 0);
    let pruned: Value = serde_json::from_str(&pruned).unwrap();
    assert_eq!(pruned["unchanged"], json!([{"noun": "host", "name": "web1"}]));
    assert_eq!(ended(&service.cli(&["apply", "-f", &hosts, "-o", "name"]), 0), "host/web1\n", "unchanged as it is");
    let xml = ended(&service.cli(&["apply", "-f", &hosts, "-o", "xml"]), 0);
    assert!(xml.contains("<applied>"), "{xml}");
}

fn sorted_words(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text.split([' ', ',', '\n']).collect();
    words.sort_unstable();
    words
}

#[test]
fn faults_are_told_by_file_and_nothing_is_done() {
    let service = Service::start();
    let files = Files::new();
    let good = files.put("good.yaml", "hosts: [{name: a}, {name: b, port: 0}]\n");
    let wrong = files.put("hosts.yaml", "name: c\ncolour: red\n---\nport: many\n");
    let refused = service.cli(&["apply", "-f", &good, &wrong]);
    ended(&refused, 1);
    let told = err(&refused);
    for fault in [
        format!("{good}, host \"b\": /port: must be from 1 to 65535"),
        format!("{wrong}, host \"c\": /colour: unknown field"),
        format!("{wrong}, host 4: /port: "),
        format!("{wrong}, host 4: /name: is required"),
    ] {
        assert!(told.contains(&fault), "{fault} is not in {told}");
    }
    for (name, text, word) in [
        ("what.yaml", "name: a\n", "unless its file is named for one"),
        ("typo.yaml", "hosts: []\nhots: []\n", "\"hots\" is no noun"),
        ("map.yaml", "hosts: {name: a}\n", "hosts must be a list"),
        ("bad.xml", "<machines/>", "<machines>"),
        ("bad.json", "{", "is not JSON"),
    ] {
        let path = files.put(name, text);
        let refused = service.cli(&["apply", "-f", &path]);
        ended(&refused, 1);
        assert!(err(&refused).contains(word) && err(&refused).contains(name), "{}", err(&refused));
    }
    let xml = files.put("a.xml", "<hosts><host><name>a</name></host></hosts>");
    assert!(err(&service.cli(&["apply", "-f", &xml, &good])).contains("is XML"));
    ended(&service.cli(&["apply", "-f", Files::new().path()]), 1);
    assert_eq!(service.get("hosts")["total"], 0);

    let single = files.put("single.xml", "<host><name>x</name><port>23</port></host>");
    assert_eq!(ended(&service.cli(&["apply", "-f", &xml, &single]), 0), "+ host a\n+ host x\n= 0 unchanged\n");
}

#[test]
fn what_is_exported_differs_in_nothing_in_any_format() {
    let service = Service::start();
    let hard = [
        "no",
        "0644",
        "1e3",
        "null",
        "~",
        " lead",
        "trail ",
        "a: b",
        "# c",
        "line\nline\n\n",
        "\ttab\r\n",
        "'\"",
        "- x",
        "@a",
        "\u{1}",
    ];
    let label = |text: &str| json!(text.replace(char::is_control, ""));
    let labels: Value = hard.iter().enumerate().map(|(n, text)| (format!("l{n}"), label(text))).collect();
    let all = json!({
        "hosts": [{"name": "web1", "labels": labels, "description": hard.join("\n"), "env": {"A": "yes", "B": "010"}}],
        "tasks": [{"name": "t", "script": {"body": hard.join("\n"), "args": hard}}],
        "host_tasks": [{"name": "0x10", "task": "t", "selector": "l0=no"}],
        "credentials": [{"name": "c", "password": "hunter2"}],
    });
    service.send("POST", "apply", &all).expect(200);
    let files = Files::new();
    for (format, name) in [("yaml", "all.yaml"), ("json", "all.json"), ("xml", "all.xml")] {
        let text = ended(&service.cli(&["export", "-o", format]), 0);
        assert!(!text.contains("hunter2") && !text.contains("created_at"), "{text}");
        let path = files.put(name, &text);
        assert_eq!(ended(&service.cli(&["diff", "-f", &path, "--prune", "*"]), 0), "", "{format}: {text}");
        assert_eq!(ended(&service.cli(&["apply", "-f", &path, "--prune", "*"]), 0), "= 5 unchanged\n");
    }
    assert_eq!(ended(&service.cli(&["export"]), 0), std::fs::read_to_string(files.0.path().join("all.yaml")).unwrap());

    let other = files.put(
        "other.yaml",
        "hosts: [{name: web2}]\ntasks: [{name: t, command: uptime}]\ncredentials: [{name: c, password: other}]\n",
    );
    let differ = ended(&service.cli(&["diff", "-f", &other]), 1);
    for line in ["--- /dev/null\n+++ host/web2 after\n", "+name: web2\n", "-script:\n", "+command: uptime\n"] {
        assert!(differ.contains(line), "{line} is not in {differ}");
    }
    assert!(
        differ.contains("+++ credential/c after\n@@ a secret differs @@\n") && !differ.contains("other"),
        "{differ}"
    );
    assert_eq!(service.get("hosts")["total"], 1);
    let broken = files.put("broken.yaml", "hosts: [{name: web2, port: 0}]\n");
    assert!(err(&service.cli(&["diff", "-f", &broken])).contains("/port"));
    ended(&service.cli(&["diff", "-f", &broken]), 2);
}

#[test]
fn the_examples_apply_as_they_are() {
    let service = Service::start();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let plan = ended(&service.cli(&["apply", "-f", examples.to_str().unwrap()]), 0);
    assert!(plan.contains("+ host web1\n") && plan.ends_with("= 0 unchanged\n"), "{plan}");
    assert_eq!(service.get("hosts")["total"], 6);
}

/// `alf NOUN edit NAME` with an editor that is a shell command over `$1`.
fn edit(service: &Service, files: &Files, noun: &str, name: &str, command: &str) -> Output {
    let editor = files.put("editor", &format!("#!/bin/sh\n{command}\n"));
    let mut edit = alf(&service.data_dir());
    edit.env("TMPDIR", files.path()).env_remove("VISUAL").env("EDITOR", format!("sh {editor}"));
    edit.args([noun, "edit", name]).output().unwrap()
}

fn left(files: &Files) -> Vec<PathBuf> {
    let all = std::fs::read_dir(files.0.path()).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|ending| ending == "yaml")).collect()
}

#[test]
fn one_is_edited_and_only_what_was_changed_is_sent() {
    let service = Service::start();
    let files = Files::new();
    service.send("POST", "credentials", &json!({"name": "c", "password": "hunter2", "user": "me"})).expect(201);
    service.send("POST", "hosts", &json!({"name": "web1", "labels": {"role": "web"}, "credential": "c"})).expect(201);
    let same = edit(&service, &files, "host", "web1", "cat \"$1\" >&2");
    ended(&same, 0);
    let shown = err(&same);
    assert!(shown.contains("host \"web1\" unchanged") && shown.contains("  role: web"), "{shown}");
    assert!(!shown.contains("version:") && !shown.contains("learned"), "{shown}");
    assert_eq!(service.get("hosts/web1")["version"], 1);

    let done =
        edit(&service, &files, "host", "web1", "sed -i -e s/22/2222/ -e s/role:/part:/ -e /^credential/d \"$1\"");
    ended(&done, 0);
    let host = service.get("hosts/web1");
    assert_eq!(
        (&host["port"], &host["labels"], &host["credential"]),
        (&json!(2222), &json!({"part": "web"}), &Value::Null)
    );
    ended(&edit(&service, &files, "credential", "c", "sed -i 's/: me/: you/' \"$1\""), 0);
    let credential = service.get("credentials/c");
    assert_eq!((&credential["user"], &credential["password"]), (&json!("you"), &json!({"set": true})));
    assert!(left(&files).is_empty(), "{:?}", left(&files));

    // Refused, it is opened again with what is wrong on top, as often as it takes.
    let twice = "if grep -q '^# /port: must be' \"$1\"; then sed -i 's/^port: .*/port: 24/' \"$1\"
        elif grep -q '^# is not YAML' \"$1\"; then sed -i -e '/: :/d' -e 's/^port: .*/port: 0/' \"$1\"
        else echo 'a: : b' >>\"$1\"; fi";
    ended(&edit(&service, &files, "host", "web1", twice), 0);
    assert_eq!(service.get("hosts/web1")["port"], 24);
    let given_up = edit(&service, &files, "host", "web1", "sed -i 's/^port: .*/port: 0/' \"$1\"");
    ended(&given_up, 1);
    let kept = left(&files);
    assert!(kept.len() == 1 && err(&given_up).contains(kept[0].to_str().unwrap()), "{kept:?} {}", err(&given_up));
    std::fs::remove_file(&kept[0]).unwrap();

    // Somebody else was faster.
    let url = format!("http://{}/api/v1/hosts/web1", service.address);
    let other = format!("ALF_URL=http://{} {} host edit web1", service.address, env!("CARGO_BIN_EXE_alf"));
    let inner = files.put("other", "#!/bin/sh\nsed -i 's/^port: .*/port: 25/' \"$1\"\n");
    let race = format!("sed -i 's/^port: .*/port: 26/' \"$1\"; EDITOR='sh {inner}' {other} # {url}");
    let lost = edit(&service, &files, "host", "web1", &race);
    ended(&lost, 1);
    assert!(err(&lost).contains("changed by somebody else meanwhile"), "{}", err(&lost));
    assert_eq!(service.get("hosts/web1")["port"], 25);
    ended(&edit(&service, &files, "host", "web1", "exit 3"), 1);
    ended(&edit(&service, &files, "host", "none", "true"), 1);
    ended(&edit(&service, &files, "host", "web1", ": >\"$1\""), 0);
}
