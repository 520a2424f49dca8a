//! What the audit is told: who changed or started what. A change is told in its own transaction, a run with its claim, the
//! end of one before it is killed (what is refused: `refused.rs`); nothing that is told holds a value.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::timeout;

use super::catalog::Change;
use super::error::AlfError;
use super::handle::AlfHandle;
use super::store::StoreWriter;
use crate::for_each_noun;
use crate::model::{
    AnyDefinition, AuditEntry, AuditPage, AuditQuery, Definition as _, Name, Noun, Origin, Reference, RunId, RunIds,
    Secrets, Timestamp, Verb,
};
use crate::store::{DefinitionChange, Write};

/// Fields that are different at every change.
const BOOKKEEPING: [&str; 3] = ["version", "created_at", "updated_at"];
/// How long who does something waits for the audit to be told of it first.
const FIRST_WITHIN: Duration = Duration::from_secs(5);

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
    macro_rules! secrets {
        ($($kind:ident $field:ident),*) => {
            match definition { $(AnyDefinition::$kind(one) => one.secrets(),)* }
        };
    }
    let secrets = for_each_noun!(secrets);
    let fields = match definition.document() {
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

/// Tells the audit of something; ends when it is on disk, and is told all the same where nobody waits for that.
pub(super) fn tell(writer: &StoreWriter, entry: AuditEntry) -> impl Future<Output = ()> + use<> {
    let written = writer.write(vec![Write::Audit(Box::new(entry))]);
    let telling = actix_rt::spawn(async move {
        if let Err(error) = written.await {
            log::error!("the audit could not be told: {error}");
        }
    });
    async move {
        let _ = telling.await;
    }
}

/// The same for what is done only when it is told. A store that is away or slow keeps nobody from doing it: the entry waits
/// for its return.
pub(super) fn tell_first(writer: &StoreWriter, entry: AuditEntry) -> impl Future<Output = ()> + use<> {
    let is_away = writer.failing().is_some();
    let told = tell(writer, entry);
    async move {
        if !is_away {
            let _ = timeout(FIRST_WITHIN, told).await;
        }
    }
}

impl AlfHandle {
    /// Entries of the audit, newest first.
    pub async fn audit(&self, query: AuditQuery) -> Result<AuditPage, AlfError> {
        Ok(self.store.audit(query).await?)
    }

    /// An entry of something done now for whom this handle is.
    pub(super) fn entry(&self, verb: Verb) -> AuditEntry {
        AuditEntry::new(self.audit_ids.next(self.now()), self.now(), self.origin(), verb)
    }
}
