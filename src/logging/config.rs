//! The logging file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use log::LevelFilter;
use serde::Deserialize;

use super::LoggingError;

/// Crates that say at `info` what belongs to `debug`, and the access log; prefixes of module paths.
const NOISY: [&str; 9] =
    ["actix_http", "actix_server", "actix_web", "alf::access", "async_ssh2_tokio", "awc", "mio", "russh", "rustls"];

/// What says at `error` that a client does not speak HTTP: anybody could fill the disk with it.
const FUTILE: &str = "actix_http::h1";

/// Crates that say at `trace` what they send, passwords included, byte by byte: they are not asked for more than `debug`.
const INDISCREET: [&str; 2] = ["async_ssh2_tokio", "russh"];

/// What is logged, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggingConfig {
    pub level: LevelFilter,
    /// Levels by prefix of the module path.
    pub modules: BTreeMap<String, LevelFilter>,
    pub outputs: Vec<Output>,
    /// The file it was read from, and is read from again.
    pub(super) path: Option<PathBuf>,
}

/// One place that records go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub to: Destination,
    pub format: Format,
    /// Stands in for the level at the top.
    pub level: Option<LevelFilter>,
    /// Added to those at the top.
    pub modules: BTreeMap<String, LevelFilter>,
}

/// What an output writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    Stderr { colour: Colour },
    File { path: PathBuf },
}

/// How a record is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// Whether levels are coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    Never,
}

impl Default for LoggingConfig {
    fn default() -> Self {
        Self {
            level: LevelFilter::Info,
            modules: BTreeMap::new(),
            outputs: vec![Output {
                to: Destination::Stderr { colour: Colour::Auto },
                format: Format::Text,
                level: None,
                modules: BTreeMap::new(),
            }],
            path: None,
        }
    }
}

impl LoggingConfig {
    /// Reads the logging file; without one, the defaults.
    ///
    /// # Errors
    /// An unreadable file, an unknown key, a bad value: the error names the place.
    pub fn load(path: Option<&Path>) -> Result<Self, LoggingError> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let shown = || path.to_string_lossy().escape_debug().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| LoggingError::Read { path: shown(), reason: error.to_string() })?;
        let config = Self::parse(&text).map_err(|fault| LoggingError::Invalid { path: shown(), fault })?;
        Ok(Self { path: Some(path.to_owned()), ..config })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = serde_saphyr::from_str(text).map_err(|error| {
            // What follows the first line is a picture of the place.
            let shown = error.to_string();
            let first = shown.lines().next().unwrap_or_default();
            let first = first.strip_prefix("error: ").unwrap_or(first);
            first.chars().filter(|c| !c.is_control()).collect::<String>()
        })?;
        let default = Self::default();
        let outputs = match file.outputs {
            None => default.outputs,
            Some(outputs) if outputs.is_empty() => {
                return Err("outputs: is empty; allowed is at least one (level: off silences it)".into());
            }
            Some(outputs) => outputs
                .into_iter()
                .enumerate()
                .map(|(index, output)| output.check().map_err(|fault| format!("outputs[{index}]: {fault}")))
                .collect::<Result<_, _>>()?,
        };
        Ok(Self {
            level: file.level.map_or(default.level, |level| level.0),
            modules: levels(file.modules).map_err(|fault| format!("modules: {fault}"))?,
            outputs,
            path: None,
        })
    }

    /// The levels of an output: of everything, and by prefix of the module path.
    pub(super) fn levels_of(&self, output: &Output) -> (LevelFilter, BTreeMap<String, LevelFilter>) {
        let level = output.level.unwrap_or(self.level);
        let mut modules: BTreeMap<_, _> =
            NOISY.iter().map(|name| ((*name).to_owned(), level.min(LevelFilter::Warn))).collect();
        modules.insert(FUTILE.to_owned(), LevelFilter::Off);
        modules.extend(self.modules.clone());
        modules.extend(output.modules.clone());
        for (name, level) in &mut modules {
            if INDISCREET.iter().any(|indiscreet| name.starts_with(indiscreet)) {
                *level = (*level).min(LevelFilter::Debug);
            }
        }
        (level, modules)
    }
}

/// A level as the file has it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Level(LevelFilter);

impl TryFrom<String> for Level {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            let text = text.escape_debug();
            format!("unknown level `{text}`, expected one of off, error, warn, info, debug, trace")
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    level: Option<Level>,
    modules: Option<BTreeMap<String, Level>>,
    outputs: Option<Vec<FileOutput>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Stderr,
    File,
}

/// Flat, for an error to keep its line: serde buffers what a tagged enum holds and the place is lost.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileOutput {
    kind: Kind,
    path: Option<PathBuf>,
    #[serde(default)]
    format: Format,
    #[serde(alias = "color")]
    colour: Option<Colour>,
    level: Option<Level>,
    modules: Option<BTreeMap<String, Level>>,
}

impl FileOutput {
    fn check(self) -> Result<Output, String> {
        let to = match (self.kind, self.path, self.colour) {
            (Kind::Stderr, None, colour) => Destination::Stderr { colour: colour.unwrap_or_default() },
            (Kind::Stderr, Some(_), _) => {
                return Err("`path` is not for kind stderr; allowed with kind file".into());
            }
            (Kind::File, _, Some(_)) => {
                return Err("`colour` is not for kind file; allowed with kind stderr".into());
            }
            (Kind::File, Some(path), None) if !path.as_os_str().is_empty() => Destination::File { path },
            (Kind::File, _, None) => return Err("kind file needs `path`, the file's".into()),
        };
        Ok(Output {
            to,
            format: self.format,
            level: self.level.map(|level| level.0),
            modules: levels(self.modules).map_err(|fault| format!("modules: {fault}"))?,
        })
    }
}

fn levels(modules: Option<BTreeMap<String, Level>>) -> Result<BTreeMap<String, LevelFilter>, String> {
    let modules = modules.unwrap_or_default();
    if modules.contains_key("") {
        return Err("a name is empty; allowed is a module path such as alf::ssh".into());
    }
    Ok(modules.into_iter().map(|(name, level)| (name, level.0)).collect())
}
