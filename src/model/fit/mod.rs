//! Whether an Action is for something that has happened, and if not, why not.

use super::action::{Moment, ObjectKind, On, When};
use super::{
    AnyState, Change, Event, Host, HostStanding, HostState, Outcome, PairStanding, Reason, RunResult, Stands, State,
    Task,
};

/// Something that has happened, with all that an Action can ask of it.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// What has happened.
    pub event: &'a Event,
    /// The host.
    pub host: &'a Host,
    /// The task, if it still exists.
    pub task: Option<&'a Task>,
    /// The Result, where there is one.
    pub result: Option<&'a RunResult>,
    /// Which PROBLEM in a row this is, as far as the Action has counted.
    pub in_row: u32,
    /// It is asked for a sink of metrics, to which nothing matters but that there is a Result.
    pub measures: bool,
}

/// What an Action has to tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tells {
    /// Something is wrong.
    Problem(AnyState),
    /// Something else: a Result that is OK, or SKIPPED (none).
    Other(Option<AnyState>),
}

/// Whether an Action is for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// What it told before is over.
    pub over: bool,
    /// What there is to tell, or why there is nothing. `output_regex` is left to who has the time for it.
    pub tells: Result<Tells, String>,
}

impl Fit {
    fn no(why: impl Into<String>) -> Self {
        Self { over: false, tells: Err(why.into()) }
    }

    fn over(self, over: bool) -> Self {
        Self { over, ..self }
    }

    fn tells(tells: Tells) -> Self {
        Self { over: false, tells: Ok(tells) }
    }
}

/// A filter that does not hold, in words.
type Miss = Option<String>;

impl When {
    /// Whether the Action is for this; the first condition that does not hold is the reason why not.
    pub fn fits(&self, scene: &Scene<'_>) -> Fit {
        if let Some(why) = self.misses_place(scene) {
            return Fit::no(why);
        }
        let fit = match &scene.event.change {
            Change::Pair { before, after, host_down, .. } => self.fits_pair(scene, before, after, *host_down),
            Change::Unlinked { .. } => self.fits_unlinked(scene),
            Change::Host { before, after } => self.fits_host(before, after),
        };
        match fit.tells {
            Ok(tells) => match self.misses_facts(scene, tells) {
                Some(why) => Fit { over: fit.over, tells: Err(why) },
                None => fit,
            },
            Err(_) => fit,
        }
    }

    /// Whether it is for what happens there at all, whatever it is: then what is written there may have to be searched.
    pub fn is_for(&self, scene: &Scene<'_>) -> bool {
        self.misses_place(scene).is_none()
    }

    /// Whether it is told that the pair flaps in this state.
    pub fn tells_flapping(&self, scene: &Scene<'_>, state: AnyState) -> bool {
        let told = matches!(self.moment, Moment::On(On::Hard | On::Change) | Moment::Lasting(_) | Moment::After(_));
        told && self.is_for(scene) && (self.states.is_empty() || self.states.contains(&state))
    }

    /// Whether a filter names the state in which all is well: then reaching it is what the Action is for.
    fn names_well(&self) -> bool {
        self.outcome == Some(Outcome::Ok) || self.states.iter().any(|state| state.is_well())
    }

    /// Whether a filter names what is skipped for this reason.
    fn names_skipped(&self, reason: Option<Reason>) -> bool {
        self.outcome == Some(Outcome::Skipped) || reason.is_some_and(|reason| self.reasons.contains(&reason))
    }

    fn misses_place(&self, scene: &Scene<'_>) -> Miss {
        let host = &scene.host.meta;
        match scene.event.task() {
            Some(_) if self.object == ObjectKind::Host => return Some("object: it is of hosts".to_owned()),
            None if !self.is_of_hosts() => return Some("object: it is of tasks".to_owned()),
            _ => {}
        }
        if !self.hosts.is_empty() && !self.hosts.contains(&host.name) {
            return Some(format!("hosts: \"{}\" is not among them", host.name));
        }
        if self.selector.as_ref().is_some_and(|selector| !selector.matches(host.name.as_str(), &host.labels)) {
            return Some(format!("selector: it does not match host \"{}\"", host.name));
        }
        let name = scene.event.task()?;
        if !self.tasks.is_empty() && !self.tasks.contains(name) {
            return Some(format!("tasks: \"{name}\" is not among them"));
        }
        let selector = self.task_selector.as_ref()?;
        let matches = scene.task.is_some_and(|task| selector.matches(name.as_str(), &task.meta.labels));
        (!matches).then(|| format!("task_selector: it does not match task \"{name}\""))
    }

