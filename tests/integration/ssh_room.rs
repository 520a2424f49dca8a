//! The SSH room against a real sshd.

use std::time::Duration;

use alf::clock::Clock;
use alf::model::{HostKeyPolicy, Name, PublicKey};
use alf::ssh::client::RusshConnector;
use alf::ssh::{ConnectError, Connected, Connector, End, Ending, Exec, Limits, Login, Session, Target};
use tokio_util::sync::CancellationToken;

use crate::support::sshd::{Options, Sshd};

fn limits() -> Limits {
    Limits {
        connect: Duration::from_secs(10),
        login: Duration::from_secs(20),
        keepalive_interval: Duration::from_secs(15),
        keepalive_max: 3,
        known_hosts: Vec::new(),
    }
}

fn target(sshd: &Sshd) -> Target {
    Target {
        host: Name::parse("web1").unwrap(),
        address: "127.0.0.1".to_owned(),
        port: sshd.port(),
        user: sshd.user(),
        login: Login::KeyFile { path: sshd.client_key(), passphrase: None },
        policy: HostKeyPolicy::AcceptNew,
        keys: Vec::new(),
    }
}

fn exec(command: &str) -> Exec {
    let run = uuid::Uuid::now_v7().to_string();
    Exec {
        env: vec![("ALF_HOST".to_owned(), "web1".to_owned()), ("ALF_RUN_ID".to_owned(), run.clone())],
        run,
        command: command.to_owned(),
        stdin: None,
        timeout: Some(Duration::from_secs(30)),
        kill_grace: Duration::from_secs(2),
        output_limit: 262_144,
        cancel: CancellationToken::new(),
    }
}

async fn connect_with(limits: Limits, target: Target) -> Result<Connected, ConnectError> {
    RusshConnector::new(limits, Clock::Wall).connect(target).await
}

async fn connect(sshd: &Sshd) -> Connected {
    connect_with(limits(), target(sshd)).await.unwrap()
}

fn stdout(ending: &Ending) -> &str {
    std::str::from_utf8(&ending.stdout.bytes).unwrap()
}

#[tokio::test]
async fn a_command_s_exit_code_and_both_streams_come_back() {
    let sshd = Sshd::start();
    let connected = connect(&sshd).await;
    let ending = connected.session.exec(exec("echo out; echo err >&2; exit 3")).await;
    assert_eq!(ending.end, End::Exited(3));
    assert_eq!(ending.stdout.bytes, b"out\n");
    assert_eq!(ending.stderr.bytes, b"err\n");
    assert!(ending.kill.is_none());
    assert!(ending.started_at.unwrap() <= ending.finished_at);
}

#[tokio::test]
async fn a_command_with_stdin_and_env_gets_them_exactly() {
    let sshd = Sshd::start();
    let connected = connect(&sshd).await;
    let mut run = exec("cat; printf %s \"$SECRET\"");
    run.env.push(("SECRET".to_owned(), "it's \"$x\" \\ !\nnew".to_owned()));
    run.stdin = Some((0..=255).collect::<Vec<u8>>().into());
    let ending = connected.session.exec(run).await;
    assert_eq!(ending.end, End::Exited(0), "{ending:?}");
    let mut wanted: Vec<u8> = (0..=255).collect();
    wanted.extend_from_slice(b"it's \"$x\" \\ !\nnew");
    assert_eq!(ending.stdout.bytes, wanted);
    assert_eq!(ending.stderr.bytes, b"");
}

#[tokio::test]
async fn a_timeout_kills() {
    let sshd = Sshd::start();
    let connected = connect(&sshd).await;
    let mut run = exec("sleep 1000 & setsid sleep 1000 & sleep 1000");
    run.timeout = Some(Duration::from_millis(300));
    let ending = connected.session.exec(run).await;
    assert_eq!(ending.end, End::TimedOut, "{ending:?}");
    assert_eq!(ending.kill.clone().unwrap().gone, Some(true), "{ending:?}");
}
