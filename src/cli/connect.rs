//! Which service, and with which key.

use std::path::{Path, PathBuf};

use super::client::Client;
use super::error::CliError;
use super::text::escaped;
use super::tls;

/// Where a service listens if nothing else is said.
const DEFAULT_URL: &str = "http://127.0.0.1:8253";
/// How a URL begins that needs TLS.
const HTTPS: &str = "https://";

/// What tells where the service is.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// `--url`, else `ALF_URL`.
    pub(super) url: Option<String>,
    /// `ALF_API_KEY`.
    pub(super) key: Option<String>,
    /// `--ca-file`, else `ALF_CA_FILE`.
    pub(super) ca_file: Option<PathBuf>,
    /// The data directory of a service on this machine.
    pub(super) data_dir: Option<PathBuf>,
}

/// A client for the service that is meant. Whether it can be reached is looked at first where there is no key: an
/// unreachable service is the nearer cause.
pub(super) async fn connect(sources: &Sources) -> Result<Client, CliError> {
    let data_dir = sources.data_dir.as_deref();
    let local = data_dir.and_then(|dir| std::fs::read_to_string(dir.join("listen")).ok());
    let local = local.as_deref().map(str::trim).filter(|url| !url.is_empty());
    let url = checked(sources.url.as_deref().or(local).unwrap_or(DEFAULT_URL))?;
    let tls = match url.starts_with(HTTPS) {
        true => Some(tls::config(&url, sources.ca_file.as_deref(), data_dir)?),
        false => None,
    };
    if let Some(key) = &sources.key {
        if key.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(CliError::NoKey(
                "ALF_API_KEY is no API key: it holds white space or control characters".to_owned(),
            ));
        }
        return Ok(Client::new(url, Some(key.clone()), tls));
    }
    // The key of this machine's service is not for others to see.
    let missing = if is_loopback(&url) || local == Some(url.as_str()) {
        match admin_key(data_dir) {
            Ok(key) => return Ok(Client::new(url, Some(key), tls)),
            Err(missing) => missing,
        }
    } else {
        "set ALF_API_KEY: the key in the local data directory is only shown to a service on this machine".to_owned()
    };
    Client::new(url.clone(), None, tls).probe().await?;
    Err(CliError::NoKey(format!("no API key for {url}: {missing}")))
}

impl Client {
    /// Whether something answers there, whatever it says.
    async fn probe(&self) -> Result<(), CliError> {
        match self.get("/health/live", &[]).await {
            Err(error) if error.is_away() => Err(error),
            _ => Ok(()),
        }
    }
}

fn admin_key(data_dir: Option<&Path>) -> Result<String, String> {
    let Some(dir) = data_dir else {
        return Err("ALF_API_KEY is not set, and there is no data directory; set ALF_API_KEY or --data-dir".to_owned());
    };
    let path = dir.join("admin.key");
    let shown = escaped(&path.to_string_lossy());
    let next = "set ALF_API_KEY, or --data-dir to the data directory of the service";
    match std::fs::read_to_string(&path) {
        Ok(text) if is_usable(text.trim()) => Ok(text.trim().to_owned()),
        Ok(_) => Err(format!("ALF_API_KEY is not set and {shown} does not hold a key; {next}")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(format!("ALF_API_KEY is not set and there is no {shown}; {next}"))
        }
        Err(error) => Err(format!("ALF_API_KEY is not set and {shown} cannot be read ({error}); {next}")),
    }
}

/// Whether a text can stand in a header as a key.
fn is_usable(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_graphic())
}

/// A URL as it is used: `http://HOST[:PORT][/PATH]` or https, no slash at its end.
fn checked(url: &str) -> Result<String, CliError> {
    let fault = |what: &str| CliError::Usage(format!("URL \"{}\" {what}", escaped(url)));
    let Some(rest) = url.strip_prefix("http://").or_else(|| url.strip_prefix(HTTPS)) else {
        return Err(fault("must begin with http:// or https://, for example http://127.0.0.1:8253"));
    };
    if rest.contains(['@', '?', '#']) {
        return Err(fault("must not hold a user, a query or a fragment; the key is given in ALF_API_KEY"));
    }
    let uri: awc::http::Uri = url.parse().map_err(|error| fault(&format!("is not valid: {error}")))?;
    if uri.host().is_none_or(str::is_empty) {
        return Err(fault("names no host"));
    }
    let bare = url.trim_end_matches('/');
    Ok(bare.strip_suffix(super::client::API).unwrap_or(bare).to_owned())
}

