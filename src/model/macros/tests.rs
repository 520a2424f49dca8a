use std::collections::BTreeSet;

use super::super::definition::{Defaults, Definition, Secrets};
use super::super::last_results::LastResults;
use super::super::{Ack, Captured, Outcome, Reason, RunId, Trigger, nagios};
use super::*;

/// A definition as the API takes it.
fn defined<T: Definition>(document: serde_json::Value) -> T {
    let document = serde_json::from_value(document).unwrap();
    T::check(document, &Secrets::new(), &Defaults::default()).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// Everything that may be known of something.
struct Known {
    host: Host,
    host_status: HostStatus,
    task: Task,
    pair: StatusRow,
    result: RunResult,
    contact: Contact,
    action: Name,
}

const OUTPUT: &str = "DISK CRITICAL - 3% free | /=97MB;80;90;0;100\nmore\\ of it\nand 'more' | 'a b'=1c";

fn known() -> Known {
    let ack = Some(Ack {
        by: Some(name("ben")),
        comment: "on it".to_owned(),
        at: at("2026-11-25T00:00:00Z"),
        until: None,
        sticky: false,
    });
    let pair = StatusRow {
        host: name("web1"),
        task: name("disk"),
        state: Some(State::Ok),
        outcome: Some(Outcome::Ok),
        hard: true,
        attempt: 0,
        max_attempts: 3,
        since: Some(at("2026-11-24T00:00:00Z")),
        flapping: false,
        acknowledged: true,
        ack: ack.clone(),
        in_downtime: false,
        running: false,
        next_run_at: None,
        last_executed_at: Some(at("2026-11-25T00:00:01Z")),
        skipped_in_row: 0,
        stale: false,
        late: false,
        last: LastResults::default().newest(1),
    };
    let result = RunResult {
        id: RunId::from_bytes([7; 16]),
        host: name("web1"),
        task: Some(name("disk")),
        task_version: Some(1),
        schedule: None,
        node: "alf".to_owned(),
        trigger: Trigger::Manual,
        by: None,
        cause: None,
        group: None,
        scheduled_at: at("2026-11-25T00:00:00Z"),
        due_at: at("2026-11-25T00:00:00Z"),
        started_at: Some(at("2026-11-25T00:00:00.25Z")),
        finished_at: at("2026-11-25T00:00:01Z"),
        attempt: 3,
        exit_code: Some(2),
        signal: None,
        outcome: Outcome::Problem,
        state: Some(State::Critical),
        reason: Some(Reason::ExitCode),
        hard: true,
        message: "DISK CRITICAL - 3% free".to_owned(),
        stdout: Captured::new(OUTPUT.as_bytes().to_vec(), OUTPUT.len() as u64),
        stderr: Captured::default(),
        perfdata: Some(nagios::perfdata(OUTPUT, false)),
        kill: None,
        instants: None,
    };
    Known {
        host: defined(serde_json::json!({"name": "web1", "address": "192.0.2.1", "labels": {"LABEL": "north"}})),
        host_status: HostStatus {
            host: name("web1"),
            state: Some(HostState::Up),
            hard: true,
            attempt: 0,
            since: Some(at("2026-11-24T00:00:00Z")),
            acknowledged: true,
            ack,
            in_downtime: false,
            reason: None,
            message: None,
        },
        task: defined(serde_json::json!({
            "name": "disk", "title": "Disk", "command": "true", "plugin": "nagios", "labels": {"LABEL": "1"},
        })),
        pair,
        result,
        contact: defined(serde_json::json!({
            "name": "anna", "email": "anna@example.org", "phone": "+34 600", "labels": {"LABEL": "x"},
            "addresses": {"a1": "1", "a2": "2", "a3": "3", "a4": "4", "a5": "5", "a6": "6", "a7": "7"},
        })),
        action: name("mail"),
    }
}

impl Known {
    fn of_task(&self) -> Occasion<'_> {
        Occasion {
            kind: NoticeKind::Problem,
            action: &self.action,
            state: Some(AnyState::Task(State::Critical)),
            host: &self.host,
            host_status: &self.host_status,
            task: Some(&self.task),
            pair: Some(&self.pair),
            result: Some(&self.result),
            says: None,
            contact: Some(&self.contact),
            recipients: std::slice::from_ref(&self.contact.meta.name),
            number: 2,
            at: at("2026-11-25T01:02:03Z"),
        }
    }

    fn of_host(&self) -> Occasion<'_> {
        let state = Some(AnyState::Host(HostState::Down));
        Occasion { state, task: None, pair: None, result: None, contact: None, ..self.of_task() }
    }
}

