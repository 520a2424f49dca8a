//! A fleet of fake hosts, a real store with its definitions in it, and a whole Alf on them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alf::actors::definitions::read_rows;
use alf::actors::parts::LoginDefaults;
use alf::app::{self, App, Parts, Setup};
use alf::clock::Clock;
use alf::courier::Carrier;
use alf::http::{HttpConfig, Limits};
use alf::model::{
    Captured, Defaults, FlapThresholds, LastResult, LastResults, Name, Noun, Outcome, PairLine, PairStatus, Reason,
    Retention, RunId, RunIds, RunResult, SecretText, State, Taking, Timestamp, Trigger, Watched,
};
use alf::settings::ActionsSettings;
use alf::sinks::Trust;
use alf::ssh::fake::FakeConnector;
use alf::store::sqlite::FILE;
use alf::store::{DefinitionChange, DefinitionRow, Write};
use alf::vault::Vault;
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::Connection;

use crate::place::Place;
use crate::support::Failure;

/// What every task runs.
pub(crate) const COMMAND: &str = "true";
/// How Results go into a status here.
pub(crate) const TAKING: Taking = Taking { host_is_down: false, flapping: None, seldom: false };
/// Writes of one commit.
const BATCH: usize = 500;

/// What the pairs of a fleet have behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum History {
    /// Nothing.
    None,
    /// As many Results as are kept at hand.
    Full,
}

/// Every task on every host, by one line.
pub(crate) struct Fleet {
    pub(crate) hosts: usize,
    pub(crate) tasks: usize,
    pub(crate) cron: String,
    pub(crate) history: History,
    pub(crate) down_hours: i64,
    /// Where every Result is sent, to Graphite and by a webhook; none: nowhere.
    pub(crate) hangs: Option<SocketAddr>,
}

fn name(text: &str) -> Result<Name, Failure> {
    Ok(Name::parse_link(text)?)
}

fn host(n: usize) -> String {
    format!("host{n:05}")
}

fn task(n: usize) -> String {
    format!("task{n:03}")
}

impl Fleet {
    /// Puts definitions and pairs into a new store.
    pub(crate) async fn prepare(&self, place: &Place) -> Result<(), Failure> {
        place.server.clear().await?;
        let store = place.open().await?;
        let now = Clock::Wall.now();
        store.change_definitions(0, self.definitions(now)?).await?;
        let (vault, defaults) = (Vault::open(&place.dir.join("secret.key"))?, Defaults::default());
        let catalog = read_rows(1, store.load().await?.definitions, &vault, &defaults)?;
        let ids = RunIds::default();
        let since = Timestamp::from(now - TimeDelta::hours(self.down_hours));
        let mut writes = Vec::new();
        for pair in 0..self.hosts * self.tasks {
            let (host, task) = (name(&host(pair / self.tasks))?, name(&task(pair % self.tasks))?);
            // A start after the first: it is known since when the pair is watched, and by which lines.
            let lines = catalog.hosts.get(&host).map(|host| PairLine::digest(&catalog.lines_of(&task, host)));
            let watched = lines.map(|lines| Watched { since, lines });
            match self.history {
                History::None => {
                    let status = Arc::new(PairStatus { watched, ..PairStatus::default() });
                    writes.push(Write::Watch { host: host.clone(), task: task.clone(), until: since });
                    writes.push(Write::SetStatus { host, task, status });
                }
                History::Full => {
                    let state = if pair % 10 == 3 { State::Critical } else { State::Ok };
                    let (result, status) = finished(ids.next(since), &host, &task, since, state);
                    let status = Some(Arc::new(PairStatus { watched, ..status }));
                    writes.push(Write::Save { result: Box::new(result), status, until: Some(since) });
                }
            }
            if writes.len() >= BATCH {
                store.commit(std::mem::take(&mut writes)).await?;
            }
        }
        store.commit(writes).await?;
        store.close().await;
        Ok(())
    }

