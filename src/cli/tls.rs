//! Whose certificates are believed: those that a CA of the system or of the user vouches for, and the one that the
//! service of the local data directory has put there.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::error::CliError;
use super::text::escaped;

/// The port of an https URL that names none.
const HTTPS_PORT: u16 = 443;
/// Stands in URLs for an IPv6 address; no such name exists (RFC 6761, section 6.4).
const STAND_IN: &str = "ipv6.invalid";

/// Where an https URL with an IPv6 address leads to. actix-tls takes the brackets of the URL for a part of the server's
/// name, which none may hold: it is told another name and the address apart, and the certificate is judged by the
/// address.
pub(super) struct Literal {
    /// The URL, another name in the address' place.
    pub(super) url: String,
    /// Where that is.
    pub(super) address: SocketAddr,
    /// What it is called in requests.
    pub(super) authority: String,
}

impl Literal {
    /// That of a URL, if it is such a one.
    pub(super) fn of(url: &str) -> Option<Self> {
        let uri: awc::http::Uri = url.parse().ok()?;
        let (authority, address) = (uri.authority()?.to_string(), ipv6(&uri)?);
        let port = uri.port_u16().unwrap_or(HTTPS_PORT);
        let named = format!("{STAND_IN}:{port}");
        let url = url.replacen(&authority, &named, 1);
        (uri.scheme_str() == Some("https")).then_some(Self { url, address: (address, port).into(), authority })
    }
}

fn ipv6(uri: &awc::http::Uri) -> Option<Ipv6Addr> {
    uri.host()?.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// What TLS is spoken with to the service at `url`. `ca_file` is the user's own CA, `data_dir` that of a service on this
/// machine.
pub(super) fn config(
    url: &str,
    ca_file: Option<&Path>,
    data_dir: Option<&Path>,
) -> Result<Arc<ClientConfig>, CliError> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    // A system without CAs, or with some that cannot be read, still has the others; what is missing shows soon enough.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = ca_file {
        for certificate in ca(file)? {
            roots.add(certificate).map_err(|error| bad_ca(file, &error.to_string()))?;
        }
    }
    let own = data_dir.and_then(|dir| std::fs::read(dir.join("certificate.pem")).ok());
    let verifier = Verifier {
        own: own.and_then(|pem| CertificateDer::from_pem_slice(&pem).ok()),
        // There is none without a single CA.
        public: WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().ok(),
        address: url.parse().ok().as_ref().and_then(ipv6),
        provider: Arc::clone(&provider),
    };
    let named = verifier.address.is_none();
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| CliError::Failed(format!("TLS cannot be spoken: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    // Addresses are no names to be asked for (RFC 6066, section 3), and what stands for them is nobody's business.
    config.enable_sni = named;
    Ok(Arc::new(config))
}

fn ca(file: &Path) -> Result<Vec<CertificateDer<'static>>, CliError> {
    let pem = std::fs::read(file).map_err(|error| bad_ca(file, &error.to_string()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(bad_ca(file, "it holds no certificate in PEM")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(bad_ca(file, &format!("it is not PEM: {error}"))),
    }
}

fn bad_ca(file: &Path, why: &str) -> CliError {
    let file: PathBuf = file.to_owned();
    CliError::Usage(format!("CA file {} (--ca-file, ALF_CA_FILE): {why}", escaped(&file.to_string_lossy())))
}

/// What is wrong with a service's TLS, in words that help; none if the error is of another kind.
pub(super) fn explained(error: &io::Error) -> Option<String> {
    Some(match error.get_ref()?.downcast_ref::<Error>()? {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate is of a CA that is not known here; name the CA's file with --ca-file or ALF_CA_FILE"
                .to_owned()
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "its certificate is for another name; use that one in the URL".to_owned(),
        Error::InvalidMessage(_) => "it does not speak TLS; perhaps http:// is meant".to_owned(),
        other => other.to_string(),
    })
}

/// Believes the very certificate of the local service, whatever name it is for, and those of CAs. That the other side
/// has the key to it is checked in both cases.
#[derive(Debug)]
struct Verifier {
    own: Option<CertificateDer<'static>>,
    public: Option<Arc<WebPkiServerVerifier>>,
    /// What the certificate must be for in place of the name that is asked for.
    address: Option<Ipv6Addr>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let address = self.address.map(|address| ServerName::IpAddress(IpAddr::V6(address).into()));
        let name = address.as_ref().unwrap_or(name);
        match &self.public {
            _ if self.own.as_ref().is_some_and(|own| own == certificate) => Ok(ServerCertVerified::assertion()),
            Some(public) => public.verify_server_cert(certificate, issuers, name, ocsp, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
