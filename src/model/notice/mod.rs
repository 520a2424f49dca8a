//! Notices: what one recipient of an Action was told of a host, or of a task there, and what they are still owed.
//!
//! Pure: whoever keeps a notice says what has happened and what stands in the way, and hears what is to be done.

mod hold;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use hold::{Hold, Holds};

use super::{AnyState, HostState, RunId, State, Timestamp};

/// What a notification tells, in Nagios' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum NoticeKind {
    /// Something is wrong.
    Problem,
    /// It is over.
    Recovery,
    /// The state changes too often to be told each time.
    FlappingStart,
    /// It no longer does.
    FlappingStop,
    /// Anything else.
    Custom,
}

impl std::fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}

/// How an Action tells (the fields of its definition that matter here).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// Whether the end of what was told is told.
    pub recovery: bool,
    /// The same or a lesser PROBLEM is told once in so many milliseconds.
    pub throttle: Option<i64>,
    /// While it is hard and nobody has taken it on, it is told again every so many milliseconds.
    pub repeat: Option<i64>,
    /// It is told once it is as old as this, in milliseconds.
    pub lasting: Option<i64>,
}

/// How what a notice is of stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// All is well.
    Well,
    /// Something is wrong, and it is not certain.
    Soft(AnyState),
    /// Something is wrong.
    Hard(AnyState),
}

/// A PROBLEM that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The state that it was told with.
    pub state: AnyState,
    /// The Result that told of it, where it is a task's.
    pub result: Option<RunId>,
    /// When.
    pub at: Timestamp,
}

/// What could not be told when it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// A PROBLEM or a recovery.
    pub kind: NoticeKind,
    /// What stands in the way.
    pub hold: Hold,
    /// Since when.
    pub since: Timestamp,
    /// The newest Result that tells of it, where it is a task's.
    pub result: Option<RunId>,
}

/// What one recipient was told of one host or task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notice {
    /// The PROBLEM they were told of and whose end they were not; none: there is nothing to take back.
    pub told: Option<Told>,
    /// What they are owed.
    pub owed: Option<Owed>,
    /// The last PROBLEM that was told, also when it is over: the throttle counts from it.
    pub last: Option<Told>,
    /// Since when it is wrong, and it was not told yet because it has to last.
    pub lasting_since: Option<Timestamp>,
    /// The Result that told of that.
    pub lasting_result: Option<RunId>,
    /// What lasted so long was told, or is owed: once is enough.
    pub lasted: bool,
    /// They were told that it flaps.
    pub flapping: bool,
    /// How many PROBLEMs in a row there were.
    pub in_row: u32,
    /// How often they were told of this PROBLEM.
    pub number: u32,
    /// The parcel in which they were told of it first: what follows belongs to that.
    pub thread: Option<RunId>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Nothing,
    /// Tell them this.
    Send(NoticeKind),
    /// It is owed from now on, for this stands in the way.
    Held(NoticeKind, Hold),
    /// It is not owed any more: it was over before it could be told.
    Dropped(NoticeKind, Hold),
}

impl Notice {
    /// A PROBLEM that the Action is for: told, or owed.
    pub fn problem(&mut self, terms: &Terms, holds: &Holds, told: Told) -> Step {
        if terms.lasting.is_some() {
            if self.lasting_since.is_none() && !self.lasted {
                self.lasting_since = Some(told.at);
            }
            self.lasting_result = told.result.or(self.lasting_result);
            return Step::Nothing;
        }
        self.tell(terms, holds, told)
    }

    fn tell(&mut self, terms: &Terms, holds: &Holds, told: Told) -> Step {
        let throttled = self.throttled_until(terms, told.state).is_some_and(|until| told.at < until);
        let hold = holds.of_problem(told.state).or(throttled.then_some(Hold::Throttle)).or(holds.limit());
        let Some(hold) = hold else {
            (self.told, self.last, self.owed) = (Some(told), Some(told), None);
            self.number = self.number.saturating_add(1);
            return Step::Send(NoticeKind::Problem);
        };
        let since = self.owed.filter(|owed| owed.kind == NoticeKind::Problem).map_or(told.at, |owed| owed.since);
        self.owed = Some(Owed { kind: NoticeKind::Problem, hold, since, result: told.result });
        Step::Held(NoticeKind::Problem, hold)
    }

    /// Until when this state is not told again; a worse one than was told last always is.
    pub fn throttled_until(&self, terms: &Terms, state: AnyState) -> Option<Timestamp> {
        let (last, throttle) = (self.last?, terms.throttle?);
        (state.badness() <= last.state.badness()).then(|| last.at.plus_millis(throttle))
    }

    /// What was wrong is well again: they are told if they were told that it was wrong.
    pub fn recovery(&mut self, terms: &Terms, holds: &Holds, result: Option<RunId>, now: Timestamp) -> Step {
        (self.lasting_since, self.lasting_result, self.lasted, self.in_row) = (None, None, false, 0);
        if self.told.is_none() || !terms.recovery {
            (self.told, self.number) = (None, 0);
            return match self.owed.take() {
                Some(owed) if owed.kind == NoticeKind::Problem => Step::Dropped(owed.kind, owed.hold),
                _ => Step::Nothing,
            };
        }
        match holds.of_recovery(self.well()) {
            None => {
                (self.told, self.owed, self.number) = (None, None, 0);
                Step::Send(NoticeKind::Recovery)
            }
            Some(hold) => {
                self.owed = Some(Owed { kind: NoticeKind::Recovery, hold, since: now, result });
                Step::Held(NoticeKind::Recovery, hold)
            }
        }
    }

