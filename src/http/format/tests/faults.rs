//! Every fault at once, each at its place, in words for people.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::Deserialize;

use super::super::{MAX_FAULTS, parse_json, parse_xml, read_document, read_document_ignoring};
use super::{Address, Host, HostKey, from_json, from_xml, good_json};
use crate::model::HostDocument;

fn assert_faults(found: &[(String, String)], expected: &[(&str, &str)]) {
    let found: Vec<(&str, &str)> = found.iter().map(|(pointer, detail)| (pointer.as_str(), detail.as_str())).collect();
    assert_eq!(found, expected);
}

const ALLOWED: &str = "unknown field; allowed: name, address, port, weight, offset, enabled, policy, labels, \
    exit_codes, host_key, then, keys, ports";

#[test]
fn all_faults_of_a_json_document() {
    let (host, faults) = from_json::<Host>(
        r#"{"nmae": "x", "name": "web1", "address": "a b", "port": "abc", "weight": true, "labels": {"a/b~c": 1, "": 2, "ok": "y"},
            "exit_codes": [0, "1", 2, null, [3]], "policy": "x", "then": {"explode": 1},
            "keys": [{"algorithm": "rsa", "bits": 1}, {"bits": -1}, {"algorithm": "a"}, {"algorithm": 1, "bits": 2, "x": 1}, 5],
            "ports": {"22": [], "70000": [], "b": ["strict", "x"]}}"#,
    );
    let bits = "expected a whole number from 0 to 4294967295, found -1";
    let port = "expected a whole number from 0 to 65535, found ";
    let integer = "expected a whole number, found ";
    let key_fields = "unknown field; allowed: algorithm, bits, comment";
    assert_faults(
        &faults,
        &[
            ("/nmae", ALLOWED),
            ("/address", "\"a b\" is not an address: it holds a space"),
            ("/port", &format!("{port}text \"abc\"")),
            ("/weight", "expected a number, found true"),
            ("/labels/a~1b~0c", "expected text, found 1"),
            ("/labels/", "expected text, found 2"),
            ("/exit_codes/1", &format!("{integer}text \"1\"")),
            ("/exit_codes/3", &format!("{integer}null")),
            ("/exit_codes/4", &format!("{integer}a list")),
            ("/policy", "unknown value \"x\"; allowed: strict, accept-new"),
            ("/then/explode", "unknown value \"explode\"; allowed: nothing, run, webhook, between, maybe"),
            ("/keys/1/bits", bits),
            ("/keys/1/algorithm", "is required"),
            ("/keys/2/bits", "is required"),
            ("/keys/3/algorithm", "expected text, found 1"),
            ("/keys/3/x", key_fields),
            ("/keys/4", "expected an object, found 5"),
            ("/ports/70000", &format!("{port}70000")),
            ("/ports/b", &format!("{port}text \"b\"")),
        ],
    );
    // The rest is there to be looked at for more faults.
    let host = host.unwrap();
    assert_eq!(host.name.as_deref(), Some("web1"));
    assert_eq!(host.exit_codes, Some(vec![0, 2]));
    assert_eq!(host.keys.unwrap().len(), 1);
}

