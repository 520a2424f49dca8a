//! A connection that is logged in: opens sessions on it, and notices when it is lost.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::output::Output;
use super::wire::Wire;
use super::{End, Ending, Exec, KillReport, Leftover, Limits, Session, kill, pulse, run};
use crate::clock::Clock;

/// How long the host may take to hear a goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Waits between two tries to open a session, from the first to the longest.
const FIRST_RETRY: Duration = Duration::from_millis(10);
const LAST_RETRY: Duration = Duration::from_millis(200);

/// What all runs over one connection share.
pub(super) struct Link {
    pub(super) wire: Wire,
    /// `address:port`, for messages.
    pub(super) place: String,
    /// Set when something has found the connection gone.
    pub(super) gone: CancellationToken,
    pub(super) clock: Clock,
    pub(super) limits: Limits,
    begun: Instant,
    /// When the host was last heard, in milliseconds since `begun`.
    heard: AtomicU64,
    /// Sessions that the host has refused for want of a place.
    refused: AtomicU64,
}

/// Why there is no session.
#[derive(Debug)]
pub(super) enum NoSession {
    /// Nobody wants it any more.
    Cancelled,
    /// The connection is lost.
    Lost,
    /// The host does not allow sessions; says why.
    Refused(String),
}

impl Link {
    /// Opens a session. One that the host has no place for now is asked for again until `cancel`: sshd frees a place
    /// a moment after it has said that a session is over.
    pub(super) async fn open(self: &Arc<Self>, cancel: &CancellationToken) -> Result<Opened, NoSession> {
        let mut wait = FIRST_RETRY;
        loop {
            let opened = tokio::select! {
                opened = self.open_once() => opened,
                () = cancel.cancelled() => return Err(NoSession::Cancelled),
            };
            if !matches!(opened, Err(russh::Error::Disconnect | russh::Error::SendError)) {
                self.note_heard();
            }
            match opened {
                Ok(opened) => return Ok(opened),
                Err(russh::Error::ChannelOpenFailure(
                    ChannelOpenFailure::ConnectFailed | ChannelOpenFailure::ResourceShortage,
                )) => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                }
                Err(russh::Error::ChannelOpenFailure(reason)) => {
                    return Err(NoSession::Refused(format!("{} refused to open a session: {reason:?}", self.place)));
                }
                Err(_) => {
                    self.gone.cancel();
                    return Err(NoSession::Lost);
                }
            }
            tokio::select! {
                () = tokio::time::sleep(wait.mul_f64(rand::random_range(0.5..1.0))) => {}
                () = cancel.cancelled() => return Err(NoSession::Cancelled),
            }
            wait = (wait * 2).min(LAST_RETRY);
        }
    }

    /// Asks for a session in a task of its own: one that is still being opened must not be forgotten when nobody
    /// waits for it any more, because it would hold its place on the host for the rest of the connection's life.
    pub(super) async fn open_once(self: &Arc<Self>) -> Result<Opened, russh::Error> {
        let (give, take) = oneshot::channel::<Result<Opened, russh::Error>>();
        let link = Arc::clone(self);
        tokio::spawn(async move {
            let opened = link.wire.open().await.map(Opened::new);
            // What cannot be given is dropped, and so closed.
            let _ = give.send(opened);
        });
        take.await.map_err(|_| russh::Error::Disconnect)?
    }

    /// Notes that the connection is gone.
    pub(super) fn note_lost(&self) {
        self.gone.cancel();
    }

    /// Whether the connection is gone.
    pub(super) fn is_lost(&self) -> bool {
        self.gone.is_cancelled() || self.wire.is_closed()
    }

    /// Notes that the host has said something.
    pub(super) fn note_heard(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(now, Ordering::Relaxed);
    }

    /// For how long the host has been silent.
    pub(super) fn silent_for(&self) -> Duration {
        self.begun.elapsed().saturating_sub(Duration::from_millis(self.heard.load(Ordering::Relaxed)))
    }

    /// In words, that the connection is lost.
    pub(super) fn lost_cause(&self) -> String {
        let patience = self.limits.keepalive_interval * (self.limits.keepalive_max as u32 + 1);
        format!("the connection to {} was lost: closed by the host, or silent for {patience:?}", self.place)
    }
}

/// A session that is closed when nobody has it any more: one that is only forgotten holds its place on the host.
pub(super) struct Opened {
    reader: ChannelReadHalf,
    writer: Arc<ChannelWriteHalf<Msg>>,
    closed: bool,
}

impl Opened {
    fn new(channel: Channel<Msg>) -> Self {
        let (reader, writer) = channel.split();
        Self { reader, writer: Arc::new(writer), closed: false }
    }

    /// What is said to the host.
    pub(super) fn writer(&self) -> Arc<ChannelWriteHalf<Msg>> {
        Arc::clone(&self.writer)
    }

    /// What the host says next; none when the session or the connection has ended.
    pub(super) async fn hear(&mut self) -> Option<ChannelMsg> {
        let message = self.reader.wait().await;
        self.closed |= matches!(message, None | Some(ChannelMsg::Close));
        message
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if !self.closed
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let writer = self.writer();
            // Not waited for: a host that is stuck may take this only when its connection is given up.
            runtime.spawn(async move {
                let _ = writer.close().await;
            });
        }
    }
}

/// The real [`Session`].
pub(super) struct SshSession {
    link: Arc<Link>,
}

impl SshSession {
    pub(super) fn new(wire: Wire, place: String, limits: Limits, clock: Clock) -> Self {
        let gone = CancellationToken::new();
        let (begun, heard, refused) = (Instant::now(), AtomicU64::new(0), AtomicU64::new(0));
        let link = Arc::new(Link { wire, place, gone, clock, limits, begun, heard, refused });
        tokio::spawn(pulse::watch(Arc::downgrade(&link)));
        Self { link }
    }

    /// What leads on to other hosts.
    pub(super) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }
}

impl Session for SshSession {
    fn exec(&self, mut exec: Exec) -> BoxFuture<'static, Ending> {
        let link = Arc::clone(&self.link);
        Box::pin(async move {
            // A run goes on in a task of its own, so that one nobody waits for any more is cancelled in good order:
            // its processes are killed and its session is closed.
            let own = exec.cancel.child_token();
            exec.cancel = own.clone();
            let _cancels = own.drop_guard();
            let clock = link.clock.clone();
            match tokio::spawn(run::run(link, exec)).await {
                Ok(ending) => ending,
                Err(error) => {
                    log::error!("a run ended without an answer: {error}");
                    let now = clock.now();
                    let end = End::ConnectionLost("the run was cut off inside Alf; see its log".to_owned());
                    let (stdout, stderr) = (Output::default(), Output::default());
                    Ending { started_at: None, finished_at: now, end, stdout, stderr, kill: None, leader: None }
                }
            }
        })
    }

    fn sweep(&self, leftover: Leftover) -> BoxFuture<'static, KillReport> {
        let link = Arc::clone(&self.link);
        Box::pin(kill::kill(link, leftover.run, leftover.leader, leftover.kill_grace))
    }

    fn refused(&self) -> u64 {
        self.link.refused.load(Ordering::Relaxed)
    }

    fn lost(&self) -> BoxFuture<'static, String> {
        let link = Arc::clone(&self.link);
        Box::pin(async move {
            link.gone.cancelled().await;
            link.lost_cause()
        })
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        let link = Arc::clone(&self.link);
        Box::pin(async move {
            let _ = tokio::time::timeout(GOODBYE, async {
                link.wire.disconnect().await;
                while !link.wire.is_closed() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
            .await;
            link.note_lost();
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
