//! The real [`Connector`]: resolves, checks the host's key, logs in. What follows is `session.rs`.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_ssh2_tokio::client::AuthKeyboardInteractive;
use async_ssh2_tokio::{Client, Config, ServerCheckMethod};
use futures_util::future::BoxFuture;
use russh::keys::Algorithm;
use russh::{MethodKind, Preferred};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::explain::{self, Failure};
use super::host_keys::{self, Recorded};
use super::login::{self, KeyCache, Method};
use super::session::SshSession;
use super::wire::Wire;
use super::{ConnectError, Connected, Connector, Limits, Login, OfferedKey, Target, learn};
use crate::clock::Clock;
use crate::model::PublicKey;

/// Addresses tried of a host name that has many.
const MOST_ADDRESSES: usize = 8;

/// How long a host that is slow to log in may take to answer a plain TCP connect.
const ANSWER: Duration = Duration::from_secs(2);

/// Connects with async-ssh2-tokio.
pub struct RusshConnector {
    inner: Arc<Inner>,
}

struct Inner {
    limits: Limits,
    clock: Clock,
    keys: KeyCache,
}

impl RusshConnector {
    /// A connector whose connections keep these limits.
    pub fn new(limits: Limits, clock: Clock) -> Self {
        Self { inner: Arc::new(Inner { limits, clock, keys: KeyCache::default() }) }
    }
}

impl Connector for RusshConnector {
    fn connect(&self, target: Target) -> BoxFuture<'static, Result<Connected, ConnectError>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { inner.connect(&target).await.map_err(explain::one_line) })
    }

    fn offered_key(&self, target: Target) -> BoxFuture<'static, Result<OfferedKey, ConnectError>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { inner.offered_key(&target).await.map_err(explain::one_line) })
    }
}

/// One address of a target, and what is known for it.
struct Attempt<'a> {
    inner: &'a Inner,
    target: &'a Target,
    at: SocketAddr,
    /// For messages: `web1.example:22 (192.0.2.1)`.
    place: String,
    recorded: &'a Recorded,
    methods: &'a [Method],
}

impl Inner {
    async fn connect(&self, target: &Target) -> Result<Connected, ConnectError> {
        let methods = login::methods(&target.login, &self.keys).await?;
        let recorded = self.recorded(target).await?;
        let mut last = None;
        for at in self.resolve(target).await? {
            let place = place(target, at.ip());
            let attempt = Attempt { inner: self, target, at, place, recorded: &recorded, methods: &methods };
            match attempt.connect().await {
                Err(error @ ConnectError::Unreachable { .. }) => last = Some(error),
                other => return other,
            }
        }
        Err(last.unwrap_or_else(|| unreachable(format!("\"{}\" has no address", target.address))))
    }

    async fn offered_key(&self, target: &Target) -> Result<OfferedKey, ConnectError> {
        let recorded = self.recorded(target).await?;
        let mut last = None;
        for at in self.resolve(target).await? {
            let place = place(target, at.ip());
            let attempt = Attempt { inner: self, target, at, place, recorded: &recorded, methods: &[] };
            match attempt.offered_key(&recorded.keys).await {
                Ok(key) => return Ok(OfferedKey { standing: host_keys::standing(&recorded, &key), key }),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| unreachable(format!("\"{}\" has no address", target.address))))
    }

    async fn recorded(&self, target: &Target) -> Result<Recorded, ConnectError> {
        host_keys::recorded(&target.keys, &self.limits.known_hosts, &target.address, target.port)
            .await
            .map_err(|detail| ConnectError::HostKey { detail })
    }

    async fn resolve(&self, target: &Target) -> Result<Vec<SocketAddr>, ConnectError> {
        let address = target.address.as_str();
        let limit = self.limits.connect;
        match timeout(limit, tokio::net::lookup_host((address, target.port))).await {
            Ok(Ok(addresses)) => Ok(addresses.take(MOST_ADDRESSES).collect()),
            Ok(Err(error)) => Err(unreachable(explain::unresolved(address, &error))),
            Err(_) => Err(unreachable(format!("cannot resolve \"{address}\": no answer within {limit:?}"))),
        }
    }

