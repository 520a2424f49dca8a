//! A whole Alf without network, disk or HTTP, in virtual time. Ending it checks what must hold after every story: all
//! is stored, every instant left one Result, nothing was executed twice, and no actor or connection is left.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::courier::FakeCourier;
use crate::actors::catalog::{Draft, Precondition, PutDone};
use crate::actors::error::AlfError;
use crate::actors::handle::{AlfHandle, Order};
use crate::actors::parts::LoginDefaults;
use crate::actors::supervision::ActorHealth;
use crate::app::{self, App, Ended, Parts, Setup};
use crate::clock::Clock;
use crate::model::{
    AnyDefinition, Defaults, Name, Noun, Outcome, Reason, Reference, Retention, Rights, RunId, RunResult, State,
    StatusRow, Trigger,
};
use crate::ssh::Connector;
use crate::ssh::fake::FakeConnector;
use crate::store::Store;
use crate::store::memory::MemoryStore;
use crate::vault::Vault;

/// The grace at the end of a test.
const GRACE: Duration = Duration::from_secs(10);
/// The longest that a test waits for something, in virtual time.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// When every story begins: between two whole seconds, so that no instant falls on a moment at which a test looks.
pub(super) fn start() -> DateTime<Utc> {
    at("2026-11-23T10:00:00.500Z")
}

pub(super) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(super) fn name(text: &str) -> Name {
    Name::parse_link(text).unwrap()
}

pub(super) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The task `check` on the host `web1`, by this line, on the instant.
pub(super) fn one(cron: &str) -> String {
    format!(
        r#"{{"hosts": [{{"name": "web1"}}], "tasks": [{{"name": "check", "command": "check"}}],
            "host_tasks": [{{"task": "check", "host": "web1"}}],
            "schedules": [{{"name": "often", "cron": "{cron}", "splay": "0s"}}],
            "task_schedules": [{{"name": "often", "task": "check", "schedule": "often"}}]}}"#
    )
}

/// The task `check` on the host `web1`, due by nothing.
pub(super) const UNSCHEDULED: &str = r#"{"hosts": [{"name": "web1"}], "tasks": [{"name": "check", "command": "check"}],
    "host_tasks": [{"task": "check", "host": "web1"}]}"#;

/// What stays when Alf ends: the store, the hosts, the time.
pub(super) struct World {
    pub(super) clock: Clock,
    pub(super) store: MemoryStore,
    pub(super) hosts: FakeConnector,
    pub(super) courier: FakeCourier,
    pub(super) max_in_flight: usize,
    pub(super) queue: usize,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) retention: Retention,
    directory: tempfile::TempDir,
}

/// A running Alf in its world.
pub(super) struct Alf {
    pub(super) world: World,
    pub(super) handle: AlfHandle,
    app: App,
    leftovers: (Weak<dyn Store>, Weak<FakeConnector>),
}

