//! What a task runs: a command, a script or a program.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Faults, Name};

/// Longest command, script or standard input, in bytes.
pub(super) const LONGEST_TEXT: usize = 262_144;
/// Most arguments of a script or program, and most words of an interpreter.
const MOST_ARGS: usize = 1000;
/// Bytes that Linux takes for one argument, its final NUL included (`MAX_ARG_STRLEN`, execve(2)).
const LONGEST_ARG: usize = 131_072;
/// What runs a script that names no interpreter.
const DEFAULT_INTERPRETER: &str = "/bin/sh";

/// What a task runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Text for the remote `/bin/sh`.
    Command(String),
    /// A text for an interpreter of the host.
    Script {
        /// The interpreter and its own arguments: one word at least, none of them empty.
        interpreter: Vec<String>,
        /// The text.
        body: String,
        /// The script's arguments.
        args: Vec<String>,
    },
    /// An uploaded file.
    Program {
        /// The name of its definition.
        name: Name,
        /// Its arguments.
        args: Vec<String>,
    },
}

/// A script, as it stands in a document.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScriptDocument {
    /// The interpreter and its own arguments.
    pub interpreter: Option<Vec<String>>,
    /// The text.
    pub body: Option<String>,
    /// The script's arguments.
    pub args: Option<Vec<String>>,
}

/// Which program with which arguments, as it stands in a document.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProgramCallDocument {
    /// The name of a program.
    pub name: Option<Name>,
    /// Its arguments.
    pub args: Option<Vec<String>>,
}

/// The three fields of a document that say what is run; exactly one of them is there.
#[derive(Debug, Default)]
pub(super) struct WorkFields {
    pub(super) command: Option<String>,
    pub(super) script: Option<ScriptDocument>,
    pub(super) program: Option<ProgramCallDocument>,
}

impl WorkFields {
    /// Checks what is there, all of it even where it is too much.
    pub(super) fn check(self, faults: &mut Faults) -> Option<Work> {
        let given = [
            ("command", self.command.is_some()),
            ("script", self.script.is_some()),
            ("program", self.program.is_some()),
        ];
        let given: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(field, _)| field).collect();
        if given.len() != 1 {
            let what = if given.is_empty() { "none is".to_owned() } else { format!("{} are", given.join(" and ")) };
            faults.add("", format!("exactly one of command, script and program must be given; {what}"));
        }
        let command = self.command.and_then(|command| check_command(command, faults));
        let script = self.script.and_then(|script| check_script(script, faults));
        let program = self.program.and_then(|program| check_program(program, faults));
        command.or(script).or(program)
    }

    /// The fields for what is run.
    pub(super) fn of(work: &Work) -> Self {
        match work.clone() {
            Work::Command(command) => Self { command: Some(command), ..Self::default() },
            Work::Script { interpreter, body, args } => {
                let script = ScriptDocument { interpreter: Some(interpreter), body: Some(body), args: Some(args) };
                Self { script: Some(script), ..Self::default() }
            }
            Work::Program { name, args } => {
                let program = ProgramCallDocument { name: Some(name), args: Some(args) };
                Self { program: Some(program), ..Self::default() }
            }
        }
    }
}

fn check_command(command: String, faults: &mut Faults) -> Option<Work> {
    check_text("/command", &command, faults);
    if command.trim().is_empty() {
        faults.add("/command", "must not be empty");
    }
    Some(Work::Command(command))
}

fn check_script(script: ScriptDocument, faults: &mut Faults) -> Option<Work> {
    let interpreter = script.interpreter.unwrap_or_else(|| vec![DEFAULT_INTERPRETER.to_owned()]);
    if interpreter.is_empty() {
        faults.add("/script/interpreter", "must hold at least one word, such as [\"/bin/sh\"]");
    }
    for (index, _) in interpreter.iter().enumerate().filter(|(_, word)| word.is_empty()) {
        faults.add(format!("/script/interpreter/{index}"), "must not be empty");
    }
    check_args("/script/interpreter", &interpreter, faults);
    let args = script.args.unwrap_or_default();
    check_args("/script/args", &args, faults);
    let body = faults.require("/script/body", script.body)?;
    check_text("/script/body", &body, faults);
    if body.trim().is_empty() {
        faults.add("/script/body", "must not be empty");
    }
    Some(Work::Script { interpreter, body, args })
}

fn check_program(program: ProgramCallDocument, faults: &mut Faults) -> Option<Work> {
    let args = program.args.unwrap_or_default();
    check_args("/program/args", &args, faults);
    let name = faults.require("/program/name", program.name)?;
    Some(Work::Program { name, args })
}

/// A text of a bounded length, without NUL.
pub(super) fn check_text(pointer: &str, text: &str, faults: &mut Faults) {
    if text.contains('\0') {
        faults.add(pointer, "must not hold a NUL byte");
    }
    check_length(pointer, text, faults);
}

/// A text for a program to read: of a bounded length.
pub(super) fn check_length(pointer: &str, text: &str, faults: &mut Faults) {
    if text.len() > LONGEST_TEXT {
        faults.add(pointer, format!("is longer than {LONGEST_TEXT} bytes"));
    }
}

/// Words of a command line: as many and as long as a kernel takes, without NUL.
pub(super) fn check_args(pointer: &str, args: &[String], faults: &mut Faults) {
    if args.len() > MOST_ARGS {
        faults.add(pointer, format!("holds {} words; at most {MOST_ARGS} are allowed", args.len()));
    }
    for (index, arg) in args.iter().enumerate() {
        if arg.contains('\0') {
            faults.add(format!("{pointer}/{index}"), "must not hold a NUL byte");
        }
        if arg.len() >= LONGEST_ARG {
            faults.add(format!("{pointer}/{index}"), format!("must be shorter than {LONGEST_ARG} bytes"));
        }
    }
}
