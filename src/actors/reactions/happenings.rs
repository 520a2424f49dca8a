//! What has happened and was not looked at yet. All of it is on disk; here stands what need not be read from there. It
//! belongs to no actor, so that none takes an event with it when it dies.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::model::{Event, RunId, RunResult};

/// Most that is kept here: what comes on top is read from the store later.
const MOST: usize = 1000;

/// Something that has happened, and is on disk.
#[derive(Debug, Clone)]
pub(in crate::actors) struct Happened {
    /// What.
    pub(in crate::actors) event: Event,
    /// The Result that tells of it, if it is at hand.
    pub(in crate::actors) result: Option<Arc<RunResult>>,
}

/// What there is to do.
#[derive(Debug)]
pub(in crate::actors) enum Next {
    /// Look at this.
    Look(Box<Happened>),
    /// Read so many from the store.
    Read(usize),
    /// Nothing.
    Nothing,
}

/// What has happened and was not looked at yet.
#[derive(Debug)]
pub(in crate::actors) struct Happenings {
    inner: Mutex<Inner>,
    news: Notify,
}

#[derive(Debug)]
struct Inner {
    queue: VecDeque<Happened>,
    /// Those that are to come here, stand here, or are looked at: none of them is taken from the store.
    known: HashSet<RunId>,
    /// There may be others in the store.
    behind: bool,
}

impl Default for Happenings {
    fn default() -> Self {
        // Of a life before this one.
        let inner = Inner { queue: VecDeque::new(), known: HashSet::new(), behind: true };
        Self { inner: Mutex::new(inner), news: Notify::new() }
    }
}

impl Happenings {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An event is on its way to the disk, and will come here.
    pub(in crate::actors) fn expect(&self, id: RunId) {
        self.inner().known.insert(id);
    }

    /// It is on disk.
    pub(in crate::actors) fn tell(&self, happened: Happened) {
        let mut inner = self.inner();
        if inner.queue.len() < MOST {
            inner.queue.push_back(happened);
        } else {
            inner.known.remove(&happened.event.id);
            inner.behind = true;
        }
        drop(inner);
        self.news.notify_one();
    }

    /// It did not get there, or was looked at and that is on disk.
    pub(in crate::actors) fn forget(&self, id: RunId) {
        self.inner().known.remove(&id);
    }

    /// Whether it is still to come, or to be looked at, as far as is known here.
    pub(super) fn awaits(&self, id: RunId) -> bool {
        let inner = self.inner();
        inner.behind || inner.known.contains(&id)
    }

    /// Waits until there may be something to do.
    pub(super) async fn wait(&self) {
        self.news.notified().await;
    }

    /// What there is to do next.
    pub(super) fn next(&self) -> Next {
        let mut inner = self.inner();
        match inner.queue.pop_front() {
            Some(happened) => Next::Look(Box::new(happened)),
            None if inner.behind => Next::Read(MOST + inner.known.len()),
            None => Next::Nothing,
        }
    }

    /// What was read from the store: all there was, or as much as was asked for.
    pub(super) fn read(&self, mut events: Vec<Event>, asked: usize) {
        let mut inner = self.inner();
        inner.behind = events.len() >= asked;
        events.retain(|event| !inner.known.contains(&event.id));
        // Ids are by when a run began, not by when it ended.
        events.sort_by_key(|event| (event.at, event.id));
        for event in events {
            inner.known.insert(event.id);
            inner.queue.push_back(Happened { event, result: None });
        }
    }

    /// A life of who looks at them has ended: what it had in hand is read again.
    pub(super) fn start_over(&self, in_hand: Option<RunId>) {
        let mut inner = self.inner();
        if let Some(id) = in_hand {
            inner.known.remove(&id);
        }
        inner.behind = true;
    }

    /// How many wait here.
    pub(in crate::actors) fn waiting(&self) -> usize {
        self.inner().queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Change, Name, RunIds, Timestamp};

    fn event(ids: &RunIds, second: i64) -> Event {
        let at = Timestamp::from_millis(second * 1000).unwrap();
        let name = |text: &str| Name::parse(text).unwrap();
        let change = Change::Unlinked { task: name("t") };
        Event { id: ids.next(at), at, host: name("h"), has_result: true, change }
    }

    fn next(happenings: &Happenings) -> Option<RunId> {
        match happenings.next() {
            Next::Look(happened) => Some(happened.event.id),
            Next::Read(_) | Next::Nothing => None,
        }
    }

    #[test]
    fn what_is_in_the_store_is_read_once_and_in_order() {
        let (ids, happenings) = (RunIds::default(), Happenings::default());
        let (first, second, third) = (event(&ids, 3), event(&ids, 2), event(&ids, 1));
        happenings.expect(third.id);
        let Next::Read(asked) = happenings.next() else { panic!("nothing is read at the start") };
        happenings.read(vec![first.clone(), second.clone(), third.clone()], asked);
        assert_eq!(next(&happenings), Some(second.id), "by when they happened");
        assert_eq!(next(&happenings), Some(first.id));
        assert!(matches!(happenings.next(), Next::Nothing), "the third one comes by itself");
        happenings.tell(Happened { event: third.clone(), result: None });
        assert_eq!(next(&happenings), Some(third.id));
    }

    #[test]
    fn what_there_is_no_room_for_is_read_later() {
        let (ids, happenings) = (RunIds::default(), Happenings::default());
        let Next::Read(asked) = happenings.next() else { panic!("nothing is read at the start") };
        happenings.read(Vec::new(), asked);
        let events: Vec<Event> = (0..1500).map(|second| event(&ids, second)).collect();
        for event in &events {
            happenings.expect(event.id);
            happenings.tell(Happened { event: event.clone(), result: None });
        }
        let mut seen = Vec::new();
        while let Some(id) = next(&happenings) {
            seen.push(id);
        }
        let Next::Read(asked) = happenings.next() else { panic!("the others are not read") };
        assert!(asked >= 1500);
        happenings.read(events.clone(), asked);
        while let Some(id) = next(&happenings) {
            seen.push(id);
        }
        assert_eq!(seen, events.iter().map(|event| event.id).collect::<Vec<_>>());
        assert!(matches!(happenings.next(), Next::Nothing));
    }

    #[test]
    fn a_new_life_reads_what_the_one_before_had_in_hand() {
        let (ids, happenings) = (RunIds::default(), Happenings::default());
        let Next::Read(asked) = happenings.next() else { panic!("nothing is read at the start") };
        let only = event(&ids, 1);
        happenings.read(vec![only.clone()], asked);
        assert_eq!(next(&happenings), Some(only.id));
        happenings.start_over(Some(only.id));
        let Next::Read(asked) = happenings.next() else { panic!("nothing is read again") };
        happenings.read(vec![only.clone()], asked);
        assert_eq!(next(&happenings), Some(only.id));
    }
}
