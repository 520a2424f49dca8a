//! Asks a host for its key, or for the ways to log in that it offers, and nothing more: nothing secret is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use russh::client::{AuthResult, ChannelOpenHandle, Config, Handler, Msg, Session};
use russh::{Channel, Disconnect, MethodSet};

use crate::model::PublicKey;

/// Notes the key and refuses to go on.
struct Probe(Arc<Mutex<Option<PublicKey>>>);

impl Handler for Probe {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &russh::keys::PublicKey) -> Result<bool, Self::Error> {
        let key = key.to_bytes().ok().and_then(|blob| PublicKey::from_blob(&blob).ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(false)
    }
}

/// The key a host shows to a client with this configuration.
pub(super) async fn offered_key(config: Config, at: SocketAddr) -> Result<PublicKey, russh::Error> {
    let seen = Arc::new(Mutex::new(None));
    let refused = russh::client::connect(Arc::new(config), at, Probe(Arc::clone(&seen))).await;
    let key = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (key, refused) {
        (Some(key), _) => Ok(key),
        (None, Err(error)) => Err(error),
        (None, Ok(_)) => Err(russh::Error::UnknownKey),
    }
}

/// Goes on only with the host that has this key.
pub(super) struct Held(PublicKey);

impl Handler for Held {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &russh::keys::PublicKey) -> Result<bool, Self::Error> {
        Ok(key.to_bytes().is_ok_and(|blob| blob == self.0.blob()))
    }

    // A host opens nothing here: Alf asks for no forwarding. russh accepts what its handler does not refuse (0.62.7),
    // without bound; a handle that is dropped refuses.

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// The ways to log in that a host offers a user (RFC 4252 section 5.2: the answer to the method `none`).
pub(super) async fn offered_methods(
    config: Config,
    at: SocketAddr,
    key: &PublicKey,
    user: &str,
) -> Result<MethodSet, russh::Error> {
    let mut session = russh::client::connect(Arc::new(config), at, Held(key.clone())).await?;
    let answer = session.authenticate_none(user).await?;
    let _ = session.disconnect(Disconnect::ByApplication, "", "").await;
    match answer {
        AuthResult::Failure { remaining_methods, .. } => Ok(remaining_methods),
        AuthResult::Success => Ok(MethodSet::empty()),
    }
}
