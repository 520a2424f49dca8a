//! A message as it would be sent, for people to look at: what secrets say is not in it.

use super::Office;
use super::message::{NO_SERVER, Unsent, body_of, mail_of};
use crate::actors::reactions::{Message, MessagePreview};
use crate::model::action::{Email, Then, Webhook};
use crate::model::{Mailbox, SecretText, TextValue};

impl Office {
    /// A message as it would be sent.
    pub(super) fn preview(&self, message: &Message) -> MessagePreview {
        let made = match &message.action.then {
            Then::Webhook(webhook) => webhook_preview(webhook, message),
            Then::Email(email) => self.mail_preview(email, message),
            other => Err(Unsent::Never(format!("{} is no message", other.kind()))),
        };
        made.unwrap_or_else(|unsent| MessagePreview { fault: Some(unsent.into_words()), ..MessagePreview::default() })
    }

    fn mail_preview(&self, email: &Email, message: &Message) -> Result<MessagePreview, Unsent> {
        let mail = mail_of(email, message)?;
        let usual = self.email.as_ref().map(|settings| settings.from.clone());
        Ok(MessagePreview {
            from: mail.from.as_ref().map(|from| from.as_str().to_owned()).or(usual),
            to: mail.to.iter().map(Mailbox::as_str).map(str::to_owned).collect(),
            subject: Some(mail.subject),
            body: Some(mail.body),
            fault: self.email.is_none().then(|| NO_SERVER.to_owned()),
            ..MessagePreview::default()
        })
    }
}

fn webhook_preview(webhook: &Webhook, message: &Message) -> Result<MessagePreview, Unsent> {
    let headers = webhook.headers.iter();
    let mut headers = headers.map(|(name, value)| (name.clone(), SecretText::new(shown(value)))).collect();
    let body = body_of(webhook, message, &mut headers)?;
    let of_alf = message.fields().into_iter().map(|(name, value)| (format!("X-Alf-{name}"), value));
    Ok(MessagePreview {
        method: Some(webhook.method.to_string()),
        url: Some(shown(&webhook.url)),
        headers: headers.into_iter().map(|(name, value)| (name, value.reveal().to_owned())).chain(of_alf).collect(),
        body: Some(String::from_utf8_lossy(&body).into_owned()),
        ..MessagePreview::default()
    })
}

/// A text as it stands in the definition; a secret by its name.
fn shown(value: &TextValue) -> String {
    match value {
        TextValue::Own(text) => text.clone(),
        TextValue::Secret(name) => format!("(the secret \"{name}\")"),
    }
}
