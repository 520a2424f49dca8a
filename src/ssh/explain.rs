//! Errors of a connect, in words a person can act on. Nothing secret is in them.

use std::io;

use async_ssh2_tokio::Error;
use russh::MethodKind;

use super::ConnectError;

/// Why a login did not come about.
#[derive(Debug)]
pub(super) enum Failure {
    /// The host showed another key than the one it was held to.
    OtherKey,
    /// The host refused this way to log in.
    Refused(String),
    /// Anything else.
    Final(ConnectError),
}

/// What an error of async-ssh2-tokio means, for a login as `user` with `method`.
pub(super) fn login(place: &str, user: &str, method: &str, error: Error) -> Failure {
    let refused =
        |remedy: &str| Failure::Refused(format!("login as \"{user}\" with {method} was refused by {place}; {remedy}"));
    match error {
        Error::SshError(russh::Error::UnknownKey) | Error::ServerCheckFailed => Failure::OtherKey,
        Error::PasswordWrong | Error::KeyboardInteractiveAuthFailed => refused("check the password"),
        Error::KeyboardInteractiveNoResponseForPrompt(prompt) => refused(&format!(
            "it asks for more than a password (\"{}\")",
            prompt.trim().chars().take(100).collect::<String>()
        )),
        Error::KeyAuthFailed => refused(&format!("check authorized_keys of \"{user}\" there")),
        Error::AgentAuthenticationFailed => {
            refused(&format!("check authorized_keys of \"{user}\" there, and ssh-add -l here"))
        }
        Error::AgentConnectionFailed | Error::AgentRequestIdentitiesFailed | Error::AgentNoIdentities => {
            Failure::Refused(format!(
                "cannot log in to {place} as \"{user}\": the agent at SSH_AUTH_SOCK has no keys to offer"
            ))
        }
        Error::KeyInvalid(cause) => {
            Failure::Refused(format!("cannot log in to {place} as \"{user}\" with {method}: {cause}"))
        }
        Error::AgentAuthError(cause) => {
            Failure::Refused(format!("cannot log in to {place} as \"{user}\" with {method}: {cause}"))
        }
        Error::SshError(error) => unreachable(handshake(place, &error)),
        Error::IoError(error) | Error::AddressInvalid(error) => unreachable(network(place, &error)),
        other => unreachable(format!("cannot log in to {place} as \"{user}\": {other}")),
    }
}

/// Why a password was refused by a host that offers these ways to log in.
pub(super) fn password(place: &str, user: &str, offered: &[MethodKind]) -> String {
    if offered.is_empty() || offered.contains(&MethodKind::Password) {
        return format!("login as \"{user}\" with the password was refused by {place}; check the password");
    }
    let offered: Vec<&str> = offered.iter().map(Into::into).collect();
    format!("{place} takes no password from \"{user}\"; it offers {}", offered.join(", "))
}

/// What an error of russh before or during the login means.
pub(super) fn handshake(place: &str, error: &russh::Error) -> String {
    match error {
        russh::Error::IO(error) => network(place, error),
        russh::Error::NoCommonAlgo { kind, theirs, .. } => {
            let kind = format!("{kind:?}").to_lowercase();
            format!("no common {kind} algorithm with {place}: it offers only {}", theirs.join(", "))
        }
        russh::Error::Disconnect | russh::Error::HUP | russh::Error::SendError | russh::Error::RecvError => {
            format!(
                "{place} closed the connection before the login was done; it may have too many logins under way, or refuse this machine"
            )
        }
        russh::Error::Version => format!("{place} does not speak SSH 2: is the port right?"),
        russh::Error::InactivityTimeout | russh::Error::ConnectionTimeout | russh::Error::KeepaliveTimeout => {
            format!("{place} fell silent before the login was done")
        }
        other => format!("the handshake with {place} failed: {other}"),
    }
}

/// Why a name does not resolve.
pub(super) fn unresolved(address: &str, error: &io::Error) -> String {
    // The resolver's own words, without the prefix that std puts before them.
    let cause = error.to_string();
    let cause = cause.strip_prefix("failed to lookup address information: ").unwrap_or(&cause);
    let cause = if cause.contains("not known") { "no such host name" } else { cause };
    format!("cannot resolve \"{address}\": {cause}")
}

fn network(place: &str, error: &io::Error) -> String {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => format!("{place} refused the connection: is sshd running there?"),
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::UnexpectedEof | Kind::BrokenPipe => {
            format!(
                "{place} closed the connection during the handshake; it may have too many logins under way, or refuse this machine"
            )
        }
        Kind::TimedOut => format!("no answer from {place}"),
        Kind::NetworkUnreachable | Kind::HostUnreachable => format!("no route to {place}: {error}"),
        _ => format!("cannot connect to {place}: {error}"),
    }
}

fn unreachable(detail: String) -> Failure {
    Failure::Final(ConnectError::Unreachable { detail })
}

/// The error with its detail fit for one line of a log or a terminal.
pub(super) fn one_line(error: ConnectError) -> ConnectError {
    let clean = |detail: String| -> String {
        detail.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).take(2000).collect()
    };
    match error {
        ConnectError::Unreachable { detail } => ConnectError::Unreachable { detail: clean(detail) },
        ConnectError::Auth { detail } => ConnectError::Auth { detail: clean(detail) },
        ConnectError::HostKey { detail } => ConnectError::HostKey { detail: clean(detail) },
    }
}
