//! Problems (RFC 9457): the only place that knows which status code an error has.

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderName, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;
use utoipa::ToSchema;

use super::format::{FormatError, to_xml_ns};
use super::negotiate::Format;
use super::reply::Reply;
use crate::actors::handle::Error;
use crate::model::{Denied, Fault};

/// The name space of problems in XML (RFC 9457, appendix B).
pub const NAME_SPACE: &str = "urn:ietf:rfc:7807";
/// How many faults are told of one request.
pub const MOST_FAULTS: usize = 1000;
/// Seconds after which what is busy or restarting is worth another try.
const TRY_AGAIN: u64 = 5;

/// What kind of problem: status code, stable type, title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Cannot be parsed.
    Malformed,
    /// No key, or not a good one.
    Unauthorized,
    /// The key may not do this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The thing is there, the method is not.
    MethodNotAllowed,
    /// Neither JSON nor XML is acceptable.
    NotAcceptable,
    /// The client took too long to send its body.
    TooSlow,
    /// It is in the way of something else.
    Conflict,
    /// `If-Match` or `If-None-Match` does not hold.
    PreconditionFailed,
    /// The body is too large.
    TooLarge,
    /// The URI is too long.
    UriTooLong,
    /// The headers are too large.
    HeadersTooLarge,
    /// The body's type is not read here.
    UnsupportedMediaType,
    /// Parsed, but wrong.
    Invalid,
    /// Too many bad keys.
    TooManyRequests,
    /// Our own fault.
    Internal,
    /// Not now.
    Unavailable,
}

impl Kind {
    /// Its status code.
    pub fn status(self) -> StatusCode {
        self.row().0
    }

    /// Its stable type, and its title.
    pub fn words(self) -> (String, &'static str) {
        let (_, slug, title) = self.row();
        (format!("urn:alf:problem:{slug}"), title)
    }

    fn row(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::Malformed => (S::BAD_REQUEST, "malformed", "The request cannot be read"),
            Self::Unauthorized => (S::UNAUTHORIZED, "unauthorized", "A key is needed"),
            Self::Forbidden => (S::FORBIDDEN, "forbidden", "The key may not do this"),
            Self::NotFound => (S::NOT_FOUND, "not-found", "Not found"),
            Self::MethodNotAllowed => (S::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed"),
            Self::NotAcceptable => (S::NOT_ACCEPTABLE, "not-acceptable", "Only JSON and XML are spoken here"),
            Self::TooSlow => (S::REQUEST_TIMEOUT, "too-slow", "The request took too long"),
            Self::Conflict => (S::CONFLICT, "conflict", "In conflict with what is there"),
            Self::PreconditionFailed => (S::PRECONDITION_FAILED, "precondition-failed", "Precondition failed"),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, "too-large", "The body is too large"),
            Self::UriTooLong => (S::URI_TOO_LONG, "uri-too-long", "The URI is too long"),
            Self::HeadersTooLarge => {
                (S::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers-too-large", "The headers are too large")
            }
            Self::UnsupportedMediaType => (S::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Body type not read"),
            Self::Invalid => (S::UNPROCESSABLE_ENTITY, "invalid", "The request is wrong"),
            Self::TooManyRequests => (S::TOO_MANY_REQUESTS, "too-many-requests", "Too many bad keys"),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
            Self::Unavailable => (S::SERVICE_UNAVAILABLE, "unavailable", "Not available now"),
        }
    }
}

/// Why a request was not served.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<Fault>,
    headers: Vec<(HeaderName, String)>,
    /// For the log, not for the client.
    inside: Option<String>,
}

