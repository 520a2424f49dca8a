//! What can be wrong with settings, each in one line.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use figment::value::Value;

use super::{keys, store};

/// Why there are no settings. Displays as one line; the process exits with 64.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("unknown key {key} in {origin}: {hint}")]
    UnknownKey {
        /// Dotted, as far as it was written.
        key: String,
        /// Where it was set.
        origin: String,
        /// The nearest key, and what is allowed.
        hint: String,
    },
    #[error("bad value {value} for {key} in {origin}: allowed is {allowed}")]
    BadValue { key: String, value: String, origin: String, allowed: String },
    #[error("{key} is set twice in {origin}: allowed is once")]
    Twice { key: &'static str, origin: String },
    #[error("settings file {path} of --config: {reason}")]
    File { path: String, reason: String },
    #[error(
        "bad value {listen} for http.listen in {origin}: there is no TLS, so keys and output would cross the network in \
         clear text; allowed is a loopback address such as 127.0.0.1:{port} behind a proxy that ends TLS, or any with \
         http.tls.certificate and http.tls.key, or with http.allow_plaintext = true", listen = .listen, port = .listen.port()
    )]
    Plaintext { listen: SocketAddr, origin: String },
    #[error(
        "no data_dir: neither HOME nor XDG_STATE_HOME is an absolute path; allowed is --data-dir DIR, ALF_DATA_DIR or \
         data_dir in the settings file"
    )]
    NoDataDir,
    #[error("bad value \"{path}\" for {key} in {origin}: HOME is not an absolute path; allowed is a path without ~")]
    NoHome { key: &'static str, path: String, origin: String },
    #[error("{set} is set in {origin} and {missing} is not: allowed is both, or neither")]
    Alone { set: &'static str, origin: String, missing: &'static str },
    #[error(
        "store.kind is mongodb in {origin} and store.url is not set: allowed is mongodb://HOST:PORT or mongodb+srv://HOST, in \
         the settings file or as ALF_STORE__URL"
    )]
    NoUrl { origin: String },
    #[error("bad value \"{path}\" for {key} in {origin}: it {reason}; allowed is {allowed}")]
    BadFile { key: &'static str, path: String, origin: String, reason: String, allowed: &'static str },
    #[error("{key} has no value; set it in the settings file or as {}", variable(.key))]
    Missing { key: &'static str },
}

fn variable(key: &str) -> String {
    keys::find(key).map_or_else(String::new, keys::Key::variable)
}

impl SettingsError {
    pub(super) fn unknown(key: &str, origin: &Origin) -> Self {
        let nothing = if key.ends_with('.') { "(nothing stands after it)" } else { "" };
        Self::UnknownKey {
            key: format!("{}{nothing}", key.escape_debug()),
            hint: hint(key, origin),
            origin: origin.to_string(),
        }
    }

    pub(super) fn bad_value(key: &str, value: &Value, origin: String) -> Self {
        let allowed = match keys::find(key) {
            Some(key) => key.allowed.to_owned(),
            None => format!("a table of {}", keys::in_group(key).join(", ")),
        };
        Self::BadValue { key: key.to_owned(), value: store::shown(key, value), origin, allowed }
    }
}

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    BuiltIn,
    File(PathBuf),
    Variable(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.to_string_lossy().escape_debug()),
            Self::Variable(name) => write!(f, "environment variable {}", name.escape_debug()),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

fn hint(path: &str, origin: &Origin) -> String {
    let group = path.rsplit_once('.').map_or("", |(group, _)| group);
    let allowed = match keys::in_group(group) {
        leaves if leaves.is_empty() => format!("allowed are {}", keys::top_level().join(", ")),
        leaves => format!("allowed in {group} are {}", leaves.join(", ")),
    };
    match (nearest(path), origin) {
        (Some(key), Origin::Variable(_)) => {
            format!("did you mean {} ({})? {allowed}", key.path, key.variable())
        }
        (Some(key), _) => format!("did you mean {}? {allowed}", key.path),
        (None, _) => allowed,
    }
}

/// The key that was probably meant: a slip of a few letters, or the right leaf in the wrong place.
fn nearest(path: &str) -> Option<&'static keys::Key> {
    let leaf = path.rsplit('.').next().unwrap_or(path);
    // Cut short: `http.tls.cert`.
    let begun: Vec<_> = keys::KEYS.iter().filter(|key| !leaf.is_empty() && key.path.starts_with(path)).collect();
    if let [only] = begun[..] {
        return Some(only);
    }
    let furthest = (path.chars().count() / 4).clamp(1, 3);
    keys::KEYS
        .iter()
        .map(|key| {
            let same_leaf = key.path.rsplit('.').next() == Some(leaf);
            let away = distance(path, key.path);
            (if same_leaf { away.min(1) } else { away }, key)
        })
        .filter(|(away, _)| *away <= furthest)
        .min_by_key(|(away, _)| *away)
        .map(|(_, key)| key)
}

/// Levenshtein's distance: letters to insert, delete or replace.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut next = vec![i + 1];
        let mut left = i + 1;
        for ((b, above), diagonal) in to.iter().zip(row.iter().skip(1)).zip(&row) {
            left = (left + 1).min(above + 1).min(diagonal + usize::from(a != *b));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
