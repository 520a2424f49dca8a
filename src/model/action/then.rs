//! What follows: a task, a message, or measurements that go somewhere.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use super::super::definition::Secrets;
use super::super::{Catalog, Fault, Faults, Mailbox, Name, Noun, Reference, SecretField, Selector, TextValue};
use super::email::{Email, EmailDocument};
use super::influx::{Influx, InfluxDocument};
use super::sinks::{Ganglia, GangliaDocument, Graphite, GraphiteDocument};
use super::webhook::{Webhook, WebhookDocument, check_url};

/// Where a task runs that the host of the event shall run.
const SAME_HOST: &str = "same-host";

/// What follows.
#[derive(Debug, Clone, PartialEq)]
pub enum Then {
    /// A task runs.
    Run(FireTask),
    /// A request goes to a URL.
    Webhook(Box<Webhook>),
    /// Measurements go to Graphite.
    Graphite(Graphite),
    /// Measurements go to Ganglia.
    Ganglia(Ganglia),
    /// Measurements go to InfluxDB.
    Influx(Box<Influx>),
    /// An e-mail is sent.
    Email(Box<Email>),
}

/// Where something leads: to a URL, which may be private; to a sink as it is, with whose measurements it says they are; to
/// addresses, from one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LeadsTo<'a> {
    /// A request.
    Url(&'a TextValue, bool),
    /// Measurements.
    Sink(&'a Then),
    /// E-mail beside that to contacts.
    Mail(&'a [Mailbox], Option<&'a Mailbox>),
}

/// A task that runs because of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct FireTask {
    /// The task.
    pub task: Name,
    /// Where.
    pub on: RunOn,
}

/// Where a task runs because of an event. Written `same-host`, the name of a host, or `{"selector": …}`.
#[derive(Debug, Clone, PartialEq)]
pub enum RunOn {
    /// On the host of the event.
    SameHost,
    /// On this one.
    Host(Name),
    /// On all of these.
    Selected(Selector),
}

/// What follows, as a document: exactly one of its fields, `on` goes with `run`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ThenDocument {
    /// This task runs, the Result as JSON on its standard input and in its environment.
    pub run: Option<Name>,
    /// Where `run` runs: `same-host` (by default), the name of a host, or `{"selector": …}`.
    pub on: Option<RunOn>,
    /// A request goes to a URL.
    pub webhook: Option<Box<WebhookDocument>>,
    /// Measurements go to Graphite.
    pub graphite: Option<GraphiteDocument>,
    /// Measurements go to Ganglia.
    pub ganglia: Option<GangliaDocument>,
    /// Measurements go to InfluxDB.
    pub influx: Option<Box<InfluxDocument>>,
    /// An e-mail is sent.
    pub email: Option<EmailDocument>,
}

impl Then {
    /// The field that it stands in.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Run(_) => "run",
            Self::Webhook(_) => "webhook",
            Self::Graphite(_) => "graphite",
            Self::Ganglia(_) => "ganglia",
            Self::Influx(_) => "influx",
            Self::Email(_) => "email",
        }
    }

    /// Whether it takes measurements: those no downtime, throttle or quiet hour holds back.
    pub const fn is_of_metrics(&self) -> bool {
        matches!(self, Self::Graphite(_) | Self::Ganglia(_) | Self::Influx(_))
    }

    /// Whether it is a message, so that what falls due may be joined.
    pub const fn is_message(&self) -> bool {
        matches!(self, Self::Email(_) | Self::Webhook(_))
    }

    /// Where it sends what it has to say, as far as that stands in it: nowhere where a task runs, or contacts alone get mail.
    pub fn leads_to(&self) -> Option<LeadsTo<'_>> {
        match self {
            Self::Run(_) => None,
            Self::Webhook(webhook) => Some(LeadsTo::Url(&webhook.url, webhook.allow_private)),
            Self::Graphite(_) | Self::Ganglia(_) | Self::Influx(_) => Some(LeadsTo::Sink(self)),
            Self::Email(email) if email.to.is_empty() && email.from.is_none() => None,
            Self::Email(email) => Some(LeadsTo::Mail(&email.to, email.from.as_ref())),
        }
    }

    /// Whether it is an e-mail.
    pub const fn is_email(&self) -> bool {
        matches!(self, Self::Email(_))
    }

    /// The document, defaults filled in.
    pub(super) fn document(&self) -> ThenDocument {
        let mut document = ThenDocument::default();
        match self {
            Self::Run(fire) => (document.run, document.on) = (Some(fire.task.clone()), Some(fire.on.clone())),
            Self::Webhook(webhook) => document.webhook = Some(Box::new(webhook.as_ref().into())),
            Self::Graphite(graphite) => document.graphite = Some(graphite.into()),
            Self::Ganglia(ganglia) => document.ganglia = Some(ganglia.into()),
            Self::Influx(influx) => document.influx = Some(Box::new(influx.as_ref().into())),
            Self::Email(email) => document.email = Some(email.as_ref().into()),
        }
        document
    }

    /// Its own secrets, by their places.
    pub(super) fn secrets(&self) -> Secrets {
        let secret = match self {
            Self::Webhook(webhook) => webhook.secrets(),
            Self::Influx(influx) => influx.secrets(),
            Self::Run(_) | Self::Graphite(_) | Self::Ganglia(_) | Self::Email(_) => None,
        };
        let own = secret.and_then(|(place, value)| match value {
            TextValue::Own(text) => Some((place.to_owned(), text.clone())),
            TextValue::Secret(_) => None,
        });
        own.into_iter().collect()
    }
}

