//! What a run sends to its host, out of the definitions as they are when it starts.

use tokio::time::Instant;

use super::parts::NodeParts;
use super::programs::StoredProgram;
use super::run::Job;
use crate::model::{self, Name, SecretText, TextValue};
use crate::ssh::output::LiveOutput;
use crate::ssh::{Exec, RunAs, Work};

impl Job {
    /// What the session is asked to do, and the secrets in it; the error says in words what is not there any more.
    pub(super) fn exec(&self, start_by: Instant) -> Result<(Exec, Vec<SecretText>), String> {
        let task = &self.plan.task;
        let catalog = self.parts.published.get();
        let mut secrets = Vec::new();
        let mut reveal = |value: &TextValue| value.reveal(&catalog, &mut secrets).map_err(|error| error.to_string());
        let mut env = Vec::new();
        for (name, value) in self.plan.env.overlaid(&self.given.env).iter() {
            env.push((name.to_owned(), reveal(value)?));
        }
        let stdin = self.given.stdin.as_ref().or(task.stdin.as_ref()).map(reveal).transpose()?;
        env.extend(self.given.own.iter().map(|(name, value)| (name.clone(), value.clone())));
        // The last of a name wins: nobody takes Alf's own away.
        let own = [
            ("ALF_HOST", self.host.meta.name.to_string()),
            ("ALF_HOST_ADDRESS", self.host.address().to_owned()),
            // Set for an ad-hoc run too, so that nothing of the host's own shows through.
            ("ALF_TASK", self.task().map(Name::to_string).unwrap_or_default()),
            ("ALF_RUN_ID", self.run.id.to_string()),
            ("ALF_SCHEDULED_AT", self.run.scheduled_at.to_string()),
        ];
        env.extend(own.map(|(name, value)| (name.to_owned(), value)));
        let (work, args) = self.work(&task.work)?;
        let exec = Exec {
            run: self.run.id.to_string(),
            work,
            args: self.given.args.clone().unwrap_or(args),
            env,
            stdin: stdin.map(Into::into),
            cwd: task.cwd.clone(),
            run_as: task.run_as.clone().map(|user| RunAs { user, password: sudo_password(&self.parts, &self.host) }),
            timeout: self.plan.timeout.get(),
            kill_grace: task.kill_grace.get(),
            start_by: Some(start_by),
            output: LiveOutput::new(usize::try_from(task.output_limit).unwrap_or(usize::MAX)),
            cancel: self.cancel.clone(),
        };
        Ok((exec, secrets))
    }

    fn work(&self, work: &model::Work) -> Result<(Work, Vec<String>), String> {
        Ok(match work.clone() {
            model::Work::Command(command) => (Work::Command(command), Vec::new()),
            model::Work::Script { interpreter, body, args } => (Work::Script { interpreter, body }, args),
            model::Work::Program { name, args } => {
                let program = self.parts.published.get().programs.get(&name).cloned();
                // Only where the task was changed and its program deleted while the run waited.
                let program = program.ok_or_else(|| format!("there is no program \"{name}\" any more"))?;
                (Work::Program(StoredProgram::file(&self.parts.store, &program)), args)
            }
        })
    }
}

/// What sudo is told on a host if it asks.
pub(super) fn sudo_password(parts: &NodeParts, host: &model::Host) -> Option<model::SecretText> {
    let name = host.credential.as_ref().or(parts.login.credential.as_ref())?;
    let catalog = parts.published.get();
    catalog.credentials.get(name)?.sudo_password.as_ref()?.reveal(&catalog).ok()
}
