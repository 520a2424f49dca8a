//! When each key was last shown. It stands in memory, to the minute, and is written now and then: no request costs a
//! write, and no key gets a version by being used.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;

use super::handle::AlfHandle;
use crate::model::{Catalog, Key, Name, Rights, Timestamp};
use crate::store::Write;

/// How often what is new is written.
const EVERY: Duration = Duration::from_secs(60);
/// A use that comes sooner after the one that is known is not noted.
const GRAIN: TimeDelta = TimeDelta::minutes(1);

/// When each key was last shown.
#[derive(Debug, Default)]
pub struct KeyUses(Mutex<HashMap<Name, Use>>);

#[derive(Debug, Clone, Copy)]
struct Use {
    at: Timestamp,
    written: bool,
}

impl KeyUses {
    /// What the store knew at the start.
    pub fn restored(uses: Vec<(Name, Timestamp)>) -> Self {
        Self(Mutex::new(uses.into_iter().map(|(key, at)| (key, Use { at, written: true })).collect()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Use>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, key: &Name, now: Timestamp) {
        let mut uses = self.lock();
        if uses.get(key).is_none_or(|last| now.get() - last.at.get() >= GRAIN) {
            uses.insert(key.clone(), Use { at: now, written: false });
        }
    }

    /// One of before its creation was another key's of the same name.
    fn of(&self, key: &Key) -> Option<Timestamp> {
        let last = self.lock().get(&key.meta.name)?.at;
        key.meta.created_at.is_none_or(|created| created <= last).then_some(last)
    }

    /// What is to be written; those of keys that are gone are forgotten.
    fn unwritten(&self, catalog: &Catalog) -> Vec<Write> {
        let mut writes = Vec::new();
        self.lock().retain(|key, last| {
            let is_there = catalog.keys.contains_key(key);
            if !(is_there && last.written) {
                writes.push(Write::NoteKeyUse { key: key.clone(), at: is_there.then_some(last.at) });
            }
            is_there
        });
        writes
    }

    fn written(&self, writes: &[Write]) {
        let mut uses = self.lock();
        for write in writes {
            if let Write::NoteKeyUse { key, at } = write
                && let Some(last) = uses.get_mut(key).filter(|last| Some(last.at) == *at)
            {
                last.written = true;
            }
        }
    }
}

impl AlfHandle {
    /// A key was shown, and is good.
    pub fn note_key_use(&self, key: &Key) {
        self.key_uses.note(&key.meta.name, self.now());
    }

    /// When a key was last shown, to the minute.
    pub fn last_use_of(&self, key: &Key) -> Option<Timestamp> {
        self.key_uses.of(key)
    }

    /// Whether who had these rights still has their key, and it may do as much.
    pub fn still_hold(&self, rights: &Rights) -> bool {
        self.key_now(rights).is_some()
    }

    /// The rights that the key has now; none where it is gone, has ended, or may do less.
    fn key_now(&self, rights: &Rights) -> Option<Rights> {
        let Some(then) = rights.key() else { return Some(rights.clone()) };
        let catalog = self.catalog();
        let now = catalog.keys.get(&then.meta.name).filter(|now| now.meta.created_at == then.meta.created_at)?;
        (!now.has_expired(self.now()) && now.role >= then.role).then(|| Rights::of(now.clone()))
    }

    /// Whether who had these rights would still have them for a host: their key may have been changed or revoked, or the
    /// host's labels be others.
    pub fn still_cover(&self, rights: &Rights, host: &Name) -> bool {
        self.key_now(rights).is_some_and(|now| now.cover_name(host, &self.catalog()))
    }

    /// Writes what is new of the uses of keys.
    pub async fn write_key_uses(&self) {
        let writes = self.key_uses.unwritten(&self.catalog());
        if writes.is_empty() {
            return;
        }
        match self.writer.write(writes.clone()).await {
            Ok(_) => self.key_uses.written(&writes),
            Err(error) => log::warn!("when keys were last used is not written: {error}"),
        }
    }

    /// Writes it again and again.
    pub async fn keep_key_uses(self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.write_key_uses().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Catalogued, Definition as _, KeyDocument, SecretText, Secrets};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000).unwrap()
    }

    fn key(name: &str, created: i64) -> Key {
        let mut document: KeyDocument =
            serde_json::from_str(&format!(r#"{{"name": "{name}", "role": "viewer"}}"#)).unwrap();
        document.set_key(&SecretText::new("alf_x".to_owned()));
        let mut key = Key::check(document, &Secrets::new(), &Default::default()).unwrap();
        key.meta.created_at = Some(at(created));
        key
    }

    #[test]
    fn a_use_is_noted_once_a_minute_and_written_once() {
        let uses = KeyUses::default();
        let key = key("k", 0);
        let mut catalog = Catalog::default();
        catalog.insert(Key::any(Arc::new(key.clone())));
        assert_eq!(uses.of(&key), None);
        for second in [100, 101, 159] {
            uses.note(&key.meta.name, at(second));
            assert_eq!(uses.of(&key), Some(at(100)));
        }
        let note = |second| vec![Write::NoteKeyUse { key: key.meta.name.clone(), at: Some(at(second)) }];
        assert_eq!(uses.unwritten(&catalog), note(100));
        assert_eq!(uses.unwritten(&catalog), note(100), "what was not written is tried again");
        uses.written(&note(100));
        assert_eq!(uses.unwritten(&catalog), []);
        uses.note(&key.meta.name, at(160));
        uses.written(&note(100));
        assert_eq!(uses.unwritten(&catalog), note(160), "what came since is new");
    }

    #[test]
    fn a_key_that_is_gone_is_forgotten_and_its_use_is_not_that_of_the_next_of_its_name() {
        let old = key("k", 0);
        let uses = KeyUses::restored(vec![(old.meta.name.clone(), at(100))]);
        assert_eq!(uses.of(&old), Some(at(100)));
        assert_eq!(uses.of(&key("k", 101)), None);
        assert_eq!(uses.unwritten(&Catalog::default()), [Write::NoteKeyUse { key: old.meta.name.clone(), at: None }]);
        assert_eq!(uses.of(&old), None);
    }
}
