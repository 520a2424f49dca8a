//! What is done once, however often it is asked for: under an idempotency key of its own it is asked for again where
//! no answer came, or the word that it cannot be done just now.

use std::time::Duration;

use awc::http::{Method, header};
use tokio::time::Instant;

use super::client::{Accept, Answer, Body, Client, Query};
use super::error::CliError;
use super::output::Output;

/// How long it is asked for again.
const AGAIN: Duration = Duration::from_secs(30);
/// The pause before that, where the service does not tell it: it grows from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// Whose request it is that comes again.
const IDEMPOTENCY_KEY: header::HeaderName = header::HeaderName::from_static("idempotency-key");

impl Client {
    /// Sends a document to be done once, and gives what came of it.
    pub(super) async fn post_once(
        &self,
        path: &str,
        query: &Query<'_>,
        body: &Body,
        accept: Accept,
        output: &mut Output,
    ) -> Result<Answer, CliError> {
        // In quotes, as the header's draft has it (draft-ietf-httpapi-idempotency-key-header).
        let key = format!("\"{:032x}\"", rand::random::<u128>());
        let (mut pause, longest) = PAUSES;
        let mut end = None;
        let mut in_doubt = false;
        loop {
            let more = Some((IDEMPOTENCY_KEY, key.as_str()));
            let error = match self.send_with(Method::POST, path, query, body, accept, more).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            in_doubt |= is_lost(&error);
            let wait = match &error {
                // Nothing was sent: who asks for the first time is told at once.
                CliError::Unreachable { .. } if end.is_none() => return Err(error),
                error if error.is_away() || is_lost(error) => pause,
                CliError::Problem(problem) if matches!(problem.status, 409 | 503) && problem.retry_after.is_some() => {
                    problem.retry_after.unwrap_or_default().max(pause)
                }
                _ => return Err(error),
            };
            if end.is_none() {
                output.note(&format!("{error}; asking again for {} s", AGAIN.as_secs()));
            }
            if Instant::now() + wait > *end.get_or_insert_with(|| Instant::now() + AGAIN) {
                return Err(if in_doubt { CliError::InDoubt(Box::new(error)) } else { error });
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(longest);
        }
    }
}

/// Whether it may have been done, and nobody heard of it: a proxy in between says so by its own status.
fn is_lost(error: &CliError) -> bool {
    match error {
        CliError::BrokenOff { .. } => true,
        CliError::Problem(problem) => matches!(problem.status, 502 | 504),
        _ => false,
    }
}
