//! Host-tasks: which hosts a task is for.

use super::definition::{Defaults, Definition, Meta, Secrets, document};
use super::{Env, Fault, Faults, Host, Limit, Name, Noun, Reference, Selector};

/// Which hosts a task is for.
#[derive(Debug, Clone, PartialEq)]
pub struct HostTask {
    /// The common fields.
    pub meta: Meta,
    /// The task.
    pub task: Name,
    /// The hosts.
    pub on: Hosts,
    /// In place of the task's own.
    pub timeout: Option<Limit>,
    /// Its variables; they win over the task's.
    pub env: Env,
    /// `false` with a named host excludes that host.
    pub enabled: bool,
}

/// One host by name, or all that a selector chooses, kept up to date as hosts change.
#[derive(Debug, Clone, PartialEq)]
pub enum Hosts {
    /// This one.
    Named(Name),
    /// These.
    Selected(Selector),
}

impl Hosts {
    /// Whether a host is meant.
    pub fn covers(&self, host: &Host) -> bool {
        match self {
            Self::Named(name) => *name == host.meta.name,
            Self::Selected(selector) => selector.matches(host.meta.name.as_str(), &host.meta.labels),
        }
    }
}

document! {
    /// A host-task as a document.
    pub struct HostTaskDocument {
        /// The name of a task.
        pub task: Option<Name>,
        /// The name of a host.
        pub host: Option<Name>,
        /// Which hosts.
        pub selector: Option<Selector>,
        /// In place of the task's own.
        pub timeout: Option<Limit>,
        /// Its variables; they win over the task's.
        pub env: Option<Env>,
        /// `false` with `host` excludes that host.
        #[schema(default = true)]
        pub enabled: Option<bool>,
    }
}

impl Definition for HostTask {
    const NOUN: Noun = Noun::HostTask;
    type Document = HostTaskDocument;

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn check(mut document: HostTaskDocument, _: &Secrets, _: &Defaults) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let default_name =
            document.task.as_ref().zip(document.host.as_ref()).map(|(task, host)| Name::link(task, host));
        if document.name.is_none() && default_name.is_none() && document.selector.is_some() {
            faults.add("/name", "is required with a selector (with host it may be left out: TASK@HOST)");
            document.name = Name::parse("unnamed").ok();
        }
        let meta = document.take_meta(Noun::HostTask, default_name, &mut faults);
        let task = faults.require("/task", document.task);
        let on = match (document.host, document.selector) {
            (Some(host), None) => Some(Hosts::Named(host)),
            (None, Some(selector)) => Some(Hosts::Selected(selector)),
            _ => {
                faults.add("", "exactly one of host and selector must be given");
                None
            }
        };
        if document.timeout.and_then(Limit::get).is_some_and(|limit| limit.is_zero()) {
            faults.add("/timeout", "must be longer than 0; write none for no limit");
        }
        let link = meta.zip(task).zip(on).map(|((meta, task), on)| Self {
            meta,
            task,
            on,
            timeout: document.timeout,
            env: document.env.unwrap_or_default(),
            enabled: document.enabled.unwrap_or(true),
        });
        faults.into_result(link)
    }

    fn document(&self) -> HostTaskDocument {
        let (host, selector) = match &self.on {
            Hosts::Named(host) => (Some(host.clone()), None),
            Hosts::Selected(selector) => (None, Some(selector.clone())),
        };
        HostTaskDocument {
            task: Some(self.task.clone()),
            host,
            selector,
            timeout: self.timeout,
            env: Some(self.env.clone()),
            enabled: Some(self.enabled),
            ..HostTaskDocument::with_meta(&self.meta)
        }
    }

    fn named_in(document: &HostTaskDocument) -> Vec<(String, Reference)> {
        let task = Reference::to(Noun::Task, "/task", document.task.as_ref());
        let host = Reference::to(Noun::Host, "/host", document.host.as_ref());
        task.into_iter().chain(host).chain(document.env.iter().flat_map(Env::references)).collect()
    }
}
