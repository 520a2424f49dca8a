//! What a person may type about keys.

use clap::{Args, Subcommand};

use super::args::{DeleteArgs, EditArgs, ListArgs, NameArgs};
use crate::model::{Name, Role, Selector};

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyVerb {
    /// List all, by name
    #[command(after_help = "Example:\n  alf key list -o wide")]
    List(ListArgs),
    /// Show what a key may do, and when it was last used
    #[command(after_help = "Example:\n  alf key get ci")]
    Get(NameArgs),
    /// Create a key; it is shown once, on stdout
    #[command(
        after_help = "Examples:\n  alf key create ci --role operator > ci.key\n  alf key create web-team --role admin --selector role=web --expires 90d\n  alf key create probe --role operator --exec --expires 2027-01-01\n  alf key create --offline --role admin     # every key is lost: on the service's own machine"
    )]
    Create(KeyCreateArgs),
    /// Edit what a key may do with $VISUAL or $EDITOR, as YAML
    #[command(after_help = "Example:\n  alf key edit ci")]
    Edit(EditArgs),
    /// Revoke a key at once
    #[command(alias = "delete", after_help = "Example:\n  alf key revoke ci")]
    Revoke(DeleteArgs),
}

/// What `key create` takes.
#[derive(Debug, Args)]
pub struct KeyCreateArgs {
    /// The name of the key
    #[arg(value_parser = Name::parse, required_unless_present_any = ["named", "offline"], conflicts_with = "named")]
    pub name: Option<Name>,
    /// The name of the key [with --offline: offline-DATE-TIME]
    #[arg(long = "name", value_name = "NAME", value_parser = Name::parse)]
    pub named: Option<Name>,
    /// What it may do: viewer, operator or admin
    #[arg(long, value_parser = parse_role)]
    pub role: Role,
    /// Also let it run anything on hosts (alf exec); an admin may anyway
    #[arg(long)]
    pub exec: bool,
    /// Only for hosts of a selector over labels, for example role=web,env!=dev
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<Selector>,
    /// When it ends: after so long (90d), at a day (2027-01-01, UTC) or an instant [default: never]
    #[arg(long, value_name = "TIME")]
    pub expires: Option<String>,
    /// Hand it to the service of this machine by way of its data directory, without any other key
    #[arg(long)]
    pub offline: bool,
}

fn parse_role(text: &str) -> Result<Role, String> {
    match text {
        "viewer" => Ok(Role::Viewer),
        "operator" => Ok(Role::Operator),
        "admin" => Ok(Role::Admin),
        _ => Err("allowed are viewer, operator and admin".to_owned()),
    }
}
