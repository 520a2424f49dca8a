//! What stands in the way of telling somebody.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::AnyState;

/// What stands in the way of telling somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Its host is not UP: that is told instead.
    HostDown,
    /// Work goes on there.
    Downtime,
    /// Somebody knows.
    Acknowledged,
    /// The state changes too often.
    Flapping,
    /// The contact is not to be disturbed now.
    QuietHours,
    /// The same was told shortly before.
    Throttle,
    /// The Action has told as much as it may.
    Limit,
}

/// All that stands in the way now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds {
    /// The host of the task is not UP.
    pub host_down: bool,
    /// A downtime goes on.
    pub downtime: bool,
    /// It is acknowledged.
    pub acknowledged: bool,
    /// It flaps.
    pub flapping: bool,
    /// The contact has quiet hours; these states are told all the same.
    pub quiet: Option<Vec<AnyState>>,
    /// As much was told as may be.
    pub limited: bool,
}

impl Holds {
    /// The first that holds back a PROBLEM of this state; neither throttle nor limit.
    pub fn of_problem(&self, state: AnyState) -> Option<Hold> {
        let quiet = self.quiet.as_ref().is_some_and(|except| !except.contains(&state));
        first([
            (self.host_down, Hold::HostDown),
            (self.downtime, Hold::Downtime),
            (self.acknowledged, Hold::Acknowledged),
            (self.flapping, Hold::Flapping),
            (quiet, Hold::QuietHours),
        ])
    }

    /// The first that holds back that all is well again: this state.
    pub fn of_recovery(&self, state: AnyState) -> Option<Hold> {
        Self { acknowledged: false, ..self.clone() }.of_problem(state)
    }

    /// The same as of a PROBLEM, but that it flaps is what is told.
    pub fn but_flapping(&self, state: AnyState) -> Option<Hold> {
        Self { flapping: false, ..self.clone() }.of_problem(state).or(self.limit())
    }

    /// Whether as much was told as may be.
    pub fn limit(&self) -> Option<Hold> {
        self.limited.then_some(Hold::Limit)
    }

    /// Whether somebody has taken it on.
    pub fn is_handled(&self) -> bool {
        self.acknowledged || self.downtime
    }
}

fn first<const N: usize>(all: [(bool, Hold); N]) -> Option<Hold> {
    all.into_iter().find_map(|(holds, hold)| holds.then_some(hold))
}
