//! What Actions came to, as it is asked for: who was told what, what each Action came to for a Result.

use std::sync::Arc;

use super::action::{ActionHealth, Retell, WouldDo};
use super::error::AlfError;
use super::handle::{ANSWER, AlfHandle};
use super::reactions::{ActionFigures, ReceiverState, Would};
use super::supervision::ActorHealth;
use crate::model::{Action, NotificationPage, NotificationQuery, Outcome, Rights, RunResult, Trace};
use crate::store::Traced;

impl AlfHandle {
    /// Notifications, newest first.
    pub async fn notifications(&self, query: NotificationQuery) -> Result<NotificationPage, AlfError> {
        Ok(self.store.notifications(query).await?)
    }

    /// What every Action came to for a Result, and the notifications that it names as they are now; where there is nothing
    /// it says why.
    pub async fn trace(&self, result: &RunResult) -> Result<Traced, AlfError> {
        // Asked first: what is looked at meanwhile is in the store then.
        let waits = self.reactions.awaits(result.id);
        if let Some(found) = self.store.trace(result.id).await? {
            return Ok(found);
        }
        let mut items = Vec::new();
        let why = if result.task.is_none() {
            "Actions are for the Results of tasks, and this is of an ad-hoc command"
        } else if waits {
            "it is not looked at yet"
        } else {
            // Of those with which nothing changed no trace is kept.
            if result.outcome != Outcome::Problem {
                items = self.action.get().send(Retell(Arc::new(result.clone()))).timeout(ANSWER).await?;
            }
            if items.is_empty() {
                "there was no enabled Action when it came"
            } else {
                "nothing had changed: this is what the Actions that were there make of it as they are now"
            }
        };
        Ok((Trace { result: result.id, at: None, why: Some(why.to_owned()), items }, Vec::new()))
    }

    /// What an Action would do about a Result, had it come just now; nothing is done.
    pub async fn would(&self, action: &Arc<Action>, result: RunResult) -> Result<Would, AlfError> {
        let would = WouldDo { action: Arc::clone(action), result: Arc::new(result) };
        Ok(self.action.get().send(would).timeout(ANSWER).await?)
    }

    /// Figures of every Action, by name.
    pub fn action_figures(&self) -> Vec<ActionFigures> {
        self.reactions.figures(&self.catalog(), &self.courier.sinks())
    }

    /// How many events wait to be looked at.
    pub fn events_waiting(&self) -> u64 {
        self.reactions.waiting() as u64
    }

    /// What looks at events, and below it each Action that may be known of, with what ails its receiver.
    pub(super) async fn action_health(&self, rights: &Rights) -> ActorHealth {
        let kept = self.action.health("action");
        let health = match self.action.get().send(ActionHealth).timeout(ANSWER).await {
            Ok(health) => {
                let last_error = health.last_error.or(kept.last_error);
                ActorHealth { restarts: kept.restarts, last_error, ..health }
            }
            Err(_) => kept,
        };
        let catalog = self.catalog();
        let shown =
            |figures: &ActionFigures| catalog.actions.get(&figures.action).is_some_and(|it| rights.show(it, &catalog));
        let children = self.action_figures().into_iter().filter(shown).map(branch).collect();
        ActorHealth { children, ..health }
    }
}

/// An Action in the tree of actors.
fn branch(figures: ActionFigures) -> ActorHealth {
    let state = match figures.state {
        ReceiverState::Up => "up",
        ReceiverState::Away => "away",
        ReceiverState::Failing => "failing",
        ReceiverState::Disabled => "disabled",
    };
    let mut health = ActorHealth::up(figures.kind, figures.action.as_str())
        .with("fired", figures.fired)
        .with("held", figures.held)
        .with("throttled", figures.throttled)
        .with("failed", figures.failed);
    if let Some(since) = figures.away_since {
        health = health.with("away_since", since);
    }
    if let Some(sink) = figures.sink {
        health = health.with("sent", sink.sent).with("spooled", sink.spooled).with("dropped", sink.dropped);
    }
    ActorHealth { state: state.to_owned(), queue: figures.queued, last_error: figures.last_error, ..health }
}
