//! Host keys by hand: what a host shows now, trusting that from now on, forgetting what was learnt.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt as _, Context, Handler, Message, ResponseActFuture, WrapFuture as _};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::AlfError;
use super::host::HostActor;
use crate::model::{AuditEntry, Host, Noun, PublicKey, Reference};
use crate::ssh::{ConnectError, KeyStanding, OfferedKey, Target};
use crate::store::{HostKeyRecord, Write};

/// How long a host may take to show its key.
const PROBE: Duration = Duration::from_secs(20);

/// Asks which key the host shows now, and how it stands to what is recorded.
#[derive(Debug, Message)]
#[rtype(result = "Result<HostKeyView, AlfError>")]
pub struct ShowHostKey;

/// Trusts the key that the host shows now, in place of what was learnt before.
#[derive(Debug, Message)]
#[rtype(result = "Result<TrustedKey, AlfError>")]
pub struct TrustHost {
    /// Its fingerprint (`SHA256:…`), if the caller knows it.
    pub expect: Option<String>,
    /// What the audit is told of it.
    pub told: AuditEntry,
}

/// Forgets the keys learnt from the host; the next connect judges anew.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), AlfError>")]
pub struct ForgetHostKey(pub AuditEntry);

/// The key a host shows, and what is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HostKeyView {
    /// What it shows.
    pub offered: ShownKey,
    /// `recorded`, `unknown`, `changed` or `revoked`.
    pub standing: &'static str,
    /// What is recorded.
    pub recorded: Vec<RecordedKey>,
}

/// A key for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ShownKey {
    /// Such as `ssh-ed25519`.
    pub algorithm: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// The whole of it, in one line.
    pub key: PublicKey,
}

/// A recorded key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecordedKey {
    /// `SHA256:…`.
    pub fingerprint: String,
    /// `definition`, `learned`, or the `known_hosts` file.
    pub source: String,
}

/// A key that is trusted from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrustedKey {
    /// The whole of it, in one line.
    pub key: PublicKey,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// The fingerprints of the learnt keys that it replaces.
    pub replaced: Vec<String>,
}

/// What a host shows, where, and what was recorded for that place when it was asked.
struct Shown {
    host: Arc<Host>,
    learned: Vec<PublicKey>,
    offered: OfferedKey,
}

impl HostActor {
    /// Where and how to log in now.
    pub(super) fn target(&self) -> Target {
        self.plan.target(self.parts.board.learned_keys(&self.plan.host), &self.parts.login)
    }

    /// Asks the host for its key.
    fn shown(&self) -> impl Future<Output = Result<Shown, AlfError>> + use<> {
        let host = Arc::clone(&self.plan.host);
        let learned = self.parts.board.learned_keys(&host);
        let (target, connector) = (self.target_by_its_way(), Arc::clone(&self.parts.connector));
        async move {
            let (target, _way) = target.await.map_err(|no_way| AlfError::Unavailable(no_way.message().to_owned()))?;
            let probe = tokio::time::timeout(PROBE, connector.offered_key(target));
            let silent = |_| AlfError::Unavailable(format!("{} showed no key within {PROBE:?}", host.meta.name));
            let offered = probe.await.map_err(silent)?.map_err(|error| match error {
                ConnectError::HostKey { detail } => AlfError::HostKey(detail),
                other => AlfError::Unavailable(other.to_string()),
            })?;
            Ok(Shown { host, learned, offered })
        }
    }
}

impl Shown {
    fn view(&self) -> HostKeyView {
        let key = &self.offered.key;
        let from = |source: &str, keys: &[PublicKey]| -> Vec<RecordedKey> {
            let recorded = |key: &PublicKey| RecordedKey { fingerprint: key.fingerprint(), source: source.to_owned() };
            keys.iter().map(recorded).collect()
        };
        let mut recorded = from("definition", &self.host.keys);
        recorded.extend(from("learned", &self.learned));
        let (standing, elsewhere) = match &self.offered.standing {
            KeyStanding::Recorded => ("recorded", from("known_hosts", std::slice::from_ref(key))),
            KeyStanding::Unknown => ("unknown", Vec::new()),
            KeyStanding::Changed { recorded, source } => ("changed", from(source, recorded)),
            KeyStanding::Revoked => ("revoked", Vec::new()),
        };
        // Files are asked only where nothing is recorded here.
        if recorded.is_empty() {
            recorded = elsewhere;
        }
        HostKeyView { offered: ShownKey::of(key), standing, recorded }
    }

