//! What an Action has to know of the rest: how things stand, and what stands in the way.

use crate::actors::board::Board;
use crate::model::action::{Moment, On};
use crate::model::{
    Action, AnyState, Catalog, Holds, HostStanding, Name, NoticeKey, PairStanding, RunId, Stands, State, Terms,
    Timestamp,
};

/// Among so many Results one that was executed is looked for.
const NEWEST: usize = 10;

/// Everything as it is now.
pub(super) struct Surroundings<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) board: &'a Board,
    pub(super) now: Timestamp,
}

impl Surroundings<'_> {
    /// What stands in the way of telling this one; the limit left to who counts.
    pub(super) fn holds(&self, key: &NoticeKey) -> Holds {
        let host = self.catalog.hosts.get(&key.host);
        let downtimes = self.catalog.downtimes_at(self.now);
        let record = self.board.host(&key.host);
        let mut holds = Holds { quiet: self.quiet(key), ..Holds::default() };
        match &key.task {
            Some(task) => {
                let row = self.board.pair_status(&key.host, task, 0, self.now);
                holds.host_down = record.as_ref().is_some_and(|record| record.is_down());
                holds.downtime = host.is_some_and(|host| downtimes.cover(host, task));
                holds.acknowledged = row.as_ref().is_some_and(|row| row.acknowledged);
                holds.flapping = row.as_ref().is_some_and(|row| row.flapping);
            }
            None => {
                let ack = record.as_ref().and_then(|record| record.ack.as_ref());
                holds.downtime = host.is_some_and(|host| downtimes.cover_host(host));
                holds.acknowledged = ack.is_some_and(|ack| ack.holds(self.now));
            }
        }
        holds
    }

    /// The states of which the contact is told even now, in quiet hours; none where there are none now.
    fn quiet(&self, key: &NoticeKey) -> Option<Vec<AnyState>> {
        let contact = self.catalog.contacts.get(key.contact.as_ref()?)?;
        let told = |state: &AnyState| contact.quiet_until(*state, self.now).is_none();
        let except: Vec<AnyState> = AnyState::ALL.into_iter().filter(told).collect();
        (except.len() < AnyState::ALL.len()).then_some(except)
    }

    /// The newest Result of a pair that tells how it stands.
    pub(super) fn newest(&self, host: &Name, task: &Name) -> Option<RunId> {
        let row = self.board.pair_status(host, task, NEWEST, self.now)?;
        row.last.iter().find(|last| last.state.is_some()).map(|last| last.id)
    }

    /// How what a notice is of stands now, as far as its Action asks; none: it is not there any more.
    pub(super) fn stands(&self, action: &Action, host: &Name, task: Option<&Name>) -> Option<Stands> {
        let Some(task) = task else {
            return Some(HostStanding::from(&self.board.host(host)?).stands());
        };
        let pair = self.board.standing(host, task)?;
        Some(match action.when.moment {
            Moment::On(On::Late) => of_condition(pair.late, &pair),
            Moment::On(On::Stale) => of_condition(pair.stale, &pair),
            _ => pair.stands(),
        })
    }
}

/// A condition stands beyond doubt, whatever the state is.
fn of_condition(holds: bool, pair: &PairStanding) -> Stands {
    let state = pair.state().filter(|state| !state.is_well()).unwrap_or(AnyState::Task(State::Unknown));
    if holds { Stands::Hard(state) } else { Stands::Well }
}

/// How an Action tells.
pub(super) fn terms(action: &Action) -> Terms {
    let millis = |span: crate::model::Span| i64::try_from(span.get().as_millis()).unwrap_or(i64::MAX);
    let lasting = match action.when.moment {
        Moment::Lasting(span) => Some(millis(span)),
        Moment::On(_) | Moment::After(_) => None,
    };
    Terms {
        recovery: action.recovery,
        throttle: action.throttle.map(millis),
        repeat: action.repeat.map(millis),
        lasting,
    }
}
