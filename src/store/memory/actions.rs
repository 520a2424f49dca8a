//! What Actions need kept.

use std::collections::BTreeMap;

use crate::model::{
    Evaluated, Event, Notice, NoticeKey, Notification, NotificationPage, NotificationQuery, Parcel, RunId, Trace,
};
use crate::store::Traced;

#[derive(Default)]
pub(super) struct Kept {
    pub(super) due: BTreeMap<RunId, Event>,
    pub(super) notices: BTreeMap<NoticeKey, Notice>,
    pub(super) notifications: BTreeMap<RunId, Notification>,
    pub(super) parcels: BTreeMap<RunId, Parcel>,
    pub(super) traces: BTreeMap<RunId, Trace>,
}

impl Kept {
    pub(super) fn evaluated(&mut self, evaluated: Evaluated) {
        if let Some(event) = evaluated.event {
            self.due.remove(&event);
        }
        if let Some(trace) = evaluated.trace {
            self.traces.insert(trace.result, trace);
        }
        for (key, notice) in evaluated.notices {
            match notice {
                Some(notice) => self.notices.insert(key, notice),
                None => self.notices.remove(&key),
            };
        }
        self.notifications.extend(evaluated.notifications.into_iter().map(|one| (one.id, one)));
        self.parcels.extend(evaluated.parcels.into_iter().map(|parcel| (parcel.id, parcel)));
        for parcel in evaluated.delivered {
            self.parcels.remove(&parcel);
        }
    }

    pub(super) fn page(&self, query: &NotificationQuery) -> NotificationPage {
        let all = || self.notifications.values().rev().filter(|one| query.matches(one));
        let older = |one: &&Notification| query.before.is_none_or(|before| one.id < before);
        let mut items: Vec<_> = all().filter(older).take(query.limit.saturating_add(1)).cloned().collect();
        let more = items.len() > query.limit;
        items.truncate(query.limit);
        let next = items.last().map(|last| last.id).filter(|_| more);
        NotificationPage { next, total: all().count() as u64, items }
    }

    pub(super) fn trace(&self, result: RunId) -> Option<Traced> {
        let trace = self.traces.get(&result)?.clone();
        let named = trace.notifications().filter_map(|id| self.notifications.get(&id).cloned()).collect();
        Some((trace, named))
    }
}