#[test]
fn all_faults_of_an_xml_document() {
    let (host, faults) = from_xml::<Host>(
        "host",
        "<host colour=\"red\">
            <nmae>x</nmae>
            <name encoding=\"base64\">%%%</name>
            <address/>
            <port>abc</port>
            <weight>inf</weight>
            <offset>+5</offset>
            <enabled>yes</enabled>
            <labels x='1'>loose<entry key=\"role\">web</entry><entry>a</entry><entry key=\"role\">b</entry><role>c</role>
                <entry key='n'><item/></entry><entry key64='?'/></labels>
            <exit_codes><item>0</item><item>x</item><exit_code>5</exit_code><item/></exit_codes>
            <exit_codes/>
            <host_key>text</host_key>
            <keys><item><bits>1</bits></item><item key='a'><algorithm>a</algorithm><bits>x</bits></item></keys>
            <policy encoding='hex'>x</policy>
            <then null='true'>x</then>
        </host>",
    );
    let attribute =
        |name: &str| format!("unknown attribute `{name}`; allowed: encoding, null, key or key64 of an entry");
    let integer = "expected a whole number, found text ";
    let entry = "an <entry> has its key as the attribute `key` or `key64`";
    assert_faults(
        &faults,
        &[
            ("", &attribute("colour")),
            ("/nmae", ALLOWED),
            ("/name", "the text is not base64"),
            ("/address", "an address must not be empty"),
            ("/port", "expected a whole number from 0 to 65535, found text \"abc\""),
            ("/weight", "expected a number, found text \"inf\""),
            ("/offset", "expected a whole number from -2147483648 to 2147483647, found text \"+5\""),
            ("/enabled", "expected true or false, found text \"yes\""),
            ("/labels", &attribute("x")),
            ("/labels", "text between elements"),
            ("/labels/entry", entry),
            ("/labels/role", "given twice"),
            ("/labels/role", "expected <entry key=\"…\">, found <role>"),
            ("/labels/n", "expected text, found a list"),
            ("/labels/entry", "the attribute `key64` is not base64"),
            ("/labels/entry", entry),
            ("/exit_codes/1", &format!("{integer}\"x\"")),
            ("/exit_codes/exit_code", "expected <item>, found <exit_code>"),
            ("/exit_codes/3", &format!("{integer}\"\"")),
            ("/exit_codes", "given twice"),
            ("/host_key", "expected an object, found text \"text\""),
            ("/keys/0/algorithm", "is required"),
            ("/keys/1", &attribute("key")),
            ("/keys/1/bits", "expected a whole number from 0 to 4294967295, found text \"x\""),
            ("/policy", "unknown encoding \"hex\"; allowed: base64"),
            ("/then", "an element with null=\"true\" holds nothing"),
        ],
    );
    let host = host.unwrap();
    assert_eq!(host.labels, Some(BTreeMap::from([("role".to_owned(), "web".to_owned())])));
    assert_eq!(host.exit_codes, Some(vec![0]));
}

