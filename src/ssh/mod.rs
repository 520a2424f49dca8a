//! The SSH room: one connection to a host, commands run over it, output bounded and byte-exact.
//!
//! The traits are what actors see; `client.rs` is the real thing, `fake.rs` a scripted one for tests.

mod agent;
mod authenticate;
mod certificate;
pub mod client;
pub mod doctor;
mod explain;
pub mod fake;
mod gate;
pub mod host_keys;
mod kill;
mod learn;
mod login;
pub mod output;
mod processes;
mod program;
mod progress;
mod pulse;
mod remote;
mod remote_checks;
mod run;
mod script;
mod session;
mod sudo;
mod via;
mod wire;

use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::model::{HostKeyPolicy, Name, PublicKey, SecretText};
use doctor::{Expected, Finding};
use output::{LiveOutput, Output};

/// Where and how to log in: everything a connection needs, resolved from the definitions.
#[derive(Debug, Clone)]
pub struct Target {
    /// The host's name, for messages.
    pub host: Name,
    /// Host name or IP address to connect to.
    pub address: String,
    /// TCP port.
    pub port: u16,
    /// The user to log in as.
    pub user: String,
    /// How to prove who we are.
    pub login: Login,
    /// What to do with a host whose key nobody has recorded.
    pub policy: HostKeyPolicy,
    /// The keys of this host, given in its definition or learnt before. If there are any, the host must show one of
    /// them; known_hosts files are asked for keys only when there is none, for revoked ones always.
    pub keys: Vec<PublicKey>,
    /// The connection of the jump host through which it is reached; none for a direct one.
    pub via: Option<Via>,
    /// Whether other hosts are reached through it ([`Self::via`] of theirs): then it resolves their names.
    pub leads_on: bool,
}

/// A connection that leads on to another host.
#[derive(Clone)]
pub struct Via {
    /// The jump host's name, for messages.
    pub host: Name,
    /// Its connection, made by the same connector.
    pub session: Arc<dyn Session>,
}

impl fmt::Debug for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Via").field("host", &self.host).finish_non_exhaustive()
    }
}

/// How to prove who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// A password.
    Password(SecretText),
    /// A private key as PEM or OpenSSH text.
    PrivateKey {
        /// The key's text.
        key: SecretText,
        /// What decrypts it.
        passphrase: Option<SecretText>,
        /// The OpenSSH user certificate that goes with it (`ssh-…-cert-v01@openssh.com AAAA…`).
        certificate: Option<String>,
    },
    /// A private key in a file of the Alf machine, read at each connect.
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What decrypts it.
        passphrase: Option<SecretText>,
    },
    /// The agent at `SSH_AUTH_SOCK`.
    Agent,
    /// No credential was named: the agent if there is one, else the OS user's `~/.ssh/id_*` without passphrase.
    Default,
}

/// Time limits of a connection's life; settings `ssh.*`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Resolving the address and the TCP connect.
    pub connect: Duration,
    /// Handshake and authentication together.
    pub login: Duration,
    /// Silence after which the host is asked whether it is still there.
    pub keepalive_interval: Duration,
    /// Unanswered questions after which the connection counts as lost.
    pub keepalive_max: usize,
    /// Files asked for a host's key before it is learnt.
    pub known_hosts: Vec<PathBuf>,
}

/// Why there is no connection. `detail` is one line that names step and cause in words a person can act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Does not resolve, refuses, or does not answer.
    #[error("{detail}")]
    Unreachable {
        /// Step and cause.
        detail: String,
    },
    /// The host refused the login, or there is nothing to log in with.
    #[error("{detail}")]
    Auth {
        /// Step and cause.
        detail: String,
    },
    /// The host's key is not the recorded one, is revoked, or is unknown under policy `strict`. Nothing secret was sent.
    #[error("{detail}")]
    HostKey {
        /// Cause and both fingerprints.
        detail: String,
    },
}

/// A connection that is logged in.
#[derive(Clone)]
pub struct Connected {
    /// Runs commands.
    pub session: Arc<dyn Session>,
    /// A key nobody had recorded, learnt at this connect (policy `accept-new`): to be pinned before first use.
    pub learned: Option<PublicKey>,
}

