//! Results: what became of each due instant of each pair, and of each run a person started.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;
use uuid::Uuid;

use super::nagios::Metric;
use super::{Name, Outcome, Reason, State, Timestamp};

/// The id of a run and of its Result: a UUIDv7, so ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(Uuid);

impl RunId {
    /// Its 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// From its 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Comes before all ids of this instant, and behind all of those before it; no run has it.
    pub fn earliest(at: Timestamp) -> Self {
        let [_, _, a, b, c, d, e, f] = at.millis().to_be_bytes();
        Self::from_bytes([a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// The instant that is in the id, to the millisecond.
    pub fn millis(&self) -> i64 {
        let [a, b, c, d, e, f, ..] = *self.0.as_bytes();
        i64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for RunId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Uuid::try_parse(text).map(Self).map_err(|_| "is not the id of a run (a UUID)".to_owned())
    }
}

impl Serialize for RunId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Makes run ids: the first 60 bits (48 of milliseconds, 12 of a counter) are unique to the generator and rise, so that
/// a store may use them as its row id; the rest is random (RFC 9562 section 6.2, method 1).
#[derive(Debug, Default)]
pub struct RunIds(Mutex<(i64, u16)>);

impl RunIds {
    /// The next id, for a run that begins at this instant.
    pub fn next(&self, now: Timestamp) -> RunId {
        let (millis, counter) = {
            let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if now.millis() > last.0 {
                *last = (now.millis(), 0);
            } else if last.1 < 0xFFF {
                last.1 += 1;
            } else {
                *last = (last.0 + 1, 0);
            }
            *last
        };
        let mut random: [u8; 10] = rand::random();
        let [high, low] = counter.to_be_bytes();
        (random[0], random[1]) = (high, low);
        let millis = u64::try_from(millis).unwrap_or_default();
        RunId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }
}

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// A schedule, at its instant.
    Schedule,
    /// A person or a program, through the API.
    Manual,
    /// A schedule whose instant had passed while Alf was away.
    CatchUp,
    /// A soft PROBLEM, `retry_interval` after it.
    Retry,
    /// An Action.
    Action,
}

impl Trigger {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Schedule, Self::Manual, Self::CatchUp, Self::Retry, Self::Action];
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Why a run was started by an Action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cause {
    /// The Action.
    pub action: Name,
    /// The Result it followed on; null where that was of a host.
    pub result: Option<RunId>,
}

/// What was kept of a stream, and how much there was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// The bytes kept: all, or the first and last halves. Empty where bodies are left out (a page of Results).
    pub bytes: Vec<u8>,
    /// How many bytes were kept, also where `bytes` is left out.
    pub kept: u64,
    /// How many there were.
    pub total: u64,
}

impl Captured {
    /// What was kept of `total` bytes.
    pub fn new(bytes: Vec<u8>, total: u64) -> Self {
        Self { kept: bytes.len() as u64, bytes, total }
    }

    /// The same without the bytes: for pages.
    pub fn counted(kept: u64, total: u64) -> Self {
        Self { bytes: Vec::new(), kept, total }
    }

    /// The same with at most so many bytes: the first and the last half, cut at a character's edge.
    pub fn bounded(mut self, most: usize) -> Self {
        let half = most / 2;
        if self.bytes.len() > most {
            let inside = |at: &usize| self.bytes[*at] & 0xc0 == 0x80;
            // A character has at most four bytes; what is none has no edges.
            let first = (half.saturating_sub(3)..=half).rev().find(|at| !inside(at)).unwrap_or(half);
            let last = self.bytes.len() - half;
            let last = (last..self.bytes.len().min(last + 4)).find(|at| !inside(at)).unwrap_or(last);
            self.bytes.drain(first..last);
            self.kept = self.bytes.len() as u64;
        }
        self
    }

    /// Whether the middle was dropped.
    pub fn truncated(&self) -> bool {
        self.total > self.kept
    }
}

/// What killing a run found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Kill {
    /// When the kill began.
    pub requested_at: Timestamp,
    /// Whether nothing of it is left; null when it could not be looked at.
    pub gone: Option<bool>,
    /// In words.
    pub detail: String,
}

/// Instants that were folded into one Result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Instants {
    /// The first.
    pub from: Timestamp,
    /// The last.
    pub until: Timestamp,
    /// How many.
    pub count: u64,
}

/// Most bytes, as JSON, of what a plugin measured for it to stand on a page of Results: thousands of them would make a
/// page huge.
pub const PAGE_PERFDATA: u64 = 4096;

