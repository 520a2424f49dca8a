//! Where values come from. Each source becomes one or more layers that hold only known keys with allowed values, so
//! that a fault can always name its source.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, de};

use super::error::{Origin, SettingsError};
use super::keys::{self, BuiltIn, Key, Shape};
use super::values;

/// The flags of `alf serve` and `alf check-config` that are settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config FILE`
    pub config: Option<PathBuf>,
    /// `--data-dir DIR`
    pub data_dir: Option<PathBuf>,
    /// `--listen ADDR:PORT`
    pub listen: Option<String>,
    /// `--node NAME`
    pub node: Option<String>,
}

impl Flags {
    pub(super) fn layers(&self) -> Result<Vec<Layer>, SettingsError> {
        let data_dir = self.data_dir.as_ref().map(|path| path.to_string_lossy());
        let flags = [
            ("data_dir", "--data-dir", data_dir.as_deref()),
            ("http.listen", "--listen", self.listen.as_deref()),
            ("node.name", "--node", self.node.as_deref()),
        ];
        flags
            .into_iter()
            .filter_map(|(key, flag, text)| Some((key, flag, text?)))
            .map(|(key, flag, text)| {
                let mut layer = Layer::new(Origin::Flag(flag));
                layer.set(key, Value::from(text))?;
                Ok(layer)
            })
            .collect()
    }
}

/// The environment of this process. Bytes that are not UTF-8 are replaced, where [`std::env::vars`] would panic.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}

/// The variables, by name: the first fault must not depend on their order.
pub(super) struct Environment(BTreeMap<String, String>);

impl Environment {
    pub(super) fn new(variables: impl Iterator<Item = (String, String)>) -> Self {
        Self(variables.collect())
    }

    pub(super) fn home(&self) -> Option<PathBuf> {
        self.absolute("HOME")
    }

    /// An absolute path; the XDG Base Directory Specification has relative and empty ones ignored. So is one that was
    /// not UTF-8: it would be another directory.
    fn absolute(&self, name: &str) -> Option<PathBuf> {
        let text = self.0.get(name)?;
        let path = PathBuf::from(text);
        (path.is_absolute() && !text.contains('\u{fffd}')).then_some(path)
    }

    fn data_dir(&self) -> Option<PathBuf> {
        match self.absolute("XDG_STATE_HOME") {
            Some(state) => Some(state.join("alf")),
            None => Some(self.home()?.join(".local/state/alf")),
        }
    }

    fn node_name(&self) -> String {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let host = host.or_else(|| self.0.get("HOSTNAME").cloned());
        values::name_from(&host.unwrap_or_default())
    }

    /// One layer a variable: each is a source of its own.
    pub(super) fn layers(&self) -> Result<Vec<Layer>, SettingsError> {
        let mut layers: Vec<Layer> = Vec::new();
        for (name, text) in &self.0 {
            let Some(path) = path_of(name) else { continue };
            let origin = Origin::Variable(name.clone());
            let key = keys::find(&path).ok_or_else(|| SettingsError::unknown(&path, &origin))?;
            // Names are taken in any letters, so that two can mean one key.
            if let Some(first) = layers.iter().find(|l| l.values.contains_key(key.path)) {
                let origin = format!("{} and {origin}", first.origin);
                return Err(SettingsError::Twice { key: key.path, origin });
            }
            let mut layer = Layer::new(origin);
            layer.set(key.path, from_text(key.shape, text))?;
            layers.push(layer);
        }
        Ok(layers)
    }
}

/// The key that a variable stands for, if it is a setting: `ALF_HTTP__LISTEN` is `http.listen`.
fn path_of(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix("ALF_")?;
    let setting = variable.contains("__") || rest == "DATA_DIR";
    setting.then(|| rest.to_lowercase().replace("__", "."))
}

/// Reads a variable as the type of its key. What does not fit stays text, which the key then refuses.
fn from_text(shape: Shape, text: &str) -> Value {
    match shape {
        Shape::Text => Value::from(text),
        Shape::Boolean => text.parse::<bool>().map_or_else(|_| text.into(), Value::from),
        Shape::Integer => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
        Shape::Texts if text.trim_start().starts_with('[') => {
            serde_json::from_str::<Vec<String>>(text).map_or_else(|_| text.into(), Value::from)
        }
        Shape::Texts if text.trim().is_empty() => Value::from(Vec::<String>::new()),
        Shape::Texts => Value::from(text.split(',').map(str::trim).collect::<Vec<_>>()),
    }
}

/// The values that one source gives.
#[derive(Debug)]
pub(super) struct Layer {
    origin: Origin,
    values: BTreeMap<&'static str, Value>,
}

impl Layer {
    fn new(origin: Origin) -> Self {
        Self { origin, values: BTreeMap::new() }
    }

    /// The defaults, with those that depend on where Alf runs.
    pub(super) fn built_in(environment: &Environment) -> Result<Self, SettingsError> {
        let mut layer = Self::new(Origin::BuiltIn);
        for key in keys::KEYS {
            let value = match key.default {
                BuiltIn::Text(text) => Value::from(text),
                BuiltIn::Boolean(boolean) => Value::from(boolean),
                BuiltIn::Integer(integer) => Value::from(integer),
                BuiltIn::Texts(texts) => Value::from(texts.to_vec()),
                BuiltIn::Computed if key.path == "node.name" => Value::from(environment.node_name()),
                BuiltIn::Computed => match environment.data_dir() {
                    Some(path) => Value::from(path.to_string_lossy().into_owned()),
                    None => continue,
                },
                BuiltIn::Absent(_) => continue,
            };
            layer.set(key.path, value)?;
        }
        Ok(layer)
    }

