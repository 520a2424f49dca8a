//! What is kept of a (host, task): one document with its cursor, its open runs and its status. Whoever changes it does
//! so on condition that it still is as it was read (`rev`).

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use mongodb::Database;
use mongodb::bson::{Binary, DateTime, Document, doc, serialize_to_bson};
use serde::Deserialize;

use super::changes::{Change, Key};
use super::fault::Fault;
use super::read;
use super::schema::{PAIRS, each};
use super::view::View;
use crate::model::{LastResults, Name, PairStatus, RunId, Timestamp};
use crate::store::{OpenRun, PairRecord};

/// How a status is kept, so that another form can follow.
const FORM: i32 = 1;

#[derive(Deserialize)]
struct Row {
    host: Name,
    task: Option<Name>,
    rev: i64,
    claimed_until: Option<DateTime>,
    #[serde(default)]
    open: Vec<OpenRun>,
    status: Option<StatusRow>,
}

/// A status: JSON, but for its last Results, which are many and all alike, and packed.
#[derive(Deserialize)]
struct StatusRow {
    form: i32,
    body: Option<String>,
    last: Option<Binary>,
}

impl StatusRow {
    fn read(&self) -> Result<PairStatus, Fault> {
        let malformed = || Fault::Unreadable("a status is malformed".to_owned());
        let (FORM, Some(body), Some(last)) = (self.form, &self.body, &self.last) else { return Err(malformed()) };
        let mut status: PairStatus = read::json("a status", body)?;
        status.last = LastResults::from_bytes(&last.bytes).ok_or_else(malformed)?;
        Ok(status)
    }
}

fn write(status: &PairStatus) -> Result<Document, Fault> {
    let bare = PairStatus { last: LastResults::default(), ..status.clone() };
    Ok(doc! {
        "form": FORM,
        "body": read::to_json("a status", &bare)?,
        "last": read::to_bytes(status.last.as_bytes()),
    })
}

/// The id of a pair's document; that of the ad-hoc runs of a host ends with the slash, which no name holds.
pub(super) fn key(host: &Name, task: Option<&Name>) -> String {
    format!("{host}/{}", task.map_or("", Name::as_str))
}

/// All pairs' records.
pub(super) async fn all(view: &View) -> Result<Vec<PairRecord>, Fault> {
    let record = |row: Row| {
        let claimed_until = row.claimed_until.map(read::timestamp).transpose()?;
        let status = row.status.map_or_else(|| Ok(PairStatus::default()), |status| status.read())?;
        Ok(PairRecord { host: row.host, task: row.task, claimed_until, open: row.open, status })
    };
    each(view, PAIRS, record).await
}

/// What is to become of a pair's status.
enum Status {
    Nothing,
    /// As it is.
    Kept,
    New(Arc<PairStatus>),
}

/// A pair as it is read, and then as it is to be. Its status is only replaced, and so not read.
pub(super) struct Pair {
    host: Name,
    task: Option<Name>,
    /// As it is there; 0 if it is not.
    rev: i64,
    claimed_until: Option<Timestamp>,
    open: Vec<OpenRun>,
    status: Status,
    is_changed: bool,
}

impl Pair {
    /// One that is not there.
    pub(super) fn new(host: &Name, task: Option<&Name>) -> Self {
        Self {
            host: host.clone(),
            task: task.cloned(),
            rev: 0,
            claimed_until: None,
            open: Vec::new(),
            status: Status::Nothing,
            is_changed: false,
        }
    }

    /// Those with these keys that are there.
    pub(super) async fn find(database: &Database, keys: Vec<&str>) -> Result<Vec<Self>, Fault> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let there = database.collection::<Row>(PAIRS);
        let what = doc! { "host": 1, "task": 1, "rev": 1, "claimed_until": 1, "open": 1, "status.form": 1 };
        let mut rows = there.find(doc! { "_id": { "$in": keys } }).projection(what).await?;
        let mut pairs = Vec::new();
        while let Some(row) = rows.try_next().await? {
            pairs.push(Self {
                host: row.host,
                task: row.task,
                rev: row.rev,
                claimed_until: row.claimed_until.map(read::timestamp).transpose()?,
                open: row.open,
                status: if row.status.is_some() { Status::Kept } else { Status::Nothing },
                is_changed: false,
            });
        }
        Ok(pairs)
    }

    /// The id of its document.
    pub(super) fn key(&self) -> String {
        key(&self.host, self.task.as_ref())
    }

    /// Moves `claimed_until` forward; false if it is there or beyond.
    pub(super) fn move_forward(&mut self, until: Timestamp) -> bool {
        let forward = Some(until) > self.claimed_until;
        if forward {
            self.claimed_until = Some(until);
            self.is_changed = true;
        }
        forward
    }

    /// Whether this run is open.
    pub(super) fn has_open(&self, run: RunId) -> bool {
        self.open.iter().any(|open| open.id == run)
    }

    /// A run begins.
    pub(super) fn open(&mut self, run: &OpenRun) {
        self.open.push(run.clone());
        self.is_changed = true;
    }

    /// A run has ended.
    pub(super) fn close(&mut self, run: RunId) {
        let before = self.open.len();
        self.open.retain(|open| open.id != run);
        self.is_changed |= self.open.len() != before;
    }

    /// Replaces its status.
    pub(super) fn set_status(&mut self, status: &Arc<PairStatus>) {
        self.status = Status::New(Arc::clone(status));
        self.is_changed = true;
    }

    /// Nothing of it is kept.
    pub(super) fn forget(&mut self) {
        let rev = self.rev;
        *self = Self { rev, is_changed: true, ..Self::new(&self.host, self.task.as_ref()) };
    }

    /// What is to be done with its document, if anything.
    pub(super) fn change(self) -> Result<Option<(Key, Change)>, Fault> {
        let key = Key::Text(self.key());
        let is_empty = self.claimed_until.is_none() && self.open.is_empty() && matches!(self.status, Status::Nothing);
        if !self.is_changed || (is_empty && self.rev == 0) {
            return Ok(None);
        }
        let as_read = doc! { "rev": self.rev };
        if is_empty {
            return Ok(Some((key, Change::RemoveIf(as_read))));
        }
        let open = serialize_to_bson(&self.open).map_err(|error| Fault::Unwritable(error.to_string()))?;
        let mut document = doc! { "rev": self.rev + 1, "host": self.host.as_str(), "open": open };
        if let Some(task) = &self.task {
            document.insert("task", task.as_str());
        }
        if let Some(at) = self.claimed_until {
            document.insert("claimed_until", read::to_date(at));
        }
        // What is known whole is replaced, which costs the server a third less than to be told what becomes of each part.
        let update = match &self.status {
            Status::Nothing => document,
            Status::New(status) => {
                document.insert("status", write(status)?);
                document
            }
            Status::Kept if self.claimed_until.is_some() => doc! { "$set": document },
            Status::Kept => doc! { "$set": document, "$unset": { "claimed_until": "" } },
        };
        let change = if self.rev == 0 { Change::MakeIf } else { Change::AmendIf };
        Ok(Some((key, change(as_read, update))))
    }
}
