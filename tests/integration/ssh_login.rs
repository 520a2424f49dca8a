//! Connects to a real sshd: what proves the host, what proves us, and what is said when either fails.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use alf::model::{HostKeyPolicy, PublicKey, SecretText};
use alf::ssh::{ConnectError, Connected, End, KeyStanding, Limits, Login, OfferedKey, Target};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::support::ssh::{connect, connect_with, exec, host_key, limits, offered_key, stdout, target};
use crate::support::sshd::{Options, Sshd};

/// Long enough for anything that works.
const LONG: Duration = Duration::from_secs(30);

fn knowing(sshd: &Sshd, lines: &str) -> Limits {
    let file = sshd.dir().join("known_hosts");
    std::fs::write(&file, lines).unwrap();
    Limits { known_hosts: vec![sshd.dir().join("no-such-file"), file], ..limits() }
}

fn refused(result: Result<Connected, ConnectError>) -> ConnectError {
    result.err().expect("it must be refused")
}

fn by_host_key(result: Result<Connected, ConnectError>) -> String {
    match refused(result) {
        ConnectError::HostKey { detail } => detail,
        other => panic!("{other:?}"),
    }
}

fn by_auth(result: Result<Connected, ConnectError>) -> String {
    match refused(result) {
        ConnectError::Auth { detail } => detail,
        other => panic!("{other:?}"),
    }
}

fn unreachable(result: Result<Connected, ConnectError>) -> String {
    match refused(result) {
        ConnectError::Unreachable { detail } => detail,
        other => panic!("{other:?}"),
    }
}

fn with_login(sshd: &Sshd, login: Login) -> Target {
    Target { login, ..target(sshd) }
}

#[tokio::test]
async fn an_unknown_key_is_learnt_and_then_held_to() {
    let mut sshd = Sshd::start();
    let learned = connect(&sshd).await.learned.unwrap();
    assert_eq!(learned, host_key(&sshd));
    let pinned = Target { keys: vec![learned.clone()], ..target(&sshd) };
    let connected = connect_with(limits(), pinned.clone()).await.unwrap();
    assert_eq!(connected.learned, None);

    sshd.restart_with_new_host_key();
    let before = sshd.login_attempts();
    let detail = by_host_key(connect_with(limits(), pinned).await);
    for wanted in ["web1", "changed", &learned.fingerprint(), &host_key(&sshd).fingerprint()] {
        assert!(detail.contains(wanted), "{wanted} in {detail}");
    }
    assert_eq!(sshd.login_attempts(), before, "no login may be tried: {}", sshd.log());
}

#[tokio::test]
async fn policy_strict_refuses_what_is_not_recorded_and_shows_what_to_record() {
    let sshd = Sshd::start();
    let strict = Target { policy: HostKeyPolicy::Strict, ..target(&sshd) };
    let detail = by_host_key(connect_with(limits(), strict.clone()).await);
    assert!(detail.contains(&host_key(&sshd).fingerprint()) && detail.contains("host_key.keys"), "{detail}");
    assert_eq!(sshd.login_attempts(), 0, "{}", sshd.log());
    let pinned = Target { keys: vec![host_key(&sshd)], ..strict };
    assert!(connect_with(limits(), pinned).await.is_ok());
}

#[tokio::test]
async fn known_hosts_files_are_believed_hashed_or_not() {
    let sshd = Sshd::start();
    let strict = Target { policy: HostKeyPolicy::Strict, ..target(&sshd) };
    let line = format!("[127.0.0.1]:{} {}", sshd.port(), host_key(&sshd));
    let connected = connect_with(knowing(&sshd, &line), strict.clone()).await.unwrap();
    assert_eq!(connected.learned, Some(host_key(&sshd)), "so that it is pinned");

    let limits = knowing(&sshd, &line);
    let hashed =
        Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&limits.known_hosts[1]).stderr(Stdio::null()).status();
    assert!(hashed.unwrap().success());
    assert!(std::fs::read_to_string(&limits.known_hosts[1]).unwrap().starts_with("|1|"));
    assert!(connect_with(limits, strict.clone()).await.is_ok());

    let detail = by_host_key(connect_with(knowing(&sshd, &format!("127.0.0.1 {}", host_key(&sshd))), strict).await);
    assert!(detail.contains("not recorded"), "the line is for port 22: {detail}");
}