impl Problem {
    /// A problem of a kind, in words.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), headers: Vec::new(), inside: None }
    }

    /// With a header of its own.
    pub fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// There is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, detail)
    }

    /// Faults of a document or of a query.
    pub fn invalid(errors: Vec<Fault>) -> Self {
        Self::faulty(Kind::Invalid, errors)
    }

    fn faulty(kind: Kind, mut errors: Vec<Fault>) -> Self {
        let detail = match errors.as_slice() {
            [one] if one.pointer.is_empty() => one.detail.clone(),
            [one] => format!("{}: {}", one.pointer, one.detail),
            many if many.len() > MOST_FAULTS => {
                format!("{} faults, see errors for the first {MOST_FAULTS}", many.len())
            }
            many => format!("{} faults, see errors", many.len()),
        };
        errors.truncate(MOST_FAULTS);
        Self { errors, ..Self::new(kind, detail) }
    }

    /// No key, or a bad one.
    pub fn unauthorized(detail: &str) -> Self {
        Self::new(Kind::Unauthorized, detail).with(WWW_AUTHENTICATE, "Bearer realm=\"alf\"")
    }

    /// The methods that are there.
    pub fn method_not_allowed(allow: &str) -> Self {
        Self::new(Kind::MethodNotAllowed, format!("allowed here: {allow}")).with(ALLOW, allow)
    }

    /// Not now; worth another try.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, detail).with(RETRY_AFTER, TRY_AGAIN.to_string())
    }

    /// Something that must not happen did: the client is told nothing of it, the log all.
    pub fn internal(inside: impl Into<String>) -> Self {
        let problem = Self::new(Kind::Internal, "Alf could not do this; its log says why, under this request id");
        Self { inside: Some(inside.into()), ..problem }
    }

    /// What actix-http refuses by itself, by the beginning of its bare answer: `HTTP/1.1 STATUS`.
    pub fn of_server(said: &[u8]) -> Self {
        match said.get(9..12) {
            Some(b"408") => Self::new(Kind::TooSlow, "the head of the request did not come in time"),
            Some(b"431") => Self::new(Kind::HeadersTooLarge, "the head of the request is too large"),
            Some(b"400") => Self::new(Kind::Malformed, "this is not a request as HTTP/1.1 has it"),
            _ => Self::internal("actix-http failed"),
        }
    }

    /// What it is, in words for the client.
    pub fn detail(&self) -> String {
        visible(&self.detail)
    }

    /// Whether the key may not do this.
    pub fn is_forbidden(&self) -> bool {
        self.kind == Kind::Forbidden
    }

    /// What the log is to be told beside the status.
    pub fn inside(&self) -> Option<&str> {
        self.inside.as_deref()
    }

    /// The answer; `request` is the request's id.
    pub fn reply(&self, format: Format, request: &str) -> Reply {
        let status = self.kind.status();
        let (kind, title) = self.kind.words();
        let document = Document {
            kind,
            title,
            status: status.as_u16(),
            detail: visible(&self.detail),
            instance: request,
            errors: self
                .errors
                .iter()
                .map(|fault| Fault { pointer: visible(&fault.pointer), detail: visible(&fault.detail) })
                .collect(),
        };
        let body = if format.is_xml() {
            to_xml_ns("problem", NAME_SPACE, &document).unwrap_or_default()
        } else {
            serde_json::to_string(&document).unwrap_or_default()
        };
        let mut reply = Reply::new(status, format.problem_type(), body);
        for (name, value) in &self.headers {
            reply = reply.with(name.clone(), value.clone());
        }
        reply
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Document<'a> {
    /// What kind of problem, for programs.
    #[serde(rename = "type")]
    kind: String,
    /// What kind of problem, for people.
    title: &'a str,
    /// The status of the answer.
    status: u16,
    /// What is wrong, and what is allowed.
    detail: String,
    /// The request's id, as in X-Request-Id and in Alf's log.
    instance: &'a str,
    /// All that is wrong with a document or a query, or in the way of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
}

/// A text fit for any terminal and for XML.
fn visible(text: &str) -> String {
    let shown = |c: char| !c.is_control() && !matches!(c, '\u{FFFE}' | '\u{FFFF}');
    text.chars().map(|c| if shown(c) { c.to_string() } else { c.escape_default().to_string() }).collect()
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let words = error.to_string();
        match error {
            Error::Invalid(faults) => Self::invalid(faults),
            Error::NotFound(_) | Error::NoRun(_) | Error::NotLinked { .. } => Self::not_found(words),
            Error::Overlap(run) => Self::new(Kind::Conflict, words).with(LOCATION, format!("/api/v1/runs/{run}")),
            Error::BeingDone => Self::new(Kind::Conflict, words).with(RETRY_AFTER, TRY_AGAIN.to_string()),
            Error::KeyOfAnother => Self::invalid(vec![Fault::new("", words)]),
            Error::TooLargeToRemember
            | Error::Taken(_)
            | Error::InUse { .. }
            | Error::Disabled(_)
            | Error::NothingToAcknowledge(_)
            | Error::HostKey(_)
            | Error::KeyFile(_)
            | Error::NotForThis(_) => Self::new(Kind::Conflict, words),
            Error::LeftOutInUse(faults) => Self::faulty(Kind::Conflict, faults),
            Error::Denied(denied) => denied.into(),
            Error::Precondition { .. } => Self::new(Kind::PreconditionFailed, words),
            Error::QueueFull(_) | Error::Unavailable(_) => Self::unavailable(words),
            // Paths and statements are nobody's business; that the store is down is.
            Error::Store(_) => {
                Self { inside: Some(words), ..Self::unavailable("the store is not available; /health/ready says more") }
            }
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        Self::new(Kind::Forbidden, denied.to_string())
    }
}

