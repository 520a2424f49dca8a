//! E-mail, over SMTP.

use std::time::Duration;

use lettre::message::header::{ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0};
use lettre::message::{self, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::{AsyncSmtpTransport, Error};
use lettre::{AsyncTransport as _, Tokio1Executor};
use tokio::time::timeout;

use super::error::{DeliveryError, one_line};
use super::trust::Trust;
use crate::model::{Mailbox, SecretText, Timestamp};

/// How long one step may take.
const STEP: Duration = Duration::from_secs(10);
/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(30);
/// The longest subject and header, in characters.
const LONGEST_HEADER: usize = 400;
/// The most mails that one may belong to.
const MOST_THREADS: usize = 20;

/// How mail is to be encrypted on its way to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// By STARTTLS; not at all without it.
    Required,
    /// By STARTTLS where the server has it.
    Optional,
    /// From the start (port 465).
    Implicit,
    /// Not.
    None,
}

/// A server that takes mail.
#[derive(Debug, Clone)]
pub struct MailServer {
    /// Its name or address; its certificate is to be for this.
    pub host: String,
    /// Its port; none is 587, or 465 with TLS from the start.
    pub port: Option<u16>,
    /// How mail is encrypted on its way there.
    pub tls: MailTls,
    /// Who Alf is there, and the password.
    pub login: Option<(String, SecretText)>,
    /// Who mail is from, if it does not say so itself.
    pub from: Mailbox,
}

/// A message to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// What is the same in each try, of letters, digits and `-`: its `Message-ID` is made of it.
    pub id: String,
    /// The ids of the mails that this one belongs to, such as the one of a PROBLEM for its recovery.
    pub threads: Vec<String>,
    /// Whom it is from; none is who the server's settings say.
    pub from: Option<Mailbox>,
    /// Whom it is to.
    pub to: Vec<Mailbox>,
    /// One line.
    pub subject: String,
    /// The text.
    pub body: String,
    /// What programs sort it by: `("Host", "web1")` is `X-Alf-Host: web1`.
    pub fields: Vec<(&'static str, String)>,
    /// When it was written.
    pub at: Timestamp,
}

/// What sends mail.
#[derive(Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: message::Mailbox,
    server: String,
}

impl Mailer {
    /// For a server.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(server: &MailServer, trust: &Trust) -> Result<Self, String> {
        let from = mailbox(&server.from)?;
        let mut tls = TlsParameters::builder(server.host.clone()).certificate_store(CertificateStore::None);
        for root in trust.roots() {
            tls = tls.add_root_certificate(Certificate::from_der(root.to_vec()).map_err(|error| error.to_string())?);
        }
        let tls = tls.build_rustls().map_err(|error| error.to_string())?;
        let (tls, usual) = match server.tls {
            MailTls::Required => (Tls::Required(tls), 587),
            MailTls::Optional => (Tls::Opportunistic(tls), 587),
            MailTls::Implicit => (Tls::Wrapper(tls), 465),
            MailTls::None => (Tls::None, 587),
        };
        let port = server.port.unwrap_or(usual);
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
            .port(port)
            .tls(tls)
            .timeout(Some(STEP));
        if let Some((user, password)) = &server.login {
            transport = transport.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
        }
        let name = format!("mail server {} port {port}", server.host);
        Ok(Self { transport: transport.build(), from, server: name })
    }

    /// Sends a message once.
    ///
    /// # Errors
    /// Why not, and whether it is worth another try.
    pub async fn send(&self, mail: &Mail) -> Result<(), DeliveryError> {
        let message = self.message(mail)?;
        let sent = timeout(LIMIT, self.transport.send(message)).await;
        let sent = sent.map_err(|_| DeliveryError::temporary(format!("{}: no end within {LIMIT:?}", self.server)))?;
        sent.map(drop).map_err(|error| self.failed(&error))
    }

    fn message(&self, mail: &Mail) -> Result<Message, DeliveryError> {
        let id = |id: &str| format!("<{}@{}>", id, self.from.email.domain());
        let from = match &mail.from {
            Some(from) => mailbox(from).map_err(DeliveryError::permanent)?,
            None => self.from.clone(),
        };
        let mut builder = Message::builder()
            .from(from)
            .date(mail.at.get().into())
            .message_id(Some(id(&mail.id)))
            .subject(in_header(&mail.subject))
            .header(MIME_VERSION_1_0)
            .header(ContentType::TEXT_PLAIN);
        for to in &mail.to {
            builder = builder.to(mailbox(to).map_err(DeliveryError::permanent)?);
        }
        if let Some(first) = mail.threads.first() {
            let all: Vec<String> = mail.threads.iter().take(MOST_THREADS).map(|thread| id(thread)).collect();
            builder = builder.in_reply_to(id(first)).references(all.join(" "));
        }
        // No machine is to answer it (RFC 3834).
        let fields = mail.fields.iter().map(|(name, value)| (format!("X-Alf-{name}"), value.as_str()));
        for (name, value) in [("Auto-Submitted".to_owned(), "auto-generated")].into_iter().chain(fields) {
            let name = HeaderName::new_from_ascii(name).map_err(|error| DeliveryError::permanent(error.to_string()))?;
            builder = builder.raw_header(HeaderValue::new(name, in_header(value)));
        }
        builder
            .body(text(&mail.body))
            .map_err(|error| DeliveryError::permanent(format!("no mail can be made: {error}")))
    }

    /// What a server refuses for good stays refused, save for a login: that is put right by somebody.
    fn failed(&self, error: &Error) -> DeliveryError {
        let login = error.status().is_some_and(|code| matches!(u16::from(code), 530 | 534 | 535 | 538));
        let mut told = format!("{}: {error}", self.server);
        if told.contains("UnknownIssuer") {
            told.push_str(" (actions.ca_file names further CAs)");
        }
        if error.is_permanent() && !login { DeliveryError::permanent(told) } else { DeliveryError::temporary(told) }
    }
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer").field("server", &self.server).field("from", &self.from.email).finish_non_exhaustive()
    }
}

