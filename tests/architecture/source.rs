//! Rust source as the architecture test reads it: without comments, texts and tests, as paths with their lines.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One source file, what is no code of the product replaced by blanks (lines and columns stay).
pub(crate) struct Source {
    path: PathBuf,
    code: String,
}

/// A path such as `crate::store::Store`, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsedPath {
    pub(crate) line: usize,
    /// Its parts; each leaf of a grouped `use` is a path of its own.
    pub(crate) segments: Vec<String>,
}

impl Source {
    pub(crate) fn new(path: PathBuf, text: &str) -> Self {
        Self { path, code: without_tests(&without_comments_and_texts(text)) }
    }

    /// All files but those that are only compiled for tests.
    pub(crate) fn load_all(root: &Path, files: &[PathBuf]) -> Vec<Self> {
        let texts: Vec<(PathBuf, String)> =
            files.iter().map(|path| (path.clone(), fs::read_to_string(root.join(path)).unwrap_or_default())).collect();
        let test_only: BTreeSet<PathBuf> = texts
            .iter()
            .flat_map(|(path, text)| test_modules(text).into_iter().map(|name| folder_of(path).join(name)))
            .collect();
        let is_test =
            |path: &Path| test_only.iter().any(|module| path.with_extension("") == *module || path.starts_with(module));
        texts.into_iter().filter(|(path, _)| !is_test(path)).map(|(path, text)| Self::new(path, &text)).collect()
    }

