//! `alf program create|put`, and tasks that run more than a command.

use crate::cli::testing::{FakeServer, World, json, problem};

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[actix_rt::test]
async fn a_file_is_sent_as_it_is() {
    let large = "0123456789abcdef".repeat(50_000);
    let probe = file(&large);
    let path = probe.path().to_str().unwrap();
    let program = r#"{"name":"probe","size":800000,"sha256":"0123456789abcdef"}"#;
    for arguments in [&["program", "create", "probe", path][..], &["program", "create", "probe", "-f", path]] {
        let server = FakeServer::start(vec![json("PUT /api/v1/programs/probe", 201, program)]);
        let done = World::of(&server).alf(arguments).await;
        assert_eq!((done.code, done.stderr.as_str()), (0, "program \"probe\" created\n"), "{done:?}");
        let asked = server.asked().remove(0);
        assert!(asked.body == large, "{} bytes came", asked.body.len());
        assert_eq!(asked.headers["content-type"], "application/octet-stream");
        assert_eq!(asked.headers["content-length"], "800000");
        assert_eq!(asked.headers["if-none-match"], "*", "create replaces nothing");
    }
    let server = FakeServer::start(vec![json("PUT /api/v1/programs/probe", 200, program)]);
    let world = World { stdin: "from stdin", ..World::of(&server) };
    let done = world.alf(&["program", "put", "probe", "-", "-o", "name"]).await;
    assert_eq!((done.code, done.out()), (0, "probe\n"), "{done:?}");
    let asked = server.asked().remove(0);
    assert_eq!((asked.body.as_str(), asked.headers.get("if-none-match")), ("from stdin", None));
}

#[actix_rt::test]
async fn what_is_no_file_is_refused_before_anything_is_asked() {
    let server = FakeServer::start(vec![]);
    let empty = file("");
    let empty = empty.path().to_str().unwrap();
    for (arguments, said) in [
        (&["program", "put", "p", "/no/such/file"][..], "/no/such/file: cannot be read"),
        (&["program", "put", "p", empty], "is empty"),
        (&["program", "put", "p", "-"], "standard input: is empty"),
    ] {
        let done = World::of(&server).alf(arguments).await;
        assert!(done.code == 1 && done.stderr.contains(said), "{done:?}");
    }
    for bad in
        [&["program", "put", "p"][..], &["program", "create", "a/b", empty], &["program", "put", "p", "x", "-f", "x"]]
    {
        assert_eq!(World::of(&server).alf(bad).await.code, 2, "{bad:?}");
    }
    assert!(server.lines().is_empty());
    let server = FakeServer::start(vec![problem("PUT /api/v1/programs/p", 412, "there is a program p already")]);
    let world = World { stdin: "x", ..World::of(&server) };
    let done = world.alf(&["program", "create", "p", "-"]).await;
    assert!(done.code == 1 && done.stderr.contains("there is a program p already"), "{done:?}");
}

/// The task that `alf task add t ARGUMENTS` sends.
async fn added(arguments: &[&str], stdin: &'static str) -> String {
    let server = FakeServer::start(vec![
        json("POST /api/v1/tasks", 201, r#"{"name":"t"}"#),
        json("POST /api/v1/host-tasks", 201, r#"{"name":"t@web1"}"#),
        json("POST /api/v1/task-schedules", 201, r#"{"name":"t@cron"}"#),
    ]);
    let all = [&["task", "add", "t", "--on", "web1", "--cron", "@hourly"], arguments].concat();
    let done = World { stdin, ..World::of(&server) }.alf(&all).await;
    assert_eq!(done.code, 0, "{done:?}");
    server.asked().remove(0).body
}

#[actix_rt::test]
async fn a_task_runs_a_script_or_a_program() {
    let (script, input) = (file("print('hi')\n"), file("in"));
    let (script, input) = (script.path().to_str().unwrap(), input.path().to_str().unwrap());
    let body = added(&["--script", script, "--interpreter", "python3 -u", "--arg", "-x", "--arg", "a b"], "").await;
    assert_eq!(
        body,
        r#"{"name":"t","script":{"interpreter":["python3","-u"],"body":"print('hi')\n","args":["-x","a b"]}}"#
    );
    let body = added(&["--script", "-", "--stdin", input, "--cwd", "/srv", "--run-as", "deploy"], "exit 0").await;
    assert_eq!(body, r#"{"name":"t","script":{"body":"exit 0"},"stdin":"in","cwd":"/srv","run_as":"deploy"}"#);
    let body = added(&["--program", "probe", "--arg", "--all", "--stdin", "-"], "typed").await;
    assert_eq!(body, r#"{"name":"t","program":{"name":"probe","args":["--all"]},"stdin":"typed"}"#);

    let body = added(&["--command", "true", "--retention-max-count", "9", "--timeout", "none"], "").await;
    assert_eq!(body, r#"{"name":"t","command":"true","timeout":"none","retention":{"max_count":9}}"#);
    let own = ["--command", "true", "--retention-max-age", "30d", "--retention-keep-problems", "none"];
    let body = added(&own, "").await;
    assert_eq!(body, r#"{"name":"t","command":"true","retention":{"max_age":"30d","keep_problems":"none"}}"#);

    let server = FakeServer::start(vec![]);
    for bad in [
        &[][..],
        &["--command", "true", "--retention-max-count", "0"],
        &["--command", "true", "--retention-max-age", "soon"],
        &["--command", "true", "--program", "p"],
        &["--command", "true", "--arg", "x"],
        &["--program", "p", "--interpreter", "sh"],
        &["--script", "-", "--stdin", "-"],
    ] {
        let all = [&["task", "add", "t", "--on", "web1", "--cron", "@hourly"], bad].concat();
        assert_eq!(World::of(&server).alf(&all).await.code, 2, "{bad:?}");
    }
    assert!(server.lines().is_empty());
}

#[actix_rt::test]
async fn lists_show_what_is_run() {
    let server = FakeServer::start(vec![
        json(
            "GET /api/v1/tasks?limit=1000",
            200,
            r#"{"items":[
                {"name":"a","command":"uptime"},
                {"name":"b","script":{"interpreter":["python3","-u"],"body":"\nimport os","args":[]}},
                {"name":"c","program":{"name":"probe","args":["-v","x"]}}],"next":null,"total":3}"#,
        ),
        json("GET /api/v1/programs?limit=1000", 200, r#"{"items":[],"next":null,"total":0}"#),
    ]);
    let done = World::of(&server).alf(&["task", "list"]).await;
    for said in ["uptime", "python3 -u: import os", "program probe -v x"] {
        assert!(done.out().contains(said), "{said}: {done:?}");
    }
    let done = World::of(&server).alf(&["program", "list"]).await;
    assert!(done.stderr.contains("alf program create NAME FILE"), "{done:?}");
}
