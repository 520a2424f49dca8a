//! E-mail: to contacts, or to addresses of its own. By which server it goes is in the settings.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::{Faults, Mailbox};
use super::once_each;
use super::template::Template;

/// Most addresses.
const MOST_ADDRESSES: usize = 100;

/// A message by e-mail.
#[derive(Debug, Clone, PartialEq)]
pub struct Email {
    /// Where it goes beside the contacts.
    pub to: Vec<Mailbox>,
    /// From whom; none for who the settings say.
    pub from: Option<Mailbox>,
    /// Its subject; none for the usual one.
    pub subject: Option<Template>,
    /// Its text; none for the usual one.
    pub body: Option<Template>,
}

/// A message by e-mail, as a document.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmailDocument {
    /// Where it goes beside the contacts: `anna@example.org` or `Anna <anna@example.org>`.
    pub to: Option<Vec<String>>,
    /// From whom; who the settings say where it is left out.
    pub from: Option<String>,
    /// A template (Jinja) for its subject.
    #[schema(max_length = 262144)]
    pub subject: Option<String>,
    /// A template (Jinja) for its text.
    #[schema(max_length = 262144)]
    pub body: Option<String>,
}

impl EmailDocument {
    /// Checks a document that stands at `/then/email`.
    pub(super) fn check(self, faults: &mut Faults) -> Email {
        let given = self.to.unwrap_or_default();
        if given.len() > MOST_ADDRESSES {
            faults.add("/then/email/to", format!("holds {} addresses; at most {MOST_ADDRESSES}", given.len()));
        }
        let mut to = Vec::new();
        for (index, text) in given.iter().enumerate() {
            to.extend(faults.take(&format!("/then/email/to/{index}"), Mailbox::parse(text)));
        }
        let mut template =
            |pointer: &str, text: Option<String>| text.and_then(|text| faults.take(pointer, Template::parse(&text)));
        let subject = template("/then/email/subject", self.subject);
        let body = template("/then/email/body", self.body);
        let from = self.from.and_then(|text| faults.take("/then/email/from", Mailbox::parse(&text)));
        Email { to: once_each(to), from, subject, body }
    }
}

impl From<&Email> for EmailDocument {
    fn from(email: &Email) -> Self {
        let text = |template: &Option<Template>| template.as_ref().map(|template| template.as_str().to_owned());
        Self {
            to: Some(email.to.iter().map(|mailbox| mailbox.as_str().to_owned()).collect()),
            from: email.from.as_ref().map(|mailbox| mailbox.as_str().to_owned()),
            subject: text(&email.subject),
            body: text(&email.body),
        }
    }
}
