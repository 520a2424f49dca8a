//! What becomes of connections: jump hosts, idle ones, crowded ones, and what was left behind when one was lost.

use std::time::Duration;

use super::support::{Alf, World, name, seconds, verdict};
use crate::actors::handle::{If, Order, What};
use crate::model::{HostState, Noun, Outcome, Reason, Rights, RunId, State};
use crate::ssh::Begun;
use crate::ssh::fake::{FakeConnect, FakeExec};

/// The task `check` on two hosts behind `bastion`, due by nothing.
const BEHIND: &str = r#"{"hosts": [{"name": "bastion"}, {"name": "in1", "jump": "bastion"}, {"name": "in2", "jump": "in1"}],
    "tasks": [{"name": "check", "command": "check"}],
    "host_tasks": [{"name": "all", "task": "check", "selector": "*"}]}"#;

#[actix_rt::test]
async fn a_chain_of_jump_hosts_uses_the_connections_that_are_there() {
    let alf = Alf::with(BEHIND).await;
    let result = alf.run_to_end("in2", "check").await;
    assert_eq!(result.outcome, Outcome::Ok);
    for host in ["bastion", "in1", "in2"] {
        alf.run_to_end(host, "check").await;
        assert_eq!(alf.hosts().connects(host), 1, "{host}");
    }
    let through = |host| alf.hosts().targets(host)[0].via.is_some();
    assert_eq!(["bastion", "in1", "in2"].map(through), [false, true, true]);
    alf.end().await;
}

#[actix_rt::test]
async fn a_host_behind_one_that_is_down_is_unreachable_and_back_as_soon_as_that_one_is() {
    let alf = Alf::with(BEHIND).await;
    for _ in 0..8 {
        alf.hosts().on_connect("bastion", FakeConnect::unreachable("bastion does not answer"));
    }
    let run = alf.run("in1", "check").await.unwrap();
    let state = |alf: &Alf, host: &str| alf.handle.host_status(&name(host)).and_then(|status| status.state);
    alf.until(|alf| state(alf, "in1") == Some(HostState::Unreachable)).await;
    assert_eq!(state(&alf, "bastion"), Some(HostState::Down));
    let told = alf.handle.host_status(&name("in1")).unwrap();
    assert_eq!(told.reason, Some(Reason::Unreachable));
    assert_eq!(told.message.as_deref(), Some("its jump host \"bastion\" is down: bastion does not answer"));
    assert_eq!(alf.handle.summary(&Rights::all()).hosts_unreachable, 1);
    alf.until(|alf| state(alf, "bastion") == Some(HostState::Up)).await;
    let up = alf.now();
    let result = alf.handle.wait(run, seconds(600)).await.unwrap().unwrap();
    assert_eq!(result.outcome, Outcome::Ok);
    assert!(result.finished_at.get() - up < chrono::TimeDelta::seconds(1), "it does not wait out its own pause");
    assert_eq!((state(&alf, "in1"), alf.hosts().connects("in1")), (Some(HostState::Up), 1));
    alf.end().await;
}

#[actix_rt::test]
async fn an_idle_connection_is_closed_unless_it_is_used_soon_or_leads_on() {
    let mut world = World::new();
    world.idle_timeout = Some(seconds(600));
    let alf = world.start().await;
    alf.define(BEHIND).await;
    alf.define(
        r#"{"hosts": [{"name": "busy"}], "task_schedules": [{"name": "often", "task": "check", "cron": "*/10 * * * *", "host": "busy"}]}"#,
    )
    .await;
    alf.run_to_end("busy", "check").await;
    alf.run_to_end("in1", "check").await;
    // The host behind the bastion is used all the time; the bastion itself only by that.
    for _ in 0..10 {
        tokio::time::sleep(seconds(300)).await;
        alf.run_to_end("in1", "check").await;
    }
    assert_eq!((alf.hosts().open("bastion"), alf.hosts().open("in1"), alf.hosts().open("busy")), (1, 1, 1));
    alf.until(|alf| alf.hosts().open("in1") == 0).await;
    alf.until(|alf| alf.hosts().open("bastion") == 0).await;
    let up = alf.handle.host_status(&name("in1")).unwrap();
    assert_eq!(up.state, Some(HostState::Up), "closed as idle is not down");
    assert_eq!((alf.hosts().open("busy"), alf.hosts().connects("busy")), (1, 1));
    alf.run_to_end("in1", "check").await;
    assert_eq!((alf.hosts().connects("in1"), alf.hosts().connects("bastion")), (2, 2));
    alf.end().await;
}

