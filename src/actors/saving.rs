//! Results on their way to the store.

use std::sync::Arc;

use actix_rt::task::JoinHandle;

use super::news::Draft;
use super::parts::NodeParts;
use super::reactions::Happened;
use super::store::StoreWriter;
use crate::model::{Event, Name, Outcome, PairStatus, RunResult, Timestamp};
use crate::store::Write;

/// Puts a Result on the board and sends it to the store. The sending belongs to no actor, so that none takes a Result
/// with it when it dies; the board counts it until it is stored.
pub(super) fn save(
    parts: &Arc<NodeParts>,
    result: RunResult,
    status: Option<Arc<PairStatus>>,
    until: Option<Timestamp>,
    change: Option<Draft>,
    event: Option<Event>,
) {
    let news = [Some(Draft::result(&result)), change];
    parts.board.storing(&result, status.as_ref());
    tell(&result);
    let parts = Arc::clone(parts);
    let (id, reason, duration) = (result.id, result.reason, result.duration_ms());
    let happened = event.map(|event| Happened { event, result: Some(Arc::new(result.clone())) });
    let save = Write::Save { result: Box::new(result), status, until };
    let written = parts.writer.write([save].into_iter().chain(due(&parts, happened.as_ref())).collect());
    actix_rt::spawn(async move {
        let written = written.await;
        if written.is_ok() {
            parts.board.counts.stored(reason, duration);
        }
        parts.board.stored(id);
        match written {
            Ok(_) => {
                news.into_iter().flatten().for_each(|draft| parts.journal.tell(draft));
                happened.into_iter().for_each(|happened| parts.reactions.tell(happened));
            }
            Err(error) => {
                happened.iter().for_each(|happened| parts.reactions.forget(happened.event.id));
                log::error!(run:% = id; "a result could not be stored and is lost: {error}");
                parts.board.counts.lost.add(1);
            }
        }
    });
}

/// What keeps an event until it is looked at.
fn due(parts: &NodeParts, happened: Option<&Happened>) -> Option<Write> {
    let event = &happened?.event;
    parts.reactions.expect(event.id);
    Some(Write::Due(Box::new(event.clone())))
}

/// A Result, and the instant that it settles.
pub(super) type Settled = (RunResult, Option<Timestamp>);

/// The same for Results of instants at which nothing was executed, in one commit; the pair's status goes with the last
/// of them. What is held is let go of when they are stored.
pub(super) fn save_all<T: Send + 'static>(
    parts: &Arc<NodeParts>,
    all: Vec<Settled>,
    status: Arc<PairStatus>,
    event: Option<Event>,
    held: T,
) {
    let Some((newest, _)) = all.last() else { return };
    let happened = event.map(|event| Happened { event, result: Some(Arc::new(newest.clone())) });
    parts.board.storing(newest, Some(&status));
    let (count, last) = (all.len() as u64, newest.id);
    let news: Vec<Draft> = all.iter().map(|(result, _)| Draft::result(result)).collect();
    let reasons: Vec<_> = all.iter().map(|(result, _)| result.reason).collect();
    let mut status = Some(status);
    let write = |(result, until): Settled| Write::Save {
        status: status.take_if(|_| result.id == last),
        result: Box::new(result),
        until,
    };
    let due = due(parts, happened.as_ref());
    let written = parts.writer.write(all.into_iter().map(write).chain(due).collect());
    let parts = Arc::clone(parts);
    actix_rt::spawn(async move {
        match written.await {
            Ok(_) => {
                reasons.into_iter().for_each(|reason| parts.board.counts.stored(reason, None));
                news.into_iter().for_each(|draft| parts.journal.tell(draft));
                happened.into_iter().for_each(|happened| parts.reactions.tell(happened));
            }
            Err(error) => {
                happened.iter().for_each(|happened| parts.reactions.forget(happened.event.id));
                log::error!(count; "results of missed instants could not be stored and are lost: {error}");
                parts.board.counts.lost.add(count);
            }
        }
        drop(held);
    });
}

/// Sends writes to the store for nobody who waits for them.
pub(super) fn send(parts: &NodeParts, writes: Vec<Write>) {
    write(&parts.writer, writes);
}

/// The same, and who wants to may wait for its end.
pub(super) fn write(writer: &StoreWriter, writes: Vec<Write>) -> JoinHandle<()> {
    let written = writer.write(writes);
    actix_rt::spawn(async move {
        if let Err(error) = written.await {
            log::error!("the ledger could not be written: {error}");
        }
    })
}

/// The same, with an event that is no Result's.
pub(super) fn send_event(parts: &Arc<NodeParts>, write: Write, event: Option<Event>) {
    let happened = event.map(|event| Happened { event, result: None });
    let written = parts.writer.write([write].into_iter().chain(due(parts, happened.as_ref())).collect());
    let parts = Arc::clone(parts);
    actix_rt::spawn(async move {
        match written.await {
            Ok(_) => happened.into_iter().for_each(|happened| parts.reactions.tell(happened)),
            Err(error) => {
                happened.iter().for_each(|happened| parts.reactions.forget(happened.event.id));
                log::error!("the ledger could not be written: {error}");
            }
        }
    });
}

/// Forgets the record of a pair that is not linked (any more) as soon as none of its runs is open: it says which are,
/// and who would not find them there after a crash would leave them without a Result.
pub(super) fn forget_pair(parts: &NodeParts, host: &Name, task: &Name) {
    if !parts.board.has_runs(host, task) {
        send(parts, vec![Write::ForgetPair { host: host.clone(), task: task.clone() }]);
    }
}

fn tell(result: &RunResult) {
    let level = if result.outcome == Outcome::Problem { log::Level::Warn } else { log::Level::Info };
    let what = match result.reason {
        Some(reason) => format!("{} {reason}", result.outcome),
        None => result.outcome.to_string(),
    };
    log::log!(level, host = result.host.as_str(), task = result.task.as_ref().map_or("", Name::as_str), run:% = result.id,
        duration_ms = result.duration_ms().unwrap_or_default(); "{what}");
}
