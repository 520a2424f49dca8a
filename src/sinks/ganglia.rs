//! Ganglia: values to a gmond over UDP, in XDR.
//!
//! The format is that of ganglia/monitor-core, `lib/gm_protocol.x` (RFC 4506: all in steps of four bytes, big-endian): of each
//! metric first what it is (128), and again every so often, as a gmond forgets it when it starts anew; then its values, as text
//! (133), which is what gmetric sends as well. A message is at most 1464 bytes. A value is one of now: it has no time.

use std::collections::HashMap;
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{Instant, sleep, timeout};

use super::error::DeliveryError;
use super::point::{Point, path_part};
use crate::clock::Clock;
use crate::model::action::{Ganglia, Spoof};

const METADATA: u32 = 128;
const VALUE: u32 = 133;
/// The largest message that a gmond reads.
const LARGEST: usize = 1464;
/// After so many seconds without a value something is wrong with a metric.
const TMAX: u32 = 60;
/// It goes up only (counters), or both ways.
const POSITIVE: u32 = 1;
const BOTH: u32 = 3;
/// How often a gmond is told again what a metric is.
const TOLD: Duration = Duration::from_secs(60);
/// Values that are older would be taken for those of now.
const OLDEST: i64 = 5 * 60 * 1000;
/// How long looking up an address may take.
const LOOK_UP: Duration = Duration::from_secs(5);
/// So many metrics are known to have been told; beyond it all are told again.
const MOST_TOLD: usize = 100_000;
/// A gmond that gets more at once than its socket holds loses some: a breath after so many messages.
const AT_ONCE: usize = 50;

/// How a metric is named: the host in gmond's words, the name, and whether the host is not the one that sends.
fn id(spoof: &Spoof, point: &Point) -> (String, String, bool) {
    let [host, task, label] = [point.host.as_str(), point.task.as_str(), &point.label].map(path_part);
    let of_others = || cut(&format!("{host}.{task}.{label}"), 250);
    match spoof {
        Spoof::No => (point.host.to_string(), of_others(), false),
        Spoof::As(host) => (host.clone(), of_others(), true),
        Spoof::Yes => {
            // gmond divides at the first colon and uses what stands before it as a key alone.
            let key = if point.address.contains(':') { point.host.as_str() } else { &point.address };
            (format!("{key}:{}", point.host), cut(&format!("{task}.{label}"), 250), true)
        }
    }
}

/// What a metric is.
fn metadata(spoof: &Spoof, point: &Point) -> Vec<u8> {
    let (host, name, spoofed) = id(spoof, point);
    let mut message = Xdr(Vec::new());
    message.number(METADATA).text(&host).text(&name).number(u32::from(spoofed));
    message.text("double").text(&name).text(&cut(point.unit.as_deref().unwrap_or_default(), 32));
    message.number(if point.is_counter() { POSITIVE } else { BOTH }).number(TMAX).number(0);
    let extra = [("GROUP", point.task.as_str()), ("TITLE", &cut(&point.label, 128))];
    message.number(2);
    for (key, value) in extra {
        message.text(key).text(value);
    }
    message.0
}

/// A value of it.
fn value(spoof: &Spoof, point: &Point) -> Vec<u8> {
    let (host, name, spoofed) = id(spoof, point);
    let mut message = Xdr(Vec::new());
    message.number(VALUE).text(&host).text(&name).number(u32::from(spoofed));
    message.text("%s").text(&point.value.to_string());
    message.0
}

/// At most so many characters of a text.
fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// A message in XDR.
struct Xdr(Vec<u8>);

impl Xdr {
    fn number(&mut self, number: u32) -> &mut Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// Its length, its bytes, zeros up to a multiple of four.
    fn text(&mut self, text: &str) -> &mut Self {
        self.number(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.0.extend(text.as_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }
}

/// The socket to a gmond, and what it has been told.
#[derive(Debug)]
pub(super) struct Gmond {
    ganglia: Ganglia,
    clock: Clock,
    socket: Option<UdpSocket>,
    told: HashMap<(String, String), Instant>,
}

impl Gmond {
    pub(super) fn new(ganglia: Ganglia, clock: Clock) -> Self {
        Self { ganglia, clock, socket: None, told: HashMap::new() }
    }

    /// Sends values; how many of them, as those that are too old are left out.
    pub(super) async fn send(&mut self, points: &[Point]) -> Result<usize, DeliveryError> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => self.open().await?,
        };
        let now = self.clock.now().timestamp_millis();
        let mut sent = 0;
        for point in points.iter().filter(|point| now - point.at.millis() <= OLDEST) {
            let (host, name, _) = id(&self.ganglia.spoof, point);
            if self.told.len() > MOST_TOLD {
                self.told.clear();
            }
            if self.told.get(&(host.clone(), name.clone())).is_none_or(|at| at.elapsed() >= TOLD) {
                self.message(&socket, &metadata(&self.ganglia.spoof, point)).await?;
                self.told.insert((host, name), Instant::now());
            }
            self.message(&socket, &value(&self.ganglia.spoof, point)).await?;
            sent += 1;
            if sent % AT_ONCE == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        }
        self.socket = Some(socket);
        Ok(sent)
    }

