//! `alf status`, `results`, `result`, `runs`, `stats`, `health`.

use crate::cli::testing::{FakeServer, World, json, route};

const ID: &str = "019ab8c4-5d20-7000-8c3e-2b1f0a9d4e77";

#[actix_rt::test]
async fn status_shows_a_row_for_each_pair() {
    let rows = r#"{"items":[
        {"host":"web1","task":"load","state":"OK","outcome":"OK","hard":true,"attempt":0,"max_attempts":3,"running":true,
         "since":"2026-11-23T08:00:00.000Z","last_executed_at":"2026-11-23T09:00:00.000Z","next_run_at":"2026-11-23T10:00:00.000Z"},
        {"host":"web1","task":"new","state":null,"outcome":null,"running":false}],"next":null,"total":2}"#;
    let server = FakeServer::start(vec![json(
        "GET /api/v1/status?selector=role%3Dweb&state=OK&outcome=PROBLEM&limit=1000",
        200,
        rows,
    )]);
    let done =
        World::of(&server).alf(&["status", "-l", "role=web", "--state", "ok", "--outcome", "problem", "--utc"]).await;
    assert_eq!(
        done.out(),
        "HOST  TASK  STATE    SINCE                 LAST                  NEXT                  RUNNING  NOTES\n\
         web1  load  OK       2026-11-23T08:00:00Z  2026-11-23T09:00:00Z  2026-11-23T10:00:00Z  yes      -\n\
         web1  new   PENDING  -                     -                     -                     no       -\n",
        "{done:?}"
    );
}

#[actix_rt::test]
async fn the_status_of_a_host_is_its_own_and_that_of_its_tasks() {
    let server = FakeServer::start(vec![
        json(
            "GET /api/v1/status/web1",
            200,
            r#"{"host":"web1","state":"DOWN","attempt":2,"since":null,"reason":"auth","message":"refused"}"#,
        ),
        json(
            "GET /api/v1/status?host=web1&limit=1000",
            200,
            r#"{"items":[{"host":"web1","task":"load","state":"OK"}],"next":null}"#,
        ),
    ]);
    let done = World::of(&server).alf(&["status", "web1"]).await;
    assert!(
        done.out().starts_with("host     web1\nstate    DOWN\nreason   auth\nmessage  refused\n\nHOST  TASK"),
        "{done:?}"
    );
    let done = World::of(&server).alf(&["status", "web1", "-o", "json"]).await;
    assert!(
        done.out().contains("\"reason\": \"auth\"")
            && done.out().contains("\"tasks\": [\n    {\n      \"host\": \"web1\""),
        "{done:?}"
    );
    let done = World::of(&server).alf(&["status", "web1", "-o", "name"]).await;
    assert_eq!(done.out(), "web1/load\n");
}

#[actix_rt::test]
async fn the_status_of_a_pair_shows_its_last_results() {
    let pair = format!(
        r#"{{"host":"web1","task":"load","state":"CRITICAL","outcome":"PROBLEM","hard":true,"attempt":1,"max_attempts":1,"running":false,
        "last":[{{"id":"{ID}","outcome":"PROBLEM","state":"CRITICAL","finished_at":"2026-11-23T09:00:00.000Z","duration_ms":1250}}]}}"#
    );
    let server = FakeServer::start(vec![json("GET /api/v1/status/web1/load", 200, &pair)]);
    let done = World::of(&server).alf(&["status", "web1", "load"]).await;
    assert!(done.out().contains("attempt  1 of 1 (hard)\n") && done.out().contains("CRITICAL  1.25s\n"), "{done:?}");
}

#[actix_rt::test]
async fn results_go_on_until_there_are_enough() {
    let first = format!(
        r#"{{"items":[{{"id":"{ID}","host":"web1","task":"load","outcome":"OK","state":"OK","duration_ms":12,
        "finished_at":"2026-11-23T09:00:00.000Z","message":"a\u001bb"}}],"next":"c","total":9}}"#
    );
    let server = FakeServer::start(vec![
        json("GET /api/v1/results?host=web1&since=2026-11-23T07%3A30%3A00.000Z&limit=2", 200, &first),
        json(
            "GET /api/v1/results?host=web1&since=2026-11-23T07%3A30%3A00.000Z&limit=1&cursor=c",
            200,
            r#"{"items":[{"id":"x","message":"two"},{"id":"y"}],"next":"d","total":9}"#,
        ),
    ]);
    let done = World::of(&server).alf(&["results", "--host", "web1", "--since", "2h", "--limit", "2", "--utc"]).await;
    assert_eq!(done.code, 0, "{done:?} {:?}", server.lines());
    let lines: Vec<_> = done.out().lines().collect();
    assert_eq!(lines.len(), 3, "{done:?}");
    assert!(lines[1].contains("2026-11-23T09:00:00Z  web1  load  OK       OK     12ms  a\\u{1b}b"), "{done:?}");
    let done = World::of(&server).alf(&["results", "--since", "yesterday"]).await;
    assert_eq!(done.code, 2, "{done:?}");
}