/// What became of one due instant, or of one run that somebody started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunResult {
    /// The run's id.
    pub id: RunId,
    /// Where.
    pub host: Name,
    /// What; none for an ad-hoc run.
    pub task: Option<Name>,
    /// The task's version when it ran.
    pub task_version: Option<u64>,
    /// The schedule that made it due (the task-schedule where the line stands there).
    pub schedule: Option<Name>,
    /// The node that ran it.
    pub node: String,
    /// What started it.
    pub trigger: Trigger,
    /// The key that started it.
    pub by: Option<Name>,
    /// The runs that were asked for together with it; made like the id of a run.
    pub group: Option<RunId>,
    /// Why an Action started it.
    pub cause: Option<Cause>,
    /// The line's instant.
    pub scheduled_at: Timestamp,
    /// When it was to start.
    pub due_at: Timestamp,
    /// When its command started on the host.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub finished_at: Timestamp,
    /// Which PROBLEM in a row.
    pub attempt: u32,
    /// The command's exit code.
    pub exit_code: Option<i32>,
    /// The signal it died by, without `SIG`.
    pub signal: Option<String>,
    /// Did it go well.
    pub outcome: Outcome,
    /// How bad.
    pub state: Option<State>,
    /// What went wrong.
    pub reason: Option<Reason>,
    /// Whether the state is beyond doubt.
    pub hard: bool,
    /// One line for people.
    pub message: String,
    /// Standard output.
    pub stdout: Captured,
    /// Standard error.
    pub stderr: Captured,
    /// What its plugin measured; none where it is left out (on a page of Results, see [`PAGE_PERFDATA`]).
    pub perfdata: Option<Vec<Metric>>,
    /// What killing it found.
    pub kill: Option<Kill>,
    /// The instants this one Result stands for, when they were folded.
    pub instants: Option<Instants>,
}

impl RunResult {
    /// How late it started, in milliseconds.
    pub fn lateness_ms(&self) -> Option<i64> {
        self.started_at.map(|started| (started.millis() - self.due_at.millis()).max(0))
    }

    /// How long it ran, in milliseconds.
    pub fn duration_ms(&self) -> Option<i64> {
        self.started_at.map(|started| (self.finished_at.millis() - started.millis()).max(0))
    }
}

/// How text output is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Encoding {
    /// As it is.
    #[serde(rename = "utf-8")]
    Utf8,
    /// In base64 (RFC 4648): it is not valid text.
    #[serde(rename = "base64")]
    Base64,
}

/// How output is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bodies {
    /// Not at all.
    Left,
    /// As text where it is UTF-8 (JSON).
    Text,
    /// As text where XML 1.0 can hold it.
    XmlText,
}

/// A Result as a document.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ResultDocument {
    id: RunId,
    host: Name,
    task: Option<Name>,
    task_version: Option<u64>,
    schedule: Option<Name>,
    node: String,
    trigger: Trigger,
    by: Option<Name>,
    group: Option<RunId>,
    cause: Option<Cause>,
    scheduled_at: Timestamp,
    due_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Timestamp,
    lateness_ms: Option<i64>,
    duration_ms: Option<i64>,
    attempt: u32,
    exit_code: Option<i32>,
    signal: Option<String>,
    outcome: Outcome,
    state: Option<State>,
    reason: Option<Reason>,
    hard: bool,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout_encoding: Option<Encoding>,
    stdout_bytes: u64,
    stdout_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr_encoding: Option<Encoding>,
    stderr_bytes: u64,
    stderr_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    perfdata: Option<Vec<Metric>>,
    kill: Option<Kill>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instants: Option<Instants>,
}

impl RunResult {
    /// The document of this Result.
    pub fn document(&self, bodies: Bodies) -> ResultDocument {
        let (stdout, stdout_encoding) = shown(&self.stdout.bytes, bodies).unzip();
        let (stderr, stderr_encoding) = shown(&self.stderr.bytes, bodies).unzip();
        ResultDocument {
            id: self.id,
            host: self.host.clone(),
            task: self.task.clone(),
            task_version: self.task_version,
            schedule: self.schedule.clone(),
            node: self.node.clone(),
            trigger: self.trigger,
            by: self.by.clone(),
            group: self.group,
            cause: self.cause.clone(),
            scheduled_at: self.scheduled_at,
            due_at: self.due_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            lateness_ms: self.lateness_ms(),
            duration_ms: self.duration_ms(),
            attempt: self.attempt,
            exit_code: self.exit_code,
            signal: self.signal.clone(),
            outcome: self.outcome,
            state: self.state,
            reason: self.reason,
            hard: self.hard,
            message: self.message.clone(),
            stdout,
            stdout_encoding,
            stdout_bytes: self.stdout.total,
            stdout_truncated: self.stdout.truncated(),
            stderr,
            stderr_encoding,
            stderr_bytes: self.stderr.total,
            stderr_truncated: self.stderr.truncated(),
            perfdata: self.perfdata.clone(),
            kill: self.kill.clone(),
            instants: self.instants,
        }
    }
}

