//! Deaths: who dies is built anew and counted, and no run of anybody else is lost.

use std::time::Duration;

use chrono::TimeDelta;

use super::support::{Alf, UNSCHEDULED, name, one, seconds, told, verdict};
use crate::actors::host::CrashTask;
use crate::actors::node::FindHost;
use crate::actors::supervision::Crash;
use crate::model::{Outcome, Reason, Rights, State};
use crate::ssh::fake::FakeExec;

const SECOND: TimeDelta = TimeDelta::seconds(1);

/// Two hosts with a short task each second and a long one each five minutes.
const BUSY: &str = r#"{"hosts": [{"name": "web1"}, {"name": "web2"}],
    "tasks": [{"name": "check", "command": "check"}, {"name": "long", "command": "long"}],
    "host_tasks": [{"name": "c", "task": "check", "selector": "*"}, {"name": "l", "task": "long", "selector": "*"}],
    "schedules": [{"name": "often", "cron": "@every 1s", "splay": "0s"}, {"name": "rarely", "cron": "@every 5m", "splay": "0s"}],
    "task_schedules": [{"task": "check", "schedule": "often"}, {"task": "long", "schedule": "rarely"}]}"#;

async fn busy() -> Alf {
    let alf = Alf::with(BUSY).await;
    alf.hosts().on_command("long", FakeExec::exit(0).stdout("done").after(seconds(30)));
    let begun = |alf: &Alf, host| alf.hosts().execs(host).iter().any(|exec| exec.text() == "long");
    alf.until(|alf| begun(alf, "web1") && begun(alf, "web2")).await;
    tokio::time::sleep(Duration::from_millis(1700)).await;
    alf
}

async fn crash_task(alf: &Alf, host: &str, task: &str) {
    let host = alf.handle.node().get().send(FindHost(name(host))).await.unwrap().unwrap();
    host.send(CrashTask(name(task))).await.unwrap();
}

async fn crash_host(alf: &Alf, host: &str) {
    let host = alf.handle.node().get().send(FindHost(name(host))).await.unwrap().unwrap();
    assert!(host.send(Crash).await.is_err());
}

/// Every second of the short task has its one Result.
fn all_told(alf: &Alf) {
    for host in ["web1", "web2"] {
        told(&alf.results(host, "check"), SECOND, alf.now());
    }
}

#[actix_rt::test]
async fn a_task_actor_that_panics_loses_no_run() {
    let alf = busy().await;
    for _ in 0..3 {
        crash_task(&alf, "web1", "check").await;
        tokio::time::sleep(seconds(3)).await;
    }
    crash_task(&alf, "web1", "long").await;
    alf.settle().await;
    let dead = alf.health(&["node", "web1", "long"]).await;
    assert_eq!(
        (dead.state.as_str(), dead.last_error.as_deref()),
        ("restarting", Some("it panicked; the log has the place"))
    );
    tokio::time::sleep(seconds(60)).await;
    let long = alf.results("web1", "long");
    assert_eq!(long.iter().map(|result| result.message.as_str()).collect::<Vec<_>>(), ["done"], "its run went on");
    assert_eq!(alf.status("web1", "long").unwrap().last.iter().count(), 1);
    all_told(&alf);
    let health = alf.health(&["node", "web1"]).await;
    let restarts: Vec<_> = health.children.iter().map(|task| (task.name.as_str(), task.restarts)).collect();
    assert_eq!((health.restarts, restarts), (0, vec![("check", 3), ("long", 1)]));
    assert_eq!(alf.hosts().connects("web1"), 1);
    alf.end().await;
}

#[actix_rt::test]
async fn the_end_of_a_run_is_not_lost_with_the_actor_it_is_told_to() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.run_to_end("web1", "check").await;
    alf.hosts().on_command("check", FakeExec::exit(0).stdout("done").after(seconds(2)));
    let web1 = alf.handle.node().get().send(FindHost(name("web1"))).await.unwrap().unwrap();
    // The order to die comes at the moment of the end, just before the word of it: set first, this timer is up first.
    let end = tokio::time::Instant::now() + seconds(2);
    let death = actix_rt::spawn(async move {
        tokio::time::sleep_until(end).await;
        web1.do_send(CrashTask(name("check")));
    });
    tokio::task::yield_now().await;
    let run = alf.run("web1", "check").await.unwrap();
    death.await.unwrap();
    let result = alf.handle.wait(run, seconds(60)).await.unwrap().unwrap();
    assert_eq!((result.message.as_str(), result.reason), ("done", None));
    assert_eq!(alf.health(&["node", "web1", "check"]).await.restarts, 1);
    assert_eq!(alf.status("web1", "check").unwrap().last.iter().count(), 2);
    alf.end().await;
}

