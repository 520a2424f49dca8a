//! Results in and out of their documents.

use mongodb::bson::{Binary, DateTime, Document, doc, serialize_to_bson};
use serde::{Deserialize, Serialize};

use super::changes::{Change, Changes};
use super::fault::Fault;
use super::schema::{OUTPUTS, RESULTS};
use super::view::View;
use super::{chunks, read};
use crate::model::{
    Captured, Cause, Instants, Kill, Name, Outcome, PAGE_PERFDATA, Reason, RunId, RunResult, State, Trigger,
};

/// The most bytes of one stream, and of what was measured, that stand in the Result's own document.
const IN_PLACE: usize = 2 << 20;

/// A Result's document. What is rare and none is left out of it.
#[derive(Serialize, Deserialize)]
pub(super) struct Row {
    #[serde(rename = "_id")]
    id: Binary,
    host: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task_version: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schedule: Option<Name>,
    node: String,
    trigger: Trigger,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<Binary>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<Cause>,
    scheduled_at: DateTime,
    due_at: DateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started_at: Option<DateTime>,
    finished_at: DateTime,
    attempt: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal: Option<String>,
    outcome: Outcome,
    /// As a plugin would exit: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    hard: bool,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kill: Option<Kill>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instants: Option<Instants>,
    stdout: Stream,
    stderr: Stream,
    /// JSON; of an empty text it stands in `long_perfdata`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    perfdata: Option<String>,
    /// What is not shown on a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    long_perfdata: Option<Long>,
    /// Whether some of it stands in `outputs`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    elsewhere: bool,
}

#[derive(Serialize, Deserialize)]
struct Stream {
    total: i64,
    kept: i64,
    /// Left out on a page, where there are none, and where they stand in `outputs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<Binary>,
}

