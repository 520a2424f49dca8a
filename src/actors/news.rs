//! News: Results, changes of state, hosts that come and go, for whoever listens. The last ones are kept, so that a
//! listener who was cut off, or is slow, goes on where it was, or is told how much it has missed. Nobody is waited for.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

use crate::model::{
    Bodies, HostRecord, HostState, Name, Notification, Outcome, PairStatus, Pause, Reason, RunId, RunResult, State,
    Timestamp,
};

/// How many are kept.
const KEPT: usize = 1000;

/// Something that has happened.
#[derive(Debug)]
pub struct News {
    /// +1 for each.
    pub number: u64,
    /// `result`, `state`, `host`, `notification` or `pause`.
    pub kind: &'static str,
    /// The host it is of; none for what is of all.
    pub host: Option<Name>,
    /// The task it is of.
    pub task: Option<Name>,
    /// What there is to tell, as JSON in one line.
    pub data: String,
}

/// What a listener hears next.
#[derive(Debug)]
pub enum Heard {
    /// Something that has happened.
    News(Arc<News>),
    /// So many were dropped before they could be heard; the next one has this number.
    Gap {
        /// How many.
        missed: u64,
        /// Which comes next.
        next: u64,
    },
}

/// All that has happened lately.
#[derive(Debug)]
pub struct Journal {
    kept: Mutex<VecDeque<Arc<News>>>,
    newest: watch::Sender<u64>,
    /// Nothing more will be told: Alf is stopping.
    closed: AtomicBool,
}

impl Default for Journal {
    fn default() -> Self {
        Self { kept: Mutex::default(), newest: watch::Sender::new(0), closed: AtomicBool::default() }
    }
}

#[derive(Serialize)]
struct StateChange<'a> {
    host: &'a Name,
    task: &'a Name,
    before: Option<State>,
    state: Option<State>,
    outcome: Option<Outcome>,
    hard: bool,
    attempt: u32,
    flapping: bool,
    since: Option<Timestamp>,
    result: RunId,
    message: &'a str,
}

#[derive(Serialize)]
struct HostChange<'a> {
    host: &'a Name,
    before: Option<HostState>,
    state: Option<HostState>,
    hard: bool,
    attempt: u32,
    since: Option<Timestamp>,
    reason: Option<Reason>,
    message: Option<&'a str>,
}

#[derive(Serialize)]
struct PauseChange<'a> {
    paused: bool,
    since: Option<Timestamp>,
    by: Option<&'a Name>,
}

/// What has happened, not yet told.
#[derive(Debug)]
pub(super) struct Draft {
    kind: &'static str,
    host: Option<Name>,
    task: Option<Name>,
    data: String,
}

impl Draft {
    fn of(kind: &'static str, host: Option<&Name>, task: Option<&Name>, data: &impl Serialize) -> Self {
        // Numbers, names and texts: there is nothing in them that JSON could not hold.
        let data = serde_json::to_string(data).unwrap_or_default();
        Self { kind, host: host.cloned(), task: task.cloned(), data }
    }

    /// A Result is stored; without its output.
    pub(super) fn result(result: &RunResult) -> Self {
        Self::of("result", Some(&result.host), result.task.as_ref(), &result.document(Bodies::Left))
    }

    /// Somebody was told something by an Action, or was not; of what is run because of it only that it is.
    pub(super) fn notification(told: &Notification) -> Self {
        // Where it runs may be on a host that is not for everybody who hears of this one.
        let detail = if told.run.is_some() { String::new() } else { told.detail.clone() };
        Self::of("notification", Some(&told.host), told.task.as_ref(), &Notification { detail, ..told.clone() })
    }

    /// A pair is in another state, soft or hard, or flaps or no longer does; none where it stands as before.
    pub(super) fn state(before: &PairStatus, after: &PairStatus, result: &RunResult) -> Option<Self> {
        let standing = |status: &PairStatus| (status.state, status.hard, status.flapping);
        if standing(before) == standing(after) {
            return None;
        }
        let task = result.task.as_ref()?;
        let change = StateChange {
            host: &result.host,
            task,
            before: before.state,
            state: after.state,
            outcome: after.outcome,
            hard: after.hard,
            attempt: after.attempt,
            flapping: after.flapping,
            since: after.since,
            result: result.id,
            message: &result.message,
        };
        Some(Self::of("state", Some(&result.host), Some(task), &change))
    }
}