    /// A configuration that asks for keys of these recorded ones' algorithms first: a host that has several keys
    /// shows the first one that it is asked for.
    fn config(&self, keys: &[PublicKey]) -> Config {
        let known = Preferred::DEFAULT.key;
        let is = |key: &PublicKey, algorithm: &Algorithm| match algorithm {
            Algorithm::Rsa { .. } => key.algorithm() == "ssh-rsa",
            other => key.algorithm() == other.as_str(),
        };
        let mut wanted: Vec<Algorithm> =
            keys.iter().flat_map(|key| known.iter().filter(move |algorithm| is(key, algorithm))).cloned().collect();
        for algorithm in known.iter() {
            if !wanted.contains(algorithm) {
                wanted.push(algorithm.clone());
            }
        }
        let Limits { connect, login, keepalive_interval, keepalive_max, .. } = self.limits;
        let silence = keepalive_interval * (keepalive_max as u32 + 2);
        Config {
            // Without it every command waits some 40 ms for Nagle's algorithm.
            nodelay: true,
            // Not russh's own keepalives: see pulse.rs.
            keepalive_interval: None,
            // Ends a handshake that nobody waits for any more. Once logged in, pulse.rs is heard long before.
            inactivity_timeout: Some(silence.max(connect + login)),
            preferred: Preferred { key: Cow::Owned(wanted), ..Preferred::DEFAULT },
            ..Config::default()
        }
    }
}

