//! The actor tree as it stands: each actor's own figures, with those of its children.

use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Context, Handler, ResponseFuture};
use futures_util::future::join_all;

use super::host::{HostActor, HostHealth};
use super::supervision::{ActorHealth, Deaths};
use super::task::TaskHealth;
use crate::model::Name;

/// Who does not answer within this time is shown as such.
pub(super) const ANSWER: Duration = Duration::from_secs(2);

/// A child's health, or what its parent knows when it does not answer.
pub(super) fn of_child(kind: &str, name: &str, deaths: &Deaths, answer: Option<ActorHealth>) -> ActorHealth {
    let health = answer.unwrap_or_else(|| {
        let state = "not answering".to_owned();
        ActorHealth { state, ..ActorHealth::up(kind, name) }
    });
    ActorHealth { restarts: deaths.total, last_error: health.last_error.or(deaths.last_error()), ..health }
}

impl HostActor {
    /// Figures of its own, without its children.
    fn own_health(&self) -> ActorHealth {
        let mut health = ActorHealth::up("host", self.name().as_str())
            .with("connection", self.connection.word())
            .with("address", format!("{}:{}", self.plan.host.address(), self.plan.host.port))
            .with("logins", self.connection.logins)
            .with("runs", self.runs.len());
        for lane in self.places.figures() {
            let figures = format!(
                "{} of {} sessions in use, {} by long runs, {} refused and asked for again",
                lane.used, lane.limit, lane.long, lane.refused
            );
            health = health.with(&format!("connection_{}", lane.generation), figures);
        }
        for (task, run, place) in self.places.next() {
            let task = task.as_ref().map_or("exec", Name::as_str);
            health = health.with(&format!("queue_{place:02}"), format!("{task} {run}"));
        }
        health.queue = self.waiting.load(Ordering::Relaxed) as u64;
        health.last_error = self.connection.failure();
        health
    }
}

impl Handler<HostHealth> for HostActor {
    type Result = ResponseFuture<ActorHealth>;

    fn handle(&mut self, _: HostHealth, _: &mut Context<Self>) -> Self::Result {
        let own = self.own_health();
        let mut children: Vec<_> = self
            .children
            .iter()
            .map(|(name, child)| (name.clone(), child.addr.clone(), child.deaths.clone()))
            .collect();
        children.sort_by(|one, other| one.0.cmp(&other.0));
        Box::pin(async move {
            let children = children.into_iter().map(|(name, addr, deaths)| async move {
                let Some(addr) = addr else {
                    let state = "restarting".to_owned();
                    let health = ActorHealth { state, ..ActorHealth::up("task", name.as_str()) };
                    return of_child("task", name.as_str(), &deaths, Some(health));
                };
                let answer = addr.send(TaskHealth).timeout(ANSWER).await.ok();
                of_child("task", name.as_str(), &deaths, answer)
            });
            ActorHealth { children: join_all(children).await, ..own }
        })
    }
}
