//! Ends a run's processes on the host, through a second session of the same connection: closing a session kills
//! nothing there.

use std::sync::Arc;
use std::time::Duration;

use russh::ChannelMsg;
use tokio_util::sync::CancellationToken;

use super::KillReport;
use super::output::Collector;
use super::remote::{self, Verdict};
use super::session::{Link, NoSession};

/// What a kill may take beyond the grace between TERM and KILL.
const LONGEST: Duration = Duration::from_secs(10);

/// How long a session for it is asked for.
const OPEN: Duration = Duration::from_secs(5);

/// Bytes of the answer that are looked at.
const ANSWER: usize = 64 * 1024;

/// Kills a run and looks whether anything of it is left. Ends within `grace` and [`LONGEST`].
pub(super) async fn kill(link: Arc<Link>, run: String, leader: Option<u32>, grace: Duration) -> KillReport {
    let requested_at = link.clock.now();
    let asked = tokio::time::timeout(grace + LONGEST, ask(&link, &run, leader, grace)).await;
    let (gone, detail) = match asked {
        Ok(Ok(Verdict::Gone(count))) => (Some(true), in_words(count, "ended")),
        Ok(Ok(Verdict::Left(count, left))) => {
            let pids: Vec<String> = left.iter().take(20).map(u32::to_string).collect();
            let detail =
                format!("{}, {} of them still there: {}", in_words(count, "found"), left.len(), pids.join(" "));
            (Some(false), detail)
        }
        Ok(Ok(Verdict::Unknown)) => (None, "could not be looked at: the host has no /proc".to_owned()),
        Ok(Err(cause)) => (None, format!("could not be looked at: {cause}")),
        Err(_) => (None, format!("could not be looked at within {:?}", grace + LONGEST)),
    };
    KillReport { requested_at, gone, detail }
}

fn in_words(count: usize, what: &str) -> String {
    match count {
        0 => "no process of the run was found".to_owned(),
        1 => format!("1 process {what}"),
        count => format!("{count} processes {what}"),
    }
}

async fn ask(link: &Arc<Link>, run: &str, leader: Option<u32>, grace: Duration) -> Result<Verdict, String> {
    let token = remote::token();
    let delivery = remote::in_header(&remote::kill_script(run, leader, grace, &token));
    let never = CancellationToken::new();
    let mut session = match tokio::time::timeout(OPEN, link.open(&never)).await {
        Ok(Ok(session)) => session,
        Ok(Err(NoSession::Refused(cause))) => return Err(cause),
        Ok(Err(_)) => return Err(link.lost_cause()),
        Err(_) => return Err(format!("no session was free within {OPEN:?}")),
    };
    let lost = |_| link.lost_cause();
    let writer = session.writer();
    writer.exec(true, delivery.request).await.map_err(lost)?;
    if let Some(header) = delivery.header {
        writer.data_bytes(header).await.map_err(lost)?;
    }
    writer.eof().await.map_err(lost)?;
    let mut stdout = Collector::new(ANSWER);
    while let Some(message) = session.hear().await {
        match message {
            ChannelMsg::Data { data } => stdout.push(&data),
            ChannelMsg::Failure => return Err("the host refused to start a shell".to_owned()),
            ChannelMsg::Close => break,
            _ => {}
        }
    }
    remote::read_verdict(&stdout.finish().bytes, &token)
        .ok_or_else(|| "the host's shell gave no answer that could be read".to_owned())
}
