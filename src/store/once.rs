//! Requests that are done once: what is remembered of them, so that a repetition finds what the first came to.

use serde::{Deserialize, Serialize};

use crate::model::{ContentHash, Name, RunId, Timestamp};

/// A request that is done once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnceRecord {
    /// The digest of the idempotency key and of whose it is.
    pub key: ContentHash,
    /// The digest of what was asked for.
    pub request: ContentHash,
    /// When.
    pub at: Timestamp,
    /// What it came to.
    pub came_to: CameTo,
}

/// What a request that is done once came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CameTo {
    /// This run.
    Run(RunId),
    /// Runs of this group are being started: who finds this later knows that it was cut off.
    Begun(RunId),
    /// Runs of a group, all that there are.
    Group {
        /// Stands in each of their Results.
        id: RunId,
        /// Those that were claimed, by host.
        runs: Vec<(Name, RunId)>,
        /// The hosts on which nothing was started, and why.
        refused: Vec<(Name, String)>,
    },
    /// Changes of definitions, each by its noun and name.
    Applied {
        /// What is new.
        created: Vec<(String, Name)>,
        /// What is otherwise now.
        updated: Vec<(String, Name)>,
        /// What was so before.
        unchanged: Vec<(String, Name)>,
        /// What is gone.
        deleted: Vec<(String, Name)>,
    },
    /// It was done, and the answer was too large to be kept.
    TooLarge,
}
