//! The life of the service: what `alf serve` does from its settings to its exit code.

mod new_keys;

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::System;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use crate::actors::parts::LoginDefaults;
use crate::app::{self, App, BuildError, Ended, Parts, Setup};
use crate::clock::Clock;
use crate::courier::Carrier;
use crate::data_dir::{DataDir, DataDirError};
use crate::http::{HttpConfig, Limits as HttpLimits, Tls, TlsError};
use crate::logging::LogHandle;
use crate::model::{Defaults, FlapThresholds, Keep, Limit, Name, Retention, SecretText, Span};
use crate::settings::{RetentionSettings, Settings, SettingsError, StoreKind, StoreUrl, TlsSettings};
use crate::sinks::Trust;
use crate::ssh::Limits;
use crate::ssh::client::RusshConnector;
use crate::store::mongodb::MongoStore;
use crate::store::sqlite::SqliteStore;
use crate::store::{Store, StoreError};
use crate::vault::{Vault, VaultError};

/// The service's own certificate, in the data directory.
const CERTIFICATE: &str = "certificate.pem";
/// How long the start waits for a database that another program holds.
const LOCKED: Duration = Duration::from_secs(60);
/// How long until it looks again, beside what SQLite itself waits.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long until it says again that it waits for a server.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Why the service could not start. One line: what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The key that secrets are encrypted with.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The parts.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The file by which the command line finds it.
    #[error("cannot write {}: {cause}{}", path.display(), no_room(cause))]
    Announce {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A setting that only its use can judge.
    #[error("{0}")]
    Setting(String),
    /// The runtime.
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
}

fn no_room(cause: &io::Error) -> &'static str {
    if cause.kind() == io::ErrorKind::StorageFull { ": make room on its file system" } else { "" }
}

/// Files beside connections of clients: hosts, the store, logs.
const OTHER_FILES: u64 = 1024;

/// What Alf shows, and whom it believes, over TLS.
pub struct Certificates {
    tls: Option<Tls>,
    trust: Trust,
}

/// Those that the settings name. The file with the password of the mail server is looked at along with them.
///
/// # Errors
/// A file that cannot be used: the line names its key and where that was set.
pub fn certificates(settings: &Settings) -> Result<Certificates, Box<dyn std::error::Error>> {
    if let Some((_, file)) = settings.email.as_ref().and_then(|email| email.login.as_ref()) {
        let text = fs::read_to_string(&file.path);
        text.map_err(|error| file.refused(error.to_string(), "a file whose first line is the password"))?;
    }
    Ok(Certificates { tls: tls(settings)?, trust: trust(settings)? })
}

fn tls(settings: &Settings) -> Result<Option<Tls>, SettingsError> {
    let Some(files) = &settings.http.tls else { return Ok(None) };
    Tls::open(&files.certificate.path, &files.key.path).map(Some).map_err(|error| unusable(files, error))
}

fn trust(settings: &Settings) -> Result<Trust, Box<dyn std::error::Error>> {
    let file = settings.actions.ca_file.as_ref();
    Trust::load(file.map(|file| file.path.as_path())).map_err(|error| match file {
        Some(file) => file.refused(error, "a PEM file with certificates of CAs").into(),
        None => error.into(),
    })
}

fn unusable(files: &TlsSettings, error: TlsError) -> SettingsError {
    match error {
        TlsError::Certificate(reason) => {
            files.certificate.refused(reason, "a PEM file with the certificate and its issuers behind it")
        }
        TlsError::Key(reason) => {
            files.key.refused(reason, "a PEM file with the private key of the certificate, without a passphrase")
        }
    }
}

