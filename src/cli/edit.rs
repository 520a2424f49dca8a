//! `alf NOUN edit NAME`: one definition in a person's own editor. What is sent is what was changed, on condition that
//! nobody else has changed it meanwhile; what is refused is opened again, with what is wrong on top.

use std::path::Path;
use std::process::Command;

use awc::http::Method;
use tempfile::TempPath;

use super::args::{EditArgs, Format};
use super::client::{Accept, Body};
use super::doc::Doc;
use super::documents;
use super::error::{CliError, Exit};
use super::nouns::path_of;
use super::session::Session;
use super::show;
use super::text::escaped;

use crate::model::Noun;

/// What Alf alone sets: there is nothing to edit about it.
const READ_ONLY: [&str; 6] = ["version", "created_at", "updated_at", "last_used_at", "sha256", "size"];

pub(super) async fn run(noun: Noun, args: &EditArgs, session: &mut Session) -> Result<Exit, CliError> {
    let what = format!("{noun} \"{}\"", args.name);
    let client = session.client().await?;
    let path = path_of(noun, &args.name);
    let answer = client.send(Method::GET, &path, &[], &Body::Empty, Accept::Json).await?;
    let now = editable(answer.doc()?);
    let mut text = show::text(Format::Yaml, &now)? + "\n";
    let mut comments = vec![format!("{what}. Save to change it; leave it as it is, or empty it, to leave it so.")];
    let file = tempfile::Builder::new().prefix(&format!("alf-{noun}-{}-", args.name)).suffix(".yaml").tempfile();
    let file = file.map_err(|error| CliError::Failed(format!("cannot make a file to edit: {error}")))?.into_temp_path();
    let mut refused = false;
    loop {
        let given = edited(&file, &comments, &text, &session.editor)?;
        if given == text {
            if refused {
                return Err(kept(file, &format!("{what} was not changed: {}", comments.join("; "))));
            }
            session.output.note(&format!("{what} unchanged"));
            return Ok(Exit::Ok);
        }
        text = given;
        let patch = match documents::yaml(&text).map(|documents| patch_of_all(&now, documents)) {
            Ok(Ok(Some(patch))) => patch,
            Ok(Ok(None)) => {
                session.output.note(&format!("{what} unchanged"));
                return Ok(Exit::Ok);
            }
            Ok(Err(fault)) | Err(fault) => {
                (comments, refused) = (vec![escaped(&fault)], true);
                continue;
            }
        };
        match client.patch(&path, patch, answer.etag.as_deref()).await {
            Ok(answer) => {
                match session.chosen_format() {
                    Some(format @ (Format::Json | Format::Yaml)) => {
                        show::document(&mut session.output, format, &answer.doc()?)?;
                    }
                    _ => session.output.note(&format!("{what} changed")),
                }
                return Ok(Exit::Ok);
            }
            Err(CliError::Problem(problem)) if matches!(problem.status, 400 | 422) => {
                (comments, refused) = (problem.lines(), true);
            }
            Err(CliError::Problem(problem)) if problem.status == 412 => {
                let words =
                    format!("{what} was changed by somebody else meanwhile, and nothing of that was overwritten");
                return Err(kept(file, &words));
            }
            Err(error) => {
                let told = kept(file, "nothing was changed");
                session.output.note(&format!("note: {told}"));
                return Err(error);
            }
        }
    }
}

/// What a person makes of a text; the comments above it are not part of it.
fn edited(file: &Path, comments: &[String], text: &str, editor: &str) -> Result<String, CliError> {
    let fault = |error: std::io::Error| CliError::Failed(format!("{}: {error}", file.display()));
    let above: String = comments.iter().map(|line| format!("# {line}\n")).collect();
    std::fs::write(file, format!("{above}{text}")).map_err(fault)?;
    // By the shell, as git does it: what the variable holds may have arguments.
    let command = format!("{editor} \"$1\"");
    let ended = Command::new("sh").args(["-c", &command, "sh"]).arg(file).status();
    let ended = ended.map_err(|error| CliError::Failed(format!("cannot start the editor \"{editor}\": {error}")))?;
    if !ended.success() {
        return Err(CliError::Failed(format!("the editor \"{editor}\" failed ({ended}); nothing was changed")));
    }
    let given = std::fs::read_to_string(file).map_err(fault)?;
    Ok(given.split_inclusive('\n').skip_while(|line| line.starts_with('#')).collect())
}

