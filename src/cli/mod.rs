//! The command line, as a client of the service: a file per verb, the verbs as a person types them in `args.rs`.
//!
//! Data goes to stdout and everything else to stderr; how a command ended is told by its exit code, [`Exit`].

mod action_test;
mod alike;
mod apply;
mod args;
mod args_add;
mod args_apply;
mod args_results;
mod args_tend;
mod audit;
mod bundle;
mod cancel;
mod client;
mod columns;
mod completions;
mod connect;
mod cron_explain;
mod diff;
mod doc;
mod documents;
mod edit;
mod error;
mod events;
mod events_follow;
mod exec;
mod export;
mod health;
mod host_add;
mod host_doctor;
mod host_trust;
mod interpreter;
mod key_args;
mod key_create;
mod live;
mod man;
mod many;
mod notifications;
mod nouns;
mod once;
mod output;
mod prefix;
mod problem;
mod program_put;
mod progress;
mod report;
mod result;
mod results;
mod rotate_key;
mod run;
mod run_args;
mod runs;
mod secret;
mod secret_args;
mod session;
mod show;
mod ssh_config;
mod stats;
mod status;
mod store_args;
mod table;
mod task_add;
mod tend;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;
mod tls;
mod trace;
mod trust_args;
mod watch;
mod xml_bundle;

pub use args::{Cli, ClientCommand, Command, Format, Options, ServeArgs};
pub use completions::parse;
pub use error::Exit;
pub use report::report;
pub use session::Context;
pub use store_args::{BackupArgs, MigrateArgs, PruneArgs, RestoreArgs, StoreArgs, StoreVerb};

use args::{ActionVerb, CronVerb, HostVerb, KeyVerb, NounVerb, ProgramVerb, TaskVerb};
use error::CliError;
use secret_args::SecretVerb;
use session::Session;
use trust_args::TrustVerb;

use crate::model::Noun;

/// Does what a command asks of the service, and tells how that ended. Must run in an actix runtime.
pub async fn run(command: ClientCommand, options: Options, context: Context) -> Exit {
    let mut session = Session::new(options, context);
    let done = dispatch(command, &mut session).await;
    let done = done.and_then(|exit| session.output.flush().map(|()| exit).map_err(CliError::from));
    done.unwrap_or_else(|error| {
        session.output.note(&format!("error: {error}"));
        error.exit()
    })
}

