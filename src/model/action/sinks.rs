//! Graphite and Ganglia: where measurements go over plain sockets.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Host;
use utoipa::ToSchema;

use super::super::Faults;
use super::endpoint::Endpoint;

/// Longest prefix of a path, in bytes.
const LONGEST_PREFIX: usize = 256;
/// What the paths of Graphite begin with where nothing is said.
const DEFAULT_PREFIX: &str = "alf";

/// Graphite's carbon: a path, a value and an instant for each measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Graphite {
    /// Where it listens; by default at 2003, for pickle at 2004.
    pub address: Endpoint,
    /// What each path begins with, without a dot behind it; may be empty.
    pub prefix: String,
    /// How it is told.
    pub protocol: GraphiteProtocol,
}

/// How Graphite's carbon is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum GraphiteProtocol {
    /// A line for each value.
    #[default]
    Plaintext,
    /// Many values at once, in Python's own form.
    Pickle,
}

impl Graphite {
    /// The port it listens at.
    pub fn port(&self) -> u16 {
        let default = match self.protocol {
            GraphiteProtocol::Plaintext => 2003,
            GraphiteProtocol::Pickle => 2004,
        };
        self.address.port().unwrap_or(default)
    }
}

/// Graphite, as a document.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GraphiteDocument {
    /// `HOST:PORT` of carbon; the port is 2003 by default, for pickle 2004.
    pub address: Option<Endpoint>,
    /// What each path begins with.
    #[schema(default = "alf", max_length = 256)]
    pub prefix: Option<String>,
    /// `plaintext` or `pickle`.
    pub protocol: Option<GraphiteProtocol>,
}

impl GraphiteDocument {
    /// Checks a document that stands at `/then/graphite`.
    pub(super) fn check(self, faults: &mut Faults) -> Option<Graphite> {
        let prefix = self.prefix.unwrap_or_else(|| DEFAULT_PREFIX.to_owned());
        let legal = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        let node = |node: &str| !node.is_empty() && node.chars().all(legal);
        if prefix.len() > LONGEST_PREFIX || (!prefix.is_empty() && !prefix.split('.').all(node)) {
            let allowed = "words of A-Z a-z 0-9 _ - with dots between them";
            faults.add("/then/graphite/prefix", format!("must be {allowed}, up to {LONGEST_PREFIX} bytes"));
        }
        let address = faults.require("/then/graphite/address", self.address)?;
        Some(Graphite { address, prefix, protocol: self.protocol.unwrap_or_default() })
    }
}

impl From<&Graphite> for GraphiteDocument {
    fn from(graphite: &Graphite) -> Self {
        Self {
            address: Some(graphite.address.clone()),
            prefix: Some(graphite.prefix.clone()),
            protocol: Some(graphite.protocol),
        }
    }
}

/// Ganglia's gmond: a packet for each measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Ganglia {
    /// Where it listens; by default at 8649.
    pub address: Endpoint,
    /// Whose the measurements are.
    pub spoof: Spoof,
}

impl Ganglia {
    /// The port it listens at.
    pub fn port(&self) -> u16 {
        self.address.port().unwrap_or(8649)
    }
}

/// As whose Ganglia takes the measurements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spoof {
    /// As those of the host where the task ran.
    Yes,
    /// As those of the machine that Alf runs on.
    No,
    /// As those of this one: `IP:NAME`, as `gmetric --spoof` takes it.
    As(String),
}

/// Ganglia, as a document.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GangliaDocument {
    /// `HOST:PORT` of gmond; the port is 8649 by default.
    pub address: Option<Endpoint>,
    /// Whose the measurements are: true for the host where the task ran (by default), false for the machine that Alf
    /// runs on, or `IP:NAME`.
    pub spoof: Option<Spoof>,
}

impl GangliaDocument {
    /// Checks a document that stands at `/then/ganglia`.
    pub(super) fn check(self, faults: &mut Faults) -> Option<Ganglia> {
        let address = faults.require("/then/ganglia/address", self.address)?;
        Some(Ganglia { address, spoof: self.spoof.unwrap_or(Spoof::Yes) })
    }
}

impl From<&Ganglia> for GangliaDocument {
    fn from(ganglia: &Ganglia) -> Self {
        Self { address: Some(ganglia.address.clone()), spoof: Some(ganglia.spoof.clone()) }
    }
}

fn is_ip(text: &str) -> bool {
    let v6 = || Host::parse(&format!("[{text}]")).is_ok();
    matches!(Host::parse(text), Ok(Host::Ipv4(_))) || v6()
}

impl Serialize for Spoof {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Yes => serializer.serialize_bool(true),
            Self::No => serializer.serialize_bool(false),
            Self::As(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Spoof {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpoofVisitor;
        impl Visitor<'_> for SpoofVisitor {
            type Value = Spoof;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, or IP:NAME such as 192.0.2.1:web1")
            }

            fn visit_bool<E: de::Error>(self, yes: bool) -> Result<Spoof, E> {
                Ok(if yes { Spoof::Yes } else { Spoof::No })
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Spoof, E> {
                // In XML all is text.
                match text {
                    "true" => return Ok(Spoof::Yes),
                    "false" => return Ok(Spoof::No),
                    _ => {}
                }
                let legal = |c: char| c.is_ascii_graphic();
                match text.rsplit_once(':') {
                    Some((ip, name))
                        if is_ip(ip) && !name.is_empty() && name.len() <= 256 && name.chars().all(legal) =>
                    {
                        Ok(Spoof::As(text.to_owned()))
                    }
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(SpoofVisitor)
    }
}
