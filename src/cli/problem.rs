//! What the service says when it refuses (RFC 9457), read from JSON or XML and shown to a person.

use std::fmt;
use std::time::Duration;

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::Event;

use super::doc::Doc;
use super::text::escaped;

/// A problem document.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Problem {
    /// The HTTP status.
    pub(super) status: u16,
    /// After how long it is worth another try.
    pub(super) retry_after: Option<Duration>,
    /// What is wrong.
    detail: String,
    /// The request's id, by which the service's log can be searched.
    instance: Option<String>,
    /// What is wrong where: pointer and detail.
    errors: Vec<(String, String)>,
}

impl Problem {
    /// Reads the body of an answer with an error status.
    pub(super) fn read(status: u16, reason: &str, content_type: &str, body: &[u8]) -> Self {
        let read = if content_type.contains("xml") { read_xml(body) } else { read_json(body) };
        let foreign = || format!("the answer was {status} {reason}, but not as Alf says it; is this an Alf service?");
        match read {
            Some(problem) if !problem.detail.is_empty() => Self { status, ..problem },
            _ => Self { status, detail: foreign(), ..Self::default() },
        }
    }
}

impl Problem {
    /// The same with other words for where things are wrong, as far as there are any.
    pub(super) fn placed(mut self, place: impl Fn(&str) -> Option<String>) -> Self {
        let mut moved = false;
        for (pointer, _) in &mut self.errors {
            if let Some(words) = place(pointer) {
                (*pointer, moved) = (words, true);
            }
        }
        if moved {
            let count = self.errors.len();
            self.detail = format!("{count} {}", if count == 1 { "fault" } else { "faults" });
        }
        self
    }

    /// What is wrong where, a line each; the detail where that is all there is.
    pub(super) fn lines(&self) -> Vec<String> {
        if self.errors.is_empty() {
            return vec![escaped(&self.detail)];
        }
        let line = |(pointer, detail): &(String, String)| {
            let place = if pointer.is_empty() { String::new() } else { format!("{}: ", escaped(pointer)) };
            format!("{place}{}", escaped(detail))
        };
        self.errors.iter().map(line).collect()
    }
}

fn read_json(body: &[u8]) -> Option<Problem> {
    let doc: Doc = serde_json::from_slice(body).ok()?;
    let text = |doc: &Doc, field: &str| doc.text(field).map(str::to_owned);
    let errors = doc.list("errors").iter();
    Some(Problem {
        detail: text(&doc, "detail").or_else(|| text(&doc, "title"))?,
        instance: text(&doc, "instance"),
        errors: errors
            .map(|error| (text(error, "pointer").unwrap_or_default(), text(error, "detail").unwrap_or_default()))
            .collect(),
        ..Problem::default()
    })
}

/// `<problem><title>…</title><detail>…</detail><errors><item><pointer>…</pointer><detail>…</detail></item></errors>`.
fn read_xml(body: &[u8]) -> Option<Problem> {
    let mut reader = Reader::from_str(std::str::from_utf8(body).ok()?);
    let mut path: Vec<String> = Vec::new();
    let mut problem = Problem::default();
    let mut title = String::new();
    loop {
        let text = match reader.read_event().ok()? {
            Event::Start(start) => {
                path.push(start.local_name().as_ref().to_owned());
                if path.len() == 3 && path.get(1).is_some_and(|name| name == "errors") {
                    problem.errors.push(Default::default());
                }
                continue;
            }
            Event::End(_) => {
                path.pop();
                continue;
            }
            Event::Text(text) => (*text).to_owned(),
            Event::GeneralRef(reference) => unescape(&format!("&{};", &*reference)).ok()?.into_owned(),
            Event::Eof => break,
            _ => continue,
        };
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let error = problem.errors.last_mut();
        match (names.as_slice(), error) {
            (["problem", "title"], _) => title.push_str(&text),
            (["problem", "detail"], _) => problem.detail.push_str(&text),
            (["problem", "instance"], _) => problem.instance.get_or_insert_default().push_str(&text),
            (["problem", "errors", _, "pointer"], Some((pointer, _))) => pointer.push_str(&text),
            (["problem", "errors", _, "detail"], Some((_, detail))) => detail.push_str(&text),
            _ => {}
        }
    }
    if problem.detail.is_empty() {
        problem.detail = title;
    }
    Some(problem)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escaped(&self.detail))?;
        match self.status {
            401 => f.write_str("; set ALF_API_KEY to a key that is valid there")?,
            403 => f.write_str("; set ALF_API_KEY to a key that may do this")?,
            500.. => {
                if let Some(instance) = &self.instance {
                    write!(f, " (request {})", escaped(instance))?;
                }
            }
            _ => {}
        }
        // With a single fault the detail may be that fault already.
        let said = |pointer: &str, detail: &str| self.detail.contains(pointer) && self.detail.contains(detail);
        if matches!(self.errors.as_slice(), [(pointer, detail)] if said(pointer, detail)) {
            return Ok(());
        }
        self.errors.iter().try_for_each(|(pointer, detail)| {
            let place = if pointer.is_empty() { "document" } else { pointer };
            write!(f, "\n  {}: {}", escaped(place), escaped(detail))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: &str = "2 fields of the host are <wrong>\n  /port: must be from 1 to 65535\n  document: is \\u{1b}[1m";

    #[test]
    fn json_and_xml_are_shown_alike() {
        let json = br#"{"type":"x","title":"Unprocessable","status":422,"detail":"2 fields of the host are <wrong>",
            "errors":[{"pointer":"/port","detail":"must be from 1 to 65535"},{"pointer":"","detail":"is \u001b[1m"}]}"#;
        let xml = b"<problem xmlns=\"urn:ietf:rfc:7807\"><title>Unprocessable</title><status>422</status>\
            <detail>2 fields of the host are &lt;wrong&gt;</detail><errors><item><pointer>/port</pointer>\
            <detail>must be from 1 to 65535</detail></item><item><pointer></pointer><detail>is &#x1b;[1m</detail></item>\
            </errors></problem>";
        for (kind, body) in [("application/problem+json", &json[..]), ("application/problem+xml", &xml[..])] {
            let problem = Problem::read(422, "Unprocessable Entity", kind, body);
            assert_eq!((problem.status, problem.to_string().as_str()), (422, SHOWN), "{kind}");
        }
    }

    #[test]
    fn a_single_fault_is_not_said_twice() {
        let body =
            br#"{"detail":"/port: must be a number","errors":[{"pointer":"/port","detail":"must be a number"}]}"#;
        assert_eq!(Problem::read(422, "", "application/json", body).to_string(), "/port: must be a number");
    }

    #[test]
    fn an_answer_of_something_else_says_so() {
        let shown = Problem::read(502, "Bad Gateway", "text/html", b"<html>").to_string();
        assert!(shown.contains("502 Bad Gateway") && shown.contains("is this an Alf service?"), "{shown}");
    }
}
