//! What each Action has done since the start, and how its receiver is.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::Reactions;
use crate::model::{Catalog, Name, Timestamp};
use crate::sinks::SinkStats;

/// What an Action has done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ActionCounts {
    /// What was sent or started; Results whose measurements were taken.
    pub fired: u64,
    /// What a hold keeps back, or kept back.
    pub held: u64,
    /// What a throttle or limit keeps back, or kept back.
    pub throttled: u64,
    /// What could not be sent.
    pub failed: u64,
    /// What is still to be sent.
    pub queued: u64,
}

/// What went wrong last between an Action and its receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Since when nothing gets there; none once something did again.
    since: Option<Timestamp>,
    /// Whether the last was given up.
    lost: bool,
    message: String,
}

/// How it is about a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReceiverState {
    /// What it was sent last it took, or nothing was sent yet.
    Up,
    /// It does not take anything now; it is tried again.
    Away,
    /// What was for it last was given up.
    Failing,
    /// Nothing is sent: the Action is disabled.
    Disabled,
}

/// Figures of one Action.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ActionFigures {
    /// The Action.
    pub action: Name,
    /// What follows: `run`, `webhook`, `graphite`, `ganglia`, `influx` or `email`.
    pub kind: &'static str,
    /// What was sent or started since the start; Results whose measurements were taken.
    pub fired: u64,
    /// What a hold keeps back, or kept back.
    pub held: u64,
    /// What a throttle or limit keeps back, or kept back.
    pub throttled: u64,
    /// What could not be sent; measurements that are lost.
    pub failed: u64,
    /// What is still to be sent; measurements that wait.
    pub queued: u64,
    /// How it is about its receiver.
    pub state: ReceiverState,
    /// Since when nothing gets there.
    pub away_since: Option<Timestamp>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Figures of its sink of measurements.
    pub sink: Option<SinkFigures>,
}

/// Figures of a sink of measurements, in points: each a value and its instant.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct SinkFigures {
    /// That the receiver was sent.
    pub sent: u64,
    /// That wait in memory.
    pub queue: u64,
    /// That wait on disk.
    pub spooled: u64,
    /// Their bytes.
    pub spooled_bytes: u64,
    /// That the receiver refused.
    pub failed: u64,
    /// That were too many, or too old.
    pub dropped: u64,
}

impl Reactions {
    /// What each Action has done since the start.
    fn counts(&self) -> BTreeMap<Name, ActionCounts> {
        let state = self.state();
        let mut counts = state.counts.clone();
        for parcel in state.parcels.values() {
            counts.entry(parcel.action.clone()).or_default().queued += 1;
        }
        counts
    }

    /// Figures of every Action, by name.
    pub(in crate::actors) fn figures(
        &self,
        catalog: &Catalog,
        sinks: &BTreeMap<Name, SinkStats>,
    ) -> Vec<ActionFigures> {
        let (counts, troubles) = (self.counts(), self.state().troubles.clone());
        let mut all: Vec<ActionFigures> = catalog
            .actions
            .values()
            .map(|action| {
                let name = &action.meta.name;
                let ActionCounts { fired, held, throttled, failed, queued } =
                    counts.get(name).copied().unwrap_or_default();
                let trouble = troubles.get(name);
                let away_since = trouble.and_then(|trouble| trouble.since);
                let state = match trouble.filter(|_| away_since.is_some()) {
                    _ if !action.enabled => ReceiverState::Disabled,
                    Some(Trouble { lost: true, .. }) => ReceiverState::Failing,
                    Some(_) => ReceiverState::Away,
                    None => ReceiverState::Up,
                };
                let figures = ActionFigures {
                    action: name.clone(),
                    kind: action.then.kind(),
                    fired,
                    held,
                    throttled,
                    failed,
                    queued,
                    state,
                    away_since,
                    last_error: trouble.map(|trouble| trouble.message.clone()),
                    sink: None,
                };
                match sinks.get(name) {
                    Some(stats) => figures.with_sink(stats),
                    None => figures,
                }
            })
            .collect();
        all.sort_by(|one, other| one.action.cmp(&other.action));
        all
    }
}

impl ActionFigures {
    fn with_sink(self, stats: &SinkStats) -> Self {
        let sink = SinkFigures {
            sent: stats.sent,
            queue: stats.queue,
            spooled: stats.spooled,
            spooled_bytes: stats.spooled_bytes,
            failed: stats.failed,
            dropped: stats.dropped,
        };
        let state = if stats.away_since.is_some() { ReceiverState::Away } else { ReceiverState::Up };
        Self {
            failed: self.failed + sink.failed + sink.dropped,
            queued: self.queued + sink.queue + sink.spooled,
            state: if self.state == ReceiverState::Disabled { self.state } else { state },
            away_since: stats.away_since,
            last_error: stats.last_error.as_ref().map(|error| error.message.clone()),
            sink: Some(sink),
            ..self
        }
    }
}

impl super::State {
    /// Something did not get to the receiver of an Action.
    pub(super) fn trouble(&mut self, action: &Name, message: &str, lost: bool, now: Timestamp) {
        let since = self.troubles.get(action).and_then(|before| before.since).or(Some(now));
        self.troubles.insert(action.clone(), Trouble { since, lost, message: message.to_owned() });
    }

    /// Something got there.
    pub(super) fn arrived(&mut self, action: &Name) {
        if let Some(trouble) = self.troubles.get_mut(action) {
            trouble.since = None;
        }
    }
}
