//! Another key for the secrets that Alf keeps.

use serde::Serialize;
use utoipa::ToSchema;

use super::body;
use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;

#[derive(Serialize, ToSchema)]
pub(super) struct Rotated {
    /// Definitions whose secrets were sealed anew.
    resealed: usize,
}

/// `POST /rotate-key`: 409 when the key file cannot be changed.
pub async fn rotate(call: Call) -> Result<Reply, Problem> {
    body::nothing(&call, "rotation")?;
    let resealed = call.handle().rotate_key().await?;
    call.document("rotation", &Rotated { resealed })
}
