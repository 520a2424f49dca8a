//! What a person may type about whom to trust, and about a host that makes trouble.

use clap::{Args, Subcommand};

use crate::model::Name;

/// What can be done about whom to trust, and about a host that makes trouble.
#[derive(Debug, Subcommand)]
pub enum TrustVerb {
    /// Trust the key that a host shows now, in place of what was learnt of it before
    #[command(after_help = "Examples:\n  alf host trust web1\n  alf host trust web1 --expect SHA256:w1Xj…")]
    Trust(TrustArgs),
    /// Forget the keys that were learnt of a host: the next connect learns, or refuses, as for a new one
    #[command(after_help = "Example:\n  alf host forget-key web1")]
    ForgetKey(HostArgs),
    /// Look for what is wrong with a host, step by step, and what helps
    #[command(after_help = "Example:\n  alf host doctor web1")]
    Doctor(HostArgs),
}

/// What `host trust` takes.
#[derive(Debug, Args)]
pub struct TrustArgs {
    /// The name of the host
    #[arg(value_parser = Name::parse)]
    pub name: Name,
    /// The fingerprint that its key must have, as ssh-keygen -l on the host shows it
    #[arg(long, value_name = "SHA256:…")]
    pub expect: Option<String>,
    /// Trust whatever key it shows, without a question
    #[arg(short, long, conflicts_with = "expect")]
    pub yes: bool,
}

/// What takes a host.
#[derive(Debug, Args)]
pub struct HostArgs {
    /// The name of the host
    #[arg(value_parser = Name::parse)]
    pub name: Name,
}
