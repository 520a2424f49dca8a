//! TLS: the certificate and its key, which can be exchanged while Alf runs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

/// Which of the two files is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The certificate.
    #[error("{0}")]
    Certificate(String),
    /// The key.
    #[error("{0}")]
    Key(String),
}

/// What HTTP over TLS is served with.
#[derive(Clone)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: Arc<Current>,
    config: Arc<ServerConfig>,
}

/// The certificate in effect.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl Current {
    fn get(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("certificate", &self.certificate).field("key", &self.key).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the certificate, its issuers behind it, and its key; both files are PEM.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let current = Arc::new(Current(RwLock::new(Arc::new(read(certificate, key)?))));
        // 1.2 and 1.3: rustls knows nothing older.
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Certificate(format!("cannot be served: {error}")))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), current, config: Arc::new(config) })
    }

    /// Reads both files again; connections that come from now on see what they hold. After an error nothing is changed.
    pub fn reload(&self) -> Result<(), TlsError> {
        let read = read(&self.certificate, &self.key)?;
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
        Ok(())
    }

    /// The certificate in effect without its issuers, as PEM.
    pub fn certificate(&self) -> String {
        let current = self.current.get();
        let text = current.cert.first().map(|der| STANDARD.encode(der)).unwrap_or_default();
        // Base64 is ASCII: any byte is a place to cut at.
        let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let wrong = |what: String| TlsError::Certificate(what);
    let text = std::fs::read(certificate).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| wrong(format!("is not PEM: {error}")))?;
    if chain.is_empty() {
        return Err(wrong("holds no certificate".to_owned()));
    }
    let text = std::fs::read(key).map_err(|error| TlsError::Key(format!("cannot be read: {error}")))?;
    let private = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|error| TlsError::Key(format!("holds no private key without a passphrase: {error}")))?;
    CertifiedKey::from_der(chain, private, &ring::default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => TlsError::Key("is not the key of the certificate".to_owned()),
        rustls::Error::InvalidCertificate(_) => wrong(format!("cannot be used: {error}")),
        other => TlsError::Key(format!("cannot be used: {other}")),
    })
}
