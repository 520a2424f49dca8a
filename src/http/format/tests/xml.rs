//! XML as such: what is refused as a whole, and what the same document may look like.

use std::collections::BTreeMap;

use super::super::{FormatError, parse_xml, parse_xml_any_of};
use super::{Host, HostKey, Policy, Then, good_xml, xml_refusal};

#[test]
fn what_is_not_xml_is_refused_with_its_place() {
    let wrong = "not well-formed XML at line ";
    let table = [
        ("", "1, column 1: there is no root element"),
        ("  <!-- a -->", "1, column 13: there is no root element"),
        ("<host>\n<name>a</nam></host>", "2, column 8: expected </name>, found </nam>"),
        ("<host><name>", "1, column 13: <name> is not closed"),
        ("<host/></host>", "1, column 8: </host> closes nothing"),
        ("<host/><host/>", "1, column 8: a second root element"),
        ("<host/>é x", "1, column 8: text outside the root element: \"é x\""),
        ("x<host/>", "1, column 1: text outside the root element: \"x\""),
        ("<host/><![CDATA[x]]>", "1, column 8: text outside the root element: \"x\""),
        ("<host/>&#32;", "1, column 8: a reference outside the root element"),
        ("<host>a\u{1}</host>", "1, column 8: U+0001 is not a character of XML 1.0"),
        ("<host>\u{ffff}</host>", "1, column 7: U+FFFF is not a character of XML 1.0"),
        ("<host>&#1;</host>", "1, column 7: &#1; is not a character of XML 1.0"),
        ("<host>é&#xFFFE;</host>", "1, column 8: &#xFFFE; is not a character of XML 1.0"),
        ("<host>&#xD800;</host>", "1, column 7: &#xD800; is not a character of XML 1.0"),
        ("<host>&#+9;</host>", "1, column 7: &#+9; is not a character of XML 1.0"),
        ("<host>&#;</host>", "1, column 7: &#; is not a character of XML 1.0"),
        ("<host>&nbsp;</host>", "1, column 7: unknown entity &nbsp;: only lt, gt, amp, apos and quot are known"),
        ("<host>a & b</host>", "1, column 9: an `&` without a `;`: write `&amp;` for the character"),
        ("<host>]]></host>", "1, column 7: `]]>` in text: write `]]&gt;`"),
        ("<host 1=\"\"/>", "1, column 1: \"1\" is not the name of an attribute"),
        ("<host>< a/></host>", "1, column 7: \"\" is not the name of an element"),
        ("<host><1/></host>", "1, column 7: \"1\" is not the name of an element"),
        ("<host a=\"<\"/>", "1, column 1: a `<` in the value of an attribute"),
        ("<host a=\"&\"/>", "1, column 1: an `&` without a `;` in the value of an attribute"),
        ("<host><!-- a -- b --></host>", "1, column 14: forbidden string `--` was found in a comment"),
        ("<?xml version=\"1.1\"?><host/>", "1, column 1: XML 1.1 is not read: only XML 1.0 is"),
        ("<?xml encoding=\"utf-8\"?><host/>", "1, column 1: an XML declaration begins with `version`"),
        (
            "<?xml version=\"1.0\" standalone=\"no\" encoding=\"utf-8\"?><host/>",
            "1, column 1: `encoding` has no place in the XML declaration",
        ),
        ("<host/><?XML a?>", "1, column 8: \"XML\" cannot name an instruction"),
        (" <?xml version=\"1.0\"?><host/>", "1, column 2: an XML declaration that is not at the beginning"),
    ];
    for (document, message) in table {
        assert_eq!(xml_refusal(document).to_string(), format!("{wrong}{message}"), "{document:?}");
    }
    for document in
        ["<host a=1/>", "<host a/>", "<host a=\"1\" a=\"2\"/>", "<host", "<host/><", "<host><![CDATA[</host>"]
    {
        assert!(matches!(xml_refusal(document), FormatError::NotWellFormed { .. }), "{document}");
    }
}

#[test]
fn a_doctype_is_refused_wherever_it_stands() {
    for document in [
        "<!DOCTYPE host><host/>",
        "<!DOCTYPE host SYSTEM \"file:///etc/passwd\"><host/>",
        "<!DOCTYPE host [<!ENTITY a \"b\">]><host>&a;</host>",
        "<?xml version=\"1.0\"?>\n<!-- c --><!DOCTYPE host PUBLIC \"-//A\" \"http://example.org/a.dtd\"><host/>",
        "<host><!DOCTYPE host></host>",
        "<host/><!DOCTYPE host>",
        "<!doctype html><host/>",
        "<!DOCTYPE><host/>",
        "<!DOCTYPE host [",
    ] {
        let refusal = xml_refusal(document);
        assert!(matches!(refusal, FormatError::Doctype { .. }), "{document}: {refusal}");
    }
    // In text it is text.
    let text: String = good_xml("host", "<host><![CDATA[<!DOCTYPE host>]]></host>");
    assert_eq!(text, "<!DOCTYPE host>");
}