/// What stands in place, or in `outputs`.
#[derive(Serialize, Deserialize)]
struct Long {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// What a page leaves out.
pub(super) fn on_a_page() -> Document {
    doc! { "stdout.bytes": 0, "stderr.bytes": 0, "long_perfdata": 0 }
}

/// A state as it is kept.
pub(super) fn to_number(state: State) -> i32 {
    match state {
        State::Ok => 0,
        State::Warning => 1,
        State::Critical => 2,
        State::Unknown => 3,
    }
}

fn state(number: i32) -> Result<State, Fault> {
    match number {
        0 => Ok(State::Ok),
        1 => Ok(State::Warning),
        2 => Ok(State::Critical),
        3 => Ok(State::Unknown),
        _ => Err(Fault::Unreadable(format!("{number} is no state"))),
    }
}

/// What is too long for a Result's own document.
fn part(id: RunId, what: &str) -> String {
    format!("{id}/{what}")
}

/// Stores a Result, which must not be there yet.
pub(super) fn insert(changes: &mut Changes, result: &RunResult) -> Result<(), Fault> {
    let mut elsewhere = false;
    let mut stream = |captured: &Captured, what| {
        let in_place = captured.bytes.len() <= IN_PLACE;
        if !in_place {
            elsewhere = true;
            chunks::keep(changes, OUTPUTS, &part(result.id, what), &captured.bytes);
        }
        Stream {
            total: read::to_count(captured.total),
            kept: read::to_count(captured.bytes.len() as u64),
            bytes: (in_place && !captured.bytes.is_empty()).then(|| read::to_bytes(&captured.bytes)),
        }
    };
    let (stdout, stderr) = (stream(&result.stdout, "stdout"), stream(&result.stderr, "stderr"));
    let measured = result.perfdata.as_ref().filter(|metrics| !metrics.is_empty());
    let mut perfdata = measured.map(|metrics| read::to_json("perfdata", metrics)).transpose()?;
    let mut long_perfdata = None;
    if let Some(json) = perfdata.take_if(|json| json.len() as u64 > PAGE_PERFDATA) {
        perfdata = Some(String::new());
        let in_place = json.len() <= IN_PLACE;
        if !in_place {
            elsewhere = true;
            chunks::keep(changes, OUTPUTS, &part(result.id, "perfdata"), json.as_bytes());
        }
        long_perfdata = Some(Long { text: in_place.then_some(json) });
    }
    if result.reason == Some(Reason::Aborted) && !elsewhere {
        // Its output was there ahead of a Result that never came.
        chunks::remove(changes, OUTPUTS, &result.id.to_string());
    }
    let row = Row {
        id: read::to_uuid(result.id),
        host: result.host.clone(),
        task: result.task.clone(),
        task_version: result.task_version,
        schedule: result.schedule.clone(),
        node: result.node.clone(),
        trigger: result.trigger,
        by: result.by.clone(),
        group: result.group.map(read::to_uuid),
        cause: result.cause.clone(),
        scheduled_at: read::to_date(result.scheduled_at),
        due_at: read::to_date(result.due_at),
        started_at: result.started_at.map(read::to_date),
        finished_at: read::to_date(result.finished_at),
        attempt: result.attempt,
        exit_code: result.exit_code,
        signal: result.signal.clone(),
        outcome: result.outcome,
        state: result.state.map(to_number),
        reason: result.reason,
        hard: result.hard,
        message: result.message.clone(),
        kill: result.kill.clone(),
        instants: result.instants,
        stdout,
        stderr,
        perfdata,
        long_perfdata,
        elsewhere,
    };
    changes.insert(RESULTS, &row)
}

/// Removes a Result, which must be there, with all that stands elsewhere of it.
pub(super) fn remove(changes: &mut Changes, id: RunId, elsewhere: bool) {
    changes.set(RESULTS, id, Change::RemoveIf(Document::new()));
    if elsewhere {
        chunks::remove(changes, OUTPUTS, &id.to_string());
    }
}

/// What writes into a Result what killing its run has found.
pub(super) fn note_kill(kill: &Kill) -> Result<Document, Fault> {
    let kill = serialize_to_bson(kill).map_err(|error| Fault::Unwritable(error.to_string()))?;
    Ok(doc! { "$set": { "kill": kill } })
}

impl Row {
    /// The Result; what is not in the document is left out.
    pub(super) fn read(self) -> Result<RunResult, Fault> {
        let captured = |stream: Stream| -> Result<Captured, Fault> {
            let (kept, total) = (read::count(stream.kept)?, read::count(stream.total)?);
            Ok(match stream.bytes {
                Some(bytes) => Captured { bytes: bytes.bytes, kept, total },
                None => Captured::counted(kept, total),
            })
        };
        let perfdata = match (self.perfdata.as_deref(), &self.long_perfdata) {
            (_, Some(Long { text: Some(json) })) => Some(read::json("perfdata", json)?),
            (Some(""), _) => None,
            (Some(json), _) => Some(read::json("perfdata", json)?),
            (None, _) => Some(Vec::new()),
        };
        Ok(RunResult {
            id: read::id(&self.id)?,
            host: self.host,
            task: self.task,
            task_version: self.task_version,
            schedule: self.schedule,
            node: self.node,
            trigger: self.trigger,
            by: self.by,
            group: self.group.as_ref().map(read::id).transpose()?,
            cause: self.cause,
            scheduled_at: read::timestamp(self.scheduled_at)?,
            due_at: read::timestamp(self.due_at)?,
            started_at: self.started_at.map(read::timestamp).transpose()?,
            finished_at: read::timestamp(self.finished_at)?,
            attempt: self.attempt,
            exit_code: self.exit_code,
            signal: self.signal,
            outcome: self.outcome,
            state: self.state.map(state).transpose()?,
            reason: self.reason,
            hard: self.hard,
            message: self.message,
            stdout: captured(self.stdout)?,
            stderr: captured(self.stderr)?,
            perfdata,
            kill: self.kill,
            instants: self.instants,
        })
    }
}

/// One Result, whole.
pub(super) async fn one(view: &View, id: RunId) -> Result<Option<RunResult>, Fault> {
    let found = view.find_one(RESULTS, doc! { "_id": read::to_uuid(id) }).await?;
    let Some(mut result) = found.map(Row::read).transpose()? else { return Ok(None) };
    for (captured, what) in [(&mut result.stdout, "stdout"), (&mut result.stderr, "stderr")] {
        if captured.kept > 0 && captured.bytes.is_empty() {
            captured.bytes = elsewhere(view, id, what).await?;
        }
    }
    if result.perfdata.is_none() {
        let json = elsewhere(view, id, "perfdata").await?;
        let json = str::from_utf8(&json).map_err(|error| Fault::Unreadable(error.to_string()))?;
        result.perfdata = Some(read::json("perfdata", json)?);
    }
    Ok(Some(result))
}

async fn elsewhere(view: &View, id: RunId, what: &str) -> Result<Vec<u8>, Fault> {
    let found = chunks::get(view, OUTPUTS, &part(id, what)).await?;
    found.ok_or_else(|| Fault::Unreadable(format!("the {what} of {id} is not there")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::samples;
    use crate::store::mongodb::changes::Key;

    #[test]
    fn what_was_written_ahead_for_a_run_that_is_aborted_goes() {
        let run = samples::id(1);
        let result = samples::result(&samples::name("h"), &samples::name("t"), run);
        let aborted = RunResult { reason: Some(Reason::Aborted), ..result.clone() };
        for (result, removes) in [(result, None), (aborted, Some(&Change::RemoveAll))] {
            let mut changes = Changes::default();
            insert(&mut changes, &result).unwrap();
            assert_eq!(changes.changes.get(&(OUTPUTS, Key::Text(format!("{run}/")))), removes);
        }
    }
}
