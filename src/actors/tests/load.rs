//! Load: nobody's start is held up by a slow host, by a full node, or by what was missed; `max_running`.

use std::time::Duration;

use chrono::TimeDelta;

use super::support::{Alf, World, name, seconds, start, told, verdict};
use crate::actors::handle::If;
use crate::model::{Noun, Outcome, Reason, RunResult, Trigger};
use crate::ssh::fake::{FakeConnect, FakeExec};

const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// Hosts of these names, the task `check` with these fields on all of them, by this line.
fn fleet(hosts: &[String], fields: &str, cron: &str) -> String {
    let hosts: Vec<String> = hosts.iter().map(|host| format!(r#"{{"name": "{host}", "max_sessions": 30}}"#)).collect();
    format!(
        r#"{{"hosts": [{}], "tasks": [{{"name": "check", "command": "check", {fields}}}],
            "host_tasks": [{{"name": "all", "task": "check", "selector": "*"}}],
            "schedules": [{{"name": "often", "cron": "{cron}", "splay": "0s"}}],
            "task_schedules": [{{"name": "often", "task": "check", "schedule": "often"}}]}}"#,
        hosts.join(",")
    )
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n:03}")).collect()
}

fn busy(alf: &Alf, hosts: &[String]) -> usize {
    hosts.iter().map(|host| alf.hosts().running(host)).sum()
}

fn results(alf: &Alf, hosts: &[String]) -> Vec<RunResult> {
    hosts.iter().flat_map(|host| alf.results(host, "check")).collect()
}

