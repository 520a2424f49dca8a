//! `GET /api/v1`: what there is, and where.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;
use crate::model::{Name, Noun, Timestamp};

#[derive(Serialize, ToSchema)]
pub(super) struct Api<'a> {
    version: &'static str,
    api_version: &'static str,
    node: &'a Name,
    store: &'static str,
    started_at: Timestamp,
    /// Whether all firing is stopped.
    paused: bool,
    /// The nouns, by their plural in snake_case.
    nouns: BTreeMap<&'static str, String>,
    /// What is not a noun.
    more: BTreeMap<&'static str, &'static str>,
}

/// The nouns and where they are; the versions.
pub async fn describe(call: Call) -> Result<Reply, Problem> {
    let more = [
        ("apply", "/api/v1/apply"),
        ("export", "/api/v1/export"),
        ("exec", "/api/v1/exec"),
        ("runs", "/api/v1/runs"),
        ("results", "/api/v1/results"),
        ("notifications", "/api/v1/notifications"),
        ("status", "/api/v1/status"),
        ("status_summary", "/api/v1/status/summary"),
        ("audit", "/api/v1/audit"),
        ("host_statuses", "/api/v1/host-statuses"),
        ("events", "/api/v1/events"),
        ("pause", "/api/v1/pause"),
        ("resume", "/api/v1/resume"),
        ("schedules_preview", "/api/v1/schedules/preview"),
        ("stats", "/api/v1/stats"),
        ("metrics", "/metrics"),
        ("health_live", "/health/live"),
        ("health_ready", "/health/ready"),
        ("health_actors", "/health/actors"),
        ("openapi", "/openapi.json"),
        ("docs", "/docs"),
    ];
    let api = Api {
        version: env!("CARGO_PKG_VERSION"),
        api_version: "v1",
        node: call.handle().node_name(),
        store: call.handle().store_kind(),
        started_at: call.handle().started_at(),
        paused: call.handle().paused().is_some(),
        nouns: Noun::ALL.into_iter().map(|noun| (noun.plural(), format!("/api/v1/{}", noun.url()))).collect(),
        more: more.into(),
    };
    call.document("api", &api)
}
