//! `alf NOUN list|get|create|delete`.

use crate::cli::testing::{FakeServer, World, json, problem, route};

const HOST: &str = r#"{"name":"web1","title":"web1","labels":{"role":"web"},"address":"192.0.2.1","port":22,
    "user":null,"credential":"ops","enabled":true,"max_sessions":10,"version":1,"updated_at":"2026-11-23T08:00:00.000Z"}"#;

fn hosts() -> FakeServer {
    let first = format!(r#"{{"items":[{HOST}],"next":"c1","total":2}}"#);
    let second =
        r#"{"items":[{"name":"web2","address":"evil\u001b[2J","port":2222,"enabled":false}],"next":null,"total":2}"#;
    FakeServer::start(vec![
        json("GET /api/v1/hosts?limit=1000", 200, &first),
        json("GET /api/v1/hosts?limit=1000&cursor=c1", 200, second),
    ])
}

#[actix_rt::test]
async fn a_list_is_whole_and_hostile_text_is_escaped() {
    let server = hosts();
    let done = World::of(&server).alf(&["hosts", "list"]).await;
    assert_eq!(
        done.out(),
        "NAME  ADDRESS        PORT  USER  CREDENTIAL  ENABLED  LABELS\n\
         web1  192.0.2.1      22    -     ops         true     role=web\n\
         web2  evil\\u{1b}[2J  2222  -     -           false    -\n"
    );
    let done = World::of(&server).alf(&["hosts", "list", "-o", "name"]).await;
    assert_eq!(done.out(), "web1\nweb2\n");
}

#[actix_rt::test]
async fn times_are_local_with_their_offset_or_utc() {
    for (flags, shown) in [(&[][..], "2026-11-23T09:00:00+01:00"), (&["--utc"], "2026-11-23T08:00:00Z")] {
        let arguments = [&["host", "list", "-o", "wide"], flags].concat();
        let done = World::of(&hosts()).alf(&arguments).await;
        assert!(done.out().contains(shown), "{done:?}");
    }
}

#[actix_rt::test]
async fn json_and_yaml_keep_the_order_of_fields() {
    let done = World::of(&hosts()).alf(&["host", "list", "-o", "json"]).await;
    assert!(done.out().starts_with("{\n  \"items\": [\n    {\n      \"name\": \"web1\",\n      \"title\""), "{done:?}");
    assert!(done.out().trim_end().ends_with("\"next\": null,\n  \"total\": 2\n}"), "{done:?}");
    let server = FakeServer::start(vec![json("GET /api/v1/hosts/web1", 200, HOST)]);
    let done = World::of(&server).alf(&["host", "get", "web1", "-o", "yaml"]).await;
    assert!(done.out().starts_with("name: web1\ntitle: web1\nlabels:\n  role: web\naddress: "), "{done:?}");
}

#[actix_rt::test]
async fn xml_is_asked_for_and_shown_as_it_came() {
    let server = FakeServer::start(vec![
        route("GET /api/v1/hosts/web1", 200, "application/xml", b"<host><name>web1</name></host>"),
        route(
            "GET /api/v1/hosts/web2",
            404,
            "application/problem+xml",
            b"<problem><detail>there is no web2</detail></problem>",
        ),
    ]);
    let done = World::of(&server).alf(&["host", "get", "web1", "-o", "xml"]).await;
    assert_eq!(done.out(), "<host><name>web1</name></host>\n");
    assert_eq!(server.asked()[0].headers["accept"], "application/xml");
    let done = World::of(&server).alf(&["host", "get", "web2", "-o", "xml"]).await;
    assert_eq!((done.code, done.stderr.as_str()), (1, "error: there is no web2\n"));
}

#[actix_rt::test]
async fn colours_are_for_terminals_only_and_no_color_turns_them_off() {
    let row = r#"{"items":[{"host":"web1","task":"load","state":"CRITICAL"}],"next":null}"#;
    for (terminal, no_color, coloured) in [(false, "", false), (true, "", true), (true, "1", false)] {
        let server = FakeServer::start(vec![json("GET /api/v1/status?limit=1000", 200, row)]);
        let mut world = World::of(&server);
        world.is_terminal = terminal;
        world.environment.insert("NO_COLOR".to_owned(), no_color.to_owned());
        let done = world.alf(&["status"]).await;
        assert_eq!(done.out().contains("\x1b[31mCRITICAL\x1b[0m"), coloured, "{done:?}");
        assert_eq!(done.out().contains('\x1b'), coloured, "{done:?}");
    }
}

#[actix_rt::test]
async fn selectors_and_texts_arrive_whole() {
    let server = FakeServer::start(vec![json(
        "GET /api/v1/hosts?selector=zone+in+%28a%2Cb%29%2C%21old&q=x%26y&limit=1000",
        200,
        r#"{"items":[],"next":null,"total":0}"#,
    )]);
    let done = World::of(&server).alf(&["host", "list", "-l", "zone in (a,b),!old", "-q", "x&y"]).await;
    assert_eq!((done.code, done.out(), done.stderr.as_str()), (0, "", "no host matches\n"), "{:?}", server.lines());
}

#[actix_rt::test]
async fn many_are_created_and_a_refused_one_keeps_none_back() {
    let server = FakeServer::start(vec![
        json("POST /api/v1/tasks", 201, r#"{"name":"a"}"#),
        problem("POST /api/v1/tasks", 409, "task b is there already"),
        json("POST /api/v1/tasks", 201, r#"{"name":"c"}"#),
    ]);
    let mut world = World::of(&server);
    world.stdin = "name: a\ncommand: 'no'\n---\nname: b\n---\nname: c\n";
    let done = world.alf(&["tasks", "create", "-f", "-"]).await;
    assert_eq!(done.code, 1, "{done:?}");
    assert_eq!(
        done.stderr,
        "task \"a\" created\nerror: document 2 (\"b\"): task b is there already\ntask \"c\" created\n"
    );
    assert_eq!(server.asked()[0].body, r#"{"name":"a","command":"no"}"#);
    assert_eq!(server.asked()[0].headers["content-type"], "application/json");
}

#[actix_rt::test]
async fn xml_is_sent_as_it_is() {
    let server = FakeServer::start(vec![json("POST /api/v1/hosts", 201, r#"{"name":"web1"}"#)]);
    let mut world = World::of(&server);
    world.stdin = "<host><name>web1</name></host>\n";
    let done = world.alf(&["host", "create", "-f", "-", "-o", "name"]).await;
    assert_eq!((done.code, done.out()), (0, "web1\n"));
    assert_eq!(server.asked()[0].headers["content-type"], "application/xml");
    assert_eq!(server.asked()[0].body, "<host><name>web1</name></host>\n");
}

#[actix_rt::test]
async fn deletion_may_take_the_links_along() {
    let server = FakeServer::start(vec![
        route("DELETE /api/v1/tasks/load?cascade=true", 204, "", b""),
        route("DELETE /api/v1/task-schedules/load@cron", 204, "", b""),
    ]);
    let done = World::of(&server).alf(&["task", "delete", "load", "--cascade"]).await;
    assert_eq!((done.code, done.stderr.as_str()), (0, "task \"load\" deleted\n"));
    let done = World::of(&server).alf(&["task-schedules", "delete", "load@cron"]).await;
    assert_eq!((done.code, done.stderr.as_str()), (0, "task-schedule \"load@cron\" deleted\n"));
}

#[actix_rt::test]
async fn what_is_in_use_stays_and_the_way_out_is_named() {
    let server = FakeServer::start(vec![problem("DELETE /api/v1/hosts/web1", 409, "is in use")]);
    let done = World::of(&server).alf(&["host", "delete", "web1"]).await;
    assert!(done.code == 1 && done.stderr.contains("--cascade"), "{done:?}");
}

#[actix_rt::test]
async fn a_new_key_goes_to_stdout_whatever_the_format() {
    for (flags, shown) in
        [(&[][..], "alf_new\n"), (&["-o", "table"], "alf_new\n"), (&["-o", "json"], "\"key\": \"alf_new\"")]
    {
        let server = FakeServer::start(vec![json(
            "POST /api/v1/keys",
            201,
            r#"{"name":"ci","role":"operator","key":"alf_new"}"#,
        )]);
        let done = World::of(&server).alf(&[&["key", "create", "ci", "--role", "operator"], flags].concat()).await;
        assert!(done.code == 0 && done.out().contains(shown), "{done:?}");
        assert_eq!(server.asked()[0].body, r#"{"name":"ci","role":"operator"}"#);
        assert!(!done.stderr.contains("alf_new"), "{done:?}");
    }
    let server =
        FakeServer::start(vec![json("POST /api/v1/keys", 201, r#"{"name":"w","role":"admin","key":"alf_new"}"#)]);
    let flags = ["--name", "w", "--role", "admin", "-l", "role=web", "--expires", "2999-01-01"];
    let done = World::of(&server).alf(&[&["key", "create"], &flags[..]].concat()).await;
    assert_eq!(done.code, 0, "{done:?}");
    let sent = r#"{"name":"w","role":"admin","selector":"role=web","expires_at":"2999-01-01T00:00:00.000Z"}"#;
    assert_eq!(server.asked()[0].body, sent);
}
