//! Passwords: to a real sshd, and, because that one asks at a prompt only with PAM, to a small server that does.

use std::borrow::Cow;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alf::model::SecretText;
use alf::ssh::{Login, Target};
use russh::server::{Auth, Config, Handler, Response, run_stream};
use russh::{MethodKind, MethodSet};

use crate::support::ssh::{by_auth, connect_jump, connect_with, limits, target, through};
use crate::support::sshd::{Options, Sshd};

/// What a server asks of everybody, and what it was told.
#[derive(Clone)]
struct Asks {
    methods: &'static [MethodKind],
    /// Each prompt, and the answer that is right.
    prompts: &'static [(&'static str, &'static str)],
    told: Arc<Mutex<Vec<String>>>,
    at: usize,
}

impl Asks {
    fn prompt(&self) -> Auth {
        let (text, _) = self.prompts[self.at];
        let prompts = Cow::Owned(vec![(Cow::Borrowed(text), false)]);
        Auth::Partial { name: "".into(), instructions: "".into(), prompts }
    }

    fn tell(&self, what: String) {
        self.told.lock().unwrap().push(what);
    }
}

impl Handler for Asks {
    type Error = russh::Error;

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, Self::Error> {
        self.tell(format!("password {password}"));
        Ok(if password == "right" { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let Some(mut response) = response else { return Ok(self.prompt()) };
        let answer = String::from_utf8(response.next().unwrap_or_default().to_vec()).unwrap();
        self.tell(format!("answer {answer}"));
        if answer != self.prompts[self.at].1 {
            return Ok(Auth::reject());
        }
        self.at += 1;
        Ok(if self.at == self.prompts.len() { Auth::Accept } else { self.prompt() })
    }
}

/// A server at a port of its own, and what it is told.
pub(crate) async fn asks(
    sshd: &Sshd,
    methods: &'static [MethodKind],
    prompts: &'static [(&'static str, &'static str)],
) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = Arc::new(Mutex::new(Vec::new()));
    let handler = Asks { methods, prompts, told: Arc::clone(&told), at: 0 };
    let config = Arc::new(Config {
        methods: MethodSet::from(handler.methods),
        auth_rejection_time: Duration::ZERO,
        keys: vec![russh::keys::load_secret_key(sshd.dir().join("host_key"), None).unwrap()],
        ..Config::default()
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (config, handler) = (Arc::clone(&config), handler.clone());
            tokio::spawn(async move {
                if let Ok(session) = run_stream(config, stream, handler).await {
                    let _ = session.await;
                }
            });
        }
    });
    (port, told)
}

fn with_password(sshd: &Sshd, port: u16, password: &str) -> Target {
    Target { port, login: Login::Password(SecretText::new(password.to_owned())), ..target(sshd) }
}

const KEYS: &[MethodKind] = &[MethodKind::PublicKey];
pub(crate) const BOTH: &[MethodKind] = &[MethodKind::Password, MethodKind::KeyboardInteractive];
const PROMPTS: &[MethodKind] = &[MethodKind::PublicKey, MethodKind::KeyboardInteractive];

#[tokio::test]
async fn a_password_goes_only_where_it_is_asked_for_and_once() {
    let sshd = Sshd::start();
    let jump = connect_jump(&sshd).await;
    type Case = (
        &'static [MethodKind],
        &'static [(&'static str, &'static str)],
        &'static str,
        Result<(), &'static str>,
        &'static [&'static str],
    );
    let cases: &[Case] = &[
        (KEYS, &[], "right", Err("takes no password from"), &[]),
        (BOTH, &[("Password: ", "right")], "right", Ok(()), &["password right"]),
        (BOTH, &[("Password: ", "right")], "wrong", Err("check the password"), &["password wrong"]),
        (PROMPTS, &[("Password: ", "right")], "right", Ok(()), &["answer right"]),
        (PROMPTS, &[("root's password:", "right")], "right", Ok(()), &["answer right"]),
        (PROMPTS, &[("Password: ", "right")], "wrong", Err("check the password"), &["answer wrong"]),
        (PROMPTS, &[("Verification code: ", "1")], "right", Err("more than a password (\"Verification code:\")"), &[]),
        (PROMPTS, &[("One-time password (OATH) for `root': ", "1")], "right", Err("more than a password"), &[]),
        (PROMPTS, &[("Password: ", "right"), ("Code: ", "1")], "right", Err("\"Code:\""), &["answer right"]),
        (PROMPTS, &[("Password: ", "right"), ("After right: ", "1")], "right", Err("\"After …:\""), &["answer right"]),
        (PROMPTS, &[("Password: ", "right"), ("Password: ", "x")], "right", Err("check the"), &["answer right"]),
    ];
    for (methods, prompts, password, wanted, wanted_told) in cases {
        for jumps in [false, true] {
            let (port, told) = asks(&sshd, methods, prompts).await;
            let mut target = with_password(&sshd, port, password);
            if jumps {
                target = through(&jump, target);
            }
            let result = connect_with(limits(), target).await;
            match wanted {
                Ok(()) => assert!(result.is_ok(), "{methods:?} {prompts:?}: {:?}", result.err()),
                Err(part) => {
                    let detail = by_auth(result);
                    assert!(detail.contains(part) && !detail.contains("right"), "{part} in {detail}");
                }
            }
            assert_eq!(*told.lock().unwrap(), *wanted_told, "{methods:?} {prompts:?}");
        }
    }
}

#[tokio::test]
async fn a_refused_password_is_one_failed_login_at_sshd_and_none_where_it_takes_none() {
    let config = vec!["PasswordAuthentication yes".to_owned()];
    let sshd = Sshd::start_with(&Options { config, ..Options::default() });
    by_auth(connect_with(limits(), with_password(&sshd, sshd.port(), "hunter2")).await);
    assert_eq!(sshd.log().matches("Failed password").count(), 1, "{}", sshd.log());
    let config = vec!["PasswordAuthentication no".to_owned(), "KbdInteractiveAuthentication no".to_owned()];
    let sshd = Sshd::start_with(&Options { config, ..Options::default() });
    let detail = by_auth(connect_with(limits(), with_password(&sshd, sshd.port(), "hunter2")).await);
    assert!(detail.contains("it offers publickey"), "{detail}");
    assert_eq!(sshd.log().matches("Failed ").count(), 0, "{}", sshd.log());
}

#[tokio::test]
async fn a_host_that_wants_two_proofs_says_so() {
    let config = vec!["PasswordAuthentication yes".to_owned(), "AuthenticationMethods publickey,password".to_owned()];
    let sshd = Sshd::start_with(&Options { config, ..Options::default() });
    // By russh, and by async-ssh2-tokio.
    for leads_on in [true, false] {
        let detail = by_auth(connect_with(limits(), Target { leads_on, ..target(&sshd) }).await);
        assert!(!leads_on || detail.contains("now for password"), "{detail}");
    }
}
