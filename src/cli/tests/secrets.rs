//! `alf secret create` and `alf secret edit`: a value is never an argument.

use crate::cli::testing::{FakeServer, World, json};

const SECRET: &str = r#"{"name":"token","title":"token","value":{"set":true},"version":1}"#;

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

/// The body that `alf secret ARGUMENTS` sends.
async fn sent(arguments: &[&str], stdin: &'static str) -> String {
    let server = FakeServer::start(vec![
        json("POST /api/v1/secrets", 201, SECRET),
        json("PATCH /api/v1/secrets/token", 200, SECRET),
    ]);
    let world = World { stdin, ..World::of(&server) };
    let done = world.alf(&[&["secret"], arguments].concat()).await;
    assert_eq!((done.code, done.out()), (0, ""), "{done:?}");
    assert!(!done.stderr.contains("hunter2"), "{done:?}");
    server.asked().remove(0).body
}

#[actix_rt::test]
async fn a_value_comes_from_a_file_or_from_stdin_without_the_newline_at_its_end() {
    let from_file = file("hunter2\n\n");
    let path = from_file.path().to_str().unwrap();
    assert_eq!(sent(&["create", "token", path], "").await, r#"{"name":"token","value":"hunter2\n"}"#);
    let exact = sent(&["create", "token", path, "--exact", "--title", "A"], "").await;
    assert_eq!(exact, r#"{"name":"token","title":"A","value":"hunter2\n\n"}"#);
    for arguments in [&["create", "token"][..], &["create", "token", "-"]] {
        assert_eq!(sent(arguments, "hunter2\r\n").await, r#"{"name":"token","value":"hunter2"}"#);
    }
    assert_eq!(sent(&["edit", "token"], "hunter2").await, r#"{"value":"hunter2"}"#);
    assert_eq!(
        sent(&["create", "-f", "-"], "name: token\nvalue: hunter2\n").await,
        r#"{"name":"token","value":"hunter2"}"#
    );
}

#[actix_rt::test]
async fn what_holds_no_value_is_refused_before_anything_is_asked() {
    let server = FakeServer::start(vec![]);
    for stdin in ["", "\n"] {
        let done = World { stdin, ..World::of(&server) }.alf(&["secret", "create", "token"]).await;
        assert!(done.code == 1 && done.stderr.contains("standard input: is empty"), "{done:?}");
    }
    for bad in [
        &["secret", "create"][..],
        &["secret", "create", "token", "--value", "hunter2"],
        &["secret", "create", "token", "file", "-f", "other"],
        &["secret", "edit"],
    ] {
        assert_eq!(World::of(&server).alf(bad).await.code, 2, "{bad:?}");
    }
    assert!(server.lines().is_empty());
}

#[actix_rt::test]
async fn a_secret_is_shown_in_the_form_that_is_asked_for() {
    let server = FakeServer::start(vec![json("PATCH /api/v1/secrets/token", 200, SECRET)]);
    let world = World { stdin: "x", ..World::of(&server) };
    let done = world.alf(&["secret", "edit", "token", "-o", "name"]).await;
    assert_eq!((done.code, done.out()), (0, "token\n"), "{done:?}");
}
