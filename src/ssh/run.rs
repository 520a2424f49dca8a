//! One run over a session: sends the command, drains its output, watches its time, and sees it to its end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::Instant;

use super::output::Output;
use super::progress::{KillTask, Run, Writer};
use super::remote::{self, Delivery};
use super::session::{Link, NoSession};
use super::sudo::{self, Heard};
use super::{End, Ending, Exec, KillReport, Work, program};

/// How long a run whose program has just been brought to the host may wait for a session once more.
const AGAIN: Duration = Duration::from_secs(60);

/// The program is to be brought to the host first; nothing has run.
#[derive(Debug)]
pub(super) struct NeedsProgram;

/// Runs one command to its end.
pub(super) async fn run(link: Arc<Link>, mut exec: Exec) -> Ending {
    let never = |end| {
        exec.output.finish();
        never_started(&link, end)
    };
    if let Ok(ending) = attempt(&link, exec.clone()).await {
        return ending;
    }
    let Work::Program(program) = &exec.work else {
        return never(End::Setup(format!("{} asks for a program that is none", link.place)));
    };
    if let Err(end) = program::bring(&link, program, &exec).await {
        return never(end);
    }
    exec.start_by = exec.start_by.map(|by| by.max(Instant::now() + AGAIN));
    match attempt(&link, exec.clone()).await {
        Ok(ending) => ending,
        Err(NeedsProgram) => {
            exec.output.finish();
            never_started(&link, End::Setup(format!("the program was brought to {} and is gone again", link.place)))
        }
    }
}

/// Runs what is there to be run.
pub(super) async fn attempt(link: &Arc<Link>, exec: Exec) -> Result<Ending, NeedsProgram> {
    let never = |end| {
        exec.output.finish();
        Ok(never_started(link, end))
    };
    let token = remote::token();
    let delivery = match remote::deliver(&exec, &token) {
        Ok(delivery) => delivery,
        Err(detail) => return never(End::Setup(detail)),
    };
    let mut session = match link.open(&exec.cancel, exec.start_by).await {
        Ok(session) => session,
        Err(NoSession::Cancelled) => return never(End::Cancelled),
        Err(NoSession::Lost) => return never(End::ConnectionLost(link.lost_cause())),
        Err(NoSession::Refused(cause)) => return never(End::Refused(cause)),
        Err(NoSession::NoPlace(cause)) => return never(End::NoPlace(cause)),
    };
    let writer = session.writer();
    let (tell, heard) = mpsc::unbounded_channel();
    let mut run = Run::new(Arc::clone(link), exec, &delivery, &token, tell);
    let feed = feed(Arc::clone(&writer), delivery, run.exec.stdin.clone(), heard);
    let gone = run.link.gone.clone();
    tokio::pin!(feed);
    let mut fed = false;

    while !run.over() {
        let deadline = run.deadline();
        tokio::select! {
            message = session.hear(), if run.closed.is_none() => run.hear(message),
            () = &mut feed, if !fed => fed = true,
            () = sleep_until(deadline), if deadline.is_some() => run.deadline_passed(&writer),
            () = run.exec.cancel.cancelled(), if run.may_stop() => run.stop(End::Cancelled),
            killed = killed(&mut run.killing) => run.killed(killed),
            () = gone.cancelled(), if run.lost_at.is_none() => run.lost_at = Some(Instant::now()),
        }
    }
    run.finish()
}

/// Sends everything the remote side is to get, each part when it is ready for it.
async fn feed(writer: Writer, delivery: Delivery, stdin: Option<Bytes>, mut heard: UnboundedReceiver<Heard>) {
    let sent = async {
        let header = delivery.header.is_some();
        if !sudo::send(&writer, delivery, &mut heard).await? {
            return Ok(());
        }
        if header {
            // The remote side's reader of the header may read ahead: what comes too early would be lost.
            while heard.recv().await.ok_or(russh::Error::Disconnect)? != Heard::Ready {}
            writer.data_bytes(Bytes::from_static(remote::GO)).await?;
        }
        if let Some(stdin) = stdin {
            writer.data_bytes(stdin).await?;
        }
        writer.eof().await
    };
    // A failure means that the connection is gone, which is seen where messages are read.
    let _: Result<(), russh::Error> = sent.await;
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn killed(task: &mut Option<KillTask>) -> KillReport {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

fn never_started(link: &Link, end: End) -> Ending {
    let now = link.clock.now();
    Ending {
        started_at: None,
        finished_at: now,
        end,
        stdout: Output::default(),
        stderr: Output::default(),
        kill: None,
        leader: None,
    }
}
