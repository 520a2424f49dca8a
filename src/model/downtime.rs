//! Downtimes: when work goes on at hosts or tasks, so that nobody is told of their PROBLEMs, or nothing runs there.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::definition::{Defaults, Definition, Meta, Secrets, document};
use super::{
    CronLine, Fault, Faults, Host, Hosts, LineZone, Name, Noun, Reference, Selector, Span, Timestamp, Timezone,
};

/// Longest comment, in bytes.
const COMMENT: usize = 4096;

/// What a downtime keeps from happening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DowntimeMode {
    /// What is due runs, but nobody is told.
    #[default]
    Suppress,
    /// What is due does not run.
    Pause,
}

/// When work goes on somewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Downtime {
    /// The common fields.
    pub meta: Meta,
    /// On which hosts.
    pub on: Hosts,
    /// Just this task there; none for the hosts with all their tasks.
    pub task: Option<Name>,
    /// When.
    pub period: Period,
    /// Why.
    pub comment: String,
    /// What it keeps from happening.
    pub mode: DowntimeMode,
}

/// Once, or again and again.
#[derive(Debug, Clone, PartialEq)]
pub enum Period {
    /// From one instant to another.
    Fixed {
        /// Its first instant.
        starts_at: Timestamp,
        /// The first one after it.
        ends_at: Timestamp,
    },
    /// For so long from each instant of a line.
    Recurring {
        /// The line.
        cron: CronLine,
        /// The zone whose wall clock it follows.
        timezone: LineZone,
        /// How long each lasts.
        duration: Span,
    },
}

document! {
    /// A downtime as a document.
    pub struct DowntimeDocument {
        /// On this host.
        pub host: Option<Name>,
        /// On these hosts.
        pub selector: Option<Selector>,
        /// Just this task there.
        pub task: Option<Name>,
        /// Its first instant.
        pub starts_at: Option<Timestamp>,
        /// The first instant after it.
        pub ends_at: Option<Timestamp>,
        /// A line at each of whose instants it begins.
        pub cron: Option<CronLine>,
        /// The zone of `cron`: an IANA name, or `host`.
        pub timezone: Option<LineZone>,
        /// How long it lasts from each instant of `cron`.
        pub duration: Option<Span>,
        /// Why.
        pub comment: Option<String>,
        /// `suppress`: runs, but notifies nobody; `pause`: does not run.
        pub mode: Option<DowntimeMode>,
    }
}

impl Downtime {
    /// Whether it goes on at this moment on this host.
    pub fn is_on(&self, host: &Host, now: Timestamp) -> bool {
        self.on.covers(host) && self.period.covers(host.timezone, now)
    }

    /// Whether it is of this task on hosts that it covers.
    pub fn is_of(&self, task: &Name) -> bool {
        self.task.as_ref().is_none_or(|only| only == task)
    }
}

impl Period {
    /// Whether it goes on at this moment; `host` is the zone of the host, which a line may follow.
    pub fn covers(&self, host: Timezone, now: Timestamp) -> bool {
        match self {
            Self::Fixed { starts_at, ends_at } => *starts_at <= now && now < *ends_at,
            Self::Recurring { cron, timezone, duration } => {
                let Ok(duration) = TimeDelta::from_std(duration.get()) else { return false };
                let Some(from) = now.get().checked_sub_signed(duration) else { return false };
                cron.next_after(timezone.on(host), from).is_some_and(|begin| begin <= now.get())
            }
        }
    }

    /// Whether it goes on at this moment on any host: false only where it does on none.
    pub fn may_be_on(&self, now: Timestamp) -> bool {
        match self {
            Self::Fixed { starts_at, ends_at } => *starts_at <= now && now < *ends_at,
            Self::Recurring { .. } => true,
        }
    }

    fn check(document: &mut DowntimeDocument, defaults: &Defaults, faults: &mut Faults) -> Option<Self> {
        let zone = document.timezone.take();
        if zone.is_some() && document.cron.is_none() {
            faults.add("/timezone", "goes with cron");
        }
        match (document.starts_at, document.ends_at, document.cron.take(), document.duration) {
            (Some(starts_at), Some(ends_at), None, None) => {
                if ends_at <= starts_at {
                    faults.add("/ends_at", "must be after starts_at");
                }
                Some(Self::Fixed { starts_at, ends_at })
            }
            (None, None, Some(cron), Some(duration)) => {
                if duration.get().is_zero() {
                    faults.add("/duration", "must be longer than 0");
                }
                let timezone = zone.unwrap_or(LineZone::Named(defaults.timezone));
                Some(Self::Recurring { cron, timezone, duration })
            }
            _ => {
                faults.add("", "either starts_at and ends_at, or cron and duration must be given");
                None
            }
        }
    }
}

