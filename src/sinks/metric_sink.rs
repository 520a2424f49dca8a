//! A sink for what tasks measure: takes points at once or not at all, sends them in batches, and keeps them on disk for as
//! long as the receiver is away.
//!
//! In order: as long as something is in the spool, what comes goes behind it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking, spawn_local};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::DeliveryError;
use super::ganglia::Gmond;
use super::graphite::Carbon;
use super::influx::InfluxWriter;
use super::point::Point;
use super::spool::Spool;
use super::trust::Trust;
use crate::clock::Clock;
use crate::model::action::{Ganglia, Graphite, Influx};
use crate::model::{Name, SecretText, Timestamp};

/// Points that may wait in memory.
const QUEUE: usize = 20_000;
/// Points that are sent at once: carbon reads at most 1 MiB of a pickle, InfluxDB likes up to 5000 lines.
const BATCH: usize = 500;
/// So long a batch waits for further points.
const GATHER: Duration = Duration::from_millis(100);
/// So long sending a batch may take.
const SEND: Duration = Duration::from_secs(15);
/// So long it may still take when the sink is closed.
const LAST: Duration = Duration::from_secs(2);
/// The first pause after a failure; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Where a sink's points go.
#[derive(Debug, Clone, PartialEq)]
pub enum Receiver {
    Graphite(Graphite),
    Ganglia(Ganglia),
    /// With its token or its password, which is looked up already.
    Influx(Influx, Option<SecretText>),
}

/// Where points are kept while the receiver is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spooling {
    /// A directory of this sink alone.
    pub dir: PathBuf,
    /// The most bytes in it.
    pub limit: u64,
}

/// How a sink stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SinkStats {
    /// Points in memory that wait.
    pub queue: u64,
    /// Points that the receiver was sent.
    pub sent: u64,
    /// Points that the receiver will never take.
    pub failed: u64,
    /// Points on disk.
    pub spooled: u64,
    /// Their bytes.
    pub spooled_bytes: u64,
    /// Points that are lost: the queue or the spool was full, or they were too old.
    pub dropped: u64,
    /// Since when the receiver is away.
    pub away_since: Option<Timestamp>,
    /// What went wrong last.
    pub last_error: Option<SinkError>,
}

/// What went wrong, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SinkError {
    pub at: Timestamp,
    pub message: String,
}

/// A sink that runs. Dropped, it ends by itself: what is left is put into the spool.
#[derive(Debug)]
pub struct MetricSink {
    queue: mpsc::Sender<Point>,
    stats: Arc<Mutex<SinkStats>>,
    ended: JoinHandle<()>,
    _closing: DropGuard,
}

