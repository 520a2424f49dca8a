//! `Idempotency-Key`: the same request under the same key is done once. The key belongs to the API key that shows it;
//! the same request is the same method, path, query (but for `wait` and `format`) and body.

use actix_web::http::header::HeaderName;
use actix_web::web;

use super::call::Call;
use super::problem::{Kind, Problem};
use super::query::FORMAT;
use super::reply::Reply;
use crate::actors::handle::{Asked, CameTo, Once};
use crate::model::ContentHash;

/// The header of a request that is to be done once.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// The header of the answer to one that was done before.
pub const IDEMPOTENCY_REPLAYED: &str = "Idempotency-Replayed";
/// The longest key.
const LONGEST: usize = 255;
/// How long an answer waits says nothing of what is asked for.
pub const WAIT: &str = "wait";

/// Whether a request is to be done.
pub enum Due {
    /// It is; with an idempotency key it is to be remembered.
    Now(Option<Once>),
    /// It was done before, and came to this.
    Done(CameTo),
}

/// Asks whether the request is to be done. While the same is being done it waits a while.
pub async fn due(call: &Call) -> Result<Due, Problem> {
    let Some(shown) = shown(call)? else { return Ok(Due::Now(None)) };
    let whose = call.key.as_ref().map(|key| (key.meta.name.as_str(), key.meta.created_at.map_or(0, |at| at.millis())));
    let (name, made) = whose.unwrap_or_default();
    // A key that was made anew under its name is another one. None of the parts holds a line break.
    let key = ContentHash::of(format!("{name}\n{made}\n{shown}").as_bytes());
    let head = format!("{}\n{}\n{}\n", call.method(), call.path(), call.query.without(&[WAIT, FORMAT]));
    let body = call.body.clone();
    // A large body takes a while, and others are served meanwhile.
    let request = web::block(move || ContentHash::of(&[head.as_bytes(), &body].concat())).await;
    let request = request.map_err(|error| Problem::internal(error.to_string()))?;
    Ok(match call.handle().ask_once(key, request).await? {
        Asked::Anew(once) => Due::Now(Some(once)),
        Asked::Before(came_to) => Due::Done(came_to),
    })
}

/// Marks an answer as that of a request that was done before.
pub fn replayed(reply: Reply) -> Reply {
    reply.with(HeaderName::from_static("idempotency-replayed"), "true")
}

/// Something is remembered that this call cannot come to.
pub fn not_of_this_call() -> Problem {
    Problem::internal("what is remembered under an Idempotency-Key is another call's")
}

fn shown(call: &Call) -> Result<Option<String>, Problem> {
    let wrong = || {
        let detail = format!("{IDEMPOTENCY_KEY} must be given once, as 1 to {LONGEST} visible characters of ASCII");
        Problem::new(Kind::Malformed, detail)
    };
    let mut given = call.headers(IDEMPOTENCY_KEY);
    let Some(first) = given.next() else { return Ok(None) };
    let legal = (1..=LONGEST).contains(&first.len()) && first.iter().all(u8::is_ascii_graphic);
    if !legal || given.next().is_some() {
        return Err(wrong());
    }
    String::from_utf8(first.to_vec()).map(Some).map_err(|_| wrong())
}
