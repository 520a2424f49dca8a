//! What follows from definitions: who runs what where, what a change disturbs, what a deletion takes along; and the end.

use std::time::Duration;

use super::support::{Alf, UNSCHEDULED, at, name, one, seconds, start, verdict};
use crate::actors::error::AlfError;
use crate::actors::handle::{If, Order};
use crate::app::Ended;
use crate::model::{Noun, Outcome, PairStatus, PublicKey, Reason, Rights, RunIds, State, Trigger};
use crate::ssh::fake::{FakeConnect, FakeExec};
use crate::store::{HostKeyRecord, OpenRun, Store as _, StoreError, Write};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

fn key() -> PublicKey {
    KEY.parse().unwrap()
}

fn pairs(alf: &Alf) -> Vec<(String, String)> {
    alf.handle.status().into_iter().map(|row| (row.host.to_string(), row.task.to_string())).collect()
}

fn pair(host: &str, task: &str) -> (String, String) {
    (host.to_owned(), task.to_owned())
}

#[actix_rt::test]
async fn a_selector_follows_the_hosts() {
    let alf = Alf::with(
        r#"{"hosts": [{"name": "db1", "labels": {"role": "db"}}, {"name": "web1", "labels": {"role": "web"}}],
            "tasks": [{"name": "check", "command": "check"}],
            "host_tasks": [{"name": "web", "task": "check", "selector": "role=web"}],
            "schedules": [{"name": "often", "cron": "@every 10s", "splay": "0s"}],
            "task_schedules": [{"task": "check", "schedule": "often"}]}"#,
    )
    .await;
    alf.settle().await;
    assert_eq!(pairs(&alf), [pair("web1", "check")]);
    alf.define(r#"{"hosts": [{"name": "web2", "labels": {"role": "web"}}]}"#).await;
    alf.settle().await;
    assert_eq!(pairs(&alf), [pair("web1", "check"), pair("web2", "check")]);
    tokio::time::sleep(seconds(30)).await;
    assert_eq!(alf.results("web2", "check").len(), 3);

    alf.define(r#"{"hosts": [{"name": "web2", "labels": {"role": "spare"}}]}"#).await;
    alf.settle().await;
    assert_eq!(pairs(&alf), [pair("web1", "check")]);
    assert!(alf.store().pair("web2", "check").is_none(), "what is kept of a pair goes with its link");
    alf.define(r#"{"host_tasks": [{"task": "check", "host": "web1", "enabled": false}]}"#).await;
    alf.settle().await;
    assert_eq!(pairs(&alf), [], "a link that names the host beats the selector");
    let before = (alf.results("web1", "check").len(), alf.results("web2", "check").len());
    tokio::time::sleep(seconds(60)).await;
    assert_eq!((alf.results("web1", "check").len(), alf.results("web2", "check").len()), before);

    alf.delete(Noun::HostTask, "check@web1", false).await.unwrap();
    alf.settle().await;
    assert_eq!(pairs(&alf), [pair("web1", "check")]);
    let row = alf.status("web1", "check").unwrap();
    assert_eq!((row.state, row.last.iter().count()), (None, 0), "a pair that is linked anew starts anew");
    tokio::time::sleep(seconds(10)).await;
    assert_eq!(alf.results("web1", "check").len(), before.0 + 1);
    alf.end().await;
}

#[actix_rt::test]
async fn the_link_that_counts_sets_the_timeout() {
    let alf = Alf::with(
        r#"{"hosts": [{"name": "web1"}], "tasks": [{"name": "check", "command": "check", "timeout": "1m"}],
            "host_tasks": [{"name": "b", "task": "check", "selector": "*", "timeout": "2m"},
                           {"name": "a", "task": "check", "selector": "*", "timeout": "3m"}]}"#,
    )
    .await;
    alf.settle().await;
    alf.run_to_end("web1", "check").await;
    alf.define(r#"{"host_tasks": [{"name": "z", "task": "check", "host": "web1", "timeout": "none"}]}"#).await;
    alf.settle().await;
    alf.run_to_end("web1", "check").await;
    let timeouts: Vec<_> = alf.hosts().execs("web1").into_iter().map(|exec| exec.timeout).collect();
    assert_eq!(timeouts, [Some(seconds(180)), None], "the first by name, then the one that names the host");
    alf.end().await;
}

#[actix_rt::test]
async fn a_change_of_one_host_disturbs_no_other() {
    let alf = Alf::with(
        r#"{"hosts": [{"name": "web1"}, {"name": "web2"}], "tasks": [{"name": "check", "command": "check"}],
            "host_tasks": [{"name": "all", "task": "check", "selector": "*"}],
            "task_schedules": [{"name": "often", "task": "check", "cron": "0 11 * * *"}]}"#,
    )
    .await;
    alf.hosts().on_command("check", FakeExec::exit(0).after(seconds(60)));
    alf.until(|alf| alf.hosts().running("web1") + alf.hosts().running("web2") == 2).await;
    for change in [
        r#"{"hosts": [{"name": "web1", "labels": {"a": "b"}, "max_sessions": 3, "port": 2222}]}"#,
        r#"{"hosts": [{"name": "web3"}]}"#,
        r#"{"tasks": [{"name": "other", "command": "x"}], "host_tasks": [{"task": "other", "host": "web1"}]}"#,
        r#"{"task_schedules": [{"name": "often", "task": "check", "cron": "0 23 * * *"}]}"#,
        r#"{"tasks": [{"name": "check", "command": "another"}]}"#,
        r#"{"hosts": [{"name": "web1", "enabled": false}]}"#,
    ] {
        alf.define(change).await;
        tokio::time::sleep(seconds(1)).await;
    }
    alf.delete(Noun::Host, "web3", false).await.unwrap();
    tokio::time::sleep(seconds(60)).await;
    for host in ["web1", "web2"] {
        let results = alf.results(host, "check");
        assert_eq!(results.iter().map(|result| result.reason).collect::<Vec<_>>(), [None], "{host} {results:?}");
        assert_eq!((results[0].task_version, alf.hosts().connects(host)), (Some(1), 1), "it is the run that began");
        assert_eq!(alf.health(&["node", host, "check"]).await.restarts, 0);
    }
    alf.end().await;
}

#[actix_rt::test]
async fn a_task_that_is_unlinked_while_it_runs_ends_in_its_result() {
    let alf = Alf::with(&one("0 11 * * *")).await;
    alf.hosts().on_command("check", FakeExec::exit(0).stdout("done").after(seconds(60)));
    alf.until(|alf| alf.hosts().running("web1") == 1).await;
    alf.delete(Noun::HostTask, "check@web1", false).await.unwrap();
    alf.settle().await;
    assert_eq!(pairs(&alf), []);
    assert_eq!(alf.handle.runs().await.unwrap().len(), 1, "it is still running");
    let kept = alf.store().pair("web1", "check").expect("a crash must find the run");
    assert_eq!(kept.open.len(), 1);
    tokio::time::sleep(seconds(60)).await;
    let results = alf.results("web1", "check");
    assert_eq!((results.len(), results[0].message.as_str(), results[0].reason), (1, "done", None));
    assert!(alf.store().pair("web1", "check").is_none(), "now it is forgotten");
    alf.end().await;
}

#[actix_rt::test]
async fn a_task_that_is_linked_again_while_it_runs_knows_its_run() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.hosts().on_command("check", FakeExec::exit(0).after(seconds(60)));
    let run = alf.run("web1", "check").await.unwrap();
    alf.until(|alf| alf.hosts().running("web1") == 1).await;
    alf.delete(Noun::HostTask, "check@web1", false).await.unwrap();
    alf.define(UNSCHEDULED).await;
    alf.settle().await;
    assert!(alf.status("web1", "check").unwrap().running);
    assert_eq!(alf.run("web1", "check").await, Err(AlfError::Overlap(run)));
    let result = alf.handle.wait(run, seconds(100)).await.unwrap().unwrap();
    assert_eq!((result.reason, alf.status("web1", "check").unwrap().last.iter().count()), (None, 1));
    alf.end().await;
}

