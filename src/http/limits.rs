//! What the server bears: sizes, times, and the places of those who are served at once.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::{Kind, Problem};

/// Headers that hold one value.
const ONCE: [&str; 4] = ["Authorization", "X-Api-Key", "Content-Type", "Last-Event-ID"];
/// Headers that must not be taken for missing where they cannot be read.
const TEXT: [&str; 6] = ["Accept", "Content-Encoding", "Content-Type", "If-Match", "If-None-Match", "Last-Event-ID"];

/// What the server bears.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address.
    pub connections_per_address: usize,
    /// Requests with a key that are worked on at once.
    pub requests_in_flight: usize,
    /// Event streams at once.
    pub event_streams: usize,
    /// How long a client may take for the TLS handshake, and for the head of a request.
    pub header_timeout: Duration,
    /// How long a client may take to send a document.
    pub body_timeout: Duration,
    /// How long a client may take nothing, or next to nothing, of its answer.
    pub write_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// The largest head of a request, in bytes.
    pub header_limit: usize,
    /// The longest URI, in bytes.
    pub uri_limit: usize,
    /// The largest document, in bytes.
    pub body_limit: usize,
}

impl Limits {
    /// Refuses a request whose URI or head is too large, or whose headers may mean one thing or the other.
    pub fn check(&self, request: &HttpRequest) -> Result<(), Problem> {
        let uri = request.uri().path_and_query().map_or(0, |uri| uri.as_str().len());
        if uri > self.uri_limit {
            let detail = format!("the URI is longer than {} bytes (http.uri_limit)", self.uri_limit);
            return Err(Problem::new(Kind::UriTooLong, detail));
        }
        // A line is `NAME: VALUE` and its end.
        let head: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if head > self.header_limit {
            let detail = format!("the headers are larger than {} bytes (http.header_limit)", self.header_limit);
            return Err(Problem::new(Kind::HeadersTooLarge, detail));
        }
        // Taking one of two, or none, could do what was not wanted, or what somebody on the way has not looked at.
        if let Some(name) = ONCE.iter().find(|name| request.headers().get_all(**name).nth(1).is_some()) {
            return Err(Problem::new(Kind::Malformed, format!("the header {name} is given twice")));
        }
        let is_text = |name: &str| request.headers().get_all(name).all(|value| value.to_str().is_ok());
        if let Some(name) = TEXT.iter().find(|name| !is_text(name)) {
            return Err(Problem::new(Kind::Malformed, format!("the header {name} may only hold ASCII")));
        }
        Ok(())
    }
}

/// A place that is free again once it is dropped.
pub type Place = OwnedSemaphorePermit;

/// The places of requests and of event streams.
#[derive(Debug)]
pub struct Places {
    requests: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Places {
    /// As many as these limits allow.
    pub fn new(limits: &Limits) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(limits.requests_in_flight)),
            streams: Arc::new(Semaphore::new(limits.event_streams)),
        }
    }

    /// One for a request.
    pub fn request(&self) -> Result<Place, Problem> {
        let place = Arc::clone(&self.requests).try_acquire_owned();
        place.map_err(|_| Problem::unavailable("as many requests as may be are being served (http.requests_in_flight)"))
    }

    /// One for an event stream.
    pub fn stream(&self) -> Result<Place, Problem> {
        let place = Arc::clone(&self.streams).try_acquire_owned();
        place.map_err(|_| Problem::unavailable("as many event streams as may be are being read (http.event_streams)"))
    }
}