#[test]
fn the_documentation_names_every_variable_and_no_other() {
    let known = known();
    let mut given: BTreeSet<String> = BTreeSet::new();
    for occasion in [known.of_task(), known.of_host()] {
        given.extend(occasion.variables().into_keys());
    }
    // Those of contacts' addresses are by their names.
    given.retain(|name| !name.starts_with("NAGIOS__CONTACTA"));
    let (_, text) = include_str!("../../../docs/nagios.md").split_once("\n## All variables\n").unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let names = rows.flat_map(|row| row.split('|').nth(1).unwrap_or_default().split('`').skip(1).step_by(2));
    let documented: BTreeSet<String> = names.map(str::to_owned).collect();
    assert_eq!(documented, given);
}

#[test]
fn they_are_as_nagios_has_them() {
    let known = known();
    let all = known.of_task().variables();
    for (name, value) in [
        ("SERVICESTATE", "CRITICAL"),
        ("SERVICESTATEID", "2"),
        ("SERVICEATTEMPT", "3"),
        ("SERVICEOUTPUT", "DISK CRITICAL - 3% free"),
        ("LONGSERVICEOUTPUT", "more\\\\ of it\\nand 'more'"),
        ("SERVICEPERFDATA", "/=97MB;80;90;0;100 'a b'=1c"),
        ("SERVICEEXECUTIONTIME", "0.750"),
        ("SERVICELATENCY", "0.250"),
        ("SERVICEDURATION", "1d 1h 2m 3s"),
        ("SERVICEDURATIONSEC", "90123"),
        ("LASTSERVICESTATECHANGE", "1795478400"),
        ("LONGDATETIME", "Wed Nov 25 01:02:03 UTC 2026"),
        ("NOTIFICATIONNUMBER", "2"),
        ("CONTACTADDRESS6", "6"),
        ("_CONTACTA7", "7"),
        ("_HOSTLABEL", "north"),
    ] {
        assert_eq!(all.get(&format!("NAGIOS_{name}")).map(String::as_str), Some(value), "{name}");
    }
    assert!(!all.contains_key("NAGIOS_CONTACTADDRESS7"));
    let of_host = known.of_host().variables();
    for (name, value) in
        [("SERVICEDESC", ""), ("HOSTSTATE", "DOWN"), ("HOSTSTATEID", "1"), ("HOSTNOTIFICATIONNUMBER", "2")]
    {
        assert_eq!(of_host.get(&format!("NAGIOS_{name}")).map(String::as_str), Some(value), "{name}");
    }
    assert!(!of_host.contains_key("NAGIOS_SERVICESTATE"));
}

#[test]
fn none_is_too_long_for_a_kernel_or_holds_what_no_variable_can() {
    let mut known = known();
    known.result.message = "a\0b".to_owned();
    let long = format!("first\n{}", "é".repeat(100_000));
    known.result.stdout = Captured::new(long.into_bytes(), 200_006);
    let all = known.of_task().variables();
    assert_eq!(all["NAGIOS_SERVICEOUTPUT"], "ab");
    assert!(all.values().all(|value| value.len() <= LONGEST));
    assert!(all["NAGIOS_LONGSERVICEOUTPUT"].len() > LONGEST - 2);
}