fn limited(fields: &str) -> String {
    format!(r#"{{"name": "check", "command": "check", {fields}}}"#)
}

#[actix_rt::test]
async fn a_task_runs_on_so_many_hosts_at_once_and_the_others_wait_their_turn() {
    let hosts = names("web", 6);
    let alf = Alf::with(&fleet(&hosts, r#""max_running": 2, "start_within": "15s""#, "0 11 * * *")).await;
    alf.hosts().on_command("check", FakeExec::exit(0).after(seconds(10)));
    alf.until(|alf| busy(alf, &hosts) == 2).await;
    for _ in 0..200 {
        assert!(busy(&alf, &hosts) <= 2);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    alf.settle().await;
    let results = results(&alf, &hosts);
    let late: Vec<_> = results.iter().filter(|result| result.reason.is_some()).collect();
    assert_eq!((results.len(), late.len()), (6, 2), "two each 10 s, within 15 s");
    assert_eq!(verdict(late[0]), (Outcome::Skipped, None, Some(Reason::Late)));
    assert_eq!(late[0].message, "did not get its turn among max_running (2) within start_within (15s)");
    alf.end().await;
}

#[actix_rt::test]
async fn who_waits_goes_in_the_order_in_which_they_were_due() {
    let hosts = names("web", 4);
    let alf = Alf::with(&fleet(&hosts, r#""max_running": 1"#, "0 0 1 1 *")).await;
    alf.hosts().on_command("check", FakeExec::exit(0).after(seconds(10)));
    for host in ["web002", "web000", "web003", "web001"] {
        alf.run(host, "check").await.unwrap();
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    let queued = alf.run("web001", "check").await;
    assert!(queued.is_err(), "one that waits its turn is a run of its pair as any other: {queued:?}");
    tokio::time::sleep(seconds(60)).await;
    let mut all = results(&alf, &hosts);
    all.sort_by_key(|result| result.started_at);
    let order: Vec<&str> = all.iter().map(|result| result.host.as_str()).collect();
    assert_eq!(order, ["web002", "web000", "web003", "web001"]);
    assert!(all.windows(2).all(|two| two[0].finished_at <= two[1].started_at.unwrap()));
    alf.end().await;
}

#[actix_rt::test]
async fn another_max_running_counts_for_those_that_wait() {
    let hosts = names("web", 9);
    let alf = Alf::with(&fleet(&hosts, r#""max_running": 1, "start_within": "1h""#, "0 11 * * *")).await;
    alf.hosts().on_command("check", FakeExec::exit(0).after(seconds(60)));
    alf.until(|alf| busy(alf, &hosts) == 1).await;
    alf.put(Noun::Task, &limited(r#""max_running": 3, "start_within": "1h""#), If::Exists).await.unwrap();
    alf.settle().await;
    assert_eq!(busy(&alf, &hosts), 3, "raised");
    alf.put(Noun::Task, &limited(r#""max_running": 1, "start_within": "1h""#), If::Exists).await.unwrap();
    tokio::time::sleep(seconds(30)).await;
    assert_eq!(busy(&alf, &hosts), 3, "what runs goes on");
    tokio::time::sleep(seconds(31)).await;
    assert_eq!(busy(&alf, &hosts), 1, "lowered");
    alf.put(Noun::Task, &limited(r#""start_within": "1h""#), If::Exists).await.unwrap();
    alf.settle().await;
    assert_eq!(busy(&alf, &hosts), 6, "without it all go at once");
    tokio::time::sleep(seconds(61)).await;
    assert!(results(&alf, &hosts).iter().all(|result| result.outcome == Outcome::Ok));
    assert_eq!(results(&alf, &hosts).len(), 9);
    alf.end().await;
}

#[actix_rt::test]
async fn a_dead_host_takes_nobodys_turn() {
    let hosts = names("web", 4);
    let alf = Alf::with(&fleet(&hosts, r#""max_running": 1, "start_within": "60s""#, "0 11 * * *")).await;
    alf.hosts().on_command("check", FakeExec::exit(0).after(seconds(5)));
    alf.hosts().on_connect("web000", FakeConnect::hang());
    alf.until(|alf| busy(alf, &hosts) == 1).await;
    tokio::time::sleep(seconds(16)).await;
    let ran = results(&alf, &hosts[1..]);
    assert_eq!((ran.len(), ran.iter().all(|result| result.outcome == Outcome::Ok)), (3, true));
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(results(&alf, &hosts[..1])[0].reason, Some(Reason::Unreachable));
    alf.end().await;
}

#[actix_rt::test]
async fn a_cancelled_run_leaves_its_place_in_the_line() {
    let hosts = names("web", 3);
    let alf = Alf::with(&fleet(&hosts, r#""max_running": 1"#, "0 0 1 1 *")).await;
    alf.hosts().on_command("check", FakeExec::exit(0).after(seconds(10)));
    let mut runs = Vec::new();
    for host in &hosts {
        runs.push(alf.run(host, "check").await.unwrap());
        alf.settle().await;
    }
    alf.handle.cancel(runs[1]).await.unwrap();
    tokio::time::sleep(seconds(21)).await;
    let reasons: Vec<_> = results(&alf, &hosts).iter().map(|result| result.reason).collect();
    assert_eq!(reasons, [None, Some(Reason::Cancelled), None]);
    alf.end().await;
}

#[actix_rt::test]
async fn slow_hosts_delay_nobody_elses_start() {
    // In the order of their names the slow ones come first.
    let (mute, stuck, well) = (names("a-mute", 60), names("b-stuck", 60), names("well", 20));
    let all: Vec<String> = [mute.clone(), stuck.clone(), well.clone()].concat();
    let alf = Alf::with(&fleet(&all, r#""timeout": "5m", "start_within": "2m""#, "@every 10s")).await;
    for host in &mute {
        for _ in 0..100 {
            alf.hosts().on_connect(host, FakeConnect::hang());
        }
    }
    for host in &stuck {
        alf.hosts().always(host, FakeExec::hang());
    }
    tokio::time::sleep(seconds(600)).await;
    let first = |result: &RunResult| result.scheduled_at.get() <= start() + TimeDelta::seconds(10);
    let well = results(&alf, &well);
    assert_eq!(well.len(), 20 * 60);
    for result in &well {
        let late = result.lateness_ms().unwrap();
        // At the very first all log in at once, and each that hangs keeps its place among them for 2 s.
        assert!(late <= if first(result) { 6000 } else { 20 }, "{late} ms late: {result:?}");
    }
    assert!(results(&alf, &stuck).iter().any(|result| result.reason == Some(Reason::Timeout)));
    alf.end_after(Duration::ZERO).await;
}

#[actix_rt::test]
async fn long_runs_take_the_node_from_nobody() {
    let mut world = World::new();
    world.max_in_flight = 8;
    let alf = world.start().await;
    let (stuck, well) = (names("a-stuck", 8), names("well", 4));
    alf.define(&fleet(&[stuck.clone(), well.clone()].concat(), r#""timeout": "none""#, "0 11 * * *")).await;
    for host in &stuck {
        alf.hosts().always(host, FakeExec::hang());
    }
    alf.until(|alf| busy(alf, &stuck) == 8).await;
    assert_eq!(results(&alf, &well).len(), 0, "the node is full");
    tokio::time::sleep(seconds(61)).await;
    let well = results(&alf, &well);
    assert_eq!((well.len(), busy(&alf, &stuck)), (4, 8), "what takes long counts apart after a minute");
    assert!(well.iter().all(|result| result.lateness_ms().unwrap() >= 59_000), "how late it was is told");
    alf.end_after(Duration::ZERO).await;
}

#[actix_rt::test]
async fn one_host_has_half_of_the_node_at_most() {
    let mut world = World::new();
    world.max_in_flight = 8;
    let alf = world.start().await;
    let hosts = names("web", 2);
    alf.define(&fleet(&hosts, r#""overlap": "allow", "timeout": "none", "start_within": "1h""#, "0 0 1 1 *")).await;
    alf.hosts().always("web000", FakeExec::hang());
    for _ in 0..12 {
        alf.run("web000", "check").await.unwrap();
    }
    alf.settle().await;
    assert_eq!(alf.hosts().running("web000"), 4);
    let other = alf.run_to_end("web001", "check").await;
    assert!(other.outcome == Outcome::Ok && other.lateness_ms() < Some(20), "{other:?}");
    alf.end_after(Duration::ZERO).await;
}

#[actix_rt::test]
async fn eight_hours_of_minutes_are_caught_up_with_in_turn() {
    let hosts = names("web", 200);
    let alf = Alf::with(&fleet(&hosts, r#""start_within": "10m""#, "* * * * *")).await;
    tokio::time::sleep(seconds(61)).await;
    let world = alf.end().await;
    tokio::time::sleep(seconds(8 * 3600 - 90)).await;
    world.store.delay_commits(Duration::from_millis(20));
    let begun = tokio::time::Instant::now();
    let alf = world.start().await;
    assert_eq!(alf.handle.ready().await, Vec::<String>::new());
    assert!(begun.elapsed() < Duration::from_millis(100), "ready at once");
    let mut most = 0;
    while results(&alf, &hosts).iter().filter(|result| result.trigger == Trigger::CatchUp).count() < 200 {
        most = most.max(alf.handle.writer.waiting());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(most < 100, "{most} commits waited for the store: the turns are no bound");
    assert!(begun.elapsed() < seconds(10), "{:?}", begun.elapsed());
    let back = alf.now();
    tokio::time::sleep(seconds(90)).await;
    for host in &hosts {
        let results = alf.results(host, "check");
        told(&results, MINUTE, alf.now());
        let folded: Vec<_> = results.iter().filter_map(|result| result.instants).collect();
        assert_eq!((folded.len(), folded[0].count > 460), (1, true), "{folded:?}");
        let after = results.iter().filter(|result| result.due_at.get() > back);
        assert!(after.clone().count() >= 1 && after.clone().all(|result| result.lateness_ms().unwrap() <= 100));
        assert_eq!(alf.handle.pair_status(&name(host), &name("check"), 1).unwrap().skipped_in_row, 0);
    }
    alf.end().await;
}
