//! The agent at `SSH_AUTH_SOCK`: its keys, offered one after the other.

use std::time::Duration;

use russh::client::{AuthResult, Handle};
use russh::keys::HashAlg;
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;

use super::learn::Held;

/// How long an agent may take to say what keys it has.
const ANSWER: Duration = Duration::from_secs(5);

/// The keys of the agent, at least one; the agent answers.
pub(super) async fn identities() -> Result<Vec<AgentIdentity>, String> {
    if std::env::var_os("SSH_AUTH_SOCK").is_none() {
        return Err("no agent (SSH_AUTH_SOCK is not set)".to_owned());
    }
    let asked = async { AgentClient::connect_env().await?.request_identities().await };
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(Ok(keys)) if keys.is_empty() => Err("the agent has no keys to offer (ssh-add adds some)".to_owned()),
        Ok(Ok(keys)) => Ok(keys),
        Ok(Err(error)) => Err(format!("the agent at SSH_AUTH_SOCK does not answer: {error}")),
        Err(_) => Err(format!("the agent at SSH_AUTH_SOCK does not answer within {ANSWER:?}")),
    }
}

/// Offers one of its keys to a host. The error says why the agent would not sign for it; then this connection is of no
/// use any more.
pub(super) async fn offer(
    handle: &mut Handle<Held>,
    user: &str,
    identity: &AgentIdentity,
    hash: Option<HashAlg>,
) -> Result<AuthResult, String> {
    let refuses = |cause: String| {
        let key = identity.public_key().fingerprint(HashAlg::Sha256);
        format!("the agent did not sign with its key {key}: {cause}")
    };
    let mut agent = AgentClient::connect_env().await.map_err(|error| refuses(error.to_string()))?;
    let answer = match identity {
        AgentIdentity::PublicKey { key, .. } => {
            handle.authenticate_publickey_with(user, key.clone(), hash, &mut agent).await
        }
        AgentIdentity::Certificate { certificate, .. } => {
            handle.authenticate_certificate_with(user, certificate.clone(), None, &mut agent).await
        }
    };
    answer.map_err(|error| refuses(error.to_string()))
}
