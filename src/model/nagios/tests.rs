use super::*;

/// All data of an output, each as `label=value[unit];warn;crit;min;max`, in one form.
fn read(stdout: &str) -> Vec<String> {
    let number = |number: Option<Number>| number.map(|number| number.to_string()).unwrap_or_default();
    let text = |text: Option<String>| text.unwrap_or_default();
    let all = perfdata(stdout, false).into_iter();
    all.map(|metric| {
        let value = metric.value.map_or("U".to_owned(), |value| value.to_string());
        let [warn, crit, unit] = [metric.warn, metric.crit, metric.unit].map(text);
        let line =
            format!("{}={value}{unit};{warn};{crit};{};{}", metric.label, number(metric.min), number(metric.max));
        line.trim_end_matches(';').to_owned()
    })
    .collect()
}

fn data(line: &str) -> Vec<String> {
    read(&format!("OK | {line}"))
}

#[test]
fn a_word_is_read_by_the_guidelines() {
    let table: [(&str, &[&str]); 22] = [
        ("a=1", &["a=1"]),
        ("time=0.012345s;;;0.000000;10.000000", &["time=0.012345s;;;0;10"]),
        ("/=2643MB;5948;5958;0;5968 /boot=68MB;88;93;0;98", &["/=2643MB;5948;5958;0;5968", "/boot=68MB;88;93;0;98"]),
        ("'a b'=1%;80;90;0;100", &["a b=1%;80;90;0;100"]),
        ("'it''s'=1 '='=2 '''q'''=3", &["it's=1", "==2", "'q'=3"]),
        ("'C:\\ used %'=12,5%;80,5;90", &["C:\\ used %=12.5%;80.5;90"]),
        ("a=U", &["a=U"]),
        ("a=U;1;2", &["a=U;1;2"]),
        ("a=-3.5C b=+2 c=.5 d=5. e=1e3 f=1.5E-3s", &["a=-3.5C", "b=2", "c=0.5", "d=5", "e=1000", "f=0.0015s"]),
        (
            "a=1s b=1ms c=1us d=1% e=1B f=1KB g=1MB h=1GB i=1TB j=1c",
            &["a=1s", "b=1ms", "c=1us", "d=1%", "e=1B", "f=1KB", "g=1MB", "h=1GB", "i=1TB", "j=1c"],
        ),
        ("a=1KiB b=1MiB/s c=1°C d=1W e=1m3 f=1µs", &["a=1KiB", "b=1MiB/s", "c=1°C", "d=1W", "e=1m3", "f=1µs"]),
        ("a=5;10:20;@10:20", &["a=5;10:20;@10:20"]),
        ("a=5;~:5;10:", &["a=5;~:5;10:"]),
        ("a=5;@~:-5;-1.5:1.5", &["a=5;@~:-5;-1.5:1.5"]),
        ("a=5;;;0", &["a=5;;;0"]),
        ("a=5;1;2;3;4;5;6", &["a=5;1;2;3;4"]),
        ("a=1\tb=2   c=3", &["a=1", "b=2", "c=3"]),
        ("a=1; b=2, c=3;", &["a=1", "b=2", "c=3"]),
        ("a=1,5 b=1,5s;2,5;3,5", &["a=1.5", "b=1.5s;2.5;3.5"]),
        ("a=18446744073709551615c", &["a=18446744073709552000c"]),
        ("größe=1 'ключ'=2", &["größe=1", "ключ=2"]),
        ("", &[]),
    ];
    for (line, expected) in table {
        assert_eq!(data(line), expected, "{line}");
    }
}

#[test]
fn what_cannot_be_read_spoils_nothing_else() {
    let table: [(&str, &[&str]); 24] = [
        ("nonsense a=1", &["a=1"]),
        ("a= b=2", &["b=2"]),
        ("=1 b=2", &["b=2"]),
        ("''=1 b=2", &["b=2"]),
        ("'open=1 b=2", &["b=2"]),
        ("'a'x=1 b=2", &["b=2"]),
        ("'a b=2", &["b=2"]),
        ("a'b=1 c=2", &["c=2"]),
        ("a=b=c d=4", &["d=4"]),
        ("a=1.2.3 b=1,2,3 c=1,234.5 d=4", &["d=4"]),
        ("a=5/10 b=2", &["b=2"]),
        ("a=nan b=inf c=-inf d=NaN e=infinity f=6", &["f=6"]),
        ("a=1e999 b=-1e999 c=3", &["c=3"]),
        ("a=0x10 b=2", &["b=2"]),
        ("a=--1 b=- c=+ d=. e=, f=6", &["f=6"]),
        ("a=1;x;2", &["a=1;;2"]),
        ("a=1;10:20:30;@;~;:;", &["a=1"]),
        ("a=1;2;3;x;5", &["a=1;2;3;;5"]),
        ("a=1;2%;3ms", &["a=1"]),
        ("a=1'; b=2", &["b=2"]),
        ("a=1\u{1b}[31m b=2", &["b=2"]),
        ("'a\u{7}b'=1 b=2", &["b=2"]),
        ("a=u b=2", &["b=2"]),
        ("'''' ''' '' ' '= =' b=2", &["b=2"]),
    ];
    for (line, expected) in table {
        assert_eq!(data(line), expected, "{line}");
    }
}

