//! Tasks: what to run.

use super::definition::{Defaults, Definition, Meta, Secrets, document};
use super::{Env, Fault, Faults, Limit, Noun, Span};

/// Longest command, and longest standard input, in bytes.
const LONGEST_COMMAND: usize = 262_144;
/// Most bytes that are ever kept of a stream.
const MOST_OUTPUT: u64 = 64 * 1024 * 1024;

/// What to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The common fields.
    pub meta: Meta,
    /// Text for the remote `/bin/sh`.
    pub command: String,
    /// What it reads from its standard input; nothing where none is given.
    pub stdin: Option<String>,
    /// Its variables; they win over the host's.
    pub env: Env,
    /// Killed after this long.
    pub timeout: Limit,
    /// A run that cannot start within this long of its instant is given up.
    pub start_within: Span,
    /// Between TERM and KILL.
    pub kill_grace: Span,
    /// Bytes kept of each stream.
    pub output_limit: u64,
    /// Whether it is run by schedules.
    pub enabled: bool,
}

document! {
    /// A task as a document.
    pub struct TaskDocument {
        /// Text for the remote `/bin/sh`.
        pub command: Option<String>,
        /// What it reads from its standard input.
        pub stdin: Option<String>,
        /// Its variables; they win over the host's.
        pub env: Option<Env>,
        /// Killed after this long; `none` for never.
        pub timeout: Option<Limit>,
        /// Given up when it cannot start within this long.
        pub start_within: Option<Span>,
        /// Between TERM and KILL.
        pub kill_grace: Option<Span>,
        /// Bytes kept of each stream.
        pub output_limit: Option<u64>,
        /// Whether it is run by schedules.
        pub enabled: Option<bool>,
    }
}

impl Definition for Task {
    const NOUN: Noun = Noun::Task;
    type Document = TaskDocument;

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn check(mut document: TaskDocument, _: &Secrets, _: &Defaults) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let meta = document.take_meta(Noun::Task, None, &mut faults);
        let command = faults.require("/command", document.command);
        if let Some(command) = &command {
            if command.trim().is_empty() {
                faults.add("/command", "must not be empty");
            }
            if command.contains('\0') {
                faults.add("/command", "must not hold a NUL byte");
            }
            if command.len() > LONGEST_COMMAND {
                faults.add("/command", format!("is longer than {LONGEST_COMMAND} bytes"));
            }
        }
        if let Some(stdin) = &document.stdin {
            if stdin.contains('\0') {
                faults.add("/stdin", "must not hold a NUL byte");
            }
            if stdin.len() > LONGEST_COMMAND {
                faults.add("/stdin", format!("is longer than {LONGEST_COMMAND} bytes"));
            }
        }
        let timeout = document.timeout.unwrap_or(Limit::After(Span::seconds(3600)));
        if timeout.get().is_some_and(|limit| limit.is_zero()) {
            faults.add("/timeout", "must be longer than 0; write none for no limit");
        }
        let kill_grace = document.kill_grace.unwrap_or(Span::seconds(5));
        if kill_grace > Span::seconds(3600) {
            faults.add("/kill_grace", "must be at most 1h");
        }
        let output_limit = document.output_limit.unwrap_or(262_144);
        if output_limit > MOST_OUTPUT {
            faults.add("/output_limit", format!("must be from 0 to {MOST_OUTPUT} bytes (64 MiB)"));
        }
        let task = meta.zip(command).map(|(meta, command)| Self {
            meta,
            command,
            stdin: document.stdin,
            env: document.env.unwrap_or_default(),
            timeout,
            start_within: document.start_within.unwrap_or(Span::seconds(600)),
            kill_grace,
            output_limit,
            enabled: document.enabled.unwrap_or(true),
        });
        faults.into_result(task)
    }

    fn document(&self) -> TaskDocument {
        TaskDocument {
            command: Some(self.command.clone()),
            stdin: self.stdin.clone(),
            env: Some(self.env.clone()),
            timeout: Some(self.timeout),
            start_within: Some(self.start_within),
            kill_grace: Some(self.kill_grace),
            output_limit: Some(self.output_limit),
            enabled: Some(self.enabled),
            ..TaskDocument::with_meta(&self.meta)
        }
    }
}
