//! Ends a run's processes on the host, through a second session: closing a session kills nothing there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use russh::ChannelMsg;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::output::Collector;
use super::processes::{self, Search, Verdict};
use super::session::{Link, NoSession, Opened, Second};
use super::sudo::{self, Ears};
use super::{Begun, KillReport, RunAs, remote};

/// What a kill may take beyond the grace between TERM and KILL, once it has a session.
const LONGEST: Duration = Duration::from_secs(10);

/// How long the connection is asked for a session before a second connection is made for it.
const FREE: Duration = Duration::from_secs(1);

/// How long it is asked for one if there is no second connection to be had.
const OPEN: Duration = Duration::from_secs(5);

/// Bytes of the answer that are looked at.
const ANSWER: usize = 64 * 1024;

/// The run that is to be ended.
#[derive(Debug)]
pub(super) struct Prey {
    /// Its id.
    pub(super) run: String,
    /// Its first process, if known.
    pub(super) leader: Option<u32>,
    /// Whom it runs as.
    pub(super) run_as: Option<RunAs>,
    /// Between TERM and KILL.
    pub(super) grace: Duration,
    /// Of one that is only looked for, what is known of its beginning: it is left alone if it has ended by itself.
    pub(super) looked_for: Option<Begun>,
}

/// Kills a run and looks whether anything of it is left. Always ends, a while after the grace.
pub(super) async fn kill(link: Arc<Link>, prey: Prey) -> KillReport {
    let requested_at = link.clock.now();
    let longest = prey.grace + LONGEST;
    let asked = async {
        let (session, _second) = session(&link).await?;
        let asked = timeout(longest, ask(&link, session, &prey)).await;
        asked.unwrap_or_else(|_| Err(format!("no answer within {longest:?}")))
    };
    let (gone, detail) = match asked.await {
        Ok(Verdict::Gone(count)) => (Some(true), in_words(count, "ended")),
        Ok(Verdict::Left(count, left)) => {
            let pids: Vec<String> = left.iter().take(20).map(u32::to_string).collect();
            let detail =
                format!("{}, {} of them still there: {}", in_words(count, "found"), left.len(), pids.join(" "));
            (Some(false), detail)
        }
        Ok(Verdict::Ended) => nothing(prey.looked_for.unwrap_or(Begun::Surely)),
        Ok(Verdict::Unknown) => (None, "could not be looked at: the host has no /proc".to_owned()),
        Err(cause) => (None, format!("could not be looked at: {cause}")),
    };
    KillReport { requested_at, gone, detail }
}

/// What it means that a run is not there.
fn nothing(begun: Begun) -> (Option<bool>, String) {
    let (gone, detail) = match begun {
        Begun::Surely => (Some(true), "the run had ended by itself"),
        Begun::Perhaps => (Some(true), "the run had ended by itself, or never begun"),
        Begun::PerhapsAsAnother => {
            (None, "nothing that is the login's own was found, and whom the run was done as is not known any more")
        }
    };
    (gone, detail.to_owned())
}

fn in_words(count: usize, what: &str) -> String {
    match count {
        0 => "no process of the run was found".to_owned(),
        1 => format!("1 process {what}"),
        count => format!("{count} processes {what}"),
    }
}

/// A session to look and kill in: of this connection, or where it has none to give, of a second one.
async fn session(link: &Arc<Link>) -> Result<(Opened, Option<Second>), String> {
    let never = CancellationToken::new();
    let own = async {
        link.open(&never, None).await.map(|opened| (opened, None)).map_err(|error| match error {
            NoSession::Refused(cause) | NoSession::NoPlace(cause) => cause,
            NoSession::Cancelled | NoSession::Lost => link.lost(),
        })
    };
    tokio::pin!(own);
    if let Ok(opened) = timeout(FREE, &mut own).await {
        return opened;
    }
    let limit = link.limits.connect + link.limits.login + LONGEST;
    let other = timeout(limit, async {
        let second = link.second().await?;
        let opened = second.link.open(&never, None).await;
        let opened = opened.map_err(|_| "the second connection has no session either".to_owned())?;
        Ok::<_, String>((opened, Some(second)))
    });
    let why = tokio::select! {
        opened = &mut own => return opened,
        opened = other => match opened {
            Ok(Ok(opened)) => return Ok(opened),
            Ok(Err(cause)) => cause,
            Err(_) => format!("no second connection within {limit:?}"),
        },
    };
    timeout(OPEN, own).await.unwrap_or_else(|_| Err(format!("{} had no session free for it; {why}", link.place)))
}

async fn ask(link: &Link, mut session: Opened, prey: &Prey) -> Result<Verdict, String> {
    let token = remote::token();
    let search = Search {
        run: &prey.run,
        leader: prey.leader,
        by_sudo: prey.run_as.is_some(),
        only_unended: prey.looked_for.is_some(),
        grace: prey.grace,
    };
    let delivery = remote::in_header(&processes::script(search, &token), prey.run_as.as_ref())?;
    let (tell, mut heard) = mpsc::unbounded_channel();
    let mut ears = Ears::new(delivery.dialogue.clone(), tell);
    let writer = session.writer();
    let send = async { if sudo::send(&writer, delivery, &mut heard).await? { writer.eof().await } else { Ok(()) } };
    tokio::pin!(send);
    let mut sent = false;
    let mut said = [Collector::new(ANSWER), Collector::new(ANSWER)];
    loop {
        let message = tokio::select! {
            message = session.hear() => message,
            done = &mut send, if !sent => {
                done.map_err(|_| link.lost())?;
                sent = true;
                continue;
            }
        };
        let (stream, data): (usize, Bytes) = match message {
            Some(ChannelMsg::Data { data }) => (0, data),
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => (1, data),
            Some(ChannelMsg::Failure) => return Err("the host refused to start a shell".to_owned()),
            None | Some(ChannelMsg::Close) => break,
            Some(_) => continue,
        };
        ears.hear(stream, &data);
        said[stream].push(&data);
    }
    let [stdout, stderr] = said.map(Collector::finish);
    if let Some(verdict) = processes::read_verdict(&stdout.bytes, &token) {
        return Ok(verdict);
    }
    match prey.run_as.as_ref().and_then(|_| sudo::words(&ears.without_signs(&stderr.bytes))) {
        Some(words) => Err(format!("sudo did not let it: {words}")),
        None => Err("the host's shell gave no answer that could be read".to_owned()),
    }
}
