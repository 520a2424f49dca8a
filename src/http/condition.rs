//! Entity tags and the conditions that name them (RFC 9110 sections 8.8.3 and 13).

use super::negotiate::Format;
use super::problem::{Kind, Problem};
use crate::actors::handle::If;
use crate::model::{Meta, Reference};

/// What a tag says of a definition: its version, and when it was made, so that one that was deleted and made anew is
/// not taken for the old one.
fn stem(meta: &Meta) -> String {
    format!("{}-{:x}", meta.version, meta.created_at.map_or(0, |at| at.millis()))
}

/// The entity tag of a definition in one form; `beside` stands for what is shown of it but not part of its version.
pub fn etag(meta: &Meta, beside: Option<u64>, format: Format) -> String {
    let beside = beside.map_or(String::new(), |beside| format!("-{beside:x}"));
    format!("\"{}{beside}-{}\"", stem(meta), format.letter())
}

/// The conditions of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

#[derive(Debug, PartialEq, Eq)]
enum Tags {
    Any,
    These(Vec<Tag>),
}

#[derive(Debug, PartialEq, Eq)]
struct Tag {
    weak: bool,
    text: String,
}

impl Conditions {
    /// From the two headers.
    pub fn read(if_match: Option<&str>, if_none_match: Option<&str>) -> Result<Self, Problem> {
        let tags = |name: &str, header: Option<&str>| {
            header.map(|header| {
                parse(header).ok_or_else(|| {
                    let detail = format!("{name} must be * or a list of entity tags in quotes, as ETag shows them");
                    Problem::new(Kind::Malformed, detail)
                })
            })
        };
        Ok(Self {
            if_match: tags("If-Match", if_match).transpose()?,
            if_none_match: tags("If-None-Match", if_none_match).transpose()?,
        })
    }

    /// Whether the client has this very representation already: 304.
    pub fn has(&self, etag: &str) -> bool {
        match &self.if_none_match {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::These(tags)) => tags.iter().any(|tag| tag.text == etag.trim_matches('"')),
        }
    }

    /// Whether the client named the version it wants to change.
    pub fn names_version(&self) -> bool {
        self.if_match.is_some()
    }

    /// What must hold for a write, given what is there now.
    pub fn for_write(&self, what: &Reference, now: Option<&Meta>) -> Result<If, Problem> {
        if let (Some(Tags::Any), Some(_)) = (&self.if_none_match, now) {
            return Err(Problem::new(Kind::PreconditionFailed, format!("there is a {what} already")));
        }
        if let (Some(Tags::These(tags)), Some(meta)) = (&self.if_none_match, now)
            && tags.iter().any(|tag| tag.means(meta))
        {
            let detail = format!("{what} is at the version that If-None-Match names");
            return Err(Problem::new(Kind::PreconditionFailed, detail));
        }
        match (&self.if_match, now) {
            (None, _) if self.if_none_match == Some(Tags::Any) => Ok(If::Absent),
            (None, _) => Ok(If::None),
            (Some(_), None) => Err(Problem::new(Kind::PreconditionFailed, format!("there is no {what}"))),
            (Some(Tags::Any), Some(_)) => Ok(If::Exists),
            // Strong comparison: a weak tag never matches here.
            (Some(Tags::These(tags)), Some(meta)) if tags.iter().any(|tag| !tag.weak && tag.means(meta)) => {
                Ok(If::Version(vec![meta.version]))
            }
            (Some(Tags::These(_)), Some(meta)) => {
                let detail = format!("{what} is at version {}, not at the one that If-Match names", meta.version);
                Err(Problem::new(Kind::PreconditionFailed, detail))
            }
        }
    }
}

impl Tag {
    /// Whether it stands for this version of a definition, in whatever form. The bare number of the version, as the
    /// document shows it, will do.
    fn means(&self, meta: &Meta) -> bool {
        let stem = stem(meta);
        self.text == meta.version.to_string()
            || self.text.strip_prefix(&stem).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

/// Reads `*` or a list of tags.
fn parse(header: &str) -> Option<Tags> {
    let mut rest = header.trim();
    if rest == "*" {
        return Some(Tags::Any);
    }
    let mut tags = Vec::new();
    loop {
        let (weak, after) = rest.strip_prefix("W/").map_or((false, rest), |after| (true, after));
        let (text, after) = after.strip_prefix('"')?.split_once('"')?;
        tags.push(Tag { weak, text: text.to_owned() });
        rest = after.trim_start();
        if rest.is_empty() {
            return Some(Tags::These(tags));
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Labels, Name, Noun, Timestamp};

    fn meta(version: u64) -> Meta {
        Meta {
            name: Name::parse("web1").unwrap(),
            title: None,
            description: String::new(),
            labels: Labels::default(),
            version,
            created_at: Timestamp::from_millis(1_800_000_000_000),
            updated_at: None,
        }
    }

    fn write(if_match: Option<&str>, if_none_match: Option<&str>, now: Option<&Meta>) -> Option<If> {
        let web1 = Reference { noun: Noun::Host, name: Name::parse("web1").unwrap() };
        Conditions::read(if_match, if_none_match).unwrap().for_write(&web1, now).ok()
    }

    #[test]
    fn a_tag_stands_for_one_version_of_one_definition() {
        let third = meta(3);
        let tag = etag(&third, Some(7), Format::Json);
        for good in [tag.as_str(), &format!("\"x\", {tag}"), &etag(&third, None, Format::Xml), "\"3\""] {
            assert_eq!(write(Some(good), None, Some(&third)), Some(If::Version(vec![3])), "{good}");
        }
        let reborn = Meta { created_at: Timestamp::from_millis(1_800_000_000_001), ..meta(3) };
        assert_eq!(write(Some(&tag), None, Some(&reborn)), None);
        assert_eq!(write(Some(&tag), None, Some(&meta(30))), None);
        assert_eq!(write(Some(&tag), None, None), None);
        assert_eq!(write(Some(&format!("W/{tag}")), None, Some(&third)), None);
    }

    #[test]
    fn stars_and_absence() {
        let first = meta(1);
        assert_eq!(write(Some("*"), None, Some(&first)), Some(If::Exists));
        assert_eq!(write(Some("*"), None, None), None);
        assert_eq!(write(None, Some("*"), None), Some(If::Absent));
        assert_eq!(write(None, Some("*"), Some(&first)), None);
        assert_eq!(write(None, Some("\"1\""), Some(&first)), None);
        assert_eq!(write(None, None, Some(&first)), Some(If::None));
    }

    #[test]
    fn reading_is_spared_who_has_it() {
        let tag = etag(&meta(3), None, Format::Json);
        let has = |header: &str| Conditions::read(None, Some(header)).unwrap().has(&tag);
        assert!(has(&tag) && has(&format!("W/{tag}")) && has("*") && has(&format!("\"a\",{tag}")));
        assert!(!has(&etag(&meta(3), None, Format::Xml)) && !has(&etag(&meta(4), None, Format::Json)));
        for bad in ["3", "\"3", "\"a\" \"b\"", "", "\"a\","] {
            assert!(Conditions::read(Some(bad), None).is_err(), "{bad}");
        }
    }
}
