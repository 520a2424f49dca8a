//! Many definitions at once: all or nothing, one change, what is left out, what is in use.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::support::{Alf, UNSCHEDULED, World, name, seconds};
use crate::actors::apply::{Apply, ApplyItem};
use crate::actors::catalog::{Draft, PutDone};
use crate::actors::error::AlfError;
use crate::actors::handle::{Applied, If};
use crate::model::{AnyDefinition, KeyDocument, Noun, Rights, Role, SecretText};
use crate::store::{DefinitionChange, Store as _, StoreError};

/// What a document of lists asks for.
fn wanted(document: &str) -> Apply {
    let given: serde_json::Map<String, serde_json::Value> = serde_json::from_str(document).unwrap();
    let (mut items, mut nouns) = (Vec::new(), BTreeSet::new());
    for (field, all) in &given {
        let noun = Noun::parse(field).unwrap();
        nouns.insert(noun);
        for (index, one) in all.as_array().unwrap().iter().enumerate() {
            let draft = Draft::read(noun, &one.to_string()).unwrap();
            items.push(ApplyItem { pointer: format!("/{field}/{index}"), draft });
        }
    }
    let (items, rights, origin) = (Arc::new(items), Rights::all(), Arc::default());
    Apply { items, nouns, prune: None, dry_run: false, rights, origin, documents: false, once: None }
}

fn pruning(document: &str, selector: &str) -> Apply {
    Apply { prune: Some(selector.parse().unwrap()), ..wanted(document) }
}

/// In words: `+host a, ~host b, =host c, -host d`.
fn told(applied: &Applied) -> String {
    let sign = |done: &PutDone| match (done.created, done.changed) {
        (true, _) => '+',
        (false, true) => '~',
        (false, false) => '=',
    };
    let put = applied.put.iter().map(|done| (sign(done), done.definition.reference()));
    let gone = applied.gone.iter().map(|one| ('-', one.reference()));
    let words = put.chain(gone).map(|(sign, what)| format!("{sign}{} {}", what.noun, what.name));
    words.collect::<Vec<_>>().join(", ")
}

async fn apply(alf: &Alf, wanted: Apply) -> Result<String, AlfError> {
    alf.handle.apply(wanted).await.map(|applied| told(&applied))
}

/// The pointers and words of all that is wrong.
async fn faults(alf: &Alf, document: &str) -> Vec<String> {
    match apply(alf, wanted(document)).await {
        Err(AlfError::Invalid(faults)) => faults.iter().map(|f| format!("{} {}", f.pointer, f.detail)).collect(),
        other => panic!("{other:?}"),
    }
}

const FLEET: &str = r#"{
    "host_tasks": [{"task": "check", "host": "web1"}, {"name": "all", "task": "check", "selector": "*"}],
    "task_schedules": [{"task": "check", "schedule": "often"}],
    "hosts": [{"name": "web1", "credential": "deploy", "jump": "gate"}, {"name": "gate"}],
    "schedules": [{"name": "often", "cron": "@every 1h"}],
    "tasks": [{"name": "check", "command": "check"}],
    "credentials": [{"name": "deploy", "password": "hunter2"}]}"#;