#[actix_rt::test]
async fn a_claim_in_flight_when_its_actor_dies_is_one_result() {
    let alf = Alf::with(&one("@every 10s")).await;
    alf.settle().await;
    alf.store().delay_commits(seconds(2));
    for n in 0..30 {
        // From before the claim to after its Result is stored, in steps of 300 ms.
        let next = alf.status("web1", "check").unwrap().next_run_at.unwrap().get();
        let moment = next + TimeDelta::milliseconds(n * 300 - 500);
        tokio::time::sleep((moment - alf.now()).to_std().unwrap()).await;
        crash_task(&alf, "web1", "check").await;
        tokio::time::sleep(seconds(63)).await;
    }
    alf.store().delay_commits(Duration::ZERO);
    tokio::time::sleep(seconds(10)).await;
    told(&alf.results("web1", "check"), TimeDelta::seconds(10), alf.now());
    assert_eq!(alf.health(&["node", "web1", "check"]).await.restarts, 30);
    alf.end().await;
}

#[actix_rt::test]
async fn a_host_actor_that_panics_aborts_its_own_runs_and_no_others() {
    let alf = busy().await;
    crash_host(&alf, "web1").await;
    let dead = alf.health(&["node", "web1"]).await;
    assert_eq!((dead.state.as_str(), dead.restarts), ("restarting", 1));
    tokio::time::sleep(seconds(60)).await;
    let cut_off = alf.results("web1", "long");
    assert_eq!(cut_off.len(), 1);
    assert_eq!(verdict(&cut_off[0]), (Outcome::Problem, Some(State::Unknown), Some(Reason::Aborted)));
    assert_eq!(alf.results("web2", "long")[0].message, "done");
    all_told(&alf);
    let (web1, web2) = (alf.health(&["node", "web1"]).await, alf.health(&["node", "web2"]).await);
    assert_eq!((web1.restarts, web1.state.as_str(), web2.restarts), (1, "up", 0));
    assert_eq!(web1.last_error.as_deref(), Some("it panicked; the log has the place"));
    assert_eq!((alf.hosts().connects("web1"), alf.hosts().connects("web2")), (2, 1));
    assert_eq!(alf.hosts().open("web1"), 1, "the connection of the dead one is closed");
    alf.end().await;
}

#[actix_rt::test]
async fn a_run_without_link_is_aborted_with_its_host_actor() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.define(r#"{"tasks": [{"name": "once", "command": "once"}]}"#).await;
    alf.hosts().on_command("once", FakeExec::hang());
    let run = alf.run("web1", "once").await.unwrap();
    alf.until(|alf| alf.hosts().running("web1") == 1).await;
    crash_host(&alf, "web1").await;
    let result = alf.handle.wait(run, seconds(10)).await.unwrap().unwrap();
    assert_eq!((result.reason, alf.store().pair("web1", "once")), (Some(Reason::Aborted), None));
    alf.end().await;
}

#[actix_rt::test]
async fn a_node_actor_that_panics_comes_back_with_all_its_hosts() {
    let alf = busy().await;
    assert!(alf.handle.node().get().send(Crash).await.is_err());
    assert_eq!(alf.handle.health(&Rights::all()).await.children[2].state, "restarting");
    tokio::time::sleep(seconds(60)).await;
    all_told(&alf);
    for host in ["web1", "web2"] {
        let cut_off = alf.results(host, "long");
        assert_eq!(cut_off.iter().map(|result| result.reason).collect::<Vec<_>>(), [Some(Reason::Aborted)], "{host}");
        assert_eq!(alf.hosts().open(host), 1);
    }
    let node = alf.health(&["node"]).await;
    assert_eq!((node.restarts, node.children.len()), (1, 2));
    assert_eq!(node.last_error.as_deref(), Some("it panicked; the log has the place"));
    // A change that was made while nobody listened counts too.
    assert!(alf.handle.node().get().send(Crash).await.is_err());
    alf.define(r#"{"hosts": [{"name": "web3"}]}"#).await;
    alf.delete(crate::model::Noun::Host, "web2", false).await.unwrap();
    tokio::time::sleep(seconds(5)).await;
    let node = alf.health(&["node"]).await;
    let hosts: Vec<_> = node.children.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(hosts, ["web1", "web3"]);
    assert!(alf.store().pair("web2", "check").is_none());
    assert!(alf.results("web3", "check").len() >= 2);
    alf.end().await;
}

#[actix_rt::test]
async fn results_in_flight_when_the_store_actor_dies_are_stored_once() {
    let alf = busy().await;
    alf.store().delay_commits(Duration::from_millis(300));
    for n in 0..10 {
        if n % 2 == 0 {
            assert!(alf.handle.store_actor.get().send(Crash).await.is_err());
        } else {
            alf.store().panic_next_commit();
        }
        tokio::time::sleep(Duration::from_millis(7300)).await;
    }
    alf.store().delay_commits(Duration::ZERO);
    // The pause before its next life is half a minute by now.
    tokio::time::sleep(seconds(60)).await;
    all_told(&alf);
    assert_eq!(alf.results("web1", "long")[0].message, "done");
    let saved = alf.store().saved();
    let mut ids: Vec<_> = saved.iter().map(|result| result.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), saved.len());
    assert!(alf.store().counters().saved_again > 0, "commits whose answer was lost were repeated");
    assert_eq!(alf.store().counters().taken, 0);
    let store = alf.health(&["store"]).await;
    assert!((8..=10).contains(&store.restarts), "one that is dead dies no second time: {}", store.restarts);
    assert_eq!((store.state.as_str(), store.queue), ("up", 0));
    assert_eq!(alf.health(&["node", "web1"]).await.restarts, 0);
    alf.end().await;
}

