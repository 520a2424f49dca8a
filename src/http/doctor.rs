//! What is wrong with a host, step by step.

use serde::Serialize;
use utoipa::ToSchema;

use super::body;
use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;
use crate::actors::handle::{Finding, Verdict};
use crate::model::{Name, Noun};

#[derive(Serialize, ToSchema)]
pub(super) struct Examination<'a> {
    host: &'a Name,
    /// The worst verdict.
    verdict: Verdict,
    findings: &'a [Finding],
}

/// `POST /hosts/HOST/doctor`: takes up to a minute.
pub async fn examine(call: Call) -> Result<Reply, Problem> {
    let host = call.name("host", Noun::Host)?;
    body::nothing(&call, "doctor")?;
    let findings = call.handle().examine(&host).await?;
    let any = |verdict: Verdict| findings.iter().any(|finding| finding.verdict == verdict);
    let verdict = [Verdict::Failed, Verdict::Warning].into_iter().find(|verdict| any(*verdict)).unwrap_or(Verdict::Ok);
    call.document("doctor", &Examination { host: &host, verdict, findings: &findings })
}