/// Serves until a signal ends it, over TLS if there is something to do so with.
pub fn serve(settings: Settings, certificates: Certificates, log: &LogHandle) -> Result<ExitCode, ServeError> {
    let Certificates { tls, trust } = certificates;
    raise_file_limit(&settings);
    let data_dir = DataDir::open(&settings.data_dir)?;
    let vault = Vault::open(&settings.secrets.key_file)?;
    if vault.is_rotating() {
        log::warn!(
            "the key file {} still holds an old key: a change of the key was cut short; alf secret rotate-key does it again",
            vault.file().display()
        );
    }
    let clock = Clock::Wall;
    let connector = Arc::new(RusshConnector::new(limits(&settings), clock.clone()));
    let setup = setup(&settings, tls.clone())?;
    System::new().block_on(async move {
        // Before anything is started, so that a signal during the start is not lost.
        let mut signals = Signals::new()?;
        let store = tokio::select! {
            opened = store(&settings, data_dir.path()) => opened?,
            signal = signals.wait(|| reload(log, tls.as_ref(), &settings, data_dir.path())) => {
                log::info!(signal; "stopped before there was a store");
                return Ok(ExitCode::SUCCESS);
            }
        };
        let spool = data_dir.path().join("spool");
        let courier = Arc::new(Carrier::new(&settings.actions, settings.email.clone(), trust, spool, &clock));
        let app = app::build(setup, Parts { store, connector, courier, vault, clock }).await?;
        if let Some(key) = app.first_key(|key| write_key(data_dir.path(), key)).await? {
            log::info!("the first admin key is in {}", key.display());
        }
        let mut told = HashSet::new();
        new_keys::take_up(&app.handle, data_dir.path(), &mut told).await;
        announce(&app, data_dir.path(), &settings, tls.as_ref())?;
        let watch = actix_rt::spawn(new_keys::watch(app.handle.clone(), data_dir.path().to_owned(), told));
        let ending = signals.wait(|| reload(log, tls.as_ref(), &settings, data_dir.path())).await;
        log::info!(signal = ending; "stopping");
        watch.abort();
        let ended = tokio::select! {
            ended = app.shutdown(settings.shutdown.grace) => ended,
            () = signals.again() => Ended::Lost(0),
        };
        for file in ["listen", CERTIFICATE] {
            let _ = fs::remove_file(data_dir.path().join(file));
        }
        match ended {
            Ended::Clean => {
                log::info!("stopped");
                Ok(ExitCode::SUCCESS)
            }
            Ended::Lost(results) => {
                log::error!(results; "stopped before everything was stored; open runs are recorded as aborted at the next start");
                Ok(ExitCode::FAILURE)
            }
        }
    })
}

/// Opens the store.
async fn store(settings: &Settings, data_dir: &Path) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match &settings.store.kind {
        StoreKind::Sqlite => Arc::new(open(data_dir).await?),
        StoreKind::Mongodb { url, database } => Arc::new(find(url, database, &settings.node.name).await?),
    })
}