impl World {
    /// A new one; time stands still but for what waits for it.
    pub(super) fn new() -> Self {
        tokio::time::pause();
        let clock = Clock::starting_at(start());
        Self {
            store: MemoryStore::new(),
            hosts: FakeConnector::new(clock.clone()),
            courier: FakeCourier::default(),
            clock,
            max_in_flight: 1000,
            queue: 10_000,
            idle_timeout: None,
            retention: Retention::ALL,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(super) fn vault(&self) -> Vault {
        Vault::open(&self.directory.path().join("secret.key")).unwrap()
    }

    pub(super) async fn start(self) -> Alf {
        let store: Arc<dyn Store> = Arc::new(self.store.clone());
        let connector = Arc::new(self.hosts.clone());
        let leftovers = (Arc::downgrade(&store), Arc::downgrade(&connector));
        let connector: Arc<dyn Connector> = connector;
        let courier = Arc::new(self.courier.clone());
        let parts = Parts { store, connector, courier, vault: self.vault(), clock: self.clock.clone() };
        let setup = Setup {
            node: name("here"),
            defaults: Defaults::default(),
            login: LoginDefaults { user: "deploy".to_owned(), credential: None },
            max_in_flight: self.max_in_flight,
            queue: self.queue,
            host_queue: 1000,
            handshakes: 50,
            idle_timeout: self.idle_timeout,
            flapping: crate::model::FlapThresholds::default(),
            retention: self.retention,
            arbiters: 0,
            http: None,
        };
        let app = app::build(setup, parts).await.unwrap();
        Alf { world: self, handle: app.handle.clone(), app, leftovers }
    }
}

impl Alf {
    /// A new world with these definitions in it.
    pub(super) async fn with(definitions: &str) -> Self {
        let alf = World::new().start().await;
        alf.define(definitions).await;
        alf
    }

    /// Puts definitions, given as `{"hosts": […], "tasks": […]}`.
    pub(super) async fn define(&self, definitions: &str) {
        let mut given: BTreeMap<String, Vec<serde_json::Value>> = serde_json::from_str(definitions).unwrap();
        for noun in Noun::ALL {
            for one in given.remove(noun.plural()).unwrap_or_default() {
                self.put(noun, &one.to_string(), Precondition::None).await.unwrap();
            }
        }
        assert!(given.is_empty(), "no such nouns: {given:?}");
    }

    pub(super) async fn put(&self, noun: Noun, json: &str, condition: Precondition) -> Result<PutDone, AlfError> {
        self.handle.put(Draft::read(noun, json).unwrap(), condition, Rights::all()).await
    }

    /// What a fresh handle to the definition shows.
    pub(super) fn get(&self, noun: Noun, of: &str) -> Option<AnyDefinition> {
        self.handle.catalog().get(noun, &name(of))
    }

    pub(super) async fn delete(&self, noun: Noun, of: &str, cascade: bool) -> Result<(), AlfError> {
        self.handle.delete(Reference { noun, name: name(of) }, Precondition::None, cascade, Rights::all()).await
    }

    pub(super) async fn run(&self, host: &str, task: &str) -> Result<RunId, AlfError> {
        self.handle.run(name(host), name(task), Order::default()).await
    }

    /// Runs a task and waits for its Result.
    pub(super) async fn run_to_end(&self, host: &str, task: &str) -> RunResult {
        let run = self.run(host, task).await.unwrap();
        self.handle.wait(run, LONGEST_WAIT).await.unwrap().expect("the run ends")
    }

    pub(super) fn hosts(&self) -> &FakeConnector {
        &self.world.hosts
    }

    pub(super) fn store(&self) -> &MemoryStore {
        &self.world.store
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.world.clock.now()
    }

    /// All Results of a pair in the order in which they were stored.
    pub(super) fn results(&self, host: &str, task: &str) -> Vec<RunResult> {
        self.store().results_of(host, task)
    }

    pub(super) fn status(&self, host: &str, task: &str) -> Option<StatusRow> {
        self.handle.pair_status(&name(host), &name(task), 100)
    }

    /// Lets time pass until something is so.
    #[track_caller]
    pub(super) fn until(&self, so: impl Fn(&Self) -> bool) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let mut wait = Duration::from_millis(1);
            let waited = async {
                while !so(self) {
                    tokio::time::sleep(wait).await;
                    wait = wait.mul_f64(1.05).min(Duration::from_millis(500));
                }
            };
            if tokio::time::timeout(LONGEST_WAIT, waited).await.is_err() {
                panic!("{caller}: it does not come to that");
            }
        }
    }

    /// Lets everything happen that is not a matter of time but of turns.
    pub(super) async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    /// The branch of the health tree at this path, below `alf`.
    pub(super) async fn health(&self, path: &[&str]) -> ActorHealth {
        path.iter().fold(self.handle.health(&Rights::all()).await, |health, part| {
            let names: Vec<_> = health.children.iter().map(|child| child.name.clone()).collect();
            let child = health.children.into_iter().find(|child| child.name == *part || child.kind == *part);
            child.unwrap_or_else(|| panic!("no {part} among {names:?}"))
        })
    }

    /// Ends it in good order, checks what must hold, and leaves the world to the next one.
    pub(super) async fn end(self) -> World {
        let (ended, world) = self.end_after(GRACE).await;
        assert_eq!(ended, Ended::Clean);
        for pair in world.store.pairs() {
            assert!(pair.open.is_empty(), "open runs are left: {pair:?}");
        }
        world
    }

