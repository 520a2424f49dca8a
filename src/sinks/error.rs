//! Why something could not be sent.

use std::time::Duration;

/// The longest message, in characters: it stands in documents and on pages.
const LONGEST: usize = 400;

/// Why something could not be sent, and whether it is worth another try.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DeliveryError {
    /// Whether the same may go well later: the receiver is away, busy, or set up wrongly.
    pub retry: bool,
    /// How long the receiver wants to be left alone.
    pub after: Option<Duration>,
    /// What went wrong: one line of bounded length.
    pub message: String,
}

impl DeliveryError {
    /// Something that may go well later.
    pub(super) fn temporary(message: impl AsRef<str>) -> Self {
        Self { retry: true, after: None, message: one_line(message.as_ref()) }
    }

    /// Something that will not go well however often it is tried.
    pub(super) fn permanent(message: impl AsRef<str>) -> Self {
        Self { retry: false, after: None, message: one_line(message.as_ref()) }
    }
}

/// A text of somebody else's as one line of bounded length, without control characters.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.chars().count() > LONGEST {
            let mut cut: String = line.chars().take(LONGEST).collect();
            cut.push('…');
            return cut;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_one_line_of_bounded_length() {
        assert_eq!(one_line("  a\r\nb\u{1b}[31m\tc \0"), "a b [31m c");
        let long = one_line(&"x".repeat(100_000));
        assert_eq!(long.chars().count(), LONGEST + 1);
        assert!(long.ends_with('…'));
    }
}
