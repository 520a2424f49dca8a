//! Which Action is for what, and the reason why not.

use serde_json::{Value, json};

use super::*;
use crate::model::{
    Action, Captured, Change, Defaults, HostRecord, Name, PairStanding, RunIds, RunResult, Secrets, Timestamp, Trigger,
};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn define<T: crate::model::Definition>(json: Value) -> T {
    T::check(serde_json::from_value(json).unwrap(), &Secrets::default(), &Defaults::default()).unwrap()
}

fn action(when: Value) -> Action {
    define(json!({"name": "a", "when": when, "then": {"run": "t"}}))
}

/// How a pair stands: `OK`, `WARNING soft 1` or `CRITICAL hard 3`; nothing before its first run.
fn standing(text: &str) -> PairStanding {
    let mut words = text.split(' ');
    let state = words.next().filter(|word| !word.is_empty()).map(|word| serde_json::from_value(json!(word)).unwrap());
    let is_ok = state == Some(State::Ok);
    let hard = words.next().map_or(is_ok, |word| word == "hard");
    let attempt = words.next().map_or(u32::from(!is_ok && state.is_some()), |word| word.parse().unwrap());
    PairStanding { state, hard, attempt, ..PairStanding::default() }
}

fn result(after: &PairStanding) -> RunResult {
    let at = Timestamp::from_millis(1_000_000).unwrap();
    let problem = after.state != Some(State::Ok);
    RunResult {
        id: RunIds::default().next(at),
        host: name("web1"),
        task: Some(name("disk")),
        task_version: Some(1),
        schedule: None,
        node: "n".to_owned(),
        trigger: Trigger::Schedule,
        by: None,
        group: None,
        scheduled_at: at,
        due_at: at,
        started_at: Some(at),
        finished_at: at,
        attempt: after.attempt.max(1),
        exit_code: Some(if problem { 2 } else { 0 }),
        signal: None,
        outcome: if problem { Outcome::Problem } else { Outcome::Ok },
        state: after.state,
        reason: problem.then_some(Reason::ExitCode),
        hard: after.hard,
        message: String::new(),
        kill: None,
        instants: None,
        stdout: Captured::default(),
        stderr: Captured::default(),
        perfdata: Some(crate::model::nagios::perfdata("x | load1=6;5;10;0;", false)),
        cause: None,
    }
}

/// What an Action makes of a change of the pair `disk` on `web1`.
fn pair(when: &Value, before: &str, after: &str, change: impl FnOnce(&mut RunResult)) -> Fit {
    let (before, after) = (standing(before), standing(after));
    let mut result = result(&after);
    change(&mut result);
    let event = Event::of_pair(&result, before, after, false).unwrap();
    let host: Host = define(json!({"name": "web1", "labels": {"role": "web"}}));
    let task: Task = define(json!({"name": "disk", "command": "true", "labels": {"kind": "check"}}));
    let (host, task) = (&host, Some(&task));
    let in_row = after.attempt;
    action(when.clone()).when.fits(&Scene { event: &event, host, task, result: Some(&result), in_row, measures: false })
}

fn host(when: &Value, before: (&str, bool, u32), after: (&str, bool, u32)) -> Fit {
    let standing = |(state, hard, attempt): (&str, bool, u32)| {
        let state = (!state.is_empty()).then(|| serde_json::from_value(json!(state)).unwrap());
        HostStanding::from(&HostRecord { state, hard, attempt, ..HostRecord::default() })
    };
    let at = Timestamp::from_millis(1_000_000).unwrap();
    let change = Change::Host { before: standing(before), after: standing(after) };
    let event = Event { id: RunIds::default().next(at), at, host: name("web1"), has_result: false, change };
    let host: Host = define(json!({"name": "web1"}));
    let scene = Scene { event: &event, host: &host, task: None, result: None, in_row: 0, measures: false };
    action(when.clone()).when.fits(&scene)
}

/// `PROBLEM STATE`, `OTHER STATE`, or the reason up to its colon; and `over`.
fn told(fit: &Fit) -> String {
    let told = match &fit.tells {
        Ok(Tells::Problem(state)) => format!("PROBLEM {state}"),
        Ok(Tells::Other(state)) => format!("OTHER {}", state.map_or("none".to_owned(), |state| state.to_string())),
        Err(why) => why.split(':').next().unwrap().to_owned(),
    };
    if fit.over { told + ", over" } else { told }
}

