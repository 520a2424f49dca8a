//! What is asked for again, and what is not.

use crate::cli::testing::{FakeServer, Route, World, cut, json, not_now, problem};

const RUN: &str = "POST /api/v1/hosts/web1/tasks/load/run";
const ID: &str = "019ab8c4-5d20-7000-8c3e-2b1f0a9d4e77";

fn started() -> Route {
    json(RUN, 202, &format!(r#"{{"run":"{ID}"}}"#))
}

/// The idempotency keys that were sent.
fn keys(server: &FakeServer) -> Vec<String> {
    server.asked().into_iter().map(|asked| asked.headers["idempotency-key"].clone()).collect()
}

#[actix_rt::test]
async fn what_was_not_answered_is_asked_for_again_under_the_same_key() {
    let server = FakeServer::start(vec![cut(RUN), not_now(RUN, 409), not_now(RUN, 503), started()]);
    let done = World::of(&server).alf(&["run", "web1", "load", "--no-wait"]).await;
    assert_eq!((done.code, done.out()), (0, format!("{ID}\n").as_str()), "{done:?}");
    assert!(done.stderr.contains("went away before it had answered"), "{done:?}");
    assert_eq!(done.stderr.matches("asking again for 30 s").count(), 1, "{done:?}");
    let first = keys(&server);
    assert_eq!(first.len(), 4);
    assert!(first.iter().all(|key| *key == first[0]), "{first:?}");
    let done = World::of(&server).alf(&["run", "web1", "load", "--no-wait"]).await;
    assert_eq!(done.code, 0);
    assert!(keys(&server)[4] != first[0], "another command is another request");
}

#[actix_rt::test]
async fn a_gateway_whose_service_went_away_is_asked_again() {
    let server = FakeServer::start(vec![problem(RUN, 502, "bad gateway"), started()]);
    let done = World::of(&server).alf(&["run", "web1", "load", "--no-wait"]).await;
    assert_eq!((done.code, server.asked().len()), (0, 2), "{done:?}");
}

#[actix_rt::test]
async fn a_refusal_is_not_asked_for_again() {
    for status in [400, 409, 422, 500, 503] {
        let server = FakeServer::start(vec![problem(RUN, status, "no"), started()]);
        let done = World::of(&server).alf(&["run", "web1", "load", "--no-wait"]).await;
        assert_eq!((done.code, done.stderr.as_str()), (1, "error: no\n"), "{status}");
        assert_eq!(server.asked().len(), 1, "{status}");
    }
}

#[actix_rt::test]
async fn what_changes_nothing_has_no_key() {
    let apply = "POST /api/v1/apply?dry_run=true&documents=true";
    let server = FakeServer::start(vec![json(apply, 200, r#"{"unchanged":[]}"#)]);
    let world = World { stdin: "tasks: []\n", ..World::of(&server) };
    let done = world.alf(&["apply", "-f", "-", "--dry-run"]).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!server.asked()[0].headers.contains_key("idempotency-key"));
}
