//! Health: whether Alf lives, whether it can do its work, and the live actor tree.

use serde::Serialize;
use utoipa::ToSchema;

use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;
use crate::model::{Noun, Rights};

#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    state: &'static str,
}

/// `GET /health/live`: the process serves HTTP.
pub async fn live(call: Call) -> Result<Reply, Problem> {
    call.document("health", &Health { state: "live" })
}

/// `GET /health/ready`: 503 with what is wrong when Alf cannot do its work.
pub async fn ready(call: Call) -> Result<Reply, Problem> {
    let wrong = call.handle().ready().await;
    if wrong.is_empty() {
        call.document("health", &Health { state: "ready" })
    } else {
        Err(Problem::unavailable(wrong.join("; ")))
    }
}

/// `GET /health/actors`: the whole tree.
pub async fn actors(call: Call, rights: Rights) -> Result<Reply, Problem> {
    call.document("health", &call.handle().health(&rights).await)
}

/// `GET /health/actors/HOST`: one host's branch.
pub async fn host(call: Call) -> Result<Reply, Problem> {
    let host = call.name("host", Noun::Host)?;
    let health = call.handle().host_health(&host).await?;
    let health = health.ok_or_else(|| Problem::not_found(format!("no actor keeps a host \"{host}\"")))?;
    call.document("health", &health)
}
