//! Tasks: what to run.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::definition::{Defaults, Definition, Meta, Secrets, document};
use super::expect::{Expect, ExpectDocument, Plugin};
use super::work::{ProgramCallDocument, ScriptDocument, Work, WorkFields, check_length};
use super::{Env, Fault, Faults, Limit, Noun, Reference, Span, TaskRetention, TextValue};

/// Longest path of a directory, in bytes (`PATH_MAX` of Linux).
const LONGEST_PATH: usize = 4096;
/// Longest name of a user, in bytes.
const LONGEST_USER: usize = 64;
/// Most bytes that are ever kept of a stream.
const MOST_OUTPUT: u64 = 64 * 1024 * 1024;
/// Most hosts at once.
const MOST_HOSTS: u32 = 1_000_000;
/// Most attempts before a PROBLEM is hard.
const MOST_ATTEMPTS: u32 = 1000;

/// What to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The common fields.
    pub meta: Meta,
    /// A command, a script or a program.
    pub work: Work,
    /// What it reads from its standard input; nothing where none is given.
    pub stdin: Option<TextValue>,
    /// Its variables; they win over the host's.
    pub env: Env,
    /// The directory it starts in; a relative one begins at the home directory, which is where it starts by default.
    pub cwd: Option<String>,
    /// The user of the host it runs as, by sudo; none for the one that is logged in.
    pub run_as: Option<String>,
    /// Killed after this long.
    pub timeout: Limit,
    /// A run that cannot start within this long of its instant is given up.
    pub start_within: Span,
    /// Between TERM and KILL.
    pub kill_grace: Span,
    /// Bytes kept of each stream.
    pub output_limit: u64,
    /// By whose rules its exit code and output are read.
    pub plugin: Plugin,
    /// What it must do to be OK.
    pub expect: Expect,
    /// What becomes of a run that is due while the last one is still going.
    pub overlap: Overlap,
    /// How many PROBLEMs in a row make it hard.
    pub max_attempts: u32,
    /// Between a soft PROBLEM and the next attempt.
    pub retry_interval: Span,
    /// Whether changing too often between states is told as flapping.
    pub flapping: bool,
    /// On how many hosts at once it runs; none for all.
    pub max_running: Option<u32>,
    /// How long its Results are kept, where it is not as the settings say.
    pub retention: Option<TaskRetention>,
    /// Whether it is run by schedules.
    pub enabled: bool,
}

/// What becomes of a run that is due while the last one is still going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// It is skipped.
    #[default]
    Skip,
    /// One waits; more are skipped.
    Queue,
    /// It runs beside the other.
    Allow,
}

