//! Query parameters: unknown ones are refused, all faults are told at once.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use actix_web::web;
use serde::de::DeserializeOwned;

use super::format::{Fault as FormatFault, excerpt, parse_json, read_document};
use super::problem::{Kind, Problem};
use crate::model::{Fault, Name};

/// Understood by every call: which form the answer is to have.
pub const FORMAT: &str = "format";

/// Names under which clients of other services put a key into the URL.
const KEYS: [&str; 6] = ["key", "api_key", "apikey", "access_token", "token", "x-api-key"];

/// What is said of a key in a URL.
pub const NO_KEY_HERE: &str = "a key does not belong in a URL, which logs and histories keep: revoke this one, and show the next in a header (Authorization: Bearer KEY, or X-Api-Key: KEY)";

/// The parameters of a request, decoded, each at most once.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes the parameters.
    pub fn decode(raw: &str) -> Result<Self, Problem> {
        if raw.is_empty() {
            return Ok(Self::default());
        }
        if !is_encoded(raw) {
            let detail = "the query cannot be read: % must be followed by two hexadecimal digits, and what is encoded so must be UTF-8";
            return Err(Problem::new(Kind::Malformed, detail));
        }
        web::Query::<Vec<(String, String)>>::from_query(raw)
            .map(|pairs| Self(pairs.into_inner()))
            .map_err(|error| Problem::new(Kind::Malformed, format!("the query cannot be read: {error}")))
    }

    /// Refuses what the call does not know, and what is given twice.
    pub fn check(&self, allowed: &[&str]) -> Result<(), Problem> {
        let mut faults = Vec::new();
        for (place, (name, _)) in self.0.iter().enumerate() {
            let pointer = format!("/{}", excerpt(name));
            if name != FORMAT && !allowed.contains(&name.as_str()) {
                let mut known = allowed.to_vec();
                known.push(FORMAT);
                let unknown = || format!("unknown query parameter; allowed: {}", known.join(", "));
                let detail = if is_key(name) { NO_KEY_HERE.to_owned() } else { unknown() };
                faults.push(Fault::new(pointer, detail));
            } else if self.0.iter().take(place).any(|(earlier, _)| earlier == name) {
                faults.push(Fault::new(pointer, "the query parameter is given twice"));
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
    }

    /// Whether one of them looks like a key to the API.
    pub fn holds_key(&self) -> bool {
        self.0.iter().any(|(name, _)| is_key(name))
    }

    /// One parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The same query with one parameter set, encoded.
    pub fn with(&self, name: &str, value: &str) -> String {
        let kept =
            self.0.iter().filter(|(known, _)| known != name).map(|(name, value)| (name.as_str(), value.as_str()));
        encoded(kept.chain([(name, value)]))
    }

    /// The same query without some parameters, in the order of their names, encoded.
    pub fn without(&self, names: &[&str]) -> String {
        let kept = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut kept: Vec<_> = kept.filter(|(name, _)| !names.contains(name)).collect();
        kept.sort();
        encoded(kept)
    }

    /// To read the parameters as what they should be.
    pub fn reader(&self) -> Reader<'_> {
        Reader { query: self, faults: Vec::new() }
    }
}

fn encoded<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs = pairs.into_iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn is_key(name: &str) -> bool {
    KEYS.iter().any(|key| name.eq_ignore_ascii_case(key))
}

/// Whether each % stands for a byte, and all that is encoded for UTF-8: else it would be read as something else.
fn is_encoded(text: &str) -> bool {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else { return false };
        bytes.push(byte);
        bytes.extend_from_slice(part.get(2..).unwrap_or_default().as_bytes());
    }
    std::str::from_utf8(&bytes).is_ok()
}