    fn fits_pair(&self, scene: &Scene<'_>, before: &PairStanding, after: &PairStanding, host_down: bool) -> Fit {
        match self.moment {
            Moment::On(On::Late) => {
                return standing_of(before.late, after.late, after, "late: whether it is late is as before");
            }
            Moment::On(On::Stale) => {
                return standing_of(before.stale, after.stale, after, "stale: whether it is stale is as before");
            }
            _ => {}
        }
        let Some(result) = scene.result else { return Fit::no("on: there is no Result") };
        if let Some(reason) = result.reason.filter(|reason| matches!(reason, Reason::Aborted | Reason::Cancelled)) {
            // They tell nothing of the task, so they are no change of anything: only who asks for them hears of them.
            return if self.reasons.contains(&reason) || scene.measures {
                Fit::tells(Tells::Problem(AnyState::Task(State::Unknown)))
            } else {
                Fit::no(format!("reasons: {reason} has to be named"))
            };
        }
        let executed = result.outcome != Outcome::Skipped;
        if !executed && !scene.measures && self.names_skipped(result.reason) {
            // It changes no state, so that there is no other moment to tell of it.
            return Fit::tells(Tells::Other(None));
        }
        let transport = executed && result.reason.is_some_and(Reason::leaves_state);
        if (host_down || transport) && executed && !scene.measures {
            return Fit::no("its host is not UP: that is told of the host, not of its tasks");
        }
        let counts = executed && !host_down && !transport;
        // Whatever was told before: an event may have got lost, the end of it must not.
        let over = counts && !after.is_problem();
        let state = after.state().filter(|_| counts);
        match self.moment {
            Moment::On(On::Result) => Fit::tells(of_result(result)).over(over),
            Moment::On(On::Change) => match state {
                Some(_) if after.state == before.state => Fit::no("on: the state is as before"),
                Some(state) => self.entered(state, before.state.is_some()).over(over),
                None => Fit::no("on: a SKIPPED Result changes no state"),
            },
            Moment::On(On::Hard) | Moment::Lasting(_) => match (state, after.stands()) {
                (None, _) => Fit::no("on: a SKIPPED Result changes no state"),
                (Some(_), Stands::Soft(_)) => Fit::no(format!("on: the state is soft (attempt {})", after.attempt)),
                (Some(_), stands @ Stands::Hard(_)) if stands == before.stands() => {
                    Fit::no("on: the hard state is as before")
                }
                (Some(state), _) => {
                    let was_hard = matches!(before.stands(), Stands::Hard(_));
                    self.entered(state, after.is_problem() || was_hard).over(over)
                }
            },
            Moment::After(count) => match state {
                Some(state) if after.is_problem() && scene.in_row == count => Fit::tells(Tells::Problem(state)),
                Some(_) if after.is_problem() => Fit::no(format!("after: this is PROBLEM {} in a row", scene.in_row)),
                _ => Fit::no("after: this is no PROBLEM").over(over),
            },
            Moment::On(On::Late | On::Stale) => Fit::no("on: it is neither late nor stale"),
        }
    }

    /// A state was entered: wrong, or well again, which is told by itself only to who asks for it.
    fn entered(&self, state: AnyState, known: bool) -> Fit {
        if !state.is_well() {
            Fit::tells(Tells::Problem(state))
        } else if !self.names_well() {
            Fit::no("outcome: all is well")
        } else if known {
            Fit::tells(Tells::Other(Some(state)))
        } else {
            Fit::no("on: all was well before, or nothing was known")
        }
    }

    fn fits_unlinked(&self, scene: &Scene<'_>) -> Fit {
        let Some(result) = scene.result else { return Fit::no("on: there is no Result") };
        let named = result.reason.is_some_and(|reason| self.reasons.contains(&reason));
        match (self.moment, result.reason) {
            (_, Some(reason @ (Reason::Aborted | Reason::Cancelled))) if !named && !scene.measures => {
                Fit::no(format!("reasons: {reason} has to be named"))
            }
            (_, Some(reason)) if reason.leaves_state() && !named && !scene.measures => {
                Fit::no("its host is not UP: that is told of the host, not of its tasks")
            }
            (Moment::On(On::Result), _) => Fit::tells(of_result(result)),
            _ => Fit::no("on: the task is not linked to the host, so it has no state there; on: result would be told"),
        }
    }

