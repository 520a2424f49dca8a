//! The access log: a line for each request, once its answer is sent or its client gone. Its target is `alf::access`, so
//! that `logging.yaml` can send it elsewhere; it is counted as well. No query and no header stand in it: they may hold what is nobody's business.

use std::net::IpAddr;
use std::rc::Rc;

use actix_web::HttpRequest;
use actix_web::http::{Method, StatusCode};
use actix_web::web::Data;
use tokio::time::Instant;

use super::State;
use super::connection::{Line, Open};
use crate::model::Name;

const TARGET: &str = "alf::access";

/// A request that is being answered; dropped when it has been.
pub struct Answering {
    /// The request's id.
    pub id: String,
    /// The key that was shown.
    pub by: Option<Name>,
    /// What it is answered with.
    pub status: StatusCode,
    bytes: u64,
    method: Method,
    path: String,
    peer: Option<IpAddr>,
    started: Instant,
    state: Option<Data<State>>,
    /// Tells the connection that somebody works for it.
    _open: Option<Open>,
}

impl Answering {
    /// A request that has come.
    pub fn begin(request: &HttpRequest, id: String) -> Self {
        Self {
            id,
            by: None,
            status: StatusCode::OK,
            bytes: 0,
            method: request.method().clone(),
            path: request.path().to_owned(),
            peer: request.peer_addr().map(|peer| peer.ip()),
            started: Instant::now(),
            state: request.app_data::<Data<State>>().cloned(),
            _open: request.conn_data::<Rc<Line>>().map(|line| line.begin(request.method() == Method::HEAD)),
        }
    }

    /// A part of its body, or all of it.
    pub fn sends(&mut self, body: &[u8]) {
        if self.method != Method::HEAD {
            self.bytes += body.len() as u64;
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        if let Some(state) = &self.state {
            state.traffic.note(&self.method, self.status, took);
        }
        // What is our own fault is seen where requests are not. Too many requests at once must not flood the log as well.
        let fault = self.status == StatusCode::INTERNAL_SERVER_ERROR;
        let level = if fault { log::Level::Warn } else { log::Level::Info };
        log::log!(
            target: TARGET,
            level,
            request = self.id.as_str(),
            method = self.method.as_str(),
            path = self.path.as_str(),
            status = self.status.as_u16(),
            bytes = self.bytes,
            duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            key = self.by.as_ref().map_or("", Name::as_str),
            peer = self.peer.map_or(String::new(), |peer| peer.to_string()).as_str();
            "served"
        );
    }
}

/// Notes what could not be read as a request.
pub fn refused(id: &str, status: StatusCode, peer: &str) {
    log::info!(target: TARGET, request = id, status = status.as_u16(), peer; "refused");
}
