//! Requests that are done once. Who repeats one under the same idempotency key is told what the first came to, also after
//! a restart: it is remembered in the very commit that did it, so that a crash neither doubles nor forgets it.
//!
//! While one is being done its repetitions wait for it: its place goes with the order to whoever does it, and is left
//! when that one has done with it, whatever became of those who asked.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::OwnedMutexGuard;

use super::error::AlfError;
use super::handle::{ANSWER, AlfHandle};
use super::saving;
use super::store::StoreWriter;
use crate::model::{ContentHash, RunId, Timestamp};
use crate::store::{CameTo, OnceRecord, Write};

/// How long a request is remembered.
const KEPT: TimeDelta = TimeDelta::hours(24);
/// How many are; beyond that the oldest are forgotten before their time.
const MOST: u64 = 100_000;
/// The largest answer that is kept, in bytes.
const LARGEST: usize = 1024 * 1024;
/// How long a repetition waits for the first to be done.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often what is too old is forgotten.
const EVERY: Duration = Duration::from_secs(600);

/// The places of requests that are being done.
#[derive(Debug, Default)]
pub struct Requests(Mutex<HashMap<ContentHash, Weak<tokio::sync::Mutex<()>>>>);

impl Requests {
    fn place(&self, key: &ContentHash) -> Arc<tokio::sync::Mutex<()>> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(key).and_then(Weak::upgrade) {
            return place;
        }
        let place = Arc::default();
        places.insert(key.clone(), Arc::downgrade(&place));
        place
    }

    fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, place| place.strong_count() > 0);
    }
}

/// A request that is to be done once, and its place, which is left with the last clone.
#[derive(Clone)]
pub struct Once(Arc<Held>);

struct Held {
    key: ContentHash,
    request: ContentHash,
    at: Timestamp,
    begun: Option<RunId>,
    _place: OwnedMutexGuard<()>,
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Once").field(&self.0.key).finish()
    }
}

impl Once {
    /// What is remembered of it.
    pub(super) fn record(&self, came_to: CameTo) -> OnceRecord {
        let fits = serde_json::to_string(&came_to).is_ok_and(|json| json.len() <= LARGEST);
        let came_to = if fits { came_to } else { CameTo::TooLarge };
        let Held { key, request, at, .. } = &*self.0;
        OnceRecord { key: key.clone(), request: request.clone(), at: *at, came_to }
    }

    /// The group whose runs were being started when Alf ended; it is gone on with.
    pub(super) fn begun(&self) -> Option<RunId> {
        self.0.begun
    }

    /// Remembers that runs of this group are being started.
    pub(super) async fn begins(&self, group: RunId, writer: &StoreWriter) -> Result<(), AlfError> {
        let begun = Write::Remember(self.record(CameTo::Begun(group)));
        Ok(writer.write_soon(vec![begun]).await.map(drop)?)
    }

    /// To be written with the claim of the run that it comes to, in one commit.
    pub(super) fn came_to_run(&self, run: RunId) -> Write {
        Write::Remember(self.record(CameTo::Run(run)))
    }

    fn forget(&self) -> Write {
        Write::ForgetRequest(self.0.key.clone())
    }
}

/// Whether a request is to be done.
#[derive(Debug)]
pub enum Asked {
    /// It is new, or was cut off before it was done.
    Anew(Once),
    /// It was done before.
    Before(CameTo),
}

impl AlfHandle {
    /// A request comes with an idempotency key; `key` is the digest of that and of whose it is, `request` that of what is
    /// asked for. While the same is being done it waits a while for its end.
    pub async fn ask_once(&self, key: ContentHash, request: ContentHash) -> Result<Asked, AlfError> {
        let place = tokio::time::timeout(PATIENCE, self.requests.place(&key).lock_owned()).await;
        let place = place.map_err(|_| AlfError::BeingDone)?;
        let now = self.now();
        let before = self.store.remembered(key.clone()).await?;
        let begun = match before.filter(|before| now.get() - before.at.get() < KEPT) {
            None => None,
            Some(before) if before.request != request => return Err(AlfError::KeyOfAnother),
            Some(before) => match before.came_to {
                CameTo::Begun(group) => Some(group),
                CameTo::TooLarge => return Err(AlfError::TooLargeToRemember),
                came_to => return Ok(Asked::Before(came_to)),
            },
        };
        Ok(Asked::Anew(Once(Arc::new(Held { key, request, at: now, begun, _place: place }))))
    }

    /// All is started that a request for a group of runs has started; where that is nothing it may be tried again.
    pub async fn began(&self, once: Once, came_to: CameTo) {
        let nothing = matches!(&came_to, CameTo::Group { runs, .. } if runs.is_empty());
        let write = if nothing { once.forget() } else { Write::Remember(once.record(came_to)) };
        // The place is kept until it is written; the answer does not wait that long for a store that is away.
        let written = saving::write(&self.writer, vec![write]);
        let kept = actix_rt::spawn(async move {
            let _ = written.await;
            drop(once);
        });
        let _ = tokio::time::timeout(ANSWER, kept).await;
    }

    /// Forgets requests that are too old, or too many.
    async fn forget_requests(&self) {
        self.requests.clear();
        let Some(before) = Timestamp::from_millis((self.now().get() - KEPT).timestamp_millis()) else { return };
        if let Err(error) = self.writer.write(vec![Write::ForgetRequests { before, most: MOST }]).await {
            log::warn!("requests that are remembered are not cleared: {error}");
        }
    }

    /// Forgets them again and again.
    pub async fn keep_requests(self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.forget_requests().await;
        }
    }
}
