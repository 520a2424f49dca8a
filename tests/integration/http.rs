//! The fine print of HTTP: methods, conditions, ids, headers, large bodies, raw output, errors in both formats.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::http::{Answer, request, send_raw};
use crate::support::service::Service;
use crate::support::sshd::Sshd;

const XML: (&str, &str) = ("Accept", "application/xml");

fn allowed(answer: &Answer) -> Vec<&str> {
    answer.header("allow").unwrap_or_default().split(", ").collect()
}

#[test]
fn methods_that_are_there_and_those_that_are_not() {
    let service = Service::start();
    let head = service.call("HEAD", "/api/v1/", &[], None).expect(200);
    assert!(head.body.is_empty() && head.header("content-length").is_some_and(|length| length != "0"), "{head:?}");
    let options = service.call("OPTIONS", "/api/v1/hosts", &[], None).expect(204);
    assert_eq!(allowed(&options), ["GET", "HEAD", "POST", "OPTIONS"]);
    let result = service.call("DELETE", "/api/v1/results/01a20867-2305-7000-a80f-36c3e8703ee2", &[], None).expect(405);
    assert_eq!(allowed(&result), ["GET", "HEAD", "OPTIONS"]);
    let preview = service.call("PUT", "/api/v1/schedules/preview", &[], Some(b"{}")).expect(405);
    assert!(!allowed(&preview).contains(&"PUT"));
    for path in ["/", "/nonsense", "/docs/nonsense"] {
        let answer = request(&service.address, "GET", path, &[XML], None).expect(404);
        assert!(answer.text().contains("urn:ietf:rfc:7807"), "{path}: {}", answer.text());
    }
    request(&service.address, "GET", "/api/v1/nonsense", &[], None).expect(401);
}

#[test]
fn every_answer_has_its_id_and_is_safe_in_a_browser() {
    let service = Service::start();
    let mine = service.call("GET", "/api/v1/hosts/none", &[("X-Request-Id", "deploy-42")], None).expect(404);
    assert_eq!((mine.header("x-request-id"), &mine.json()["instance"]), (Some("deploy-42"), &json!("deploy-42")));
    for bad in ["a b", "<script>", &"x".repeat(65)] {
        let answer = service.call("GET", "/api/v1/", &[("X-Request-Id", bad)], None).expect(200);
        assert!(answer.header("x-request-id").is_some_and(|id| id != bad && !id.is_empty()), "{bad}");
    }
    for path in ["/api/v1/", "/api/v1/nonsense", "/health/live", "/api/v1/results/x/stdout"] {
        let answer = service.call("GET", path, &[], None);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert!(answer.header("access-control-allow-origin").is_none(), "{path}");
    }
}

#[test]
fn the_two_forms_of_a_document_have_tags_of_their_own_and_both_name_its_version() {
    let service = Service::start();
    service.send("POST", "hosts", &json!({"name": "h"})).expect(201);
    let tag = |headers: &[(&str, &str)]| {
        let answer = service.call("GET", "/api/v1/hosts/h", headers, None).expect(200);
        assert!(answer.header("vary").unwrap().contains("Accept"));
        answer.header("etag").unwrap().to_owned()
    };
    let (json, xml) = (tag(&[]), tag(&[XML]));
    assert_ne!(json, xml);
    service.call("GET", "/api/v1/hosts/h", &[XML, ("If-None-Match", &json)], None).expect(200);
    service.call("GET", "/api/v1/hosts/h", &[XML, ("If-None-Match", &format!("\"a\", {xml}"))], None).expect(304);
    service.call("PATCH", "/api/v1/hosts/h", &[("If-Match", &xml)], Some(b"{\"port\": 23}")).expect(200);
    service.call("PATCH", "/api/v1/hosts/h", &[("If-Match", &json)], Some(b"{\"port\": 24}")).expect(412);
    service.call("PATCH", "/api/v1/hosts/h", &[("If-Match", "3")], Some(b"{\"port\": 24}")).expect(400);

    // One that was deleted and made anew is another one, whatever its version says.
    let old = tag(&[]);
    service.call("DELETE", "/api/v1/hosts/h", &[("If-Match", &old)], None).expect(204);
    service.send("POST", "hosts", &json!({"name": "h"})).expect(201);
    service.send("PATCH", "hosts/h", &json!({"port": 23})).expect(200);
    service.call("DELETE", "/api/v1/hosts/h", &[("If-Match", &old)], None).expect(412);
}

#[test]
fn a_patch_loses_nothing_to_another_one() {
    let service = Service::start();
    service.send("POST", "hosts", &json!({"name": "h"})).expect(201);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let service = &service;
            scope.spawn(move || {
                let patch = json!({"labels": {format!("l{number}"): "x"}});
                service.send("PATCH", "hosts/h", &patch).expect(200);
            });
        }
    });
    let host = service.get("hosts/h");
    assert_eq!((host["labels"].as_object().unwrap().len(), &host["version"]), (4, &json!(5)), "{host}");
    service.send("PATCH", "hosts/h", &json!({"name": "other"})).expect(422);
    assert_eq!(service.send("PATCH", "hosts/h", &json!([1])).pointers(), [""]);
    let nope =
        service.call("PATCH", "/api/v1/hosts/h", &[("Content-Type", "application/merge-patch+json")], Some(b"{"));
    nope.expect(400);
}