#[actix_rt::test]
async fn long_runs_do_not_keep_the_others_out() {
    let alf = Alf::with(
        r#"{"hosts": [{"name": "web1", "max_sessions": 2}],
            "tasks": [{"name": "long", "command": "long"}, {"name": "check", "command": "check"}],
            "host_tasks": [{"task": "long", "host": "web1"}, {"task": "check", "host": "web1"}]}"#,
    )
    .await;
    alf.hosts().on_command("long", FakeExec::exit(0).after(seconds(3000)));
    let long = alf.run("web1", "long").await.unwrap();
    alf.until(|alf| alf.hosts().running("web1") == 1).await;
    let result = alf.run_to_end("web1", "check").await;
    let late = result.lateness_ms().unwrap();
    assert!((55_000..65_000).contains(&late), "it waits until the other one is a long one: {late}");
    assert_eq!(alf.hosts().connects("web1"), 2);
    let result = alf.run_to_end("web1", "check").await;
    assert!(result.lateness_ms().unwrap() < 1000);
    assert_eq!((alf.hosts().connects("web1"), alf.hosts().open("web1")), (2, 2));
    alf.until(|alf| alf.hosts().open("web1") == 1).await;
    assert_eq!(alf.hosts().running("web1"), 1, "the second one goes, the long run stays");
    assert_eq!(alf.handle.wait(long, seconds(3600)).await.unwrap().unwrap().outcome, Outcome::Ok);
    alf.end().await;
}

#[actix_rt::test]
async fn what_a_lost_connection_left_behind_is_looked_for_before_anything_else_starts() {
    let alf = Alf::with(super::support::UNSCHEDULED).await;
    alf.hosts().on_exec("web1", FakeExec::hang());
    let run = alf.run("web1", "check").await.unwrap();
    alf.until(|alf| alf.hosts().running("web1") == 1).await;
    alf.hosts().cut("web1", "pulled the plug");
    let result = alf.handle.wait(run, seconds(60)).await.unwrap().unwrap();
    assert_eq!((result.reason, result.kill), (Some(Reason::ConnectionLost), None));
    // Nothing is due, and yet it is not left there.
    alf.until(|alf| alf.hosts().swept("web1").len() == 1).await;
    assert_eq!(alf.hosts().swept("web1")[0].run, run.to_string());
    alf.settle().await;
    let kill = alf.handle.result(run).await.unwrap().unwrap().kill.unwrap();
    assert_eq!((kill.gone, kill.detail.as_str()), (Some(true), "looked for after the next login: scripted"));
    alf.hosts().cut("web1", "again");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!((alf.hosts().swept("web1").len(), alf.hosts().connects("web1")), (1, 2), "once is enough");
    alf.end().await;
}

