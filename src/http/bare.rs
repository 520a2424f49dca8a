//! A definition as an export shows it and an apply takes it back: without what Alf alone sets, and without secrets.

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::format::{Node, parse_json};
use super::negotiate::Format;
use super::nouns::Served;
use super::problem::Problem;
use crate::for_each_noun;
use crate::model::{
    Action, Contact, Credential, Downtime, Host, HostTask, Key, Noun, Program, Schedule, Secret, Task, TaskSchedule,
};

/// What is left of a definition's document.
pub enum Bare {
    /// For XML, whose elements follow from its type.
    Typed(Box<AnyDocument>),
    /// For JSON, without the fields that are null.
    Sparse(Node),
}

impl Serialize for Bare {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Typed(document) => document.serialize(serializer),
            Self::Sparse(node) => node.serialize(serializer),
        }
    }
}

macro_rules! bare {
    ($($kind:ident $field:ident),*) => {
        /// A document of any kind.
        pub enum AnyDocument {
            $(#[doc = concat!("One of the ", stringify!($field), ".")] $kind(<$kind as crate::model::Definition>::Document),)*
        }

        impl Serialize for AnyDocument {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$kind(document) => document.serialize(serializer),)* }
            }
        }

        impl AnyDocument {
            fn of(noun: Noun, mut document: Value) -> Result<Self, serde_json::Error> {
                match noun {
                    $(Noun::$kind => {
                        <$kind as Served>::leave_out(&mut document);
                        leave_secrets_out(&mut document);
                        // What is read-only is let go of when it is read.
                        serde_json::from_value(document).map(Self::$kind)
                    })*
                }
            }
        }
    };
}
for_each_noun!(bare);

impl Bare {
    /// Of a definition's document.
    pub fn of(noun: Noun, document: Value, format: Format) -> Result<Self, Problem> {
        let internal = |error: serde_json::Error| Problem::internal(error.to_string());
        let document = AnyDocument::of(noun, document).map_err(internal)?;
        if format.is_xml() {
            return Ok(Self::Typed(Box::new(document)));
        }
        let json = serde_json::to_vec(&document).map_err(internal)?;
        Ok(Self::Sparse(parse_json(&json)?))
    }
}

/// Takes out every `{"set": true}`.
fn leave_secrets_out(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !is_secret(value));
            fields.values_mut().for_each(leave_secrets_out);
        }
        Value::Array(items) => items.iter_mut().for_each(leave_secrets_out),
        _ => {}
    }
}

fn is_secret(value: &Value) -> bool {
    value.as_object().is_some_and(|fields| fields.len() == 1 && fields.get("set") == Some(&Value::Bool(true)))
}