document! {
    /// A task as a document.
    pub struct TaskDocument {
        /// Text for the remote `/bin/sh`.
        pub command: Option<String>,
        /// A text for an interpreter of the host.
        pub script: Option<ScriptDocument>,
        /// An uploaded file.
        pub program: Option<ProgramCallDocument>,
        /// What it reads from its standard input.
        pub stdin: Option<TextValue>,
        /// Its variables; they win over the host's.
        pub env: Option<Env>,
        /// The directory it starts in.
        pub cwd: Option<String>,
        /// The user of the host it runs as, by sudo.
        pub run_as: Option<String>,
        /// Killed after this long; `none` for never.
        pub timeout: Option<Limit>,
        /// Given up when it cannot start within this long.
        pub start_within: Option<Span>,
        /// Between TERM and KILL.
        pub kill_grace: Option<Span>,
        /// Bytes kept of each stream.
        #[schema(maximum = 67108864, default = 262144)]
        #[serde(deserialize_with = "crate::model::whole::within::<0, 67108864, u64, _>")]
        pub output_limit: Option<u64>,
        /// By whose rules its exit code and output are read: `none` or `nagios`.
        pub plugin: Option<Plugin>,
        /// What it must do to be OK.
        pub expect: Option<Box<ExpectDocument>>,
        /// While the last run is still going: `skip`, `queue` or `allow`.
        pub overlap: Option<Overlap>,
        /// How many PROBLEMs in a row make it hard.
        #[schema(minimum = 1, maximum = 1000, default = 1)]
        #[serde(deserialize_with = "crate::model::whole::within::<1, 1000, u32, _>")]
        pub max_attempts: Option<u32>,
        /// Between a soft PROBLEM and the next attempt.
        pub retry_interval: Option<Span>,
        /// Whether changing too often between states is told as flapping.
        pub flapping: Option<bool>,
        /// On how many hosts at once it runs; the others wait their turn.
        #[serde(deserialize_with = "crate::model::whole::within::<1, 1_000_000, u32, _>")]
        pub max_running: Option<u32>,
        /// How long its Results are kept, where it is not as the settings `retention.*` say.
        pub retention: Option<TaskRetention>,
        /// Whether it is run by schedules.
        #[schema(default = true)]
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
        let fields = WorkFields { command: document.command, script: document.script, program: document.program };
        let work = fields.check(&mut faults);
        if let Some(stdin) = document.stdin.as_ref().and_then(TextValue::own) {
            check_length("/stdin", stdin, &mut faults);
        }
        if let Some(cwd) = &document.cwd {
            check_cwd(cwd, &mut faults);
        }
        if let Some(user) = &document.run_as {
            check_run_as(user, &mut faults);
        }
        let plugin = document.plugin.unwrap_or_default();
        // A check that takes longer than a minute says nothing of now.
        let (timeout, start_within) = match plugin {
            Plugin::None => (Span::seconds(3600), Span::seconds(600)),
            Plugin::Nagios => (Span::seconds(60), Span::seconds(30)),
        };
        let timeout = document.timeout.unwrap_or(Limit::After(timeout));
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
        let expect = Expect::check(document.expect.map(|it| *it).unwrap_or_default(), plugin, &mut faults);
        let max_attempts = document.max_attempts.unwrap_or(1);
        if !(1..=MOST_ATTEMPTS).contains(&max_attempts) {
            faults.add("/max_attempts", format!("must be from 1 to {MOST_ATTEMPTS}"));
        }
        let retry_interval = document.retry_interval.unwrap_or(Span::seconds(10));
        if retry_interval.get().is_zero() {
            faults.add("/retry_interval", "must be longer than 0");
        }
        if document.max_running.is_some_and(|most| !(1..=MOST_HOSTS).contains(&most)) {
            faults.add("/max_running", format!("must be from 1 to {MOST_HOSTS}; leave it out for all hosts at once"));
        }
        if let Some(retention) = &document.retention {
            retention.check(&mut faults);
        }
        let task = meta.zip(work).map(|(meta, work)| Self {
            meta,
            work,
            stdin: document.stdin,
            env: document.env.unwrap_or_default(),
            cwd: document.cwd,
            run_as: document.run_as,
            timeout,
            start_within: document.start_within.unwrap_or(start_within),
            kill_grace,
            output_limit,
            plugin,
            expect,
            overlap: document.overlap.unwrap_or_default(),
            max_attempts,
            retry_interval,
            // A job's end is news each time; a check's states are one story.
            flapping: document.flapping.unwrap_or(plugin == Plugin::Nagios),
            max_running: document.max_running,
            retention: document.retention.filter(|own| *own != TaskRetention::default()),
            enabled: document.enabled.unwrap_or(true),
        });
        faults.into_result(task)
    }

    fn document(&self) -> TaskDocument {
        let WorkFields { command, script, program } = WorkFields::of(&self.work);
        TaskDocument {
            command,
            script,
            program,
            stdin: self.stdin.clone(),
            env: Some(self.env.clone()),
            cwd: self.cwd.clone(),
            run_as: self.run_as.clone(),
            timeout: Some(self.timeout),
            start_within: Some(self.start_within),
            kill_grace: Some(self.kill_grace),
            output_limit: Some(self.output_limit),
            plugin: Some(self.plugin),
            expect: Some(Box::new(self.expect.document())),
            overlap: Some(self.overlap),
            max_attempts: Some(self.max_attempts),
            retry_interval: Some(self.retry_interval),
            flapping: Some(self.flapping),
            max_running: self.max_running,
            retention: self.retention,
            enabled: Some(self.enabled),
            ..TaskDocument::with_meta(&self.meta)
        }
    }

    fn named_in(document: &TaskDocument) -> Vec<(String, Reference)> {
        let program = document.program.as_ref().and_then(|program| program.name.as_ref());
        let program = Reference::to(Noun::Program, "/program/name", program);
        let stdin = document.stdin.as_ref().and_then(|stdin| stdin.reference("/stdin"));
        program.into_iter().chain(stdin).chain(document.env.iter().flat_map(Env::references)).collect()
    }
}

fn check_cwd(cwd: &str, faults: &mut Faults) {
    if cwd.is_empty() || cwd.len() > LONGEST_PATH || cwd.contains('\0') {
        faults.add("/cwd", format!("must be a path on the host: 1 to {LONGEST_PATH} bytes, no NUL byte"));
    }
}

/// What useradd(8) takes, and `@`, `+` and `.` of directory services; nothing that sudo could take for an option.
fn check_run_as(user: &str, faults: &mut Faults) {
    let stem = user.strip_suffix('$').unwrap_or(user);
    let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let legal = |c: char| first(c) || "._@+-".contains(c);
    if user.len() > LONGEST_USER || !stem.starts_with(first) || !stem.chars().all(legal) {
        let allowed = "[A-Za-z0-9_][A-Za-z0-9._@+-]*, with one $ behind it or none";
        faults.add("/run_as", format!("must be the name of a user: {allowed}, up to {LONGEST_USER} bytes"));
    }
}

#[cfg(test)]
mod tests;
