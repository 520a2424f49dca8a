//! JSON or XML: what a client sends (`Content-Type`) and what it wants back (`Accept`, RFC 9110 section 12.5.1).

use super::format::excerpt;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/json`.
    Json,
    /// `application/xml`.
    Xml,
    /// XML as `text/xml`, for those who ask for just that.
    TextXml,
}

impl Format {
    /// Whether it is XML.
    pub fn is_xml(self) -> bool {
        self != Self::Json
    }

    /// The `Content-Type` of a document.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml => "application/xml; charset=utf-8",
            Self::TextXml => "text/xml; charset=utf-8",
        }
    }

    /// The `Content-Type` of a problem (RFC 9457).
    pub fn problem_type(self) -> &'static str {
        if self.is_xml() { "application/problem+xml; charset=utf-8" } else { "application/problem+json" }
    }

    /// One letter, for entity tags: the two forms of a document are two representations.
    pub fn letter(self) -> char {
        if self.is_xml() { 'x' } else { 'j' }
    }
}

/// One entry of an `Accept` header.
struct Range<'a> {
    kind: &'a str,
    quality: f32,
}

/// What suits a client best by its `Accept` header, JSON where it does not care; none if nothing does.
pub fn accepted(accept: Option<&str>) -> Option<Format> {
    let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else {
        return Some(Format::Json);
    };
    let ranges: Vec<Range<'_>> = accept.split(',').filter_map(range).collect();
    let offers = [(Format::Json, "application/json"), (Format::Xml, "application/xml"), (Format::TextXml, "text/xml")];
    let mut best: Option<(Format, f32, u8, usize)> = None;
    for (format, name) in offers {
        // The most specific range that fits an offer says its quality; the first of equals.
        let mut fit: Option<(u8, usize, f32)> = None;
        for (place, range) in ranges.iter().enumerate() {
            let specific = specificity(range.kind, name);
            if specific > fit.map_or(0, |(so_far, ..)| so_far) {
                fit = Some((specific, place, range.quality));
            }
        }
        let Some((specific, place, quality)) = fit.filter(|(.., quality)| *quality > 0.0) else {
            continue;
        };
        let better = best
            .is_none_or(|(_, q, s, p)| quality > q || (quality == q && (specific > s || (specific == s && place < p))));
        if better {
            best = Some((format, quality, specific, place));
        }
    }
    best.map(|(format, ..)| format)
}

/// Whether a client accepts this type at all.
pub fn accepts(accept: &str, kind: &str) -> bool {
    let ranges: Vec<Range<'_>> = accept.split(',').filter_map(range).collect();
    let best = ranges
        .iter()
        .filter(|range| specificity(range.kind, kind) > 0)
        .max_by_key(|range| specificity(range.kind, kind));
    accept.trim().is_empty() || best.is_some_and(|range| range.quality > 0.0)
}

fn range(text: &str) -> Option<Range<'_>> {
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().filter(|kind| !kind.is_empty())?;
    let quality = parts
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
        .map_or(Some(1.0), |(_, value)| value.trim().parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q)))?;
    Some(Range { kind, quality })
}

/// How exactly a range names an offer; 0 if it does not. Who asks for problems in a format reads the format.
fn specificity(range: &str, offer: &str) -> u8 {
    let range = range.to_ascii_lowercase();
    let (kind, subtype) = offer.split_once('/').unwrap_or((offer, ""));
    match range.split_once('/') {
        Some(("*", "*")) => 1,
        Some((wanted, "*")) if wanted == kind => 2,
        Some((wanted, sub)) if wanted == kind && sub.strip_prefix("problem+").unwrap_or(sub) == subtype => 3,
        _ => 0,
    }
}

/// The form of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFormat {
    /// `application/json`, or nothing was said.
    Json,
    /// `application/merge-patch+json` (RFC 7396).
    MergePatch,
    /// `application/xml` or `text/xml`.
    Xml,
}

/// Reads a `Content-Type`; the error says what is wrong with it.
pub fn body_format(content_type: Option<&str>) -> Result<BodyFormat, String> {
    let Some(content_type) = content_type else {
        return Ok(BodyFormat::Json);
    };
    let mut parts = content_type.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    let format = match kind.as_str() {
        "application/json" => BodyFormat::Json,
        "application/merge-patch+json" => BodyFormat::MergePatch,
        "application/xml" | "text/xml" => BodyFormat::Xml,
        _ => return Err(format!("the body type \"{}\" is not read here", excerpt(&kind))),
    };
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let charset = value.trim().trim_matches('"');
        let fits = ["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known));
        if name.trim().eq_ignore_ascii_case("charset") && !fits {
            return Err(format!("the body's charset \"{}\" is not read: only UTF-8 is", excerpt(charset)));
        }
    }
    Ok(format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_form_for_the_client_is_chosen() {
        for (accept, expected) in [
            ("application/json", Some(Format::Json)),
            ("application/xml", Some(Format::Xml)),
            ("Text/XML", Some(Format::TextXml)),
            ("*/*", Some(Format::Json)),
            ("application/*", Some(Format::Json)),
            ("text/*", Some(Format::TextXml)),
            ("application/json;q=0.5, application/xml", Some(Format::Xml)),
            ("application/json;q=0.5,application/xml;q=0.4", Some(Format::Json)),
            ("application/xml, application/json", Some(Format::Xml)),
            ("application/xml, */*", Some(Format::Xml)),
            ("*/*, application/json;q=0", Some(Format::Xml)),
            ("text/html, application/xml;q=0.9, */*;q=0.8", Some(Format::Xml)),
            ("text/html, */*;q=0.1", Some(Format::Json)),
            ("application/problem+xml", Some(Format::Xml)),
            ("application/json; charset=utf-8; q=0.3", Some(Format::Json)),
            ("", Some(Format::Json)),
            ("text/html", None),
            ("application/json;q=0", None),
            ("application/yaml, image/*", None),
            ("application/json;q=2", None),
        ] {
            assert_eq!(accepted(Some(accept)), expected, "{accept}");
        }
        assert_eq!(accepted(None), Some(Format::Json));
    }

    #[test]
    fn one_type_is_accepted_or_not() {
        for yes in ["", "*/*", "text/*", "text/event-stream", "application/json, text/event-stream;q=0.1"] {
            assert!(accepts(yes, "text/event-stream"), "{yes}");
        }
        for no in ["application/json", "*/*, text/event-stream;q=0", "text/*;q=0"] {
            assert!(!accepts(no, "text/event-stream"), "{no}");
        }
    }

    #[test]
    fn body_types() {
        for (kind, expected) in [
            ("application/json", BodyFormat::Json),
            ("Application/JSON; charset=UTF-8", BodyFormat::Json),
            ("application/merge-patch+json", BodyFormat::MergePatch),
            ("application/xml", BodyFormat::Xml),
            ("text/xml;charset=\"utf-8\"", BodyFormat::Xml),
        ] {
            assert_eq!(body_format(Some(kind)), Ok(expected), "{kind}");
        }
        assert_eq!(body_format(None), Ok(BodyFormat::Json));
        for bad in ["text/plain", "application/x-www-form-urlencoded", "", "application/xml; charset=iso-8859-1"] {
            assert!(body_format(Some(bad)).is_err(), "{bad}");
        }
    }
}
