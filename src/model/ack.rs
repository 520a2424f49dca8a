//! Acknowledgements: somebody knows of a PROBLEM.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Fault, Faults, Name, Timestamp};

/// Longest comment, in bytes.
const COMMENT: usize = 4096;

/// Somebody knows of a PROBLEM, so that nobody else has to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ack {
    /// The key of who has acknowledged it.
    pub by: Option<Name>,
    /// What they say of it.
    pub comment: String,
    /// When.
    pub at: Timestamp,
    /// It ends then; with the PROBLEM at the latest.
    pub until: Option<Timestamp>,
    /// It stays while the PROBLEM changes from one state to another.
    pub sticky: bool,
}

impl Ack {
    /// Whether it still holds.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// What is said with an acknowledgement.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = AckGiven)]
pub struct AckDocument {
    /// What there is to say of it.
    pub comment: Option<String>,
    /// When it ends.
    pub until: Option<Timestamp>,
    /// Whether it stays while the PROBLEM changes from one state to another.
    pub sticky: Option<bool>,
}

impl AckDocument {
    /// Checks it, finding all faults.
    pub fn check(self, by: Option<Name>, now: Timestamp) -> Result<Ack, Vec<Fault>> {
        let mut faults = Faults::default();
        let comment = faults.text("/comment", self.comment, COMMENT).unwrap_or_default();
        if self.until.is_some_and(|until| until <= now) {
            faults.add("/until", "must be in the future");
        }
        let sticky = self.sticky.unwrap_or_default();
        faults.into_result(Some(Ack { by, comment, at: now, until: self.until, sticky }))
    }
}
