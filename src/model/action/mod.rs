//! Actions: what follows when something happens to a task on a host, or to a host.

mod email;
mod endpoint;
mod influx;
mod perf;
mod rate;
mod sinks;
mod template;
mod then;
mod webhook;
mod when;

pub use email::{Email, EmailDocument};
pub use endpoint::Endpoint;
pub use influx::{Influx, InfluxDatabase, InfluxDocument};
pub use perf::{PerfCondition, PerfMiss};
pub use rate::{MostOften, Rate};
pub use sinks::{Ganglia, GangliaDocument, Graphite, GraphiteDocument, GraphiteProtocol, Spoof};
pub use template::{Syntax, Template};
pub use then::{FireTask, LeadsTo, RunOn, Then, ThenDocument};
pub use webhook::{Method, Webhook, WebhookDocument, check_url};
pub use when::{Moment, ObjectKind, On, When, WhenDocument};

use super::definition::{Defaults, Definition, Meta, Secrets, document};
use super::{Catalog, Fault, Faults, Limit, Name, Noun, Reference, Span};

/// Most contacts of one Action.
const MOST_CONTACTS: usize = 1000;
/// Longest time for which what falls due for one contact is joined.
const LONGEST_DIGEST: Span = Span::seconds(24 * 3600);

/// What follows when something happens to a task on a host, or to a host.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// The common fields.
    pub meta: Meta,
    /// Of what and when.
    pub when: When,
    /// What follows.
    pub then: Then,
    /// Who is told: it follows once for each of them.
    pub contacts: Vec<Name>,
    /// Whether who was told of a PROBLEM is told that it is over.
    pub recovery: bool,
    /// The least time between two of one host and task, unless it gets worse or is over.
    pub throttle: Option<Span>,
    /// Again every so long while a hard PROBLEM is unhandled.
    pub repeat: Option<Span>,
    /// How often at most, of all hosts and tasks.
    pub limit: Option<Rate>,
    /// For so long what falls due for one contact is waited for, to be told in one message.
    pub digest: Option<Span>,
    /// Whether anything follows at all.
    pub enabled: bool,
}

document! {
    /// An action as a document.
    pub struct ActionDocument {
        /// Of what and when; all that is given must hold.
        pub when: Option<Box<WhenDocument>>,
        /// What follows: exactly one of its fields, `on` goes with `run`.
        pub then: Option<Box<ThenDocument>>,
        /// Who is told: it follows once for each of them.
        pub contacts: Option<Vec<Name>>,
        /// Whether who was told of a PROBLEM is told that it is over; by default with `contacts`, `email` and `webhook`.
        pub recovery: Option<bool>,
        /// The least time between two of one host and task, unless it gets worse or is over; or `none`.
        pub throttle: Option<Limit>,
        /// Again every so long while a hard PROBLEM is unhandled; or `none`.
        pub repeat: Option<Limit>,
        /// How often at most, of all hosts and tasks: `10/h`; or `none`.
        pub limit: Option<MostOften>,
        /// For so long what falls due for one contact is waited for, to be told in one message (e-mail and webhook
        /// only); or `none`.
        pub digest: Option<Limit>,
        /// Whether anything follows at all.
        #[schema(default = true)]
        pub enabled: Option<bool>,
    }
}

