//! The bytes of programs: kept with their definitions, read when a host needs them.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::error::AlfError;
use crate::model::{Catalog, ContentHash, Fault, Name, Program};
use crate::ssh::{ProgramFile, ProgramSource};
use crate::store::{Blob, DefinitionChange, Store};

/// A program whose bytes are in the store.
pub(super) struct StoredProgram {
    /// What a run still holds when Alf stops does not keep the store open.
    store: Weak<dyn Store>,
    name: Name,
    sha256: ContentHash,
}

impl StoredProgram {
    /// For the SSH room, which asks for the bytes only when a host does not have them.
    pub(super) fn file(store: &Arc<dyn Store>, program: &Program) -> ProgramFile {
        let sha256 = program.content.sha256.clone();
        ProgramFile {
            sha256: sha256.to_string(),
            source: Arc::new(Self { store: Arc::downgrade(store), name: program.meta.name.clone(), sha256 }),
        }
    }
}

impl ProgramSource for StoredProgram {
    fn bytes(&self) -> BoxFuture<'static, Result<Bytes, String>> {
        let (store, name, sha256) = (self.store.upgrade(), self.name.clone(), self.sha256.clone());
        async move {
            let store = store.ok_or_else(|| "Alf is stopping".to_owned())?;
            match store.blob(sha256).await {
                Ok(Some(bytes)) => Ok(bytes),
                // Other bytes were put in their place while the run waited.
                Ok(None) => Err(format!("the file of program \"{name}\" was replaced meanwhile: run it again")),
                Err(error) => Err(format!("the file of program \"{name}\" cannot be read: {error}")),
            }
        }
        .boxed()
    }
}

/// What becomes of the bytes when one catalog turns into the next: kept where they are new, forgotten where no program
/// has them any more. Part of the same transaction as the change itself.
///
/// # Errors
/// A document speaks of bytes that nobody sent.
pub(super) fn blob_changes(
    before: &Catalog,
    after: &Catalog,
    sent: Option<&Bytes>,
) -> Result<Vec<DefinitionChange>, AlfError> {
    let hashes = |catalog: &Catalog| -> BTreeSet<ContentHash> {
        catalog.programs.values().map(|program| program.content.sha256.clone()).collect()
    };
    let (before, after) = (hashes(before), hashes(after));
    let mut changes = Vec::new();
    for sha256 in after.difference(&before).cloned() {
        let Some(bytes) = sent.cloned() else {
            let detail = "the bytes of a program are sent with PUT and Content-Type: application/octet-stream";
            return Err(AlfError::Invalid(vec![Fault::new("/sha256", detail)]));
        };
        changes.push(DefinitionChange::PutBlob(Blob { sha256, bytes }));
    }
    changes.extend(before.difference(&after).cloned().map(DefinitionChange::RemoveBlob));
    Ok(changes)
}
