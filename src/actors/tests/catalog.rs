//! Definitions: versions, preconditions, references, deletions, several writers, secrets.

use std::sync::Arc;

use super::support::{Alf, UNSCHEDULED, World, name, one, seconds, start};
use crate::actors::definitions::read_rows;
use crate::actors::error::AlfError;
use crate::actors::handle::If;
use crate::model::{AnyDefinition, Defaults, Fault, KeyDocument, Noun, Reference, Rights, Role};
use crate::store::{DefinitionChange, DefinitionRow, Store as _, StoreError};

fn reference(noun: Noun, of: &str) -> Reference {
    Reference { noun, name: name(of) }
}

#[actix_rt::test]
async fn a_version_counts_what_changed() {
    let alf = World::new().start().await;
    let put = async |json: &str| alf.put(Noun::Host, json, If::None).await.unwrap();
    let first = put(r#"{"name": "web1", "labels": {"role": "web"}}"#).await;
    assert_eq!((first.created, first.changed, first.definition.version()), (true, true, 1));
    tokio::time::sleep(seconds(60)).await;
    let same = put(r#"{"labels": {"role": "web"}, "name": "web1", "port": 22, "version": 77}"#).await;
    assert_eq!((same.created, same.changed, same.definition.version()), (false, false, 1));
    let revision = alf.store().load().await.unwrap().revision;
    let other = put(r#"{"name": "web1"}"#).await;
    assert_eq!(
        (other.created, other.changed, other.definition.version()),
        (false, true, 2),
        "labels are gone: replaced"
    );
    assert_eq!(alf.store().load().await.unwrap().revision, revision + 1);
    let Some(AnyDefinition::Host(host)) = alf.get(Noun::Host, "web1") else { panic!("no host") };
    assert_eq!(host.meta.created_at, Some(start().into()));
    assert!(host.meta.updated_at > host.meta.created_at);
    let world = alf.end().await;
    let alf = world.start().await;
    assert_eq!(alf.get(Noun::Host, "web1"), Some(AnyDefinition::Host(host)), "the same after a restart");
    alf.end().await;
}

#[actix_rt::test]
async fn preconditions_hold_or_nothing_is_written() {
    let alf = World::new().start().await;
    let put = async |json: &str, condition: If| {
        alf.put(Noun::Host, json, condition).await.map(|done| done.definition.version())
    };
    let at = |version: Option<u64>| Err(AlfError::Precondition { reference: reference(Noun::Host, "web1"), version });
    let (one, two) = (r#"{"name": "web1"}"#, r#"{"name": "web1", "port": 2222}"#);
    assert_eq!(put(one, If::Exists).await, at(None));
    assert_eq!(put(one, If::Version(vec![1])).await, at(None));
    assert_eq!(put(one, If::Absent).await, Ok(1));
    assert_eq!(put(two, If::Absent).await, Err(AlfError::Taken(reference(Noun::Host, "web1"))));
    assert_eq!(put(two, If::Version(vec![2, 3])).await, at(Some(1)));
    assert_eq!(put(two, If::Version(vec![1])).await, Ok(2));
    assert_eq!(put(one, If::Version(vec![1])).await, at(Some(2)), "who changed it meanwhile is not overwritten");
    assert_eq!(put(one, If::Exists).await, Ok(3));
    let delete =
        async |condition| alf.handle.delete(reference(Noun::Host, "web1"), condition, false, Rights::all()).await;
    assert_eq!(delete(If::Version(vec![2])).await.map(|()| 0), at(Some(3)));
    assert_eq!(delete(If::Version(vec![3])).await, Ok(()));
    assert_eq!(delete(If::None).await, Err(AlfError::NotFound(reference(Noun::Host, "web1"))));
    alf.end().await;
}

#[actix_rt::test]
async fn what_is_named_must_be_there() {
    let alf = World::new().start().await;
    let refused = async |noun: Noun, json: &str| match alf.put(noun, json, If::None).await {
        Err(AlfError::Invalid(faults)) => faults,
        other => panic!("{other:?}"),
    };
    let faults = refused(Noun::HostTask, r#"{"task": "check", "host": "web1"}"#).await;
    let expected =
        [Fault::new("/task", "there is no task \"check\""), Fault::new("/host", "there is no host \"web1\"")];
    assert_eq!(faults, expected);
    let faults = refused(Noun::Host, r#"{"name": "web1", "credential": "deploy"}"#).await;
    assert_eq!(faults, [Fault::new("/credential", "there is no credential \"deploy\"")]);
    let faults = refused(Noun::TaskSchedule, r#"{"task": "check", "schedule": "daily", "host": "web1"}"#).await;
    assert_eq!(faults.len(), 3);
    let faults = refused(Noun::Host, r#"{"name": "web1", "port": 0, "max_sessions": 0}"#).await;
    assert_eq!(faults.iter().map(|fault| fault.pointer.as_str()).collect::<Vec<_>>(), ["/port", "/max_sessions"]);
    assert_eq!(alf.store().load().await.unwrap().definitions, []);
    alf.end().await;
}

#[actix_rt::test]
async fn what_is_in_use_stays_unless_its_links_may_go_too() {
    let alf = Alf::with(&one("@every 1h")).await;
    alf.define(
        r#"{"credentials": [{"name": "deploy", "agent": true}],
            "hosts": [{"name": "web1", "credential": "deploy"}, {"name": "web2", "credential": "deploy"}],
            "host_tasks": [{"task": "check", "host": "web2"}]}"#,
    )
    .await;
    let users = async |noun: Noun, of: &str, cascade: bool| match alf.delete(noun, of, cascade).await {
        Err(AlfError::InUse { used, users }) => {
            assert_eq!(used, reference(noun, of));
            users.iter().map(ToString::to_string).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(
        users(Noun::Task, "check", false).await,
        ["host-task \"check@web1\"", "host-task \"check@web2\"", "task-schedule \"often\""]
    );
    assert_eq!(users(Noun::Host, "web1", false).await, ["host-task \"check@web1\""]);
    let of_credential = users(Noun::Credential, "deploy", true).await;
    assert_eq!(of_credential, ["host \"web1\"", "host \"web2\""], "hosts are no links: they stay");
    alf.delete(Noun::Host, "web1", true).await.unwrap();
    let left: Vec<_> = alf.handle.catalog().host_tasks.keys().map(ToString::to_string).collect();
    assert_eq!(left, ["check@web2"]);
    assert!(alf.get(Noun::Task, "check").is_some() && alf.get(Noun::TaskSchedule, "often").is_some());
    alf.delete(Noun::Task, "check", true).await.unwrap();
    assert!(alf.get(Noun::TaskSchedule, "often").is_none());
    let nouns: Vec<_> = alf.store().load().await.unwrap().definitions.iter().map(|row| row.noun).collect();
    assert_eq!(nouns, [Noun::Credential, Noun::Host, Noun::Schedule]);
    alf.delete(Noun::Host, "web2", false).await.unwrap();
    alf.delete(Noun::Credential, "deploy", false).await.unwrap();
    alf.end().await;
}

#[actix_rt::test]
async fn several_writers_of_a_store_lose_nothing() {
    let alf = Alf::with(UNSCHEDULED).await;
    // Another process on the same store.
    let other_store = alf.store().clone();
    let loaded = other_store.load().await.unwrap();
    let web1 = loaded.definitions.iter().find(|row| row.noun == Noun::Host).unwrap().clone();
    let web7 = DefinitionRow { name: name("web7"), body: web1.body.replace("web1", "web7"), ..web1.clone() };
    let changes = vec![DefinitionChange::Put(web7)];
    other_store.change_definitions(loaded.revision, changes).await.unwrap();
    assert!(alf.get(Noun::Host, "web7").is_none(), "nobody told us");
    let done = alf.put(Noun::HostTask, r#"{"task": "check", "host": "web7"}"#, If::None).await;
    assert!(matches!(done, Err(AlfError::Invalid(_))), "not known before the first conflict: {done:?}");
    let done = alf.put(Noun::Host, r#"{"name": "web2"}"#, If::Absent).await.unwrap();
    assert_eq!((done.created, done.definition.version()), (true, 1));
    let hosts: Vec<_> = alf.handle.catalog().hosts.keys().map(ToString::to_string).collect();
    assert_eq!(hosts, ["web1", "web2", "web7"], "both changes are there");
    alf.settle().await;
    assert_eq!(alf.health(&["node", "web7"]).await.state, "up", "the node has heard of it");
    alf.define(r#"{"host_tasks": [{"task": "check", "host": "web7"}]}"#).await;
    assert_eq!(alf.run_to_end("web7", "check").await.reason, None);

    // The other one takes what we want to change, and what we want to delete.
    let loaded = other_store.load().await.unwrap();
    let changed = DefinitionRow { version: 5, body: web1.body.replace("\"port\":22,", "\"port\":23,"), ..web1 };
    let changes = vec![DefinitionChange::Remove(reference(Noun::Host, "web2")), DefinitionChange::Put(changed)];
    other_store.change_definitions(loaded.revision, changes).await.unwrap();
    assert_eq!(
        alf.delete(Noun::Host, "web2", false).await,
        Err(AlfError::NotFound(reference(Noun::Host, "web2"))),
        "read again, it is gone already"
    );
    let stale = alf.put(Noun::Host, r#"{"name": "web1", "port": 24}"#, If::Version(vec![1])).await;
    let now = Some(5);
    assert_eq!(
        stale.map(|_| ()),
        Err(AlfError::Precondition { reference: reference(Noun::Host, "web1"), version: now })
    );
    alf.end().await;
}

#[actix_rt::test]
async fn two_alfs_that_write_at_once_both_get_through() {
    let alf = World::new().start().await;
    let second = crate::actors::catalog::CatalogParts {
        published: crate::actors::published::Published::new(crate::model::Catalog::default()),
        store: Arc::new(alf.store().clone()),
        writer: alf.handle.writer.clone(),
        vault: Arc::new(alf.world.vault()),
        defaults: Arc::new(Defaults::default()),
        clock: alf.world.clock.clone(),
        audit_ids: Arc::default(),
        node: alf.handle.node().clone(),
    };
    let second = Arc::new(second);
    let slot = crate::actors::supervision::keep("catalog", actix_rt::Arbiter::current(), move |obituary| {
        crate::actors::catalog::CatalogActor::new(Arc::clone(&second), obituary)
    });
    for n in 0..20 {
        let json = format!(r#"{{"name": "a{n}"}}"#);
        let ours = alf.put(Noun::Host, &json, If::Absent);
        let draft = crate::actors::catalog::Draft::read(Noun::Host, &format!(r#"{{"name": "b{n}"}}"#)).unwrap();
        let theirs = slot.get().send(crate::actors::catalog::Put {
            draft,
            condition: If::Absent,
            rights: Rights::all(),
            origin: Arc::default(),
        });
        let (ours, theirs) = tokio::join!(ours, theirs);
        assert!(ours.unwrap().created && theirs.unwrap().unwrap().created);
    }
    assert_eq!(alf.store().load().await.unwrap().definitions.len(), 40);
    slot.stop().await;
    drop(slot);
    alf.end().await;
}

#[actix_rt::test]
async fn a_store_that_does_not_take_a_change_leaves_all_as_it_was() {
    let alf = Alf::with(UNSCHEDULED).await;
    let down = StoreError::Unavailable("disk full".to_owned());
    alf.store().fail_definitions(Some(down.clone()));
    let refused = alf.put(Noun::Host, r#"{"name": "web2"}"#, If::None).await.map(|_| ());
    assert_eq!(refused, Err(AlfError::Store(down.to_string())));
    assert_eq!(alf.delete(Noun::Host, "web1", true).await, Err(AlfError::Store(down.to_string())));
    assert!(alf.get(Noun::Host, "web2").is_none() && alf.get(Noun::Host, "web1").is_some());
    assert_eq!(alf.handle.ready().await, [down.to_string()]);
    let started = tokio::time::Instant::now();
    assert_eq!(alf.run("web1", "check").await, Err(AlfError::Store(down.to_string())));
    assert_eq!(started.elapsed(), seconds(0), "nobody is kept waiting for what is known");
    alf.store().fail_definitions(None);
    tokio::time::sleep(seconds(10)).await;
    assert_eq!(alf.handle.ready().await, Vec::<String>::new(), "found out without a write");
    alf.define(r#"{"hosts": [{"name": "web2"}]}"#).await;
    alf.end().await;
}

#[actix_rt::test]
async fn secrets_never_stand_in_the_clear() {
    let alf = World::new().start().await;
    alf.define(r#"{"credentials": [{"name": "deploy", "password": "hunter2"}], "hosts": [{"name": "web1", "credential": "deploy"}]}"#)
        .await;
    let document = KeyDocument { name: Some(name("ci")), role: Some(Role::Viewer), ..KeyDocument::default() };
    let (_, key) = alf.handle.put_key(document, If::Absent, Rights::all()).await.unwrap();
    let key = key.unwrap();
    for row in alf.store().load().await.unwrap().definitions {
        let shown = format!("{row:?}");
        assert!(!shown.contains("hunter2") && !shown.contains(key.reveal()), "{shown}");
        let sealed = String::from_utf8_lossy(row.sealed.as_deref().unwrap_or_default()).into_owned();
        assert!(!sealed.contains("hunter2"));
        assert_eq!(row.sealed.is_some(), row.noun != Noun::Host);
    }
    let kept = alf.put(Noun::Credential, r#"{"name": "deploy", "password": {"set": true}}"#, If::None).await.unwrap();
    assert!(!kept.changed, "sent back as it was shown, the secret stays");
    let world = alf.end().await;

    // After a restart they are what they were.
    let alf = world.start().await;
    alf.define(r#"{"tasks": [{"name": "check", "command": "check"}]}"#).await;
    alf.run_to_end("web1", "check").await;
    let login = format!("{:?}", alf.hosts().targets("web1")[0].login);
    let crate::ssh::Login::Password(password) = alf.hosts().targets("web1").remove(0).login else { panic!("{login}") };
    assert!(password.reveal() == "hunter2" && !login.contains("hunter2"), "{login}");
    assert_eq!(alf.handle.authenticate(key.reveal()).unwrap().meta.name, name("ci"));
    assert!(alf.handle.authenticate("alf_guess").is_none());
    alf.end().await;
}

#[actix_rt::test]
async fn texts_that_break_lines_are_refused_where_they_are_put_and_read_where_they_are_stored() {
    let alf = World::new().start().await;
    let unfit = r#"{"name": "web1", "title": "a\u0000b", "description": "\u0000", "address": "10.0.0.5:2222",
        "labels": {"role": "web", "no\nte": "x", "a/b\u0007": "x", "c": "two\u2028lines"}}"#;
    let Err(AlfError::Invalid(faults)) = alf.put(Noun::Host, unfit, If::None).await else { panic!("it was put") };
    let pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
    let expected = ["/title", "/description", "/labels/a~1b\u{7}", "/labels/no\nte", "/address"];
    assert_eq!(pointers, expected);
    assert!(faults[4].detail.contains("the port goes into the field port"), "{}", faults[4].detail);
    let world = alf.end().await;
    let stored = DefinitionRow {
        noun: Noun::Host,
        name: name("web1"),
        version: 1,
        created_at: start().into(),
        updated_at: start().into(),
        body: unfit.to_owned(),
        sealed: None,
    };
    let catalog = read_rows(1, vec![stored], &world.vault(), &Defaults::default()).unwrap();
    assert_eq!(catalog.hosts[&name("web1")].address(), "10.0.0.5:2222");
}

#[actix_rt::test]
async fn a_definition_that_cannot_be_read_is_named() {
    let world = World::new();
    let broken = DefinitionRow {
        noun: Noun::Host,
        name: name("web1"),
        version: 1,
        created_at: start().into(),
        updated_at: start().into(),
        body: r#"{"name": "web1", "port": 0}"#.to_owned(),
        sealed: None,
    };
    let told =
        |row: DefinitionRow| read_rows(1, vec![row], &world.vault(), &Defaults::default()).unwrap_err().to_string();
    let begin = "the store holds something unreadable: host \"web1\" cannot be read: ";
    assert_eq!(told(broken.clone()), format!("{begin}/port must be from 1 to 65535"));
    let sealed_elsewhere = Some(world.vault().seal("credential/other", b"{}"));
    let moved = DefinitionRow { sealed: sealed_elsewhere, body: r#"{"name": "web1"}"#.to_owned(), ..broken.clone() };
    assert!(told(moved).starts_with(begin));
    assert!(told(DefinitionRow { body: "{".to_owned(), ..broken }).starts_with(begin));
}
