//! What follows from what happens: which Actions are for it, who is told, what is owed, what is still to be sent.
//!
//! An event is on disk before it is looked at, and what comes of it is written at once, with the mark that it was
//! looked at: nothing is forgotten and nothing done twice, whatever ends in between. What stands here belongs to no
//! actor, as the board does not; `ActionActor` alone changes it.

mod deliver;
mod desk;
mod figures;
mod happenings;
mod look;
mod payload;
mod surroundings;
mod would;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use deliver::{Courier, Handed, Message};
pub(super) use deliver::{Deed, Delivered, Start, deed, not_started};
use figures::Trouble;
pub use figures::{ActionCounts, ActionFigures, ReceiverState, SinkFigures};
use happenings::Happenings;
pub(super) use happenings::{Happened, Next};
pub(super) use look::Facts;
pub(super) use would::shown;
pub use would::{MessagePreview, RunPreview, Would, WouldTell};

use crate::model::{Event, Name, Notice, NoticeKey, Parcel, RunId, Timestamp};

/// What follows from what happens.
#[derive(Debug, Default)]
pub struct Reactions {
    happenings: Happenings,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    notices: BTreeMap<NoticeKey, Notice>,
    parcels: BTreeMap<RunId, Parcel>,
    /// Parcels on their way to the disk, and how often: they are not sent before they are there.
    in_writing: HashMap<RunId, usize>,
    /// Parcels that are being delivered, and by which Action.
    in_delivery: HashMap<RunId, Name>,
    /// When each Action that has a limit told something.
    sent: HashMap<Name, VecDeque<Timestamp>>,
    counts: BTreeMap<Name, ActionCounts>,
    /// What went wrong last, by the Action.
    troubles: BTreeMap<Name, Trouble>,
    /// The event that is being looked at.
    in_hand: Option<RunId>,
}

impl Reactions {
    /// With what the store knew at the start.
    pub fn restored(
        notices: Vec<(NoticeKey, Notice)>,
        parcels: Vec<Parcel>,
        sent: HashMap<Name, VecDeque<Timestamp>>,
    ) -> Self {
        let state = State {
            notices: notices.into_iter().collect(),
            parcels: parcels.into_iter().map(|parcel| (parcel.id, parcel)).collect(),
            sent,
            ..State::default()
        };
        Self { state: Mutex::new(state), ..Self::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An event is on its way to the disk.
    pub(super) fn expect(&self, event: RunId) {
        self.happenings.expect(event);
    }

    /// An event is on disk.
    pub(super) fn tell(&self, happened: Happened) {
        self.happenings.tell(happened);
    }

    /// An event did not get to the disk, or what came of it did.
    pub(super) fn forget(&self, event: RunId) {
        self.happenings.forget(event);
    }

    /// Whether an event is on its way to be looked at, or may be: it may stand in the store among others.
    pub(super) fn awaits(&self, event: RunId) -> bool {
        self.happenings.awaits(event)
    }

    /// Waits until there may be something to look at.
    pub(super) async fn wait(&self) {
        self.happenings.wait().await;
    }

    /// How many events wait to be looked at.
    pub fn waiting(&self) -> usize {
        self.happenings.waiting()
    }

    /// How many parcels wait or are being delivered.
    pub fn parcels(&self) -> usize {
        self.state().parcels.len()
    }

    /// A life of the actor has begun: what the one before had in hand is read again.
    pub(super) fn start_over(&self) {
        let mut state = self.state();
        state.in_delivery.clear();
        state.in_writing.clear();
        drop(state);
        self.put_back();
    }

    /// What is in hand cannot be looked at now: it is read again.
    pub(super) fn put_back(&self) {
        let in_hand = self.state().in_hand.take();
        self.happenings.start_over(in_hand);
    }

    /// What was read from the store, all there was or as much as was asked for.
    pub(super) fn read(&self, events: Vec<Event>, asked: usize) {
        self.happenings.read(events, asked);
    }

    /// What was in hand is looked at, and what comes of it on its way to the disk.
    pub(super) fn looked_at(&self) {
        self.state().in_hand = None;
    }

    /// What there is to do next.
    pub(super) fn next(&self) -> Next {
        let next = self.happenings.next();
        if let Next::Look(happened) = &next {
            self.state().in_hand = Some(happened.event.id);
        }
        next
    }
}