#[actix_rt::test]
async fn a_task_without_link_runs_and_leaves_its_result_only() {
    let alf = Alf::with(
        r#"{"hosts": [{"name": "web1"}], "tasks": [{"name": "once", "command": "once", "overlap": "allow"}]}"#,
    )
    .await;
    alf.hosts().on_command("once", FakeExec::exit(7).after(seconds(5)));
    let (first, second) = (alf.run("web1", "once").await.unwrap(), alf.run("web1", "once").await.unwrap());
    for run in [first, second] {
        let result = alf.handle.wait(run, seconds(60)).await.unwrap().unwrap();
        assert_eq!(verdict(&result), (Outcome::Problem, Some(State::Critical), Some(Reason::ExitCode)));
        assert_eq!((result.trigger, result.exit_code), (Trigger::Manual, Some(7)));
    }
    assert_eq!((pairs(&alf), alf.store().pairs()), (Vec::new(), Vec::new()));
    // Cut off by a crash, it is told all the same.
    let third = alf.run("web1", "once").await.unwrap();
    let world = alf.crash().await;
    assert_eq!(world.store.pairs().len(), 1);
    let alf = world.start().await;
    alf.settle().await;
    assert_eq!(alf.handle.result(third).await.unwrap().unwrap().reason, Some(Reason::Aborted));
    assert_eq!(alf.store().pairs(), []);
    let not_there = alf.run("web9", "once").await.unwrap_err();
    assert_eq!(not_there.to_string(), "there is no host \"web9\"");
    assert_eq!(alf.run("web1", "never").await.unwrap_err().to_string(), "there is no task \"never\"");
    alf.end().await;
}

