//! One run on a host, from its turn to its end: wait for the connection, take the permits, run, tell.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix::Recipient;
use futures_util::FutureExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::connection::Wanted;
use super::ledger::RunEnd;
use super::link::{Failure, Link, OpenSession};
use super::parts::NodeParts;
use super::plan::PairPlan;
use crate::model::{Given, Host, Name, Reason, Trigger};
use crate::ssh::output::LiveOutput;
use crate::ssh::{End, Exec, Work};
use crate::store::OpenRun;

/// One run, and all it needs.
pub(super) struct Job {
    pub(super) host: Arc<Host>,
    pub(super) plan: PairPlan,
    pub(super) run: OpenRun,
    /// In place of what the task says.
    pub(super) given: Arc<Given>,
    pub(super) parts: Arc<NodeParts>,
    pub(super) link: watch::Receiver<Link>,
    /// Who makes the connection.
    pub(super) connector: Recipient<Wanted>,
    /// Sessions at once on the host's connection.
    pub(super) permits: Arc<Semaphore>,
    /// How many runs of the host wait for their turn.
    pub(super) waiting: Arc<AtomicUsize>,
    pub(super) cancel: CancellationToken,
    /// Whether the cancel is Alf's own.
    pub(super) stopping: Arc<AtomicBool>,
}

/// What a run holds while it runs.
struct Turn {
    session: Arc<OpenSession>,
    _host: OwnedSemaphorePermit,
    _node: OwnedSemaphorePermit,
}

impl Job {
    /// Runs to the end; a panic on the way is the run's end, not the actor's.
    pub(super) async fn run(self) -> RunEnd {
        let (host, run) = (self.host.meta.name.clone(), self.run.id);
        AssertUnwindSafe(self.steps()).catch_unwind().await.unwrap_or_else(|_| {
            log::error!(host = host.as_str(), run:% = run; "a run panicked");
            RunEnd::NotRun { reason: Reason::Aborted, message: "Alf failed in the middle of the run".to_owned() }
        })
    }

    async fn steps(mut self) -> RunEnd {
        let start_within = self.plan.task.start_within.get();
        let waited = self.waited();
        if waited > start_within {
            return self.late("could not be claimed");
        }
        let deadline = Instant::now() + (start_within - waited);
        loop {
            let turn = match self.turn(deadline).await {
                Ok(turn) => turn,
                Err(end) => return end,
            };
            let exec = self.exec();
            self.parts.board.started(self.run.id, self.parts.clock.now().into(), &exec.output);
            let ending = turn.session.exec(exec).await;
            let untouched = ending.started_at.is_none() && !self.cancel.is_cancelled();
            if untouched && matches!(ending.end, End::ConnectionLost(_)) {
                // Nothing was sent: it waits for the next connection like any other run that is due.
                drop(turn);
                match self.news(deadline).await {
                    Ok(()) => continue,
                    Err(end) => return end,
                }
            }
            return RunEnd::Ran { ending: Box::new(ending), stopping: self.stopping.load(Ordering::Relaxed) };
        }
    }

    /// What it runs, if that has a name.
    fn task(&self) -> Option<&Name> {
        self.run.task_version.map(|_| &self.plan.task.meta.name)
    }

    /// How long it has waited for its start. What is caught up with was late when it was claimed: it waits since then.
    fn waited(&self) -> Duration {
        let since = match self.run.trigger {
            Trigger::CatchUp => self.run.id.millis(),
            Trigger::Schedule | Trigger::Manual => self.run.due_at.millis(),
        };
        let now = self.parts.clock.now().timestamp_millis();
        Duration::from_millis(u64::try_from(now - since).unwrap_or_default())
    }

    /// The end of a run that could not start in time. A host that is down is the reason, whatever else was missing.
    fn late(&self, what: &str) -> RunEnd {
        if let Link::Down(Failure { reason, message }) = &*self.link.borrow() {
            return RunEnd::NotRun { reason: *reason, message: message.clone() };
        }
        let message = format!("{what} within start_within ({})", self.plan.task.start_within);
        RunEnd::NotRun { reason: Reason::Late, message }
    }