#[tokio::test]
async fn a_revoked_or_another_key_in_known_hosts_is_refused_under_any_policy() {
    let sshd = Sshd::start();
    let other = Sshd::start_with(&Options { rsa_host_key: true, ..Options::default() });
    let place = format!("[127.0.0.1]:{}", sshd.port());
    let cases = [
        (format!("@revoked * {}", host_key(&sshd)), "revoked"),
        (format!("{place} {}\n@revoked {place} {}", host_key(&other), host_key(&sshd)), "revoked"),
        (format!("{place} {}", host_key(&other)), "changed"),
        // Another algorithm is another key: somebody between us could always offer one.
        (format!("{place} {}", other.rsa_host_key().trim()), "changed"),
    ];
    for (lines, wanted) in cases {
        let detail = by_host_key(connect_with(knowing(&sshd, &lines), target(&sshd)).await);
        assert!(detail.contains(wanted) && detail.contains(&host_key(&sshd).fingerprint()), "{detail}");
    }
    // What is revoked stays so where keys are pinned, and a revoked one that was replaced is a changed one.
    let revoked = knowing(&sshd, &format!("@revoked * {}", host_key(&sshd)));
    let pinned = Target { keys: vec![host_key(&sshd)], ..target(&sshd) };
    assert!(by_host_key(connect_with(revoked.clone(), pinned.clone()).await).contains("revoked in /"));
    assert_eq!(offered_key(revoked, pinned).await.unwrap().standing, KeyStanding::Revoked);
    let replaced = knowing(&sshd, &format!("@revoked * {}", host_key(&other)));
    let pinned = Target { keys: vec![host_key(&other)], ..target(&sshd) };
    assert!(by_host_key(connect_with(replaced, pinned).await).contains("changed"));
    let unreadable = Limits { known_hosts: vec![sshd.dir().to_path_buf()], ..limits() };
    assert!(by_host_key(connect_with(unreadable, target(&sshd)).await).contains("cannot read"));
    assert_eq!(sshd.login_attempts(), 0, "{}", sshd.log());
}

#[tokio::test]
async fn a_host_s_key_can_be_asked_for_without_any_login() {
    let sshd = Sshd::start_with(&Options { rsa_host_key: true, ..Options::default() });
    let strict = Target { policy: HostKeyPolicy::Strict, login: Login::Agent, ..target(&sshd) };
    let asked = offered_key(limits(), strict.clone()).await.unwrap();
    assert_eq!((&asked.key, &asked.standing), (&host_key(&sshd), &KeyStanding::Unknown));
    let rsa: PublicKey = sshd.rsa_host_key().parse().unwrap();
    let pinned = Target { keys: vec![rsa.clone()], ..strict.clone() };
    let asked = offered_key(limits(), pinned).await.unwrap();
    assert_eq!(asked, OfferedKey { key: rsa, standing: KeyStanding::Recorded });
    let other = host_key(&Sshd::start());
    let changed = KeyStanding::Changed { recorded: vec![other.clone()], source: "its definition".to_owned() };
    let pinned = Target { keys: vec![other], ..strict };
    assert_eq!(offered_key(limits(), pinned).await.unwrap().standing, changed);
    assert_eq!(sshd.login_attempts(), 0, "{}", sshd.log());
}

#[tokio::test]
async fn a_host_with_several_keys_may_show_any_recorded_one() {
    let sshd = Sshd::start_with(&Options { rsa_host_key: true, ..Options::default() });
    let single = Sshd::start();
    let rsa: PublicKey = sshd.rsa_host_key().parse().unwrap();
    for keys in [vec![rsa.clone()], vec![host_key(&sshd)], vec![rsa.clone(), host_key(&sshd)]] {
        let pinned = Target { keys: keys.clone(), ..target(&sshd) };
        let session = connect_with(limits(), pinned).await.unwrap_or_else(|error| panic!("{keys:?}: {error}")).session;
        assert_eq!(session.exec(exec("true")).await.end, End::Exited(0));
    }
    // It no longer has the first one of them.
    let pinned = Target { keys: vec![rsa, host_key(&single)], ..target(&single) };
    assert!(connect_with(limits(), pinned).await.is_ok());
    // But one that shows another key of a recorded kind has changed, whatever else it has.
    let pinned = Target { keys: vec![host_key(&single), sshd.rsa_host_key().parse().unwrap()], ..target(&sshd) };
    assert!(by_host_key(connect_with(limits(), pinned).await).contains("changed"));
}

fn new_key(path: &Path, kind: &str, passphrase: &str) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", passphrase, "-f"]).arg(path).status();
    assert!(made.unwrap().success());
}

fn allow(sshd: &Sshd, key: &Path) {
    let mut allowed = std::fs::read_to_string(sshd.dir().join("authorized_keys")).unwrap();
    allowed.push_str(&std::fs::read_to_string(key.with_extension("pub")).unwrap());
    std::fs::write(sshd.dir().join("authorized_keys"), allowed).unwrap();
}

