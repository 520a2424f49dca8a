//! Runs over a connection to a real sshd.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use alf::ssh::output::LiveOutput;
use alf::ssh::{End, Work};
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use crate::support::ssh::{connect, connect_with, exec, limits, stdout, target};
use crate::support::sshd::{Options, Sshd, pause};

/// Long enough for anything that works.
const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_exit_code_and_both_streams_come_back_apart() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let ending = session.exec(exec("echo out; echo err >&2; exit 3")).await;
    assert_eq!(ending.end, End::Exited(3));
    assert_eq!((&ending.stdout.bytes[..], &ending.stderr.bytes[..]), (&b"out\n"[..], &b"err\n"[..]));
    assert!(ending.kill.is_none());
    assert!(ending.started_at.unwrap() <= ending.finished_at);
    let ending = session.exec(exec("no-such-command-anywhere")).await;
    assert_eq!(ending.end, End::Exited(127));
}

#[tokio::test]
async fn every_byte_of_output_input_and_environment_arrives_unchanged() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let all: Vec<u8> = (0..=255).cycle().take(3 * 256).collect();
    let value: String = (1..0x7f).map(char::from).chain("ä€😀".chars()).collect();
    let mut run = exec("cat; cat >&2 /proc/self/environ");
    run.env.push(("VALUE".to_owned(), value.clone()));
    run.stdin = Some(all.clone().into());
    let marker = format!("ALF_RUN_ID={}", run.run);
    let ending = session.exec(run).await;
    assert_eq!(ending.end, End::Exited(0));
    assert_eq!(ending.stdout.bytes, all);
    let environment = String::from_utf8(ending.stderr.bytes).unwrap();
    for wanted in [format!("VALUE={value}"), "ALF_HOST=web1".to_owned(), marker] {
        assert!(environment.split('\0').any(|entry| entry == wanted), "{wanted} in {environment:?}");
    }
}

#[tokio::test]
async fn a_command_arrives_exactly_whatever_the_login_shell_is() {
    let commands = [
        ("echo plain", "plain\n"),
        ("echo 'single' \"double\"", "single double\n"),
        ("echo one\necho two", "one\ntwo\n"),
        ("printf '%s\\n' 'a\\b!!$HOME`x`'", "a\\b!!$HOME`x`\n"),
        ("printf %s \"ä€😀\"", "ä€😀"),
        ("echo $ALF_HOST; x=1; [ $x = 1 ] && echo ~nobody-here \"*\"", "web1\n~nobody-here *\n"),
    ];
    let shells =
        ["/bin/sh", "/bin/dash", "/bin/bash", "/bin/zsh", "/usr/bin/fish", "/bin/tcsh", "/bin/mksh", "/bin/busybox sh"];
    let here = shells.iter().filter(|shell| shell.split(' ').next().is_some_and(|path| Path::new(path).exists()));
    join_all(here.map(|shell| async move {
        let sshd = Sshd::start_with(&Options { login_shell: Some((*shell).to_owned()), ..Options::default() });
        let session = connect(&sshd).await.session;
        for (command, wanted) in commands {
            for stdin in [None, Some("x".into())] {
                let mut run = exec(command);
                run.stdin = stdin;
                let ending = session.exec(run).await;
                assert_eq!(stdout(&ending), wanted, "{shell}: {command}: {ending:?}");
                assert_eq!(ending.end, End::Exited(0), "{shell}: {command}");
            }
        }
        let mut run = exec("sleep 300");
        run.timeout = Some(Duration::from_millis(200));
        let ending = session.exec(run).await;
        assert_eq!(ending.kill.and_then(|kill| kill.gone), Some(true), "{shell}");
    }))
    .await;
}

