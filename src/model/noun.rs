//! The nouns: the kinds of definition, as they stand in URLs and documents.

use std::fmt;

use super::Name;

/// A kind of definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Noun {
    /// A text that others name instead of holding it.
    Secret,
    /// How to log in.
    Credential,
    /// A machine reached over SSH.
    Host,
    /// A file that tasks run on hosts.
    Program,
    /// What to run.
    Task,
    /// When.
    Schedule,
    /// Which hosts a task is for.
    HostTask,
    /// When a task runs on its hosts.
    TaskSchedule,
    /// When work goes on somewhere.
    Downtime,
    /// Who is told.
    Contact,
    /// What follows when something happens.
    Action,
    /// Who may call the API.
    Key,
}

impl Noun {
    /// Every noun, so that what refers to others comes after them.
    pub const ALL: [Self; 12] = [
        Self::Key,
        Self::Secret,
        Self::Credential,
        Self::Host,
        Self::Program,
        Self::Task,
        Self::Schedule,
        Self::HostTask,
        Self::TaskSchedule,
        Self::Downtime,
        Self::Contact,
        Self::Action,
    ];

    /// In snake_case, as XML's root element and in the store: `host_task`.
    pub const fn singular(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Credential => "credential",
            Self::Host => "host",
            Self::Program => "program",
            Self::Task => "task",
            Self::Schedule => "schedule",
            Self::HostTask => "host_task",
            Self::TaskSchedule => "task_schedule",
            Self::Downtime => "downtime",
            Self::Contact => "contact",
            Self::Action => "action",
            Self::Key => "key",
        }
    }

    /// In snake_case, many of them: `host_tasks`.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Secret => "secrets",
            Self::Credential => "credentials",
            Self::Host => "hosts",
            Self::Program => "programs",
            Self::Task => "tasks",
            Self::Schedule => "schedules",
            Self::HostTask => "host_tasks",
            Self::TaskSchedule => "task_schedules",
            Self::Downtime => "downtimes",
            Self::Contact => "contacts",
            Self::Action => "actions",
            Self::Key => "keys",
        }
    }

    /// In a URL: `host-tasks`.
    pub const fn url(self) -> &'static str {
        match self {
            Self::HostTask => "host-tasks",
            Self::TaskSchedule => "task-schedules",
            _ => self.plural(),
        }
    }

    /// From the store's word or the URL's, singular or plural.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.replace('-', "_");
        Self::ALL.into_iter().find(|noun| noun.singular() == text || noun.plural() == text)
    }

    /// Whether one of them may concern a single host: then a key that is for that one alone may change it.
    pub const fn may_concern_one_host(self) -> bool {
        match self {
            Self::Host | Self::HostTask | Self::TaskSchedule | Self::Downtime | Self::Action => true,
            Self::Secret
            | Self::Credential
            | Self::Program
            | Self::Task
            | Self::Schedule
            | Self::Contact
            | Self::Key => false,
        }
    }

    /// Whether those that a document leaves out may be deleted by applying it: not where a secret would be lost with them
    /// or something be let loose.
    pub fn can_be_pruned(self) -> bool {
        !["credentials", "downtimes", "keys", "secrets"].contains(&self.plural())
    }

    /// Whether its names may hold `@`.
    pub const fn is_link(self) -> bool {
        matches!(self, Self::HostTask | Self::TaskSchedule)
    }

    /// Whether it is nothing without what it names, and is deleted with it where that is asked for.
    pub const fn goes_along(self) -> bool {
        matches!(self, Self::HostTask | Self::TaskSchedule | Self::Downtime)
    }
}

impl fmt::Display for Noun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.singular().replace('_', "-"))
    }
}

/// A definition named by another, or naming it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The kind of the other.
    pub noun: Noun,
    /// Its name.
    pub name: Name,
}

impl Reference {
    /// To what a field names, with the field's JSON pointer.
    pub(super) fn to(noun: Noun, pointer: &str, name: Option<&Name>) -> Option<(String, Self)> {
        name.map(|name| (pointer.to_owned(), Self { noun, name: name.clone() }))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}\"", self.noun, self.name)
    }
}
