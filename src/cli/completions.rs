//! `alf completions`: what tells a shell to ask this program how a line may go on, and the answers it then gets. Verbs
//! and flags are those of this version, names those of the service.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Command, CommandFactory as _, Parser as _};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, ValueCompleter};
use clap_complete::env::{CompleteEnv, Shells};
use tokio::time::timeout;

use super::args::{Cli, Options};
use super::client::API;
use super::columns::field;
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::session::{Context, Session};

use crate::model::Noun;

/// The variable by which a shell says which one it is when it asks.
const VARIABLE: &str = "ALF_COMPLETE";
/// How long somebody who has pressed a key waits for names.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many names are offered at most.
const MOST: &str = "1000";
/// Verbs of a noun that take names of what there is.
const OF_WHAT_IS: [&str; 9] = ["get", "edit", "delete", "revoke", "put", "trust", "forget-key", "doctor", "test"];

/// What `completions` takes.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_parser = ["bash", "elvish", "fish", "powershell", "zsh"])]
    pub shell: String,
}

/// Writes what a shell is to read when it starts.
pub(super) fn run(args: &CompletionsArgs, session: &mut Session) -> Result<Exit, CliError> {
    let shells = Shells::builtins();
    let Some(shell) = shells.completer(&args.shell) else {
        return Err(CliError::Usage(format!("there are no completions for {}", args.shell)));
    };
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "alf", "alf", "alf", &mut script)?;
    session.output.data(&script)?;
    Ok(Exit::Ok)
}

/// Reads the command line. A shell that asks how a line may go on is answered, and the process ends then, as it does
/// where a line makes no sense.
pub fn parse(data_dir: Option<PathBuf>, now: DateTime<Utc>) -> Cli {
    CompleteEnv::with_factory(|| with_names(Cli::command(), None, &World { data_dir: data_dir.clone(), now }))
        .var(VARIABLE)
        .complete();
    Cli::parse()
}

/// Where names come from.
#[derive(Debug, Clone)]
struct World {
    data_dir: Option<PathBuf>,
    now: DateTime<Utc>,
}

/// What there are names of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Definitions(Noun),
    /// `run`: the first is a host, the second a task, but with a selector.
    HostThenTask,
    Runs,
    Results,
}

/// A command whose arguments know the names they may have; `of` is the noun that it is a verb of.
fn with_names(command: Command, of: Option<Noun>, world: &World) -> Command {
    let verb = command.get_name().to_owned();
    let noun = Noun::ALL.into_iter().find(|noun| noun.singular().replace('_', "-") == verb);
    command
        .mut_args(|arg| match kind(arg.get_id().as_str(), &verb, of) {
            Some(kind) => arg.add(ArgValueCompleter::new(Names { kind, world: world.clone() })),
            None => arg,
        })
        .mut_subcommands(|command| with_names(command, noun, world))
}

fn kind(argument: &str, verb: &str, of: Option<Noun>) -> Option<Kind> {
    match (argument, verb) {
        ("names", "run") => Some(Kind::HostThenTask),
        ("id", "result") | ("result", "test") => Some(Kind::Results),
        ("id", _) => Some(Kind::Runs),
        ("name" | "names", verb) if OF_WHAT_IS.contains(&verb) => of.map(Kind::Definitions),
        ("host" | "on" | "jump", _) => Some(Kind::Definitions(Noun::Host)),
        ("task", _) => Some(Kind::Definitions(Noun::Task)),
        ("contact", _) => Some(Kind::Definitions(Noun::Contact)),
        ("action", _) => Some(Kind::Definitions(Noun::Action)),
        ("program", _) => Some(Kind::Definitions(Noun::Program)),
        ("credential", _) => Some(Kind::Definitions(Noun::Credential)),
        _ => None,
    }
}

/// Names, asked of the service; none where it cannot be asked.
struct Names {
    kind: Kind,
    world: World,
}

impl ValueCompleter for Names {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let Some(begun) = current.to_str() else { return Vec::new() };
        let (path, names) = match self.kind {
            Kind::Definitions(noun) => (noun.url(), true),
            Kind::HostThenTask if wants_task() => (Noun::Task.url(), true),
            Kind::HostThenTask => (Noun::Host.url(), true),
            Kind::Runs => ("runs", false),
            Kind::Results => ("results", false),
        };
        let mut query = vec![("limit", MOST)];
        if names && !begun.is_empty() {
            query.push(("q", begun));
        }
        let found = self.world.ask(&format!("{API}/{path}"), &query);
        let shown = |doc: &Doc| match names {
            true => (field(doc, "name"), Some(field(doc, "title")).filter(|title| *title != field(doc, "name"))),
            false => (field(doc, "id"), Some(format!("{} {}", field(doc, "host"), field(doc, "task")))),
        };
        let found = found.as_ref().map(|found| found.list("items")).unwrap_or_default().iter().map(shown);
        found
            .filter(|(name, _)| name.starts_with(begun))
            .map(|(name, help)| CompletionCandidate::new(name).help(help.map(Into::into)))
            .collect()
    }
}

impl World {
    fn ask(&self, path: &str, query: &[(&str, &str)]) -> Option<Doc> {
        let context = Context::of_process(self.data_dir.clone(), self.now);
        let session = Session::new(Options::default(), context);
        let asked = async { session.client().await?.get(path, query).await };
        actix_rt::System::new().block_on(async { timeout(PATIENCE, asked).await }).ok()?.ok()
    }
}

/// Whether the next name of `run` is a task's, by what has been typed of the line before it.
fn wants_task() -> bool {
    let mut words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
    words.pop();
    let typed = Cli::command().ignore_errors(true).try_get_matches_from(words);
    let run = typed.as_ref().ok().and_then(|typed| typed.subcommand_matches("run"));
    run.is_some_and(|run| run.contains_id("selector") || run.contains_id("names"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_know_what_they_name() {
        let host = Some(Kind::Definitions(Noun::Host));
        for (argument, verb, of, expected) in [
            ("name", "get", Some(Noun::HostTask), Some(Kind::Definitions(Noun::HostTask))),
            ("names", "delete", Some(Noun::Host), host),
            ("name", "doctor", Some(Noun::Host), host),
            ("name", "create", Some(Noun::Key), None),
            ("name", "downtime", None, None),
            ("names", "run", None, Some(Kind::HostThenTask)),
            ("host", "exec", None, host),
            ("id", "cancel", None, Some(Kind::Runs)),
            ("command", "exec", None, None),
        ] {
            assert_eq!(kind(argument, verb, of), expected, "{argument} of {verb}");
        }
    }
}
