//! The checks of `doctor.rs` that run something on the host.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use russh::ChannelMsg;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::doctor::{Check, Expected, Finding, Verdict, short, small};
use super::explain;
use super::session::{NoSession, SshSession};
use super::{End, Ending, Exec, RunAs, Session, Target};
use crate::clock::Clock;

/// A login shell slower than this reads too much before it runs a command.
const SLOW_SHELL: Duration = Duration::from_millis(500);
/// A clock may be this far off.
const CLOCK: f64 = 2.0;
/// How long sessions are held open to see how many the host allows at once, in seconds.
const HOLD: u64 = 4;
/// When those that have not been opened by then are given up.
const GIVE_UP: Duration = Duration::from_millis(2500);
/// Sessions opened at once at most, whatever the definition says.
const MOST_SESSIONS: u32 = 100;
/// How long the first session may take.
const FIRST: Duration = Duration::from_secs(2);
/// How long a login shell may take for `true`.
const BARE: Duration = Duration::from_secs(15);

/// What came of a small command.
async fn run(session: &Arc<dyn Session>, command: &str) -> Ending {
    session.exec(small(command, &CancellationToken::new())).await
}

fn text(ending: &Ending) -> String {
    String::from_utf8_lossy(&ending.stdout.bytes).trim().to_owned()
}

/// Why a small command did not end as it should.
fn why(ending: &Ending) -> String {
    match &ending.end {
        End::Exited(code) => format!("it ended with exit code {code}"),
        End::Signaled(signal) => format!("it was ended by signal {signal}"),
        End::TimedOut => "it did not end in time".to_owned(),
        End::Cancelled => "it was cancelled".to_owned(),
        End::ConnectionLost(cause) => format!("the connection was lost: {cause}"),
        End::Refused(cause) | End::Setup(cause) | End::NoPlace(cause) => cause.clone(),
    }
}

fn not_found_out(check: Check, ending: &Ending) -> Finding {
    let detail = format!("cannot be found out: {}", why(ending));
    Finding::new(check, Verdict::Warning, detail, "run the command by hand: see alf exec, or ssh")
}

/// That the host gives no session at all, if so.
pub(super) async fn no_session(session: &Arc<dyn Session>) -> Option<Finding> {
    let link = session.as_any().downcast_ref::<SshSession>()?.link();
    let opened = link.open(&CancellationToken::new(), Some(Instant::now() + FIRST)).await;
    let detail = match opened {
        Ok(_) => return None,
        Err(NoSession::Refused(cause)) => cause,
        Err(_) => link.refusal()?,
    };
    let remedy = "set MaxSessions in sshd_config on the host to 10, its default, or more, and have sshd read it again";
    Some(Finding::new(Check::Sessions, Verdict::Failed, detail, remedy))
}

/// What a login shell makes of `true`, with nothing of Alf's around it.
struct Bare {
    took: Duration,
    said: Vec<u8>,
    status: Option<u32>,
    refused: bool,
}

/// Gives the login shell `true` to run; none where the session is not a real one.
async fn bare(session: &Arc<dyn Session>) -> Option<Bare> {
    let link = session.as_any().downcast_ref::<SshSession>()?.link();
    let began = Instant::now();
    let mut opened = timeout(BARE, link.open(&CancellationToken::new(), None)).await.ok()?.ok()?;
    let mut bare = Bare { took: BARE, said: Vec::new(), status: None, refused: false };
    let talk = async {
        let writer = opened.writer();
        writer.exec(true, "true").await.ok()?;
        writer.eof().await.ok()?;
        while let Some(message) = opened.hear().await {
            match message {
                ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. } => {
                    let room = 1000_usize.saturating_sub(bare.said.len());
                    bare.said.extend_from_slice(&data[..data.len().min(room)]);
                }
                ChannelMsg::ExitStatus { exit_status } => {
                    bare.status = Some(exit_status);
                    bare.took = began.elapsed();
                }
                ChannelMsg::Failure => {
                    bare.refused = true;
                    break;
                }
                ChannelMsg::Close => break,
                _ => {}
            }
        }
        Some(())
    };
    let _ = timeout(BARE, talk).await;
    Some(bare)
}

