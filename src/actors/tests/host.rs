//! Connections: when they are tried, what becomes of runs that wait for them, keys, permits.

use std::time::Duration;

use super::support::{Alf, UNSCHEDULED, World, name, one, seconds, verdict};
use crate::actors::handle::If;
use crate::model::{HostState, Noun, Outcome, PublicKey, Reason, State};
use crate::ssh::fake::{FakeConnect, FakeExec};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

fn key() -> PublicKey {
    KEY.parse().unwrap()
}

/// When each connect of a host was tried, in seconds from now, until there were so many.
async fn tries(alf: &Alf, host: &str, count: usize) -> Vec<f64> {
    let begin = alf.now();
    let mut tries = Vec::new();
    while tries.len() < count {
        for _ in tries.len()..alf.hosts().connects(host) {
            tries.push((alf.now() - begin).num_milliseconds() as f64 / 1000.0);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tries
}

#[actix_rt::test]
async fn a_host_that_is_down_is_tried_with_growing_pauses_and_its_runs_wait() {
    let alf = Alf::with(UNSCHEDULED).await;
    for _ in 0..9 {
        alf.hosts().on_connect("web1", FakeConnect::unreachable("web1 refused the connection"));
    }
    let run = alf.run("web1", "check").await.unwrap();
    let tries = tries(&alf, "web1", 9).await;
    let down = alf.handle.host_status(&name("web1")).unwrap();
    assert_eq!((down.state, down.reason, down.attempt), (Some(HostState::Down), Some(Reason::Unreachable), 9));
    assert_eq!(down.message.as_deref(), Some("web1 refused the connection"));
    for (pause, expected) in
        tries.windows(2).map(|two| two[1] - two[0]).zip([1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0])
    {
        assert!((expected * 0.8 - 0.02..=expected * 1.2 + 0.02).contains(&pause), "{pause} s for {expected}");
    }
    let row = alf.handle.open_run(run).await.unwrap();
    assert_eq!(row.started_at, None, "it waits");
    let result = alf.handle.wait(run, seconds(60)).await.unwrap().unwrap();
    assert_eq!(verdict(&result), (Outcome::Ok, Some(State::Ok), None));
    assert!(result.lateness_ms().unwrap() > 60_000);
    let up = alf.handle.host_status(&name("web1")).unwrap();
    assert_eq!((up.state, up.reason, up.attempt, up.message), (Some(HostState::Up), None, 0, None));
    assert_eq!((alf.hosts().connects("web1"), alf.hosts().open("web1")), (10, 1));
    alf.end().await;
}

#[actix_rt::test]
async fn nobody_connects_while_nothing_is_due() {
    let alf = Alf::with(UNSCHEDULED).await;
    tokio::time::sleep(seconds(3600)).await;
    assert_eq!(alf.hosts().connects("web1"), 0);
    assert_eq!(alf.handle.host_status(&name("web1")).unwrap().state, None);
    alf.run_to_end("web1", "check").await;
    alf.hosts().cut("web1", "pulled the plug");
    tokio::time::sleep(seconds(3600)).await;
    let down = alf.handle.host_status(&name("web1")).unwrap();
    assert_eq!((alf.hosts().connects("web1"), down.state), (1, Some(HostState::Down)));
    alf.run_to_end("web1", "check").await;
    assert_eq!(alf.hosts().connects("web1"), 2);
    alf.end().await;
}

#[actix_rt::test]
async fn unreachable_is_told_by_what_could_not_start_in_time() {
    cannot_start_in_time(
        FakeConnect::unreachable("no route to web1"),
        Reason::Unreachable,
        "no connection to web1: no route to web1",
    )
    .await;
}

#[actix_rt::test]
async fn a_wrong_key_is_told_by_what_could_not_start_in_time() {
    cannot_start_in_time(FakeConnect::host_key("not the key of web1"), Reason::HostKey, "not the key of web1").await;
}

#[actix_rt::test]
async fn a_refused_login_is_told_by_what_could_not_start_in_time() {
    cannot_start_in_time(
        FakeConnect::auth("web1 refused deploy"),
        Reason::Auth,
        "no connection to web1: web1 refused deploy",
    )
    .await;
}

async fn cannot_start_in_time(step: FakeConnect, reason: Reason, message: &str) {
    let alf = Alf::with(&one("0 12 * * *")).await;
    alf.run_to_end("web1", "check").await;
    alf.hosts().always("web1", FakeExec::exit(1));
    alf.run_to_end("web1", "check").await;
    let before = alf.status("web1", "check").unwrap();
    alf.hosts().cut("web1", "rebooted");
    for _ in 0..100 {
        alf.hosts().on_connect("web1", step.clone());
    }
    alf.until(|alf| alf.results("web1", "check").len() == 3).await;
    let result = alf.results("web1", "check").remove(2);
    assert_eq!(verdict(&result), (Outcome::Problem, Some(State::Unknown), Some(reason)));
    assert_eq!((result.message.as_str(), result.started_at), (message, None));
    let waited = result.finished_at.millis() - result.due_at.millis();
    assert!((600_000..601_000).contains(&waited), "start_within is 10 minutes: {waited}");
    let after = alf.status("web1", "check").unwrap();
    assert_eq!(after.last.iter().next().unwrap().id, result.id);
    assert_eq!(
        (after.state, after.outcome, after.hard, after.attempt, after.since),
        (before.state, before.outcome, before.hard, before.attempt, before.since),
        "a dead host says nothing of the task"
    );
    assert_eq!(before.state, Some(State::Critical));
    assert_eq!(alf.handle.host_status(&name("web1")).unwrap().reason, Some(reason));
    alf.end().await;
}

#[actix_rt::test]
async fn refused_logins_are_tried_three_times_in_ten_minutes() {
    let alf = Alf::with(&one("* * * * *")).await;
    for _ in 0..20 {
        alf.hosts().on_connect("web1", FakeConnect::auth("no"));
    }
    alf.until(|alf| alf.hosts().connects("web1") == 1).await;
    tokio::time::sleep(seconds(590)).await;
    assert_eq!(alf.hosts().connects("web1"), 3);
    tokio::time::sleep(seconds(600)).await;
    assert_eq!(alf.hosts().connects("web1"), 6, "three more in the next ten");
    let reasons: Vec<_> = alf.results("web1", "check").iter().filter_map(|result| result.reason).collect();
    assert!(reasons.contains(&Reason::Auth) && reasons.contains(&Reason::Overlap), "{reasons:?}");
    // Another password is tried at once.
    alf.define(
        r#"{"credentials": [{"name": "new", "password": "right"}], "hosts": [{"name": "web1", "credential": "new"}]}"#,
    )
    .await;
    let before = alf.hosts().connects("web1");
    tokio::time::sleep(seconds(2)).await;
    assert!(alf.hosts().connects("web1") > before);
    alf.end().await;
}

#[actix_rt::test]
async fn a_connection_lost_ends_its_runs_and_is_made_again() {
    let alf = Alf::with(&one("*/5 * * * *")).await;
    alf.run_to_end("web1", "check").await;
    let before = alf.status("web1", "check").unwrap();
    alf.hosts().on_exec("web1", FakeExec::hang());
    alf.until(|alf| alf.hosts().running("web1") == 1).await;
    alf.hosts().cut("web1", "connection reset by peer");
    alf.until(|alf| alf.results("web1", "check").len() == 2).await;
    let result = alf.results("web1", "check").remove(1);
    assert_eq!(verdict(&result), (Outcome::Problem, Some(State::Unknown), Some(Reason::ConnectionLost)));
    assert_eq!(result.message, "the connection to web1 was lost: connection reset by peer");
    assert!(result.started_at.is_some());
    let after = alf.status("web1", "check").unwrap();
    assert_eq!((after.state, after.since), (before.state, before.since));
    assert_eq!(alf.handle.host_status(&name("web1")).unwrap().state, Some(HostState::Down));
    tokio::time::sleep(seconds(300)).await;
    let next = alf.results("web1", "check").remove(2);
    assert_eq!(verdict(&next), (Outcome::Ok, Some(State::Ok), None));
    assert_eq!(alf.hosts().connects("web1"), 2, "one login more");
    assert_eq!(alf.handle.host_status(&name("web1")).unwrap().state, Some(HostState::Up));
    alf.end().await;
}

#[actix_rt::test]
async fn a_run_that_was_never_sent_waits_for_the_next_connection() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.run_to_end("web1", "check").await;
    alf.hosts().cut("web1", "rebooted");
    let result = alf.run_to_end("web1", "check").await;
    assert_eq!(verdict(&result), (Outcome::Ok, Some(State::Ok), None), "{}", result.message);
    assert_eq!((alf.hosts().connects("web1"), alf.hosts().execs("web1").len()), (2, 2));
    alf.end().await;
}

#[actix_rt::test]
async fn a_hung_connect_stops_no_other_host() {
    let alf = Alf::with(
        r#"{"hosts": [{"name": "web1"}, {"name": "web2"}],
            "tasks": [{"name": "check", "command": "check", "start_within": "30s"}],
            "host_tasks": [{"name": "all", "task": "check", "selector": "*"}],
            "task_schedules": [{"name": "often", "task": "check", "cron": "* * * * *"}]}"#,
    )
    .await;
    alf.hosts().on_connect("web1", FakeConnect::hang());
    tokio::time::sleep(seconds(300)).await;
    let good = alf.results("web2", "check");
    assert_eq!(good.len(), 5);
    assert!(good.iter().all(|result| result.reason.is_none() && result.lateness_ms().unwrap() < 10));
    let hung = alf.results("web1", "check");
    assert!(hung.iter().all(|result| result.reason == Some(Reason::Unreachable)), "{hung:?}");
    assert_eq!(hung[0].message, "no connection to web1 yet");
    assert_eq!(alf.health(&["node", "web1"]).await.details["connection"], "connecting");
    // Not for ever either.
    tokio::time::sleep(seconds(700)).await;
    assert_eq!(alf.results("web1", "check").last().unwrap().reason, None);
    alf.end().await;
}

