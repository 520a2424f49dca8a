//! What the service bears: crowds, slow clients, large requests; and that nobody else notices.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

use crate::support::http::{Answer, answers, request, send_raw};
use crate::support::service::{Service, until};
use crate::support::sshd::Sshd;

const XML: (&str, &str) = ("Accept", "application/xml");

/// What every answer has, whoever gives it.
#[track_caller]
fn is_safe(answer: &Answer) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{answer:?}");
    }
    assert!(answer.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'")));
    assert!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()), "{answer:?}");
    assert!(answer.header("date").is_some(), "{answer:?}");
    for name in ["server", "access-control-allow-origin", "strict-transport-security"] {
        assert_eq!(answer.header(name), None, "{answer:?}");
    }
    if answer.status >= 400 {
        let problem = answer.json();
        assert_eq!(problem["status"], answer.status, "{problem}");
        assert_eq!(problem["instance"], answer.header("x-request-id").unwrap(), "{problem}");
    }
}

/// Sockets that the service has open.
fn sockets(service: &Service) -> usize {
    let files = std::fs::read_dir(format!("/proc/{}/fd", service.pid())).unwrap();
    let links = files.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
    links.filter(|link| link.to_string_lossy().starts_with("socket:")).count()
}

/// Whether the service still holds its end of a connection (proc_pid_net_tcp(5)).
fn is_held(stream: &TcpStream) -> bool {
    let shown = |address: std::net::SocketAddr| format!("0100007F:{:04X}", address.port());
    let its = [shown(stream.peer_addr().unwrap()), shown(stream.local_addr().unwrap()), "01".to_owned()];
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|line| line.split_whitespace().skip(1).take(3).eq(its.iter()))
}

