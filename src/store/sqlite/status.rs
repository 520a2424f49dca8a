//! A pair's status in its row: JSON, but for its last Results, which are many and all alike, and packed.

use super::fault::Fault;
use super::read;
use crate::model::{LastResult, LastResults, Outcome, PairStatus, RunId, State, Timestamp};

/// In front of the last Results, so that another form can follow.
const FORM: u8 = 2;

/// The form before: 33 bytes each, namely the run's id (16), when it was over (8), how long it ran (8), outcome and
/// state (1).
const FIRST_FORM: u8 = 1;
const EACH: usize = 33;
const NOT_EXECUTED: i64 = i64::MIN;

/// The two columns of a status.
pub(super) fn write(status: &PairStatus) -> Result<(String, Vec<u8>), Fault> {
    let last = &status.last;
    let mut packed = Vec::with_capacity(1 + last.as_bytes().len());
    packed.push(FORM);
    packed.extend_from_slice(last.as_bytes());
    let bare = PairStatus { last: LastResults::default(), ..status.clone() };
    Ok((read::to_json("a status", &bare)?, packed))
}

/// A status from its two columns.
pub(super) fn read(json: &str, last: &[u8]) -> Result<PairStatus, Fault> {
    let mut status: PairStatus = read::json("a status", json)?;
    let last = match last.split_first() {
        Some((&FORM, packed)) => LastResults::from_bytes(packed),
        Some((&FIRST_FORM, packed)) => of_first_form(packed),
        _ => None,
    };
    status.last = last.ok_or_else(|| Fault::Unreadable("the last Results of a status are malformed".to_owned()))?;
    Ok(status)
}

fn of_first_form(packed: &[u8]) -> Option<LastResults> {
    let (each, rest) = packed.as_chunks::<EACH>();
    if rest.is_empty() { each.iter().map(one).collect() } else { None }
}

fn one(packed: &[u8; EACH]) -> Option<LastResult> {
    let (id, rest) = packed.split_first_chunk::<16>()?;
    let (finished_at, rest) = rest.split_first_chunk::<8>()?;
    let (duration, rest) = rest.split_first_chunk::<8>()?;
    let [verdict] = rest else { return None };
    let duration = i64::from_be_bytes(*duration);
    let outcomes = [Outcome::Ok, Outcome::Problem, Outcome::Skipped];
    let states = [Some(State::Ok), Some(State::Warning), Some(State::Critical), Some(State::Unknown), None];
    Some(LastResult {
        id: RunId::from_bytes(*id),
        outcome: *outcomes.get(usize::from(verdict >> 4))?,
        state: *states.get(usize::from(verdict & 0x0F))?,
        finished_at: Timestamp::from_millis(i64::from_be_bytes(*finished_at))?,
        duration_ms: (duration != NOT_EXECUTED).then_some(duration),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_version_has_written_is_read() {
        let id = RunId::from_bytes([1, 0x98, 0, 0, 0, 0, 0x70, 1, 0x80, 2, 3, 4, 5, 6, 7, 8]);
        let mut packed = vec![FIRST_FORM];
        for (duration, verdict) in [(250_i64, 0x12_u8), (NOT_EXECUTED, 0x24)] {
            packed.extend_from_slice(id.as_bytes());
            packed.extend_from_slice(&1_780_000_000_250_i64.to_be_bytes());
            packed.extend_from_slice(&duration.to_be_bytes());
            packed.push(verdict);
        }
        let status = read("{}", &packed).unwrap();
        let told: Vec<_> = status.last.iter().map(|one| (one.id, one.outcome, one.state, one.duration_ms)).collect();
        let critical = (id, Outcome::Problem, Some(State::Critical), Some(250));
        assert_eq!(told, [critical, (id, Outcome::Skipped, None, None)]);
        let (json, now) = write(&status).unwrap();
        assert_eq!((now[0], read(&json, &now).unwrap()), (FORM, status));
        assert!(read("{}", &[]).is_err() && read("{}", &[3]).is_err() && read("{}", &packed[..40]).is_err());
    }
}