#[actix_rt::test]
async fn a_learnt_key_is_pinned_before_it_is_used() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.hosts().on_connect("web1", FakeConnect::learns(key()));
    alf.run("web1", "check").await.unwrap();
    alf.store().delay_commits(Duration::from_millis(500));
    alf.until(|alf| alf.hosts().open("web1") == 1).await;
    alf.until(|alf| !alf.hosts().execs("web1").is_empty() || alf.store().host_key("web1").is_some()).await;
    assert!(alf.store().host_key("web1").is_some(), "used before it was on disk");
    alf.store().delay_commits(Duration::ZERO);
    alf.settle().await;
    assert!(alf.hosts().targets("web1")[0].keys.is_empty());
    assert_eq!(alf.handle.learned_keys(&alf.handle.catalog().hosts[&name("web1")]), [key()]);
    let world = alf.end().await;

    let alf = world.start().await;
    alf.run_to_end("web1", "check").await;
    assert_eq!(alf.hosts().targets("web1")[1].keys, [key()], "given at the next connect, after a restart too");
    let elsewhere = r#"{"name": "web1", "address": "web1.example.org"}"#;
    alf.put(Noun::Host, elsewhere, If::None).await.unwrap();
    alf.run_to_end("web1", "check").await;
    let target = alf.hosts().targets("web1").remove(2);
    assert_eq!((target.address.as_str(), target.keys.len()), ("web1.example.org", 0), "another machine's key");
    assert!(alf.handle.learned_keys(&alf.handle.catalog().hosts[&name("web1")]).is_empty());
    alf.end().await;
}

