//! From the end of a run to its Result: what it says, and in what words.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::verdict::Verdict;
use crate::model::{Captured, Instants, Kill, Name, PairStatus, Reason, RunId, RunResult, Timestamp, Trigger};
use crate::ssh::Ending;
use crate::ssh::output::Output;
use crate::store::OpenRun;

/// What is said of a run that was open when Alf, or the actor that ran it, ended.
pub(super) const CUT_OFF: &str = "Alf stopped or crashed in the middle of the run; what became of it is not known";
/// Longest message, in characters.
const LONGEST_MESSAGE: usize = 300;

/// How a run ended, as its host's actor tells it.
#[derive(Debug, Clone)]
pub enum RunEnd {
    /// Its command was sent.
    Ran {
        /// How that ended.
        ending: Arc<Ending>,
        /// What that comes to.
        verdict: Box<Verdict>,
    },
    /// Nothing was executed.
    NotRun {
        /// Why.
        reason: Reason,
        /// In words.
        message: String,
    },
}

/// The pair a Result is of.
#[derive(Debug, Clone)]
pub struct ResultOf<'a> {
    /// The host.
    pub host: &'a Name,
    /// The task; none for an ad-hoc run.
    pub task: Option<&'a Name>,
    /// This node.
    pub node: &'a Name,
    /// How many PROBLEMs in a row are hard.
    pub max_attempts: u32,
}

impl ResultOf<'_> {
    /// The Result of a run that has ended; `status` is the pair's before it.
    pub fn ended(&self, run: &OpenRun, end: RunEnd, status: &PairStatus, now: DateTime<Utc>) -> RunResult {
        match end {
            RunEnd::NotRun { reason, message } => {
                let mut result = self.bare(run, reason, message, status, now);
                result.started_at = None;
                result
            }
            RunEnd::Ran { ending, verdict } => self.ran(run, Arc::unwrap_or_clone(ending), *verdict, status),
        }
    }

    /// The Result of an instant at which nothing was executed.
    pub fn skipped(
        &self,
        run: &OpenRun,
        reason: Reason,
        message: String,
        instants: Option<Instants>,
        status: &PairStatus,
        now: DateTime<Utc>,
    ) -> RunResult {
        RunResult { instants, ..self.bare(run, reason, message, status, now) }
    }

    fn bare(
        &self,
        run: &OpenRun,
        reason: Reason,
        message: String,
        status: &PairStatus,
        now: DateTime<Utc>,
    ) -> RunResult {
        let (outcome, state) = reason.verdict();
        let (attempt, hard) = status.attempt_after(outcome, Some(reason), self.max_attempts);
        RunResult {
            id: run.id,
            host: self.host.clone(),
            task: self.task.cloned(),
            task_version: run.task_version,
            schedule: run.schedule.clone(),
            node: self.node.to_string(),
            trigger: run.trigger,
            by: run.by.clone(),
            group: run.group,
            cause: run.cause.clone(),
            scheduled_at: run.scheduled_at,
            due_at: run.due_at,
            started_at: None,
            finished_at: now.into(),
            attempt,
            exit_code: None,
            signal: None,
            outcome,
            state,
            reason: Some(reason),
            hard,
            message: one_line(&message),
            stdout: Captured::default(),
            stderr: Captured::default(),
            perfdata: Some(Vec::new()),
            kill: None,
            instants: None,
        }
    }

    fn ran(&self, run: &OpenRun, ending: Ending, verdict: Verdict, status: &PairStatus) -> RunResult {
        let Verdict { outcome, state, reason, message, exit_code, signal, perfdata } = verdict;
        let (attempt, hard) = status.attempt_after(outcome, reason, self.max_attempts);
        RunResult {
            started_at: ending.started_at.map(Timestamp::from),
            finished_at: ending.finished_at.into(),
            attempt,
            exit_code,
            signal,
            outcome,
            state,
            reason,
            hard,
            message: one_line(&message),
            stdout: captured(ending.stdout),
            stderr: captured(ending.stderr),
            perfdata: Some(perfdata),
            kill: ending.kill.map(|kill| Kill {
                requested_at: kill.requested_at.into(),
                gone: kill.gone,
                detail: one_line(&kill.detail),
            }),
            ..self.bare(run, Reason::Aborted, String::new(), status, ending.finished_at)
        }
    }
}

/// A run of a schedule that was never sent: the one by which a skipped instant is told.
pub fn unsent(
    id: RunId,
    task_version: Option<u64>,
    schedule: Option<Name>,
    trigger: Trigger,
    scheduled_at: Timestamp,
) -> OpenRun {
    OpenRun {
        id,
        task_version,
        schedule,
        trigger,
        by: None,
        group: None,
        cause: None,
        scheduled_at,
        due_at: scheduled_at,
    }
}

/// Up to when a run's Result settles what was due; none for a run that no instant made due.
pub(super) fn instant_of(run: &OpenRun) -> Option<Timestamp> {
    match run.trigger {
        Trigger::Schedule | Trigger::CatchUp => Some(run.due_at),
        Trigger::Manual | Trigger::Retry | Trigger::Action => None,
    }
}

fn captured(output: Output) -> Captured {
    Captured::new(output.bytes, output.total)
}

/// One line for people: control characters shown as what they are, bounded.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST_MESSAGE {
            line.push('…');
            break;
        }
        if c == '\t' {
            line.push(' ');
        } else if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}
