//! `alf cancel`: ends a run, with its processes on the host.

use super::args::CancelArgs;
use super::client::API;
use super::error::{CliError, Exit};
use super::session::Session;

pub(super) async fn run(args: CancelArgs, session: &mut Session) -> Result<Exit, CliError> {
    let client = session.client().await?;
    client.delete(&format!("{API}/runs/{}", args.id), &[]).await?;
    session.output.note(&format!("run {} is being cancelled; see alf result {}", args.id, args.id));
    Ok(Exit::Ok)
}
