//! Logs in over a connection whose host has proved its key, in one go: nothing is offered that the host does not ask
//! for, and few keys, because each refused one counts as a failed login there.
//!
//! The methods are RFC 4252 (none, publickey, password) and RFC 4256 (keyboard-interactive).

use std::sync::Arc;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse as Prompted};
use russh::keys::agent::AgentIdentity;
use russh::keys::{HashAlg, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};

use super::explain::{self, Failure};
use super::learn::Held;
use super::login::{Key, Method};
use super::{agent, certificate};
use crate::model::SecretText;

/// Keys offered at most in one connect: the sixth refused one makes sshd hang up (`MaxAuthTries`).
pub(super) const MOST_KEYS: usize = 5;

/// Times a host may ask for something in one keyboard-interactive login.
const MOST_PROMPTS: usize = 10;

/// Logs in by the first of the methods that the host accepts.
pub(super) async fn log_in(
    handle: &mut Handle<Held>,
    place: &str,
    user: &str,
    methods: &[Method],
) -> Result<(), Failure> {
    let answer = handle.authenticate_none(user).await;
    let offered = MethodSet::empty();
    let (keys, refusals) = (Vec::new(), Vec::new());
    let mut login = Login { handle, place, user, offered, keys, left_out: false, tries: 0, refusals };
    if login.accepted(answer)? {
        return Ok(());
    }
    for method in methods {
        let accepted = match method {
            Method::Password(password) => login.password(password).await?,
            Method::Key(key) => login.key(key).await?,
            Method::Agent(identities) => login.agent(identities).await?,
        };
        if accepted {
            return Ok(());
        }
    }
    if login.left_out {
        let more = format!("more than {MOST_KEYS} keys are never tried, so name the right one in a credential");
        login.refusals.push(more);
    }
    Err(Failure::Refused(login.refusals.join("; ")))
}

/// Whether a prompt is for the password, not for a one-time one or a change of it.
fn asks_password(prompt: &str) -> bool {
    let prompt = prompt.to_lowercase();
    let other = ["one-time", "one time", "oath", "otp", "new ", "current", "retype"];
    prompt.contains("password") && !other.iter().any(|other| prompt.contains(other))
}

struct Login<'a> {
    handle: &'a mut Handle<Held>,
    place: &'a str,
    user: &'a str,
    /// The ways to log in that the host offers.
    offered: MethodSet,
    /// Fingerprints of the keys offered so far, and whether with a certificate.
    keys: Vec<(String, bool)>,
    /// Whether there were more keys than may be offered.
    left_out: bool,
    /// How often something was tried.
    tries: usize,
    /// Why each way did not lead in.
    refusals: Vec<String>,
}