impl From<FormatError> for Problem {
    fn from(error: FormatError) -> Self {
        let words = error.to_string();
        match error {
            FormatError::TooManyValues => Self::new(Kind::TooLarge, words),
            FormatError::Unwritable { .. } => Self::internal(words),
            _ => Self::new(Kind::Malformed, words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Name, Noun, Reference};

    fn status(problem: Problem) -> u16 {
        problem.reply(Format::Json, "r").status.as_u16()
    }

    #[test]
    fn each_error_has_its_status() {
        let web1 = Reference { noun: Noun::Host, name: Name::parse("web1").unwrap() };
        for (error, expected) in [
            (Error::Invalid(vec![Fault::new("/port", "is wrong")]), 422),
            (Error::NotFound(web1.clone()), 404),
            (Error::Taken(web1.clone()), 409),
            (Error::InUse { used: web1.clone(), users: vec![] }, 409),
            (Error::LeftOutInUse(vec![Fault::new("/hosts", "is in use")]), 409),
            (Error::Precondition { reference: web1.clone(), version: Some(2) }, 412),
            (Error::Disabled(web1.name), 409),
            (Error::BeingDone, 409),
            (Error::KeyOfAnother, 422),
            (Error::HostKey("it shows another key".to_owned()), 409),
            (Error::KeyFile("cannot replace the key file".to_owned()), 409),
            (Error::QueueFull("1000".to_owned()), 503),
            (Error::Store("disk full at /var/lib".to_owned()), 503),
            (Error::Unavailable("restarting".to_owned()), 503),
        ] {
            assert_eq!(status(error.clone().into()), expected, "{error:?}");
        }
        assert_eq!(status(FormatError::Doctype { line: 1, column: 1 }.into()), 400);
        assert_eq!(status(FormatError::TooDeep { line: 1, column: 1 }.into()), 400);
    }

    #[test]
    fn a_problem_tells_all_faults_and_nothing_of_the_inside() {
        let faults = vec![Fault::new("/port", "is 0"), Fault::new("/user", "a\u{1b}b")];
        let body = Problem::invalid(faults.clone()).reply(Format::Json, "abc").body;
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["status"], 422);
        assert_eq!(body["instance"], "abc");
        assert_eq!(body["errors"][0]["pointer"], "/port");
        assert_eq!(body["errors"][1]["detail"], "a\\u{1b}b");
        let xml = Problem::invalid(faults).reply(Format::Xml, "abc").body;
        let xml = String::from_utf8(xml.to_vec()).unwrap();
        assert!(xml.contains("<problem xmlns=\"urn:ietf:rfc:7807\">"), "{xml}");
        assert!(xml.contains("<item><pointer>/port</pointer>"), "{xml}");

        let many = (0..1500).map(|n| Fault::new(format!("/hosts/{n}/port"), "is 0")).collect();
        let body: serde_json::Value =
            serde_json::from_slice(&Problem::invalid(many).reply(Format::Json, "abc").body).unwrap();
        assert_eq!(body["errors"].as_array().unwrap().len(), MOST_FAULTS);
        assert_eq!(body["detail"], "1500 faults, see errors for the first 1000");

        let store = Problem::from(Error::Store("disk full at /var/lib/alf".to_owned()));
        let shown = store.reply(Format::Json, "abc");
        assert!(!String::from_utf8_lossy(&shown.body).contains("/var/lib"));
        assert!(shown.headers.iter().any(|(name, _)| name == RETRY_AFTER));
        assert_eq!(store.inside(), Some("disk full at /var/lib/alf"));
    }
}
