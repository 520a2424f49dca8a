//! Acknowledging PROBLEMs: of a pair, whose `TaskActor` keeps it, or of a host.

use actix::{ActorFutureExt as _, Context, Handler, Message, ResponseActFuture, ResponseFuture, WrapFuture as _};

use super::error::AlfError;
use super::handle::{ANSWER, AlfHandle};
use super::host::HostActor;
use super::task::TaskActor;
use crate::model::{Ack, AuditEntry, Name, Noun, Outcome, Reference, Verb};
use crate::store::Write;

/// Somebody knows of the PROBLEM, or takes that back (none). Answered when it is on disk.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), AlfError>")]
pub(super) struct Acknowledge {
    /// Of this task on the host; none for the host itself.
    task: Option<Name>,
    ack: Option<Ack>,
    /// What the audit is told of it, in the same commit.
    told: Box<AuditEntry>,
}

impl Handler<Acknowledge> for TaskActor {
    type Result = ResponseFuture<Result<(), AlfError>>;

    fn handle(&mut self, Acknowledge { ack, told, .. }: Acknowledge, _: &mut Context<Self>) -> Self::Result {
        if ack.is_some() && self.status.outcome != Some(Outcome::Problem) {
            return refuse(format!("{} on {} has no PROBLEM", self.task(), self.host));
        }
        self.status_mut().ack = ack.map(Box::new);
        self.parts.board.set_status(&self.host, self.task(), &self.status);
        let written = self.parts.writer.write(vec![self.status_write(), Write::Audit(told)]);
        Box::pin(async move { Ok(written.await.map(|_| ())?) })
    }
}

impl Handler<Acknowledge> for HostActor {
    type Result = ResponseActFuture<Self, Result<(), AlfError>>;

    fn handle(&mut self, Acknowledge { task, ack, told }: Acknowledge, _: &mut Context<Self>) -> Self::Result {
        let answer = match task {
            Some(task) => self.acknowledge_task(task, ack, told),
            None => self.acknowledge(ack, told),
        };
        Box::pin(answer.into_actor(self).map(|answer, _, _| answer))
    }
}

impl HostActor {
    fn acknowledge(&mut self, ack: Option<Ack>, told: Box<AuditEntry>) -> ResponseFuture<Result<(), AlfError>> {
        let is_down = self.parts.board.is_down(self.name());
        if ack.is_some() && !is_down {
            return refuse(format!("host {} has no PROBLEM", self.name()));
        }
        let Some((_, record)) = self.parts.board.change_host(self.name(), |record| record.ack = ack) else {
            return Box::pin(std::future::ready(Ok(())));
        };
        let write = Write::SetHost { host: self.name().clone(), record: Box::new(record) };
        let written = self.parts.writer.write(vec![write, Write::Audit(told)]);
        Box::pin(async move { Ok(written.await.map(|_| ())?) })
    }

    fn acknowledge_task(
        &self,
        task: Name,
        ack: Option<Ack>,
        told: Box<AuditEntry>,
    ) -> ResponseFuture<Result<(), AlfError>> {
        let error = match self.children.get(&task).map(|child| child.addr.clone()) {
            Some(Some(addr)) => {
                return Box::pin(async move { addr.send(Acknowledge { task: None, ack, told }).await? });
            }
            Some(None) => AlfError::Unavailable(format!("task \"{task}\" is being restarted")),
            None => AlfError::NotLinked { host: self.name().clone(), task },
        };
        Box::pin(std::future::ready(Err(error)))
    }
}

fn refuse(cause: String) -> ResponseFuture<Result<(), AlfError>> {
    Box::pin(std::future::ready(Err(AlfError::NothingToAcknowledge(cause))))
}

impl AlfHandle {
    /// Acknowledges the PROBLEM of a host, or of a task there, or takes that back (none).
    pub async fn acknowledge(&self, host: &Name, task: Option<&Name>, ack: Option<Ack>) -> Result<(), AlfError> {
        if let Some(task) = task.filter(|task| !self.catalog().tasks.contains_key(*task)) {
            return Err(AlfError::NotFound(Reference { noun: Noun::Task, name: task.clone() }));
        }
        self.refuse_without_store()?;
        let verb = if ack.is_some() { Verb::Ack } else { Verb::Unack };
        let (noun, name) = task.map_or((Noun::Host, host), |task| (Noun::Task, task));
        let entry = self.entry(verb).to(Reference { noun, name: name.clone() });
        let told = Box::new(AuditEntry { host: Some(host.clone()), ..entry });
        let acknowledge = Acknowledge { task: task.cloned(), ack, told };
        self.host_actor(host).await?.send(acknowledge).timeout(ANSWER).await?
    }
}
