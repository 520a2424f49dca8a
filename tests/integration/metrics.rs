//! `GET /metrics`, read as strictly as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::support::http::request;
use crate::support::service::{Service, until};
use crate::support::sshd::Sshd;

/// The value of each series, by its name with its labels.
type Series = BTreeMap<String, f64>;

/// Reads the text format 0.0.4; what Prometheus would refuse or a linter of names would complain of is a failure.
#[track_caller]
fn parse(text: &str) -> Series {
    assert!(text.ends_with('\n'), "the last line has no end");
    let (mut series, mut families): (Series, BTreeMap<&str, &str>) = Default::default();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let (name, help) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')).expect(line);
        assert!(help.ends_with('.'), "{line}");
        let (typed, kind) =
            lines.next().and_then(|line| line.strip_prefix("# TYPE ")).and_then(|rest| rest.split_once(' ')).unwrap();
        assert_eq!(name, typed, "HELP and TYPE are of different names");
        let snake = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(name.starts_with("alf_") && snake(name), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        for unit in ["_ms", "_milliseconds", "_minutes", "_kib", "_megabytes", "_percent"] {
            assert!(!name.contains(unit), "{name} has no base unit");
        }
        assert!(kind != "histogram" || name.ends_with("_seconds"), "{name}");
        assert!(families.insert(name, kind).is_none(), "{name} stands there twice");
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (whole, value) = line.rsplit_once(' ').expect(line);
            let (sample, labels) = match whole.split_once('{') {
                Some((sample, labels)) => (sample, labels.strip_suffix('}').expect(line)),
                None => (whole, ""),
            };
            let suffix = sample.strip_prefix(name).expect(line);
            let known: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(known.contains(&suffix), "{line} is not of {name}");
            for label in labels.split("\",").filter(|label| !label.is_empty()) {
                let (label, _) = label.split_once("=\"").expect(line);
                assert!(snake(label) && label != "le" || suffix == "_bucket", "{line}");
            }
            let value: f64 = value.parse().expect(line);
            assert!(value.is_finite() && value >= 0.0, "{line}");
            assert!(series.insert(whole.to_owned(), value).is_none(), "{whole} stands there twice");
        }
        if kind == "histogram" {
            check_histogram(name, text, &series);
        }
    }
    assert!(families.len() > 15, "{families:?}");
    series
}

/// Its buckets go up, and the last one holds all.
#[track_caller]
fn check_histogram(name: &str, text: &str, series: &Series) {
    let buckets: Vec<(f64, f64)> = text
        .lines()
        .filter_map(|line| line.strip_prefix(&format!("{name}_bucket{{le=\""))?.split_once("\"} "))
        .map(|(bound, count)| (bound.parse().unwrap(), count.parse().unwrap()))
        .collect();
    assert!(buckets.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1), "{name}: {buckets:?}");
    assert_eq!(buckets.last(), Some(&(f64::INFINITY, series[&format!("{name}_count")])), "{name}");
    assert!(series.contains_key(&format!("{name}_sum")), "{name}");
}

