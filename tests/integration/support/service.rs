//! The real program, started as a user would: its own data directory, a port that the system chooses, ended when
//! dropped.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use super::disk::SmallDisk;
use super::http::{Answer, request};
use super::sshd::{Sshd, pause};
use super::stored::is_in_mongodb;
use crate::mongo_server::forget;

/// Longest wait for anything that works.
const LONG: Duration = Duration::from_secs(30);

/// A running `alf serve`.
pub(crate) struct Service {
    /// Its data directory, if that is a disk of its own: unmounted before the directory goes.
    disk: Option<SmallDisk>,
    dir: TempDir,
    /// Its settings: a restart has them too.
    environment: Vec<(String, String)>,
    child: Child,
    pub(crate) address: String,
    pub(crate) key: String,
    pub(crate) first_line: String,
}

/// The program, with nothing of the caller's environment that concerns it.
pub(crate) fn alf(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_alf"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ALF_") {
            command.env_remove(name);
        }
    }
    // No known_hosts, agent or key of who runs the tests: HOME is the test's own.
    command.env("ALF_DATA_DIR", data_dir).env("HOME", data_dir).env_remove("SSH_AUTH_SOCK").stdin(Stdio::null());
    command
}

impl Service {
    /// Starts it with defaults.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts it with settings in the environment.
    pub(crate) fn start_with(environment: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), None, environment)
    }

    /// Starts it with its data directory on a disk of its own that is soon full; none where no disk can be mounted.
    pub(crate) fn start_on_a_small_disk() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let disk = SmallDisk::mount(&dir.path().join("data"))?;
        Some(Self::start_in(dir, Some(disk), &[]))
    }

    /// Starts it in a directory whose `data` may hold something already.
    pub(crate) fn start_in(dir: TempDir, disk: Option<SmallDisk>, environment: &[(&str, &str)]) -> Self {
        let mut environment: Vec<(String, String)> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        if environment.iter().all(|(name, _)| !name.starts_with("ALF_STORE__")) {
            let elsewhere = elsewhere(dir.path()).into_iter();
            environment.extend(elsewhere.flat_map(|(url, database)| {
                let settings = [("KIND", "mongodb".to_owned()), ("URL", url), ("DATABASE", database)];
                settings.map(|(key, value)| (format!("ALF_STORE__{key}"), value))
            }));
        }
        let (child, first_line, address) = launch(&dir.path().join("data"), &environment);
        let key = std::fs::read_to_string(dir.path().join("data/admin.key")).unwrap().trim().to_owned();
        Self { disk, dir, environment, child, address, key, first_line }
    }

    /// The disk of [`Self::start_on_a_small_disk`].
    pub(crate) fn disk(&self) -> &SmallDisk {
        self.disk.as_ref().unwrap()
    }

    /// The test's directory.
    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its data directory.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.data_dir().with_extension("log")).unwrap_or_default()
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal and waits for its end; answers its exit code.
    pub(crate) fn end(&mut self, signal: &str) -> Option<i32> {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
        let until = Instant::now() + LONG;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < until, "alf does not end on {signal}: {}", self.log());
            pause();
        }
    }

    /// Starts it again on the same data and store, after [`Self::end`].
    pub(crate) fn restart(&mut self) {
        (self.child, self.first_line, self.address) = launch(&self.data_dir(), &self.environment);
    }

    /// A request with the admin key.
    pub(crate) fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let mut all = vec![("Authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        request(&self.address, method, path, &all, body)
    }

    /// A request with a JSON body, under `/api/v1`.
    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let path = format!("/api/v1/{path}");
        self.call(method, &path, &[("Content-Type", "application/json")], Some(body.as_bytes()))
    }

    /// A GET under `/api/v1`, as JSON.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        self.call("GET", &format!("/api/v1/{path}"), &[], None).expect(200).json()
    }

    /// The host `web1` at an sshd, with its credential `key`.
    pub(crate) fn add_host(&self, sshd: &Sshd) {
        self.add_host_named(sshd, "web1");
    }

    /// A host at an sshd, with its credential `key`.
    pub(crate) fn add_host_named(&self, sshd: &Sshd, name: &str) {
        let key = json!({"key_file": sshd.client_key(), "user": sshd.user()});
        let created = self.send("PUT", &format!("credentials/key-{name}"), &key);
        assert!(created.status < 300, "{}", created.text());
        let host = json!({
            "name": name, "address": "127.0.0.1", "port": sshd.port(), "credential": format!("key-{name}"),
        });
        self.send("POST", "hosts", &host).expect(201);
    }

    /// A task of its own name, linked to a host; with a cron line it is scheduled too.
    pub(crate) fn add_task(&self, name: &str, host: &str, task: Value, cron: Option<&str>) {
        self.send("PUT", &format!("tasks/{name}"), &task).expect(201);
        self.send("POST", "host-tasks", &json!({"task": name, "host": host})).expect(201);
        if let Some(cron) = cron {
            let link = json!({"name": format!("when-{name}-{host}"), "task": name, "cron": cron, "host": host});
            self.send("POST", "task-schedules", &link).expect(201);
        }
    }

    /// Runs a task on `web1` and waits for its Result.
    #[track_caller]
    pub(crate) fn run(&self, task: &str) -> Value {
        self.send("POST", &format!("hosts/web1/tasks/{task}/run?wait=60s"), &json!({})).expect(200).json()
    }

    /// The program with its settings.
    pub(crate) fn program(&self) -> Command {
        let mut command = alf(&self.data_dir());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the command line against it.
    pub(crate) fn cli(&self, args: &[&str]) -> Output {
        alf(&self.data_dir()).args(args).output().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some((url, database)) = elsewhere(self.dir.path()) {
            forget(&url, vec![database]);
        }
    }
}

/// The URL and the database of a store on the server that `ALF_TEST_MONGODB` names, where `ALF_TEST_STORE` is `mongodb`:
/// so all tests of the service can be run on it. The database is named like the test's directory.
pub(super) fn elsewhere(dir: &Path) -> Option<(String, String)> {
    is_in_mongodb().then(|| {
        let url = std::env::var("ALF_TEST_MONGODB").expect("ALF_TEST_MONGODB names a server");
        let name = dir.file_name().unwrap().to_string_lossy().replace('.', "");
        (url, format!("alf-test-{name}"))
    })
}

fn launch(data_dir: &Path, environment: &[(String, String)]) -> (Child, String, String) {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(data_dir.with_extension("log")).unwrap();
    let chosen = environment.iter().find(|(name, _)| *name == "ALF_HTTP__LISTEN");
    let listen = chosen.map_or("127.0.0.1:0", |(_, address)| address);
    let mut child = alf(data_dir)
        .args(["serve", "--listen", listen])
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first_line = String::new();
    stdout.read_line(&mut first_line).unwrap();
    let address = first_line.split("://").nth(1).and_then(|rest| rest.split(' ').next());
    let Some(address) = address.map(str::to_owned) else {
        let _ = child.kill();
        let mut rest = String::new();
        let _ = stdout.read_to_string(&mut rest);
        panic!("alf did not start: {}", std::fs::read_to_string(data_dir.with_extension("log")).unwrap_or_default());
    };
    (child, first_line, address)
}

/// Looks until something is so, at most half a minute.
#[track_caller]
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(LONG, what, look)
}

/// The same, for what takes its time by design: at most so long.
#[track_caller]
pub(crate) fn within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for: {what}");
        pause();
    }
}
