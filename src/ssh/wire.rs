//! The connection itself, whoever logged it in: async-ssh2-tokio, or russh where that one cannot.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_ssh2_tokio::{Client, Error};
use russh::client::{Handle, Msg};
use russh::{Channel, Disconnect};
use tokio_util::sync::CancellationToken;

use super::learn::Held;
use super::session::Link;

/// What a jump host is told of where a connection comes from: nothing of use to it.
const ORIGIN: &str = "127.0.0.1";

/// A connection that is logged in.
pub(super) enum Wire {
    /// By async-ssh2-tokio.
    Client(Client),
    /// By russh.
    Handle {
        /// The connection.
        handle: Handle<Held>,
        /// The jump host's connection that it goes through, kept for as long as this one.
        through: Option<Arc<Link>>,
        /// Takes the stream away from it.
        taken: CancellationToken,
        /// Counts what the host was asked to open.
        asked: Arc<AtomicU64>,
    },
}

/// A connection that nobody has any more ends, also one whose host has stopped reading.
impl Drop for Wire {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Wire {
    /// Opens a channel for a session.
    pub(super) async fn open(&self) -> Result<Channel<Msg>, russh::Error> {
        match self {
            Self::Client(client) => client.get_channel().await.map_err(inner),
            Self::Handle { handle, asked, .. } => {
                asked.fetch_add(1, Ordering::Relaxed);
                handle.channel_open_session().await
            }
        }
    }

    /// Opens a channel on to another host's port, which the host at the other end connects to (RFC 4254 section 7.2).
    pub(super) async fn open_onward(&self, address: &str, port: u16) -> Result<Channel<Msg>, russh::Error> {
        match self {
            Self::Handle { handle, asked, .. } => {
                asked.fetch_add(1, Ordering::Relaxed);
                handle.channel_open_direct_tcpip(address, u32::from(port), ORIGIN, 0).await
            }
            // A `Client` sends on to addresses only: a name is resolved here, as well as can be.
            Self::Client(client) => match address.parse::<IpAddr>() {
                Ok(ip) => client.open_direct_tcpip_channel((ip, port), None).await.map_err(inner),
                Err(_) => {
                    let mut found = tokio::net::lookup_host((address, port)).await?;
                    let at = found.next().ok_or(std::io::Error::other("it has no address"))?;
                    client.open_direct_tcpip_channel(at, None).await.map_err(inner)
                }
            },
        }
    }

    /// Whether it has ended.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Client(client) => client.is_closed(),
            Self::Handle { handle, .. } => handle.is_closed() || self.lost_jump().is_some(),
        }
    }

    /// The jump host's connection that it went through, if that one is lost.
    pub(super) fn lost_jump(&self) -> Option<&Arc<Link>> {
        match self {
            Self::Client(_) => None,
            Self::Handle { through, .. } => through.as_ref().filter(|jump| jump.is_lost()),
        }
    }

    /// Ends it without a word. russh neither hears nor says anything while the host reads nothing, or leaves a new
    /// exchange of keys undone, for as long as the host likes (0.62.7).
    pub(super) fn cut(&self) {
        if let Self::Handle { taken, .. } = self {
            taken.cancel();
        }
    }

    /// Says goodbye.
    pub(super) async fn disconnect(&self) {
        let _ = match self {
            Self::Client(client) => client.disconnect().await.map_err(inner),
            Self::Handle { handle, .. } => handle.disconnect(Disconnect::ByApplication, "", "").await,
        };
    }
}

fn inner(error: Error) -> russh::Error {
    match error {
        Error::SshError(error) => error,
        _ => russh::Error::Disconnect,
    }
}
