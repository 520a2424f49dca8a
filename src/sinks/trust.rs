//! Whom TLS believes: the CAs of the system, and one of the operator's own.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Whom TLS believes.
#[derive(Debug, Clone)]
pub struct Trust {
    config: Arc<ClientConfig>,
    roots: Arc<[CertificateDer<'static>]>,
}

impl Trust {
    /// The CAs of the system, and those in a file.
    ///
    /// # Errors
    /// Why the file cannot be used, as a sentence about it.
    pub fn load(ca_file: Option<&Path>) -> Result<Self, String> {
        let mut store = RootCertStore::empty();
        // A system without CAs, or with some that cannot be read, still has the others; what is missing shows soon enough.
        let mut roots = rustls_native_certs::load_native_certs().certs;
        roots.retain(|certificate| store.add(certificate.clone()).is_ok());
        if let Some(file) = ca_file {
            for certificate in certificates(file)? {
                store.add(certificate.clone()).map_err(|error| error.to_string())?;
                roots.push(certificate);
            }
        }
        // No ALPN: HTTP/1.1 alone is spoken.
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config), roots: roots.into() })
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// The certificates of all CAs.
    pub(super) fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = std::fs::read(file).map_err(|error| error.to_string())?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err("it holds no certificate in PEM".to_owned()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("it is not PEM: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        assert!(Trust::load(Some(&file)).is_err());
        std::fs::write(&file, "no PEM").unwrap();
        assert_eq!(Trust::load(Some(&file)).unwrap_err(), "it holds no certificate in PEM");
        assert!(Trust::load(None).is_ok());
    }
}
