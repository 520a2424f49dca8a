//! Secrets that definitions and runs name: what they say is looked up when it is needed.

use super::support::{Alf, UNSCHEDULED, name, seconds};
use crate::actors::error::AlfError;
use crate::actors::handle::{If, Order};
use crate::model::{Fault, Given, Noun, Reason};
use crate::ssh::fake::{FakeConnect, FakeExec};
use crate::ssh::{End, Exec, Login};

/// What the host was told to run last.
fn last(alf: &Alf) -> Exec {
    alf.hosts().execs("web1").pop().unwrap()
}

fn variable(exec: &Exec, name: &str) -> Option<String> {
    exec.env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}

#[track_caller]
fn faults(outcome: Result<impl std::fmt::Debug, AlfError>) -> Vec<Fault> {
    match outcome.unwrap_err() {
        AlfError::Invalid(faults) => faults,
        other => panic!("{other:?}"),
    }
}

#[actix_rt::test]
async fn a_run_has_what_its_secrets_say_when_it_starts() {
    let alf = Alf::with(
        r#"{"secrets": [{"name": "a", "value": "1 'a'\n"}, {"name": "b", "value": "b"}, {"name": "c", "value": "c"}],
            "credentials": [{"name": "ops", "agent": true, "sudo_password": {"secret": "b"}}],
            "hosts": [{"name": "web1", "credential": "ops", "env": {"A": {"secret": "a"}, "B": {"secret": "b"}}}],
            "tasks": [{"name": "check", "command": "check", "run_as": "deploy", "env": {"B": "task"},
                       "stdin": {"secret": "c"}}],
            "host_tasks": [{"task": "check", "host": "web1", "env": {"C": {"secret": "c"}}}]}"#,
    )
    .await;
    alf.run_to_end("web1", "check").await;
    let exec = last(&alf);
    assert_eq!(["A", "B", "C"].map(|name| variable(&exec, name).unwrap()), ["1 'a'\n", "task", "c"]);
    assert_eq!((exec.stdin.as_deref(), exec.run_as.unwrap().password.unwrap().reveal()), (Some(&b"c"[..]), "b"));

    alf.define(r#"{"secrets": [{"name": "b", "value": "other"}, {"name": "c", "value": "other"}]}"#).await;
    let given = Given::check(serde_json::from_str(r#"{"env": {"A": {"secret": "b"}}}"#).unwrap()).unwrap();
    let order = Order { given: given.into(), ..Order::default() };
    let run = alf.handle.run(name("web1"), name("check"), order).await.unwrap();
    alf.handle.wait(run, seconds(60)).await.unwrap().unwrap();
    let exec = last(&alf);
    assert_eq!((variable(&exec, "A").as_deref(), exec.stdin.as_deref()), (Some("other"), Some(&b"other"[..])));
    assert_eq!(exec.run_as.unwrap().password.unwrap().reveal(), "other");
    assert_eq!(alf.hosts().connects("web1"), 1, "none of them is for the login");
    let alf = alf.end().await.start().await;
    alf.run_to_end("web1", "check").await;
    assert_eq!(variable(&last(&alf), "A").as_deref(), Some("1 'a'\n"));
    alf.end().await;
}

#[actix_rt::test]
async fn another_password_is_another_login() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.define(
        r#"{"secrets": [{"name": "pw", "value": "one"}], "credentials": [{"name": "c", "password": {"secret": "pw"}}],
            "hosts": [{"name": "web1", "credential": "c"}]}"#,
    )
    .await;
    let secret = |value: &str| format!(r#"{{"secrets": [{{"name": "pw", "value": "{value}"}}]}}"#);
    for (count, value) in [(1, "one"), (2, "two"), (2, "two")] {
        alf.define(&secret(value)).await;
        alf.run_to_end("web1", "check").await;
        let targets = alf.hosts().targets("web1");
        let Some(Login::Password(password)) = targets.last().map(|target| &target.login) else { panic!() };
        assert_eq!((targets.len(), password.reveal()), (count, value));
    }
    alf.end().await;
}

#[actix_rt::test]
async fn what_is_named_is_there_and_stays() {
    let alf = Alf::with(UNSCHEDULED).await;
    let none = r#"{"secret": "none"}"#;
    for (noun, document, pointers) in [
        (Noun::Host, format!(r#"{{"name": "h", "env": {{"A": {none}}}}}"#), &["/env/A"][..]),
        (
            Noun::Task,
            format!(r#"{{"name": "t", "command": "c", "env": {{"A": {none}}}, "stdin": {none}}}"#),
            &["/stdin", "/env/A"],
        ),
        (
            Noun::HostTask,
            format!(r#"{{"task": "check", "host": "web1", "env": {{"A": {none}, "B": "b"}}}}"#),
            &["/env/A"],
        ),
        (
            Noun::Credential,
            format!(r#"{{"name": "c", "password": {none}, "sudo_password": {none}}}"#),
            &["/password", "/sudo_password"],
        ),
    ] {
        let faults = faults(alf.put(noun, &document, If::None).await);
        assert_eq!(faults.iter().map(|fault| fault.pointer.as_str()).collect::<Vec<_>>(), pointers);
        assert!(faults.iter().all(|fault| fault.detail == "there is no secret \"none\""), "{faults:?}");
    }
    alf.define(
        r#"{"secrets": [{"name": "s", "value": "x"}], "tasks": [{"name": "t", "command": "c", "stdin": {"secret": "s"}}],
            "credentials": [{"name": "c", "key_file": "~/.ssh/id", "passphrase": {"secret": "s"}}]}"#,
    )
    .await;
    for cascade in [false, true] {
        let in_use = alf.delete(Noun::Secret, "s", cascade).await.unwrap_err().to_string();
        assert!(in_use.contains("credential \"c\"") && in_use.contains("task \"t\""), "{in_use}");
    }
    alf.define(r#"{"tasks": [{"name": "t", "command": "c"}], "credentials": [{"name": "c", "agent": true}]}"#).await;
    alf.delete(Noun::Secret, "s", false).await.unwrap();
    alf.end().await;
}

#[actix_rt::test]
async fn sudos_password_is_one_line_whichever_of_the_two_changes() {
    let alf = Alf::with(r#"{"secrets": [{"name": "one", "value": "1"}, {"name": "two", "value": "1\n2"}]}"#).await;
    let credential =
        |secret: &str| format!(r#"{{"name": "c", "agent": true, "sudo_password": {{"secret": "{secret}"}}}}"#);
    let refused = faults(alf.put(Noun::Credential, &credential("two"), If::None).await);
    assert_eq!(refused[0].pointer, "/sudo_password");
    alf.put(Noun::Credential, &credential("one"), If::None).await.unwrap();
    let refused = faults(alf.put(Noun::Secret, r#"{"name": "one", "value": "1\n"}"#, If::None).await);
    assert!(refused[0].pointer == "/value" && refused[0].detail.contains("credential \"c\""), "{refused:?}");
    alf.define(r#"{"secrets": [{"name": "one", "value": "other"}]}"#).await;
    alf.end().await;
}

#[actix_rt::test]
async fn a_secret_that_is_gone_keeps_a_run_from_starting_and_no_message_holds_one() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.define(
        r#"{"secrets": [{"name": "s", "value": "hunter2"}],
            "tasks": [{"name": "check", "command": "check", "env": {"S": {"secret": "s"}}}]}"#,
    )
    .await;
    alf.hosts().on_exec("web1", FakeExec::ends(End::Setup("sh: export S='hunter2': what?".to_owned())));
    let result = alf.run_to_end("web1", "check").await;
    assert_eq!(result.reason, Some(Reason::Setup));
    assert!(result.message.contains("export S='…'") && !result.message.contains("hunter2"), "{}", result.message);

    // The task lets go of its secret while a run that has it still waits for the host.
    alf.hosts().cut("web1", "gone");
    alf.hosts().on_connect("web1", FakeConnect::ok().after(seconds(30)));
    let run = alf.run("web1", "check").await.unwrap();
    alf.settle().await;
    alf.define(r#"{"tasks": [{"name": "check", "command": "check"}]}"#).await;
    alf.delete(Noun::Secret, "s", false).await.unwrap();
    let result = alf.handle.wait(run, seconds(120)).await.unwrap().unwrap();
    assert_eq!((result.reason, result.message.as_str()), (Some(Reason::Setup), "there is no secret \"s\" any more"));
    alf.end().await;
}
