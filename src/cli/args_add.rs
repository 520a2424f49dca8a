//! What a person may type after the verbs that make something out of more than one document, or out of none.

use std::path::PathBuf;

use clap::Args;

use crate::model::{CronLine, Limit, Name, Selector, Timezone};

/// What `host add` takes.
#[derive(Debug, Args)]
pub struct HostAddArgs {
    /// The host as you would give it to ssh
    #[arg(value_name = "[USER@]HOST[:PORT]")]
    pub target: String,
    /// Its name in Alf [default: HOST]
    #[arg(long, value_parser = Name::parse)]
    pub name: Option<Name>,
    /// A label, for selectors
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<String>,
    /// The credential to log in with
    #[arg(long, value_name = "NAME", value_parser = Name::parse)]
    pub credential: Option<Name>,
    /// The host through which it is reached [default: the ProxyJump of ssh_config, if that is a host here]
    #[arg(long, value_name = "HOST", value_parser = Name::parse)]
    pub jump: Option<Name>,
    /// Do not ask ssh what its configuration says
    #[arg(long)]
    pub no_ssh_config: bool,
}

/// What `task add` takes.
#[derive(Debug, Args)]
pub struct TaskAddArgs {
    /// The name of the task
    #[arg(value_parser = Name::parse)]
    pub name: Name,
    /// What it runs.
    #[command(flatten)]
    pub work: WorkArgs,
    /// What runs the script, for example "python3 -u" [default: what its #! line says, else /bin/sh]
    #[arg(long, value_name = "WORDS", conflicts_with_all = ["command", "program"])]
    pub interpreter: Option<String>,
    /// An argument of the script or program; may be given several times
    #[arg(long = "arg", value_name = "ARG", conflicts_with = "command", allow_hyphen_values = true)]
    pub args: Vec<String>,
    /// A file it reads as its standard input; - is stdin
    #[arg(long, value_name = "FILE")]
    pub stdin: Option<PathBuf>,
    /// The directory it starts in [default: the home directory]
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<String>,
    /// The user it runs as, by sudo [default: the one that is logged in]
    #[arg(long, value_name = "USER")]
    pub run_as: Option<String>,
    /// The host it runs on; may be given several times
    #[arg(long, value_name = "HOST", value_parser = Name::parse, required_unless_present = "selector")]
    pub on: Vec<Name>,
    /// The hosts it runs on, by their labels
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "on")]
    pub selector: Option<Selector>,
    /// When: a line as in crontab(5), or @every 90s
    #[arg(long, value_name = "LINE")]
    pub cron: CronLine,
    /// The time zone of the line [default: that of the service, UTC]
    #[arg(long, value_name = "TZ")]
    pub timezone: Option<Timezone>,
    /// How its exit code and output are judged: none (0 is good) or nagios (the plugin guidelines) [default: none]
    #[arg(long, value_name = "KIND", value_parser = ["none", "nagios"])]
    pub plugin: Option<String>,
    /// Killed after this long, for example 90s, or none [default: 1h; with --plugin nagios 60s]
    #[arg(long, value_name = "DURATION", value_parser = parse_limit)]
    pub timeout: Option<Limit>,
    /// Its results go when they are older, for example 30d, or none [default: retention.max_age of the service]
    #[arg(long, value_name = "DURATION", value_parser = parse_limit)]
    pub retention_max_age: Option<Limit>,
    /// Its PROBLEMs stay so long, where that is longer [default: retention.keep_problems of the service]
    #[arg(long, value_name = "DURATION", value_parser = parse_limit)]
    pub retention_keep_problems: Option<Limit>,
    /// The newest so many results of each host stay [default: retention.max_count of the service]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub retention_max_count: Option<u64>,
    /// What messages call it [default: NAME]
    #[arg(long)]
    pub title: Option<String>,
}

/// What a task runs: exactly one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct WorkArgs {
    /// The command, for the remote /bin/sh
    #[arg(long, value_name = "CMD", allow_hyphen_values = true)]
    pub command: Option<String>,
    /// A file with a script; - is stdin
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// An uploaded program
    #[arg(long, value_name = "NAME", value_parser = Name::parse)]
    pub program: Option<Name>,
}

/// What `program create` and `program put` take.
#[derive(Debug, Args)]
pub struct ProgramPutArgs {
    /// The name of the program
    #[arg(value_parser = Name::parse)]
    pub name: Name,
    /// The file; - is stdin
    #[arg(value_name = "FILE", required_unless_present = "file")]
    pub path: Option<PathBuf>,
    /// The same as FILE
    #[arg(short, long, value_name = "FILE", conflicts_with = "path")]
    pub file: Option<PathBuf>,
}

fn parse_limit(text: &str) -> Result<Limit, String> {
    match text {
        "none" => Ok(Limit::None),
        text => text.parse().map(Limit::After).map_err(|error| format!("{error}, or none")),
    }
}
