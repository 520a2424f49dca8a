//! Selectors: which hosts, by their labels. `role=web,env!=dev,tier,!old,zone in (a,b),zone notin (c),@name=web1`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::labels::{Labels, check_key};

/// The longest selector that is read.
const LONGEST: usize = 4096;

/// A checked selector; shown as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    text: String,
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    subject: Subject,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    Label(String),
    Name,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
}

/// What is wrong with a text that should be a selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; write for example role=web,env!=dev,tier,!old,zone in (a,b),@name=web1, or * for all")]
pub struct SelectorError(String);

impl Selector {
    /// Whether it chooses all there is, whatever their labels: `*`.
    pub fn is_all(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether a thing of this name and these labels is chosen: all terms must hold. As with Kubernetes, `!=` and
    /// `notin` hold for a label that is not there.
    pub fn matches(&self, name: &str, labels: &Labels) -> bool {
        self.terms.iter().all(|term| {
            let value = match &term.subject {
                Subject::Label(key) => labels.get(key),
                Subject::Name => Some(name),
            };
            match &term.test {
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
                Test::In(values) => value.is_some_and(|value| values.iter().any(|v| v == value)),
                Test::NotIn(values) => value.is_none_or(|value| values.iter().all(|v| v != value)),
            }
        })
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(SelectorError("is empty".to_owned()));
        }
        if text.len() > LONGEST {
            return Err(SelectorError(format!("is longer than {LONGEST} bytes")));
        }
        let terms = if trimmed == "*" {
            Vec::new()
        } else {
            split_terms(trimmed)?.into_iter().map(parse_term).collect::<Result<_, _>>()?
        };
        Ok(Self { text: text.to_owned(), terms })
    }
}

/// Splits at the commas that stand outside of parentheses.
fn split_terms(text: &str) -> Result<Vec<&str>, SelectorError> {
    let mut terms = Vec::new();
    let mut start = 0;
    let mut inside = false;
    for (at, c) in text.char_indices() {
        match c {
            '(' if inside => return Err(SelectorError("has a \"(\" inside of parentheses".to_owned())),
            '(' => inside = true,
            ')' if !inside => return Err(SelectorError("has a \")\" without its \"(\"".to_owned())),
            ')' => inside = false,
            ',' if !inside => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if inside {
        return Err(SelectorError("has a \"(\" without its \")\"".to_owned()));
    }
    terms.push(&text[start..]);
    Ok(terms)
}

fn parse_term(text: &str) -> Result<Term, SelectorError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(SelectorError("has an empty term".to_owned()));
    }
    if let Some(list) = text.strip_suffix(')') {
        let Some((before, list)) = list.split_once('(') else {
            return Err(SelectorError(format!("cannot read {}", quoted(text))));
        };
        let (subject, word) = before.trim_end().rsplit_once(char::is_whitespace).unwrap_or(("", before.trim_end()));
        let values: Vec<String> = list.split(',').map(|value| value.trim().to_owned()).collect();
        if values.iter().any(String::is_empty) {
            return Err(SelectorError(format!("has an empty value in {}", quoted(text))));
        }
        let test = match word {
            "in" => Test::In(values),
            "notin" => Test::NotIn(values),
            _ => {
                return Err(SelectorError(format!(
                    "knows \"in\" and \"notin\" before parentheses, not {}",
                    quoted(word)
                )));
            }
        };
        return Ok(Term { subject: subject_of(subject)?, test });
    }
    if let Some((subject, value)) = text.split_once("!=") {
        return Ok(Term { subject: subject_of(subject)?, test: Test::NotIn(vec![value_of(value)?]) });
    }
    if let Some((subject, value)) = text.split_once('=') {
        let value = value.strip_prefix('=').unwrap_or(value);
        return Ok(Term { subject: subject_of(subject)?, test: Test::In(vec![value_of(value)?]) });
    }
    if let Some(subject) = text.strip_prefix('!') {
        return Ok(Term { subject: label_only(subject)?, test: Test::Absent });
    }
    if text.split_whitespace().any(|word| word == "in" || word == "notin") {
        let detail = format!("{} lacks the parentheses that stand after in and notin: zone in (a,b)", quoted(text));
        return Err(SelectorError(detail));
    }
    Ok(Term { subject: label_only(text)?, test: Test::Exists })
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.chars().take(40).flat_map(char::escape_debug).collect::<String>())
}

fn subject_of(text: &str) -> Result<Subject, SelectorError> {
    let text = text.trim();
    if text == "@name" {
        return Ok(Subject::Name);
    }
    if text.starts_with('@') {
        return Err(SelectorError(format!("knows only @name beside labels, not {}", quoted(text))));
    }
    check_key(text).map_err(SelectorError)?;
    Ok(Subject::Label(text.to_owned()))
}

fn label_only(text: &str) -> Result<Subject, SelectorError> {
    match subject_of(text)? {
        Subject::Name => Err(SelectorError("@name needs a value: @name=web1".to_owned())),
        label @ Subject::Label(_) => Ok(label),
    }
}

fn value_of(text: &str) -> Result<String, SelectorError> {
    let text = text.trim();
    match text.chars().find(|c| "=!()".contains(*c)) {
        Some(c) => Err(SelectorError(format!("value {} holds \"{c}\"", quoted(text)))),
        None => Ok(text.to_owned()),
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(selector: &str) -> bool {
        let labels = Labels::from_pairs([("role", "web"), ("env", "prod"), ("zone", "a b"), ("empty", "")]).unwrap();
        selector.parse::<Selector>().unwrap().matches("web1", &labels)
    }

    #[test]
    fn selectors_choose_by_label_and_name() {
        for yes in [
            "*",
            " * ",
            "role=web",
            "role==web",
            "role = web , env!=dev",
            "env",
            "!old",
            "zone in (a b,c)",
            "old!=x",
            "zone notin (c)",
            "old notin (x,y)",
            "@name=web1",
            "@name in (web1,web2)",
            "@name!=web2",
            "empty=",
            "empty",
        ] {
            assert!(chosen(yes), "{yes}");
        }
        for no in
            ["role=db", "old", "!role", "zone in (b)", "role notin (web)", "@name=web2", "role=web,old", "role!=web"]
        {
            assert!(!chosen(no), "{no}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for bad in [
            "",
            "  ",
            ",",
            "role=web,",
            "a=b=c",
            "zone in a",
            "zone in (a",
            "zone in a)",
            "zone in ()",
            "zone is (a)",
            "@foo=1",
            "@name",
            "!@name",
            "!",
            "in (a)",
            "=x",
            "a in ((b))",
            "*,role=web=",
        ] {
            assert!(bad.parse::<Selector>().is_err(), "{bad}");
        }
    }
}
