//! Runs an executable file that Alf brings along: kept on the host by its hash, checked at each use.

use std::sync::Arc;
use std::time::Duration;

use super::output::LiveOutput;
use super::remote::{Launch, words};
use super::session::Link;
use super::{End, Exec, ProgramFile, Work, run, sudo};

/// What bringing a program to a host may take.
const LONGEST: Duration = Duration::from_secs(600);

/// Bytes of the host's words about it that are looked at.
const WORDS: usize = 4096;

/// Finds the place of a user's programs, by the XDG Base Directory Specification: a relative name does not count.
const PLACE: &str = r#"alf_d=${XDG_CACHE_HOME:-}
case $alf_d in
  /*) ;;
  *) [ -n "${HOME:-}" ] || no home; alf_d=$HOME/.cache ;;
esac
alf_d=$alf_d/alf/programs
alf_f=$alf_d/@SHA256@
alf_sum() {
  { sha256sum <"$1" || shasum -a 256 <"$1" || openssl dgst -sha256 -r <"$1"; } 2>/dev/null | cut -c 1-64
}
"#;

/// Looks whether the program is there. That its file is touched is what keeps it from being cleaned up.
const LOOK: &str = r#"[ -f "$alf_f" ] || no program
case $(alf_sum "$alf_f") in
  @SHA256@) ;;
  '') no hash ;;
  *) no program ;;
esac
[ -x "$alf_f" ] || no noexec
touch -c "$alf_f" 2>/dev/null
"#;

/// Takes the program on standard input. It gets its name only when it is whole, so that two that bring it at once do
/// each other no harm. What was not used for 30 days goes.
const TAKE: &str = r#"no() { echo "$HOME is no home directory" >&2; exit 1; }
@PLACE@umask 077
mkdir -p "$alf_d" || exit 1
if [ -f "$alf_f" ] && [ "$(alf_sum "$alf_f")" = @SHA256@ ]; then exit 0; fi
find "$alf_d" -type f -mtime +30 -exec rm -f {} + 2>/dev/null
alf_t=$(mktemp "$alf_d/new.XXXXXX") || exit 1
trap 'rm -f "$alf_t"' EXIT
trap 'exit 1' HUP INT TERM
cat >"$alf_t" || exit 1
case $(alf_sum "$alf_t") in
  @SHA256@) ;;
  '') echo 'none of sha256sum, shasum and openssl is there to check it with' >&2; exit 1 ;;
  *) echo 'it did not arrive as it was sent' >&2; exit 1 ;;
esac
chmod 0700 "$alf_t" && mv -f "$alf_t" "$alf_f" || exit 1
"#;

/// The shell text that starts a program that is there. The error says why that cannot be.
pub(super) fn launch(sha256: &str, args: &[String]) -> Result<Launch, String> {
    if sha256.len() != 64 || !sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(format!("\"{}\" is no SHA-256 of a program", sha256.escape_debug()));
    }
    Ok(Launch {
        prepare: format!("{PLACE}{LOOK}").replace("@SHA256@", sha256),
        start: format!("exec \"$alf_f\"{}\n", words(args)),
        ..Launch::default()
    })
}

/// Brings a program to the host, unless another run has done so meanwhile. The error is how the run that needs it ends.
pub(super) async fn bring(link: &Arc<Link>, program: &ProgramFile, exec: &Exec) -> Result<(), End> {
    // One after the other: runs that need the same one at the same time bring it once.
    let _one = tokio::select! {
        one = link.bringing.lock() => one,
        () = exec.cancel.cancelled() => return Err(End::Cancelled),
    };
    let failed = |cause: &str| {
        let who = exec.run_as.as_ref().map(|run_as| format!(" of {}", run_as.user)).unwrap_or_default();
        End::Setup(format!("the program could not be put into the home directory{who} on {}: {cause}", link.place))
    };
    let bytes = tokio::select! {
        bytes = program.source.bytes() => bytes.map_err(|cause| failed(&cause))?,
        () = exec.cancel.cancelled() => return Err(End::Cancelled),
    };
    let script = TAKE.replace("@PLACE@", PLACE).replace("@SHA256@", &program.sha256);
    let output = LiveOutput::new(WORDS);
    let take = Exec {
        run: exec.run.clone(),
        // As a script: its text is longer than a command in `ps` should be.
        work: Work::Script { interpreter: vec!["/bin/sh".to_owned()], body: script },
        args: Vec::new(),
        env: Vec::new(),
        stdin: Some(bytes),
        cwd: Some("/".to_owned()),
        run_as: exec.run_as.clone(),
        timeout: Some(LONGEST),
        kill_grace: exec.kill_grace,
        start_by: None,
        output,
        cancel: exec.cancel.clone(),
    };
    let ending = run::attempt(link, take).await;
    match ending.map(|ending| (ending.end, ending.stderr)) {
        Ok((End::Exited(0), _)) => Ok(()),
        Ok((End::Exited(code), stderr)) => {
            Err(failed(&sudo::words(&stderr.bytes).unwrap_or_else(|| format!("exit code {code}"))))
        }
        Ok((End::TimedOut, _)) => Err(failed(&format!("it took longer than {LONGEST:?}"))),
        Ok((End::Signaled(signal), _)) => Err(failed(&format!("the shell that took it died by signal {signal}"))),
        Ok((end, _)) => Err(end),
        Err(run::NeedsProgram) => Err(failed("it is asked for again")),
    }
}
