//! Looking a host over: what is wrong with it, step by step. The connection that is open is left alone.

use actix::{Context, Handler, Message, ResponseFuture};

use super::host::HostActor;
use crate::ssh::doctor::{Expected, Finding};

/// Looks the host over.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Finding>")]
pub struct ExamineHost;

impl Handler<ExamineHost> for HostActor {
    type Result = ResponseFuture<Vec<Finding>>;

    fn handle(&mut self, _: ExamineHost, _: &mut Context<Self>) -> Self::Result {
        let expected = Expected { max_sessions: self.plan.host.max_sessions, run_as: Vec::new() };
        self.parts.connector.examine(self.target(), expected)
    }
}
