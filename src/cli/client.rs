//! The HTTP client of the command line: one request, one answer, every wait with a limit, no redirect followed (it
//! would carry the key elsewhere).

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::ParseError;
use awc::body::SizedStream;
use awc::error::{ConnectError, PayloadError, SendRequestError};
use awc::http::{Method, header};
use bytes::Bytes;
use futures_util::StreamExt as _;
use rustls::ClientConfig;

use super::doc::Doc;
use super::error::CliError;
use super::output::Output;
use super::problem::Problem;
use super::tls::Literal;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the service may take to begin an answer, beyond what a request asks it to wait.
const ANSWER: Duration = Duration::from_secs(30);
/// How long sending a file and its answer may take.
const UPLOAD: Duration = Duration::from_secs(600);
/// How much of a file is sent at once.
const PIECE: usize = 256 * 1024;
/// How long the body of an answer may take; raw output may be as long as it keeps coming.
const BODY: Duration = Duration::from_secs(120);
/// The largest document that is read: a Result with two streams of 64 MiB, each byte escaped.
const LARGEST: usize = 1024 * 1024 * 1024;
/// The largest page of a list that the service gives.
const PAGE: &str = "1000";
/// Behind which event a stream goes on (HTML, section 9.2).
const LAST_EVENT_ID: header::HeaderName = header::HeaderName::from_static("last-event-id");
/// How much of an unreadable answer is read.
const LARGEST_PROBLEM: usize = 1024 * 1024;

/// The path of the API.
pub(super) const API: &str = "/api/v1";

/// Query parameters.
pub(super) type Query<'a> = [(&'a str, &'a str)];

/// Query parameters, of texts that somebody else has.
pub(super) fn query<'a>(filters: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    filters.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// Which format an answer is wanted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accept {
    Json,
    Xml,
}

impl Accept {
    fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml => "application/xml",
        }
    }
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    /// Nothing.
    Empty,
    /// A document, sent as JSON.
    Json(Doc),
    /// XML, sent as it is.
    Xml(Vec<u8>),
}

/// A file on its way to the service.
pub(super) struct Upload {
    /// How many bytes it has.
    pub(super) bytes: u64,
    /// Gives them.
    pub(super) from: Box<dyn Read>,
}

/// What the service answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// The HTTP status, never an error.
    pub(super) status: u16,
    /// Whether there is a next page (RFC 8288).
    pub(super) has_next: bool,
    /// The entity tag of what was asked for.
    pub(super) etag: Option<String>,
    /// The body as it came.
    pub(super) body: Bytes,
}

impl Answer {
    /// The body as a document.
    pub(super) fn doc(&self) -> Result<Doc, CliError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            CliError::Failed(format!("the service's answer is not JSON ({error}); is this an Alf service?"))
        })
    }
}

/// A service, and the key that is shown to it.
pub(super) struct Client {
    http: awc::Client,
    url: String,
    key: Option<String>,
    tls: Option<Arc<ClientConfig>>,
    /// Where it is, if its URL has an IPv6 address that TLS cannot be asked for.
    literal: Option<Literal>,
}

fn http(answer: Duration, tls: Option<&Arc<ClientConfig>>) -> awc::Client {
    let connector = awc::Connector::new().timeout(CONNECT);
    awc::Client::builder()
        .connector(match tls {
            Some(tls) => connector.handshake_timeout(CONNECT).rustls_0_23(Arc::clone(tls)),
            None => connector,
        })
        .timeout(answer)
        .disable_redirects()
        .finish()
}

impl Client {
    /// For the service at `url` (no slash at its end); without a key only what is open to all can be asked. An https URL
    /// needs `tls`.
    pub(super) fn new(url: String, key: Option<String>, tls: Option<Arc<ClientConfig>>) -> Self {
        Self { http: http(ANSWER, tls.as_ref()), literal: Literal::of(&url), url, key, tls }
    }

    /// The same for something that takes longer to be answered, by so much.
    pub(super) fn patient(self, longer: Duration) -> Self {
        Self { http: http(ANSWER + longer, self.tls.as_ref()), ..self }
    }

    /// Where the service is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Asks for a document.
    pub(super) async fn get(&self, path: &str, query: &Query<'_>) -> Result<Doc, CliError> {
        self.send(Method::GET, path, query, &Body::Empty, Accept::Json).await?.doc()
    }