/// Whether a URL is of this machine.
pub(super) fn is_loopback(url: &str) -> bool {
    let uri: Result<awc::http::Uri, _> = url.parse();
    let host = uri.ok().and_then(|uri| uri.host().map(|host| host.trim_matches(['[', ']']).to_owned()));
    host.is_some_and(|host| match host.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(dir: &Path, url: Option<&str>, key: Option<&str>) -> Sources {
        Sources {
            url: url.map(str::to_owned),
            key: key.map(str::to_owned),
            ca_file: None,
            data_dir: Some(dir.to_owned()),
        }
    }

    #[test]
    fn urls_are_checked() {
        for (url, used) in [
            ("http://127.0.0.1:8253", "http://127.0.0.1:8253"),
            ("http://[::1]:8253/", "http://[::1]:8253"),
            ("http://alf.example.org/alf/api/v1/", "http://alf.example.org/alf"),
            ("https://alf.example.org/", "https://alf.example.org"),
        ] {
            assert_eq!(checked(url).unwrap(), used);
        }
        for bad in
            ["", "127.0.0.1:8253", "https://", "ftp://x", "http://", "http://a b", "http://u:p@x", "http://x?k=1"]
        {
            assert_eq!(checked(bad).unwrap_err().exit().code(), 2, "{bad}");
        }
    }

    #[actix_rt::test]
    async fn the_local_service_is_found_by_its_files() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("listen"), "http://10.9.8.7:99\n").unwrap();
        std::fs::write(dir.path().join("admin.key"), "alf_secret\n").unwrap();
        let client = connect(&sources(dir.path(), None, None)).await.unwrap();
        assert_eq!(client.url(), "http://10.9.8.7:99");
        let client = connect(&sources(dir.path(), Some("http://localhost:1"), None)).await.unwrap();
        assert_eq!(client.url(), "http://localhost:1");
    }

    #[actix_rt::test]
    async fn the_local_key_is_never_shown_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("admin.key"), "alf_secret\n").unwrap();
        for url in ["http://192.0.2.1:1", "http://localhost.example.org:1", "http://127.0.0.1.example.org:1"] {
            assert!(!is_loopback(url), "{url}");
        }
        // An address of this machine that no service there announced: whoever answers does not get to see the key.
        let server = crate::cli::testing::FakeServer::start(vec![]);
        let elsewhere = server.url().replace("127.0.0.1", "0.0.0.0");
        let error = connect(&sources(dir.path(), Some(&elsewhere), None)).await.err().unwrap();
        assert_eq!(error.exit().code(), 4, "{error}");
        assert!(server.asked().iter().all(|asked| !asked.headers.contains_key("authorization")));
        assert!(is_loopback("http://127.3.2.1:1") && is_loopback("http://[::1]:1") && is_loopback("http://LOCALHOST"));
    }

    #[actix_rt::test]
    async fn no_key_is_exit_4_and_no_service_exit_5() {
        let dir = tempfile::tempdir().unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = connect(&sources(dir.path(), Some(&format!("http://{closed}")), None)).await.err().unwrap();
        assert_eq!(error.exit().code(), 5, "{error}");
        assert!(error.to_string().contains(&closed.to_string()) && error.to_string().contains("alf serve"), "{error}");

        let server = crate::cli::testing::FakeServer::start(vec![]);
        let error = connect(&sources(dir.path(), Some(server.url()), None)).await.err().unwrap();
        assert_eq!(error.exit().code(), 4, "{error}");
        std::fs::write(dir.path().join("admin.key"), "two words\n").unwrap();
        let unusable = connect(&sources(dir.path(), Some(server.url()), None)).await.err().unwrap();
        assert!(unusable.to_string().contains("does not hold a key"), "{unusable}");
        assert!(error.to_string().contains("admin.key") && error.to_string().contains("ALF_API_KEY"), "{error}");
    }
}