impl MetricSink {
    /// Starts one; `name` is what the log calls it. What an earlier one has left in the spool is sent first.
    pub fn start(name: &Name, receiver: Receiver, spooling: Spooling, trust: &Trust, clock: &Clock) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let stats = Arc::new(Mutex::new(SinkStats::default()));
        let closing = CancellationToken::new();
        let driver = Driver {
            name: name.clone(),
            transport: Transport::new(receiver, trust, clock),
            waiting,
            spool: Arc::new(Mutex::new(None)),
            spooling,
            stats: Arc::clone(&stats),
            clock: clock.clone(),
            closing: closing.clone(),
        };
        Self { queue, stats, ended: spawn_local(driver.run()), _closing: closing.drop_guard() }
    }

    /// Hands in the points of a Result, all or none: none where the queue is full, which is counted.
    pub fn offer(&self, points: Vec<Point>) -> bool {
        if points.is_empty() {
            return true;
        }
        let count = points.len() as u64;
        let taken = match self.queue.try_reserve_many(points.len()) {
            Ok(places) => {
                places.zip(points).for_each(|(place, point)| place.send(point));
                true
            }
            Err(_) => false,
        };
        if !taken {
            lock(&self.stats).dropped += count;
        }
        taken
    }

    /// How it stands.
    pub fn stats(&self) -> SinkStats {
        let queue = (self.queue.max_capacity() - self.queue.capacity()) as u64;
        SinkStats { queue, ..lock(&self.stats).clone() }
    }

    /// Ends it: a last batch is sent if the receiver is there, what else waits is put into the spool.
    pub async fn close(self) {
        let Self { queue, ended, _closing: closing, .. } = self;
        drop((queue, closing));
        // Its task ends within the limits above; one that panicked is ended as well.
        let _ = ended.await;
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection to a receiver.
enum Transport {
    Graphite(Carbon),
    Ganglia(Gmond),
    Influx(InfluxWriter),
}

impl Transport {
    fn new(receiver: Receiver, trust: &Trust, clock: &Clock) -> Self {
        match receiver {
            Receiver::Graphite(graphite) => Self::Graphite(Carbon::new(graphite)),
            Receiver::Ganglia(ganglia) => Self::Ganglia(Gmond::new(ganglia, clock.clone())),
            Receiver::Influx(influx, secret) => Self::Influx(InfluxWriter::new(influx, secret, trust)),
        }
    }

    /// Sends points; how many of them, as a receiver may not want those that are old.
    async fn send(&mut self, points: &[Point]) -> Result<usize, DeliveryError> {
        match self {
            Self::Graphite(carbon) => carbon.send(points).await,
            Self::Ganglia(gmond) => gmond.send(points).await,
            Self::Influx(influx) => influx.send(points).await,
        }
    }
}

/// What sends.
struct Driver {
    name: Name,
    transport: Transport,
    waiting: mpsc::Receiver<Point>,
    /// Files are read and written off the arbiter's thread; none until it is opened, and where it cannot be.
    spool: Arc<Mutex<Option<Spool>>>,
    spooling: Spooling,
    stats: Arc<Mutex<SinkStats>>,
    clock: Clock,
    closing: CancellationToken,
}

impl Driver {
    async fn run(mut self) {
        let Spooling { dir, limit } = self.spooling.clone();
        self.on_disk(move |spool| {
            *spool = Some(Spool::open(dir, limit)?);
            Ok(())
        })
        .await;
        let mut pause = FIRST_PAUSE;
        while !self.closing.is_cancelled() {
            let sent = if lock(&self.stats).spooled == 0 {
                let Some(points) = self.fresh().await else { break };
                let sent = self.send(&points).await;
                if sent.is_err() {
                    self.keep(points).await;
                }
                sent
            } else {
                self.keep_what_waits().await;
                self.send_oldest().await
            };
            match sent {
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    self.is_there();
                }
                Err(error) => {
                    self.is_away(&error);
                    self.wait(error.after.unwrap_or(pause).max(pause)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        self.keep_what_waits().await;
    }

    /// What waits in memory, up to a batch; none once the sink is closed and all is sent.
    async fn fresh(&mut self) -> Option<Vec<Point>> {
        let mut points = Vec::new();
        self.waiting.recv_many(&mut points, BATCH).await;
        let end = Instant::now() + GATHER;
        while !points.is_empty() && points.len() < BATCH && !self.closing.is_cancelled() {
            let room = BATCH - points.len();
            tokio::select! {
                more = self.waiting.recv_many(&mut points, room) => if more == 0 { break },
                () = sleep_until(end) => break,
            }
        }
        (!points.is_empty()).then_some(points)
    }

    /// Sends the oldest of what is on disk.
    async fn send_oldest(&mut self) -> Result<(), DeliveryError> {
        let points = self.on_disk(|spool| spool.as_mut().map_or_else(|| Ok(Vec::new()), Spool::oldest)).await;
        let Some(points) = points else {
            // Nothing on it can be read: what is there stays, for a start at which it can be.
            self.give_up_spool().await;
            return Ok(());
        };
        for batch in points.chunks(BATCH) {
            self.send(batch).await?;
        }
        self.on_disk(|spool| spool.as_mut().map_or(Ok(()), Spool::forget_oldest)).await;
        Ok(())
    }

    /// Sends a batch. What the receiver will never take is done with, and counted.
    async fn send(&mut self, points: &[Point]) -> Result<(), DeliveryError> {
        let closing = self.closing.clone();
        let late = async {
            tokio::select! {
                () = sleep(SEND) => format!("it has not taken {} points within {SEND:?}", points.len()),
                () = async { closing.cancelled().await; sleep(LAST).await } => "Alf ends".to_owned(),
            }
        };
        let sent = tokio::select! {
            sent = self.transport.send(points) => sent,
            why = late => Err(DeliveryError::temporary(why)),
        };
        let all = points.len() as u64;
        match sent {
            Ok(sent) => {
                let mut stats = lock(&self.stats);
                stats.sent += sent as u64;
                stats.dropped += all - sent as u64;
                Ok(())
            }
            Err(error) if error.retry => Err(error),
            Err(error) => {
                log::warn!(sink = self.name.as_str(), points = all; "points are refused: {}", error.message);
                self.note(&error.message);
                lock(&self.stats).failed += all;
                Ok(())
            }
        }
    }

    /// Lets time pass after a failure; what comes meanwhile goes to disk.
    async fn wait(&mut self, pause: Duration) {
        let end = Instant::now() + pause;
        loop {
            let mut points = Vec::new();
            tokio::select! {
                () = sleep_until(end) => return,
                count = self.waiting.recv_many(&mut points, QUEUE) => {
                    self.keep(points).await;
                    if count == 0 {
                        return;
                    }
                }
            }
        }
    }

    async fn keep_what_waits(&mut self) {
        let mut points = Vec::new();
        while let Ok(point) = self.waiting.try_recv() {
            points.push(point);
        }
        self.keep(points).await;
    }

    /// Puts points on disk; where there is none they are lost, and counted.
    async fn keep(&self, points: Vec<Point>) {
        if points.is_empty() {
            return;
        }
        let count = points.len() as u64;
        let kept = self.on_disk(move |spool| match spool {
            Some(spool) => spool.append(&points).map(|()| true),
            None => Ok(false),
        });
        if kept.await == Some(false) {
            lock(&self.stats).dropped += count;
        }
    }

    async fn give_up_spool(&self) {
        self.on_disk(|spool| {
            *spool = None;
            Ok(())
        })
        .await;
    }

    /// Does something with the spool on a thread that may wait for a disk; none where it failed, which is noted.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Option<Spool>) -> std::io::Result<T> + Send + 'static,
    ) -> Option<T> {
        let spool = Arc::clone(&self.spool);
        let done = spawn_blocking(move || {
            let mut spool = lock(&spool);
            let done = work(&mut spool);
            let counts = spool.as_mut().map(|spool| (spool.points(), spool.bytes(), spool.take_dropped()));
            (done, counts.unwrap_or_default())
        });
        // The runtime is being taken down, or the work panicked: either way nothing was done.
        let (done, (points, bytes, dropped)) = done.await.ok()?;
        {
            let mut stats = lock(&self.stats);
            stats.spooled = points;
            stats.spooled_bytes = bytes;
            stats.dropped += dropped;
        }
        match done {
            Ok(done) => Some(done),
            Err(error) => {
                let message = format!("spool {}: {error}", self.spooling.dir.display());
                log::error!(sink = self.name.as_str(); "{message}");
                self.note(&message);
                None
            }
        }
    }

    fn note(&self, message: &str) {
        let at = self.clock.now().into();
        lock(&self.stats).last_error = Some(SinkError { at, message: message.to_owned() });
    }

    fn is_away(&self, error: &DeliveryError) {
        self.note(&error.message);
        let mut stats = lock(&self.stats);
        if stats.away_since.is_none() {
            stats.away_since = Some(self.clock.now().into());
            log::warn!(sink = self.name.as_str(); "points are kept on disk: {}", error.message);
        }
    }

    fn is_there(&self) {
        let mut stats = lock(&self.stats);
        if stats.away_since.take().is_some() {
            log::info!(sink = self.name.as_str(), spooled = stats.spooled; "the receiver is there again");
        }
    }
}

#[cfg(test)]
mod tests;
