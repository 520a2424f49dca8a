//! Other attempts of a soft PROBLEM. The next one is part of the pair's status, which is stored with each Result: so it
//! outlives a restart.

use std::sync::Arc;

use actix::Context;
use chrono::{DateTime, TimeDelta, Utc};

use super::due;
use super::task::TaskActor;
use super::turns::Turn;
use crate::model::{Given, Outcome, Retry, RunResult, Trigger};
use crate::store::OpenRun;

impl TaskActor {
    /// After a Result that counted: when to try again. Not once the state is hard, not while something of the run may
    /// be left on the host, not on or after the next instant, which tries again by itself.
    pub(super) fn plan_retry(&mut self, run: &OpenRun, result: &RunResult, given: Option<Arc<Given>>) {
        self.forget_retry(|_| true);
        let gone = result.kill.as_ref().is_none_or(|kill| kill.gone == Some(true));
        if result.outcome != Outcome::Problem || result.hard || !gone || !self.plan.task.enabled {
            return;
        }
        let Ok(interval) = TimeDelta::from_std(self.plan.task.retry_interval.get()) else { return };
        let now = self.parts.clock.now();
        let Some(at) = now.checked_add_signed(interval) else { return };
        if due::next(self.lines(), self.cursor).is_some_and(|next| next.due_at <= at) {
            return;
        }
        let retry = Retry {
            at: at.into(),
            scheduled_at: run.scheduled_at,
            schedule: run.schedule.clone(),
            given: given.as_deref().is_some_and(|given| *given != Given::default()),
        };
        self.status_mut().retry = Some(Box::new(retry));
        self.retry_given = given;
    }

    /// Tries again if it is time; a run that somebody started meanwhile is an attempt of its own.
    pub(super) fn try_again(&mut self, now: DateTime<Utc>, ctx: &mut Context<Self>) {
        if self.status.retry.as_ref().is_none_or(|retry| retry.at.get() > now) {
            return;
        }
        if self.kept_from_running(now).is_some() {
            // It waits for the end of what keeps it from running.
            let later = TimeDelta::from_std(self.plan.task.retry_interval.get()).ok();
            let later = later.and_then(|interval| now.checked_add_signed(interval));
            let later = later.unwrap_or(now + due::SELDOM).into();
            self.status_mut().retry.iter_mut().for_each(|retry| retry.at = later);
            return;
        }
        let Some(retry) = self.status_mut().retry.take() else { return };
        if self.turn_of(Trigger::Retry) != Turn::Now || self.parts.is_stopping() {
            return;
        }
        let run = self.open_run(Trigger::Retry, retry.schedule, retry.scheduled_at, None);
        let run = OpenRun { due_at: retry.at, ..run };
        let given = self.retry_given.take().unwrap_or_default();
        self.begin(run, given, Turn::Now, ctx);
    }

    /// It is not tried again where the next attempt is one of these.
    pub(super) fn forget_retry(&mut self, which: impl Fn(&Retry) -> bool) {
        if self.status.retry.as_deref().is_some_and(which) {
            self.status_mut().retry = None;
        }
    }
}
