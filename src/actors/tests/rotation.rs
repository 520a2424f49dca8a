//! Another encryption key: nothing is lost, at whichever step it is cut short.

use std::fs;

use super::support::{Alf, World, name};
use crate::actors::error::AlfError;
use crate::actors::handle::If;
use crate::model::{AnyDefinition, Noun, Proof, Rights};
use crate::store::{DefinitionRow, Store as _, StoreError};
use crate::vault::Vault;

const DEFINITIONS: &str = r#"{"credentials": [{"name": "deploy", "password": "hunter2"}, {"name": "agent", "agent": true},
    {"name": "other", "password": "hunter3"}], "hosts": [{"name": "web1", "credential": "deploy"}]}"#;

#[track_caller]
fn password_of(alf: &Alf, credential: &str) -> String {
    let Some(AnyDefinition::Credential(credential)) = alf.get(Noun::Credential, credential) else { panic!("gone") };
    let Proof::Password(password) = &credential.proof else { panic!("no password") };
    password.reveal(&alf.handle.catalog()).unwrap().reveal().to_owned()
}

async fn rows(alf: &Alf) -> Vec<DefinitionRow> {
    let mut rows = alf.store().load().await.unwrap().definitions;
    rows.sort_by_key(|row| (row.noun, row.name.clone()));
    rows
}

fn keys_in_file(alf: &Alf) -> usize {
    fs::read_to_string(alf.world.vault().file()).unwrap().lines().count()
}

#[actix_rt::test]
async fn all_secrets_are_sealed_anew_and_nothing_else_changes() {
    let alf = Alf::with(DEFINITIONS).await;
    let (before, revision) = (rows(&alf).await, alf.store().load().await.unwrap().revision);
    assert_eq!(alf.handle.rotate_key().await, Ok(2));
    let after = rows(&alf).await;
    assert_eq!(alf.store().load().await.unwrap().revision, revision + 1, "one transaction");
    for (old, new) in before.iter().zip(&after) {
        assert_eq!(DefinitionRow { sealed: None, ..old.clone() }, DefinitionRow { sealed: None, ..new.clone() });
        assert_eq!(old.sealed == new.sealed, old.sealed.is_none());
    }
    assert_eq!(keys_in_file(&alf), 1);
    alf.define(r#"{"hosts": [{"name": "web2"}]}"#).await;
    let done = alf.put(Noun::Credential, r#"{"name": "deploy", "password": {"set": true}}"#, If::None).await.unwrap();
    assert!(!done.changed && done.definition.version() == 1, "{done:?}");
    let alf = alf.end().await.start().await;
    assert_eq!((password_of(&alf, "deploy"), password_of(&alf, "other")), ("hunter2".into(), "hunter3".into()));
    alf.end().await;
}

#[actix_rt::test]
async fn a_crash_at_any_step_leaves_a_store_that_opens() {
    // Both keys in the file, all rows still sealed with the old one.
    let world = Alf::with(DEFINITIONS).await.end().await;
    world.vault().begin_rotation().unwrap();
    let alf = world.start().await;
    assert_eq!((password_of(&alf, "deploy"), keys_in_file(&alf)), ("hunter2".into(), 2));
    // One row is written with the new key, the other is not.
    alf.define(r#"{"credentials": [{"name": "deploy", "password": "hunter4"}]}"#).await;
    let alf = alf.crash().await.start().await;
    assert_eq!((password_of(&alf, "deploy"), password_of(&alf, "other")), ("hunter4".into(), "hunter3".into()));
    let both = fs::read_to_string(alf.world.vault().file()).unwrap();
    assert_eq!(alf.handle.rotate_key().await, Ok(2));
    let now = fs::read_to_string(alf.world.vault().file()).unwrap();
    assert!(keys_in_file(&alf) == 1 && !both.contains(now.trim()), "the key is one that nobody has seen before");

    // All rows sealed with the new key, the old one still in the file.
    fs::write(alf.world.vault().file(), format!("{now}{both}")).unwrap();
    let alf = alf.end().await.start().await;
    assert_eq!((password_of(&alf, "deploy"), password_of(&alf, "other")), ("hunter4".into(), "hunter3".into()));
    assert_eq!((alf.handle.rotate_key().await, keys_in_file(&alf)), (Ok(2), 1));
    let alf = alf.end().await.start().await;
    assert_eq!(password_of(&alf, "deploy"), "hunter4");
    alf.end().await;
}

#[actix_rt::test]
async fn a_store_that_does_not_take_it_keeps_both_keys_until_it_does() {
    let alf = Alf::with(DEFINITIONS).await;
    let old = fs::read_to_string(alf.world.vault().file()).unwrap();
    let down = StoreError::Unavailable("disk full".to_owned());
    alf.store().fail_definitions(Some(down.clone()));
    for _ in 0..20 {
        assert_eq!(alf.handle.rotate_key().await, Err(AlfError::Store(down.to_string())));
    }
    assert_eq!(keys_in_file(&alf), 2, "not one more at every try");
    alf.store().fail_definitions(None);
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    alf.define(r#"{"credentials": [{"name": "new", "password": "hunter5"}]}"#).await;
    assert_eq!(alf.handle.rotate_key().await, Ok(3));
    assert_eq!(keys_in_file(&alf), 1);
    let file = alf.world.vault().file().to_owned();
    fs::write(&file, old).unwrap();
    let stale = Vault::open(&file).unwrap();
    for row in rows(&alf).await.into_iter().filter(|row| row.sealed.is_some()) {
        let place = format!("{}/{}", row.noun.singular(), row.name);
        assert!(stale.unseal(&place, &row.sealed.unwrap()).is_err(), "the old key opens {place}");
    }
    alf.end().await;
}

#[actix_rt::test]
async fn without_its_key_file_nothing_is_changed() {
    let alf = World::new().start().await;
    alf.define(DEFINITIONS).await;
    let (file, before) = (alf.world.vault().file().to_owned(), rows(&alf).await);
    let away = file.with_extension("away");
    fs::rename(&file, &away).unwrap();
    let Err(AlfError::KeyFile(said)) = alf.handle.rotate_key().await else { panic!("it cannot be written") };
    assert!(said.contains(file.to_str().unwrap()), "{said}");
    assert!(rows(&alf).await == before && !file.exists());
    fs::rename(&away, &file).unwrap();
    assert_eq!(alf.handle.rotate_key().await, Ok(2));
    alf.end().await;
}

#[actix_rt::test]
async fn changes_at_the_same_time_are_not_lost() {
    let alf = Alf::with(DEFINITIONS).await;
    let puts = (0..30).map(|n| {
        let json = format!(r#"{{"name": "c{n}", "password": "secret{n}"}}"#);
        let put = alf.handle.put(
            crate::actors::catalog::Draft::read(Noun::Credential, &json).unwrap(),
            If::Absent,
            Rights::all(),
        );
        async move { put.await.map(|_| 0) }
    });
    let rotations = (0..3).map(|_| alf.handle.rotate_key());
    let (put, rotated) = tokio::join!(futures_util::future::join_all(puts), futures_util::future::join_all(rotations));
    assert!(put.iter().all(Result::is_ok) && rotated.iter().all(Result::is_ok), "{put:?} {rotated:?}");
    let alf = alf.end().await.start().await;
    for n in 0..30 {
        assert_eq!(password_of(&alf, name(&format!("c{n}")).as_str()), format!("secret{n}"));
    }
    alf.end().await;
}
