//! The connection itself, whoever logged it in: async-ssh2-tokio, or russh where that one cannot.

use async_ssh2_tokio::{Client, Error};
use russh::client::{Handle, Msg};
use russh::{Channel, Disconnect};

use super::learn::Held;

/// A connection that is logged in.
pub(super) enum Wire {
    /// By async-ssh2-tokio.
    Client(Client),
    #[expect(dead_code, reason = "the login with a certificate makes it")]
    /// By russh, with what async-ssh2-tokio does not do (certificates).
    Handle(Handle<Held>),
}

impl Wire {
    /// Opens a channel for a session.
    pub(super) async fn open(&self) -> Result<Channel<Msg>, russh::Error> {
        match self {
            Self::Client(client) => client.get_channel().await.map_err(inner),
            Self::Handle(handle) => handle.channel_open_session().await,
        }
    }

    /// Whether it has ended.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Client(client) => client.is_closed(),
            Self::Handle(handle) => handle.is_closed(),
        }
    }

    /// Says goodbye.
    pub(super) async fn disconnect(&self) {
        let _ = match self {
            Self::Client(client) => client.disconnect().await.map_err(inner),
            Self::Handle(handle) => handle.disconnect(Disconnect::ByApplication, "", "").await,
        };
    }
}

fn inner(error: Error) -> russh::Error {
    match error {
        Error::SshError(error) => error,
        _ => russh::Error::Disconnect,
    }
}
