//! What a run came to: outcome, state, reason, and how the end of a run is judged.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Did it go well?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum Outcome {
    /// It did what was expected.
    #[serde(rename = "OK")]
    Ok,
    /// It ran, or should have run, and something is wrong.
    #[serde(rename = "PROBLEM")]
    Problem,
    /// Nothing was executed, on purpose.
    #[serde(rename = "SKIPPED")]
    Skipped,
}

/// How bad is it? In Nagios' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum State {
    /// All is well.
    #[serde(rename = "OK")]
    Ok,
    /// Look at it some time.
    #[serde(rename = "WARNING")]
    Warning,
    /// Look at it now.
    #[serde(rename = "CRITICAL")]
    Critical,
    /// Nobody can tell.
    #[serde(rename = "UNKNOWN")]
    Unknown,
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The exit code was not an expected one.
    ExitCode,
    /// What it wrote is not what was expected.
    Output,
    /// It ran longer than expected.
    Duration,
    /// Killed when its `timeout` was over.
    Timeout,
    /// Died by a signal.
    Signal,
    /// Could not be started there.
    Setup,
    /// No connection to the host.
    Unreachable,
    /// The connection ended in the middle of the run.
    ConnectionLost,
    /// The host refused the login.
    Auth,
    /// The host showed a key that is not the recorded one.
    HostKey,
    /// sshd would not open a session or run the command.
    Refused,
    /// Alf stopped or crashed in the middle of the run.
    Aborted,
    /// A person cancelled it.
    Cancelled,
    /// Skipped: the last run was still going.
    Overlap,
    /// Skipped: Alf was away or paused at the instant.
    Missed,
    /// Skipped: a downtime keeps it from running.
    Downtime,
    /// Skipped: it could not start within `start_within`.
    Late,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::ExitCode,
        Self::Output,
        Self::Duration,
        Self::Timeout,
        Self::Signal,
        Self::Setup,
        Self::Unreachable,
        Self::ConnectionLost,
        Self::Auth,
        Self::HostKey,
        Self::Refused,
        Self::Aborted,
        Self::Cancelled,
        Self::Overlap,
        Self::Missed,
        Self::Downtime,
        Self::Late,
    ];

    /// The outcome and state that stand with this reason when no plugin judges (CONTRACT section 4).
    pub fn verdict(self) -> (Outcome, Option<State>) {
        match self {
            Self::ExitCode | Self::Output | Self::Duration | Self::Timeout | Self::Signal => {
                (Outcome::Problem, Some(State::Critical))
            }
            Self::Setup
            | Self::Unreachable
            | Self::ConnectionLost
            | Self::Auth
            | Self::HostKey
            | Self::Refused
            | Self::Aborted
            | Self::Cancelled => (Outcome::Problem, Some(State::Unknown)),
            Self::Overlap | Self::Missed | Self::Downtime | Self::Late => (Outcome::Skipped, None),
        }
    }

    /// Whether a Result with this reason leaves the pair's state as it was: the fault is the transport's, Alf's
    /// or a person's, not the task's.
    pub fn leaves_state(self) -> bool {
        matches!(
            self,
            Self::Unreachable
                | Self::ConnectionLost
                | Self::Auth
                | Self::HostKey
                | Self::Aborted
                | Self::Cancelled
                | Self::Overlap
                | Self::Missed
                | Self::Downtime
                | Self::Late
        )
    }
}

macro_rules! as_text {
    ($($kind:ty),*) => {$(
        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.serialize(f)
            }
        }
    )*};
}
as_text!(Outcome, State, Reason);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_contract() {
        assert_eq!(Reason::ConnectionLost.to_string(), "connection_lost");
        assert_eq!(Reason::HostKey.to_string(), "host_key");
        assert_eq!(Outcome::Problem.to_string(), "PROBLEM");
        assert_eq!(State::Critical.to_string(), "CRITICAL");
        assert_eq!(serde_json::to_string(&State::Ok).unwrap(), "\"OK\"");
    }

    #[test]
    fn transport_never_changes_the_state_of_a_pair() {
        for reason in [Reason::Unreachable, Reason::ConnectionLost, Reason::Auth, Reason::HostKey] {
            assert!(reason.leaves_state());
            assert_eq!(reason.verdict(), (Outcome::Problem, Some(State::Unknown)));
        }
        assert!(!Reason::Refused.leaves_state());
    }
}
