//! Event streams as a client reads them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::service::Service;

/// An open event stream.
pub(crate) struct Stream(BufReader<TcpStream>);

impl Stream {
    /// Opens the one at this path under `/api/v1`, from behind the event `after` on.
    pub(crate) fn open(service: &Service, path: &str, after: Option<&str>) -> Self {
        Self::open_with(service, path, after, &service.key)
    }

    /// The same with another key.
    pub(crate) fn open_with(service: &Service, path: &str, after: Option<&str>, key: &str) -> Self {
        let mut stream = TcpStream::connect(&service.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let after = after.map(|after| format!("Last-Event-ID: {after}\r\n")).unwrap_or_default();
        let head = format!(
            "GET /api/v1/{path} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {key}\r\nAccept: text/event-stream\r\n{after}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut stream = Self(BufReader::new(stream));
        assert_eq!(stream.line(), "HTTP/1.1 200 OK");
        let head: Vec<String> = std::iter::from_fn(|| Some(stream.line()).filter(|line| !line.is_empty())).collect();
        assert!(head.iter().any(|line| line.to_lowercase() == "content-type: text/event-stream"), "{head:?}");
        stream
    }

    /// What has not been read yet.
    pub(crate) fn rest(&mut self) -> &mut impl std::io::Read {
        &mut self.0
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The next event: kind, id, data. Sizes of chunks, comments and empty lines are passed over.
    pub(crate) fn event(&mut self) -> (String, String, Value) {
        let mut find = |field: &str| loop {
            let line = self.line();
            if let Some(value) = line.strip_prefix(field) {
                break value.to_owned();
            }
        };
        let (kind, id, data) = (find("event: "), find("id: "), find("data: "));
        (kind, id, serde_json::from_str(&data).unwrap())
    }
}