#[actix_rt::test]
async fn deleting_a_host_ends_its_runs_and_forgets_it() {
    let alf = Alf::with(&one("@every 10s")).await;
    alf.hosts().on_connect("web1", FakeConnect::learns(key()));
    alf.hosts().on_exec("web1", FakeExec::exit(0)).on_exec("web1", FakeExec::hang());
    alf.until(|alf| alf.hosts().running("web1") == 1 && alf.results("web1", "check").len() == 1).await;
    alf.define(r#"{"tasks": [{"name": "once", "command": "once"}]}"#).await;
    alf.hosts().on_command("once", FakeExec::hang());
    let unlinked = alf.run("web1", "once").await.unwrap();
    alf.until(|alf| alf.hosts().running("web1") == 2).await;
    assert!(alf.store().host_key("web1").is_some());
    let in_use = alf.delete(Noun::Host, "web1", false).await.unwrap_err();
    assert!(matches!(in_use, AlfError::InUse { .. }), "{in_use}");
    alf.delete(Noun::Host, "web1", true).await.unwrap();
    tokio::time::sleep(seconds(1)).await;
    let cut_off = alf.results("web1", "check").remove(1);
    assert_eq!(verdict(&cut_off), (Outcome::Problem, Some(State::Unknown), Some(Reason::Cancelled)));
    assert_eq!(cut_off.kill.as_ref().unwrap().gone, Some(true));
    assert_eq!(alf.handle.result(unlinked).await.unwrap().unwrap().reason, Some(Reason::Cancelled));
    assert_eq!((pairs(&alf), alf.handle.host_status(&name("web1"))), (Vec::new(), None));
    assert_eq!((alf.store().pairs(), alf.store().host_key("web1")), (Vec::new(), None));
    assert_eq!(alf.handle.summary(&Rights::all()), crate::model::StatusSummary::default());
    assert_eq!(alf.hosts().open("web1"), 0);
    assert!(alf.health(&["node"]).await.children.is_empty());
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(alf.results("web1", "check").len(), 2);
    alf.end().await;
}

#[actix_rt::test]
async fn a_host_that_is_made_again_at_once_is_a_new_one() {
    let alf = Alf::with(&one("@every 10s")).await;
    alf.hosts().on_connect("web1", FakeConnect::learns(key()));
    alf.hosts().on_exec("web1", FakeExec::hang());
    alf.until(|alf| alf.hosts().running("web1") == 1).await;
    alf.delete(Noun::Host, "web1", true).await.unwrap();
    alf.define(&one("@every 10s")).await;
    tokio::time::sleep(seconds(30)).await;
    let results = alf.results("web1", "check");
    let reasons: Vec<_> = results.iter().map(|result| result.reason).collect();
    assert_eq!(reasons, [Some(Reason::Cancelled), None, None, None]);
    assert_eq!(alf.status("web1", "check").unwrap().last.iter().count(), 3);
    assert!(alf.store().pair("web1", "check").unwrap().claimed_until.is_some(), "the new one's record stays");
    assert_eq!((alf.hosts().connects("web1"), alf.hosts().targets("web1")[1].keys.len()), (2, 0));
    alf.end().await;
}

#[actix_rt::test]
async fn a_host_that_is_made_again_waits_for_the_end_of_the_old_one() {
    let alf = Alf::with(&one("@every 10s")).await;
    alf.define(r#"{"tasks": [{"name": "once", "command": "once"}]}"#).await;
    tokio::time::sleep(seconds(11)).await;
    alf.hosts().on_command("once", FakeExec::hang().kill_takes(seconds(5)));
    let run = alf.run("web1", "once").await.unwrap();
    alf.until(|alf| alf.hosts().running("web1") == 1).await;
    alf.delete(Noun::Host, "web1", true).await.unwrap();
    alf.define(&one("@every 10s")).await;
    alf.settle().await;
    assert_eq!(pairs(&alf), [], "not yet");
    assert_eq!(
        alf.run("web1", "check").await,
        Err(AlfError::Unavailable("host \"web1\" is being restarted".to_owned()))
    );
    let cancelled = alf.handle.wait(run, seconds(60)).await.unwrap().unwrap();
    assert_eq!(cancelled.reason, Some(Reason::Cancelled));
    tokio::time::sleep(seconds(30)).await;
    assert!(alf.results("web1", "check").len() >= 3);
    assert!(alf.store().pair("web1", "check").unwrap().claimed_until.is_some(), "the new one's record stays");
    assert_eq!(pairs(&alf), [pair("web1", "check")]);
    assert!(alf.store().pair("web1", "once").is_none());
    alf.end().await;
}

#[actix_rt::test]
async fn a_run_that_waits_for_its_claim_is_nobodys_orphan() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.define(r#"{"tasks": [{"name": "once", "command": "once"}]}"#).await;
    alf.hosts().on_command("once", FakeExec::exit(0).stdout("done"));
    alf.store().delay_commits(seconds(1));
    let meanwhile = async {
        alf.settle().await;
        alf.delete(Noun::HostTask, "check@web1", false).await.unwrap();
    };
    let (run, ()) = tokio::join!(alf.run("web1", "once"), meanwhile);
    let result = alf.handle.wait(run.unwrap(), seconds(60)).await.unwrap().unwrap();
    assert_eq!((result.reason, result.message.as_str()), (None, "done"));
    alf.end().await;
}

#[actix_rt::test]
async fn a_run_that_waits_for_a_deleted_host_is_cancelled() {
    let alf = Alf::with(&one("@every 1h")).await;
    for _ in 0..100 {
        alf.hosts().on_connect("web1", FakeConnect::unreachable("down"));
    }
    alf.until(|alf| alf.hosts().connects("web1") == 3).await;
    alf.delete(Noun::Host, "web1", true).await.unwrap();
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(alf.results("web1", "check")[0].reason, Some(Reason::Cancelled));
    assert_eq!(alf.hosts().connects("web1"), 3, "nobody tries it any more");
    alf.end().await;
}

#[actix_rt::test]
async fn what_is_defined_no_more_is_settled_and_forgotten_at_the_start() {
    let world = Alf::with(UNSCHEDULED).await.end().await;
    let ids = RunIds::default();
    let open = |trigger| OpenRun {
        id: ids.next(start().into()),
        task_version: Some(1),
        schedule: None,
        trigger,
        by: None,
        group: None,
        cause: None,
        scheduled_at: start().into(),
        due_at: start().into(),
    };
    let claim = |host: &str, task: &str, until: Option<crate::model::Timestamp>| Write::Claim {
        host: name(host),
        task: Some(name(task)),
        until,
        open: open(if until.is_some() { Trigger::Schedule } else { Trigger::Manual }),
    };
    let kept = |host: &str| HostKeyRecord { host: name(host), address: host.to_owned(), port: 22, keys: vec![key()] };
    let writes = vec![
        claim("gone", "check", Some(start().into())),
        claim("web1", "gone", None),
        Write::Watch { host: name("web1"), task: name("unlinked"), until: start().into() },
        Write::Watch { host: name("web1"), task: name("check"), until: start().into() },
        Write::PinHostKey(kept("gone")),
        Write::PinHostKey(kept("web1")),
    ];
    world.store.commit(writes).await.unwrap();
    let alf = world.start().await;
    alf.settle().await;
    for (host, task) in [("gone", "check"), ("web1", "gone")] {
        let results = alf.results(host, task);
        assert_eq!((results.len(), results[0].reason), (1, Some(Reason::Aborted)));
    }
    let known = alf.store().pairs();
    assert_eq!(
        known.iter().map(|pair| pair.task.as_ref().unwrap().as_str()).collect::<Vec<_>>(),
        ["check"],
        "{known:?}"
    );
    assert_eq!((known[0].host.as_str(), &known[0].status), ("web1", &PairStatus::default()));
    assert!(alf.store().host_key("gone").is_none() && alf.store().host_key("web1").is_some());
    assert_eq!(pairs(&alf), [pair("web1", "check")]);
    alf.end().await;
}

#[actix_rt::test]
async fn runs_may_end_within_the_grace() {
    let alf = Alf::with(&one("@every 1s")).await;
    alf.hosts().always("web1", FakeExec::exit(0).stdout("done").after(seconds(5)));
    alf.until(|alf| alf.hosts().running("web1") == 1).await;
    let before = alf.now();
    let handle = alf.handle.clone();
    let refused = async move {
        tokio::time::sleep(seconds(2)).await;
        let answer = handle.run(name("web1"), name("check"), Order::default()).await;
        assert_eq!(answer, Err(AlfError::Unavailable("Alf is stopping".to_owned())));
    };
    let (world, ()) = tokio::join!(alf.end(), refused);
    let results = world.store.results_of("web1", "check");
    assert_eq!(results.len(), 1, "no instant fires while Alf stops: {results:?}");
    assert_eq!((results[0].message.as_str(), results[0].reason), ("done", None));
    assert!(results[0].finished_at.get() - before < chrono::TimeDelta::seconds(6));
}

#[actix_rt::test]
async fn what_takes_longer_than_the_grace_is_killed_and_recorded() {
    let alf = Alf::with(
        r#"{"hosts": [{"name": "down"}, {"name": "web1"}],
            "tasks": [{"name": "check", "command": "check"}, {"name": "once", "command": "once"}],
            "host_tasks": [{"name": "all", "task": "check", "selector": "*"}],
            "task_schedules": [{"name": "often", "task": "check", "cron": "0 11 * * *"}]}"#,
    )
    .await;
    for _ in 0..100 {
        alf.hosts().on_connect("down", FakeConnect::unreachable("down"));
    }
    alf.hosts().always("web1", FakeExec::hang());
    alf.until(|alf| alf.hosts().running("web1") == 1).await;
    let unlinked = alf.run("web1", "once").await.unwrap();
    let before = alf.now();
    let world = alf.end().await;
    let results = world.store.saved();
    assert_eq!(results.len(), 3);
    for result in &results {
        assert_eq!(verdict(result), (Outcome::Problem, Some(State::Unknown), Some(Reason::Aborted)));
        let after = result.finished_at.get() - before;
        assert!((10_000..11_000).contains(&after.num_milliseconds()), "after the grace: {after}");
    }
    let of = |host: &str| world.store.results_of(host, "check").remove(0);
    assert_eq!(of("web1").message, "ended because Alf stopped (scripted)");
    assert_eq!(of("down").message, "Alf stopped before it could start");
    assert_eq!(world.store.result(unlinked).await.unwrap().unwrap().kill.unwrap().gone, Some(true));
    assert_eq!(world.hosts.closed("web1"), 1, "and the host is told goodbye");
    // Nothing is left to be settled at the next start.
    let alf = world.start().await;
    alf.settle().await;
    assert_eq!(alf.store().saved().len(), 3);
    alf.end().await;
}

#[actix_rt::test]
async fn what_the_store_does_not_take_at_the_end_is_counted() {
    let alf = Alf::with(&one("@every 1h")).await;
    alf.hosts().always("web1", FakeExec::exit(0).after(seconds(5)));
    alf.until(|alf| alf.hosts().running("web1") == 1).await;
    alf.store().fail_commits(Some(StoreError::Unavailable("disk full".to_owned())));
    let (ended, world) = alf.end_after(seconds(10)).await;
    assert_eq!(ended, Ended::Lost(1));
    world.store.fail_commits(None);
    let alf = world.start().await;
    alf.settle().await;
    let results = alf.results("web1", "check");
    assert_eq!((results.len(), results[0].reason), (1, Some(Reason::Aborted)), "its claim tells of it");
    alf.end().await;
}

#[actix_rt::test]
async fn the_tree_of_actors_tells_how_they_stand() {
    let alf = Alf::with(
        r#"{"hosts": [{"name": "web1", "address": "10.0.0.1", "port": 2222}, {"name": "web2"}],
            "tasks": [{"name": "check", "command": "check"}, {"name": "idle", "command": "idle"}],
            "host_tasks": [{"task": "check", "host": "web1"}, {"task": "idle", "host": "web1"}],
            "task_schedules": [{"name": "hourly", "task": "check", "cron": "0 * * * *"}]}"#,
    )
    .await;
    alf.hosts().on_command("check", FakeExec::exit(0).after(seconds(60)));
    alf.until(|alf| alf.hosts().running("web1") == 1).await;
    let whole = alf.handle.health(&Rights::all()).await;
    assert_eq!((whole.kind.as_str(), whole.name.as_str(), whole.state.as_str()), ("alf", "here", "up"));
    let kinds: Vec<_> = whole.children.iter().map(|child| (child.kind.as_str(), child.state.as_str())).collect();
    assert_eq!(kinds, [("catalog", "up"), ("store", "up"), ("node", "up"), ("action", "up")]);
    let web1 = alf.health(&["node", "web1"]).await;
    let details = |key: &str| web1.details.get(key).map(String::as_str);
    assert_eq!((details("connection"), details("address")), (Some("connected"), Some("10.0.0.1:2222")));
    assert_eq!(
        (details("logins"), details("runs"), details("connection_1").map(|it| &it[..6])),
        (Some("1"), Some("1"), Some("1 of 5"))
    );
    assert_eq!((web1.queue, web1.restarts, web1.last_error.clone()), (0, 0, None));
    let tasks: Vec<_> = web1.children.iter().map(|task| (task.kind.as_str(), task.name.as_str())).collect();
    assert_eq!(tasks, [("task", "check"), ("task", "idle")]);
    let check = &web1.children[0];
    assert_eq!(check.details["runs_in_flight"], "1");
    assert_eq!(check.details["next_run_at"], "2026-11-23T12:00:00.000Z");
    assert_eq!((check.details["schedule"].as_str(), web1.children[1].details.get("next_run_at")), ("hourly", None));
    assert_eq!(alf.handle.host_health(&name("web1")).await.unwrap().unwrap(), web1);
    assert_eq!(alf.handle.host_health(&name("web9")).await.unwrap(), None);
    assert_eq!(alf.health(&["node", "web2"]).await.details["connection"], "idle");
    assert_eq!(alf.now().date_naive(), at("2026-11-23T11:00:00Z").date_naive());
    tokio::time::sleep(Duration::from_secs(60)).await;
    alf.put(Noun::Host, r#"{"name": "web2", "enabled": false}"#, If::Exists).await.unwrap();
    alf.end().await;
}
