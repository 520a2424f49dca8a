//! Ending runs and what is left of them, over connections to a real sshd.

use std::process::Command;
use std::time::Duration;

use alf::ssh::{Begun, End, Exec, Leftover};
use tokio::time::{Instant, timeout};

use crate::ssh_exec::script;
use crate::support::ssh::{connect, exec, stdout};
use crate::support::sshd::{Options, Sshd, pause};

/// Long enough for anything that works.
const LONG: Duration = Duration::from_secs(30);

/// The processes that carry the run's marker.
pub(crate) fn marked(run: &str) -> Vec<u32> {
    let find = format!("grep -lszxF 'ALF_RUN_ID={run}' /proc/[0-9]*/environ | cut -d/ -f3");
    let out = Command::new("/bin/sh").args(["-c", &find]).output().unwrap().stdout;
    String::from_utf8(out).unwrap().lines().map(|pid| pid.parse().unwrap()).collect()
}

/// Waits, at most ten seconds, until so many processes carry the marker.
pub(crate) async fn until_marked(run: &str, wanted: impl Fn(usize) -> bool + Send + 'static) {
    let run = run.to_owned();
    let look = move || {
        (0..1000).any(|_| {
            wanted(marked(&run).len()) || {
                pause();
                false
            }
        })
    };
    assert!(tokio::task::spawn_blocking(look).await.unwrap(), "waited in vain for the run's processes");
}

fn end(run: &str) {
    let pids = marked(run).into_iter().map(|pid| pid.to_string());
    let _ = Command::new("kill").arg("-KILL").args(pids).status();
}

#[tokio::test]
async fn a_host_with_one_session_still_gets_its_runs_killed() {
    let sshd = Sshd::start_with(&Options { max_sessions: Some(1), ..Options::default() });
    let session = connect(&sshd).await.session;
    for mut run in [exec("sleep 300 & setsid sleep 300 & wait"), script(&["sh"], "sleep 300 & wait", &[])] {
        run.timeout = Some(Duration::from_millis(300));
        let id = run.run.clone();
        let ending = timeout(LONG, session.exec(run)).await.unwrap();
        let kill = ending.kill.unwrap();
        assert_eq!((ending.end, kill.gone), (End::TimedOut, Some(true)), "{}", kill.detail);
        assert!(marked(&id).is_empty());
    }
    assert_eq!(stdout(&session.exec(exec("echo ok")).await), "ok\n");
    assert_eq!(sshd.logins(), 3, "one of its own for each kill");
    let closed = tokio::task::spawn_blocking(move || {
        (0..1000).any(|_| {
            sshd.log().matches("Received disconnect").count() == 2 || {
                pause();
                false
            }
        })
    });
    assert!(closed.await.unwrap(), "connections made for a kill are closed");
}

#[tokio::test]
async fn places_taken_by_others_do_not_hold_a_kill_up() {
    let sshd = Sshd::start_with(&Options { max_sessions: Some(3), ..Options::default() });
    let session = connect(&sshd).await.session;
    let runs: Vec<Exec> = (0..3).map(|_| exec("sleep 300")).collect();
    let stops: Vec<_> = runs.iter().map(|run| run.cancel.clone()).collect();
    let ids: Vec<String> = runs.iter().map(|run| run.run.clone()).collect();
    let mut running: Vec<_> = runs.into_iter().map(|run| tokio::spawn(session.exec(run))).collect();
    for id in &ids {
        until_marked(id, |count| count > 0).await;
    }
    stops[0].cancel();
    let ending = timeout(LONG, running.remove(0)).await.unwrap().unwrap();
    assert_eq!((ending.end, ending.kill.unwrap().gone), (End::Cancelled, Some(true)));
    for (stop, running) in stops.iter().skip(1).zip(running) {
        stop.cancel();
        assert_eq!(timeout(LONG, running).await.unwrap().unwrap().kill.unwrap().gone, Some(true));
    }
}

#[tokio::test]
async fn a_host_that_gives_no_session_is_told_from_one_whose_sessions_are_taken() {
    let sshd = Sshd::start_with(&Options { max_sessions: Some(1), ..Options::default() });
    let session = connect(&sshd).await.session;
    let run = exec("sleep 300");
    let (id, stop) = (run.run.clone(), run.cancel.clone());
    let running = tokio::spawn(session.exec(run));
    until_marked(&id, |count| count > 0).await;
    let soon = || Some(Instant::now() + Duration::from_secs(1));
    let ending = session.exec(Exec { start_by: soon(), ..exec("true") }).await;
    assert!(matches!(ending.end, End::NoPlace(_)), "{ending:?}");
    assert!(session.refused() > 0);
    assert_eq!(session.refusal(), None, "the place is taken by a run of ours");
    stop.cancel();
    timeout(LONG, running).await.unwrap().unwrap();

    let sshd = Sshd::start_with(&Options { max_sessions: Some(0), ..Options::default() });
    let session = connect(&sshd).await.session;
    assert_eq!(session.refusal(), None, "not asked yet");
    let ending = session.exec(Exec { start_by: soon(), ..exec("true") }).await;
    assert!(matches!(ending.end, End::NoPlace(_)), "{ending:?}");
    let refusal = session.refusal().unwrap();
    let begins = format!("127.0.0.1:{} gives no session although Alf has none open there (it answered \"", sshd.port());
    assert!(refusal.starts_with(&begins) && refusal.ends_with("; see MaxSessions in its sshd_config"), "{refusal}");
}

