//! Runs whose end nobody has seen, because their connection was lost under them or Alf crashed: what may be left of them
//! on the host is looked for and ended after the next login, before anything else is started there, and their Results
//! say what was found.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::exec::sudo_password;
use super::link::OpenSession;
use super::parts::NodeParts;
use super::saving;
use crate::model::{Host, Kill, Name, RunId};
use crate::ssh::{Begun, End, Ending, Exec, KillReport, Leftover, RunAs};
use crate::store::Write;

/// How many are remembered of one host.
const MOST: usize = 1000;
/// How many of them are looked for at once: each needs a session.
const AT_ONCE: usize = 4;
/// For how long they are a reason of their own to connect; afterwards they wait until somebody else connects.
const URGENT: Duration = Duration::from_secs(10 * 60);
/// How often one is looked for on a host that gives no answer to that.
const TRIES: u32 = 4;
/// How long they may keep runs of other tasks waiting.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between TERM and KILL, where the task is not known any more.
const GRACE: Duration = Duration::from_secs(5);

/// What is left on one host.
#[derive(Debug, Clone, Default)]
pub(super) struct Leftovers(watch::Sender<VecDeque<Left>>);

#[derive(Debug, Clone)]
struct Left {
    run: RunId,
    /// None for an ad-hoc run.
    task: Option<Name>,
    since: Instant,
    /// How often it could not be looked for although there was a connection.
    tries: u32,
    /// It is being looked for.
    sought: bool,
    /// Why nobody has seen its end.
    why: &'static str,
    what: Leftover,
}

impl Left {
    fn new(run: RunId, task: Option<Name>, why: &'static str, what: Leftover) -> Self {
        Self { run, task, since: Instant::now(), tries: 0, sought: false, why, what }
    }

    /// Whether the next run of a task waits for it: until it has been looked for once.
    fn holds(&self, task: &Name) -> bool {
        self.tries == 0 && self.task.as_ref() == Some(task)
    }
}

impl Leftovers {
    /// Remembers a run whose end nobody has seen: the connection was lost under it, or under its kill.
    pub(super) fn note(&self, task: Option<&Name>, run: RunId, exec: &Exec, ending: &Ending) {
        let unseen = match ending.end {
            End::ConnectionLost(_) => ending.started_at.is_some(),
            End::TimedOut | End::Cancelled => ending.kill.as_ref().is_some_and(|kill| kill.gone.is_none()),
            _ => false,
        };
        if unseen {
            let what = Leftover {
                run: exec.run.clone(),
                leader: ending.leader,
                run_as: exec.run_as.clone(),
                kill_grace: exec.kill_grace,
                begun: Begun::Surely,
            };
            self.put(Left::new(run, task.cloned(), "when the connection was lost", what));
        }
    }

    /// Remembers the runs of a host that were open when Alf ended last. How far they came is not known; whom they run
    /// as and how they are ended is what their tasks say now.
    pub(super) fn cut_off(&self, host: &Host, parts: &NodeParts) {
        let catalog = parts.published.get();
        for (name, run) in parts.board.take_cut_off(&host.meta.name) {
            let task = name.as_ref().and_then(|name| catalog.tasks.get(name));
            let same = task.is_some_and(|task| Some(task.meta.version) == run.task_version);
            let run_as = task.and_then(|task| task.run_as.clone());
            let what = Leftover {
                run: run.id.to_string(),
                leader: None,
                run_as: run_as.map(|user| RunAs { user, password: sudo_password(parts, host) }),
                kill_grace: task.map_or(GRACE, |task| task.kill_grace.get()),
                begun: if same { Begun::Perhaps } else { Begun::PerhapsAsAnother },
            };
            self.put(Left::new(run.id, name, "when Alf stopped or crashed", what));
        }
    }

    fn put(&self, left: Left) {
        self.0.send_modify(|all| {
            if all.len() == MOST {
                all.pop_front();
            }
            all.push_back(left);
        });
    }

    /// Whether there are any.
    pub(super) fn are_there(&self) -> bool {
        !self.0.borrow().is_empty()
    }

    /// Whether they are a reason to connect.
    pub(super) fn are_urgent(&self) -> bool {
        self.0.borrow().iter().any(|left| left.since.elapsed() < URGENT)
    }

    /// Whether the next run of a task is to wait for [`Self::let_go`].
    pub(super) fn hold(&self, task: &Name) -> bool {
        self.0.borrow().iter().any(|left| left.holds(task))
    }

    /// Waits until what is left of a task has been looked for, and ended if it could be.
    pub(super) async fn let_go(&self, task: &Name) {
        // It cannot fail: the sender is here.
        let _ = self.0.subscribe().wait_for(|all| !all.iter().any(|left| left.holds(task))).await;
    }

    /// Looks for all of them and ends them, through a connection that is new; comes back when that is done, or has
    /// taken so long that other runs are not to wait for it.
    pub(super) async fn sweep(&self, session: &Arc<OpenSession>, host: &Name, parts: &Arc<NodeParts>) {
        let mut all = Vec::new();
        self.0.send_modify(|lefts| {
            for left in lefts.iter_mut().filter(|left| !left.sought) {
                left.sought = true;
                all.push(left.clone());
            }
        });
        if all.is_empty() {
            return;
        }
        let (leftovers, session, host, parts) = (self.clone(), Arc::clone(session), host.clone(), Arc::clone(parts));
        // In a task of its own: those that take long go on when nobody waits for them any more.
        let sweeps = actix_rt::spawn(async move {
            let sweeps = futures_util::stream::iter(all).for_each_concurrent(AT_ONCE, |left| async {
                let report = session.sweep(left.what.clone()).await;
                leftovers.swept(left, report, session.is_lost(), &host, &parts);
            });
            sweeps.await;
        });
        let _ = tokio::time::timeout(PATIENCE, sweeps).await;
    }

    /// One has been looked for: once more later, if there was no answer.
    fn swept(&self, left: Left, report: KillReport, is_lost: bool, host: &Name, parts: &NodeParts) {
        let tries = left.tries + u32::from(!is_lost);
        let again = report.gone.is_none() && tries < TRIES;
        self.0.send_modify(|all| {
            if again {
                let left = all.iter_mut().find(|other| other.run == left.run);
                left.into_iter().for_each(|left| (left.tries, left.sought) = (tries, false));
            } else {
                all.retain(|other| other.run != left.run);
            }
        });
        if !again {
            tell(parts, host, left, report);
        }
    }
}

fn tell(parts: &NodeParts, host: &Name, left: Left, report: KillReport) {
    let Left { run, why, .. } = left;
    let level = if report.gone == Some(true) { log::Level::Info } else { log::Level::Warn };
    log::log!(level, host = host.as_str(), run:% = run; "left behind {why}: {}", report.detail);
    let kill = Kill {
        requested_at: report.requested_at.into(),
        gone: report.gone,
        detail: super::ledger::one_line(&format!("looked for after the next login: {}", report.detail)),
    };
    saving::send(parts, vec![Write::NoteKill { run, kill }]);
}
