//! What a command has at hand: the world around the process, given from outside so that tests can choose it.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, FixedOffset, Local, Offset as _, TimeZone as _, Utc};

use super::args::{Format, Options};
use super::client::Client;
use super::connect::{Sources, connect};
use super::error::CliError;
use super::output::Output;
use super::text::Times;

/// More than anybody answers to a question, in bytes.
const LONGEST_LINE: usize = 1000;

/// The world around the process.
pub struct Context {
    /// The data directory of the service on this machine; none where nothing tells.
    pub data_dir: Option<PathBuf>,
    /// The time of day.
    pub now: DateTime<Utc>,
    /// By how much local time is ahead of UTC at an instant.
    pub local_offset: fn(DateTime<Utc>) -> FixedOffset,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// Standard input.
    pub stdin: Box<dyn Read>,
    /// Standard output.
    pub stdout: Box<dyn Write>,
    /// Standard error.
    pub stderr: Box<dyn Write>,
    /// Whether stdout is a terminal.
    pub is_terminal: bool,
    /// Whether stderr is a terminal.
    pub is_stderr_terminal: bool,
    /// How many rows the terminal of stdout has, now; none where there is none.
    pub terminal_rows: fn() -> Option<u16>,
    /// Whether somebody can be asked: stdin and stderr are a terminal.
    pub is_interactive: bool,
    /// The program that knows the user's ssh_config.
    pub ssh: PathBuf,
}

impl Context {
    /// The world around this process.
    pub fn of_process(data_dir: Option<PathBuf>, now: DateTime<Utc>) -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self {
            data_dir,
            now,
            local_offset: |instant| Local.offset_from_utc_datetime(&instant.naive_utc()).fix(),
            environment: std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect(),
            stdin: Box::new(std::io::stdin()),
            stdout: Box::new(std::io::stdout()),
            stderr: Box::new(std::io::stderr()),
            is_terminal: std::io::stdout().is_terminal(),
            is_stderr_terminal: std::io::stderr().is_terminal(),
            terminal_rows: || rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| size.ws_row),
            is_interactive: std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
            ssh: PathBuf::from("ssh"),
        }
    }
}

/// What a command has at hand.
pub(super) struct Session {
    pub(super) output: Output,
    pub(super) stdin: Box<dyn Read>,
    pub(super) is_interactive: bool,
    /// Whether stdout is a terminal on which something can be drawn anew; the same of stderr.
    pub(super) redraws: bool,
    pub(super) redraws_stderr: bool,
    pub(super) terminal_rows: fn() -> Option<u16>,
    pub(super) times: Times,
    pub(super) now: DateTime<Utc>,
    pub(super) home: Option<PathBuf>,
    pub(super) ssh: PathBuf,
    /// What a person edits texts with, for the shell.
    pub(super) editor: String,
    format: Option<Format>,
    sources: Sources,
}

impl Session {
    pub(super) fn new(options: Options, context: Context) -> Self {
        // An empty variable counts as none, as no-color.org has it and shells make it easy to set.
        let variable = |name: &str| context.environment.get(name).filter(|value| !value.is_empty()).cloned();
        let is_smart = variable("TERM").is_none_or(|term| term != "dumb");
        let colour = context.is_terminal && is_smart && variable("NO_COLOR").is_none();
        Self {
            times: if options.utc { Times::Utc } else { Times::Local(context.local_offset) },
            now: context.now,
            home: variable("HOME").map(PathBuf::from),
            ssh: context.ssh,
            editor: variable("VISUAL").or_else(|| variable("EDITOR")).unwrap_or_else(|| "vi".to_owned()),
            format: options.output,
            sources: Sources {
                url: options.url.or_else(|| variable("ALF_URL")),
                key: variable("ALF_API_KEY"),
                ca_file: options.ca_file.or_else(|| variable("ALF_CA_FILE").map(PathBuf::from)),
                data_dir: context.data_dir,
            },
            output: Output::new(context.stdout, context.stderr, colour),
            stdin: context.stdin,
            is_interactive: context.is_interactive,
            redraws: context.is_terminal && is_smart,
            redraws_stderr: context.is_stderr_terminal && is_smart,
            terminal_rows: context.terminal_rows,
        }
    }

    /// How data is to be written.
    pub(super) fn format(&self) -> Format {
        self.format.unwrap_or(Format::Table)
    }

    /// How what was created is to be written; none where a note will do.
    pub(super) fn chosen_format(&self) -> Option<Format> {
        self.format
    }

    /// A line of stdin, such as the answer to a question; what comes after it is left there.
    pub(super) fn line(&mut self) -> Result<String, CliError> {
        let mut line = Vec::new();
        let mut byte = [0];
        while line.len() < LONGEST_LINE && self.stdin.read(&mut byte)? == 1 && byte != *b"\n" {
            line.extend(byte);
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// The data directory of the service on this machine, where something tells which.
    pub(super) fn data_dir(&self) -> Option<&Path> {
        self.sources.data_dir.as_deref()
    }

    /// The service.
    pub(super) async fn client(&self) -> Result<Client, CliError> {
        connect(&self.sources).await
    }
}