#[test]
fn secrets_stay_when_their_documents_are_sent_back() {
    let service = Service::start();
    let made =
        service.send("POST", "credentials", &json!({"name": "c", "user": "u", "password": "hunter2"})).expect(201);
    assert_eq!(made.json()["password"], json!({"set": true}));
    let xml = service.call("GET", "/api/v1/credentials/c", &[XML], None).expect(200);
    assert!(xml.text().contains("<password><set>true</set></password>"), "{}", xml.text());
    let kind = ("Content-Type", "application/xml");
    service.call("PUT", "/api/v1/credentials/c", &[kind], Some(&xml.body)).expect(200);
    service.send("PATCH", "credentials/c", &json!({"user": "v"})).expect(200);
    let now = service.get("credentials/c");
    assert_eq!((&now["password"], &now["user"], &now["version"]), (&json!({"set": true}), &json!("v"), &json!(2)));
    assert_eq!(
        service.send("POST", "credentials", &json!({"name": "d", "password": {"set": true}})).expect(422).status,
        422
    );
}

#[test]
fn a_key_is_made_and_shown_in_xml_as_well_and_where_it_is_made() {
    let service = Service::start();
    let xml = "<key><name>k</name><role>viewer</role></key>";
    let headers = [("Content-Type", "application/xml"), XML];
    let made = service.call("POST", "/api/v1/keys", &headers, Some(xml.as_bytes())).expect(201).text();
    let key = made.split("<key>").nth(2).and_then(|rest| rest.split("</key>").next()).unwrap().to_owned();
    request(&service.address, "GET", "/api/v1/", &[("X-Api-Key", &key)], None).expect(200);

    // PUT makes one as POST does; who is there already keeps the secret, which is not shown again.
    let put = |condition: &[(&str, &str)], body: &str| {
        let headers = [&[("Content-Type", "application/json")], condition].concat();
        service.call("PUT", "/api/v1/keys/other", &headers, Some(body.as_bytes()))
    };
    let viewer = r#"{"role": "viewer"}"#;
    put(&[("If-Match", "*")], viewer).expect(412);
    let made = put(&[("If-None-Match", "*")], viewer).expect(201);
    assert_eq!(made.header("location"), Some("/api/v1/keys/other"));
    let other = made.json()["key"].as_str().unwrap().to_owned();
    request(&service.address, "GET", "/api/v1/", &[("X-Api-Key", &other)], None).expect(200);
    put(&[("If-None-Match", "*")], viewer).expect(412);
    let replaced = put(&[("If-Match", made.header("etag").unwrap())], r#"{"role": "operator"}"#).expect(200).json();
    assert_eq!(
        (&replaced["key"], &replaced["role"], &replaced["version"]),
        (&Value::Null, &json!("operator"), &json!(2))
    );
    put(&[], r#"{"role": "operator"}"#).expect(200);
    request(&service.address, "GET", "/api/v1/", &[("X-Api-Key", &other)], None).expect(200);
    let told = service.get("audit?noun=key&name=other");
    let verbs: Vec<&str> = told["items"].as_array().unwrap().iter().map(|one| one["verb"].as_str().unwrap()).collect();
    assert_eq!(verbs, ["update", "create"]);
    assert!(!told.to_string().contains(&other));

    service.send("PATCH", "keys/k", &json!({"role": "operator"})).expect(200);
    request(&service.address, "GET", "/api/v1/", &[("Authorization", &format!("bearer {key}"))], None).expect(200);
    let pointers = service.send("POST", "keys", &json!({"name": "a b", "role": "king", "colour": "red"})).pointers();
    assert_eq!(pointers, ["/colour", "/name", "/role"]);
}

#[test]
fn who_sends_too_much_still_reads_the_answer() {
    let service = Service::start();
    let large = vec![b' '; 4 * 1024 * 1024];
    service.call("PUT", "/api/v1/hosts/h", &[], Some(&large)).expect(413);
    request(&service.address, "PUT", "/api/v1/hosts/h", &[], Some(&large)).expect(401);
    service.call("PUT", "/api/v1/hosts/h", &[("Content-Encoding", "gzip")], Some(b"{}")).expect(415);
    let kind = ("Content-Type", "application/json; charset=iso-8859-1");
    service.call("PUT", "/api/v1/hosts/h", &[kind], Some(b"{}")).expect(415);
    service.call("PUT", "/api/v1/hosts/h", &[], Some(b"{}")).expect(201);
    let json = ("Content-Type", "application/json");
    let empty = service.call("PUT", "/api/v1/hosts/h", &[json], Some(b"")).expect(400).text();
    assert!(empty.contains("the body is empty: a document is expected"), "{empty}");
}

#[test]
fn output_is_served_byte_by_byte_and_runs_have_one_place_at_a_time() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task("raw", "web1", json!({"command": "printf 'a\\377\\000\\n'; printf e >&2"}), None);
    let path = "/api/v1/hosts/web1/tasks/raw/run?wait=30s";
    let result = service.call("POST", path, &[], None).expect(200).json();
    let id = result["id"].as_str().unwrap();
    assert_eq!((&result["by"], &result["stdout_encoding"]), (&json!("admin"), &json!("base64")));
    let raw =
        service.call("GET", &format!("/api/v1/results/{id}/stdout"), &[("Accept", "text/plain")], None).expect(200);
    assert_eq!(
        (raw.body.as_slice(), raw.header("content-type")),
        (&b"a\xff\0\n"[..], Some("application/octet-stream"))
    );
    assert!(raw.header("content-disposition").unwrap().starts_with("attachment"));
    let raw = service.call("GET", &format!("/api/v1/results/{id}/stderr"), &[], None).expect(200);
    assert_eq!(raw.body, b"e");
    let ended = service.call("GET", &format!("/api/v1/runs/{id}"), &[], None).expect(404);
    assert!(ended.text().contains(&format!("/api/v1/results/{id}")), "{}", ended.text());
    service.call("POST", path, &[("Content-Type", "application/xml")], Some(b"<run/>")).expect(200);
    for bad in ["wait=11m", "wait=soon", "waite=1s"] {
        service.call("POST", &format!("/api/v1/hosts/web1/tasks/raw/run?{bad}"), &[], None).expect(422);
    }
    let rows = service.get("status?n=1&selector=@name%3Dweb1&task=raw&state=OK");
    assert_eq!((&rows["total"], rows["items"][0]["last"].as_array().unwrap().len()), (&json!(1), 1), "{rows}");
    assert_eq!(service.get("status?state=PENDING")["total"], 0);
    service.call("GET", "/api/v1/status/web1/none", &[], None).expect(404);
}

#[test]
fn what_may_mean_one_thing_or_the_other_is_not_guessed() {
    let service = Service::start();
    service.send("POST", "hosts", &json!({"name": "h"})).expect(201);
    let tag = service.call("GET", "/api/v1/hosts/h", &[], None).header("etag").unwrap().to_owned();
    let json = ("Content-Type", "application/json");
    for twice in [("Content-Type", "application/xml"), ("Authorization", "Bearer alf_other")] {
        let told = service.call("PUT", "/api/v1/hosts/h", &[json, twice], Some(b"{}")).expect(400).text();
        assert!(told.contains(&format!("the header {} is given twice", twice.0)), "{told}");
    }
    // A condition that cannot be read is not one that is not there.
    for name in ["If-Match", "If-None-Match", "Accept"] {
        let told = service.call("PUT", "/api/v1/hosts/h", &[json, (name, "\"ä\"")], Some(b"{}")).expect(400).text();
        assert!(told.contains(name), "{told}");
    }
    let other = ("If-Match", "\"other\"");
    service.call("PATCH", "/api/v1/hosts/h", &[other], Some(b"{\"port\": 23}")).expect(412);
    service.call("PATCH", "/api/v1/hosts/h", &[other, ("If-Match", &tag)], Some(b"{\"port\": 23}")).expect(200);
    let coded = [("Content-Encoding", "identity"), ("Content-Encoding", "gzip")];
    service.call("PUT", "/api/v1/hosts/h", &coded, Some(b"{}")).expect(415);
    for query in ["q=%zz", "q=%", "q=%ff", "%C3=1"] {
        let told = service.call("GET", &format!("/api/v1/hosts?{query}"), &[], None).expect(400).text();
        assert!(told.contains("hexadecimal"), "{told}");
    }
    let chunks = format!(
        "PUT /api/v1/hosts/h HTTP/1.1\r\nHost: a\r\nX-Api-Key: {}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n",
        service.key
    );
    let told = send_raw(&service.address, chunks.as_bytes()).expect(400).text();
    assert!(told.contains("chunks") && told.matches("urn:alf:problem").count() == 1, "{told}");
}

#[test]
fn a_stream_has_no_length_and_ends_with_the_connection_where_chunks_are_not_known() {
    let mut service = Service::start();
    let head = service.call("HEAD", "/api/v1/events", &[], None).expect(200);
    assert_eq!((head.header("content-length"), head.header("content-type")), (None, Some("text/event-stream")));
    let mut stream = TcpStream::connect(&service.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let asked = format!("GET /api/v1/events HTTP/1.0\r\nConnection: keep-alive\r\nX-Api-Key: {}\r\n\r\n", service.key);
    stream.write_all(asked.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines();
    let head: Vec<String> = lines.by_ref().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
    assert!(head[0].ends_with(" 200 OK"), "{head:?}");
    assert!(!head.iter().any(|line| line.contains("chunked") || line.starts_with("content-length")), "{head:?}");
    assert_eq!(lines.next().unwrap().unwrap(), "retry: 1000");
    assert_eq!(service.end("TERM"), Some(0));
    assert_eq!(lines.map(Result::unwrap).filter(|line| !line.is_empty()).count(), 0);
}
