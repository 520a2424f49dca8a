//! What the end of a command comes to: by the rules of its plugin, and by what its task expects.

use crate::model::nagios::{self, Metric};
use crate::model::{Name, Outcome, Pattern, Plugin, Reason, Search, State, Task};
use crate::ssh::output::Output;
use crate::ssh::{End, Ending};

/// What a run that was sent comes to.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Whether it went well.
    pub outcome: Outcome,
    /// How bad it is.
    pub state: Option<State>,
    /// What went wrong.
    pub reason: Option<Reason>,
    /// One line for people, not yet escaped.
    pub message: String,
    /// The command's exit code.
    pub exit_code: Option<i32>,
    /// The signal it died by.
    pub signal: Option<String>,
    /// What it measured.
    pub perfdata: Vec<Metric>,
}

impl Verdict {
    /// A run that did what it should.
    fn good(message: String) -> Self {
        Self {
            outcome: Outcome::Ok,
            state: Some(State::Ok),
            reason: None,
            message,
            exit_code: None,
            signal: None,
            perfdata: Vec::new(),
        }
    }

    fn bad(reason: Reason, message: String) -> Self {
        let (outcome, state) = reason.verdict();
        Self { outcome, state, reason: Some(reason), ..Self::good(message) }
    }
}

/// What its task's pattern is to be searched for in, if the verdict hangs on that.
pub(super) fn pattern<'a>(ending: &Ending, task: &'a Task) -> Option<&'a Pattern> {
    let End::Exited(code) = ending.end else { return None };
    let good = match task.plugin {
        Plugin::None => is_expected(code, task),
        Plugin::Nagios => nagios::state_of(code) == State::Ok,
    };
    task.expect.stdout_regex.as_ref().filter(|_| good)
}

/// Searches standard output for a pattern.
pub(super) fn search(pattern: &Pattern, stdout: &Output, task: &Task) -> Search {
    if stdout.truncated() {
        let (head, tail) = halves(stdout, task);
        pattern.search_halves(head, tail)
    } else {
        pattern.search(&stdout.bytes)
    }
}

/// Judges how a command of `task` ended on `host`; `stopping` tells a cancel of Alf's own from a person's. `searched` is
/// what the search for its [`pattern`] came to.
pub(super) fn of(ending: &Ending, task: &Task, host: &Name, stopping: bool, searched: Option<Search>) -> Verdict {
    let killed = match &ending.kill {
        Some(kill) => format!(" ({})", kill.detail),
        None => String::new(),
    };
    match &ending.end {
        End::Exited(code) => {
            let verdict = match task.plugin {
                Plugin::None => of_exit(*code, ending, task, searched),
                Plugin::Nagios => of_plugin(*code, ending, task, searched),
            };
            Verdict { exit_code: Some(*code), ..verdict }
        }
        End::Signaled(name) => {
            let message = with(format!("died by signal {name}"), complaint(ending));
            Verdict { signal: Some(name.clone()), ..Verdict::bad(Reason::Signal, message) }
        }
        End::TimedOut => {
            let verdict = Verdict::bad(Reason::Timeout, format!("did not end within its timeout{killed}"));
            match task.plugin {
                Plugin::None => verdict,
                // A check that did not end has found nothing out.
                Plugin::Nagios => Verdict { state: Some(State::Unknown), ..verdict },
            }
        }
        End::Cancelled if stopping => Verdict::bad(Reason::Aborted, format!("ended because Alf stopped{killed}")),
        End::Cancelled => Verdict::bad(Reason::Cancelled, format!("cancelled{killed}")),
        End::ConnectionLost(cause) => {
            Verdict::bad(Reason::ConnectionLost, format!("the connection to {host} was lost: {cause}"))
        }
        End::Refused(cause) => Verdict::bad(Reason::Refused, format!("sshd of {host} refused: {cause}")),
        End::NoPlace(cause) => Verdict::bad(Reason::Late, cause.clone()),
        End::Setup(cause) => Verdict::bad(Reason::Setup, format!("could not be started on {host}: {cause}")),
    }
}

fn is_expected(code: i32, task: &Task) -> bool {
    u8::try_from(code).is_ok_and(|code| task.expect.exit_codes.contains(&code))
}

fn of_exit(code: i32, ending: &Ending, task: &Task, searched: Option<Search>) -> Verdict {
    if !is_expected(code, task) {
        return Verdict::bad(Reason::ExitCode, with(format!("exit code {code}"), complaint(ending)));
    }
    let said = first_line(&ending.stdout.bytes).or_else(|| first_line(&ending.stderr.bytes));
    beyond_exit_code(ending, task, searched, said.unwrap_or_else(|| format!("exit code {code}, no output")))
}

