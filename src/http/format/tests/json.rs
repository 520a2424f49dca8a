//! JSON as such: what is refused as a whole, and that types are strict.

use super::super::{FormatError, parse_json};
use super::{Host, Policy, Then, from_json, good_json, json_refusal};

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    let table: [(&[u8], &str); 9] = [
        (b"", "not well-formed JSON at line 1, column 1: EOF while parsing a value"),
        (b"{\"a\": }", "not well-formed JSON at line 1, column 7: expected value"),
        (b"{\n  \"a\": 1,\n}", "not well-formed JSON at line 3, column 1: trailing comma"),
        (b"{} x", "not well-formed JSON at line 1, column 4: trailing characters"),
        (b"{\"a\": 1, \"a\": 2}", "not well-formed JSON at line 1, column 12: the key \"a\" is given twice"),
        (b"\"\\ud800\"", "not well-formed JSON at line 1, column 8: unexpected end of hex escape"),
        (b"{\"a\": 1e999}", "not well-formed JSON at line 1, column 11: number out of range"),
        (b"[NaN]", "not well-formed JSON at line 1, column 2: expected value"),
        (b"\"\xff\"", "the document is not UTF-8: bad byte at offset 1"),
    ];
    for (document, message) in table {
        assert_eq!(json_refusal(document).to_string(), message);
    }
}

#[test]
fn a_key_twice_is_refused_however_it_is_spelt_and_wherever_it_is() {
    for document in [r#"{"a": {"b": 1, "\u0062": 1}}"#, r#"[{"x": 1, "y": [], "x": 1}]"#] {
        assert!(json_refusal(document).to_string().contains("given twice"), "{document}");
    }
    // The same key in two objects is no fault.
    assert!(parse_json(br#"[{"a": 1}, {"a": {"a": 2}}]"#).is_ok());
}

#[test]
fn the_64th_level_is_read_and_the_65th_refused() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse_json(nested(64).as_bytes()).is_ok());
    assert!(matches!(json_refusal(nested(65)), FormatError::TooDeep { line: 1, .. }));
    let objects = |depth: usize| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
    assert!(parse_json(objects(64).as_bytes()).is_ok());
    assert!(matches!(json_refusal(objects(65)), FormatError::TooDeep { .. }));
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    assert_eq!(good_json::<u8>("\u{feff}7"), 7);
}

#[test]
fn types_are_strict() {
    let table = [
        (r#"{"port": "22"}"#, "/port", "expected a whole number from 0 to 65535, found text \"22\""),
        (r#"{"port": 22.5}"#, "/port", "expected a whole number from 0 to 65535, found 22.5"),
        (r#"{"port": 22.0}"#, "/port", "expected a whole number from 0 to 65535, found 22.0"),
        (r#"{"port": 65536}"#, "/port", "expected a whole number from 0 to 65535, found 65536"),
        (r#"{"port": -1}"#, "/port", "expected a whole number from 0 to 65535, found -1"),
        (r#"{"name": 5}"#, "/name", "expected text, found 5"),
        (r#"{"enabled": "true"}"#, "/enabled", "expected true or false, found text \"true\""),
        (r#"{"enabled": 1}"#, "/enabled", "expected true or false, found 1"),
        (r#"{"labels": []}"#, "/labels", "expected an object, found a list"),
        (r#"{"labels": {"a": null}}"#, "/labels/a", "expected text, found null"),
        (r#"{"exit_codes": 0}"#, "/exit_codes", "expected a list, found 0"),
        (r#"{"exit_codes": {}}"#, "/exit_codes", "expected a list, found an object"),
        (r#"{"host_key": ["a", 1, "c"]}"#, "/host_key", "expected an object, found a list"),
        (r#"{"policy": "lax"}"#, "/policy", "unknown value \"lax\"; allowed: strict, accept-new"),
        (r#"{"policy": " strict"}"#, "/policy", "unknown value \" strict\"; allowed: strict, accept-new"),
        (r#"{"policy": 1}"#, "/policy", "expected one of strict, accept-new, found 1"),
        ("[]", "", "expected an object, found a list"),
        ("null", "", "expected an object, found null"),
    ];
    for (document, pointer, detail) in table {
        let (_, faults) = from_json::<Host>(document);
        assert_eq!(faults, [(pointer.to_owned(), detail.to_owned())], "{document}");
    }
}

#[test]
fn null_is_absent() {
    let nulls = r#"{"name": null, "port": null, "labels": null, "then": null}"#;
    assert_eq!(good_json::<Host>(nulls), Host::default());
}

#[test]
fn numbers_keep_their_type() {
    assert_eq!(good_json::<u64>("18446744073709551615"), u64::MAX);
    assert_eq!(good_json::<i64>("-9223372036854775808"), i64::MIN);
    let all: serde_json::Value = good_json(r#"[1, -1, 1.5, true, null, "a", {"b": []}]"#);
    assert_eq!(all, serde_json::json!([1, -1, 1.5, true, null, "a", {"b": []}]));
}

#[test]
fn choices_with_data_are_objects_with_one_field() {
    assert_eq!(good_json::<Then>(r#""nothing""#), Then::Nothing);
    assert_eq!(good_json::<Then>(r#"{"nothing": null}"#), Then::Nothing);
    assert_eq!(good_json::<Then>(r#"{"run": "a"}"#), Then::Run("a".to_owned()));
    assert_eq!(good_json::<Policy>(r#""accept-new""#), Policy::AcceptNew);
    let (_, faults) = from_json::<Host>(r#"{"then": {"run": "a", "between": [1, 2]}}"#);
    assert_eq!(faults[0].1, "expected one of nothing, run, webhook, between, maybe, found an object");
}