/// Whether the login shell runs commands, which one it is, how fast, and whether it says something of its own.
pub(super) async fn shell(session: &Arc<dyn Session>, target: &Target) -> Finding {
    let user = &target.user;
    let bare = bare(session).await;
    let said = bare.as_ref().and_then(|bare| first_line(&bare.said));
    let quoted = said.map(|said| format!(" and says \"{said}\"")).unwrap_or_default();
    let shell = format!("give \"{user}\" a login shell on the host that runs commands (chsh -s /bin/sh {user})");
    if let Some(bare) = &bare
        && bare.status != Some(0)
    {
        let did = match bare.status {
            Some(code) => format!("ends with exit code {code}"),
            None if bare.refused => "is not started by sshd".to_owned(),
            None => format!("does not end \"true\" within {} s", BARE.as_secs()),
        };
        return Finding::new(
            Check::Shell,
            Verdict::Failed,
            format!("the login shell of \"{user}\" {did}{quoted}"),
            shell,
        );
    }
    let began = Instant::now();
    let ending = run(session, "printf %s \"${SHELL-}\"").await;
    if ending.end != End::Exited(0) {
        let detail = format!("/bin/sh cannot be run there: {}", why(&ending));
        return Finding::new(Check::Shell, Verdict::Failed, detail, shell);
    }
    let took = bare.as_ref().map_or(began.elapsed(), |bare| bare.took);
    let name = Some(text(&ending)).filter(|name| !name.is_empty()).unwrap_or_else(|| "the login shell".to_owned());
    let detail = format!("{name} runs a command in {}{quoted}", short(took));
    if took > SLOW_SHELL {
        let remedy =
            format!("look at what the start files of \"{user}\" do when nobody is there (~/.bashrc, /etc/profile, …)");
        return Finding::new(Check::Shell, Verdict::Warning, detail, remedy);
    }
    if !quoted.is_empty() {
        let remedy =
            "let its start files write nothing where no terminal is; Alf leaves it out, other programs stumble";
        return Finding::new(Check::Shell, Verdict::Warning, detail, remedy);
    }
    Finding::fine(Check::Shell, detail)
}

fn first_line(said: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(said).into_owned();
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(120).map(explain::harmless).collect())
}

/// Opens sessions at once until the host refuses one.
pub(super) async fn sessions(session: &Arc<dyn Session>, wanted: u32) -> Finding {
    let asked = wanted.clamp(1, MOST_SESSIONS);
    let cancels: Vec<CancellationToken> = (0..asked).map(|_| CancellationToken::new()).collect();
    let held: Vec<_> = cancels.iter().map(|cancel| small(&format!("echo open; exec sleep {HOLD}"), cancel)).collect();
    let outputs: Vec<_> = held.iter().map(|exec| Arc::clone(&exec.output)).collect();
    let give_up = async {
        tokio::time::sleep(GIVE_UP).await;
        for (output, cancel) in outputs.iter().zip(&cancels) {
            // Nothing was said in it: it is still being asked for.
            let said = timeout(Duration::ZERO, output.read_from([0, 0]).next()).await;
            if said.is_err() {
                cancel.cancel();
            }
        }
    };
    let (endings, ()) = tokio::join!(join_all(held.into_iter().map(|exec| session.exec(exec))), give_up);
    if let Some(lost) = endings.iter().find(|ending| matches!(ending.end, End::ConnectionLost(_))) {
        let remedy = "see sshd's own log on the host: it ended the connection when several sessions were asked for";
        return Finding::new(Check::Sessions, Verdict::Failed, why(lost), remedy);
    }
    let open = endings.iter().filter(|ending| ending.started_at.is_some()).count();
    let open = u32::try_from(open).unwrap_or(asked);
    if open >= asked {
        return Finding::fine(
            Check::Sessions,
            format!("sshd allows {asked} at once or more, the definition says {wanted}"),
        );
    }
    let detail = format!("sshd allows {open} at once, the definition says {wanted}");
    let remedy = format!("set max_sessions to {open}, or raise MaxSessions in sshd_config to {wanted}");
    Finding::new(Check::Sessions, Verdict::Warning, detail, remedy)
}

/// By how much the host's clock is off; what the asking takes makes that uncertain.
pub(super) async fn clock(session: &Arc<dyn Session>, clock: &Clock) -> Finding {
    let seconds = || clock.now().timestamp_micros() as f64 / 1e6;
    let began = seconds();
    let ending = run(session, "date '+%s %N'").await;
    let ended = seconds();
    let said = text(&ending);
    let Some((there, blur)) = (ending.end == End::Exited(0)).then(|| instant(&said)).flatten() else {
        return not_found_out(Check::Clock, &ending);
    };
    let off = there - f64::midpoint(began, ended);
    let blur = blur + (ended - began) / 2.0;
    let way = if off < 0.0 { "behind" } else { "ahead" };
    if off.abs() - blur > CLOCK {
        let detail = format!("the host's clock is {:.1} s {way} (give or take {blur:.1} s)", off.abs());
        let remedy = "let both machines follow a time server: timedatectl set-ntp true, or chrony";
        return Finding::new(Check::Clock, Verdict::Warning, detail, remedy);
    }
    Finding::fine(Check::Clock, format!("no more than {:.2} s off", off.abs() + blur))
}

