//! What tasks measure, sent to the real receivers and read back from them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use alf::clock::Clock;
use alf::model::action::{Ganglia, Graphite, GraphiteProtocol, Influx as InfluxAction, InfluxDatabase, Spoof};
use alf::model::{SecretText, Span, Timestamp};
use alf::sinks::{MetricSink, Point, Receiver, SinkStats, Spooling, Trust};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::support::receivers::{Carbon, Gmond, Influx};

/// How long a receiver may take to have what it was sent.
const LONG: Duration = Duration::from_secs(120);

fn point(label: &str, value: f64, at: i64) -> Point {
    Point {
        host: "web1.example.org".parse().unwrap(),
        address: "192.0.2.7".to_owned(),
        task: "check_load".parse().unwrap(),
        label: label.to_owned(),
        value,
        unit: None,
        at: Timestamp::from_millis(at).unwrap(),
    }
}

/// The database `alf` of an InfluxDB 1, written by the user `alf`.
fn influx_1(url: String, password: &str) -> Receiver {
    let database = InfluxDatabase::Database { name: "alf".to_owned(), user: Some("alf".to_owned()), password: None };
    let timeout = Span::seconds(60);
    let influx = InfluxAction { url, database, measurement: None, tags: BTreeMap::new(), timeout };
    Receiver::Influx(influx, Some(SecretText::new(password.to_owned())))
}

fn start(receiver: Receiver, spool: &TempDir) -> MetricSink {
    let spooling = Spooling { dir: spool.path().join("graph"), limit: 1 << 20 };
    MetricSink::start(&"graph".parse().unwrap(), receiver, spooling, &Trust::load(None).unwrap(), &Clock::Wall)
}

/// Looks until there is something to see.
async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LONG;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn until_stats(sink: &MetricSink, what: &str, is: impl Fn(&SinkStats) -> bool) -> SinkStats {
    until(what, || Some(sink.stats()).filter(&is)).await
}

/// Sends some values to a carbon, some while it is away, and reads them all back from its whisper file.
async fn carbon_keeps_what_it_is_sent(protocol: GraphiteProtocol) {
    let Some(mut carbon) = Carbon::start() else { return };
    let address = match protocol {
        GraphiteProtocol::Plaintext => carbon.plaintext(),
        GraphiteProtocol::Pickle => carbon.pickle(),
    };
    let spool = tempfile::tempdir().unwrap();
    let address = address.parse().unwrap();
    let sink = start(Receiver::Graphite(Graphite { address, prefix: "alf.test".to_owned(), protocol }), &spool);
    let path = "alf.test.web1_example_org.check_load.load1";
    // Whole seconds, a while ago: a whisper file has one value a second.
    let first = Clock::Wall.now().timestamp() - 600;
    let at = |n: i64| (first + n) * 1000 + 250;
    sink.offer(vec![point("load1", 0.25, at(0)), point("/ .x", -1e-7, at(0))]);
    sink.offer(vec![point("load1", 12_345_678_901.5, at(1))]);
    until("the first values", || (carbon.values(path).len() == 2).then_some(())).await;

    carbon.stop();
    until("an outage that is seen", || {
        sink.offer(vec![point("other", 1.0, at(2))]);
        sink.stats().away_since
    })
    .await;
    for n in 3..6 {
        sink.offer(vec![point("load1", 3.0, at(n))]);
    }
    let stats = until_stats(&sink, "values on disk", |stats| stats.queue == 0 && stats.spooled >= 3).await;
    assert!(stats.last_error.unwrap().message.starts_with("carbon at 127.0.0.1 port"));
    carbon.restart();
    let values = until("all values", || Some(carbon.values(path)).filter(|values| values.len() == 5)).await;
    let expected = [(0, 0.25), (1, 12_345_678_901.5), (3, 3.0), (4, 3.0), (5, 3.0)];
    assert_eq!(values, expected.map(|(n, value)| (first + n, value)));
    let odd = carbon.values("alf.test.web1_example_org.check_load.___x");
    assert_eq!(odd, [(first, -1e-7)]);
    let stats = until_stats(&sink, "the end of the outage", |stats| stats.away_since.is_none()).await;
    assert_eq!((stats.spooled, stats.dropped, stats.failed), (0, 0, 0), "{stats:?}");
    sink.close().await;
}

#[actix_rt::test]
async fn carbon_keeps_what_it_is_sent_as_lines() {
    carbon_keeps_what_it_is_sent(GraphiteProtocol::Plaintext).await;
}

#[actix_rt::test]
async fn carbon_keeps_what_it_is_sent_pickled() {
    carbon_keeps_what_it_is_sent(GraphiteProtocol::Pickle).await;
}

