//! Host keys by hand: what a host shows, trusting it, forgetting it.

use actix_web::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::{self, Draft};
use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;
use crate::model::{Fault, Noun};

/// What may be said with `trust`.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TrustDocument {
    /// The fingerprint that the host must show: `SHA256:…`.
    expect: Option<String>,
}

/// `GET /hosts/HOST/host-key`: asks the host.
pub async fn show(call: Call) -> Result<Reply, Problem> {
    let host = call.name("host", Noun::Host)?;
    let view = call.handle().host_key(&host).await?;
    call.document("host_key", &view)
}

/// `POST /hosts/HOST/trust`: 409 when the key is not the expected one, is revoked, or the definition names others.
pub async fn trust(call: Call) -> Result<Reply, Problem> {
    let host = call.name("host", Noun::Host)?;
    let expect = if call.body.is_empty() { None } else { expected(&call)? };
    let trusted = call.handle().trust_host(&host, expect).await?;
    call.document("trusted", &trusted)
}

/// `POST /hosts/HOST/forget-key`.
pub async fn forget(call: Call) -> Result<Reply, Problem> {
    let host = call.name("host", Noun::Host)?;
    body::nothing(&call, "forget_key")?;
    call.handle().forget_host_key(&host).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

fn expected(call: &Call) -> Result<Option<String>, Problem> {
    let Draft { document, mut faults } = body::read::<TrustDocument>(call, "trust")?;
    let expect = document.unwrap_or_default().expect;
    if expect.as_deref().is_some_and(|expect| !is_fingerprint(expect)) {
        let detail = "must be a fingerprint as ssh-keygen -l shows it: SHA256: and 43 characters of base64";
        faults.push(Fault::new("/expect", detail));
    }
    if faults.is_empty() { Ok(expect) } else { Err(Problem::invalid(faults)) }
}

fn is_fingerprint(text: &str) -> bool {
    let hash = text.strip_prefix("SHA256:").and_then(|hash| STANDARD_NO_PAD.decode(hash).ok());
    hash.is_some_and(|hash| hash.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_fingerprint_is_one() {
        let good = format!("SHA256:{}", STANDARD_NO_PAD.encode([7; 32]));
        assert!(is_fingerprint(&good));
        for bad in ["", "SHA256:", &good[7..], &good[..49], &format!("{good}="), &good.replace("SHA256", "MD5")] {
            assert!(!is_fingerprint(bad), "{bad}");
        }
    }
}
