//! A client's connection below HTTP: whoever is too slow is cut off, and what actix-http refuses by itself is told as any
//! other problem.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use super::admission::Admitted;
use super::framing::{Answers, Due};
use super::limits::Limits;
use super::problem::Problem;
use super::refusal::refusal;

/// How much a client must take of its answer in `http.write_timeout`, at least: a modem of 1995 does.
const TAKEN: usize = 16 * 1024;
/// How long somebody refused may still send, so that the answer is read and not lost to a reset.
const LINGER: Duration = Duration::from_secs(2);

/// What a connection and the requests on it know of each other; they live in one thread.
#[derive(Debug, Default)]
pub struct Line {
    /// How many requests have come.
    begun: Cell<u64>,
    /// How many of them are being answered.
    open: Cell<u32>,
    /// The answers that are to come of them.
    due: Due,
}

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub struct Open(Rc<Line>);

impl Line {
    /// A request has come; whether it is a `HEAD`.
    pub fn begin(self: &Rc<Self>, is_head: bool) -> Open {
        self.due.add(is_head);
        self.begun.set(self.begun.get() + 1);
        self.open.set(self.open.get() + 1);
        Open(Rc::clone(self))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get().saturating_sub(1));
    }
}

/// A connection.
pub struct Connection<T> {
    wire: Wire<T>,
    line: Rc<Line>,
    answers: Answers,
    peer: String,
    secure: bool,
    header_timeout: Duration,
    write_timeout: Duration,
    /// Since when the head of the next request has been coming.
    head: Option<Head>,
    /// Goes off when a head is late, or one before it would have been: setting it for each costs every request.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Since when the client has been keeping us waiting.
    stall: Option<Stall>,
    _admitted: Option<Admitted>,
}

enum Wire<T> {
    /// To the client.
    Open(T),
    /// What comes is no request: the client is told, and the connection closed.
    Refusing(LocalBoxFuture<'static, ()>),
    /// Over.
    Closed,
}

/// The head of a request that comes after `begun` others. That of the first is actix-http's own business.
struct Head {
    begun: u64,
    late: Instant,
}

struct Stall {
    taken: usize,
    late: Pin<Box<Sleep>>,
}

impl<T: AsyncRead + AsyncWrite + Unpin + 'static> Connection<T> {
    /// A connection that has come.
    pub fn new(wire: T, peer: String, secure: bool, limits: &Limits, admitted: Option<Admitted>) -> Self {
        Self {
            wire: Wire::Open(wire),
            line: Rc::default(),
            answers: Answers::default(),
            peer,
            secure,
            header_timeout: limits.header_timeout,
            write_timeout: limits.write_timeout,
            head: None,
            alarm: None,
            stall: None,
            _admitted: admitted,
        }
    }

    /// What its requests tell it by.
    pub fn line(&self) -> Rc<Line> {
        Rc::clone(&self.line)
    }

    /// Whether the head of a request is late.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let idle = self.line.open.get() == 0 && self.stall.is_none();
        let Some(late) = self.head.as_ref().filter(|_| idle).map(|head| head.late) else { return false };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(late)));
        while alarm.as_mut().poll(cx).is_ready() {
            if Instant::now() >= late {
                return true;
            }
            alarm.as_mut().reset(late);
        }
        false
    }

    /// Bytes have come: if they are no part of a request that is being answered, the next one has begun.
    fn heard(&mut self) {
        let begun = self.line.begun.get();
        let idle = self.line.open.get() == 0 && self.stall.is_none();
        if idle && begun > 0 && self.head.is_none() {
            self.head = Some(Head { begun, late: Instant::now() + self.header_timeout });
        }
    }

    /// The client has taken so much.
    fn took(&mut self, bytes: usize) {
        if let Some(stall) = &mut self.stall {
            stall.taken += bytes;
        }
    }

    /// The client keeps us waiting: how long still?
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let limit = self.write_timeout;
        let stall = self.stall.get_or_insert_with(|| Stall { taken: 0, late: Box::pin(sleep(limit)) });
        while stall.late.as_mut().poll(cx).is_ready() {
            if stall.taken < TAKEN {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            stall.taken = 0;
            stall.late.as_mut().reset(Instant::now() + limit);
        }
        Poll::Pending
    }

    /// Writes in place of actix-http, which refuses something that it could not read as a request.
    fn refuse(&mut self, said: &[u8]) {
        if let Wire::Open(mut wire) = std::mem::replace(&mut self.wire, Wire::Closed) {
            let answer = refusal(&Problem::of_server(said), said, self.secure, &self.peer);
            self.wire = Wire::Refusing(async move { close_with(&mut wire, &answer).await }.boxed_local());
        }
    }
}

/// Sends an answer, and closes in such a way that it is read.
pub async fn close_with(wire: &mut (impl AsyncRead + AsyncWrite + Unpin), answer: &[u8]) {
    let closing = async {
        wire.write_all(answer).await?;
        wire.shutdown().await?;
        let mut rest = [0; 4096];
        while wire.read(&mut rest).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    let _ = timeout(LINGER, closing).await;
}

impl<T: AsyncRead + AsyncWrite + Unpin + 'static> AsyncRead for Connection<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let begun = this.line.begun.get();
        this.head.take_if(|head| head.begun != begun);
        let before = buf.filled().len();
        let read = match &mut this.wire {
            Wire::Open(wire) => Pin::new(wire).poll_read(cx, buf),
            // Who writes polls it on.
            Wire::Refusing(_) => return Poll::Pending,
            Wire::Closed => return Poll::Ready(Ok(())),
        };
        match read {
            Poll::Pending if this.is_late(cx) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Ready(Ok(())) if buf.filled().len() > before => {
                this.heard();
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + 'static> AsyncWrite for Connection<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if matches!(this.wire, Wire::Open(_)) && this.answers.is_bare_refusal(buf, &this.line.due) {
            this.refuse(buf);
        }
        match &mut this.wire {
            Wire::Open(wire) => {
                let (length, after) = this.answers.of_this(buf);
                let buf = buf.get(..length).unwrap_or(buf);
                match Pin::new(wire).poll_write(cx, buf) {
                    Poll::Pending => this.wait(cx).map(Err),
                    Poll::Ready(Ok(bytes)) => {
                        if bytes == length {
                            this.answers = after;
                        } else {
                            this.answers.take(buf.get(..bytes).unwrap_or(buf));
                        }
                        this.took(bytes);
                        Poll::Ready(Ok(bytes))
                    }
                    failed => failed,
                }
            }
            Wire::Refusing(refusing) => {
                ready!(refusing.poll_unpin(cx));
                this.wire = Wire::Closed;
                Poll::Ready(Ok(buf.len()))
            }
            Wire::Closed => Poll::Ready(Ok(buf.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Wire::Open(wire) = &mut this.wire else { return Poll::Ready(Ok(())) };
        match Pin::new(wire).poll_flush(cx) {
            Poll::Pending => this.wait(cx).map(Err),
            done => {
                this.stall = None;
                done
            }
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Wire::Open(wire) = &mut this.wire else { return Poll::Ready(Ok(())) };
        match Pin::new(wire).poll_shutdown(cx) {
            Poll::Pending => this.wait(cx).map(Err),
            done => done,
        }
    }
}

#[cfg(test)]
mod tests;
