//! Where a receiver of measurements listens: `HOST`, `HOST:PORT` or `[IPV6]:PORT`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::Host;

/// Longest host, in bytes, as in the DNS.
const LONGEST_HOST: usize = 253;

/// Where a receiver listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: Option<u16>,
}

impl Endpoint {
    /// A name, or an IP address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if it is said.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_v6 = |host: &str| matches!(Host::parse(&format!("[{host}]")), Ok(Host::Ipv6(_)));
        let is_name = |host: &str| {
            let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            !host.is_empty() && host.len() <= LONGEST_HOST && host.chars().all(legal) && !host.starts_with('-')
        };
        let parsed = || {
            if is_v6(text) {
                return Some(Self { host: text.to_owned(), port: None });
            }
            let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                Some((host, "")) if is_v6(host) => (host, None),
                Some((host, rest)) if is_v6(host) => (host, Some(rest.strip_prefix(':')?)),
                Some(_) => return None,
                None => match text.split_once(':') {
                    Some((host, port)) => (host, Some(port)),
                    None => (text, None),
                },
            };
            let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
            let port = match port {
                None => None,
                Some(port) => Some(port.parse::<u16>().ok().filter(|number| *number > 0 && digits(port))?),
            };
            (is_v6(host) || is_name(host)).then(|| Self { host: host.to_owned(), port })
        };
        parsed().ok_or_else(|| {
            let shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
            format!("\"{shown}\" is no address such as graphite.example.org:2003, 192.0.2.1 or [2001:db8::1]:2003")
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        for (text, host, port) in [
            ("graphite.example.org:2003", "graphite.example.org", Some(2003)),
            ("192.0.2.1", "192.0.2.1", None),
            ("[2001:db8::1]:2003", "2001:db8::1", Some(2003)),
            ("2001:db8::1", "2001:db8::1", None),
            ("carbon_relay", "carbon_relay", None),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.host(), endpoint.port(), endpoint.to_string().as_str()), (host, port, text));
        }
        for bad in
            ["", ":2003", "a:", "a:0", "a:65536", "a:+1", "a b:1", "http://a:1", "a:1:2", "[::1", "[a]:1", "u@a:1"]
        {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }
}
