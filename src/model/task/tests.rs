use super::*;
use crate::model::Name;

fn check(json: &str) -> Result<Task, Vec<Fault>> {
    Task::check(serde_json::from_str(json).unwrap(), &Secrets::new(), &Defaults::default())
}

fn pointers(json: &str) -> Vec<String> {
    check(json).map(drop).unwrap_err().into_iter().map(|fault| fault.pointer).collect()
}

fn again(task: &Task) -> Task {
    check(&serde_json::to_string(&task.document()).unwrap()).unwrap()
}

#[test]
fn what_is_run_comes_back_as_it_was() {
    let command = check(r#"{"name":"t","command":"uptime","cwd":"/tmp","run_as":"svc$"}"#).unwrap();
    assert_eq!(command.work, Work::Command("uptime".to_owned()));
    assert_eq!((command.cwd.as_deref(), command.run_as.as_deref()), (Some("/tmp"), Some("svc$")));
    let script = check(r#"{"name":"t","script":{"body":"echo $1","args":["a b",""]}}"#).unwrap();
    let expected = Work::Script {
        interpreter: vec!["/bin/sh".to_owned()],
        body: "echo $1".to_owned(),
        args: vec!["a b".to_owned(), String::new()],
    };
    assert_eq!(script.work, expected, "/bin/sh runs it where nothing else is said");
    let program = check(r#"{"name":"t","program":{"name":"probe","args":["-v"]}}"#).unwrap();
    let name = Name::parse("probe").unwrap();
    assert_eq!(program.work, Work::Program { name: name.clone(), args: vec!["-v".to_owned()] });
    assert_eq!(program.references(), [("/program/name".to_owned(), Reference { noun: Noun::Program, name })]);
    for task in [command, script, program] {
        assert_eq!(again(&task), task);
    }
}

#[test]
fn a_plugin_has_defaults_of_its_own() {
    let limits = |task: &Task| (task.timeout.get().map(|limit| limit.as_secs()), task.start_within.get().as_secs());
    let plain = check(r#"{"name":"t","command":"c"}"#).unwrap();
    assert_eq!((plain.plugin, limits(&plain)), (Plugin::None, (Some(3600), 600)));
    let plugin = check(r#"{"name":"t","command":"c","plugin":"nagios"}"#).unwrap();
    assert_eq!((plugin.plugin, limits(&plugin)), (Plugin::Nagios, (Some(60), 30)));
    let own = check(r#"{"name":"t","command":"c","plugin":"nagios","timeout":"none","start_within":"5m"}"#).unwrap();
    assert_eq!(limits(&own), (None, 300));
    let expecting = check(r#"{"name":"t","command":"c","expect":{"exit_codes":[1],"stdout_regex":"a|b"}}"#).unwrap();
    for task in [plain, plugin, own, expecting] {
        assert_eq!(again(&task), task);
    }
    assert_eq!(pointers(r#"{"name":"t","command":"c","expect":{"stdout_regex":"("}}"#), ["/expect/stdout_regex"]);
}

#[test]
fn exactly_one_thing_is_run_and_what_is_wrong_is_named() {
    let none = check(r#"{"name":"t"}"#).unwrap_err();
    assert_eq!(none, [Fault::new("", "exactly one of command, script and program must be given; none is")]);
    let two = check(r#"{"name":"t","command":"a","program":{"name":"p"}}"#).unwrap_err();
    assert_eq!(two.len(), 1);
    assert!(two[0].detail.ends_with("; command and program are"), "{two:?}");
    assert_eq!(pointers(r#"{"name":"t","script":{}}"#), ["/script/body"]);
    assert_eq!(pointers(r#"{"name":"t","program":{}}"#), ["/program/name"]);
}

#[test]
fn every_fault_is_told_at_its_place() {
    let told = pointers(
        r#"{"name":"t","script":{"interpreter":["a","","b\u0000"],"body":"\u0000","args":["x","y\u0000"]},
            "stdin":"\u0000 is no fault","cwd":"","run_as":"-u root"}"#,
    );
    let expected =
        ["/script/interpreter/1", "/script/interpreter/2", "/script/args/1", "/script/body", "/cwd", "/run_as"];
    assert_eq!(told, expected);
    assert_eq!(
        pointers(r#"{"name":"t","script":{"interpreter":[],"body":" "}}"#),
        ["/script/interpreter", "/script/body"]
    );
    assert_eq!(
        pointers(r#"{"name":"t","program":{"name":"p","args":["\u0000"]},"cwd":"a\u0000"}"#),
        ["/program/args/0", "/cwd"]
    );
}

#[test]
fn sizes_are_bounded() {
    let script = |body: usize, args: usize, arg: usize| {
        let args = vec![format!("\"{}\"", "x".repeat(arg)); args].join(",");
        format!(r#"{{"name":"t","script":{{"body":"{}","args":[{args}]}}}}"#, "x".repeat(body))
    };
    assert!(check(&script(262_144, 1000, 1)).is_ok());
    assert!(check(&script(1, 1, 131_071)).is_ok());
    assert_eq!(pointers(&script(262_145, 0, 0)), ["/script/body"]);
    assert_eq!(pointers(&script(1, 1001, 0)), ["/script/args"]);
    assert_eq!(pointers(&script(1, 2, 131_072)), ["/script/args/0", "/script/args/1"]);
}

#[test]
fn a_user_is_one_that_sudo_takes_for_a_user() {
    let of = |user: &str| check(&format!(r#"{{"name":"t","command":"id","run_as":"{user}"}}"#));
    for good in ["root", "_svc", "a.b-c+d@corp.example", "box$", "0", &"x".repeat(64)] {
        assert!(of(good).is_ok(), "{good}");
    }
    for bad in ["", "-u", "#0", "a b", "%wheel", "a/b", "$", "a$b", "a$$", "ä", ".x", "@x", &"x".repeat(65)] {
        assert!(of(bad).is_err(), "{bad}");
    }
}

#[test]
fn attempts_and_overlap_come_back_as_they_were() {
    let plain = check(r#"{"name":"t","command":"c"}"#).unwrap();
    assert_eq!((plain.overlap, plain.max_attempts, plain.retry_interval), (Overlap::Skip, 1, Span::seconds(10)));
    let task = check(r#"{"name":"t","command":"c","overlap":"queue","max_attempts":3,"retry_interval":"1m"}"#).unwrap();
    assert_eq!((task.overlap, task.max_attempts, task.retry_interval), (Overlap::Queue, 3, Span::seconds(60)));
    assert_eq!(again(&task), task);
    let wrong = r#"{"name":"t","command":"c","max_attempts":0,"retry_interval":"0s"}"#;
    assert_eq!(pointers(wrong), ["/max_attempts", "/retry_interval"]);
    assert!(serde_json::from_str::<TaskDocument>(r#"{"overlap":"maybe"}"#).is_err());
}

#[test]
fn hosts_at_once_come_back_as_they_were() {
    assert_eq!(check(r#"{"name":"t","command":"c"}"#).unwrap().max_running, None);
    let task = check(r#"{"name":"t","command":"c","max_running":3}"#).unwrap();
    assert_eq!((task.max_running, again(&task)), (Some(3), task));
    assert_eq!(pointers(r#"{"name":"t","command":"c","max_running":0}"#), ["/max_running"]);
    assert!(serde_json::from_str::<TaskDocument>(r#"{"max_running":-1}"#).is_err());
}
