//! Graphite: values to carbon over TCP, as lines or pickled.
//!
//! <https://graphite.readthedocs.io/en/latest/feeding-carbon.html>: a line is `path value seconds`; pickled, a message is
//! its length and a pickle of protocol 2 of `[(path, (seconds, value)), …]`. carbon never answers, so TCP alone tells
//! whether something has arrived, and only after a while: what was written lately is kept, and written again after a
//! connection has broken. carbon takes the same value twice without harm.

use std::collections::VecDeque;
use std::os::fd::AsFd as _;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::error::DeliveryError;
use super::point::{Point, path_part};
use crate::model::action::{Graphite, GraphiteProtocol};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// After so long without an acknowledgement the system gives a connection up.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);
/// What was written within this time may not have arrived: a bit more than the above.
const UNCERTAIN: Duration = Duration::from_secs(30);
/// The most bytes that are kept to be written again.
const KEPT: usize = 4 << 20;

/// `PREFIX.HOST.TASK.LABEL`, where only the prefix's own dots divide.
fn path(prefix: &str, point: &Point) -> String {
    let mut path = String::new();
    for part in prefix.split('.').filter(|part| !part.is_empty()) {
        path.push_str(&path_part(part));
        path.push('.');
    }
    path + &[point.host.as_str(), point.task.as_str(), &point.label].map(path_part).join(".")
}

fn encode(graphite: &Graphite, points: &[Point]) -> Vec<u8> {
    let path = |point: &Point| path(&graphite.prefix, point);
    match graphite.protocol {
        GraphiteProtocol::Plaintext => {
            let line = |point: &Point| format!("{} {} {}\n", path(point), point.value, seconds(point));
            points.iter().map(line).collect::<String>().into_bytes()
        }
        GraphiteProtocol::Pickle => {
            let pickle = pickle(points.iter().map(|point| (path(point), seconds(point), point.value)));
            let mut message = length(pickle.len()).to_be_bytes().to_vec();
            message.extend(pickle);
            message
        }
    }
}

fn seconds(point: &Point) -> i64 {
    point.at.millis().div_euclid(1000)
}

/// A batch is far below 4 GiB.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// `[(path, (seconds, value)), …]` as Python's pickle of protocol 2 (CPython's `Lib/pickletools.py` has the opcodes).
fn pickle(values: impl Iterator<Item = (String, i64, f64)>) -> Vec<u8> {
    let mut pickle = b"\x80\x02](".to_vec();
    for (path, seconds, value) in values {
        // BINUNICODE, LONG1 of 8 bytes, BINFLOAT, TUPLE2 twice.
        pickle.push(b'X');
        pickle.extend(length(path.len()).to_le_bytes());
        pickle.extend(path.as_bytes());
        pickle.extend(b"\x8a\x08");
        pickle.extend(seconds.to_le_bytes());
        pickle.push(b'G');
        pickle.extend(value.to_be_bytes());
        pickle.extend(b"\x86\x86");
    }
    pickle.extend(b"e.");
    pickle
}

/// The connection to a carbon, kept.
#[derive(Debug)]
pub(super) struct Carbon {
    graphite: Graphite,
    stream: Option<TcpStream>,
    /// What was written lately, and when.
    written: VecDeque<(Instant, Vec<u8>)>,
}

impl Carbon {
    pub(super) fn new(graphite: Graphite) -> Self {
        Self { graphite, stream: None, written: VecDeque::new() }
    }

    /// Writes values; after an error, or when it is given up, the connection is made anew.
    pub(super) async fn send(&mut self, points: &[Point]) -> Result<usize, DeliveryError> {
        let mut stream = match self.stream.take().filter(is_open) {
            Some(stream) => {
                // The connection holds, so what was written long ago has arrived.
                while self.written.front().is_some_and(|(at, _)| at.elapsed() > UNCERTAIN) {
                    self.written.pop_front();
                }
                stream
            }
            None => {
                let mut stream = self.connect().await?;
                for (_, bytes) in &self.written {
                    self.write(&mut stream, bytes).await?;
                }
                self.written.iter_mut().for_each(|(at, _)| *at = Instant::now());
                stream
            }
        };
        let bytes = encode(&self.graphite, points);
        self.write(&mut stream, &bytes).await?;
        self.written.push_back((Instant::now(), bytes));
        while self.written.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > KEPT {
            self.written.pop_front();
        }
        self.stream = Some(stream);
        Ok(points.len())
    }

    async fn write(&self, stream: &mut TcpStream, bytes: &[u8]) -> Result<(), DeliveryError> {
        let written = stream.write_all(bytes).await;
        written.map_err(|error| self.failed(&format!("the connection is lost: {error}")))
    }

