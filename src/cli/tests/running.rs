//! `alf run`.

use crate::cli::testing::{FakeServer, World, json, problem};

const ID: &str = "019ab8c4-5d20-7000-8c3e-2b1f0a9d4e77";
const RUN: &str = "POST /api/v1/hosts/web1/tasks/load/run?wait=20000ms";

fn result(outcome: &str, more: &str) -> String {
    format!(r#"{{"id":"{ID}","host":"web1","task":"load","outcome":"{outcome}","stdout":"","stderr":""{more}}}"#)
}

#[actix_rt::test]
async fn output_comes_byte_for_byte_and_each_stream_on_its_own() {
    let body = format!(
        r#"{{"id":"{ID}","outcome":"OK","state":"OK","message":"exit code 0","stdout":"/wAb","stdout_encoding":"base64",
        "stderr":"careful\n","stderr_encoding":"utf-8"}}"#
    );
    let server = FakeServer::start(vec![json(RUN, 200, &body)]);
    let done = World::of(&server).alf(&["run", "web1", "load"]).await;
    assert_eq!((done.code, done.stdout.as_slice()), (0, &b"\xff\x00\x1b"[..]));
    assert_eq!(done.stderr, "careful\nOK: exit code 0\n");
}

#[actix_rt::test]
async fn a_problem_is_exit_1_and_says_why() {
    let more = r#","state":"CRITICAL","reason":"exit_code","message":"exit code 3\nand more","stdout_bytes":9,"stdout_truncated":true"#;
    let server = FakeServer::start(vec![json(RUN, 200, &result("PROBLEM", more))]);
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
        json(RUN, 202, &format!(r#"{{"run":"{ID}"}}"#)),
        problem("GET /api/v1/results/019ab8c4-5d20-7000-8c3e-2b1f0a9d4e77", 404, "none yet"),
        json("GET /api/v1/runs/019ab8c4-5d20-7000-8c3e-2b1f0a9d4e77", 200, "{}"),
        json("GET /api/v1/results/019ab8c4-5d20-7000-8c3e-2b1f0a9d4e77", 200, &result("OK", "")),
    ]);
    let done = World::of(&server).alf(&["run", "web1", "load", "-o", "name"]).await;
    assert_eq!((done.code, done.out()), (0, format!("{ID}\n").as_str()), "{done:?}");
}

#[actix_rt::test]
async fn waiting_has_an_end_and_the_run_goes_on() {
    let server = FakeServer::start(vec![
        json("POST /api/v1/hosts/web1/tasks/load/run?wait=1ms", 202, &format!(r#"{{"run":"{ID}"}}"#)),
        json("GET /api/v1/runs/019ab8c4-5d20-7000-8c3e-2b1f0a9d4e77", 200, "{}"),
    ]);
    let done = World::of(&server).alf(&["run", "web1", "load", "--timeout-wait", "1ms"]).await;
    assert!(done.code == 1 && done.stderr.contains("--timeout-wait") && done.stderr.contains(ID), "{done:?}");
}

#[actix_rt::test]
async fn no_wait_writes_the_id() {
    let server =
        FakeServer::start(vec![json("POST /api/v1/hosts/web1/tasks/load/run", 202, &format!(r#"{{"run":"{ID}"}}"#))]);
    let done = World::of(&server).alf(&["run", "web1", "load", "--no-wait"]).await;
    assert_eq!((done.code, done.out()), (0, format!("{ID}\n").as_str()), "{done:?}");
}

#[actix_rt::test]
async fn on_many_hosts_lines_are_prefixed_and_the_worst_counts() {
    let ok = r#"{"id":"1","outcome":"OK","message":"fine","stdout":"a\nb","stderr":""}"#;
    let bad = r#"{"id":"2","outcome":"PROBLEM","state":"CRITICAL","reason":"timeout","message":"slow","stdout":"","stderr":"e\n"}"#;
    let server = FakeServer::start(vec![
        json(
            "GET /api/v1/hosts?selector=role%3Dweb&limit=1000",
            200,
            r#"{"items":[{"name":"web1"},{"name":"web2"},{"name":"web3"}],"next":null}"#,
        ),
        json(RUN, 200, ok),
        json("POST /api/v1/hosts/web2/tasks/load/run?wait=20000ms", 200, bad),
        problem("POST /api/v1/hosts/web3/tasks/load/run?wait=20000ms", 409, "runs already"),
    ]);
    let done = World::of(&server).alf(&["run", "-l", "role=web", "load"]).await;
    assert_eq!((done.code, done.out()), (1, "web1: a\nweb1: b\n"), "{done:?}");
    for said in
        ["web1: OK: fine\n", "web2: e\n", "web2: PROBLEM, CRITICAL (timeout): slow\n", "web3: error: runs already\n"]
    {
        assert!(done.stderr.contains(said), "{said}: {done:?}");
    }
}

#[actix_rt::test]
async fn what_makes_no_sense_is_exit_2_and_no_host_is_exit_1() {
    let server =
        FakeServer::start(vec![json("GET /api/v1/hosts?selector=a&limit=1000", 200, r#"{"items":[],"next":null}"#)]);
    for (arguments, code) in
        [(&["run", "web1"][..], 2), (&["run", "-l", "a", "web1", "load"], 2), (&["run", "-l", "a", "load"], 1)]
    {
        let done = World::of(&server).alf(arguments).await;
        assert_eq!(done.code, code, "{done:?}");
    }
}
