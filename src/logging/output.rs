//! The outputs behind the global logger.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use env_logger::{Builder, Logger, Target};
use log::{LevelFilter, Log, Metadata, Record};

use super::config::{Colour, Destination, Format, LoggingConfig, Output};
use super::{LoggingError, format};

/// Hands each record to every output that wants it. The outputs are swapped as one.
pub(super) struct Outputs(RwLock<Arc<Vec<Logger>>>);

impl Outputs {
    pub(super) fn open(config: &LoggingConfig) -> Result<Self, LoggingError> {
        Ok(Self(RwLock::new(Arc::new(open_all(config)?))))
    }

    /// Opens all outputs anew and swaps them in; on an error the old ones stay.
    pub(super) fn reopen(&self, config: &LoggingConfig) -> Result<(), LoggingError> {
        let outputs = Arc::new(open_all(config)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = outputs;
        Ok(())
    }

    /// The most that any output wants.
    pub(super) fn max_level(&self) -> LevelFilter {
        let levels = self.current();
        let levels = levels.iter().map(Logger::filter);
        levels.max().unwrap_or(LevelFilter::Off)
    }

    /// A copy of the pointer: no lock is held while a record is formatted, which may itself log.
    fn current(&self) -> Arc<Vec<Logger>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Log for Outputs {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.current().iter().any(|output| output.enabled(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        for output in self.current().iter() {
            output.log(record);
        }
    }

    fn flush(&self) {
        for output in self.current().iter() {
            output.flush();
        }
    }
}

fn open_all(config: &LoggingConfig) -> Result<Vec<Logger>, LoggingError> {
    let outputs = config.outputs.iter().enumerate();
    outputs.map(|(index, output)| open(config, output, index)).collect()
}

fn open(config: &LoggingConfig, output: &Output, index: usize) -> Result<Logger, LoggingError> {
    let mut builder = Builder::new();
    let (level, modules) = config.levels_of(output);
    builder.filter_level(level);
    for (name, level) in &modules {
        builder.filter_module(name, *level);
    }
    let colour = match &output.to {
        Destination::Stderr { colour } => {
            builder.target(Target::Stderr);
            *colour == Colour::Auto && terminal_wants_colour()
        }
        Destination::File { path } => {
            let file = append_to(path).map_err(|error| LoggingError::Open {
                path: path.to_string_lossy().escape_debug().to_string(),
                index,
                reason: error.to_string(),
            })?;
            let name = path.to_string_lossy().escape_debug().to_string();
            builder.target(Target::Pipe(Box::new(Lines::new(file, name))));
            false
        }
    };
    match output.format {
        Format::Text => {
            builder.format(move |line, record| line.write_all(format::text(record, now(), colour).as_bytes()))
        }
        Format::Json => builder.format(|line, record| line.write_all(format::json(record, now()).as_bytes())),
    };
    Ok(builder.build())
}

/// Log files may name hosts and users: not for everyone.
fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640).open(path)
}

/// See <https://no-color.org>.
fn terminal_wants_colour() -> bool {
    let set = |name| std::env::var_os(name).unwrap_or_default();
    io::stderr().is_terminal() && set("NO_COLOR").is_empty() && set("TERM") != "dumb"
}

#[expect(
    clippy::disallowed_methods,
    reason = "log lines are stamped with the real time, also where a test has paused Alf's"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Writes whole lines. env_logger ignores a failed write, so that it is told here, once, on stderr; and a line that was
/// cut off (a full disk) is ended before the next, which would else hang on to it.
pub(super) struct Lines<W> {
    to: W,
    name: String,
    cut: bool,
    failing: bool,
}

impl<W: Write> Lines<W> {
    pub(super) fn new(to: W, name: String) -> Self {
        Self { to, name, cut: false, failing: false }
    }

    fn write_rest(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.to.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = bytes.get(written..).unwrap_or_default();
                    self.cut = !bytes.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_all(line).map(|()| line.len())
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        let ended = if self.cut { self.write_rest(b"\n") } else { Ok(()) };
        let written = ended.and_then(|()| self.write_rest(line));
        match &written {
            Ok(()) => self.failing = false,
            Err(error) if !self.failing => {
                self.failing = true;
                let name = &self.name;
                let _ =
                    writeln!(io::stderr(), "log file {name} cannot be written: {error}; lines are lost until it can");
            }
            Err(_) => {}
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
