//! `alf runs`: what is running or queued.

use super::args::RunsArgs;
use super::client::{API, Client};
use super::columns::RUN_ROWS;
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::session::Session;
use super::show::{self, View};
use super::watch::{self, Watched};

pub(super) async fn run(args: RunsArgs, session: &mut Session) -> Result<Exit, CliError> {
    if let Some(id) = args.id {
        let client = session.client().await?;
        show::one(session, &client, &format!("{API}/runs/{id}"), &RUN_ROWS).await?;
        return Ok(Exit::Ok);
    }
    watch::show(&Runs(format!("{API}/runs")), args.watch, session).await
}

struct Runs(String);

impl Watched for Runs {
    fn view(&self) -> View {
        RUN_ROWS
    }

    async fn rows(&self, client: &Client) -> Result<Doc, CliError> {
        client.list(&self.0, &[]).await
    }

    async fn show(&self, client: &Client, session: &mut Session) -> Result<(), CliError> {
        show::list(session, client, &self.0, &[], &RUN_ROWS, "nothing runs or waits").await
    }
}