#[actix_rt::test]
async fn all_comes_in_one_change_in_whatever_order_it_stands() {
    let alf = World::new().start().await;
    let revision = alf.store().load().await.unwrap().revision;
    let done = apply(&alf, wanted(FLEET)).await.unwrap();
    assert_eq!(done.matches('+').count(), 8, "{done}");
    assert_eq!(alf.store().load().await.unwrap().revision, revision + 1, "one transaction");
    assert_eq!(alf.run_to_end("web1", "check").await.reason, None, "the node has heard of it");

    tokio::time::sleep(seconds(60)).await;
    let revision = alf.store().load().await.unwrap().revision;
    let again = apply(&alf, wanted(FLEET)).await.unwrap();
    assert_eq!(again.matches('=').count(), 8, "{again}");
    assert_eq!(alf.store().load().await.unwrap().revision, revision, "nothing to write");

    let other = FLEET.replace("@every 1h", "@every 2h").replace(r#""jump": "gate""#, r#""port": 23"#);
    let dry = apply(&alf, Apply { dry_run: true, ..wanted(&other) }).await.unwrap();
    assert_eq!(alf.store().load().await.unwrap().revision, revision, "a dry run writes nothing");
    let done = apply(&alf, wanted(&other)).await.unwrap();
    assert!(done == dry && done.contains("~host web1") && done.contains("~schedule often"), "{dry}\n{done}");
    assert_eq!(done.matches('=').count(), 6, "{done}");
    let Some(AnyDefinition::Host(host)) = alf.get(Noun::Host, "web1") else { panic!("no host") };
    assert_eq!((host.port, host.meta.version), (23, 2));
    assert!(host.meta.updated_at > host.meta.created_at);
    alf.end().await;
}

#[actix_rt::test]
async fn every_fault_of_every_item_is_told_and_nothing_is_done() {
    let alf = World::new().start().await;
    let document = r#"{
        "hosts": [{"name": "a", "port": 0}, {"name": "b", "credential": "none"}, {"name": "b"}, {"port": 22}],
        "tasks": [{"name": "check", "command": "x", "program": {"name": "probe"}}],
        "host_tasks": [{"task": "check", "host": "a"}, {"task": "other", "host": "b"}],
        "programs": [{"name": "new", "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "size": 3}],
        "keys": [{"name": "ci", "role": "viewer"}]}"#;
    let faults = faults(&alf, document).await;
    let expected = [
        "/host_tasks/1/task there is no task \"other\"",
        "/hosts/0/port must be from 1 to 65535",
        "/hosts/1/credential there is no credential \"none\"",
        "/hosts/2/name host \"b\" is in the document twice: /hosts/1 is it as well",
        "/hosts/3/name is required",
        "/keys/0 a key is made with POST /api/v1/keys or PUT /api/v1/keys/NAME, which show it once",
        "/programs/0 is empty: a program is the bytes of a file, sent with PUT",
        "/tasks/0 exactly one of command, script and program must be given; command and program are",
        "/tasks/0/program/name there is no program \"probe\"",
    ];
    assert_eq!(faults, expected, "those that name a faulty one are not told so");
    assert_eq!(alf.store().load().await.unwrap().definitions, []);
    alf.end().await;
}

#[actix_rt::test]
async fn jump_hosts_are_judged_as_they_will_be() {
    let alf = Alf::with(r#"{"hosts": [{"name": "b"}, {"name": "a", "jump": "b"}]}"#).await;
    let turned = r#"{"hosts": [{"name": "b", "jump": "a"}, {"name": "a"}]}"#;
    assert_eq!(apply(&alf, wanted(turned)).await.unwrap(), "~host b, ~host a", "no loop in the end");
    let looped = faults(&alf, r#"{"hosts": [{"name": "a", "jump": "c"}, {"name": "c", "jump": "b"}]}"#).await;
    assert_eq!(looped.len(), 2, "{looped:?}");
    assert!(looped.iter().all(|fault| fault.contains("leads back to the host itself")), "{looped:?}");
    // Ten in a row: too long for the last ones, whether they are in the document or there already.
    let row = |hosts: std::ops::Range<usize>| {
        let hosts: Vec<_> = hosts.map(|n| format!(r#"{{"name": "h{n}", "jump": "h{}"}}"#, n + 1)).collect();
        format!(r#"{{"hosts": [{}, {{"name": "h10"}}]}}"#, hosts.join(","))
    };
    let long = faults(&alf, &row(0..10)).await;
    assert!(!long.is_empty() && long.iter().all(|fault| fault.contains("more than 8 jump hosts")), "{long:?}");
    apply(&alf, wanted(&row(2..10))).await.unwrap();
    let longer = faults(&alf, r#"{"hosts": [{"name": "h10", "jump": "z"}, {"name": "z"}]}"#).await;
    assert_eq!(longer.len(), 1, "{longer:?}");
    alf.end().await;
}

#[actix_rt::test]
async fn what_a_document_leaves_out_goes_only_where_that_is_wanted() {
    let alf = World::new().start().await;
    apply(&alf, wanted(FLEET)).await.unwrap();
    alf.define(r#"{"hosts": [{"name": "old1", "labels": {"by": "git"}}, {"name": "old2"}], "credentials": [{"name": "spare", "agent": true}]}"#)
        .await;
    let kept = apply(&alf, wanted(r#"{"hosts": [{"name": "gate"}]}"#)).await.unwrap();
    assert_eq!(kept, "=host gate");
    let hosts =
        r#"{"hosts": [{"name": "gate"}, {"name": "web1", "credential": "deploy", "jump": "gate"}], "credentials": []}"#;
    let dry = apply(&alf, Apply { dry_run: true, ..pruning(hosts, "by=git") }).await.unwrap();
    assert_eq!(dry, "=host gate, =host web1, -host old1");
    assert!(alf.get(Noun::Host, "old1").is_some());
    assert_eq!(apply(&alf, pruning(hosts, "by=git")).await.unwrap(), dry);
    assert_eq!(apply(&alf, pruning(hosts, "*")).await.unwrap(), "=host gate, =host web1, -host old2");
    assert!(alf.get(Noun::Credential, "spare").is_some(), "credentials are never pruned");
    assert!(alf.get(Noun::Task, "check").is_some(), "the document does not name tasks");

    // In use by what stays: refused, and told by whom.
    let refused = apply(&alf, pruning(r#"{"hosts": [], "tasks": []}"#, "*")).await.unwrap_err();
    let AlfError::LeftOutInUse(faults) = &refused else { panic!("{refused:?}") };
    let told: Vec<(&str, &str)> = faults.iter().map(|fault| (&*fault.pointer, &*fault.detail)).collect();
    let web1 = ("/hosts", "host \"web1\" is left out, but in use by host-task \"check@web1\"");
    let users = r#"host-task "all", host-task "check@web1", task-schedule "check@often""#;
    let check = ("/tasks", &*format!("task \"check\" is left out, but in use by {users}"));
    assert_eq!(told, [web1, check], "the gate is used by nobody but web1");
    // Not when those who use it go as well, or use it no more.
    let all = r#"{"hosts": [{"name": "gate"}], "tasks": [{"name": "check", "command": "check"}], "host_tasks": []}"#;
    let done = apply(&alf, pruning(all, "*")).await.unwrap();
    assert_eq!(done, "=host gate, =task check, -host web1, -host-task all, -host-task check@web1");
    alf.end().await;
}

#[test]
fn some_nouns_are_never_pruned() {
    let mut kept: Vec<_> = Noun::ALL.into_iter().filter(|noun| !noun.can_be_pruned()).map(Noun::plural).collect();
    kept.sort_unstable();
    assert_eq!(kept, ["credentials", "downtimes", "keys", "secrets"]);
    assert!(Noun::Host.can_be_pruned() && Noun::HostTask.can_be_pruned());
}

#[actix_rt::test]
async fn secrets_and_bytes_that_are_left_out_stay() {
    let alf = World::new().start().await;
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----";
    alf.define(&format!(
        r#"{{"credentials": [
            {{"name": "a", "password": "one", "sudo_password": "two"}},
            {{"name": "b", "private_key": "{key}", "passphrase": "three"}},
            {{"name": "c", "key_file": "/k", "passphrase": "four"}},
            {{"name": "d", "agent": true}}]}}"#
    ))
    .await;
    let document = crate::model::ProgramDocument { name: Some(name("probe")), ..Default::default() };
    alf.handle.put_program(document, bytes::Bytes::from_static(b"x"), If::Absent, Rights::all()).await.unwrap();
    let same = r#"{"credentials": [{"name": "a"}, {"name": "b", "private_key": {"set": true}},
        {"name": "c", "key_file": "/k"}, {"name": "d", "agent": true}], "programs": [{"name": "probe"}]}"#;
    let done = apply(&alf, wanted(same)).await.unwrap();
    assert_eq!(done, "=credential a, =credential b, =credential c, =credential d, =program probe");
    // Another proof takes the place of the one that was there.
    let other = r#"{"credentials": [{"name": "a", "agent": true}, {"name": "c", "password": "five"}],
        "programs": [{"name": "probe", "title": "A probe"}]}"#;
    assert_eq!(apply(&alf, wanted(other)).await.unwrap(), "~credential a, ~credential c, ~program probe");
    let Some(AnyDefinition::Credential(a)) = alf.get(Noun::Credential, "a") else { panic!("no credential") };
    let sudo_password = a.sudo_password.as_ref().map(|it| it.reveal(&alf.handle.catalog()).unwrap());
    assert_eq!(sudo_password.as_ref().map(SecretText::reveal), Some("two"));
    let Some(AnyDefinition::Program(probe)) = alf.get(Noun::Program, "probe") else { panic!("no program") };
    assert_eq!(alf.store().blob(probe.content.sha256.clone()).await.unwrap().as_deref(), Some(&b"x"[..]));
    let gone = apply(&alf, pruning(r#"{"programs": []}"#, "*")).await.unwrap();
    assert_eq!(gone, "-program probe");
    assert_eq!(alf.store().blob(probe.content.sha256.clone()).await.unwrap(), None, "its bytes went with it");
    alf.end().await;
}

#[actix_rt::test]
async fn a_change_that_is_not_taken_leaves_all_as_it_was_and_a_lost_race_is_run_again() {
    let alf = Alf::with(UNSCHEDULED).await;
    let down = StoreError::Unavailable("disk full".to_owned());
    alf.store().fail_definitions(Some(down.clone()));
    let refused = apply(&alf, pruning(FLEET, "*")).await;
    assert_eq!(refused, Err(AlfError::Store(down.to_string())));
    assert!(alf.get(Noun::Host, "gate").is_none() && alf.get(Noun::Host, "web1").is_some());
    alf.store().fail_definitions(None);
    tokio::time::sleep(seconds(10)).await;

    // Another process on the same store was first.
    let loaded = alf.store().load().await.unwrap();
    let mut row = loaded.definitions.iter().find(|row| row.noun == Noun::Host).unwrap().clone();
    (row.name, row.body) = (name("web7"), row.body.replace("web1", "web7"));
    alf.store().change_definitions(loaded.revision, vec![DefinitionChange::Put(row)]).await.unwrap();
    let done = apply(&alf, pruning(r#"{"hosts": [{"name": "web1"}, {"name": "web2"}]}"#, "*")).await.unwrap();
    assert_eq!(done, "=host web1, +host web2, -host web7", "worked out again with what the other one did");
    alf.end().await;
}

#[actix_rt::test]
async fn a_key_for_some_hosts_changes_and_prunes_only_those() {
    let alf = Alf::with(
        r#"{"tasks": [{"name": "t", "command": "x"}],
            "hosts": [{"name": "web1", "labels": {"role": "web"}}, {"name": "web2", "labels": {"role": "web"}}, {"name": "db1"}],
            "host_tasks": [{"task": "t", "host": "db1"}, {"task": "t", "host": "web2"}]}"#,
    )
    .await;
    let document = KeyDocument {
        name: Some(name("ops")),
        role: Some(Role::Admin),
        selector: Some("role=web".parse().unwrap()),
        ..KeyDocument::default()
    };
    let (_, key) = alf.handle.put_key(document, If::Absent, Rights::all()).await.unwrap();
    let rights = Rights::of(alf.handle.authenticate(key.unwrap().reveal()).unwrap());
    let by = |document: &str| Apply { rights: rights.clone(), ..pruning(document, "*") };
    let own = r#"{"tasks": [{"name": "t", "command": "x"}], "hosts": [{"name": "web1", "labels": {"role": "web"}, "port": 23},
        {"name": "web3", "labels": {"role": "web"}}], "host_tasks": [{"task": "t", "host": "web3"}]}"#;
    let done = apply(&alf, by(own)).await.unwrap();
    assert_eq!(done, "+host-task t@web3, ~host web1, +host web3, =task t, -host web2, -host-task t@web2");
    for foreign in [
        r#"{"hosts": [{"name": "db1", "port": 23}]}"#,
        r#"{"hosts": [{"name": "db1"}]}"#,
        r#"{"hosts": [{"name": "db1", "labels": {"role": "web"}}]}"#,
        r#"{"hosts": [{"name": "web9"}]}"#,
        r#"{"tasks": [{"name": "t", "command": "y"}]}"#,
        r#"{"tasks": []}"#,
        r#"{"host_tasks": [{"name": "all", "task": "t", "selector": "*"}]}"#,
    ] {
        let wanted = Apply { prune: by(foreign).prune.filter(|_| foreign.contains("[]")), ..by(foreign) };
        let refused = apply(&alf, wanted).await;
        assert!(matches!(refused, Err(AlfError::Denied(_) | AlfError::LeftOutInUse(_))), "{foreign}: {refused:?}");
    }
    assert!(alf.get(Noun::HostTask, "t@db1").is_some());
    alf.end().await;
}
