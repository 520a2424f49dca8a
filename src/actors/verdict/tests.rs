use std::sync::Arc;

use chrono::DateTime;

use super::*;
use crate::actors::ledger::{ResultOf, RunEnd, unsent};
use crate::model::{Definition as _, PairStatus, RunId, RunResult, Trigger};

const KEPT: u64 = 64;

/// A task whose further fields are these.
fn task(fields: &str) -> Arc<Task> {
    let json = format!(r#"{{"name":"t","command":"c","output_limit":{KEPT}{fields}}}"#);
    let document = serde_json::from_str(&json).unwrap();
    Arc::new(Task::check(document, &Default::default(), &Default::default()).unwrap())
}

fn expecting(expect: &str) -> Arc<Task> {
    task(&format!(r#","expect":{expect}"#))
}

fn plugin() -> Arc<Task> {
    task(r#","plugin":"nagios""#)
}

/// The Result of a run of two seconds.
fn judge_as(task: &Arc<Task>, end: End, stdout: &[u8], stderr: &[u8]) -> RunResult {
    let name = Name::parse("x").unwrap();
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let run = unsent(RunId::from_bytes([7; 16]), Some(3), None, Trigger::Schedule, now.into());
    let output = |bytes: &[u8]| {
        let mut kept = crate::ssh::output::Collector::new(usize::try_from(task.output_limit).unwrap());
        kept.push(bytes);
        kept.finish()
    };
    let ending = Ending {
        started_at: Some(now),
        finished_at: now + chrono::TimeDelta::seconds(2),
        end,
        stdout: output(stdout),
        stderr: output(stderr),
        kill: None,
        leader: None,
    };
    let result = ResultOf { host: &name, task: Some(&name), node: &name, max_attempts: 1 };
    let searched = pattern(&ending, task).map(|pattern| search(pattern, &ending.stdout, task));
    let verdict = Box::new(of(&ending, task, &name, false, searched));
    let end = RunEnd::Ran { ending: Arc::new(ending), verdict };
    result.ended(&run, end, &PairStatus::default(), now)
}

fn judge(end: End, stdout: &[u8], stderr: &[u8]) -> RunResult {
    judge_as(&task(""), end, stdout, stderr)
}

#[track_caller]
fn is(result: &RunResult, state: State, reason: Option<Reason>, message: &str) {
    let outcome = if reason.is_none() { Outcome::Ok } else { Outcome::Problem };
    assert_eq!((result.outcome, result.state, result.reason), (outcome, Some(state), reason), "{}", result.message);
    assert_eq!(result.message, message);
}

#[test]
fn ends_are_judged_by_the_contract() {
    let ok = judge(End::Exited(0), b"\n all well \nmore", b"");
    assert_eq!((ok.outcome, ok.state, ok.reason, ok.hard), (Outcome::Ok, Some(State::Ok), None, true));
    assert_eq!((ok.message.as_str(), ok.duration_ms(), ok.exit_code), ("all well", Some(2000), Some(0)));
    let bad = judge(End::Exited(3), b"out", b"err\n");
    assert_eq!((bad.outcome, bad.state), (Outcome::Problem, Some(State::Critical)));
    assert_eq!((bad.reason, bad.message.as_str()), (Some(Reason::ExitCode), "exit code 3: err"));
    let lost = judge(End::ConnectionLost("reset".to_owned()), b"", b"");
    assert_eq!((lost.outcome, lost.state), (Outcome::Problem, Some(State::Unknown)));
    let signal = judge(End::Signaled("SEGV".to_owned()), b"", b"");
    assert_eq!((signal.signal.as_deref(), signal.exit_code), (Some("SEGV"), None));
}

#[test]
fn hostile_output_makes_one_harmless_line() {
    for task in [task(""), plugin()] {
        let result = judge_as(&task, End::Exited(0), "\x1b]0;owned\x07ok\u{9b}31m".as_bytes(), b"");
        assert!(!result.message.chars().any(char::is_control), "{:?}", result.message);
    }
    let mut all = (*task("")).clone();
    all.output_limit = 10_000;
    let long = judge_as(&Arc::new(all), End::Exited(0), "x".repeat(9000).as_bytes(), b"");
    assert_eq!(long.message.chars().count(), 301);
}

#[test]
fn a_plugin_says_how_bad_it_is() {
    let cases = [
        (0, State::Ok),
        (1, State::Warning),
        (2, State::Critical),
        (3, State::Unknown),
        (4, State::Unknown),
        (126, State::Unknown),
        (127, State::Unknown),
        (255, State::Unknown),
    ];
    for (code, state) in cases {
        let result = judge_as(&plugin(), End::Exited(code), b"LOAD - fine | a=1\nlong", b"noise");
        let reason = (code != 0).then_some(Reason::ExitCode);
        is(&result, state, reason, "LOAD - fine");
        assert_eq!((result.exit_code, result.perfdata.unwrap().len()), (Some(code), 1));
    }
    is(
        &judge_as(&plugin(), End::TimedOut, b"x | a=1", b""),
        State::Unknown,
        Some(Reason::Timeout),
        "did not end within its timeout",
    );
    let signal = judge_as(&plugin(), End::Signaled("KILL".to_owned()), b"", b"");
    is(&signal, State::Critical, Some(Reason::Signal), "died by signal KILL");
    is(
        &judge_as(&plugin(), End::Exited(2), b"", b""),
        State::Critical,
        Some(Reason::ExitCode),
        "exit code 2, no output",
    );
    let missing = judge_as(&plugin(), End::Exited(127), b"", b"sh: not found\n");
    is(&missing, State::Unknown, Some(Reason::ExitCode), "exit code 127: sh: not found");
    is(&judge_as(&plugin(), End::Exited(0), b" | a=1", b""), State::Ok, None, "exit code 0, no output");
    assert_eq!(judge(End::Exited(0), b"OK | a=1", b"").perfdata, Some(Vec::new()), "only a plugin measures");
}

#[test]
fn data_that_were_cut_are_not_misread() {
    let text = format!("OK | first=1 second=12{} last=7", "3".repeat(200));
    let metrics = judge_as(&plugin(), End::Exited(1), text.as_bytes(), b"").perfdata.unwrap();
    let labels: Vec<_> = metrics.iter().map(|metric| metric.label.as_str()).collect();
    assert_eq!(labels, ["first"]);
}

#[test]
fn an_exit_code_may_be_expected() {
    let task = expecting(r#"{"exit_codes":[0,3]}"#);
    is(&judge_as(&task, End::Exited(3), b"", b""), State::Ok, None, "exit code 3, no output");
    is(&judge_as(&task, End::Exited(1), b"", b""), State::Critical, Some(Reason::ExitCode), "exit code 1");
    let not_zero = expecting(r#"{"exit_codes":[1]}"#);
    is(&judge_as(&not_zero, End::Exited(0), b"", b""), State::Critical, Some(Reason::ExitCode), "exit code 0");
    let beyond = judge_as(&not_zero, End::Exited(257), b"", b"");
    assert_eq!(beyond.reason, Some(Reason::ExitCode));
}

#[test]
fn output_may_be_expected() {
    let regex = expecting(r#"{"stdout_regex":"^up [0-9]+ days"}"#);
    is(&judge_as(&regex, End::Exited(0), b"up 3 days\n", b""), State::Ok, None, "up 3 days");
    let said = "stdout does not match stdout_regex: down";
    is(&judge_as(&regex, End::Exited(0), b"down\n", b""), State::Critical, Some(Reason::Output), said);
    let exit = judge_as(&regex, End::Exited(1), b"down\n", b"");
    assert_eq!(exit.reason, Some(Reason::ExitCode), "the exit code comes first");
    let bytes = expecting(r#"{"stdout_regex":"(?-u)^\\xff."}"#);
    assert_eq!(judge_as(&bytes, End::Exited(0), b"\xff\xfe", b"").reason, None);

    let equal = expecting(r#"{"stdout_equals":"yes"}"#);
    for (stdout, good) in
        [("yes", true), ("yes\n", true), ("yes\n\n", false), ("yes ", false), ("", false), ("Yes\n", false)]
    {
        let result = judge_as(&equal, End::Exited(0), stdout.as_bytes(), b"");
        assert_eq!(result.reason, (!good).then_some(Reason::Output), "{stdout:?}: {}", result.message);
    }
    let newline = expecting(r#"{"stdout_equals":"yes\n"}"#);
    assert_eq!(judge_as(&newline, End::Exited(0), b"yes\n", b"").reason, None);
    assert_eq!(judge_as(&newline, End::Exited(0), b"yes", b"").reason, Some(Reason::Output));

    let silent = expecting(r#"{"stderr_empty":true}"#);
    assert_eq!(judge_as(&silent, End::Exited(0), b"x", b"").reason, None);
    let said = "stderr is not empty: warning";
    is(&judge_as(&silent, End::Exited(0), b"x", b"\nwarning\n"), State::Critical, Some(Reason::Output), said);
}

#[test]
fn what_was_cut_is_never_taken_for_what_was_expected() {
    let long = format!("begins {} ends\n", "x".repeat(200));
    let cases = [
        (r#"{"stdout_regex":"^begins"}"#, true),
        (r#"{"stdout_regex":"ends$"}"#, false),
        (r#"{"stdout_regex":"ends\\s*$"}"#, true),
        (r#"{"stdout_regex":"x{40}"}"#, false),
        (r#"{"stdout_regex":"nothing of it"}"#, false),
        (r#"{"stdout_equals":"begins"}"#, false),
    ];
    for (expect, good) in cases {
        let result = judge_as(&expecting(expect), End::Exited(0), long.as_bytes(), b"");
        assert_eq!(result.reason, (!good).then_some(Reason::Output), "{expect}: {}", result.message);
        assert!(
            good || result.message.ends_with("only 64 of its 213 bytes were kept (output_limit)"),
            "{}",
            result.message
        );
    }
    // The same as what is expected, once the middle is dropped.
    let twin = format!("{}{}", "a".repeat(32), "b".repeat(32));
    let written = format!("{}{}{}", "a".repeat(32), "ERROR".repeat(50), "b".repeat(32));
    let result =
        judge_as(&expecting(&format!(r#"{{"stdout_equals":"{twin}"}}"#)), End::Exited(0), written.as_bytes(), b"");
    assert_eq!(result.reason, Some(Reason::Output));
    let result = judge_as(&expecting(r#"{"stdout_regex":"^a+b+$"}"#), End::Exited(0), written.as_bytes(), b"");
    assert_eq!(result.reason, Some(Reason::Output));
}

#[test]
fn a_run_may_be_expected_to_be_short() {
    assert_eq!(judge_as(&expecting(r#"{"max_duration":"2s"}"#), End::Exited(0), b"", b"").reason, None);
    let short = expecting(r#"{"max_duration":"1999ms"}"#);
    let result = judge_as(&short, End::Exited(0), b"done", b"");
    assert_eq!((result.state, result.reason), (Some(State::Critical), Some(Reason::Duration)));
    assert!(
        result.message.starts_with("ran 2.000s, longer than max_duration (") && result.message.ends_with("): done"),
        "{}",
        result.message
    );
}

#[test]
fn what_else_is_expected_stands_on_top_of_a_plugin() {
    let both = task(r#","plugin":"nagios","expect":{"stdout_regex":"free"}"#);
    is(&judge_as(&both, End::Exited(0), b"DISK free | a=1", b""), State::Ok, None, "DISK free");
    let failed = judge_as(&both, End::Exited(0), b"DISK | a=1", b"");
    assert_eq!((failed.state, failed.reason), (Some(State::Critical), Some(Reason::Output)));
    assert_eq!(failed.perfdata.map(|metrics| metrics.len()), Some(1));
    is(&judge_as(&both, End::Exited(1), b"DISK | a=1", b""), State::Warning, Some(Reason::ExitCode), "DISK");
}

#[test]
fn a_pattern_that_takes_too_long_is_told_and_never_taken_for_good() {
    let task = expecting(r#"{"stdout_regex":"a"}"#);
    let name = Name::parse("x").unwrap();
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let ending = |code| Ending {
        started_at: Some(now),
        finished_at: now,
        end: End::Exited(code),
        stdout: Output { bytes: b"a".to_vec(), total: 1 },
        stderr: Output::default(),
        kill: None,
        leader: None,
    };
    let slow = Some(Search::TooSlow(std::time::Duration::from_secs(5)));
    let verdict = of(&ending(0), &task, &name, false, slow);
    assert_eq!((verdict.outcome, verdict.reason), (Outcome::Problem, Some(Reason::Output)));
    let said = "stdout_regex takes longer than 5s to be searched for in 1 bytes of stdout: make it simpler";
    assert_eq!(verdict.message, said);
    assert!(pattern(&ending(0), &task).is_some());
    assert!(pattern(&ending(1), &task).is_none(), "the exit code has settled it");
}