#[test]
fn data_stand_behind_a_bar_on_the_first_line_and_from_a_later_bar_on() {
    let guidelines = "DISK OK - free space: / 3326 MB (56%); | /=2643MB;5948;5958;0;5968\n/ 15272 MB (77%);\n\
                      /boot 68 MB (69%);\n/var/log 819 MB (84%); | /boot=68MB;88;93;0;98\n/home=69357MB;253404;253409;0;253414\n\
                      /var/log=818MB;970;975;0;980\n";
    let labels: Vec<_> = perfdata(guidelines, false).into_iter().map(|metric| metric.label).collect();
    assert_eq!(labels, ["/", "/boot", "/home", "/var/log"]);
    assert_eq!(read("OK\nlong a=1\nmore | b=2\nc=3"), ["b=2", "c=3"]);
    assert_eq!(read("OK | a=1\nlong b=2\n"), ["a=1"]);
    assert_eq!(read("|a=1"), ["a=1"]);
    assert_eq!(read("\n\r\n OK | a=1\r\nlong | b=2\r\n'c d'=3\r\n"), ["a=1", "b=2", "c d=3"]);
    // Plugins that put a text and a bar on every line.
    assert_eq!(read("OK | a=1\ntwo | b=2\nthree | c=3"), ["a=1", "b=2", "c=3"]);
    assert_eq!(read("OK a=1 b=2"), [""; 0]);
    assert_eq!(read(""), [""; 0]);
    assert_eq!(read("OK |"), [""; 0]);
}

#[test]
fn the_text_is_what_stands_before_the_data() {
    assert_eq!(text_of("DISK OK - all | a=1\nlong"), Some("DISK OK - all"));
    assert_eq!(text_of("\n \r\n  LOAD \r\nmore"), Some("LOAD"));
    assert_eq!((text_of("| a=1\nx"), text_of(""), text_of("\n")), (None, None, None));
}

#[test]
fn a_number_that_was_cut_is_not_read() {
    let labels = |text: &str| perfdata(text, true).into_iter().map(|metric| metric.label).collect::<Vec<_>>();
    assert_eq!(labels("OK | a=1 b=2 c=12"), ["a", "b"]);
    assert_eq!(labels("OK | a=1 b=2 "), ["a", "b"]);
    assert_eq!(labels("OK|a=1"), [""; 0]);
}

#[test]
fn what_is_kept_is_bounded_and_read_in_a_moment() {
    let many: String = (0..5000).map(|i| format!(" l{i}={i}")).collect();
    let all = perfdata(&format!("OK |{many}"), false);
    assert_eq!((all.len(), all.last().map(|last| last.label.as_str())), (1000, Some("l999")));
    assert_eq!(
        data(&format!("{}=1 {}=2 b=3", "x".repeat(257), "y".repeat(256))),
        [format!("{}=2", "y".repeat(256)), "b=3".to_owned()]
    );
    assert_eq!(data(&format!("a=1{} b=2{}", "u".repeat(33), "u".repeat(32))), [format!("b=2{}", "u".repeat(32))]);
    assert_eq!(data(&format!("a=1;{}1", "0".repeat(64))), ["a=1"]);
    for hostile in ["'", "' ", "'' ", "''' ", "'a ", "=", "= ", "a= ", "|", "'a'' ", ";", "a=1;", "9", "'='", "\u{85}"]
    {
        let text = format!("OK |{}", hostile.repeat(400_000));
        assert!(perfdata(&text, false).len() <= 1000, "{hostile:?}");
    }
}

/// Whatever it is given, it ends, keeps its bounds, and what it read it reads again.
#[test]
fn any_text_is_read_without_harm() {
    let parts = [
        "'", "''", "=", "|", "\n", " ", "a", "b c", "1", "-", ",", ".", ";", ":", "@", "~", "U", "e5", "%", "ß",
        "\u{1b}", "\r",
    ];
    let mut seed: u64 = 0x9E37_79B9_7F4A_7C15;
    for _ in 0..20_000 {
        let mut text = String::from("OK |");
        for _ in 0..24 {
            // xorshift64: the same texts in every run.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            text.push_str(parts[usize::try_from(seed % parts.len() as u64).unwrap()]);
        }
        let before = read(&text);
        let quoted: Vec<_> = perfdata(&text, false)
            .into_iter()
            .map(|metric| format!("'{}'", metric.label.replace('\'', "''")))
            .zip(perfdata(&text, false))
            .map(|(label, metric)| {
                let number = |number: Option<Number>| number.map(|number| number.to_string()).unwrap_or_default();
                let value = metric.value.map_or("U".to_owned(), |value| value.to_string());
                let [warn, crit, unit] = [metric.warn, metric.crit, metric.unit].map(Option::unwrap_or_default);
                format!("{label}={value}{unit};{warn};{crit};{};{}", number(metric.min), number(metric.max))
            })
            .collect();
        assert_eq!(data(&quoted.join(" ")), before, "{text:?}");
    }
}

#[test]
fn numbers_stay_numbers_in_json() {
    let metric = perfdata("OK | a=12.0;10:20 b=0.1s c=U", false);
    let json = serde_json::to_string(&metric).unwrap();
    assert!(
        json.starts_with(r#"[{"label":"a","value":12,"unit":null,"warn":"10:20","crit":null,"min":null,"max":null}"#)
    );
    assert!(json.contains(r#""value":0.1,"unit":"s""#) && json.contains(r#""label":"c","value":null"#), "{json}");
    assert_eq!(serde_json::from_str::<Vec<Metric>>(&json).unwrap(), metric);
}