fn connect(service: &Service) -> TcpStream {
    let stream = TcpStream::connect(&service.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

#[test]
fn every_refusal_is_a_problem_with_an_id_also_where_no_request_came_about() {
    let service = Service::start_with(&[("ALF_HTTP__HEADER_TIMEOUT", "1s")]);
    let long = "a".repeat(9 * 1024);
    let fields = |bytes: usize| format!("X-Long: {}\r\n", "a".repeat(bytes));
    let get = |target: &str, more: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{more}\r\n");
    for (sent, status) in [
        (get("/health/live", ""), 200),
        (get("/", ""), 404),
        (get("/api/v1/hosts", ""), 401),
        (get(&format!("/api/v1/hosts?q={long}"), ""), 414),
        (get("/api/v1/hosts", &fields(40 * 1024)), 431),
        (get("/api/v1/hosts", &fields(400 * 1024)), 431),
        (get("/api/v1/hosts", "no header\r\n"), 400),
        (get("/api/v1/hosts", "Content-Length: x\r\n"), 400),
        (get("/a b", ""), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400),
        ("\u{16}\u{3}\u{1}\u{2}".to_owned(), 400),
        ("GET / HT".to_owned(), 408),
        (String::new(), 408),
    ] {
        let answer = send_raw(&service.address, sent.as_bytes());
        let begin: String = sent.chars().take(60).collect();
        assert_eq!(answer.status, status, "{begin}: {}", answer.text());
        is_safe(&answer);
    }
    // The same behind requests that were answered, whether it comes with them or after their answers.
    let good = "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";
    for (bad, status) in [("no request\r\n\r\n".to_owned(), 400), (get("/", &fields(400 * 1024)), 431)] {
        for together in [true, false] {
            let mut stream = connect(&service);
            let mut first = vec![0; 12];
            if together {
                stream.write_all(format!("{good}{good}{bad}").as_bytes()).unwrap();
            } else {
                stream.write_all(format!("{good}{good}").as_bytes()).unwrap();
                stream.read_exact(&mut first).unwrap();
                let _ = stream.write_all(bad.as_bytes());
            }
            let answers = answers(stream, if together { Vec::new() } else { first });
            let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
            assert_eq!(statuses, [200, 200, status]);
            answers.iter().for_each(is_safe);
        }
    }
    let key = ("X-Api-Key", service.key.as_str());
    for (method, path, status) in [
        ("OPTIONS", "/api/v1/hosts", 204),
        ("PUT", "/api/v1/status", 405),
        ("GET", "/api/v1/hosts/none", 404),
        ("TRACE", "/api/v1/hosts", 405),
    ] {
        is_safe(&request(&service.address, method, path, &[key], None).expect(status));
    }
    let foreign = ("Origin", "https://evil.example.org");
    is_safe(&request(&service.address, "OPTIONS", "/api/v1/hosts", &[key, foreign], None).expect(204));
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    is_safe(&service.call("POST", "/api/v1/hosts", &[], Some(deep.as_bytes())).expect(400));
    is_safe(&service.call("POST", "/api/v1/hosts", &[], Some(&vec![b' '; 2 << 20])).expect(413));
}

#[test]
fn a_crowd_of_idle_and_slow_clients_is_not_noticed_by_others() {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let service = Service::start_with(&[("ALF_HTTP__HEADER_TIMEOUT", "5s"), ("ALF_HTTP__KEEP_ALIVE", "5s")]);
    // Some have been served once, and some never asked.
    let idle: Vec<TcpStream> = (0..1000)
        .map(|number| {
            let mut stream = connect(&service);
            if number % 2 == 0 {
                stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
                assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            }
            stream
        })
        .collect();
    let slow: Vec<TcpStream> = (0..200)
        .map(|number| {
            let mut stream = connect(&service);
            if number % 2 == 0 {
                stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
                assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            }
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    let mut times = Vec::new();
    let mut cut = 0;
    until("all slow ones are cut off", || {
        cut = slow.iter().filter(|stream| (&**stream).write_all(b"G").is_err()).count();
        let started = Instant::now();
        service.call("GET", "/api/v1/hosts", &[], None).expect(200);
        times.push(started.elapsed());
        (cut == slow.len()).then_some(())
    });
    times.sort();
    assert!(times[times.len() / 2] < Duration::from_millis(500), "{times:?}");
    until("nor are idle ones kept for ever", || (sockets(&service) < 100).then_some(()));
    drop(idle);
}

#[test]
fn who_does_not_read_its_answer_is_cut_off() {
    let sshd = Sshd::start();
    let service = Service::start_with(&[("ALF_HTTP__WRITE_TIMEOUT", "1s")]);
    service.add_host(&sshd);
    let command = "head -c 40000000 /dev/zero";
    service.add_task("large", "web1", json!({"command": command, "output_limit": 64 << 20}), None);
    let run = service.send("POST", "hosts/web1/tasks/large/run", &json!({})).expect(202).json()["run"].clone();
    let path = format!("/api/v1/results/{}/stdout", run.as_str().unwrap());
    until("the result", || Some(service.call("HEAD", &path, &[], None)).filter(|answer| answer.status == 200));

    let mut lazy = connect(&service);
    let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Api-Key: {}\r\n\r\n", service.key);
    lazy.write_all(head.as_bytes()).unwrap();
    let mut begin = [0; 12];
    lazy.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    until("it is cut off", || (!is_held(&lazy)).then_some(()));
    let mut rest = Vec::new();
    let _ = lazy.read_to_end(&mut rest);
    assert!(rest.len() < 40_000_000, "it got everything");
    // Who reads gets it, however long it is.
    assert_eq!(service.call("GET", &path, &[], None).expect(200).body.len(), 40_000_000);
}

#[test]
fn more_requests_than_may_be_in_flight_are_told_to_come_again() {
    let sshd = Sshd::start();
    let service = Service::start_with(&[("ALF_HTTP__REQUESTS_IN_FLIGHT", "1"), ("ALF_HTTP__EVENT_STREAMS", "1")]);
    service.add_host(&sshd);
    let go = sshd.dir().join("go");
    let command = format!("until [ -e {} ]; do sleep 0.1; done", go.display());
    service.add_task("wait", "web1", json!({"command": command}), None);
    std::thread::scope(|scope| {
        // Whoever asks at the same moment may have the one place first.
        let waiting = scope.spawn(|| {
            until("it has the place", || {
                let answer = service.send("POST", "hosts/web1/tasks/wait/run?wait=60s", &json!({}));
                Some(answer).filter(|answer| answer.status != 503)
            })
        });
        let busy = until("there is no place", || {
            Some(service.call("GET", "/api/v1/hosts", &[], None)).filter(|answer| answer.status != 200)
        });
        let busy = busy.expect(503);
        assert!(busy.header("retry-after").is_some_and(|wait| wait.parse::<u32>().is_ok()), "{busy:?}");
        is_safe(&busy);
        let xml = service.call("GET", "/api/v1/hosts", &[XML], None).expect(503);
        assert!(xml.text().contains("<status>503</status>") && xml.header("retry-after").is_some(), "{}", xml.text());
        request(&service.address, "GET", "/health/live", &[], None).expect(200);
        request(&service.address, "GET", "/api/v1/hosts", &[("X-Api-Key", "alf_bad")], None).expect(401);
        std::fs::write(&go, "").unwrap();
        waiting.join().unwrap().expect(200);
    });
    service.call("GET", "/api/v1/hosts", &[], None).expect(200);

    std::fs::remove_file(&go).unwrap();
    let run = service.send("POST", "hosts/web1/tasks/wait/run", &json!({})).expect(202).json()["run"].clone();
    let path = format!("/api/v1/runs/{}/output", run.as_str().unwrap());
    let mut reader = connect(&service);
    let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Api-Key: {}\r\n\r\n", service.key);
    reader.write_all(head.as_bytes()).unwrap();
    let mut begin = [0; 12];
    reader.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    let full = service.call("GET", &path, &[], None).expect(503);
    assert!(full.json()["detail"].as_str().unwrap().contains("http.event_streams"), "{}", full.text());
    // A stream takes no place from requests, and its own is free again when it ends.
    service.call("GET", "/api/v1/hosts", &[], None).expect(200);
    drop(reader);
    std::fs::write(&go, "").unwrap();
    until("its place is free", || Some(service.call("GET", &path, &[], None)).filter(|answer| answer.status != 503));
}

#[test]
fn one_address_has_its_share_of_connections() {
    let service = Service::start_with(&[("ALF_HTTP__CONNECTIONS_PER_ADDRESS", "3")]);
    let mut held: Vec<TcpStream> = (0..3).map(|_| connect(&service)).collect();
    for stream in &mut held {
        stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
    }
    let mut fourth = connect(&service);
    let mut told = String::new();
    let _ = fourth.read_to_string(&mut told);
    assert!(told.starts_with("HTTP/1.1 503 ") && told.contains("retry-after: "), "{told}");
    assert!(service.log().contains("http.connections_per_address"), "{}", service.log());
    held.pop();
    until("there is room again", || {
        let mut stream = connect(&service);
        stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n").ok()?;
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).ok()?;
        (&begin == b"HTTP/1.1 200").then_some(())
    });
}

#[test]
fn the_access_log_has_a_line_for_each_request_and_no_query() {
    let dir = tempfile::tempdir().unwrap();
    let (config, log) = (dir.path().join("logging.yaml"), dir.path().join("access.log"));
    let output =
        format!("{{kind: file, path: {}, format: json, level: off, modules: {{alf::access: info}}}}", log.display());
    std::fs::write(&config, format!("outputs:\n  - kind: stderr\n  - {output}\n")).unwrap();
    let service = Service::start_with(&[("ALF_LOGGING__FILE", config.to_str().unwrap())]);
    let answer = service.call("GET", "/api/v1/hosts?q=canary-7b", &[("X-Request-Id", "mine")], None).expect(200);
    request(&service.address, "GET", "/api/v1/hosts", &[("X-Api-Key", "canary-8c")], None).expect(401);
    send_raw(&service.address, b"canary-9d\r\n\r\n");
    let lines = until("three lines", || {
        let text = std::fs::read_to_string(&log).ok()?;
        (text.lines().count() == 3 && text.ends_with('\n')).then_some(text)
    });
    assert!(!lines.contains("canary") && !lines.contains(&service.key), "{lines}");
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lines: Vec<_> = lines.iter().map(|line| &line["fields"]).collect();
    let line = lines[0];
    assert_eq!(line["request"], "mine", "{line}");
    for (name, value) in [("method", json!("GET")), ("path", json!("/api/v1/hosts")), ("status", json!(200))] {
        assert_eq!(line[name], value, "{line}");
    }
    assert_eq!((&line["key"], &line["peer"]), (&json!("admin"), &json!("127.0.0.1")), "{line}");
    assert_eq!(line["bytes"], answer.body.len(), "{line}");
    assert!(line["duration_ms"].is_u64(), "{line}");
    assert_eq!((&lines[1]["status"], &lines[1]["key"]), (&json!(401), &json!("")));
    assert_eq!(lines[2]["status"], 400);
    assert!(!service.log().contains("served"), "it is not on stderr unless asked for: {}", service.log());
}

#[test]
fn nobody_holds_up_the_end_and_who_is_being_served_is_served() {
    let sshd = Sshd::start();
    let mut service = Service::start_with(&[("ALF_SHUTDOWN__GRACE", "20s")]);
    service.add_host(&sshd);
    let mark = sshd.dir().join("mark");
    let command = format!("touch {}; sleep 2; echo done", mark.display());
    service.add_task("short", "web1", json!({"command": command}), None);
    let idle: Vec<TcpStream> = (0..10).map(|_| connect(&service)).collect();
    let (address, key) = (service.address.clone(), service.key.clone());
    let waiting = std::thread::spawn(move || {
        let path = "/api/v1/hosts/web1/tasks/short/run?wait=60s";
        request(&address, "POST", path, &[("X-Api-Key", &key)], Some(b"{}"))
    });
    until("it runs", || mark.exists().then_some(()));
    let runs = service.get("runs");
    let path = format!("/api/v1/runs/{}/output", runs["items"][0]["id"].as_str().unwrap());
    let mut reading = connect(&service);
    let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Api-Key: {}\r\n\r\n", service.key);
    reading.write_all(head.as_bytes()).unwrap();
    let mut begin = [0; 12];
    reading.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    let started = Instant::now();
    assert_eq!(service.end("TERM"), Some(0), "{}", service.log());
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert_eq!(waiting.join().unwrap().expect(200).json()["stdout"], "done\n");
    let mut rest = String::new();
    reading.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("event: end"), "{rest}");
    drop(idle);
}
