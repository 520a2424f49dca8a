//! Real receivers of what Alf sends: carbon, gmond, InfluxDB, an SMTP server, each on loopback, in a directory of its own, gone
//! when dropped. Where one is not installed nor unpacked by `script/test`, the test that wants it is left out.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::http::{Answer, request};
use super::mail::Mail;
use super::service::until;
use super::sshd::pause;

/// How long a receiver may take to listen.
const START: Duration = Duration::from_secs(120);

/// A process that ends when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `script/test` has put into the cache.
fn cached(name: &str) -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).unwrap_or_else(|| {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_else(|| PathBuf::from("/root"));
        home.join(".cache")
    });
    cache.join("alf").join(name)
}

pub(crate) fn left_out(what: &str) {
    let _ = writeln!(std::io::stderr(), "left out: there is no {what}; script/test gets it");
}

/// A program of a Debian package, installed or only unpacked.
struct Packaged {
    program: PathBuf,
    root: PathBuf,
}

impl Packaged {
    fn find(package: &str, program: &str) -> Option<Self> {
        let roots = [PathBuf::from("/"), cached(package)];
        let found = roots.into_iter().find(|root| root.join(program).exists());
        if found.is_none() {
            left_out(package);
        }
        found.map(|root| Self { program: root.join(program), root })
    }

    /// The program, or another one that runs it, with the libraries it came with.
    fn command(&self, run_by: Option<&str>) -> Command {
        let mut command = match run_by {
            Some(other) => Command::new(other),
            None => Command::new(&self.program),
        };
        if run_by.is_some() {
            command.arg(&self.program);
        }
        self.with_libraries(&mut command);
        command
    }

    fn with_libraries(&self, command: &mut Command) {
        if self.root != Path::new("/") {
            let mut libraries = OsString::new();
            for dir in ["usr/lib", "lib"] {
                for entry in std::fs::read_dir(self.root.join(dir)).into_iter().flatten().flatten() {
                    if entry.file_name().to_string_lossy().ends_with("-linux-gnu") {
                        libraries.push(entry.path());
                        libraries.push(":");
                    }
                }
            }
            command.env("LD_LIBRARY_PATH", libraries);
            command.env("PYTHONPATH", self.root.join("usr/lib/python3/dist-packages"));
        }
        command.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null());
    }
}

/// A port that is free for TCP and UDP.
fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// Starts something and waits until it listens on all ports; none if it ends instead, as when somebody else has one.
fn listening(mut command: Command, log: &Path, ports: &[u16]) -> Option<Running> {
    let log = std::fs::File::create(log).unwrap();
    command.stdout(log.try_clone().unwrap()).stderr(log);
    let mut running = Running(command.spawn().unwrap());
    let end = Instant::now() + START;
    while Instant::now() < end {
        if running.0.try_wait().unwrap().is_some() {
            return None;
        }
        if ports.iter().all(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok()) {
            return Some(running);
        }
        pause();
    }
    None
}

fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("log")).unwrap_or_default()
}

/// A carbon-cache with its whisper files.
pub(crate) struct Carbon {
    packaged: Packaged,
    dir: TempDir,
    ports: [u16; 3],
    running: Option<Running>,
}

impl Carbon {
    pub(crate) fn start() -> Option<Self> {
        let packaged = Packaged::find("graphite-carbon", "usr/bin/carbon-cache")?;
        let mut carbon = Self { packaged, dir: tempfile::tempdir().unwrap(), ports: [0; 3], running: None };
        for _ in 0..5 {
            carbon.ports = [free_port(), free_port(), free_port()];
            carbon.configure();
            carbon.running = carbon.spawn();
            if carbon.running.is_some() {
                return Some(carbon);
            }
        }
        panic!("carbon does not start: {}", log(carbon.dir.path()));
    }

    /// Where it takes lines.
    pub(crate) fn plaintext(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// Where it takes pickles.
    pub(crate) fn pickle(&self) -> String {
        format!("127.0.0.1:{}", self.ports[1])
    }

    pub(crate) fn stop(&mut self) {
        self.running = None;
    }

    /// Starts it again, on the same ports.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.running = self.spawn();
        assert!(self.running.is_some(), "carbon does not start again: {}", log(self.dir.path()));
    }

