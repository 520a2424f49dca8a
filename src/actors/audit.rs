//! What the audit is told: who changed or started what. A change of definitions is told in its own transaction, a run
//! with its claim; nothing that is told holds a value.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};

use super::catalog::Change;
use super::error::AlfError;
use super::handle::AlfHandle;
use crate::for_each_noun;
use crate::model::{
    AnyDefinition, AuditEntry, AuditOutcome, AuditPage, AuditQuery, Definition as _, Name, Noun, Origin, Reference,
    RunId, RunIds, Secrets, Timestamp, Verb,
};
use crate::store::{DefinitionChange, Write};

/// Fields that are different at every change.
const BOOKKEEPING: [&str; 3] = ["version", "created_at", "updated_at"];
/// The time within which refused logins from one address are told together.
const TOGETHER: Duration = Duration::from_secs(60);
/// How many addresses are told apart within that time.
const ADDRESSES: usize = 1000;

/// What is told of a change of definitions.
pub(super) fn told(change: &Change, ids: &RunIds, now: Timestamp, origin: &Origin) -> Vec<DefinitionChange> {
    let entry = |verb, what: Reference| AuditEntry::new(ids.next(now), now, origin, verb).to(what);
    let gone = change.gone.iter().map(|one| entry(Verb::Delete, one.reference()));
    let put = change.put.iter().filter(|done| done.changed).map(|done| {
        let what = done.definition.reference();
        match &done.previous {
            None => entry(Verb::Create, what),
            Some(previous) => {
                AuditEntry { fields: changed_fields(previous, &done.definition), ..entry(Verb::Update, what) }
            }
        }
    });
    gone.chain(put).map(|entry| DefinitionChange::Audit(Box::new(entry))).collect()
}

/// The names of the fields that are different, those of secrets included.
fn changed_fields(before: &AnyDefinition, now: &AnyDefinition) -> Vec<String> {
    let ((before, old_secrets), (now, new_secrets)) = (parts(before), parts(now));
    let mut fields = BTreeSet::new();
    for field in before.keys().chain(now.keys()) {
        if before.get(field) != now.get(field) && !BOOKKEEPING.contains(&field.as_str()) {
            fields.insert(field.clone());
        }
    }
    for secret in old_secrets.keys().chain(new_secrets.keys()) {
        if old_secrets.get(secret) != new_secrets.get(secret) {
            // One that lies deeper is told by the field it is in.
            fields.extend(secret.split('/').find(|part| !part.is_empty()).map(str::to_owned));
        }
    }
    fields.into_iter().collect()
}