#[tokio::test]
async fn private_keys_of_every_kind_log_in_with_and_without_passphrase() {
    let sshd = Sshd::start();
    for kind in ["ed25519", "rsa", "ecdsa"] {
        for passphrase in ["", "open sesame"] {
            let path = sshd.dir().join(format!("{kind}-{}", passphrase.len()));
            new_key(&path, kind, passphrase);
            allow(&sshd, &path);
            let passphrase = (!passphrase.is_empty()).then(|| SecretText::new(passphrase.to_owned()));
            let key = SecretText::new(std::fs::read_to_string(&path).unwrap());
            for login in [
                Login::PrivateKey { key, passphrase: passphrase.clone(), certificate: None },
                Login::KeyFile { path: path.clone(), passphrase },
            ] {
                let connected = connect_with(limits(), with_login(&sshd, login)).await;
                assert!(connected.is_ok(), "{kind}: {:?}", connected.err());
            }
        }
    }
    assert_eq!(sshd.logins(), 12);
}

#[tokio::test]
async fn a_refused_login_says_who_where_and_what_to_look_at() {
    let sshd =
        Sshd::start_with(&Options { config: vec!["PasswordAuthentication yes".to_owned()], ..Options::default() });
    let wrong = sshd.dir().join("wrong");
    new_key(&wrong, "ed25519", "");
    let place = format!("127.0.0.1:{}", sshd.port());
    let detail = by_auth(
        connect_with(limits(), with_login(&sshd, Login::KeyFile { path: wrong.clone(), passphrase: None })).await,
    );
    for wanted in [&*place, &sshd.user(), &*wrong.to_string_lossy(), "authorized_keys"] {
        assert!(detail.contains(wanted), "{wanted} in {detail}");
    }
    let nobody = Target { user: "no-such-user".to_owned(), ..target(&sshd) };
    assert!(by_auth(connect_with(limits(), nobody).await).contains("no-such-user"));
    let password = Login::Password(SecretText::new("hunter2".to_owned()));
    let detail = by_auth(connect_with(limits(), with_login(&sshd, password.clone())).await);
    assert!(detail.contains("check the password") && !detail.contains("hunter2"), "{detail}");
    let sshd = Sshd::start_with(&Options {
        config: vec!["PasswordAuthentication no".to_owned(), "KbdInteractiveAuthentication no".to_owned()],
        ..Options::default()
    });
    let detail = by_auth(connect_with(limits(), with_login(&sshd, password)).await);
    assert!(detail.contains("takes no password") && detail.contains("publickey"), "{detail}");
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_said_before_anybody_is_bothered() {
    let sshd = Sshd::start();
    let locked = sshd.dir().join("locked");
    new_key(&locked, "ed25519", "open sesame");
    let text = |path: &Path| SecretText::new(std::fs::read_to_string(path).unwrap());
    let wrong = Some(SecretText::new("hunter2".to_owned()));
    let cases = [
        (Login::KeyFile { path: locked.clone(), passphrase: None }, "needs a passphrase"),
        (Login::PrivateKey { key: text(&locked), passphrase: None, certificate: None }, "needs a passphrase"),
        (Login::PrivateKey { key: text(&locked), passphrase: wrong, certificate: None }, "passphrase is wrong"),
        (
            Login::PrivateKey { key: SecretText::new("hunter2".to_owned()), passphrase: None, certificate: None },
            "not a private key",
        ),
        (Login::KeyFile { path: sshd.dir().join("missing"), passphrase: None }, "missing"),
    ];
    for (login, wanted) in cases {
        let detail = by_auth(connect_with(limits(), with_login(&sshd, login)).await);
        assert!(
            detail.contains(wanted) && !detail.contains("hunter2") && !detail.contains('\n'),
            "{wanted} in {detail}"
        );
    }
    assert!(!sshd.log().contains("Connection from"), "{}", sshd.log());
}

#[tokio::test]
async fn a_host_that_is_not_there_says_so() {
    let sshd = Sshd::start();
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let detail = unreachable(connect_with(limits(), Target { port: free, ..target(&sshd) }).await);
    assert_eq!(detail, format!("127.0.0.1:{free} refused the connection: is sshd running there?"));
    let nowhere = Target { address: "no-such-host.invalid".to_owned(), ..target(&sshd) };
    let detail = unreachable(connect_with(limits(), nowhere).await);
    assert!(detail.starts_with("cannot resolve \"no-such-host.invalid\""), "{detail}");
    let by_name = Target { address: "localhost".to_owned(), ..target(&sshd) };
    assert!(connect_with(limits(), by_name).await.is_ok(), "sshd listens on one of localhost's addresses");
}

/// Something at a port that greets so and then is silent.
async fn greets(greeting: &'static str) -> (u16, tokio::task::JoinHandle<usize>) {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let ended = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, greeting.as_bytes()).await.unwrap();
        // Keeps the port open for the look whether it answers at all.
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
        drop(listener);
        all.len()
    });
    (port, ended)
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_given_up_and_leaves_nothing_behind() {
    let sshd = Sshd::start();
    let mut limits = limits();
    limits.connect = Duration::from_millis(200);
    limits.login = Duration::from_millis(300);
    limits.keepalive_interval = Duration::from_millis(500);
    limits.keepalive_max = 1;
    for greeting in ["", "SSH-2.0-Silent\r\n"] {
        let (port, ended) = greets(greeting).await;
        let result = timeout(LONG, connect_with(limits.clone(), Target { port, ..target(&sshd) })).await.unwrap();
        let detail = unreachable(result);
        assert!(detail.contains("no login came about"), "{detail}");
        timeout(Duration::from_secs(5), ended)
            .await
            .unwrap_or_else(|_| panic!("{greeting:?}: the connection is still open"))
            .unwrap();
    }
}

