//! What reaches a host of a task's definition, and where the bytes of programs are.

use bytes::Bytes;

use super::support::{Alf, UNSCHEDULED, World, name};
use crate::actors::catalog::PutDone;
use crate::actors::error::AlfError;
use crate::actors::handle::If;
use crate::model::{AnyDefinition, ContentHash, Noun, ProgramDocument, Rights};
use crate::ssh::{Exec, Login, Work};
use crate::store::Store as _;

/// Puts a program as a client does.
async fn put(alf: &Alf, of: &str, bytes: &'static [u8], condition: If) -> Result<PutDone, AlfError> {
    let now = alf.handle.catalog().programs.get(&name(of)).cloned();
    let document = ProgramDocument::replacing(now.as_deref(), Some(name(of)));
    alf.handle.put_program(document, Bytes::from_static(bytes), condition, Rights::all()).await
}

/// What the host was told to run last.
fn last(alf: &Alf) -> Exec {
    alf.hosts().execs("web1").pop().unwrap()
}

async fn bytes(exec: &Exec) -> Result<Bytes, String> {
    let Work::Program(file) = &exec.work else { panic!("no program: {exec:?}") };
    file.source.bytes().await
}

#[actix_rt::test]
async fn a_script_reaches_the_host_with_all_that_belongs_to_it() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.define(
        r#"{"credentials": [{"name": "ops", "agent": true, "sudo_password": "s3cret"}],
            "hosts": [{"name": "web1", "credential": "ops"}],
            "tasks": [{"name": "check", "script": {"interpreter": ["python3", "-u"], "body": "pass", "args": ["a b"]},
                       "stdin": "in", "cwd": "/srv", "run_as": "deploy"}]}"#,
    )
    .await;
    alf.run_to_end("web1", "check").await;
    let exec = last(&alf);
    let Work::Script { interpreter, body } = &exec.work else { panic!("{exec:?}") };
    assert_eq!((interpreter.join(" ").as_str(), body.as_str()), ("python3 -u", "pass"));
    assert_eq!(
        (exec.args, exec.cwd.as_deref(), exec.stdin.as_deref()),
        (vec!["a b".to_owned()], Some("/srv"), Some(&b"in"[..]))
    );
    let run_as = exec.run_as.unwrap();
    assert_eq!((run_as.user.as_str(), run_as.password.unwrap().reveal()), ("deploy", "s3cret"));

    // Another password for sudo is no other login; the next run is told it.
    alf.define(r#"{"credentials": [{"name": "ops", "agent": true, "sudo_password": "other"}]}"#).await;
    alf.run_to_end("web1", "check").await;
    assert_eq!(last(&alf).run_as.unwrap().password.unwrap().reveal(), "other");
    assert_eq!(alf.hosts().connects("web1"), 1);
    alf.end().await;
}

#[actix_rt::test]
async fn another_certificate_is_another_login() {
    let alf = Alf::with(UNSCHEDULED).await;
    let certificate = |last: &str| {
        let blob = format!("AAAAHHNzaC1yc2EtY2VydC12MDFAb3BlbnNzaC5jb20{last}");
        format!("ssh-rsa-cert-v01@openssh.com {blob}")
    };
    for (count, last) in [(1, "A"), (2, "B"), (2, "B")] {
        let line = certificate(&last.repeat(5));
        let credential = format!(
            r#"{{"name": "c", "private_key": "-----BEGIN OPENSSH PRIVATE KEY-----", "certificate": "{line}"}}"#
        );
        alf.put(Noun::Credential, &credential, If::None).await.unwrap();
        alf.put(Noun::Host, r#"{"name": "web1", "credential": "c"}"#, If::None).await.unwrap();
        alf.run_to_end("web1", "check").await;
        let targets = alf.hosts().targets("web1");
        assert_eq!(targets.len(), count);
        let Some(Login::PrivateKey { certificate, .. }) = targets.last().map(|target| &target.login) else { panic!() };
        assert_eq!(certificate.as_deref(), Some(line.as_str()));
    }
    alf.end().await;
}

#[actix_rt::test]
async fn a_program_is_run_as_it_is_when_the_run_starts() {
    let alf = Alf::with(UNSCHEDULED).await;
    assert!(put(&alf, "probe", b"one", If::Absent).await.unwrap().created);
    alf.define(r#"{"tasks": [{"name": "check", "program": {"name": "probe", "args": ["-v"]}}]}"#).await;
    assert_eq!(alf.run_to_end("web1", "check").await.reason, None);
    let first = last(&alf);
    assert_eq!((first.text(), first.args.as_slice()), (ContentHash::of(b"one").as_str(), &["-v".to_owned()][..]));
    assert_eq!(bytes(&first).await.unwrap(), "one");

    put(&alf, "probe", b"two", If::Version(vec![1])).await.unwrap();
    alf.run_to_end("web1", "check").await;
    assert_eq!(bytes(&last(&alf)).await.unwrap(), "two", "new bytes are run from the next run on");
    assert!(bytes(&first).await.unwrap_err().contains("\"probe\" was replaced"), "the old ones are gone");
    let in_use = alf.delete(Noun::Program, "probe", true).await.unwrap_err().to_string();
    assert!(in_use.contains("in use by task \"check\""), "{in_use}");
    let world = alf.end().await;
    let alf = world.start().await;
    alf.run_to_end("web1", "check").await;
    assert_eq!(bytes(&last(&alf)).await.unwrap(), "two");
    alf.end().await;
}

#[actix_rt::test]
async fn bytes_are_kept_as_long_as_a_program_has_them() {
    let alf = World::new().start().await;
    let kept = async |bytes: &[u8]| alf.store().blob(ContentHash::of(bytes)).await.unwrap().is_some();
    put(&alf, "a", b"one", If::None).await.unwrap();
    put(&alf, "b", b"one", If::None).await.unwrap();
    assert!(!put(&alf, "b", b"one", If::None).await.unwrap().changed);
    let stale = put(&alf, "a", b"two", If::Version(vec![7])).await;
    assert!(matches!(stale, Err(AlfError::Precondition { .. })) && !kept(b"two").await);
    put(&alf, "a", b"two", If::None).await.unwrap();
    assert!(kept(b"one").await && kept(b"two").await, "b still has the first");
    alf.delete(Noun::Program, "b", false).await.unwrap();
    assert!(!kept(b"one").await && kept(b"two").await);

    // A document alone moves no bytes and cannot speak of others.
    let renamed = format!(r#"{{"name": "a", "title": "A", "sha256": "{}", "size": 3}}"#, ContentHash::of(b"two"));
    let done = alf.put(Noun::Program, &renamed, If::None).await.unwrap();
    let AnyDefinition::Program(program) = done.definition else { panic!() };
    assert!(program.meta.title() == "A" && kept(b"two").await);
    let other = renamed.replace(ContentHash::of(b"two").as_str(), ContentHash::of(b"one").as_str());
    let refused = alf.put(Noun::Program, &other, If::None).await.unwrap_err();
    assert!(matches!(&refused, AlfError::Invalid(faults) if faults[0].pointer == "/sha256"), "{refused:?}");
    alf.delete(Noun::Program, "a", false).await.unwrap();
    assert!(!kept(b"two").await);
    alf.end().await;
}