/// Opens the store in the data directory. A program that holds the database, a backup say, is waited for; what no waiting mends (a full disk,
/// a database of another program) ends the start, and whoever supervises Alf starts it again.
async fn open(data_dir: &Path) -> Result<SqliteStore, StoreError> {
    let until = Instant::now() + LOCKED;
    loop {
        match SqliteStore::open(data_dir) {
            Err(error) if error.is_passing() && Instant::now() < until => {
                let left = (until - Instant::now()).as_secs();
                log::warn!(seconds_left = left; "{error}; Alf starts when it is free");
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            opened => return opened,
        }
    }
}

/// Opens the store on a server. One that is away is waited for: it may be started after Alf, or with it.
async fn find(url: &StoreUrl, database: &str, node: &str) -> Result<MongoStore, StoreError> {
    let mut said = None;
    loop {
        match MongoStore::open(url.reveal(), database, Some(node)).await {
            Err(error) if error.is_passing() => {
                if said.is_none_or(|said: Instant| said.elapsed() >= SAY_AGAIN) {
                    log::warn!("{error}; Alf starts when it is there");
                    said = Some(Instant::now());
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            opened => return opened,
        }
    }
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        connect: settings.ssh.connect_timeout,
        login: settings.ssh.login_timeout,
        keepalive_interval: settings.ssh.keepalive_interval,
        keepalive_max: settings.ssh.keepalive_max,
        known_hosts: settings.ssh.known_hosts.clone(),
    }
}

fn http_limits(settings: &Settings) -> HttpLimits {
    let http = &settings.http;
    HttpLimits {
        connections: http.connections,
        connections_per_address: http.connections_per_address,
        requests_in_flight: http.requests_in_flight,
        event_streams: http.event_streams,
        header_timeout: http.header_timeout,
        body_timeout: http.body_timeout,
        write_timeout: http.write_timeout,
        keep_alive: http.keep_alive,
        header_limit: http.header_limit,
        uri_limit: http.uri_limit,
        body_limit: http.body_limit,
    }
}

/// As many open files as the system allows: shells and systemd give a program 1024 to begin with, fewer than the
/// connections that Alf bears.
fn raise_file_limit(settings: &Settings) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // What is allowed anyway can be set; else all stays as it was, and the check says so.
    let _ = setrlimit(Resource::Nofile, limit);
    let needed = settings.http.connections as u64 + OTHER_FILES;
    if let Some(files) = getrlimit(Resource::Nofile).current.filter(|files| *files < needed) {
        log::warn!(
            files;
            "http.connections is {}, but not so many files may be open; raise the limit (LimitNOFILE=, ulimit -n) or lower it",
            settings.http.connections
        );
    }
}

fn setup(settings: &Settings, tls: Option<Tls>) -> Result<Setup, ServeError> {
    let name = |key: &str, text: &str| {
        Name::parse(text).map_err(|error| ServeError::Setting(format!("setting {key}: {error}")))
    };
    let timezone = settings.schedule.timezone.parse();
    Ok(Setup {
        node: name("node.name", &settings.node.name)?,
        defaults: Defaults {
            timezone: timezone.map_err(|error| ServeError::Setting(format!("setting schedule.timezone: {error}")))?,
        },
        login: LoginDefaults {
            user: settings.ssh.user.clone().unwrap_or_else(os_user),
            credential: settings.ssh.credential.as_deref().map(|text| name("ssh.credential", text)).transpose()?,
        },
        max_in_flight: settings.runs.max_in_flight,
        queue: settings.runs.queue,
        host_queue: settings.ssh.queue,
        handshakes: settings.ssh.handshakes,
        idle_timeout: settings.ssh.idle_timeout,
        flapping: FlapThresholds { low: percent(settings.flapping.low), high: percent(settings.flapping.high) },
        retention: retention(settings),
        arbiters: settings.threads.arbiters,
        http: Some(HttpConfig {
            listen: settings.http.listen,
            workers: settings.http.workers,
            limits: http_limits(settings),
            public_metrics: settings.metrics.public,
            tls,
        }),
    })
}

/// Which Results are kept, as the settings say.
pub fn retention(settings: &Settings) -> Retention {
    let RetentionSettings { max_age, keep_problems, max_count, max_bytes } = settings.retention;
    let limit = |age: Option<Duration>| age.map_or(Limit::None, |age| Limit::After(Span::new(age)));
    let keep = Keep {
        max_age: limit(max_age),
        max_count: max_count.map(|most| most as u64),
        keep_problems: limit(keep_problems),
    };
    Retention { keep, max_bytes: max_bytes.map(|most| most as u64) }
}

/// A whole number from 0 to 100, as the settings have checked.
fn percent(number: usize) -> f64 {
    u8::try_from(number).map_or(100.0, f64::from)
}

/// The user this process runs as, by the environment as `ssh` reads it, else by `id`.
fn os_user() -> String {
    let said =
        ["LOGNAME", "USER"].into_iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    said.or_else(|| {
        let id = std::process::Command::new("id").arg("-un").output().ok()?;
        Some(String::from_utf8_lossy(&id.stdout).trim().to_owned()).filter(|user| !user.is_empty())
    })
    .unwrap_or_else(|| "root".to_owned())
}

/// Writes the first admin key where the command line finds it: the key and a newline, for the owner only.
fn write_key(data_dir: &Path, key: &SecretText) -> Result<PathBuf, BuildError> {
    let path = data_dir.join("admin.key");
    let write = || {
        let _ = fs::remove_file(&path);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        writeln!(file, "{}", key.reveal())?;
        file.sync_all()
    };
    write().map_err(|cause| BuildError::AdminKey { path: path.clone(), cause: cause.to_string() })?;
    Ok(path)
}

/// Says where it serves: the first line on stdout, and files by which the local command line finds and knows it.
fn announce(app: &App, data_dir: &Path, settings: &Settings, tls: Option<&Tls>) -> Result<(), ServeError> {
    let Some(address) = app.address else { return Ok(()) };
    let url = format!("{}://{address}", if tls.is_some() { "https" } else { "http" });
    show_certificate(data_dir, tls)?;
    let path = data_dir.join("listen");
    fs::write(&path, format!("{url}\n")).map_err(|cause| ServeError::Announce { path, cause })?;
    let (node, store) = (&settings.node.name, app.handle.store_kind());
    let mut stdout = io::stdout().lock();
    // Whoever started it may have closed stdout: no reason not to serve.
    let _ = writeln!(stdout, "alf {} listening on {url} (node {node}, store {store})", env!("CARGO_PKG_VERSION"));
    let _ = stdout.flush();
    Ok(())
}

/// Puts the certificate where the local command line looks for it. Who may write there has the keys to all, so that it
/// is as good a voucher as any CA.
fn show_certificate(data_dir: &Path, tls: Option<&Tls>) -> io::Result<()> {
    let path = data_dir.join(CERTIFICATE);
    match tls {
        Some(tls) => fs::write(path, tls.certificate()),
        None => {
            let _ = fs::remove_file(path);
            Ok(())
        }
    }
}

/// Reads again what can be read again; what has a fault stays as it was.
fn reload(log: &LogHandle, tls: Option<&Tls>, settings: &Settings, data_dir: &Path) {
    match log.reload() {
        Ok(()) => log::info!("logging reloaded"),
        Err(error) => log::error!("logging stays as it was: {error}"),
    }
    let (Some(tls), Some(files)) = (tls, &settings.http.tls) else { return };
    if let Err(error) = tls.reload() {
        log::error!("the certificate stays as it was: {}", unusable(files, error));
        return;
    }
    log::info!("certificate reloaded");
    if let Err(error) = show_certificate(data_dir, Some(tls)) {
        log::error!("cannot write {CERTIFICATE} in the data directory, by which alf on this machine knows it: {error}");
    }
}

/// The signals a service hears.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Until the signal that ends it; reloads what can be reloaded on SIGHUP meanwhile.
    async fn wait(&mut self, reload: impl Fn()) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => reload(),
            }
        }
    }

    /// Until somebody insists.
    async fn again(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
