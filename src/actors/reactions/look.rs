//! Looking at what has happened, and at what time has brought.

use std::collections::HashMap;
use std::sync::Arc;

use super::Reactions;
use super::deliver::Courier;
use super::desk::{Desk, Subject};
use super::surroundings::{Surroundings, terms};
use crate::actors::parts::NodeParts;
use crate::model::action::{Moment, On, Then};
use crate::model::{
    Action, Catalog, Change, Evaluated, Event, Fit, Host, Name, NoticeKey, NoticeKind, NotificationOutcome, Outcome,
    Recipient, RunResult, Scene, Stands, State, Task, Tells, Trace, TraceItem,
};

/// So many Actions may follow from one another.
const DEPTH: usize = 8;

/// What has happened, with all that is needed to look at it.
#[derive(Debug)]
pub(in crate::actors) struct Facts {
    pub(in crate::actors) event: Event,
    /// The Result that tells of it.
    pub(in crate::actors) result: Option<Arc<RunResult>>,
    /// The Actions that led to it, the last one first.
    pub(in crate::actors) chain: Vec<Name>,
    /// Whether what an Action searches for is there; the others ask for nothing.
    pub(in crate::actors) found: HashMap<Name, Result<(), String>>,
}

impl Facts {
    /// What an Action looks at; in a row stands what it counts itself.
    fn scene<'a>(&'a self, host: &'a Host, task: Option<&'a Task>, in_row: u32, measures: bool) -> Scene<'a> {
        Scene { event: &self.event, host, task, result: self.result.as_deref(), in_row, measures }
    }

    /// Whether an Action may fire a task because of it.
    fn chain_ends(&self, action: &Action) -> Option<String> {
        if !matches!(action.then, Then::Run(_)) {
            return None;
        }
        if self.chain.contains(&action.meta.name) {
            return Some("it is in the chain that led to this Result: it is not fired again".to_owned());
        }
        (self.chain.len() >= DEPTH).then(|| format!("the chain that led to this Result is {DEPTH} Actions long"))
    }
}

impl Reactions {
    /// Looks at what has happened; what comes of it is to be written.
    pub(in crate::actors) fn look_at(&self, parts: &NodeParts, courier: &dyn Courier, facts: &Facts) -> Evaluated {
        let catalog = parts.published.get();
        let around = Surroundings { catalog: &catalog, board: &parts.board, now: parts.clock.now().into() };
        let mut out = Evaluated { event: Some(facts.event.id), ..Evaluated::default() };
        let mut items = Vec::new();
        let measure: Measure<'_> = &|action, host, result| courier.measure(action, host, result);
        let mut state = self.state();
        if let Some(host) = catalog.hosts.get(&facts.event.host) {
            let mut actions: Vec<_> = catalog.actions.values().filter(|action| action.enabled).collect();
            actions.sort_by(|one, other| one.meta.name.cmp(&other.meta.name));
            for action in actions {
                let mut desk = Desk { action, around: &around, ids: &parts.ids, state: &mut state, out: &mut out };
                items.push(look(&mut desk, measure, facts, host));
            }
        }
        if facts.event.has_result && !items.is_empty() && !is_plain(facts, &items, &catalog) {
            out.trace = Some(Trace { result: facts.event.id, at: Some(around.now), why: None, items });
        }
        out
    }

    /// Looks at what time has brought; what comes of it is to be written.
    pub(in crate::actors) fn look_around(&self, parts: &NodeParts) -> Evaluated {
        let catalog = parts.published.get();
        let around = Surroundings { catalog: &catalog, board: &parts.board, now: parts.clock.now().into() };
        let mut out = Evaluated::default();
        let mut state = self.state();
        let keys: Vec<NoticeKey> = state.notices.keys().cloned().collect();
        for key in keys {
            let stands = catalog.actions.get(&key.action).filter(|action| action.enabled).and_then(|action| {
                let gone = key.contact.as_ref().is_some_and(|contact| !catalog.contacts.contains_key(contact));
                let stands = around.stands(action, &key.host, key.task.as_ref()).filter(|_| !gone)?;
                Some((action, stands))
            });
            let Some((action, stands)) = stands else {
                state.notices.remove(&key);
                out.notices.push((key, None));
                continue;
            };
            let Some(notice) = state.notices.get(&key) else { continue };
            if notice.waits(&terms(action)) {
                let mut desk = Desk { action, around: &around, ids: &parts.ids, state: &mut state, out: &mut out };
                desk.look(&key, stands);
            } else if notice.is_over(&terms(action), around.now) {
                state.notices.remove(&key);
                out.notices.push((key, None));
            }
        }
        state.sent.retain(|action, _| catalog.actions.contains_key(action));
        state.counts.retain(|action, _| catalog.actions.contains_key(action));
        state.troubles.retain(|action, _| catalog.actions.contains_key(action));
        out
    }

    /// What each Action that was there makes of a Result with which nothing changed; what it was told of before is left aside.
    pub(in crate::actors) fn retell(&self, parts: &NodeParts, facts: &Facts) -> Vec<TraceItem> {
        let catalog = parts.published.get();
        let around = Surroundings { catalog: &catalog, board: &parts.board, now: parts.clock.now().into() };
        let Some(host) = catalog.hosts.get(&facts.event.host) else { return Vec::new() };
        let was_there =
            |action: &&Arc<Action>| action.enabled && action.meta.created_at.is_none_or(|at| at <= facts.event.at);
        let mut items: Vec<TraceItem> = Vec::new();
        for action in catalog.actions.values().filter(was_there) {
            let (mut state, mut out) = (super::State::default(), Evaluated::default());
            let mut desk = Desk { action, around: &around, ids: &parts.ids, state: &mut state, out: &mut out };
            items.push(look(&mut desk, &|_, _, _| {}, facts, host));
        }
        items.sort_by(|one, other| one.action.cmp(&other.action));
        items
    }
}

