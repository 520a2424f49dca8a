//! How a host stands: by whether it can be connected to.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Ack, Name, Outcome, Reason, Timestamp};

/// The state of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HostState {
    /// Connected when last needed.
    Up,
    /// Could not be connected to when last needed.
    Down,
    /// Could not be tried: a jump host on the way to it is down.
    Unreachable,
}

/// How a host stands: kept in the store, so that it survives a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HostRecord {
    /// None before the first connect.
    pub state: Option<HostState>,
    /// Whether the state is beyond doubt: UP always, DOWN after the host's `max_attempts` failed connects in a row.
    pub hard: bool,
    /// Failed connects in a row.
    pub attempt: u32,
    /// Since when it has this state.
    pub since: Option<Timestamp>,
    /// Why it is not UP.
    pub reason: Option<Reason>,
    /// The same in words a person can act on.
    pub message: Option<String>,
    /// Who knows of it.
    pub ack: Option<Ack>,
}

impl HostRecord {
    /// Whether it was lost or could not be reached, and has not been connected to since.
    pub fn is_down(&self) -> bool {
        matches!(self.state, Some(HostState::Down | HostState::Unreachable))
    }

    /// It was connected to.
    pub fn up(&mut self, at: Timestamp) {
        let since = if self.state == Some(HostState::Up) { self.since } else { Some(at) };
        *self = Self { state: Some(HostState::Up), hard: true, since, ..Self::default() };
    }

    /// It could not be connected to, which is an attempt more of so many, or was lost (`most` is none).
    pub fn down(&mut self, at: Timestamp, reason: Reason, message: &str, most: Option<u32>) {
        self.turn(HostState::Down, at);
        self.attempt = self.attempt.saturating_add(u32::from(most.is_some()));
        self.hard = most.is_some_and(|most| self.attempt >= most);
        (self.reason, self.message) = (Some(reason), Some(message.to_owned()));
    }

    /// It could not be tried because a jump host on the way to it is down: no attempt of its own.
    pub fn unreachable(&mut self, at: Timestamp, message: &str) {
        self.turn(HostState::Unreachable, at);
        self.hard = false;
        (self.reason, self.message) = (Some(Reason::Unreachable), Some(message.to_owned()));
    }

    fn turn(&mut self, state: HostState, at: Timestamp) {
        if self.state != Some(state) {
            self.since = Some(at);
            // One that is not sticky was of the state before.
            self.ack.take_if(|ack| !ack.sticky);
        }
        self.state = Some(state);
    }
}

/// A host's own state, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HostStatus {
    /// The host.
    pub host: Name,
    /// Null before the first connect.
    pub state: Option<HostState>,
    /// Whether the state is beyond doubt: UP always, DOWN after the host's `max_attempts` failed connects in a row.
    pub hard: bool,
    /// Failed connects in a row.
    pub attempt: u32,
    /// Since when it has this state.
    pub since: Option<Timestamp>,
    /// Whether somebody knows of it.
    pub acknowledged: bool,
    /// Who, and what they say of it.
    pub ack: Option<Ack>,
    /// Whether it is in a downtime with all its tasks.
    pub in_downtime: bool,
    /// Why it is not UP.
    pub reason: Option<Reason>,
    /// The same in words a person can act on.
    pub message: Option<String>,
}

impl HostStatus {
    /// How a host stands, as it is shown at this time.
    pub fn of(host: &Name, record: HostRecord, in_downtime: bool, now: Timestamp) -> Self {
        let ack = record.ack.filter(|ack| ack.holds(now));
        Self {
            host: host.clone(),
            state: record.state,
            hard: record.hard,
            attempt: record.attempt,
            since: record.since,
            acknowledged: ack.is_some(),
            ack,
            in_downtime,
            reason: record.reason,
            message: record.message,
        }
    }

    /// Whether it is well: none before the first connect.
    pub fn outcome(&self) -> Option<Outcome> {
        self.state.map(|state| if state == HostState::Up { Outcome::Ok } else { Outcome::Problem })
    }

    /// Whether it is a PROBLEM that nobody has taken on: not acknowledged, not in a downtime.
    pub fn is_unhandled(&self) -> bool {
        self.outcome() == Some(Outcome::Problem) && !self.acknowledged && !self.in_downtime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000).unwrap()
    }

    fn ack(sticky: bool) -> Ack {
        Ack { by: None, comment: String::new(), at: at(0), until: None, sticky }
    }

    #[test]
    fn a_host_behind_one_that_is_down_is_unreachable_and_no_attempt_of_its_own() {
        let mut host = HostRecord::default();
        host.up(at(1));
        for second in [2, 3] {
            host.unreachable(at(second), "its jump host bastion is down");
        }
        assert_eq!((host.state, host.attempt), (Some(HostState::Unreachable), 0));
        assert_eq!((host.since, host.reason), (Some(at(2)), Some(Reason::Unreachable)));
        assert_eq!(host.message.as_deref(), Some("its jump host bastion is down"));
        host.up(at(4));
        assert_eq!((host.since, host.hard, host.reason), (Some(at(4)), true, None));
    }

    #[test]
    fn it_is_hard_after_so_many_connects_and_an_acknowledgement_ends_with_the_problem() {
        let mut host = HostRecord::default();
        host.down(at(1), Reason::Unreachable, "lost", None);
        assert!(!host.hard && host.attempt == 0);
        for attempt in 1..=3 {
            host.down(at(1 + attempt), Reason::Unreachable, "refused", Some(3));
        }
        assert!(host.hard && host.attempt == 3 && host.since == Some(at(1)));
        for sticky in [false, true] {
            host.ack = Some(ack(sticky));
            host.down(at(9), Reason::Unreachable, "refused", Some(3));
            assert!(host.ack.is_some(), "the same state");
        }
        host.unreachable(at(10), "its jump host is down");
        assert!(host.ack.is_some(), "a sticky one stays while it is not UP");
        host.up(at(11));
        assert_eq!(host.ack, None);
    }
}
