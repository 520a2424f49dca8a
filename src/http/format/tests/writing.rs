//! The XML that clients see.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::{FormatError, list_to_xml, to_xml, to_xml_ns};
use super::{Address, Host, HostKey, Policy, Then};

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

fn body<T: Serialize + ?Sized>(value: &T) -> String {
    to_xml("x", value).unwrap().strip_prefix(DECLARATION).unwrap().to_owned()
}

#[test]
fn a_host_is_written_as_the_contract_says() {
    let host = Host {
        name: Some("web1".to_owned()),
        address: Some(Address("10.0.0.1".to_owned())),
        port: Some(22),
        weight: Some(0.5),
        enabled: Some(true),
        policy: Some(Policy::AcceptNew),
        labels: Some(BTreeMap::from([("role".to_owned(), "web".to_owned())])),
        exit_codes: Some(vec![0, -1]),
        host_key: Some(HostKey { algorithm: "ed25519".to_owned(), bits: 256, comment: None }),
        then: Some(Then::Run("restart".to_owned())),
        keys: Some(Vec::new()),
        ..Host::default()
    };
    let expected = "<host><name>web1</name><address>10.0.0.1</address><port>22</port><weight>0.5</weight>\
        <enabled>true</enabled><policy>accept-new</policy><labels><entry key=\"role\">web</entry></labels>\
        <exit_codes><item>0</item><item>-1</item></exit_codes>\
        <host_key><algorithm>ed25519</algorithm><bits>256</bits></host_key><then><run>restart</run></then>\
        <keys/></host>";
    assert_eq!(to_xml("host", &host).unwrap(), format!("{DECLARATION}{expected}"));
}

#[test]
fn choices_have_the_shape_they_have_in_json() {
    let table = [
        (Then::Nothing, "<x>nothing</x>"),
        (Then::Run("a".to_owned()), "<x><run>a</run></x>"),
        (
            Then::Webhook { url: "u".to_owned(), headers: BTreeMap::new() },
            "<x><webhook><url>u</url><headers/></webhook></x>",
        ),
        (Then::Between(1, 2), "<x><between><item>1</item><item>2</item></between></x>"),
        (Then::Maybe(None), "<x><maybe null=\"true\"/></x>"),
    ];
    for (value, expected) in table {
        assert_eq!(body(&value), expected);
    }
}

#[test]
fn text_is_escaped_or_base64() {
    let table = [
        ("a<b>&\"c'", "<x>a&lt;b&gt;&amp;\"c'</x>"),
        ("]]>", "<x>]]&gt;</x>"),
        ("a\r\nb\tc", "<x>a&#13;\nb\tc</x>"),
        ("", "<x/>"),
        ("a\0b", "<x encoding=\"base64\">YQBi</x>"),
        ("\u{ffff}", "<x encoding=\"base64\">77+/</x>"),
        ("\u{7f}\u{85}🦀", "<x>\u{7f}\u{85}🦀</x>"),
    ];
    for (text, expected) in table {
        assert_eq!(body(text), expected, "{text:?}");
    }
}

#[test]
fn keys_are_escaped_or_base64() {
    let table = [
        ("a\"<>&'", "<x><entry key=\"a&quot;&lt;&gt;&amp;'\">1</entry></x>"),
        (" \t\r\n", "<x><entry key=\" &#9;&#13;&#10;\">1</entry></x>"),
        ("", "<x><entry key=\"\">1</entry></x>"),
        ("\u{1b}", "<x><entry key64=\"Gw==\">1</entry></x>"),
    ];
    for (key, expected) in table {
        assert_eq!(body(&BTreeMap::from([(key, 1)])), expected, "{key:?}");
    }
}

#[test]
fn what_is_null_in_json_is_absent() {
    #[derive(Serialize)]
    struct Holey {
        none: Option<u8>,
        unit: (),
        infinite: f64,
        some: Option<Option<&'static str>>,
    }
    let value = Holey { none: None, unit: (), infinite: f64::INFINITY, some: Some(Some("x")) };
    assert_eq!(body(&value), "<x><some>x</some></x>");
    assert_eq!(body(&None::<u8>), "<x/>");
    assert_eq!(body(&[None, Some(1)]), "<x><item null=\"true\"/><item>1</item></x>");
    assert_eq!(body(&BTreeMap::from([("k", f32::NAN)])), "<x><entry key=\"k\" null=\"true\"/></x>");
}

#[test]
fn free_json_is_lists_and_maps() {
    let value = serde_json::json!({"a": [1, {"b c": "d"}], "e": null});
    let expected = "<x><entry key=\"a\"><item>1</item><item><entry key=\"b c\">d</entry></item></entry>\
        <entry key=\"e\" null=\"true\"/></x>";
    assert_eq!(body(&value), expected);
}

#[test]
fn a_page_of_a_list_says_how_many_there_are_and_where_the_next_is() {
    #[derive(Serialize)]
    struct Named {
        name: &'static str,
    }
    let page = [Named { name: "a" }, Named { name: "b" }];
    let xml = list_to_xml("hosts", "host", &page, 3, Some("Yg&\"")).unwrap();
    let expected =
        "<hosts total=\"3\" next=\"Yg&amp;&quot;\"><host><name>a</name></host><host><name>b</name></host></hosts>";
    assert_eq!(xml, format!("{DECLARATION}{expected}"));
    let empty = list_to_xml::<Named>("hosts", "host", &[], 0, None).unwrap();
    assert_eq!(empty, format!("{DECLARATION}<hosts total=\"0\"/>"));
}

#[test]
fn a_problem_document_has_its_name_space() {
    #[derive(Serialize)]
    struct Problem {
        status: u16,
        errors: Vec<BTreeMap<&'static str, &'static str>>,
    }
    let xml = to_xml_ns("problem", "urn:ietf:rfc:7807", &Problem { status: 404, errors: Vec::new() }).unwrap();
    let expected = "<problem xmlns=\"urn:ietf:rfc:7807\"><status>404</status><errors/></problem>";
    assert_eq!(xml, format!("{DECLARATION}{expected}"));
}

#[test]
fn what_has_no_xml_is_an_error_not_a_broken_document() {
    #[derive(Serialize)]
    struct Bad {
        #[serde(rename = "a b")]
        field: u8,
    }
    for error in [
        to_xml("x", &Bad { field: 1 }).unwrap_err(),
        to_xml("x", &BTreeMap::from([(vec![1], 1)])).unwrap_err(),
        to_xml("<x", "").unwrap_err(),
        list_to_xml("hosts", "host", &[1], 1, Some("\0")).unwrap_err(),
    ] {
        assert!(matches!(error, FormatError::Unwritable { .. }), "{error}");
    }
}

#[test]
fn flattened_parts_are_fields() {
    #[derive(Serialize)]
    struct Common {
        name: &'static str,
        title: Option<&'static str>,
        labels: BTreeMap<&'static str, u8>,
    }
    #[derive(Serialize)]
    struct View {
        #[serde(flatten)]
        common: Common,
        version: u64,
    }
    let common = Common { name: "a", title: None, labels: BTreeMap::from([("k", 1)]) };
    let expected = "<x><name>a</name><labels><entry key=\"k\">1</entry></labels><version>3</version></x>";
    assert_eq!(body(&View { common, version: 3 }), expected);
}
