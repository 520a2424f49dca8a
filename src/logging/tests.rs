//! What an operator sees of the log.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use log::kv::{Source, Value};
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::output::{Lines, Outputs};
use super::{LogHandle, LoggingConfig, format};

const HOSTILE: &str = "a\nERROR \u{1b}]0;x\u{7}\r\t\u{7f}\u{85}\u{9b}2J\u{2028}\u{202e}\u{2066}\u{feff}é";

fn time() -> DateTime<Utc> {
    "2026-11-23T11:00:00.123456Z".parse().unwrap()
}

/// One line in both formats.
fn lines(message: &str, fields: &dyn Source) -> (String, String) {
    let record = |args: std::fmt::Arguments<'_>| {
        let record =
            Record::builder().level(Level::Info).target("alf::actors::host").key_values(fields).args(args).build();
        (format::text(&record, time(), false), format::json(&record, time()))
    };
    record(format_args!("{message}"))
}

#[test]
fn text_lines_hold_time_level_module_fields_and_message() {
    let fields = [("host", Value::from("web1")), ("attempt", Value::from(3))];
    let (text, _) = lines("connected", &fields);
    assert_eq!(text, "2026-11-23T11:00:00.123Z INFO  alf::actors::host host=web1 attempt=3 connected\n");
}

#[test]
fn json_lines_keep_the_types_of_fields() {
    let fields = [
        ("host", Value::from("web1")),
        ("attempt", Value::from(3)),
        ("ratio", Value::from(0.5)),
        ("bad", Value::from(f64::NAN)),
        ("ok", Value::from(true)),
        ("none", Value::null()),
    ];
    let (_, json) = lines("said \"hello\"", &fields);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "time": "2026-11-23T11:00:00.123Z", "level": "INFO", "target": "alf::actors::host",
            "message": "said \"hello\"",
            "fields": {
                "host": "web1", "attempt": 3, "ratio": 0.5, "bad": "NaN", "ok": true, "none": null
            },
        })
    );
    let (_, json) = lines("plain", &[] as &[(&str, Value<'_>); 0]);
    assert!(!json.contains("fields"), "{json}");
}

#[test]
fn hostile_text_stays_text_on_one_line() {
    let fields = [("host", Value::from(HOSTILE)), (HOSTILE, Value::from("v"))];
    let (text, json) = lines(HOSTILE, &fields);
    for line in [&text, &json] {
        let line = line.strip_suffix('\n').unwrap();
        let left = |c: char| c.is_control() || "\u{2028}\u{202e}\u{2066}\u{feff}".contains(c);
        assert!(!line.contains(left), "{line:?}");
        assert!(line.contains('é'), "{line}");
    }
    assert!(
        text.ends_with(
            "a\\nERROR \\u{1b}]0;x\\u{7}\\r\\t\\u{7f}\\u{85}\\u{9b}2J\\u{2028}\\u{202e}\\u{2066}\\u{feff}é\n"
        )
    );
    // A reader of the JSON gets the very text.
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["message"], HOSTILE);
    assert_eq!(json["fields"]["host"], HOSTILE);
    assert_eq!(json["fields"][HOSTILE], "v");
}

#[test]
fn a_value_cannot_pass_for_another_field() {
    let fields = [("host", Value::from("a run=7")), ("empty", Value::from("")), ("quote", Value::from("\"\\"))];
    let (text, _) = lines("m", &fields);
    assert!(text.ends_with(" host=\"a run=7\" empty=\"\" quote=\"\\\"\\\\\" m\n"), "{text}");
}

#[test]
fn only_the_level_is_coloured() {
    let record = |args: std::fmt::Arguments<'_>| {
        format::text(&Record::builder().level(Level::Error).args(args).build(), time(), true)
    };
    let line = record(format_args!("\u{1b}[0m"));
    assert!(line.contains("\u{1b}[1;31mERROR\u{1b}[0m"), "{line:?}");
    assert!(line.ends_with(" \\u{1b}[0m\n"), "{line:?}");
}

/// A directory with a logging file and the logger that it sets up.
struct Setup {
    dir: tempfile::TempDir,
    handle: LogHandle,
}