    /// Asks for all of a list, page by page: an envelope with all items.
    pub(super) async fn list(&self, path: &str, query: &Query<'_>) -> Result<Doc, CliError> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            query.push(("limit", PAGE));
            if let Some(cursor) = &cursor {
                query.push(("cursor", cursor));
            }
            let page = self.get(path, &query).await?;
            items.extend_from_slice(page.list("items"));
            let next = page.text("next").map(str::to_owned);
            // A service that gives the same cursor again would keep us here for ever.
            if next.is_none() || next == cursor {
                let total = Doc::Number(items.len().into());
                return Ok(Doc::map([
                    ("items", Some(Doc::List(items))),
                    ("next", Some(Doc::Null)),
                    ("total", Some(total)),
                ]));
            }
            cursor = next;
        }
    }

    /// Sends a document and gives what came of it.
    pub(super) async fn post(&self, path: &str, query: &Query<'_>, body: &Body) -> Result<Answer, CliError> {
        self.send(Method::POST, path, query, body, Accept::Json).await
    }

    /// Changes some fields of what is still at the version of this entity tag.
    pub(super) async fn patch(&self, path: &str, fields: Doc, etag: Option<&str>) -> Result<Answer, CliError> {
        let condition = etag.map(|etag| (header::IF_MATCH, etag));
        self.send_with(Method::PATCH, path, &[], &Body::Json(fields), Accept::Json, condition).await
    }

    /// Deletes.
    pub(super) async fn delete(&self, path: &str, query: &Query<'_>) -> Result<(), CliError> {
        self.send(Method::DELETE, path, query, &Body::Empty, Accept::Json).await.map(|_| ())
    }

    /// One request.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        query: &Query<'_>,
        body: &Body,
        accept: Accept,
    ) -> Result<Answer, CliError> {
        self.send_with(method, path, query, body, accept, None).await
    }

    /// One request with another header.
    pub(super) async fn send_with(
        &self,
        method: Method,
        path: &str,
        query: &Query<'_>,
        body: &Body,
        accept: Accept,
        more: Option<(header::HeaderName, &str)>,
    ) -> Result<Answer, CliError> {
        let answer = self.begin(method, path, query, body, accept.as_str(), more).await?;
        self.whole(answer).await
    }

    /// Puts a file, piece by piece as it is read; with `is_new` only where nothing is yet.
    pub(super) async fn upload(
        &self,
        path: &str,
        upload: Upload,
        is_new: bool,
        accept: Accept,
    ) -> Result<Answer, CliError> {
        let Upload { bytes, mut from } = upload;
        let mut request = self.request(Method::PUT, path, &[], accept.as_str())?.timeout(UPLOAD);
        request = request.content_type("application/octet-stream");
        if is_new {
            request = request.insert_header((header::IF_NONE_MATCH, "*"));
        }
        let mut left = bytes;
        let pieces = std::iter::from_fn(move || {
            let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
            if piece.is_empty() {
                return None;
            }
            Some(from.read_exact(&mut piece).map(|()| {
                left -= piece.len() as u64;
                Bytes::from(piece)
            }))
        });
        let sent = request.send_body(SizedStream::new(bytes, futures_util::stream::iter(pieces)));
        let answer = self.checked(sent).await?;
        self.whole(answer).await
    }

    /// An answer with its body.
    async fn whole(
        &self,
        answer: awc::ClientResponse<impl futures_util::Stream<Item = Result<Bytes, PayloadError>>>,
    ) -> Result<Answer, CliError> {
        let mut answer = answer.timeout(BODY);
        let has_next = answer
            .headers()
            .get_all(header::LINK)
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.contains("rel=\"next\"") || value.contains("rel=next"));
        let etag = answer.headers().get(header::ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let status = answer.status().as_u16();
        let body = answer.body().limit(LARGEST).await.map_err(|error| self.cut_short(&error))?;
        Ok(Answer { status, has_next, etag, body })
    }

    /// Writes the raw bytes of an answer to stdout as they come.
    pub(super) async fn stream(&self, path: &str, output: &mut Output) -> Result<(), CliError> {
        let mut answer = self.begin(Method::GET, path, &[], &Body::Empty, "*/*", None).await?;
        loop {
            let chunk = tokio::time::timeout(ANSWER, answer.next()).await;
            match chunk.map_err(|_| self.cut_off("the answer stopped in the middle"))? {
                Some(chunk) => output.data(&chunk.map_err(|error| self.cut_short(&error))?)?,
                None => return Ok(()),
            }
            if output.is_closed() {
                return Ok(());
            }
        }
    }

    /// An event stream as it comes, from behind the event with this id on.
    pub(super) async fn events(
        &self,
        path: &str,
        after: Option<&str>,
    ) -> Result<impl futures_util::Stream<Item = Result<Bytes, CliError>>, CliError> {
        let accept = "text/event-stream, application/problem+json";
        let after = after.map(|after| (LAST_EVENT_ID, after));
        let answer = self.begin(Method::GET, path, &[], &Body::Empty, accept, after).await?;
        Ok(answer.map(|piece| piece.map_err(|error| self.cut_short(&error))))
    }

    /// That a stream ended before its time.
    pub(super) fn broken_off(&self) -> CliError {
        self.cut_off("its event stream broke off")
    }

    async fn begin(
        &self,
        method: Method,
        path: &str,
        query: &Query<'_>,
        body: &Body,
        accept: &str,
        more: Option<(header::HeaderName, &str)>,
    ) -> Result<awc::ClientResponse<impl futures_util::Stream<Item = Result<Bytes, PayloadError>> + use<>>, CliError>
    {
        let mut request = self.request(method, path, query, accept)?;
        if let Some(more) = more {
            request = request.insert_header(more);
        }
        let sent = match body {
            Body::Empty => request.send(),
            Body::Json(doc) => request.send_json(doc),
            Body::Xml(bytes) => {
                request.insert_header((header::CONTENT_TYPE, "application/xml")).send_body(bytes.clone())
            }
        };
        self.checked(sent).await
    }

    /// A request without its body, the key in it.
    fn request(
        &self,
        method: Method,
        path: &str,
        query: &Query<'_>,
        accept: &str,
    ) -> Result<awc::ClientRequest, CliError> {
        let unusable = |error: String| CliError::Usage(format!("cannot ask {} for {path}: {error}", self.url));
        let mut request = match &self.literal {
            Some(literal) => {
                let request = self.http.request(method, format!("{}{path}", literal.url));
                request.address(literal.address).insert_header((header::HOST, literal.authority.as_str()))
            }
            None => self.http.request(method, format!("{}{path}", self.url)),
        };
        request = request.insert_header((header::ACCEPT, accept));
        if !query.is_empty() {
            request = request.query(&query).map_err(|error| unusable(error.to_string()))?;
        }
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        Ok(request)
    }

    /// The answer to a request, once it is no refusal.
    async fn checked(
        &self,
        sent: awc::SendClientRequest,
    ) -> Result<awc::ClientResponse<impl futures_util::Stream<Item = Result<Bytes, PayloadError>> + use<>>, CliError>
    {
        let mut answer = sent.await.map_err(|error| self.not_sent(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let content_type = text(header::CONTENT_TYPE).unwrap_or_default().to_owned();
        let retry_after = text(header::RETRY_AFTER).and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        let body = answer.body().limit(LARGEST_PROBLEM).await.unwrap_or_default();
        let reason = status.canonical_reason().unwrap_or_default();
        let mut problem = Problem::read(status.as_u16(), reason, &content_type, &body);
        problem.retry_after = retry_after;
        Err(CliError::Problem(problem))
    }

    fn not_sent(&self, error: &SendRequestError) -> CliError {
        match error {
            SendRequestError::Timeout => self.cut_off(&format!("no answer within {} s", ANSWER.as_secs())),
            SendRequestError::Connect(ConnectError::Timeout) => {
                self.unreachable(&format!("no connection within {} s", CONNECT.as_secs()))
            }
            SendRequestError::Connect(ConnectError::Io(error)) => self.unreachable(&reason(error)),
            SendRequestError::Connect(ConnectError::Resolver(error)) => {
                self.unreachable(&format!("the name cannot be resolved: {error}"))
            }
            SendRequestError::Connect(ConnectError::Disconnected) => self.cut_off("it closed the connection"),
            SendRequestError::Send(error) | SendRequestError::Response(ParseError::Io(error)) => {
                self.cut_off(&reason(error))
            }
            SendRequestError::Response(_) => self.unreachable("the answer is not HTTP"),
            SendRequestError::Url(error) => CliError::Usage(format!("URL {}: {error}", self.url)),
            other => self.unreachable(&other.to_string()),
        }
    }

    fn cut_off(&self, cause: &str) -> CliError {
        CliError::BrokenOff { url: self.url.clone(), cause: super::text::escaped(cause) }
    }

    fn cut_short(&self, error: &PayloadError) -> CliError {
        self.cut_off(&format!("the answer broke off: {error}"))
    }

    fn unreachable(&self, cause: &str) -> CliError {
        CliError::Unreachable { url: self.url.clone(), cause: super::text::escaped(cause) }
    }
}

/// What the system says, without the number of the error.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        _ => super::tls::explained(error).unwrap_or_else(|| error.to_string()),
    }
}
