//! The catalog: all definitions as one immutable snapshot, and the rules between them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::TimeDelta;
use rpds::RedBlackTreeMapSync;
use sha2::{Digest as _, Sha256};

use super::definition::Definition;
use super::{
    Action, Contact, Credential, CronLine, Downtime, DowntimeMode, DueRules, Fault, FinishBy, Host, HostTask, Hosts,
    Key, LineZone, Meta, Name, Noun, Program, Reference, Schedule, Secret, SecretText, Task, TaskSchedule, Timestamp,
    Timezone, When,
};

/// Definitions of one kind by name. Persistent: a changed copy shares all that did not change.
pub type Map<T> = RedBlackTreeMapSync<Name, Arc<T>>;

/// All definitions at one moment.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// +1 at every write; by it the store tells who lost a race.
    pub revision: u64,
    /// Secrets.
    pub secrets: Map<Secret>,
    /// Credentials.
    pub credentials: Map<Credential>,
    /// Hosts.
    pub hosts: Map<Host>,
    /// Programs.
    pub programs: Map<Program>,
    /// Tasks.
    pub tasks: Map<Task>,
    /// Schedules.
    pub schedules: Map<Schedule>,
    /// Host-tasks.
    pub host_tasks: Map<HostTask>,
    /// Task-schedules.
    pub task_schedules: Map<TaskSchedule>,
    /// Downtimes.
    pub downtimes: Map<Downtime>,
    /// Contacts.
    pub contacts: Map<Contact>,
    /// Actions.
    pub actions: Map<Action>,
    /// Keys.
    pub keys: Map<Key>,
}

/// A kind of definition that has its place in the catalog.
pub trait Catalogued: Definition {
    /// Where it stands.
    fn map(catalog: &Catalog) -> &Map<Self>;
    /// Where it stands, to be changed.
    fn map_mut(catalog: &mut Catalog) -> &mut Map<Self>;
    /// As one of any kind.
    fn any(definition: Arc<Self>) -> AnyDefinition;
}

/// Calls a macro with every kind: type, `AnyDefinition` variant, catalog field.
#[macro_export]
macro_rules! for_each_noun {
    ($call:ident) => {
        $call! {
            Secret secrets, Credential credentials, Host hosts, Program programs, Task tasks, Schedule schedules,
            HostTask host_tasks, TaskSchedule task_schedules, Downtime downtimes, Contact contacts, Action actions, Key keys
        }
    };
}

