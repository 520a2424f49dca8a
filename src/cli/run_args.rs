//! What a person may type to run something.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;

use super::doc::Doc;
use super::error::CliError;
use super::text::escaped;

use crate::model::{Limit, Name, Selector, Span};

/// The largest standard input that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// What is given to a run.
#[derive(Debug, Default, Args)]
pub struct GivenArgs {
    /// A file for its standard input; - is this command's own
    #[arg(short = 'i', long, value_name = "FILE|-")]
    pub stdin: Option<PathBuf>,
    /// A variable; may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
    /// A variable that is a secret of the service; may be given again
    #[arg(long, value_name = "NAME=SECRET", value_parser = variable)]
    pub env_secret: Vec<(String, String)>,
}

/// What `run` takes.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// HOST and TASK; with -l only TASK
    #[arg(required = true, num_args = 1..=2, value_names = ["HOST", "TASK"], value_parser = Name::parse)]
    pub names: Vec<Name>,
    /// Run it on all hosts of a selector
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<Selector>,
    /// With -l: show what is alike once, under the names of all its hosts, when all have ended
    #[arg(short, long, requires = "selector", conflicts_with_all = ["no_wait", "output"])]
    pub group: bool,
    /// Only start it, and write the run's id
    #[arg(long)]
    pub no_wait: bool,
    /// Give up waiting after this long; the run goes on
    #[arg(long, value_name = "DURATION", conflicts_with = "no_wait")]
    pub timeout_wait: Option<Span>,
    /// What is given to it.
    #[command(flatten)]
    pub given: GivenArgs,
    /// Arguments, in place of the task's
    #[arg(last = true, value_name = "ARG")]
    pub args: Vec<String>,
}

/// What `exec` takes.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// The host
    #[arg(value_parser = Name::parse, required_unless_present = "selector", conflicts_with = "selector")]
    pub host: Option<Name>,
    /// Run it on all hosts of a selector
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<Selector>,
    /// Run this file as a script on the host; what stands after -- are its arguments
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// What runs the script, for example "python3 -u" [default: what its #! line says, else /bin/sh]
    #[arg(long, value_name = "WORDS", requires = "script")]
    pub interpreter: Option<String>,
    /// The directory it starts in
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<String>,
    /// The user it runs as, by sudo
    #[arg(long, value_name = "USER")]
    pub run_as: Option<String>,
    /// Kill it after this long; none for never
    #[arg(long, value_name = "DURATION", value_parser = super::args::parse_limit)]
    pub timeout: Option<Limit>,
    /// With -l: show what is alike once, under the names of all its hosts, when all have ended
    #[arg(short, long, requires = "selector", conflicts_with_all = ["host", "no_wait", "output"])]
    pub group: bool,
    /// Only start it, and write the run's id
    #[arg(long)]
    pub no_wait: bool,
    /// Give up waiting after this long; the run goes on
    #[arg(long, value_name = "DURATION", conflicts_with = "no_wait")]
    pub timeout_wait: Option<Span>,
    /// What is given to it.
    #[command(flatten)]
    pub given: GivenArgs,
    /// The command: one word is text for the shell, several are taken as they are
    #[arg(last = true, value_name = "CMD", required_unless_present = "script")]
    pub command: Vec<String>,
}

impl GivenArgs {
    /// The fields of a body.
    pub(super) fn fields(self, own: &mut dyn Read) -> Result<Vec<(&'static str, Option<Doc>)>, CliError> {
        let mut fields = Vec::new();
        let mut variables: Vec<_> = self.env.into_iter().map(|(name, value)| (name, Doc::Text(value))).collect();
        variables.extend(
            self.env_secret.into_iter().map(|(name, secret)| (name, Doc::map([("secret", Some(secret.into()))]))),
        );
        if !variables.is_empty() {
            fields.push(("env", Some(Doc::Map(variables))));
        }
        if let Some(path) = self.stdin {
            let path = path.as_path();
            let shown = if path == "-" { "standard input".to_owned() } else { escaped(&path.to_string_lossy()) };
            let fault = |what: String| CliError::Failed(format!("{shown} {what}"));
            let mut bytes = Vec::new();
            let read = match path == "-" {
                true => own.take(LARGEST + 1).read_to_end(&mut bytes),
                false => std::fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)),
            };
            read.map_err(|error| fault(format!("cannot be read: {error}")))?;
            if bytes.len() as u64 > LARGEST {
                return Err(fault(format!("is larger than {LARGEST} bytes")));
            }
            let text = String::from_utf8(bytes).map_err(|_| fault("is not UTF-8, which a run's must be".to_owned()))?;
            fields.push(("stdin", Some(Doc::Text(text))));
        }
        Ok(fields)
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
