//! What is expected of a run, and by whose rules its end is judged.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::work::check_text;
use super::{Faults, Span};

/// Longest regular expression, in bytes.
const LONGEST_PATTERN: usize = 4096;
/// Largest compiled regular expression, in bytes: its size times that of the text is what matching takes at most.
const LARGEST_PATTERN: usize = 256 * 1024;
/// Bytes at each end of a longer text that a regular expression is tried on.
const SEARCHED: usize = 128 * 1024;
/// Bytes next to a cut that no match may touch: a look at the characters beside it (`\b`, `$`) must not see past the
/// cut, and a stream may have been cut up to three bytes earlier, at a character's edge.
const EDGE: usize = 8;

/// By whose rules the exit code and the output are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Plugin {
    /// Nobody's: `expect` alone says what is good.
    #[default]
    None,
    /// The plugin guidelines of Nagios (<https://www.monitoring-plugins.org/doc/guidelines.html>).
    Nagios,
}

/// A regular expression in the syntax of the crate `regex`, searched for in linear time. Without `(?m)`, `^` and `$` are
/// the two ends of the whole text.
#[derive(Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles it.
    ///
    /// # Errors
    /// In one line, what is wrong with it, or that it is too large.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST_PATTERN {
            return Err(format!("is longer than {LONGEST_PATTERN} bytes"));
        }
        let built = RegexBuilder::new(text).size_limit(LARGEST_PATTERN).dfa_size_limit(LARGEST_PATTERN).build();
        built.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                format!(
                    "is too large: compiled it may take {LARGEST_PATTERN} bytes (fewer repeats, or (?-u) for ASCII)"
                )
            }
            // The parser draws the place under the text, in several lines; the last one says what it is.
            other => {
                let drawn = other.to_string();
                let said = drawn.lines().last().unwrap_or_default().trim();
                format!("is not a regular expression: {}", said.strip_prefix("error: ").unwrap_or(said))
            }
        })
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Searches a text. Of one longer than 256 KiB only the first and last 128 KiB are searched, each by itself.
    pub fn search(&self, text: &[u8]) -> Search {
        if text.len() <= 2 * SEARCHED { self.whole(text) } else { self.parts(text, text) }
    }

    /// Searches what is left of a text whose middle was dropped, at most the first and last 128 KiB of it.
    pub fn search_halves(&self, head: &[u8], tail: &[u8]) -> Search {
        self.parts(head, tail)
    }

    fn whole(&self, text: &[u8]) -> Search {
        if self.0.is_match(text) { Search::Found } else { Search::NotFound }
    }

    fn parts(&self, head: &[u8], tail: &[u8]) -> Search {
        let head = &head[..head.len().min(SEARCHED)];
        let tail = &tail[tail.len().saturating_sub(SEARCHED)..];
        let in_head = self.0.find(head).is_some_and(|found| found.end() + EDGE <= head.len());
        if in_head || (tail.len() > EDGE && self.0.is_match_at(tail, EDGE)) {
            Search::Found
        } else {
            Search::NotInParts
        }
    }
}

/// What a search came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    /// It is there.
    Found,
    /// It is nowhere.
    NotFound,
    /// It is not in the parts that were searched; nobody can say of the whole.
    NotInParts,
    /// The search took longer than this, so nobody waited for its end.
    TooSlow(Duration),
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.as_str())
    }
}

/// What a run must do to be OK.
#[derive(Debug, Clone, PartialEq)]
pub struct Expect {
    /// The good exit codes; with [`Plugin::Nagios`] its rule stands in their place.
    pub exit_codes: BTreeSet<u8>,
    /// To be found in standard output.
    pub stdout_regex: Option<Pattern>,
    /// The whole standard output, byte for byte; one newline at its end more than here is no difference, because
    /// nearly every program ends its output with one.
    pub stdout_equals: Option<String>,
    /// Whether standard error must be empty.
    pub stderr_empty: bool,
    /// The longest it may run, from its start on the host to its end. It is not killed then: that is `timeout`.
    pub max_duration: Option<Span>,
}

impl Default for Expect {
    fn default() -> Self {
        let exit_codes = BTreeSet::from([0]);
        Self { exit_codes, stdout_regex: None, stdout_equals: None, stderr_empty: false, max_duration: None }
    }
}

/// What is expected, as a document.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectDocument {
    /// The good exit codes.
    pub exit_codes: Option<Vec<i64>>,
    /// To be found in standard output.
    pub stdout_regex: Option<String>,
    /// The whole standard output.
    pub stdout_equals: Option<String>,
    /// Whether standard error must be empty.
    pub stderr_empty: Option<bool>,
    /// The longest it may run.
    pub max_duration: Option<Span>,
}

impl Expect {
    /// Checks a document that stands at `/expect`, finding all its faults.
    pub(super) fn check(document: ExpectDocument, plugin: Plugin, faults: &mut Faults) -> Self {
        let exit_codes = match document.exit_codes {
            Some(codes) => check_codes(&codes, plugin, faults),
            None => Self::default().exit_codes,
        };
        let stdout_regex = document.stdout_regex.and_then(|text| {
            check_text("/expect/stdout_regex", &text, faults);
            faults.take("/expect/stdout_regex", Pattern::parse(&text))
        });
        if let Some(text) = &document.stdout_equals {
            check_text("/expect/stdout_equals", text, faults);
        }
        if document.max_duration.is_some_and(|longest| longest.get().is_zero()) {
            faults.add("/expect/max_duration", "must be longer than 0");
        }
        Self {
            exit_codes,
            stdout_regex,
            stdout_equals: document.stdout_equals,
            stderr_empty: document.stderr_empty.unwrap_or_default(),
            max_duration: document.max_duration,
        }
    }

