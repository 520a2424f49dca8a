//! Lines of many hosts, each with its host's name before it: whole lines only, so that those of two hosts never mix.

use super::error::CliError;
use super::live::Told;
use super::output::Output;

/// The longest line that is held back until it is whole, in bytes.
const LONGEST: usize = 64 * 1024;

/// Lines of one host.
pub(super) struct Prefix<'a> {
    host: &'a str,
    out: Vec<u8>,
    err: Vec<u8>,
}

impl<'a> Prefix<'a> {
    pub(super) fn new(host: &'a str) -> Self {
        Self { host, out: Vec::new(), err: Vec::new() }
    }

    /// Writes the lines that are whole now.
    pub(super) fn tell(&mut self, told: Told<'_>, output: &mut Output) -> Result<(), CliError> {
        match told {
            Told::Out(bytes) => {
                let lines = prefixed(self.host, &whole(&mut self.out, bytes));
                output.data(&lines)?;
                output.flush()?;
            }
            Told::Err(bytes) => output.error_data(&prefixed(self.host, &whole(&mut self.err, bytes))),
            Told::Note(note) => output.note(&format!("{}: {note}", self.host)),
        }
        Ok(())
    }

    /// Writes what is left: lines without a newline at their end get one.
    pub(super) fn end(&mut self, output: &mut Output) -> Result<(), CliError> {
        output.data(&prefixed(self.host, &std::mem::take(&mut self.out)))?;
        output.flush()?;
        output.error_data(&prefixed(self.host, &std::mem::take(&mut self.err)));
        Ok(())
    }
}

/// The whole lines of what was held back and what has come; the rest is held back.
fn whole(held: &mut Vec<u8>, bytes: &[u8]) -> Vec<u8> {
    held.extend_from_slice(bytes);
    let end = held.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    let end = if held.len() - end > LONGEST { held.len() } else { end };
    held.drain(..end).collect()
}

/// Each line with the host's name before it, and a newline at the end of the last.
fn prefixed(host: &str, bytes: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(bytes.len() * 2);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        shown.extend_from_slice(format!("{host}: ").as_bytes());
        shown.extend_from_slice(line);
    }
    if !shown.is_empty() && !shown.ends_with(b"\n") {
        shown.push(b'\n');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_prefixed_byte_for_byte() {
        assert_eq!(prefixed("web1", b"a\n\n\xff"), b"web1: a\nweb1: \nweb1: \xff\n");
        assert_eq!(prefixed("web1", b""), b"");
    }

    #[test]
    fn a_line_waits_until_it_is_whole() {
        let mut held = Vec::new();
        assert_eq!(whole(&mut held, b"a\nb"), b"a\n");
        assert_eq!(whole(&mut held, b"c"), b"");
        assert_eq!((whole(&mut held, b"\nd"), &held[..]), (b"bc\n".to_vec(), &b"d"[..]));
    }
}