#[tokio::test]
async fn what_a_login_shell_says_by_itself_is_kept_out_of_a_task_with_input() {
    let config =
        vec!["ForceCommand echo welcome; echo beware >&2; exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"".to_owned()];
    let sshd = Sshd::start_with(&Options { config, ..Options::default() });
    let session = connect(&sshd).await.session;
    let mut run = exec("cat; echo err >&2");
    run.stdin = Some("in".into());
    let ending = session.exec(run).await;
    assert_eq!((&ending.stdout.bytes[..], &ending.stderr.bytes[..]), (&b"in"[..], &b"err\n"[..]));
}

#[tokio::test]
async fn a_login_shell_that_runs_nothing_is_a_failed_setup() {
    let config = vec!["ForceCommand echo This account is closed.; exit 5".to_owned()];
    let sshd = Sshd::start_with(&Options { config, ..Options::default() });
    let session = connect(&sshd).await.session;
    let mut run = exec("cat");
    run.stdin = Some("in".into());
    let ending = session.exec(run).await;
    let End::Setup(detail) = ending.end else { panic!("{:?}", ending.end) };
    assert!(detail.contains("exit code 5") && detail.contains("This account is closed."), "{detail}");
    assert!(ending.started_at.is_none());
}

#[tokio::test]
async fn a_signal_is_told_from_an_exit_code() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let ending = session.exec(exec("kill -TERM $$")).await;
    assert_eq!(ending.end, End::Signaled("TERM".to_owned()));
    let ending = session.exec(exec("/bin/sh -c 'kill -KILL $$'; exit $?")).await;
    assert_eq!(ending.end, End::Exited(137));
}

#[tokio::test]
async fn many_runs_need_one_login() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    for number in 0..60 {
        let ending = session.exec(exec(&format!("echo {number}"))).await;
        assert_eq!(stdout(&ending), format!("{number}\n"));
    }
    assert_eq!(sshd.logins(), 1);
}

#[tokio::test]
async fn more_runs_than_sessions_all_get_through() {
    let sshd = Sshd::start_with(&Options { max_sessions: Some(2), ..Options::default() });
    let session = connect(&sshd).await.session;
    let runs = (0..20).map(|number| session.exec(exec(&format!("sleep 0.05; echo {number}"))));
    for (number, ending) in timeout(LONG, join_all(runs)).await.unwrap().into_iter().enumerate() {
        assert_eq!((ending.end.clone(), stdout(&ending)), (End::Exited(0), &*format!("{number}\n")));
    }
    assert_eq!(sshd.logins(), 1);
}

#[tokio::test]
async fn a_run_that_waits_for_a_session_can_be_cancelled() {
    let sshd = Sshd::start_with(&Options { max_sessions: Some(1), ..Options::default() });
    let session = connect(&sshd).await.session;
    let mut first = exec("sleep 300");
    first.kill_grace = Duration::ZERO;
    let stop_first = first.cancel.clone();
    let first = tokio::spawn(session.exec(first));
    let second = exec("true");
    let stop = second.cancel.clone();
    let mut waits = tokio::spawn(session.exec(second));
    assert!(timeout(Duration::from_millis(300), &mut waits).await.is_err(), "there is no place for it");
    stop.cancel();
    let ending = timeout(LONG, waits).await.unwrap().unwrap();
    assert_eq!((ending.end, ending.started_at, ending.kill), (End::Cancelled, None, None));
    // With no session left to kill with, a second connection is made for it.
    stop_first.cancel();
    let ending = timeout(LONG, first).await.unwrap().unwrap();
    assert_eq!((ending.end, ending.kill.unwrap().gone), (End::Cancelled, Some(true)));
    assert_eq!(sshd.logins(), 2);
}

/// Whether a process carries the run's marker.
fn alive(run: &str) -> bool {
    let script = format!("grep -lsz 'ALF_RUN_ID={run}' /proc/[0-9]*/environ");
    !Command::new("/bin/sh").args(["-c", &script]).output().unwrap().stdout.is_empty()
}