/// The key a host shows, and how it stands to what is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedKey {
    /// The key. A host with several keys shows one of a recorded one's algorithm if it has any.
    pub key: PublicKey,
    /// Whether it is trusted.
    pub standing: KeyStanding,
}

/// How a key that a host shows stands to the recorded ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStanding {
    /// It is a recorded one.
    Recorded,
    /// No key of the host is recorded.
    Unknown,
    /// It is none of the recorded ones.
    Changed {
        /// Those.
        recorded: Vec<PublicKey>,
        /// Where they are recorded: `its definition`, or the known_hosts files.
        source: String,
    },
    /// A known_hosts file says that it is not to be trusted any more.
    Revoked,
}

/// One thing to run on a host. It may hold secrets: `Debug` shows no more than whose run it is.
#[derive(Clone)]
pub struct Exec {
    /// The run's id: a marker in the remote environment (`ALF_RUN_ID`) by which its processes are found.
    pub run: String,
    /// What.
    pub work: Work,
    /// Its arguments: of a script or program its own, of a command the shell's `$1` and so on.
    pub args: Vec<String>,
    /// Environment, `ALF_*` included, in order; later ones win.
    pub env: Vec<(String, String)>,
    /// Bytes for its standard input; none is an empty one.
    pub stdin: Option<bytes::Bytes>,
    /// The directory it starts in; a relative one begins at the home directory, which is where it starts by default.
    pub cwd: Option<String>,
    /// The user it runs as, by sudo; none for the one that is logged in.
    pub run_as: Option<RunAs>,
    /// After this long since the command's start its process tree is killed.
    pub timeout: Option<Duration>,
    /// Between TERM and KILL.
    pub kill_grace: Duration,
    /// When it must have found a free session on the host; none waits for as long as it takes.
    pub start_by: Option<Instant>,
    /// Takes its output while it comes, and bounds it.
    pub output: Arc<LiveOutput>,
    /// Ends the run early, killing its process tree.
    pub cancel: CancellationToken,
}

impl fmt::Debug for Exec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exec").field("run", &self.run).finish_non_exhaustive()
    }
}

impl Exec {
    /// A command with nothing around it, one hour to run and 256 KiB of output kept.
    pub fn command(run: impl Into<String>, command: impl Into<String>) -> Self {
        Self {
            run: run.into(),
            work: Work::Command(command.into()),
            args: Vec::new(),
            env: Vec::new(),
            stdin: None,
            cwd: None,
            run_as: None,
            timeout: Some(Duration::from_secs(3600)),
            kill_grace: Duration::from_secs(5),
            start_by: None,
            output: LiveOutput::new(262_144),
            cancel: CancellationToken::new(),
        }
    }

    /// The text of a command or script, the hash of a program.
    pub fn text(&self) -> &str {
        match &self.work {
            Work::Command(command) => command,
            Work::Script { body, .. } => body,
            Work::Program(program) => &program.sha256,
        }
    }
}

/// What is run.
#[derive(Debug, Clone)]
pub enum Work {
    /// Text for the remote `/bin/sh`.
    Command(String),
    /// A text for an interpreter of the host.
    Script {
        /// The interpreter and its own arguments, such as `["/bin/sh"]` or `["python3", "-u"]`.
        interpreter: Vec<String>,
        /// The text.
        body: String,
    },
    /// An executable file that Alf brings along.
    Program(ProgramFile),
}

/// An executable file, kept on hosts by its hash.
#[derive(Clone)]
pub struct ProgramFile {
    /// SHA-256 of its bytes, 64 hexadecimal digits in lower case.
    pub sha256: String,
    /// Where its bytes are, asked only when a host does not have it yet.
    pub source: Arc<dyn ProgramSource>,
}

impl fmt::Debug for ProgramFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgramFile").field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

/// Gives the bytes of a program.
pub trait ProgramSource: Send + Sync {
    /// All of them; the error says in words why they cannot be had.
    fn bytes(&self) -> BoxFuture<'static, Result<bytes::Bytes, String>>;
}

/// Who a run is done as, by `sudo`.
#[derive(Debug, Clone)]
pub struct RunAs {
    /// The user.
    pub user: String,
    /// What sudo is told if it asks for the password of the user that is logged in; none for `sudo -n`.
    pub password: Option<SecretText>,
}