    /// What it has of a metric: instants in seconds, with their values.
    pub(crate) fn values(&self, path: &str) -> Vec<(i64, f64)> {
        let file = self.dir.path().join("whisper").join(path.replace('.', "/") + ".wsp");
        let program = "import json, sys, whisper\n\
            (start, end, step), values = whisper.fetch(sys.argv[1], 0)\n\
            print(json.dumps([(start + n * step, v) for n, v in enumerate(values) if v is not None]))";
        let mut python = Command::new("/usr/bin/python3");
        python.arg("-c").arg(program).arg(&file);
        self.packaged.with_libraries(&mut python);
        let out = python.output().unwrap();
        serde_json::from_slice(&out.stdout).unwrap_or_default()
    }

    fn configure(&self) {
        let dir = self.dir.path().display();
        let [line, pickle, query] = self.ports;
        let carbon = format!(
            "[cache]\nSTORAGE_DIR = {dir}\nCONF_DIR = {dir}\nLOG_DIR = {dir}\nPID_DIR = {dir}\n\
            LOCAL_DATA_DIR = {dir}/whisper\nUSER =\nENABLE_LOGROTATION = False\nENABLE_TAGS = False\n\
            MAX_UPDATES_PER_SECOND = inf\nMAX_CREATES_PER_MINUTE = inf\n\
            LINE_RECEIVER_INTERFACE = 127.0.0.1\nLINE_RECEIVER_PORT = {line}\n\
            PICKLE_RECEIVER_INTERFACE = 127.0.0.1\nPICKLE_RECEIVER_PORT = {pickle}\n\
            CACHE_QUERY_INTERFACE = 127.0.0.1\nCACHE_QUERY_PORT = {query}\n"
        );
        std::fs::write(self.dir.path().join("carbon.conf"), carbon).unwrap();
        let schemas = "[all]\npattern = .*\nretentions = 1s:1d\n";
        std::fs::write(self.dir.path().join("storage-schemas.conf"), schemas).unwrap();
    }

    fn spawn(&self) -> Option<Running> {
        let dir = self.dir.path();
        // What one that was killed has left.
        let _ = std::fs::remove_file(dir.join("carbon-cache-a.pid"));
        let mut command = self.packaged.command(Some("/usr/bin/python3"));
        command.arg("--config").arg(dir.join("carbon.conf")).args(["--nodaemon", "start"]).env("GRAPHITE_ROOT", dir);
        listening(command, &dir.join("log"), &self.ports)
    }
}

/// A gmond.
pub(crate) struct Gmond {
    port: u16,
    _dir: TempDir,
    _running: Running,
}

