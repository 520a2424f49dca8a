//! Runs whose connection was lost under them: what may be left of them on the host is looked for and ended after the
//! next login, before anything else is started there, and their Results say what was found.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::link::OpenSession;
use super::parts::NodeParts;
use super::saving;
use crate::model::{Kill, Name, RunId};
use crate::ssh::{End, Ending, Exec, KillReport, Leftover};
use crate::store::Write;

/// How many are remembered of one host.
const MOST: usize = 1000;
/// For how long they are a reason of their own to connect; afterwards they wait until somebody else connects.
const URGENT: Duration = Duration::from_secs(10 * 60);
/// How often one is looked for on a host that gives no answer to that.
const TRIES: u32 = 4;
/// How long they may keep other runs waiting.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is left on one host.
#[derive(Debug, Clone, Default)]
pub(super) struct Leftovers(Arc<Mutex<VecDeque<Left>>>);

#[derive(Debug, Clone)]
struct Left {
    run: RunId,
    since: Instant,
    /// How often it could not be looked for although there was a connection.
    tries: u32,
    what: Leftover,
}

impl Leftovers {
    fn all(&self) -> MutexGuard<'_, VecDeque<Left>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a run whose end nobody has seen: the connection was lost under it, or under its kill.
    pub(super) fn note(&self, run: RunId, exec: &Exec, ending: &Ending) {
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
            };
            self.put(Left { run, since: Instant::now(), tries: 0, what });
        }
    }

    fn put(&self, left: Left) {
        let mut all = self.all();
        if all.len() == MOST {
            all.pop_front();
        }
        all.push_back(left);
    }

    /// Whether there are any.
    pub(super) fn are_there(&self) -> bool {
        !self.all().is_empty()
    }

    /// Whether they are a reason to connect.
    pub(super) fn are_urgent(&self) -> bool {
        self.all().iter().any(|left| left.since.elapsed() < URGENT)
    }

    /// Looks for all of them and ends them, through a connection that is new; comes back when that is done, or has
    /// taken so long that other runs are not to wait for it.
    pub(super) async fn sweep(&self, session: &Arc<OpenSession>, host: &Name, parts: &Arc<NodeParts>) {
        let all = std::mem::take(&mut *self.all());
        if all.is_empty() {
            return;
        }
        let sweeps = all.into_iter().map(|left| {
            let (leftovers, session, host, parts) =
                (self.clone(), Arc::clone(session), host.clone(), Arc::clone(parts));
            async move {
                let report = session.sweep(left.what.clone()).await;
                let tries = left.tries + u32::from(!session.is_lost());
                if report.gone.is_none() && tries < TRIES {
                    leftovers.put(Left { tries, ..left });
                } else {
                    tell(&parts, &host, left.run, report);
                }
            }
        });
        // In a task of its own: those that take long go on when nobody waits for them any more.
        let sweeps = actix_rt::spawn(join_all(sweeps));
        let _ = tokio::time::timeout(PATIENCE, sweeps).await;
    }
}

fn tell(parts: &NodeParts, host: &Name, run: RunId, report: KillReport) {
    let level = if report.gone == Some(true) { log::Level::Info } else { log::Level::Warn };
    log::log!(level, host = host.as_str(), run:% = run; "left behind when the connection was lost: {}", report.detail);
    let kill = Kill {
        requested_at: report.requested_at.into(),
        gone: report.gone,
        detail: super::ledger::one_line(&format!("looked for after the next login: {}", report.detail)),
    };
    saving::send(parts, vec![Write::NoteKill { run, kill }]);
}
