//! Status: how each pair and each host stands now.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Ack, FlapThresholds, LastResults, Name, NewestResults, Outcome, Reason, RunId, RunResult, State, StateHistory,
    Timestamp,
};

/// So many instants in a row that executed nothing make a pair stale; one is enough where they are far apart.
const STALE: u32 = 3;

/// One of a pair's last Results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastResult {
    /// Its id.
    pub id: RunId,
    /// Did it go well.
    pub outcome: Outcome,
    /// How bad.
    pub state: Option<State>,
    /// When it was over.
    pub finished_at: Timestamp,
    /// How long it ran.
    pub duration_ms: Option<i64>,
}

/// How a pair stands: kept in the store as a small record of its own, so that it survives a restart. There are many, so
/// what few of them have stands apart, and what is as at the beginning is left out where it is written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PairStatus {
    /// The state of the last run that counted; none before the first.
    #[serde(skip_serializing_if = "is_unset")]
    pub state: Option<State>,
    /// Its outcome.
    #[serde(skip_serializing_if = "is_unset")]
    pub outcome: Option<Outcome>,
    /// Whether the state is beyond doubt.
    #[serde(skip_serializing_if = "is_unset")]
    pub hard: bool,
    /// Which PROBLEM in a row, 0 when all is well.
    #[serde(skip_serializing_if = "is_unset")]
    pub attempt: u32,
    /// Since when it has this state.
    #[serde(skip_serializing_if = "is_unset")]
    pub since: Option<Timestamp>,
    /// When something was last executed.
    #[serde(skip_serializing_if = "is_unset")]
    pub last_executed_at: Option<Timestamp>,
    /// How many instants in a row executed nothing.
    #[serde(skip_serializing_if = "is_unset")]
    pub skipped_in_row: u32,
    /// Whether that is so many that what it tells is old.
    #[serde(skip_serializing_if = "is_unset")]
    pub stale: bool,
    /// The newest Results first.
    #[serde(skip_serializing_if = "is_unset")]
    pub last: LastResults,
    /// The next attempt of a soft PROBLEM.
    #[serde(skip_serializing_if = "is_unset")]
    pub retry: Option<Box<Retry>>,
    /// The last states that counted.
    #[serde(skip_serializing_if = "is_unset")]
    pub history: Option<StateHistory>,
    /// Whether they change too often to be told each time.
    #[serde(skip_serializing_if = "is_unset")]
    pub flapping: bool,
    /// Who knows of its PROBLEM.
    #[serde(skip_serializing_if = "is_unset")]
    pub ack: Option<Box<Ack>>,
    /// What is to go well by some time, and has not yet.
    #[serde(skip_serializing_if = "is_unset")]
    pub expected: Option<Box<Expected>>,
    /// What should have gone well by some time that is over.
    #[serde(skip_serializing_if = "is_unset")]
    pub late: Option<Box<Expected>>,
    /// What is due at all: a restart must not count otherwise.
    #[serde(skip_serializing_if = "is_unset")]
    pub watched: Option<Watched>,
}

fn is_unset<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// From when on a pair's instants count, and by which lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Earlier instants came by other lines, or by none.
    pub since: Timestamp,
    /// Tells whether the lines are still the same.
    pub lines: u64,
}

/// What is to go well by some time (`finish_by`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// The instant.
    pub scheduled_at: Timestamp,
    /// What made it due.
    pub schedule: Name,
    /// By when there must be an OK Result.
    pub by: Timestamp,
}

/// All firing is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The key of who has stopped it.
    pub by: Option<Name>,
    /// Since when.
    pub at: Timestamp,
}

/// What must be known beside a Result to take it in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taking {
    /// Its host was lost or cannot be reached.
    pub host_is_down: bool,
    /// From where on the pair flaps; none where that is not looked at.
    pub flapping: Option<FlapThresholds>,
    /// The pair is due so seldom that one instant which executed nothing makes it stale.
    pub seldom: bool,
}

/// A soft PROBLEM's next attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// When.
    pub at: Timestamp,
    /// The instant that it tries again.
    pub scheduled_at: Timestamp,
    /// The schedule that made it due.
    pub schedule: Option<Name>,
    /// Whether the run was given something (variables, arguments, input): that is not kept beyond a restart, and
    /// without it it would be another run.
    pub given: bool,
}

impl PairStatus {
    /// The attempt number and hardness that a Result with this verdict has; so many PROBLEMs in a row are hard.
    pub fn attempt_after(&self, outcome: Outcome, reason: Option<Reason>, max_attempts: u32) -> (u32, bool) {
        match outcome {
            Outcome::Ok => (1, true),
            Outcome::Problem if !reason.is_some_and(Reason::leaves_state) => {
                let attempt = (self.attempt + 1).min(max_attempts);
                // One that was hard stays so, though more attempts are allowed now.
                let stays = self.hard && self.attempt > 0;
                (attempt, stays || attempt >= max_attempts)
            }
            Outcome::Problem | Outcome::Skipped => self.standing(),
        }
    }

    /// The attempt number and hardness of a Result that changes neither.
    pub fn standing(&self) -> (u32, bool) {
        (self.attempt.max(1), self.hard)
    }