    /// The room it is in: the folder below `src`, or the file itself.
    pub(crate) fn room(&self) -> &str {
        let first = self.path.iter().nth(1).and_then(|part| part.to_str()).unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// A place in it, for messages.
    pub(crate) fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    pub(crate) fn paths(&self) -> Vec<UsedPath> {
        paths_of(&self.code)
    }

    /// The lines (from 1) for which this holds.
    pub(crate) fn lines_with(&self, holds: impl Fn(&str) -> bool) -> Vec<usize> {
        self.code.lines().enumerate().filter(|(_, line)| holds(line)).map(|(index, _)| index + 1).collect()
    }

    /// The lines with an unwrap or expect that gives no reason; a whole file may give one too.
    pub(crate) fn panics(&self) -> Vec<usize> {
        const CALLS: [&str; 3] = [".unwrap()", ".unwrap_err()", ".expect_err("];
        let whole =
            self.code.lines().any(|line| line.starts_with("#![expect(")) && self.code.contains("clippy::unwrap_used");
        let code = if whole { String::new() } else { without_reasoned_panics(&self.code) };
        // Texts are blanked: `.expect(` with nothing in it had one, while a method of that name takes something else.
        let expects = |line: &str| line.split(".expect(").skip(1).any(|rest| rest.trim_start().starts_with(')'));
        let lines =
            code.lines().enumerate().filter(|(_, line)| CALLS.iter().any(|call| line.contains(call)) || expects(line));
        lines.map(|(index, _)| index + 1).collect()
    }

    /// Whether it holds this word outside comments, texts and tests.
    pub(crate) fn has_word(&self, word: &str) -> bool {
        tokens(&self.code).any(|(_, token)| token == word)
    }

    /// Whether it is the module of this name, or in it.
    pub(crate) fn is_module(&self, name: &str) -> bool {
        self.path.with_extension("").iter().any(|part| part == name)
    }

    /// The macros that it puts at the crate's root for other rooms.
    pub(crate) fn exported_macros(&self) -> Vec<String> {
        let tokens: Vec<&str> = tokens(&self.code).map(|(_, token)| token).collect();
        let is_macro = |at: &usize| tokens[*at] == "macro_rules" && tokens.get(at + 1) == Some(&"!");
        let is_shared = |at: &usize| tokens[at.saturating_sub(4)..*at].contains(&"macro_export");
        let names = (0..tokens.len()).filter(is_macro).filter(is_shared).filter_map(|at| tokens.get(at + 2));
        names.map(|name| (*name).to_owned()).collect()
    }

    /// A path's parts from the crate's root; none for a path of another crate or of the file itself.
    pub(crate) fn inside_the_crate(&self, segments: &[String]) -> Option<Vec<String>> {
        let ups = segments.iter().take_while(|segment| *segment == "super").count();
        match segments.first().map(String::as_str) {
            Some("crate") => Some(segments[1..].to_vec()),
            Some("super") => {
                let mut module: Vec<String> = self
                    .path
                    .with_extension("")
                    .iter()
                    .skip(1)
                    .map(|part| part.to_string_lossy().into_owned())
                    .collect();
                if module.last().is_some_and(|last| last == "mod") {
                    module.pop();
                }
                module.truncate(module.len().saturating_sub(ups));
                module.extend_from_slice(&segments[ups..]);
                Some(module)
            }
            _ => None,
        }
    }
}

/// Where the files of a file's modules are.
fn folder_of(path: &Path) -> PathBuf {
    let is_root = path.file_stem().is_some_and(|stem| ["mod", "lib", "main"].iter().any(|root| stem == *root));
    if is_root { path.parent().unwrap_or(Path::new("")).to_owned() } else { path.with_extension("") }
}

/// The modules in files of their own that are declared after `#[cfg(test)]`.
fn test_modules(text: &str) -> Vec<String> {
    let code = without_comments_and_texts(text);
    let mut names = Vec::new();
    for (start, mark) in code.match_indices(TEST) {
        let item: Vec<&str> = tokens(&code[start + mark.len()..]).map(|(_, token)| token).take(8).collect();
        if let Some(at) = item.iter().position(|token| *token == "mod")
            && item.get(at + 2) == Some(&";")
        {
            names.push(item[at + 1].to_owned());
        }
    }
    names
}

const TEST: &str = "#[cfg(test)]";

/// The same text with every item after `#[cfg(test)]` blanked.
fn without_tests(code: &str) -> String {
    without_items(code, |attribute| attribute == TEST)
}

/// The same text with every item blanked that says, with its reason, that it may panic: clippy holds it to that.
fn without_reasoned_panics(code: &str) -> String {
    let lints = ["clippy::unwrap_used", "clippy::expect_used"];
    without_items(code, |attribute| {
        attribute.starts_with("#[expect(") && lints.iter().any(|lint| attribute.contains(lint))
    })
}

/// The same text with every item blanked that has such an attribute.
fn without_items(code: &str, matches: impl Fn(&str) -> bool) -> String {
    let mut code = code.to_owned();
    let mut from = 0;
    while let Some(start) = code[from..].find("#[").map(|at| from + at) {
        let attribute = code[start..].find(']').map_or("", |end| &code[start..=start + end]);
        if !matches(attribute) {
            from = start + 2;
            continue;
        }
        let mut depth = 0_usize;
        let end = code[start..].char_indices().find_map(|(at, c)| {
            match c {
                '{' | '(' | '[' => depth += 1,
                '}' | ')' | ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            (depth == 0 && (c == ';' || c == '}')).then_some(start + at + 1)
        });
        let end = end.unwrap_or(code.len());
        let blank = blanked(&code[start..end]);
        from = start + blank.len();
        code.replace_range(start..end, &blank);
    }
    code
}

fn blanked(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect()
}

/// The same text with comments and the insides of texts and characters blanked.
fn without_comments_and_texts(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let before_is_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if c == '"' {
            quoted(rest, '"')
        } else if !before_is_word && let Some(length) = raw_text(rest) {
            length
        } else if c == '\'' && is_character(rest) {
            quoted(rest, '\'')
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        code.push_str(&blanked(&rest[..length]));
        rest = &rest[length..];
    }
    code
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let here = &text[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// The length of a text or character with its quotes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a raw text such as `r#"…"#`, if there is one here.
fn raw_text(text: &str) -> Option<usize> {
    let inner = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = inner.len() - inner.trim_start_matches('#').len();
    let open = text.len() - inner.len() + hashes;
    let close = format!("\"{}", "#".repeat(hashes));
    text[open..].starts_with('"').then_some(())?;
    let end = text[open + 1..].find(&close)?;
    Some(open + 1 + end + close.len())
}

/// Whether an apostrophe begins a character rather than a lifetime.
fn is_character(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    let (first, second) = (chars.next(), chars.next());
    first == Some('\\') || second == Some('\'')
}

/// Words, `::`, and single other characters, each with its line.
fn tokens(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut line = 1;
    let mut rest = code;
    std::iter::from_fn(move || {
        loop {
            let c = rest.chars().next()?;
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let length = match c {
                _ if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                ':' if rest.starts_with("::") => 2,
                _ => c.len_utf8(),
            };
            let token = &rest[..length];
            rest = &rest[length..];
            if c == '\n' {
                line += 1;
            } else if !c.is_whitespace() {
                return Some((line, token));
            }
        }
    })
}

/// Every path of the code with at least one `::`, the leaves of grouped imports each for itself.
pub(crate) fn paths_of(code: &str) -> Vec<UsedPath> {
    let tokens: Vec<(usize, &str)> = tokens(code).collect();
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let begins = is_name(tokens[at].1) && tokens.get(at + 1).is_some_and(|(_, next)| *next == "::");
        if begins && (at == 0 || tokens[at - 1].1 != "::") {
            at = tree(&tokens, at, &[], &mut paths);
        } else {
            at += 1;
        }
    }
    paths
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Reads a path or an import tree that begins here; answers where it ends.
fn tree(tokens: &[(usize, &str)], mut at: usize, prefix: &[String], paths: &mut Vec<UsedPath>) -> usize {
    let mut segments = prefix.to_vec();
    let line = tokens[at].0;
    while let Some((_, token)) = tokens.get(at) {
        match *token {
            "{" => return group(tokens, at + 1, &segments, paths),
            "*" => segments.push("*".to_owned()),
            // In a group it stands for the group's own path.
            "self" if !prefix.is_empty() => {}
            name if is_name(name) => segments.push(name.to_owned()),
            _ => break,
        }
        at += 1;
        if tokens.get(at).is_none_or(|(_, token)| *token != "::") {
            break;
        }
        at += 1;
    }
    paths.push(UsedPath { line, segments });
    at
}

fn group(tokens: &[(usize, &str)], mut at: usize, prefix: &[String], paths: &mut Vec<UsedPath>) -> usize {
    while let Some((_, token)) = tokens.get(at) {
        match *token {
            "}" => return at + 1,
            "as" => at += 2,
            name if is_name(name) || name == "*" => at = tree(tokens, at, prefix, paths).max(at + 1),
            _ => at += 1,
        }
    }
    at
}