    /// The same, not expecting it to be clean.
    pub(super) async fn end_after(self, grace: Duration) -> (Ended, World) {
        let Self { world, handle, app, leftovers } = self;
        let board = Arc::clone(&handle.board);
        drop(handle);
        let ended = app.shutdown(grace).await;
        if ended == Ended::Clean {
            assert_eq!(board.unsettled(), 0, "runs are left on the board");
        }
        // What was told to end may need another turn.
        tokio::time::sleep(seconds(60)).await;
        assert_eq!(leftovers.0.strong_count(), 0, "who writes is still alive");
        assert_eq!(leftovers.1.strong_count(), 0, "actors are still alive");
        let hosts: BTreeSet<String> = world.store.saved().iter().map(|result| result.host.to_string()).collect();
        for host in &hosts {
            assert_eq!((world.hosts.running(host), world.hosts.open(host)), (0, 0), "{host} is still busy");
            let mut executed = HashSet::new();
            for exec in world.hosts.execs(host) {
                assert!(executed.insert(exec.run.clone()), "run {} was executed twice on {host}", exec.run);
            }
        }
        every_instant_once(&world.store.saved());
        (ended, world)
    }

    /// Ends it as a power cut would: nothing is waited for, nothing recorded.
    pub(super) async fn crash(self) -> World {
        let Self { world, handle, app, leftovers } = self;
        world.store.fail_commits(Some(crate::store::StoreError::Unavailable("the power is off".to_owned())));
        drop(handle);
        app.shutdown(Duration::ZERO).await;
        tokio::time::sleep(seconds(60)).await;
        assert_eq!((leftovers.0.strong_count(), leftovers.1.strong_count()), (0, 0), "actors are still alive");
        world.store.fail_commits(None);
        world
    }
}

/// Whether no instant, or one that has its Result already, is behind a run.
fn is_another(trigger: Trigger) -> bool {
    matches!(trigger, Trigger::Manual | Trigger::Retry | Trigger::Action)
}

/// No instant of a pair has two Results.
#[track_caller]
fn every_instant_once(results: &[RunResult]) {
    let mut seen = HashSet::new();
    for result in results.iter().filter(|result| !is_another(result.trigger) && result.instants.is_none()) {
        let instant = (result.host.clone(), result.task.clone(), result.scheduled_at);
        assert!(seen.insert(instant), "an instant has two Results: {result:?}");
    }
    for (result, instants) in results.iter().filter_map(|result| Some((result, result.instants?))) {
        let within = seen.iter().filter(|(host, task, at)| {
            (host, task) == (&result.host, &result.task) && (instants.from..=instants.until).contains(at)
        });
        assert_eq!(within.count(), 0, "an instant is folded and told by itself too: {result:?}");
    }
}

/// Checks that every instant since the story began has its one Result, for a pair that is due every `step`; those that
/// are folded count.
#[track_caller]
pub(super) fn told(results: &[RunResult], step: TimeDelta, until: DateTime<Utc>) {
    let (told, due) = (instants(results, step), every(step, start(), until));
    let (once, expected) = (told.iter().collect::<BTreeSet<_>>(), due.iter().collect::<BTreeSet<_>>());
    let missing: Vec<_> = expected.difference(&once).collect();
    let more: Vec<_> = once.difference(&expected).collect();
    assert!(missing.is_empty() && more.is_empty(), "missing: {missing:?}; not due: {more:?}");
    assert_eq!(told.len(), due.len(), "some are told twice");
}

/// The instants that Results tell of, oldest first.
pub(super) fn instants(results: &[RunResult], step: TimeDelta) -> Vec<DateTime<Utc>> {
    let mut all = Vec::new();
    for result in results.iter().filter(|result| !is_another(result.trigger)) {
        match result.instants {
            None => all.push(result.scheduled_at.get()),
            Some(folded) => {
                let count = i32::try_from(folded.count).unwrap();
                all.extend((0..count).map(|n| folded.from.get() + step * n));
                assert_eq!(all.last(), Some(&folded.until.get()), "{folded:?}");
            }
        }
    }
    all.sort();
    all
}

/// All instants after `from`, up to `until`.
pub(super) fn every(step: TimeDelta, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let (step, from, until) = (step.num_milliseconds(), from.timestamp_millis(), until.timestamp_millis());
    let first = (from / step + 1) * step;
    (first..=until)
        .step_by(usize::try_from(step).unwrap())
        .map(|millis| DateTime::from_timestamp_millis(millis).unwrap())
        .collect()
}

/// What is judged of a Result.
pub(super) fn verdict(result: &RunResult) -> (Outcome, Option<State>, Option<Reason>) {
    (result.outcome, result.state, result.reason)
}
