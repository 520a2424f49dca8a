//! What tests stand on.

pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod ssh;
pub(crate) mod sshd;