#[actix_rt::test]
async fn what_a_crash_cut_off_is_looked_for_at_the_first_login_and_its_task_waits_for_that() {
    let alf = Alf::with(
        r#"{"hosts": [{"name": "web1"}, {"name": "off"}],
            "tasks": [{"name": "check", "command": "check", "run_as": "deploy", "kill_grace": "20s"},
                {"name": "both", "command": "both", "overlap": "allow"}, {"name": "other", "command": "other"}],
            "host_tasks": [{"name": "all", "task": "check", "selector": "*"}, {"task": "both", "host": "web1"},
                {"task": "other", "host": "web1"}]}"#,
    )
    .await;
    for host in ["web1", "web1", "web1", "off"] {
        alf.hosts().on_exec(host, FakeExec::hang());
    }
    let check = alf.run("web1", "check").await.unwrap();
    let both = alf.run("web1", "both").await.unwrap();
    let ad_hoc = alf.handle.ad_hoc(serde_json::from_str(r#"{"command": "x"}"#).unwrap()).unwrap();
    let ad_hoc = alf.handle.start(name("web1"), What::AdHoc(ad_hoc), Order::default()).await.unwrap();
    let off = alf.run("off", "check").await.unwrap();
    alf.until(|alf| alf.hosts().running("web1") == 3 && alf.hosts().running("off") == 1).await;
    alf.put(Noun::Host, r#"{"name": "off", "enabled": false}"#, If::Exists).await.unwrap();
    alf.put(Noun::Task, r#"{"name": "both", "command": "two", "overlap": "allow"}"#, If::Exists).await.unwrap();
    let world = alf.crash().await;
    assert_eq!(world.hosts.swept("web1").len(), 0);
    world.hosts.sweep_takes("web1", seconds(30));
    let alf = world.start().await;
    // Nothing is due, and yet it is not left there.
    alf.until(|alf| alf.hosts().swept("web1").len() == 3).await;
    let swept = alf.hosts().swept("web1");
    let of = |run: RunId| swept.iter().find(|left| left.run == run.to_string()).unwrap();
    assert_eq!(of(check).run_as.as_ref().map(|run_as| run_as.user.as_str()), Some("deploy"));
    assert_eq!((of(check).kill_grace, of(check).leader, of(check).begun), (seconds(20), None, Begun::Perhaps));
    assert_eq!(of(both).begun, Begun::PerhapsAsAnother, "the task is another one by now");
    assert_eq!(of(ad_hoc).begun, Begun::PerhapsAsAnother);
    let mut again = Vec::new();
    for task in ["other", "both", "check"] {
        again.push(alf.run("web1", task).await.unwrap());
    }
    let mut late = Vec::new();
    for run in again {
        let result = alf.handle.wait(run, seconds(100)).await.unwrap().unwrap();
        assert_eq!(result.outcome, Outcome::Ok, "{}", result.message);
        late.push(result.lateness_ms().unwrap() / 1000);
    }
    assert_eq!(late, [9, 9, 29], "others do not wait for long, and whoever may overlap does not wait for itself");
    for run in [check, both, ad_hoc] {
        let result = alf.handle.result(run).await.unwrap().unwrap();
        let kill = result.kill.unwrap();
        assert_eq!((result.reason, kill.gone), (Some(Reason::Aborted), Some(true)));
        assert_eq!(kill.detail, "looked for after the next login: scripted");
    }
    tokio::time::sleep(seconds(3600)).await;
    assert_eq!(alf.hosts().connects("off"), 1, "a host that is switched off is left in peace");
    alf.put(Noun::Host, r#"{"name": "off"}"#, If::Exists).await.unwrap();
    alf.run_to_end("off", "check").await;
    assert_eq!(alf.hosts().swept("off")[0].run, off.to_string());
    let alf = alf.end().await.start().await;
    tokio::time::sleep(seconds(3600)).await;
    assert_eq!((alf.hosts().swept("web1").len(), alf.hosts().swept("off").len()), (3, 1), "once is enough");
    alf.end().await;
}

#[actix_rt::test]
async fn what_is_not_ended_in_time_keeps_its_task_from_running_for_as_long_as_a_run_may_wait() {
    let alf = Alf::with(
        r#"{"hosts": [{"name": "web1"}], "tasks": [{"name": "check", "command": "check", "start_within": "20s"}],
            "host_tasks": [{"task": "check", "host": "web1"}]}"#,
    )
    .await;
    alf.hosts().on_exec("web1", FakeExec::hang()).sweep_takes("web1", seconds(100));
    alf.run("web1", "check").await.unwrap();
    alf.until(|alf| alf.hosts().running("web1") == 1).await;
    alf.hosts().cut("web1", "pulled the plug");
    alf.until(|alf| alf.hosts().swept("web1").len() == 1).await;
    let result = alf.run_to_end("web1", "check").await;
    assert_eq!((result.outcome, result.reason), (Outcome::Skipped, Some(Reason::Late)));
    let message =
        "waited for the end of what an earlier run had left behind: it did not come within start_within (20s)";
    assert_eq!(result.message, message);
    tokio::time::sleep(seconds(100)).await;
    let result = alf.run_to_end("web1", "check").await;
    assert_eq!((result.outcome, result.lateness_ms()), (Outcome::Ok, Some(0)));
    alf.end().await;
}

#[actix_rt::test]
async fn a_host_that_gives_no_session_is_a_problem_and_one_whose_sessions_we_have_makes_late() {
    let alf = Alf::with(
        r#"{"hosts": [{"name": "web1", "max_sessions": 2}],
            "tasks": [{"name": "long", "command": "long"}, {"name": "check", "command": "check", "start_within": "30s"}],
            "host_tasks": [{"task": "long", "host": "web1"}, {"task": "check", "host": "web1"}]}"#,
    )
    .await;
    alf.hosts().on_command("long", FakeExec::hang()).on_session("web1", Some("web1:22 gives no session"));
    // One of them asks for a session, the other waits for its turn to do so.
    let long = alf.run("web1", "long").await.unwrap();
    for _ in 0..2 {
        let result = alf.run_to_end("web1", "check").await;
        assert_eq!(verdict(&result), (Outcome::Problem, Some(State::Unknown), Some(Reason::Refused)));
        assert_eq!(result.message, "sshd of web1 refused: web1:22 gives no session");
    }
    let host = alf.handle.host_status(&name("web1")).unwrap();
    assert_eq!(host.state, Some(HostState::Up));
    let result = alf.handle.wait(long, seconds(600)).await.unwrap().unwrap();
    assert_eq!(result.reason, Some(Reason::Refused));
    alf.hosts().on_session("web1", None);
    alf.run("web1", "long").await.unwrap();
    let result = alf.run_to_end("web1", "check").await;
    assert_eq!((result.outcome, result.reason), (Outcome::Skipped, Some(Reason::Late)));
    assert_eq!(result.message, "did not get a session of the host within start_within (30s)");
    alf.end().await;
}

#[actix_rt::test]
async fn a_kill_that_got_no_answer_is_looked_after_on_the_same_connection() {
    let alf = Alf::with(
        r#"{"hosts": [{"name": "web1"}], "tasks": [{"name": "check", "command": "check", "timeout": "5s"}],
            "host_tasks": [{"task": "check", "host": "web1"}]}"#,
    )
    .await;
    alf.hosts().on_exec("web1", FakeExec::hang().kill_finds(None));
    let result = alf.run_to_end("web1", "check").await;
    assert_eq!((result.reason, result.kill.unwrap().gone), (Some(Reason::Timeout), None));
    alf.until(|alf| alf.hosts().swept("web1").len() == 1).await;
    alf.settle().await;
    let kill = alf.handle.result(result.id).await.unwrap().unwrap().kill.unwrap();
    assert_eq!((kill.gone, alf.hosts().connects("web1")), (Some(true), 1));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(alf.hosts().swept("web1").len(), 1, "once is enough");
    alf.end().await;
}
