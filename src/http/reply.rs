//! An answer before it goes to the wire: one document, one page of a list, raw bytes, or nothing.

use std::convert::Infallible;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, CROSS_ORIGIN_RESOURCE_POLICY, HeaderName, HeaderValue,
    REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::{HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use futures_util::stream::LocalBoxStream;
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;

use super::access::Answering;
use super::call::X_REQUEST_ID;
use super::format::{list_to_xml, to_xml};
use super::limits::Place;
use super::negotiate::Format;
use super::problem::Problem;

/// On every answer: nothing here is a page, and no proxy is to keep it.
static ALWAYS: [(HeaderName, HeaderValue); 6] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (VARY, HeaderValue::from_static("Accept, Authorization, X-Api-Key")),
];

/// Over TLS also: a browser that was here once asks with TLS only, for a year.
static SECURE: (HeaderName, HeaderValue) = (STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// The type of its body; none without a body.
    pub content_type: Option<&'static str>,
    /// Headers of its own.
    pub headers: Vec<(HeaderName, String)>,
    /// The body.
    pub body: Bytes,
    /// In place of the body: what comes piece by piece, as fast as the client takes it.
    pieces: Option<Pieces>,
}

struct Pieces(LocalBoxStream<'static, Result<Bytes, Infallible>>);

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pieces(…)")
    }
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    items: &'a [T],
    next: Option<&'a str>,
    total: u64,
}

impl Reply {
    /// An answer with a body.
    pub fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, content_type: Some(content_type), headers: Vec::new(), body: body.into(), pieces: None }
    }

    /// An answer without a body.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, content_type: None, headers: Vec::new(), body: Bytes::new(), pieces: None }
    }

    /// An answer whose body comes piece by piece.
    pub fn pieces(content_type: &'static str, pieces: impl Stream<Item = Bytes> + 'static) -> Self {
        let pieces = Some(Pieces(pieces.map(Ok).boxed_local()));
        Self { pieces, ..Self::new(StatusCode::OK, content_type, Bytes::new()) }
    }

    /// One document; `root` is its element in XML.
    pub fn document<T: Serialize>(status: StatusCode, format: Format, root: &str, value: &T) -> Result<Self, Problem> {
        let body = if format.is_xml() { to_xml(root, value)? } else { json(value)? };
        Ok(Self::new(status, format.content_type(), body))
    }

    /// One page of a list: `{"items", "next", "total"}`, or `<hosts total="…" next="…">` around each `<host>`.
    pub fn list<T: Serialize>(
        format: Format,
        (plural, singular): (&str, &str),
        items: &[T],
        total: u64,
        next: Option<&str>,
    ) -> Result<Self, Problem> {
        let body = if format.is_xml() {
            list_to_xml(plural, singular, items, total, next)?
        } else {
            json(&Envelope { items, next, total })?
        };
        Ok(Self::new(StatusCode::OK, format.content_type(), body))
    }

    /// With a header of its own.
    pub fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same, with a place that is kept until the last piece is sent.
    pub fn keeping(mut self, place: Option<Place>) -> Self {
        if let Some(Pieces(pieces)) = self.pieces.take() {
            let keep = move |_: &Result<Bytes, Infallible>| {
                let _ = &place;
            };
            self.pieces = Some(Pieces(pieces.inspect(keep).boxed_local()));
        }
        self
    }

    /// The same, for the access log.
    pub fn noted(mut self, mut answering: Answering) -> Self {
        answering.status = self.status;
        match self.pieces.take() {
            None => answering.sends(&self.body),
            Some(Pieces(pieces)) => {
                let count = move |piece: &Result<Bytes, Infallible>| {
                    if let Ok(piece) = piece {
                        answering.sends(piece);
                    }
                };
                self.pieces = Some(Pieces(pieces.inspect(count).boxed_local()));
            }
        }
        self
    }

    /// As actix-web sends it; `request` is the request's id, `secure` whether it came over TLS.
    pub fn respond(self, request: &str, secure: bool) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.status);
        for (name, value) in ALWAYS.iter().chain(secure.then_some(&SECURE)) {
            response.insert_header((name.clone(), value.clone()));
        }
        response.insert_header((X_REQUEST_ID, request));
        response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
        for (name, value) in self.headers {
            response.insert_header((name, value));
        }
        match self.content_type {
            Some(kind) => {
                response.insert_header((CONTENT_TYPE, HeaderValue::from_static(kind)));
                match self.pieces {
                    Some(Pieces(pieces)) => response.streaming(pieces),
                    None => response.body(self.body),
                }
            }
            None => response.finish(),
        }
    }
}

fn json<T: Serialize>(value: &T) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(|error| Problem::internal(format!("cannot be written as JSON: {error}")))
}
