//! Names: the key of a definition and its place in the URL, never changed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Names that stand for something else in a URL or an Action.
const RESERVED: [&str; 2] = ["preview", "same-host"];

/// What is wrong with a text that should be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(String);

/// The name of a definition: `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`; links (host-tasks and task-schedules) may also
/// hold `@` and be up to 257 characters long. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// Reads a name as every noun but the links has it.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check(text, 128, false)?;
        Ok(Self(text.into()))
    }

    /// Reads the name of a link, which may hold `@`.
    pub fn parse_link(text: &str) -> Result<Self, NameError> {
        check(text, 257, true)?;
        Ok(Self(text.into()))
    }

    /// The default name of a link: `LEFT@RIGHT`.
    pub fn link(left: &Self, right: &Self) -> Self {
        Self(format!("{left}@{right}").into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(text: &str, longest: usize, link: bool) -> Result<(), NameError> {
    let shown = || -> String { text.chars().take(40).flat_map(char::escape_debug).collect() };
    let allowed = if link { "A-Z a-z 0-9 . _ - @" } else { "A-Z a-z 0-9 . _ -" };
    if text.is_empty() {
        return Err(NameError("a name must not be empty".to_owned()));
    }
    if text.chars().count() > longest {
        return Err(NameError(format!("name \"{}…\" is longer than {longest} characters", shown())));
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(NameError(format!("name \"{}\" must begin with a letter or a digit", shown())));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c) || (link && c == '@');
    if !text.chars().all(legal) {
        return Err(NameError(format!("name \"{}\" may only hold {allowed}", shown())));
    }
    if RESERVED.contains(&text) {
        return Err(NameError(format!("name \"{text}\" is reserved")));
    }
    Ok(())
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Reads any name, a link's included: which of the two a field allows is checked by its noun.
impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_link(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "0", "web1.example.org", "A_b-c", &"x".repeat(128)] {
            assert!(Name::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "a b", "a/b", "ä", "a@b", "preview", "same-host", &"x".repeat(129)] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
        assert!(Name::parse_link("task@host").is_ok());
        assert!(Name::parse_link(&"x".repeat(257)).is_ok());
        assert!(Name::parse_link(&"x".repeat(258)).is_err());
    }
}