    /// The file of `--config`.
    pub(super) fn file(path: &Path) -> Result<Self, SettingsError> {
        let fault =
            |reason: String| SettingsError::File { path: path.to_string_lossy().escape_debug().to_string(), reason };
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        let parse: fn(&str) -> Result<Value, String> = match extension.to_str() {
            Some("toml") => toml,
            Some("yaml" | "yml") => yaml,
            Some("json") => json,
            _ => {
                return Err(fault("unknown format; allowed is .toml, .yaml, .yml or .json".into()));
            }
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| fault(format!("cannot be read: {error}; allowed is a readable file")))?;
        let root = match parse(&text).map_err(fault)? {
            Value::Dict(_, root) => root,
            Value::Empty(..) => Dict::new(),
            other => {
                let groups = keys::top_level().join(", ");
                let found = values::shown(&other);
                return Err(fault(format!("holds {found}; allowed is a table of {groups}")));
            }
        };
        let mut layer = Self::new(Origin::File(path.to_owned()));
        layer.set_all("", root)?;
        Ok(layer)
    }

    fn set_all(&mut self, group: &str, values: Dict) -> Result<(), SettingsError> {
        for (name, value) in values {
            let path = join(group, &name);
            if let Some(key) = keys::find(&path) {
                if !matches!(value, Value::Empty(..)) {
                    self.set(key.path, value)?;
                }
                continue;
            }
            if keys::in_group(&path).is_empty() {
                return Err(SettingsError::unknown(&first_leaf(path, &value), &self.origin));
            }
            match value {
                Value::Dict(_, values) => self.set_all(&path, values)?,
                Value::Empty(..) => {}
                other => {
                    let origin = self.origin.to_string();
                    return Err(SettingsError::bad_value(&path, &other, origin));
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, path: &'static str, value: Value) -> Result<(), SettingsError> {
        if !keys::find(path).is_some_and(|key| key.accepts(&value)) {
            return Err(SettingsError::bad_value(path, &value, self.origin.to_string()));
        }
        match self.values.insert(path, value) {
            None => Ok(()),
            Some(_) => Err(SettingsError::Twice { key: path, origin: self.origin.to_string() }),
        }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.to_string())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut root = Dict::new();
        for (path, value) in &self.values {
            insert(&mut root, path, value.clone());
        }
        Ok(Profile::Default.collect(root))
    }
}

/// Puts a value in the table of its group.
fn insert(table: &mut Dict, path: &str, value: Value) {
    let Some((group, rest)) = path.split_once('.') else {
        table.insert(path.to_owned(), value);
        return;
    };
    let group = table.entry(group.to_owned()).or_insert_with(|| Value::from(Dict::new()));
    if let Value::Dict(_, group) = group {
        insert(group, rest, value);
    }
}

fn join(group: &str, name: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{group}.{name}") }
}

/// The first key inside an unknown table: `htpp.listen` says more than `htpp`.
fn first_leaf(path: String, value: &Value) -> String {
    match value.as_dict().and_then(|table| table.iter().next()) {
        Some((name, value)) => first_leaf(join(&path, name), value),
        None => path,
    }
}

fn toml(text: &str) -> Result<Value, String> {
    Toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let place = before.map_or_else(String::new, |before| {
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            format!(" at line {line} column {column}")
        });
        one_line(&format!("is not TOML{place}: {}", error.message()))
    })
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| one_line(&format!("is not JSON: {error}")))
}

fn yaml(text: &str) -> Result<Value, String> {
    let fault = |error: serde_saphyr::Error| {
        let shown = error.to_string();
        let first = shown.lines().next().unwrap_or_default();
        let first = first.strip_prefix("error: ").unwrap_or(first);
        one_line(&format!("is not YAML: {first}"))
    };
    let mut root: Value = serde_saphyr::from_str(text).map_err(fault)?;
    serde_saphyr::with_deserializer_from_str(text, |document| {
        TextStaysText { path: String::new(), value: &mut root }.deserialize(document)
    })
    .map_err(fault)?;
    Ok(root)
}

fn one_line(text: &str) -> String {
    text.replace('\n', ", ").chars().filter(|c| !c.is_control()).collect()
}

/// A second reading of a YAML document that takes the scalars of text keys as they are written: `name: 007` and
/// `name: no` are texts there, though untyped they would be a number and a truth value.
struct TextStaysText<'a> {
    path: String,
    value: &'a mut Value,
}

impl<'de> DeserializeSeed<'de> for TextStaysText<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, node: D) -> Result<(), D::Error> {
        let is_text = |key: &Key| key.shape == Shape::Text;
        match self.value {
            Value::Dict(..) => node.deserialize_map(self),
            Value::Num(..) | Value::Bool(..) if keys::find(&self.path).is_some_and(is_text) => {
                *self.value = Value::from(String::deserialize(node)?);
                Ok(())
            }
            _ => IgnoredAny::deserialize(node).map(drop),
        }
    }
}

impl<'de> Visitor<'de> for TextStaysText<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Value::Dict(_, table) = self.value else {
            return Err(de::Error::custom("the document changed while it was read"));
        };
        while let Some(name) = map.next_key::<String>()? {
            match table.get_mut(&name) {
                Some(value) => map.next_value_seed(TextStaysText { path: join(&self.path, &name), value })?,
                None => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(())
    }
}