    /// Something that is no PROBLEM (a Result that is OK, or SKIPPED: none): told now or never.
    pub fn other(
        &mut self,
        terms: &Terms,
        holds: &Holds,
        kind: NoticeKind,
        state: Option<AnyState>,
        now: Timestamp,
    ) -> Step {
        let state = state.unwrap_or(AnyState::Task(State::Ok));
        let throttled = self.throttled_until(terms, state).is_some_and(|until| now < until);
        let throttled = (throttled && kind != NoticeKind::Recovery).then_some(Hold::Throttle);
        match holds.of_recovery(state).or(throttled).or(holds.limit()) {
            Some(hold) => Step::Held(kind, hold),
            None => {
                if terms.throttle.is_some() && self.told.is_none() {
                    self.last = Some(Told { state, result: None, at: now });
                }
                Step::Send(kind)
            }
        }
    }

    /// It flaps from now on, or no longer does; the latter is told to those who were told the former.
    pub fn flapping(&mut self, starts: bool, holds: &Holds, state: AnyState) -> Step {
        let kind = if starts { NoticeKind::FlappingStart } else { NoticeKind::FlappingStop };
        if starts == self.flapping || (!starts && !self.flapping) {
            return Step::Nothing;
        }
        let hold = holds.but_flapping(state);
        // Who was not told that it flaps need not hear that it no longer does.
        self.flapping = starts && hold.is_none();
        match hold {
            Some(hold) => Step::Held(kind, hold),
            None => Step::Send(kind),
        }
    }

    /// Time has passed, or something that stood in the way may be gone: what is owed, what has lasted long enough,
    /// what is to be repeated.
    pub fn look(&mut self, terms: &Terms, holds: &Holds, stands: Stands, now: Timestamp) -> Step {
        if let Some(owed) = self.owed {
            return self.pay(terms, holds, stands, owed, now);
        }
        let Stands::Hard(state) = stands else { return Step::Nothing };
        let result = self.lasting_result;
        if let (Some(since), Some(lasting)) = (self.lasting_since, terms.lasting)
            && now >= since.plus_millis(lasting)
        {
            (self.lasting_since, self.lasting_result, self.lasted) = (None, None, true);
            return self.tell(terms, holds, Told { state, result, at: now });
        }
        match (self.told, self.last, terms.repeat) {
            (Some(told), Some(last), Some(repeat)) if now >= last.at.plus_millis(repeat) && !holds.is_handled() => {
                // The throttle is of what happens anew.
                let terms = Terms { throttle: None, ..*terms };
                self.tell(&terms, holds, Told { state, result: told.result, at: now })
            }
            _ => Step::Nothing,
        }
    }

    fn pay(&mut self, terms: &Terms, holds: &Holds, stands: Stands, owed: Owed, now: Timestamp) -> Step {
        match (owed.kind, stands) {
            (NoticeKind::Recovery, Stands::Well) => match holds.of_recovery(self.well()) {
                Some(hold) => self.wait(hold),
                None => {
                    (self.told, self.owed, self.number) = (None, None, 0);
                    Step::Send(NoticeKind::Recovery)
                }
            },
            (NoticeKind::Problem, Stands::Hard(state)) => {
                let told = Told { state, result: owed.result, at: now };
                match self.tell(terms, holds, told) {
                    // It was said before that it is held.
                    Step::Held(_, _) => Step::Nothing,
                    step => step,
                }
            }
            (NoticeKind::Problem, Stands::Well) => {
                self.owed = None;
                Step::Dropped(owed.kind, owed.hold)
            }
            _ => Step::Nothing,
        }
    }

    fn wait(&mut self, hold: Hold) -> Step {
        if let Some(owed) = &mut self.owed {
            owed.hold = hold;
        }
        Step::Nothing
    }

    /// The state in which what they were told of is well.
    fn well(&self) -> AnyState {
        let of_host = self.told.is_some_and(|told| matches!(told.state, AnyState::Host(_)));
        if of_host { AnyState::Host(HostState::Up) } else { AnyState::Task(State::Ok) }
    }

    /// Whether something may have to be done as time passes.
    pub fn waits(&self, terms: &Terms) -> bool {
        self.owed.is_some() || self.lasting_since.is_some() || (self.told.is_some() && terms.repeat.is_some())
    }

    /// Whether there is nothing in it that has to be remembered.
    pub fn is_over(&self, terms: &Terms, now: Timestamp) -> bool {
        let throttles = match (self.last, terms.throttle) {
            (Some(last), Some(throttle)) => now < last.at.plus_millis(throttle),
            _ => false,
        };
        let open = self.told.is_some() || self.owed.is_some() || self.lasting_since.is_some() || self.lasted;
        !throttles && !open && !self.flapping && self.in_row == 0
    }
}
