//! The states of tasks and of hosts together: what Actions and contacts name.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::ToSchema;

use super::{HostState, State};

/// The state of a task or of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(untagged)]
pub enum AnyState {
    /// Of a task on a host.
    Task(State),
    /// Of a host.
    Host(HostState),
}

impl AnyState {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Task(State::Ok),
        Self::Task(State::Warning),
        Self::Task(State::Critical),
        Self::Task(State::Unknown),
        Self::Host(HostState::Up),
        Self::Host(HostState::Down),
        Self::Host(HostState::Unreachable),
    ];

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

impl<'de> Deserialize<'de> for AnyState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::ALL.into_iter().find(|state| state.to_string() == text).ok_or_else(|| {
            let shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
            let known = Self::ALL.map(|state| state.to_string()).join(", ");
            de::Error::custom(format!("\"{shown}\" is no state; there are {known}"))
        })
    }
}

impl fmt::Display for AnyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
