//! What an operator may set, from the weakest source to the strongest: built-in defaults, a file (`--config`; TOML,
//! YAML or JSON), the environment (`ALF_HTTP__LISTEN` is `http.listen`), flags.
//!
//! [`Settings::load`] either gives settings that are wholly checked, or one [`SettingsError`] whose single line names
//! the key, where it was set, and what is allowed there.

mod actions;
mod error;
mod keys;
mod sources;
mod store;
#[cfg(test)]
mod tests;
mod values;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::value::Value;

pub use actions::{ActionsSettings, EmailSettings, EmailTls};
use error::Origin;
pub use error::SettingsError;
use sources::{Environment, Layer};
pub use sources::{Flags, environment};
pub use store::{StoreKind, StoreSettings, StoreUrl};

/// All settings, checked. Paths have their leading `~/` expanded; relative ones are relative to the working directory.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where Alf keeps its state: the SQLite store, the keys, the lock.
    pub data_dir: PathBuf,
    pub node: NodeSettings,
    pub http: HttpSettings,
    pub metrics: MetricsSettings,
    pub store: StoreSettings,
    pub schedule: ScheduleSettings,
    pub ssh: SshSettings,
    pub runs: RunsSettings,
    /// From where on a pair flaps.
    pub flapping: FlappingSettings,
    pub actions: ActionsSettings,
    /// None where no server takes e-mail.
    pub email: Option<EmailSettings>,
    pub threads: ThreadsSettings,
    pub retention: RetentionSettings,
    pub shutdown: ShutdownSettings,
    pub logging: LoggingSettings,
    pub secrets: SecretsSettings,
    effective: String,
}

/// Who this node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSettings {
    /// A name as nouns have it, `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`; by default made from the host name.
    pub name: String,
}

/// The HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// Where to listen; port 0 lets the system choose one.
    pub listen: SocketAddr,
    /// Whether listening on an address other than loopback without TLS was allowed.
    pub allow_plaintext: bool,
    /// Bytes of a request's body above which the answer is 413.
    pub body_limit: usize,
    /// Threads that serve HTTP.
    pub workers: usize,
    /// Connections at once; more are refused.
    pub connections: usize,
    /// Connections at once from one address (of IPv6 one /64 network).
    pub connections_per_address: usize,
    /// Requests with a key that are worked on at once; more are answered 503.
    pub requests_in_flight: usize,
    /// Event streams at once; more are answered 503.
    pub event_streams: usize,
    /// How long a client may take for the TLS handshake, and for the head of a request.
    pub header_timeout: Duration,
    /// How long a client may take to send a document; a program's file may take ten times as long.
    pub body_timeout: Duration,
    /// How long a client may take next to nothing of its answer.
    pub write_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// Bytes of a request's headers above which the answer is 431.
    pub header_limit: usize,
    /// Bytes of a URI above which the answer is 414.
    pub uri_limit: usize,
    /// The files that TLS needs; none for plain HTTP.
    pub tls: Option<TlsSettings>,
}

/// HTTP over TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate with its issuers behind it, PEM.
    pub certificate: FileSetting,
    /// Its private key, PEM.
    pub key: FileSetting,
}

/// A file whose content only its use can judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSetting {
    /// Where it is.
    pub path: PathBuf,
    name: &'static str,
    origin: String,
}

impl FileSetting {
    /// That the file cannot be used: `reason` goes on from "it", `allowed` from "allowed is".
    pub fn refused(&self, reason: String, allowed: &'static str) -> SettingsError {
        let path = self.path.to_string_lossy().escape_debug().to_string();
        SettingsError::BadFile { key: self.name, path, origin: self.origin.clone(), reason, allowed }
    }
}

/// Figures for Prometheus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsSettings {
    /// Whether `GET /metrics` needs no key.
    pub public: bool,
}

/// What schedules inherit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleSettings {
    /// IANA name of the time zone of schedules that name none; known to chrono-tz.
    pub timezone: String,
}

