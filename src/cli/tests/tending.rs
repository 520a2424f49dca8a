//! `alf problems`, `ack`, `downtime`, `pause` and `resume`.

use crate::cli::testing::{FakeServer, World, json, problem, route};

const SUMMARY: &str = r#"{"paused":false,"hosts_down":0,"hosts_unreachable":0}"#;

#[actix_rt::test]
async fn problems_are_those_that_nobody_has_taken_on() {
    let row = r#"{"items":[{"host":"web1","task":"disk","state":"CRITICAL","flapping":true,"acknowledged":true}],
        "next":null,"total":1}"#;
    let none = r#"{"items":[],"next":null,"total":0}"#;
    let paused = r#"{"paused":true,"paused_since":"2026-11-25T10:00:00.000Z","hosts_down":0,"hosts_unreachable":0}"#;
    let server = FakeServer::start(vec![
        json("GET /api/v1/status?host=web1&outcome=PROBLEM&limit=1000", 200, row),
        json("GET /api/v1/host-statuses?host=web1&outcome=PROBLEM&limit=1000", 200, none),
        json("GET /api/v1/status?unhandled=true&limit=1000", 200, none),
        json("GET /api/v1/host-statuses?unhandled=true&limit=1000", 200, none),
        json("GET /api/v1/status/summary", 200, paused),
    ]);
    let done = World::of(&server).alf(&["problems", "web1", "--all"]).await;
    assert!(done.code == 0 && done.out().contains("ack flapping"), "{done:?}");
    let done = World::of(&server).alf(&["problems", "--utc"]).await;
    assert!(done.code == 0 && done.stderr.contains("no PROBLEM that nobody has taken on"), "{done:?}");
    assert!(done.stderr.contains("paused since 2026-11-25T10:00:00Z"), "{done:?}");
}

#[actix_rt::test]
async fn a_host_that_is_down_is_a_problem_beside_those_of_its_tasks() {
    let pairs = r#"{"items":[{"host":"db1","task":"disk","state":"CRITICAL","running":false},
        {"host":"web1","task":"disk","state":"CRITICAL","running":false}],"next":null,"total":2}"#;
    let hosts = r#"{"items":[{"host":"web1","state":"DOWN","hard":true,"attempt":3,"in_downtime":true,
        "message":"connection refused"}],"next":null,"total":1}"#;
    let server = FakeServer::start(vec![
        json("GET /api/v1/status?outcome=PROBLEM&limit=1000", 200, pairs),
        json("GET /api/v1/host-statuses?outcome=PROBLEM&limit=1000", 200, hosts),
        json("GET /api/v1/status/summary", 200, SUMMARY),
    ]);
    let done = World::of(&server).alf(&["problems", "--all"]).await;
    let rows: Vec<Vec<&str>> = done.out().lines().skip(1).map(|row| row.split_whitespace().collect()).collect();
    let expected: [&[&str]; 3] = [
        &["db1", "disk", "CRITICAL", "-", "-", "-", "no", "-"],
        &["web1", "-", "DOWN", "-", "-", "-", "-", "downtime", "connection", "refused"],
        &["web1", "disk", "CRITICAL", "-", "-", "-", "no", "-"],
    ];
    assert_eq!(rows, expected, "{done:?}");
    let done = World::of(&server).alf(&["problems", "--all", "-o", "name"]).await;
    assert_eq!(done.out(), "db1/disk\nweb1\nweb1/disk\n");
    let done = World::of(&server).alf(&["problems", "--all", "-o", "json"]).await;
    let shown: serde_json::Value = serde_json::from_str(done.out()).unwrap();
    assert_eq!((&shown["total"], &shown["items"][1]["state"]), (&serde_json::json!(3), &serde_json::json!("DOWN")));
    assert!(shown["items"][1]["task"].is_null(), "{shown}");
}