    async fn connect(&self) -> Result<TcpStream, DeliveryError> {
        let stream = timeout(CONNECT, TcpStream::connect((self.graphite.address.host(), self.graphite.port())))
            .await
            .map_err(|_| self.failed(&format!("no connection within {CONNECT:?}")))?
            .map_err(|error| self.failed(&error.to_string()))?;
        // Else the system would go on trying to reach a machine that is gone for a quarter of an hour.
        let limit = u32::try_from(UNACKNOWLEDGED.as_millis()).unwrap_or(u32::MAX);
        rustix::net::sockopt::set_tcp_user_timeout(stream.as_fd(), limit)
            .map_err(|error| self.failed(&error.to_string()))?;
        Ok(stream)
    }

    fn failed(&self, why: &str) -> DeliveryError {
        let (host, port) = (self.graphite.address.host(), self.graphite.port());
        DeliveryError::temporary(format!("carbon at {host} port {port}: {why}"))
    }
}

/// Whether a connection is still there, as far as is known here. carbon says nothing; if it does, it does not matter.
fn is_open(stream: &TcpStream) -> bool {
    match stream.try_read(&mut [0; 256]) {
        Ok(bytes) => bytes > 0,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::point::tests::point;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    fn graphite(address: &str, protocol: GraphiteProtocol) -> Graphite {
        Graphite { address: address.parse().unwrap(), prefix: "alf".to_owned(), protocol }
    }

    #[test]
    fn a_path_has_four_safe_parts() {
        assert_eq!(path("alf", &point("load1", 1.0, None)), "alf.web1_example_org.load.load1");
        assert_eq!(path("alf", &point("/var.x;a=b c", 1.0, None)), "alf.web1_example_org.load._var_x_a_b_c");
        assert_eq!(path(".site.a/b.", &point("é", 1.0, None)), "site.a_b.web1_example_org.load._");
        assert_eq!(path("", &point("a", 1.0, None)), "web1_example_org.load.a");
    }

    #[test]
    fn values_are_lines() {
        let plain = graphite("192.0.2.1", GraphiteProtocol::Plaintext);
        let points =
            [point("a", 0.25, Some("s")), point("errors", 12_345_678_901.0, Some("c")), point("b", -3.0, None)];
        assert_eq!(
            String::from_utf8(encode(&plain, &points)).unwrap(),
            "alf.web1_example_org.load.a 0.25 1795564800\n\
             alf.web1_example_org.load.errors 12345678901 1795564800\n\
             alf.web1_example_org.load.b -3 1795564800\n"
        );
    }

    #[test]
    fn values_are_pickled() {
        // As Python reads it: pickle.loads(_) == [("a.b", (1795564800, 0.5))].
        let expected = b"\x80\x02](X\x03\x00\x00\x00a.b\x8a\x08\x00\x25\x06\x6b\x00\x00\x00\x00G\x3f\xe0\x00\x00\x00\x00\x00\x00\x86\x86e.";
        assert_eq!(pickle([("a.b".to_owned(), 0x6b06_2500, 0.5)].into_iter()), expected);
        let message = encode(&graphite("192.0.2.1", GraphiteProtocol::Pickle), &[point("a", 0.25, None)]);
        let (length, pickled) = message.split_at(4);
        assert_eq!(u32::from_be_bytes(length.try_into().unwrap()) as usize, pickled.len());
    }

    #[tokio::test]
    async fn what_may_be_lost_with_a_connection_is_written_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut carbon = Carbon::new(graphite(&address, GraphiteProtocol::Plaintext));
        carbon.send(&[point("a", 1.0, None)]).await.unwrap();
        // It is taken, and goes down with the receiver before that has read it.
        drop(listener.accept().await.unwrap());
        let lost = tokio::time::timeout(Duration::from_secs(60), async {
            while carbon.stream.as_ref().is_some_and(is_open) {
                tokio::task::yield_now().await;
            }
        });
        lost.await.unwrap();
        carbon.send(&[point("b", 2.0, None)]).await.unwrap();
        let (mut second, _) = listener.accept().await.unwrap();
        drop(carbon);
        let mut text = String::new();
        second.read_to_string(&mut text).await.unwrap();
        let words: Vec<&str> = text.lines().filter_map(|line| line.rsplit_once(' ')).map(|line| line.0).collect();
        assert_eq!(words, ["alf.web1_example_org.load.a 1", "alf.web1_example_org.load.b 2"]);
    }
}
