//! A small HTTP client for tests: one request a connection, everything of the answer visible.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's value, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?} {}", self.text()))
    }

    /// The same, once the status is the expected one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// The pointers of a 422, sorted.
    #[track_caller]
    pub(crate) fn pointers(self) -> Vec<String> {
        let problem = self.expect(422).json();
        let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("no errors in {problem}"));
        let mut pointers: Vec<String> =
            errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect();
        pointers.sort();
        pointers
    }
}

/// Sends one request to `127.0.0.1:PORT`-like `address` and reads the answer to its end.
pub(crate) fn request(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Answer {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    ask(stream, address, method, path, headers, body)
}

/// The same over a connection that is there.
pub(crate) fn ask(
    mut stream: impl Read + Write,
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if let Some(body) = body {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    // A server that refuses early may close before it has read all: its answer is what counts.
    let _ = stream.write_all(format!("{head}\r\n").as_bytes());
    let _ = stream.write_all(body.unwrap_or_default());
    answer(stream, method == "HEAD")
}

/// Sends bytes as they are and reads what comes to its end.
pub(crate) fn send_raw(address: &str, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let _ = stream.write_all(bytes);
    answer(stream, false)
}

fn answer(mut stream: impl Read, head_only: bool) -> Answer {
    let mut raw = Vec::new();
    let _ = stream.read_to_end(&mut raw);
    parse(&raw, head_only)
}

/// All answers that come on a connection until its end, each with the length of its body; some bytes were read already.
pub(crate) fn answers(mut stream: impl Read, mut raw: Vec<u8>) -> Vec<Answer> {
    let _ = stream.read_to_end(&mut raw);
    let (mut rest, mut answers) = (raw.as_slice(), Vec::new());
    while !rest.is_empty() {
        let mut answer = parse(rest, false);
        let length: usize = answer.header("content-length").unwrap().parse().unwrap();
        let head = rest.len() - answer.body.len();
        answer.body.truncate(length);
        rest = &rest[head + length..];
        answers.push(answer);
    }
    answers
}

fn parse(raw: &[u8], head_only: bool) -> Answer {
    let split = raw.windows(4).position(|window| window == b"\r\n\r\n");
    let split = split.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(raw)));
    let head = String::from_utf8_lossy(&raw[..split]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status line");
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let rest = &raw[split + 4..];
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if chunked && !head_only { unchunk(rest) } else { rest.to_vec() };
    Answer { status, headers, body }
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(&String::from_utf8_lossy(&rest[..end]), 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
    body
}
