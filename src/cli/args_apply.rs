//! What a person may type for what concerns many definitions at once.

use std::path::PathBuf;

use clap::Args;

use crate::model::{Name, Selector};

/// What `apply` takes.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// What is to be.
    #[command(flatten)]
    pub wanted: WantedArgs,
    /// Change nothing: only tell what would be changed
    #[arg(long)]
    pub dry_run: bool,
}

/// What `diff` takes.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// What is to be.
    #[command(flatten)]
    pub wanted: WantedArgs,
}

/// What is to be.
#[derive(Debug, Args)]
pub struct WantedArgs {
    /// Files (YAML, JSON or XML; several documents each), directories with all that is below them, or - for stdin
    #[arg(short, long = "file", required = true, num_args = 1.., value_name = "FILE|DIR")]
    pub files: Vec<PathBuf>,
    /// Delete what the files leave out: of the nouns they name, what this selector over labels chooses; * is all
    #[arg(long, value_name = "SELECTOR")]
    pub prune: Option<Selector>,
}

/// What `edit` takes.
#[derive(Debug, Args)]
pub struct EditArgs {
    /// The name
    #[arg(value_parser = Name::parse_link)]
    pub name: Name,
}
