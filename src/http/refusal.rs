//! The answer to what never became a request of ours, as bytes: it does not pass through actix-web.

use super::access;
use super::call::new_id;
use super::negotiate::Format;
use super::problem::Problem;

/// The whole answer. `said` is what actix-http would have sent: its date is kept, as it has a clock.
pub fn refusal(problem: &Problem, said: &[u8], secure: bool, peer: &str) -> Vec<u8> {
    let id = new_id();
    let reply = problem.reply(Format::Json, &id);
    access::refused(&id, reply.status, peer);
    let response = reply.respond(&id, secure);
    let mut head = format!("HTTP/1.1 {}\r\nconnection: close\r\n", response.status());
    for (name, value) in response.headers() {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap_or_default());
    }
    let said = String::from_utf8_lossy(said);
    if let Some(date) = said.lines().find(|line| line.starts_with("date: ")) {
        head += &format!("{date}\r\n");
    }
    let body = actix_web::body::MessageBody::try_into_bytes(response.into_body()).unwrap_or_default();
    head += &format!("content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), &body].concat()
}
