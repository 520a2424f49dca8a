//! What is to be, from many files: one document of all nouns, and where each part of it came from.

use std::path::{Path, PathBuf};

use super::client::Body;
use super::doc::Doc;
use super::documents::{self, Content, shown};
use super::error::CliError;
use super::session::Session;
use super::text::escaped;
use super::xml_bundle;

use crate::model::Noun;

/// The files that are read of a directory.
const ENDINGS: [&str; 4] = ["yaml", "yml", "json", "xml"];
/// How deep directories are gone into: nobody nests them so deep, but links may lead round.
const DEEPEST: usize = 32;

/// One document of all nouns.
pub(super) struct Bundle {
    /// As it is sent.
    pub(super) body: Body,
    /// Of each definition where it came from, in the order of its list.
    origins: Vec<(Noun, Vec<String>)>,
}

impl Bundle {
    /// Where a JSON pointer into the document leads: `hosts.yaml, web1: /port`.
    pub(super) fn place(&self, pointer: &str) -> Option<String> {
        let mut parts = pointer.strip_prefix('/')?.splitn(3, '/');
        let (noun, index, rest) = (Noun::parse(parts.next()?)?, parts.next()?.parse::<usize>().ok()?, parts.next());
        let (_, origins) = self.origins.iter().find(|(other, _)| *other == noun)?;
        let origin = origins.get(index)?;
        Some(rest.map_or_else(|| origin.clone(), |rest| format!("{origin}: /{rest}")))
    }
}

/// Puts the documents of all these files together.
pub(super) fn read(paths: &[PathBuf], session: &mut Session) -> Result<Bundle, CliError> {
    let mut parts: Parts<Doc> = Parts::default();
    let mut xml: Parts<String> = Parts::default();
    let mut xml_file = None;
    let mut other_file = None;
    for path in files(paths)? {
        let name = shown(&path);
        let fault = |what: String| CliError::Failed(format!("{name}: {what}"));
        match documents::content(&path, &mut session.stdin)? {
            Content::Xml(text) => {
                for (noun, items) in xml_bundle::parts(&text).map_err(&fault)? {
                    let origins = (1..=items.len()).map(|n| format!("{name}, {noun} {n}")).collect();
                    xml.add(noun, items, origins);
                }
                xml_file = Some(name);
            }
            Content::Documents(documents) => {
                for document in documents {
                    add(document, &path, &mut parts).map_err(&fault)?;
                }
                other_file = Some(name);
            }
        }
    }
    match (xml_file, other_file) {
        (Some(xml), Some(other)) => Err(CliError::Usage(format!(
            "{xml} is XML and {other} is not: what is applied is one document, of one format"
        ))),
        (Some(_), None) => Ok(Bundle { body: Body::Xml(xml_bundle::written(&xml.0)), origins: xml.1 }),
        _ => {
            let lists = parts.0.into_iter().map(|(noun, items)| (noun.plural(), Some(Doc::List(items))));
            Ok(Bundle { body: Body::Json(Doc::map(lists)), origins: parts.1 })
        }
    }
}

/// Definitions by noun, and where they came from.
struct Parts<T>(Vec<(Noun, Vec<T>)>, Vec<(Noun, Vec<String>)>);

impl<T> Default for Parts<T> {
    fn default() -> Self {
        Self(Vec::new(), Vec::new())
    }
}

impl<T> Parts<T> {
    fn add(&mut self, noun: Noun, items: Vec<T>, origins: Vec<String>) {
        fn of<T>(all: &mut Vec<(Noun, Vec<T>)>, noun: Noun, more: Vec<T>) {
            match all.iter_mut().find(|(other, _)| *other == noun) {
                Some((_, items)) => items.extend(more),
                None => all.push((noun, more)),
            }
        }
        of(&mut self.0, noun, items);
        of(&mut self.1, noun, origins);
    }
}

/// Adds a document: lists of many nouns, or one definition of the noun that the file is named for.
fn add(document: Doc, path: &Path, parts: &mut Parts<Doc>) -> Result<(), String> {
    let Doc::Map(fields) = document else {
        return Err("a document must be a map of fields".to_owned());
    };
    let noun_of = |field: &str| Noun::ALL.into_iter().find(|noun| noun.plural() == field);
    let file = shown(path);
    let origin = |noun: Noun, doc: &Doc, n: usize| match doc.text("name") {
        Some(name) => format!("{file}, {noun} \"{}\"", escaped(name)),
        None => format!("{file}, {noun} {}", n + 1),
    };
    let known = fields.iter().filter(|(field, _)| noun_of(field).is_some()).count();
    if known == fields.len() {
        for (field, value) in fields {
            let Some(noun) = noun_of(&field) else { continue };
            let items = match value {
                Doc::Null => continue,
                Doc::List(items) => items,
                _ => return Err(format!("{field} must be a list")),
            };
            let origins = items.iter().enumerate().map(|(n, item)| origin(noun, item, n)).collect();
            parts.add(noun, items, origins);
        }
        return Ok(());
    }
    let Some(noun) = noun_of_file(path) else {
        let nouns: Vec<&str> = Noun::ALL.into_iter().map(Noun::plural).collect();
        let other = fields.iter().find(|(field, _)| noun_of(field).is_none()).map_or("", |(field, _)| field);
        return Err(format!(
            "\"{}\" is no noun; a document holds lists of them ({}), unless its file is named for one, as hosts.yaml is",
            escaped(other),
            nouns.join(", ")
        ));
    };
    let document = Doc::Map(fields);
    let n = parts.0.iter().find(|(other, _)| *other == noun).map_or(0, |(_, items)| items.len());
    let origin = origin(noun, &document, n);
    parts.add(noun, vec![document], vec![origin]);
    Ok(())
}

/// `hosts.yaml`, `hosts.prod.yaml` and `hosts/web1.yaml` are of hosts.
fn noun_of_file(path: &Path) -> Option<Noun> {
    let first = path.file_name()?.to_str()?.split('.').next()?;
    Noun::parse(first).or_else(|| Noun::parse(path.parent()?.file_name()?.to_str()?))
}

/// The files behind these paths: those of directories and all below them in the order of their names.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut all = Vec::new();
    for path in paths {
        if path == "-" || !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let before = all.len();
        below(path, 0, &mut all)?;
        if all.len() == before {
            let endings = ENDINGS.join(", ");
            return Err(CliError::Failed(format!("{}: holds no file that ends in {endings}", shown(path))));
        }
    }
    Ok(all)
}

fn below(directory: &Path, depth: usize, all: &mut Vec<PathBuf>) -> Result<(), CliError> {
    let fault = |what: String| CliError::Failed(format!("{}: {what}", shown(directory)));
    if depth > DEEPEST {
        return Err(fault(format!("lies more than {DEEPEST} directories deep")));
    }
    let unread = |error: std::io::Error| fault(format!("cannot be read: {error}"));
    let entries = std::fs::read_dir(directory).map_err(unread)?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(unread)?;
    paths.sort();
    for path in paths {
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        if hidden {
            continue;
        } else if path.is_dir() {
            below(&path, depth + 1, all)?;
        } else if ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) {
            all.push(path);
        }
    }
    Ok(())
}
