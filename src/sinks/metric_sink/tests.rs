use super::*;
use crate::model::action::GraphiteProtocol;
use crate::sinks::point::tests::point;
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A sink, its spool, and where its receiver would be.
struct Setup {
    dir: tempfile::TempDir,
    address: SocketAddr,
    // Nobody else gets the port as long as it is bound.
    _bound: TcpSocket,
}

impl Setup {
    fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.set_reuseport(true).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self { dir: tempfile::tempdir().unwrap(), address: socket.local_addr().unwrap(), _bound: socket }
    }

    fn start(&self) -> MetricSink {
        let graphite = Graphite {
            address: self.address.to_string().parse().unwrap(),
            prefix: "alf".to_owned(),
            protocol: GraphiteProtocol::Plaintext,
        };
        let spooling = Spooling { dir: self.dir.path().join("spool"), limit: 1 << 20 };
        let trust = Trust::load(None).unwrap();
        let name = "graph".parse().unwrap();
        MetricSink::start(&name, Receiver::Graphite(graphite), spooling, &trust, &Clock::Wall)
    }

    /// The receiver comes up.
    fn listen(&self) -> TcpListener {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.set_reuseport(true).unwrap();
        socket.bind(self.address).unwrap();
        socket.listen(16).unwrap()
    }
}

async fn accept(listener: &TcpListener) -> Lines<BufReader<TcpStream>> {
    BufReader::new(listener.accept().await.unwrap().0).lines()
}

/// The labels of the next lines.
async fn labels(lines: &mut Lines<BufReader<TcpStream>>, count: usize) -> Vec<String> {
    let mut labels = Vec::new();
    for _ in 0..count {
        let line = lines.next_line().await.unwrap().unwrap();
        labels.push(line.split(' ').next().unwrap().rsplit('.').next().unwrap().to_owned());
    }
    labels
}

async fn until(sink: &MetricSink, what: impl Fn(&SinkStats) -> bool) -> SinkStats {
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        let stats = sink.stats();
        if what(&stats) {
            return stats;
        }
        assert!(Instant::now() < end, "waited in vain: {stats:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn points(from: u32, until: u32) -> Vec<Point> {
    (from..until).map(|n| point(&n.to_string(), 1.0, None)).collect()
}

fn numbers(from: u32, until: u32) -> Vec<String> {
    (from..until).map(|n| n.to_string()).collect()
}

#[actix_rt::test]
async fn points_are_sent_over_one_connection() {
    let setup = Setup::new();
    let listener = setup.listen();
    let sink = setup.start();
    assert!(sink.offer(points(0, 3)));
    let mut lines = accept(&listener).await;
    assert_eq!(labels(&mut lines, 3).await, numbers(0, 3));
    assert!(sink.offer(Vec::new()) && sink.offer(points(3, 700)));
    assert_eq!(labels(&mut lines, 697).await, numbers(3, 700));
    let stats = until(&sink, |stats| stats.sent == 700).await;
    assert_eq!(stats, SinkStats { sent: 700, ..SinkStats::default() });
    assert!(sink.offer(points(700, 702)));
    sink.close().await;
    assert_eq!(labels(&mut lines, 2).await, numbers(700, 702), "closed, it sends what waits");
}

#[actix_rt::test]
async fn while_the_receiver_is_away_points_are_kept_in_their_order_also_over_a_restart() {
    let setup = Setup::new();
    let sink = setup.start();
    sink.offer(points(0, 100));
    let stats = until(&sink, |stats| stats.spooled == 100).await;
    assert!(stats.away_since.is_some() && stats.sent == 0, "{stats:?}");
    assert!(stats.last_error.unwrap().message.contains("127.0.0.1 port"));
    sink.offer(points(100, 150));
    until(&sink, |stats| stats.spooled == 150 && stats.queue == 0).await;
    sink.offer(points(150, 160));
    sink.close().await;

    let sink = setup.start();
    until(&sink, |stats| stats.spooled == 160).await;
    sink.offer(points(160, 170));
    let listener = setup.listen();
    let mut lines = accept(&listener).await;
    assert_eq!(labels(&mut lines, 170).await, numbers(0, 170));
    let stats = until(&sink, |stats| stats.sent == 170).await;
    until(&sink, |stats| stats.spooled == 0 && stats.spooled_bytes == 0 && stats.away_since.is_none()).await;
    assert_eq!(stats.dropped, 0);
    sink.close().await;
}

#[actix_rt::test]
async fn who_hands_in_never_waits_and_what_has_no_room_is_counted() {
    let setup = Setup::new();
    let sink = setup.start();
    // The sink's own task does not run meanwhile.
    let most = u32::try_from(QUEUE).unwrap();
    assert!(sink.offer(points(0, most - 1)));
    assert!(!sink.offer(points(0, 2)), "all of a Result or nothing");
    assert!(sink.offer(points(0, 1)));
    let stats = sink.stats();
    assert_eq!((stats.queue, stats.dropped), (u64::from(most), 2));
    // What the spool has no room for is dropped as well, the oldest first.
    let stats =
        until(&sink, |stats| stats.queue == 0 && stats.spooled > 0 && stats.spooled + stats.dropped > 20_000).await;
    assert!(stats.spooled_bytes <= 1 << 20 && stats.dropped > 2, "{stats:?}");
    sink.close().await;
}

#[actix_rt::test]
async fn without_a_disk_points_still_reach_a_receiver_that_is_there() {
    let setup = Setup::new();
    std::fs::write(setup.dir.path().join("spool"), "").unwrap();
    let sink = setup.start();
    sink.offer(points(0, 5));
    let stats = until(&sink, |stats| stats.dropped == 5).await;
    assert_eq!(stats.spooled, 0);
    let listener = setup.listen();
    sink.offer(points(5, 6));
    let lines = async { labels(&mut accept(&listener).await, 1).await };
    tokio::select! {
        sent = lines => assert!(sent == numbers(5, 6), "{sent:?}"),
        // Handed in during a pause, they are lost: the next ones are not.
        () = async { loop { sleep(Duration::from_secs(3)).await; sink.offer(points(5, 6)); } } => {}
    }
    sink.close().await;
}
