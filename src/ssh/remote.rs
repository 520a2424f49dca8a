//! What is said to the remote side: shell text in which every value arrives exactly, whatever the login shell is.
//!
//! sshd hands an exec request to the user's login shell (`$SHELL -c TEXT`), which may be bash, fish or tcsh. Two
//! forms of request mean the same to all of them:
//!
//! - *direct*: `exec env 'ALF_…=…' /bin/sh -c 'COMMAND'`, when everything in the quotes is plain;
//! - *header*: the fixed text `/bin/sh -c 'eval "$(head -c N)"'`, which reads the first N bytes of its standard input
//!   as shell text. That header sets the environment, says that it is ready, and becomes the command. Nothing of it
//!   is seen in `ps` but the command itself. What follows on standard input is the command's own.

use std::time::Duration;

use bytes::Bytes;

use super::{Exec, Work};

/// Bytes of one argument or environment string that Linux takes (`MAX_ARG_STRLEN`, with the closing NUL).
const LONGEST_STRING: usize = 131_071;

/// Bytes of a direct request; longer commands travel in a header.
const LONGEST_DIRECT: usize = 4000;

/// What is sent when the remote side has said that it is ready, before the command's own standard input.
pub(super) const GO: &[u8] = b"go\n";

/// How a command is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivery {
    /// Text of the exec request.
    pub(super) request: String,
    /// What goes first on standard input, until the remote side has said that it is ready.
    pub(super) header: Option<Bytes>,
}

/// Chooses how a command is sent. `token` is what the remote side says when it is ready. The error says why the
/// command cannot be sent at all.
pub(super) fn deliver(exec: &Exec, token: &str) -> Result<Delivery, String> {
    let env = environment(exec)?;
    let Work::Command(command) = &exec.work else { return Err("only commands can be run".to_owned()) };
    check("the command", command)?;
    // An option would be read from a command that begins like one.
    let blank = if command.starts_with(['-', '+']) { " " } else { "" };
    if exec.stdin.is_none() && plain(command) && env.iter().all(|(key, value)| public(key) && plain(value)) {
        let words: String = env.iter().map(|(key, value)| format!("'{key}={value}' ")).collect();
        let request = format!("exec env {words}/bin/sh -c '{blank}{command}'");
        if request.len() <= LONGEST_DIRECT {
            return Ok(Delivery { request, header: None });
        }
    }
    let exports: String = env.iter().map(|(key, value)| format!("export {key}={}\n", quote(value))).collect();
    let run = format!("exec /bin/sh -c {}\n", quote(&format!("{blank}{command}")));
    Ok(in_header(&format!("{exports}{}{run}", agree(token))))
}

