//! The listening server.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};

use super::{State, configure};
use crate::actors::handle::AlfHandle;

/// How long a client may take to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a closing connection may take.
const CLOSE_TIME: Duration = Duration::from_secs(5);
/// How long requests that are being served (who waits for a run) may still take when the server is stopped, in seconds.
/// Whoever stops it has a grace of its own, which is shorter.
const STOP_TIME: u64 = 60;
/// Connections at once on each worker; more wait in the listen queue.
const CONNECTIONS: usize = 4096;

/// What the server needs to know beside the way inside.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where to listen; port 0 is any free one.
    pub listen: SocketAddr,
    /// Threads that serve.
    pub workers: usize,
    /// The largest request body, in bytes.
    pub body_limit: usize,
}

/// Binds the address and starts to serve; answers where it really listens. The server minds no signals: its handle
/// stops it.
///
/// # Errors
/// The address is taken, or not one of this machine.
pub fn server(handle: AlfHandle, config: &HttpConfig) -> io::Result<(Server, SocketAddr)> {
    let state = web::Data::new(State::new(handle, config.body_limit));
    let server = HttpServer::new(move || App::new().configure(|app| configure(app, state.clone())))
        .workers(config.workers.max(1))
        .max_connections(CONNECTIONS)
        .client_request_timeout(HEAD_TIME)
        .client_disconnect_timeout(CLOSE_TIME)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(STOP_TIME)
        .disable_signals()
        .bind(config.listen)?;
    let listening = server.addrs().first().copied().ok_or_else(|| io::Error::other("no address was bound"))?;
    Ok((server.run(), listening))
}
