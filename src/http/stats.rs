//! `GET /stats`: figures of the whole.

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;
use crate::actors::handle::ActionFigures;
use crate::model::{Noun, Timestamp};

#[derive(Serialize, ToSchema)]
pub(super) struct Stats {
    runs_per_minute: Rates,
    totals: Totals,
    running: u64,
    queued: u64,
    connections: Connections,
    lateness_ms: Option<Lateness>,
    paused: bool,
    store_queue: u64,
    results_stored: u64,
    store_bytes: Option<u64>,
    oldest_result_at: Option<Timestamp>,
    retention: Retained,
    /// What Actions sent or started since the start.
    actions_fired: u64,
    /// Events that Actions are not looked at for yet.
    events_waiting: u64,
    /// Each Action, by name.
    actions: Vec<ActionFigures>,
}

/// How the removal of old Results goes on.
#[derive(Serialize, ToSchema)]
struct Retained {
    /// Results that were removed since the start of the process.
    removed: u64,
    /// Of the last look: when it was over, how long it took, how many it removed; null before the first.
    last_at: Option<Timestamp>,
    last_ms: Option<u64>,
    last_removed: Option<u64>,
}

#[derive(Serialize, ToSchema)]
struct Rates {
    m1: f64,
    m5: f64,
    m15: f64,
}

#[derive(Serialize, ToSchema)]
struct Connections {
    /// SSH connections that are open; the others are hosts by state.
    open: u64,
    up: u64,
    down: u64,
    unreachable: u64,
    pending: u64,
}

#[derive(Serialize, ToSchema)]
struct Lateness {
    p50: i64,
    p99: i64,
}

/// One field for each noun.
struct Totals(Vec<(Noun, u64)>);

impl ToSchema for Totals {}

impl PartialSchema for Totals {
    fn schema() -> RefOr<Schema> {
        let total = || u64::schema();
        let fields = Noun::ALL.iter().fold(ObjectBuilder::new(), |all, noun| all.property(noun.plural(), total()));
        RefOr::T(fields.into())
    }
}

impl Serialize for Totals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("totals", self.0.len())?;
        for (noun, count) in &self.0 {
            fields.serialize_field(noun.plural(), count)?;
        }
        fields.end()
    }
}

/// The figures.
pub async fn stats(call: Call) -> Result<Reply, Problem> {
    let (stats, stored) = (call.handle().stats(), call.handle().stored().await?);
    let last = call.handle().sweeper.last();
    let [m1, m5, m15] = stats.runs_per_minute.map(|rate| (rate * 100.0).round() / 100.0);
    let shown = Stats {
        runs_per_minute: Rates { m1, m5, m15 },
        totals: Totals(stats.totals),
        running: stats.running,
        queued: stats.queued,
        connections: Connections {
            open: stats.connections,
            up: stats.summary.hosts_up,
            down: stats.summary.hosts_down,
            unreachable: stats.summary.hosts_unreachable,
            pending: stats.summary.hosts_pending,
        },
        lateness_ms: stats.lateness_ms.map(|(p50, p99)| Lateness { p50, p99 }),
        paused: stats.summary.paused,
        store_queue: stats.store_queue,
        results_stored: stored.results,
        store_bytes: stored.bytes,
        oldest_result_at: stored.oldest,
        retention: Retained {
            removed: call.handle().sweeper.removed.get(),
            last_at: last.map(|last| last.at),
            last_ms: last.map(|last| u64::try_from(last.took.as_millis()).unwrap_or(u64::MAX)),
            last_removed: last.map(|last| last.swept.all()),
        },
        actions_fired: stats.actions.iter().map(|action| action.fired).sum(),
        events_waiting: stats.events_waiting,
        actions: stats.actions,
    };
    call.document("stats", &shown)
}