/// Percent-encodes all but the unreserved characters (RFC 3986 section 2.3).
fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Reads parameters, and gathers what is wrong with them.
#[derive(Debug)]
pub struct Reader<'a> {
    query: &'a Query,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    /// A parameter as text.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.query.get(name)
    }

    /// Notes a fault of a parameter.
    pub fn fault(&mut self, name: &str, detail: impl Display) {
        self.faults.push(Fault::new(format!("/{name}"), detail.to_string()));
    }

    /// A parameter of a type that can be read from text.
    pub fn take<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        match self.text(name)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(name, error);
                None
            }
        }
    }

    /// A whole number within bounds.
    pub fn number(&mut self, name: &str, allowed: RangeInclusive<usize>, default: usize) -> usize {
        let Some(text) = self.text(name) else {
            return default;
        };
        match text.parse().ok().filter(|number| allowed.contains(number)) {
            Some(number) => number,
            None => {
                self.fault(name, format!("must be a whole number from {} to {}", allowed.start(), allowed.end()));
                default
            }
        }
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &str) -> bool {
        match self.text(name) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                self.fault(name, "must be true or false");
                false
            }
        }
    }

    /// One of the words that stand for the choices of a type.
    pub fn word<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        // Read as a document of one text, so that the words of a refusal are those of bodies.
        let json = serde_json::to_vec(self.text(name)?).unwrap_or_default();
        let read = parse_json(&json).map(|mut node| read_document(&mut node));
        let (value, faults) = match read {
            Ok((value, faults)) => (value, faults),
            Err(error) => (None, vec![FormatFault { pointer: String::new(), detail: error.to_string() }]),
        };
        for fault in faults {
            self.fault(name, fault.detail);
        }
        value
    }

    /// The name of a definition.
    pub fn name(&mut self, name: &str) -> Option<Name> {
        self.take(name)
    }

    /// All that is wrong, if anything is.
    pub fn done(self) -> Result<(), Problem> {
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::invalid(self.faults)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::negotiate::Format;
    use crate::model::Outcome;

    fn told(problem: Problem) -> serde_json::Value {
        serde_json::from_slice(&problem.reply(Format::Json, "r").body).unwrap()
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused() {
        let query = Query::decode("limit=3&limti=4&limit=5&format=xml").unwrap();
        let told = told(query.check(&["limit", "cursor"]).unwrap_err());
        assert_eq!(told["errors"][0]["pointer"], "/limti");
        assert_eq!(told["errors"][0]["detail"], "unknown query parameter; allowed: limit, cursor, format");
        assert_eq!(told["errors"][1]["pointer"], "/limit");
        assert!(Query::decode("limit=3&format=xml").unwrap().check(&["limit"]).is_ok());
        assert!(Query::decode("").unwrap().check(&[]).is_ok());
    }

    #[test]
    fn what_is_not_encoded_well_is_not_guessed() {
        for good in ["q=%C3%A4+b%2525", "q=%00", "q=ä", "a=1&&b"] {
            assert!(Query::decode(good).is_ok(), "{good}");
        }
        for bad in ["q=%", "q=%2", "q=%zz", "q=%+1", "q=%ff", "q=%C3", "%c3%28=1"] {
            assert_eq!(told(Query::decode(bad).unwrap_err())["status"], 400, "{bad}");
        }
    }

    #[test]
    fn all_bad_values_are_told_at_once() {
        let query = Query::decode("limit=0&outcome=BAD&host=a%20b&cascade=yes").unwrap();
        let mut reader = query.reader();
        reader.number("limit", 1..=1000, 100);
        assert_eq!(reader.word::<Outcome>("outcome"), None);
        reader.name("host");
        reader.flag("cascade");
        let told = told(reader.done().unwrap_err());
        assert_eq!(told["errors"].as_array().unwrap().len(), 4, "{told}");
        assert_eq!(told["errors"][0]["detail"], "must be a whole number from 1 to 1000");
        assert_eq!(told["errors"][1]["detail"], "unknown value \"BAD\"; allowed: OK, PROBLEM, SKIPPED");
    }

    #[test]
    fn a_link_keeps_the_other_parameters() {
        let query = Query::decode("q=a%26b+c&cursor=old&limit=2").unwrap();
        assert_eq!(query.with("cursor", "new_-"), "q=a%26b%20c&limit=2&cursor=new_-");
    }
}
