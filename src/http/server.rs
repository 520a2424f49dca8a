//! The listening server: what actix-web's `HttpServer` does, with a gate before it that counts and times connections.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_service::{ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::{AppConfig, Server};
use actix_web::{App, web};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::admission::Admission;
use super::connection::{Connection, close_with};
use super::limits::Limits;
use super::problem::{Kind, Problem};
use super::refusal::refusal;
use super::tls::Tls;
use super::{State, configure};
use crate::actors::handle::AlfHandle;

/// How long a closing connection may take.
const CLOSE_TIME: Duration = Duration::from_secs(5);
/// How long requests that are being served (who waits for a run) may still take when the server is stopped, in seconds.
/// Whoever stops it has a grace of its own, which is shorter.
const STOP_TIME: u64 = 60;
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;
/// How many at once are told that there are too many.
const TOLD: usize = 64;
/// How a TLS handshake begins (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// What the server needs to know beside the way inside.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where to listen; port 0 is any free one.
    pub listen: SocketAddr,
    /// Threads that serve.
    pub workers: usize,
    /// What it bears.
    pub limits: Limits,
    /// Whether `GET /metrics` needs no key.
    pub public_metrics: bool,
    /// With what it serves over TLS; none for plain HTTP.
    pub tls: Option<Tls>,
}

/// Binds the address and starts to serve; answers where it really listens. The server minds no signals: its handle
/// stops it.
///
/// # Errors
/// The address is taken, or not one of this machine.
pub fn server(handle: AlfHandle, config: &HttpConfig) -> io::Result<(Server, SocketAddr)> {
    let socket = if config.listen.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(config.listen)?;
    let listener = socket.listen(BACKLOG)?.into_std()?;
    let listening = listener.local_addr()?;

    let state = web::Data::new(State::new(handle, config));
    let gate = Arc::new(Gate {
        admission: Arc::clone(&state.admission),
        tls: config.tls.as_ref().map(Tls::acceptor),
        limits: config.limits.clone(),
        told: Semaphore::new(TOLD),
    });
    let builder = Server::build()
        .workers(config.workers.max(1))
        // More than the gate lets in: it refuses, where a worker would let all wait.
        .max_concurrent_connections(config.limits.connections + BACKLOG as usize)
        .shutdown_timeout(STOP_TIME)
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let server = builder.listen("http", listener, move || {
        let (state, gate, stopping) = (state.clone(), Arc::clone(&gate), stopping.clone());
        let app = App::new().configure(|app| configure(app, state));
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(gate.limits.keep_alive)
            .client_request_timeout(gate.limits.header_timeout)
            .client_disconnect_timeout(CLOSE_TIME)
            .on_connect_ext(|connection: &Connection<_>, data| {
                data.insert(connection.line());
            })
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(move |stream: TcpStream| {
            let gate = Arc::clone(&gate);
            async move { gate.open(stream).await.map_err(DispatchError::Io) }
        })
        .and_then(http)
    })?;
    Ok((server.run(), listening))
}

type Wire = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// What stands before HTTP.
struct Gate {
    admission: Arc<Admission>,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    /// Places of those that are told why they are not let in.
    told: Semaphore,
}

impl Gate {
    /// Lets a connection in, once it has shaken hands. Who is not let in is not served, and that is all.
    async fn open(&self, mut stream: TcpStream) -> io::Result<(Connection<Wire>, Protocol, Option<SocketAddr>)> {
        let peer = stream.peer_addr().ok();
        let from = peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip());
        let Some(admitted) = self.admission.enter(from) else {
            // Some are told so; where there are very many, or TLS would first cost its handshake, the rest is not.
            if let (None, Ok(_place)) = (&self.tls, self.told.try_acquire()) {
                let problem = Problem::unavailable("there are as many connections as may be");
                close_with(&mut stream, &refusal(&problem, b"", false, &from.to_string())).await;
            }
            return Err(io::ErrorKind::QuotaExceeded.into());
        };
        // Events are short, and are not to wait for more.
        let _ = stream.set_nodelay(true);
        let wire = match &self.tls {
            None => Either::Left(stream),
            Some(tls) => {
                let hello = timeout(self.limits.header_timeout, async {
                    if speaks_tls(&stream).await? {
                        return tls.accept(stream).await.map(Box::new);
                    }
                    let problem = Problem::new(Kind::Malformed, "this port speaks HTTP over TLS: ask with https://");
                    close_with(&mut stream, &refusal(&problem, b"", false, &from.to_string())).await;
                    Err(io::ErrorKind::InvalidData.into())
                });
                Either::Right(hello.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??)
            }
        };
        let secure = self.tls.is_some();
        Ok((Connection::new(wire, from.to_string(), secure, &self.limits, Some(admitted)), Protocol::Http1, peer))
    }
}

/// Whether what comes first is a TLS handshake; else it is probably a request.
async fn speaks_tls(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    match stream.peek(&mut first).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(first == [HANDSHAKE]),
    }
}
