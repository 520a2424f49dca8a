//! Tests of the room as its users see it: documents in, values or faults out, and back.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Fault, FormatError, parse_json, parse_xml, read_document};

mod bombs;
mod documents;
mod faults;
mod generator;
mod json;
mod round_trip;
mod writing;
mod xml;

/// A host as a user sends one: all fields may be left out, no others are known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Host {
    name: Option<String>,
    address: Option<Address>,
    port: Option<u16>,
    weight: Option<f64>,
    offset: Option<i32>,
    enabled: Option<bool>,
    policy: Option<Policy>,
    labels: Option<BTreeMap<String, String>>,
    exit_codes: Option<Vec<i64>>,
    host_key: Option<HostKey>,
    then: Option<Then>,
    keys: Option<Vec<HostKey>>,
    ports: Option<BTreeMap<u16, Vec<Policy>>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostKey {
    algorithm: String,
    bits: u32,
    comment: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Policy {
    Strict,
    AcceptNew,
}

/// A choice that carries data, in all the shapes there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Then {
    Nothing,
    Run(String),
    Webhook { url: String, headers: BTreeMap<String, String> },
    Between(i64, i64),
    Maybe(Option<u8>),
}

/// A type with rules and words of its own.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Address(String);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("an address must not be empty".to_owned()),
            _ if text.contains(' ') => Err(format!("\"{text}\" is not an address: it holds a space")),
            _ => Ok(Self(text.to_owned())),
        }
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        String::deserialize(source)?.parse().map_err(serde::de::Error::custom)
    }
}

fn from_json<T: DeserializeOwned>(text: &str) -> (Option<T>, Vec<(String, String)>) {
    let (value, faults) = read_document(&mut parse_json(text.as_bytes()).unwrap());
    (value, pairs(faults))
}

fn from_xml<T: DeserializeOwned>(root: &str, text: &str) -> (Option<T>, Vec<(String, String)>) {
    let (value, faults) = read_document(&mut parse_xml(text.as_bytes(), root).unwrap());
    (value, pairs(faults))
}

fn pairs(faults: Vec<Fault>) -> Vec<(String, String)> {
    faults.into_iter().map(|fault| (fault.pointer, fault.detail)).collect()
}

/// A document that is right.
fn good_xml<T: DeserializeOwned>(root: &str, text: &str) -> T {
    let (value, faults) = from_xml(root, text);
    assert_eq!(faults, [], "{text}");
    value.unwrap()
}

fn good_json<T: DeserializeOwned>(text: &str) -> T {
    let (value, faults) = from_json(text);
    assert_eq!(faults, [], "{text}");
    value.unwrap()
}

fn xml_refusal(text: impl AsRef<[u8]>) -> FormatError {
    parse_xml(text.as_ref(), "host").expect_err("the document should be refused")
}

fn json_refusal(text: impl AsRef<[u8]>) -> FormatError {
    parse_json(text.as_ref()).expect_err("the document should be refused")
}