impl Definition for Action {
    const NOUN: Noun = Noun::Action;
    type Document = ActionDocument;

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn check(mut document: ActionDocument, kept: &Secrets, _: &Defaults) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let meta = document.take_meta(Noun::Action, None, &mut faults);
        let then = faults.require("/then", document.then).and_then(|then| then.check(kept, &mut faults));
        let measures = then.as_ref().is_some_and(Then::is_of_metrics);
        let when = When::check(document.when.map(|when| *when).unwrap_or_default(), measures, &mut faults);
        let contacts = document.contacts.map(once_each).unwrap_or_default();
        if contacts.len() > MOST_CONTACTS {
            faults.add("/contacts", format!("holds {} names; at most {MOST_CONTACTS} are allowed", contacts.len()));
        }
        let mut span = |pointer: &str, limit: Option<Limit>| {
            let span = limit.and_then(|limit| match limit {
                Limit::After(span) => Some(span),
                Limit::None => None,
            });
            if span.is_some_and(|span| span.get().is_zero()) {
                faults.add(pointer, "must be longer than 0; write none for none");
            }
            span
        };
        let throttle = span("/throttle", document.throttle);
        let repeat = span("/repeat", document.repeat);
        let digest = span("/digest", document.digest);
        if digest.is_some_and(|digest| digest > LONGEST_DIGEST) {
            faults.add("/digest", format!("must be at most {LONGEST_DIGEST}"));
        }
        let limit = document.limit.and_then(MostOften::get);
        if let Some(then) = &then {
            if digest.is_some() && !then.is_message() {
                faults.add("/digest", format!("goes with email and webhook only, not with {}", then.kind()));
            }
            if let Then::Email(email) = then
                && email.to.is_empty()
                && contacts.is_empty()
            {
                faults.add("/contacts", "must name who gets the e-mail, or /then/email/to must");
            }
        }
        if measures {
            let given = [
                ("/contacts", !contacts.is_empty()),
                ("/recovery", document.recovery == Some(true)),
                ("/throttle", throttle.is_some()),
                ("/repeat", repeat.is_some()),
                ("/limit", limit.is_some()),
            ];
            for (pointer, _) in given.into_iter().filter(|(_, given)| *given) {
                faults.add(pointer, "does not go with graphite, ganglia and influx: they take every measurement");
            }
        }
        let by_default = !contacts.is_empty() || then.as_ref().is_some_and(Then::is_message);
        let action = meta.zip(then).map(|(meta, then)| Self {
            meta,
            when,
            then,
            contacts,
            recovery: document.recovery.unwrap_or(by_default),
            throttle,
            repeat,
            limit,
            digest,
            enabled: document.enabled.unwrap_or(true),
        });
        faults.into_result(action)
    }

    fn document(&self) -> ActionDocument {
        let limit = |span: Option<Span>| Some(span.map_or(Limit::None, Limit::After));
        ActionDocument {
            when: Some(Box::new(self.when.document())),
            then: Some(Box::new(self.then.document())),
            contacts: Some(self.contacts.clone()),
            recovery: Some(self.recovery),
            throttle: limit(self.throttle),
            repeat: limit(self.repeat),
            limit: Some(self.limit.map_or(MostOften::None, MostOften::At)),
            digest: limit(self.digest),
            enabled: Some(self.enabled),
            ..ActionDocument::with_meta(&self.meta)
        }
    }

    fn named_in(document: &ActionDocument) -> Vec<(String, Reference)> {
        let mut named = document.when.as_ref().map(|when| when.named()).unwrap_or_default();
        named.extend(document.then.as_ref().map(|then| then.named()).unwrap_or_default());
        named.extend(each_named(Noun::Contact, "/contacts", document.contacts.as_deref()));
        named
    }

    fn misfits_of(document: &ActionDocument, catalog: &Catalog) -> Vec<Fault> {
        let Some(then) = &document.then else { return Vec::new() };
        let mut misfits = then.misfits(catalog);
        if then.email.is_some() {
            let contacts = document.contacts.iter().flatten().enumerate();
            let known = contacts.filter_map(|(index, name)| Some((index, catalog.contacts.get(name)?)));
            let lost = known.filter(|(_, contact)| contact.email.is_none());
            misfits.extend(lost.map(|(index, contact)| {
                Fault::new(format!("/contacts/{index}"), format!("contact \"{}\" has no email", contact.meta.name))
            }));
        }
        misfits
    }

    fn keep_left_out(document: &mut ActionDocument, now: Option<&Self>) {
        if let (Some(then), Some(now)) = (&mut document.then, now) {
            then.keep_left_out(&now.secrets());
        }
    }

    fn secrets(&self) -> Secrets {
        self.then.secrets()
    }
}

/// The same without what was there before.
fn once_each<T: PartialEq>(all: Vec<T>) -> Vec<T> {
    let mut once = Vec::with_capacity(all.len());
    for one in all {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
}

/// What a list of names refers to.
fn each_named(noun: Noun, pointer: &str, names: Option<&[Name]>) -> Vec<(String, Reference)> {
    let names = names.unwrap_or_default().iter().enumerate();
    names.filter_map(|(index, name)| Reference::to(noun, &format!("{pointer}/{index}"), Some(name))).collect()
}

#[cfg(test)]
mod tests;
