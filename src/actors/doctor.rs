//! Looking a host over: what is wrong with it, step by step. The connection that is open is left alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix::{Context, Handler, Message, ResponseFuture};

use super::exec::sudo_password;
use super::host::HostActor;
use crate::ssh::doctor::{Check, Expected, Finding, Verdict};

/// Looks the host over.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Finding>")]
pub struct ExamineHost;

impl Handler<ExamineHost> for HostActor {
    type Result = ResponseFuture<Vec<Finding>>;

    fn handle(&mut self, _: ExamineHost, _: &mut Context<Self>) -> Self::Result {
        let run_as: BTreeSet<String> = self.plan.pairs.iter().filter_map(|pair| pair.task.run_as.clone()).collect();
        let run_as = run_as.into_iter().collect();
        let sudo_password = sudo_password(&self.parts, &self.plan.host);
        let expected = Expected { max_sessions: self.plan.host.max_sessions, run_as, sudo_password };
        let (target, connector) = (self.target_by_its_way(), Arc::clone(&self.parts.connector));
        let jump = self.plan.host.jump.as_ref().map(ToString::to_string).unwrap_or_default();
        Box::pin(async move {
            match target.await {
                Ok((target, _way)) => connector.examine(target, expected).await,
                Err(no_way) => {
                    let remedy = format!("see what ails its jump host: alf host doctor {jump}");
                    vec![Finding::new(Check::Connect, Verdict::Failed, no_way.message(), remedy)]
                }
            }
        })
    }
}