#[test]
fn each_moment_has_its_events_and_no_other() {
    // when, before, after, what is told
    let table = [
        (json!({}), "", "OK", "outcome, over"),
        (json!({}), "OK", "CRITICAL soft 1", "on"),
        (json!({}), "CRITICAL soft 1", "CRITICAL soft 2", "on"),
        (json!({}), "CRITICAL soft 2", "CRITICAL hard 3", "PROBLEM CRITICAL"),
        (json!({}), "CRITICAL hard 3", "CRITICAL hard 4", "on"),
        (json!({}), "CRITICAL hard 3", "WARNING hard 4", "PROBLEM WARNING"),
        (json!({}), "CRITICAL hard 3", "OK", "outcome, over"),
        (json!({}), "CRITICAL soft 1", "OK", "outcome, over"),
        (json!({}), "", "CRITICAL hard 1", "PROBLEM CRITICAL"),
        (json!({"on": "change"}), "", "OK", "outcome, over"),
        (json!({"on": "change"}), "OK", "CRITICAL soft 1", "PROBLEM CRITICAL"),
        (json!({"on": "change"}), "CRITICAL soft 1", "CRITICAL soft 2", "on"),
        (json!({"on": "change"}), "CRITICAL soft 2", "CRITICAL hard 3", "on"),
        (json!({"on": "change"}), "CRITICAL hard 3", "WARNING hard 4", "PROBLEM WARNING"),
        (json!({"on": "result"}), "", "OK", "OTHER OK, over"),
        (json!({"on": "result"}), "OK", "OK", "OTHER OK, over"),
        (json!({"on": "result"}), "CRITICAL hard 3", "CRITICAL hard 4", "PROBLEM CRITICAL"),
        (json!({"after": 3}), "CRITICAL soft 1", "CRITICAL soft 2", "after"),
        (json!({"after": 3}), "CRITICAL soft 2", "CRITICAL hard 3", "PROBLEM CRITICAL"),
        (json!({"after": 3}), "CRITICAL hard 3", "CRITICAL hard 4", "after"),
        (json!({"after": 3}), "CRITICAL hard 3", "OK", "after, over"),
        (json!({"lasting": "1h"}), "OK", "CRITICAL hard 1", "PROBLEM CRITICAL"),
        (json!({"on": "late"}), "OK", "CRITICAL hard 1", "on"),
        (json!({"on": "stale"}), "OK", "CRITICAL hard 1", "on"),
        (json!({"outcome": "OK"}), "CRITICAL hard 1", "OK", "OTHER OK, over"),
        (json!({"outcome": "OK"}), "", "OK", "on, over"),
        (json!({"states": ["OK", "CRITICAL"]}), "WARNING hard 1", "OK", "OTHER OK, over"),
    ];
    for (when, before, after, expected) in table {
        let fit = pair(&when, before, after, |_| {});
        assert_eq!(told(&fit), expected, "{when}: \"{before}\" to \"{after}\": {fit:?}");
    }
}

#[test]
fn all_filters_must_hold_and_the_first_that_does_not_is_the_reason() {
    let table = [
        (json!({"object": "host"}), "object"),
        (json!({"hosts": ["web2"]}), "hosts"),
        (json!({"hosts": ["web1", "web2"]}), "PROBLEM CRITICAL"),
        (json!({"selector": "role=db"}), "selector"),
        (json!({"selector": "role=web"}), "PROBLEM CRITICAL"),
        (json!({"tasks": ["load"]}), "tasks"),
        (json!({"task_selector": "kind=job"}), "task_selector"),
        (json!({"task_selector": "kind=check"}), "PROBLEM CRITICAL"),
        (json!({"outcome": "OK"}), "outcome"),
        (json!({"outcome": "PROBLEM"}), "PROBLEM CRITICAL"),
        (json!({"states": ["WARNING"]}), "states"),
        (json!({"states": ["CRITICAL"]}), "PROBLEM CRITICAL"),
        (json!({"reasons": ["timeout"]}), "reasons"),
        (json!({"reasons": ["exit_code"]}), "PROBLEM CRITICAL"),
        (json!({"exit_codes": [1, 3]}), "exit_codes"),
        (json!({"exit_codes": [2]}), "PROBLEM CRITICAL"),
        (json!({"perf": "load1 > 7"}), "perf"),
        (json!({"perf": "load1 > 5"}), "PROBLEM CRITICAL"),
        (json!({"hosts": ["web2"], "tasks": ["load"]}), "hosts"),
    ];
    for (when, expected) in table {
        let fit = pair(&when, "OK", "CRITICAL hard 1", |_| {});
        assert_eq!(told(&fit), expected, "{when}: {fit:?}");
    }
}