#[actix_rt::test]
async fn a_problem_is_acknowledged_and_that_is_taken_back() {
    let server = FakeServer::start(vec![
        json("POST /api/v1/status/web1/disk/ack", 200, "{}"),
        problem("POST /api/v1/status/web1/ack", 409, "there is nothing to acknowledge"),
        route("DELETE /api/v1/status/web1/disk/ack", 204, "", b""),
    ]);
    let done = World::of(&server).alf(&["ack", "web1", "disk", "-m", "new disk", "--sticky"]).await;
    assert!(done.code == 0 && done.stderr.contains("disk on web1 is acknowledged"), "{done:?}");
    assert_eq!(server.asked()[0].body, r#"{"comment":"new disk","sticky":true}"#);
    let done = World::of(&server).alf(&["ack", "web1", "disk", "-m", "x", "--for", "2h"]).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(server.asked()[1].body.starts_with(r#"{"comment":"x","until":"20"#), "{}", server.asked()[1].body);
    let done = World::of(&server).alf(&["ack", "web1", "disk", "-m", "x", "--until", "2h"]).await;
    assert!(done.code == 0 && server.asked()[2].body.starts_with(r#"{"comment":"x","until":"20"#), "{done:?}");
    let done = World::of(&server).alf(&["ack", "web1", "disk", "-m", "x", "--until", "noon"]).await;
    assert!(done.code == 2 && done.stderr.contains("or how long from now, such as 2h"), "{done:?}");
    let done = World::of(&server).alf(&["ack", "web1", "-m", "x"]).await;
    assert!(done.code == 1 && done.stderr.contains("nothing to acknowledge"), "{done:?}");
    let done = World::of(&server).alf(&["ack", "web1", "disk", "--remove"]).await;
    assert_eq!(done.code, 0, "{done:?}");
    for wrong in [&["ack", "web1"][..], &["ack", "web1", "--remove", "-m", "x"], &["ack", "-m", "x"]] {
        assert_eq!(World::of(&server).alf(wrong).await.code, 2, "{wrong:?}");
    }
}

#[actix_rt::test]
async fn a_downtime_is_set_in_one_line_and_has_the_verbs_of_a_noun() {
    let server = FakeServer::start(vec![
        json("POST /api/v1/downtimes", 201, r#"{"name":"d"}"#),
        json("GET /api/v1/downtimes?limit=1000", 200, r#"{"items":[],"next":null,"total":0}"#),
        route("DELETE /api/v1/downtimes/d", 204, "", b""),
    ]);
    let done =
        World::of(&server).alf(&["downtime", "web1", "--for", "2h", "-m", "kernel", "--task", "disk", "--pause"]).await;
    assert_eq!(done.code, 0, "{done:?}");
    let sent: serde_json::Value = serde_json::from_str(&server.asked()[0].body).unwrap();
    let text = |field: &str| sent[field].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (text("host"), text("task"), text("mode"), text("comment")),
        ("web1".to_owned(), "disk".to_owned(), "pause".to_owned(), "kernel".to_owned())
    );
    let time = |field: &str| text(field).parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert_eq!((time("ends_at") - time("starts_at")).num_minutes(), 120);
    assert!(text("name").starts_with("web1-20"), "{sent}");
    assert!(done.stderr.contains(&format!("alf downtime delete {}", text("name"))), "{done:?}");
    let until = ["downtime", "-l", "role=db", "--until", "2030-01-01T00:00:00Z", "-m", "x", "--name", "mine"];
    assert_eq!(World::of(&server).alf(&until).await.code, 0);
    assert!(server.asked()[1].body.contains(r#""name":"mine","selector":"role=db""#), "{}", server.asked()[1].body);
    assert_eq!(World::of(&server).alf(&["downtime", "list"]).await.code, 0);
    assert_eq!(World::of(&server).alf(&["downtimes", "delete", "d"]).await.code, 0);
    for wrong in [&["downtime", "web1", "--for", "2h"][..], &["downtime", "web1", "-m", "x"], &["downtime", "-m", "x"]]
    {
        assert_eq!(World::of(&server).alf(wrong).await.code, 2, "{wrong:?}");
    }
}

#[actix_rt::test]
async fn all_firing_is_stopped_and_goes_on() {
    let server =
        FakeServer::start(vec![json("POST /api/v1/pause", 200, SUMMARY), json("POST /api/v1/resume", 200, SUMMARY)]);
    let done = World::of(&server).alf(&["pause"]).await;
    assert!(done.code == 0 && done.stderr.contains("alf resume"), "{done:?}");
    assert_eq!(World::of(&server).alf(&["resume"]).await.code, 0);
    assert_eq!(server.lines(), ["POST /api/v1/pause", "POST /api/v1/resume"]);
}
