//! Asks a host for its key and nothing more, or holds it to one: nothing secret is sent to a host that shows another.

use std::sync::{Arc, Mutex, PoisonError};

use russh::client::{Config, Handler};

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
pub(super) struct Held(pub(super) PublicKey);

impl Handler for Held {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &russh::keys::PublicKey) -> Result<bool, Self::Error> {
        Ok(key.to_bytes().is_ok_and(|blob| blob == self.0.blob()))
    }
}
