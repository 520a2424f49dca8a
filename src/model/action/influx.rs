//! InfluxDB: where measurements go as line protocol over HTTP.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::contact::is_line;
use super::super::definition::{Secrets, take_text};
use super::super::{Faults, SecretField, SecretText, Span, TextValue};
use super::webhook::{check_timeout, check_url};

/// Longest name of a database, bucket, organisation, user, measurement or tag, in bytes.
const LONGEST_NAME: usize = 256;
/// Most tags.
const MOST_TAGS: usize = 100;
/// The place of the token among the secrets, and in the document.
const TOKEN: &str = "then/influx/token";
/// That of the password.
const PASSWORD: &str = "then/influx/password";

/// InfluxDB, or what speaks its line protocol over HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct Influx {
    /// Where it is, without `/write` or `/api/v2/write`.
    pub url: String,
    /// Into what it writes, as whom.
    pub database: InfluxDatabase,
    /// The measurement; none for one by the task's name.
    pub measurement: Option<String>,
    /// Tags beside those that say what was measured where.
    pub tags: BTreeMap<String, String>,
    /// It is given up after so long.
    pub timeout: Span,
}

/// Into what Influx writes, as whom.
#[derive(Debug, Clone, PartialEq)]
pub enum InfluxDatabase {
    /// Version 2 and newer.
    Bucket {
        /// The organisation.
        org: String,
        /// The bucket.
        bucket: String,
        /// Who may write.
        token: Option<TextValue<SecretText>>,
    },
    /// Version 1.
    Database {
        /// The database.
        name: String,
        /// Who writes.
        user: Option<String>,
        /// What proves it.
        password: Option<TextValue<SecretText>>,
    },
}

/// Influx, as a document.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InfluxDocument {
    /// Where it is: `http://influx.example.org:8086`.
    #[schema(max_length = 4096)]
    pub url: Option<String>,
    /// The organisation (version 2 and newer).
    pub org: Option<String>,
    /// The bucket (version 2 and newer).
    pub bucket: Option<String>,
    /// Write-only: who may write to the bucket.
    pub token: Option<SecretField>,
    /// The database (version 1).
    pub database: Option<String>,
    /// Who writes to the database.
    pub user: Option<String>,
    /// Write-only: what proves it.
    pub password: Option<SecretField>,
    /// The measurement; the task's name where none is given.
    pub measurement: Option<String>,
    /// Tags beside those that say what was measured where.
    pub tags: Option<BTreeMap<String, String>>,
    /// It is given up after so long.
    pub timeout: Option<Span>,
}

impl InfluxDocument {
    /// Checks a document that stands at `/then/influx`.
    pub(super) fn check(self, kept: &Secrets, faults: &mut Faults) -> Option<Influx> {
        let url = faults.require("/then/influx/url", self.url);
        if let Some(url) = &url {
            faults.take("/then/influx/url", check_url(url));
        }
        let texts = [
            ("org", &self.org),
            ("bucket", &self.bucket),
            ("database", &self.database),
            ("user", &self.user),
            ("measurement", &self.measurement),
        ];
        for (field, _) in texts.into_iter().filter(|(_, text)| text.as_deref().is_some_and(|text| !is_word(text))) {
            faults.add(format!("/then/influx/{field}"), format!("must be one line of 1 to {LONGEST_NAME} bytes"));
        }
        let token = take_text(TOKEN, self.token, kept, faults);
        let password = take_text(PASSWORD, self.password, kept, faults);
        for (pointer, secret) in [(TOKEN, &token), (PASSWORD, &password)] {
            let own = secret.as_ref().and_then(TextValue::own_secret);
            if own.is_some_and(|text| !is_line(text, 4096)) {
                faults.add(format!("/{pointer}"), "must be one line and not empty");
            }
        }
        let misplaced = |fields: &[(&str, bool)], with: &str, faults: &mut Faults| {
            for (field, _) in fields.iter().filter(|(_, given)| *given) {
                faults.add(format!("/then/influx/{field}"), format!("does not go with {with}"));
            }
        };
        let database = match (self.database, self.bucket) {
            (Some(name), None) => {
                misplaced(&[("org", self.org.is_some()), ("token", token.is_some())], "database", faults);
                if password.is_some() && self.user.is_none() {
                    faults.add("/then/influx/user", "is required with password");
                }
                Some(InfluxDatabase::Database { name, user: self.user, password })
            }
            (None, Some(bucket)) => {
                misplaced(&[("user", self.user.is_some()), ("password", password.is_some())], "bucket", faults);
                let org = faults.require("/then/influx/org", self.org);
                org.map(|org| InfluxDatabase::Bucket { org, bucket, token })
            }
            _ => {
                faults.add("/then/influx", "exactly one of bucket (with org) and database must be given");
                None
            }
        };
        let tags = self.tags.unwrap_or_default();
        let legal = |(name, value): (&String, &String)| is_word(name) && is_word(value) && !name.starts_with('_');
        if tags.len() > MOST_TAGS || !tags.iter().all(legal) {
            let detail =
                format!("up to {MOST_TAGS}, each one line of 1 to {LONGEST_NAME} bytes, no name with _ before it");
            faults.add("/then/influx/tags", format!("must be names and values: {detail}"));
        }
        let timeout = check_timeout("/then/influx/timeout", self.timeout, faults);
        let measurement = self.measurement;
        url.zip(database).map(|(url, database)| Influx { url, database, measurement, tags, timeout })
    }

    /// What a document that is applied may leave out.
    pub(super) fn keep_left_out(&mut self, kept: &Secrets) {
        let keep = |name: &str, field: &mut Option<SecretField>| {
            if field.is_none() && kept.contains_key(name) {
                *field = Some(SecretField::Kept);
            }
        };
        if self.bucket.is_some() {
            keep(TOKEN, &mut self.token);
        }
        if self.user.is_some() {
            keep(PASSWORD, &mut self.password);
        }
    }

    /// The fields that may name a secret.
    pub(super) fn secret_fields(&self) -> [(&'static str, Option<&SecretField>); 2] {
        [(TOKEN, self.token.as_ref()), (PASSWORD, self.password.as_ref())]
    }
}

impl Influx {
    /// Its own secrets, by their places.
    pub(super) fn secrets(&self) -> Option<(&'static str, &TextValue<SecretText>)> {
        match &self.database {
            InfluxDatabase::Bucket { token, .. } => token.as_ref().map(|token| (TOKEN, token)),
            InfluxDatabase::Database { password, .. } => password.as_ref().map(|password| (PASSWORD, password)),
        }
    }
}

impl From<&Influx> for InfluxDocument {
    fn from(influx: &Influx) -> Self {
        let mut document = Self {
            url: Some(influx.url.clone()),
            measurement: influx.measurement.clone(),
            tags: Some(influx.tags.clone()),
            timeout: Some(influx.timeout),
            ..Self::default()
        };
        match &influx.database {
            InfluxDatabase::Bucket { org, bucket, token } => {
                (document.org, document.bucket) = (Some(org.clone()), Some(bucket.clone()));
                document.token = token.as_ref().map(TextValue::shown);
            }
            InfluxDatabase::Database { name, user, password } => {
                (document.database, document.user) = (Some(name.clone()), user.clone());
                document.password = password.as_ref().map(TextValue::shown);
            }
        }
        document
    }
}

fn is_word(text: &str) -> bool {
    is_line(text, LONGEST_NAME)
}
