//! A message by webhook or e-mail, made of what has happened.

use serde_json::Value;
use url::Position;

use super::Office;
use crate::actors::reactions::{Handed, Message};
use crate::model::action::{Email, Method, Syntax, Template, Then, Webhook, check_url};
use crate::model::{SecretText, TextValue, Timestamp};
use crate::settings::{EmailSettings, EmailTls};
use crate::sinks::{DeliveryError, Mail, MailServer, MailTls, Mailer, WebhookRequest};

/// Why no mail is sent where there is no server.
pub(super) const NO_SERVER: &str = "the setting email.server is missing";
/// The usual subject.
const SUBJECT: &str = "{{ type }} {{ host }}{% if task %}/{{ task }}{% endif %}{% if state %} is {{ state }}{% endif %}\
    {% if count > 1 %} (and {{ count - 1 }} more){% endif %}";
/// The usual text: for each thing it tells what, where, when, and the beginning of the output.
const BODY: &str = "\
{% for item in items %}{% if loop.index > 1 %}
----

{% endif %}{{ item.type }}: {{ item.host }}{% if item.task %}/{{ item.task }}{% endif %}\
{% if item.state %} is {{ item.state }}{% endif %}
{{ item.message }}

Host:    {{ item.host_title }} ({{ item.host_address }}){% if item.host_status.state %}, {{ item.host_status.state }}{% endif %}
{% if item.task %}Task:    {{ item.task_title }}
{% endif %}{% if item.result %}Ended:   {{ item.result.finished_at }}
Result:  {{ item.result.id }}
{% else %}At:      {{ item.at }}
{% endif %}Action:  {{ item.action }}{% if item.number > 1 %}, message {{ item.number }}{% endif %}
{% if item.result and item.result.stdout %}
{% if item.result.stdout_encoding == 'utf-8' %}{{ item.result.stdout[:4000] }}{% else %}(its output is no text){% endif %}
{% endif %}{% endfor %}";

impl Office {
    /// Sends a message.
    pub(super) async fn deliver(&self, message: &Message) -> Handed {
        let sent = match &message.action.then {
            Then::Webhook(webhook) => self.post(webhook, message).await,
            Then::Email(email) => self.mail(email, message).await,
            other => Err(Unsent::Never(format!("{} is no message", other.kind()))),
        };
        match sent {
            Ok(detail) => Handed::Over(detail),
            Err(Unsent::Never(why)) => Handed::Failed(why),
            Err(Unsent::NotYet(why)) => Handed::NotYet { why, after: None },
            Err(Unsent::Refused(DeliveryError { retry: true, after, message })) => {
                Handed::NotYet { why: message, after }
            }
            Err(Unsent::Refused(error)) => Handed::Failed(error.message),
        }
    }

    /// A receiver may say in its answer what it was sent: no secret of it is told on.
    async fn post(&self, webhook: &Webhook, message: &Message) -> Result<String, Unsent> {
        let mut secrets = Vec::new();
        let posted = self.post_with(webhook, message, &mut secrets).await;
        let hide = |text: String| secrets.iter().fold(text, |text, secret| secret.hide_in(&text));
        match posted {
            Ok(detail) => Ok(hide(detail)),
            Err(Unsent::Refused(error)) => {
                Err(Unsent::Refused(DeliveryError { message: hide(error.message), ..error }))
            }
            Err(other) => Err(other),
        }
    }

    async fn post_with(
        &self,
        webhook: &Webhook,
        message: &Message,
        secrets: &mut Vec<SecretText>,
    ) -> Result<String, Unsent> {
        let gone = |error: &dyn std::fmt::Display| Unsent::Never(error.to_string());
        let mut reveal = |value: &TextValue| {
            value.reveal(&message.catalog, secrets).map(SecretText::new).map_err(|error| gone(&error))
        };
        let mut headers = Vec::with_capacity(webhook.headers.len() + 1);
        for (name, value) in &webhook.headers {
            headers.push((name.clone(), reveal(value)?));
        }
        let body = body_of(webhook, message, &mut headers)?;
        let url = reveal(&webhook.url)?;
        if let (TextValue::Secret(_), Ok(url)) = (&webhook.url, check_url(url.reveal())) {
            // Its server sees no more of it than this.
            let path = url[Position::BeforePath..].to_owned();
            secrets.extend(Some(SecretText::new(path)).filter(|path| path.reveal().len() > 1));
        }
        let secret = webhook.hmac_secret.as_ref().map(|secret| secret.reveal(&message.catalog)).transpose();
        let secret = secret.map_err(|error| gone(&error))?;
        secrets.extend(secret.clone());
        let request = WebhookRequest {
            id: message.id.clone(),
            fields: message.fields(),
            method: webhook.method,
            url,
            headers,
            body,
            secret,
            timeout: webhook.timeout.get(),
            allow_private: webhook.allow_private,
        };
        let delivered = self.webhooks.deliver(&request).await.map_err(Unsent::Refused)?;
        Ok(format!("HTTP {} {}", delivered.status, delivered.answer).trim_end().to_owned())
    }

