//! The audit: who changed or started what, when, from where. Entries are only ever added; none holds a value.

use core::net::IpAddr;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

use super::{Name, Noun, Reference, RunId, Timestamp};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// A definition was made.
    Create,
    /// A definition was changed.
    Update,
    /// A definition was deleted.
    Delete,
    /// A run of a task was started.
    Run,
    /// Something that is not defined was started.
    Exec,
    /// A run was cancelled.
    Cancel,
    /// The key that a host shows was trusted.
    Trust,
    /// What was learnt of a host's key was forgotten.
    ForgetKey,
    /// The key that secrets are encrypted with was changed.
    RotateKey,
    /// A PROBLEM was acknowledged.
    Ack,
    /// An acknowledgement was taken back.
    Unack,
    /// All firing was stopped.
    Pause,
    /// Firing goes on.
    Resume,
    /// A key was shown.
    Login,
    /// A call was made.
    Call,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuditOutcome {
    /// It was done.
    Ok,
    /// It was not allowed.
    Refused,
}

/// Who asks, and from where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The key that was shown; none where Alf itself acts, or the key is not known.
    pub by: Option<Name>,
    /// The address.
    pub address: Option<IpAddr>,
    /// The request's id.
    pub request: Option<String>,
}

/// One entry. Its id is a UUIDv7: by it the entries are in the order of their time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its id.
    pub id: RunId,
    /// When it was done.
    pub at: Timestamp,
    /// The key; none where Alf itself acts, or the key is not known.
    pub by: Option<Name>,
    /// What was done.
    pub verb: Verb,
    /// To what kind of definition.
    #[serde(serialize_with = "write_noun", deserialize_with = "read_noun")]
    #[schema(value_type = Option<String>)]
    pub noun: Option<Noun>,
    /// To which.
    pub name: Option<Name>,
    /// A call that the key may not make: method and path.
    pub call: Option<String>,
    /// The names of the fields that are different since.
    pub fields: Vec<String>,
    /// The host of a run.
    pub host: Option<Name>,
    /// The run.
    pub run: Option<RunId>,
    /// From where.
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// The id of the request, as in the log.
    pub request: Option<String>,
    /// What came of it.
    pub outcome: AuditOutcome,
    /// How often: refused logins from one address, and refused calls of one kind with one key, are told together within a
    /// minute.
    pub count: u64,
}

impl AuditEntry {
    /// Something that somebody did now.
    pub fn new(id: RunId, at: Timestamp, origin: &Origin, verb: Verb) -> Self {
        Self {
            id,
            at,
            by: origin.by.clone(),
            verb,
            noun: None,
            name: None,
            call: None,
            fields: Vec::new(),
            host: None,
            run: None,
            address: origin.address,
            request: origin.request.clone(),
            outcome: AuditOutcome::Ok,
            count: 1,
        }
    }

    /// To this definition.
    pub fn to(self, what: Reference) -> Self {
        Self { noun: Some(what.noun), name: Some(what.name), ..self }
    }
}

fn write_noun<S: Serializer>(noun: &Option<Noun>, serializer: S) -> Result<S::Ok, S::Error> {
    noun.map(Noun::singular).serialize(serializer)
}

fn read_noun<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Noun>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    Noun::parse(&text).map(Some).ok_or_else(|| de::Error::custom("is no kind of definition"))
}

/// Which entries are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// By this key.
    pub by: Option<Name>,
    /// To this kind of definition.
    pub noun: Option<Noun>,
    /// To the definition of this name.
    pub name: Option<Name>,
    /// That did this.
    pub verb: Option<Verb>,
    /// At or after this.
    pub since: Option<Timestamp>,
    /// Before this.
    pub until: Option<Timestamp>,
    /// Only those before this one: where the page before ended.
    pub before: Option<RunId>,
    /// At most so many.
    pub limit: usize,
}

impl AuditQuery {
    /// Whether an entry is looked for, wherever the page begins.
    pub fn matches(&self, entry: &AuditEntry) -> bool {
        self.by.as_ref().is_none_or(|by| entry.by.as_ref() == Some(by))
            && self.noun.is_none_or(|noun| entry.noun == Some(noun))
            && self.name.as_ref().is_none_or(|name| entry.name.as_ref() == Some(name))
            && self.verb.is_none_or(|verb| entry.verb == verb)
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
    }
}

/// A page of entries, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries.
    pub items: Vec<AuditEntry>,
    /// The last of them, if there are more behind it.
    pub next: Option<RunId>,
    /// How many match in all.
    pub total: u64,
}
