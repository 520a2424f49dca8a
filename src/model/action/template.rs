//! Templates: texts into which what happened is put, in the language of Jinja.

use std::fmt;

use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{Environment, ErrorKind, Output};
use serde::Serialize;

use super::super::work::LONGEST_TEXT;

/// Steps that making one text may take; 64 bytes of it count as one.
const FUEL: u64 = 100_000;

/// A text into which what happened is put: `{{ host }} is {{ state }}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Template(String);

/// What a text is for whoever reads it, by which what is put into it is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// JSON: texts are put between quotes that the template has, all else as it is written in JSON.
    Json,
    /// XML: no character of what is put in is markup.
    Xml,
    /// Anything else: as it is.
    Plain,
}

impl Syntax {
    /// That of a media type.
    pub fn of_content_type(kind: &str) -> Self {
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind == "application/json" || kind.ends_with("+json") {
            Self::Json
        } else if kind == "application/xml" || kind == "text/xml" || kind.ends_with("+xml") {
            Self::Xml
        } else {
            Self::Plain
        }
    }
}

impl Template {
    /// Reads it.
    ///
    /// # Errors
    /// In one line, what is wrong with it and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST_TEXT {
            return Err(format!("is longer than {LONGEST_TEXT} bytes"));
        }
        if text.contains('\0') {
            return Err("must not hold a NUL byte".to_owned());
        }
        match environment(Syntax::Plain).template_from_str(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(format!("is no template: {}", told(&error))),
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is, by how it begins.
    pub fn syntax(&self) -> Syntax {
        let text = self.0.trim_start();
        let is_tag = ["{{", "{%", "{#"].iter().any(|tag| text.starts_with(tag));
        match text.chars().next() {
            Some('{' | '[') if !is_tag => Syntax::Json,
            Some('<') => Syntax::Xml,
            _ => Syntax::Plain,
        }
    }

    /// The text with these values put in; a name that is none of them is nothing. It takes bounded time and memory.
    ///
    /// # Errors
    /// In one line, why there is no text.
    pub fn render(&self, syntax: Syntax, values: &impl Serialize) -> Result<String, String> {
        let environment = environment(syntax);
        let template = environment.template_from_str(&self.0).map_err(|error| told(&error))?;
        template.render(Serde(values)).map_err(|error| told(&error))
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

fn environment<'a>(syntax: Syntax) -> Environment<'a> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_formatter(move |output, _, value| put(output, syntax, value));
    environment
}

/// Puts a value into a text. What a filter such as `tojson` has made ready stays as it is.
fn put(output: &mut Output<'_>, syntax: Syntax, value: &Value) -> Result<(), minijinja::Error> {
    let failed = |error: &dyn fmt::Display| minijinja::Error::new(ErrorKind::BadSerialization, error.to_string());
    let text = value.as_str();
    let written = match (syntax, text) {
        (_, Some(text)) if value.is_safe() || syntax == Syntax::Plain => output.write_str(text),
        (Syntax::Json, Some(text)) => {
            let quoted = serde_json::to_string(text).map_err(|error| failed(&error))?;
            output.write_str(quoted.get(1..quoted.len() - 1).unwrap_or_default())
        }
        (Syntax::Json, None) => {
            let json = serde_json::to_string(value).map_err(|error| failed(&error))?;
            output.write_str(&json)
        }
        (Syntax::Xml | Syntax::Plain, None) if matches!(value.kind(), ValueKind::None | ValueKind::Undefined) => Ok(()),
        (Syntax::Xml, _) => {
            let text = value.to_string().replace(|c| !is_xml(c), "\u{fffd}");
            output.write_str(&quick_xml::escape::escape(text.as_str()))
        }
        (Syntax::Plain, _) => write!(output, "{value}"),
    };
    written.map_err(minijinja::Error::from)
}

/// Whether XML 1.0 can hold a character.
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// An error in one line.
fn told(error: &minijinja::Error) -> String {
    if error.kind() == ErrorKind::OutOfFuel {
        return format!("it takes more than {FUEL} steps, or makes more text than that");
    }
    let what = error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
    let what: String = what.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
    match error.line() {
        Some(line) => format!("{what} (line {line})"),
        None => what,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made(template: &str, syntax: Syntax) -> Result<String, String> {
        let values =
            json!({"host": "web1", "message": "a \"b\" <c> & \u{8}\nd", "code": 2, "none": null, "list": [1, "x"]});
        Template::parse(template).unwrap().render(syntax, &values)
    }

    #[test]
    fn what_is_put_in_is_escaped_as_the_text_needs_it() {
        let json = made(
            r#"{"text": "{{ host }}: {{ message }}", "code": {{ code }}, "none": {{ none }}, "list": {{ list }},
                            "whole": {{ message|tojson }}}"#,
            Syntax::Json,
        );
        let json: serde_json::Value = serde_json::from_str(&json.unwrap()).unwrap();
        assert_eq!(json["text"], "web1: a \"b\" <c> & \u{8}\nd");
        assert_eq!((&json["code"], &json["none"]), (&json!(2), &json!(null)));
        assert_eq!((&json["list"], &json["whole"]), (&json!([1, "x"]), &json!("a \"b\" <c> & \u{8}\nd")));
        let xml = made("<a b=\"{{ message }}\">{{ code }}{{ none }}</a>", Syntax::Xml).unwrap();
        assert_eq!(xml, "<a b=\"a &quot;b&quot; &lt;c&gt; &amp; \u{fffd}\nd\">2</a>");
        let plain = made("{{ message }}|{{ none }}{{ nothing }}|{{ code + 1 }}", Syntax::Plain).unwrap();
        assert_eq!(plain, "a \"b\" <c> & \u{8}\nd||3");
        assert_eq!(made("{% if code == 2 %}bad{% endif %} {{ host|upper }}", Syntax::Plain).unwrap(), "bad WEB1");
    }

    #[test]
    fn what_it_is_follows_from_its_type_or_how_it_begins() {
        for (text, syntax) in [
            (" {\"a\": 1}", Syntax::Json),
            ("[1]", Syntax::Json),
            ("<a/>", Syntax::Xml),
            ("{{ host }}", Syntax::Plain),
            ("{% if a %}{% endif %}", Syntax::Plain),
            ("", Syntax::Plain),
        ] {
            assert_eq!(Template::parse(text).unwrap().syntax(), syntax, "{text}");
        }
        for (kind, syntax) in [
            ("application/json; charset=utf-8", Syntax::Json),
            ("application/vnd.x+json", Syntax::Json),
            ("TEXT/XML", Syntax::Xml),
            ("text/plain", Syntax::Plain),
        ] {
            assert_eq!(Syntax::of_content_type(kind), syntax, "{kind}");
        }
    }

    #[test]
    fn a_bad_one_is_refused_where_it_is_written() {
        for bad in ["{{ host", "{% if %}", "{% for x in list %}", "{{ host|nonsense( }}", "{% include 'a' %}", "a\0b"] {
            let error = Template::parse(bad).unwrap_err();
            assert!(!error.contains('\n'), "{error}");
        }
        assert!(Template::parse("ok\n{{ host").unwrap_err().contains("line 2"));
        assert!(Template::parse(&"x".repeat(LONGEST_TEXT + 1)).is_err());
    }

    #[test]
    fn none_takes_all_the_time_or_all_the_memory() {
        for hungry in [
            "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}",
            "{% for a in range(9000) %}{{ 'x' * 9000 }}{% endfor %}",
            "{{ 'x' * 1000000000 }}",
            "{{ nothing.at.all }}",
            "{{ host / 2 }}",
        ] {
            let error = made(hungry, Syntax::Plain).unwrap_err();
            assert!(!error.contains('\n') && error.len() < 400, "{error}");
        }
    }
}
