//! Keeps what a login shell says before the command starts out of the command's output.

/// Bytes a login shell may say before its readiness is given up on.
const MOST_NOISE: usize = 64 * 1024;

/// One stream of a session, shut until the ready line has come by.
#[derive(Debug)]
pub(super) struct Gate {
    token: Vec<u8>,
    noise: Vec<u8>,
    open: bool,
}

/// What a piece of a stream means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passed<'a> {
    /// Nothing of it is the command's.
    Nothing,
    /// The command has started, as this process; what follows is its first output.
    Ready(Option<u32>, Vec<u8>),
    /// The command cannot be started; the word says why.
    Refused(String),
    /// All of it is the command's.
    All(&'a [u8]),
}

impl Gate {
    /// A gate that opens with a line `TOKEN PID`; a line `TOKEN !WORD` says that it never will.
    pub(super) fn shut(token: &str) -> Self {
        Self { token: token.as_bytes().to_vec(), noise: Vec::new(), open: false }
    }

    /// A gate that is open from the start.
    pub(super) fn opened() -> Self {
        Self { token: Vec::new(), noise: Vec::new(), open: true }
    }

    /// Takes a piece of the stream.
    pub(super) fn pass<'a>(&mut self, data: &'a [u8]) -> Passed<'a> {
        if self.open {
            return Passed::All(data);
        }
        let from = self.noise.len().saturating_sub(self.token.len() + 16);
        self.noise.extend_from_slice(data);
        let Some(found) = find(&self.noise[from..], &self.token) else { return Passed::Nothing };
        let said = from + found + self.token.len();
        let Some(end) = find(&self.noise[said..], b"\n") else { return Passed::Nothing };
        let line = String::from_utf8_lossy(&self.noise[said..said + end]).trim().to_owned();
        if let Some(word) = line.strip_prefix('!') {
            self.noise.truncate(from + found);
            return Passed::Refused(word.to_owned());
        }
        let pid = line.parse().ok();
        let rest = self.noise.split_off(said + end + 1);
        self.noise.truncate(from + found);
        self.open = true;
        Passed::Ready(pid, rest)
    }

    /// Whether the command's output has begun.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether so much was said without a ready line that none is to be expected.
    pub(super) fn overrun(&self) -> bool {
        !self.open && self.noise.len() > MOST_NOISE
    }

    /// What was said before the ready line.
    pub(super) fn noise(&self) -> &[u8] {
        &self.noise
    }
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_s_output_begins_behind_the_ready_line() {
        let stream = b"welcome\nabc123 42\nfirst\n";
        for size in 1..stream.len() {
            let mut gate = Gate::shut("abc123");
            let (mut kept, mut pid) = (Vec::new(), None);
            for piece in stream.chunks(size) {
                match gate.pass(piece) {
                    Passed::Nothing => {}
                    Passed::Refused(word) => panic!("{word}"),
                    Passed::Ready(found, rest) => {
                        pid = found;
                        kept.extend(rest);
                    }
                    Passed::All(data) => kept.extend_from_slice(data),
                }
            }
            assert_eq!(kept, b"first\n", "in pieces of {size}");
            assert_eq!(pid, Some(42));
            assert_eq!(gate.noise(), b"welcome\n");
        }
    }

    #[test]
    fn a_header_that_cannot_go_on_says_why() {
        let mut gate = Gate::shut("abc123");
        assert_eq!(gate.pass(b"welcome\nabc123 !c"), Passed::Nothing);
        assert_eq!(gate.pass(b"wd\n"), Passed::Refused("cwd".to_owned()));
        assert_eq!((gate.is_open(), gate.noise()), (false, &b"welcome\n"[..]));
    }

    #[test]
    fn noise_without_end_is_noticed() {
        let mut gate = Gate::shut("abc123");
        assert_eq!(gate.pass(&[b'x'; 60_000]), Passed::Nothing);
        assert!(!gate.overrun());
        assert_eq!(gate.pass(&[b'x'; 60_000]), Passed::Nothing);
        assert!(gate.overrun());
    }

    #[test]
    fn an_open_gate_changes_nothing() {
        assert_eq!(Gate::opened().pass(b"abc"), Passed::All(b"abc"));
    }
}
