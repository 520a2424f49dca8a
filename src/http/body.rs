//! The document in a request's body, JSON or XML, and all that is wrong with it.

use actix_web::http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::call::Call;
use super::format::{self, FormatError, Node, parse_json, parse_xml, read_document};
use super::negotiate::{BodyFormat, body_format};
use super::problem::{Kind, Problem};
use crate::model::Fault;

/// What could be read, and what is wrong with it. With faults the document is only there to be looked through for more.
pub struct Draft<T> {
    /// The document, without the values at fault.
    pub document: Option<T>,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// Reads the body as a document; `root` is its element in XML.
pub fn read<T: DeserializeOwned>(call: &Call, root: &str) -> Result<Draft<T>, Problem> {
    Ok(draft(parse(call, root)?))
}

/// The body as a tree, to be taken apart before it is read.
pub fn tree(call: &Call, root: &str) -> Result<Node, Problem> {
    parse(call, root)
}

/// The same; none if there is no body.
pub fn tree_or_nothing(call: &Call, root: &str) -> Result<Option<Node>, Problem> {
    if call.body.is_empty() { Ok(None) } else { parse(call, root).map(Some) }
}

/// For calls that take nothing: no body, or a document without a field.
pub fn nothing(call: &Call, root: &str) -> Result<(), Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    if call.body.is_empty() {
        return Ok(());
    }
    let Draft { faults, .. } = read::<Nothing>(call, root)?;
    if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
}

/// Reads JSON as a document.
pub fn read_json<T: DeserializeOwned>(json: &[u8]) -> Result<Draft<T>, Problem> {
    Ok(draft(parse_json(json)?))
}

/// Reads a tree as a document.
pub fn draft<T: DeserializeOwned>(mut node: Node) -> Draft<T> {
    let (document, faults) = read_document(&mut node);
    let faults = faults.into_iter().map(|format::Fault { pointer, detail }| Fault { pointer, detail }).collect();
    Draft { document, faults }
}

/// The format of a body that is a document.
pub fn document_format(call: &Call) -> Result<BodyFormat, Problem> {
    match body_format(call.header("content-type")) {
        Ok(BodyFormat::MergePatch) => Err(unsupported(call, "application/merge-patch+json goes with PATCH")),
        Ok(format) => Ok(format),
        Err(detail) => Err(unsupported(call, &detail)),
    }
}

/// Reads bytes of a format as a tree; `root` is its element in XML.
pub fn parse_as(format: BodyFormat, bytes: &[u8], root: &str) -> Result<Node, FormatError> {
    match format {
        BodyFormat::Xml => parse_xml(bytes, root),
        BodyFormat::Json | BodyFormat::MergePatch => parse_json(bytes),
    }
}

fn parse(call: &Call, root: &str) -> Result<Node, Problem> {
    let format = document_format(call)?;
    check_is_there(call)?;
    Ok(parse_as(format, &call.body, root)?)
}

fn check_is_there(call: &Call) -> Result<(), Problem> {
    if call.body.is_empty() {
        return Err(Problem::new(Kind::Malformed, "the body is empty: a document is expected"));
    }
    Ok(())
}

/// Checks that the body is JSON, as a patch is, and well-formed.
pub fn patch(call: &Call) -> Result<serde_json::Value, Problem> {
    match body_format(call.header("content-type")) {
        Ok(BodyFormat::Json | BodyFormat::MergePatch) => {}
        Ok(BodyFormat::Xml) => return Err(unsupported(call, "a merge patch is JSON")),
        Err(detail) => return Err(unsupported(call, &detail)),
    }
    check_is_there(call)?;
    // For its bounds on depth and its refusal of fields given twice.
    parse_json(&call.body)?;
    serde_json::from_slice(&call.body).map_err(|error| Problem::new(Kind::Malformed, error.to_string()))
}

fn unsupported(call: &Call, detail: &str) -> Problem {
    let known = if *call.method() == Method::PATCH {
        "application/merge-patch+json, application/json"
    } else {
        "application/json, application/xml, text/xml"
    };
    let name = if *call.method() == Method::PATCH { "accept-patch" } else { "accept-post" };
    let name = actix_web::http::header::HeaderName::from_static(name);
    Problem::new(Kind::UnsupportedMediaType, format!("{detail}; known here: {known}")).with(name, known)
}

/// Faults of the reading and those of what could be read, without what only follows from the former: a field that
/// was taken out is not missing, and rules about several fields cannot be judged without it.
pub fn joined(mut structural: Vec<Fault>, semantic: Vec<Fault>) -> Vec<Fault> {
    if structural.is_empty() {
        return semantic;
    }
    let follows = |fault: &Fault| {
        structural.iter().any(|first| {
            first.pointer.strip_prefix(&fault.pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    // The empty pointer is the parent of all.
    let more: Vec<Fault> = semantic.into_iter().filter(|fault| !follows(fault)).collect();
    structural.extend(more);
    structural
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_follows_from_another_fault_is_not_told() {
        let at = |pointer: &str| Fault::new(pointer, "x");
        let pointers = |structural: &[&str], semantic: &[&str]| -> Vec<String> {
            let faults = |list: &[&str]| list.iter().map(|pointer| at(pointer)).collect();
            joined(faults(structural), faults(semantic)).into_iter().map(|fault| fault.pointer).collect()
        };
        assert_eq!(
            pointers(&["/port", "/host_key/policy"], &["/port", "/host_key", "", "/user", "/ports", "/host"]),
            ["/port", "/host_key/policy", "/user", "/ports", "/host"]
        );
        assert_eq!(pointers(&[], &["", "/user"]), ["", "/user"]);
    }
}
