//! Asks a host for its key and nothing more, or holds it to one: nothing secret is sent to a host that shows another.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use russh::client::{ChannelOpenHandle, Config, Handler, Msg, Session};
use russh::{Channel, ChannelId, ChannelOpenFailure};

use super::via::Stream;
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
pub(super) async fn offered_key(config: Config, stream: Stream) -> Result<PublicKey, russh::Error> {
    let seen = Arc::new(Mutex::new(None));
    let refused = russh::client::connect_stream(Arc::new(config), stream, Probe(Arc::clone(&seen))).await;
    let key = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (key, refused) {
        (Some(key), _) => Ok(key),
        (None, Err(error)) => Err(error),
        (None, Ok(_)) => Err(russh::Error::UnknownKey),
    }
}

/// Goes on only with the host that has this key.
pub(super) struct Held {
    key: PublicKey,
    asked: Arc<AtomicU64>,
    refused: u64,
}

impl Held {
    /// `asked` counts what the host was asked to open.
    pub(super) fn new(key: PublicKey, asked: Arc<AtomicU64>) -> Self {
        Self { key, asked, refused: 0 }
    }
}

impl Handler for Held {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &russh::keys::PublicKey) -> Result<bool, Self::Error> {
        Ok(key.to_bytes().is_ok_and(|blob| blob == self.key.blob()))
    }

    async fn channel_open_failure(
        &mut self,
        _: ChannelId,
        _: ChannelOpenFailure,
        _: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        // russh keeps half a KiB of each refusal for as long as the connection lasts, also of what nobody has asked
        // for (0.62.7).
        self.refused += 1;
        if self.refused > self.asked.load(Ordering::Relaxed) { Err(russh::Error::Inconsistent) } else { Ok(()) }
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