#[test]
fn what_tells_nothing_of_the_task_is_told_to_who_names_it() {
    for (reason, outcome) in [(Reason::Aborted, Outcome::Problem), (Reason::Cancelled, Outcome::Problem)] {
        let of = |when: Value| {
            told(&pair(&when, "OK", "OK", |result| {
                (result.reason, result.outcome, result.state) = (Some(reason), outcome, None);
            }))
        };
        assert_eq!(of(json!({})), "reasons");
        assert_eq!(of(json!({"on": "result"})), "reasons");
        assert_eq!(of(json!({"reasons": [reason]})), "PROBLEM UNKNOWN");
    }
    for reason in [Reason::Overlap, Reason::Missed, Reason::Downtime, Reason::Late] {
        let of = |when: Value| {
            told(&pair(&when, "CRITICAL hard 1", "CRITICAL hard 1", |result| {
                (result.reason, result.outcome, result.state) = (Some(reason), Outcome::Skipped, None);
            }))
        };
        assert_eq!(of(json!({})), "on", "{reason} is no end of anything");
        assert_eq!(of(json!({"on": "change"})), "on");
        assert_eq!(of(json!({"on": "result"})), "OTHER none");
        assert_eq!(of(json!({"outcome": "SKIPPED"})), "OTHER none");
        assert_eq!(of(json!({"reasons": [reason]})), "OTHER none");
        assert_eq!(of(json!({"reasons": [reason], "outcome": "PROBLEM"})), "outcome");
    }
    let unreachable = pair(&json!({"on": "result"}), "OK", "OK", |result| {
        (result.reason, result.outcome, result.state) =
            (Some(Reason::Unreachable), Outcome::Problem, Some(State::Unknown));
    });
    assert!(unreachable.tells.unwrap_err().contains("its host is not UP"), "it is told of the host");
}

#[test]
fn a_host_is_told_of_by_its_own_states() {
    let (up, unknown, none) = (("UP", true, 0), ("", false, 0), json!({}));
    let soft = |attempt| ("DOWN", false, attempt);
    let table = [
        (none.clone(), unknown, up, "outcome, over"),
        (none.clone(), up, soft(1), "on"),
        (none.clone(), soft(2), ("DOWN", true, 3), "PROBLEM DOWN"),
        (none.clone(), ("DOWN", true, 3), ("DOWN", true, 4), "on"),
        (none.clone(), ("DOWN", true, 4), up, "outcome, over"),
        (none.clone(), up, ("UNREACHABLE", true, 1), "states"),
        (json!({"states": ["UNREACHABLE"]}), up, ("UNREACHABLE", true, 1), "PROBLEM UNREACHABLE"),
        (json!({"states": ["DOWN"]}), soft(2), ("DOWN", true, 3), "PROBLEM DOWN"),
        (json!({"states": ["CRITICAL"]}), soft(2), ("DOWN", true, 3), "states"),
        (json!({"object": "task"}), soft(2), ("DOWN", true, 3), "object"),
        (json!({"on": "change"}), up, soft(1), "PROBLEM DOWN"),
        (json!({"on": "result"}), unknown, up, "OTHER UP, over"),
        (json!({"outcome": "OK", "object": "host"}), ("DOWN", true, 4), up, "OTHER UP, over"),
        (json!({"after": 2, "object": "host"}), soft(1), soft(2), "PROBLEM DOWN"),
        (json!({"tasks": ["disk"]}), soft(2), ("DOWN", true, 3), "object"),
    ];
    for (when, before, after, expected) in table {
        let fit = host(&when, before, after);
        assert_eq!(told(&fit), expected, "{when}: {before:?} to {after:?}: {fit:?}");
    }
}