#[test]
fn only_utf8_is_read() {
    assert_eq!(xml_refusal(b"<host>\xe9</host>"), FormatError::NotUtf8 { offset: 6 });
    assert_eq!(xml_refusal(b"\xff\xfe<\0h\0"), FormatError::NotUtf8 { offset: 0 });
    let declared = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><host/>";
    assert_eq!(xml_refusal(declared), FormatError::Encoding { declared: "ISO-8859-1".to_owned() });
    for document in [
        "\u{feff}<host>ä</host>",
        "<?xml version='1.0' encoding='utf-8' standalone='yes'?><host>ä</host>",
        "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<host>ä</host>\n",
    ] {
        assert_eq!(good_xml::<String>("host", document), "ä");
    }
}

#[test]
fn the_root_says_what_the_document_is() {
    let refusal = xml_refusal("<task/>");
    assert_eq!(refusal.to_string(), "the root element is <task>: expected <host>");
    let both = ["apply", "export"];
    assert!(parse_xml_any_of(b"<export/>", &both).is_ok());
    let refusal = parse_xml_any_of(b"<host/>", &both).unwrap_err();
    assert_eq!(refusal.to_string(), "the root element is <host>: expected <apply> or <export>");
}

#[test]
fn the_64th_level_is_read_and_the_65th_refused() {
    let nested = |depth: usize| format!("<host>{}{}</host>", "<a>".repeat(depth - 1), "</a>".repeat(depth - 1));
    assert!(parse_xml(nested(64).as_bytes(), "host").is_ok());
    assert_eq!(xml_refusal(nested(65)), FormatError::TooDeep { line: 1, column: 6 + 1 + 63 * 3 });
}

#[test]
fn a_document_written_by_hand() {
    let host: Host = good_xml(
        "host",
        "<?xml version=\"1.0\"?>
        <?pi ignored?>
        <host xmlns=\"urn:example\"> <!-- a host -->
            <name>a &lt;b&gt; &amp; &#x43;<![CDATA[ <&amp;> ]]>!<!-- c --></name>
            <port> 22
            </port>
            <weight>1e3</weight><offset>-5</offset><enabled>\ttrue </enabled><policy> strict </policy>
            <labels>
                <entry key=\"role\">web</entry><entry key64=\"AA==\">nul</entry><entry key='a&#10;b\tc'></entry>
            </labels>
            <exit_codes>
                <item>0</item>
                <item encoding=\"base64\">MQ==</item>
            </exit_codes>
            <keys>
            </keys>
            <then><webhook><url encoding='base64'> YQ
            Bi </url><headers/></webhook></then>
        </host>",
    );
    let labels = [("role", "web"), ("\0", "nul"), ("a\nb c", "")];
    let expected = Host {
        name: Some("a <b> & C <&amp;> !".to_owned()),
        port: Some(22),
        weight: Some(1000.0),
        offset: Some(-5),
        enabled: Some(true),
        policy: Some(Policy::Strict),
        labels: Some(labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()),
        exit_codes: Some(vec![0, 1]),
        keys: Some(Vec::new()),
        then: Some(Then::Webhook { url: "a\0b".to_owned(), headers: BTreeMap::new() }),
        ..Host::default()
    };
    assert_eq!(host, expected);
}

#[test]
fn line_ends_are_normalised_as_xml_wants_it() {
    let text: String = good_xml("host", "<host>a\r\nb\rc&#13;\n<![CDATA[d\r\n]]></host>");
    assert_eq!(text, "a\nb\nc\r\nd\n");
}

#[test]
fn an_empty_element_is_empty_of_what_is_asked_for() {
    let host: Host =
        good_xml("host", "<host><name/><labels/><exit_codes></exit_codes><host_key null=\"true\"/></host>");
    let expected = Host {
        name: Some(String::new()),
        labels: Some(BTreeMap::new()),
        exit_codes: Some(Vec::new()),
        ..Host::default()
    };
    assert_eq!(host, expected);
    assert_eq!(good_xml::<Host>("host", "<host/>"), Host::default());
}

#[test]
fn a_type_that_takes_anything_gets_texts_lists_and_maps() {
    let value: serde_json::Value = good_xml(
        "x",
        "<x><a>1</a><b><item>2</item></b><c><entry key=\"k k\">3</entry></c><d><item null=\"true\"/></d></x>",
    );
    assert_eq!(value, serde_json::json!({"a": "1", "b": ["2"], "c": {"k k": "3"}, "d": [null]}));
}

#[test]
fn lists_of_objects() {
    let keys: Vec<HostKey> = good_xml(
        "keys",
        "<keys><item><algorithm>rsa</algorithm><bits>2048</bits></item>
        <item><bits>256</bits><algorithm/><comment>c</comment></item></keys>",
    );
    let key = |algorithm: &str, bits, comment: Option<&str>| HostKey {
        algorithm: algorithm.to_owned(),
        bits,
        comment: comment.map(str::to_owned),
    };
    assert_eq!(keys, [key("rsa", 2048, None), key("", 256, Some("c"))]);
}

#[test]
fn a_text_or_a_reference_to_one() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(untagged)]
    enum Text {
        Plain(String),
        Reference { secret: String },
    }
    let value: BTreeMap<String, Text> = good_xml(
        "env",
        "<env><entry key=\"A\">a</entry><entry key=\"B\"><secret>b</secret></entry><entry key=\"C\"/></env>",
    );
    let expected = [
        ("A", Text::Plain("a".to_owned())),
        ("B", Text::Reference { secret: "b".to_owned() }),
        ("C", Text::Plain(String::new())),
    ];
    assert_eq!(value, expected.map(|(key, text)| (key.to_owned(), text)).into());
}
