//! HTTP as a client, for receivers that may be anybody: no redirect is followed by itself, every wait has a limit, and of an
//! answer little is read.

use std::time::Duration;

use awc::SendClientRequest;
use awc::error::{ConnectError, SendRequestError};
use awc::http::header;
use futures_util::StreamExt as _;
use url::Url;

use super::error::DeliveryError;
use super::trust::Trust;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The most of an answer that is read.
const READ: usize = 256 << 10;
/// The most of it that is kept.
const KEPT: usize = 2048;
/// A receiver may ask to be left alone for so long at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// What a receiver answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// Where it sends one on to.
    pub(super) location: Option<String>,
    /// How long it wants to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// The beginning of the body.
    pub(super) text: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// Nobody has seen the request.
    Unreached(DeliveryError),
    /// Somebody may have.
    Broken(DeliveryError),
}

impl Failed {
    pub(super) fn error(self) -> DeliveryError {
        match self {
            Self::Unreached(error) | Self::Broken(error) => error,
        }
    }
}

/// A client with connections of its own.
pub(super) fn client(trust: &Trust) -> awc::Client {
    let connector = awc::Connector::new().timeout(CONNECT).handshake_timeout(CONNECT).rustls_0_23(trust.config());
    awc::Client::builder()
        .connector(connector)
        .disable_redirects()
        .add_default_header((header::USER_AGENT, concat!("alf/", env!("CARGO_PKG_VERSION"))))
        .finish()
}

/// Sends a request and reads the answer, as much of it as is of use.
pub(super) async fn answer(request: SendClientRequest) -> Result<Answer, Failed> {
    let mut response = request.await.map_err(|error| {
        let told = DeliveryError::temporary(explained(&error));
        if matches!(error, SendRequestError::Connect(_)) { Failed::Unreached(told) } else { Failed::Broken(told) }
    })?;
    let text = |name| response.headers().get(name)?.to_str().ok().map(str::to_owned);
    let retry_after =
        text(header::RETRY_AFTER).and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
    let mut answer = Answer {
        status: response.status().as_u16(),
        location: text(header::LOCATION),
        retry_after: retry_after.map(|pause| pause.min(LONGEST_PAUSE)),
        text: String::new(),
    };
    let (mut kept, mut read) = (Vec::new(), 0);
    while let Some(piece) = response.next().await {
        // The status is there: that the rest is not is no failure.
        let Ok(piece) = piece else { break };
        kept.extend_from_slice(&piece[..piece.len().min(KEPT - kept.len())]);
        read += piece.len();
        if read >= READ {
            break;
        }
    }
    answer.text = String::from_utf8_lossy(&kept).into_owned();
    Ok(answer)
}

/// A URL as messages show it: its path and its query may be secrets.
pub(super) fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// What went wrong, in words that help.
fn explained(error: &SendRequestError) -> String {
    match error {
        SendRequestError::Connect(ConnectError::Io(error)) => match tls_fault(error) {
            Some(fault) => fault,
            None => format!("no connection: {error}"),
        },
        SendRequestError::Connect(ConnectError::Timeout) => format!("no connection within {CONNECT:?}"),
        SendRequestError::Connect(error) => format!("no connection: {error}"),
        SendRequestError::Timeout => "no answer in time".to_owned(),
        SendRequestError::Response(error) => format!("its answer is not HTTP: {error}"),
        SendRequestError::Send(error) => format!("the connection is lost: {error}"),
        other => other.to_string(),
    }
}

fn tls_fault(error: &std::io::Error) -> Option<String> {
    use rustls::{CertificateError, Error};
    Some(match error.get_ref()?.downcast_ref::<Error>()? {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate is of a CA that is not known here (actions.ca_file names others)".to_owned()
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "its certificate is for another name".to_owned(),
        other => format!("TLS: {other}"),
    })
}