/// What connections to hosts inherit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshSettings {
    /// The remote user, when neither the host nor its credential names one.
    pub user: Option<String>,
    /// Name of the credential of hosts that name none.
    pub credential: Option<String>,
    /// Limit on resolving the address and opening the TCP connection.
    pub connect_timeout: Duration,
    /// Limit on the handshake and the authentication together.
    pub login_timeout: Duration,
    /// After how long a silence the remote side is asked whether it is still there.
    pub keepalive_interval: Duration,
    /// How many of those questions may go unanswered before the connection counts as lost.
    pub keepalive_max: usize,
    /// Files in the format of sshd(8), SSH_KNOWN_HOSTS FILE FORMAT, that are asked before a host key is learnt.
    pub known_hosts: Vec<PathBuf>,
    /// Handshakes at once on this node; one that takes longer than 2 s counts no more.
    pub handshakes: usize,
    /// A connection that nobody has used for so long, and nobody will for as long, is closed; none for never.
    pub idle_timeout: Option<Duration>,
    /// Runs that may wait or run on one host: beyond it a manual run is refused (503), a scheduled one SKIPPED `late`.
    pub queue: usize,
}

/// Bounds on runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunsSettings {
    /// Runs at once on this node.
    pub max_in_flight: usize,
    /// Writes that may wait for the store: with more, instants wait too and manual runs are refused (503).
    pub queue: usize,
}

/// From where on a pair flaps: percent of change among its last 21 states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlappingSettings {
    /// Below it flapping ends.
    pub low: usize,
    /// Above it flapping begins.
    pub high: usize,
}

/// Threads for actors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadsSettings {
    /// Arbiters that share the hosts; at least 1 (the key's 0 is resolved here).
    pub arbiters: usize,
}

/// Which Results are kept where tasks say nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionSettings {
    /// Older ones go; none for never.
    pub max_age: Option<Duration>,
    /// PROBLEMs stay so long, where that is longer; none for ever.
    pub keep_problems: Option<Duration>,
    /// The newest so many of each (host, task) stay; none for all.
    pub max_count: Option<usize>,
    /// Beyond so many bytes in the store the oldest go; none for no limit.
    pub max_bytes: Option<usize>,
}

/// The ordered end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutdownSettings {
    /// How long running tasks may still take before they are ended.
    pub grace: Duration,
}

/// Where logging is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggingSettings {
    /// The logging file; none means the built-in defaults.
    pub file: Option<PathBuf>,
}

/// Secrets at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretsSettings {
    /// The file that holds the key that secrets are encrypted with; by default `DATA_DIR/secret.key`.
    pub key_file: PathBuf,
}

impl Settings {
    /// Reads, merges and checks all sources. `environment` is usually [`environment()`].
    ///
    /// # Errors
    /// The first fault found, weakest source first; a fault is one even where a stronger source overrides the key.
    pub fn load(flags: &Flags, environment: impl Iterator<Item = (String, String)>) -> Result<Self, SettingsError> {
        let environment = Environment::new(environment);
        let mut layers = vec![Layer::built_in(&environment)?];
        if let Some(path) = &flags.config {
            layers.push(Layer::file(path)?);
        }
        layers.extend(environment.layers()?);
        layers.extend(flags.layers()?);

        let merged = layers.into_iter().fold(Figment::new(), Figment::merge);
        Merged { figment: merged, home: environment.home() }.build()
    }

    /// The settings in effect, as TOML that [`Settings::load`] reads back, each with its source as a comment.
    pub fn effective(&self) -> &str {
        &self.effective
    }
}

