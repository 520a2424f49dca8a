//! A server that speaks MongoDB's protocol, of this test alone: SecantusDB, which stands in for MongoDB, on a port that
//! the system chooses; or any server that `ALF_TEST_MONGODB` names (`mongodb://…`), with databases of the test's own.
#![allow(dead_code, reason = "each of the test programs that it is in uses some of it")]
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "what is left out is said; real processes take real time"
)]

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use tempfile::TempDir;

/// Longest wait for it to start: on a busy machine it takes its time after a kill.
const LONG: Duration = Duration::from_secs(60);

/// The server.
pub(crate) struct MongoServer {
    /// None for one that somebody else runs.
    own: Option<Own>,
    url: String,
    /// How many databases it was asked for.
    databases: AtomicU32,
}

struct Own {
    program: Program,
    dir: TempDir,
    port: u16,
    child: Child,
}

/// What stands in for MongoDB.
#[derive(Debug, Clone)]
enum Program {
    /// `secantusd-rs`: it is fast, and what it has answered stays.
    Rust(PathBuf),
    /// `secantusd-py`, which is soon installed.
    Python(PathBuf),
}

impl MongoServer {
    /// Starts it; none, and a word about it, where there is none.
    pub(crate) fn start() -> Option<Self> {
        if let Some(url) = std::env::var("ALF_TEST_MONGODB").ok().filter(|url| !url.is_empty()) {
            return Some(Self { own: None, url, databases: AtomicU32::default() });
        }
        let Some(program) = Program::find() else {
            println!("left out: there is no secantusd-rs and no secantusd-py, and ALF_TEST_MONGODB names no server");
            return None;
        };
        Some(Self::of(program))
    }

    /// Starts one that can be killed and paused, and keeps what it has answered; none, and a word about it, where there
    /// is none.
    pub(crate) fn start_to_be_harmed() -> Option<Self> {
        match Program::find() {
            Some(program @ Program::Rust(_)) => Some(Self::of(program)),
            _ => {
                println!("left out: there is no secantusd-rs, and no other server may be harmed");
                None
            }
        }
    }

    fn of(program: Program) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = program.spawn(dir.path(), port);
        let url = format!("mongodb://127.0.0.1:{port}/?directConnection=true");
        Self { own: Some(Own { program, dir, port, child }), url, databases: AtomicU32::default() }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Whether instants are compared with `$$NOW` as MongoDB does it: to `secantusd-py` a lease that holds is over.
    pub(crate) fn compares_with_its_clock(&self) -> bool {
        let can = !matches!(&self.own, Some(Own { program: Program::Python(_), .. }));
        if !can {
            println!("left out: leases, as secantusd-py compares instants with $$NOW wrongly");
        }
        can
    }

    /// The name of a database that is this test's own.
    pub(crate) fn database(&self) -> String {
        name(self.databases.fetch_add(1, Ordering::Relaxed))
    }

    /// Where it would be for this user.
    pub(crate) fn url_of(&self, user: &str) -> String {
        self.url.replace("mongodb://", &format!("mongodb://{user}@"))
    }

    fn own(&mut self) -> &mut Own {
        self.own.as_mut().unwrap()
    }

    /// Sends it a signal: STOP and CONT pause it.
    pub(crate) fn signal(&mut self, signal: &str) {
        let pid = self.own().child.id().to_string();
        assert!(Command::new("kill").arg(format!("-{signal}")).arg(pid).status().unwrap().success());
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(&mut self) {
        let own = self.own();
        own.child.kill().unwrap();
        own.child.wait().unwrap();
    }

    /// Starts it again on the same data and port, after [`Self::kill`].
    pub(crate) fn restart(&mut self) {
        let own = self.own();
        own.child = own.program.spawn(own.dir.path(), own.port);
    }
}

impl Program {
    fn find() -> Option<Self> {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let cached = cache.and_then(|cache| cache.join("alf").read_dir().ok()).into_iter().flatten().flatten();
        let cached = cached.filter(|entry| entry.file_name().to_string_lossy().starts_with("secantus"));
        let cached = cached.map(|entry| entry.path().join("bin"));
        let directories: Vec<PathBuf> = std::env::split_paths(&path).chain(cached).collect();
        let find = |name: &str| directories.iter().map(|directory| directory.join(name)).find(|path| path.is_file());
        find("secantusd-rs").map(Self::Rust).or_else(|| find("secantusd-py").map(Self::Python))
    }

    /// Starts it and waits until it takes connections.
    fn spawn(&self, dir: &Path, port: u16) -> Child {
        let (Self::Rust(program) | Self::Python(program)) = self;
        let mut command = Command::new(program);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--log-level", "WARNING"]);
        command.args(["--sync-on-commit", "--cache-size", "256M"]).arg("--storage-path").arg(dir.join("data"));
        if let Self::Rust(_) = self {
            // It is made in full at once: the disk is to hold many.
            command.args(["--log-file-max", "16MB"]);
        }
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let command = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).current_dir(dir);
        let mut child = command.spawn().unwrap();
        let until = Instant::now() + LONG;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let said = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
            assert!(child.try_wait().unwrap().is_none(), "the server ended: {said}");
            assert!(Instant::now() < until, "the server does not start: {said}");
            let _ = Command::new("sleep").arg("0.02").status();
        }
        child
    }
}

/// The n-th database of this thread's test.
fn name(n: u32) -> String {
    let thread: String = format!("{:?}", std::thread::current().id()).chars().filter(char::is_ascii_digit).collect();
    format!("alf-test-{}-{thread}-{n}", std::process::id())
}

/// Removes databases from a server that is somebody else's.
pub(crate) fn forget(url: &str, databases: Vec<String>) {
    with_client(url, async |client| {
        for name in databases {
            if let Err(error) = remove(&client, &name).await {
                // The test that is over may have failed of the same.
                println!("the database {name} is left behind: {error}");
            }
        }
    });
}

/// Removes a database. What an Alf that was killed has left open in it would hold it, and maybe more, for a minute.
async fn remove(client: &mongodb::Client, name: &str) -> mongodb::error::Result<()> {
    let database = client.database(name);
    let mut notes = database.collection::<Document>("meta").find(doc! { "sessions": { "$exists": true } }).await?;
    while notes.advance().await? {
        let note = notes.deserialize_current()?;
        if let Some(sessions) = note.get("sessions") {
            client.database("admin").run_command(doc! { "killSessions": sessions.clone() }).await?;
        }
    }
    database.drop().await
}

/// Does something at a server.
pub(crate) fn with_client<T: Send>(url: &str, work: impl AsyncFnOnce(mongodb::Client) -> T + Send) -> T {
    // The test may be asynchronous itself.
    std::thread::scope(|scope| {
        let done = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { work(mongodb::Client::with_uri_str(url).await.unwrap()).await })
        });
        done.join().unwrap()
    })
}

impl Drop for MongoServer {
    fn drop(&mut self) {
        if self.own.is_none() {
            forget(&self.url, (0..*self.databases.get_mut()).map(name).collect());
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // A paused one must not stay.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
