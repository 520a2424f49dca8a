//! `GET /runs/ID/output`: what a run writes while it runs, as Server-Sent Events (WHATWG HTML, section 9.2).

use std::time::Duration;

use actix_web::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval_at, timeout};

use super::call::Call;
use super::problem::{Kind, Problem};
use super::reply::Reply;
use super::runs::{has_ended, open};
use crate::actors::handle::{Followed, Follower, Piece, Stream};
use crate::model::{Encoding, Outcome, Reason, Rights, RunId, RunResult, RunRow, State};

/// The type of the answer.
pub const EVENT_STREAM: &str = "text/event-stream";
/// How often a comment shows that the connection lives.
const BEAT: Duration = Duration::from_secs(15);
/// A client that takes nothing for so long is not read for any more; it may come back.
const STUCK: Duration = Duration::from_secs(30);
/// How many events may wait for a client.
const WAITING: usize = 4;

/// `GET /runs/ID/output`.
pub async fn output(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let RunRow { id, host, .. } = open(&call, &rights).await?;
    let from = match call.header("last-event-id") {
        Some(text) => offsets(text).ok_or_else(|| {
            Problem::new(Kind::Malformed, "Last-Event-ID must be OUT.ERR, the next offsets of both streams in bytes")
        })?,
        None => [0, 0],
    };
    let follower = match call.handle().follow(id, from).await {
        Ok(follower) => follower,
        Err(error) => return Err(has_ended(&call, id, error).await?),
    };
    if *call.method() == Method::HEAD {
        return Ok(Reply::pieces(EVENT_STREAM, futures_util::stream::empty()));
    }
    let handle = call.handle().clone();
    let writer = Writer { id, told: from, held: Default::default() };
    Ok(stream(OutputTeller { follower, writer, may_hear: Box::new(move || handle.still_cover(&rights, &host)) }))
}

/// `OUT.ERR`.
fn offsets(text: &str) -> Option<[u64; 2]> {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let (out, err) = text.trim().split_once('.')?;
    Some([number(out)?, number(err)?])
}

/// Where events come from.
pub trait Teller: 'static {
    /// What comes next, as text of the stream, which may be empty; none after the end. May be dropped while it waits.
    fn next(&mut self) -> impl Future<Output = Option<String>>;

    /// Whether who listens may still hear it.
    fn may_go_on(&self) -> bool;

    /// What is not to wait any longer for something more.
    fn held(&mut self) -> String {
        String::new()
    }
}

/// An event stream as the answer: all that is told, until the end, or until nobody listens or may hear it any more.
pub fn stream(teller: impl Teller) -> Reply {
    let (to, mut events) = mpsc::channel(WAITING);
    actix_web::rt::spawn(tell(teller, to));
    Reply::pieces(EVENT_STREAM, futures_util::stream::poll_fn(move |context| events.poll_recv(context)))
}

async fn tell(mut teller: impl Teller, to: mpsc::Sender<Bytes>) {
    let mut beat = interval_at(tokio::time::Instant::now() + BEAT, BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Something at once, so that the client knows that it is listened for; and after how long it may come back.
    let mut text = "retry: 1000\n\n".to_owned();
    loop {
        if !text.is_empty() && !matches!(timeout(STUCK, to.send(text.into())).await, Ok(Ok(()))) {
            return;
        }
        text = tokio::select! {
            biased;
            () = to.closed() => return,
            _ = beat.tick() => teller.held() + ":\n\n",
            next = teller.next() => match next {
                Some(text) => text,
                None => return,
            },
        };
        if !teller.may_go_on() {
            return;
        }
    }
}

/// Tells what a run writes.
struct OutputTeller {
    follower: Follower,
    writer: Writer,
    may_hear: Box<dyn Fn() -> bool>,
}

impl Teller for OutputTeller {
    async fn next(&mut self) -> Option<String> {
        Some(match self.follower.next().await? {
            Followed::Piece(piece) => self.writer.piece(piece),
            Followed::Ended(result) => self.writer.end(result.as_deref()),
        })
    }

    fn may_go_on(&self) -> bool {
        (self.may_hear)()
    }

    fn held(&mut self) -> String {
        self.writer.held()
    }
}

/// Writes events.
struct Writer {
    id: RunId,
    /// The offsets up to which all was told.
    told: [u64; 2],
    /// The beginning of a character whose rest has not come yet.
    held: [Vec<u8>; 2],
}

#[derive(Serialize)]
struct Data<'a> {
    offset: u64,
    encoding: Encoding,
    data: &'a str,
}

#[derive(Serialize)]
struct Gap {
    stream: &'static str,
    from: u64,
    to: u64,
}

#[derive(Serialize)]
struct End<'a> {
    run: RunId,
    outcome: Option<Outcome>,
    state: Option<State>,
    reason: Option<Reason>,
    exit_code: Option<i32>,
    signal: Option<&'a str>,
    message: Option<&'a str>,
}