#[track_caller]
fn read(service: &Service) -> Series {
    // What Prometheus says it accepts; whatever a client says, this is one format.
    let accept = ("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5");
    let answer = service.call("GET", "/metrics", &[accept], None).expect(200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    parse(&answer.text())
}

#[test]
fn figures_move_with_what_happens() {
    let (sshd, service) = (Sshd::start(), Service::start());
    let before = read(&service);
    assert_eq!(before["alf_ssh_connections"], 0.0);
    assert_eq!(before["alf_store_up"], 1.0);
    service.add_host(&sshd);
    service
        .send("POST", "hosts", &json!({"name": "gone", "address": "127.0.0.1", "port": 1, "credential": "key-web1"}))
        .expect(201);
    service.add_task("good", "web1", json!({"command": "sleep 0.3"}), None);
    service.add_task("bad", "web1", json!({"command": "exit 3"}), None);
    let id = service.run("good")["id"].as_str().unwrap().to_owned();
    service.run("bad");
    service.run("bad");
    let skipped = json!({"command": "true", "start_within": "1s"});
    service.send("POST", "hosts/gone/exec?wait=30s", &skipped).expect(200);
    request(&service.address, "GET", "/api/v1/hosts", &[("X-Api-Key", "alf_wrong")], None).expect(401);
    service.send("POST", "pause", &json!({})).expect(200);

    // A request is counted once it is answered, which its client knows first.
    let after = until("the bad key is counted", || {
        Some(read(&service)).filter(|series| series["alf_http_requests_total{method=\"GET\",status=\"4xx\"}"] > 0.0)
    });
    for (series, more) in [
        ("alf_definitions{noun=\"hosts\"}", 2.0),
        ("alf_definitions{noun=\"tasks\"}", 2.0),
        ("alf_hosts{state=\"UP\"}", 1.0),
        ("alf_hosts{state=\"DOWN\"}", 1.0),
        ("alf_pairs{state=\"OK\"}", 1.0),
        ("alf_pairs{state=\"CRITICAL\"}", 1.0),
        ("alf_paused", 1.0),
        ("alf_runs{state=\"running\"}", 0.0),
        ("alf_runs_started_total{trigger=\"manual\"}", 3.0),
        ("alf_results_total{outcome=\"OK\",reason=\"\"}", 1.0),
        ("alf_results_total{outcome=\"PROBLEM\",reason=\"exit_code\"}", 2.0),
        ("alf_results_total{outcome=\"PROBLEM\",reason=\"unreachable\"}", 1.0),
        ("alf_results_total{outcome=\"SKIPPED\",reason=\"missed\"}", 0.0),
        ("alf_results_lost_total", 0.0),
        ("alf_run_lateness_seconds_count", 3.0),
        ("alf_run_duration_seconds_count", 3.0),
        ("alf_store_results", 4.0),
        ("alf_ssh_connections", 1.0),
        ("alf_ssh_logins_total", 1.0),
        ("alf_http_bad_keys_total", 1.0),
        ("alf_actor_restarts_total{actor=\"host\"}", 0.0),
    ] {
        assert_eq!(after[series] - before[series], more, "{series}");
    }
    for moved in [
        "alf_ssh_connect_failures_total{reason=\"unreachable\"}",
        "alf_store_commits_total",
        "alf_http_requests_total{method=\"POST\",status=\"2xx\"}",
        "alf_http_request_duration_seconds_count",
    ] {
        assert!(after[moved] > before[moved], "{moved}");
    }
    let took = after["alf_run_duration_seconds_sum"];
    assert!((0.3..60.0).contains(&took), "{took}");
    assert!(after["alf_http_connections"] >= 1.0);
    let started = chrono::DateTime::parse_from_rfc3339(service.get("")["started_at"].as_str().unwrap()).unwrap();
    assert_eq!(after["alf_start_time_seconds"], started.timestamp_millis() as f64 / 1000.0);

    let names: BTreeSet<&String> = after.keys().collect();
    for grows in [id.as_str(), "web1", "good"] {
        assert!(!names.iter().any(|series| series.contains(grows)), "{grows} is in a label: {names:?}");
    }
    let stats = service.get("stats");
    assert_eq!(stats["connections"]["open"], 1, "{stats}");
}

#[test]
fn a_key_for_all_hosts_reads_them_or_nobody_needs_one() {
    let service = Service::start();
    let key = |document| service.send("POST", "keys", &document).expect(201).json()["key"].as_str().unwrap().to_owned();
    let viewer = key(json!({"name": "viewer", "role": "viewer"}));
    let of_web = key(json!({"name": "web", "role": "admin", "selector": "role=web"}));
    let ask = |service: &Service, key: &str| {
        let headers = [("X-Api-Key", key)];
        let headers = if key.is_empty() { &[] } else { &headers[..] };
        request(&service.address, "GET", "/metrics", headers, None)
    };
    ask(&service, "").expect(401);
    ask(&service, &viewer).expect(200);
    ask(&service, &of_web).expect(403);
    drop(service);

    let open = Service::start_with(&[("ALF_METRICS__PUBLIC", "true")]);
    parse(&ask(&open, "").expect(200).text());
    parse(&ask(&open, &open.key).expect(200).text());
    request(&open.address, "GET", "/api/v1/stats", &[], None).expect(401);
}
