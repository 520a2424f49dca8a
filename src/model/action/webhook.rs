//! Webhooks: a request to a URL.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use super::super::definition::{Secrets, take_text};
use super::super::{Faults, Reference, SecretField, SecretText, Span, TextValue};
use super::template::{Syntax, Template};

/// Longest URL, in bytes.
const LONGEST_URL: usize = 4096;
/// Most headers.
const MOST_HEADERS: usize = 100;
/// Longest value of a header, in bytes.
const LONGEST_HEADER: usize = 8192;
/// Headers that follow from the request itself.
const OWN_HEADERS: [&str; 6] = ["connection", "content-length", "host", "te", "transfer-encoding", "upgrade"];
/// A request is given up after so long where nothing is said.
const DEFAULT_TIMEOUT: Span = Span::seconds(10);
/// After so long at most.
const LONGEST_TIMEOUT: Span = Span::seconds(300);
/// The place of the signing secret among the secrets, and in the document.
const HMAC_SECRET: &str = "then/webhook/hmac_secret";

/// A request to a URL.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Where to; http or https.
    pub url: TextValue,
    /// By which method.
    pub method: Method,
    /// What it says beside its body; no two names differ in case only.
    pub headers: BTreeMap<String, TextValue>,
    /// Its body; none for the Result (or the host's status) as JSON.
    pub body: Option<Template>,
    /// What its body is signed with (HMAC-SHA-256).
    pub hmac_secret: Option<TextValue<SecretText>>,
    /// It is given up after so long.
    pub timeout: Span,
    /// Whether it may go to private addresses: loopback, link-local and the like.
    pub allow_private: bool,
}

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Without a body.
    Get,
    /// The usual one.
    #[default]
    Post,
    /// In place of what is there.
    Put,
    /// A change of what is there.
    Patch,
    /// Takes away what is there.
    Delete,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A webhook as a document.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookDocument {
    /// Where to: http or https; may be a secret's, as those of chats are.
    pub url: Option<TextValue>,
    /// `POST` (by default), `PUT`, `PATCH`, `DELETE`, or `GET` without a body.
    pub method: Option<Method>,
    /// What it says beside its body; the value of each may be a secret's.
    pub headers: Option<BTreeMap<String, TextValue>>,
    /// A template (Jinja) for its body; the Result as JSON where none is given. What is put in is escaped: as in JSON,
    /// or as in XML, by the header Content-Type or else by how the template begins.
    #[schema(max_length = 262144)]
    pub body: Option<String>,
    /// Write-only: what its body is signed with (HMAC-SHA-256).
    pub hmac_secret: Option<SecretField>,
    /// It is given up after so long.
    pub timeout: Option<Span>,
    /// Whether it may go to private addresses: loopback, link-local and the like.
    #[schema(default = false)]
    pub allow_private: Option<bool>,
}

/// A URL that requests may go to: http or https, with a host, and nothing secret in it.
///
/// # Errors
/// In words, what is wrong with it; without the URL, which may be secret.
pub fn check_url(text: &str) -> Result<Url, String> {
    // The parser leaves out line breaks and white space that others might not.
    if text.len() > LONGEST_URL || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!("must be a URL of up to {LONGEST_URL} bytes without white space"));
    }
    let url = Url::parse(text).map_err(|error| format!("is no URL such as https://example.org/hook: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err("must be a URL of http or https, such as https://example.org/hook".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must hold no user nor password; write a header Authorization with {\"secret\": NAME}".to_owned());
    }
    if url.fragment().is_some() {
        return Err("must hold no #fragment: it would not be sent".to_owned());
    }
    Ok(url)
}

/// A request's timeout at this pointer.
pub(super) fn check_timeout(pointer: &str, timeout: Option<Span>, faults: &mut Faults) -> Span {
    let timeout = timeout.unwrap_or(DEFAULT_TIMEOUT);
    if timeout.get().is_zero() || timeout > LONGEST_TIMEOUT {
        faults.add(pointer, format!("must be longer than 0 and at most {LONGEST_TIMEOUT}"));
    }
    timeout
}

