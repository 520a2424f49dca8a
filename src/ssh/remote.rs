//! What is said to the remote side: shell text in which every value arrives exactly, whatever the login shell is.
//!
//! sshd hands an exec request to the user's login shell (`$SHELL -c TEXT`), which may be bash, fish or tcsh. Two
//! forms of request mean the same to all of them:
//!
//! - *direct*: `exec env 'ALF_…=…' /bin/sh -c 'COMMAND'`, when everything in the quotes is plain;
//! - *header*: the fixed text `/bin/sh -c 'eval "$(head -c N)"'`, which reads the first N bytes of its standard input
//!   as shell text. That header goes to the directory, looks whether what it is to start is there, sets the
//!   environment, says that it is ready (or why not), and becomes the command. Nothing of it is seen in `ps` but the
//!   command itself. What follows on standard input is the command's own.

use bytes::Bytes;

use super::sudo::{self, Dialogue};
use super::{Exec, RunAs, Work, program, script};

/// Bytes of one argument or environment string that Linux takes (`MAX_ARG_STRLEN`, with the closing NUL).
const LONGEST_STRING: usize = 131_071;

/// Bytes of all arguments and environment strings together, with room for what the login brings: Linux takes a quarter
/// of the stack, which is 8 MiB.
const LONGEST_TOGETHER: usize = 1_900_000;

/// Bytes of a direct request; longer commands travel in a header.
const LONGEST_DIRECT: usize = 4000;

/// What is sent when the remote side has said that it is ready, before the command's own standard input.
pub(super) const GO: &[u8] = b"go\n";

/// How a command is sent.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    /// Text of the exec request.
    pub(super) request: String,
    /// What is answered to sudo before the header is sent.
    pub(super) dialogue: Option<Dialogue>,
    /// What goes first on standard input, until the remote side has said that it is ready.
    pub(super) header: Option<Bytes>,
}

/// The shell text that starts something, in three steps.
#[derive(Debug, Default)]
pub(super) struct Launch {
    /// Looks whether it can be started, still in the environment of the login; `no WORD` says that it cannot.
    pub(super) prepare: String,
    /// The same in the task's own environment.
    pub(super) check: String,
    /// Becomes it.
    pub(super) start: String,
}

/// Chooses how a command is sent. `token` is what the remote side says when it is ready. The error says why the
/// command cannot be sent at all.
pub(super) fn deliver(exec: &Exec, token: &str) -> Result<Delivery, String> {
    let env = environment(exec)?;
    for arg in &exec.args {
        check("an argument", arg)?;
    }
    let together = exec.args.iter().map(|arg| arg.len() + 9).sum::<usize>()
        + env.iter().map(|(key, value)| key.len() + value.len() + 10).sum::<usize>();
    if together > LONGEST_TOGETHER {
        return Err(format!("arguments and environment are {together} bytes long; a host takes {LONGEST_TOGETHER}"));
    }
    let launch = match &exec.work {
        Work::Command(command) => {
            check("the command", command)?;
            // An option would be read from a command that begins like one.
            let command = if command.starts_with(['-', '+']) { format!(" {command}") } else { command.clone() };
            if let Some(request) = direct(exec, &command, &env) {
                return Ok(Delivery { request, dialogue: None, header: None });
            }
            // Its `$0` is what it is without arguments too.
            let name = if exec.args.is_empty() { "" } else { " sh" };
            let start = format!("exec /bin/sh -c {}{name}{}\n", quote(&command), words(&exec.args));
            Launch { start, ..Launch::default() }
        }
        Work::Script { interpreter, body } => script::launch(&exec.run, interpreter, body, &exec.args)?,
        Work::Program(program) => program::launch(&program.sha256, &exec.args)?,
    };
    let exports: String = env.iter().map(|(key, value)| format!("export {key}={}\n", quote(value))).collect();
    let Launch { prepare, check, start } = launch;
    let (no, place, agree) = (refuse(token), go_to(exec)?, agree(token));
    in_header(&format!("{no}{place}{prepare}{exports}{check}{agree}{start}"), exec.run_as.as_ref())
}

/// The request without a header, for a command that is plain and has nothing around it that must not be seen.
fn direct(exec: &Exec, command: &str, env: &[(&str, &str)]) -> Option<String> {
    let bare = exec.stdin.is_none() && exec.args.is_empty() && exec.cwd.is_none() && exec.run_as.is_none();
    if !bare || !plain(command) || !env.iter().all(|(key, value)| public(key) && plain(value)) {
        return None;
    }
    let words: String = env.iter().map(|(key, value)| format!("'{key}={value}' ")).collect();
    Some(format!("exec env {words}/bin/sh -c '{command}'")).filter(|request| request.len() <= LONGEST_DIRECT)
}

/// Sends shell text as a header, so that it means the same whatever the login shell is.
pub(super) fn in_header(text: &str, run_as: Option<&RunAs>) -> Result<Delivery, String> {
    // The braces make the shell read all of it before it does any of it: a header that is cut off does nothing.
    let header = format!("{{\n{text}}}\n");
    let shell = |first: &str| format!("/bin/sh -c '{first}eval \"$(head -c {})\"'", header.len());
    let (request, dialogue) = match run_as {
        None => (shell(""), None),
        Some(run_as) => sudo::request(run_as, shell)?,
    };
    Ok(Delivery { request, dialogue, header: Some(header.into()) })
}