#[actix_rt::test]
async fn a_catalog_actor_that_panics_comes_back_with_all_definitions() {
    let alf = Alf::with(&one("@every 10s")).await;
    assert!(alf.handle.catalog.get().send(Crash).await.is_err());
    let refused = alf.handle.delete(
        crate::model::Reference { noun: crate::model::Noun::Host, name: name("web1") },
        crate::actors::handle::If::None,
        false,
        Rights::all(),
    );
    assert_eq!(refused.await.unwrap_err().to_string(), "the part of Alf that does this is being restarted");
    tokio::time::sleep(seconds(1)).await;
    alf.define(r#"{"hosts": [{"name": "web2"}]}"#).await;
    assert!(alf.handle.catalog().hosts.contains_key(&name("web1")));
    assert_eq!(alf.health(&["catalog"]).await.restarts, 1);
    tokio::time::sleep(seconds(30)).await;
    assert_eq!(alf.results("web1", "check").len(), 3);
    alf.end().await;
}

#[actix_rt::test]
async fn a_panic_within_a_run_is_the_runs_own() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.hosts().on_exec("web1", FakeExec::panics());
    let result = alf.run_to_end("web1", "check").await;
    assert_eq!(verdict(&result), (Outcome::Problem, Some(State::Unknown), Some(Reason::Aborted)));
    assert_eq!(result.message, "Alf failed in the middle of the run");
    assert_eq!(alf.run_to_end("web1", "check").await.reason, None);
    assert_eq!(alf.health(&["node", "web1"]).await.restarts, 0);
    assert_eq!((alf.hosts().connects("web1"), alf.hosts().running("web1")), (1, 0));
    alf.end().await;
}

#[actix_rt::test]
async fn who_dies_again_and_again_is_built_anew_ever_more_slowly() {
    let alf = Alf::with(&one("@every 1s")).await;
    let mut pauses = Vec::new();
    for _ in 0..7 {
        alf.until(|alf| alf.status("web1", "check").unwrap().next_run_at.is_some()).await;
        crash_task(&alf, "web1", "check").await;
        alf.settle().await;
        let died = alf.now();
        while alf.health(&["node", "web1", "check"]).await.state == "restarting" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        pauses.push((alf.now() - died).num_milliseconds());
    }
    assert!(pauses.windows(2).all(|two| two[1] > two[0]), "{pauses:?}");
    assert!((6300..6500).contains(&pauses[6]), "{pauses:?}");
    tokio::time::sleep(seconds(20)).await;
    told(&alf.results("web1", "check"), SECOND, alf.now());
    alf.end().await;
}

#[actix_rt::test]
async fn deaths_during_the_end_do_not_keep_it_from_ending() {
    let alf = busy().await;
    let handle = alf.handle.clone();
    let deaths = async move {
        tokio::time::sleep(seconds(1)).await;
        assert!(handle.node().get().send(Crash).await.is_err());
        drop(handle);
    };
    let (world, ()) = tokio::join!(alf.end(), deaths);
    for host in ["web1", "web2"] {
        assert_eq!(world.store.results_of(host, "long")[0].reason, Some(Reason::Aborted));
    }
    let fired_last = world.store.saved().iter().map(|result| result.scheduled_at.get()).max().unwrap();
    assert!(world.clock.now() - fired_last > TimeDelta::seconds(60), "no life of an actor fires while Alf stops");
}