impl Setup {
    /// `DIR` in the text is the directory.
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = write_config(dir.path(), text);
        let config = LoggingConfig::load(Some(&path)).unwrap();
        let outputs = Outputs::open(&config).unwrap().into();
        let path = Some(path);
        Self { dir, handle: LogHandle { outputs, path } }
    }

    fn log(&self, level: Level, target: &str, message: &str) {
        let metadata = Metadata::builder().level(level).target(target).build();
        let record = |args: std::fmt::Arguments<'_>| {
            let record = Record::builder().metadata(metadata.clone()).args(args).build();
            self.handle.outputs.log(&record);
        };
        record(format_args!("{message}"));
    }

    /// The messages in a log file.
    fn messages(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.dir.path().join(name)).unwrap();
        let last_word = |line: &str| line.rsplit(' ').next().unwrap_or_default().to_owned();
        text.lines().map(last_word).collect()
    }
}

fn write_config(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("logging.yaml");
    fs::write(&path, text.replace("DIR", dir.to_str().unwrap())).unwrap();
    path
}

#[test]
fn each_output_has_its_own_levels() {
    let setup = Setup::new(
        "level: info\n\
         modules: {\"alf::ssh\": debug, \"alf::quiet\": off}\n\
         outputs:\n\
         - {kind: file, path: DIR/a.log}\n\
         - {kind: file, path: DIR/b.log, level: debug, modules: {\"alf::ssh\": error, russh: trace, \"russh::session\": trace}}\n\
         - {kind: file, path: DIR/c.log, format: json, level: error}\n",
    );
    setup.log(Level::Info, "alf::app", "info");
    setup.log(Level::Debug, "alf::app", "debug");
    setup.log(Level::Debug, "alf::ssh::client", "ssh-debug");
    setup.log(Level::Error, "alf::quiet", "never");
    setup.log(Level::Info, "russh::client", "russh-info");
    // Nobody gets these: russh says there what it sends, passwords included.
    setup.log(Level::Trace, "russh::session", "russh-trace");
    setup.log(Level::Trace, "russh::client::encrypted", "russh-trace");
    setup.log(Level::Warn, "actix_server", "actix-warn");
    setup.log(Level::Error, "alf::app", "error");
    assert_eq!(setup.messages("a.log"), ["info", "ssh-debug", "actix-warn", "error"]);
    assert_eq!(setup.messages("b.log"), ["info", "debug", "russh-info", "actix-warn", "error"]);
    let json = fs::read_to_string(setup.dir.path().join("c.log")).unwrap();
    assert_eq!(json.lines().count(), 2, "{json}");
    assert!(json.lines().all(|line| line.starts_with("{\"time\":\"20")), "{json}");
    assert_eq!(setup.handle.outputs.max_level(), LevelFilter::Debug);
}

#[test]
fn reload_switches_levels_and_reopens_a_moved_file() {
    let setup = Setup::new("level: info\noutputs: [{kind: file, path: DIR/alf.log}]\n");
    setup.log(Level::Debug, "alf", "hidden");
    setup.log(Level::Info, "alf", "first");
    fs::rename(setup.dir.path().join("alf.log"), setup.dir.path().join("alf.log.1")).unwrap();
    setup.log(Level::Info, "alf", "second");
    write_config(setup.dir.path(), "level: debug\noutputs: [{kind: file, path: DIR/alf.log}]\n");
    setup.handle.reload().unwrap();
    setup.log(Level::Debug, "alf", "third");
    assert_eq!(setup.messages("alf.log.1"), ["first", "second"]);
    assert_eq!(setup.messages("alf.log"), ["third"]);
    assert_eq!(setup.handle.outputs.max_level(), LevelFilter::Debug);
}

#[test]
fn a_fault_on_reload_keeps_what_was_in_effect() {
    let setup = Setup::new("level: info\noutputs: [{kind: file, path: DIR/alf.log}]\n");
    for broken in [
        "level: [",
        "levl: debug",
        "level: debug\noutputs: [{kind: file, path: DIR/other.log}, {kind: file, path: DIR/no/x}]",
    ] {
        write_config(setup.dir.path(), broken);
        setup.handle.reload().unwrap_err();
    }
    fs::remove_file(setup.dir.path().join("logging.yaml")).unwrap();
    let error = setup.handle.reload().unwrap_err().to_string();
    assert!(error.contains("logging.yaml cannot be read"), "{error}");
    setup.log(Level::Debug, "alf", "hidden");
    setup.log(Level::Info, "alf", "kept");
    assert_eq!(setup.messages("alf.log"), ["kept"]);
}

