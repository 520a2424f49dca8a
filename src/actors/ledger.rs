//! From the end of a run to its Result: what it says, and in what words.

use chrono::{DateTime, Utc};

use crate::model::{
    Captured, Instants, Kill, Name, Outcome, PairStatus, Reason, RunId, RunResult, State, Timestamp, Trigger,
};
use crate::ssh::output::Output;
use crate::ssh::{End, Ending};
use crate::store::OpenRun;

/// Longest message, in characters.
const LONGEST_MESSAGE: usize = 300;

/// How a run ended, as its host's actor tells it.
#[derive(Debug, Clone)]
pub enum RunEnd {
    /// Its command was sent.
    Ran {
        /// How that ended.
        ending: Box<Ending>,
        /// Whether the cancel was Alf's own: it is stopping.
        stopping: bool,
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
            RunEnd::Ran { ending, stopping } => self.ran(run, *ending, stopping, status),
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
            kill: None,
            instants: None,
        }
    }

    fn ran(&self, run: &OpenRun, ending: Ending, stopping: bool, status: &PairStatus) -> RunResult {
        let mut exit_code = None;
        let mut signal = None;
        let said = || first_line(&ending.stdout.bytes).or_else(|| first_line(&ending.stderr.bytes));
        let complaint = || first_line(&ending.stderr.bytes).or_else(|| first_line(&ending.stdout.bytes));
        let with = |what: String, words: Option<String>| match words {
            Some(words) => format!("{what}: {words}"),
            None => what,
        };
        let killed = match &ending.kill {
            Some(kill) => format!(" ({})", kill.detail),
            None => String::new(),
        };
        let (reason, message) = match &ending.end {
            End::Exited(0) => {
                exit_code = Some(0);
                (None, said().unwrap_or_else(|| "exit code 0, no output".to_owned()))
            }
            End::Exited(code) => {
                exit_code = Some(*code);
                (Some(Reason::ExitCode), with(format!("exit code {code}"), complaint()))
            }
            End::Signaled(name) => {
                signal = Some(name.clone());
                (Some(Reason::Signal), with(format!("died by signal {name}"), complaint()))
            }
            End::TimedOut => (Some(Reason::Timeout), format!("did not end within its timeout{killed}")),
            End::Cancelled if stopping => (Some(Reason::Aborted), format!("ended because Alf stopped{killed}")),
            End::Cancelled => (Some(Reason::Cancelled), format!("cancelled{killed}")),
            End::ConnectionLost(cause) => {
                (Some(Reason::ConnectionLost), format!("the connection to {} was lost: {cause}", self.host))
            }
            End::Refused(cause) => (Some(Reason::Refused), format!("sshd of {} refused: {cause}", self.host)),
            End::NoPlace(cause) => (Some(Reason::Late), cause.clone()),
            End::Setup(cause) => (Some(Reason::Setup), format!("could not be started on {}: {cause}", self.host)),
        };
        let (outcome, state) = reason.map_or((Outcome::Ok, Some(State::Ok)), Reason::verdict);
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
    OpenRun { id, task_version, schedule, trigger, by: None, group: None, scheduled_at, due_at: scheduled_at }
}

/// Up to when a run's Result settles what was due; none for a run that no instant made due.
pub(super) fn instant_of(run: &OpenRun) -> Option<Timestamp> {
    match run.trigger {
        Trigger::Schedule | Trigger::CatchUp => Some(run.due_at),
        Trigger::Manual | Trigger::Retry => None,
    }
}

fn captured(output: Output) -> Captured {
    Captured::new(output.bytes, output.total)
}

fn first_line(bytes: &[u8]) -> Option<String> {
    let start = &bytes[..bytes.len().min(4096)];
    let text = String::from_utf8_lossy(start);
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(end: End, stdout: &[u8], stderr: &[u8]) -> RunResult {
        let name = Name::parse("x").unwrap();
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let run = unsent(RunId::from_bytes([7; 16]), Some(3), None, Trigger::Schedule, now.into());
        let output = |bytes: &[u8]| Output { bytes: bytes.to_vec(), total: bytes.len() as u64 };
        let ending = Ending {
            started_at: Some(now),
            finished_at: now + chrono::TimeDelta::seconds(2),
            end,
            stdout: output(stdout),
            stderr: output(stderr),
            kill: None,
            leader: None,
        };
        let of = ResultOf { host: &name, task: Some(&name), node: &name, max_attempts: 1 };
        of.ended(&run, RunEnd::Ran { ending: Box::new(ending), stopping: false }, &PairStatus::default(), now)
    }

    #[test]
    fn ends_are_judged_by_the_contract() {
        let ok = judge(End::Exited(0), b"\n all well \nmore", b"");
        assert_eq!((ok.outcome, ok.state, ok.reason, ok.hard), (Outcome::Ok, Some(State::Ok), None, true));
        assert_eq!((ok.message.as_str(), ok.duration_ms(), ok.exit_code), ("all well", Some(2000), Some(0)));
        let bad = judge(End::Exited(3), b"out", b"err\n");
        assert_eq!((bad.outcome, bad.state), (Outcome::Problem, Some(State::Critical)));
        assert_eq!((bad.reason, bad.message.as_str()), (Some(Reason::ExitCode), "exit code 3: err"));
        let lost = judge(End::ConnectionLost("reset".to_owned()), b"", b"");
        assert_eq!((lost.outcome, lost.state), (Outcome::Problem, Some(State::Unknown)));
        let signal = judge(End::Signaled("SEGV".to_owned()), b"", b"");
        assert_eq!((signal.signal.as_deref(), signal.exit_code), (Some("SEGV"), None));
    }

    #[test]
    fn hostile_output_makes_one_harmless_line() {
        let result = judge(End::Exited(0), "\x1b]0;owned\x07ok\u{9b}31m".as_bytes(), b"");
        assert!(!result.message.chars().any(char::is_control), "{:?}", result.message);
        assert!(judge(End::Exited(0), "x".repeat(9000).as_bytes(), b"").message.chars().count() <= 301);
    }
}
