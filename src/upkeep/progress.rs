//! How far something is that takes its time.

use tokio::time::{Duration, Instant};

use super::note;
use crate::store::migrate::Moved;

/// How often it is said.
const TELL: Duration = Duration::from_secs(2);

/// Says how far it is, now and then.
pub(super) struct Progress {
    what: &'static str,
    told: Option<Instant>,
}

impl Progress {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, told: None }
    }

    pub(super) fn tell(&mut self, Moved { results, of }: Moved) {
        if self.told.is_none_or(|told| told.elapsed() >= TELL) {
            note(&format!("{results} of {of} {}", self.what));
            self.told = Some(Instant::now());
        }
    }
}