    /// Why the key that is shown is not to be trusted.
    fn refusal(&self, expect: Option<&str>) -> Option<AlfError> {
        let name = &self.host.meta.name;
        let shown = format!("{} {}", self.offered.key.algorithm(), self.offered.key.fingerprint());
        let recorded = match self.view().recorded.as_slice() {
            [] => "nothing".to_owned(),
            some => {
                some.iter().map(|key| format!("{} ({})", key.fingerprint, key.source)).collect::<Vec<_>>().join(" and ")
            }
        };
        let why = if self.offered.standing == KeyStanding::Revoked {
            format!("the key of host \"{name}\" is revoked in a known_hosts file: it shows {shown}; do not trust it")
        } else if let Some(expect) = expect.filter(|expect| *expect != self.offered.key.fingerprint()) {
            format!(
                "host \"{name}\" shows {shown}, not the expected {expect} (recorded: {recorded}); nothing was changed: if the \
                 expected one is right, somebody may be listening"
            )
        } else if !self.host.keys.is_empty() && !self.host.keys.contains(&self.offered.key) {
            format!(
                "the definition of host \"{name}\" names other keys than {shown}, which it shows (recorded: {recorded}); \
                 change its host_key.keys"
            )
        } else {
            return None;
        };
        Some(AlfError::HostKey(why))
    }
}

impl ShownKey {
    fn of(key: &PublicKey) -> Self {
        Self { algorithm: key.algorithm().to_owned(), fingerprint: key.fingerprint(), key: key.clone() }
    }
}

impl Handler<ShowHostKey> for HostActor {
    type Result = ResponseActFuture<Self, Result<HostKeyView, AlfError>>;

    fn handle(&mut self, _: ShowHostKey, _: &mut Context<Self>) -> Self::Result {
        let shown = self.shown();
        Box::pin(async move { Ok(shown.await?.view()) }.into_actor(self))
    }
}

impl Handler<TrustHost> for HostActor {
    type Result = ResponseActFuture<Self, Result<TrustedKey, AlfError>>;

    fn handle(&mut self, trust: TrustHost, _: &mut Context<Self>) -> Self::Result {
        let (shown, parts) = (self.shown(), Arc::clone(&self.parts));
        let pinned = async move {
            let shown = shown.await?;
            if let Some(refusal) = shown.refusal(trust.expect.as_deref()) {
                return Err(refusal);
            }
            let Shown { host, learned, offered: OfferedKey { key, .. } } = shown;
            let record = HostKeyRecord {
                host: host.meta.name.clone(),
                address: host.address().to_owned(),
                port: host.port,
                keys: vec![key.clone()],
            };
            let told = trust.told.to(Reference { noun: Noun::Host, name: host.meta.name.clone() });
            let writes = vec![Write::PinHostKey(record.clone()), Write::Audit(Box::new(told))];
            parts.writer.write_soon(writes).await?;
            parts.board.learn(record);
            let fingerprint = key.fingerprint();
            log::info!(host = host.meta.name.as_str(), key = fingerprint.as_str(); "host key trusted by hand");
            let replaced = learned.iter().filter(|old| **old != key).map(PublicKey::fingerprint).collect();
            Ok(TrustedKey { key, fingerprint, replaced })
        };
        Box::pin(pinned.into_actor(self).map(|trusted, actor, ctx| {
            if trusted.is_ok() {
                // Runs that wait ask for another one at once: whatever was to be waited for is forgotten with it.
                actor.drop_connection(ctx);
            }
            trusted
        }))
    }
}

impl Handler<ForgetHostKey> for HostActor {
    type Result = ResponseActFuture<Self, Result<(), AlfError>>;

    fn handle(&mut self, ForgetHostKey(told): ForgetHostKey, ctx: &mut Context<Self>) -> Self::Result {
        // One that is being made would learn the key again.
        self.drop_connection(ctx);
        let (name, parts) = (self.name().clone(), Arc::clone(&self.parts));
        let forgotten = async move {
            let told = told.to(Reference { noun: Noun::Host, name: name.clone() });
            let writes = vec![Write::ForgetHostKey(name.clone()), Write::Audit(Box::new(told))];
            parts.writer.write_soon(writes).await?;
            parts.board.forget_key(&name);
            log::info!(host = name.as_str(); "what was learnt of its host key was forgotten by hand");
            Ok::<(), AlfError>(())
        };
        Box::pin(forgotten.into_actor(self).map(|forgotten, actor, ctx| {
            if forgotten.is_ok() {
                actor.drop_connection(ctx);
            }
            forgotten
        }))
    }
}
