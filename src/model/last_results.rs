//! A pair's last Results, packed: every pair keeps them at hand, in memory and in its row of the store.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{LastResult, Outcome, RunId, State, Timestamp};

/// How many of its last Results a pair keeps at hand.
pub const LAST_KEPT: usize = 50;

/// The newest Results of a pair, the newest first, at most [`LAST_KEPT`]. Cheap to clone.
///
/// Each is packed into some 21 bytes: the run's id (16), how long after the id's own time it was over, how long it ran
/// (numbers of as many bytes as they need), outcome and state (1).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct LastResults(Arc<[u8]>);

impl LastResults {
    /// One more; the oldest goes when there are too many.
    pub fn add(&mut self, one: &LastResult) {
        let mut packed = Vec::with_capacity(self.0.len() + 32);
        pack(one, &mut packed);
        let mut rest = &*self.0;
        for _ in 1..LAST_KEPT {
            let Some(after) = skip(rest) else { break };
            rest = after;
        }
        packed.extend_from_slice(&self.0[..self.0.len() - rest.len()]);
        self.0 = packed.into();
    }

    /// All of them, the newest first.
    pub fn iter(&self) -> impl Iterator<Item = LastResult> + '_ {
        Unpack(&self.0)
    }

    /// The newest so many of them, to be shown.
    pub fn newest(&self, count: usize) -> NewestResults {
        NewestResults { all: self.clone(), count }
    }

    /// How they are kept.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What was kept; none if it is not what [`Self::as_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut all = Unpack(bytes);
        let count = all.by_ref().count();
        (all.0.is_empty() && count <= LAST_KEPT).then(|| Self(bytes.into()))
    }
}

/// The newest Results of a pair, as many as are shown; unpacked only where they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestResults {
    all: LastResults,
    count: usize,
}

impl NewestResults {
    /// Each, the newest first.
    pub fn iter(&self) -> impl Iterator<Item = LastResult> + '_ {
        self.all.iter().take(self.count)
    }
}

impl Serialize for NewestResults {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl FromIterator<LastResult> for LastResults {
    fn from_iter<T: IntoIterator<Item = LastResult>>(all: T) -> Self {
        let mut packed = Vec::new();
        all.into_iter().take(LAST_KEPT).for_each(|one| pack(&one, &mut packed));
        Self(packed.into())
    }
}

impl fmt::Debug for LastResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for LastResults {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for LastResults {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<LastResult>::deserialize(deserializer)?.into_iter().collect())
    }
}

fn pack(one: &LastResult, into: &mut Vec<u8>) {
    into.extend_from_slice(one.id.as_bytes());
    let after = one.finished_at.millis().wrapping_sub(one.id.millis());
    put_number(after, into);
    // 0 is "not executed".
    match one.duration_ms {
        None => put_number(0, into),
        Some(ms) => put_number(if ms < 0 { ms } else { ms.saturating_add(1) }, into),
    }
    into.push(outcome_code(one.outcome) << 4 | state_code(one.state));
}

/// A number that is mostly small, seven bits a byte, its sign in the lowest.
fn put_number(number: i64, into: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest >= 0x80 {
        into.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    into.push(rest as u8);
}

/// Takes one after the other from the front; what cannot be read ends it, and is left.
struct Unpack<'a>(&'a [u8]);

impl Iterator for Unpack<'_> {
    type Item = LastResult;

    fn next(&mut self) -> Option<LastResult> {
        let (id, mut rest) = self.0.split_first_chunk::<16>()?;
        let id = RunId::from_bytes(*id);
        let after = take_number(&mut rest)?;
        let duration = take_number(&mut rest)?;
        let (verdict, rest) = rest.split_first()?;
        let one = LastResult {
            id,
            outcome: outcome_of(verdict >> 4)?,
            state: state_of(verdict & 0x0F)?,
            finished_at: Timestamp::from_millis(id.millis().wrapping_add(after))?,
            duration_ms: (duration != 0).then_some(if duration < 0 { duration } else { duration - 1 }),
        };
        self.0 = rest;
        Some(one)
    }
}

/// What comes after the first one, whatever it says.
fn skip(packed: &[u8]) -> Option<&[u8]> {
    let (_, mut rest) = packed.split_at_checked(16)?;
    take_number(&mut rest)?;
    take_number(&mut rest)?;
    rest.split_first().map(|(_, rest)| rest)
}

fn take_number(from: &mut &[u8]) -> Option<i64> {
    let mut number: u64 = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
        }
    }
    None
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RunIds;

    fn one(ids: &RunIds, millis: i64, after: i64, duration_ms: Option<i64>) -> LastResult {
        let at = |millis| Timestamp::from_millis(millis).unwrap();
        let (outcome, state) = match duration_ms {
            None => (Outcome::Skipped, None),
            Some(ms) if ms % 2 == 0 => (Outcome::Ok, Some(State::Ok)),
            Some(_) => (Outcome::Problem, Some(State::Critical)),
        };
        LastResult { id: ids.next(at(millis)), outcome, state, finished_at: at(millis + after), duration_ms }
    }

    #[test]
    fn the_newest_come_first_and_the_oldest_go() {
        let (ids, mut last, mut expected) = (RunIds::default(), LastResults::default(), Vec::new());
        let cases =
            [(0, None), (5, Some(3)), (70_000, Some(69_998)), (-5_000, Some(0)), (86_400_000, Some(86_399_999))];
        for n in 0..120 {
            let (after, duration) = cases[n % cases.len()];
            let result = one(&ids, 1_780_000_000_000 + n as i64 * 60_000, after, duration);
            last.add(&result);
            expected.insert(0, result);
            expected.truncate(LAST_KEPT);
            assert_eq!(last.iter().collect::<Vec<_>>(), expected);
        }
        assert_eq!(LastResults::from_bytes(last.as_bytes()), Some(last.clone()));
        assert_eq!(expected.clone().into_iter().collect::<LastResults>(), last);
        let json = serde_json::to_string(&last).unwrap();
        assert_eq!(json, serde_json::to_string(&expected).unwrap(), "shown as the list that it is");
        assert_eq!(serde_json::from_str::<LastResults>(&json).unwrap(), last);
        assert!(last.as_bytes().len() < LAST_KEPT * 24, "{} bytes", last.as_bytes().len());
    }

    #[test]
    fn what_nobody_has_packed_is_refused() {
        let (ids, mut last) = (RunIds::default(), LastResults::default());
        last.add(&one(&ids, 1_780_000_000_000, 10, Some(8)));
        let packed = last.as_bytes();
        for end in 1..packed.len() {
            assert_eq!(LastResults::from_bytes(&packed[..end]), None);
        }
        let mut bad = packed.to_vec();
        *bad.last_mut().unwrap() = 0x35;
        assert_eq!(LastResults::from_bytes(&bad), None);
        let endless = [&packed[..16], &[0xFF; 20]].concat();
        assert_eq!(LastResults::from_bytes(&endless), None);
        assert_eq!(LastResults::from_bytes(&packed.repeat(LAST_KEPT + 1)), None, "more than are kept");
    }
}
