//! `alf runs`: what is running or queued.

use super::args::RunsArgs;
use super::client::API;
use super::columns::RUN_ROWS;
use super::error::{CliError, Exit};
use super::session::Session;
use super::show;

pub(super) async fn run(args: RunsArgs, session: &mut Session) -> Result<Exit, CliError> {
    let client = session.client().await?;
    match args.id {
        Some(id) => show::one(session, &client, &format!("{API}/runs/{id}"), &RUN_ROWS).await?,
        None => show::list(session, &client, &format!("{API}/runs"), &[], &RUN_ROWS, "nothing runs or waits").await?,
    }
    Ok(Exit::Ok)
}