/// The data directory alone, for commands that need no other setting.
///
/// # Errors
/// [`SettingsError::NoDataDir`] when nothing tells where it is, or a bad value.
pub fn data_dir(
    flag: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<PathBuf, SettingsError> {
    let environment =
        Environment::new(environment.filter(|(name, _)| !name.contains("__")).collect::<Vec<_>>().into_iter());
    let flags = Flags { data_dir: flag.map(Path::to_owned), ..Flags::default() };
    let mut layers = vec![Layer::built_in(&environment)?];
    layers.extend(environment.layers()?);
    layers.extend(flags.layers()?);
    Merged { figment: layers.into_iter().fold(Figment::new(), Figment::merge), home: environment.home() }.data_dir()
}

/// All layers, one over the other.
struct Merged {
    figment: Figment,
    home: Option<PathBuf>,
}

impl Merged {
    fn build(&self) -> Result<Settings, SettingsError> {
        let data_dir = self.data_dir()?;
        let key_file = match self.path("secrets.key_file")? {
            Some(path) => path,
            None => data_dir.join("secret.key"),
        };
        Ok(Settings {
            node: NodeSettings { name: self.required("node.name", values::name)? },
            http: self.http()?,
            metrics: MetricsSettings { public: self.required("metrics.public", values::boolean)? },
            store: self.store()?,
            schedule: ScheduleSettings { timezone: self.required("schedule.timezone", values::timezone)? },
            ssh: SshSettings {
                user: self.optional("ssh.user", values::user)?,
                credential: self.optional("ssh.credential", values::name)?,
                connect_timeout: self.required("ssh.connect_timeout", values::duration)?,
                login_timeout: self.required("ssh.login_timeout", values::duration)?,
                keepalive_interval: self.required("ssh.keepalive_interval", values::duration)?,
                keepalive_max: self.required("ssh.keepalive_max", values::count)?,
                known_hosts: self.known_hosts()?,
                handshakes: self.required("ssh.handshakes", values::count)?,
                idle_timeout: self.required("ssh.idle_timeout", values::limit)?,
                queue: self.required("ssh.queue", values::count)?,
            },
            runs: RunsSettings {
                max_in_flight: self.required("runs.max_in_flight", values::count)?,
                queue: self.required("runs.queue", values::count)?,
            },
            flapping: self.flapping()?,
            actions: self.actions()?,
            email: self.email()?,
            threads: ThreadsSettings {
                arbiters: match self.required("threads.arbiters", values::count)? {
                    0 => std::thread::available_parallelism().map_or(1, |n| n.get().min(4)),
                    n => n,
                },
            },
            retention: RetentionSettings {
                max_age: self.required("retention.max_age", values::limit)?,
                keep_problems: self.required("retention.keep_problems", values::limit)?,
                max_count: self.optional("retention.max_count", values::count)?,
                max_bytes: self.optional("retention.max_bytes", values::bytes)?,
            },
            shutdown: ShutdownSettings { grace: self.required("shutdown.grace", values::duration)? },
            logging: LoggingSettings { file: self.path("logging.file")? },
            secrets: SecretsSettings { key_file },
            data_dir,
            effective: self.effective(),
        })
    }

    fn flapping(&self) -> Result<FlappingSettings, SettingsError> {
        let high = self.required("flapping.high", values::count)?;
        let low = self.required("flapping.low", values::count)?;
        match self.figment.find_value("flapping.low") {
            Ok(value) if low > high => {
                Err(SettingsError::bad_value("flapping.low", &value, self.origin("flapping.low")))
            }
            _ => Ok(FlappingSettings { low, high }),
        }
    }

    fn http(&self) -> Result<HttpSettings, SettingsError> {
        let http = HttpSettings {
            listen: self.required("http.listen", values::address)?,
            allow_plaintext: self.required("http.allow_plaintext", values::boolean)?,
            body_limit: self.required("http.body_limit", values::bytes)?,
            workers: self.required("http.workers", values::count)?,
            connections: self.required("http.connections", values::count)?,
            connections_per_address: self.required("http.connections_per_address", values::count)?,
            requests_in_flight: self.required("http.requests_in_flight", values::count)?,
            event_streams: self.required("http.event_streams", values::count)?,
            header_timeout: self.required("http.header_timeout", values::duration)?,
            body_timeout: self.required("http.body_timeout", values::duration)?,
            write_timeout: self.required("http.write_timeout", values::duration)?,
            keep_alive: self.required("http.keep_alive", values::duration)?,
            header_limit: self.required("http.header_limit", values::bytes)?,
            uri_limit: self.required("http.uri_limit", values::bytes)?,
            tls: self.tls()?,
        };
        if http.tls.is_some() || http.allow_plaintext || http.listen.ip().to_canonical().is_loopback() {
            return Ok(http);
        }
        Err(SettingsError::Plaintext { listen: http.listen, origin: self.origin("http.listen") })
    }

    fn tls(&self) -> Result<Option<TlsSettings>, SettingsError> {
        let alone = |set: FileSetting, missing| SettingsError::Alone { set: set.name, origin: set.origin, missing };
        match (self.file("http.tls.certificate")?, self.file("http.tls.key")?) {
            (Some(certificate), Some(key)) => Ok(Some(TlsSettings { certificate, key })),
            (Some(set), None) => Err(alone(set, "http.tls.key")),
            (None, Some(set)) => Err(alone(set, "http.tls.certificate")),
            (None, None) => Ok(None),
        }
    }

    fn data_dir(&self) -> Result<PathBuf, SettingsError> {
        self.path("data_dir")?.ok_or(SettingsError::NoDataDir)
    }

    /// A path, if the key is set.
    fn path(&self, key: &'static str) -> Result<Option<PathBuf>, SettingsError> {
        self.optional(key, values::path)?.map(|path| self.expand(key, &path)).transpose()
    }

    fn known_hosts(&self) -> Result<Vec<PathBuf>, SettingsError> {
        let key = "ssh.known_hosts";
        let paths = self.required(key, values::paths)?;
        // A service without HOME must start with the defaults: there is no ~/.ssh then that could be asked.
        let built_in = self.origin(key) == Origin::BuiltIn.to_string();
        paths
            .iter()
            .filter(|path| !(built_in && self.home.is_none() && path.starts_with('~')))
            .map(|path| self.expand(key, path))
            .collect()
    }

    fn expand(&self, key: &'static str, path: &str) -> Result<PathBuf, SettingsError> {
        let Some(rest) = path.strip_prefix('~') else {
            return Ok(PathBuf::from(path));
        };
        match &self.home {
            Some(home) => Ok(home.join(rest.trim_start_matches('/'))),
            None => Err(SettingsError::NoHome { key, path: path.escape_debug().to_string(), origin: self.origin(key) }),
        }
    }

    fn required<T>(&self, key: &'static str, read: fn(&Value) -> Option<T>) -> Result<T, SettingsError> {
        self.optional(key, read)?.ok_or(SettingsError::Missing { key })
    }

    fn optional<T>(&self, key: &'static str, read: fn(&Value) -> Option<T>) -> Result<Option<T>, SettingsError> {
        let Ok(value) = self.figment.find_value(key) else {
            return Ok(None);
        };
        match read(&value) {
            Some(read) => Ok(Some(read)),
            None => Err(SettingsError::bad_value(key, &value, self.origin(key))),
        }
    }

    fn origin(&self, key: &str) -> String {
        let metadata = self.figment.find_metadata(key);
        metadata.map_or_else(String::new, |metadata| metadata.name.to_string())
    }

    fn effective(&self) -> String {
        let mut out = String::new();
        let mut group = "";
        for key in keys::KEYS {
            let (in_group, leaf) = key.path.rsplit_once('.').unwrap_or(("", key.path));
            if in_group != group {
                out.push_str(&format!("\n[{in_group}]\n"));
                group = in_group;
            }
            let origin = self.origin(key.path);
            match self.figment.find_value(key.path) {
                Ok(value) => {
                    out.push_str(&format!("{leaf} = {}  # {origin}\n", values::toml(&store::hidden(key.path, value))));
                }
                Err(_) => out.push_str(&format!("# {leaf} is not set: {}\n", key.absent())),
            }
        }
        out
    }
}