fn parts(definition: &AnyDefinition) -> (Map<String, Value>, Secrets) {
    macro_rules! parts {
        ($($kind:ident $field:ident),*) => {
            match definition {
                $(AnyDefinition::$kind(one) => (serde_json::to_value(one.document()), one.secrets()),)*
            }
        };
    }
    let (document, secrets) = for_each_noun!(parts);
    let fields = match document {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    (fields, secrets)
}

/// What is told of a run that somebody starts; nothing of one that Alf starts for itself.
pub(super) fn of_run(
    origin: Option<&Origin>,
    run: RunId,
    now: Timestamp,
    host: &Name,
    task: Option<&Name>,
) -> Option<Write> {
    let verb = if task.is_some() { Verb::Run } else { Verb::Exec };
    let entry = AuditEntry::new(run, now, origin?, verb);
    let entry = AuditEntry { host: Some(host.clone()), run: Some(run), ..entry };
    Some(Write::Audit(Box::new(match task {
        Some(task) => entry.to(Reference { noun: Noun::Task, name: task.clone() }),
        None => entry,
    })))
}

/// The refused logins that are not told yet, by address: of each the first is told at once, the others together when a
/// minute is over.
#[derive(Debug, Default)]
pub struct RefusedLogins(Mutex<HashMap<Option<IpAddr>, u64>>);

impl RefusedLogins {
    fn lock(&self) -> MutexGuard<'_, HashMap<Option<IpAddr>, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one; whether it is the first of its minute, and under which address it is told: of too many at once none.
    fn note(&self, address: Option<IpAddr>) -> (bool, Option<IpAddr>) {
        let mut counts = self.lock();
        let known = counts.contains_key(&address) || counts.len() < ADDRESSES;
        let address = address.filter(|_| known);
        let first = !counts.contains_key(&address);
        *counts.entry(address).or_default() += 1;
        (first, address)
    }

    /// Takes what was counted of an address, which begins anew.
    fn take(&self, address: Option<IpAddr>) -> u64 {
        self.lock().get_mut(&address).map(std::mem::take).unwrap_or_default()
    }

    fn forget(&self, address: Option<IpAddr>) {
        self.lock().remove(&address);
    }
}

impl AlfHandle {
    /// Entries of the audit, newest first.
    pub async fn audit(&self, query: AuditQuery) -> Result<AuditPage, AlfError> {
        Ok(self.store.audit(query).await?)
    }

    /// Tells the audit of something, for nobody who waits for it.
    pub(super) fn tell(&self, entry: AuditEntry) {
        let written = self.writer.write(vec![Write::Audit(Box::new(entry))]);
        actix_rt::spawn(async move {
            if let Err(error) = written.await {
                log::error!("the audit could not be told: {error}");
            }
        });
    }

    /// An entry of something done now for whom this handle is.
    pub(super) fn entry(&self, verb: Verb) -> AuditEntry {
        AuditEntry::new(self.audit_ids.next(self.now()), self.now(), self.origin(), verb)
    }

    /// Somebody was refused who showed a key that is not (or no longer) good.
    pub fn login_refused(&self) {
        let (first, address) = self.refused_logins.note(self.origin().address);
        if !first {
            return;
        }
        self.tell_refused(address, true);
        let handle = self.clone();
        actix_rt::spawn(async move {
            loop {
                tokio::time::sleep(TOGETHER).await;
                if !handle.tell_refused(address, false) {
                    break;
                }
            }
        });
    }

    /// Tells of what was counted of an address; false when there is nothing to tell. While the store takes nothing it is
    /// counted on, so that a flood fills no queue.
    fn tell_refused(&self, address: Option<IpAddr>, with_request: bool) -> bool {
        if self.writer.is_full() || self.writer.failing().is_some() {
            return true;
        }
        let count = self.refused_logins.take(address);
        if count == 0 {
            self.refused_logins.forget(address);
            return false;
        }
        let entry = self.entry(Verb::Login);
        let request = entry.request.clone().filter(|_| with_request);
        self.tell(AuditEntry { outcome: AuditOutcome::Refused, address, request, count, ..entry });
        true
    }

    /// Tells of all refused logins that were counted: Alf is stopping.
    pub fn tell_refused_logins(&self) {
        let addresses: Vec<_> = self.refused_logins.lock().keys().copied().collect();
        for address in addresses {
            self.tell_refused(address, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_logins_are_counted_by_address_within_bounds() {
        let refused = RefusedLogins::default();
        let address = |n: u32| Some(IpAddr::V4(n.into()));
        assert_eq!(refused.note(address(1)), (true, address(1)));
        assert_eq!(refused.note(address(1)), (false, address(1)));
        assert_eq!((refused.take(address(1)), refused.take(address(1))), (2, 0));
        assert_eq!(refused.note(address(1)), (false, address(1)), "the minute goes on");
        refused.forget(address(1));
        assert_eq!(refused.note(address(1)), (true, address(1)), "another one has begun");
        for n in 2..5000 {
            refused.note(address(n));
        }
        assert!(refused.lock().len() <= ADDRESSES + 1);
        assert_eq!(refused.note(address(5001)), (false, None), "of too many at once it is told how many");
        assert!(refused.take(None) > 3000);
    }
}
