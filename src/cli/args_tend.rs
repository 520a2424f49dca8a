//! What a person may type who tends the fleet: acknowledgements, downtimes, problems.

use std::str::FromStr;

use chrono::TimeDelta;
use clap::{Args, Subcommand};

use super::args::{CreateArgs, DeleteArgs, EditArgs, ListArgs, NameArgs};
use super::watch::WatchArgs;
use crate::model::{DowntimeMode, Name, Selector, Span, Timestamp};

/// What `problems` takes.
#[derive(Debug, Args)]
pub struct ProblemsArgs {
    /// Only of this host
    #[arg(value_parser = Name::parse)]
    pub host: Option<Name>,
    /// Only hosts of a selector
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<Selector>,
    /// Those that are acknowledged or in a downtime too
    #[arg(short, long)]
    pub all: bool,
    /// Again and again.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// When something ends: an instant, or so long from now.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// Then.
    At(Timestamp),
    /// After so long.
    After(Span),
}

impl FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let instant = text.parse().map(Self::At);
        instant.or_else(|_| text.parse().map(Self::After)).map_err(|_: <Span as FromStr>::Err| {
            "write an instant such as 2026-11-23T10:30:00Z, or how long from now, such as 2h".to_owned()
        })
    }
}

impl Until {
    /// The instant, if a date can say it.
    pub(super) fn instant(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::At(instant) => Some(instant),
            Self::After(span) => TimeDelta::from_std(span.get())
                .ok()
                .and_then(|span| now.get().checked_add_signed(span))
                .map(Timestamp::from),
        }
    }
}

/// What `ack` takes.
#[derive(Debug, Args)]
pub struct AckArgs {
    /// The host
    #[arg(value_parser = Name::parse)]
    pub host: Name,
    /// The task there; without it the PROBLEM is the host's own
    #[arg(value_parser = Name::parse)]
    pub task: Option<Name>,
    /// What there is to say of it
    #[arg(short, long, value_name = "TEXT", required_unless_present = "remove")]
    pub message: Option<String>,
    /// It ends then: an instant, or how long from now
    #[arg(long, value_name = "TIME")]
    pub until: Option<Until>,
    /// It ends after so long
    #[arg(long = "for", value_name = "DURATION", conflicts_with = "until")]
    pub lasts: Option<Span>,
    /// It stays while the PROBLEM changes from one state to another
    #[arg(long)]
    pub sticky: bool,
    /// Take it back
    #[arg(long, conflicts_with_all = ["message", "until", "lasts", "sticky"])]
    pub remove: bool,
}

/// What `events` takes.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Go on as they come; it always does
    #[arg(short, long)]
    pub follow: bool,
    /// Begin with the last ones that the service still knows
    #[arg(short, long)]
    pub all: bool,
    /// Only of this host
    #[arg(long, value_parser = Name::parse)]
    pub host: Option<Name>,
    /// Only of this task
    #[arg(long, value_parser = Name::parse)]
    pub task: Option<Name>,
}

/// What `downtime` takes: a verb of the noun, or what a new one is of.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DowntimeArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: Option<DowntimeVerb>,
    /// What a new one is of.
    #[command(flatten)]
    pub set: DowntimeSetArgs,
}

/// What can be done with downtimes.
#[derive(Debug, Subcommand)]
pub enum DowntimeVerb {
    /// List all, by name
    #[command(after_help = "Example:\n  alf downtime list")]
    List(ListArgs),
    /// Show one
    #[command(after_help = "Example:\n  alf downtime get web1-20261125-101500 -o yaml")]
    Get(NameArgs),
    /// Create from a file
    #[command(after_help = "Example:\n  alf downtime create -f nightly.yaml")]
    Create(CreateArgs),
    /// Edit one with $VISUAL or $EDITOR, as YAML
    #[command(after_help = "Example:\n  alf downtime edit nightly-copies")]
    Edit(EditArgs),
    /// Delete: it ends at once
    #[command(alias = "end", after_help = "Example:\n  alf downtime delete web1-20261125-101500")]
    Delete(DeleteArgs),
}

/// What a new downtime is of.
#[derive(Debug, Args)]
pub struct DowntimeSetArgs {
    /// The host
    #[arg(value_parser = Name::parse, required_unless_present = "selector", conflicts_with = "selector")]
    pub host: Option<Name>,
    /// All hosts of a selector
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<Selector>,
    /// Just this task there
    #[arg(long, value_parser = Name::parse, value_name = "TASK")]
    pub task: Option<Name>,
    /// How long it lasts
    #[arg(long = "for", value_name = "DURATION", required_unless_present = "until")]
    pub lasts: Option<Span>,
    /// When it ends, in place of how long it lasts: an instant, or how long from now
    #[arg(long, value_name = "TIME", conflicts_with = "lasts")]
    pub until: Option<Until>,
    /// When it begins: an instant [default: now]
    #[arg(long, value_name = "TIME")]
    pub from: Option<Timestamp>,
    /// Why
    #[arg(short, long, value_name = "TEXT", required = true)]
    pub message: Option<String>,
    /// Nothing runs meanwhile, in place of running without telling anybody
    #[arg(long)]
    pub pause: bool,
    /// Its name [default: made from the host and the time]
    #[arg(long, value_parser = Name::parse)]
    pub name: Option<Name>,
}

impl DowntimeSetArgs {
    /// What it keeps from happening.
    pub(super) fn mode(&self) -> DowntimeMode {
        if self.pause { DowntimeMode::Pause } else { DowntimeMode::Suppress }
    }
}
