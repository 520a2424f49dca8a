//! A scripted [`Connector`] for tests: no network, follows tokio's paused time, remembers what it was asked.
//!
//! ```
//! # use std::time::Duration;
//! # use alf::clock::Clock;
//! # use alf::ssh::fake::{FakeConnect, FakeConnector, FakeExec};
//! let fake = FakeConnector::new(Clock::Wall);
//! fake.on_connect("web1", FakeConnect::unreachable("web1 refused the connection"));   // the first; then all succeed
//! fake.on_command("false", FakeExec::exit(1).stderr("no\n").after(Duration::from_secs(2)));
//! fake.always("web2", FakeExec::hang());                                              // until timeout or cancel
//! ```

mod script;

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::doctor::{Expected, Finding};
use super::host_keys::{self, Recorded};
use super::output::{LiveOutput, Stream};
use super::{ConnectError, Connected, Connector, End, Ending, Exec, KillReport, Leftover, OfferedKey, Session, Target};
use crate::clock::Clock;
use crate::model::PublicKey;
pub use script::{FakeConnect, FakeExec};

/// Scripted hosts; clones share them.
#[derive(Clone)]
pub struct FakeConnector {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    hosts: HashMap<String, FakeHost>,
    commands: HashMap<String, FakeExec>,
}

#[derive(Default)]
struct FakeHost {
    connects: VecDeque<FakeConnect>,
    key: Option<Result<PublicKey, ConnectError>>,
    findings: Vec<Finding>,
    examined: Vec<Expected>,
    execs: VecDeque<FakeExec>,
    always: Option<FakeExec>,
    closed: usize,
    targets: Vec<Target>,
    seen: Vec<Exec>,
    swept: Vec<Leftover>,
    sweep: Duration,
    refused: u64,
    refusal: Option<String>,
    running: usize,
    most_running: usize,
    /// Open connections: cancelled with a cause when cut.
    links: Vec<Arc<FakeLink>>,
}

struct FakeLink {
    ended: CancellationToken,
    cause: Mutex<String>,
}

impl FakeConnector {
    /// Hosts that all let us in, where every command ends at once with exit code 0.
    pub fn new(clock: Clock) -> Self {
        Self { shared: Arc::new(Shared { clock, state: Mutex::default(), changed: Notify::new() }) }
    }

    /// What becomes of the host's next connect that nothing is scripted for yet.
    pub fn on_connect(&self, host: &str, step: FakeConnect) -> &Self {
        self.host(host, |it| it.connects.push_back(step));
        self
    }

    /// The key that the host shows from now on to [`Connector::offered_key`], or why it shows none. Before, it shows
    /// one that is the same for all hosts.
    pub fn on_key(&self, host: &str, key: Result<PublicKey, ConnectError>) -> &Self {
        self.host(host, |it| it.key = Some(key));
        self
    }

    /// What is found when the host is looked over.
    pub fn on_examine(&self, host: &str, findings: Vec<Finding>) -> &Self {
        self.host(host, |it| it.findings = findings);
        self
    }

    /// What was expected each time the host was looked over.
    pub fn examined(&self, host: &str) -> Vec<Expected> {
        self.host(host, |it| it.examined.clone())
    }

    /// What becomes of the host's next command that nothing is scripted for yet.
    pub fn on_exec(&self, host: &str, step: FakeExec) -> &Self {
        self.host(host, |it| it.execs.push_back(step));
        self
    }

    /// What becomes of a command with this text, on every host, unless [`Self::on_exec`] says otherwise.
    pub fn on_command(&self, command: &str, step: FakeExec) -> &Self {
        self.shared.state().commands.insert(command.to_owned(), step);
        self
    }

    /// What becomes of all other commands on the host.
    pub fn always(&self, host: &str, step: FakeExec) -> &Self {
        self.host(host, |it| it.always = Some(step));
        self
    }

    /// Ends the host's connections, as if it had died; commands that run are lost.
    pub fn cut(&self, host: &str, cause: &str) {
        for link in self.host(host, |it| std::mem::take(&mut it.links)) {
            *lock(&link.cause) = cause.to_owned();
            link.ended.cancel();
        }
    }

    /// How many connects were tried.
    pub fn connects(&self, host: &str) -> usize {
        self.host(host, |it| it.targets.len())
    }

