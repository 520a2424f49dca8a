//! How commands end, and what is said about it.

use crate::cli::testing::{FakeServer, World, json, problem, route};

#[actix_rt::test]
async fn exit_codes_are_those_of_the_contract() {
    for (status, code) in
        [(200, 0), (400, 1), (401, 4), (403, 4), (404, 1), (409, 1), (422, 1), (429, 1), (500, 1), (503, 1)]
    {
        let answer = match status {
            200 => json("GET /api/v1/hosts/web1", 200, r#"{"name":"web1"}"#),
            _ => problem("GET /api/v1/hosts/web1", status, "it is so"),
        };
        let server = FakeServer::start(vec![answer]);
        let done = World::of(&server).alf(&["host", "get", "web1"]).await;
        assert_eq!(done.code, code, "{status}: {done:?}");
        if status != 200 {
            assert!(done.stderr.starts_with("error: it is so") && done.stdout.is_empty(), "{done:?}");
        }
    }
}

#[actix_rt::test]
async fn a_service_that_is_away_is_exit_5_and_named() {
    let server = FakeServer::start(vec![]);
    let world = World::of(&server);
    let url = server.url().to_owned();
    drop(server);
    let done = world.alf(&["status"]).await;
    assert_eq!(done.code, 5, "{done:?}");
    assert!(done.stderr.contains(&url) && done.stderr.contains("alf serve"), "{done:?}");
}

#[actix_rt::test]
async fn the_key_is_shown_to_the_service_and_never_in_the_url() {
    let server = FakeServer::start(vec![json("GET /api/v1/hosts/web1", 200, r#"{"name":"web1"}"#)]);
    World::of(&server).alf(&["host", "get", "web1"]).await;
    let asked = server.asked();
    assert_eq!(asked[0].headers.get("authorization").map(String::as_str), Some("Bearer alf_key"));
    assert!(!asked[0].line.contains("alf_key"));
}

#[actix_rt::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = FakeServer::start(vec![]);
    let server = FakeServer::start(vec![route("GET /api/v1/stats", 307, "text/html", b"")]);
    let done = World::of(&server).alf(&["stats"]).await;
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains("is this an Alf service?"), "{done:?}");
    assert!(elsewhere.lines().is_empty());
}

#[actix_rt::test]
async fn each_fault_of_a_document_is_shown() {
    let body = r#"{"title":"Unprocessable Content","status":422,"detail":"the host has 2 faults","instance":"r1",
        "errors":[{"pointer":"/port","detail":"must be from 1 to 65535"},{"pointer":"/user","detail":"must be a \u001b[31mname"}]}"#;
    let server = FakeServer::start(vec![route("POST /api/v1/hosts", 422, "application/problem+json", body.as_bytes())]);
    let mut world = World::of(&server);
    world.stdin = "name: web1\nport: 0\n";
    let done = world.alf(&["host", "create", "-f", "-"]).await;
    assert_eq!(done.code, 1);
    assert_eq!(
        done.stderr,
        "error: the host has 2 faults\n  /port: must be from 1 to 65535\n  /user: must be a \\u{1b}[31mname\n"
    );
}

#[actix_rt::test]
async fn cron_lines_are_explained_without_a_service() {
    let server = FakeServer::start(vec![]);
    let done = World::of(&server)
        .alf(&["cron", "explain", "30 10 * * *", "--timezone", "Europe/Madrid", "--count", "2"])
        .await;
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(
        done.out(),
        "line      30 10 * * *\n\
         meaning   at 10:30 every day\n\
         timezone  Europe/Madrid\n\
         next      Tue 2026-11-24 10:30:00 +01:00  =  2026-11-24T09:30:00Z\n\
         \u{20}         Wed 2026-11-25 10:30:00 +01:00  =  2026-11-25T09:30:00Z\n"
    );
    let done = World::of(&server).alf(&["cron", "explain", "@every 90s", "-o", "json", "--count", "1"]).await;
    assert!(done.out().contains("\"next\": [\n    \"2026-11-23T09:31:30.000Z\"\n  ]"), "{done:?}");
    let done = World::of(&server).alf(&["cron", "explain", "@daily", "-o", "xml", "--count", "1"]).await;
    assert!(done.out().starts_with("<preview><cron>@daily</cron><timezone>UTC</timezone>"), "{done:?}");
    assert!(server.lines().is_empty(), "no service is asked");
}
