//! `alf host trust`, `forget-key` and `doctor`, `alf secret rotate-key`.

use crate::cli::testing::{FakeServer, World, json, problem, route};

const VIEW: &str = r#"{"offered":{"algorithm":"ssh-ed25519","fingerprint":"SHA256:new","key":"ssh-ed25519 AAAA"},
    "standing":"changed","recorded":[{"fingerprint":"SHA256:old","source":"learned"}]}"#;
const TRUSTED: &str = r#"{"key":"ssh-ed25519 AAAA","fingerprint":"SHA256:new","replaced":["SHA256:old"]}"#;

fn server() -> FakeServer {
    FakeServer::start(vec![
        json("GET /api/v1/hosts/web1/host-key", 200, VIEW),
        json("POST /api/v1/hosts/web1/trust", 200, TRUSTED),
    ])
}

#[actix_rt::test]
async fn a_person_is_shown_the_fingerprints_and_asked() {
    for (answer, code) in [("y\n", 0), ("YES\n", 0), ("n\n", 1), ("\n", 1), ("", 1)] {
        let server = server();
        let world = World { stdin: answer, is_terminal: true, ..World::of(&server) };
        let done = world.alf(&["host", "trust", "web1"]).await;
        assert_eq!(done.code, code, "{answer:?}: {done:?}");
        assert!(done.stderr.contains("SHA256:new") && done.stderr.contains("SHA256:old"), "{done:?}");
        let trusted = server.asked().into_iter().find(|asked| asked.line.starts_with("POST"));
        assert_eq!(trusted.map(|asked| asked.body), (code == 0).then(|| r#"{"expect":"SHA256:new"}"#.to_owned()));
    }
}

#[actix_rt::test]
async fn nobody_there_to_be_asked_is_no_yes() {
    let server = server();
    let done = World::of(&server).alf(&["host", "trust", "web1"]).await;
    assert!(done.code == 1 && done.stderr.contains("--expect SHA256:new"), "{done:?}");
    assert_eq!(server.lines(), ["GET /api/v1/hosts/web1/host-key"]);
    let done = World::of(&server).alf(&["host", "trust", "web1", "--yes"]).await;
    assert!(done.code == 0 && done.stderr.contains("no longer SHA256:old"), "{done:?}");
    let done = World::of(&server).alf(&["host", "trust", "web1", "--expect", "SHA256:mine", "-o", "json"]).await;
    assert!(done.code == 0 && done.out().contains("\"replaced\""), "{done:?}");
    assert_eq!(server.asked().last().unwrap().body, r#"{"expect":"SHA256:mine"}"#);
}

#[actix_rt::test]
async fn a_refusal_is_told_and_a_key_is_forgotten() {
    let server = FakeServer::start(vec![
        problem("POST /api/v1/hosts/web1/trust", 409, "it shows another key"),
        route("POST /api/v1/hosts/web1/forget-key", 204, "", b""),
    ]);
    let done = World::of(&server).alf(&["host", "trust", "web1", "--expect", "SHA256:mine"]).await;
    assert!(done.code == 1 && done.stderr.contains("it shows another key"), "{done:?}");
    let done = World::of(&server).alf(&["host", "forget-key", "web1"]).await;
    assert!(done.code == 0 && done.out().is_empty(), "{done:?}");
}

#[actix_rt::test]
async fn the_doctor_speaks_plainly_and_its_exit_code_tells_failures_only() {
    let findings = |last: &str| {
        format!(
            r#"{{"host":"web1","verdict":"{last}","findings":[
            {{"check":"resolve","verdict":"ok","detail":"it is 192.0.2.1","remedy":null}},
            {{"check":"host_key","verdict":"{last}","detail":"evil\u001b[2J","remedy":"trust it"}},
            {{"check":"login","verdict":"skipped","detail":"not looked at","remedy":null}}]}}"#
        )
    };
    for (verdict, sign, code) in [("warning", "!", 0), ("failed", "✗", 1)] {
        let server = FakeServer::start(vec![json("POST /api/v1/hosts/web1/doctor", 200, &findings(verdict))]);
        let done = World::of(&server).alf(&["host", "doctor", "web1"]).await;
        assert_eq!(done.code, code, "{done:?}");
        let lines: Vec<&str> = done.out().lines().collect();
        assert!(lines[1].starts_with("✓") && lines[1].contains("resolve"), "{done:?}");
        assert!(lines[2].starts_with(sign) && lines[2].contains("host key") && lines[2].contains("\\u{1b}[2J"));
        assert!(lines[3].trim_start().starts_with("→ trust it"), "{done:?}");
        let done = World::of(&server).alf(&["host", "doctor", "web1", "-o", "json"]).await;
        assert!(done.code == code && done.out().contains("\"findings\""), "{done:?}");
    }
    let xml = b"<doctor><host>web1</host><verdict>failed</verdict></doctor>";
    let server = FakeServer::start(vec![route("POST /api/v1/hosts/web1/doctor", 200, "application/xml", xml)]);
    let done = World::of(&server).alf(&["host", "doctor", "web1", "-o", "xml"]).await;
    assert!(done.code == 1 && done.stdout.starts_with(xml), "{done:?}");
}

#[actix_rt::test]
async fn a_rotation_says_how_many_were_sealed_anew() {
    let server = FakeServer::start(vec![json("POST /api/v1/rotate-key", 200, r#"{"resealed":12}"#)]);
    let done = World::of(&server).alf(&["secret", "rotate-key"]).await;
    assert!(done.code == 0 && done.out().is_empty() && done.stderr.contains("encrypted anew: 12"), "{done:?}");
    let done = World::of(&server).alf(&["secret", "rotate-key", "-o", "json"]).await;
    assert!(done.out().contains("\"resealed\": 12"), "{done:?}");
}