/// Whether nothing has changed and all is well, so that no Action had anything to say: there are many such Results, and what
/// Actions make of one can be told again.
fn is_plain(facts: &Facts, items: &[TraceItem], catalog: &Catalog) -> bool {
    let measures =
        |item: &TraceItem| catalog.actions.get(&item.action).is_some_and(|action| action.then.is_of_metrics());
    // One that leaves the state as it is, of a host that is not reached say, may be a PROBLEM all the same.
    let is_problem = facts.result.as_ref().is_some_and(|result| result.outcome == Outcome::Problem);
    let same = match &facts.event.change {
        Change::Pair { before, after, .. } => before == after && after.state == Some(State::Ok),
        Change::Unlinked { .. } | Change::Host { .. } => false,
    };
    same && !is_problem && items.iter().all(|item| measures(item) || (item.told.is_empty() && !item.matched))
}

/// Takes what a run has measured.
type Measure<'a> = &'a dyn Fn(&Action, &Host, &RunResult);

pub(super) fn item(action: &Action) -> TraceItem {
    TraceItem {
        action: action.meta.name.clone(),
        version: action.meta.version,
        matched: false,
        why: None,
        told: Vec::new(),
    }
}

/// A sink of measurements has been given its own: it tells nobody.
fn measured(action: &Action) -> Recipient {
    Recipient {
        contact: None,
        kind: None,
        outcome: Some(NotificationOutcome::Sent),
        detail: format!("its measurements, into the queue to {}", action.then.kind()),
        notification: None,
        run: None,
    }
}

pub(super) fn look(desk: &mut Desk<'_>, measure: Measure<'_>, facts: &Facts, host: &Host) -> TraceItem {
    let action = desk.action;
    let name = facts.event.task();
    let task = name.and_then(|name| desk.around.catalog.tasks.get(name)).map(Arc::as_ref);
    let of = Subject { host: &facts.event.host, task: name, result: facts.result.as_ref().map(|result| result.id) };
    let measures = action.then.is_of_metrics();
    let in_row = counted(desk, facts, of, host, task);
    let scene = facts.scene(host, task, in_row, measures);
    let Fit { over, tells } = action.when.fits(&scene);
    let tells = match (tells, facts.found.get(&action.meta.name)) {
        (Ok(_), Some(Err(why))) => Err(why.clone()),
        (tells, _) => tells,
    };
    let mut item = item(action);
    if measures {
        match (tells, facts.result.as_deref()) {
            (Ok(_), Some(result)) => {
                item.matched = true;
                measure(action, host, result);
                desk.state.counts.entry(action.meta.name.clone()).or_default().fired += 1;
                item.told.push(measured(action));
            }
            (Ok(_), None) => item.why = Some("there is no Result to measure".to_owned()),
            (Err(why), _) => item.why = Some(why),
        }
        return item;
    }
    if let Change::Pair { before, after, .. } = &facts.event.change
        && before.flapping != after.flapping
        && let Some(state) = after.state().filter(|state| action.when.tells_flapping(&scene, *state))
    {
        item.told.extend(desk.flapping(of, after.flapping, state));
    }
    if over {
        let state = match &facts.event.change {
            Change::Pair { after, .. } => after.state(),
            Change::Host { after, .. } => after.state(),
            Change::Unlinked { .. } => None,
        };
        item.told.extend(desk.over(of, state));
    }
    match tells {
        Err(why) => item.why = Some(why),
        Ok(tells) => {
            item.matched = true;
            if let Some(why) = facts.chain_ends(action) {
                item.why = Some(why);
                return item;
            }
            let told = match tells {
                Tells::Problem(state) => desk.problem(of, state),
                Tells::Other(state) => {
                    let well = state.is_some_and(crate::model::AnyState::is_well);
                    let is_end = well && !matches!(action.when.moment, Moment::On(On::Result));
                    let kind = if is_end { NoticeKind::Recovery } else { NoticeKind::Custom };
                    desk.other(of, kind, state, &item.told)
                }
            };
            item.told.extend(told);
        }
    }
    item
}

/// Which PROBLEM in a row this is, where the Action asks for that.
fn counted(desk: &mut Desk<'_>, facts: &Facts, of: Subject<'_>, host: &Host, task: Option<&Task>) -> u32 {
    let Moment::After(_) = desk.action.when.moment else { return 0 };
    let Change::Pair { after, host_down, .. } = &facts.event.change else { return 0 };
    let scene = facts.scene(host, task, 0, false);
    let Some(result) = facts.result.as_deref() else { return 0 };
    let counts =
        result.state.is_some() && !*host_down && !result.reason.is_some_and(crate::model::Reason::leaves_state);
    if !desk.action.when.is_for(&scene) {
        return 0;
    }
    if !counts {
        // Neither one more nor the end of them.
        return 0;
    }
    desk.count(of, matches!(after.stands(), Stands::Hard(_) | Stands::Soft(_)), after.attempt)
}
