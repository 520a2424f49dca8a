//! Reads the documents that a person wants to send: YAML, JSON or XML, one or many.

use std::io::Read;
use std::path::Path;

use super::client::Body;
use super::doc::Doc;
use super::error::CliError;
use super::text::escaped;

/// The largest file that is read: as much as the service ever takes at once.
pub(super) const LARGEST: u64 = 64 * 1024 * 1024;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syntax {
    Json,
    Xml,
    Yaml,
}

/// What messages call a file; `-` is stdin.
pub(super) fn shown(path: &Path) -> String {
    if path == "-" { "standard input".to_owned() } else { escaped(&path.to_string_lossy()) }
}

/// All of a file; `-` is stdin.
fn bytes_of(path: &Path, stdin: &mut dyn Read) -> Result<Vec<u8>, CliError> {
    let fault = |what: String| CliError::Failed(format!("{}: {what}", shown(path)));
    let mut bytes = Vec::new();
    let read = match path == "-" {
        true => stdin.take(LARGEST + 1).read_to_end(&mut bytes),
        false => std::fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| fault(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > LARGEST {
        return Err(fault(format!("is larger than {LARGEST} bytes (64 MiB)")));
    }
    Ok(bytes)
}

/// All of a file that is text; `-` is stdin.
pub(super) fn text_of(path: &Path, stdin: &mut dyn Read) -> Result<String, CliError> {
    let not_text = |error| CliError::Failed(format!("{}: is not UTF-8: {error}", shown(path)));
    String::from_utf8(bytes_of(path, stdin)?).map_err(not_text)
}

/// What a file holds.
pub(super) enum Content {
    /// XML, for the service to read.
    Xml(String),
    /// Documents.
    Documents(Vec<Doc>),
}

/// What a file holds; `-` is stdin.
pub(super) fn content(path: &Path, stdin: &mut dyn Read) -> Result<Content, CliError> {
    let fault = |what: String| CliError::Failed(format!("{}: {what}", shown(path)));
    let text = text_of(path, stdin)?;
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    let documents = match syntax_of(extension.as_deref(), text.as_bytes()) {
        Syntax::Xml => return Ok(Content::Xml(text)),
        Syntax::Json => json(&text),
        Syntax::Yaml => yaml(&text),
    };
    Ok(Content::Documents(documents.map_err(fault)?.into_iter().flat_map(unfolded).collect()))
}

/// The documents of a file; `-` is stdin.
pub(super) fn read(path: &Path, stdin: &mut dyn Read) -> Result<Vec<Body>, CliError> {
    let fault = |what: String| CliError::Failed(format!("{}: {what}", shown(path)));
    let documents = match content(path, stdin)? {
        Content::Xml(text) => return Ok(vec![Body::Xml(text.into_bytes())]),
        Content::Documents(documents) => documents,
    };
    if documents.is_empty() {
        return Err(fault("holds no document".to_owned()));
    }
    if let Some(other) = documents.iter().find(|document| !matches!(document, Doc::Map(_))) {
        let shown: String = other.brief().chars().take(40).collect();
        return Err(fault(format!("a document must be a map of fields, not \"{}\"", escaped(&shown))));
    }
    Ok(documents.into_iter().map(Body::Json).collect())
}

fn syntax_of(extension: Option<&str>, bytes: &[u8]) -> Syntax {
    match extension {
        Some("xml") => Syntax::Xml,
        Some("json") => Syntax::Json,
        Some("yaml" | "yml") => Syntax::Yaml,
        _ => match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'<') => Syntax::Xml,
            // JSON proper is told apart for its better messages; YAML's own `{…}` and `[…]` may be no JSON.
            Some(b'{' | b'[') if serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() => Syntax::Json,
            _ => Syntax::Yaml,
        },
    }
}

fn json(text: &str) -> Result<Vec<Doc>, String> {
    serde_json::from_str(text).map(|document| vec![document]).map_err(|error| format!("is not JSON: {error}"))
}

/// YAML 1.2: `no`, `on` and `0644` are text, so that they arrive where text is wanted.
pub(super) fn yaml(text: &str) -> Result<Vec<Doc>, String> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| format!("is not YAML: {}", escaped(error.to_string().trim())))
}

/// The documents in a document: an array's elements, the items of a list as the service gives it, or itself.
fn unfolded(document: Doc) -> Vec<Doc> {
    match document {
        Doc::Null => Vec::new(),
        Doc::List(items) => items,
        Doc::Map(ref fields) => match fields.iter().find(|(name, _)| name == "items") {
            Some((_, Doc::List(items))) => items.clone(),
            _ => vec![document],
        },
        other => vec![other],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_stdin(text: &str) -> Result<Vec<Body>, CliError> {
        read(Path::new("-"), &mut text.as_bytes())
    }

    fn as_json(text: &str) -> Vec<String> {
        let bodies = from_stdin(text).unwrap();
        let json = |body: &Body| match body {
            Body::Json(doc) => serde_json::to_string(doc).unwrap(),
            other => panic!("{other:?}"),
        };
        bodies.iter().map(json).collect()
    }

    #[test]
    fn yaml_holds_one_document_or_many() {
        assert_eq!(
            as_json("# hosts\nname: a\nport: 22\nlabels: {on: no, mode: \"0644\", x: 010}\n---\nname: b\n---\n"),
            [r#"{"name":"a","port":22,"labels":{"on":"no","mode":"0644","x":"010"}}"#, r#"{"name":"b"}"#]
        );
        assert_eq!(as_json("- name: a\n- name: b\n").len(), 2);
        assert_eq!(as_json("{name: a, enabled: false}"), [r#"{"name":"a","enabled":false}"#]);
        assert_eq!(
            as_json("name: a\ncommand: |\n  echo 1\n  echo 2\n"),
            [r#"{"name":"a","command":"echo 1\necho 2\n"}"#]
        );
    }

    #[test]
    fn json_holds_one_document_or_many_or_a_list_as_it_came() {
        assert_eq!(as_json(r#"{"name":"a"}"#), [r#"{"name":"a"}"#]);
        assert_eq!(as_json(r#" [{"name":"a"},{"name":"b"}]"#).len(), 2);
        assert_eq!(as_json(r#"{"items":[{"name":"a"}],"next":null,"total":1}"#), [r#"{"name":"a"}"#]);
    }

    #[test]
    fn xml_is_sent_as_it_is() {
        let text = "\n<host><name>a</name></host>";
        assert_eq!(from_stdin(text).unwrap(), [Body::Xml(text.as_bytes().to_vec())]);
        let file = tempfile::Builder::new().suffix(".XML").tempfile().unwrap();
        std::fs::write(file.path(), "<?xml?>").unwrap();
        assert_eq!(read(file.path(), &mut std::io::empty()).unwrap(), [Body::Xml(b"<?xml?>".to_vec())]);
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for bad in ["", "---\n", "just text", "[1]", "a: b: c", "name: a\nname: b"] {
            let error = from_stdin(bad).unwrap_err().to_string();
            assert!(error.starts_with("standard input: ") && !error.contains('\n'), "{bad:?}: {error}");
        }
        let error = read(Path::new("/no/such/file"), &mut std::io::empty()).unwrap_err();
        assert!(error.to_string().starts_with("/no/such/file: cannot be read"), "{error}");
    }
}
