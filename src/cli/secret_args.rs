//! What a person may type about secrets. A value is never an argument: those are seen in `ps` and kept in histories.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::args::{DeleteArgs, ListArgs, NameArgs};
use crate::model::Name;

/// What can be done with secrets.
#[derive(Debug, Subcommand)]
pub enum SecretVerb {
    /// List all, by name
    #[command(after_help = "Example:\n  alf secret list")]
    List(ListArgs),
    /// Show one, but for its value
    #[command(after_help = "Example:\n  alf secret get db-password -o yaml")]
    Get(NameArgs),
    /// Create one; its value comes from a file or stdin
    #[command(
        after_help = "Examples:\n  alf secret create db-password ./password.txt\n  pass show db | alf secret create db-password\n  alf secret create -f secrets.yaml"
    )]
    Create(SecretCreateArgs),
    /// Give one another value, from a file or stdin; runs and logins have it from then on
    #[command(
        after_help = "Examples:\n  alf secret edit db-password ./password.txt\n  pass show db | alf secret edit db-password"
    )]
    Edit(SecretEditArgs),
    /// Delete
    #[command(after_help = "Example:\n  alf secret delete db-password")]
    Delete(DeleteArgs),
    /// Change the key that the service encrypts secrets with; all are encrypted anew
    #[command(after_help = "Example:\n  alf secret rotate-key")]
    RotateKey,
}

/// What `secret create` takes.
#[derive(Debug, Args)]
pub struct SecretCreateArgs {
    /// The name of the secret
    #[arg(value_parser = Name::parse, required_unless_present = "file")]
    pub name: Option<Name>,
    /// Where its value is.
    #[command(flatten)]
    pub value: ValueArgs,
    /// What messages call it [default: NAME]
    #[arg(long)]
    pub title: Option<String>,
    /// In place of NAME: a file with the documents of one or many, as other nouns are created; - is stdin
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["name", "path", "exact", "title"])]
    pub file: Option<PathBuf>,
}

/// What `secret edit` takes.
#[derive(Debug, Args)]
pub struct SecretEditArgs {
    /// The name of the secret
    #[arg(value_parser = Name::parse)]
    pub name: Name,
    /// Where its value is.
    #[command(flatten)]
    pub value: ValueArgs,
}

/// Where a value is.
#[derive(Debug, Args)]
pub struct ValueArgs {
    /// A file that holds the value and nothing else; - is stdin [default: -]
    #[arg(value_name = "VALUE_FILE")]
    pub path: Option<PathBuf>,
    /// Take the newline at its end too
    #[arg(long)]
    pub exact: bool,
}
