//! `finish_by`: what is due is to go well by some time. What has not by then is late, until an OK Result comes.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::ledger::instant_of;
use super::saving;
use super::task::TaskActor;
use crate::model::{Change, Event, Expected, Name, Outcome, PairStanding, RunResult, Timestamp};
use crate::store::{OpenRun, Write};

impl TaskActor {
    /// An instant has come: its Result is expected by the `finish_by` of the line that made it due. One that is expected
    /// already is due before it.
    pub(super) fn expect(&mut self, schedule: Option<&Name>, at: Timestamp) {
        if self.status.expected.is_some() {
            return;
        }
        let Some(line) = self.plan.lines.iter().find(|line| Some(&line.schedule) == schedule) else { return };
        let by = line.finish_by.as_ref().and_then(|finish_by| finish_by.of(at.get(), line.timezone));
        let Some(by) = by else { return };
        let expected = Expected { scheduled_at: at, schedule: line.schedule.clone(), by: by.into() };
        self.status_mut().expected = Some(Box::new(expected));
    }

    /// A Result that counts has come: an OK is what was waited for. Any other leaves its instant expected, also where
    /// that was known only to a life of this actor before this one.
    pub(super) fn settle_expected(&mut self, run: &OpenRun, result: &RunResult) {
        if result.outcome == Outcome::Ok {
            self.take_expected(|_| true);
            self.take_late(|_| true);
        } else if instant_of(run).is_some() {
            self.expect(run.schedule.as_ref(), run.scheduled_at);
        }
    }

    /// What was to have gone well by now and has not is late.
    pub(super) fn look_for_late(&mut self, now: DateTime<Utc>) {
        let Some(late) = self.take_expected(|expected| expected.by.get() <= now) else { return };
        log::warn!(host = self.host.as_str(), task = self.task().as_str(), schedule = late.schedule.as_str(),
            scheduled_at:% = late.scheduled_at; "no OK result by {}", late.by);
        let before = PairStanding::from(&*self.status);
        self.status_mut().late = Some(late);
        self.parts.board.set_status(&self.host, self.task(), &self.status);
        let event = self.parts.reacts().then(|| self.event(before, now.into()));
        saving::send_event(&self.parts, self.status_write(), event);
    }

    fn event(&self, before: PairStanding, at: Timestamp) -> Event {
        let (task, after) = (self.task().clone(), PairStanding::from(&*self.status));
        let host_down = self.parts.board.is_down(&self.host);
        let change = Change::Pair { task, before, after, host_down };
        Event { id: self.parts.ids.next(at), at, host: self.host.clone(), has_result: false, change }
    }

    /// What another line made due is not expected any more when that line is gone.
    pub(super) fn forget_expected(&mut self) {
        let plan = Arc::clone(&self.plan);
        let gone = |expected: &Expected| {
            !plan.lines.iter().any(|line| line.schedule == expected.schedule && line.finish_by.is_some())
        };
        let (expected, late) = (self.take_expected(gone), self.take_late(gone));
        if expected.or(late).is_some() {
            self.status_changed();
        }
    }

    fn take_expected(&mut self, which: impl Fn(&Expected) -> bool) -> Option<Box<Expected>> {
        self.status.expected.as_deref().filter(|expected| which(expected))?;
        self.status_mut().expected.take()
    }

    fn take_late(&mut self, which: impl Fn(&Expected) -> bool) -> Option<Box<Expected>> {
        self.status.late.as_deref().filter(|late| which(late))?;
        self.status_mut().late.take()
    }

    /// Shows and keeps a status that no Result has changed.
    pub(super) fn status_changed(&self) {
        self.parts.board.set_status(&self.host, self.task(), &self.status);
        saving::send(&self.parts, vec![self.status_write()]);
    }

    /// The status as it is now, to be kept.
    pub(super) fn status_write(&self) -> Write {
        Write::SetStatus { host: self.host.clone(), task: self.task().clone(), status: Arc::clone(&self.status) }
    }
}