impl Definition for Downtime {
    const NOUN: Noun = Noun::Downtime;
    type Document = DowntimeDocument;

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn check(mut document: DowntimeDocument, _: &Secrets, defaults: &Defaults) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let meta = document.take_meta(Noun::Downtime, None, &mut faults);
        let period = Period::check(&mut document, defaults, &mut faults);
        let on = match (document.host, document.selector) {
            (Some(host), None) => Some(Hosts::Named(host)),
            (None, Some(selector)) => Some(Hosts::Selected(selector)),
            _ => {
                faults.add("", "exactly one of host and selector must be given");
                None
            }
        };
        let comment = faults.text("/comment", document.comment, COMMENT).unwrap_or_default();
        let downtime = meta.zip(on).zip(period).map(|((meta, on), period)| Self {
            meta,
            on,
            task: document.task,
            period,
            comment,
            mode: document.mode.unwrap_or_default(),
        });
        faults.into_result(downtime)
    }

    fn document(&self) -> DowntimeDocument {
        let (host, selector) = match &self.on {
            Hosts::Named(host) => (Some(host.clone()), None),
            Hosts::Selected(selector) => (None, Some(selector.clone())),
        };
        let document = DowntimeDocument {
            host,
            selector,
            task: self.task.clone(),
            comment: Some(self.comment.clone()),
            mode: Some(self.mode),
            ..DowntimeDocument::with_meta(&self.meta)
        };
        match &self.period {
            Period::Fixed { starts_at, ends_at } => {
                DowntimeDocument { starts_at: Some(*starts_at), ends_at: Some(*ends_at), ..document }
            }
            Period::Recurring { cron, timezone, duration } => DowntimeDocument {
                cron: Some(cron.clone()),
                timezone: Some(*timezone),
                duration: Some(*duration),
                ..document
            },
        }
    }

    fn named_in(document: &DowntimeDocument) -> Vec<(String, Reference)> {
        let host = Reference::to(Noun::Host, "/host", document.host.as_ref());
        let task = Reference::to(Noun::Task, "/task", document.task.as_ref());
        [host, task].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<Downtime, Vec<Fault>> {
        Downtime::check(serde_json::from_str(json).unwrap(), &Secrets::new(), &Defaults::default())
    }

    fn host(json: &str) -> Host {
        Host::check(serde_json::from_str(json).unwrap(), &Secrets::new(), &Defaults::default()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_fixed_one_begins_and_ends_once() {
        let downtime =
            check(r#"{"name":"d","host":"web1","starts_at":"2026-11-25T10:00:00Z","ends_at":"2026-11-25T12:00:00Z"}"#);
        let downtime = downtime.unwrap();
        let (web1, web2) = (host(r#"{"name":"web1"}"#), host(r#"{"name":"web2"}"#));
        assert_eq!(downtime.mode, DowntimeMode::Suppress);
        for (now, on) in [
            ("2026-11-25T09:59:59.999Z", false),
            ("2026-11-25T10:00:00Z", true),
            ("2026-11-25T11:59:59.999Z", true),
            ("2026-11-25T12:00:00Z", false),
        ] {
            assert_eq!(downtime.is_on(&web1, at(now)), on, "{now}");
            assert!(!downtime.is_on(&web2, at(now)));
        }
        assert!(downtime.is_of(&Name::parse("any").unwrap()));
    }

    #[test]
    fn a_recurring_one_lasts_from_each_instant_of_its_line_in_its_zone() {
        let nightly = check(
            r#"{"name":"d","selector":"role=web","task":"disk","cron":"30 23 * * *","timezone":"host","duration":"2h",
                "mode":"pause","comment":"backups"}"#,
        );
        let nightly = nightly.unwrap();
        let berlin = host(r#"{"name":"web1","labels":{"role":"web"},"timezone":"Europe/Berlin"}"#);
        let other = host(r#"{"name":"db1","timezone":"Europe/Berlin"}"#);
        for (now, on) in [
            ("2026-11-25T22:29:59Z", false),
            ("2026-11-25T22:30:00Z", true),
            ("2026-11-26T00:29:59Z", true),
            ("2026-11-26T00:30:00Z", false),
        ] {
            assert_eq!(nightly.is_on(&berlin, at(now)), on, "{now}");
            assert!(!nightly.is_on(&other, at(now)));
        }
        assert!(!nightly.is_of(&Name::parse("load").unwrap()));
        let again = check(&serde_json::to_string(&nightly.document()).unwrap()).unwrap();
        assert_eq!(again, nightly);
    }

    #[test]
    fn what_is_half_said_is_refused() {
        for (json, pointer) in [
            (r#"{"name":"d","starts_at":"2026-11-25T10:00:00Z","ends_at":"2026-11-25T12:00:00Z"}"#, ""),
            (r#"{"name":"d","host":"a","selector":"*","cron":"@daily","duration":"1h"}"#, ""),
            (r#"{"name":"d","host":"a","cron":"@daily"}"#, ""),
            (r#"{"name":"d","host":"a","starts_at":"2026-11-25T10:00:00Z"}"#, ""),
            (
                r#"{"name":"d","host":"a","starts_at":"2026-11-25T10:00:00Z","ends_at":"2026-11-25T10:00:00Z"}"#,
                "/ends_at",
            ),
            (r#"{"name":"d","host":"a","cron":"@daily","duration":"0s"}"#, "/duration"),
            (
                r#"{"name":"d","host":"a","timezone":"UTC","starts_at":"2026-11-25T10:00:00Z","ends_at":"2026-11-25T12:00:00Z"}"#,
                "/timezone",
            ),
        ] {
            let faults = check(json).unwrap_err();
            assert_eq!(faults[0].pointer, pointer, "{json}: {faults:?}");
        }
    }
}
