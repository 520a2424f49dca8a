//! HTTP over TLS: handshakes, certificates that change, the command line, plain HTTP where TLS is spoken.

use std::process::{Command, Output};

use rustls::ProtocolVersion;
use rustls::version::{TLS12, TLS13};

use crate::support::http::request;
use crate::support::service::{Service, alf, until};
use crate::support::tls::Authority;

fn start(authority: &Authority) -> Service {
    let settings = authority.settings();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Service::start_with(&settings)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn with_a_certificate_it_speaks_tls_and_nothing_else() {
    let authority = Authority::new();
    let service = start(&authority);
    assert!(service.first_line.contains("listening on https://127.0.0.1:"), "{}", service.first_line);
    for (version, expected) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let stream = authority.connect(&service.address, &[version]).unwrap();
        assert_eq!(stream.conn.protocol_version(), Some(expected));
    }
    let key = [("X-Api-Key", service.key.as_str())];
    let answer = authority.request(&service.address, "GET", "/api/v1/hosts", &key).expect(200);
    assert!(answer.header("strict-transport-security").unwrap().starts_with("max-age="), "{answer:?}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));

    let plain = request(&service.address, "GET", "/api/v1/hosts", &key, None).expect(400);
    assert!(plain.json()["detail"].as_str().unwrap().contains("https://"), "{plain:?}");
    assert!(plain.header("x-request-id").is_some() && plain.header("strict-transport-security").is_none(), "{plain:?}");
    let stranger = Authority::new().connect(&service.address, rustls::ALL_VERSIONS);
    assert!(stranger.is_err_and(|error| error.contains("certificate")));
}

#[test]
fn the_command_line_knows_its_own_service_and_others_by_their_ca() {
    let authority = Authority::new();
    // Not for the address that the local command line asks.
    authority.issue("alf.example.org");
    let service = start(&authority);
    let listed = service.cli(&["host", "list", "-o", "name"]);
    assert!(listed.status.success(), "{}", said(&listed));

    authority.issue("127.0.0.1");
    let service = start(&authority);
    let elsewhere = tempfile::tempdir().unwrap();
    let url = format!("https://{}", service.address);
    let ask = |ca: Option<&std::path::Path>, url: &str| {
        let mut command = alf(elsewhere.path());
        command.env("ALF_URL", url).env("ALF_API_KEY", &service.key);
        if let Some(ca) = ca {
            command.env("ALF_CA_FILE", ca);
        }
        command.args(["host", "list"]).output().unwrap()
    };
    let listed = ask(Some(&authority.ca()), &url);
    assert!(listed.status.success(), "{}", said(&listed));
    for (ca, url, code, words) in [
        (None, url.as_str(), 5, "--ca-file"),
        (Some(authority.ca()), &url.replace("127.0.0.1", "localhost"), 5, "another name"),
        (Some(authority.key()), &url, 2, "no certificate"),
        (Some(elsewhere.path().join("none")), &url, 2, "ALF_CA_FILE"),
        (None, &url.replace("https", "http"), 1, "ask with https://"),
    ] {
        let refused = ask(ca.as_deref(), url);
        assert_eq!(refused.status.code(), Some(code), "{}", said(&refused));
        assert!(said(&refused).contains(words), "{words} is not in {}", said(&refused));
    }
    let plain = Service::start();
    let refused = ask(None, &format!("https://{}", plain.address));
    assert!(said(&refused).contains("does not speak TLS"), "{}", said(&refused));
}

#[test]
fn an_ipv6_address_in_the_url_is_what_the_certificate_must_be_for() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        eprintln!("left out: there is no IPv6 loopback here");
        return;
    }
    let authority = Authority::new();
    for (issued, code) in [("::1", 0), ("::2", 5), ("ipv6.invalid", 5)] {
        authority.issue(issued);
        let settings = authority.settings();
        let mut settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        settings.push(("ALF_HTTP__LISTEN", "[::1]:0"));
        let service = Service::start_with(&settings);
        assert!(service.address.starts_with("[::1]:"), "{}", service.first_line);
        let elsewhere = tempfile::tempdir().unwrap();
        let mut command = alf(elsewhere.path());
        command.env("ALF_URL", format!("https://{}", service.address)).env("ALF_API_KEY", &service.key);
        let listed = command.env("ALF_CA_FILE", authority.ca()).args(["host", "list"]).output().unwrap();
        assert_eq!(listed.status.code(), Some(code), "{issued}: {}", said(&listed));
        assert!(code == 0 || said(&listed).contains("another name"), "{}", said(&listed));
        // The local service is known by its certificate, whatever that is for.
        let local = service.cli(&["host", "list"]);
        assert!(local.status.success(), "{}", said(&local));
    }
    let plain = Service::start_with(&[("ALF_HTTP__LISTEN", "[::1]:0")]);
    assert!(plain.cli(&["host", "list"]).status.success(), "{}", plain.first_line);
}

