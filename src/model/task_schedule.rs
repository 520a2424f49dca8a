//! Task-schedules: when a task runs on its hosts.

use std::sync::Arc;

use super::definition::{Defaults, Definition, Meta, Secrets, document};
use super::{CronLine, DueRules, Fault, Faults, FinishBy, Hosts, LineZone, Name, Noun, Reference, Selector};

/// When a task runs on its hosts.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskSchedule {
    /// The common fields.
    pub meta: Meta,
    /// The task.
    pub task: Name,
    /// When.
    pub when: When,
    /// On which of its hosts; all of them where none is given.
    pub on: Option<Hosts>,
    /// By when what it makes due must have gone well.
    pub finish_by: Option<Arc<FinishBy>>,
    /// Whether it makes anything due.
    pub enabled: bool,
}

/// By a schedule of its own name, or by a line that stands here.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// A schedule by name.
    Schedule(Name),
    /// A line of its own.
    Inline {
        /// The line.
        cron: CronLine,
        /// The zone whose wall clock the line follows.
        timezone: LineZone,
        /// How its instants are taken: as those of a schedule that says nothing of it.
        rules: Arc<DueRules>,
    },
}

document! {
    /// A task-schedule as a document.
    pub struct TaskScheduleDocument {
        /// The name of a task.
        pub task: Option<Name>,
        /// The name of a schedule.
        pub schedule: Option<Name>,
        /// A line in place of a schedule.
        pub cron: Option<CronLine>,
        /// The zone of `cron`: an IANA name, or `host`.
        pub timezone: Option<LineZone>,
        /// On this host only.
        pub host: Option<Name>,
        /// On these hosts only.
        pub selector: Option<Selector>,
        /// By when what it makes due must have gone well: `06:00` or `5h`.
        pub finish_by: Option<FinishBy>,
        /// Whether it makes anything due.
        #[schema(default = true)]
        pub enabled: Option<bool>,
    }
}

impl Definition for TaskSchedule {
    const NOUN: Noun = Noun::TaskSchedule;
    type Document = TaskScheduleDocument;

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn check(mut document: TaskScheduleDocument, _: &Secrets, defaults: &Defaults) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let default_name =
            document.task.as_ref().zip(document.schedule.as_ref()).map(|(task, schedule)| Name::link(task, schedule));
        if document.name.is_none() && default_name.is_none() && document.cron.is_some() {
            faults.add("/name", "is required with cron (with schedule it may be left out: TASK@SCHEDULE)");
            document.name = Name::parse("unnamed").ok();
        }
        let meta = document.take_meta(Noun::TaskSchedule, default_name, &mut faults);
        let task = faults.require("/task", document.task);
        if document.timezone.is_some() && document.schedule.is_some() {
            faults.add("/timezone", "goes with cron; a schedule has its own");
        }
        let when = match (document.schedule, document.cron) {
            (Some(schedule), None) => Some(When::Schedule(schedule)),
            (None, Some(cron)) => {
                let timezone = document.timezone.unwrap_or(LineZone::Named(defaults.timezone));
                Some(When::Inline { cron, timezone, rules: Arc::default() })
            }
            _ => {
                faults.add("", "exactly one of schedule and cron must be given");
                None
            }
        };
        let on = match (document.host, document.selector) {
            (None, None) => None,
            (Some(host), None) => Some(Hosts::Named(host)),
            (None, Some(selector)) => Some(Hosts::Selected(selector)),
            (Some(_), Some(_)) => {
                faults.add("", "at most one of host and selector may be given");
                None
            }
        };
        let link = meta.zip(task).zip(when).map(|((meta, task), when)| Self {
            meta,
            task,
            when,
            on,
            finish_by: document.finish_by.map(Arc::new),
            enabled: document.enabled.unwrap_or(true),
        });
        faults.into_result(link)
    }

    fn document(&self) -> TaskScheduleDocument {
        let mut document = TaskScheduleDocument {
            task: Some(self.task.clone()),
            finish_by: self.finish_by.as_deref().cloned(),
            enabled: Some(self.enabled),
            ..TaskScheduleDocument::with_meta(&self.meta)
        };
        match &self.when {
            When::Schedule(schedule) => document.schedule = Some(schedule.clone()),
            When::Inline { cron, timezone, .. } => {
                document.cron = Some(cron.clone());
                document.timezone = Some(*timezone);
            }
        }
        match &self.on {
            Some(Hosts::Named(host)) => document.host = Some(host.clone()),
            Some(Hosts::Selected(selector)) => document.selector = Some(selector.clone()),
            None => {}
        }
        document
    }

    fn named_in(document: &TaskScheduleDocument) -> Vec<(String, Reference)> {
        let task = Reference::to(Noun::Task, "/task", document.task.as_ref());
        let schedule = Reference::to(Noun::Schedule, "/schedule", document.schedule.as_ref());
        let host = Reference::to(Noun::Host, "/host", document.host.as_ref());
        [task, schedule, host].into_iter().flatten().collect()
    }
}
