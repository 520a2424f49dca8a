//! What is written is read back, in both formats, and means the same.

use std::collections::BTreeMap;

use super::super::to_xml;
use super::generator::Generator;
use super::{Host, from_json, from_xml, good_xml};

#[test]
fn any_host_is_the_same_after_json_and_xml() {
    let mut generator = Generator(8253);
    for round in 0..3_000 {
        let host = generator.host();
        let json = serde_json::to_string(&Host { weight: None, ..host.clone() }).unwrap();
        let (mut from_json, faults) = from_json::<Host>(&json);
        assert_eq!(faults, [], "round {round}: {json}");
        // serde_json may read a float one unit in the last place off; XML must not.
        from_json.as_mut().unwrap().weight = host.weight;
        assert_eq!(from_json.as_ref(), Some(&host), "round {round}: {json}");

        let xml = to_xml("host", &from_json.unwrap()).unwrap();
        let (from_xml, faults) = from_xml::<Host>("host", &xml);
        assert_eq!(faults, [], "round {round}: {xml}");
        assert_eq!(from_xml, Some(host), "round {round}: {xml}");
    }
}

#[test]
fn every_character_survives_in_texts_and_in_keys() {
    for number in 0..=0x1_0010_u32 {
        let Some(character) = char::from_u32(number) else {
            continue;
        };
        let mut map = BTreeMap::new();
        map.insert(format!("a{character}b"), character.to_string());
        map.insert(character.to_string(), format!("{character}{character} \n"));
        let xml = to_xml("map", &map).unwrap();
        assert_eq!(good_xml::<BTreeMap<String, String>>("map", &xml), map, "U+{number:04X}: {xml}");
    }
}

#[test]
fn white_space_is_exact() {
    for text in ["", " ", "\n", "\r\n", "\r", "\t x \t", "  two lines\r\nof text\n", "]]>", "a\u{0}b"] {
        let xml = to_xml("text", text).unwrap();
        assert_eq!(good_xml::<String>("text", &xml), text, "{xml:?}");
    }
}

#[test]
fn nulls_with_a_place_keep_it() {
    let list = vec![None, Some("a".to_owned()), None, Some(String::new())];
    let xml = to_xml("list", &list).unwrap();
    assert_eq!(good_xml::<Vec<Option<String>>>("list", &xml), list, "{xml}");

    let map = BTreeMap::from([("gone".to_owned(), None), ("here".to_owned(), Some(1_u8))]);
    let xml = to_xml("map", &map).unwrap();
    assert_eq!(good_xml::<BTreeMap<String, Option<u8>>>("map", &xml), map, "{xml}");
}

#[test]
fn numbers_are_the_same_to_the_last_digit() {
    for number in [0.1, 1.0 / 3.0, f64::MAX, f64::MIN_POSITIVE, 5e-324, -0.0, 1e21, 123_456_789.125] {
        let xml = to_xml("n", &number).unwrap();
        assert_eq!(good_xml::<f64>("n", &xml).to_bits(), number.to_bits(), "{xml}");
    }
    for number in [0, 1, -1, i64::MIN, i64::MAX] {
        assert_eq!(good_xml::<i64>("n", &to_xml("n", &number).unwrap()), number);
    }
    assert_eq!(good_xml::<u64>("n", &to_xml("n", &u64::MAX).unwrap()), u64::MAX);
}