impl Login<'_> {
    /// Whether the host let us in; notes what else it offers.
    fn accepted(&mut self, answer: Result<AuthResult, russh::Error>) -> Result<bool, Failure> {
        match answer {
            Ok(AuthResult::Success) => Ok(true),
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                // russh also says so when the connection has ended.
                if remaining_methods.is_empty() && self.handle.is_closed() {
                    return Err(self.hung_up());
                }
                if partial_success {
                    let (place, user) = (self.place, self.user);
                    let more = explain::names(&remaining_methods);
                    let detail = format!(
                        "{place} asks \"{user}\" for more than one proof (AuthenticationMethods): now for {more}"
                    );
                    return Err(Failure::Refused(detail));
                }
                self.offered = remaining_methods;
                Ok(false)
            }
            Err(_) if self.handle.is_closed() => Err(self.hung_up()),
            Err(error) => Err(explain::unreachable(explain::handshake(self.place, &error))),
        }
    }

    /// The host has closed the connection. Once something was tried that counts as a refused login: a host that allows
    /// few of them says it so, and it must not be asked again and again.
    fn hung_up(&self) -> Failure {
        let (place, user) = (self.place, self.user);
        match self.tries {
            0 => explain::unreachable(explain::handshake(place, &russh::Error::Disconnect)),
            1 => Failure::Refused(format!("{place} closed the connection at the first try to log in as \"{user}\"")),
            tries => Failure::Refused(format!(
                "{place} closed the connection after {tries} tries to log in as \"{user}\" (MaxAuthTries); {}",
                explain::authorized_keys(user),
            )),
        }
    }

    async fn password(&mut self, password: &SecretText) -> Result<bool, Failure> {
        if self.offered.contains(&MethodKind::Password) {
            self.tries += 1;
            let answer = self.handle.authenticate_password(self.user, password.reveal()).await;
            let accepted = self.accepted(answer)?;
            if !accepted {
                self.refusals.push(explain::password_refused(self.place, self.user));
            }
            return Ok(accepted);
        }
        if self.offered.contains(&MethodKind::KeyboardInteractive) {
            return self.answer_prompts(password).await;
        }
        self.not_taken("password");
        Ok(false)
    }

    /// Many hosts that check a password by PAM want it typed at a prompt. Only a prompt for a password gets it, and
    /// only once; never one for a second factor.
    async fn answer_prompts(&mut self, password: &SecretText) -> Result<bool, Failure> {
        self.tries += 1;
        let mut answer = self.handle.authenticate_keyboard_interactive_start(self.user, None).await;
        let mut given = false;
        for _ in 0..MOST_PROMPTS {
            let prompts = match answer {
                Ok(Prompted::InfoRequest { prompts, .. }) => prompts,
                Ok(Prompted::Success) => return Ok(true),
                Ok(Prompted::Failure { remaining_methods, partial_success }) => {
                    self.accepted(Ok(AuthResult::Failure { remaining_methods, partial_success }))?;
                    self.refusals.push(explain::password_refused(self.place, self.user));
                    return Ok(false);
                }
                Err(error) => return self.accepted(Err(error)),
            };
            let mut responses = Vec::new();
            for prompt in prompts {
                let asks_password = asks_password(&prompt.prompt);
                if asks_password && !given {
                    given = true;
                    responses.push(password.reveal().to_owned());
                } else if asks_password {
                    return Err(Failure::Refused(explain::password_refused(self.place, self.user)));
                } else {
                    let detail = explain::asks_more(self.place, self.user, &password.hide_in(&prompt.prompt));
                    return Err(Failure::Refused(detail));
                }
            }
            answer = self.handle.authenticate_keyboard_interactive_respond(responses).await;
        }
        let detail = format!("{} never stops asking for something (keyboard-interactive)", self.place);
        Err(Failure::Refused(detail))
    }

    async fn key(&mut self, key: &Key) -> Result<bool, Failure> {
        let private = key.private().map_err(Failure::Refused)?;
        let fingerprint = private.public_key().fingerprint(HashAlg::Sha256).to_string();
        if !self.may_offer(fingerprint, key.certificate.is_some()) {
            return Ok(false);
        }
        let answer = match &key.certificate {
            Some(certificate) => {
                let private = Arc::new(private);
                self.handle.authenticate_openssh_cert(self.user, private, certificate.clone()).await
            }
            None => {
                let hash = if private.algorithm().is_rsa() { self.rsa_hash().await? } else { None };
                let private = PrivateKeyWithHashAlg::new(Arc::new(private), hash);
                self.handle.authenticate_publickey(self.user, private).await
            }
        };
        let accepted = self.accepted(answer)?;
        if !accepted {
            let remedy = match &key.certificate {
                Some(certificate) => certificate::remedy(certificate, self.user),
                None => explain::authorized_keys(self.user),
            };
            self.refusals.push(explain::refused(self.place, self.user, &key.shown, &remedy));
        }
        Ok(accepted)
    }

    async fn agent(&mut self, identities: &[AgentIdentity]) -> Result<bool, Failure> {
        let before = self.keys.len();
        for identity in identities {
            let key = identity.public_key();
            let certified = matches!(identity, AgentIdentity::Certificate { .. });
            let rsa = key.algorithm().is_rsa();
            // See `certificate::usable`.
            if certified && rsa || !self.may_offer(key.fingerprint(HashAlg::Sha256).to_string(), certified) {
                continue;
            }
            let hash = if rsa { self.rsa_hash().await? } else { None };
            let answer = agent::offer(self.handle, self.user, identity, hash).await;
            let answer = answer.map_err(|cause| {
                Failure::Refused(format!("cannot log in to {} as \"{}\": {cause}", self.place, self.user))
            })?;
            if self.accepted(Ok(answer))? {
                return Ok(true);
            }
        }
        let (tried, all) = (self.keys.len() - before, identities.len());
        if tried > 0 {
            let shown = match all {
                1 => "the one key of the agent".to_owned(),
                _ if tried == all => format!("all {all} keys of the agent"),
                _ => format!("{tried} of the {all} keys of the agent"),
            };
            let remedy = format!("{}, and ssh-add -l here", explain::authorized_keys(self.user));
            self.refusals.push(explain::refused(self.place, self.user, &shown, &remedy));
        }
        Ok(false)
    }

    /// Whether a key is to be offered: not one that was already refused, nor too many; counts it.
    fn may_offer(&mut self, fingerprint: String, certified: bool) -> bool {
        if !self.offered.contains(&MethodKind::PublicKey) {
            self.not_taken("key");
            return false;
        }
        let this = (fingerprint, certified);
        if self.keys.contains(&this) {
            return false;
        }
        if self.keys.len() == MOST_KEYS {
            self.left_out = true;
            return false;
        }
        self.keys.push(this);
        self.tries += 1;
        true
    }

    /// The hash for a signature with an RSA key: what the host says it takes (RFC 8308, `server-sig-algs`), else
    /// SHA-512, never SHA-1.
    async fn rsa_hash(&self) -> Result<Option<HashAlg>, Failure> {
        match self.handle.best_supported_rsa_hash().await {
            Ok(known) => Ok(Some(known.flatten().unwrap_or(HashAlg::Sha512))),
            Err(_) => Err(self.hung_up()),
        }
    }

    fn not_taken(&mut self, what: &str) {
        let detail = explain::not_taken(self.place, self.user, what, &self.offered);
        if !self.refusals.contains(&detail) {
            self.refusals.push(detail);
        }
    }
}
