//! Stopping all firing, and letting it go on. Both answer how everything stands then.

use super::body;
use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;
use super::status;
use crate::model::Rights;

/// `POST /pause`.
pub async fn pause(call: Call, rights: Rights) -> Result<Reply, Problem> {
    body::nothing(&call, "pause")?;
    call.handle().pause(call.by()).await?;
    status::summary(call, rights).await
}

/// `POST /resume`.
pub async fn resume(call: Call, rights: Rights) -> Result<Reply, Problem> {
    body::nothing(&call, "resume")?;
    call.handle().resume().await?;
    status::summary(call, rights).await
}