#[tokio::test]
async fn a_timeout_ends_the_whole_tree_and_keeps_what_was_said() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    for stdin in [None, Some("x".into())] {
        let mut run = exec("echo said; sleep 300 & setsid sleep 300 & env -i sleep 300 & nohup sleep 300 & wait");
        run.timeout = Some(Duration::from_millis(300));
        run.stdin = stdin;
        let id = run.run.clone();
        let begun = Instant::now();
        let ending = session.exec(run).await;
        assert_eq!(ending.end, End::TimedOut);
        assert_eq!(stdout(&ending), "said\n");
        let kill = ending.kill.unwrap();
        assert_eq!(kill.gone, Some(true), "{}", kill.detail);
        assert!(kill.detail.starts_with(|c: char| ('5'..='9').contains(&c)), "{}", kill.detail);
        assert!(kill.requested_at >= ending.started_at.unwrap());
        assert!(!alive(&id));
        assert!(begun.elapsed() >= Duration::from_millis(300) && begun.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn what_ignores_term_gets_kill_after_the_grace() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let mut run = exec("trap '' TERM; echo up; while :; do sleep 0.05; done");
    run.timeout = Some(Duration::from_millis(200));
    run.kill_grace = Duration::from_millis(500);
    let begun = Instant::now();
    let ending = session.exec(run).await;
    assert_eq!((ending.end.clone(), stdout(&ending)), (End::TimedOut, "up\n"));
    assert_eq!(ending.kill.unwrap().gone, Some(true));
    assert!(begun.elapsed() >= Duration::from_millis(700));
}

#[tokio::test]
async fn what_ends_in_good_order_at_term_may_say_so() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let mut run = exec("trap 'echo tidied; exit 0' TERM; while :; do sleep 0.05; done");
    run.timeout = Some(Duration::from_millis(300));
    let ending = session.exec(run).await;
    assert_eq!((ending.end.clone(), stdout(&ending)), (End::TimedOut, "tidied\n"));
}

#[tokio::test]
async fn a_cancelled_run_and_one_nobody_waits_for_are_killed() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let started = |run: &str| {
        let run = run.to_owned();
        tokio::task::spawn_blocking(move || {
            (0..1000).any(|_| {
                alive(&run) || {
                    pause();
                    false
                }
            })
        })
    };
    let run = exec("sleep 300");
    let (id, cancel) = (run.run.clone(), run.cancel.clone());
    let cancelled = tokio::spawn(session.exec(run));
    assert!(started(&id).await.unwrap());
    cancel.cancel();
    let ending = timeout(LONG, cancelled).await.unwrap().unwrap();
    assert_eq!((ending.end, ending.kill.unwrap().gone), (End::Cancelled, Some(true)));
    assert!(!alive(&id));

    let run = exec("sleep 300");
    let id = run.run.clone();
    let dropped = tokio::spawn(session.exec(run));
    assert!(started(&id).await.unwrap());
    dropped.abort();
    let gone = tokio::task::spawn_blocking(move || {
        (0..1000).any(|_| {
            !alive(&id) || {
                pause();
                false
            }
        })
    });
    assert!(gone.await.unwrap(), "its process lives on");
}

#[tokio::test]
async fn a_child_left_in_the_background_does_not_hold_the_run() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let begun = Instant::now();
    let ending = session.exec(exec("sleep 20 & echo hi")).await;
    assert_eq!((ending.end.clone(), stdout(&ending)), (End::Exited(0), "hi\n"));
    assert!(begun.elapsed() < Duration::from_secs(5));
    let ending = session.exec(exec("(while :; do echo x; sleep 0.02; done) & exit 4")).await;
    assert_eq!(ending.end, End::Exited(4));
    assert!(begun.elapsed() < Duration::from_secs(12));
}

#[tokio::test]
async fn much_output_is_bounded_and_counted() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let mut run = exec("echo begin; head -c 200000000 /dev/zero; echo end");
    run.output = LiveOutput::new(1000);
    let ending = timeout(LONG, session.exec(run)).await.unwrap();
    assert_eq!((ending.end, ending.stdout.total), (End::Exited(0), 200_000_010));
    let kept = ending.stdout.bytes;
    assert!(kept.len() <= 1000 && kept.starts_with(b"begin\n") && kept.ends_with(b"end\n"));
}

#[tokio::test]
async fn a_flood_without_end_stalls_nobody_and_can_be_stopped() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let flood = exec("cat /dev/zero");
    let stop = flood.cancel.clone();
    let flood = tokio::spawn(session.exec(flood));
    for number in 0..5 {
        let ending = timeout(LONG, session.exec(exec(&format!("echo {number}")))).await.unwrap();
        assert_eq!(stdout(&ending), format!("{number}\n"));
    }
    stop.cancel();
    let ending = timeout(LONG, flood).await.unwrap().unwrap();
    assert_eq!((ending.end, ending.kill.unwrap().gone), (End::Cancelled, Some(true)));
    assert!(ending.stdout.bytes.len() <= 262_144 && ending.stdout.truncated());
}