    /// How many connections are open.
    pub fn open(&self, host: &str) -> usize {
        self.host(host, |it| it.links.len())
    }

    /// How many connections were closed by [`Session::close`].
    pub fn closed(&self, host: &str) -> usize {
        self.host(host, |it| it.closed)
    }

    /// What was asked of each connect.
    pub fn targets(&self, host: &str) -> Vec<Target> {
        self.host(host, |it| it.targets.clone())
    }

    /// All commands, in the order in which they were started.
    pub fn execs(&self, host: &str) -> Vec<Exec> {
        self.host(host, |it| it.seen.clone())
    }

    /// What was looked for after a connection was lost.
    pub fn swept(&self, host: &str) -> Vec<Leftover> {
        self.host(host, |it| it.swept.clone())
    }

    /// How long it takes to look for what was left behind; no time unless said otherwise.
    pub fn sweep_takes(&self, host: &str, sweep: Duration) -> &Self {
        self.host(host, |it| it.sweep = sweep);
        self
    }

    /// The host gives no session from now on, in these words; none: it does again.
    pub fn on_session(&self, host: &str, refusal: Option<&str>) -> &Self {
        self.host(host, |it| it.refusal = refusal.map(str::to_owned));
        self
    }

    /// The host has refused so many more sessions for want of a place.
    pub fn refuse(&self, host: &str, sessions: u64) {
        self.host(host, |it| it.refused += sessions);
    }

    /// How many commands run now.
    pub fn running(&self, host: &str) -> usize {
        self.host(host, |it| it.running)
    }

    /// How many commands ran at once at most.
    pub fn most_running(&self, host: &str) -> usize {
        self.host(host, |it| it.most_running)
    }

    /// Waits until something is so; for example `fake.until(|fake| fake.running("web1") == 2)`.
    pub async fn until(&self, so: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if so(self) {
                return;
            }
            changed.await;
        }
    }

    fn host<T>(&self, host: &str, with: impl FnOnce(&mut FakeHost) -> T) -> T {
        self.shared.host(host, with)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn host<T>(&self, host: &str, with: impl FnOnce(&mut FakeHost) -> T) -> T {
        let result = with(self.state().hosts.entry(host.to_owned()).or_default());
        self.changed.notify_waiters();
        result
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connector for FakeConnector {
    fn connect(&self, target: Target) -> BoxFuture<'static, Result<Connected, ConnectError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let host = target.host.as_str().to_owned();
            let step = shared.host(&host, |it| {
                it.targets.push(target);
                it.connects.pop_front().unwrap_or_else(FakeConnect::ok)
            });
            tokio::time::sleep(step.delay).await;
            let Some(outcome) = step.outcome else { return std::future::pending().await };
            let learned = outcome?;
            let link = Arc::new(FakeLink { ended: CancellationToken::new(), cause: Mutex::default() });
            shared.host(&host, |it| it.links.push(Arc::clone(&link)));
            Ok(Connected { session: Arc::new(FakeSession { shared, host, link }), learned })
        })
    }

    fn offered_key(&self, target: Target) -> BoxFuture<'static, Result<OfferedKey, ConnectError>> {
        let shown = self.host(target.host.as_str(), |it| it.key.clone());
        let key = shown.unwrap_or_else(|| {
            PublicKey::from_blob(b"\0\0\0\x0bssh-ed25519 of every fake host")
                .map_err(|error| ConnectError::HostKey { detail: error.to_string() })
        });
        let recorded = Recorded { keys: target.keys, source: "its definition".to_owned(), ..Recorded::default() };
        let offered = key.map(|key| OfferedKey { standing: host_keys::standing(&recorded, &key), key });
        Box::pin(async move { offered })
    }

    fn examine(&self, target: Target, expected: Expected) -> BoxFuture<'static, Vec<Finding>> {
        let findings = self.host(target.host.as_str(), |it| {
            it.examined.push(expected);
            it.findings.clone()
        });
        Box::pin(async move { findings })
    }
}

struct FakeSession {
    shared: Arc<Shared>,
    host: String,
    link: Arc<FakeLink>,
}

/// Counts a command as running for as long as it is there, however it ends.
struct Running {
    shared: Arc<Shared>,
    host: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.host(&self.host, |it| it.running -= 1);
    }
}

