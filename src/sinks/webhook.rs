//! Webhooks: a message to a URL.
//!
//! Signed, it has `X-Alf-Timestamp: SECONDS` and `X-Alf-Signature: sha256=HEX`, the HMAC-SHA256 of `SECONDS.BODY`; who gets
//! it refuses what is unsigned or old. `X-Alf-Delivery` is the same in each try, so that what came twice can be told.

use std::fmt::Write as _;
use std::time::Duration;

use awc::error::HttpError;
use awc::http::header::{self, HeaderName, HeaderValue};
use awc::http::{self as h, StatusCode};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::time::timeout;
use url::Url;

use super::destination::Destinations;
use super::error::{DeliveryError, one_line};
use super::http::{self, Answer, Failed, shown};
use super::trust::Trust;
use crate::clock::Clock;
use crate::model::SecretText;
use crate::model::action::{Method, check_url};

/// How often it may be sent on.
const MOST_REDIRECTS: usize = 5;
/// Headers that HTTP itself needs, and Alf's own.
const RESERVED: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-alf-",
];

/// A message to a URL, with all secrets looked up.
#[derive(Debug, Clone)]
pub struct WebhookRequest {
    /// What is the same in each try.
    pub id: String,
    /// What programs sort it by: `("type", "PROBLEM")` is `X-Alf-Type: PROBLEM`.
    pub fields: Vec<(&'static str, String)>,
    /// By which method.
    pub method: Method,
    /// Where to; http or https.
    pub url: SecretText,
    /// In addition to those of HTTP; without a `Content-Type` it is `application/json`.
    pub headers: Vec<(String, SecretText)>,
    /// What is sent.
    pub body: Vec<u8>,
    /// What it is signed with.
    pub secret: Option<SecretText>,
    /// So long a delivery may take, with all redirects.
    pub timeout: Duration,
    /// Whether it may go to any address, also where a redirect leads.
    pub allow_private: bool,
}

/// That a message has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The HTTP status.
    pub status: u16,
    /// The beginning of what was answered, as one line.
    pub answer: String,
}

/// What delivers webhooks.
#[derive(Debug, Clone)]
pub struct Webhooks {
    trust: Trust,
    destinations: Destinations,
    clock: Clock,
}

/// One step of a delivery.
struct Step {
    url: Url,
    method: h::Method,
    body: Bytes,
    /// Whether it still goes where it was meant to: only there are headers and signature shown.
    is_at_home: bool,
}

impl Webhooks {
    /// For these CAs and these destinations.
    pub fn new(trust: Trust, destinations: Destinations, clock: Clock) -> Self {
        Self { trust, destinations, clock }
    }

    /// Delivers a message once.
    ///
    /// # Errors
    /// Why not, and whether it is worth another try.
    pub async fn deliver(&self, request: &WebhookRequest) -> Result<Delivered, DeliveryError> {
        let url = parse(request.url.reveal())?;
        let late = || DeliveryError::temporary(format!("{}: no answer within {:?}", shown(&url), request.timeout));
        timeout(request.timeout, self.follow(request, url.clone())).await.unwrap_or_else(|_| Err(late()))
    }

