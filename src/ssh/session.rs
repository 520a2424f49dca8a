//! A connection that is logged in: opens sessions on it, and notices when it is lost.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::{Mutex, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::kill::{self, Prey};
use super::output::Output;
use super::wire::Wire;
use super::{
    ConnectError, Connected, Connector, End, Ending, Exec, KillReport, Leftover, Limits, Session, Target, pulse, run,
};
use crate::clock::Clock;

/// How long the host may take to hear a goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Waits between two tries to open a session, from the first to the longest.
const FIRST_RETRY: Duration = Duration::from_millis(10);
const LAST_RETRY: Duration = Duration::from_millis(200);

/// How long after its end a session may still take its place on the host.
const SETTLING: Duration = Duration::from_secs(1);

/// What all runs over one connection share.
pub(super) struct Link {
    pub(super) wire: Wire,
    /// `address:port`, for messages.
    pub(super) place: String,
    /// Set when something has found the connection gone.
    pub(super) gone: CancellationToken,
    /// Why it is gone, as who found it so first says.
    why_lost: OnceLock<Lost>,
    pub(super) clock: Clock,
    pub(super) limits: Limits,
    begun: Instant,
    /// When the host was last heard, in milliseconds since `begun`.
    heard: AtomicU64,
    /// Sessions that the host has refused for want of a place.
    refused: AtomicU64,
    seats: Arc<Seats>,
    /// Held by the run that brings a program to the host.
    pub(super) bringing: Mutex<()>,
    /// Makes a connection like this one.
    again: OnceLock<Again>,
}

/// Makes one more connection to the same host, with the same login, held to the same key.
type Again = Box<dyn Fn() -> BoxFuture<'static, Result<Connected, ConnectError>> + Send + Sync>;

/// Why a connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// The other end closed it, or something on the way.
    Closed,
    /// The host gave no answer for too long.
    Silent,
    /// It was not wanted any more.
    ByUs,
}

/// The sessions of a connection.
#[derive(Default)]
struct Seats(std::sync::Mutex<Taken>);

#[derive(Default)]
struct Taken {
    open: usize,
    /// When the last one ended.
    ended: Option<Instant>,
    /// Refusals in a row while none of ours took a place.
    refusals: u64,
    /// What was answered to the last of those.
    answer: Option<ChannelOpenFailure>,
}

impl Seats {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self) {
        let mut taken = self.taken();
        *taken = Taken { open: taken.open + 1, ..Taken::default() };
    }

    fn ended(&self) {
        let mut taken = self.taken();
        (taken.open, taken.ended) = (taken.open.saturating_sub(1), Some(Instant::now()));
    }

    /// The host has refused one. That is its last word only where none of ours was in its way.
    fn refused(&self, answer: ChannelOpenFailure) {
        let mut taken = self.taken();
        let free = taken.open == 0 && taken.ended.is_none_or(|ended| ended.elapsed() >= SETTLING);
        (taken.refusals, taken.answer) = if free { (taken.refusals + 1, Some(answer)) } else { (0, None) };
    }
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
    /// The host had none free in time; in words.
    NoPlace(String),
}

impl Link {
    /// Opens a session. One that the host has no place for now is asked for again until `cancel` or until that
    /// instant: sshd frees a place a moment after it has said that a session is over.
    pub(super) async fn open(
        self: &Arc<Self>,
        cancel: &CancellationToken,
        until: Option<Instant>,
    ) -> Result<Opened, NoSession> {
        let mut wait = FIRST_RETRY;
        let mut refused = 0;
        let late = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(late);
        let no_place = |refused: u64| {
            let place = &self.place;
            NoSession::NoPlace(format!("{place} had no session free in time; it was asked for one {refused} times"))
        };
        loop {
            let opened = tokio::select! {
                opened = self.open_once() => opened,
                () = cancel.cancelled() => return Err(NoSession::Cancelled),
                () = &mut late => return Err(no_place(refused + 1)),
            };
            if !matches!(opened, Err(russh::Error::Disconnect | russh::Error::SendError)) {
                self.note_heard();
            }
            match opened {
                Ok(opened) => return Ok(opened),
                Err(russh::Error::ChannelOpenFailure(
                    answer @ (ChannelOpenFailure::ConnectFailed | ChannelOpenFailure::ResourceShortage),
                )) => {
                    self.seats.refused(answer);
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    refused += 1;
                }
                Err(russh::Error::ChannelOpenFailure(reason)) => {
                    return Err(NoSession::Refused(format!("{} refused to open a session: {reason:?}", self.place)));
                }
                Err(_) => {
                    self.note_lost(Lost::Closed);
                    return Err(NoSession::Lost);
                }
            }
            tokio::select! {
                () = tokio::time::sleep(wait.mul_f64(rand::random_range(0.5..1.0))) => {}
                () = cancel.cancelled() => return Err(NoSession::Cancelled),
                () = &mut late => return Err(no_place(refused)),
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
            let opened = link.wire.open().await.map(|channel| Opened::new(channel, &link.seats));
            // What cannot be given is dropped, and so closed.
            let _ = give.send(opened);
        });
        take.await.map_err(|_| russh::Error::Disconnect)?
    }

