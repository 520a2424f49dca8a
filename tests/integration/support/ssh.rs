//! Targets and commands for tests that talk to [`Sshd`].

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use alf::clock::Clock;
use alf::model::{HostKeyPolicy, Name, PublicKey};
use alf::ssh::client::RusshConnector;
use alf::ssh::{ConnectError, Connected, Connector, Ending, Exec, Limits, Login, OfferedKey, Target, Via};

use super::sshd::Sshd;

/// Limits that no healthy sshd comes near.
pub(crate) fn limits() -> Limits {
    Limits {
        connect: Duration::from_secs(10),
        login: Duration::from_secs(20),
        keepalive_interval: Duration::from_secs(15),
        keepalive_max: 3,
        known_hosts: Vec::new(),
    }
}

/// The host `web1` at this sshd, with the key that may log in.
pub(crate) fn target(sshd: &Sshd) -> Target {
    Target {
        host: Name::parse("web1").unwrap(),
        address: "127.0.0.1".to_owned(),
        port: sshd.port(),
        user: sshd.user(),
        login: Login::KeyFile { path: sshd.client_key(), passphrase: None },
        policy: HostKeyPolicy::AcceptNew,
        keys: Vec::new(),
        via: None,
        leads_on: false,
    }
}

/// The key this sshd shows.
pub(crate) fn host_key(sshd: &Sshd) -> PublicKey {
    sshd.host_key().parse().unwrap()
}

/// Connects once.
pub(crate) async fn connect_with(limits: Limits, target: Target) -> Result<Connected, ConnectError> {
    RusshConnector::new(limits, Clock::Wall).connect(target).await
}

/// Connects to a host that lets us in.
pub(crate) async fn connect(sshd: &Sshd) -> Connected {
    connect_with(limits(), target(sshd)).await.unwrap()
}

/// A command with nothing but Alf's own variables.
pub(crate) fn exec(command: &str) -> Exec {
    let run = uuid::Uuid::now_v7().to_string();
    Exec {
        env: vec![("ALF_HOST".to_owned(), "web1".to_owned()), ("ALF_TASK".to_owned(), "test".to_owned())],
        timeout: Some(Duration::from_secs(30)),
        kill_grace: Duration::from_secs(2),
        ..Exec::command(run, command)
    }
}

/// The standard output as text.
pub(crate) fn stdout(ending: &Ending) -> &str {
    std::str::from_utf8(&ending.stdout.bytes).unwrap()
}

/// Asks for the key that a host shows.
pub(crate) async fn offered_key(limits: Limits, target: Target) -> Result<OfferedKey, ConnectError> {
    RusshConnector::new(limits, Clock::Wall).offered_key(target).await
}

fn refused(result: Result<Connected, ConnectError>) -> ConnectError {
    result.err().expect("it must be refused")
}

/// What is said when the host's key is refused.
pub(crate) fn by_host_key(result: Result<Connected, ConnectError>) -> String {
    match refused(result) {
        ConnectError::HostKey { detail } => detail,
        other => panic!("{other:?}"),
    }
}

/// What is said when the login is refused.
pub(crate) fn by_auth(result: Result<Connected, ConnectError>) -> String {
    match refused(result) {
        ConnectError::Auth { detail } => detail,
        other => panic!("{other:?}"),
    }
}

/// What is said when the host is not reached.
pub(crate) fn unreachable(result: Result<Connected, ConnectError>) -> String {
    match refused(result) {
        ConnectError::Unreachable { detail } => detail,
        other => panic!("{other:?}"),
    }
}

/// Makes a key pair.
pub(crate) fn new_key(path: &Path, kind: &str, passphrase: &str) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", passphrase, "-f"]).arg(path).status();
    assert!(made.unwrap().success());
}

/// Lets a key log in.
pub(crate) fn allow(sshd: &Sshd, key: &Path) {
    let mut allowed = std::fs::read_to_string(sshd.dir().join("authorized_keys")).unwrap();
    allowed.push_str(&std::fs::read_to_string(key.with_extension("pub")).unwrap());
    std::fs::write(sshd.dir().join("authorized_keys"), allowed).unwrap();
}

/// Runs an ignored test in a process of its own, with this environment.
pub(crate) fn in_own_process(test: &str, sshd: &Sshd, env: &[(&str, PathBuf)]) {
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored"])
        .env_remove("SSH_AUTH_SOCK")
        .env("ALF_TEST_SSHD", sshd.port().to_string())
        .env("ALF_TEST_KEY", sshd.client_key())
        .envs(env.iter().cloned())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && said.contains("1 passed"), "{said}");
}

/// The host `web1` of a test in its own process.
pub(crate) fn target_from_env(login: Login) -> Target {
    let port = std::env::var("ALF_TEST_SSHD").unwrap().parse().unwrap();
    let user = super::sshd::user();
    let host = Name::parse("web1").unwrap();
    Target {
        host,
        address: "127.0.0.1".to_owned(),
        port,
        user,
        login,
        policy: HostKeyPolicy::AcceptNew,
        keys: Vec::new(),
        via: None,
        leads_on: false,
    }
}

/// The target through a jump host named `bastion`.
pub(crate) fn through(jump: &Connected, target: Target) -> Target {
    let via = Via { host: Name::parse("bastion").unwrap(), session: Arc::clone(&jump.session) };
    Target { via: Some(via), ..target }
}

/// A jump host's own connection.
pub(crate) async fn connect_jump(sshd: &Sshd) -> Connected {
    connect_with(limits(), Target { leads_on: true, ..target(sshd) }).await.unwrap()
}
