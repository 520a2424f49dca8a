//! `alf secret rotate-key`: another encryption key, from outside.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::support::service::Service;
use super::support::sshd::Sshd;

/// What everything begins with that was sealed with the key in this file (its first).
fn mark(key_file: &str) -> Vec<u8> {
    let key = STANDARD.decode(key_file.lines().next().unwrap()).unwrap();
    let id = Sha256::new().chain_update(b"alf key id\0").chain_update(key).finalize();
    [b"enc:v1:", &id[..8]].concat()
}

/// How many of the files, or documents, that it keeps have these bytes in them.
fn kept_with(service: &Service, bytes: &[u8]) -> usize {
    let kept = service.kept().into_iter();
    kept.filter(|(_, kept)| kept.windows(bytes.len()).any(|window| window == bytes)).count()
}

/// An Alf whose host is logged in to with a key that is kept sealed.
fn service(sshd: &Sshd) -> Service {
    let service = Service::start();
    let key = std::fs::read_to_string(sshd.client_key()).unwrap();
    service.send("PUT", "credentials/ops", &json!({"private_key": key, "user": sshd.user()})).expect(201);
    let host = json!({"name": "web1", "address": "127.0.0.1", "port": sshd.port(), "credential": "ops"});
    service.send("POST", "hosts", &host).expect(201);
    service.add_task("hello", "web1", json!({"command": "echo hello"}), None);
    service
}

#[test]
fn after_a_rotation_everything_is_read_with_the_new_key_and_nothing_with_the_old_one() {
    let sshd = Sshd::start();
    let mut service = service(&sshd);
    let file = service.data_dir().join("secret.key");
    let old = std::fs::read_to_string(&file).unwrap();
    let etag = |service: &Service| {
        let answer = service.call("GET", "/api/v1/credentials/ops", &[], None).expect(200);
        (answer.header("etag").unwrap().to_owned(), answer.text())
    };
    let before = etag(&service);
    assert!(kept_with(&service, &mark(&old)) > 0);

    let done = service.cli(&["secret", "rotate-key"]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success() && said.contains("encrypted anew: 2"), "the credential and the admin key: {said}");
    let new = std::fs::read_to_string(&file).unwrap();
    assert!(new != old && new.lines().count() == 1);
    assert_eq!(kept_with(&service, &mark(&old)), 0, "what was sealed with the old key is not overwritten");
    assert!(kept_with(&service, &mark(&new)) > 0);
    assert_eq!(etag(&service), before, "no definition has changed");

    assert_eq!(service.end("TERM"), Some(0));
    service.restart();
    assert_eq!(service.run("hello")["stdout"], "hello\n");
    assert_eq!(etag(&service), before);

    assert_eq!(service.end("KILL"), None);
    std::fs::write(&file, &old).unwrap();
    let refused = service.program().args(["serve", "--listen", "127.0.0.1:0"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("was encrypted with key"), "{said}");
    std::fs::write(&file, &new).unwrap();
    service.restart();
    assert_eq!(service.run("hello")["stdout"], "hello\n");
}

#[test]
fn a_rotation_that_was_cut_short_is_said_at_the_start_and_done_by_the_next_one() {
    let sshd = Sshd::start();
    let mut service = service(&sshd);
    let file = service.data_dir().join("secret.key");
    let old = std::fs::read_to_string(&file).unwrap();
    assert_eq!(service.end("KILL"), None);
    // As a crash leaves it right after the first step: the new key first, the old one behind it.
    std::fs::write(&file, format!("{}\n{old}", STANDARD.encode([7; 32]))).unwrap();
    service.restart();
    assert!(service.log().contains("still holds an old key"), "{}", service.log());
    assert_eq!(service.run("hello")["stdout"], "hello\n");
    service.send("POST", "rotate-key", &json!({})).expect(200);
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 1);
    assert_eq!(kept_with(&service, &mark(&old)), 0);
    service.end("TERM");
    service.restart();
    assert_eq!(service.run("hello")["stdout"], "hello\n");
}

#[test]
fn only_an_admin_rotates_and_a_key_file_that_is_away_is_named() {
    let service = Service::start();
    let answer = service.call("POST", "/api/v1/rotate-key", &[("Accept", "application/xml")], None).expect(200);
    assert!(answer.text().contains("<rotation><resealed>1</resealed></rotation>"), "{}", answer.text());
    service.send("POST", "rotate-key", &json!({"key": "mine"})).expect(422);
    let operator = service.send("POST", "keys", &json!({"name": "ops", "role": "operator"})).expect(201).json();
    let bearer = format!("Bearer {}", operator["key"].as_str().unwrap());
    let headers = [("Authorization", bearer.as_str())];
    super::support::http::request(&service.address, "POST", "/api/v1/rotate-key", &headers, None).expect(403);

    let file = service.data_dir().join("secret.key");
    std::fs::rename(&file, service.data_dir().join("away")).unwrap();
    let problem = service.send("POST", "rotate-key", &json!({})).expect(409).json();
    assert!(problem["detail"].as_str().unwrap().contains("secret.key: it is not there"), "{problem}");
    std::fs::rename(service.data_dir().join("away"), &file).unwrap();
    service.send("POST", "rotate-key", &json!({})).expect(200);
}
