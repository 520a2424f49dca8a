//! What is said to the remote side to find and end the processes of a run: shell text, and its answer.

use std::time::Duration;

use super::remote::quote;

/// Whose processes are looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search<'a> {
    /// The run's id.
    pub(super) run: &'a str,
    /// The run's first process, if known.
    pub(super) leader: Option<u32>,
    /// Whether it runs by sudo: its first process leads no session, but all of that session is the run's.
    pub(super) by_sudo: bool,
    /// Whether a run that has ended by itself, so that its first process is gone, is left alone.
    pub(super) only_unended: bool,
    /// Between TERM and KILL.
    pub(super) grace: Duration,
}

/// Shell text that ends all processes of a run and says what it found, in a line `TOKEN gone|left|ended|unknown N
/// PIDS…`.
///
/// Processes of the run are those that carry its marker in the environment they were started with, its first process
/// (if known), and whatever descends from these or is in a session or process group that one of these leads. They get
/// TERM; what is left after the grace gets KILL for up to five seconds. Pids are kept with their start times, so that
/// a pid that was given to somebody else meanwhile is left alone.
///
/// An unknown first process is the oldest one that carries the marker, leads a session and still has a pipe or socket
/// for one of its standard streams, as sshd gave it: a service that was started for good has none.
pub(super) fn script(search: Search<'_>, token: &str) -> String {
    let (left, right) = token.split_at(token.len() / 2);
    let ticks = search.grace.as_millis().div_ceil(10);
    let leader = search.leader.filter(|pid| *pid > 1).map(|pid| pid.to_string()).unwrap_or_default();
    let flag = |set| if set { "1" } else { "" };
    SCRIPT
        .replace("@MARK@", &quote(&format!("ALF_RUN_ID={}", search.run)))
        .replace("@RUN@", &quote(search.run))
        .replace("@LEADER@", &leader)
        .replace("@SUDO@", flag(search.by_sudo))
        .replace("@UNENDED@", flag(search.only_unended))
        .replace("@GRACE@", &ticks.to_string())
        .replace("@LEFT@", left)
        .replace("@RIGHT@", right)
}

/// Only what dash, bash and busybox have, and no process more than needed. `/proc/PID/stat` is proc_pid_stat(5): after
/// the last `)` come state, parent, process group, session; the 20th is the start time. Times are 1/100 s.
const SCRIPT: &str = r#"mark=@MARK@
known=' '
session=none
say() { rm -f "${TMPDIR:-/tmp}/alf-"@RUN@.* 2>/dev/null; echo @LEFT@''@RIGHT@ "$*"; }
nap() { sleep 0.05 2>/dev/null || sleep 1; }
clock() { read -r up rest </proc/uptime; now=${up%.*}${up#*.}; }
{ clock; } 2>/dev/null
case ${now:-none} in *[!0-9]*) say unknown 0; exit 0;; esac
has_mark() { { tr '\0' '\n' <"/proc/$1/environ" | grep -qxF -e "$mark"; } 2>/dev/null; }
if printf 'a\0b\0' | grep -qzx b 2>/dev/null; then
  marked() { grep -lszxF -e "$mark" /proc/[0-9]*/environ 2>/dev/null; }
else
  marked() {
    for f in /proc/[0-9]*/environ; do
      p=${f#/proc/}
      has_mark "${p%/environ}" && echo "$f"
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
        *) [ "$4" != "$session" ] || ! kill -0 "$p" 2>/dev/null || { known="$known$p/${20} "; more=1; } ;;
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
leader=@LEADER@
if [ -n "@UNENDED@" ]; then
  if [ -n "$leader" ]; then
    has_mark "$leader" || leader=
  else
    for f in $(marked); do
      p=${f#/proc/}
      p=${p%/environ}
      { read -r line <"/proc/$p/stat"; } 2>/dev/null || continue
      set -- ${line##*) }
      [ "$4" = "$p" ] || [ -n "@SUDO@" ] || continue
      [ -z "$leader" ] || [ "${20}" -lt "$oldest" ] || continue
      case $(ls -l "/proc/$p/fd/0" "/proc/$p/fd/1" "/proc/$p/fd/2" 2>/dev/null) in
        *pipe:* | *socket:*) leader=$p oldest=${20} ;;
      esac
    done
  fi
  [ -n "$leader" ] || { say ended 0; exit 0; }
fi
for leader in $leader; do
  { read -r line <"/proc/$leader/stat"; } 2>/dev/null || continue
  set -- ${line##*) }
  [ "$4" = "$leader" ] && add "$leader"
  [ -n "@SUDO@" ] && has_mark "$leader" && session=$4
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

/// What the script said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing of the run is left, after so many processes were found.
    Gone(usize),
    /// So many were found, and these are still there.
    Left(usize, Vec<u32>),
    /// The run had ended by itself; nothing was looked for any further.
    Ended,
    /// The host has no `/proc` to look into.
    Unknown,
}

/// Reads what the script said, behind whatever the login shell said before.
pub(super) fn read_verdict(output: &[u8], token: &str) -> Option<Verdict> {
    let text = String::from_utf8_lossy(output);
    let said = text.lines().find_map(|line| line.split_once(token).map(|(_, said)| said))?;
    let mut words = said.split_ascii_whitespace();
    let verdict = words.next()?;
    let count = words.next()?.parse().ok()?;
    match verdict {
        "gone" => Some(Verdict::Gone(count)),
        "left" => Some(Verdict::Left(count, words.filter_map(|pid| pid.parse().ok()).collect())),
        "ended" => Some(Verdict::Ended),
        "unknown" => Some(Verdict::Unknown),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