/// What `date '+%s %N'` says, in seconds, and how exactly: not every `date` knows nanoseconds.
fn instant(said: &str) -> Option<(f64, f64)> {
    let (seconds, nanos) = said.split_once(' ').unwrap_or((said, ""));
    let seconds: f64 = seconds.parse::<i64>().ok()? as f64;
    match nanos.parse::<u32>() {
        Ok(nanos) if nanos < 1_000_000_000 => Some((seconds + f64::from(nanos) / 1e9, 0.0)),
        _ => Some((seconds + 0.5, 0.5)),
    }
}

/// Whether the user may run commands as another one, in the way that runs do it: with the password that the credential
/// has for sudo, or without being asked for one.
pub(super) async fn sudo(session: &Arc<dyn Session>, target: &Target, expected: &Expected) -> Finding {
    let (user, run_as) = (&target.user, &expected.run_as);
    let mut refused = Vec::new();
    let needed: Vec<&str> = if run_as.is_empty() { vec!["root"] } else { run_as.iter().map(String::as_str).collect() };
    for other in &needed {
        let run_as = RunAs { user: (*other).to_owned(), password: expected.sudo_password.clone() };
        let ending = session.exec(Exec { run_as: Some(run_as), ..small("true", &CancellationToken::new()) }).await;
        if ending.end != End::Exited(0) {
            refused.push(format!("as {other}: {}", why(&ending)));
        }
    }
    let password = expected.sudo_password.is_some();
    if refused.is_empty() {
        let with = if password { "with the sudo_password of the credential" } else { "without a password" };
        return Finding::fine(Check::Sudo, format!("\"{user}\" may run commands as {} {with}", needed.join(", ")));
    }
    let detail = match run_as.is_empty() {
        true => format!("tasks with run_as would fail, none is linked here ({})", refused.join("; ")),
        false => format!("tasks with run_as fail ({})", refused.join("; ")),
    };
    let or_else = if password {
        "see that sudo_password of the credential is right"
    } else {
        "give the credential a sudo_password"
    };
    let remedy = format!(
        "where run_as is needed, install sudo and {or_else}, or put into /etc/sudoers.d/alf: {user} ALL=({}) NOPASSWD: ALL",
        if run_as.is_empty() { "ALL".to_owned() } else { needed.join(",") }
    );
    Finding::new(Check::Sudo, Verdict::Warning, detail, remedy)
}

/// Whether the processes of a run can be looked for there: also those of other users.
pub(super) async fn proc(session: &Arc<dyn Session>, target: &Target) -> Finding {
    // What `hidepid` (proc(5)) hides is the state of others' processes, of the first one too.
    let look = "if ! [ -r /proc/self/environ ]; then echo none; elif ! cat /proc/1/stat >/dev/null 2>&1; then echo \
                hidden; else echo all; fi";
    let ending = run(session, look).await;
    match text(&ending).as_str() {
        "all" => Finding::fine(Check::Proc, "processes can be looked for"),
        "hidden" => Finding::new(
            Check::Proc,
            Verdict::Warning,
            "/proc hides the processes of other users (hidepid): whether a run as another user is gone cannot be told",
            format!("mount /proc with hidepid=0, or with gid= of a group that \"{}\" is in", target.user),
        ),
        "none" => Finding::new(
            Check::Proc,
            Verdict::Warning,
            "there is no readable /proc: what is left of a run that was killed cannot be told",
            "mount /proc: mount -t proc proc /proc",
        ),
        _ => not_found_out(Check::Proc, &ending),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_with_and_without_nanoseconds() {
        assert_eq!(instant("1800000000 250000000"), Some((1_800_000_000.25, 0.0)));
        for coarse in ["1800000000 %N", "1800000000 N", "1800000000"] {
            assert_eq!(instant(coarse), Some((1_800_000_000.5, 0.5)), "{coarse}");
        }
        assert_eq!(instant("Mon Nov 23"), None);
    }
}
