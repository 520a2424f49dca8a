//! What becomes of connects and commands at scripted hosts.

use std::time::Duration;

use crate::model::PublicKey;
use crate::ssh::{ConnectError, End};

/// What becomes of one connect.
#[derive(Debug, Clone)]
pub struct FakeConnect {
    pub(super) delay: Duration,
    /// None: never answers.
    pub(super) outcome: Option<Result<Option<PublicKey>, ConnectError>>,
}

impl FakeConnect {
    /// Succeeds.
    pub fn ok() -> Self {
        Self { delay: Duration::ZERO, outcome: Some(Ok(None)) }
    }

    /// Succeeds and has learnt this key.
    pub fn learns(key: PublicKey) -> Self {
        Self { delay: Duration::ZERO, outcome: Some(Ok(Some(key))) }
    }

    /// Fails.
    pub fn fails(error: ConnectError) -> Self {
        Self { delay: Duration::ZERO, outcome: Some(Err(error)) }
    }

    /// Fails as unreachable.
    pub fn unreachable(detail: &str) -> Self {
        Self::fails(ConnectError::Unreachable { detail: detail.to_owned() })
    }

    /// Fails as a refused login.
    pub fn auth(detail: &str) -> Self {
        Self::fails(ConnectError::Auth { detail: detail.to_owned() })
    }

    /// Fails by the host's key.
    pub fn host_key(detail: &str) -> Self {
        Self::fails(ConnectError::HostKey { detail: detail.to_owned() })
    }

    /// Never answers.
    pub fn hang() -> Self {
        Self { delay: Duration::ZERO, outcome: None }
    }

    /// The same, after so long.
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

/// What becomes of one command.
#[derive(Debug, Clone)]
pub struct FakeExec {
    /// None: runs until it is stopped.
    pub(super) delay: Option<Duration>,
    pub(super) end: End,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) gone: Option<bool>,
    pub(super) kill: Duration,
    pub(super) panics: bool,
}

impl FakeExec {
    /// Ends like this. [`End::Refused`] and [`End::Setup`] count as never started.
    pub fn ends(end: End) -> Self {
        let (stdout, stderr) = (Vec::new(), Vec::new());
        Self { delay: Some(Duration::ZERO), end, stdout, stderr, gone: Some(true), kill: Duration::ZERO, panics: false }
    }

    /// Ends with an exit code.
    pub fn exit(code: i32) -> Self {
        Self::ends(End::Exited(code))
    }

    /// Runs until its timeout, a cancel, or the end of the connection.
    pub fn hang() -> Self {
        Self { delay: None, ..Self::exit(0) }
    }

    /// Panics.
    pub fn panics() -> Self {
        Self { panics: true, ..Self::exit(0) }
    }

    /// With this standard output.
    pub fn stdout(self, text: impl Into<Vec<u8>>) -> Self {
        Self { stdout: text.into(), ..self }
    }

    /// With this standard error.
    pub fn stderr(self, text: impl Into<Vec<u8>>) -> Self {
        Self { stderr: text.into(), ..self }
    }

    /// After so long.
    pub fn after(self, delay: Duration) -> Self {
        Self { delay: Some(delay), ..self }
    }

    /// What a kill finds afterwards; `Some(true)` unless said otherwise.
    pub fn kill_finds(self, gone: Option<bool>) -> Self {
        Self { gone, ..self }
    }

    /// How long it takes to end it by a cancel; no time unless said otherwise.
    pub fn kill_takes(self, kill: Duration) -> Self {
        Self { kill, ..self }
    }
}