#[actix_rt::test]
async fn gmond_shows_what_it_is_sent() {
    let Some(gmond) = Gmond::start() else { return };
    let spool = tempfile::tempdir().unwrap();
    let now = Clock::Wall.now().timestamp_millis();
    let with_unit = |label: &str, value, unit: &str| Point { unit: Some(unit.to_owned()), ..point(label, value, now) };
    let measured = vec![with_unit("time", 0.5, "s"), with_unit("errors", 12_345_678_901.0, "c"), point("/", -3.0, now)];
    let spoofed =
        start(Receiver::Ganglia(Ganglia { address: gmond.address().parse().unwrap(), spoof: Spoof::Yes }), &spool);
    let element = |xml: &str, begin: &str| {
        xml.lines().find(|line| line.trim_start().starts_with(begin)).map(|line| line.trim().to_owned())
    };
    let xml = until("three metrics", || {
        // A datagram may be lost.
        spoofed.offer(measured.clone());
        Some(gmond.xml()).filter(|xml| xml.matches("<METRIC ").count() == 3)
    })
    .await;
    let host = element(&xml, "<HOST ").unwrap();
    assert!(host.contains("NAME=\"web1.example.org\" IP=\"192.0.2.7\""), "{host}");
    for (name, attributes) in [
        ("check_load.time", ["VAL=\"0.5\"", "UNITS=\"s\"", "SLOPE=\"both\"", "TYPE=\"double\""]),
        ("check_load.errors", ["VAL=\"12345678901\"", "UNITS=\"c\"", "SLOPE=\"positive\"", "TMAX=\"60\""]),
        ("check_load._", ["VAL=\"-3\"", "UNITS=\"\"", "SLOPE=\"both\"", "DMAX=\"0\""]),
    ] {
        let metric = element(&xml, &format!("<METRIC NAME=\"{name}\"")).unwrap_or_else(|| panic!("no {name} in {xml}"));
        for attribute in attributes {
            assert!(metric.contains(attribute), "{attribute} in {metric}");
        }
    }
    assert!(xml.contains("<EXTRA_ELEMENT NAME=\"GROUP\" VAL=\"check_load\"/>"), "{xml}");
    assert!(xml.contains("<EXTRA_ELEMENT NAME=\"TITLE\" VAL=\"/\"/>"), "{xml}");
    spoofed.close().await;

    let own = start(Receiver::Ganglia(Ganglia { address: gmond.address().parse().unwrap(), spoof: Spoof::No }), &spool);
    until("a metric of the machine that sends", || {
        own.offer(vec![point("load1", 1.5, now)]);
        element(&gmond.xml(), "<METRIC NAME=\"web1_example_org.check_load.load1\" VAL=\"1.5\"")
    })
    .await;
    own.close().await;
}

#[actix_rt::test]
async fn influxdb_keeps_what_it_is_sent() {
    let Some(influx) = Influx::start() else { return };
    let spool = tempfile::tempdir().unwrap();
    let wrong = start(influx_1(influx.url(), "wrong"), &spool);
    let at = 1_795_564_800_500;
    let special = "a b,c=d\\e \"f\" é C:\\";
    wrong.offer(vec![point("load1", 0.5, at), Point { unit: Some("%".to_owned()), ..point(special, 1.0, at + 1) }]);
    let stats = until_stats(&wrong, "a refused login", |stats| stats.away_since.is_some() && stats.spooled == 2).await;
    assert!(stats.last_error.unwrap().message.contains("401"), "the password may be put right, so nothing is lost");
    wrong.close().await;

    let sink = start(influx_1(influx.url(), "pass w0rd"), &spool);
    sink.offer(vec![point("load1", -7e300, at + 2)]);
    let stats = until_stats(&sink, "three values that are sent", |stats| stats.sent == 3).await;
    assert_eq!((stats.failed, stats.dropped), (0, 0), "{stats:?}");
    until_stats(&sink, "an empty spool", |stats| stats.spooled == 0).await;
    let series = influx.series("SELECT * FROM check_load ORDER BY time");
    assert_eq!(series["columns"], json!(["time", "host", "label", "unit", "value"]));
    let ns = |n: i64| (at + n) * 1_000_000;
    let kept = special.trim_end_matches('\\');
    assert_eq!(
        series["values"],
        json!([
            [ns(0), "web1.example.org", "load1", null, 0.5],
            [ns(1), "web1.example.org", kept, "%", 1],
            [ns(2), "web1.example.org", "load1", null, -7e300],
        ])
    );
    sink.close().await;
}

#[actix_rt::test]
async fn what_influxdb_will_never_take_is_given_up_and_counted() {
    let Some(influx) = Influx::start() else { return };
    let spool = tempfile::tempdir().unwrap();
    let sink = start(influx_1(influx.url(), "pass w0rd"), &spool);
    // Later than an InfluxDB's last instant.
    sink.offer(vec![point("load1", 1.0, 9_300_000_000_000)]);
    let stats = until_stats(&sink, "a refusal", |stats| stats.failed == 1).await;
    assert!(stats.last_error.unwrap().message.contains("400") && stats.spooled == 0);
    sink.offer(vec![point("load1", 2.0, 1_795_564_800_000)]);
    until_stats(&sink, "the next value", |stats| stats.sent == 1).await;
    sink.close().await;
}

#[actix_rt::test]
async fn a_receiver_that_hangs_keeps_nobody_waiting() {
    let hangs = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let spool = tempfile::tempdir().unwrap();
    let url = format!("http://{}", hangs.local_addr().unwrap());
    let sink = start(influx_1(url, ""), &spool);
    let begun = Instant::now();
    for n in 0..5000 {
        sink.offer(vec![point("load1", 1.0, n)]);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    until_stats(&sink, "values under way", |stats| stats.queue < 5000).await;
    let closing = Instant::now();
    sink.close().await;
    assert!(closing.elapsed() < Duration::from_secs(30), "{:?}", closing.elapsed());
    assert_eq!(lines(spool.path()), 5000, "all of them are on disk");
}

/// How many lines the files below a folder have.
fn lines(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder.join("graph")).unwrap();
    files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap().lines().count()).sum()
}
