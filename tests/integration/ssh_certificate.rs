//! Logs in to a real sshd with OpenSSH user certificates.

use std::path::{Path, PathBuf};

use alf::model::SecretText;
use alf::ssh::{End, Login, Target};

use crate::support::ssh::{
    allow, by_auth, by_host_key, connect_with, exec, host_key, in_own_process, limits, new_key, stdout, target,
    target_from_env,
};
use crate::support::sshd::{Options, Sshd};

fn start() -> Sshd {
    Sshd::start_with(&Options { user_ca: true, ..Options::default() })
}

/// A new key that only a certificate can make good.
fn key(sshd: &Sshd, name: &str, kind: &str, passphrase: &str) -> PathBuf {
    let path = sshd.dir().join(name);
    new_key(&path, kind, passphrase);
    path
}

fn certified(sshd: &Sshd, key: &Path, certificate: &str) -> Target {
    let login = Login::PrivateKey {
        key: SecretText::new(std::fs::read_to_string(key).unwrap()),
        passphrase: Some(SecretText::new("open sesame".to_owned())),
        certificate: Some(certificate.to_owned()),
    };
    Target { login, ..target(sshd) }
}

#[tokio::test]
async fn a_key_with_a_certificate_logs_in_and_holds_the_host_to_its_key() {
    let mut sshd = start();
    for kind in ["ed25519", "ecdsa"] {
        let key = key(&sshd, kind, kind, "open sesame");
        let certificate = sshd.certify(&key, &["-n", &sshd.user(), "-V", "-1h:+1h"]);
        let connected = connect_with(limits(), certified(&sshd, &key, &certificate)).await.unwrap();
        assert_eq!(connected.learned, Some(host_key(&sshd)));
        let ending = connected.session.exec(exec("echo hi")).await;
        assert_eq!((stdout(&ending), &ending.end), ("hi\n", &End::Exited(0)));
        connected.session.close().await;
    }
    let log = sshd.log();
    assert_eq!(log.matches("Accepted publickey").count(), 2, "{log}");
    assert!(log.contains("ED25519-CERT") && log.contains("ECDSA-CERT"), "{log}");

    let key = sshd.dir().join("ed25519");
    let certificate = sshd.certify(&key, &["-n", &sshd.user()]);
    let pinned = Target { keys: vec![host_key(&sshd)], ..certified(&sshd, &key, &certificate) };
    sshd.restart_with_new_host_key();
    let before = sshd.login_attempts();
    assert!(by_host_key(connect_with(limits(), pinned).await).contains("changed"));
    assert_eq!(sshd.login_attempts(), before, "no login may be tried: {}", sshd.log());
}

#[tokio::test]
async fn a_certificate_that_cannot_log_in_is_said_before_anybody_is_bothered() {
    let sshd = start();
    let (own, other) = (key(&sshd, "own", "ed25519", "open sesame"), key(&sshd, "other", "ed25519", ""));
    let rsa = key(&sshd, "rsa", "rsa", "");
    let user = sshd.user();
    let cases = [
        (&own, "no certificate".to_owned(), "is not an OpenSSH certificate"),
        (&own, std::fs::read_to_string(own.with_extension("pub")).unwrap(), "is not an OpenSSH certificate"),
        (&own, sshd.certify(&other, &["-n", &user]), "belongs to another key"),
        (&own, sshd.certify(&own, &["-h", "-n", &user]), "host certificate"),
        (&own, sshd.certify(&own, &["-n", &user, "-V", "20200101Z:20200102Z"]), "valid until 2020-01-02T00:00:00Z"),
        (&own, sshd.certify(&own, &["-n", &user, "-V", "20990101Z:20990102Z"]), "only from 2099-01-01T00:00:00Z"),
        (&rsa, sshd.certify(&rsa, &["-n", &user]), "RSA"),
    ];
    for (key, certificate, wanted) in cases {
        let detail = by_auth(connect_with(limits(), certified(&sshd, key, &certificate)).await);
        assert!(detail.contains(wanted) && !detail.contains('\n'), "{wanted} in {detail}");
    }
    assert!(!sshd.log().contains("Connection from"), "{}", sshd.log());
}

#[tokio::test]
async fn a_refused_certificate_says_its_principals_and_its_authority() {
    let sshd = start();
    let key = key(&sshd, "key", "ed25519", "open sesame");
    let ca = |sshd: &Sshd| {
        let key: alf::model::PublicKey = std::fs::read_to_string(sshd.dir().join("ca.pub")).unwrap().parse().unwrap();
        key.fingerprint()
    };
    let certificate = sshd.certify(&key, &["-n", "alice,bob"]);
    let detail = by_auth(connect_with(limits(), certified(&sshd, &key, &certificate)).await);
    for wanted in ["alice, bob", &sshd.user(), &ca(&sshd)] {
        assert!(detail.contains(wanted), "{wanted} in {detail}");
    }
    let other = start();
    let certificate = other.certify(&key, &["-n", &sshd.user()]);
    let detail = by_auth(connect_with(limits(), certified(&sshd, &key, &certificate)).await);
    assert!(detail.contains("TrustedUserCAKeys") && detail.contains(&ca(&other)), "{detail}");

    // Which principals may log in as whom is the host's to say.
    let principals = sshd.dir().join("principals");
    std::fs::write(&principals, "alice\n").unwrap();
    let mapped = Sshd::start_with(&Options {
        user_ca: true,
        config: vec![format!("AuthorizedPrincipalsFile {}", principals.display())],
        ..Options::default()
    });
    let certificate = mapped.certify(&key, &["-n", "alice"]);
    assert!(connect_with(limits(), certified(&mapped, &key, &certificate)).await.is_ok());
}

#[tokio::test]
async fn a_certificate_beside_a_key_file_is_used_while_it_is_valid() {
    let sshd = start();
    let path = key(&sshd, "key", "ed25519", "");
    let from_file = Target { login: Login::KeyFile { path: path.clone(), passphrase: None }, ..target(&sshd) };
    by_auth(connect_with(limits(), from_file.clone()).await);
    sshd.certify(&path, &["-n", &sshd.user()]);
    assert!(connect_with(limits(), from_file.clone()).await.is_ok());
    assert!(sshd.log().contains("ED25519-CERT"), "{}", sshd.log());

    sshd.certify(&path, &["-n", &sshd.user(), "-V", "20200101:20200102"]);
    by_auth(connect_with(limits(), from_file.clone()).await);
    allow(&sshd, &path);
    assert!(connect_with(limits(), from_file.clone()).await.is_ok(), "by the plain key");
    // One that the host does not take does not stand in the way either.
    sshd.certify(&path, &["-n", "alice"]);
    assert!(connect_with(limits(), from_file).await.is_ok(), "by the plain key");
    assert_eq!(sshd.logins(), 3);
}

#[test]
fn a_certificate_of_the_agent_logs_in() {
    let sshd = start();
    let key = key(&sshd, "key", "ed25519", "");
    sshd.certify(&key, &["-n", &sshd.user()]);
    sshd.with_agent(&[&key], |socket| {
        in_own_process("ssh_certificate::logs_in_by_agent", &sshd, &[("SSH_AUTH_SOCK", socket.to_owned())]);
    });
    assert!(sshd.log().contains("ED25519-CERT"), "{}", sshd.log());
}

#[tokio::test]
#[ignore = "run by another test, in an environment of its own"]
async fn logs_in_by_agent() {
    assert!(connect_with(limits(), target_from_env(Login::Agent)).await.is_ok());
}
