//! What retention asks for, and what goes.

use std::collections::BTreeMap;

use super::Inner;
use crate::model::{Name, RunId, Timestamp};
use crate::store::{OldPage, OldQuery, SurplusQuery, Written};

impl Inner {
    pub(super) fn old(&self, query: &OldQuery) -> OldPage {
        let old = self.results.values().filter(|result| query.has(result)).map(|result| result.id);
        let ids: Vec<RunId> = old.take(query.limit).collect();
        let next = ids.last().copied().filter(|_| ids.len() == query.limit);
        OldPage { ids, next }
    }

    pub(super) fn surplus(&self, query: &SurplusQuery) -> Vec<RunId> {
        let mut newer: BTreeMap<(&Name, Option<&Name>), u64> = BTreeMap::new();
        let mut ids = Vec::new();
        for result in self.results.values().rev().filter(|result| query.tasks.has(result.task.as_ref())) {
            let newer = newer.entry((&result.host, result.task.as_ref())).or_default();
            *newer += 1;
            if *newer > query.keep && ids.len() < query.limit {
                ids.push(result.id);
            }
        }
        ids
    }

    pub(super) fn remove(&mut self, ids: &[RunId]) -> Written {
        let removed = ids.iter().filter(|id| self.results.remove(id).is_some()).count();
        self.saved.retain(|id| self.results.contains_key(id));
        ids.iter().for_each(|id| drop(self.actions.traces.remove(id)));
        Written::Removed(removed as u64)
    }

    pub(super) fn forget_notifications(&mut self, before: Timestamp, most: u64) -> Written {
        let notifications = &mut self.actions.notifications;
        let old = notifications.range(..RunId::earliest(before)).map(|(id, _)| *id);
        let old: Vec<RunId> = old.take(usize::try_from(most).unwrap_or(usize::MAX)).collect();
        old.iter().for_each(|id| drop(notifications.remove(id)));
        Written::Removed(old.len() as u64)
    }
}
