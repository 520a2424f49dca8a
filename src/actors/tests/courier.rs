//! A courier that keeps what it is given.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::actors::reactions::{Courier, Handed, Message, MessagePreview};
use crate::model::{Action, Catalog, Host, Name, RunId, RunResult};
use crate::sinks::SinkStats;

/// Keeps what it is given. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct FakeCourier(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    sent: Vec<Sent>,
    measured: Vec<(Name, RunId)>,
    answers: VecDeque<Handed>,
    hanging: Vec<String>,
}

/// A message that was sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sent {
    pub(super) id: String,
    pub(super) action: Name,
    pub(super) contact: Option<Name>,
    pub(super) payload: Value,
}

impl FakeCourier {
    /// What was sent until now, as `TYPE HOST/TASK STATE -> CONTACT`.
    pub(super) fn told(&self) -> Vec<String> {
        self.0.lock().unwrap().sent.iter().map(Sent::to_string).collect()
    }

    /// The same with all that was in it.
    pub(super) fn sent(&self) -> Vec<Sent> {
        self.0.lock().unwrap().sent.clone()
    }

    /// What was measured until now.
    pub(super) fn measured(&self) -> Vec<(Name, RunId)> {
        self.0.lock().unwrap().measured.clone()
    }

    /// The receiver of an Action never answers.
    pub(super) fn hang(&self, action: &str) {
        self.0.lock().unwrap().hanging.push(action.to_owned());
    }

    /// What comes of the next message.
    pub(super) fn answer(&self, handed: Handed) {
        self.0.lock().unwrap().answers.push_back(handed);
    }
}

impl std::fmt::Display for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |field: &str| self.payload[field].as_str().unwrap_or_default().to_owned();
        write!(f, "{} {}", text("type"), text("host"))?;
        if self.payload["task"].is_string() {
            write!(f, "/{}", text("task"))?;
        }
        if let Some(state) = self.payload["state"].as_str() {
            write!(f, " {state}")?;
        }
        if let Some(contact) = &self.contact {
            write!(f, " -> {contact}")?;
        }
        let more = self.payload["count"].as_u64().unwrap_or_default();
        if more > 1 { write!(f, " ({more} in all)") } else { Ok(()) }
    }
}

impl Courier for FakeCourier {
    fn settle(&self, _: &Catalog) {}

    fn measure(&self, action: &Action, _: &Host, result: &RunResult) {
        self.0.lock().unwrap().measured.push((action.meta.name.clone(), result.id));
    }

    fn deliver(&self, message: Message) -> BoxFuture<'static, Handed> {
        let mut kept = self.0.lock().unwrap();
        if kept.hanging.iter().any(|hanging| hanging == message.action.meta.name.as_str()) {
            return std::future::pending().boxed();
        }
        let handed = kept.answers.pop_front().unwrap_or(Handed::Over("taken".to_owned()));
        if matches!(handed, Handed::Over(_)) {
            let Message { id, action, contact, payload, .. } = message;
            let contact = contact.map(|contact| contact.meta.name.clone());
            kept.sent.push(Sent { id, action: action.meta.name.clone(), contact, payload });
        }
        std::future::ready(handed).boxed()
    }

    fn preview(&self, message: &Message) -> MessagePreview {
        MessagePreview { body: Some(message.payload.to_string()), ..MessagePreview::default() }
    }

    fn sinks(&self) -> BTreeMap<Name, SinkStats> {
        BTreeMap::new()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        std::future::ready(()).boxed()
    }
}
