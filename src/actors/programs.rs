//! The bytes of programs: kept with their definitions, read when a host needs them.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::error::AlfError;
use crate::model::{AnyDefinition, Catalog, ContentHash, Fault, Name, Program};
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

/// What becomes of the bytes when `previous` turns into `next`: kept where they are new, forgotten where no other
/// program has them. Part of the same transaction as the change itself.
///
/// # Errors
/// The document speaks of bytes that nobody sent.
pub(super) fn blob_changes(
    catalog: &Catalog,
    previous: Option<&AnyDefinition>,
    next: Option<&AnyDefinition>,
    sent: Option<&Bytes>,
) -> Result<Vec<DefinitionChange>, AlfError> {
    let hash = |definition: Option<&AnyDefinition>| match definition {
        Some(AnyDefinition::Program(program)) => Some(program.content.sha256.clone()),
        _ => None,
    };
    let (before, after) = (hash(previous), hash(next));
    let mut changes = Vec::new();
    match (after.clone(), sent) {
        (Some(sha256), Some(bytes)) => changes.push(DefinitionChange::PutBlob(Blob { sha256, bytes: bytes.clone() })),
        (Some(sha256), None) if before.as_ref() != Some(&sha256) => {
            let detail = "the bytes of a program are sent with PUT and Content-Type: application/octet-stream";
            return Err(AlfError::Invalid(vec![Fault::new("/sha256", detail)]));
        }
        _ => {}
    }
    if let Some(sha256) = before.filter(|before| after.as_ref() != Some(before)) {
        let users = catalog.programs.values().filter(|program| program.content.sha256 == sha256).count();
        if users <= 1 {
            changes.push(DefinitionChange::RemoveBlob(sha256));
        }
    }
    Ok(changes)
}
