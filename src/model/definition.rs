//! What all definitions have in common, and the document that stands for each on the wire.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Catalog, Fault, Faults, Labels, Name, Noun, Reference, SecretField, SecretText, TextValue, Timestamp, Timezone,
};

/// Longest title, in bytes.
const TITLE: usize = 1024;
/// Longest description, in bytes.
const DESCRIPTION: usize = 65_536;

/// What every definition has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Its key, never changed.
    pub name: Name,
    /// Free text, used in messages; the name where none was given.
    pub title: Option<String>,
    /// Free text.
    pub description: String,
    /// Free labels.
    pub labels: Labels,
    /// +1 at every write that changes something; 0 until first stored.
    pub version: u64,
    /// When it was first stored.
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
}

impl Meta {
    /// The title, or the name in its place.
    pub fn title(&self) -> &str {
        self.title.as_deref().unwrap_or(self.name.as_str())
    }
}

/// Values that stand in for a field left out, from the settings.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// `schedule.timezone`.
    pub timezone: Timezone,
}

/// The secrets of a definition by field name: what `{"set": true}` refers to, and what is encrypted in the store.
pub type Secrets = BTreeMap<String, SecretText>;

/// A kind of definition: its checked form, and the document that stands for it in JSON and XML.
pub trait Definition: Clone + PartialEq + std::fmt::Debug + Send + Sync + Sized + 'static {
    /// Which kind.
    const NOUN: Noun;

    /// The wire form: every field optional, unknown ones refused.
    type Document: Serialize + DeserializeOwned + Clone + std::fmt::Debug + Send + 'static;

    /// What all kinds have.
    fn meta(&self) -> &Meta;

    /// For the one who counts versions: the catalog.
    fn meta_mut(&mut self) -> &mut Meta;

    /// Checks a document, finding all its faults; `kept` are the secrets that are there already.
    fn check(document: Self::Document, kept: &Secrets, defaults: &Defaults) -> Result<Self, Vec<Fault>>;

    /// The document of this definition, defaults filled in, secrets as `{"set": true}`.
    fn document(&self) -> Self::Document;

    /// The definitions that a document names, each with the JSON pointer of the field.
    fn named_in(_document: &Self::Document) -> Vec<(String, Reference)> {
        Vec::new()
    }

    /// What is wrong with a document beside the other definitions, but for names of what is not there.
    fn misfits_of(_document: &Self::Document, _catalog: &Catalog) -> Vec<Fault> {
        Vec::new()
    }

    /// Puts into a document that is applied what it may leave out and who reads it is not shown: what is there stays.
    fn keep_left_out(_document: &mut Self::Document, _now: Option<&Self>) {}

    /// The definitions this one names.
    fn references(&self) -> Vec<(String, Reference)> {
        Self::named_in(&self.document())
    }

    /// Its secrets.
    fn secrets(&self) -> Secrets {
        Secrets::new()
    }
}

/// A field that Alf sets: shown when read, ignored whatever it holds when written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOnly<T>(pub Option<T>);

impl<T> Default for ReadOnly<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Serialize> Serialize for ReadOnly<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for ReadOnly<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(None))
    }
}

