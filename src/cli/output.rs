//! Where a command writes: data to stdout, everything else to stderr.

use std::io::{self, ErrorKind, Write};

use super::progress::Progress;

/// Standard output and standard error of a command.
pub(super) struct Output {
    stdout: Box<dyn Write>,
    stderr: Box<dyn Write>,
    colour: bool,
    closed: bool,
    /// A line that stays below what is written.
    progress: Option<Progress>,
    /// What is collected instead of being written.
    frame: Option<Vec<u8>>,
}

impl Output {
    /// `colour` tells whether tables on stdout may be coloured.
    pub(super) fn new(stdout: Box<dyn Write>, stderr: Box<dyn Write>, colour: bool) -> Self {
        Self { stdout, stderr, colour, closed: false, progress: None, frame: None }
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
        if let Some(frame) = &mut self.frame {
            frame.extend_from_slice(bytes);
            return Ok(());
        }
        let stdout = &mut self.stdout;
        let written = match &self.progress {
            _ if self.closed => Ok(()),
            // What is held back would be written over the line later.
            Some(progress) => progress.without(|| stdout.write_all(bytes).and_then(|()| stdout.flush())),
            None => stdout.write_all(bytes),
        };
        self.settle(written)
    }

    /// Writes a line to stdout.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        self.data(text.as_bytes())?;
        self.data(b"\n")
    }

    /// Writes bytes to stderr as they are; what cannot be written there cannot be told anywhere.
    pub(super) fn error_data(&mut self, bytes: &[u8]) {
        if let Some(frame) = &mut self.frame {
            return frame.extend_from_slice(bytes);
        }
        let stderr = &mut self.stderr;
        let _ = match &self.progress {
            Some(progress) => progress.without(|| stderr.write_all(bytes).and_then(|()| stderr.flush())),
            None => stderr.write_all(bytes).and_then(|()| stderr.flush()),
        };
    }

    /// Writes a line to stderr.
    pub(super) fn note(&mut self, text: &str) {
        self.error_data(format!("{text}\n").as_bytes());
    }

    /// From now on a line stays below what is written.
    pub(super) fn begin_progress(&mut self, progress: Progress) {
        self.progress = Some(progress);
    }

    /// Changes that line, if there is one.
    pub(super) fn progress(&mut self, change: impl FnOnce(&mut Progress)) {
        self.progress.as_mut().map(change);
    }

    /// Takes that line away.
    pub(super) fn end_progress(&mut self) {
        self.progress = None;
    }

    /// From now on all that is written, to stdout and stderr, is collected.
    pub(super) fn begin_frame(&mut self) {
        self.frame = Some(Vec::new());
    }

    /// What was collected; from now on all is written again.
    pub(super) fn end_frame(&mut self) -> Vec<u8> {
        self.frame.take().unwrap_or_default()
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
