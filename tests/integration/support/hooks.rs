//! A receiver of webhooks on loopback that fails, hangs, sends on and comes back, as a test tells it to.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// How it answers.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// With a status and headers.
    With(u16, Vec<(&'static str, String)>),
    /// With a status, and as its error all that it was sent.
    Echo(u16),
    /// Not at all: the connection stays open.
    Hang,
    /// Not at all: the connection is closed once the request is read.
    Cut,
}

/// A request that has come.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// The method and the path.
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether it was told that it has arrived.
    pub(crate) answered: bool,
}

impl Received {
    /// A header's value, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }
}

#[derive(Debug, Default)]
struct State {
    received: Vec<Received>,
    replies: VecDeque<Reply>,
    /// What is always answered for a path.
    paths: Vec<(String, Reply)>,
    /// What is answered when no reply is left; 204 where none is set.
    usual: Option<Reply>,
    hanging: Vec<TcpStream>,
    ended: bool,
}

/// The receiver.
#[derive(Debug)]
pub(crate) struct Hooks {
    address: std::net::SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Hooks {
    /// Starts one that takes everything.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.lock().unwrap().ended {
                    return;
                }
                let state = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &state));
            }
        });
        Self { address, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The next requests are answered so, one after the other.
    pub(crate) fn reply(&self, replies: &[Reply]) {
        self.state().replies.extend(replies.iter().cloned());
    }

    /// What comes for a path is answered so from now on.
    pub(crate) fn answer(&self, path: &str, reply: Reply) {
        self.state().paths.push((path.to_owned(), reply));
    }

    /// All others are answered so from now on.
    pub(crate) fn always(&self, reply: Reply) {
        self.state().usual = Some(reply);
    }

    /// It takes everything again.
    pub(crate) fn recover(&self) {
        let mut state = self.state();
        (state.usual, state.replies) = (None, VecDeque::new());
        state.hanging.clear();
    }

    /// All that has come so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.state().received.clone()
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.state().ended = true;
        // Wakes who waits for connections.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let Some(mut request) = read(&mut stream) else { return };
    let mut state = state.lock().unwrap();
    let of_path = state.paths.iter().find(|(path, _)| request.line.ends_with(path)).map(|(_, reply)| reply.clone());
    let next = of_path.or_else(|| state.replies.pop_front()).or_else(|| state.usual.clone());
    request.answered = next.is_none();
    let echo = format!("{} {:?}", request.line, request.headers);
    state.received.push(request);
    let (status, headers, body) = match next {
        None => (204, Vec::new(), String::new()),
        Some(Reply::With(status, headers)) => (status, headers, String::new()),
        Some(Reply::Echo(status)) => (status, Vec::new(), json!({"error": echo}).to_string()),
        Some(Reply::Hang) => return state.hanging.push(stream),
        Some(Reply::Cut) => return,
    };
    drop(state);
    let mut answer = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n");
    if status != 204 {
        answer += &format!("Content-Length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        answer += &format!("{name}: {value}\r\n");
    }
    let _ = stream.write_all(format!("{answer}\r\n{body}").as_bytes());
}

/// A whole request; none where the connection ends before.
fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut raw = Vec::new();
    let mut some = [0; 65_536];
    loop {
        if let Some(head) = raw.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&raw[..head]).into_owned();
            let mut lines = text.lines();
            let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
            let header = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.to_owned()));
            let headers: Vec<(String, String)> = lines
                .filter_map(header)
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
            let length = headers.iter().find(|(name, _)| name == "content-length");
            let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap_or_default());
            if raw.len() >= head + 4 + length {
                return Some(Received {
                    line,
                    headers,
                    body: raw[head + 4..head + 4 + length].to_vec(),
                    answered: false,
                });
            }
        }
        match stream.read(&mut some) {
            Ok(0) | Err(_) => return None,
            Ok(count) => raw.extend_from_slice(&some[..count]),
        }
    }
}
