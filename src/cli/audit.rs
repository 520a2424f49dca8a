//! `alf audit`: who changed or started what, when, from where.

use clap::Args;

use super::client::API;
use super::columns::{AUDIT_ROWS, field};
use super::error::{CliError, Exit};
use super::results::{Listed, instant, show_newest};
use super::session::Session;

use crate::model::{Name, Noun};

/// What `audit` takes.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Only by this key
    #[arg(long, value_parser = Name::parse)]
    pub by: Option<Name>,
    /// Only to this kind of definition, for example host or task
    #[arg(long, value_parser = noun)]
    pub noun: Option<Noun>,
    /// Only to the definition of this name
    #[arg(long, value_parser = Name::parse_link)]
    pub name: Option<Name>,
    /// Only this, for example create, delete, run or login
    #[arg(long)]
    pub verb: Option<String>,
    /// Only at or after this: an instant, or so long ago (2h)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only before this: an instant, or so long ago (2h)
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// How many
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

fn noun(text: &str) -> Result<Noun, String> {
    Noun::parse(text).ok_or_else(|| format!("must be one of {}", Noun::ALL.map(|noun| noun.to_string()).join(", ")))
}

pub(super) async fn run(args: AuditArgs, session: &mut Session) -> Result<Exit, CliError> {
    let now = session.now;
    let time = |flag: &str, text: &Option<String>| text.as_deref().map(|text| instant(flag, text, now)).transpose();
    let filters = [
        ("by", args.by.map(|by| by.to_string())),
        ("noun", args.noun.map(|noun| noun.singular().to_owned())),
        ("name", args.name.map(|name| name.to_string())),
        ("verb", args.verb),
        ("since", time("--since", &args.since)?),
        ("until", time("--until", &args.until)?),
    ];
    let filters: Vec<(&str, String)> = filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let query: Vec<(&str, &str)> = filters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let list = Listed {
        path: format!("{API}/audit"),
        view: &AUDIT_ROWS,
        nothing: "the audit holds nothing of it",
        key: |entry| field(entry, "id"),
    };
    show_newest(&list, &query, limit, session).await
}