/// A run whose end nobody has seen: what may be left of it on the host.
#[derive(Debug, Clone)]
pub struct Leftover {
    /// The run's id.
    pub run: String,
    /// Its first process, if known: where that one is gone, the run has ended by itself and what it left behind stays.
    pub leader: Option<u32>,
    /// Whom it runs as.
    pub run_as: Option<RunAs>,
    /// Between TERM and KILL.
    pub kill_grace: Duration,
    /// What is known of its beginning.
    pub begun: Begun,
}

/// What is known of the beginning of a run that left something behind, or did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It had begun.
    Surely,
    /// It had begun or not.
    Perhaps,
    /// The same, and perhaps as another user than the one who looks, who does not see another's processes.
    PerhapsAsAnother,
}

/// How a command that was started came to its end.
#[derive(Debug, Clone)]
pub struct Ending {
    /// When the host accepted the command; none when it certainly never started there (no session was opened, the
    /// command was not sent), so that it may be tried again.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub finished_at: DateTime<Utc>,
    /// How it ended.
    pub end: End,
    /// Its standard output.
    pub stdout: Output,
    /// Its standard error.
    pub stderr: Output,
    /// What killing it found, if it had to be killed.
    pub kill: Option<KillReport>,
    /// Its first process there, if known.
    pub leader: Option<u32>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With an exit code.
    Exited(i32),
    /// By a signal, named without `SIG`.
    Signaled(String),
    /// Killed because its time was over.
    TimedOut,
    /// Killed because somebody cancelled it.
    Cancelled,
    /// The connection ended first; what became of it is not known.
    ConnectionLost(String),
    /// sshd would not open a session or start the command.
    Refused(String),
    /// The command could not be set up on the host (no `/bin/sh`, …).
    Setup(String),
    /// The host had no session free until [`Exec::start_by`].
    NoPlace(String),
}

/// What was found when a run's processes were killed and looked for again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KillReport {
    /// When the kill began.
    pub requested_at: DateTime<Utc>,
    /// Whether nothing of the run is left; none when it could not be looked at.
    pub gone: Option<bool>,
    /// In words.
    pub detail: String,
}

/// Makes connections.
pub trait Connector: Send + Sync {
    /// Connects and logs in, within the limits; dropping the future gives up cleanly.
    fn connect(&self, target: Target) -> BoxFuture<'static, Result<Connected, ConnectError>>;

    /// Asks the host for its key, on the same way and within the same limits as [`Self::connect`], and goes no
    /// further: nothing secret is sent, nobody logs in, and the login and policy of the target do not matter.
    fn offered_key(&self, target: Target) -> BoxFuture<'static, Result<OfferedKey, ConnectError>>;

    /// Looks the host over, on the same way as [`Self::connect`] and over a connection of its own: one finding for each
    /// check, in order, within a minute.
    fn examine(&self, target: Target, expected: Expected) -> BoxFuture<'static, Vec<Finding>>;
}

/// One connection that is logged in; ends when closed or when the host is gone.
pub trait Session: Send + Sync {
    /// Runs one command to its end. Always comes to an end once the connection is lost; a session refused for want
    /// of a free place on the host is tried again, never reported, until `start_by` or `cancel`.
    fn exec(&self, exec: Exec) -> BoxFuture<'static, Ending>;

    /// Looks for what is left of a run whose end nobody has seen, and ends it.
    fn sweep(&self, leftover: Leftover) -> BoxFuture<'static, KillReport>;

    /// How many sessions the host has refused so far for want of a free place; each was asked for again.
    fn refused(&self) -> u64;

    /// In words, that the host gives no session at all: it refused the last one although none of ours was open.
    fn refusal(&self) -> Option<String>;

    /// Resolves, with the cause, when the connection is lost.
    fn lost(&self) -> BoxFuture<'static, String>;

    /// Says goodbye and closes.
    fn close(&self) -> BoxFuture<'static, ()>;

    /// Itself, for the connector that made it: the way on to another host leads through its inside.
    fn as_any(&self) -> &dyn Any;
}
