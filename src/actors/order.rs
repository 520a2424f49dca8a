//! What goes with the wish for a run that somebody starts.

use std::sync::Arc;

use super::once::Once;
use crate::model::{Cause, Given, Name, Origin, RunId};
use crate::store::Write;

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
    /// The Action that fires it; nobody else asks then.
    pub fired: Option<Fired>,
}

/// A run that an Action fires.
#[derive(Debug, Clone)]
pub struct Fired {
    /// Its id, known before: so it is not started twice.
    pub(super) id: RunId,
    /// Which Action, and because of what.
    pub(super) cause: Cause,
    /// Written with its claim.
    pub(super) with: Vec<Write>,
}

impl Order {
    /// By a key, with nothing given.
    pub fn by(key: Option<Name>) -> Self {
        Self { by: key, ..Self::default() }
    }
}