#[actix_rt::test]
async fn following_shows_each_result_once_oldest_first() {
    let page = |ids: &[&str]| {
        let items: Vec<_> = ids.iter().map(|id| format!(r#"{{"id":"{id}"}}"#)).collect();
        format!(r#"{{"items":[{}],"next":null,"total":1}}"#, items.join(","))
    };
    let server = FakeServer::start(vec![
        json("GET /api/v1/results?limit=500", 200, &page(&["3", "2", "1"])),
        // A long run ends: its Result comes to stand below newer ones.
        json("GET /api/v1/results?limit=500", 200, &page(&["4", "3", "2a", "2", "1"])),
        route("GET /api/v1/results?limit=500", 503, "text/plain", b""),
    ]);
    let done = World::of(&server).alf(&["results", "-f", "--limit", "2", "-o", "name"]).await;
    assert_eq!((done.code, done.out()), (1, "2\n3\n2a\n4\n"), "{done:?}");
}

#[actix_rt::test]
async fn one_result_shows_its_output_escaped_or_raw() {
    let body = format!(
        r#"{{"id":"{ID}","host":"web1","task":"load","outcome":"PROBLEM","state":"CRITICAL","reason":"exit_code","exit_code":3,
        "duration_ms":87,"message":"exit code 3","stdout":"a\u001b[2Jb\n\tc\n","stdout_encoding":"utf-8","stdout_bytes":10,
        "stderr":"/w==","stderr_encoding":"base64","stderr_bytes":99,"stderr_truncated":true,
        "perfdata":[{{"label":"/ free","value":0.5,"unit":"%","warn":"10:20","crit":null,"min":0,"max":null}}]}}"#
    );
    let server = FakeServer::start(vec![
        json("GET /api/v1/results/019ab8c4-5d20-7000-8c3e-2b1f0a9d4e77", 200, &body),
        route(
            "GET /api/v1/results/019ab8c4-5d20-7000-8c3e-2b1f0a9d4e77/stderr",
            200,
            "application/octet-stream",
            b"\xff\x00",
        ),
    ]);
    let done = World::of(&server).alf(&["result", ID]).await;
    assert!(done.out().contains("reason     exit_code\n") && done.out().contains("took       87ms\n"), "{done:?}");
    let row = ["/ free", "0.5", "%", "10:20", "-", "0", "-"];
    let shown = done.out().lines().any(|line| line.split("  ").map(str::trim).filter(|it| !it.is_empty()).eq(row));
    assert!(shown && done.out().contains("\nperfdata:\nLABEL "), "{done:?}");
    assert!(done.out().contains("\nstdout (10 bytes):\na\\u{1b}[2Jb\n\tc\n\nstderr (the first"), "{done:?}");
    let done = World::of(&server).alf(&["result", ID, "--stderr"]).await;
    assert_eq!((done.code, done.stdout.as_slice()), (0, &b"\xff\x00"[..]));
}

#[actix_rt::test]
async fn runs_figures_and_actors_are_shown() {
    let server = FakeServer::start(vec![
        json(
            "GET /api/v1/runs?limit=1000",
            200,
            &format!(r#"{{"items":[{{"id":"{ID}","host":"web1","task":"load","state":"queued"}}],"next":null}}"#),
        ),
        json("GET /api/v1/stats", 200, r#"{"runs_per_minute":{"m1":3.5},"running":2}"#),
        json(
            "GET /health/actors",
            200,
            r#"{"kind":"node","name":"n1","state":"running","restarts":0,"queue":0,"last_error":null,
            "children":[{"kind":"host","name":"web1","state":"failed","restarts":2,"last_error":"boom\u001b","queue":7,"children":[]}]}"#,
        ),
    ]);
    let done = World::of(&server).alf(&["runs"]).await;
    assert!(done.out().contains("web1  load  QUEUED"), "{done:?}");
    let done = World::of(&server).alf(&["stats"]).await;
    assert_eq!(done.out(), "runs_per_minute.m1  3.5\nrunning             2\n");
    let done = World::of(&server).alf(&["health"]).await;
    assert_eq!(
        done.out(),
        "ACTOR        STATE    RESTARTS  QUEUE  LAST ERROR\n\
         node n1      running  0         0      -\n\
         \u{20}\u{20}host web1  failed   2         7      boom\\u{1b}\n"
    );
}

#[actix_rt::test]
async fn the_audit_is_shown_newest_first() {
    let entries = r#"{"items":[
        {"id":"x","at":"2026-11-23T09:00:00.000Z","by":"anna","address":"192.0.2.7","verb":"update","noun":"host_task",
         "name":"load@web1","fields":["env","timeout"],"host":null,"run":null,"outcome":"ok","count":1},
        {"id":"y","at":"2026-11-23T08:00:00.000Z","by":null,"address":"192.0.2.8","verb":"login","noun":null,"name":null,
         "fields":[],"host":null,"run":null,"outcome":"refused","count":40}],"next":null,"total":2}"#;
    let server = FakeServer::start(vec![json(
        "GET /api/v1/audit?by=anna&noun=host_task&name=load%40web1&since=2026-11-23T07%3A30%3A00.000Z&limit=50",
        200,
        entries,
    )]);
    let args = ["audit", "--by", "anna", "--noun", "host-task", "--name", "load@web1", "--since", "2h", "--utc"];
    let done = World::of(&server).alf(&args).await;
    let lines: Vec<Vec<&str>> = done.out().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines[1],
        ["2026-11-23T09:00:00Z", "anna", "192.0.2.7", "update", "host_task", "load@web1", "-", "ok", "env", "timeout"],
        "{done:?}"
    );
    assert!(done.out().lines().nth(2).unwrap().ends_with("refused  40 times"), "{done:?}");
}