#[actix_rt::test]
async fn a_key_that_cannot_be_pinned_is_not_used() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.hosts().on_connect("web1", FakeConnect::learns(key()).after(seconds(1)));
    let run = alf.run("web1", "check").await.unwrap();
    alf.store().fail_commits(Some(crate::store::StoreError::Unavailable("disk full".to_owned())));
    tokio::time::sleep(seconds(60)).await;
    assert!(alf.hosts().execs("web1").is_empty());
    alf.store().fail_commits(None);
    let result = alf.handle.wait(run, seconds(60)).await.unwrap().unwrap();
    assert_eq!((result.reason, alf.hosts().connects("web1")), (None, 1));
    assert_eq!(alf.store().host_key("web1").unwrap().keys, [key()]);
    alf.end().await;
}

#[actix_rt::test]
async fn half_of_the_sessions_are_used_at_first_and_the_last_one_never() {
    let tasks: Vec<String> = (0..60).map(|n| format!(r#"{{"name": "t{n:02}", "command": "c{n:02}"}}"#)).collect();
    let lines: Vec<String> =
        (0..60).map(|n| format!(r#"{{"name": "s{n:02}", "task": "t{n:02}", "cron": "0 11 * * *"}}"#)).collect();
    let links: Vec<String> = (0..60).map(|n| format!(r#"{{"task": "t{n:02}", "host": "web1"}}"#)).collect();
    let (tasks, lines, links) = (tasks.join(","), lines.join(","), links.join(","));
    let alf = Alf::with(&format!(
        r#"{{"hosts": [{{"name": "web1", "max_sessions": 10}}], "tasks": [{tasks}], "host_tasks": [{links}],
            "task_schedules": [{lines}]}}"#
    ))
    .await;
    for n in 0..60 {
        alf.hosts().on_command(&format!("c{n:02}"), FakeExec::exit(0).stdout(format!("I am {n}\n")).after(seconds(2)));
    }
    alf.until(|alf| alf.hosts().running("web1") == 5).await;
    alf.settle().await;
    let host = alf.health(&["node", "web1"]).await;
    assert_eq!(
        (host.queue, host.details["runs"].as_str(), &host.details["connection_1"][..28]),
        (55, "60", "5 of 5 sessions in use, 0 by")
    );
    assert_eq!(host.details["queue_01"].split(' ').next(), Some("t05"), "who is next");
    let stats = alf.handle.stats();
    assert_eq!((stats.running, stats.queued), (5, 55));
    tokio::time::sleep(seconds(60)).await;
    assert_eq!((alf.hosts().most_running("web1"), alf.hosts().connects("web1")), (9, 1));
    for n in 0..60 {
        let results = alf.results("web1", &format!("t{n:02}"));
        assert_eq!(results.len(), 1);
        assert_eq!((results[0].reason, results[0].message.as_str()), (None, format!("I am {n}").as_str()));
    }
    alf.end().await;
}

#[actix_rt::test]
async fn the_node_has_a_bound_of_its_own() {
    let mut world = World::new();
    world.max_in_flight = 3;
    let alf = world.start().await;
    let hosts: Vec<String> = (0..10).map(|n| format!(r#"{{"name": "web{n}"}}"#)).collect();
    alf.define(&format!(
        r#"{{"hosts": [{}], "tasks": [{{"name": "check", "command": "check", "start_within": "5s"}}],
            "host_tasks": [{{"name": "all", "task": "check", "selector": "*"}}],
            "task_schedules": [{{"name": "often", "task": "check", "cron": "0 11 * * *"}}]}}"#,
        hosts.join(",")
    ))
    .await;
    alf.hosts().on_command("check", FakeExec::exit(0).after(seconds(2)));
    let busy = |alf: &Alf| (0..10).map(|n| alf.hosts().running(&format!("web{n}"))).sum::<usize>();
    alf.until(|alf| busy(alf) == 3).await;
    for _ in 0..100 {
        assert!(busy(&alf) <= 3);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let results: Vec<_> = (0..10).flat_map(|n| alf.results(&format!("web{n}"), "check")).collect();
    let late: Vec<_> = results.iter().filter(|result| result.reason == Some(Reason::Late)).collect();
    assert_eq!((results.len(), late.len()), (10, 1), "three each 2 s, within 5 s");
    assert_eq!(verdict(late[0]), (Outcome::Skipped, None, Some(Reason::Late)));
    assert_eq!(late[0].message, "did not get a place on the node within start_within (5s)");
    alf.end().await;
}

#[actix_rt::test]
async fn another_address_leaves_what_runs_alone() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.hosts().always("web1", FakeExec::exit(0).after(seconds(30)));
    let first = alf.run("web1", "check").await.unwrap();
    alf.until(|alf| alf.hosts().running("web1") == 1).await;
    alf.put(Noun::Host, r#"{"name": "web1", "address": "10.0.0.7"}"#, If::None).await.unwrap();
    let result = alf.handle.wait(first, seconds(60)).await.unwrap().unwrap();
    assert_eq!(result.reason, None, "{}", result.message);
    alf.settle().await;
    alf.run_to_end("web1", "check").await;
    assert_eq!(alf.hosts().targets("web1").last().unwrap().address, "10.0.0.7");
    assert_eq!(alf.hosts().open("web1"), 1, "the old connection is closed");
    alf.end().await;
}

#[actix_rt::test]
async fn the_end_of_an_old_connection_says_nothing_of_the_new_one() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.define(r#"{"tasks": [{"name": "once", "command": "once"}]}"#).await;
    alf.hosts().on_command("check", FakeExec::exit(0).after(seconds(30)));
    let first = alf.run("web1", "check").await.unwrap();
    alf.until(|alf| alf.hosts().running("web1") == 1).await;
    alf.put(Noun::Host, r#"{"name": "web1", "port": 2222}"#, If::None).await.unwrap();
    alf.settle().await;
    alf.run_to_end("web1", "once").await;
    assert_eq!((alf.hosts().connects("web1"), alf.hosts().open("web1")), (2, 2));
    alf.handle.wait(first, seconds(60)).await.unwrap().unwrap();
    alf.settle().await;
    assert_eq!(alf.hosts().open("web1"), 1);
    assert_eq!(alf.handle.host_status(&name("web1")).unwrap().state, Some(HostState::Up));
    alf.run_to_end("web1", "once").await;
    assert_eq!(alf.hosts().connects("web1"), 2);
    alf.end().await;
}

#[actix_rt::test]
async fn a_change_during_a_connect_starts_it_over() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.hosts().on_connect("web1", FakeConnect::learns(key()).after(seconds(5)));
    let run = alf.run("web1", "check").await.unwrap();
    alf.until(|alf| alf.hosts().connects("web1") == 1).await;
    alf.put(Noun::Host, r#"{"name": "web1", "port": 2222}"#, If::None).await.unwrap();
    let result = alf.handle.wait(run, seconds(60)).await.unwrap().unwrap();
    assert_eq!(result.reason, None);
    tokio::time::sleep(seconds(10)).await;
    assert_eq!(alf.hosts().targets("web1")[1].port, 2222);
    assert_eq!(alf.store().host_key("web1"), None, "what the given up connect learnt does not count");
    assert_eq!(alf.hosts().open("web1"), 1);
    alf.end().await;
}
