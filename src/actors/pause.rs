//! What keeps tasks from being run by their schedules: all firing is stopped, or a downtime goes on that says so. Their
//! instants leave a SKIPPED each. What somebody starts by hand runs all the same.

use chrono::{DateTime, Utc};

use super::error::AlfError;
use super::handle::AlfHandle;
use super::task::TaskActor;
use crate::model::{Name, Pause, Reason, Verb};
use crate::store::Write;

impl TaskActor {
    /// Why nothing is run by itself for an instant that is due then; none if it is.
    pub(super) fn kept_from_running(&self, due_at: DateTime<Utc>) -> Option<(Reason, String)> {
        let zone = self.plan.timezone;
        let mut pauses = self.plan.pauses.iter();
        if let Some(downtime) = pauses.find(|downtime| downtime.period.covers(zone, due_at.into())) {
            let said = if downtime.comment.is_empty() { String::new() } else { format!(": {}", downtime.comment) };
            return Some((Reason::Downtime, format!("downtime {} goes on{said}", downtime.meta.name)));
        }
        let pause = self.parts.board.pause()?;
        let who = pause.by.map_or_else(String::new, |by| format!(" by {by}"));
        Some((Reason::Missed, format!("Alf is paused, since {}{who}", pause.at)))
    }
}

impl AlfHandle {
    /// Since when all firing is stopped; none while it goes on.
    pub fn paused(&self) -> Option<Pause> {
        self.board().pause()
    }

    /// Stops all firing; answers since when it is stopped, which may be long before.
    pub async fn pause(&self, by: Option<Name>) -> Result<Pause, AlfError> {
        if let Some(pause) = self.paused() {
            return Ok(pause);
        }
        let pause = Pause { by, at: self.now() };
        self.set_pause(Some(pause.clone())).await?;
        log::warn!(by = pause.by.as_ref().map_or("", Name::as_str); "all firing is stopped");
        Ok(pause)
    }

    /// Lets firing go on.
    pub async fn resume(&self) -> Result<(), AlfError> {
        if self.paused().is_some() {
            self.set_pause(None).await?;
            log::info!("firing goes on");
        }
        Ok(())
    }

    async fn set_pause(&self, pause: Option<Pause>) -> Result<(), AlfError> {
        let told = self.entry(if pause.is_some() { Verb::Pause } else { Verb::Resume });
        self.writer.write_soon(vec![Write::SetPause(pause.clone()), Write::Audit(Box::new(told))]).await?;
        self.journal.pause(pause.as_ref());
        self.board().set_pause(pause);
        Ok(())
    }
}