impl Gmond {
    pub(crate) fn start() -> Option<Self> {
        let packaged = Packaged::find("ganglia-monitor", "usr/sbin/gmond")?;
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..5 {
            let port = free_port();
            let config = format!(
                "globals {{ daemonize = no setuid = no debug_level = 0 mute = yes deaf = no host_dmax = 0 }}\n\
                cluster {{ name = \"alf\" }}\n\
                udp_recv_channel {{ bind = 127.0.0.1 port = {port} }}\n\
                tcp_accept_channel {{ bind = 127.0.0.1 port = {port} }}\n"
            );
            std::fs::write(dir.path().join("gmond.conf"), config).unwrap();
            let mut command = packaged.command(None);
            command.arg("-f").arg("-c").arg(dir.path().join("gmond.conf"));
            if let Some(running) = listening(command, &dir.path().join("log"), &[port]) {
                return Some(Self { port, _dir: dir, _running: running });
            }
        }
        panic!("gmond does not start: {}", log(dir.path()));
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// All it knows, as XML.
    pub(crate) fn xml(&self) -> String {
        let mut xml = String::new();
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap().read_to_string(&mut xml).unwrap();
        xml
    }
}

/// An InfluxDB 1 with the database `alf`, where only the user `alf` with the password `pass w0rd` may do anything.
pub(crate) struct Influx {
    address: String,
    _dir: TempDir,
    _running: Running,
}

impl Influx {
    pub(crate) fn start() -> Option<Self> {
        let packaged = Packaged::find("influxdb", "usr/bin/influxd")?;
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..5 {
            let [http, rpc] = [free_port(), free_port()];
            let at = dir.path().display();
            let config = format!(
                "reporting-disabled = true\nbind-address = \"127.0.0.1:{rpc}\"\n[meta]\ndir = \"{at}/meta\"\n\
                [data]\ndir = \"{at}/data\"\nwal-dir = \"{at}/wal\"\n[monitor]\nstore-enabled = false\n\
                [http]\nbind-address = \"127.0.0.1:{http}\"\nauth-enabled = true\n"
            );
            std::fs::write(dir.path().join("influxdb.conf"), config).unwrap();
            let mut command = packaged.command(None);
            command.arg("-config").arg(dir.path().join("influxdb.conf")).env("HOME", dir.path());
            if let Some(running) = listening(command, &dir.path().join("log"), &[http]) {
                let influx = Self { address: format!("127.0.0.1:{http}"), _dir: dir, _running: running };
                influx.query("CREATE USER alf WITH PASSWORD 'pass w0rd' WITH ALL PRIVILEGES").expect(200);
                influx.query("CREATE DATABASE alf").expect(200);
                return Some(influx);
            }
        }
        panic!("influxd does not start: {}", log(dir.path()));
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The first series that a query gives.
    pub(crate) fn series(&self, query: &str) -> Value {
        self.query(query).expect(200).json()["results"][0]["series"][0].clone()
    }

    fn query(&self, query: &str) -> Answer {
        let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let path = format!("/query?db=alf&epoch=ns&u=alf&p=pass%20w0rd&q={query}");
        request(&self.address, "POST", &path, &[], Some(b""))
    }
}

/// How an SMTP server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Smtp {
    Plain,
    StartTls,
    Implicit,
}

/// An SMTP server (aiosmtpd).
pub(crate) struct SmtpServer {
    dir: TempDir,
    address: SocketAddr,
    running: Running,
}

impl SmtpServer {
    /// Starts one; TLS needs a certificate and its key.
    pub(crate) fn start(how: Smtp, tls: Option<[&Path; 2]>) -> Option<Self> {
        let Some(python) = python_with_aiosmtpd() else {
            left_out("aiosmtpd");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("smtp_server.py");
        std::fs::write(&script, include_str!("smtp_server.py")).unwrap();
        let mode = match how {
            Smtp::Plain => "plain",
            Smtp::StartTls => "starttls",
            Smtp::Implicit => "implicit",
        };
        let mut command = Command::new(python);
        command.arg(&script).arg(dir.path()).arg(mode).args(tls.into_iter().flatten()).stdin(Stdio::null());
        let out = std::fs::File::create(dir.path().join("log")).unwrap();
        command.stdout(out.try_clone().unwrap()).stderr(out);
        let mut running = Running(command.spawn().unwrap());
        let port = until("an SMTP server", || {
            assert!(running.0.try_wait().unwrap().is_none(), "it has ended: {}", log(dir.path()));
            std::fs::read_to_string(dir.path().join("port")).ok()
        });
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().unwrap()));
        Some(Self { dir, address, running })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The settings by which Alf sends its mail here.
    pub(crate) fn settings(&self) -> [(&'static str, String); 4] {
        [
            ("ALF_EMAIL__SERVER", self.address.ip().to_string()),
            ("ALF_EMAIL__PORT", self.port().to_string()),
            ("ALF_EMAIL__TLS", "none".to_owned()),
            ("ALF_EMAIL__FROM", "Alf <alf@example.org>".to_owned()),
        ]
    }

    /// Makes it hang: connections stay open and nothing is answered.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    /// Ends [`Self::freeze`].
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.running.0.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    /// All messages as their readers see them, in their order.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.messages().iter().map(Mail::of).collect()
    }

    /// All messages that it has taken, in their order.
    pub(crate) fn messages(&self) -> Vec<Value> {
        let message = |n: usize| std::fs::read(self.dir.path().join(format!("{n}.json"))).ok();
        (0..).map_while(message).map(|message| serde_json::from_slice(&message).unwrap()).collect()
    }
}

fn python_with_aiosmtpd() -> Option<PathBuf> {
    let candidates = [cached("aiosmtpd-1.4.6").join("bin/python"), PathBuf::from("/usr/bin/python3")];
    candidates.into_iter().find(|python| {
        let import = Command::new(python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
        import.is_ok_and(|status| status.success())
    })
}
