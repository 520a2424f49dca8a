//! What a transaction is to do, document by document: of several changes of one document the last holds, so that the
//! order of the others does not matter and they go to the server many at a time.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc, serialize_to_raw_document_buf};
use serde::Serialize;

use super::fault::Fault;
use super::read;
use crate::model::RunId;

/// The `_id` of a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Text(String),
    Id(RunId),
}

impl Key {
    fn to_bson(&self) -> Bson {
        match self {
            Self::Text(text) => Bson::String(text.clone()),
            Self::Id(id) => Bson::Binary(read::to_uuid(*id)),
        }
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<RunId> for Key {
    fn from(id: RunId) -> Self {
        Self::Id(id)
    }
}

/// One change of one document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// There is this document afterwards, whatever was there.
    Put(Document),
    /// There is this document afterwards, or the one that was there.
    Add(Document),
    /// The document with what these operators do to it, or a new one.
    Make(Document),
    /// The document with what these operators do to it, if it is there.
    Amend(Document),
    /// The same, or this document in its place, and it must be there and like this: else somebody else has changed it, and
    /// nothing is done at all.
    AmendIf(Document, Document),
    /// The same where there is one, which must be like this, or a new one where it must not be there.
    MakeIf(Document, Document),
    /// It is not there afterwards.
    Remove,
    /// The same, and it must have been there and like this.
    RemoveIf(Document),
    /// None whose id begins like this one's is there afterwards.
    RemoveAll,
}

/// A statement of the commands `update` and `delete`.
pub(super) enum Statement {
    Update { filter: Document, update: Document, upsert: bool },
    Delete { filter: Document, many: bool },
}

impl Change {
    /// Whether the server must say of its statement that there was a document for it.
    pub(super) fn is_conditional(&self) -> bool {
        matches!(self, Self::AmendIf(..) | Self::MakeIf(..) | Self::RemoveIf(_))
    }

    /// As a statement.
    pub(super) fn statement(self, key: &Key) -> Statement {
        let filter = doc! { "_id": key.to_bson() };
        let only = |mut condition: Document| {
            condition.insert("_id", key.to_bson());
            condition
        };
        match self {
            Self::Put(document) => Statement::Update { filter, update: document, upsert: true },
            Self::Add(document) => {
                Statement::Update { filter, update: doc! { "$setOnInsert": document }, upsert: true }
            }
            Self::Make(update) => Statement::Update { filter, update, upsert: true },
            Self::Amend(update) => Statement::Update { filter, update, upsert: false },
            Self::AmendIf(condition, update) => Statement::Update { filter: only(condition), update, upsert: false },
            Self::MakeIf(condition, update) => Statement::Update { filter: only(condition), update, upsert: true },
            Self::Remove => Statement::Delete { filter, many: false },
            Self::RemoveIf(condition) => Statement::Delete { filter: only(condition), many: false },
            Self::RemoveAll => Statement::Delete { filter: beginning(key), many: true },
        }
    }
}

/// Documents whose id begins with this text.
fn beginning(key: &Key) -> Document {
    match key {
        Key::Text(text) => doc! { "_id": prefix(text) },
        Key::Id(_) => doc! { "_id": key.to_bson() },
    }
}

/// Texts that begin with this one. No id of ours has a character beyond ASCII.
pub(super) fn prefix(text: &str) -> Document {
    doc! { "$gte": text, "$lt": format!("{text}\u{7f}") }
}

/// What is to be done in one go.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// New documents, by collection. Each must not be there yet.
    pub(super) inserts: BTreeMap<&'static str, Vec<RawDocumentBuf>>,
    /// The others.
    pub(super) changes: BTreeMap<(&'static str, Key), Change>,
    /// Pieces of what is large: together too much for a transaction, and so there before it. They mean nothing until it
    /// has held, and are whole then.
    pub(super) ahead: BTreeMap<(&'static str, String), Document>,
}

impl Changes {
    /// A document that is not there yet: else somebody else has added it, and nothing is done at all.
    pub(super) fn insert(&mut self, into: &'static str, document: &impl Serialize) -> Result<(), Fault> {
        let document = serialize_to_raw_document_buf(document).map_err(|error| Fault::Unwritable(error.to_string()))?;
        self.inserts.entry(into).or_default().push(document);
        Ok(())
    }

    /// A change of a document, in place of what was to be done with it.
    pub(super) fn set(&mut self, of: &'static str, key: impl Into<Key>, change: Change) {
        self.changes.insert((of, key.into()), change);
    }

    /// A document that is there afterwards, unless something else is to be done with it: it is there, then.
    pub(super) fn add(&mut self, of: &'static str, key: impl Into<Key>, document: Document) {
        self.changes.entry((of, key.into())).or_insert(Change::Add(document));
    }

    /// What is large is done with all else after all.
    pub(super) fn nothing_ahead(&mut self) {
        for ((of, id), document) in std::mem::take(&mut self.ahead) {
            self.set(of, id.as_str(), Change::Put(document));
        }
    }

    /// How many documents it is about, but for those that are there before.
    pub(super) fn len(&self) -> usize {
        self.inserts.values().map(Vec::len).sum::<usize>() + self.changes.len()
    }
}