#[test]
fn faults_are_one_line_that_names_the_place() {
    let dir = tempfile::tempdir().unwrap();
    for (text, place) in [
        ("level: loud", "line 1 column 8: unknown level `loud`, expected one of off, error"),
        ("levl: info", "line 1 column 1: unknown field `levl`"),
        ("modules:\n  russh: x\n", "line 2 column 10: unknown level `x`"),
        ("modules: {\"\": info}", "modules: a name is empty"),
        ("outputs: []", "outputs: is empty"),
        ("outputs:\n- kind: syslog\n", "line 2 column 9: unknown variant `syslog`"),
        ("outputs:\n- kind: stderr\n  colr: never\n", "line 3 column 3: unknown field `colr`"),
        ("outputs: [{kind: stderr}, {kind: file}]", "outputs[1]: kind file needs `path`"),
        ("outputs: [{kind: stderr, path: /x}]", "outputs[0]: `path` is not for kind stderr"),
        ("outputs: [{kind: file, path: /x, colour: auto}]", "outputs[0]: `colour` is not"),
    ] {
        let path = write_config(dir.path(), text);
        let line = LoggingConfig::load(Some(&path)).unwrap_err().to_string();
        assert!(line.contains(place), "{place:?} is not in {line:?}");
        assert!(line.contains(path.to_str().unwrap()), "{line:?}");
        assert!(!line.contains('\n'), "{line:?}");
    }
    let path = write_config(dir.path(), "outputs: [{kind: file, path: DIR/no/alf.log}]");
    let config = LoggingConfig::load(Some(&path)).unwrap();
    let line = Outputs::open(&config).err().unwrap().to_string();
    assert!(line.contains("no/alf.log of outputs[0] cannot be opened"), "{line}");
}

#[test]
fn a_full_disk_costs_lines_but_nothing_else() {
    let setup = Setup::new("outputs: [{kind: file, path: /dev/full}, {kind: file, path: DIR/alf.log}]\n");
    setup.log(Level::Info, "alf", "one");
    setup.log(Level::Info, "alf", "two");
    assert_eq!(setup.messages("alf.log"), ["one", "two"]);
}

/// Has room for some bytes.
#[derive(Default)]
struct Disk {
    room: Cell<usize>,
    held: RefCell<Vec<u8>>,
}

impl Write for &Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fits = self.room.get().min(bytes.len());
        if fits == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room.set(self.room.get() - fits);
        self.held.borrow_mut().extend(&bytes[..fits]);
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_line_cut_off_by_a_full_disk_is_ended() {
    let disk = Disk::default();
    disk.room.set(3);
    let mut cut = Lines::new(&disk, "alf.log".into());
    cut.write_all(b"first\n").unwrap_err();
    cut.write_all(b"lost\n").unwrap_err();
    disk.room.set(100);
    cut.write_all(b"second\n").unwrap();
    cut.write_all(b"third\n").unwrap();
    assert_eq!(String::from_utf8(disk.held.take()).unwrap(), "fir\nsecond\nthird\n");
}

#[test]
fn a_record_logged_while_one_is_formatted_does_not_deadlock() {
    struct Chatty<'a>(&'a Setup);
    impl std::fmt::Display for Chatty<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.log(Level::Info, "alf", "inner");
            f.write_str("outer")
        }
    }
    let setup = Setup::new("outputs: [{kind: file, path: DIR/alf.log}]\n");
    let chatty = Chatty(&setup);
    let log = |args: std::fmt::Arguments<'_>| {
        let record = Record::builder().level(Level::Info).args(args).build();
        setup.handle.outputs.log(&record);
    };
    log(format_args!("{chatty}"));
    assert_eq!(setup.messages("alf.log"), ["inner", "outer"]);
}

#[test]
fn the_example_file_shows_the_defaults_and_every_option() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/logging.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let levels = |config: &LoggingConfig| {
        let outputs = config.outputs.iter();
        let outputs = outputs.map(|output| (output.to.clone(), output.format, config.levels_of(output)));
        outputs.collect::<Vec<_>>()
    };
    let example = LoggingConfig::load(Some(&path)).unwrap();
    assert_eq!(levels(&example), levels(&LoggingConfig::load(None).unwrap()));

    // Commented-out options begin with # and two blanks.
    let dir = tempfile::tempdir().unwrap();
    let path = write_config(dir.path(), &text.replace("\n#  ", "\n  "));
    let all = LoggingConfig::load(Some(&path)).unwrap();
    assert_eq!(all.outputs.len(), 2);
    assert_eq!(all.outputs[1].level, Some(LevelFilter::Debug));
    assert_eq!(all.outputs[1].modules["alf::access"], LevelFilter::Info);
    assert_eq!(all.modules["alf::ssh"], LevelFilter::Debug);
    for option in ["level", "modules", "outputs", "kind", "path", "format", "colour"] {
        assert!(text.contains(&format!("{option}:")), "{option}");
    }
}