impl Attempt<'_> {
    async fn connect(&self) -> Result<Connected, ConnectError> {
        let mut offered = match self.recorded.trusted().next() {
            Some(key) => key.clone(),
            None => self.offered_key(&[]).await?,
        };
        // A host with several keys may show another of the recorded ones than the first: one more try.
        for _ in 0..2 {
            self.judge(&offered)?;
            match self.log_in(&offered).await {
                Ok(client) => return Ok(self.connected(client, offered)),
                Err(Failure::OtherKey) => offered = self.offered_key(&self.recorded.keys).await?,
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Refused(cause)) => return Err(ConnectError::Auth { detail: cause }),
            }
        }
        self.judge(&offered)?;
        let detail = format!("{} shows one key now and another one then; refused", self.place);
        Err(ConnectError::HostKey { detail })
    }

    fn connected(&self, client: Client, key: PublicKey) -> Connected {
        let limits = self.inner.limits.clone();
        let session = SshSession::new(Wire::Client(client), self.place.clone(), limits, self.inner.clock.clone());
        // A key that only a known_hosts file has recorded is pinned too.
        let learned = self.target.keys.is_empty().then_some(key);
        Connected { session: Arc::new(session), learned }
    }

    fn judge(&self, offered: &PublicKey) -> Result<(), ConnectError> {
        host_keys::judge(self.target.host.as_str(), self.recorded, self.target.policy, offered)
            .map_err(|detail| ConnectError::HostKey { detail })
    }

    async fn offered_key(&self, recorded: &[PublicKey]) -> Result<PublicKey, ConnectError> {
        let probe = learn::offered_key(self.inner.config(recorded), self.at);
        match self.limited(probe).await? {
            Ok(key) => Ok(key),
            Err(error) => Err(unreachable(explain::handshake(&self.place, &error))),
        }
    }

    /// Logs in by one method after the other. The host must show exactly `key`, before anything secret is sent.
    async fn log_in(&self, key: &PublicKey) -> Result<Client, Failure> {
        let mut preferred = vec![key.clone()];
        preferred.extend(self.recorded.keys.iter().cloned());
        let mut refusals = Vec::new();
        for method in self.methods {
            let check = ServerCheckMethod::PublicKey(key.base64());
            let config = self.inner.config(&preferred);
            let user = &self.target.user;
            let client = Client::connect_with_config(self.at, user, method.auth.clone(), check, config);
            match self.limited(client).await.map_err(Failure::Final)? {
                Ok(client) => return Ok(client),
                Err(async_ssh2_tokio::Error::PasswordWrong) => {
                    let config = || self.inner.config(&preferred);
                    match self.answer_prompts(key, method, config).await? {
                        Ok(client) => return Ok(client),
                        Err(cause) => refusals.push(cause),
                    }
                }
                Err(error) => match explain::login(&self.place, user, &method.shown, error) {
                    Failure::Refused(cause) => refusals.push(cause),
                    other => return Err(other),
                },
            }
        }
        Err(Failure::Refused(refusals.join("; ")))
    }

    /// A password was refused: perhaps only because the host wants it typed at a prompt (`keyboard-interactive`), as
    /// many do that check it by PAM. The inner error says why it is refused after all.
    async fn answer_prompts(
        &self,
        key: &PublicKey,
        method: &Method,
        config: impl Fn() -> Config,
    ) -> Result<Result<Client, String>, Failure> {
        let Target { user, login, .. } = self.target;
        let asked = learn::offered_methods(config(), self.at, key, user);
        let offered = match self.limited(asked).await.map_err(Failure::Final)? {
            Ok(offered) => offered,
            Err(_) => return Ok(Err(explain::password(&self.place, user, &[]))),
        };
        let Login::Password(password) = login else { return Ok(Err(explain::password(&self.place, user, &offered))) };
        if offered.contains(&MethodKind::Password) || !offered.contains(&MethodKind::KeyboardInteractive) {
            return Ok(Err(explain::password(&self.place, user, &offered)));
        }
        // Only a prompt for a password gets it, never one for a second factor.
        let auth = AuthKeyboardInteractive::new().with_response("assword", password.reveal());
        let check = ServerCheckMethod::PublicKey(key.base64());
        let client = Client::connect_with_config(self.at, user, auth.into(), check, config());
        match self.limited(client).await.map_err(Failure::Final)? {
            Ok(client) => Ok(Ok(client)),
            Err(error) => match explain::login(&self.place, user, &method.shown, error) {
                Failure::Refused(cause) => Ok(Err(cause)),
                other => Err(other),
            },
        }
    }

    /// Gives a connect its time: TCP has `limits.connect`, all that follows `limits.login`. What happens inside is not
    /// seen from here, so when the first limit has passed the host is asked whether it answers at all.
    async fn limited<T>(&self, connect: impl Future<Output = T>) -> Result<T, ConnectError> {
        let Limits { connect: first, login, .. } = self.inner.limits;
        let place = &self.place;
        tokio::pin!(connect);
        if let Ok(done) = timeout(first, &mut connect).await {
            return Ok(done);
        }
        let knock = async {
            match timeout(ANSWER, TcpStream::connect(self.at)).await {
                Ok(Ok(_)) => Ok(()),
                _ => Err(unreachable(format!("no answer from {place} within {first:?}"))),
            }
        };
        let rest = async { timeout(login, &mut connect).await };
        tokio::pin!(rest);
        tokio::select! {
            answered = knock => answered?,
            done = &mut rest => return self.in_time(done),
        }
        let done = rest.await;
        self.in_time(done)
    }

    fn in_time<T>(&self, done: Result<T, tokio::time::error::Elapsed>) -> Result<T, ConnectError> {
        let Limits { connect, login, .. } = self.inner.limits;
        let (place, limit) = (&self.place, connect + login);
        done.map_err(|_| unreachable(format!("{place} accepts connections, but no login came about within {limit:?}")))
    }
}

fn place(target: &Target, ip: IpAddr) -> String {
    let Target { address, port, .. } = target;
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V6(_)) => format!("[{address}]:{port}"),
        Ok(_) => format!("{address}:{port}"),
        Err(_) => format!("{address}:{port} ({ip})"),
    }
}

fn unreachable(detail: String) -> ConnectError {
    ConnectError::Unreachable { detail }
}
