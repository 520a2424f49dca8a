//! `alf run` and `alf exec`.

use crate::cli::testing::{FakeServer, Route, World, json, problem, route};

const ID: &str = "019ab8c4-5d20-7000-8c3e-2b1f0a9d4e77";
const RUN: &str = "POST /api/v1/hosts/web1/tasks/load/run";
const LIVE: &str = "GET /api/v1/runs/019ab8c4-5d20-7000-8c3e-2b1f0a9d4e77/output";
const OPEN: &str = "GET /api/v1/runs/019ab8c4-5d20-7000-8c3e-2b1f0a9d4e77";
const RESULT: &str = "GET /api/v1/results/019ab8c4-5d20-7000-8c3e-2b1f0a9d4e77";

fn result(outcome: &str, more: &str) -> String {
    format!(r#"{{"id":"{ID}","host":"web1","task":"load","outcome":"{outcome}","stdout":"","stderr":""{more}}}"#)
}

fn started() -> Route {
    json(RUN, 202, &format!(r#"{{"run":"{ID}"}}"#))
}

#[actix_rt::test]
async fn output_comes_byte_for_byte_and_each_stream_on_its_own() {
    let body = format!(
        r#"{{"id":"{ID}","outcome":"OK","state":"OK","message":"exit code 0","stdout":"/wAb","stdout_encoding":"base64",
        "stderr":"careful\n","stderr_encoding":"utf-8"}}"#
    );
    // It was faster than we: there is no stream any more.
    let server = FakeServer::start(vec![started(), json(RESULT, 200, &body)]);
    let done = World::of(&server).alf(&["run", "web1", "load"]).await;
    assert_eq!((done.code, done.stdout.as_slice()), (0, &b"\xff\x00\x1b"[..]));
    assert_eq!(done.stderr, "careful\nOK: exit code 0\n");
}

#[actix_rt::test]
async fn a_stream_that_breaks_off_is_gone_on_with_and_nothing_is_shown_twice() {
    let first =
        b"retry: 1000\n\nevent: stdout\nid: 2.0\ndata: {\"offset\":0,\"encoding\":\"utf-8\",\"data\":\"a\\n\"}\n\n\
        event: stderr\nid: 2.1\ndata: {\"offset\":0,\"encoding\":\"base64\",\"data\":\"eA==\"}\n\nevent: stdout\nda";
    let second = b"event: stdout\nid: 4.1\ndata: {\"offset\":2,\"encoding\":\"utf-8\",\"data\":\"b\\n\"}\n\n\
        event: end\nid: 4.1\ndata: {\"outcome\":\"OK\"}\n\n";
    let whole = r#","stdout_bytes":6,"stderr_bytes":1,"message":"fine""#;
    let whole = result("OK", whole).replace(r#""stdout":"""#, r#""stdout":"a\nb\nc\n""#);
    let server = FakeServer::start(vec![
        started(),
        route(LIVE, 200, "text/event-stream", first),
        route(LIVE, 200, "text/event-stream", second),
        json(RESULT, 200, &whole),
    ]);
    let done = World::of(&server).alf(&["run", "web1", "load"]).await;
    assert_eq!((done.code, done.out()), (0, "a\nb\nc\n"), "what the streams did not tell comes from the Result");
    let places: Vec<_> = server
        .asked()
        .into_iter()
        .filter(|asked| asked.line == LIVE)
        .map(|asked| asked.headers["last-event-id"].clone())
        .collect();
    assert_eq!(places, ["0.0", "2.1"]);
}

#[actix_rt::test]
async fn a_problem_is_exit_1_and_says_why() {
    let more = r#","state":"CRITICAL","reason":"exit_code","message":"exit code 3\nand more","stdout_bytes":9,"stdout_truncated":true"#;
    let server = FakeServer::start(vec![started(), json(RESULT, 200, &result("PROBLEM", more))]);
    let done = World::of(&server).alf(&["run", "web1", "load"]).await;
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("of 9 bytes"), "{done:?}");
    assert!(done.stderr.ends_with("PROBLEM, CRITICAL (exit_code): exit code 3\\nand more\n"), "{done:?}");

    let server = FakeServer::start(vec![problem(RUN, 409, "runs already: run 7")]);
    let done = World::of(&server).alf(&["run", "web1", "load"]).await;
    assert_eq!((done.code, done.stderr.as_str()), (1, "error: runs already: run 7\n"));
}

#[actix_rt::test]
async fn a_long_run_is_waited_for() {
    let server = FakeServer::start(vec![
        started(),
        problem(RESULT, 404, "none yet"),
        json(OPEN, 200, "{}"),
        json(RESULT, 200, &result("OK", "")),
    ]);
    let done = World::of(&server).alf(&["run", "web1", "load", "-o", "name"]).await;
    assert_eq!((done.code, done.out()), (0, format!("{ID}\n").as_str()), "{done:?}");
}

#[actix_rt::test]
async fn waiting_has_an_end_and_the_run_goes_on() {
    let server = FakeServer::start(vec![started(), json(OPEN, 200, "{}")]);
    let done = World::of(&server).alf(&["run", "web1", "load", "--timeout-wait", "1ms"]).await;
    assert!(done.code == 1 && done.stderr.contains("--timeout-wait") && done.stderr.contains(ID), "{done:?}");
    assert!(server.lines().iter().all(|line| !line.starts_with("DELETE")));
}

#[actix_rt::test]
async fn no_wait_writes_the_id() {
    let server = FakeServer::start(vec![started()]);
    let done = World::of(&server).alf(&["run", "web1", "load", "--no-wait"]).await;
    assert_eq!((done.code, done.out()), (0, format!("{ID}\n").as_str()), "{done:?}");
}

#[actix_rt::test]
async fn what_is_given_is_sent_along() {
    let server = FakeServer::start(vec![started(), json(RESULT, 200, &result("OK", ""))]);
    let mut world = World::of(&server);
    world.stdin = "from here\n";
    let done = world
        .alf(&["run", "web1", "load", "--env", "A=b=c", "--env-secret", "T=token", "-i", "-", "--", "-x", "a b"])
        .await;
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(
        server.asked()[0].body,
        r#"{"env":{"A":"b=c","T":{"secret":"token"}},"stdin":"from here\n","args":["-x","a b"]}"#
    );
}

#[actix_rt::test]
async fn exec_sends_words_as_they_are() {
    let path = "POST /api/v1/hosts/web1/exec";
    let server =
        FakeServer::start(vec![json(path, 202, &format!(r#"{{"run":"{ID}"}}"#)), json(RESULT, 200, &result("OK", ""))]);
    let words = ["exec", "web1", "--timeout", "5s", "--", "echo", "a  b", "-n"];
    assert_eq!(World::of(&server).alf(&words).await.code, 0);
    assert_eq!(server.asked()[0].body, r#"{"command":"echo 'a  b' -n","timeout":"5s"}"#);
    for wrong in [&["exec", "web1"][..], &["exec", "--", "true"], &["exec", "-l", "a", "web1", "--", "true"]] {
        assert_eq!(World::of(&server).alf(wrong).await.code, 2, "{wrong:?}");
    }
}

#[actix_rt::test]
async fn on_many_hosts_lines_are_prefixed_and_the_worst_counts() {
    let ok = r#"{"id":"1","host":"web1","outcome":"OK","message":"fine","stdout":"a\nb","stderr":""}"#;
    let bad = r#"{"id":"2","host":"web2","outcome":"PROBLEM","state":"CRITICAL","reason":"timeout","message":"slow","stdout":"","stderr":"e\n"}"#;
    let group = r#"{"group":"g","runs":[{"host":"web1","run":"00000000-0000-7000-8000-000000000001"},
        {"host":"web2","run":"00000000-0000-7000-8000-000000000002"}],"refused":[{"host":"web3","detail":"runs already"}]}"#;
    let server = FakeServer::start(vec![
        json("POST /api/v1/tasks/load/run", 202, group),
        json("GET /api/v1/results/00000000-0000-7000-8000-000000000001", 200, ok),
        json("GET /api/v1/results/00000000-0000-7000-8000-000000000002", 200, bad),
    ]);
    let done = World::of(&server).alf(&["run", "-l", "role=web", "load"]).await;
    assert_eq!((done.code, done.out()), (1, "web1: a\nweb1: b\n"), "{done:?}");
    assert_eq!(server.asked()[0].body, r#"{"selector":"role=web"}"#);
    for said in [
        "web1: OK: fine\n",
        "web2: e\n",
        "web2: PROBLEM, CRITICAL (timeout): slow\n",
        "web3: error: runs already\n",
        "3 hosts: 1 OK, 2 not: web2, web3\n",
    ] {
        assert!(done.stderr.contains(said), "{said}: {done:?}");
    }
}

#[actix_rt::test]
async fn what_makes_no_sense_is_exit_2_and_no_host_is_exit_1() {
    let server = FakeServer::start(vec![problem("POST /api/v1/tasks/load/run", 422, "/selector: matches no host")]);
    for (arguments, code) in
        [(&["run", "web1"][..], 2), (&["run", "-l", "a", "web1", "load"], 2), (&["run", "-l", "a", "load"], 1)]
    {
        let done = World::of(&server).alf(arguments).await;
        assert_eq!(done.code, code, "{done:?}");
    }
}
