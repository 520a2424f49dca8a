//! Schedules: when.

use super::definition::{Defaults, Definition, Meta, Secrets, document};
use super::{CronLine, Fault, Faults, Noun, Timezone};

/// When something is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// The common fields.
    pub meta: Meta,
    /// The line.
    pub cron: CronLine,
    /// The zone whose wall clock the line follows.
    pub timezone: Timezone,
    /// Whether it makes anything due.
    pub enabled: bool,
}

document! {
    /// A schedule as a document.
    pub struct ScheduleDocument {
        /// The line.
        pub cron: Option<CronLine>,
        /// An IANA zone name.
        pub timezone: Option<Timezone>,
        /// Whether it makes anything due.
        pub enabled: Option<bool>,
    }
}

impl Definition for Schedule {
    const NOUN: Noun = Noun::Schedule;
    type Document = ScheduleDocument;

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn check(mut document: ScheduleDocument, _: &Secrets, defaults: &Defaults) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let meta = document.take_meta(Noun::Schedule, None, &mut faults);
        let cron = faults.require("/cron", document.cron);
        let schedule = meta.zip(cron).map(|(meta, cron)| Self {
            meta,
            cron,
            timezone: document.timezone.unwrap_or(defaults.timezone),
            enabled: document.enabled.unwrap_or(true),
        });
        faults.into_result(schedule)
    }

    fn document(&self) -> ScheduleDocument {
        ScheduleDocument {
            cron: Some(self.cron.clone()),
            timezone: Some(self.timezone),
            enabled: Some(self.enabled),
            ..ScheduleDocument::with_meta(&self.meta)
        }
    }
}
