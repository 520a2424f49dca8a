//! A pair's status in its row: JSON, but for its last Results, which are many and all alike: 33 bytes each.

use super::fault::Fault;
use super::read;
use crate::model::{LastResult, Outcome, PairStatus, State};

/// In front of the last Results, so that another form can follow.
const FORM: u8 = 1;

/// Each: the run's id (16), when it was over (8), how long it ran (8), outcome and state (1).
const EACH: usize = 33;

/// Stands for "not executed" where a duration would be.
const NOT_EXECUTED: i64 = i64::MIN;

/// The two columns of a status.
pub(super) fn write(mut status: PairStatus) -> Result<(String, Vec<u8>), Fault> {
    let last = std::mem::take(&mut status.last);
    let mut packed = Vec::with_capacity(1 + last.len() * EACH);
    packed.push(FORM);
    for one in last {
        packed.extend_from_slice(one.id.as_bytes());
        packed.extend_from_slice(&one.finished_at.millis().to_be_bytes());
        packed.extend_from_slice(&one.duration_ms.unwrap_or(NOT_EXECUTED).to_be_bytes());
        packed.push(outcome_code(one.outcome) << 4 | state_code(one.state));
    }
    Ok((read::to_json("a status", &status)?, packed))
}

/// A status from its two columns.
pub(super) fn read(json: &str, last: &[u8]) -> Result<PairStatus, Fault> {
    let mut status: PairStatus = read::json("a status", json)?;
    let malformed = || Fault::Unreadable("the last Results of a status are malformed".to_owned());
    let (form, packed) = last.split_first().ok_or_else(malformed)?;
    let (each, rest) = packed.as_chunks::<EACH>();
    if *form != FORM || !rest.is_empty() {
        return Err(malformed());
    }
    status.last = each.iter().map(one).collect::<Option<_>>().ok_or_else(malformed)?;
    Ok(status)
}

fn one(packed: &[u8; EACH]) -> Option<LastResult> {
    let (id, rest) = packed.split_first_chunk::<16>()?;
    let (finished_at, rest) = rest.split_first_chunk::<8>()?;
    let (duration, rest) = rest.split_first_chunk::<8>()?;
    let [verdict] = rest else { return None };
    let duration = i64::from_be_bytes(*duration);
    Some(LastResult {
        id: crate::model::RunId::from_bytes(*id),
        outcome: outcome_of(verdict >> 4)?,
        state: state_of(verdict & 0x0F)?,
        finished_at: crate::model::Timestamp::from_millis(i64::from_be_bytes(*finished_at))?,
        duration_ms: (duration != NOT_EXECUTED).then_some(duration),
    })
}

fn outcome_code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Ok => 0,
        Outcome::Problem => 1,
        Outcome::Skipped => 2,
    }
}

fn outcome_of(code: u8) -> Option<Outcome> {
    [Outcome::Ok, Outcome::Problem, Outcome::Skipped].into_iter().find(|outcome| outcome_code(*outcome) == code)
}

fn state_code(state: Option<State>) -> u8 {
    match state {
        Some(State::Ok) => 0,
        Some(State::Warning) => 1,
        Some(State::Critical) => 2,
        Some(State::Unknown) => 3,
        None => 4,
    }
}

fn state_of(code: u8) -> Option<Option<State>> {
    [Some(State::Ok), Some(State::Warning), Some(State::Critical), Some(State::Unknown), None]
        .into_iter()
        .find(|state| state_code(*state) == code)
}