#[tokio::test]
async fn a_command_that_reads_nothing_of_much_input_still_ends() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let mut run = exec("exit 2");
    run.stdin = Some(vec![b'x'; 8 << 20].into());
    assert_eq!(timeout(LONG, session.exec(run)).await.unwrap().end, End::Exited(2));
    let mut run = exec("cat");
    run.stdin = Some(vec![b'y'; 8 << 20].into());
    assert_eq!(timeout(LONG, session.exec(run)).await.unwrap().stdout.total, 8 << 20);
}

#[tokio::test]
async fn a_connection_that_is_cut_ends_its_runs_at_once_with_what_they_said() {
    let mut sshd = Sshd::start();
    let connected = connect(&sshd).await;
    let session = Arc::clone(&connected.session);
    let mut run = exec("cat; echo said; sleep 300");
    run.stdin = Some("".into());
    run.timeout = None;
    let marker = sshd.dir().join("up");
    run.work = Work::Command(format!("echo said; touch {}; sleep 300", marker.display()));
    let id = run.run.clone();
    let running = tokio::spawn(session.exec(run));
    let up = tokio::task::spawn_blocking(move || {
        (0..1000).any(|_| {
            marker.exists() || {
                pause();
                false
            }
        })
    });
    assert!(up.await.unwrap());
    sshd.kill();
    let ending = timeout(LONG, running).await.unwrap().unwrap();
    let End::ConnectionLost(cause) = &ending.end else { panic!("{:?}", ending.end) };
    assert_eq!(*cause, format!("127.0.0.1:{} closed it", sshd.port()));
    assert_eq!(stdout(&ending), "said\n");
    assert!(ending.started_at.is_some() && ending.kill.is_none());
    timeout(Duration::from_millis(100), session.lost()).await.expect("it is lost already");
    let ending = session.exec(exec("true")).await;
    assert!(matches!(ending.end, End::ConnectionLost(_)) && ending.started_at.is_none(), "{ending:?}");
    // Nothing could kill it: the test does.
    let _ = Command::new("/bin/sh")
        .args(["-c", &format!("kill $(grep -lsz 'ALF_RUN_ID={id}' /proc/[0-9]*/environ | cut -d/ -f3)")])
        .status();
}

#[tokio::test]
async fn an_idle_connection_that_is_cut_is_noticed() {
    let sshd = Sshd::start();
    let connected = connect(&sshd).await;
    // Only when it has run something are all processes of sshd there.
    assert_eq!(connected.session.exec(exec("true")).await.end, End::Exited(0));
    let lost = tokio::spawn(connected.session.lost());
    sshd.cut_connections();
    timeout(Duration::from_secs(5), lost).await.expect("noticed within seconds").unwrap();
}

#[tokio::test]
async fn a_host_that_hangs_is_noticed_by_its_silence() {
    let sshd = Sshd::start();
    let mut limits = limits();
    limits.keepalive_interval = Duration::from_millis(300);
    limits.keepalive_max = 2;
    let session = connect_with(limits, target(&sshd)).await.unwrap().session;
    assert_eq!(session.exec(exec("sleep 2")).await.end, End::Exited(0), "a quiet command is no silence");
    let running = tokio::spawn(session.exec(exec("sleep 5")));
    let lost = tokio::spawn(session.lost());
    sshd.freeze();
    let ending = timeout(Duration::from_secs(5), running).await.unwrap().unwrap();
    let silent = format!("127.0.0.1:{} was silent for 900ms", sshd.port());
    assert_eq!(ending.end, End::ConnectionLost(silent.clone()));
    assert_eq!(timeout(Duration::from_secs(5), lost).await.unwrap().unwrap(), silent);
    sshd.thaw();
}

#[tokio::test]
async fn a_closed_connection_is_gone_from_the_host() {
    let sshd = Sshd::start();
    let connected = connect(&sshd).await;
    assert_eq!(connected.session.exec(exec("true")).await.end, End::Exited(0));
    timeout(LONG, connected.session.close()).await.unwrap();
    timeout(LONG, connected.session.lost()).await.unwrap();
    let log = tokio::task::spawn_blocking(move || {
        (0..1000).any(|_| {
            sshd.log().contains("Received disconnect") || {
                pause();
                false
            }
        })
    });
    assert!(log.await.unwrap(), "sshd was told goodbye");
}
