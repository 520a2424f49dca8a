//! Events: what Actions are looked at for. Each is kept until that is done.

use serde::{Deserialize, Serialize};

use super::{AnyState, HostRecord, HostState, Name, PairStatus, Reason, RunId, RunResult, Stands, State, Timestamp};

/// How a pair stands, as far as Actions look at it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairStanding {
    /// The state of the last run that counted; none before the first.
    pub state: Option<State>,
    /// Whether it is beyond doubt.
    pub hard: bool,
    /// Which PROBLEM in a row, 0 when all is well.
    pub attempt: u32,
    /// Whether it changes too often.
    pub flapping: bool,
    /// Whether something has not gone well by its `finish_by`.
    pub late: bool,
    /// Whether so many instants in a row executed nothing that what it tells is old.
    pub stale: bool,
}

impl From<&PairStatus> for PairStanding {
    fn from(status: &PairStatus) -> Self {
        Self {
            state: status.state,
            hard: status.hard,
            attempt: status.attempt,
            flapping: status.flapping,
            late: status.late.is_some(),
            stale: status.stale,
        }
    }
}

impl PairStanding {
    /// Its state, where there is one.
    pub fn state(&self) -> Option<AnyState> {
        self.state.map(AnyState::Task)
    }

    /// Whether its last run that counted was a PROBLEM.
    pub fn is_problem(&self) -> bool {
        self.state.is_some_and(|state| state != State::Ok)
    }

    /// How it stands with regard to its state.
    pub fn stands(&self) -> Stands {
        match self.state() {
            Some(state) if self.is_problem() && self.hard => Stands::Hard(state),
            Some(state) if self.is_problem() => Stands::Soft(state),
            _ => Stands::Well,
        }
    }
}

/// How a host stands, as far as Actions look at it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStanding {
    /// None before the first connect.
    pub state: Option<HostState>,
    /// Whether it is beyond doubt.
    pub hard: bool,
    /// Failed connects in a row.
    pub attempt: u32,
    /// Why it is not UP.
    pub reason: Option<Reason>,
    /// The same in words.
    pub message: Option<String>,
}

impl From<&HostRecord> for HostStanding {
    fn from(record: &HostRecord) -> Self {
        Self {
            state: record.state,
            hard: record.hard,
            attempt: record.attempt,
            reason: record.reason,
            message: record.message.clone(),
        }
    }
}

impl HostStanding {
    /// Its state, where there is one.
    pub fn state(&self) -> Option<AnyState> {
        self.state.map(AnyState::Host)
    }

    /// Whether it is not UP.
    pub fn is_problem(&self) -> bool {
        self.state.is_some_and(|state| state != HostState::Up)
    }

    /// How it stands. UNREACHABLE is as certain as the DOWN of the jump host that it comes from.
    pub fn stands(&self) -> Stands {
        match (self.state, self.hard) {
            (Some(HostState::Down), true) => Stands::Hard(AnyState::Host(HostState::Down)),
            (Some(HostState::Down), false) => Stands::Soft(AnyState::Host(HostState::Down)),
            (Some(HostState::Unreachable), _) => Stands::Hard(AnyState::Host(HostState::Unreachable)),
            (Some(HostState::Up) | None, _) => Stands::Well,
        }
    }
}

/// What has changed, or has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A pair: a Result has come, or it is late.
    Pair {
        /// The task.
        task: Name,
        /// How it stood.
        before: PairStanding,
        /// How it stands.
        after: PairStanding,
        /// Its host is not UP: what its tasks come to tells nothing of them.
        host_down: bool,
    },
    /// A run of a task that is not linked to its host has ended: it has no standing.
    Unlinked {
        /// The task.
        task: Name,
    },
    /// A host.
    Host {
        /// How it stood.
        before: HostStanding,
        /// How it stands.
        after: HostStanding,
    },
}

/// Something that Actions are looked at for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its id: that of the Result where there is one.
    pub id: RunId,
    /// When.
    pub at: Timestamp,
    /// Where.
    pub host: Name,
    /// Whether there is a Result with this id.
    pub has_result: bool,
    /// What has changed.
    pub change: Change,
}

impl Event {
    /// A Result of a linked pair.
    pub fn of_pair(result: &RunResult, before: PairStanding, after: PairStanding, host_down: bool) -> Option<Self> {
        let change = Change::Pair { task: result.task.clone()?, before, after, host_down };
        Some(Self::of_result(result, change))
    }

    /// A Result of a task that is not linked to the host; none for an ad-hoc run.
    pub fn of_unlinked(result: &RunResult) -> Option<Self> {
        Some(Self::of_result(result, Change::Unlinked { task: result.task.clone()? }))
    }

    fn of_result(result: &RunResult, change: Change) -> Self {
        Self { id: result.id, at: result.finished_at, host: result.host.clone(), has_result: true, change }
    }

    /// The task that it is of; none for a host's.
    pub fn task(&self) -> Option<&Name> {
        match &self.change {
            Change::Pair { task, .. } | Change::Unlinked { task } => Some(task),
            Change::Host { .. } => None,
        }
    }
}
