//! Reaches real sshds through other real sshds.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use alf::model::{HostKeyPolicy, SecretText};
use alf::ssh::{End, KeyStanding, Limits, Login, OfferedKey, Target};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};

use crate::support::ssh::{
    by_auth, by_host_key, connect, connect_jump, connect_with, exec, host_key, limits, new_key, offered_key, stdout,
    target, through, unreachable,
};
use crate::support::sshd::{Options, Sshd};

/// Long enough for anything that works.
const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn everything_works_through_a_jump_host_as_it_does_directly() {
    let config = vec!["PasswordAuthentication no".to_owned(), "KbdInteractiveAuthentication no".to_owned()];
    let mut web = Sshd::start_with(&Options { user_ca: true, config, ..Options::default() });
    let bastion = Sshd::start();
    let jump = connect_jump(&bastion).await;
    // The jump host resolves the name.
    let target = through(&jump, Target { address: "localhost".to_owned(), ..target(&web) });

    let asked = offered_key(limits(), target.clone()).await.unwrap();
    assert_eq!(asked, OfferedKey { key: host_key(&web), standing: KeyStanding::Unknown });
    let strict = Target { policy: HostKeyPolicy::Strict, ..target.clone() };
    assert!(by_host_key(connect_with(limits(), strict).await).contains(&host_key(&web).fingerprint()));
    assert_eq!(web.login_attempts(), 0, "{}", web.log());

    let connected = connect_with(limits(), target.clone()).await.unwrap();
    assert_eq!(connected.learned, Some(host_key(&web)));
    assert_eq!(stdout(&connected.session.exec(exec("echo hi")).await), "hi\n");
    let big = connected.session.exec(exec("head -c 3000000 /dev/zero | cksum; head -c 200000 /dev/zero")).await;
    assert_eq!((big.end, big.stdout.total), (End::Exited(0), stdout_length()));

    let key = web.dir().join("certified");
    new_key(&key, "ed25519", "");
    let certificate = web.certify(&key, &["-n", &web.user()]);
    let login = Login::PrivateKey {
        key: SecretText::new(std::fs::read_to_string(&key).unwrap()),
        passphrase: None,
        certificate: Some(certificate),
    };
    let pinned = Target { keys: vec![host_key(&web)], login, ..target.clone() };
    assert!(connect_with(limits(), pinned.clone()).await.is_ok());

    let wrong = Target { login: Login::Password(SecretText::new("hunter2".to_owned())), ..target.clone() };
    let detail = by_auth(connect_with(limits(), wrong).await);
    assert!(detail.contains(&format!("localhost:{} (through bastion)", web.port())), "{detail}");
    assert!(!web.log().contains("Failed password"), "it does not offer passwords: {}", web.log());

    web.restart_with_new_host_key();
    let before = web.login_attempts();
    assert!(by_host_key(connect_with(limits(), pinned).await).contains("changed"));
    assert_eq!(web.login_attempts(), before, "no login may be tried: {}", web.log());
    assert_eq!(bastion.logins(), 1, "all of it over the jump host's own connection");
}

/// Of `head -c 3000000 /dev/zero | cksum; head -c 200000 /dev/zero`.
fn stdout_length() -> u64 {
    "4215202376 3000000\n".len() as u64 + 200_000
}

#[tokio::test]
async fn a_jump_host_may_lie_behind_another() {
    let (first, second, web) = (Sshd::start(), Sshd::start(), Sshd::start());
    let outer = connect_jump(&first).await;
    let inner = connect_with(limits(), through(&outer, Target { leads_on: true, ..target(&second) })).await.unwrap();
    let session = connect_with(limits(), through(&inner, target(&web))).await.unwrap().session;
    assert_eq!(stdout(&session.exec(exec("echo hi")).await), "hi\n");
    assert_eq!((first.logins(), second.logins(), web.logins()), (1, 1, 1));
    // The way stays open for as long as something goes over it.
    drop((outer, inner));
    assert_eq!(stdout(&session.exec(exec("echo hi")).await), "hi\n");
}

#[tokio::test]
async fn a_host_that_became_a_jump_host_later_leads_on_too() {
    let (bastion, web) = (Sshd::start(), Sshd::start());
    let jump = connect(&bastion).await;
    for address in ["127.0.0.1", "localhost"] {
        let target = through(&jump, Target { address: address.to_owned(), ..target(&web) });
        let session = connect_with(limits(), target).await.unwrap().session;
        assert_eq!(stdout(&session.exec(exec("echo hi")).await), "hi\n");
    }
}

#[tokio::test]
async fn what_a_jump_host_cannot_or_will_not_reach_is_said() {
    let (bastion, web) = (Sshd::start(), Sshd::start());
    let jump = connect_jump(&bastion).await;
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let nobody = through(&jump, Target { port: free, ..target(&web) });
    let detail = unreachable(connect_with(limits(), nobody).await);
    assert!(detail.contains(&format!("the jump host bastion could not reach 127.0.0.1:{free}")), "{detail}");
    let nowhere = through(&jump, Target { address: "no-such-host.invalid".to_owned(), ..target(&web) });
    let detail = unreachable(connect_with(limits(), nowhere).await);
    assert!(detail.contains("the jump host bastion could not reach no-such-host.invalid"), "{detail}");
    assert!(connect_with(limits(), through(&jump, target(&web))).await.is_ok(), "it is none the worse for that");

    let closed = Sshd::start_with(&Options { config: vec!["AllowTcpForwarding no".to_owned()], ..Options::default() });
    let jump = connect_jump(&closed).await;
    let detail = unreachable(connect_with(limits(), through(&jump, target(&web))).await);
    assert!(detail.contains("AllowTcpForwarding"), "{detail}");
}