#[tokio::test]
async fn a_second_connection_is_held_to_the_same_key() {
    let mut sshd = Sshd::start_with(&Options { max_sessions: Some(1), ..Options::default() });
    let session = connect(&sshd).await.session;
    let run = exec("sleep 300");
    let (id, stop) = (run.run.clone(), run.cancel.clone());
    let running = tokio::spawn(session.exec(run));
    until_marked(&id, |count| count > 0).await;
    // The connection lives on in its own process; who asks for a new one meets another host.
    sshd.replace_listener_with_new_host_key();
    stop.cancel();
    let ending = timeout(LONG, running).await.unwrap().unwrap();
    let kill = ending.kill.unwrap();
    assert_ne!(kill.gone, Some(true));
    assert!(kill.detail.contains("key"), "{}", kill.detail);
    end(&id);
}

/// Starts a run, cuts its connection when so many of its processes are there, and sweeps over a new one.
async fn swept(
    run: Exec,
    processes: usize,
    tell_leader: bool,
    before: impl Fn(&str),
) -> (String, alf::ssh::KillReport) {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let id = run.run.clone();
    let running = tokio::spawn(session.exec(run));
    until_marked(&id, move |count| count == processes).await;
    sshd.cut_connections();
    let ending = timeout(LONG, running).await.unwrap().unwrap();
    assert!(matches!(ending.end, End::ConnectionLost(_)), "{ending:?}");
    before(&id);
    let leader = ending.leader.filter(|_| tell_leader);
    let leftover =
        Leftover { run: id.clone(), leader, run_as: None, kill_grace: Duration::from_secs(1), begun: Begun::Surely };
    let report = timeout(LONG, connect(&sshd).await.session.sweep(leftover)).await.unwrap();
    (id, report)
}

#[tokio::test]
async fn what_is_left_of_a_run_that_goes_on_is_ended() {
    let command = "sleep 300 & setsid sleep 300 >/dev/null 2>&1 </dev/null & wait";
    let mut by_header = exec(command);
    by_header.stdin = Some("".into());
    for (run, tell) in [(exec(command), false), (by_header.clone(), true), (Exec { run: uuid(), ..by_header }, false)] {
        let (id, report) = swept(run, 3, tell, |_| {}).await;
        assert_eq!(report.gone, Some(true), "{}", report.detail);
        assert!(report.detail.starts_with('3') || report.detail.starts_with('4'), "{}", report.detail);
        assert!(marked(&id).is_empty());
    }
}

fn uuid() -> String {
    uuid::Uuid::now_v7().to_string()
}

#[tokio::test]
async fn a_service_that_an_ended_run_has_started_stays() {
    // The run's first process is ended by the test, as if it had come to its end after the connection was lost.
    let command = "setsid sleep 300 >/dev/null 2>&1 </dev/null & sleep 301; :";
    let mut by_header = exec(command);
    by_header.stdin = Some("".into());
    for (run, tell) in [(exec(command), false), (by_header.clone(), true), (Exec { run: uuid(), ..by_header }, false)] {
        let (id, report) = swept(run, 3, tell, |id| {
            let service = |pid: &u32| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                line.starts_with(b"sleep\x00300\x00")
            };
            let others = marked(id).into_iter().filter(|pid| !service(pid)).map(|pid| pid.to_string());
            assert!(Command::new("kill").arg("-KILL").args(others).status().unwrap().success());
            while marked(id).len() > 1 {
                pause();
            }
        })
        .await;
        assert_eq!((report.gone, &*report.detail), (Some(true), "the run had ended by itself"));
        assert_eq!(marked(&id).len(), 1, "the service lives on");
        end(&id);
    }
}

#[tokio::test]
async fn a_run_that_never_was_there_harms_nobody() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    for leader in [None, Some(1), Some(std::process::id())] {
        let leftover = Leftover { run: uuid(), leader, run_as: None, kill_grace: Duration::ZERO, begun: Begun::Surely };
        let report = timeout(LONG, session.sweep(leftover.clone())).await.unwrap();
        assert_eq!((report.gone, &*report.detail), (Some(true), "the run had ended by itself"));
        // Of a run that Alf has crashed under less is known.
        for (begun, gone, words) in [
            (Begun::Perhaps, Some(true), "or never begun"),
            (Begun::PerhapsAsAnother, None, "whom the run was done as is not known any more"),
        ] {
            let report = timeout(LONG, session.sweep(Leftover { begun, ..leftover.clone() })).await.unwrap();
            assert_eq!(report.gone, gone, "{}", report.detail);
            assert!(report.detail.contains(words), "{}", report.detail);
        }
    }
}