fn of_plugin(code: i32, ending: &Ending, task: &Task, searched: Option<Search>) -> Verdict {
    let stdout = &ending.stdout;
    let cut = stdout.truncated();
    let text = String::from_utf8_lossy(if cut { halves(stdout, task).0 } else { &stdout.bytes });
    let said = nagios::text_of(&text).map(str::to_owned).unwrap_or_else(|| match first_line(&ending.stderr.bytes) {
        Some(line) => format!("exit code {code}: {line}"),
        None => format!("exit code {code}, no output"),
    });
    let verdict = match nagios::state_of(code) {
        State::Ok => beyond_exit_code(ending, task, searched, said),
        state => Verdict { state: Some(state), ..Verdict::bad(Reason::ExitCode, said) },
    };
    Verdict { perfdata: nagios::perfdata(&text, cut), ..verdict }
}

/// What is expected beside the exit code, of a run whose exit code is good.
fn beyond_exit_code(ending: &Ending, task: &Task, searched: Option<Search>, said: String) -> Verdict {
    let failed = output_fault(ending, task, searched)
        .map(|fault| (Reason::Output, fault))
        .or_else(|| duration_fault(ending, task).map(|fault| (Reason::Duration, with(fault, Some(said.clone())))));
    match failed {
        Some((reason, fault)) => Verdict::bad(reason, fault),
        None => Verdict::good(said),
    }
}

/// What is wrong with what it wrote.
fn output_fault(ending: &Ending, task: &Task, searched: Option<Search>) -> Option<String> {
    let (stdout, expect) = (&ending.stdout, &task.expect);
    let cut = stdout.truncated();
    let lost = || format!("only {} of its {} bytes were kept (output_limit)", stdout.bytes.len(), stdout.total);
    let wrote = || first_line(&stdout.bytes);
    if let Some(expected) = &expect.stdout_equals {
        if cut {
            return Some(format!("stdout cannot be compared with stdout_equals: {}", lost()));
        }
        if !equals(&stdout.bytes, expected) {
            return Some(with("stdout is not what stdout_equals says".to_owned(), wrote()));
        }
    }
    match searched {
        None | Some(Search::Found) => {}
        Some(Search::NotFound) => return Some(with("stdout does not match stdout_regex".to_owned(), wrote())),
        Some(Search::NotInParts) => {
            let why = if cut { lost() } else { "only its first and last 128 KiB are searched".to_owned() };
            return Some(format!("stdout_regex was not found in stdout: {why}"));
        }
        Some(Search::TooSlow(limit)) => {
            let (limit, kept) = (limit.as_secs(), stdout.bytes.len());
            return Some(format!(
                "stdout_regex takes longer than {limit}s to be searched for in {kept} bytes of stdout: make it simpler"
            ));
        }
    }
    if expect.stderr_empty && ending.stderr.total > 0 {
        return Some(with("stderr is not empty".to_owned(), first_line(&ending.stderr.bytes)));
    }
    None
}

fn duration_fault(ending: &Ending, task: &Task) -> Option<String> {
    let longest = task.expect.max_duration?;
    let ran = (ending.finished_at - ending.started_at?).to_std().ok()?;
    (ran > longest.get()).then(|| format!("ran {:.3}s, longer than max_duration ({longest})", ran.as_secs_f64()))
}

/// One newline at the end of what was written, more than in what is expected, is no difference.
fn equals(stdout: &[u8], expected: &str) -> bool {
    let expected = expected.as_bytes();
    stdout == expected || stdout.strip_suffix(b"\n") == Some(expected)
}

/// The two parts that were kept of an output whose middle was dropped. Each may have been cut up to three bytes
/// shorter, at a character's edge, so up to three bytes of the one may stand at the edge of the other.
fn halves<'a>(output: &'a Output, task: &Task) -> (&'a [u8], &'a [u8]) {
    let limit = usize::try_from(task.output_limit).unwrap_or(usize::MAX);
    let head = limit - limit / 2;
    let bytes = &output.bytes;
    (&bytes[..bytes.len().min(head.saturating_sub(3))], &bytes[bytes.len().min(head)..])
}

fn complaint(ending: &Ending) -> Option<String> {
    first_line(&ending.stderr.bytes).or_else(|| first_line(&ending.stdout.bytes))
}

fn with(what: String, words: Option<String>) -> String {
    match words {
        Some(words) => format!("{what}: {words}"),
        None => what,
    }
}

fn first_line(bytes: &[u8]) -> Option<String> {
    let start = &bytes[..bytes.len().min(4096)];
    let text = String::from_utf8_lossy(start);
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