impl WebhookDocument {
    /// Checks a document that stands at `/then/webhook`.
    pub(super) fn check(self, kept: &Secrets, faults: &mut Faults) -> Option<Webhook> {
        let url = faults.require("/then/webhook/url", self.url);
        if let Some(url) = url.as_ref().and_then(TextValue::own) {
            faults.take("/then/webhook/url", check_url(url));
        }
        let method = self.method.unwrap_or_default();
        if method == Method::Get && self.body.is_some() {
            faults.add("/then/webhook/body", "does not go with GET, which has none");
        }
        let headers = self.headers.unwrap_or_default();
        check_headers(&headers, faults);
        let body = self.body.and_then(|text| faults.take("/then/webhook/body", Template::parse(&text)));
        let hmac_secret = take_text(HMAC_SECRET, self.hmac_secret, kept, faults);
        if hmac_secret.as_ref().and_then(TextValue::own_secret).is_some_and(str::is_empty) {
            faults.add(format!("/{HMAC_SECRET}"), "must not be empty");
        }
        let timeout = check_timeout("/then/webhook/timeout", self.timeout, faults);
        let allow_private = self.allow_private.unwrap_or_default();
        url.map(|url| Webhook { url, method, headers, body, hmac_secret, timeout, allow_private })
    }

    /// What a document that is applied may leave out.
    pub(super) fn keep_left_out(&mut self, kept: &Secrets) {
        if self.hmac_secret.is_none() && kept.contains_key(HMAC_SECRET) {
            self.hmac_secret = Some(SecretField::Kept);
        }
    }

    /// The fields that may name a secret.
    pub(super) fn secret_fields(&self) -> [(&'static str, Option<&SecretField>); 1] {
        [(HMAC_SECRET, self.hmac_secret.as_ref())]
    }

    /// The secrets that are named where texts stand.
    pub(super) fn named(&self) -> impl Iterator<Item = (String, Reference)> {
        let url = self.url.as_ref().and_then(|url| url.reference("/then/webhook/url"));
        let headers = self.headers.iter().flatten();
        let pointer = |name: &str| format!("/then/webhook/headers/{}", name.replace('~', "~0").replace('/', "~1"));
        url.into_iter().chain(headers.filter_map(move |(name, value)| value.reference(&pointer(name))))
    }
}

/// Names are tokens (RFC 9110 section 5.6.2), values hold no control characters.
fn check_headers(headers: &BTreeMap<String, TextValue>, faults: &mut Faults) {
    if headers.len() > MOST_HEADERS {
        faults.add("/then/webhook/headers", format!("holds {} headers; at most {MOST_HEADERS}", headers.len()));
    }
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in headers {
        let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let lower = name.to_ascii_lowercase();
        let fault = if name.is_empty() || name.len() > 256 || !name.chars().all(token) {
            Some("is no name for a header")
        } else if OWN_HEADERS.contains(&lower.as_str()) {
            Some("may not be set: it follows from the request")
        } else if seen.contains(&lower) {
            Some("is there twice: case makes no difference")
        } else if value.own().is_some_and(|text| !is_header(text)) {
            Some("must be one line of text, up to 8192 bytes, without control characters")
        } else {
            None
        };
        if let Some(fault) = fault {
            faults.add("/then/webhook/headers", format!("\"{shown}\" {fault}"));
        }
        seen.push(lower);
    }
}

/// Whether a text may be the value of a header.
fn is_header(text: &str) -> bool {
    text.len() <= LONGEST_HEADER && !text.chars().any(|c| c.is_control() && c != '\t')
}

impl Webhook {
    /// What kind of text its body is: by the header Content-Type, else by how the template begins; JSON where there is
    /// no template.
    pub fn syntax(&self) -> Syntax {
        let mut headers = self.headers.iter();
        let said = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        match (said.and_then(|(_, value)| value.own()), &self.body) {
            (Some(kind), _) => Syntax::of_content_type(kind),
            (None, Some(body)) => body.syntax(),
            (None, None) => Syntax::Json,
        }
    }

    /// Its own secret, by its place.
    pub(super) fn secrets(&self) -> Option<(&'static str, &TextValue<SecretText>)> {
        self.hmac_secret.as_ref().map(|secret| (HMAC_SECRET, secret))
    }
}

impl From<&Webhook> for WebhookDocument {
    fn from(webhook: &Webhook) -> Self {
        Self {
            url: Some(webhook.url.clone()),
            method: Some(webhook.method),
            headers: Some(webhook.headers.clone()),
            body: webhook.body.as_ref().map(|body| body.as_str().to_owned()),
            hmac_secret: webhook.hmac_secret.as_ref().map(TextValue::shown),
            timeout: Some(webhook.timeout),
            allow_private: Some(webhook.allow_private),
        }
    }
}