impl Journal {
    fn kept(&self) -> MutexGuard<'_, VecDeque<Arc<News>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what has happened.
    pub(super) fn tell(&self, draft: Draft) {
        let Draft { kind, host, task, data } = draft;
        let mut kept = self.kept();
        let number = *self.newest.borrow() + 1;
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Arc::new(News { number, kind, host, task, data }));
        self.newest.send_replace(number);
    }

    /// A host stands otherwise than before.
    pub(super) fn host(&self, host: &Name, before: &HostRecord, after: &HostRecord) {
        let standing = |record: &HostRecord| (record.state, record.hard);
        if standing(before) == standing(after) {
            return;
        }
        let change = HostChange {
            host,
            before: before.state,
            state: after.state,
            hard: after.hard,
            attempt: after.attempt,
            since: after.since,
            reason: after.reason,
            message: after.message.as_deref(),
        };
        self.tell(Draft::of("host", Some(host), None, &change));
    }

    /// All firing is stopped, or goes on.
    pub(super) fn pause(&self, pause: Option<&Pause>) {
        let change = PauseChange {
            paused: pause.is_some(),
            since: pause.map(|pause| pause.at),
            by: pause.and_then(|pause| pause.by.as_ref()),
        };
        self.tell(Draft::of("pause", None, None, &change));
    }

    /// Lets all listeners go who have heard everything.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.newest.send_modify(|_| {});
    }

    /// The number of the newest; 0 before the first.
    pub fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// The first after this one that is kept, or how many are not any more.
    fn after(&self, number: u64) -> Option<Heard> {
        let kept = self.kept();
        let first = kept.front()?.number;
        if number + 1 < first {
            return Some(Heard::Gap { missed: first - number - 1, next: first });
        }
        let place = usize::try_from(number + 1 - first).ok()?;
        kept.get(place).cloned().map(Heard::News)
    }
}

/// Hears what happens, from whenever.
pub struct Listener {
    journal: Arc<Journal>,
    newest: watch::Receiver<u64>,
    heard: u64,
}

impl Listener {
    /// Hears what comes after the news of this number.
    pub fn new(journal: Arc<Journal>, heard: u64) -> Self {
        Self { newest: journal.newest.subscribe(), journal, heard }
    }

    /// What comes next; none once Alf is stopping. May be dropped while it waits, and asked again: nothing gets lost.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            self.newest.borrow_and_update();
            match self.journal.after(self.heard) {
                Some(heard) => {
                    self.heard = match &heard {
                        Heard::News(news) => news.number,
                        Heard::Gap { next, .. } => next - 1,
                    };
                    return Some(heard);
                }
                None if self.journal.closed.load(Ordering::Acquire) => return None,
                // The journal lives as long as this listener.
                None => drop(self.newest.changed().await),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(heard: Option<Heard>) -> String {
        match heard {
            None => "the end".to_owned(),
            Some(Heard::News(news)) => format!("{} {}", news.number, news.data),
            Some(Heard::Gap { missed, next }) => format!("{missed} missed, {next} next"),
        }
    }

    fn tell(journal: &Journal, count: u64) {
        (0..count).for_each(|n| journal.tell(Draft::of("result", None, None, &n)));
    }

    #[tokio::test]
    async fn a_listener_hears_all_in_order_and_is_told_what_it_missed() {
        let journal = Arc::new(Journal::default());
        let mut early = Listener::new(Arc::clone(&journal), 0);
        tell(&journal, 3);
        let mut late = Listener::new(Arc::clone(&journal), journal.newest());
        assert_eq!(told(early.next().await), "1 0");
        assert_eq!(told(early.next().await), "2 1");
        tell(&journal, 1);
        assert_eq!(told(late.next().await), "4 0", "what came before it is not heard");
        tell(&journal, 1200);
        assert_eq!(told(early.next().await), "202 missed, 205 next");
        assert_eq!(told(early.next().await), "205 200");
        let mut last = Listener::new(Arc::clone(&journal), journal.newest());
        let waiting = tokio::spawn(async move { told(last.next().await) });
        tokio::task::yield_now().await;
        tell(&journal, 1);
        assert_eq!(waiting.await.unwrap(), "1205 0");
        tell(&journal, 1);
        journal.close();
        assert_eq!(told(late.next().await), "202 missed, 207 next", "what is there is heard to the end");
        let mut none = Listener::new(Arc::clone(&journal), journal.newest());
        assert_eq!(told(none.next().await), "the end");
    }

    #[test]
    fn only_what_changes_is_told() {
        let journal = Journal::default();
        let host = Name::parse("web1").unwrap();
        let (up, down) = (HostRecord { state: Some(HostState::Up), ..HostRecord::default() }, HostRecord::default());
        journal.host(&host, &up, &up);
        assert_eq!(journal.newest(), 0);
        journal.host(&host, &down, &up);
        let Some(Heard::News(news)) = journal.after(0) else { panic!("nothing is told") };
        assert_eq!((news.kind, news.host.as_ref()), ("host", Some(&host)));
        assert!(news.data.contains(r#""before":null,"state":"UP""#), "{}", news.data);
    }
}
