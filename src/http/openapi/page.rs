//! `GET /docs`: the OpenAPI document as a page to read and to try. It brings all it needs and asks no other host.

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_SECURITY_POLICY;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::super::call::Call;
use super::super::problem::Problem;
use super::super::reply::Reply;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page. Nothing runs on it but its own script, known by its hash, and that speaks to this service alone.
pub async fn show(_: Call) -> Result<Reply, Problem> {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>The API of Alf</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <noscript>This page needs its script; the document itself is at /openapi.json.</noscript>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n"
    );
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    );
    Ok(Reply::new(StatusCode::OK, "text/html; charset=utf-8", html).with(CONTENT_SECURITY_POLICY, policy))
}

/// As Content-Security-Policy names what it allows (CSP 3, section 2.3.1).
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}
