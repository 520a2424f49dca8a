//! Documents made to exhaust the service, sent to the real one: refused in time and in bounded memory, and it goes on.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::http::{Answer, send_raw};
use crate::support::service::Service;

/// What a refusal may take on a busy machine. A reader whose time grows with the square of a bomb takes minutes.
const IN_TIME: Duration = Duration::from_secs(50);
/// Memory above that of the service at rest, in KiB, while a document of 1 MiB is refused.
const OF_A_DOCUMENT: u64 = 160 * 1024;
/// The same for one of 64 MiB: its bytes, and the 2,000,000 values that a document may hold.
const OF_A_BUNDLE: u64 = 640 * 1024;

const JSON: &str = "application/json";
const XML: &str = "application/xml";

/// A figure of proc_pid_status(5) of the service, in KiB.
fn memory_kib(service: &Service, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Sends a bomb: it must be refused with one of these, in time, and with so much memory at most.
#[track_caller]
fn refused(service: &Service, path: &str, kind: &str, body: &[u8], allowed: &[u16], most: u64) -> Answer {
    // The peak from here on (proc(5), clear_refs).
    std::fs::write(format!("/proc/{}/clear_refs", service.pid()), "5").unwrap();
    let (before, begun) = (memory_kib(service, "VmRSS"), Instant::now());
    let answer = service.call("POST", path, &[("Content-Type", kind)], Some(body));
    let shown = String::from_utf8_lossy(&body[..body.len().min(60)]);
    let took = begun.elapsed();
    assert!(allowed.contains(&answer.status), "{path} {shown}: {} {}", answer.status, answer.text());
    assert!(took < IN_TIME, "{path} {shown}: {took:?}");
    let grown = memory_kib(service, "VmHWM").saturating_sub(before);
    assert!(grown < most, "{path} {shown}: {grown} KiB");
    assert!(answer.body.len() < 64 * 1024, "{path} {shown}: the answer has {} bytes", answer.body.len());
    answer
}

#[test]
fn documents_that_explode() {
    let service = Service::start();
    let entities: String =
        (1..30).map(|level| format!("<!ENTITY a{level} \"{}\">", format!("&a{};", level - 1).repeat(10))).collect();
    let inner = format!("<!DOCTYPE host [<!ENTITY a0 \"lol\">{entities}]><host><name>&a29;</name></host>");
    let outer = "<!DOCTYPE host [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><host><title>&x;</title></host>";
    let attributes: String = (0..60_000).map(|number| format!(" a{number}=\"1\"")).collect();
    let fields: String = (0..60_000).map(|number| format!(",\"f{number}\":1")).collect();
    let levels = 500_000;
    for (kind, body, allowed) in [
        (JSON, "[".repeat(levels), &[400][..]),
        (JSON, format!("{}1{}", "{\"a\":".repeat(120_000), "}".repeat(120_000)), &[400]),
        (JSON, format!("{{\"labels\":{}}}", "[".repeat(levels)), &[400]),
        (JSON, format!("[{}1]", "1,".repeat(levels)), &[413, 422]),
        (JSON, format!("{{\"name\":\"a\"{fields}}}"), &[422]),
        (JSON, format!("{{\"port\":{}}}", "9".repeat(1_000_000)), &[400, 422]),
        (JSON, format!("{{\"port\":1e{}}}", "9".repeat(1_000_000)), &[400, 422]),
        (JSON, format!("{{\"title\":\"{}\"}}", "\\u0041".repeat(170_000)), &[422]),
        (JSON, format!("{{\"title\":\"{}", "\\".repeat(1_000_000)), &[400]),
        (JSON, " ".repeat(1_000_000), &[400]),
        (XML, format!("<host>{}</host>", "<a>".repeat(300_000)), &[400]),
        (XML, format!("<host>{}{}</host>", "<a>".repeat(140_000), "</a>".repeat(140_000)), &[400]),
        (XML, inner, &[400]),
        (XML, outer.to_owned(), &[400]),
        (XML, format!("<host{attributes}><name>a</name></host>"), &[400, 422]),
        (XML, format!("<host><name{attributes}>a</name></host>"), &[400, 422]),
        (XML, format!("<host><name x=\"{}\">a</name></host>", "&lt;".repeat(200_000)), &[400, 422]),
        (XML, format!("<host><title>{}</title></host>", "&#120;".repeat(170_000)), &[422]),
        (XML, format!("<host>{}</host>", "<a/>".repeat(250_000)), &[413, 422]),
        (XML, format!("<host>{}</host>", "<!-- -->".repeat(120_000)), &[400, 422]),
        (XML, format!("<host>{}</host>", "<?a b?>".repeat(140_000)), &[400, 422]),
        (XML, format!("<host><!-- {}", "-".repeat(1_000_000)), &[400]),
        (XML, format!("<{}/>", "a".repeat(1_000_000)), &[400, 422]),
        (XML, "<".repeat(1_000_000), &[400]),
        (XML, format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?><host>{}</host>", "\0".repeat(1000)), &[400]),
    ] {
        let answer = refused(&service, "/api/v1/hosts", kind, body.as_bytes(), allowed, OF_A_DOCUMENT);
        assert!(!answer.text().contains("root:"), "a file was read: {}", answer.text());
    }
    for (path, kind, body) in [
        ("/api/v1/hosts", JSON, format!("{{\"title\":\"{}\"}}", "x".repeat(2 << 20))),
        ("/api/v1/hosts", XML, format!("<host>{}</host>", " ".repeat(2 << 20))),
    ] {
        refused(&service, path, kind, body.as_bytes(), &[413], OF_A_DOCUMENT);
    }
    assert_eq!(service.get("hosts")["total"], 0);
    service.call("GET", "/health/ready", &[], None).expect(200);
}

#[test]
fn bundles_that_explode() {
    let service = Service::start();
    let size = 60 << 20;
    for (kind, body, allowed) in [
        (JSON, format!("{{\"hosts\":[{}1]}}", "1,".repeat(size / 2)), &[413][..]),
        (JSON, "[".repeat(size), &[400]),
        (JSON, format!("{{\"hosts\":[{}{{}}]}}", "{},".repeat(size / 3)), &[413]),
        (XML, format!("<export><hosts>{}</hosts></export>", "<host/>".repeat(size / 7)), &[413]),
        (XML, format!("<export>{}", "<a>".repeat(size / 3)), &[400]),
        (XML, format!("<export><hosts>{}</hosts></export>", "&#120;".repeat(size / 6)), &[400, 422]),
    ] {
        refused(&service, "/api/v1/apply", kind, body.as_bytes(), allowed, OF_A_BUNDLE);
    }
    refused(&service, "/api/v1/apply", JSON, &vec![b' '; 65 << 20], &[413], OF_A_BUNDLE);
    service.call("GET", "/health/ready", &[], None).expect(200);
}

#[test]
fn bodies_that_announce_too_much_or_never_end() {
    let service = Service::start();
    let head = |rest: &str| {
        format!(
            "POST /api/v1/hosts HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Api-Key: {}\r\nContent-Type: {JSON}\r\n{rest}\r\n\r\n",
            service.key
        )
    };
    let begun = Instant::now();
    assert_eq!(send_raw(&service.address, head("Content-Length: 18446744073709551615").as_bytes()).status, 413);
    assert_eq!(send_raw(&service.address, head("Content-Length: 99999999999999999999999").as_bytes()).status, 400);
    assert!(begun.elapsed() < IN_TIME, "{:?}", begun.elapsed());

    // Compressed, it would be a bomb of another kind.
    let coded = [("Content-Type", JSON), ("Content-Encoding", "gzip")];
    service.call("POST", "/api/v1/hosts", &coded, Some(&[0x1f, 0x8b, 8, 0])).expect(415);

    std::fs::write(format!("/proc/{}/clear_refs", service.pid()), "5").unwrap();
    let before = memory_kib(&service, "VmRSS");
    let mut endless = TcpStream::connect(&service.address).unwrap();
    endless.write_all(head("Transfer-Encoding: chunked").as_bytes()).unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    // It is cut off: that this ends is what is asserted.
    let begun = Instant::now();
    while endless.write_all(&chunk).is_ok() {
        assert!(begun.elapsed() < IN_TIME, "somebody takes it all");
    }
    let grown = memory_kib(&service, "VmHWM").saturating_sub(before);
    assert!(grown < OF_A_DOCUMENT, "{grown} KiB");
    service.call("GET", "/health/ready", &[], None).expect(200);
}