fn shown(bytes: &[u8], bodies: Bodies) -> Option<(String, Encoding)> {
    let text = match bodies {
        Bodies::Left => return None,
        Bodies::Text => std::str::from_utf8(bytes).ok(),
        Bodies::XmlText => std::str::from_utf8(bytes).ok().filter(|text| text.chars().all(is_xml_char)),
    };
    Some(match text {
        Some(text) => (text.to_owned(), Encoding::Utf8),
        None => (STANDARD.encode(bytes), Encoding::Base64),
    })
}

/// Whether XML 1.0 can hold a character (XML 1.0 section 2.2, `Char`).
fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Which Results, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResultQuery {
    /// Of this host.
    pub host: Option<Name>,
    /// Of these hosts.
    pub among: Option<Vec<Name>>,
    /// Of this task.
    pub task: Option<Name>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
    /// With this state.
    pub state: Option<State>,
    /// With this reason.
    pub reason: Option<Reason>,
    /// Started by this.
    pub trigger: Option<Trigger>,
    /// Of this group of runs that were asked for together.
    pub group: Option<RunId>,
    /// `scheduled_at` not before.
    pub since: Option<Timestamp>,
    /// `scheduled_at` before.
    pub until: Option<Timestamp>,
    /// Only those older than this id (the last one of the page before).
    pub before: Option<RunId>,
    /// At most so many.
    pub limit: usize,
}

/// One page of Results, without output bodies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResultPage {
    /// Newest first.
    pub items: Vec<RunResult>,
    /// Where the next page goes on.
    pub next: Option<RunId>,
    /// How many match in all.
    pub total: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_carry_their_instant_and_sort_by_it() {
        let ids = RunIds::default();
        let early = ids.next(Timestamp::from_millis(1_800_000_000_123).unwrap());
        let late = ids.next(Timestamp::from_millis(1_800_000_000_124).unwrap());
        assert_eq!(early.millis(), 1_800_000_000_123);
        assert!(early < late);
        assert_eq!(early.to_string().parse::<RunId>().unwrap(), early);
        let mut last = late;
        for _ in 0..10_000 {
            let next = ids.next(Timestamp::from_millis(1_800_000_000_000).unwrap());
            assert!(next.as_bytes()[..8] > last.as_bytes()[..8], "{next} after {last}");
            last = next;
        }
    }

    #[test]
    fn what_is_bounded_keeps_its_ends_and_no_half_of_a_character() {
        let bounded = |text: &[u8], most| Captured::new(text.to_vec(), text.len() as u64).bounded(most);
        assert_eq!(bounded(b"abcdef", 6).bytes, b"abcdef");
        let cut = bounded(b"abcdefg", 4);
        assert_eq!((cut.bytes.as_slice(), cut.kept, cut.truncated()), (&b"abfg"[..], 4, true));
        assert_eq!(bounded("aééééb".as_bytes(), 4).bytes, "ab".as_bytes());
        assert_eq!(bounded("€€€€".as_bytes(), 8).bytes, "€€".as_bytes());
        assert_eq!(bounded(&[0x80; 20], 8).bytes.len(), 8);
        assert_eq!(bounded(b"abc", 0).bytes, b"");
    }

    #[test]
    fn output_that_is_no_text_is_base64() {
        assert_eq!(shown(b"abc\n", Bodies::Text), Some(("abc\n".to_owned(), Encoding::Utf8)));
        assert_eq!(shown(b"\xff", Bodies::Text), Some(("/w==".to_owned(), Encoding::Base64)));
        assert_eq!(shown(b"\x1b", Bodies::Text), Some(("\x1b".to_owned(), Encoding::Utf8)));
        assert_eq!(shown(b"\x1b", Bodies::XmlText), Some(("Gw==".to_owned(), Encoding::Base64)));
        assert_eq!(shown(b"abc", Bodies::Left), None);
    }
}