    fn exec(&self) -> Exec {
        let task = &self.plan.task;
        let env = self.plan.env.overlaid(&self.given.env);
        let defined = env.iter().map(|(name, value)| (name, value.to_owned()));
        // The last of a name wins: nobody takes Alf's own away.
        let own = [
            ("ALF_HOST", self.host.meta.name.to_string()),
            ("ALF_HOST_ADDRESS", self.host.address().to_owned()),
            // Set for an ad-hoc run too, so that nothing of the host's own shows through.
            ("ALF_TASK", self.task().map(Name::to_string).unwrap_or_default()),
            ("ALF_RUN_ID", self.run.id.to_string()),
            ("ALF_SCHEDULED_AT", self.run.scheduled_at.to_string()),
        ];
        Exec {
            run: self.run.id.to_string(),
            work: Work::Command(task.command.clone()),
            args: self.given.args.clone().unwrap_or_default(),
            env: defined.chain(own).map(|(name, value)| (name.to_owned(), value)).collect(),
            stdin: self.given.stdin.clone().or_else(|| task.stdin.clone()).map(Into::into),
            timeout: self.plan.timeout.get(),
            kill_grace: task.kill_grace.get(),
            output: LiveOutput::new(usize::try_from(task.output_limit).unwrap_or(usize::MAX)),
            cwd: None,
            run_as: None,
            start_by: None,
            cancel: self.cancel.clone(),
        }
    }

    /// Waits for a connection and for the permits, together at most until the deadline.
    async fn turn(&mut self, deadline: Instant) -> Result<Turn, RunEnd> {
        let _waiting = Waiting::new(&self.waiting);
        loop {
            let session = self.session(deadline).await?;
            let host = self.permit(Arc::clone(&self.permits), deadline, "a session of the host").await?;
            let node = self.permit(Arc::clone(&self.parts.permits), deadline, "a place on the node").await?;
            if self.is_current(&session) {
                return Ok(Turn { session, _host: host, _node: node });
            }
        }
    }

    fn is_current(&self, session: &OpenSession) -> bool {
        matches!(&*self.link.borrow(), Link::Up(open) if open.generation == session.generation)
    }

    async fn session(&mut self, deadline: Instant) -> Result<Arc<OpenSession>, RunEnd> {
        loop {
            if let Link::Up(session) = &*self.link.borrow_and_update() {
                return Ok(Arc::clone(session));
            }
            self.connector.do_send(Wanted);
            self.news(deadline).await?;
        }
    }

    /// Waits until the connection is another one than it was when last looked at, at most until the deadline.
    async fn news(&mut self, deadline: Instant) -> Result<(), RunEnd> {
        let news = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Err(self.cancelled()),
            news = timeout_at(deadline, self.link.changed()) => news,
        };
        if matches!(news, Ok(Ok(()))) {
            return Ok(());
        }
        Err(match &*self.link.borrow() {
            Link::Down(Failure { reason, message }) => RunEnd::NotRun { reason: *reason, message: message.clone() },
            Link::Idle | Link::Up(_) => RunEnd::NotRun {
                reason: Reason::Unreachable,
                message: format!("no connection to {} yet", self.host.meta.name),
            },
        })
    }

    async fn permit(
        &self,
        permits: Arc<Semaphore>,
        deadline: Instant,
        what: &str,
    ) -> Result<OwnedSemaphorePermit, RunEnd> {
        let permit = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Err(self.cancelled()),
            permit = timeout_at(deadline, permits.acquire_owned()) => permit,
        };
        match permit {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(self.late(&format!("did not get {what}"))),
        }
    }

    fn cancelled(&self) -> RunEnd {
        if self.stopping.load(Ordering::Relaxed) {
            RunEnd::NotRun { reason: Reason::Aborted, message: "Alf stopped before it could start".to_owned() }
        } else {
            RunEnd::NotRun { reason: Reason::Cancelled, message: "cancelled before it started".to_owned() }
        }
    }
}

/// Counts one that waits for its turn, for as long as it lives.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn new(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counter))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
