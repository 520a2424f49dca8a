//! What a person may type about the store.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::args::parse_limit;
use crate::model::Limit;

/// What `store` takes.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// A file with settings, that of the service: TOML, YAML or JSON
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub verb: StoreVerb,
}

/// What can be done with the store.
#[derive(Debug, Subcommand)]
pub enum StoreVerb {
    /// How large the store is, and what is in it; also while the service runs
    #[command(after_help = "Example:\n  alf store stats -o json")]
    Stats,
    /// Remove the results that are not to be kept any more, now; the service does so by itself while it runs
    #[command(
        after_help = "Examples:\n  alf store prune --dry-run\n  alf store prune --max-age 30d --keep-problems 180d\n  alf store prune --compact"
    )]
    Prune(PruneArgs),
    /// Look whether the store is sound and its records agree; also while the service runs. Exit code 0: it is, 1: it is not
    #[command(after_help = "Example:\n  alf store check")]
    Check,
    /// Copy the store as it is at one moment into an SQLite file, also while the service runs; secret.key is not in the copy
    #[command(
        after_help = "Examples:\n  alf store backup /var/backups/alf/             # alf-DATE-TIME.db in it\n  alf store backup alf.db.copy"
    )]
    Backup(BackupArgs),
    /// Put a backup in the place of the store; what was due since counts as missed, and is not run
    #[command(
        after_help = "Examples:\n  alf store restore /var/backups/alf/alf-20261125-031500.db --data-dir /var/lib/alf\n  alf store restore alf.db.copy --force"
    )]
    Restore(RestoreArgs),
    /// Bring all that is in the store into another, empty one; what was cut off is gone on with
    #[command(
        after_help = "Examples:\n  alf store migrate --to 'mongodb://db1,db2/?replicaSet=rs0' --database alf\n  alf store migrate --config mongodb.toml --to sqlite:/var/lib/alf-new"
    )]
    Migrate(MigrateArgs),
}

/// What `store prune` takes.
#[derive(Debug, Default, Args)]
pub struct PruneArgs {
    /// Only tell how many would go
    #[arg(long)]
    pub dry_run: bool,
    /// Older ones go, in place of retention.max_age; none for never. What tasks say for themselves holds all the same
    #[arg(long, value_name = "DURATION", value_parser = parse_limit)]
    pub max_age: Option<Limit>,
    /// PROBLEMs go when they are older than this too, in place of retention.keep_problems
    #[arg(long, value_name = "DURATION", value_parser = parse_limit)]
    pub keep_problems: Option<Limit>,
    /// The newest so many of each task on each host stay, in place of retention.max_count
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_count: Option<u64>,
    /// The oldest go while the store is larger, in place of retention.max_bytes: bytes
    #[arg(long, value_name = "BYTES")]
    pub max_bytes: Option<u64>,
    /// Then give all free room back to the file system; takes as much again meanwhile
    #[arg(long, conflicts_with = "dry_run")]
    pub compact: bool,
}

/// What `store backup` takes.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// A file that is not there yet, or a directory
    #[arg(value_name = "FILE|DIR")]
    pub to: PathBuf,
}

/// What `store restore` takes.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// What `alf store backup` has written
    #[arg(value_name = "FILE")]
    pub from: PathBuf,
    /// Where there is a store: keep it aside (a MongoDB database as a backup), and put this one in its place
    #[arg(long)]
    pub force: bool,
    /// Run what was due since by the schedules' own rules, as after a crash
    #[arg(long)]
    pub catch_up: bool,
}

/// What `store migrate` takes.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// The other store: sqlite:DIR, or the URL of a MongoDB server
    #[arg(long, value_name = "URL")]
    pub to: String,
    /// The database of the MongoDB server
    #[arg(long, value_name = "NAME", default_value = "alf")]
    pub database: String,
}