    /// Takes a Result in: what `last` shows always, the state only where the Result speaks for the task and its host is
    /// not down.
    pub fn take(&mut self, result: &RunResult, taking: Taking) {
        self.last.add(&LastResult {
            id: result.id,
            outcome: result.outcome,
            state: result.state,
            finished_at: result.finished_at,
            duration_ms: result.duration_ms(),
        });
        if result.outcome == Outcome::Skipped {
            let more = result.instants.map_or(1, |instants| u32::try_from(instants.count).unwrap_or(u32::MAX));
            self.skipped_in_row = self.skipped_in_row.saturating_add(more);
            // That nothing runs in a downtime that says so is what was wanted: it is no reason to look.
            if result.reason != Some(Reason::Downtime) {
                self.stale = self.skipped_in_row >= STALE || taking.seldom;
            }
        } else if result.started_at.is_some() {
            (self.skipped_in_row, self.stale) = (0, false);
            self.last_executed_at = result.started_at;
        }
        if taking.host_is_down || result.reason.is_some_and(Reason::leaves_state) {
            return;
        }
        if self.state != result.state {
            self.since = Some(result.finished_at);
            self.ack.take_if(|ack| !ack.sticky);
        }
        if result.outcome == Outcome::Ok {
            self.ack = None;
        }
        if let Some(state) = result.state {
            self.history.get_or_insert_with(|| StateHistory::begin(state)).push(state);
        }
        let flaps = |thresholds| self.history.is_some_and(|history| history.flaps(self.flapping, thresholds));
        self.flapping = taking.flapping.is_some_and(flaps);
        self.state = result.state;
        self.outcome = Some(result.outcome);
        self.hard = result.hard;
        self.attempt = if result.outcome == Outcome::Ok { 0 } else { result.attempt };
    }
}

/// A row of `GET /status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StatusRow {
    /// The host.
    pub host: Name,
    /// The task.
    pub task: Name,
    /// The state of the last run that counted; null is PENDING.
    pub state: Option<State>,
    /// Its outcome.
    pub outcome: Option<Outcome>,
    /// Whether the state is beyond doubt.
    pub hard: bool,
    /// Which PROBLEM in a row.
    pub attempt: u32,
    /// How many make it hard.
    pub max_attempts: u32,
    /// Since when it has this state.
    pub since: Option<Timestamp>,
    /// Whether it changes too often between states to be told each time.
    pub flapping: bool,
    /// Whether somebody knows of its PROBLEM.
    pub acknowledged: bool,
    /// Who, and what they say of it.
    pub ack: Option<Ack>,
    /// Whether it is in a downtime.
    pub in_downtime: bool,
    /// Whether it runs now.
    pub running: bool,
    /// The next instant.
    pub next_run_at: Option<Timestamp>,
    /// When something was last executed.
    pub last_executed_at: Option<Timestamp>,
    /// How many instants in a row executed nothing.
    pub skipped_in_row: u32,
    /// Whether that is so many that what is shown is old.
    pub stale: bool,
    /// Whether something has not gone well by its `finish_by`.
    pub late: bool,
    /// The newest Results first.
    #[schema(value_type = Vec<LastResult>)]
    pub last: NewestResults,
}

impl StatusRow {
    /// Whether it is a PROBLEM that nobody has taken on: not acknowledged, not in a downtime.
    pub fn is_unhandled(&self) -> bool {
        self.outcome == Some(Outcome::Problem) && !self.acknowledged && !self.in_downtime
    }
}

/// `GET /status/summary`: how many pairs are in each state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct StatusSummary {
    /// Whether all firing is stopped.
    pub paused: bool,
    /// Since when.
    pub paused_since: Option<Timestamp>,
    /// The key of who has stopped it.
    pub paused_by: Option<Name>,
    /// All pairs.
    pub total: u64,
    /// In state OK.
    pub ok: u64,
    /// In state WARNING.
    pub warning: u64,
    /// In state CRITICAL.
    pub critical: u64,
    /// In state UNKNOWN.
    pub unknown: u64,
    /// Never run.
    pub pending: u64,
    /// Running now.
    pub running: u64,
    /// Hosts that are UP.
    pub hosts_up: u64,
    /// Hosts that are DOWN.
    pub hosts_down: u64,
    /// Hosts that are UNREACHABLE: behind a jump host that is down.
    pub hosts_unreachable: u64,
    /// Hosts not connected to yet.
    pub hosts_pending: u64,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Waits for a connection, a session or a place.
    Queued,
    /// Its command runs.
    Running,
}

/// A run that has not ended: a row of `GET /runs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// Where.
    pub host: Name,
    /// What; null for an ad-hoc run.
    pub task: Option<Name>,
    /// The schedule that made it due.
    pub schedule: Option<Name>,
    /// What started it.
    pub trigger: super::Trigger,
    /// The key that started it.
    pub by: Option<Name>,
    /// The runs that were asked for together with it.
    pub group: Option<RunId>,
    /// Why an Action started it.
    pub cause: Option<super::Cause>,
    /// Where it is.
    pub state: RunState,
    /// The line's instant.
    pub scheduled_at: Timestamp,
    /// When it was to start.
    pub due_at: Timestamp,
    /// When its command started.
    pub started_at: Option<Timestamp>,
}
