//! A record as one line. What comes from remote hosts may be in it, so nothing in it may move a terminal's cursor, turn
//! the direction of text, or look like a line of its own.

use chrono::{DateTime, SecondsFormat, Utc};
use log::kv::{Error, Key, Value, VisitSource, VisitValue};
use log::{Level, Record};
use serde::Serialize;
use serde_json::Map;

/// `2026-11-23T11:00:00.123Z INFO  alf::actors::host host=web1 connected` and a newline.
pub(super) fn text(record: &Record<'_>, time: DateTime<Utc>, colour: bool) -> String {
    let mut line = instant(time);
    line.push(' ');
    level(&mut line, record.level(), colour);
    line.push(' ');
    push_escaped(&mut line, record.target());
    let mut fields = TextFields(&mut line);
    // A field that cannot be shown must not cost the message.
    let _ = record.key_values().visit(&mut fields);
    line.push(' ');
    push_escaped(&mut line, &record.args().to_string());
    line.push('\n');
    line
}

/// One JSON object and a newline: `time`, `level`, `target`, `message` and, if there are any, `fields`.
pub(super) fn json(record: &Record<'_>, time: DateTime<Utc>) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        time: String,
        level: &'a str,
        target: &'a str,
        message: String,
        #[serde(skip_serializing_if = "Map::is_empty")]
        fields: Map<String, serde_json::Value>,
    }

    let mut fields = JsonFields(Map::new());
    let _ = record.key_values().visit(&mut fields);
    let line = serde_json::to_string(&Line {
        time: instant(time),
        level: record.level().as_str(),
        target: record.target(),
        message: record.args().to_string(),
        fields: fields.0,
    });
    let mut out = String::new();
    for c in line.unwrap_or_default().chars() {
        if is_unsafe(c) {
            // JSON has C0 escaped; all that is left stands inside strings and in the basic plane.
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    out
}

fn instant(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn level(line: &mut String, level: Level, colour: bool) {
    if !colour {
        line.push_str(&format!("{level:<5}"));
        return;
    }
    // ECMA-48 "select graphic rendition".
    let rendition = match level {
        Level::Error => "1;31",
        Level::Warn => "33",
        Level::Info => "32",
        Level::Debug => "36",
        Level::Trace => "2",
    };
    line.push_str(&format!("\u{1b}[{rendition}m{level:<5}\u{1b}[0m"));
}

/// Control characters (C0, DEL, C1), line and paragraph separators, what turns the direction of text, and the invisible
/// byte order mark.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
        )
}

fn push_escaped(line: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if is_unsafe(c) => line.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => line.push(c),
        }
    }
}

/// A key or value of a field: bare if it is one word, else in quotes, so that no value can pass for another field.
fn push_word(line: &mut String, text: &str) {
    let special = |c: char| c.is_whitespace() || is_unsafe(c) || matches!(c, '"' | '=' | '\\');
    if !text.is_empty() && !text.contains(special) {
        line.push_str(text);
        return;
    }
    line.push('"');
    push_escaped(line, &text.replace('\\', "\\\\").replace('"', "\\\""));
    line.push('"');
}

struct TextFields<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for TextFields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        self.0.push(' ');
        push_word(self.0, key.as_str());
        self.0.push('=');
        push_word(self.0, &value.to_string());
        Ok(())
    }
}

struct JsonFields(Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for JsonFields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let mut json = JsonValue(serde_json::Value::Null);
        value.visit(&mut json)?;
        self.0.insert(key.as_str().to_owned(), json.0);
        Ok(())
    }
}

/// Numbers and truth values stay such; all else is text.
struct JsonValue(serde_json::Value);

impl<'v> VisitValue<'v> for JsonValue {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        self.0 = value.to_string().into();
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), Error> {
        self.0 = serde_json::Value::Null;
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), Error> {
        // JSON has neither infinities nor NaN.
        self.0 = if value.is_finite() { value.into() } else { value.to_string().into() };
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
        self.0 = value.into();
        Ok(())
    }
}
