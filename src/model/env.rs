//! Environment variables for a task, as host, task, link and run define them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Reference, TextValue};

/// Variables that a shell keeps for itself: setting them fails or does harm.
const READ_ONLY: [&str; 5] = ["UID", "EUID", "PPID", "SHELLOPTS", "BASHOPTS"];
/// Most bytes of all names and values: a kernel takes about so much for one program.
const MOST_BYTES: usize = 131_072;

/// A map of environment variables. Names match `[A-Za-z_][A-Za-z0-9_]*`, are not `ALF_*` and not read-only in a shell;
/// values are any text without NUL, or a secret's. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Env(Arc<BTreeMap<String, TextValue>>);

impl Env {
    /// All variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &TextValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The secrets that it names, each with its pointer in a document.
    pub(super) fn references(&self) -> impl Iterator<Item = (String, Reference)> {
        self.0.iter().filter_map(|(name, value)| value.reference(&format!("/env/{name}")))
    }

    /// These variables, and those of another one, which win.
    pub fn overlaid(&self, other: &Self) -> Self {
        if other.0.is_empty() {
            return self.clone();
        }
        if self.0.is_empty() {
            return other.clone();
        }
        let mut all = BTreeMap::clone(&self.0);
        all.extend(other.0.iter().map(|(name, value)| (name.clone(), value.clone())));
        Self(Arc::new(all))
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let legal = name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit());
    if !legal {
        return Err(format!("\"{shown}\" is no name for a variable; allowed is [A-Za-z_][A-Za-z0-9_]*"));
    }
    if name.starts_with("ALF_") {
        return Err(format!("\"{shown}\" may not be set: ALF_* are Alf's own"));
    }
    if READ_ONLY.contains(&name) {
        return Err(format!("\"{shown}\" may not be set: it is read-only in a shell"));
    }
    Ok(())
}

/// A name that is checked where it stands, so that its fault has its pointer.
struct Variable(String);

impl<'de> Deserialize<'de> for Variable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        check_name(&name).map_err(de::Error::custom)?;
        Ok(Self(name))
    }
}

/// The same for a value.
struct Value(TextValue);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = TextValue::deserialize(deserializer)?;
        if value.own().is_some_and(|text| text.contains('\0')) {
            return Err(de::Error::custom("must not hold a NUL byte"));
        }
        Ok(Self(value))
    }
}

impl<'de> Deserialize<'de> for Env {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EnvVisitor;
        impl<'de> Visitor<'de> for EnvVisitor {
            type Value = Env;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Env, A::Error> {
                let mut all = BTreeMap::new();
                let mut bytes = 0;
                while let Some((Variable(name), Value(value))) = map.next_entry()? {
                    bytes += name.len() + value.own().map_or(0, str::len) + 2;
                    if bytes > MOST_BYTES {
                        return Err(de::Error::custom(format!("holds more than {MOST_BYTES} bytes in all")));
                    }
                    all.insert(name, value);
                }
                Ok(Env(Arc::new(all)))
            }
        }
        deserializer.deserialize_map(EnvVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Env, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn names_that_a_shell_or_alf_keeps_are_refused() {
        assert!(read(r#"{"PATH": "/bin", "_x1": "", "LC_ALL": "C"}"#).is_ok());
        for bad in ["UID", "PPID", "SHELLOPTS", "BASHOPTS", "EUID", "ALF_HOST", "ALF_", "1a", "a-b", "", "ä", "a b"] {
            assert!(read(&format!(r#"{{"{bad}": "x"}}"#)).is_err(), "{bad}");
        }
        assert!(read(r#"{"A": "a\u0000b"}"#).is_err());
    }

    #[test]
    fn the_later_wins() {
        let (host, task) = (read(r#"{"A": "host", "B": "host"}"#).unwrap(), read(r#"{"B": "task"}"#).unwrap());
        let all = host.overlaid(&task);
        let all: Vec<_> = all.iter().map(|(name, value)| (name, value.own().unwrap())).collect();
        assert_eq!(all, [("A", "host"), ("B", "task")]);
    }

    #[test]
    fn secrets_are_named_where_they_stand() {
        let env = read(r#"{"A": "a", "TOKEN": {"secret": "token"}}"#).unwrap();
        let named: Vec<_> = env.references().map(|(pointer, secret)| (pointer, secret.to_string())).collect();
        assert_eq!(named, [("/env/TOKEN".to_owned(), "secret \"token\"".to_owned())]);
        assert!(read(r#"{"A": {"set": true}}"#).is_err());
    }
}
