//! Of what and when an Action is.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::expect::Pattern;
use super::super::work::check_text;
use super::super::{AnyState, Faults, Name, Noun, Outcome, Reason, Reference, Selector, Span};
use super::perf::PerfCondition;
use super::{each_named, once_each};

/// Most names of one kind.
const MOST_NAMES: usize = 10_000;

/// Of what and when an Action is: all that is given must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct When {
    /// Of tasks on hosts, of hosts themselves, or of both.
    pub object: ObjectKind,
    /// Of these tasks; none for all. An event of a host is of no task.
    pub tasks: Vec<Name>,
    /// On these hosts; none for all.
    pub hosts: Vec<Name>,
    /// On hosts with these labels.
    pub selector: Option<Selector>,
    /// Of tasks with these labels.
    pub task_selector: Option<Selector>,
    /// With this outcome; for a host UP is OK, and all else a PROBLEM.
    pub outcome: Option<Outcome>,
    /// In one of these states; none for all.
    pub states: BTreeSet<AnyState>,
    /// For one of these reasons; none for all, save `aborted` and `cancelled`, which have to be named.
    pub reasons: Vec<Reason>,
    /// With one of these exit codes; none for all.
    pub exit_codes: BTreeSet<u8>,
    /// At which moment.
    pub moment: Moment,
    /// To be found in the standard output.
    pub output_regex: Option<Pattern>,
    /// To be measured by the plugin.
    pub perf: Option<PerfCondition>,
}

/// What an event is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ObjectKind {
    /// A task on a host.
    Task,
    /// A host.
    Host,
    /// Either.
    #[default]
    Both,
}

/// At which moment something follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// When this happens.
    On(On),
    /// At the n-th PROBLEM in a row, once.
    After(u32),
    /// When a hard PROBLEM is that old and unhandled, once.
    Lasting(Span),
}

/// What has to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum On {
    /// Any Result, or any change of a host.
    Result,
    /// The state, soft or hard, differs from before.
    Change,
    /// A hard state is entered, or differs from the one before.
    #[default]
    Hard,
    /// There is no OK Result by the `finish_by` of the task-schedule.
    Late,
    /// Nothing was executed for too long.
    Stale,
}

/// Of what and when, as a document.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WhenDocument {
    /// Of tasks on hosts, of hosts themselves, or of both: `task`, `host` or `both`.
    pub object: Option<ObjectKind>,
    /// Of these tasks.
    pub tasks: Option<Vec<Name>>,
    /// On these hosts.
    pub hosts: Option<Vec<Name>>,
    /// On hosts with these labels.
    pub selector: Option<Selector>,
    /// Of tasks with these labels.
    pub task_selector: Option<Selector>,
    /// With this outcome; for a host UP is OK, and all else a PROBLEM.
    pub outcome: Option<Outcome>,
    /// In one of these states.
    pub states: Option<Vec<AnyState>>,
    /// For one of these reasons; `aborted` and `cancelled` have to be named.
    pub reasons: Option<Vec<Reason>>,
    /// With one of these exit codes.
    pub exit_codes: Option<Vec<i64>>,
    /// At which moment: `result`, `change`, `hard`, `late` or `stale`; `hard` by default, `result` for graphite, ganglia
    /// and influx.
    pub on: Option<On>,
    /// At the n-th PROBLEM in a row, once; in place of `on`.
    #[schema(minimum = 1)]
    #[serde(deserialize_with = "crate::model::whole::within::<1, 4294967295, u32, _>")]
    pub after: Option<u32>,
    /// When a hard PROBLEM is that old and unhandled, once.
    pub lasting: Option<Span>,
    /// To be found in the standard output.
    #[schema(max_length = 4096)]
    pub output_regex: Option<String>,
    /// To be measured by the plugin: `load1 > 5`.
    pub perf: Option<PerfCondition>,
}

impl When {
    /// Whether it is of tasks on hosts at all.
    pub fn is_of_tasks(&self) -> bool {
        self.object != ObjectKind::Host
    }

    /// Whether it is of hosts themselves at all: not where something is said that only a task has.
    pub fn is_of_hosts(&self) -> bool {
        let of_task = !self.tasks.is_empty()
            || self.task_selector.is_some()
            || !self.exit_codes.is_empty()
            || self.output_regex.is_some()
            || self.perf.is_some();
        self.object != ObjectKind::Task && !of_task
    }

    /// Checks a document that stands at `/when`, finding all its faults; `measures` is whether it is for what was measured.
    pub(super) fn check(document: WhenDocument, measures: bool, faults: &mut Faults) -> Self {
        let moment = check_moment(&document, measures, faults);
        let object = document.object.unwrap_or_default();
        if object == ObjectKind::Host {
            check_host(&document, measures, faults);
        }
        check_states(&document, object, faults);
        let exit_codes = check_codes(document.exit_codes.as_deref(), faults);
        let output_regex = document.output_regex.as_ref().and_then(|text| {
            check_text("/when/output_regex", text, faults);
            faults.take("/when/output_regex", Pattern::parse(text))
        });
        let mut names = |pointer: &str, names: Option<Vec<Name>>| {
            check_list(pointer, names.as_ref().map(Vec::len), faults);
            names.map(once_each).unwrap_or_default()
        };
        let (tasks, hosts) = (names("/when/tasks", document.tasks), names("/when/hosts", document.hosts));
        check_list("/when/reasons", document.reasons.as_ref().map(Vec::len), faults);
        Self {
            object,
            tasks,
            hosts,
            selector: document.selector,
            task_selector: document.task_selector,
            outcome: document.outcome,
            states: document.states.into_iter().flatten().collect(),
            reasons: document.reasons.map(once_each).unwrap_or_default(),
            exit_codes,
            moment,
            output_regex,
            perf: document.perf,
        }
    }

