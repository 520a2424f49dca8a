//! The real [`Connector`]: finds the way, checks the host's key, logs in. What follows is `session.rs`.
//!
//! A key logs in by async-ssh2-tokio. By russh, at the same version, goes what that one cannot do (0.13.0): ask for a
//! host's key, user certificates, a password that is sent only to a host that asks for one, the keys of an agent but
//! not all of them, hosts behind a jump host, and jump hosts, because a `Client` sends on to addresses only.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use async_ssh2_tokio::client::AuthMethod;
use async_ssh2_tokio::{Client, Config, ServerCheckMethod};
use futures_util::future::BoxFuture;
use russh::Preferred;
use russh::keys::Algorithm;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::doctor::{self, Expected, Finding};
use super::explain::{self, Failure};
use super::host_keys::{self, Recorded};
use super::learn::{self, Held};
use super::login::{self, Key, KeyCache, Method};
use super::session::{self, SshSession};
use super::via::{self, Way};
use super::wire::Wire;
use super::{ConnectError, Connected, Connector, Limits, OfferedKey, Target, authenticate};
use crate::clock::Clock;
use crate::model::PublicKey;

/// Addresses tried of a host name that has many.
const MOST_ADDRESSES: usize = 8;

/// How long a host that is slow to log in may take to answer a plain TCP connect.
const ANSWER: Duration = Duration::from_secs(2);

/// Connects with async-ssh2-tokio, and with russh where that one cannot.
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
        Box::pin(async move {
            let connected = inner.connect(&target).await.map_err(explain::one_line)?;
            session::allow_second(&connected, target, Self { inner });
            Ok(connected)
        })
    }

    fn offered_key(&self, target: Target) -> BoxFuture<'static, Result<OfferedKey, ConnectError>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { inner.offered_key(&target).await.map_err(explain::one_line) })
    }

    fn examine(&self, target: Target, expected: Expected) -> BoxFuture<'static, Vec<Finding>> {
        let own = Self { inner: Arc::clone(&self.inner) };
        Box::pin(async move { doctor::examine(&own, &own.inner.clock, target, expected).await })
    }
}

impl Inner {
    async fn connect(&self, target: &Target) -> Result<Connected, ConnectError> {
        let methods = login::methods(&target.login, &self.keys, self.clock.now()).await?;
        let recorded = self.recorded(target).await?;
        let mut last = None;
        for way in self.ways(target).await? {
            match self.attempt(target, way, &recorded, &methods).connect().await {
                Err(error @ ConnectError::Unreachable { .. }) => last = Some(error),
                other => return other,
            }
        }
        Err(last.unwrap_or_else(|| no_address(target)))
    }

    async fn offered_key(&self, target: &Target) -> Result<OfferedKey, ConnectError> {
        let recorded = self.recorded(target).await?;
        let mut last = None;
        for way in self.ways(target).await? {
            match self.attempt(target, way, &recorded, &[]).offered_key(&recorded.keys).await {
                Ok(key) => return Ok(OfferedKey { standing: host_keys::standing(&recorded, &key), key }),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| no_address(target)))
    }

    async fn recorded(&self, target: &Target) -> Result<Recorded, ConnectError> {
        host_keys::recorded(&target.keys, &self.limits.known_hosts, &target.address, target.port)
            .await
            .map_err(|detail| ConnectError::HostKey { detail })
    }

    /// The ways to try: one for each address of the host's name, or the one through its jump host, which knows best
    /// what the name means there.
    async fn ways(&self, target: &Target) -> Result<Vec<Way>, ConnectError> {
        if let Some(via) = &target.via {
            return Ok(vec![Way::through(via)?]);
        }
        let address = target.address.as_str();
        let limit = self.limits.connect;
        match timeout(limit, tokio::net::lookup_host((address, target.port))).await {
            Ok(Ok(addresses)) => Ok(addresses.take(MOST_ADDRESSES).map(Way::Tcp).collect()),
            Ok(Err(error)) => Err(unreachable(explain::unresolved(address, &error))),
            Err(_) => Err(unreachable(format!("cannot resolve \"{address}\": no answer within {limit:?}"))),
        }
    }

    fn attempt<'a>(
        &'a self,
        target: &'a Target,
        way: Way,
        recorded: &'a Recorded,
        methods: &'a [Method],
    ) -> Attempt<'a> {
        Attempt { inner: self, target, place: way.place(target), way, recorded, methods }
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