    async fn mail(&self, email: &Email, message: &Message) -> Result<String, Unsent> {
        let settings = self.email.as_ref();
        let settings = settings.ok_or_else(|| Unsent::NotYet(NO_SERVER.to_owned()))?;
        let mail = mail_of(email, message)?;
        let server = mail_server(settings).await?;
        Mailer::new(&server, &self.trust).map_err(Unsent::Never)?.send(&mail).await.map_err(Unsent::Refused)?;
        let to: Vec<&str> = mail.to.iter().map(crate::model::Mailbox::as_str).collect();
        Ok(format!("e-mail to {}", to.join(", ")))
    }
}

impl Message {
    fn text(&self, field: &str) -> Option<&str> {
        self.payload.get(field)?.as_str()
    }

    /// What programs sort it by.
    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        let of = |(name, field): (&'static str, &str)| Some((name, self.text(field)?.to_owned()));
        let fields = [("Action", "action"), ("Type", "type"), ("Host", "host"), ("Task", "task"), ("State", "state")];
        fields.into_iter().filter_map(of).collect()
    }
}

/// The body of a request; what its headers do not say of it they say then.
pub(super) fn body_of(
    webhook: &Webhook,
    message: &Message,
    headers: &mut Vec<(String, SecretText)>,
) -> Result<Vec<u8>, Unsent> {
    let given = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let given = given.map(|(_, kind)| Syntax::of_content_type(kind.reveal()));
    match (&webhook.body, webhook.method) {
        (_, Method::Get) => Ok(Vec::new()),
        (Some(template), _) => {
            let syntax = given.unwrap_or_else(|| template.syntax());
            if given.is_none() {
                let kind = match syntax {
                    Syntax::Json => "application/json",
                    Syntax::Xml => "application/xml",
                    Syntax::Plain => "text/plain; charset=utf-8",
                };
                headers.push(("Content-Type".to_owned(), SecretText::new(kind.to_owned())));
            }
            filled("body", template, syntax, &message.payload).map(String::into_bytes)
        }
        (None, _) => Ok(usual_body(message).to_string().into_bytes()),
    }
}

/// What a message says by e-mail, and to whom.
pub(super) fn mail_of(email: &Email, message: &Message) -> Result<Mail, Unsent> {
    let to = match &message.contact {
        Some(contact) => contact.email.iter().cloned().collect(),
        None => email.to.clone(),
    };
    if to.is_empty() {
        return Err(Unsent::Never("there is no address".to_owned()));
    }
    let usual = |text: &str| Template::parse(text).map_err(Unsent::Never);
    let subject = email.subject.clone().map_or_else(|| usual(SUBJECT), Ok)?;
    let body = email.body.clone().map_or_else(|| usual(BODY), Ok)?;
    let at = message.text("at").unwrap_or_default().parse::<Timestamp>();
    let at = at.map_err(|error| Unsent::Never(error.to_string()))?;
    Ok(Mail {
        id: message.id.clone(),
        threads: message.threads.clone(),
        from: email.from.clone(),
        to,
        subject: filled("subject", &subject, Syntax::Plain, &message.payload)?,
        body: filled("body", &body, Syntax::Plain, &message.payload)?,
        fields: message.fields(),
        at,
    })
}

/// Why a message was not sent.
pub(super) enum Unsent {
    /// It never will be.
    Never(String),
    /// Something is missing that somebody may mend.
    NotYet(String),
    /// The receiver's own words.
    Refused(DeliveryError),
}

impl Unsent {
    /// Why, in words.
    pub(super) fn into_words(self) -> String {
        match self {
            Self::Never(why) | Self::NotYet(why) => why,
            Self::Refused(error) => error.message,
        }
    }
}

fn filled(what: &str, template: &Template, syntax: Syntax, payload: &Value) -> Result<String, Unsent> {
    template.render(syntax, payload).map_err(|error| Unsent::Never(format!("the template of its {what}: {error}")))
}

/// The Result as JSON, or the host's status; a list of them where more than one may be joined.
fn usual_body(message: &Message) -> Value {
    let one = |item: &Value| match item.get("result") {
        Some(Value::Null) | None => {
            let mut status = item.get("host_status").cloned().unwrap_or_default();
            // None: so it is told from a Result.
            status["task"] = Value::Null;
            status
        }
        Some(result) => result.clone(),
    };
    if message.action.digest.is_none() {
        return one(&message.payload);
    }
    let items = message.payload.get("items").and_then(Value::as_array);
    Value::Array(items.into_iter().flatten().map(one).collect())
}

/// The server by the settings; its password is read each time, so that a new one counts at once.
async fn mail_server(settings: &EmailSettings) -> Result<MailServer, Unsent> {
    let login = match &settings.login {
        Some((user, file)) => {
            let text = tokio::fs::read_to_string(&file.path).await;
            let text = text.map_err(|error| {
                Unsent::NotYet(format!("email.password_file {} cannot be read: {error}", file.path.display()))
            })?;
            Some((user.clone(), SecretText::new(text.lines().next().unwrap_or_default().to_owned())))
        }
        None => None,
    };
    let tls = match settings.tls {
        EmailTls::Required => MailTls::Required,
        EmailTls::Optional => MailTls::Optional,
        EmailTls::Implicit => MailTls::Implicit,
        EmailTls::None => MailTls::None,
    };
    let from = crate::model::Mailbox::parse(&settings.from).map_err(Unsent::NotYet)?;
    Ok(MailServer { host: settings.server.clone(), port: settings.port, tls, login, from })
}