fn mailbox(of: &Mailbox) -> Result<message::Mailbox, String> {
    let address = of.address().parse();
    let address =
        address.map_err(|error| format!("\"{}\" is no address of e-mail: {error}", one_line(of.address())))?;
    Ok(message::Mailbox::new(of.name().map(in_header), address))
}

/// A text as one line: a line break would begin another header.
fn in_header(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c }).collect();
    line.trim().chars().take(LONGEST_HEADER).collect()
}

/// A text without what no mail program shows, and with the line breaks of mail.
fn text(body: &str) -> String {
    let lines = body.lines().map(|line| line.chars().filter(|c| !c.is_control() || *c == '\t').collect::<String>());
    // The last one ends with the mail.
    lines.collect::<Vec<_>>().join("\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailer() -> Mailer {
        let server = MailServer {
            host: "mail.example.org".to_owned(),
            port: None,
            tls: MailTls::Required,
            login: Some(("alf".to_owned(), SecretText::new("topsecret".to_owned()))),
            from: Mailbox::parse("Alf <alf@example.org>").unwrap(),
        };
        Mailer::new(&server, &Trust::load(None).unwrap()).unwrap()
    }

    fn mail() -> Mail {
        Mail {
            id: "0193".to_owned(),
            threads: Vec::new(),
            from: None,
            to: vec![Mailbox::parse("Anna <anna@example.org>").unwrap()],
            subject: "web1/load is CRITICAL".to_owned(),
            body: "load is 7.5\n".to_owned(),
            fields: vec![("Host", "web1".to_owned())],
            at: "2026-11-25T08:00:00Z".parse().unwrap(),
        }
    }

    fn written(mail: &Mail) -> String {
        String::from_utf8(mailer().message(mail).unwrap().formatted()).unwrap()
    }

    #[test]
    fn a_mail_has_all_that_people_and_programs_go_by() {
        let mail = Mail { threads: vec!["0192".to_owned(), "0191".to_owned()], ..mail() };
        let written = written(&mail);
        let (head, body) = written.split_once("\r\n\r\n").unwrap();
        for line in [
            "From: Alf <alf@example.org>",
            "To: Anna <anna@example.org>",
            "Subject: web1/load is CRITICAL",
            "Date: Wed, 25 Nov 2026 08:00:00 +0000",
            "Message-ID: <0193@example.org>",
            "In-Reply-To: <0192@example.org>",
            "References: <0192@example.org> <0191@example.org>",
            "MIME-Version: 1.0",
            "Auto-Submitted: auto-generated",
            "X-Alf-Host: web1",
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert!(head.split("\r\n").any(|has| has == line), "{line} in {head}");
        }
        assert_eq!(body, "load is 7.5");
    }

    #[test]
    fn no_text_begins_a_header_or_ends_the_mail() {
        let hostile = "x\r\nBcc: eve@example.org\r\n\r\n.\r\nMAIL FROM:<eve>\u{0}\u{2028}\u{85}Cc: y";
        let mail = Mail {
            subject: hostile.to_owned(),
            fields: vec![("Message", hostile.to_owned())],
            body: hostile.to_owned(),
            ..mail()
        };
        let written = written(&mail);
        let (head, body) = written.split_once("\r\n\r\n").unwrap();
        for line in head.split("\r\n") {
            let known = [
                "From",
                "To",
                "Subject",
                "Date",
                "Message-ID",
                "Auto-Submitted",
                "X-Alf-Message",
                "Content-",
                "MIME-Version",
                " ",
            ];
            assert!(known.iter().any(|name| line.starts_with(name)), "{line:?} in {head}");
        }
        assert!(body.contains("Bcc: eve"), "it is text: {body}");
        let lone = |text: &str| text.replace("\r\n", "").contains(['\r', '\n', '\0']);
        assert!(!lone(head) && !lone(body), "{written:?}");
    }

    #[test]
    fn other_letters_than_those_of_ascii_are_encoded() {
        let written = written(&Mail { subject: "Köln: läuft".to_owned(), body: "Grüße".to_owned(), ..mail() });
        assert!(written.is_ascii() && written.contains("Subject: =?utf-8?"), "{written}");
    }

    #[test]
    fn no_password_is_shown_and_a_mail_may_be_from_somebody_else() {
        assert!(!format!("{:?}", mailer()).contains("topsecret"));
        let written = written(&Mail { from: Some(Mailbox::parse("ops@example.net").unwrap()), ..mail() });
        assert!(written.contains("\r\nFrom: ops@example.net\r\n") || written.starts_with("From: ops@example.net\r\n"));
    }
}
