//! Keys of every kind and form, and how many of them a host is offered.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use alf::model::SecretText;
use alf::ssh::{Login, Target};

use crate::support::ssh::{allow, by_auth, connect_with, in_own_process, limits, new_key, target, target_from_env};
use crate::support::sshd::Sshd;

fn with_login(sshd: &Sshd, login: Login) -> Target {
    Target { login, ..target(sshd) }
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

/// Runs a program that must succeed.
fn run(program: &str, args: &[&str], files: &[&Path]) {
    let done = Command::new(program).args(args).args(files).output().unwrap();
    assert!(done.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test]
async fn pem_keys_of_every_kind_log_in_with_and_without_passphrase() {
    if Command::new("openssl").arg("version").output().is_err() {
        let _ = writeln!(std::io::stderr(), "left out: openssl is not installed");
        return;
    }
    let sshd = Sshd::start();
    let rsa: &[&str] = &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    let ecdsa: &[&str] = &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let ed25519: &[&str] = &["genpkey", "-algorithm", "ED25519"];
    let mut logins = 0;
    for (kind, make) in [("rsa", rsa), ("ecdsa", ecdsa), ("ed25519", ed25519)] {
        let plain = sshd.dir().join(kind);
        run("openssl", &[make, &["-out"]].concat(), &[&plain]);
        std::fs::set_permissions(&plain, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let public = russh::keys::load_secret_key(&plain, None).unwrap().public_key().to_openssh().unwrap();
        std::fs::write(plain.with_extension("pub"), public + "\n").unwrap();
        allow(&sshd, &plain);

        let form = |name: &str, args: &[&str]| -> PathBuf {
            let path = sshd.dir().join(format!("{kind}-{name}"));
            let mut all = args.to_vec();
            let (from, to) = (plain.to_str().unwrap(), path.to_str().unwrap());
            all.extend(["-in", from, "-out", to]);
            run("openssl", &all, &[]);
            path
        };
        let sealed = ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:open sesame"];
        let mut forms = vec![(plain.clone(), false), (form("pkcs8-sealed", &sealed), true)];
        if kind == "rsa" {
            forms.push((form("pkcs1", &["rsa", "-traditional"]), false));
            let sealed = ["rsa", "-traditional", "-aes128", "-passout", "pass:open sesame"];
            forms.push((form("pkcs1-sealed", &sealed), true));
        }
        if kind == "ecdsa" {
            forms.push((form("sec1", &["ec"]), false));
        }
        for (path, is_sealed) in forms {
            let passphrase = is_sealed.then(|| SecretText::new("open sesame".to_owned()));
            let key = SecretText::new(std::fs::read_to_string(&path).unwrap());
            let login = Login::PrivateKey { key, passphrase, certificate: None };
            let connected = connect_with(limits(), with_login(&sshd, login)).await;
            assert!(connected.is_ok(), "{}: {:?}", path.display(), connected.err());
            logins += 1;
        }
    }
    assert_eq!(sshd.logins(), logins);
    assert!(!sshd.log().contains("ssh-rsa:"), "no SHA-1: {}", sshd.log());
}

#[test]
fn a_host_is_offered_five_keys_at_most_and_each_once() {
    let sshd = Sshd::start();
    let home = sshd.dir().join("home");
    std::fs::create_dir_all(home.join(".ssh")).unwrap();
    let keys: Vec<PathBuf> = (0..8)
        .map(|number| {
            let path = sshd.dir().join(format!("key-{number}"));
            new_key(&path, "ed25519", "");
            path
        })
        .collect();
    let keys: Vec<&Path> = keys.iter().map(PathBuf::as_path).collect();
    // The first one stands in a file too, and so does one that would be the last.
    std::fs::copy(keys[0], home.join(".ssh/id_ed25519")).unwrap();
    let failed = || sshd.log().matches("Failed publickey").count();
    let connections = || sshd.log().matches("Connection from").count();
    let env = |socket: &Path| [("HOME", home.clone()), ("SSH_AUTH_SOCK", socket.to_owned())];

    sshd.with_agent(&keys, |socket| {
        in_own_process("ssh_keys::too_many_keys_by_agent", &sshd, &env(socket));
        assert_eq!((failed(), connections()), (5, 2), "one of them asks for the host key: {}", sshd.log());
        in_own_process("ssh_keys::too_many_keys_by_default", &sshd, &env(socket));
        assert_eq!((failed(), connections()), (10, 4), "{}", sshd.log());
    });
    std::fs::copy(sshd.client_key(), home.join(".ssh/id_rsa")).unwrap();
    sshd.with_agent(&keys[..3], |socket| {
        in_own_process("ssh_keys::logs_in_by_default", &sshd, &env(socket));
        assert_eq!((failed(), sshd.logins()), (13, 1), "{}", sshd.log());
    });
}

#[tokio::test]
#[ignore = "run by another test, in an environment of its own"]
async fn too_many_keys_by_agent() {
    let detail = by_auth(connect_with(limits(), target_from_env(Login::Agent)).await);
    assert!(detail.contains("5 of the 8 keys of the agent") && detail.contains("more than 5"), "{detail}");
}

#[tokio::test]
#[ignore = "run by another test, in an environment of its own"]
async fn too_many_keys_by_default() {
    let detail = by_auth(connect_with(limits(), target_from_env(Login::Default)).await);
    assert!(detail.contains("5 of the 8 keys of the agent") && detail.contains("more than 5"), "{detail}");
}

#[tokio::test]
#[ignore = "run by another test, in an environment of its own"]
async fn logs_in_by_default() {
    assert!(connect_with(limits(), target_from_env(Login::Default)).await.is_ok());
}

#[tokio::test]
async fn a_refused_key_is_one_failed_login() {
    let sshd = Sshd::start();
    let wrong = sshd.dir().join("wrong");
    new_key(&wrong, "ed25519", "");
    // By async-ssh2-tokio, and by russh.
    for leads_on in [false, true] {
        let before = sshd.log().matches("Failed ").count();
        let login = Login::KeyFile { path: wrong.clone(), passphrase: None };
        by_auth(connect_with(limits(), Target { leads_on, ..with_login(&sshd, login) }).await);
        assert_eq!(sshd.log().matches("Failed ").count() - before, 1, "{}", sshd.log());
    }
}