macro_rules! catalogued {
    ($($kind:ident $field:ident),*) => {
        /// A definition of any kind.
        #[derive(Debug, Clone, PartialEq)]
        pub enum AnyDefinition {
            $(#[doc = concat!("One of the ", stringify!($field), ".")] $kind(Arc<$kind>),)*
        }

        impl AnyDefinition {
            /// Its kind and name.
            pub fn reference(&self) -> Reference {
                match self {
                    $(Self::$kind(one) => Reference { noun: $kind::NOUN, name: one.meta.name.clone() },)*
                }
            }

            /// The definitions it names.
            pub fn references(&self) -> Vec<(String, Reference)> {
                match self { $(Self::$kind(one) => one.references(),)* }
            }

            /// Its version.
            pub fn version(&self) -> u64 {
                match self { $(Self::$kind(one) => one.meta.version,)* }
            }

            /// Its document, which holds no secret.
            pub fn document(&self) -> serde_json::Result<serde_json::Value> {
                match self { $(Self::$kind(one) => serde_json::to_value(one.document()),)* }
            }
        }

        $(impl Catalogued for $kind {
            fn map(catalog: &Catalog) -> &Map<Self> {
                &catalog.$field
            }
            fn map_mut(catalog: &mut Catalog) -> &mut Map<Self> {
                &mut catalog.$field
            }
            fn any(definition: Arc<Self>) -> AnyDefinition {
                AnyDefinition::$kind(definition)
            }
        })*

        impl Catalog {
            /// Whether there is one of this kind and name.
            pub fn contains(&self, noun: Noun, name: &Name) -> bool {
                match noun { $(Noun::$kind => self.$field.contains_key(name),)* }
            }

            /// The definition of this kind and name.
            pub fn get(&self, noun: Noun, name: &Name) -> Option<AnyDefinition> {
                match noun { $(Noun::$kind => self.$field.get(name).cloned().map(AnyDefinition::$kind),)* }
            }

            /// Puts a definition in its place.
            pub fn insert(&mut self, definition: AnyDefinition) {
                match definition {
                    $(AnyDefinition::$kind(one) => { self.$field.insert_mut(one.meta.name.clone(), one); })*
                }
            }

            /// Takes a definition out.
            pub fn remove(&mut self, noun: Noun, name: &Name) {
                match noun { $(Noun::$kind => { self.$field.remove_mut(name); })* }
            }

            /// How many there are of a kind.
            pub fn count(&self, noun: Noun) -> usize {
                match noun { $(Noun::$kind => self.$field.size(),)* }
            }
        }
    };
}
for_each_noun!(catalogued);

impl Catalog {
    /// Which of the things that a document names are not there.
    pub fn missing(&self, named: Vec<(String, Reference)>) -> Vec<Fault> {
        named
            .into_iter()
            .filter(|(_, other)| !self.contains(other.noun, &other.name))
            .map(|(pointer, other)| Fault::missing(pointer, &other))
            .collect()
    }

    /// Who names a definition.
    pub fn users_of(&self, used: &Reference) -> Vec<Reference> {
        self.users_among(&BTreeSet::from([used.clone()])).into_iter().map(|(_, user)| user).collect()
    }

    /// Who names any of these definitions: each with its user, by kind and name of the user.
    pub fn users_among(&self, used: &BTreeSet<Reference>) -> Vec<(Reference, Reference)> {
        fn users<T: Catalogued>(
            catalog: &Catalog,
            used: &BTreeSet<Reference>,
            found: &mut Vec<(Reference, Reference)>,
        ) {
            for (name, one) in T::map(catalog) {
                let mut named: Vec<Reference> = one.references().into_iter().map(|(_, other)| other).collect();
                named.retain(|other| used.contains(other));
                named.sort();
                named.dedup();
                let user = Reference { noun: T::NOUN, name: name.clone() };
                found.extend(named.into_iter().map(|other| (other, user.clone())));
            }
        }
        let mut found = Vec::new();
        macro_rules! each {
            ($($kind:ident $field:ident),*) => { $(users::<$kind>(self, used, &mut found);)* };
        }
        for_each_noun!(each);
        found
    }

    /// What a secret says.
    pub fn secret(&self, name: &Name) -> Option<&SecretText> {
        self.secrets.get(name).map(|secret| &secret.value)
    }

    /// The hosts through which others are reached.
    pub fn jumps(&self) -> HashSet<Name> {
        self.hosts.values().filter_map(|host| host.jump.clone()).collect()
    }

    /// The tasks linked to a host, each with the link that counts: one naming the host beats selectors, then the
    /// first by name; a link that names the host and is not enabled excludes it.
    pub fn tasks_of(&self, host: &Host) -> Vec<(Arc<Task>, Arc<HostTask>)> {
        let mut chosen: std::collections::BTreeMap<&Name, &Arc<HostTask>> = std::collections::BTreeMap::new();
        for link in self.host_tasks.values() {
            let named = matches!(link.on, Hosts::Named(_));
            if !(link.enabled || named) || !link.on.covers(host) {
                continue;
            }
            chosen
                .entry(&link.task)
                .and_modify(|other| {
                    if named && !matches!(other.on, Hosts::Named(_)) {
                        *other = link;
                    }
                })
                .or_insert(link);
        }
        chosen
            .into_values()
            .filter(|link| link.enabled)
            .filter_map(|link| Some((Arc::clone(self.tasks.get(&link.task)?), Arc::clone(link))))
            .collect()
    }

    /// The downtimes that keep a task from running on a host, those that are not on now included.
    pub fn pauses_of(&self, task: &Name, host: &Host) -> Vec<Arc<Downtime>> {
        let pauses = |downtime: &Downtime| {
            downtime.mode == DowntimeMode::Pause && downtime.is_of(task) && downtime.on.covers(host)
        };
        self.downtimes.values().filter(|downtime| pauses(downtime)).cloned().collect()
    }

    /// The downtimes that are on at this moment, on whichever of the hosts they cover.
    pub fn downtimes_at(&self, now: Timestamp) -> DowntimesOn {
        DowntimesOn { now, all: self.downtimes.values().filter(|one| one.period.may_be_on(now)).cloned().collect() }
    }

    /// When a task runs on a host: all its lines there.
    pub fn lines_of(&self, task: &Name, host: &Host) -> Vec<PairLine> {
        let links = self.due_on(host).filter(|link| link.task == *task);
        links.filter_map(|link| self.line_of(link, host)).collect()
    }

    /// What makes each task due on a host, also those that are not linked to it.
    pub fn links_on(&self, host: &Host) -> HashMap<&Name, Vec<&TaskSchedule>> {
        let mut links: HashMap<&Name, Vec<&TaskSchedule>> = HashMap::new();
        for link in self.due_on(host) {
            links.entry(&link.task).or_default().push(link);
        }
        links
    }

    /// All that makes something due on a host.
    fn due_on<'a>(&'a self, host: &Host) -> impl Iterator<Item = &'a TaskSchedule> {
        let applies = |link: &&TaskSchedule| link.enabled && link.on.as_ref().is_none_or(|on| on.covers(host));
        self.task_schedules.values().map(|link| &**link).filter(applies)
    }

    /// The line by which a task-schedule makes its task due on a host; none where its schedule is not enabled.
    pub fn line_of(&self, link: &TaskSchedule, host: &Host) -> Option<PairLine> {
        let line = match &link.when {
            When::Inline { cron, timezone, rules } => {
                PairLine::of(&link.meta, cron, *timezone, rules, host, &link.task)
            }
            When::Schedule(name) => {
                let schedule = self.schedules.get(name).filter(|schedule| schedule.enabled)?;
                let Schedule { meta, cron, timezone, rules, .. } = &**schedule;
                let line = PairLine::of(meta, cron, *timezone, rules, host, &link.task);
                PairLine { since: line.since.max(link.meta.updated_at), ..line }
            }
        };
        Some(PairLine { finish_by: link.finish_by.clone(), ..line })
    }
}

