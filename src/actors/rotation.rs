//! Another encryption key: what the catalog keeps sealed is sealed anew, in one transaction of the store, while no other
//! change of definitions goes on.

use std::sync::Arc;

use actix::{AtomicResponse, Context, Handler, Message, WrapFuture as _};

use super::catalog::{CatalogActor, CatalogParts, TRIES};
use super::definitions::to_row;
use super::error::AlfError;
use crate::for_each_noun;
use crate::model::{AnyDefinition, AuditEntry, Catalog, Definition as _, Origin, Verb};
use crate::store::DefinitionChange;
use crate::vault::{Vault, VaultError};

/// Makes a new key and seals all secrets with it; answered by the number of definitions that have some. Versions stay.
#[derive(Debug, Message)]
#[rtype(result = "Result<usize, AlfError>")]
pub struct RotateKey(pub Arc<Origin>);

impl Handler<RotateKey> for CatalogActor {
    type Result = AtomicResponse<Self, Result<usize, AlfError>>;

    fn handle(&mut self, RotateKey(origin): RotateKey, _: &mut Context<Self>) -> Self::Result {
        let parts = Arc::clone(&self.parts);
        AtomicResponse::new(Box::pin(async move { parts.rotate(&origin).await }.into_actor(self)))
    }
}

impl CatalogParts {
    async fn rotate(&self, origin: &Origin) -> Result<usize, AlfError> {
        if self.vault.is_rotating() {
            // One that was cut short. It is ended first, so that the file never has more than two keys.
            self.seal_anew(None).await?;
            self.on_key_file(Vault::end_rotation).await?;
        }
        self.on_key_file(Vault::begin_rotation).await?;
        let resealed = self.seal_anew(Some(origin)).await?;
        if let Err(error) = self.store.scrub().await {
            log::warn!(
                "what was sealed with the old key may be found in the store's files until they are written to again: {error}"
            );
        }
        self.on_key_file(Vault::end_rotation).await?;
        log::info!(definitions = resealed; "the encryption key was changed");
        Ok(resealed)
    }

    async fn seal_anew(&self, told: Option<&Origin>) -> Result<usize, AlfError> {
        for _ in 0..TRIES {
            let catalog = self.published.get();
            let mut changes = Vec::new();
            for definition in with_secrets(&catalog) {
                changes.push(DefinitionChange::Put(to_row(&definition, &self.vault).map_err(AlfError::Store)?));
            }
            let resealed = changes.len();
            if let Some(origin) = told {
                let now = self.clock.now().into();
                let entry = AuditEntry::new(self.audit_ids.next(now), now, origin, Verb::RotateKey);
                changes.push(DefinitionChange::Audit(Box::new(entry)));
            }
            if changes.is_empty() || self.write(&catalog, changes, (*catalog).clone(), Vec::new()).await? {
                return Ok(resealed);
            }
        }
        Err(AlfError::Unavailable("others keep changing the definitions; try again".to_owned()))
    }

    async fn on_key_file(&self, work: fn(&Vault) -> Result<(), VaultError>) -> Result<(), AlfError> {
        let vault = Arc::clone(&self.vault);
        let done = tokio::task::spawn_blocking(move || work(&vault)).await;
        let done = done.map_err(|_| AlfError::Unavailable("the key file could not be worked on".to_owned()))?;
        done.map_err(|error| AlfError::KeyFile(error.to_string()))
    }
}

/// All definitions that have a secret.
fn with_secrets(catalog: &Catalog) -> Vec<AnyDefinition> {
    macro_rules! each {
        ($($kind:ident $field:ident),*) => {{
            let mut found = Vec::new();
            $(
                let secret = catalog.$field.values().filter(|one| !one.secrets().is_empty());
                found.extend(secret.map(|one| AnyDefinition::$kind(Arc::clone(one))));
            )*
            found
        }};
    }
    for_each_noun!(each)
}
