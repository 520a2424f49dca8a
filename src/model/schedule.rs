//! Schedules: when.

use std::sync::Arc;

use super::definition::{Defaults, Definition, Meta, Secrets, document};
use super::due_rules::{DueRules, MissedRule, Splay};
use super::{CronLine, Fault, Faults, LineZone, Noun, Span, Timestamp};

/// When something is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// The common fields.
    pub meta: Meta,
    /// The line.
    pub cron: CronLine,
    /// The zone whose wall clock the line follows.
    pub timezone: LineZone,
    /// How its instants spread, between which ones, and what becomes of those that were missed.
    pub rules: Arc<DueRules>,
    /// Whether it makes anything due.
    pub enabled: bool,
}

document! {
    /// A schedule as a document.
    pub struct ScheduleDocument {
        /// The line.
        pub cron: Option<CronLine>,
        /// An IANA zone name, or `host`.
        pub timezone: Option<LineZone>,
        /// How far a pair's start may be from the line's instant; `auto` or a duration.
        pub splay: Option<Splay>,
        /// What becomes of instants that passed while Alf was away.
        pub missed: Option<MissedRule>,
        /// Older ones are not run any more.
        pub missed_max_age: Option<Span>,
        /// No instant before this one.
        pub not_before: Option<Timestamp>,
        /// No instant after this one.
        pub not_after: Option<Timestamp>,
        /// Whether it makes anything due.
        #[schema(default = true)]
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
        let plain = DueRules::default();
        let rules = DueRules {
            splay: document.splay.unwrap_or(plain.splay),
            missed: document.missed.unwrap_or(plain.missed),
            missed_max_age: document.missed_max_age.unwrap_or(plain.missed_max_age),
            not_before: document.not_before,
            not_after: document.not_after,
        };
        rules.check(&mut faults);
        let schedule = meta.zip(cron).map(|(meta, cron)| Self {
            meta,
            cron,
            timezone: document.timezone.unwrap_or(LineZone::Named(defaults.timezone)),
            rules: Arc::new(rules),
            enabled: document.enabled.unwrap_or(true),
        });
        faults.into_result(schedule)
    }

    fn document(&self) -> ScheduleDocument {
        ScheduleDocument {
            cron: Some(self.cron.clone()),
            timezone: Some(self.timezone),
            splay: Some(self.rules.splay),
            missed: Some(self.rules.missed),
            missed_max_age: Some(self.rules.missed_max_age),
            not_before: self.rules.not_before,
            not_after: self.rules.not_after,
            enabled: Some(self.enabled),
            ..ScheduleDocument::with_meta(&self.meta)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<Schedule, Vec<Fault>> {
        Schedule::check(serde_json::from_str(json).unwrap(), &Secrets::new(), &Defaults::default())
    }

    #[test]
    fn a_document_comes_back_as_it_was_its_defaults_filled_in() {
        let plain = check(r#"{"name":"s","cron":"@hourly"}"#).unwrap();
        let shown = serde_json::to_value(plain.document()).unwrap();
        assert_eq!(
            (&shown["splay"], &shown["missed"], &shown["missed_max_age"]),
            (&"auto".into(), &"last".into(), &"10m".into())
        );
        let full = r#"{"name":"s","cron":"@hourly","timezone":"host","splay":"90s","missed":"all","missed_max_age":"1h",
            "not_before":"2026-11-23T10:00:00Z","not_after":"2026-12-23T10:00:00Z"}"#;
        for schedule in [plain, check(full).unwrap()] {
            assert_eq!(check(&serde_json::to_string(&schedule.document()).unwrap()).unwrap(), schedule);
        }
    }

    #[test]
    fn a_time_that_never_comes_is_refused() {
        let turned =
            r#"{"name":"s","cron":"@hourly","not_before":"2026-11-24T10:00:00Z","not_after":"2026-11-23T10:00:00Z"}"#;
        assert_eq!(check(turned).unwrap_err()[0].pointer, "/not_after");
        for bad in [r#"{"splay":"often"}"#, r#"{"missed":"some"}"#, r#"{"not_before":"soon"}"#] {
            assert!(serde_json::from_str::<ScheduleDocument>(bad).is_err(), "{bad}");
        }
    }
}
