//! One run on a host, from its turn to its end: wait for the connection, take the permits, run, tell.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix::Recipient;
use futures_util::FutureExt as _;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::connection::Wanted;
use super::in_flight::NodePlace;
use super::judge;
use super::ledger::RunEnd;
use super::leftovers::Leftovers;
use super::link::{Failure, Link};
use super::max_running::Slot;
use super::parts::NodeParts;
use super::places::{Place, Places};
use super::plan::PairPlan;
use crate::model::{Given, Host, Name, Overlap, Reason, SecretText, Trigger};
use crate::ssh::{End, Ending, Exec};
use crate::store::OpenRun;

/// How long a run whose task's turn has come may wait for a place on its host before the turn goes to another.
const SOON: Duration = Duration::from_secs(1);

/// One run, and all it needs.
pub(super) struct Job {
    pub(super) host: Arc<Host>,
    pub(super) plan: Arc<PairPlan>,
    pub(super) run: OpenRun,
    /// In place of what the task says.
    pub(super) given: Arc<Given>,
    /// Where it waits for runs before it, if somebody else does not see to that.
    pub(super) gate: Option<Arc<Semaphore>>,
    pub(super) parts: Arc<NodeParts>,
    pub(super) link: watch::Receiver<Link>,
    /// Who makes the connection.
    pub(super) connector: Recipient<Wanted>,
    /// The sessions of the host's connections.
    pub(super) places: Arc<Places>,
    /// Where it is remembered if its connection is lost under it.
    pub(super) leftovers: Leftovers,
    /// How many of the runs on the node may be of the host.
    pub(super) share: Arc<Semaphore>,
    /// How many runs of the host wait for their turn.
    pub(super) waiting: Arc<AtomicUsize>,
    pub(super) cancel: CancellationToken,
    /// Whether the cancel is Alf's own.
    pub(super) stopping: Arc<AtomicBool>,
}