/// One way to a target, and what is known for it.
struct Attempt<'a> {
    inner: &'a Inner,
    target: &'a Target,
    way: Way,
    /// For messages.
    place: String,
    recorded: &'a Recorded,
    methods: &'a [Method],
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
                Ok(wire) => return Ok(self.connected(wire, offered)),
                Err(Failure::OtherKey) => offered = self.offered_key(&self.recorded.keys).await?,
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Refused(cause)) => return Err(ConnectError::Auth { detail: cause }),
            }
        }
        self.judge(&offered)?;
        let detail = format!("{} shows one key now and another one then; refused", self.place);
        Err(ConnectError::HostKey { detail })
    }

    fn connected(&self, wire: Wire, key: PublicKey) -> Connected {
        let limits = self.inner.limits.clone();
        let session = SshSession::new(wire, self.place.clone(), limits, self.inner.clock.clone());
        // A key that only a known_hosts file has recorded is pinned too.
        let learned = self.target.keys.is_empty().then_some(key);
        Connected { session: Arc::new(session), learned }
    }

    fn judge(&self, offered: &PublicKey) -> Result<(), ConnectError> {
        host_keys::judge(self.target.host.as_str(), self.recorded, self.target.policy, offered)
            .map_err(|detail| ConnectError::HostKey { detail })
    }

    async fn offered_key(&self, recorded: &[PublicKey]) -> Result<PublicKey, ConnectError> {
        let stream = self.way.open(self.target, &self.place, self.inner.limits.connect).await?;
        let _taken_away_at_the_end = stream.guard();
        match self.in_time(learn::offered_key(self.inner.config(recorded), stream)).await? {
            Ok(key) => Ok(key),
            Err(error) => Err(self.broken(explain::handshake(&self.place, &error))),
        }
    }

    /// Logs in. The host must show exactly `key`, before anything secret is sent.
    async fn log_in(&self, key: &PublicKey) -> Result<Wire, Failure> {
        let mut preferred = vec![key.clone()];
        preferred.extend(self.recorded.keys.iter().cloned());
        let config = self.inner.config(&preferred);
        match (&self.way, self.methods) {
            (Way::Tcp(at), [Method::Key(own)]) if own.certificate.is_none() && !self.target.leads_on => {
                self.by_client(*at, own, key, config).await
            }
            _ => self.by_russh(key, config).await,
        }
    }

    async fn by_client(&self, at: SocketAddr, own: &Key, key: &PublicKey, config: Config) -> Result<Wire, Failure> {
        let auth = AuthMethod::with_key(own.plain.reveal(), None);
        let check = ServerCheckMethod::PublicKey(key.base64());
        let user = &self.target.user;
        let client = Client::connect_with_config(at, user, auth, check, config);
        match self.limited(at, client).await.map_err(Failure::Final)? {
            Ok(client) => Ok(Wire::Client(client)),
            Err(error) => Err(explain::login(&self.place, user, &own.shown, error)),
        }
    }

    async fn by_russh(&self, key: &PublicKey, config: Config) -> Result<Wire, Failure> {
        let limit = self.inner.limits.connect;
        let stream = self.way.open(self.target, &self.place, limit).await.map_err(Failure::Final)?;
        let taken_away = stream.guard();
        let asked = Arc::new(AtomicU64::new(0));
        let logged_in = self.in_time(async {
            let held = Held::new(key.clone(), Arc::clone(&asked));
            let mut handle =
                russh::client::connect_stream(Arc::new(config), stream, held).await.map_err(|error| match error {
                    russh::Error::UnknownKey => Failure::OtherKey,
                    error => explain::unreachable(explain::handshake(&self.place, &error)),
                })?;
            authenticate::log_in(&mut handle, &self.place, &self.target.user, self.methods).await?;
            Ok(handle)
        });
        match logged_in.await.map_err(Failure::Final)? {
            Ok(handle) => {
                let taken = taken_away.disarm();
                let through = match &self.way {
                    Way::Jump { link, .. } => Some(Arc::clone(link)),
                    Way::Tcp(_) => None,
                };
                Ok(Wire::Handle { handle, through, taken, asked })
            }
            Err(Failure::OtherKey) => Err(Failure::OtherKey),
            Err(failure) => match self.way.lost() {
                Some(jump) => Err(explain::unreachable(via::lost(jump))),
                None => Err(failure),
            },
        }
    }

    /// What is said of a handshake that came to nothing.
    fn broken(&self, detail: String) -> ConnectError {
        unreachable(self.way.lost().map_or(detail, via::lost))
    }

    /// Gives a handshake and login its time.
    async fn in_time<T>(&self, login: impl Future<Output = T>) -> Result<T, ConnectError> {
        let limit = self.inner.limits.login;
        timeout(limit, login).await.map_err(|_| self.too_slow(limit))
    }

    /// Gives a connect its time: TCP has `limits.connect`, all that follows `limits.login`. What happens inside is not
    /// seen from here, so when the first limit has passed the host is asked whether it answers at all.
    async fn limited<T>(&self, at: SocketAddr, connect: impl Future<Output = T>) -> Result<T, ConnectError> {
        let Limits { connect: first, login, .. } = self.inner.limits;
        let place = &self.place;
        tokio::pin!(connect);
        if let Ok(done) = timeout(first, &mut connect).await {
            return Ok(done);
        }
        let knock = async {
            match timeout(ANSWER, TcpStream::connect(at)).await {
                Ok(Ok(_)) => Ok(()),
                _ => Err(unreachable(format!("no answer from {place} within {first:?}"))),
            }
        };
        let slow = || self.too_slow(first + login);
        let rest = async { timeout(login, &mut connect).await };
        tokio::pin!(rest);
        tokio::select! {
            answered = knock => answered?,
            done = &mut rest => return done.map_err(|_| slow()),
        }
        rest.await.map_err(|_| slow())
    }

    fn too_slow(&self, limit: Duration) -> ConnectError {
        let place = &self.place;
        self.broken(format!("{place} accepts connections, but no login came about within {limit:?}"))
    }
}

fn no_address(target: &Target) -> ConnectError {
    unreachable(format!("\"{}\" has no address", target.address))
}

fn unreachable(detail: String) -> ConnectError {
    ConnectError::Unreachable { detail }
}
