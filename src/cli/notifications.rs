//! `alf notifications`: who was told what, and what was not told, and why.

use clap::Args;

use super::client::API;
use super::columns::{NOTIFICATION_ROWS, field};
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::results::{Listed, follow, instant, show_newest};
use super::session::Session;

use crate::model::Name;

/// What `notifications` takes.
#[derive(Debug, Args)]
pub struct NotificationsArgs {
    /// Only to this contact
    #[arg(long, value_parser = Name::parse)]
    pub contact: Option<Name>,
    /// Only by this Action
    #[arg(long, value_parser = Name::parse)]
    pub action: Option<Name>,
    /// Only of this host
    #[arg(long, value_parser = Name::parse)]
    pub host: Option<Name>,
    /// Only of this task
    #[arg(long, value_parser = Name::parse)]
    pub task: Option<Name>,
    /// Only those that came to this
    #[arg(long, ignore_case = true, value_parser = ["pending", "sent", "held", "throttled", "dropped", "failed"])]
    pub outcome: Option<String>,
    /// Only those that tell this
    #[arg(long = "type", ignore_case = true, value_name = "TYPE",
        value_parser = ["PROBLEM", "RECOVERY", "FLAPPINGSTART", "FLAPPINGSTOP", "CUSTOM"])]
    pub kind: Option<String>,
    /// Only those that tell of this state
    #[arg(long, ignore_case = true,
        value_parser = ["OK", "WARNING", "CRITICAL", "UNKNOWN", "UP", "DOWN", "UNREACHABLE"])]
    pub state: Option<String>,
    /// Only at or after this: an instant, or so long ago (2h)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only before this: an instant, or so long ago (2h)
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// How many
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Go on with new ones as they come, oldest first; one that comes to something else is shown again
    #[arg(short, long)]
    pub follow: bool,
}

pub(super) async fn run(args: Box<NotificationsArgs>, session: &mut Session) -> Result<Exit, CliError> {
    let now = session.now;
    let time = |flag: &str, text: &Option<String>| text.as_deref().map(|text| instant(flag, text, now)).transpose();
    let name = |name: &Option<Name>| name.as_ref().map(Name::to_string);
    let filters = [
        ("contact", name(&args.contact)),
        ("action", name(&args.action)),
        ("host", name(&args.host)),
        ("task", name(&args.task)),
        ("outcome", args.outcome.as_deref().map(str::to_ascii_lowercase)),
        ("type", args.kind.as_deref().map(str::to_ascii_uppercase)),
        ("state", args.state.as_deref().map(str::to_ascii_uppercase)),
        ("since", time("--since", &args.since)?),
        ("until", time("--until", &args.until)?),
    ];
    let filters: Vec<(&str, String)> = filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let query: Vec<(&str, &str)> = filters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let list = Listed {
        path: format!("{API}/notifications"),
        view: &NOTIFICATION_ROWS,
        nothing: "nobody was told anything that matches",
        key: |one: &Doc| format!("{} {}", field(one, "id"), field(one, "outcome")),
    };
    if args.follow {
        follow(&list, &query, limit, session).await
    } else {
        show_newest(&list, &query, limit, session).await
    }
}