async fn dispatch(command: ClientCommand, session: &mut Session) -> Result<Exit, CliError> {
    let noun = |noun: Noun, verb: NounVerb| (noun, verb);
    let (noun, verb) = match command {
        ClientCommand::Host { verb: HostVerb::Common(verb) } => noun(Noun::Host, verb),
        ClientCommand::Task { verb: TaskVerb::Common(verb) } => noun(Noun::Task, verb),
        ClientCommand::Program { verb: ProgramVerb::List(args) } => noun(Noun::Program, NounVerb::List(args)),
        ClientCommand::Program { verb: ProgramVerb::Get(args) } => noun(Noun::Program, NounVerb::Get(args)),
        ClientCommand::Program { verb: ProgramVerb::Delete(args) } => noun(Noun::Program, NounVerb::Delete(args)),
        ClientCommand::Program { verb: ProgramVerb::Edit(args) } => noun(Noun::Program, NounVerb::Edit(args)),
        ClientCommand::Program { verb: ProgramVerb::Create(args) } => {
            return program_put::run(args, true, session).await;
        }
        ClientCommand::Program { verb: ProgramVerb::Put(args) } => return program_put::run(args, false, session).await,
        ClientCommand::Schedule { verb } => noun(Noun::Schedule, verb),
        ClientCommand::HostTask { verb } => noun(Noun::HostTask, verb),
        ClientCommand::TaskSchedule { verb } => noun(Noun::TaskSchedule, verb),
        ClientCommand::Contact { verb } => noun(Noun::Contact, verb),
        ClientCommand::Action { verb: ActionVerb::Common(verb) } => noun(Noun::Action, verb),
        ClientCommand::Action { verb: ActionVerb::Test(args) } => return action_test::run(args, session).await,
        ClientCommand::Credential { verb } => noun(Noun::Credential, verb),
        ClientCommand::Key { verb: KeyVerb::List(args) } => noun(Noun::Key, NounVerb::List(args)),
        ClientCommand::Key { verb: KeyVerb::Get(args) } => noun(Noun::Key, NounVerb::Get(args)),
        ClientCommand::Key { verb: KeyVerb::Edit(args) } => noun(Noun::Key, NounVerb::Edit(args)),
        ClientCommand::Key { verb: KeyVerb::Revoke(args) } => noun(Noun::Key, NounVerb::Delete(args)),
        ClientCommand::Key { verb: KeyVerb::Create(args) } => return key_create::run(args, session).await,
        ClientCommand::Host { verb: HostVerb::Add(args) } => return host_add::run(args, session).await,
        ClientCommand::Host { verb: HostVerb::Trust(TrustVerb::Trust(args)) } => {
            return host_trust::trust(args, session).await;
        }
        ClientCommand::Host { verb: HostVerb::Trust(TrustVerb::ForgetKey(args)) } => {
            return host_trust::forget_key(args, session).await;
        }
        ClientCommand::Host { verb: HostVerb::Trust(TrustVerb::Doctor(args)) } => {
            return host_doctor::run(args, session).await;
        }
        ClientCommand::Task { verb: TaskVerb::Add(args) } => return task_add::run(*args, session).await,
        ClientCommand::Secret { verb: SecretVerb::List(args) } => noun(Noun::Secret, NounVerb::List(args)),
        ClientCommand::Secret { verb: SecretVerb::Get(args) } => noun(Noun::Secret, NounVerb::Get(args)),
        ClientCommand::Secret { verb: SecretVerb::Create(args) } => return secret::create(args, session).await,
        ClientCommand::Secret { verb: SecretVerb::Edit(args) } => return secret::edit(args, session).await,
        ClientCommand::Secret { verb: SecretVerb::Delete(args) } => noun(Noun::Secret, NounVerb::Delete(args)),
        ClientCommand::Secret { verb: SecretVerb::RotateKey } => return rotate_key::run(session).await,
        ClientCommand::Apply(args) => return apply::run(args, session).await,
        ClientCommand::Diff(args) => return diff::run(args, session).await,
        ClientCommand::Export => return export::run(session).await,
        ClientCommand::Run(args) => return run::run(args, session).await,
        ClientCommand::Exec(args) => return exec::run(*args, session).await,
        ClientCommand::Status(args) => return status::run(args, session).await,
        ClientCommand::Events(args) => return events_follow::run(args, session).await,
        ClientCommand::Problems(args) => return tend::problems(args, session).await,
        ClientCommand::Ack(args) => return tend::ack(args, session).await,
        ClientCommand::Downtime(args) => return tend::downtime(*args, session).await,
        ClientCommand::Pause => return tend::pause(true, session).await,
        ClientCommand::Resume => return tend::pause(false, session).await,
        ClientCommand::Results(args) => return results::run(args, session).await,
        ClientCommand::Notifications(args) => return notifications::run(args, session).await,
        ClientCommand::Result(args) => return result::run(args, session).await,
        ClientCommand::Cancel(args) => return cancel::run(args, session).await,
        ClientCommand::Runs(args) => return runs::run(args, session).await,
        ClientCommand::Cron { verb: CronVerb::Explain(args) } => return cron_explain::run(&args, session),
        ClientCommand::Completions(args) => return completions::run(&args, session),
        ClientCommand::Man(args) => return man::run(&args, session),
        ClientCommand::Audit(args) => return audit::run(args, session).await,
        ClientCommand::Stats => return stats::run(session).await,
        ClientCommand::Health(args) => return health::run(args, session).await,
    };
    nouns::run(noun, verb, session).await
}