/// Declares the document of a noun: its own fields, all optional, between those that every noun has.
macro_rules! document {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            /// The key of this definition.
            pub name: Option<$crate::model::Name>,
            /// Free text, used in messages.
            pub title: Option<String>,
            /// Free text.
            pub description: Option<String>,
            /// Free labels.
            pub labels: Option<$crate::model::Labels>,
            $($(#[$field_meta])* pub $field: $type,)*
            /// +1 at every write that changes something.
            #[schema(value_type = Option<u64>, read_only)]
            pub version: $crate::model::definition::ReadOnly<u64>,
            /// When it was first stored.
            #[schema(value_type = Option<$crate::model::Timestamp>, read_only)]
            pub created_at: $crate::model::definition::ReadOnly<$crate::model::Timestamp>,
            /// When it was last changed.
            #[schema(value_type = Option<$crate::model::Timestamp>, read_only)]
            pub updated_at: $crate::model::definition::ReadOnly<$crate::model::Timestamp>,
        }

        impl $name {
            /// The common fields, checked; takes them out of the document.
            fn take_meta(
                &mut self,
                noun: $crate::model::Noun,
                default_name: Option<$crate::model::Name>,
                faults: &mut $crate::model::Faults,
            ) -> Option<$crate::model::Meta> {
                $crate::model::definition::check_meta(
                    noun,
                    self.name.take().or(default_name),
                    self.title.take(),
                    self.description.take(),
                    self.labels.take(),
                    faults,
                )
            }

            /// What is wrong with its texts if it is put.
            pub(crate) fn unfit_texts(&self) -> Vec<$crate::model::Fault> {
                let (title, description) = (self.title.as_deref(), self.description.as_deref());
                $crate::model::definition::unfit_texts(title, description, self.labels.as_ref())
            }

            /// An otherwise empty document with the common fields of a definition.
            fn with_meta(meta: &$crate::model::Meta) -> Self {
                Self {
                    name: Some(meta.name.clone()),
                    title: Some(meta.title().to_owned()),
                    description: Some(meta.description.clone()),
                    labels: Some(meta.labels.clone()),
                    version: $crate::model::definition::ReadOnly(Some(meta.version)),
                    created_at: $crate::model::definition::ReadOnly(meta.created_at),
                    updated_at: $crate::model::definition::ReadOnly(meta.updated_at),
                    ..Self::default()
                }
            }
        }
    };
}
pub(super) use document;

/// Checks the common fields of a document.
pub(super) fn check_meta(
    noun: Noun,
    name: Option<Name>,
    title: Option<String>,
    description: Option<String>,
    labels: Option<Labels>,
    faults: &mut Faults,
) -> Option<Meta> {
    let name = faults.require("/name", name);
    if let Some(name) = &name
        && !noun.is_link()
    {
        faults.take("/name", Name::parse(name.as_str()));
    }
    let title = faults.text("/title", title, TITLE);
    if title.as_deref().is_some_and(|title| title.contains(['\n', '\r'])) {
        faults.add("/title", "must be one line");
    }
    let description = faults.text("/description", description, DESCRIPTION).unwrap_or_default();
    let name = name?;
    // A title that only repeats the name is none, so that it is not mistaken for a chosen one.
    let title = title.filter(|title| title != name.as_str() && !title.is_empty());
    Some(Meta {
        name,
        title,
        description,
        labels: labels.unwrap_or_default(),
        version: 0,
        created_at: None,
        updated_at: None,
    })
}

/// What is wrong with the texts of a document that is put. It is no fault of one that is stored: such were taken once.
pub(super) fn unfit_texts(title: Option<&str>, description: Option<&str>, labels: Option<&Labels>) -> Vec<Fault> {
    let mut faults = Faults::default();
    for (pointer, text) in [("/title", title), ("/description", description)] {
        if text.is_some_and(|text| text.contains('\0')) {
            faults.add(pointer, "must not hold a NUL character");
        }
    }
    let breaks = |text: &str| text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
    for (key, _) in labels.into_iter().flat_map(Labels::iter).filter(|(key, _)| breaks(key)) {
        faults
            .add(Fault::at_key("/labels", key), "the key of a label must not hold control characters nor line breaks");
    }
    faults.found()
}

/// The value of a secret field: a new one, or the one that is kept.
pub(super) fn take_secret(
    field: &'static str,
    value: Option<SecretField>,
    kept: &Secrets,
    faults: &mut Faults,
) -> Option<SecretText> {
    match take_text(field, value, kept, faults)? {
        TextValue::Own(secret) => Some(secret),
        TextValue::Secret(_) => {
            faults.add(format!("/{field}"), "must be the text itself; {\"secret\": NAME} does not go here");
            None
        }
    }
}

/// The same where it may be the name of a secret.
pub(super) fn take_text(
    field: &'static str,
    value: Option<SecretField>,
    kept: &Secrets,
    faults: &mut Faults,
) -> Option<TextValue<SecretText>> {
    match value? {
        SecretField::New(secret) => Some(TextValue::Own(secret)),
        SecretField::Secret(name) => Some(TextValue::Secret(name)),
        SecretField::Kept => {
            if !kept.contains_key(field) {
                faults.add(format!("/{field}"), "{\"set\": true} keeps the value that is there, but none is");
            }
            kept.get(field).cloned().map(TextValue::Own)
        }
    }
}