    /// The document, defaults filled in.
    pub(super) fn document(&self) -> WhenDocument {
        fn some<T: Clone>(all: &[T]) -> Option<Vec<T>> {
            (!all.is_empty()).then(|| all.to_vec())
        }
        let (on, after, lasting) = match self.moment {
            Moment::On(on) => (Some(on), None, None),
            Moment::After(count) => (None, Some(count), None),
            Moment::Lasting(span) => (None, None, Some(span)),
        };
        WhenDocument {
            object: Some(self.object),
            tasks: some(&self.tasks),
            hosts: some(&self.hosts),
            selector: self.selector.clone(),
            task_selector: self.task_selector.clone(),
            outcome: self.outcome,
            states: some(&self.states.iter().copied().collect::<Vec<_>>()),
            reasons: some(&self.reasons),
            exit_codes: some(&self.exit_codes.iter().copied().map(i64::from).collect::<Vec<_>>()),
            on,
            after,
            lasting,
            output_regex: self.output_regex.as_ref().map(|pattern| pattern.as_str().to_owned()),
            perf: self.perf.clone(),
        }
    }
}

impl WhenDocument {
    /// The definitions it names, each with its pointer in the document of the Action.
    pub(super) fn named(&self) -> Vec<(String, Reference)> {
        let tasks = each_named(Noun::Task, "/when/tasks", self.tasks.as_deref());
        tasks.into_iter().chain(each_named(Noun::Host, "/when/hosts", self.hosts.as_deref())).collect()
    }
}

fn check_moment(document: &WhenDocument, measures: bool, faults: &mut Faults) -> Moment {
    let WhenDocument { on, after, lasting, .. } = document;
    if *after == Some(0) {
        faults.add("/when/after", "must be at least 1: the number of the PROBLEM in a row");
    }
    if after.is_some() && on.is_some() {
        faults.add("/when/on", "does not go with after, which is a moment of its own");
    }
    if lasting.is_some_and(|lasting| lasting.get().is_zero()) {
        faults.add("/when/lasting", "must be longer than 0");
    }
    if lasting.is_some() && after.is_some() {
        faults.add("/when/lasting", "does not go with after: each is a moment of its own");
    }
    if lasting.is_some() && on.is_some_and(|on| on != On::Hard) {
        faults.add("/when/on", "must be hard or left out with lasting, which is of hard PROBLEMs");
    }
    if measures && (lasting.is_some() || matches!(on, Some(On::Late | On::Stale))) {
        let field = if lasting.is_some() { "lasting" } else { "on" };
        let detail =
            "does not go with graphite, ganglia and influx: no Result comes with it that could hold measurements";
        faults.add(format!("/when/{field}"), detail);
    }
    match (after, lasting) {
        (Some(count), _) => Moment::After(*count),
        (None, Some(span)) => Moment::Lasting(*span),
        (None, None) => Moment::On(on.unwrap_or(if measures { On::Result } else { On::Hard })),
    }
}

/// What can never hold for a host.
fn check_host(document: &WhenDocument, measures: bool, faults: &mut Faults) {
    if measures {
        faults.add("/when/object", "must be task or both with graphite, ganglia and influx: a host measures nothing");
    }
    let of_tasks = [
        ("tasks", document.tasks.is_some()),
        ("task_selector", document.task_selector.is_some()),
        ("exit_codes", document.exit_codes.is_some()),
        ("output_regex", document.output_regex.is_some()),
        ("perf", document.perf.is_some()),
    ];
    for (field, _) in of_tasks.into_iter().filter(|(_, given)| *given) {
        faults.add(format!("/when/{field}"), "does not go with object: host, whose events are of no task");
    }
    if matches!(document.on, Some(On::Late | On::Stale)) {
        faults.add("/when/on", "does not go with object: host: only a task on a host is late or stale");
    }
    if document.outcome == Some(Outcome::Skipped) {
        faults.add("/when/outcome", "does not go with object: host, whose events are OK or PROBLEM");
    }
}

fn check_states(document: &WhenDocument, object: ObjectKind, faults: &mut Faults) {
    check_list("/when/states", document.states.as_ref().map(Vec::len), faults);
    for (index, state) in document.states.iter().flatten().enumerate() {
        let (fits, whose) = match object {
            ObjectKind::Task => (!matches!(state, AnyState::Host(_)), "a task's are OK, WARNING, CRITICAL and UNKNOWN"),
            ObjectKind::Host => (matches!(state, AnyState::Host(_)), "a host's are UP, DOWN and UNREACHABLE"),
            ObjectKind::Both => (true, ""),
        };
        if !fits {
            let object = if object == ObjectKind::Task { "task" } else { "host" };
            faults.add(format!("/when/states/{index}"), format!("is no state of object: {object}; {whose}"));
        }
    }
}

fn check_codes(codes: Option<&[i64]>, faults: &mut Faults) -> BTreeSet<u8> {
    check_list("/when/exit_codes", codes.map(<[i64]>::len), faults);
    let mut wanted = BTreeSet::new();
    for (index, code) in codes.unwrap_or_default().iter().enumerate() {
        match u8::try_from(*code) {
            Ok(code) => drop(wanted.insert(code)),
            Err(_) => faults.add(format!("/when/exit_codes/{index}"), "must be from 0 to 255"),
        }
    }
    wanted
}

/// An empty list could mean all or none: nobody should have to guess.
fn check_list(pointer: &str, length: Option<usize>, faults: &mut Faults) {
    match length {
        Some(0) => faults.add(pointer, "must not be empty; leave it out for all"),
        Some(length) if length > MOST_NAMES => {
            faults.add(pointer, format!("holds {length} items; at most {MOST_NAMES} are allowed"));
        }
        _ => {}
    }
}
