//! What was refused, as the audit is told of it: logins by address, calls by key and operation. Of each the first is told at
//! once, the others together when a minute is over, so that no flood of them fills the audit.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::audit;
use super::handle::AlfHandle;
use crate::model::{AuditEntry, AuditOutcome, Name, Reference, Verb};

/// The time within which refusals of one kind are told together.
const TOGETHER: Duration = Duration::from_secs(60);
/// How many kinds are told apart within that time.
const KINDS: usize = 1000;

/// What is told together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    /// Keys that are not good, from one address; from many where there are too many to tell apart.
    Login(Option<IpAddr>),
    /// Calls that a key may not make: its name and the operation; none where there are too many to tell apart.
    Call(Option<(Name, String)>),
}

impl Kind {
    /// What it is told as where there are too many to tell apart.
    fn of_many(&self) -> Self {
        match self {
            Self::Login(_) => Self::Login(None),
            Self::Call(_) => Self::Call(None),
        }
    }
}

/// A call that the key may not make.
#[derive(Debug, Clone, Default)]
pub struct RefusedCall {
    /// Method and path, its variable parts in braces.
    pub call: String,
    /// What it was for, where the path names it.
    pub what: Option<Reference>,
    /// On which host, where the path names it.
    pub host: Option<Name>,
}

/// The refusals that are not told yet.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<Kind, u64>>);

impl Refusals {
    fn lock(&self) -> MutexGuard<'_, HashMap<Kind, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one; whether it is the first of its minute, and as what it is told.
    fn note(&self, kind: Kind) -> (bool, Kind) {
        let mut counts = self.lock();
        let known = counts.contains_key(&kind) || counts.len() < KINDS;
        let kind = if known { kind } else { kind.of_many() };
        let first = !counts.contains_key(&kind);
        *counts.entry(kind.clone()).or_default() += 1;
        (first, kind)
    }

    /// Takes what was counted of a kind, which begins anew.
    fn take(&self, kind: &Kind) -> u64 {
        self.lock().get_mut(kind).map(std::mem::take).unwrap_or_default()
    }

    fn forget(&self, kind: &Kind) {
        self.lock().remove(kind);
    }
}

impl AlfHandle {
    /// Somebody was refused who showed a key that is not (or no longer) good.
    pub fn login_refused(&self) {
        self.refuse(Kind::Login(self.origin().address), |entry| entry);
    }

    /// Somebody was refused whose key may not make this call.
    pub fn call_refused(&self, refused: RefusedCall) {
        let by = self.origin().by.clone();
        let RefusedCall { call, what, host } = refused;
        self.refuse(Kind::Call(by.map(|by| (by, call))), |entry| {
            let entry = AuditEntry { host, ..entry };
            match what {
                Some(what) => entry.to(what),
                None => entry,
            }
        });
    }

    /// Counts a refusal; the first of its kind is told at once, with all that is known of it.
    fn refuse(&self, kind: Kind, whole: impl FnOnce(AuditEntry) -> AuditEntry) {
        let (first, kind) = self.refusals.note(kind);
        if !first {
            return;
        }
        self.tell_refused(&kind, |entry| whole(AuditEntry { request: self.origin().request.clone(), ..entry }));
        let handle = self.clone();
        actix_rt::spawn(async move {
            loop {
                tokio::time::sleep(TOGETHER).await;
                if !handle.tell_refused(&kind, |entry| entry) {
                    break;
                }
            }
        });
    }

    /// Tells of what was counted of a kind; false when there is nothing to tell. While the store takes nothing it is counted
    /// on, so that a flood fills no queue.
    fn tell_refused(&self, kind: &Kind, whole: impl FnOnce(AuditEntry) -> AuditEntry) -> bool {
        if self.writer.is_full() || self.writer.failing().is_some() {
            return true;
        }
        let count = self.refusals.take(kind);
        if count == 0 {
            self.refusals.forget(kind);
            return false;
        }
        let entry = AuditEntry { outcome: AuditOutcome::Refused, request: None, count, ..self.entry(Verb::Login) };
        let entry = match kind.clone() {
            Kind::Login(address) => AuditEntry { address, ..entry },
            Kind::Call(None) => AuditEntry { verb: Verb::Call, by: None, address: None, ..entry },
            Kind::Call(Some((by, call))) => AuditEntry { verb: Verb::Call, by: Some(by), call: Some(call), ..entry },
        };
        drop(audit::tell(&self.writer, whole(entry)));
        true
    }

    /// Tells of all refusals that were counted: Alf is stopping.
    pub fn tell_refusals(&self) {
        let kinds: Vec<Kind> = self.refusals.lock().keys().cloned().collect();
        for kind in kinds {
            self.tell_refused(&kind, |entry| entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_by_kind_within_bounds() {
        let refused = Refusals::default();
        let login = |n: u32| Kind::Login(Some(IpAddr::V4(n.into())));
        let call = |by: &str, n: u32| Kind::Call(Some((Name::parse(by).unwrap(), format!("GET /{n}"))));
        assert_eq!(refused.note(login(1)), (true, login(1)));
        assert_eq!(refused.note(login(1)), (false, login(1)));
        assert_eq!((refused.take(&login(1)), refused.take(&login(1))), (2, 0));
        assert_eq!(refused.note(login(1)), (false, login(1)), "the minute goes on");
        refused.forget(&login(1));
        assert_eq!(refused.note(login(1)), (true, login(1)), "another one has begun");
        assert_eq!(refused.note(call("anna", 1)), (true, call("anna", 1)));
        assert_eq!(refused.note(call("anna", 2)), (true, call("anna", 2)), "another operation");
        assert_eq!(refused.note(call("bert", 1)), (true, call("bert", 1)), "another key");
        for n in 2..5000 {
            refused.note(login(n));
        }
        assert!(refused.lock().len() <= KINDS + 2);
        let many = Kind::Login(None);
        assert_eq!(refused.note(login(5001)), (false, many.clone()), "of too many at once it is told how many");
        assert!(refused.take(&many) > 3000);
        assert_eq!(refused.note(call("carl", 1)), (true, Kind::Call(None)));
        assert_eq!(refused.note(call("anna", 1)), (false, call("anna", 1)), "who is known stays known");
    }
}