/// Sends shell text as a header, so that it means the same whatever the login shell is.
pub(super) fn in_header(text: &str) -> Delivery {
    // The braces make the shell read all of it before it does any of it: a header that is cut off does nothing.
    let header = format!("{{\n{text}}}\n");
    Delivery { request: format!("/bin/sh -c 'eval \"$(head -c {})\"'", header.len()), header: Some(header.into()) }
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

fn check(what: &str, text: &str) -> Result<(), String> {
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

/// Says on both streams that what comes now is the command's, and which process it is; then waits for [`GO`], so that
/// a command that was given up meanwhile is never started. The token is put together there, so that a shell that
/// echoes what it reads does not say it too early.
fn agree(token: &str) -> String {
    let (left, right) = token.split_at(token.len() / 2);
    let say = format!("printf '%s%s %s\\n' {left} {right} \"$$\"");
    format!("{say} >&2\n{say}\nIFS= read -r ALF_GO && [ \"$ALF_GO\" = go ] || exit 1\n")
}

/// A text nobody can have said before: 32 hexadecimal digits.
pub(super) fn token() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Shell text that ends all processes of a run and says what it found, in a line `TOKEN gone|left|unknown N PIDS…`.
///
/// Processes of the run are those that carry its marker in the environment they were started with, `leader` (the
/// session's first process, if known), and whatever descends from these or is in a session or process group that one
/// of these leads. They get TERM; what is left after `grace` gets KILL for up to five seconds. Pids are kept with
/// their start times, so that a pid that was given to somebody else meanwhile is left alone.
pub(super) fn kill_script(run: &str, leader: Option<u32>, grace: Duration, token: &str) -> String {
    let (left, right) = token.split_at(token.len() / 2);
    let ticks = grace.as_millis().div_ceil(10);
    let leader = leader.filter(|pid| *pid > 1).map(|pid| pid.to_string()).unwrap_or_default();
    KILL_SCRIPT
        .replace("@MARK@", &quote(&format!("ALF_RUN_ID={run}")))
        .replace("@LEADER@", &leader)
        .replace("@GRACE@", &ticks.to_string())
        .replace("@LEFT@", left)
        .replace("@RIGHT@", right)
}

/// Only what dash, bash and busybox have, and no process more than needed. `/proc/PID/stat` is proc_pid_stat(5): after
/// the last `)` come state, parent, process group, session; the 20th is the start time. Times are 1/100 s.
const KILL_SCRIPT: &str = r#"mark=@MARK@
known=' '
say() { printf '%s%s %s\n' @LEFT@ @RIGHT@ "$*"; }
nap() { sleep 0.05 2>/dev/null || sleep 1; }
clock() { read -r up rest </proc/uptime; now=${up%.*}${up#*.}; }
{ clock; } 2>/dev/null
case ${now:-none} in *[!0-9]*) say unknown 0; exit 0;; esac
if printf 'a\0b\0' | grep -qzx b 2>/dev/null; then
  marked() { grep -lszxF -e "$mark" /proc/[0-9]*/environ 2>/dev/null; }
else
  marked() {
    for f in /proc/[0-9]*/environ; do
      { tr '\0' '\n' <"$f" | grep -qxF -e "$mark"; } 2>/dev/null && echo "$f"
    done
  }
fi
add() {
  { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 0
  p=$1
  set -- ${line##*) }
  case $known in *" $p/${20} "*) ;; *) known="$known$p/${20} ";; esac
}
collect() {
  for f in $(marked); do f=${f#/proc/}; add "${f%/environ}"; done
  more=1
  while [ -n "$more" ]; do
    more=
    for d in /proc/[0-9]*; do
      p=${d#/proc/}
      { read -r line <"$d/stat"; } 2>/dev/null || continue
      set -- ${line##*) }
      case $known in
        *" $p/${20} "*) ;;
        *" $2/"* | *" $3/"* | *" $4/"*) [ "$p" = $$ ] || { known="$known$p/${20} "; more=1; } ;;
      esac
    done
  done
}
alive() {
  left=
  for k in $known; do
    p=${k%/*}
    { read -r line <"/proc/$p/stat"; } 2>/dev/null || continue
    set -- ${line##*) }
    [ "${k#*/}" = "${20}" ] || continue
    case $1 in Z | X | x) ;; *) left="$left $p" ;; esac
  done
  [ -n "$left" ]
}
count() { set -- $known; n=$#; }
for leader in @LEADER@; do
  { read -r line <"/proc/$leader/stat"; } 2>/dev/null || continue
  set -- ${line##*) }
  [ "$4" = "$leader" ] && add "$leader"
done
clock; start=$now; end=; signal=TERM
while :; do
  collect
  clock
  if ! alive; then
    # Nothing found at all: a command that was only just accepted may still be on its way through the login shell.
    [ "$known" = ' ' ] && [ "$now" -lt $((start + 100)) ] || { count; say gone $n; exit 0; }
    nap
    continue
  fi
  if [ -z "$end" ]; then end=$((now + @GRACE@)); elif [ "$now" -ge "$end" ]; then signal=KILL; fi
  [ "$now" -lt $((end + 500)) ] || { count; say left $n $left; exit 0; }
  kill -$signal $left 2>/dev/null
  [ $signal = KILL ] || kill -CONT $left 2>/dev/null
  slice=$end
  [ $signal = TERM ] || slice=$((now + 30))
  while alive && [ "$now" -lt "$slice" ]; do nap; clock; done
done
"#;

/// What the kill script said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing of the run is left, after so many processes were found.
    Gone(usize),
    /// So many were found, and these are still there.
    Left(usize, Vec<u32>),
    /// The host has no `/proc` to look into.
    Unknown,
}

/// Reads what the kill script said, behind whatever the login shell said before.
pub(super) fn read_verdict(output: &[u8], token: &str) -> Option<Verdict> {
    let text = String::from_utf8_lossy(output);
    let said = text.lines().find_map(|line| line.split_once(token).map(|(_, said)| said))?;
    let mut words = said.split_ascii_whitespace();
    let verdict = words.next()?;
    let count = words.next()?.parse().ok()?;
    match verdict {
        "gone" => Some(Verdict::Gone(count)),
        "left" => Some(Verdict::Left(count, words.filter_map(|pid| pid.parse().ok()).collect())),
        "unknown" => Some(Verdict::Unknown),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
