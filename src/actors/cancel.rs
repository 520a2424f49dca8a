//! Cancelling one run: its remote process tree is killed, its Result says `cancelled`.

use std::time::Duration;

use actix::{Context, Handler, Message, ResponseFuture};
use tokio::time::Instant;

use super::audit::tell_first;
use super::error::AlfError;
use super::handle::{ANSWER, AlfHandle};
use super::host::HostActor;
use super::node::FindHost;
use super::turns::CancelWaiting;
use crate::model::{AuditEntry, Name, RunId, Verb};

/// A run that is on the board but not yet with its host is being claimed: looked for again after this.
const AGAIN: Duration = Duration::from_millis(20);
/// How long it is looked for.
const CLAIMED_WITHIN: Duration = Duration::from_secs(5);

/// Cancels a run, waiting or running, once the audit is told; false if the host does not have it.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
struct CancelRun {
    id: RunId,
    told: AuditEntry,
}

impl Handler<CancelRun> for HostActor {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, CancelRun { id, told }: CancelRun, _: &mut Context<Self>) -> Self::Result {
        if let Some(running) = self.runs.get(&id) {
            let (cancel, told) = (running.cancel.clone(), tell_first(&self.parts.writer, told));
            return Box::pin(async move {
                told.await;
                cancel.cancel();
                true
            });
        }
        // It may wait for those before it, with the actor of its task.
        let task = self.parts.board.run(id).and_then(|(row, _)| row.task);
        let child = task.and_then(|task| self.children.get(&task)?.addr.clone());
        Box::pin(async move {
            match child {
                Some(addr) => addr.send(CancelWaiting { id, told }).await.unwrap_or(false),
                None => false,
            }
        })
    }
}

impl AlfHandle {
    /// Cancels a run. Answers when its end has begun: its Result comes when its processes are gone, or were looked for.
    pub async fn cancel(&self, id: RunId) -> Result<(), AlfError> {
        let until = Instant::now() + CLAIMED_WITHIN;
        loop {
            let host = match self.board().run(id) {
                Some((row, false)) => row.host,
                _ => return Err(AlfError::NoRun(id)),
            };
            if let Some(actor) = self.node().get().send(FindHost(host.clone())).timeout(ANSWER).await?
                && actor.send(self.cancel_run(id, host)).timeout(ANSWER).await?
            {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(AlfError::Unavailable(format!("run {id} cannot be cancelled now; try again")));
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn cancel_run(&self, id: RunId, host: Name) -> CancelRun {
        CancelRun { id, told: AuditEntry { host: Some(host), run: Some(id), ..self.entry(Verb::Cancel) } }
    }
}
