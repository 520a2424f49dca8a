//! One request, from its arrival to its answer: id, key, form, query, body, handler, log line. Every route goes
//! through [`serve`], so nothing of this can be forgotten on one of them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix_web::body::{BodySize, MessageBody as _};
use actix_web::http::header::{ACCEPT, AsHeaderName, HeaderName, IF_MATCH, IF_NONE_MATCH, LINK};
use actix_web::http::{ConnectionType, Method, StatusCode, Version};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::FutureExt as _;
use serde::Serialize;

use super::State;
use super::access::Answering;
use super::auth::{Operation, authenticate, authorise};
use super::condition::Conditions;
use super::format::excerpt;
use super::intake::{Bounds, Intake};
use super::live::EVENT_STREAM;
use super::negotiate::{Format, accepted, accepts};
use super::openapi::Written;
use super::page::{CURSOR, Page};
use super::problem::{Kind, Problem};
use super::query::{FORMAT, Query};
use super::reply::Reply;
use super::route::{API, Handler, Hosts};
use crate::actors::handle::{AlfHandle, RefusedCall};
use crate::model::{Fault, Key, Name, Noun, Origin, Reference};

/// The id of a request, the client's or a new one.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a route is: who may call it, and which query parameters it knows (none: it does not look at them).
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// What it does, as far as rights are concerned.
    pub operation: Operation,
    /// The query parameters it knows beside `format`.
    pub query: Option<&'static [&'static str]>,
    /// Which hosts it reaches.
    pub hosts: Hosts,
}

/// A request that may be served: its key, form, query and body are checked.
pub struct Call {
    state: web::Data<State>,
    handle: AlfHandle,
    request: HttpRequest,
    /// The form its answer is to have.
    pub format: Format,
    /// The key it showed, if one was needed.
    pub key: Option<Arc<Key>>,
    /// Its query parameters.
    pub query: Query,
    /// Its body, whole.
    pub body: Bytes,
}

impl Call {
    /// The door to the inside.
    pub fn handle(&self) -> &AlfHandle {
        &self.handle
    }

    /// What all workers share.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The OpenAPI document.
    pub fn openapi(&self) -> &Written {
        &self.state.openapi
    }

    /// The name of the key that calls.
    pub fn by(&self) -> Option<Name> {
        self.key.as_ref().map(|key| key.meta.name.clone())
    }

    /// Its method.
    pub fn method(&self) -> &Method {
        self.request.method()
    }

    /// Its path, as it was sent.
    pub fn path(&self) -> &str {
        self.request.path()
    }

    /// A part of its path.
    pub fn part(&self, name: &str) -> &str {
        self.request.match_info().query(name)
    }

    /// A part of its path that names a definition; what cannot be a name is not there.
    pub fn name(&self, part: &str, noun: Noun) -> Result<Name, Problem> {
        let text = self.part(part);
        let name = if noun.is_link() { Name::parse_link(text) } else { Name::parse(text) };
        name.map_err(|_| Problem::not_found(format!("there is no {noun} \"{}\"", excerpt(text))))
    }

    /// A header, where it is text.
    pub fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        header(&self.request, name)
    }

    /// A header, as often as it is given.
    pub fn headers(&self, name: &'static str) -> impl Iterator<Item = &[u8]> {
        self.request.headers().get_all(name).map(|value| value.as_bytes())
    }

    /// `If-Match` and `If-None-Match`.
    pub fn conditions(&self) -> Result<Conditions, Problem> {
        let list = |name: HeaderName| list(&self.request, name);
        Conditions::read(list(IF_MATCH).as_deref(), list(IF_NONE_MATCH).as_deref())
    }

    /// One document as the answer.
    pub fn document<T: Serialize>(&self, root: &str, value: &T) -> Result<Reply, Problem> {
        self.document_with(StatusCode::OK, root, value)
    }

    /// One document as the answer, with another status than 200.
    pub fn document_with<T: Serialize>(&self, status: StatusCode, root: &str, value: &T) -> Result<Reply, Problem> {
        Reply::document(status, self.format, root, value)
    }

    /// One page of a list as the answer, with the link to the next one.
    pub fn page<T: Serialize>(&self, words: (&str, &str), page: &Page<T>) -> Result<Reply, Problem> {
        let reply = Reply::list(self.format, words, &page.items, page.total, page.next.as_deref())?;
        Ok(match &page.next {
            None => reply,
            Some(next) => {
                let link = format!("<{}?{}>; rel=\"next\"", self.request.path(), self.query.with(CURSOR, next));
                reply.with(LINK, link)
            }
        })
    }
}

