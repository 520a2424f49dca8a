//! Runs as another user, by sudo, over a connection to a real sshd.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use alf::model::SecretText;
use alf::ssh::{Begun, End, Exec, Leftover, RunAs, Work};
use tokio::time::timeout;

use crate::ssh_exec::{all_characters, list, script, setup};
use crate::ssh_kill::{marked, until_marked};
use crate::ssh_program::{program, run};
use crate::support::ssh::{connect, connect_with, exec, limits, stdout, target};
use crate::support::sshd::{Options, Sshd};

/// Long enough for anything that works.
const LONG: Duration = Duration::from_secs(30);

/// Whether the real sudo lets us; says so if not.
fn sudo_is_here() -> bool {
    let tried = Command::new("sudo").args(["-n", "-u", "nobody", "true"]).output();
    let works = tried.is_ok_and(|out| out.status.success());
    if !works {
        let _ = writeln!(std::io::stderr(), "left out: sudo does not let us be nobody here");
    }
    works
}

fn as_user(user: &str, exec: Exec) -> Exec {
    Exec { run_as: Some(RunAs { user: user.to_owned(), password: None }), ..exec }
}

fn as_nobody(exec: Exec) -> Exec {
    as_user("nobody", exec)
}

#[tokio::test]
async fn everything_arrives_exactly_as_another_user() {
    if !sudo_is_here() {
        return;
    }
    for shell in ["/bin/sh", "/usr/bin/fish", "/bin/tcsh"] {
        if !std::path::Path::new(shell).exists() {
            continue;
        }
        let sshd = Sshd::start_with(&Options { login_shell: Some(shell.to_owned()), ..Options::default() });
        let session = connect(&sshd).await.session;
        let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        let show = "cat; { id -un; pwd; printf '%s\\n' \"$ALF_HOST\" \"$V\" \"$1\"; } >&2; exit 3";
        for work in [
            Work::Command(show.to_owned()),
            Work::Script { interpreter: list(&["sh"]), body: show.to_owned() },
            Work::Script { interpreter: list(&["env", "-u", "X", "sh"]), body: show.to_owned() },
        ] {
            let mut run = as_nobody(Exec { work, args: vec![all_characters()], ..exec("") });
            run.env.push(("V".to_owned(), all_characters()));
            run.stdin = Some(bytes.clone().into());
            run.output = alf::ssh::output::LiveOutput::new(1 << 20);
            let ending = timeout(LONG, session.exec(run)).await.unwrap();
            assert_eq!(ending.end, End::Exited(3), "{shell}: {ending:?}");
            assert!(ending.stdout.bytes == bytes, "{shell}: input differs");
            // Its home directory is not there.
            let wanted = format!("nobody\n/\nweb1\n{0}\n{0}\n", all_characters());
            assert_eq!(String::from_utf8_lossy(&ending.stderr.bytes), wanted, "{shell}");
        }
    }
}

