//! Request bodies: read whole, within bounds of size and time.

use std::time::Duration;

use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::problem::{Kind, Problem};

/// How long a client may take to send a body.
const READ_TIME: Duration = Duration::from_secs(60);
/// How much, and for how long, is read of a body that nobody wants, before the connection is cut.
const DRAIN_BYTES: usize = 16 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(2);

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

    /// The whole body, at most so many bytes.
    pub async fn read(&mut self, request: &HttpRequest, limit: usize) -> Result<Bytes, Problem> {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        if let Some(coding) = header("content-encoding").filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
            let detail = format!("a body with Content-Encoding \"{}\" is not read", super::format::excerpt(coding));
            return Err(Problem::new(Kind::UnsupportedMediaType, detail)
                .with(actix_web::http::header::ACCEPT_ENCODING, "identity"));
        }
        let announced = header("content-length").and_then(|length| length.parse::<u64>().ok()).unwrap_or(0);
        if announced > limit as u64 {
            return Err(too_large(limit));
        }
        match tokio::time::timeout(READ_TIME, self.gather(limit)).await {
            Ok(body) => body,
            Err(_) => {
                let detail = format!("the body did not come within {} s", READ_TIME.as_secs());
                Err(Problem::new(Kind::TooSlow, detail))
            }
        }
    }

    async fn gather(&mut self, limit: usize) -> Result<Bytes, Problem> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.payload.next().await {
            let chunk = chunk.map_err(|error| {
                self.ended = true;
                Problem::new(Kind::Malformed, format!("the body ended too soon: {error}"))
            })?;
            if body.len() + chunk.len() > limit {
                return Err(too_large(limit));
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

fn too_large(limit: usize) -> Problem {
    Problem::new(Kind::TooLarge, format!("the body is larger than {limit} bytes (http.body_limit)"))
}
