//! What goes with the wish for a run that somebody starts.

use std::sync::Arc;

use super::once::Once;
use crate::model::{Given, Name, Origin, RunId};

/// What goes with the wish for a run that somebody starts.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// The key that asks.
    pub by: Option<Name>,
    /// The group of runs that were asked for together.
    pub group: Option<RunId>,
    /// Who that is, if the audit is to be told.
    pub origin: Option<Arc<Origin>>,
    /// Variables, arguments and standard input of this run.
    pub given: Arc<Given>,
    /// The request that asks, where it is to be done once.
    pub once: Option<Once>,
}

impl Order {
    /// By a key, with nothing given.
    pub fn by(key: Option<Name>) -> Self {
        Self { by: key, ..Self::default() }
    }
}
