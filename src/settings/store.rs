//! Where definitions and Results are kept, and the URL of a database, which may hold a password.

use std::fmt;

use figment::value::Value;
use mongodb::options::ConnectionString;

use super::{Merged, SettingsError, values};

/// What stands in place of what nobody is to read.
const HIDDEN: &str = "***";

/// Where definitions and Results are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    pub kind: StoreKind,
}

/// The backends of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreKind {
    /// One file in the data directory.
    Sqlite,
    /// A database of a MongoDB server.
    Mongodb {
        /// Where the server is, and who Alf is there.
        url: StoreUrl,
        /// Which of its databases it is.
        database: String,
    },
}

impl StoreKind {
    /// The name that `store.kind` and the first line on stdout use.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Mongodb { .. } => "mongodb",
        }
    }
}

/// A URL that may hold a password, which it does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(String);

impl StoreUrl {
    /// The whole of it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreUrl").field(&without_secrets(&self.0)).finish()
    }
}

/// The word for a backend.
pub(super) fn kind(value: &Value) -> Option<&str> {
    value.as_str().filter(|kind| matches!(*kind, "sqlite" | "mongodb"))
}

/// A URL as MongoDB has it. Names are not looked up.
pub(super) fn url(value: &Value) -> Option<StoreUrl> {
    let text = value.as_str()?;
    ConnectionString::parse(text).ok()?;
    Some(StoreUrl(text.to_owned()))
}

/// The name of a database as MongoDB allows it on all systems; its own ones are not for others.
pub(super) fn database(value: &Value) -> Option<String> {
    let name = value.as_str()?;
    let fits = (1..=63).contains(&name.len());
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    (fits && plain && !matches!(name, "admin" | "local" | "config")).then(|| name.to_owned())
}

/// A URL without its password, and without options that are as good as one.
pub(super) fn without_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return HIDDEN.to_owned() };
    // Rather too much than too little: a password may hold whatever the driver lets pass.
    let (login, rest) = rest.rsplit_once('@').map_or((None, rest), |(login, rest)| (Some(login), rest));
    let login = login.map_or_else(String::new, |login| match login.split_once(':') {
        Some((user, _)) => format!("{user}:{HIDDEN}@"),
        None => format!("{login}@"),
    });
    let (hosts, options) = rest.split_once('?').map_or((rest, None), |(path, options)| (path, Some(options)));
    let shown = |option: &str| match option.split_once('=') {
        Some((key, _)) if is_secret(key) => format!("{key}={HIDDEN}"),
        _ => option.to_owned(),
    };
    let options = options.map_or_else(String::new, |options| {
        let shown: Vec<_> = options.split('&').map(shown).collect();
        format!("?{}", shown.join("&"))
    });
    format!("{scheme}://{login}{hosts}{options}")
}

fn is_secret(option: &str) -> bool {
    let option = option.to_lowercase();
    option.contains("password") || option == "authmechanismproperties"
}

impl Merged {
    pub(super) fn store(&self) -> Result<StoreSettings, SettingsError> {
        let kind = self.required("store.kind", |value| kind(value).map(str::to_owned))?;
        let (url, database) = (self.optional("store.url", url)?, self.required("store.database", database)?);
        let kind = match (kind.as_str(), url) {
            ("mongodb", Some(url)) => StoreKind::Mongodb { url, database },
            ("mongodb", None) => return Err(SettingsError::NoUrl { origin: self.origin("store.kind") }),
            _ => StoreKind::Sqlite,
        };
        Ok(StoreSettings { kind })
    }
}

/// A value that is allowed, as it may be shown.
pub(super) fn hidden(key: &str, value: Value) -> Value {
    match value.as_str() {
        Some(url) if key == "store.url" => Value::from(without_secrets(url)),
        _ => value,
    }
}

/// A value that is not allowed, as it may be shown: where it should be a URL, nobody knows where in it a password is.
pub(super) fn shown(key: &str, value: &Value) -> String {
    if key == "store.url" { "(not shown: it may hold a password)".to_owned() } else { values::shown(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_shows_all_but_what_is_secret() {
        for (url, shown) in [
            ("mongodb://db1:27017,db2/?replicaSet=rs0", "mongodb://db1:27017,db2/?replicaSet=rs0"),
            ("mongodb://alf@db1", "mongodb://alf@db1"),
            (
                "mongodb+srv://alf:s%40cret@c.example.org/admin?tls=true",
                "mongodb+srv://alf:***@c.example.org/admin?tls=true",
            ),
            (
                "mongodb://db1/?tlsCertificateKeyFilePassword=s3cret&authMechanismProperties=AWS_SESSION_TOKEN:s3cret",
                "mongodb://db1/?tlsCertificateKeyFilePassword=***&authMechanismProperties=***",
            ),
            ("mongodb://alf:s3?/@:cr@db1/?tls=true", "mongodb://alf:***@db1/?tls=true"),
            ("alf:s3cret", "***"),
        ] {
            assert_eq!(without_secrets(url), shown);
            assert_eq!(format!("{:?}", StoreUrl(url.to_owned())), format!("StoreUrl({shown:?})"));
        }
    }

    #[test]
    fn databases_have_names_that_every_server_takes() {
        for name in ["alf", "alf-2_x", &"x".repeat(63)] {
            assert_eq!(database(&Value::from(name)).as_deref(), Some(name));
        }
        for name in ["", "a b", "a.b", "a/b", "$a", "ä", "admin", &"x".repeat(64)] {
            assert_eq!(database(&Value::from(name)), None, "{name}");
        }
    }
}