impl ThenDocument {
    /// Checks a document that stands at `/then`, finding all its faults.
    pub(super) fn check(self, kept: &Secrets, faults: &mut Faults) -> Option<Then> {
        let given = [
            ("run", self.run.is_some()),
            ("webhook", self.webhook.is_some()),
            ("graphite", self.graphite.is_some()),
            ("ganglia", self.ganglia.is_some()),
            ("influx", self.influx.is_some()),
            ("email", self.email.is_some()),
        ];
        let given: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(field, _)| field).collect();
        if given.len() != 1 {
            let what = if given.is_empty() { "none is".to_owned() } else { format!("{} are", given.join(" and ")) };
            let one_of = "exactly one of run, webhook, graphite, ganglia, influx and email must be given";
            faults.add("/then", format!("{one_of}; {what}"));
        }
        if self.on.is_some() && self.run.is_none() {
            faults.add("/then/on", "goes with run: where the task runs");
        }
        let on = self.on.unwrap_or(RunOn::SameHost);
        let run = self.run.map(|task| Then::Run(FireTask { task, on }));
        let webhook = self.webhook.and_then(|webhook| webhook.check(kept, faults));
        let graphite = self.graphite.and_then(|graphite| graphite.check(faults));
        let ganglia = self.ganglia.and_then(|ganglia| ganglia.check(faults));
        let influx = self.influx.and_then(|influx| influx.check(kept, faults));
        let email = self.email.map(|email| email.check(faults));
        run.or(webhook.map(|webhook| Then::Webhook(Box::new(webhook))))
            .or(graphite.map(Then::Graphite))
            .or(ganglia.map(Then::Ganglia))
            .or(influx.map(|influx| Then::Influx(Box::new(influx))))
            .or(email.map(|email| Then::Email(Box::new(email))))
    }

    /// What a document that is applied may leave out.
    pub(super) fn keep_left_out(&mut self, kept: &Secrets) {
        if let Some(webhook) = &mut self.webhook {
            webhook.keep_left_out(kept);
        }
        if let Some(influx) = &mut self.influx {
            influx.keep_left_out(kept);
        }
    }

    /// The definitions it names, each with its pointer in the document of the Action.
    pub(super) fn named(&self) -> Vec<(String, Reference)> {
        let task = Reference::to(Noun::Task, "/then/run", self.run.as_ref());
        let host = match &self.on {
            Some(RunOn::Host(host)) => Reference::to(Noun::Host, "/then/on", Some(host)),
            Some(RunOn::SameHost | RunOn::Selected(_)) | None => None,
        };
        let webhook = self.webhook.as_ref();
        let signing = webhook.map(|webhook| webhook.secret_fields()).into_iter().flatten();
        let influx = self.influx.as_ref().map(|influx| influx.secret_fields()).into_iter().flatten();
        let secrets = signing.chain(influx).filter_map(|(place, field)| {
            Reference::to(Noun::Secret, &format!("/{place}"), field.and_then(SecretField::secret))
        });
        let texts = webhook.into_iter().flat_map(|webhook| webhook.named());
        task.into_iter().chain(host).chain(secrets).chain(texts).collect()
    }

    /// What is wrong with it beside the other definitions.
    pub(super) fn misfits(&self, catalog: &Catalog) -> Vec<Fault> {
        let url = self.webhook.as_ref().and_then(|webhook| webhook.url.as_ref()).and_then(TextValue::secret);
        let text = url.and_then(|name| catalog.secret(name));
        let wrong = text.and_then(|text| check_url(text.reveal()).err());
        let told = |error: String| Fault::new("/then/webhook/url", format!("names a secret whose text {error}"));
        wrong.map(told).into_iter().collect()
    }
}

impl Serialize for RunOn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::SameHost => serializer.serialize_str(SAME_HOST),
            Self::Host(host) => host.serialize(serializer),
            Self::Selected(selector) => {
                let mut shown = serializer.serialize_struct("on", 1)?;
                shown.serialize_field("selector", selector)?;
                shown.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for RunOn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RunOnVisitor;
        impl<'de> Visitor<'de> for RunOnVisitor {
            type Value = RunOn;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("same-host, the name of a host, or {\"selector\": SELECTOR}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RunOn, E> {
                if text == SAME_HOST {
                    return Ok(RunOn::SameHost);
                }
                Name::parse(text).map(RunOn::Host).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RunOn, A::Error> {
                let mut selector = None;
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "selector" => selector = Some(map.next_value()?),
                        other => return Err(de::Error::unknown_field(other, &["selector"])),
                    }
                }
                selector.map(RunOn::Selected).ok_or_else(|| de::Error::missing_field("selector"))
            }
        }
        deserializer.deserialize_any(RunOnVisitor)
    }
}
