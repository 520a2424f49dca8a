//! Mail to a real SMTP server.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use alf::model::{Mailbox, SecretText};
use alf::sinks::{Mail as ToSend, MailServer, MailTls, Mailer, Trust};
use serde_json::Value;

use crate::support::mail::Mail;
use crate::support::receivers::{Smtp, SmtpServer};
use crate::support::tls::Authority;

fn mailer(port: u16, tls: MailTls, password: Option<&str>, ca: Option<&Path>) -> Mailer {
    let server = MailServer {
        host: "127.0.0.1".to_owned(),
        port: Some(port),
        tls,
        login: password.map(|password| ("alf".to_owned(), SecretText::new(password.to_owned()))),
        from: Mailbox::parse("Alf <alf@example.org>").unwrap(),
    };
    Mailer::new(&server, &Trust::load(ca).unwrap()).unwrap()
}

fn mail(to: &str) -> ToSend {
    ToSend {
        id: "0193".to_owned(),
        threads: Vec::new(),
        from: None,
        to: vec![Mailbox::parse(to).unwrap()],
        subject: "web1/läuft is CRITICAL".to_owned(),
        body: "It is bad.\n.\nEven with a dot on a line, and Ümläute.\n".to_owned(),
        fields: vec![("Host", "web1".to_owned()), ("State", "CRITICAL".to_owned())],
        at: "2026-11-25T08:00:00Z".parse().unwrap(),
    }
}

#[actix_rt::test]
async fn mail_arrives_encrypted_and_logged_in() {
    let authority = Authority::new();
    let files = [authority.certificate(), authority.key()];
    let files = [files[0].as_path(), files[1].as_path()];
    for (how, tls) in
        [(Smtp::StartTls, MailTls::Required), (Smtp::StartTls, MailTls::Optional), (Smtp::Implicit, MailTls::Implicit)]
    {
        let Some(server) = SmtpServer::start(how, Some(files)) else { return };
        let mailer = mailer(server.port(), tls, Some("pass w0rd"), Some(&authority.ca()));
        mailer.send(&mail("Anna <anna@example.org>")).await.unwrap();
        let [message] = &server.messages()[..] else { panic!("{:?}", server.messages()) };
        assert_eq!((&message["tls"], &message["authenticated"]), (&Value::Bool(true), &Value::Bool(true)), "{tls:?}");
        assert_eq!(
            (message["from"].as_str(), message["to"][0].as_str()),
            (Some("alf@example.org"), Some("anna@example.org"))
        );
        let content = message["content"].as_str().unwrap();
        for line in [
            "From: Alf <alf@example.org>",
            "To: Anna <anna@example.org>",
            "Message-ID: <0193@example.org>",
            "Auto-Submitted: auto-generated",
            "X-Alf-State: CRITICAL",
        ] {
            assert!(content.split("\r\n").any(|has| has == line), "{line} in {content}");
        }
        assert_eq!(Mail::of(message).text, "It is bad.\n.\nEven with a dot on a line, and Ümläute.\n");
    }
}

#[actix_rt::test]
async fn mail_arrives_at_a_server_without_tls_unless_tls_is_required() {
    let Some(server) = SmtpServer::start(Smtp::Plain, None) else { return };
    for tls in [MailTls::None, MailTls::Optional] {
        mailer(server.port(), tls, None, None).send(&mail("anna@example.org")).await.unwrap();
    }
    assert!(server.messages().iter().all(|message| message["tls"] == false));
    let error = mailer(server.port(), MailTls::Required, Some("pass w0rd"), None).send(&mail("anna@example.org")).await;
    assert!(error.unwrap_err().retry, "the server may learn it");
    assert_eq!(server.messages().len(), 2, "nothing went out unencrypted");
}

#[actix_rt::test]
async fn what_a_server_refuses_for_good_is_told_from_the_rest() {
    let Some(server) = SmtpServer::start(Smtp::Plain, None) else { return };
    let plain = mailer(server.port(), MailTls::None, None, None);
    for (to, retry, said) in
        [("gone@example.org", false, "no such mailbox"), ("later@example.org", true, "try again later")]
    {
        let error = plain.send(&mail(to)).await.unwrap_err();
        assert!(error.retry == retry && error.message.contains(said), "{error:?}");
        assert!(error.message.contains(&format!("127.0.0.1 port {}", server.port())), "{error}");
    }
    let wrong = mailer(server.port(), MailTls::None, Some("wrong"), None).send(&mail("anna@example.org")).await;
    let error = wrong.unwrap_err();
    assert!(error.retry && error.message.contains("535") && !error.message.contains("wrong"), "{error:?}");
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let error = mailer(free, MailTls::None, None, None).send(&mail("anna@example.org")).await.unwrap_err();
    assert!(error.retry, "{error:?}");
    assert_eq!(server.messages().len(), 0);
}