/// What a run holds while it runs.
struct Turn {
    place: Place,
    node: NodePlace,
    _slot: Option<Slot>,
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
            let queued = self.plan.task.overlap == Overlap::Queue;
            return self.late(if queued { "did not get its turn" } else { "could not be claimed" });
        }
        let deadline = Instant::now() + (start_within - waited);
        let _gate = match self.gate.clone().map(|gate| gate.acquire_owned().map(Result::ok)) {
            None => None,
            Some(gate) => {
                let late = || "did not get its turn after other runs".to_owned();
                match self.in_time(gate, deadline, late).await {
                    Ok(gate) => Some(gate),
                    Err(end) => return end,
                }
            }
        };
        loop {
            let mut turn = match self.turn(deadline).await {
                Ok(turn) => turn,
                Err(end) => return end,
            };
            let (exec, secrets) = match self.exec(deadline) {
                Ok(exec) => exec,
                Err(message) => return RunEnd::NotRun { reason: Reason::Setup, message },
            };
            self.parts.board.started(self.run.id, self.parts.clock.now().into(), &exec.output);
            let mut ending = self.run_on(&mut turn, exec.clone()).await;
            hide(&secrets, &mut ending);
            let untouched = ending.started_at.is_none() && !self.cancel.is_cancelled();
            match ending.end {
                End::NoPlace(_) => return self.without_session(),
                End::ConnectionLost(_) if untouched && turn.place.session.is_lost() => {
                    // Nothing was sent: it waits for the next connection like any other run that is due.
                    turn.place.condemn();
                    continue;
                }
                End::ConnectionLost(_) | End::TimedOut | End::Cancelled => {
                    if turn.place.session.is_lost() {
                        turn.place.condemn();
                    }
                    self.leftovers.note(self.task(), self.run.id, &exec, &ending);
                }
                _ => {}
            }
            let stopping = self.stopping.load(Ordering::Relaxed);
            // Whoever waits for its place need not wait for the verdict.
            drop(turn);
            return judge::judge(&self.parts, ending, &self.plan.task, &self.host.meta.name, stopping).await;
        }
    }

    /// What it runs, if that has a name.
    pub(super) fn task(&self) -> Option<&Name> {
        self.run.task_version.map(|_| &self.plan.task.meta.name)
    }

    /// How long it has waited for its start. What is caught up with was late from the beginning: its time begins now.
    fn waited(&self) -> Duration {
        let since = match self.run.trigger {
            // Those of one pair run one after the other, however long that takes.
            Trigger::CatchUp => return Duration::ZERO,
            Trigger::Schedule | Trigger::Manual | Trigger::Retry | Trigger::Action => self.run.due_at.millis(),
        };
        let now = self.parts.clock.now().timestamp_millis();
        Duration::from_millis(u64::try_from(now - since).unwrap_or_default())
    }

    /// The end of a run that could not start in time. A host that is down is the reason, whatever else was missing.
    fn late(&self, what: &str) -> RunEnd {
        if let Link::Down(Failure { reason, message }) = &*self.link.borrow() {
            let message = match reason {
                // That one names the host itself.
                Reason::HostKey => message.clone(),
                _ => format!("no connection to {}: {message}", self.host.meta.name),
            };
            return RunEnd::NotRun { reason: *reason, message };
        }
        let message = format!("{what} within start_within ({})", self.plan.task.start_within);
        RunEnd::NotRun { reason: Reason::Late, message }
    }

    /// Runs it; one that goes on for long leaves its place on the node to those that start.
    async fn run_on(&self, turn: &mut Turn, exec: Exec) -> Ending {
        let running = turn.place.session.exec(exec);
        tokio::pin!(running);
        tokio::select! {
            ending = &mut running => return ending,
            () = self.parts.in_flight.grow_old(&mut turn.node) => {}
        }
        running.await
    }

    /// Waits for a place on a connection, for its task's turn and for a place on the node, together at most until the
    /// deadline.
    async fn turn(&mut self, deadline: Instant) -> Result<Turn, RunEnd> {
        let _waiting = Waiting::new(&self.waiting);
        let (place, slot) = loop {
            let got = self.place_and_slot(deadline).await?;
            let Some(task) =
                self.task().filter(|task| self.plan.task.overlap != Overlap::Allow && self.leftovers.hold(task))
            else {
                break got;
            };
            // Others may use what it cannot use yet.
            drop(got);
            let late = || "waited for the end of what an earlier run had left behind: it did not come".to_owned();
            self.in_time(self.leftovers.let_go(task).map(Some), deadline, late).await?;
        };
        let node = self.parts.in_flight.place(Arc::clone(&self.share));
        let node = self.in_time(node, deadline, || "did not get a place on the node".to_owned()).await?;
        Ok(Turn { place, node, _slot: slot })
    }

    /// Nobody waits for its task's turn with a place on a host that others could use, nor keeps the turn while its host
    /// has no place.
    async fn place_and_slot(&mut self, deadline: Instant) -> Result<(Place, Option<Slot>), RunEnd> {
        let Some(task) = self.task().cloned() else { return Ok((self.place(deadline).await?, None)) };
        let (max_running, host) = (Arc::clone(&self.parts.max_running), self.host.meta.name.clone());
        let due = (self.run.due_at, self.run.id);
        loop {
            let place = self.place(deadline).await?;
            if let Some(slot) = max_running.take(&task, &host, due) {
                return Ok((place, Some(slot)));
            }
            drop(place);
            let mut waiting = max_running.wait(&task, &host, due);
            let late = || {
                let most = max_running.most(&task).unwrap_or_default();
                format!("did not get its turn among max_running ({most})")
            };
            let slot = self.in_time(waiting.slot(), deadline, late).await?;
            match timeout_at(deadline.min(Instant::now() + SOON), self.place(deadline)).await {
                Ok(place) => return Ok((place?, Some(slot))),
                Err(_) => drop(slot),
            }
        }
    }

    /// Waits for a place on a connection, and sees to it that there is one.
    async fn place(&mut self, deadline: Instant) -> Result<Place, RunEnd> {
        let mut place = self.places.wait(self.task().cloned(), self.run.id);
        loop {
            if let Ok(place) = place.try_recv() {
                return Ok(place);
            }
            self.link.borrow_and_update();
            self.connector.do_send(Wanted);
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(self.cancelled()),
                Ok(place) = &mut place => return Ok(place),
                news = timeout_at(deadline, self.link.changed()) => if !matches!(news, Ok(Ok(()))) {
                    return Err(self.without_place());
                },
            }
        }
    }

    fn without_place(&self) -> RunEnd {
        if matches!(&*self.link.borrow(), Link::Idle) {
            let message = format!("no connection to {} yet", self.host.meta.name);
            return RunEnd::NotRun { reason: Reason::Unreachable, message };
        }
        self.without_session()
    }

    /// The end of a run that got no session in time: others of ours have them all, or sshd gives none.
    fn without_session(&self) -> RunEnd {
        match self.places.refusal() {
            Some(said) => {
                let message = format!("sshd of {} refused: {said}", self.host.meta.name);
                RunEnd::NotRun { reason: Reason::Refused, message }
            }
            None => self.late("did not get a session of the host"),
        }
    }

    /// What it waits for, if that comes before the deadline and the run is not cancelled.
    async fn in_time<T>(
        &self,
        wanted: impl Future<Output = Option<T>>,
        deadline: Instant,
        late: impl FnOnce() -> String,
    ) -> Result<T, RunEnd> {
        let got = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Err(self.cancelled()),
            got = timeout_at(deadline, wanted) => got,
        };
        got.ok().flatten().ok_or_else(|| self.late(&late()))
    }

    fn cancelled(&self) -> RunEnd {
        if self.stopping.load(Ordering::Relaxed) {
            RunEnd::NotRun { reason: Reason::Aborted, message: "Alf stopped before it could start".to_owned() }
        } else {
            RunEnd::NotRun { reason: Reason::Cancelled, message: "cancelled before it started".to_owned() }
        }
    }
}

/// Takes the run's secrets out of what Alf says of its end: a login shell that broke may be quoted in it.
fn hide(secrets: &[SecretText], ending: &mut Ending) {
    let kill = ending.kill.as_mut().map(|kill| &mut kill.detail);
    let end = match &mut ending.end {
        End::ConnectionLost(said) | End::Refused(said) | End::Setup(said) | End::NoPlace(said) => Some(said),
        End::Exited(_) | End::Signaled(_) | End::TimedOut | End::Cancelled => None,
    };
    for said in end.into_iter().chain(kill) {
        *said = secrets.iter().fold(std::mem::take(said), |said, secret| secret.hide_in(&said));
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
