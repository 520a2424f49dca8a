//! Where a command writes: data to stdout, everything else to stderr.

use std::io::{self, ErrorKind, Write};

/// Standard output and standard error of a command.
pub(super) struct Output {
    stdout: Box<dyn Write>,
    stderr: Box<dyn Write>,
    colour: bool,
    closed: bool,
}

impl Output {
    /// `colour` tells whether tables on stdout may be coloured.
    pub(super) fn new(stdout: Box<dyn Write>, stderr: Box<dyn Write>, colour: bool) -> Self {
        Self { stdout, stderr, colour, closed: false }
    }

    /// Whether tables may be coloured.
    pub(super) fn colour(&self) -> bool {
        self.colour
    }

    /// Whether nobody reads stdout any more: `alf results -f | head` ends then.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Writes bytes to stdout as they are. That nobody reads them any more is no error.
    pub(super) fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = if self.closed { Ok(()) } else { self.stdout.write_all(bytes) };
        self.settle(written)
    }

    /// Writes a line to stdout.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        self.data(text.as_bytes())?;
        self.data(b"\n")
    }

    /// Writes bytes to stderr as they are; what cannot be written there cannot be told anywhere.
    pub(super) fn error_data(&mut self, bytes: &[u8]) {
        let _ = self.stderr.write_all(bytes);
        let _ = self.stderr.flush();
    }

    /// Writes a line to stderr.
    pub(super) fn note(&mut self, text: &str) {
        self.error_data(format!("{text}\n").as_bytes());
    }

    /// Hands everything on.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let flushed = if self.closed { Ok(()) } else { self.stdout.flush() };
        self.settle(flushed)
    }

    fn settle(&mut self, written: io::Result<()>) -> io::Result<()> {
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(ErrorKind);
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_broken_pipe_is_no_error_but_a_full_disk_is() {
        let mut output = Output::new(Box::new(Broken(ErrorKind::BrokenPipe)), Box::new(io::sink()), false);
        assert!(output.line("x").is_ok() && output.flush().is_ok() && output.is_closed());
        let mut output = Output::new(Box::new(Broken(ErrorKind::StorageFull)), Box::new(io::sink()), false);
        assert!(output.line("x").is_err() && !output.is_closed());
    }
}