    /// A second connection to the same host, if there is a way to one.
    pub(super) async fn second(&self) -> Result<Second, String> {
        let again = self.again.get().ok_or_else(|| "there is no way to a second connection".to_owned())?;
        let session = again().await.map_err(|error| error.to_string())?.session;
        let own = session.as_any().downcast_ref::<SshSession>().map(|session| Arc::clone(&session.link));
        own.map(|link| Second { session, link }).ok_or_else(|| "the second connection is of another kind".to_owned())
    }

    /// In words, that the host gives no session at all, if that was its last word.
    pub(super) fn refusal(&self) -> Option<String> {
        let taken = self.seats.taken();
        let answer = match taken.answer.as_ref()? {
            ChannelOpenFailure::ResourceShortage => "resource shortage",
            _ => "open failed",
        };
        let times = match taken.refusals {
            1 => "once".to_owned(),
            times => format!("{times} times"),
        };
        Some(format!(
            "{} gives no session although Alf has none open there (it answered \"{answer}\" {times}); see MaxSessions in \
             its sshd_config",
            self.place
        ))
    }

    /// Notes that the connection is gone.
    pub(super) fn note_lost(&self, why: Lost) {
        self.why_lost.get_or_init(|| why);
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

    /// In words, why the connection is lost: what follows on `… was lost: `.
    pub(super) fn lost_cause(&self) -> String {
        let place = &self.place;
        match self.why_lost.get() {
            Some(Lost::Silent) => {
                let patience = self.limits.keepalive_interval * (self.limits.keepalive_max as u32 + 1);
                format!("{place} was silent for {patience:?}")
            }
            Some(Lost::ByUs) => "Alf closed it".to_owned(),
            Some(Lost::Closed) | None => match self.wire.lost_jump() {
                Some(jump) => format!("so was that to its jump host: {}", jump.lost_cause()),
                None => format!("{place} closed it"),
            },
        }
    }

    /// In words, that the connection is lost, and why.
    pub(super) fn lost(&self) -> String {
        format!("the connection to {} was lost: {}", self.place, self.lost_cause())
    }
}

/// A second connection, closed when nobody has it any more.
pub(super) struct Second {
    session: Arc<dyn Session>,
    pub(super) link: Arc<Link>,
}

impl Drop for Second {
    fn drop(&mut self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(self.session.close());
        }
    }
}

/// Lets a connection make a second one like itself: where the host has no place left, a run can still be killed.
pub(super) fn allow_second(connected: &Connected, mut target: Target, connector: impl Connector + 'static) {
    target.keys.extend(connected.learned.clone());
    if let Some(session) = connected.session.as_any().downcast_ref::<SshSession>() {
        let again: Again = Box::new(move || connector.connect(target.clone()));
        // Only the first one counts, and there is no other.
        let _ = session.link.again.set(again);
    }
}

/// A session that is closed when nobody has it any more: one that is only forgotten holds its place on the host.
pub(super) struct Opened {
    reader: ChannelReadHalf,
    writer: Arc<ChannelWriteHalf<Msg>>,
    closed: bool,
    seats: Arc<Seats>,
}

impl Opened {
    fn new(channel: Channel<Msg>, seats: &Arc<Seats>) -> Self {
        seats.opened();
        let (reader, writer) = channel.split();
        Self { reader, writer: Arc::new(writer), closed: false, seats: Arc::clone(seats) }
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
        self.seats.ended();
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
        let (why_lost, bringing, again, seats) = (OnceLock::new(), Mutex::new(()), OnceLock::new(), Arc::default());
        let link = Link { wire, place, gone, why_lost, clock, limits, begun, heard, refused, seats, bringing, again };
        let link = Arc::new(link);
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
        let Leftover { run, leader, run_as, kill_grace: grace, begun } = leftover;
        Box::pin(kill::kill(link, Prey { run, leader, run_as, grace, looked_for: Some(begun) }))
    }

    fn refused(&self) -> u64 {
        self.link.refused.load(Ordering::Relaxed)
    }

    fn refusal(&self) -> Option<String> {
        self.link.refusal()
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
            link.note_lost(Lost::ByUs);
            link.wire.cut();
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
