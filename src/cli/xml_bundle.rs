//! XML documents put together into one as they are, element by element: what is in an element is for the service to
//! read.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::model::Noun;

/// The definitions of a document, by noun: those of an `<export>`, of a list such as `<hosts>`, or a single `<host>`.
pub(super) fn parts(text: &str) -> Result<Vec<(Noun, Vec<String>)>, String> {
    let mut reader = Reader::from_str(text);
    let mut parts: Vec<(Noun, Vec<String>)> = Vec::new();
    let mut depth = 0;
    // How deep the definitions are, and where the present one begins.
    let mut level = 0;
    let mut begin = 0;
    loop {
        let at = position(reader.buffer_position())?;
        let event = reader.read_event().map_err(|error| format!("is not XML: {error}"))?;
        let (opens, closes, name) = match &event {
            Event::Start(tag) => (true, false, tag.local_name().as_ref().to_owned()),
            Event::Empty(tag) => (true, true, tag.local_name().as_ref().to_owned()),
            Event::End(_) => (false, true, String::new()),
            Event::DocType(_) => return Err("holds a DOCTYPE, which is not read".to_owned()),
            Event::Eof if parts.is_empty() && depth == 0 && level == 0 => return Err("holds no element".to_owned()),
            Event::Eof if depth > 0 => return Err("is not XML: an element is not closed".to_owned()),
            Event::Eof => return Ok(parts),
            _ => continue,
        };
        if opens {
            let plural = Noun::ALL.into_iter().find(|noun| noun.plural() == name);
            match depth {
                0 if name == "export" => level = 2,
                0 if plural.is_some() => level = 1,
                0 => {
                    let single = Noun::ALL.into_iter().find(|noun| noun.singular() == name);
                    let expected = "<export>, or that of a noun or a list of them";
                    let single =
                        single.ok_or_else(|| format!("<{name}> is not the element that is expected: {expected}"))?;
                    parts.push((single, Vec::new()));
                }
                1 if level == 2 && plural.is_none() => return Err(format!("<{name}> is no noun")),
                _ => {}
            }
            if let Some(noun) = plural.filter(|_| depth + 1 == level) {
                parts.push((noun, Vec::new()));
            }
            if depth == level {
                begin = at;
            }
            depth += 1;
        }
        if closes {
            depth -= 1;
            if depth == level
                && let Some((_, items)) = parts.last_mut()
            {
                let end = position(reader.buffer_position())?;
                items.push(text.get(begin..end).unwrap_or_default().to_owned());
            }
        }
    }
}

fn position(at: u64) -> Result<usize, String> {
    usize::try_from(at).map_err(|_| "is too large".to_owned())
}

/// One document of these definitions.
pub(super) fn written(parts: &[(Noun, Vec<String>)]) -> Vec<u8> {
    let mut text = "<export>".to_owned();
    for (noun, items) in parts {
        let noun = noun.plural();
        text.push_str(&format!("<{noun}>"));
        items.iter().for_each(|item| text.push_str(item));
        text.push_str(&format!("</{noun}>"));
    }
    text.push_str("</export>");
    text.into_bytes()
}

/// Several lists of the same name as one list of it: all their elements, and how many there are in all.
pub(super) fn one_list(name: &str, lists: &[String]) -> Result<String, String> {
    let (mut items, mut total) = (String::new(), 0);
    for text in lists {
        let mut reader = Reader::from_str(text);
        let (tag, holds_some) = loop {
            match reader.read_event().map_err(|error| format!("is not XML: {error}"))? {
                Event::Start(tag) => break (tag, true),
                Event::Empty(tag) => break (tag, false),
                Event::Eof => return Err("holds no element".to_owned()),
                _ => {}
            }
        };
        if tag.local_name().as_ref() != name {
            return Err(format!("is no <{name}>"));
        }
        let own = tag.try_get_attribute("total").ok().flatten();
        total += own.and_then(|own| own.value.parse::<usize>().ok()).unwrap_or(0);
        if holds_some {
            let begin = position(reader.buffer_position())?;
            let end = text.rfind("</").filter(|end| *end >= begin).ok_or("is not XML: an element is not closed")?;
            items.push_str(&text[begin..end]);
        }
    }
    Ok(format!("<{name} total=\"{total}\">{items}</{name}>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_become_one_list() {
        let lists = [
            "<?xml version=\"1.0\"?><statuses total=\"1\"><status><host>é</host></status></statuses>\n",
            "<statuses total=\"0\"/>",
            "<statuses total=\"2\"><status/><status/></statuses>",
        ];
        let whole = one_list("statuses", &lists.map(str::to_owned));
        assert_eq!(
            whole.unwrap(),
            "<statuses total=\"3\"><status><host>é</host></status><status/><status/></statuses>"
        );
        for bad in ["", "<a/>", "<statuses>"] {
            assert!(one_list("statuses", &[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    fn together(texts: &[&str]) -> String {
        let all: Vec<_> = texts.iter().flat_map(|text| parts(text).unwrap()).collect();
        String::from_utf8(written(&all)).unwrap()
    }

    #[test]
    fn exports_lists_and_single_ones_become_one_document() {
        let export = "<?xml version=\"1.0\"?>\n<export>\n <hosts>\n  <host><name>a</name></host><item/></hosts><tasks/></export>\n";
        assert_eq!(
            together(&[
                export,
                "<hosts total=\"1\"><host><name>é</name></host></hosts>",
                "<task><command>a &lt; b</command></task>"
            ]),
            "<export><hosts><host><name>a</name></host><item/></hosts><tasks></tasks><hosts><host><name>é</name></host></hosts>\
             <tasks><task><command>a &lt; b</command></task></tasks></export>"
        );
        assert_eq!(together(&["<export/>"]), "<export></export>");
    }

    #[test]
    fn what_is_no_such_document_is_refused() {
        for bad in ["", "<a/>", "<export><a/></export>", "<hosts>", "<!DOCTYPE x><hosts/>", "<hosts></host>", "text"] {
            assert!(parts(bad).is_err(), "{bad}");
        }
    }
}