    fn definitions(&self, now: DateTime<Utc>) -> Result<Vec<DefinitionChange>, Failure> {
        // Long ago: what Alf missed is due by them.
        let at = Timestamp::from(now - TimeDelta::days(30));
        let mut rows = Vec::new();
        let mut put = |noun, of: &str, body: String| -> Result<(), Failure> {
            let name = name(of)?;
            let row = DefinitionRow { noun, name, version: 1, created_at: at, updated_at: at, body, sealed: None };
            rows.push(DefinitionChange::Put(row));
            Ok(())
        };
        let cron = &self.cron;
        put(Noun::Schedule, "often", format!(r#"{{"name": "often", "cron": "{cron}"}}"#))?;
        if let Some(address) = self.hangs {
            let graph = format!(r#"{{"name": "graph", "then": {{"graphite": {{"address": "{address}"}}}}}}"#);
            put(Noun::Action, "graph", graph)?;
            let to = format!(r#"{{"webhook": {{"url": "http://{address}/", "allow_private": true}}}}"#);
            put(Noun::Action, "hook", format!(r#"{{"name": "hook", "when": {{"on": "result"}}, "then": {to}}}"#))?;
        }
        for n in 0..self.tasks {
            let task = task(n);
            put(Noun::Task, &task, format!(r#"{{"name": "{task}", "command": "{COMMAND}"}}"#))?;
            let link = format!(r#"{{"name": "{task}@all", "task": "{task}", "selector": "*"}}"#);
            put(Noun::HostTask, &format!("{task}@all"), link)?;
            let due = format!(r#"{{"name": "{task}@often", "task": "{task}", "schedule": "often"}}"#);
            put(Noun::TaskSchedule, &format!("{task}@often"), due)?;
        }
        for n in 0..self.hosts {
            let (host, role) = (host(n), if n % 2 == 0 { "web" } else { "db" });
            put(Noun::Host, &host, format!(r#"{{"name": "{host}", "labels": {{"role": "{role}"}}}}"#))?;
        }
        Ok(rows)
    }
}

/// The last Result of a pair, and its status with many before it.
pub(crate) fn finished(id: RunId, host: &Name, task: &Name, at: Timestamp, state: State) -> (RunResult, PairStatus) {
    let outcome = if state == State::Ok { Outcome::Ok } else { Outcome::Problem };
    let millis = |ms: i64| Timestamp::from(at.get() + TimeDelta::milliseconds(ms));
    let result = RunResult {
        id,
        host: host.clone(),
        task: Some(task.clone()),
        task_version: Some(1),
        schedule: Name::parse("often").ok(),
        node: "bench".to_owned(),
        trigger: Trigger::Schedule,
        by: None,
        group: None,
        cause: None,
        scheduled_at: at,
        due_at: at,
        started_at: Some(millis(12)),
        finished_at: millis(260),
        attempt: 1,
        exit_code: Some(i32::from(outcome == Outcome::Problem)),
        signal: None,
        outcome,
        state: Some(state),
        reason: (outcome == Outcome::Problem).then_some(Reason::ExitCode),
        hard: true,
        message: "DISK OK - free space: / 12014 MB (61% inode=87%)".to_owned(),
        stdout: Captured::new(vec![b'x'; 120], 120),
        stderr: Captured::default(),
        perfdata: Some(Vec::new()),
        kill: None,
        instants: None,
    };
    let last = (0..50).map(|n: i64| LastResult {
        id: RunIds::default().next(millis(-n * 60_000)),
        outcome,
        state: Some(state),
        finished_at: millis(-n * 60_000 + 260),
        duration_ms: Some(248 + n),
    });
    let last: LastResults = last.collect();
    let mut status = PairStatus { last, ..PairStatus::default() };
    status.take(&result, TAKING);
    (result, status)
}

/// A whole Alf on a store, with fake hosts.
pub(crate) struct Running {
    pub(crate) app: App,
    pub(crate) hosts: FakeConnector,
    key: Arc<Mutex<Option<SecretText>>>,
}

/// What the server bears by default.
fn limits() -> Limits {
    let seconds = Duration::from_secs;
    Limits {
        connections: 4096,
        connections_per_address: 2048,
        requests_in_flight: 512,
        event_streams: 512,
        header_timeout: seconds(10),
        body_timeout: seconds(60),
        write_timeout: seconds(60),
        keep_alive: seconds(75),
        header_limit: 32 * 1024,
        uri_limit: 8 * 1024,
        body_limit: 1 << 20,
    }
}

impl Running {
    /// As `alf serve` starts it, with default settings.
    pub(crate) async fn start(place: &Place, http: bool) -> Result<Self, Failure> {
        let (store, dir) = (place.open().await?, &place.dir);
        let hosts = FakeConnector::new(Clock::Wall);
        let vault = Vault::open(&dir.join("secret.key"))?;
        let actions = ActionsSettings { allow_private: Vec::new(), ca_file: None, spool_limit: 1 << 20 };
        let courier = Carrier::new(&actions, None, Trust::load(None)?, dir.join("spool"), &Clock::Wall);
        let (connector, courier) = (Arc::new(hosts.clone()), Arc::new(courier));
        let parts = Parts { store, connector, courier, vault, clock: Clock::Wall };
        let listen = "127.0.0.1:0".parse()?;
        let setup = Setup {
            node: name("bench")?,
            defaults: Defaults::default(),
            login: LoginDefaults { user: "bench".to_owned(), credential: None },
            max_in_flight: 512,
            queue: 10_000,
            host_queue: 1000,
            handshakes: 50,
            idle_timeout: Some(Duration::from_secs(600)),
            flapping: FlapThresholds::default(),
            retention: Retention::ALL,
            arbiters: std::thread::available_parallelism()?.get().min(4),
            http: http.then_some(HttpConfig { listen, workers: 2, limits: limits(), public_metrics: false, tls: None }),
        };
        let app = app::build(setup, parts).await?;
        let key: Arc<Mutex<Option<SecretText>>> = Arc::default();
        let kept = Arc::clone(&key);
        app.first_key(move |made| {
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(made.clone());
            Ok(())
        })
        .await?;
        Ok(Self { app, hosts, key })
    }

    /// How many pairs the definitions come to.
    pub(crate) fn pairs(&self) -> Result<usize, Failure> {
        let catalog = self.app.handle.catalog();
        Ok(catalog.count(Noun::Host) * catalog.count(Noun::Task))
    }

    /// Its key.
    pub(crate) fn key(&self) -> Result<String, Failure> {
        let key = self.key.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or("there is no key")?;
        Ok(key.reveal().to_owned())
    }

    /// What a call under `/api/v1` answers, and its status code.
    pub(crate) async fn get(&self, path: &str) -> Result<(Vec<u8>, u16), Failure> {
        let address = self.app.address.ok_or("there is no HTTP")?;
        let key = self.key()?;
        let client = awc::Client::default();
        let request = client.get(format!("http://{address}/api/v1/{path}")).bearer_auth(key);
        let mut answer = request.send().await.map_err(|error| error.to_string())?;
        let body = answer.body().limit(64 << 20).await.map_err(|error| error.to_string())?;
        match answer.status().as_u16() {
            200 => Ok((body.to_vec(), 200)),
            other => Err(format!("{path}: {other} {}", String::from_utf8_lossy(&body)).into()),
        }
    }

    /// Ends it: what runs is recorded.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.app.shutdown(Duration::from_secs(60)).await;
        Ok(())
    }
}

/// The outcome of every Result of a store and, if it started something, how late, in milliseconds.
pub(crate) fn lateness(dir: &Path) -> Result<Vec<(String, Option<f64>)>, Failure> {
    let connection = Connection::open(dir.join(FILE))?;
    let mut tables =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'results_%'")?;
    let tables = tables.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    let mut all = Vec::new();
    for table in tables {
        let mut rows = connection.prepare(&format!("SELECT outcome, started_at - due_at FROM {table}"))?;
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.map(|ms| ms as f64))))?;
        all.extend(rows.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(all)
}
