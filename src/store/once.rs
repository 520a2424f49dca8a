//! Requests that are done once: what is remembered of them, so that a repetition finds what the first came to.

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// Runs of this group are being started: who finds this later goes on with it.
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
    /// Changes of definitions.
    Applied(Changes),
    /// It was done, and the answer was too large to be kept.
    TooLarge,
}

/// What became of many definitions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// What is new.
    pub created: Vec<ChangedOne>,
    /// What is otherwise now.
    pub updated: Vec<ChangedOne>,
    /// What was so before.
    pub unchanged: Vec<ChangedOne>,
    /// What is gone.
    pub deleted: Vec<ChangedOne>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedOne {
    /// Its noun, as it is written in the singular.
    pub noun: String,
    /// Its name.
    pub name: Name,
    /// The document that it had, which holds no secret, where that is to be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The document that it got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}