/// The environment in the order in which it is set, each name once, the run's marker always in it.
fn environment(exec: &Exec) -> Result<Vec<(&str, &str)>, String> {
    let mut env: Vec<(&str, &str)> = Vec::new();
    let given = exec.env.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    for (key, value) in given.chain([("ALF_RUN_ID", exec.run.as_str())]) {
        let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
        if !key.starts_with(starts) || !key.chars().all(|c| starts(c) || c.is_ascii_digit()) {
            return Err(format!("\"{}\" is no name of an environment variable", key.escape_debug()));
        }
        check(&format!("the environment variable {key}"), value)?;
        match env.iter_mut().find(|(known, _)| *known == key) {
            Some(known) => known.1 = value,
            None => env.push((key, value)),
        }
    }
    Ok(env)
}

pub(super) fn check(what: &str, text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err(format!("{what} holds a NUL byte, which no shell can take"));
    }
    // Room for `NAME=` and for the blank before a command that looks like an option.
    let longest = LONGEST_STRING - 256;
    if text.len() > longest {
        return Err(format!("{what} is {} bytes long; a host takes at most {longest}", text.len()));
    }
    Ok(())
}

/// Whether every login shell passes a text in single quotes on unchanged: quotes and newlines end them, csh expands
/// `!` in them, fish reads `\` in them, and what is not ASCII depends on the locale.
fn plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'\\' | b'!'))
}

/// Whether a variable may be seen in `ps` for a moment.
fn public(key: &str) -> bool {
    ["ALF_HOST", "ALF_HOST_ADDRESS", "ALF_TASK", "ALF_RUN_ID", "ALF_SCHEDULED_AT"].contains(&key)
}

/// A text as one word of a POSIX shell.
pub(super) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Texts as words of a POSIX shell, a blank before each.
pub(super) fn words(texts: &[String]) -> String {
    texts.iter().map(|text| format!(" {}", quote(text))).collect()
}

/// Goes to the directory in which the command starts. sshd starts in the home directory; sudo leaves the directory as
/// it is.
fn go_to(exec: &Exec) -> Result<String, String> {
    const HOME: &str = "cd \"${HOME:-/nonexistent}\" >/dev/null 2>&1";
    let Some(cwd) = &exec.cwd else {
        return Ok(exec.run_as.as_ref().map(|_| format!("{HOME} || cd /\n")).unwrap_or_default());
    };
    check("the working directory", cwd)?;
    let (home, dir) = if cwd.starts_with('/') {
        (String::new(), quote(cwd))
    } else {
        // With `./` neither `-` nor CDPATH means anything.
        (format!("{HOME} || no home\n"), quote(&format!("./{cwd}")))
    };
    let why = format!("{{ [ ! -d {dir} ] || no cwd-shut; [ ! -e {dir} ] || no cwd-file; no cwd; }}");
    Ok(format!("{home}cd {dir} >/dev/null 2>&1 || {why}\n"))
}

/// What a header says when it cannot go on: a line `TOKEN !WORD`.
fn refuse(token: &str) -> String {
    let (left, right) = token.split_at(token.len() / 2);
    format!("no() {{ echo {left}''{right} \"!$1\"; exit 1; }}\n")
}

/// What is missing on the host of what a header says is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    /// The program is to be brought there first.
    Program,
    /// Something a person has to see to; says what.
    Other(String),
}

/// Understands the word of a header that could not go on.
pub(super) fn missing(exec: &Exec, word: &str, place: &str) -> Missing {
    let cwd = exec.cwd.as_deref().unwrap_or_default().escape_debug();
    let who = exec.run_as.as_ref().map_or("the user that is logged in", |run_as| &run_as.user);
    Missing::Other(match word {
        "program" => return Missing::Program,
        "cwd" => format!("the working directory \"{cwd}\" is not there on {place}, or {who} may not see it"),
        "cwd-file" => format!("the working directory \"{cwd}\" is no directory on {place}"),
        "cwd-shut" => format!("{who} may not enter the working directory \"{cwd}\" on {place}"),
        "home" => format!("{who} has no home directory on {place}"),
        "interpreter" => match &exec.work {
            Work::Script { interpreter, .. } => {
                let wanted = interpreter.join(" ");
                format!("the interpreter \"{}\" was not found on {place}", wanted.escape_debug())
            }
            _ => format!("the interpreter was not found on {place}"),
        },
        "file" => format!("the script needs a temporary file on {place}, which could not be made"),
        "hash" => format!("none of sha256sum, shasum and openssl is there on {place} to check the program with"),
        "noexec" => format!("the program may not be executed from {who}'s home directory on {place} (mounted noexec?)"),
        _ => format!("{place} could not set up the command: {}", word.escape_debug()),
    })
}

/// Says on both streams that what comes now is the command's, and which process it is; then waits for [`GO`], so that
/// a command that was given up meanwhile is never started. The token is put together there, so that a shell that
/// echoes what it reads does not say it too early; `echo` is built into every shell, whatever `PATH` is by now.
fn agree(token: &str) -> String {
    let (left, right) = token.split_at(token.len() / 2);
    let say = format!("echo {left}''{right} \"$$\"");
    format!("{say} >&2\n{say}\nIFS= read -r alf_go && [ \"$alf_go\" = go ] || exit 1\n")
}

/// A text nobody can have said before: 32 hexadecimal digits.
pub(super) fn token() -> String {
    format!("{:032x}", rand::random::<u128>())
}

#[cfg(test)]
mod tests;
