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

/// What an error of async-ssh2-tokio means, for a login as `user` with the key `shown`.
pub(super) fn login(place: &str, user: &str, shown: &str, error: Error) -> Failure {
    match error {
        Error::SshError(russh::Error::UnknownKey) | Error::ServerCheckFailed => Failure::OtherKey,
        Error::KeyAuthFailed => Failure::Refused(refused(place, user, shown, &authorized_keys(user))),
        Error::KeyInvalid(cause) => {
            Failure::Refused(format!("cannot log in to {place} as \"{user}\" with {shown}: {cause}"))
        }
        Error::SshError(error) => unreachable(handshake(place, &error)),
        Error::IoError(error) | Error::AddressInvalid(error) => unreachable(network(place, &error)),
        other => unreachable(format!("cannot log in to {place} as \"{user}\": {other}")),
    }
}

/// That a way to log in was refused, and what may help.
pub(super) fn refused(place: &str, user: &str, shown: &str, remedy: &str) -> String {
    format!("login as \"{user}\" with {shown} was refused by {place}; {remedy}")
}

/// What helps against a refused key.
pub(super) fn authorized_keys(user: &str) -> String {
    format!("check authorized_keys of \"{user}\" there")
}

/// That a password was refused.
pub(super) fn password_refused(place: &str, user: &str) -> String {
    refused(place, user, "the password", "check the password")
}

/// That a host asks for something that is not there to be given.
pub(super) fn asks_more(place: &str, user: &str, prompt: &str) -> String {
    let prompt: String = prompt.trim().chars().take(100).collect();
    refused(place, user, "the password", &format!("it asks for more than a password (\"{prompt}\")"))
}

/// That a host does not offer a way to log in.
pub(super) fn not_taken(place: &str, user: &str, what: &str, offered: &[MethodKind]) -> String {
    format!("{place} takes no {what} from \"{user}\"; it offers {}", names(offered))
}

/// Ways to log in, for messages.
pub(super) fn names(methods: &[MethodKind]) -> String {
    let names: Vec<&str> = methods.iter().map(Into::into).collect();
    if names.is_empty() { "nothing that is known here".to_owned() } else { names.join(", ") }
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

/// What an error of a stream means.
pub(super) fn network(place: &str, error: &io::Error) -> String {
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

/// A failure of the network, not of the login.
pub(super) fn unreachable(detail: String) -> Failure {
    Failure::Final(ConnectError::Unreachable { detail })
}

/// A character of what a host said, as it stands in a message: those that would do something to a terminal or a log
/// are shown as what they are.
pub(super) fn harmless(c: char) -> String {
    if c.is_control() { c.escape_debug().collect() } else { c.to_string() }
}

/// The error with its detail fit for one line of a log or a terminal.
pub(super) fn one_line(error: ConnectError) -> ConnectError {
    match error {
        ConnectError::Unreachable { detail } => ConnectError::Unreachable { detail: in_one_line(&detail) },
        ConnectError::Auth { detail } => ConnectError::Auth { detail: in_one_line(&detail) },
        ConnectError::HostKey { detail } => ConnectError::HostKey { detail: in_one_line(&detail) },
    }
}

/// A text fit for one line of a log or a terminal.
pub(super) fn in_one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).take(2000).collect()
}
