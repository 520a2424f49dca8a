//! The states of tasks and of hosts together: what Actions and contacts name.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{HostState, State};

/// The state of a task or of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum AnyState {
    /// Of a task on a host.
    Task(State),
    /// Of a host.
    Host(HostState),
}

impl AnyState {
    /// Whether all is well.
    pub fn is_well(self) -> bool {
        matches!(self, Self::Task(State::Ok) | Self::Host(HostState::Up))
    }

    /// The higher, the worse.
    pub fn badness(self) -> u8 {
        match self {
            Self::Task(State::Ok) | Self::Host(HostState::Up) => 0,
            Self::Task(State::Warning) | Self::Host(HostState::Unreachable) => 1,
            Self::Task(State::Unknown) => 2,
            Self::Task(State::Critical) | Self::Host(HostState::Down) => 3,
        }
    }
}

impl fmt::Display for AnyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
