//! Documents made to exhaust a reader. That these tests end, and in little memory, is what they assert.

use super::super::{FormatError, parse_json, parse_xml, read_document};
use super::{Host, json_refusal, xml_refusal};

#[test]
fn entities_that_multiply() {
    let mut document = String::from("<!DOCTYPE host [<!ENTITY a0 \"lol\">");
    for level in 1..30 {
        let references = format!("&a{};", level - 1).repeat(10);
        document += &format!("<!ENTITY a{level} \"{references}\">");
    }
    document += "]><host>&a29;</host>";
    assert!(matches!(xml_refusal(document), FormatError::Doctype { .. }));
}

#[test]
fn a_million_levels() {
    const LEVELS: usize = 1_000_000;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        assert!(matches!(json_refusal(open.repeat(LEVELS)), FormatError::TooDeep { .. }));
        let closed = open.repeat(LEVELS) + "1" + &close.repeat(LEVELS);
        assert!(matches!(json_refusal(closed), FormatError::TooDeep { .. }));
    }
    let elements = format!("<host>{}{}</host>", "<a>".repeat(LEVELS), "</a>".repeat(LEVELS));
    assert!(matches!(xml_refusal(elements), FormatError::TooDeep { .. }));
}

#[test]
fn eighty_thousand_attributes() {
    let attributes: String = (0..80_000).map(|number| format!(" a{number}=\"1\"")).collect();
    let mut node = parse_xml(format!("<host><name{attributes}>x</name></host>").as_bytes(), "host").unwrap();
    let (_, faults) = read_document::<Host>(&mut node);
    assert!(!faults.is_empty() && faults.len() < 20, "{}", faults.len());
    assert!(faults.iter().all(|fault| fault.pointer == "/name"));
}

#[test]
fn more_values_than_memory_should_hold() {
    let numbers = format!("[{}1]", "1,".repeat(2_000_000));
    assert_eq!(json_refusal(numbers), FormatError::TooManyValues);
    let elements = format!("<host>{}</host>", "<a/>".repeat(2_000_000));
    assert_eq!(xml_refusal(elements), FormatError::TooManyValues);
}

#[test]
fn a_hundred_thousand_fields() {
    let json: String = (0..100_000).map(|number| format!(",\"f{number}\":1")).collect();
    let (_, faults) = read_document::<Host>(&mut parse_json(format!("{{\"name\":\"a\"{json}}}").as_bytes()).unwrap());
    assert_eq!(faults.len(), 100);
    let elements: String = (0..100_000).map(|number| format!("<f{number}/>")).collect();
    let mut node = parse_xml(format!("<host>{elements}</host>").as_bytes(), "host").unwrap();
    assert_eq!(read_document::<Host>(&mut node).1.len(), 100);
}

#[test]
fn one_huge_text_is_read() {
    let text = "x".repeat(16 << 20);
    let mut node = parse_xml(format!("<host>{text}</host>").as_bytes(), "host").unwrap();
    assert_eq!(read_document::<String>(&mut node).0.as_deref(), Some(text.as_str()));
    let references = "&#120;".repeat(1 << 20);
    let mut node = parse_xml(format!("<host>{references}</host>").as_bytes(), "host").unwrap();
    assert_eq!(read_document::<String>(&mut node).0.map(|text| text.len()), Some(1 << 20));
}