/// That something was not done, and where the person's text still is.
fn kept(file: TempPath, words: &str) -> CliError {
    match file.keep() {
        Ok(path) => CliError::Failed(format!("{words}; your text is in {}", path.display())),
        Err(_) => CliError::Failed(words.to_owned()),
    }
}

/// A document as it is shown, without what cannot be edited and what is not set.
fn editable(doc: Doc) -> Doc {
    let Doc::Map(fields) = doc else { return doc };
    let fields = fields.into_iter().filter(|(name, value)| !READ_ONLY.contains(&name.as_str()) && *value != Doc::Null);
    let fields = fields.map(|(name, value)| match value {
        Doc::Map(inner) if name == "host_key" => {
            let inner = inner.into_iter().filter(|(name, _)| name != "learned").collect();
            (name, Doc::Map(inner))
        }
        other => (name, other),
    });
    Doc::Map(fields.collect())
}

/// What turns a document into the one that was written in its place; none where they are the same or nothing is left.
fn patch_of_all(now: &Doc, mut given: Vec<Doc>) -> Result<Option<Doc>, String> {
    given.retain(|document| *document != Doc::Null);
    match given.as_slice() {
        [] => Ok(None),
        [Doc::Map(fields)] => Ok(patch_of(now, fields)),
        [_] => Err("must be a map of fields".to_owned()),
        more => Err(format!("holds {} documents; one is edited here", more.len())),
    }
}

/// The merge patch (RFC 7396) from one to the other; none where they are the same.
fn patch_of(old: &Doc, new: &[(String, Doc)]) -> Option<Doc> {
    let Doc::Map(old) = old else { return Some(Doc::Map(new.to_vec())) };
    let mut patch = Vec::new();
    for (name, value) in new {
        match old.iter().find(|(other, _)| other == name).map(|(_, was)| was) {
            Some(was) if was == value => {}
            Some(was @ Doc::Map(_)) => match value {
                Doc::Map(fields) => patch.extend(patch_of(was, fields).map(|value| (name.clone(), value))),
                other => patch.push((name.clone(), other.clone())),
            },
            _ => patch.push((name.clone(), value.clone())),
        }
    }
    let gone = old.iter().filter(|(name, _)| new.iter().all(|(other, _)| other != name));
    patch.extend(gone.map(|(name, _)| (name.clone(), Doc::Null)));
    if patch.is_empty() { None } else { Some(Doc::Map(patch)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_what_was_changed() {
        let doc = |json: &str| serde_json::from_str::<Doc>(json).unwrap();
        let now = doc(r#"{"name":"a","port":22,"labels":{"role":"web","env":"prod"},"user":"u","keys":["x"]}"#);
        let patch = |given: &str| {
            let patch = patch_of_all(&now, documents::yaml(given).unwrap()).unwrap();
            patch.map(|patch| serde_json::to_string(&patch).unwrap())
        };
        let same = "{keys: [x], user: u, name: a, labels: {env: prod, role: web}, port: 22}";
        assert_eq!(patch(same), None);
        assert_eq!(patch("# all of it gone\n"), None);
        let other = "{name: a, port: 23, labels: {role: db}, keys: [x, y], jump: gate}";
        let expected = r#"{"port":23,"labels":{"role":"db","env":null},"keys":["x","y"],"jump":"gate","user":null}"#;
        assert_eq!(patch(other).as_deref(), Some(expected));
        assert!(patch_of_all(&now, documents::yaml("a: 1\n---\nb: 1\n").unwrap()).is_err());
        assert!(patch_of_all(&now, documents::yaml("- a\n").unwrap()).is_err());
    }

    #[test]
    fn what_alf_alone_sets_is_not_shown() {
        let shown =
            r#"{"name":"a","user":null,"host_key":{"policy":"strict","learned":["k"]},"version":3,"updated_at":"x"}"#;
        let edited = editable(serde_json::from_str(shown).unwrap());
        assert_eq!(serde_json::to_string(&edited).unwrap(), r#"{"name":"a","host_key":{"policy":"strict"}}"#);
    }
}
