//! The catalog's present snapshot, for all to read without asking an actor.

use std::sync::{Arc, PoisonError, RwLock};

use crate::model::Catalog;

/// Where the present snapshot stands. Only the catalog actor puts a new one there.
#[derive(Debug, Clone, Default)]
pub struct Published(Arc<RwLock<Arc<Catalog>>>);

impl Published {
    /// With a first snapshot.
    pub fn new(catalog: Catalog) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(catalog))))
    }

    /// The present snapshot.
    pub fn get(&self) -> Arc<Catalog> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts the next one in its place.
    pub(super) fn set(&self, catalog: Arc<Catalog>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = catalog;
    }
}