impl Writer {
    fn piece(&mut self, piece: Piece) -> String {
        match piece {
            Piece::Data { stream, bytes, .. } => {
                let mut all = std::mem::take(&mut self.held[stream as usize]);
                all.extend_from_slice(&bytes);
                if let Err(error) = std::str::from_utf8(&all)
                    && error.error_len().is_none()
                {
                    self.held[stream as usize] = all.split_off(error.valid_up_to());
                }
                self.data(stream, &all)
            }
            Piece::Gap { stream, from, to } => {
                let held = self.held();
                self.told[stream as usize] = to;
                held + &self.event("gap", &Gap { stream: word(stream), from, to })
            }
        }
    }

    fn data(&mut self, stream: Stream, bytes: &[u8]) -> String {
        if bytes.is_empty() {
            return String::new();
        }
        let told = &mut self.told[stream as usize];
        let offset = *told;
        *told += bytes.len() as u64;
        match std::str::from_utf8(bytes) {
            Ok(data) => self.event(word(stream), &Data { offset, encoding: Encoding::Utf8, data }),
            Err(_) => {
                let data = STANDARD.encode(bytes);
                self.event(word(stream), &Data { offset, encoding: Encoding::Base64, data: &data })
            }
        }
    }

    /// What was held back and is not to wait any longer for its rest.
    fn held(&mut self) -> String {
        let [out, err] = std::mem::take(&mut self.held);
        self.data(Stream::Stdout, &out) + &self.data(Stream::Stderr, &err)
    }

    fn end(&mut self, result: Option<&RunResult>) -> String {
        let end = End {
            run: self.id,
            outcome: result.map(|result| result.outcome),
            state: result.and_then(|result| result.state),
            reason: result.and_then(|result| result.reason),
            exit_code: result.and_then(|result| result.exit_code),
            signal: result.and_then(|result| result.signal.as_deref()),
            message: result.map(|result| result.message.as_str()),
        };
        self.held() + &self.event("end", &end)
    }

    fn event<T: Serialize>(&self, kind: &str, data: &T) -> String {
        let [out, err] = self.told;
        // Numbers and texts: there is nothing in them that JSON could not hold. It has no newline either.
        let data = serde_json::to_string(data).unwrap_or_default();
        format!("event: {kind}\nid: {out}.{err}\ndata: {data}\n\n")
    }
}

fn word(stream: Stream) -> &'static str {
    match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> Writer {
        Writer { id: RunId::from_bytes([7; 16]), told: [0, 0], held: Default::default() }
    }

    fn data(offset: u64, bytes: &'static [u8]) -> Piece {
        Piece::Data { stream: Stream::Stdout, offset, bytes: Bytes::from_static(bytes) }
    }

    #[test]
    fn a_character_that_is_cut_waits_for_its_rest() {
        let mut writer = writer();
        let told = writer.piece(data(0, b"a\xe2\x82"));
        assert_eq!(told, "event: stdout\nid: 1.0\ndata: {\"offset\":0,\"encoding\":\"utf-8\",\"data\":\"a\"}\n\n");
        let told = writer.piece(data(3, b"\xac\n"));
        assert_eq!(told, "event: stdout\nid: 5.0\ndata: {\"offset\":1,\"encoding\":\"utf-8\",\"data\":\"€\\n\"}\n\n");
        assert_eq!(writer.piece(data(5, b"\xf0")), "");
        // Who comes back now is told it again.
        let gap = writer.piece(Piece::Gap { stream: Stream::Stdout, from: 6, to: 9 });
        assert_eq!(
            gap,
            "event: stdout\nid: 6.0\ndata: {\"offset\":5,\"encoding\":\"base64\",\"data\":\"8A==\"}\n\n\
             event: gap\nid: 9.0\ndata: {\"stream\":\"stdout\",\"from\":6,\"to\":9}\n\n"
        );
    }

    #[test]
    fn what_is_no_text_is_base64_and_the_end_says_how_it_ended() {
        let mut writer = writer();
        let told = writer.piece(data(0, b"\xffab"));
        assert_eq!(told, "event: stdout\nid: 3.0\ndata: {\"offset\":0,\"encoding\":\"base64\",\"data\":\"/2Fi\"}\n\n");
        assert_eq!(writer.piece(data(3, b"\xe2")), "");
        let end = writer.end(None);
        assert!(end.starts_with("event: stdout\nid: 4.0\n") && end.contains("event: end\nid: 4.0\n"), "{end}");
    }

    #[test]
    fn a_place_to_go_on_from_is_two_numbers() {
        assert_eq!(offsets("12.0"), Some([12, 0]));
        for bad in ["", "1", "1.", ".1", "1.-1", "+1.0", "a.b", "1.2.3", "99999999999999999999.0"] {
            assert_eq!(offsets(bad), None, "{bad}");
        }
    }
}
