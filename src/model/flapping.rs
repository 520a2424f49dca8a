//! Flapping: a state that changes too often to be told each time. The rule is Nagios' own: the last 21 states have 20
//! changes between them, the newer ones count more, and what they come to is set against two thresholds
//! (<https://assets.nagios.com/downloads/nagioscore/docs/nagioscore/4/en/flapping.html>).

use serde::{Deserialize, Serialize};

use super::State;

/// How many states are looked at.
const STATES: u32 = 21;
/// What the oldest change counts, and the newest; all of them together count as many as there are.
const WEIGHTS: (f64, f64) = (0.75, 1.25);
const BITS: u32 = 2;
const MASK: u64 = 0b11;

/// From where on a pair flaps, and below which it does so no more: percent of change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FlapThresholds {
    /// Below it flapping ends.
    pub low: f64,
    /// Above it flapping begins.
    pub high: f64,
}

impl Default for FlapThresholds {
    fn default() -> Self {
        Self { low: 20.0, high: 30.0 }
    }
}

/// The last states of a pair, two bits each, the newest lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StateHistory(u64);

impl StateHistory {
    /// All states are the first one until others come.
    pub fn begin(state: State) -> Self {
        Self((0..STATES).fold(0, |all, _| all << BITS | code(state)))
    }

    /// Another state has come.
    pub fn push(&mut self, state: State) {
        self.0 = (self.0 << BITS | code(state)) & ((1 << (BITS * STATES)) - 1);
    }

    /// How much it changes, in percent: 100 where each state differs from the one before.
    pub fn change(self) -> f64 {
        let at = |place: u32| self.0 >> (BITS * place) & MASK;
        let changes = STATES - 1;
        let weight = |age: u32| WEIGHTS.1 - f64::from(age) * (WEIGHTS.1 - WEIGHTS.0) / f64::from(changes - 1);
        let weighed: f64 = (0..changes).filter(|age| at(*age) != at(age + 1)).map(weight).sum();
        weighed * 100.0 / f64::from(changes)
    }

    /// Whether it flaps, as it did or did not before.
    pub fn flaps(self, before: bool, thresholds: FlapThresholds) -> bool {
        let change = self.change();
        if before { change >= thresholds.low } else { change > thresholds.high }
    }
}

fn code(state: State) -> u64 {
    match state {
        State::Ok => 0,
        State::Warning => 1,
        State::Critical => 2,
        State::Unknown => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(states: &[State]) -> StateHistory {
        let mut history = StateHistory::begin(states[0]);
        states.iter().for_each(|state| history.push(*state));
        history
    }

    #[test]
    fn change_is_weighed_as_nagios_does() {
        assert_eq!(of(&[State::Ok]).change(), 0.0);
        let turns: Vec<State> = (0..21).map(|n| if n % 2 == 0 { State::Ok } else { State::Critical }).collect();
        assert!((of(&turns).change() - 100.0).abs() < 1e-9);
        // One change: the newest counts 1.25 of 20, the oldest 0.75.
        assert!((of(&[State::Ok, State::Warning]).change() - 6.25).abs() < 1e-9);
        let mut old = vec![State::Ok, State::Warning];
        old.extend([State::Warning; 19]);
        assert!((of(&old).change() - 3.75).abs() < 1e-9);
        old.push(State::Warning);
        assert_eq!(of(&old).change(), 0.0, "what is older than 21 states is forgotten");
    }

    #[test]
    fn it_begins_above_the_high_threshold_and_ends_below_the_low_one() {
        let thresholds = FlapThresholds::default();
        let mut history = StateHistory::begin(State::Ok);
        let mut flapping = false;
        let mut told = Vec::new();
        for turn in 0..40 {
            history.push(if turn < 8 && turn % 2 == 0 { State::Critical } else { State::Ok });
            let now = history.flaps(flapping, thresholds);
            if now != flapping {
                told.push(turn);
            }
            flapping = now;
        }
        // Six changes in a row are above 30 %; they have to age until what is left of eight is below 20 %.
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0] == 4 || told[0] == 5, "{told:?}");
        assert!(told[1] > 18, "{told:?}");
        assert!(!flapping);
    }
}