/// The downtimes that are on at one moment.
#[derive(Debug, Clone)]
pub struct DowntimesOn {
    now: Timestamp,
    all: Vec<Arc<Downtime>>,
}

impl DowntimesOn {
    /// Whether one of them is on for a host with all its tasks.
    pub fn cover_host(&self, host: &Host) -> bool {
        self.all.iter().any(|downtime| downtime.task.is_none() && downtime.is_on(host, self.now))
    }

    /// Whether one of them is on for a task on a host.
    pub fn cover(&self, host: &Host, task: &Name) -> bool {
        self.all.iter().any(|downtime| downtime.is_of(task) && downtime.is_on(host, self.now))
    }
}

/// One line by which a pair is due. Each pair has its own; what is the same for many it shares with them.
#[derive(Debug, Clone, PartialEq)]
pub struct PairLine {
    /// The schedule, or the task-schedule where the line stands there.
    pub schedule: Name,
    /// The line.
    pub cron: CronLine,
    /// The zone whose wall clock it follows.
    pub timezone: Timezone,
    /// How its instants are taken.
    pub rules: Arc<DueRules>,
    /// How far this pair is from the line's instants.
    pub offset: TimeDelta,
    /// By when what it makes due must have gone well.
    pub finish_by: Option<Arc<FinishBy>>,
    /// Since when it is so by its definitions: earlier instants came by others, or by none.
    pub since: Option<Timestamp>,
}

impl PairLine {
    fn of(meta: &Meta, cron: &CronLine, zone: LineZone, rules: &Arc<DueRules>, host: &Host, task: &Name) -> Self {
        Self {
            schedule: meta.name.clone(),
            cron: cron.clone(),
            timezone: zone.on(host.timezone),
            offset: rules.splay.offset(cron, &host.meta.name, task),
            rules: Arc::clone(rules),
            finish_by: None,
            since: meta.updated_at,
        }
    }

    /// A number that differs where other instants are due.
    pub fn digest(lines: &[Self]) -> u64 {
        let mut hash = Sha256::new();
        for Self { cron, timezone, rules, offset, .. } in lines {
            let bound = |bound: Option<Timestamp>| bound.map(Timestamp::millis);
            let (first, last) = (bound(rules.not_before), bound(rules.not_after));
            hash.update(format!("{} {timezone} {} {first:?} {last:?}\n", cron.as_str(), offset.num_milliseconds()));
        }
        hash.finalize().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}