#[test]
fn sighup_exchanges_the_certificate_and_a_bad_one_changes_nothing() {
    let authority = Authority::new();
    let service = start(&authority);
    let hang_up =
        || assert!(Command::new("kill").args(["-HUP", &service.pid().to_string()]).status().unwrap().success());
    let first = authority.shown(&service.address);
    assert_eq!(first, authority.issued());

    authority.issue("127.0.0.1");
    hang_up();
    let second = authority.issued();
    until("the new certificate", || (authority.shown(&service.address) == second).then_some(()));
    assert_ne!(first, second);
    let listed = service.cli(&["host", "list"]);
    assert!(listed.status.success(), "{}", said(&listed));

    std::fs::write(authority.key(), "no key\n").unwrap();
    hang_up();
    until("the fault is told", || service.log().contains("the certificate stays as it was").then_some(()));
    assert!(service.log().contains("http.tls.key"), "{}", service.log());
    assert_eq!(authority.shown(&service.address), second);
}

#[test]
fn files_that_cannot_be_used_stop_the_start() {
    let authority = Authority::new();
    let other = Authority::new();
    let bad = authority.path().join("bad.pem");
    std::fs::write(&bad, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").unwrap();
    let (certificate, key) = (authority.certificate(), authority.key());
    let none = authority.path().join("none");
    for (certificate, key, named) in [
        (Some(&none), Some(&key), "http.tls.certificate"),
        (Some(&bad), Some(&key), "http.tls.certificate"),
        (Some(&key), Some(&key), "holds no certificate"),
        (Some(&certificate), Some(&none), "ALF_HTTP__TLS__KEY"),
        (Some(&certificate), Some(&certificate), "http.tls.key"),
        (Some(&certificate), Some(&other.key()), "is not the key of the certificate"),
        (Some(&certificate), None, "http.tls.key is not"),
        (None, Some(&key), "http.tls.certificate is not"),
    ] {
        for verb in ["serve", "check-config"] {
            let mut command = alf(&authority.path().join("data"));
            let files = [("ALF_HTTP__TLS__CERTIFICATE", certificate), ("ALF_HTTP__TLS__KEY", key)];
            command.envs(files.into_iter().filter_map(|(name, file)| Some((name, file?))));
            let refused = command.arg(verb).output().unwrap();
            assert_eq!(refused.status.code(), Some(64), "{verb}: {}", said(&refused));
            assert!(said(&refused).contains(named), "{named} is not in {}", said(&refused));
            assert_eq!(said(&refused).trim_end().lines().count(), 1, "{}", said(&refused));
        }
    }
    let mut command = alf(&authority.path().join("data"));
    let checked = command.envs(authority.settings()).env("ALF_HTTP__LISTEN", "0.0.0.0:0").arg("check-config").output();
    assert!(checked.as_ref().is_ok_and(|checked| checked.status.success()), "{checked:?}");
}

#[test]
fn who_does_not_shake_hands_is_cut_off() {
    let authority = Authority::new();
    let settings = authority.settings();
    let mut settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    settings.push(("ALF_HTTP__HEADER_TIMEOUT", "500ms"));
    let service = Service::start_with(&settings);
    let mut silent = std::net::TcpStream::connect(&service.address).unwrap();
    silent.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let read = std::io::Read::read(&mut silent, &mut [0; 10]);
    assert!(read.as_ref().is_ok_and(|bytes| *bytes == 0), "{read:?}");
}