    async fn message(&self, socket: &UdpSocket, message: &[u8]) -> Result<(), DeliveryError> {
        if message.len() > LARGEST {
            return Err(DeliveryError::permanent(format!("a message to gmond would have {} bytes", message.len())));
        }
        // That nobody listens is told by the answer to an earlier message.
        socket.send(message).await.map(drop).map_err(|error| self.failed(&error.to_string()))
    }

    /// A new socket: it may be another gmond, so all is told again.
    async fn open(&mut self) -> Result<UdpSocket, DeliveryError> {
        self.told.clear();
        let found = timeout(LOOK_UP, lookup_host((self.ganglia.address.host(), self.ganglia.port())))
            .await
            .map_err(|_| self.failed(&format!("its address is not found within {LOOK_UP:?}")))?;
        let mut found = found.map_err(|error| self.failed(&error.to_string()))?;
        let to = found.next().ok_or_else(|| self.failed("it has no address"))?;
        let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(from).await.map_err(|error| self.failed(&error.to_string()))?;
        socket.connect(to).await.map_err(|error| self.failed(&error.to_string()))?;
        Ok(socket)
    }

    fn failed(&self, why: &str) -> DeliveryError {
        let (host, port) = (self.ganglia.address.host(), self.ganglia.port());
        DeliveryError::temporary(format!("gmond at {host} port {port}: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::point::tests::point;

    #[test]
    fn messages_are_xdr() {
        let value = value(&Spoof::Yes, &point("a", 0.5, None));
        let expected = b"\0\0\0\x85\0\0\0\x1a192.0.2.1:web1.example.org\0\0\0\0\0\x06load.a\0\0\0\0\0\x01\0\0\0\x02%s\0\0\0\0\0\x030.5\0";
        assert_eq!(value, expected, "{}", value.escape_ascii());
        let metadata = metadata(&Spoof::Yes, &point("a", 0.5, Some("c")));
        let expected = b"\0\0\0\x80\0\0\0\x1a192.0.2.1:web1.example.org\0\0\0\0\0\x06load.a\0\0\0\0\0\x01\
            \0\0\0\x06double\0\0\0\0\0\x06load.a\0\0\0\0\0\x01c\0\0\0\0\0\0\x01\0\0\0\x3c\0\0\0\0\
            \0\0\0\x02\0\0\0\x05GROUP\0\0\0\0\0\0\x04load\0\0\0\x05TITLE\0\0\0\0\0\0\x01a\0\0\0";
        assert_eq!(metadata, expected, "{}", metadata.escape_ascii());
    }

    #[test]
    fn a_metric_is_of_the_host_it_was_measured_on_or_names_it() {
        let (host, name) = ("web1.example.org".to_owned(), "web1_example_org.load._".to_owned());
        assert_eq!(id(&Spoof::No, &point("/", 1.0, None)), (host, name.clone(), false));
        let other = "192.0.2.9:cluster";
        assert_eq!(id(&Spoof::As(other.to_owned()), &point("/", 1.0, None)), (other.to_owned(), name, true));
        let on = |address: &str| id(&Spoof::Yes, &Point { address: address.to_owned(), ..point("a", 1.0, None) }).0;
        assert_eq!(on("web1.lan"), "web1.lan:web1.example.org");
        assert_eq!(on("2001:db8::1"), "web1.example.org:web1.example.org", "gmond divides at the first colon");
    }

    #[test]
    fn no_message_is_too_long() {
        let long: String = "é".repeat(256);
        let name = "n".repeat(128);
        let worst = Point {
            host: name.parse().unwrap(),
            task: name.parse().unwrap(),
            address: "a".repeat(253),
            ..point(&long, f64::MIN, Some(&long))
        };
        for spoof in [Spoof::Yes, Spoof::No, Spoof::As("h".repeat(300))] {
            let lengths = [metadata(&spoof, &worst).len(), value(&spoof, &worst).len()];
            assert!(lengths.iter().all(|length| *length <= LARGEST), "{lengths:?}");
        }
    }

    #[tokio::test]
    async fn what_is_too_old_is_left_out_and_what_a_metric_is_comes_first() {
        let gmond = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = gmond.local_addr().unwrap().to_string().parse().unwrap();
        let now = point("a", 1.0, None);
        let clock = Clock::starting_at(now.at.get());
        let mut sender = Gmond::new(Ganglia { address, spoof: Spoof::Yes }, clock);
        let old = Point { at: "2026-11-24T23:00:00Z".parse().unwrap(), ..now.clone() };
        assert_eq!(sender.send(&[old, now.clone(), now.clone()]).await.unwrap(), 2);
        let mut kinds = Vec::new();
        for _ in 0..3 {
            let mut message = [0; 2000];
            gmond.recv(&mut message).await.unwrap();
            kinds.push(message[3]);
        }
        assert_eq!(kinds, [128, 133, 133]);
    }
}