    async fn follow(&self, request: &WebhookRequest, url: Url) -> Result<Delivered, DeliveryError> {
        let method = match request.method {
            Method::Get => h::Method::GET,
            Method::Post => h::Method::POST,
            Method::Put => h::Method::PUT,
            Method::Patch => h::Method::PATCH,
            Method::Delete => h::Method::DELETE,
        };
        let headers = self.headers(request)?;
        let mut step = Step { url, method, body: Bytes::copy_from_slice(&request.body), is_at_home: true };
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.ask(request, &step, &headers).await?;
            match answer.status {
                200..=299 => return Ok(Delivered { status: answer.status, answer: one_line(&answer.text) }),
                301 | 302 | 303 | 307 | 308 => step = step.next(&answer)?,
                _ => return Err(refused(&step.url, &answer)),
            }
        }
        Err(DeliveryError::permanent(format!("{}: more than {MOST_REDIRECTS} redirects", shown(&step.url))))
    }

    /// Asks the addresses of a host, one after the other until one can be reached.
    async fn ask(
        &self,
        request: &WebhookRequest,
        step: &Step,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<Answer, DeliveryError> {
        let told = |error: DeliveryError| DeliveryError {
            message: format!("{}: {}", shown(&step.url), error.message),
            ..error
        };
        // A client of its own: no connection that was made for another message or under another check is used.
        let client = http::client(&self.trust);
        let mut unreached = None;
        for address in self.destinations.addresses(&step.url, request.allow_private).await? {
            let mut asked = client
                .request(step.method.clone(), step.url.as_str())
                .address(address)
                .timeout(request.timeout)
                .force_close();
            for (name, value) in headers.iter().filter(|(name, _)| step.is_at_home || name == header::CONTENT_TYPE) {
                asked = asked.append_header((name.clone(), value.clone()));
            }
            match http::answer(asked.send_body(step.body.clone())).await {
                Ok(answer) => return Ok(answer),
                Err(Failed::Broken(error)) => return Err(told(error)),
                Err(Failed::Unreached(error)) => unreached = Some(told(error)),
            }
        }
        Err(unreached.unwrap_or_else(|| told(DeliveryError::temporary("its host has no address"))))
    }

    fn headers(&self, request: &WebhookRequest) -> Result<Vec<(HeaderName, HeaderValue)>, DeliveryError> {
        let mut headers = Vec::new();
        for (name, value) in &request.headers {
            headers.push(given_header(name, value.reveal())?);
        }
        let mut own = vec![("x-alf-delivery".to_owned(), request.id.clone())];
        own.extend(request.fields.iter().map(|(name, value)| (format!("x-alf-{name}"), value.clone())));
        if !headers.iter().any(|(name, _)| name == header::CONTENT_TYPE) {
            own.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        if let Some(secret) = &request.secret {
            let seconds = self.clock.now().timestamp();
            own.push(("x-alf-timestamp".to_owned(), seconds.to_string()));
            own.push(("x-alf-signature".to_owned(), format!("sha256={}", signature(secret, seconds, &request.body))));
        }
        for (name, value) in own {
            headers.push(header(&name, &value).map_err(|error| DeliveryError::permanent(error.to_string()))?);
        }
        Ok(headers)
    }
}

impl Step {
    /// Where an answer sends it on to. The method and the body go along, as RFC 9110 has it where nothing else is wanted;
    /// after a 303 they have been taken already.
    fn next(self, answer: &Answer) -> Result<Self, DeliveryError> {
        let told = |why: &str| DeliveryError::permanent(format!("{}: {why}", shown(&self.url)));
        let location = answer.location.as_deref().ok_or_else(|| told("it sends on to nowhere"))?;
        let joined = self.url.join(location).map_err(|_| told("it sends on to what is no URL"))?;
        let url = parse(joined.as_str()).map_err(|error| told(&format!("it sends on: {}", error.message)))?;
        if self.url.scheme() == "https" && url.scheme() != "https" {
            return Err(told("it sends on from https to http"));
        }
        let is_at_home = self.is_at_home && self.url.origin() == url.origin();
        let (method, body) =
            if answer.status == 303 { (h::Method::GET, Bytes::new()) } else { (self.method, self.body) };
        Ok(Self { url, method, body, is_at_home })
    }
}

fn parse(url: &str) -> Result<Url, DeliveryError> {
    check_url(url).map_err(|error| DeliveryError::permanent(format!("its URL {error}")))
}

fn given_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), DeliveryError> {
    let told = |why: &str| DeliveryError::permanent(format!("header {}: {why}", name.escape_debug()));
    let (name, value) = header(name, value).map_err(|error| told(&error.to_string()))?;
    let own = |reserved: &&str| {
        name.as_str() == *reserved || (reserved.ends_with('-') && name.as_str().starts_with(reserved))
    };
    if RESERVED.iter().any(own) {
        return Err(told("it is set by Alf alone"));
    }
    Ok((name, value))
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), HttpError> {
    Ok((HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_bytes(value.as_bytes())?))
}

fn signature(secret: &SecretText, seconds: i64, body: &[u8]) -> String {
    let mut hex = String::with_capacity(64);
    // It takes a key of any length.
    if let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) {
        let mac = mac.chain_update(format!("{seconds}.")).chain_update(body);
        for byte in mac.finalize().into_bytes() {
            let _ = write!(hex, "{byte:02x}");
        }
    }
    hex
}

/// What a status means that is neither done nor sent on.
fn refused(url: &Url, answer: &Answer) -> DeliveryError {
    let known =
        StatusCode::from_u16(answer.status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    let told = format!("{}: it answered {} {known}: {}", shown(url), answer.status, one_line(&answer.text));
    let told = told.trim_end_matches([' ', ':']);
    match answer.status {
        408 | 425 | 429 | 500.. => DeliveryError { after: answer.retry_after, ..DeliveryError::temporary(told) },
        _ => DeliveryError::permanent(told),
    }
}

#[cfg(test)]
mod tests;