#[tokio::test]
async fn a_run_as_another_user_ends_as_any_other() {
    if !sudo_is_here() {
        return;
    }
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let ending = session.exec(as_nobody(exec("kill -KILL $$"))).await;
    assert_eq!(ending.end, End::Signaled("KILL".to_owned()), "{ending:?}");
    let begun = tokio::time::Instant::now();
    let ending = session.exec(as_nobody(exec("sleep 20 & echo hi"))).await;
    assert_eq!((ending.end.clone(), stdout(&ending)), (End::Exited(0), "hi\n"));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn the_whole_tree_of_another_user_s_run_is_killed() {
    if !sudo_is_here() {
        return;
    }
    let sshd = Sshd::start_with(&Options { max_sessions: Some(1), ..Options::default() });
    let session = connect(&sshd).await.session;
    let tree = "echo said; sleep 300 & setsid sleep 300 & (env -i sleep 311 &) ; (trap '' TERM; sleep 300) & wait";
    for mut run in [as_nobody(exec(tree)), as_nobody(script(&["sh"], tree, &[])), as_user("root", exec(tree))] {
        run.timeout = Some(Duration::from_millis(1500));
        run.kill_grace = Duration::from_millis(500);
        let id = run.run.clone();
        let ending = timeout(LONG, session.exec(run)).await.unwrap();
        let kill = ending.kill.clone().unwrap();
        assert_eq!((ending.end.clone(), kill.gone), (End::TimedOut, Some(true)), "{ending:?}");
        assert_eq!(stdout(&ending), "said\n");
        assert!(kill.detail.starts_with(|c: char| ('5'..='9').contains(&c)), "{}", kill.detail);
        assert!(marked(&id).is_empty());
        let stray = Command::new("pgrep").args(["-fx", "sleep 311"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&stray.stdout), "", "what has lost the marker is gone too");
    }
    assert_eq!(stdout(&session.exec(exec("echo ok")).await), "ok\n");
}

#[tokio::test]
async fn a_child_that_a_run_starts_by_sudo_is_killed_with_it() {
    if !sudo_is_here() {
        return;
    }
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let mut run = exec("sudo -n -u nobody sleep 322 & wait");
    run.timeout = Some(Duration::from_millis(1000));
    let ending = timeout(LONG, session.exec(run)).await.unwrap();
    assert_eq!(ending.kill.unwrap().gone, Some(true));
    let stray = Command::new("pgrep").args(["-fx", "sleep 322"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&stray.stdout), "");
}

#[tokio::test]
async fn what_is_left_of_another_user_s_run_is_ended() {
    if !sudo_is_here() {
        return;
    }
    let sshd = Sshd::start();
    for tell in [true, false] {
        let session = connect(&sshd).await.session;
        let run = as_nobody(exec("sleep 300 & wait"));
        let (id, run_as) = (run.run.clone(), run.run_as.clone());
        let running = tokio::spawn(session.exec(run));
        until_marked(&id, |count| count == 2).await;
        sshd.cut_connections();
        let ending = timeout(LONG, running).await.unwrap().unwrap();
        assert!(matches!(ending.end, End::ConnectionLost(_)), "{ending:?}");
        let leader = ending.leader.filter(|_| tell);
        let leftover =
            Leftover { run: id.clone(), leader, run_as, kill_grace: Duration::from_secs(1), begun: Begun::Surely };
        let report = timeout(LONG, connect(&sshd).await.session.sweep(leftover)).await.unwrap();
        // sudo itself may have ended it when its connection went.
        assert_eq!(report.gone, Some(true), "{}", report.detail);
        assert!(marked(&id).is_empty());
    }
}

#[tokio::test]
async fn what_sudo_does_not_do_is_a_failed_setup_in_its_own_words() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    for user in ["", "-x", "a b", "$(id)", "no'body"] {
        setup(&session.exec(as_user(user, exec("true"))).await);
    }
    if sudo_is_here() {
        let ending = session.exec(as_user("no-such-user", exec("true"))).await;
        let detail = setup(&ending);
        assert!(detail.contains("no-such-user") && detail.contains("unknown user"), "{detail}");
        let mut run = as_nobody(exec("true"));
        run.cwd = Some("here".to_owned());
        let ending = session.exec(run).await;
        assert!(setup(&ending).contains("nobody has no home directory"), "{ending:?}");
        let shut = sshd.dir().join("shut");
        std::fs::create_dir(&shut).unwrap();
        std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o700)).unwrap();
        let mut run = as_nobody(exec("true"));
        run.cwd = Some(shut.to_str().unwrap().to_owned());
        let ending = session.exec(run).await;
        assert!(setup(&ending).contains("nobody may not"), "{ending:?}");
        let (_, program) = program("#!/bin/sh\necho hi");
        let ending = session.exec(as_nobody(run_program(&program))).await;
        assert!(setup(&ending).contains("home directory of nobody"), "{ending:?}");
    }
    let config = vec![format!("SetEnv HOME={0} PATH={0}", sshd.dir().display())];
    let sshd = Sshd::start_with(&Options { config, ..Options::default() });
    let ending = connect(&sshd).await.session.exec(as_nobody(exec("true"))).await;
    let detail = setup(&ending);
    assert!(detail.contains("sudo") && detail.contains("not found"), "{detail}");
}

fn run_program(program: &alf::ssh::ProgramFile) -> Exec {
    run(program, &[])
}

/// What sudo does with these options, as far as a client can see: it asks on standard error, without a newline, reads
/// a line of standard input, byte by byte, and asks once more. `asks-nothing` is a user who needs no password.
pub(crate) const FAKE_SUDO: &str = r#"#!/bin/sh
echo "$*" >>"$HOME/calls"
prompt=none
while :; do
  case $1 in
    -k | -S | -H) shift ;;
    -p) prompt=$2; shift 2 ;;
    -u) user=$2; shift 2 ;;
    --) shift; break ;;
    *) echo "sudo: no such option: $1" >&2; exit 1 ;;
  esac
