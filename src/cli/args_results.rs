//! What a person may type to see runs and what became of them.

use clap::Args;

use super::watch::WatchArgs;

use crate::model::{Name, RunId};

/// What `results` takes.
#[derive(Debug, Args)]
pub struct ResultsArgs {
    /// Only of this host
    #[arg(long, value_parser = Name::parse)]
    pub host: Option<Name>,
    /// Only of this task
    #[arg(long, value_parser = Name::parse)]
    pub task: Option<Name>,
    /// Only with this outcome
    #[arg(long, ignore_case = true, value_parser = ["OK", "PROBLEM", "SKIPPED"])]
    pub outcome: Option<String>,
    /// Only with this state
    #[arg(long, ignore_case = true, value_parser = ["OK", "WARNING", "CRITICAL", "UNKNOWN"])]
    pub state: Option<String>,
    /// Only with this reason, for example timeout or unreachable
    #[arg(long)]
    pub reason: Option<String>,
    /// Only those due at or after this: an instant, or so long ago (2h)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only those due before this: an instant, or so long ago (2h)
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// How many
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Go on with new ones as they come, oldest first
    #[arg(short, long)]
    pub follow: bool,
}

/// What `result` takes.
#[derive(Debug, Args)]
pub struct ResultArgs {
    /// The id of the run
    pub id: RunId,
    /// Write its standard output, byte for byte, and nothing else
    #[arg(long, conflicts_with_all = ["stderr", "output"])]
    pub stdout: bool,
    /// Write its standard error, byte for byte, and nothing else
    #[arg(long, conflicts_with = "output")]
    pub stderr: bool,
    /// Show what every Action came to for it: whether it is for it, why not, and what it fired
    #[arg(long, conflicts_with_all = ["stdout", "stderr"])]
    pub trace: bool,
}

/// What `runs` takes.
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// Show one run
    #[arg(conflicts_with = "watch")]
    pub id: Option<RunId>,
    /// Again and again.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// What `cancel` takes.
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// The id of the run
    pub id: RunId,
}