/// Serves one request.
pub async fn serve(endpoint: Endpoint, handler: Handler, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let mut answering = Answering::begin(&request, request_id(&request));
    let id = answering.id.clone();
    let mut intake = Intake::new(payload);
    let query = Query::decode(request.query_string());
    let format = match &query {
        Ok(query) => wanted_format(&request, query, endpoint.operation),
        Err(problem) => Err(problem.clone()),
    };
    let shown = format.as_ref().copied().unwrap_or(Format::Json);
    let work = answer(endpoint, handler, &request, &mut intake, query, format, &mut answering);
    let outcome = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(_) => Err(Problem::internal("a request handler panicked")),
    };
    // What the client still sends is taken, within bounds: else it sees a broken connection instead of the answer.
    intake.drain().await;
    let reply = outcome.unwrap_or_else(|problem| {
        if problem.is_forbidden() {
            tell_refused(&request, &answering);
        }
        if let Some(inside) = problem.inside() {
            log::error!(request = id.as_str(), path = request.path(); "{inside}");
        }
        problem.reply(shown, &id)
    });
    let secure = request.app_data::<web::Data<State>>().is_some_and(|state| state.secure);
    let mut response = reply.noted(answering).respond(&id, secure);
    // HTTP/1.0 knows no chunks: what has no length ends with the connection.
    if request.version() < Version::HTTP_11 && matches!(response.body().size(), BodySize::Stream) {
        response.head_mut().no_chunking(true);
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

/// Tells the audit of a call that its key may not make.
fn tell_refused(request: &HttpRequest, answering: &Answering) {
    let (Some(state), Some(path)) = (request.app_data::<web::Data<State>>(), request.match_pattern()) else { return };
    let address = request.peer_addr().map(|peer| peer.ip());
    let origin = Origin { by: answering.by.clone(), address, request: Some(answering.id.clone()) };
    let named = |part: &str| request.match_info().get(part);
    let noun = path.strip_prefix(API).and_then(|below| Noun::parse(below.trim_start_matches('/').split('/').next()?));
    let name = named("name").and_then(|name| Name::parse_link(name).ok());
    state.handle.asked_by(origin).call_refused(RefusedCall {
        call: format!("{} {path}", request.method()),
        what: noun.zip(name).map(|(noun, name)| Reference { noun, name }),
        host: named("host").and_then(|host| Name::parse(host).ok()),
    });
}

/// Checks a request in the order in which a client can mend it, and hands it to its handler.
async fn answer(
    endpoint: Endpoint,
    handler: Handler,
    request: &HttpRequest,
    intake: &mut Intake,
    query: Result<Query, Problem>,
    format: Result<Format, Problem>,
    answering: &mut Answering,
) -> Result<Reply, Problem> {
    let state = request
        .app_data::<web::Data<State>>()
        .cloned()
        .ok_or_else(|| Problem::internal("the HTTP service was set up without its state"))?;
    state.limits.check(request)?;
    let address = request.peer_addr().map(|peer| peer.ip());
    let mut origin = Origin { by: None, address, request: Some(answering.id.clone()) };
    let key = authenticate(request, &state, endpoint.operation, &origin)?;
    answering.by = key.as_ref().map(|key| key.meta.name.clone());
    origin.by.clone_from(&answering.by);
    if let Some(key) = &key {
        authorise(key, endpoint, request, &state)?;
    }
    // Whoever has no key gets no place, and takes none from those who have.
    let (_place, stream) = match (&key, endpoint.operation) {
        (None, _) => (None, None),
        (Some(_), Operation::Follow) => (None, Some(state.places.stream()?)),
        (Some(_), _) => (Some(state.places.request()?), None),
    };
    let query = query?;
    let format = format?;
    if let Some(known) = endpoint.query {
        query.check(known)?;
    }
    let sends = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    let served = !matches!(endpoint.operation, Operation::Nothing | Operation::NothingPublic);
    let bounds = match endpoint.operation {
        Operation::Upload => Bounds::file(state.limits.body_timeout),
        _ => Bounds::document(state.limits.body_limit, state.limits.body_timeout),
    };
    let body = if sends && served { intake.read(request, bounds).await? } else { Bytes::new() };
    let handle = state.handle.asked_by(origin);
    let reply = handler(Call { state, handle, request: request.clone(), format, key, query, body }).await?;
    Ok(reply.keeping(stream))
}

/// The form the answer is to have: `?format=` beats `Accept`.
fn wanted_format(request: &HttpRequest, query: &Query, operation: Operation) -> Result<Format, Problem> {
    match query.get(FORMAT) {
        Some("json") => return Ok(Format::Json),
        Some("xml") => return Ok(Format::Xml),
        Some(_) => return Err(Problem::invalid(vec![Fault::new("/format", "must be json or xml")])),
        None => {}
    }
    let accept = list(request, ACCEPT).unwrap_or_default();
    if operation == Operation::Follow && !accepts(&accept, EVENT_STREAM) {
        return Err(Problem::new(Kind::NotAcceptable, "Accept does not allow text/event-stream, which this is"));
    }
    match accepted(Some(accept.as_str())) {
        Some(format) => Ok(format),
        None if !operation.answers_document() => Ok(Format::Json),
        None => {
            let detail = "Accept allows neither application/json nor application/xml; ?format=json or xml does as well";
            Err(Problem::new(Kind::NotAcceptable, detail))
        }
    }
}

/// The client's own id of the request if it is short and harmless, else a new one.
fn request_id(request: &HttpRequest) -> String {
    let harmless = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    match header(request, X_REQUEST_ID).filter(harmless) {
        Some(id) => id.to_owned(),
        None => new_id(),
    }
}

/// A new id of a request.
pub fn new_id() -> String {
    format!("{:016x}", rand::random::<u64>())
}

fn header(request: &HttpRequest, name: impl AsHeaderName) -> Option<&str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

/// A header whose lines count as one list (RFC 9110, section 5.3).
fn list(request: &HttpRequest, name: impl AsHeaderName) -> Option<String> {
    let lines: Vec<&str> = request.headers().get_all(name).filter_map(|value| value.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}
