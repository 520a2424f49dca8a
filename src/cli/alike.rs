//! Results that are alike, shown once under the names of all their hosts.

use super::columns::field;
use super::doc::Doc;
use super::error::CliError;
use super::output::Output;
use super::result::{extent, output_of};
use super::run::{outcome, verdict};

/// Hosts whose runs ended the same way and wrote the same.
#[derive(Debug)]
pub(super) struct Alike {
    hosts: Vec<String>,
    /// How they ended.
    end: String,
    streams: [Stream; 2],
}

#[derive(Debug, PartialEq)]
struct Stream {
    bytes: Vec<u8>,
    /// What is to be said of one that was not kept whole.
    note: Option<String>,
}

/// Puts those together that are alike: the most hosts first, so that who differs stands at the end.
pub(super) fn alike(results: &[Doc]) -> Result<Vec<Alike>, CliError> {
    let mut groups: Vec<(&Doc, Alike)> = Vec::new();
    for result in results {
        let streams = [stream(result, "stdout")?, stream(result, "stderr")?];
        let host = field(result, "host");
        let same = |(one, group): &&mut (&Doc, Alike)| how(one) == how(result) && group.streams == streams;
        match groups.iter_mut().find(same) {
            Some((_, group)) => {
                group.hosts.push(host);
                // What is told of one host alone, such as its address, is not true of all.
                if group.end != end(result, &streams) {
                    group.end = outcome(result);
                }
            }
            None => {
                groups.push((result, Alike { hosts: vec![host], end: end(result, &streams), streams }));
            }
        }
    }
    let mut groups: Vec<Alike> = groups.into_iter().map(|(_, group)| group).collect();
    groups.iter_mut().for_each(|group| group.hosts.sort());
    groups.sort_by(|one, other| other.hosts.len().cmp(&one.hosts.len()).then_with(|| one.hosts.cmp(&other.hosts)));
    Ok(groups)
}

/// How a run ended, but for the words that it is told in.
fn how(result: &Doc) -> [String; 5] {
    ["outcome", "state", "reason", "exit_code", "signal"].map(|name| field(result, name))
}

/// The same for people. Words are needed where there is no output; else they are the first line of that.
fn end(result: &Doc, streams: &[Stream; 2]) -> String {
    if streams.iter().all(|stream| stream.bytes.is_empty()) {
        return verdict(result);
    }
    match result.integer("exit_code") {
        Some(0) | None => outcome(result),
        Some(code) => format!("{}, exit code {code}", outcome(result)),
    }
}

fn stream(result: &Doc, name: &str) -> Result<Stream, CliError> {
    let bytes = output_of(result, name)?;
    let truncated = result.is(&format!("{name}_truncated"));
    let note = truncated.then(|| format!("note: of {name} these are {}", extent(result, name, bytes.len())));
    Ok(Stream { bytes, note })
}

impl Alike {
    /// Writes it, each stream where it belongs.
    pub(super) fn show(&self, output: &mut Output) -> Result<(), CliError> {
        let count = match self.hosts.len() {
            1 => String::new(),
            many => format!(" ({many} hosts)"),
        };
        output.line(&format!("--- {}{count}: {} ---", self.hosts.join(", "), self.end))?;
        let [out, err] = &self.streams;
        output.data(&whole_lines(&out.bytes))?;
        output.flush()?;
        output.error_data(&whole_lines(&err.bytes));
        self.streams.iter().filter_map(|stream| stream.note.as_deref()).for_each(|note| output.note(note));
        Ok(())
    }
}

/// With a newline at its end, so that what comes next begins a line.
fn whole_lines(bytes: &[u8]) -> Vec<u8> {
    let mut lines = bytes.to_vec();
    if !lines.is_empty() && !lines.ends_with(b"\n") {
        lines.push(b'\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{Captured, captured};

    fn result(host: &str, outcome: &str, code: u8, out: &str, more: &str) -> Doc {
        let text = format!(
            r#"{{"host":"{host}","outcome":"{outcome}","exit_code":{code},"message":"exit code {code}","stdout":"{out}"{more}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn shown(results: &[Doc]) -> (String, String) {
        let (out, err) = (Captured::default(), Captured::default());
        let mut output = Output::new(captured(&out), captured(&err), false);
        alike(results).unwrap().iter().for_each(|group| group.show(&mut output).unwrap());
        (out.text(), err.text())
    }

    #[test]
    fn what_is_the_same_is_shown_once_and_what_differs_at_the_end() {
        let (out, err) = shown(&[
            result("c", "PROBLEM", 2, "x", r#","stderr":"no\n""#),
            result("b", "OK", 0, "x\\n", ""),
            result("d", "OK", 0, "x", ""),
            result("a", "OK", 0, "x\\n", ""),
        ]);
        assert_eq!(
            out,
            "--- a, b (2 hosts): OK ---\nx\n\
             --- c: PROBLEM, exit code 2 ---\nx\n\
             --- d: OK ---\nx\n",
            "another byte is another output, another exit code another end"
        );
        assert_eq!(err, "no\n");
    }

    #[test]
    fn hosts_that_cannot_be_reached_are_alike_though_each_has_words_of_its_own() {
        let away = |host: &str| -> Doc {
            let text = r#"{"host":"HOST","outcome":"PROBLEM","reason":"unreachable","message":"HOST: refused"}"#;
            serde_json::from_str(&text.replace("HOST", host)).unwrap()
        };
        let (out, _) = shown(&[away("a"), away("b")]);
        assert_eq!(out, "--- a, b (2 hosts): PROBLEM (unreachable) ---\n");
    }

    #[test]
    fn output_that_was_cut_says_so_and_is_like_no_other_length() {
        let cut = |host: &str, bytes: u32| {
            result(host, "OK", 0, "ab", &format!(r#","stdout_bytes":{bytes},"stdout_truncated":true"#))
        };
        let (out, err) = shown(&[cut("a", 9), cut("b", 9), cut("c", 10)]);
        assert!(out.starts_with("--- a, b (2 hosts)") && out.contains("--- c: "), "{out}");
        assert!(err.contains("of 9 bytes") && err.contains("of 10 bytes"), "{err}");
    }
}
