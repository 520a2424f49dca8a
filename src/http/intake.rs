//! Request bodies: read whole, within bounds of size and time.

use std::time::Duration;

use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::problem::{Kind, Problem};

/// How much, and for how long, is read of a body that nobody wants, before the connection is cut: a file whole, so that
/// who may not send it is told so.
const DRAIN_BYTES: usize = 80 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// How large a body may be, and how long a client may take to send it.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    bytes: usize,
    time: Duration,
    /// What sets the size, for messages.
    by: &'static str,
}

impl Bounds {
    /// Of a file: 64 MiB, over a slow line too, for which it has ten times as long as a document.
    pub const fn file(document: Duration) -> Self {
        Self { bytes: 64 * 1024 * 1024, time: document.saturating_mul(10), by: "64 MiB" }
    }

    /// Of a document of at most so many bytes.
    pub const fn document(bytes: usize, time: Duration) -> Self {
        Self { bytes, time, by: "http.body_limit" }
    }
}

/// The body of a request.
pub struct Intake {
    payload: web::Payload,
    /// Nothing more comes.
    ended: bool,
}

impl Intake {
    /// The body behind a request's payload.
    pub fn new(payload: web::Payload) -> Self {
        Self { payload, ended: false }
    }

    /// The whole body, within these bounds.
    pub async fn read(&mut self, request: &HttpRequest, bounds: Bounds) -> Result<Bytes, Problem> {
        let header = |name: &str| request.headers().get_all(name).filter_map(|value| value.to_str().ok());
        if let Some(coding) = header("content-encoding").find(|coding| !coding.eq_ignore_ascii_case("identity")) {
            let detail = format!("a body with Content-Encoding \"{}\" is not read", super::format::excerpt(coding));
            return Err(Problem::new(Kind::UnsupportedMediaType, detail)
                .with(actix_web::http::header::ACCEPT_ENCODING, "identity"));
        }
        let announced = header("content-length").find_map(|length| length.parse::<u64>().ok()).unwrap_or(0);
        if announced > bounds.bytes as u64 {
            return Err(too_large(bounds));
        }
        match tokio::time::timeout(bounds.time, self.gather(bounds, announced)).await {
            Ok(body) => body,
            Err(_) => {
                let detail = format!("the body did not come within {:?} (http.body_timeout)", bounds.time);
                Err(Problem::new(Kind::TooSlow, detail))
            }
        }
    }

    async fn gather(&mut self, bounds: Bounds, announced: u64) -> Result<Bytes, Problem> {
        // Not moved about while it grows: a file is large.
        let mut body = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0).min(bounds.bytes));
        while let Some(chunk) = self.payload.next().await {
            let chunk = chunk.map_err(|_| {
                self.ended = true;
                Problem::new(Kind::Malformed, "the body ended too soon, or is not in chunks as its headers say")
            })?;
            if body.len() + chunk.len() > bounds.bytes {
                return Err(too_large(bounds));
            }
            body.extend_from_slice(&chunk);
        }
        self.ended = true;
        Ok(body.freeze())
    }

    /// Takes what still comes, so that the client gets to read the answer.
    pub async fn drain(&mut self) {
        if self.ended {
            return;
        }
        let rest = async {
            let mut taken = 0;
            while let Some(Ok(chunk)) = self.payload.next().await {
                taken += chunk.len();
                if taken > DRAIN_BYTES {
                    return;
                }
            }
        };
        // Whoever takes longer than that loses the connection, and with it the answer.
        let _ = tokio::time::timeout(DRAIN_TIME, rest).await;
        self.ended = true;
    }
}

fn too_large(bounds: Bounds) -> Problem {
    Problem::new(Kind::TooLarge, format!("the body is larger than {} bytes ({})", bounds.bytes, bounds.by))
}
