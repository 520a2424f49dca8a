//! Text from elsewhere, made fit for a terminal; times and durations for people.

use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};

/// Escapes what would steer a terminal or reorder a line: control characters, and those that are invisible or change
/// the direction of writing (Unicode Standard Annex 9, and the tags and joiners of General Punctuation).
pub(super) fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if is_hostile(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
        shown
    })
}

/// The same, but lines and tabs stay: for text that is shown as a block.
pub(super) fn escaped_block(text: &str) -> String {
    text.split_inclusive(['\n', '\t'])
        .map(|part| match part.strip_suffix(['\n', '\t']) {
            Some(body) => escaped(body) + &part[body.len()..],
            None => escaped(part),
        })
        .collect()
}

fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// How instants are shown in tables.
#[derive(Debug, Clone, Copy)]
pub(super) enum Times {
    /// In UTC.
    Utc,
    /// In local time, with its offset: the function tells the offset at an instant.
    Local(fn(DateTime<Utc>) -> FixedOffset),
}

impl Times {
    /// An instant, to the second.
    pub(super) fn at(self, instant: DateTime<Utc>) -> String {
        match self {
            Self::Utc => instant.to_rfc3339_opts(SecondsFormat::Secs, true),
            Self::Local(offset) => {
                let local = instant.with_timezone(&offset(instant));
                local.to_rfc3339_opts(SecondsFormat::Secs, false)
            }
        }
    }

    /// An instant of a document; what is none is shown as it is.
    pub(super) fn shown(self, text: &str) -> String {
        DateTime::parse_from_rfc3339(text).map_or_else(|_| text.to_owned(), |instant| self.at(instant.to_utc()))
    }
}

/// A number of milliseconds, to about three digits: `87ms`, `1.25s`, `3m05s`, `2h07m`.
pub(super) fn milliseconds(millis: i64) -> String {
    let seconds = millis / 1000;
    match millis {
        ..1_000 => format!("{millis}ms"),
        1_000..60_000 => format!("{seconds}.{:02}s", millis % 1000 / 10),
        60_000..3_600_000 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_cannot_steer_a_terminal() {
        assert_eq!(escaped("a\x1b[31mb\r\n\u{202e}c\u{9b}é漢"), "a\\u{1b}[31mb\\r\\n\\u{202e}c\\u{9b}é漢");
        assert_eq!(escaped_block("a\tb\n\x07c"), "a\tb\n\\u{7}c");
    }

    #[test]
    fn instants_are_local_with_their_offset_or_in_utc() {
        let madrid = |_| FixedOffset::east_opt(3600).unwrap();
        assert_eq!(Times::Local(madrid).shown("2026-11-23T09:30:00.123Z"), "2026-11-23T10:30:00+01:00");
        assert_eq!(Times::Utc.shown("2026-11-23T09:30:00.123Z"), "2026-11-23T09:30:00Z");
        assert_eq!(Times::Utc.shown("soon"), "soon");
    }

    #[test]
    fn durations_are_short() {
        let shown: Vec<_> = [0, 87, 1_250, 185_000, 7_620_000].map(milliseconds).into();
        assert_eq!(shown, ["0ms", "87ms", "1.25s", "3m05s", "2h07m"]);
    }
}
