//! The way to a host's sshd: TCP, or a channel through the connection of a jump host.
//!
//! Jumps do not go through async-ssh2-tokio's `connect_via`: it resolves the host's name here instead of where it is
//! reachable (as OpenSSH's ProxyJump does), and wants the jump's connection to be a `Client` (0.13.0).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use russh::ChannelOpenFailure;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use super::session::{Link, SshSession};
use super::{ConnectError, Target, Via, explain};
use crate::model::Name;

/// A way to a host.
pub(super) enum Way {
    /// Straight to this address.
    Tcp(SocketAddr),
    /// Through a jump host, which resolves the name.
    Jump {
        /// The jump host, for messages.
        host: Name,
        /// Its connection.
        link: Arc<Link>,
    },
}

impl Way {
    /// The way through a jump host.
    pub(super) fn through(via: &Via) -> Result<Self, ConnectError> {
        match via.session.as_any().downcast_ref::<SshSession>() {
            Some(session) => Ok(Self::Jump { host: via.host.clone(), link: session.link() }),
            None => {
                let detail = format!("the connection of the jump host {} does not lead on to other hosts", via.host);
                Err(ConnectError::Unreachable { detail })
            }
        }
    }

    /// The target on this way, for messages: `web1.example:22 (192.0.2.1)`, `10.0.0.5:22 (through bastion)`.
    pub(super) fn place(&self, target: &Target) -> String {
        let Target { address, port, .. } = target;
        let address = match address.parse::<IpAddr>() {
            Ok(IpAddr::V6(_)) => format!("[{address}]:{port}"),
            _ => format!("{address}:{port}"),
        };
        match self {
            Self::Jump { host, .. } => format!("{address} (through {host})"),
            Self::Tcp(_) if target.address.parse::<IpAddr>().is_ok() => address,
            Self::Tcp(at) => format!("{address} ({})", at.ip()),
        }
    }

    /// Opens it, within `limit`.
    pub(super) async fn open(&self, target: &Target, place: &str, limit: Duration) -> Result<Stream, ConnectError> {
        let opened = timeout(limit, async {
            match self {
                Self::Tcp(at) => tcp(*at).await.map_err(|error| explain::network(place, &error)),
                Self::Jump { host, link } => jump(host, link, target).await,
            }
        });
        let why = match opened.await {
            Ok(Ok(inner)) => return Ok(Stream::new(inner)),
            Ok(Err(why)) => why,
            Err(_) => format!("no answer from {place} within {limit:?}"),
        };
        Err(ConnectError::Unreachable { detail: why })
    }

    /// The jump host, where its connection was lost.
    pub(super) fn lost(&self) -> Option<&Name> {
        match self {
            Self::Jump { host, link } if link.is_lost() => Some(host),
            _ => None,
        }
    }
}

async fn tcp(at: SocketAddr) -> io::Result<Box<dyn Bytes>> {
    let stream = TcpStream::connect(at).await?;
    // Without it every command waits some 40 ms for Nagle's algorithm.
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}

async fn jump(host: &Name, link: &Arc<Link>, target: &Target) -> Result<Box<dyn Bytes>, String> {
    let Target { address, port, .. } = target;
    let (give, take) = oneshot::channel();
    let (asked, address_there, port_there) = (Arc::clone(link), address.clone(), *port);
    // In a task of its own: a channel that is still being opened when it is given up would stay open for the rest of
    // the jump's connection. What cannot be given is dropped, and so closed.
    tokio::spawn(async move {
        let opened = asked.wire.open_onward(&address_there, port_there).await;
        let _ = give.send(opened.map(russh::Channel::into_stream));
    });
    match take.await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(russh::Error::ChannelOpenFailure(reason))) => Err(match reason {
            ChannelOpenFailure::AdministrativelyProhibited => format!(
                "the jump host {host} does not let us through to {address}:{port}; check AllowTcpForwarding and \
                 PermitOpen in its sshd_config"
            ),
            ChannelOpenFailure::ConnectFailed => format!(
                "the jump host {host} could not reach {address}:{port}: the name is not known there, or nothing \
                 answers there"
            ),
            other => format!("the jump host {host} could not reach {address}:{port}: {other:?}"),
        }),
        Ok(Err(russh::Error::IO(error))) => Err(explain::unresolved(address, &error)),
        Ok(Err(_)) | Err(_) => Err(lost(host)),
    }
}

/// In words, that the connection of a jump host is lost.
pub(super) fn lost(host: &Name) -> String {
    format!("the connection to the jump host {host} was lost")
}

/// What bytes come and go through.
trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Bytes for T {}

/// An open way, which can be taken away from whoever uses it: russh does a handshake in a task that goes on when
/// nobody waits for it any more, for as long as a silent peer likes.
pub(super) struct Stream {
    inner: Box<dyn Bytes>,
    taken: CancellationToken,
    /// One for each direction: russh reads and writes by two halves, each to be woken.
    read: Pin<Box<WaitForCancellationFutureOwned>>,
    write: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Stream {
    fn new(inner: Box<dyn Bytes>) -> Self {
        let taken = CancellationToken::new();
        let wait = || Box::pin(taken.clone().cancelled_owned());
        Self { read: wait(), write: wait(), inner, taken }
    }

    /// Takes it away when dropped, unless it is disarmed.
    pub(super) fn guard(&self) -> DropGuard {
        self.taken.clone().drop_guard()
    }
}

fn taken_away<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.read.as_mut().poll(cx) {
            Poll::Ready(()) => taken_away(),
            Poll::Pending => Pin::new(&mut self.inner).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.write.as_mut().poll(cx) {
            Poll::Ready(()) => taken_away(),
            Poll::Pending => Pin::new(&mut self.inner).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.write.as_mut().poll(cx) {
            Poll::Ready(()) => taken_away(),
            Poll::Pending => Pin::new(&mut self.inner).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.write.as_mut().poll(cx) {
            Poll::Ready(()) => taken_away(),
            Poll::Pending => Pin::new(&mut self.inner).poll_shutdown(cx),
        }
    }
}