    /// The document, defaults filled in.
    pub(super) fn document(&self) -> ExpectDocument {
        ExpectDocument {
            exit_codes: Some(self.exit_codes.iter().copied().map(i64::from).collect()),
            stdout_regex: self.stdout_regex.as_ref().map(|pattern| pattern.as_str().to_owned()),
            stdout_equals: self.stdout_equals.clone(),
            stderr_empty: Some(self.stderr_empty),
            max_duration: self.max_duration,
        }
    }
}

fn check_codes(codes: &[i64], plugin: Plugin, faults: &mut Faults) -> BTreeSet<u8> {
    let mut good = BTreeSet::new();
    if codes.is_empty() {
        faults.add("/expect/exit_codes", "must hold at least one exit code, from 0 to 255");
    }
    for (index, code) in codes.iter().enumerate() {
        match u8::try_from(*code) {
            Ok(code) => drop(good.insert(code)),
            Err(_) => faults.add(format!("/expect/exit_codes/{index}"), "must be from 0 to 255"),
        }
    }
    // As documents show it when nothing was said, so that what is read can be sent back.
    if plugin == Plugin::Nagios && codes != [0] {
        let detail = "must be left out with plugin nagios, whose exit codes say the state: 0 OK, 1 WARNING, 2 CRITICAL";
        faults.add("/expect/exit_codes", detail);
    }
    good
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, plugin: Plugin) -> Result<Expect, Vec<String>> {
        let mut faults = Faults::default();
        let expect = Expect::check(serde_json::from_str(json).unwrap(), plugin, &mut faults);
        let found = faults.into_result(Some(expect));
        found.map_err(|faults| faults.into_iter().map(|fault| fault.pointer).collect())
    }

    #[test]
    fn what_is_expected_comes_back_as_it_was() {
        assert_eq!(check("{}", Plugin::None), Ok(Expect::default()));
        let json = r#"{"exit_codes":[3,0,3],"stdout_regex":"^a+$","stdout_equals":"aa\n","stderr_empty":true,
                       "max_duration":"1m30s"}"#;
        let expect = check(json, Plugin::None).unwrap();
        assert_eq!(expect.exit_codes, BTreeSet::from([0, 3]));
        let again = check(&serde_json::to_string(&expect.document()).unwrap(), Plugin::None);
        assert_eq!(again, Ok(expect));
        let defaults = serde_json::to_string(&Expect::default().document()).unwrap();
        assert_eq!(check(&defaults, Plugin::Nagios), Ok(Expect::default()), "what is read can be sent back");
    }

    #[test]
    fn every_fault_is_told_at_its_place() {
        let wrong = r#"{"exit_codes":[0,256,-1],"stdout_regex":"a(","stdout_equals":"\u0000","max_duration":"0s"}"#;
        let told = check(wrong, Plugin::None).unwrap_err();
        let places = ["exit_codes/1", "exit_codes/2", "stdout_regex", "stdout_equals", "max_duration"];
        assert_eq!(told, places.map(|place| format!("/expect/{place}")));
        assert_eq!(check(r#"{"exit_codes":[]}"#, Plugin::None).unwrap_err(), ["/expect/exit_codes"]);
        assert_eq!(check(r#"{"exit_codes":[0,1]}"#, Plugin::Nagios).unwrap_err(), ["/expect/exit_codes"]);
        assert!(serde_json::from_str::<ExpectDocument>(r#"{"exit_code":[0]}"#).is_err());
    }

    #[test]
    fn a_bad_pattern_is_explained_in_one_line() {
        for (text, said) in [
            ("a(", "unclosed group"),
            ("(?=x)", "look-around"),
            (r"(a)\1", "backreferences"),
            ("[z-a]", "range"),
            (r"(\w{100}){100}", "too large"),
            (&"a".repeat(4097), "longer than 4096"),
        ] {
            let error = Pattern::parse(text).unwrap_err();
            assert!(error.contains(said) && !error.contains('\n'), "{text:.20}: {error}");
        }
        for text in [r"^\w+ \d{1,3}(\.\d{1,3}){3}\s*$", "(?i)ok|grün", r"(?-u)\xff", "", r"\bready\b"] {
            assert!(Pattern::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn only_what_is_beyond_doubt_is_found_in_a_cut_text() {
        let search = |pattern: &str, head: &str, tail: &str| {
            Pattern::parse(pattern).unwrap().search_halves(head.as_bytes(), tail.as_bytes())
        };
        let (head, tail) = ("all is ready, 12345678", "90123456 done\n");
        for found in ["ready", "^all", r"done\s*$", r"\bis\b", " done"] {
            assert_eq!(search(found, head, tail), Search::Found, "{found}");
        }
        // Not there, across the cut, or at an edge that is none.
        for lost in ["failed", "^9", "^901", r"\d$", "8$", "12345678", r"(?s)ready.*done", r"(?s)^.*$", "7890", r"\b90"]
        {
            assert_eq!(search(lost, head, tail), Search::NotInParts, "{lost}");
        }
        assert_eq!(search("x", "", ""), Search::NotInParts);
        assert_eq!(search("", "", ""), Search::NotInParts);
    }

    #[test]
    fn of_a_huge_text_the_ends_are_searched() {
        let mut text = vec![b'.'; 4 * SEARCHED];
        text[100..105].copy_from_slice(b"first");
        text[2 * SEARCHED..2 * SEARCHED + 6].copy_from_slice(b"middle");
        text.extend_from_slice(b"last");
        let search = |pattern: &str| Pattern::parse(pattern).unwrap().search(&text);
        assert_eq!((search("first"), search("last$")), (Search::Found, Search::Found));
        assert_eq!(search("middle"), Search::NotInParts);
        assert_eq!(Pattern::parse("no").unwrap().search(b"yes"), Search::NotFound);
    }
}