#[tokio::test]
async fn what_does_not_speak_ssh_is_unreachable() {
    let sshd = Sshd::start();
    let mut limits = limits();
    limits.connect = Duration::from_millis(200);
    limits.login = Duration::from_millis(300);
    let (port, _ended) = greets("HTTP/1.0 400 Bad Request\r\n\r\n").await;
    unreachable(timeout(LONG, connect_with(limits, Target { port, ..target(&sshd) })).await.unwrap());
}

/// Runs one of the tests below in a process of its own, with this environment.
fn in_own_process(test: &str, sshd: &Sshd, env: &[(&str, PathBuf)]) {
    let out = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("{}::{test}", module_path!().split_once("::").map_or("", |(_, path)| path)),
            "--ignored",
        ])
        .env_remove("SSH_AUTH_SOCK")
        .env("ALF_TEST_SSHD", sshd.port().to_string())
        .env("ALF_TEST_KEY", sshd.client_key())
        .envs(env.iter().cloned())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && said.contains("1 passed"), "{said}");
}

fn target_from_env(login: Login) -> Target {
    let port = std::env::var("ALF_TEST_SSHD").unwrap().parse().unwrap();
    let user = crate::support::sshd::user();
    let host = alf::model::Name::parse("web1").unwrap();
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

#[test]
fn without_a_credential_the_agent_or_the_user_s_own_keys_log_in() {
    let sshd = Sshd::start();
    let home = sshd.dir().join("home");
    std::fs::create_dir_all(home.join(".ssh")).unwrap();
    in_own_process("nothing_to_log_in_with", &sshd, &[("HOME", home.clone())]);

    new_key(&home.join(".ssh/id_ed25519"), "ed25519", "open sesame");
    std::fs::copy(sshd.client_key(), home.join(".ssh/id_rsa")).unwrap();
    in_own_process("logs_in_by_default", &sshd, &[("HOME", home.clone())]);

    let socket = sshd.dir().join("agent");
    let mut agent = Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().unwrap();
    while !socket.exists() {
        crate::support::sshd::pause();
    }
    std::fs::remove_dir_all(home.join(".ssh")).unwrap();
    let env = [("HOME", home), ("SSH_AUTH_SOCK", socket.clone())];
    in_own_process("an_agent_without_keys", &sshd, &env);
    let added = Command::new("ssh-add").arg("-q").arg(sshd.client_key()).env("SSH_AUTH_SOCK", &socket).status();
    assert!(added.unwrap().success());
    in_own_process("logs_in_by_default", &sshd, &env);
    in_own_process("logs_in_by_agent", &sshd, &env);
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[tokio::test]
#[ignore = "run by another test, in an environment of its own"]
async fn nothing_to_log_in_with() {
    let detail = by_auth(connect_with(limits(), target_from_env(Login::Default)).await);
    assert!(detail.contains("nothing to log in with") && detail.contains("credential"), "{detail}");
    assert!(by_auth(connect_with(limits(), target_from_env(Login::Agent)).await).contains("SSH_AUTH_SOCK"));
}

#[tokio::test]
#[ignore = "run by another test, in an environment of its own"]
async fn an_agent_without_keys() {
    assert!(by_auth(connect_with(limits(), target_from_env(Login::Agent)).await).contains("no keys"));
}

#[tokio::test]
#[ignore = "run by another test, in an environment of its own"]
async fn logs_in_by_default() {
    let session = connect_with(limits(), target_from_env(Login::Default)).await.unwrap().session;
    assert_eq!(stdout(&session.exec(exec("echo hi")).await), "hi\n");
}

#[tokio::test]
#[ignore = "run by another test, in an environment of its own"]
async fn logs_in_by_agent() {
    let session = connect_with(limits(), target_from_env(Login::Agent)).await.unwrap().session;
    assert_eq!(stdout(&session.exec(exec("echo hi")).await), "hi\n");
}