impl FakeSession {
    fn script(&self, exec: &Exec) -> FakeExec {
        let known = self.shared.state().commands.get(exec.text()).cloned();
        self.shared.host(&self.host, |it| {
            it.seen.push(exec.clone());
            it.running += 1;
            it.most_running = it.most_running.max(it.running);
            it.execs.pop_front().or(known).or_else(|| it.always.clone()).unwrap_or_else(|| FakeExec::exit(0))
        })
    }
}

impl Session for FakeSession {
    fn exec(&self, exec: Exec) -> BoxFuture<'static, Ending> {
        let clock = self.shared.clock.clone();
        let link = Arc::clone(&self.link);
        if link.ended.is_cancelled() {
            let end = End::ConnectionLost(lock(&link.cause).clone());
            return Box::pin(async move { ending(None, &clock, end, &FakeExec::exit(0), &exec.output, None) });
        }
        if self.refusal().is_some() {
            return Box::pin(async move {
                let late = exec.start_by.map(|by| by.saturating_duration_since(Instant::now()));
                let end = tokio::select! {
                    () = exec.cancel.cancelled() => End::Cancelled,
                    () = sleep(late) => End::NoPlace("no session (scripted)".to_owned()),
                };
                ending(None, &clock, end, &FakeExec::exit(0), &exec.output, None)
            });
        }
        let step = self.script(&exec);
        let running = Running { shared: Arc::clone(&self.shared), host: self.host.clone() };
        Box::pin(async move {
            let _running = running;
            #[expect(clippy::panic, reason = "a panic is what the test asked for")]
            if step.panics {
                panic!("a command that was scripted to panic");
            }
            let started_at = Some(clock.now());
            let output = Arc::clone(&exec.output);
            let stopped = |end: End| {
                let detail = "scripted".to_owned();
                let report = KillReport { requested_at: clock.now(), gone: step.gone, detail };
                ending(started_at, &clock, end, &step, &output, Some(report))
            };
            tokio::select! {
                biased;
                () = link.ended.cancelled() => {
                    ending(started_at, &clock, End::ConnectionLost(lock(&link.cause).clone()), &step, &output, None)
                }
                () = exec.cancel.cancelled() => {
                    sleep(Some(step.kill)).await;
                    stopped(End::Cancelled)
                }
                () = sleep(step.delay) => {
                    let never = matches!(step.end, End::Refused(_) | End::Setup(_));
                    ending(started_at.filter(|_| !never), &clock, step.end.clone(), &step, &output, None)
                }
                () = sleep(exec.timeout) => stopped(End::TimedOut),
            }
        })
    }

    fn sweep(&self, leftover: Leftover) -> BoxFuture<'static, KillReport> {
        let requested_at = self.shared.clock.now();
        let takes = self.shared.host(&self.host, |it| {
            it.swept.push(leftover);
            it.sweep
        });
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            KillReport { requested_at, gone: Some(true), detail: "scripted".to_owned() }
        })
    }

    fn refused(&self) -> u64 {
        self.shared.host(&self.host, |it| it.refused)
    }

    fn refusal(&self) -> Option<String> {
        self.shared.host(&self.host, |it| it.refusal.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn lost(&self) -> BoxFuture<'static, String> {
        let link = Arc::clone(&self.link);
        Box::pin(async move {
            link.ended.cancelled().await;
            lock(&link.cause).clone()
        })
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        let (shared, host, link) = (Arc::clone(&self.shared), self.host.clone(), Arc::clone(&self.link));
        Box::pin(async move {
            shared.host(&host, |it| {
                it.closed += 1;
                it.links.retain(|other| !Arc::ptr_eq(other, &link));
            });
            "closed by Alf".clone_into(&mut lock(&link.cause));
            link.ended.cancel();
        })
    }
}

async fn sleep(delay: Option<Duration>) {
    match delay {
        Some(delay) => tokio::time::sleep(delay).await,
        None => std::future::pending().await,
    }
}

fn ending(
    started_at: Option<DateTime<Utc>>,
    clock: &Clock,
    end: End,
    step: &FakeExec,
    output: &LiveOutput,
    kill: Option<KillReport>,
) -> Ending {
    output.push(Stream::Stdout, &step.stdout);
    output.push(Stream::Stderr, &step.stderr);
    let [stdout, stderr] = output.finish();
    Ending { started_at, finished_at: clock.now(), end, stdout, stderr, kill, leader: None }
}

#[cfg(test)]
mod tests;
