//! What characters XML 1.0 can hold, and how they are written.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quick_xml::escape::resolve_xml_entity;

use super::node::is_xml_space;
use super::wording::excerpt;

/// `Char` of XML 1.0, section 2.2.
pub(super) fn is_legal(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// `Name` of XML 1.0 (fifth edition), section 2.3, as elements and attributes have it.
pub(super) fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(is_name_start) && characters.all(is_name_character)
}

fn is_name_start(character: char) -> bool {
    matches!(character, ':' | '_' | 'A'..='Z' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}'
        | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}'
        | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}'
        | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

fn is_name_character(character: char) -> bool {
    is_name_start(character)
        || matches!(character, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// Writes text between tags. The text must be legal.
pub(super) fn push_text(out: &mut String, text: &str) {
    push_escaped(out, text, |character| match character {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        // For `]]>`, which text must not hold.
        '>' => Some("&gt;"),
        // A parser makes a line feed of a bare carriage return (XML 1.0, section 2.11).
        '\r' => Some("&#13;"),
        _ => None,
    });
}

/// Writes the value of an attribute in double quotes, without the quotes. The value must be legal.
pub(super) fn push_attribute(out: &mut String, value: &str) {
    push_escaped(out, value, |character| match character {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        // A parser makes spaces of these (XML 1.0, section 3.3.3).
        '\t' => Some("&#9;"),
        '\n' => Some("&#10;"),
        '\r' => Some("&#13;"),
        _ => None,
    });
}

fn push_escaped(out: &mut String, text: &str, escape: impl Fn(char) -> Option<&'static str>) {
    let mut rest = text;
    while let Some((at, character, escaped)) =
        rest.char_indices().find_map(|(at, character)| Some((at, character, escape(character)?)))
    {
        out.push_str(&rest[..at]);
        out.push_str(escaped);
        rest = &rest[at + character.len_utf8()..];
    }
    out.push_str(rest);
}

/// What stands between `&` and `;`: one of the five entities of XML, or a character's number. There are no others.
pub(super) fn resolve_reference(name: &str) -> Result<Cow<'static, str>, String> {
    let Some(number) = name.strip_prefix('#') else {
        return resolve_xml_entity(name)
            .map(Cow::Borrowed)
            .ok_or_else(|| format!("unknown entity &{};: only lt, gt, amp, apos and quot are known", excerpt(name)));
    };
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |hexadecimal| (hexadecimal, 16));
    digits
        .chars()
        .all(|digit| digit.is_digit(radix))
        .then(|| u32::from_str_radix(digits, radix).ok())
        .flatten()
        .and_then(char::from_u32)
        .filter(|character| is_legal(*character))
        .map(|character| Cow::Owned(character.to_string()))
        .ok_or_else(|| format!("&{}; is not a character of XML 1.0", excerpt(name)))
}

/// The value of an attribute: references resolved, white space made spaces (XML 1.0, section 3.3.3).
pub(super) fn attribute_value(raw: &str) -> Result<String, String> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['&', '<', '\t', '\n', '\r']) {
        out.push_str(&rest[..at]);
        let here = &rest[at..];
        rest = match here.as_bytes().first() {
            Some(b'&') => {
                let end = here.find(';').ok_or("an `&` without a `;` in the value of an attribute")?;
                out.push_str(&resolve_reference(&here[1..end])?);
                &here[end + 1..]
            }
            Some(b'<') => return Err("a `<` in the value of an attribute".to_owned()),
            _ => {
                out.push(' ');
                here.strip_prefix("\r\n").unwrap_or(&here[1..])
            }
        };
    }
    out.push_str(rest);
    Ok(out)
}

/// Base64 as text that XML cannot hold is written in.
pub(super) fn encode_base64(text: &str) -> String {
    STANDARD.encode(text)
}

/// The reverse; white space may stand anywhere between.
pub(super) fn decode_base64(encoded: &str) -> Result<String, &'static str> {
    let compact: String = encoded.chars().filter(|character| !is_xml_space(*character)).collect();
    let bytes = STANDARD.decode(compact).map_err(|_| "is not base64")?;
    String::from_utf8(bytes).map_err(|_| "is base64 of bytes that are not UTF-8")
}
