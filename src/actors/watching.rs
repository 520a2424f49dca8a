//! From when on a pair's instants count, and by which lines. It is part of the pair's status, so that a restart counts the
//! same instants: the times of the definitions alone do not tell, as they change with every word of a description.

use chrono::{DateTime, Utc};

use super::task::TaskActor;
use crate::model::{PairLine, Timestamp, Watched};
use crate::store::Write;

impl TaskActor {
    /// Instants before now are nobody's: the pair is new, or due by other lines than before.
    pub(super) fn start_watching(&mut self, now: DateTime<Utc>) {
        self.cursor = now;
        if self.plan.lines.is_empty() {
            return;
        }
        let since = Timestamp::from(now);
        self.since = Some(since);
        let lines = PairLine::digest(&self.plan.lines);
        self.status_mut().watched = Some(Watched { since, lines });
        self.parts.board.set_claimed(&self.host, self.task(), since);
        self.parts.board.set_status(&self.host, self.task(), &self.status);
        let watch = Write::Watch { host: self.host.clone(), task: self.task().clone(), until: since };
        super::saving::send(&self.parts, vec![watch, self.status_write()]);
    }

    /// At the start: since when its lines count, if they are those it was watched by. Else (Alf ended before it could
    /// write them down) the definitions tell by which time they were so.
    pub(super) fn remember_lines(&mut self) -> bool {
        let now = Timestamp::from(self.parts.clock.now());
        let same = self.status.watched.filter(|watched| watched.lines == PairLine::digest(&self.plan.lines));
        // A time from when the clock was wrong keeps nothing from being due.
        self.since = same.map(|watched| watched.since.min(now));
        same.is_some()
    }

    /// Whether it is due by these lines at the same instants as by its own.
    pub(super) fn is_due_by(&self, lines: &[PairLine]) -> bool {
        PairLine::digest(&self.plan.lines) == PairLine::digest(lines)
    }
}