#[test]
fn an_object_that_lacks_only_what_was_at_fault_is_not_faulty_itself() {
    // The field is there, if wrong: that it is missing is our doing.
    let (key, faults) = from_json::<HostKey>(r#"{"algorithm": "a", "bits": "b"}"#);
    assert_eq!(key, None);
    assert_eq!(faults.len(), 1, "{faults:?}");
    let (_, faults) = from_json::<HostKey>(r#"{"bits": "b"}"#);
    let pointers: Vec<&str> = faults.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(pointers, ["/bits", "/algorithm"]);
    // The same for lists that have a length.
    let (_, faults) = from_json::<(u8, u8)>("[1, true]");
    assert_faults(&faults, &[("/1", "expected a whole number from 0 to 255, found true")]);
    let (_, faults) = from_json::<(u8, u8)>("[1]");
    assert_faults(&faults, &[("", "expected a tuple of size 2, found 1 values")]);
}

#[test]
fn rules_of_a_type_over_several_fields() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Raw {
        from: Option<u8>,
        to: Option<u8>,
    }
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "Raw")]
    struct Window;
    impl TryFrom<Raw> for Window {
        type Error = &'static str;
        fn try_from(raw: Raw) -> Result<Self, &'static str> {
            (raw.from.is_some() && raw.to.is_some()).then_some(Self).ok_or("give\nboth `from` and `to`")
        }
    }
    type Windows = BTreeMap<String, Window>;
    let (_, faults) = from_json::<Windows>(r#"{"a": {"from": 1}, "b": {"from": 1, "to": "x"}, "c": {}}"#);
    assert_faults(
        &faults,
        &[
            ("/a", "give both `from` and `to`"),
            ("/b/to", "expected a whole number from 0 to 255, found text \"x\""),
            ("/c", "give both `from` and `to`"),
        ],
    );
    good_json::<Windows>(r#"{"a": {"from": 1, "to": 2}}"#);
}

#[test]
fn a_key_that_is_not_allowed_is_told_at_its_place() {
    let (_, faults) = from_json::<HostDocument>(
        r#"{"labels": {"a=b": "x", "c/d@~": "y", "ok": "z"}, "env": {"UID": "0", "A/B": "x", "N": "a\u0000", "OK": "1"}}"#,
    );
    let pointers: Vec<&str> = faults.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(pointers, ["/labels/a=b", "/labels/c~1d@~0", "/env/UID", "/env/A~1B", "/env/N"]);
    assert_eq!(faults[4].1, "must not hold a NUL byte");
    assert_eq!(faults[3].1, "\"A/B\" is no name for a variable; allowed is [A-Za-z_][A-Za-z0-9_]*");
}

#[test]
fn words_for_other_types() {
    let (_, faults) = from_json::<NonZeroU32>("0");
    assert_faults(&faults, &[("", "expected a whole number from 1 to 4294967295, found 0")]);
    let (_, faults) = from_json::<char>("\"ab\"");
    assert_faults(&faults, &[("", "expected a single character, found text \"ab\"")]);
    let (_, faults) = from_xml::<char>("c", "<c>ab</c>");
    assert_faults(&faults, &[("", "expected a single character, found text \"ab\"")]);
}

#[test]
fn little_of_the_input_is_repeated_and_nothing_of_it_reaches_a_terminal() {
    let long = "\u{1b}[2J\u{202e}\n".to_owned() + &"é".repeat(1000);
    let body = serde_json::json!({ "port": long, "labels": { long.as_str(): 1 } }).to_string();
    let (_, faults) = from_json::<Host>(&body);
    let shown = format!("\\u{{1b}}[2J\\u{{202e}}\\n{}…", "é".repeat(54));
    assert_eq!(faults[1].1, format!("expected a whole number from 0 to 65535, found text \"{shown}\""));
    assert!(faults[0].0.chars().count() < 300, "{}", faults[1].0);
}

#[test]
fn at_most_a_hundred_faults_are_told() {
    let body = format!("{{\"exit_codes\": [{}]}}", vec!["\"x\""; 5000].join(","));
    let (host, faults) = from_json::<Host>(&body);
    assert_eq!((host, faults.len()), (None, MAX_FAULTS));
    assert_eq!(faults[99].0, "/exit_codes/99");
}

#[test]
fn a_large_document_with_many_faults_still_gets_some_of_them_told() {
    let body = format!("[{}]", vec!["1"; 1_000_000].join(",")).replacen('1', "\"x\"", 50);
    let (_, faults) = from_json::<Vec<u8>>(&body);
    assert!((10..50).contains(&faults.len()), "{}", faults.len());
}

#[test]
fn read_only_fields_are_no_fault() {
    let read_only = ["version", "host_key/learned"];
    let json = r#"{"name": "a", "version": {"x": [1]}, "host_key": {"algorithm": "a", "bits": 1, "learned": "l"}}"#;
    let xml = "<host><version a='b'>3</version><name>a</name><host_key><learned><item/></learned>\
        <algorithm>a</algorithm><bits>1</bits></host_key></host>";
    for mut node in [parse_json(json.as_bytes()).unwrap(), parse_xml(xml.as_bytes(), "host").unwrap()] {
        let faulty = read_document::<Host>(&mut node.clone()).1;
        assert_eq!(faulty.len(), 2, "{faulty:?}");
        let (host, faults) = read_document_ignoring::<Host>(&mut node, &read_only);
        assert_eq!(faults, []);
        assert_eq!(host.unwrap().name.as_deref(), Some("a"));
    }
}

#[test]
fn a_types_own_words_come_through_from_both_formats() {
    let message = "\"a  b\" is not an address: it holds a space";
    let (_, faults) = from_json::<Vec<Address>>(r#"["ok", "a  b"]"#);
    assert_faults(&faults, &[("/1", message)]);
    let (_, faults) = from_xml::<Vec<Address>>("l", "<l><item>ok</item><item>a  b</item></l>");
    assert_faults(&faults, &[("/1", message)]);
}