    fn fits_host(&self, before: &HostStanding, after: &HostStanding) -> Fit {
        let Some(state) = after.state() else { return Fit::no("on: the host was not connected to yet") };
        let over = !after.is_problem();
        if state == AnyState::Host(HostState::Unreachable) && !self.states.contains(&state) {
            // One dead host is one event: that of the jump host.
            return Fit::no("states: UNREACHABLE has to be named");
        }
        let known = before.state.is_some();
        match self.moment {
            Moment::On(On::Result) if after.is_problem() => Fit::tells(Tells::Problem(state)),
            Moment::On(On::Result) => Fit::tells(Tells::Other(Some(state))).over(over),
            Moment::On(On::Change) if after.state == before.state => Fit::no("on: the state is as before"),
            Moment::On(On::Change) => self.entered(state, known).over(over),
            Moment::On(On::Hard) | Moment::Lasting(_) => match after.stands() {
                Stands::Soft(_) => Fit::no(format!("on: the state is soft (attempt {})", after.attempt)),
                stands @ Stands::Hard(_) if stands == before.stands() => Fit::no("on: the hard state is as before"),
                _ => {
                    let was_hard = matches!(before.stands(), Stands::Hard(_));
                    self.entered(state, after.is_problem() || was_hard).over(over)
                }
            },
            Moment::After(count) if after.is_problem() => {
                if after.attempt == count && before.attempt != count {
                    Fit::tells(Tells::Problem(state))
                } else {
                    Fit::no(format!("after: this is failed connect {} in a row", after.attempt))
                }
            }
            Moment::After(_) => Fit::no("after: this is no PROBLEM").over(over),
            Moment::On(On::Late | On::Stale) => Fit::no("on: a host is neither late nor stale"),
        }
    }

    /// What the filters ask of the PROBLEM itself.
    fn misses_facts(&self, scene: &Scene<'_>, tells: Tells) -> Miss {
        let state = match tells {
            Tells::Problem(state) => Some(state),
            Tells::Other(state) => state,
        };
        let outcome = match (tells, state) {
            (Tells::Problem(_), _) => Outcome::Problem,
            (Tells::Other(_), Some(_)) => Outcome::Ok,
            (Tells::Other(_), None) => Outcome::Skipped,
        };
        if let Some(wanted) = self.outcome.filter(|wanted| *wanted != outcome) {
            return Some(format!("outcome: it is {outcome}, not {wanted}"));
        }
        if !self.states.is_empty() && !state.is_some_and(|state| self.states.contains(&state)) {
            let is = state.map_or("none".to_owned(), |state| state.to_string());
            return Some(format!("states: {is} is not among them"));
        }
        let reason = match &scene.event.change {
            Change::Host { after, .. } => after.reason,
            _ => scene.result.and_then(|result| result.reason),
        };
        if !self.reasons.is_empty() && !reason.is_some_and(|reason| self.reasons.contains(&reason)) {
            let is = reason.map_or("none".to_owned(), |reason| reason.to_string());
            return Some(format!("reasons: {is} is not among them"));
        }
        let asks = !self.exit_codes.is_empty() || self.perf.is_some() || self.output_regex.is_some();
        let Some(result) = scene.result else { return asks.then(|| "there is no Result to look into".to_owned()) };
        let code = result.exit_code.and_then(|code| u8::try_from(code).ok());
        if !self.exit_codes.is_empty() && !code.is_some_and(|code| self.exit_codes.contains(&code)) {
            let is = result.exit_code.map_or("none".to_owned(), |code| code.to_string());
            return Some(format!("exit_codes: {is} is not among them"));
        }
        let perf = self.perf.as_ref()?;
        perf.check(result.perfdata.as_deref().unwrap_or_default()).err().map(|miss| format!("perf: {miss}"))
    }
}

fn standing_of(before: bool, after: bool, pair: &PairStanding, same: &str) -> Fit {
    match (before, after) {
        (false, true) => {
            let state = pair.state().filter(|state| !state.is_well()).unwrap_or(AnyState::Task(State::Unknown));
            Fit::tells(Tells::Problem(state))
        }
        (true, false) => Fit::no("on: it is over").over(true),
        _ => Fit::no(format!("on: {same}")),
    }
}

fn of_result(result: &RunResult) -> Tells {
    let state = result.state.map(AnyState::Task);
    match (result.outcome, state) {
        (Outcome::Problem, state) => Tells::Problem(state.unwrap_or(AnyState::Task(State::Unknown))),
        (_, state) => Tells::Other(state),
    }
}

#[cfg(test)]
mod tests;
