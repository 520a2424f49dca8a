//! What each noun adds to the calls that all of them share.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use crate::actors::handle::{AlfHandle, AnyDraft};
use crate::model::{
    Action, AnyDefinition, Catalogued, Contact, Credential, Definition as _, Downtime, Host, HostTask, Key,
    KeyDocument, Name, Program, ProgramDocument, ReadOnly, Schedule, Secret, SecretText, Task, TaskSchedule,
};

/// A noun that is served under its own URL.
pub trait Served: Catalogued {
    /// The document as one of any kind.
    fn draft(document: Self::Document) -> AnyDraft;

    /// The name in a document.
    fn name_in(document: &mut Self::Document) -> &mut Option<Name>;

    /// The definition, if it is of this kind.
    fn of(definition: AnyDefinition) -> Option<Arc<Self>>;

    /// What a reader is shown.
    fn shown(&self, _: &AlfHandle) -> Self::Document {
        self.document()
    }

    /// What stands for that of it which is shown but is not part of its version.
    fn beside(&self, _: &AlfHandle) -> Option<u64> {
        None
    }

    /// Takes out of a patch what Alf alone sets, and a type of its own does not let go of by itself.
    fn leave_out(_: &mut serde_json::Value) {}

    /// Makes a document that is only checked complete with what Alf itself would add.
    fn complete(_: &mut Self::Document) {}
}

macro_rules! served {
    ($kind:ident { $($more:item)* }) => {
        impl Served for $kind {
            fn draft(document: Self::Document) -> AnyDraft {
                AnyDraft::$kind(document)
            }
            fn name_in(document: &mut Self::Document) -> &mut Option<Name> {
                &mut document.name
            }
            fn of(definition: AnyDefinition) -> Option<Arc<Self>> {
                match definition {
                    AnyDefinition::$kind(one) => Some(one),
                    _ => None,
                }
            }
            $($more)*
        }
    };
}

served!(Secret {});
served!(Credential {});
served!(Task {});
served!(Program {
    fn leave_out(patch: &mut serde_json::Value) {
        if let serde_json::Value::Object(fields) = patch {
            fields.retain(|name, _| !ProgramDocument::FROM_CONTENT.contains(&name.as_str()));
        }
    }
});
served!(Schedule {});
served!(HostTask {});
served!(TaskSchedule {});
served!(Downtime {});
served!(Contact {});
served!(Action {});

served!(Key {
    fn shown(&self, handle: &AlfHandle) -> Self::Document {
        KeyDocument { last_used_at: ReadOnly(handle.last_use_of(self)), ..self.document() }
    }

    fn complete(document: &mut Self::Document) {
        document.set_key(&SecretText::new(String::new()));
    }
});

served!(Host {
    fn shown(&self, handle: &AlfHandle) -> Self::Document {
        let mut document = self.document();
        if let Some(host_key) = &mut document.host_key {
            host_key.learned = ReadOnly(Some(handle.learned_keys(self)));
        }
        document
    }

    fn beside(&self, handle: &AlfHandle) -> Option<u64> {
        let learned = handle.learned_keys(self);
        if learned.is_empty() {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        learned.hash(&mut hasher);
        Some(hasher.finish())
    }
});