#[tokio::test]
async fn with_the_jump_host_s_connection_the_ones_through_it_are_lost() {
    let (bastion, web) = (Sshd::start(), Sshd::start());
    let jump = connect_jump(&bastion).await;
    let session = connect_with(limits(), through(&jump, target(&web))).await.unwrap().session;
    let run = tokio::spawn(session.exec(exec("echo begun; sleep 60")));
    let first = session.exec(exec("echo hi")).await;
    assert_eq!(first.end, End::Exited(0));
    bastion.cut_connections();
    timeout(LONG, session.lost()).await.unwrap();
    assert!(matches!(timeout(LONG, run).await.unwrap().unwrap().end, End::ConnectionLost(_)));
    timeout(LONG, jump.session.lost()).await.unwrap();
    let closed = format!("127.0.0.1:{} closed it", bastion.port());
    assert_eq!(session.lost().await, format!("so was that to its jump host: {closed}"));
    let detail = unreachable(connect_with(limits(), through(&jump, target(&web))).await);
    assert!(detail.contains("the connection to the jump host bastion was lost"), "{detail}");
}

#[tokio::test]
async fn a_jump_host_that_hangs_is_given_up_with_all_behind_it() {
    let (bastion, web) = (Sshd::start(), Sshd::start());
    let (connect, keepalive_interval) = (Duration::from_millis(500), Duration::from_millis(300));
    let short = Limits { connect, keepalive_interval, keepalive_max: 1, ..limits() };
    let jump = connect_with(short.clone(), Target { leads_on: true, ..target(&bastion) }).await.unwrap();
    // This one would notice by itself only much later.
    let session = connect_with(limits(), through(&jump, target(&web))).await.unwrap().session;
    bastion.freeze();
    let begun = Instant::now();
    let detail = unreachable(connect_with(short, through(&jump, target(&web))).await);
    assert!(detail.contains("(through bastion)") || detail.contains("jump host bastion was lost"), "{detail}");
    timeout(LONG, session.lost()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    bastion.thaw();
}

#[tokio::test]
async fn a_connect_that_is_given_up_half_way_leaves_nothing_on_the_jump_host() {
    let (bastion, web) = (Sshd::start(), Sshd::start());
    let jump = connect_jump(&bastion).await;
    // Before the handshake, and in the midst of it: the client's greeting is short, its offer of algorithms long.
    for (greeting, until) in [("", 1), ("SSH-2.0-Silent\r\n", 500)] {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let silent = through(&jump, Target { port, keys: vec![host_key(&web)], ..target(&web) });
        let connect = tokio::spawn(connect_with(limits(), silent));
        let (mut peer, _) = timeout(LONG, listener.accept()).await.unwrap().unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut peer, greeting.as_bytes()).await.unwrap();
        let mut said = vec![0; until];
        timeout(LONG, peer.read_exact(&mut said)).await.unwrap().unwrap();
        connect.abort();
        let mut rest = Vec::new();
        timeout(LONG, peer.read_to_end(&mut rest)).await.expect("the channel must be closed").unwrap();
    }
    // One that takes too long by itself is given up as well.
    let silent = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let short = Limits { login: Duration::from_millis(300), ..limits() };
    let detail = unreachable(connect_with(short, through(&jump, Target { port, ..target(&web) })).await);
    assert!(detail.contains("no login came about within 300ms"), "{detail}");
    assert_eq!(jump.session.exec(exec("true")).await.end, End::Exited(0));
}

#[tokio::test]
async fn a_host_that_floods_its_output_does_not_stop_another_behind_the_same_jump_host() {
    let (bastion, noisy, quiet) = (Sshd::start(), Sshd::start(), Sshd::start());
    let jump = connect_jump(&bastion).await;
    let noisy = connect_with(limits(), through(&jump, target(&noisy))).await.unwrap().session;
    let quiet = connect_with(limits(), through(&jump, target(&quiet))).await.unwrap().session;
    let flood = tokio::spawn(noisy.exec(exec("timeout 2 yes")));
    let mut slowest = Duration::ZERO;
    let mut done = 0;
    while !flood.is_finished() {
        let begun = Instant::now();
        let ending = timeout(LONG, quiet.exec(exec("true"))).await.expect("it is stopped by the flood");
        assert_eq!(ending.end, End::Exited(0));
        slowest = slowest.max(begun.elapsed());
        done += 1;
    }
    let flood = flood.await.unwrap();
    assert_eq!(flood.end, End::Exited(124));
    assert!(flood.stdout.total > 10_000_000, "only {} bytes", flood.stdout.total);
    assert!(done >= 3 && slowest < Duration::from_secs(2), "{done} runs, the slowest {slowest:?}");
    // Nor does one that is given up with all its output on the way.
    let mut flood = exec("yes");
    flood.timeout = Some(Duration::from_millis(500));
    let (flood, other) = tokio::join!(noisy.exec(flood), quiet.exec(exec("sleep 1; echo hi")));
    assert_eq!((flood.end, stdout(&other)), (End::TimedOut, "hi\n"));
}
