//! Things to store.

use std::sync::{Arc, LazyLock};

use super::must;
use crate::model::nagios::{Metric, perfdata};
use crate::model::{
    Ack, Captured, Cause, Expected, Instants, Kill, LAST_KEPT, LastResult, Name, Outcome, PairStatus, Reason, Retry,
    RunId, RunIds, RunResult, State, StateHistory, Timestamp, Trigger, Watched,
};
use crate::store::{OpenRun, Write};

/// 2026-11-20T23:59:30Z: the next minute is another day.
const START: i64 = 1_795_219_170_000;

pub(in crate::store) const MINUTE: i64 = 60_000;
pub(in crate::store) const DAY: i64 = 86_400_000;

static IDS: LazyLock<RunIds> = LazyLock::new(RunIds::default);

pub(in crate::store) fn name(text: &str) -> Name {
    must("a name", Name::parse_link(text))
}

/// So many milliseconds after a fixed instant.
#[expect(clippy::panic, reason = "this is a test suite that lives in the library")]
pub(in crate::store) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(START + millis).unwrap_or_else(|| panic!("{millis} is out of range"))
}

/// An id of this instant, different from all others.
pub(in crate::store) fn id(millis: i64) -> RunId {
    // A generator of its own: the shared one never goes back in time.
    let mut bytes = *RunIds::default().next(at(millis)).as_bytes();
    let unique = IDS.next(at(0));
    bytes[6..8].copy_from_slice(&unique.as_bytes()[6..8]);
    RunId::from_bytes(bytes)
}

pub(in crate::store) fn open_run(id: RunId, scheduled_at: Timestamp) -> OpenRun {
    OpenRun {
        id,
        task_version: Some(3),
        schedule: Some(name("hourly@all")),
        trigger: Trigger::Schedule,
        by: None,
        group: None,
        cause: None,
        scheduled_at,
        due_at: scheduled_at,
    }
}

pub(in crate::store) fn claim(host: &Name, task: &Name, until: Option<Timestamp>, id: RunId) -> Write {
    let open = open_run(id, until.unwrap_or(at(0)));
    Write::Claim { host: host.clone(), task: Some(task.clone()), until, open }
}

pub(in crate::store) fn save(result: RunResult) -> Write {
    Write::Save { result: Box::new(result), status: None, until: None }
}

/// The same with the pair's status, and the instant that it settles.
pub(in crate::store) fn save_with(result: RunResult, status: PairStatus, until: Option<Timestamp>) -> Write {
    Write::Save { result: Box::new(result), status: Some(Arc::new(status)), until }
}

/// A Result of a run that went well and said nothing.
pub(in crate::store) fn result(host: &Name, task: &Name, id: RunId) -> RunResult {
    let instant = must("an instant", Timestamp::from_millis(id.millis()).ok_or("out of range"));
    RunResult {
        id,
        host: host.clone(),
        task: Some(task.clone()),
        task_version: Some(3),
        schedule: None,
        node: "node-1".to_owned(),
        trigger: Trigger::Schedule,
        by: None,
        group: None,
        cause: None,
        scheduled_at: instant,
        due_at: instant,
        started_at: None,
        finished_at: instant,
        attempt: 1,
        exit_code: None,
        signal: None,
        outcome: Outcome::Ok,
        state: Some(State::Ok),
        reason: None,
        hard: true,
        message: String::new(),
        stdout: Captured::default(),
        stderr: Captured::default(),
        perfdata: Some(Vec::new()),
        kill: None,
        instants: None,
    }
}

/// A Result with everything in it.
pub(in crate::store) fn full_result(host: &Name, task: &Name, id: RunId) -> RunResult {
    let every_byte: Vec<u8> = (0..=255).collect();
    RunResult {
        schedule: Some(name("every-5-minutes@web")),
        node: "node 2, \"the other\" ∞".to_owned(),
        trigger: Trigger::CatchUp,
        by: Some(name("admin")),
        group: Some(self::id(0)),
        cause: Some(Cause { action: name("page-oncall"), result: Some(self::id(1)) }),
        scheduled_at: at(-DAY),
        due_at: at(-DAY + 1),
        started_at: Some(at(2)),
        finished_at: at(MINUTE + 3),
        attempt: 7,
        exit_code: Some(-1),
        signal: Some("KILL".to_owned()),
        outcome: Outcome::Problem,
        state: Some(State::Critical),
        reason: Some(Reason::Timeout),
        hard: false,
        message: "killed after 60s: \u{1b}[31m'quote\" \\ 100 % \0 ünïcödé 🦀\n".to_owned(),
        stdout: Captured::new(every_byte.clone(), 1_000_000_000_000),
        stderr: Captured::new(every_byte, 256),
        perfdata: Some(metrics(9)),
        kill: Some(Kill { requested_at: at(MINUTE), gone: Some(true), detail: "all of it is gone".to_owned() }),
        instants: Some(Instants { from: at(-DAY), until: at(0), count: 1440 }),
        ..result(host, task, id)
    }
}

/// What a plugin measured: so many, of all kinds.
pub(in crate::store) fn metrics(count: usize) -> Vec<Metric> {
    let kinds = "'a b'=1.5s;10:20;@~:5;0;1e300 c=U ü=-0.1%;80,5 '\"q''s\"'=9007199254740993c d=0.30000000000000004";
    perfdata(&format!("OK | {}", [kinds].repeat(count).join(" ")), false)
}

/// A status with everything in it and as many last Results as are kept; the same each time.
pub(in crate::store) fn full_status() -> PairStatus {
    static STATUS: LazyLock<PairStatus> = LazyLock::new(make_status);
    STATUS.clone()
}

fn make_status() -> PairStatus {
    let outcomes = [Outcome::Ok, Outcome::Problem, Outcome::Skipped];
    let states = [Some(State::Ok), Some(State::Warning), Some(State::Critical), Some(State::Unknown), None];
    let last = (0_i64..).zip(outcomes.iter().cycle().zip(states.iter().cycle())).take(LAST_KEPT);
    PairStatus {
        state: Some(State::Warning),
        outcome: Some(Outcome::Problem),
        hard: true,
        attempt: 4,
        since: Some(at(-DAY)),
        last_executed_at: Some(at(5)),
        skipped_in_row: 17,
        stale: true,
        history: Some(StateHistory::begin(State::Unknown)),
        flapping: true,
        ack: Some(Box::new(Ack {
            by: None,
            comment: "\"known\"".to_owned(),
            at: at(1),
            until: Some(at(2)),
            sticky: true,
        })),
        expected: Some(Box::new(Expected { scheduled_at: at(3), schedule: name("nightly"), by: at(4) })),
        late: Some(Box::new(Expected { scheduled_at: at(1), schedule: name("nightly@all"), by: at(2) })),
        retry: Some(Box::new(Retry { at: at(20), scheduled_at: at(3), schedule: None, given: true })),
        watched: Some(Watched { since: at(2), lines: u64::MAX }),
        last: last
            .map(|(i, (outcome, state))| LastResult {
                id: id(-i),
                outcome: *outcome,
                state: *state,
                finished_at: at(i),
                duration_ms: (i % 2 == 0).then_some(i * 1000),
            })
            .collect(),
    }
}
