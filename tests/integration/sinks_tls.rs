//! Nothing is sent to a server whose certificate is not for it: each way out × each fault.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alf::clock::Clock;
use alf::model::action::{Influx, InfluxDatabase, Method};
use alf::model::{Mailbox, SecretText, Span};
use alf::sinks::{
    Destinations, Mail, MailServer, MailTls, Mailer, MetricSink, Point, Receiver, Spooling, Trust, WebhookRequest,
    Webhooks,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::{Duration, sleep};
use tokio_rustls::TlsAcceptor;

use crate::support::tls::Authority;

/// A server with the certificate of the authority's files; it answers whatever it reads with `204 No Content`, and counts who
/// has got through the handshake and sent something.
async fn server(authority: &Authority) -> (SocketAddr, Arc<AtomicUsize>) {
    let certificate = CertificateDer::from_pem_file(authority.certificate()).unwrap();
    let key = PrivateKeyDer::from_pem_file(authority.key()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let told = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&told);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, told) = (acceptor.clone(), Arc::clone(&counter));
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut some = [0; 4096];
                if stream.read(&mut some).await.is_ok_and(|bytes| bytes > 0) {
                    told.fetch_add(1, Ordering::SeqCst);
                    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                    let _ = stream.shutdown().await;
                }
            });
        }
    });
    (address, told)
}

fn webhook(trust: &Trust) -> Webhooks {
    Webhooks::new(trust.clone(), Destinations::new(vec!["127.0.0.1/32".parse().unwrap()]), Clock::Wall)
}

fn request(address: SocketAddr) -> WebhookRequest {
    WebhookRequest {
        id: "1".to_owned(),
        fields: Vec::new(),
        method: Method::Post,
        url: SecretText::new(format!("https://{address}/")),
        headers: Vec::new(),
        body: b"{}".to_vec(),
        secret: None,
        timeout: Duration::from_secs(60),
        allow_private: false,
    }
}

/// The error of each way out to this server.
async fn errors(address: SocketAddr, trust: &Trust) -> [String; 3] {
    let error = webhook(trust).deliver(&request(address)).await.unwrap_err();
    assert!(error.retry, "a certificate can be put right: {error}");

    let server = MailServer {
        host: "127.0.0.1".to_owned(),
        port: Some(address.port()),
        tls: MailTls::Implicit,
        login: Some(("alf".to_owned(), SecretText::new("password".to_owned()))),
        from: Mailbox::parse("alf@example.org").unwrap(),
    };
    let mail = Mail {
        id: "1".to_owned(),
        threads: Vec::new(),
        from: None,
        to: vec![Mailbox::parse("anna@example.org").unwrap()],
        subject: String::new(),
        body: String::new(),
        fields: Vec::new(),
        at: Clock::Wall.now().into(),
    };
    let mailed = Mailer::new(&server, trust).unwrap().send(&mail).await.unwrap_err();
    assert!(mailed.retry, "{mailed}");

    let dir = tempfile::tempdir().unwrap();
    let influx = Influx {
        url: format!("https://{address}"),
        database: InfluxDatabase::Bucket { org: "o".to_owned(), bucket: "b".to_owned(), token: None },
        measurement: None,
        tags: BTreeMap::new(),
        timeout: Span::seconds(60),
    };
    let influx = Receiver::Influx(influx, Some(SecretText::new("some token".to_owned())));
    let spooling = Spooling { dir: dir.path().join("spool"), limit: 1 << 20 };
    let sink = MetricSink::start(&"graph".parse().unwrap(), influx, spooling, trust, &Clock::Wall);
    sink.offer(vec![Point {
        host: "web1".parse().unwrap(),
        address: String::new(),
        task: "load".parse().unwrap(),
        label: "load1".to_owned(),
        value: 1.0,
        unit: None,
        at: Clock::Wall.now().into(),
    }]);
    let told = loop {
        if let Some(error) = sink.stats().last_error {
            break error.message;
        }
        sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(sink.stats().sent, 0);
    sink.close().await;
    [error.message, mailed.message, told]
}

#[actix_rt::test]
async fn a_server_that_cannot_prove_who_it_is_is_told_nothing() {
    let authority = Authority::new();
    let known = Trust::load(Some(&authority.ca())).unwrap();

    let (address, told) = server(&authority).await;
    webhook(&known).deliver(&request(address)).await.unwrap();
    assert_eq!(told.load(Ordering::SeqCst), 1, "with the right certificate it goes well");
    for error in errors(address, &Trust::load(None).unwrap()).await {
        assert!(error.contains("actions.ca_file"), "a CA that is not known: {error}");
    }
    assert_eq!(told.load(Ordering::SeqCst), 1);

    authority.issue("other.example.org");
    let (address, told) = server(&authority).await;
    for error in errors(address, &known).await {
        assert!(error.to_lowercase().contains("name"), "a certificate for another name: {error}");
    }
    assert_eq!(told.load(Ordering::SeqCst), 0);

    authority.issue_expired("127.0.0.1");
    let (address, told) = server(&authority).await;
    for error in errors(address, &known).await {
        assert!(error.to_lowercase().contains("expired"), "a certificate of long ago: {error}");
    }
    assert_eq!(told.load(Ordering::SeqCst), 0);
}
