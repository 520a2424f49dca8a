//! What tests stand on.

pub(crate) mod alone;
pub(crate) mod checked;
pub(crate) mod disk;
pub(crate) mod events;
pub(crate) mod hooks;
pub(crate) mod hostile;
pub(crate) mod http;
pub(crate) mod mail;
pub(crate) mod packet;
pub(crate) mod receivers;
pub(crate) mod schema;
pub(crate) mod service;
pub(crate) mod ssh;
pub(crate) mod sshd;
pub(crate) mod stored;
pub(crate) mod terminal;
pub(crate) mod tls;