done
if [ "$user" != asks-nothing ]; then
  printf 'A lecture.\n%s' "$prompt" >&2
  IFS= read -r password || { echo 'sudo: no password was provided' >&2; exit 1; }
  if [ "$password" != 'open  sesame\' ]; then
    printf 'Sorry, try again.\n%s' "$prompt" >&2
    IFS= read -r password
    printf '\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n' >&2
    exit 1
  fi
fi
echo noise from a module
exec "$@"
"#;

#[tokio::test]
async fn the_password_is_told_only_when_sudo_asks() {
    let sshd = Sshd::start();
    let path = sshd.dir().join("sudo");
    std::fs::write(&path, FAKE_SUDO).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = vec![format!("SetEnv HOME={0} PATH={0}:/usr/bin:/bin", sshd.dir().display())];
    let home = sshd;
    let sshd = Sshd::start_with(&Options { config, ..Options::default() });
    let session = connect(&sshd).await.session;
    let secret = |user: &str, password: &str, exec: Exec| {
        let password = Some(SecretText::new(password.to_owned()));
        Exec { run_as: Some(RunAs { user: user.to_owned(), password }), ..exec }
    };
    for user in ["asks", "asks-nothing"] {
        let mut run = secret(user, "open  sesame\\", exec("cat"));
        run.stdin = Some("in\0put".into());
        let ending = timeout(LONG, session.exec(run)).await.unwrap();
        assert_eq!((ending.end.clone(), stdout(&ending)), (End::Exited(0), "in\0put"), "{user}: {ending:?}");
        let mut run = secret(user, "open  sesame\\", exec("sleep 300"));
        run.timeout = Some(Duration::from_millis(500));
        let ending = timeout(LONG, session.exec(run)).await.unwrap();
        assert_eq!((ending.end.clone(), ending.kill.unwrap().gone), (End::TimedOut, Some(true)), "{user}");
    }
    let ending = timeout(LONG, session.exec(secret("asks", "wrong-one", exec("echo ran")))).await.unwrap();
    let detail = setup(&ending);
    assert!(detail.contains("did not take the password"), "{detail}");
    assert!(detail.contains("sudo: 1 incorrect password attempt"), "{detail}");
    let said = format!("{ending:?}{}", String::from_utf8_lossy(&ending.stderr.bytes));
    assert!(!said.contains("wrong-one") && !said.contains("sesame") && !stdout(&ending).contains("ran"), "{said}");
    let calls = std::fs::read_to_string(home.dir().join("calls")).unwrap();
    assert!(calls.lines().count() >= 5 && !calls.contains("sesame") && !calls.contains("wrong-one"), "{calls}");
}

/// Needs a user of this machine who may use sudo with a password: `ALF_TEST_SUDO=USER:PASSWORD`.
#[tokio::test]
async fn the_real_sudo_takes_the_password_of_the_login() {
    let Ok(given) = std::env::var("ALF_TEST_SUDO") else {
        let _ = writeln!(std::io::stderr(), "left out: ALF_TEST_SUDO=USER:PASSWORD is not set");
        return;
    };
    let (user, password) = given.split_once(':').expect("ALF_TEST_SUDO=USER:PASSWORD");
    let sshd = Sshd::start();
    let mut login = target(&sshd);
    login.user = user.to_owned();
    let session = connect_with(limits(), login).await.unwrap().session;
    let as_root = |password: &str, exec: Exec| {
        let password = Some(SecretText::new(password.to_owned()));
        Exec { run_as: Some(RunAs { user: "root".to_owned(), password }), ..exec }
    };
    let mut run = as_root(password, exec("id -un; cat"));
    run.stdin = Some("in\0put".into());
    let ending = timeout(LONG, session.exec(run)).await.unwrap();
    assert_eq!((ending.end.clone(), stdout(&ending)), (End::Exited(0), "root\nin\0put"), "{ending:?}");
    let mut run = as_root(password, exec("sleep 300 & setsid sleep 300 & wait"));
    run.timeout = Some(Duration::from_millis(500));
    let id = run.run.clone();
    let ending = timeout(LONG, session.exec(run)).await.unwrap();
    assert_eq!((ending.end.clone(), ending.kill.unwrap().gone), (End::TimedOut, Some(true)));
    assert!(marked(&id).is_empty());
    let ending = timeout(LONG, session.exec(as_root("wrong", exec("true")))).await.unwrap();
    let detail = setup(&ending);
    assert!(detail.contains("did not take the password") && detail.contains("incorrect"), "{detail}");
    let run = Exec { run_as: Some(RunAs { user: "root".to_owned(), password: None }), ..exec("true") };
    let ending = timeout(LONG, session.exec(run)).await.unwrap();
    assert!(setup(&ending).contains("a password is required"), "{ending:?}");
}
