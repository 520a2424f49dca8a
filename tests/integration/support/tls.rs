//! A CA of a test's own, certificates of it, and a client that speaks TLS.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use super::http::{Answer, ask};

/// A CA, and the files that a service is given.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: tempfile::TempDir,
}

impl Authority {
    /// A new one, with a certificate for `127.0.0.1` in its files.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { issuer, dir: tempfile::tempdir().unwrap() };
        std::fs::write(authority.ca(), authority.issuer.pem()).unwrap();
        authority.issue("127.0.0.1");
        authority
    }

    /// Puts another certificate and its key into the files.
    pub(crate) fn issue(&self, name: &str) {
        self.write(CertificateParams::new(vec![name.to_owned()]).unwrap());
    }

    /// Puts one into the files whose time is over.
    pub(crate) fn issue_expired(&self, name: &str) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        self.write(params);
    }

    fn write(&self, params: CertificateParams) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.certificate(), certificate.pem()).unwrap();
        std::fs::write(self.key(), key.serialize_pem()).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.dir.path().join("tls.crt")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.dir.path().join("tls.key")
    }

    /// Settings of a service that uses the files.
    pub(crate) fn settings(&self) -> [(&'static str, String); 2] {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        [("ALF_HTTP__TLS__CERTIFICATE", text(self.certificate())), ("ALF_HTTP__TLS__KEY", text(self.key()))]
    }

    /// A connection that trusts this CA, once it has shaken hands.
    pub(crate) fn connect(
        &self,
        address: &str,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Result<StreamOwned<ClientConnection, TcpStream>, String> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.ca()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(|error| error.to_string())?;
        }
        Ok(stream)
    }

    /// One request over TLS.
    pub(crate) fn request(&self, address: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let stream = self.connect(address, rustls::ALL_VERSIONS).unwrap();
        ask(stream, address, method, path, headers, None)
    }

    /// What the service shows that listens there.
    pub(crate) fn shown(&self, address: &str) -> Vec<u8> {
        let stream = self.connect(address, rustls::ALL_VERSIONS).unwrap();
        stream.conn.peer_certificates().unwrap()[0].to_vec()
    }

    /// What is in the file now.
    pub(crate) fn issued(&self) -> Vec<u8> {
        CertificateDer::from_pem_file(self.certificate()).unwrap().to_vec()
    }
}
