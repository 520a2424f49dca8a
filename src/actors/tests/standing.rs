//! Acknowledgements, downtimes, pauses, flapping, stale and late pairs: what Status tells beside the state.

use std::time::Duration;

use chrono::TimeDelta;

use super::support::{Alf, UNSCHEDULED, at, name, one, seconds, start, told};
use crate::actors::error::AlfError;
use crate::model::{Ack, HostState, Noun, Outcome, Reason, Rights, State, Timestamp, Trigger};
use crate::ssh::fake::{FakeConnect, FakeExec};

const SECOND: TimeDelta = TimeDelta::seconds(1);
const MINUTE: TimeDelta = TimeDelta::minutes(1);

fn ack(alf: &Alf, sticky: bool, until: Option<Timestamp>) -> Option<Ack> {
    Some(Ack { by: Some(name("anna")), comment: "known".to_owned(), at: alf.handle.now(), until, sticky })
}

async fn acknowledge(alf: &Alf, task: Option<&str>, ack: Option<Ack>) -> Result<(), AlfError> {
    let task = task.map(name);
    alf.handle.acknowledge(&name("web1"), task.as_ref(), ack).await
}

/// The next Alf after a crash of this one, with all its actors.
async fn crashed(alf: Alf) -> Alf {
    let alf = alf.crash().await.start().await;
    alf.settle().await;
    alf
}

#[actix_rt::test]
async fn an_acknowledgement_ends_with_the_problem_and_unless_sticky_with_its_state() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.define(r#"{"tasks": [{"name": "check", "command": "check", "plugin": "nagios"}]}"#).await;
    let refused = acknowledge(&alf, Some("check"), ack(&alf, false, None)).await;
    assert!(matches!(refused, Err(AlfError::NothingToAcknowledge(_))), "{refused:?}");
    let problem = |code: i32| alf.hosts().on_exec("web1", FakeExec::exit(code));
    for (sticky, kept) in [(false, false), (true, true)] {
        problem(1);
        alf.run_to_end("web1", "check").await;
        assert!(alf.status("web1", "check").unwrap().is_unhandled());
        acknowledge(&alf, Some("check"), ack(&alf, sticky, None)).await.unwrap();
        let row = alf.status("web1", "check").unwrap();
        assert!(row.acknowledged && !row.is_unhandled());
        assert_eq!(row.ack.unwrap().comment, "known");
        problem(1);
        alf.run_to_end("web1", "check").await;
        assert!(alf.status("web1", "check").unwrap().acknowledged, "the same state");
        problem(2);
        alf.run_to_end("web1", "check").await;
        assert_eq!(alf.status("web1", "check").unwrap().acknowledged, kept, "another state");
        alf.run_to_end("web1", "check").await;
        let row = alf.status("web1", "check").unwrap();
        assert_eq!((row.state, row.acknowledged), (Some(State::Ok), false), "it is over");
    }
    let nobody = alf.handle.acknowledge(&name("web1"), Some(&name("other")), None).await;
    assert!(matches!(nobody, Err(AlfError::NotFound(_))), "{nobody:?}");
    alf.end().await;
}

#[actix_rt::test]
async fn an_acknowledgement_survives_a_crash_and_ends_at_its_time() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.hosts().on_exec("web1", FakeExec::exit(1));
    alf.run_to_end("web1", "check").await;
    let until = Timestamp::from(alf.now() + TimeDelta::seconds(600));
    acknowledge(&alf, Some("check"), ack(&alf, false, Some(until))).await.unwrap();
    let alf = crashed(alf).await;
    let row = alf.status("web1", "check").unwrap();
    assert!(row.acknowledged && row.ack.unwrap().until == Some(until));
    alf.until(|alf| alf.now() > until.get()).await;
    let row = alf.status("web1", "check").unwrap();
    assert!(!row.acknowledged && row.ack.is_none() && row.is_unhandled());
    acknowledge(&alf, Some("check"), ack(&alf, true, None)).await.unwrap();
    acknowledge(&alf, Some("check"), None).await.unwrap();
    assert!(!alf.status("web1", "check").unwrap().acknowledged, "taken back");
    alf.end().await;
}

#[actix_rt::test]
async fn how_a_host_stands_and_who_knows_of_it_survives_a_restart() {
    let alf = Alf::with(&one("@every 1m")).await;
    let of_host = |alf: &Alf| alf.handle.host_status(&name("web1")).unwrap();
    assert_eq!(of_host(&alf).state, None, "before the first connect");
    let refused = acknowledge(&alf, None, ack(&alf, false, None)).await;
    assert!(matches!(refused, Err(AlfError::NothingToAcknowledge(_))), "{refused:?}");
    for _ in 0..5 {
        alf.hosts().on_connect("web1", FakeConnect::unreachable("no route"));
    }
    alf.until(|alf| of_host(alf).hard).await;
    acknowledge(&alf, None, ack(&alf, false, None)).await.unwrap();
    let before = of_host(&alf);
    assert_eq!((before.state, before.acknowledged), (Some(HostState::Down), true));
    let alf = crashed(alf).await;
    let after = of_host(&alf);
    assert_eq!((after.state, after.since, after.hard, &after.ack), (before.state, before.since, true, &before.ack));
    alf.until(|alf| of_host(alf).state == Some(HostState::Up)).await;
    assert_eq!((of_host(&alf).acknowledged, of_host(&alf).reason), (false, None));
    alf.delete(Noun::Host, "web1", true).await.unwrap();
    alf.until(|alf| alf.handle.host_status(&name("web1")).is_none()).await;
    let world = alf.end().await;
    let loaded = crate::store::Store::load(&world.store).await.unwrap();
    assert_eq!(loaded.hosts, [], "nothing is left of it");
}

#[actix_rt::test]
async fn a_downtime_shows_and_one_that_pauses_skips() {
    let alf = Alf::with(&one("@every 1s")).await;
    alf.define(
        r#"{"downtimes": [
            {"name": "quiet", "host": "web1", "starts_at": "2026-11-23T10:00:10Z", "ends_at": "2026-11-23T10:00:20Z"},
            {"name": "still", "selector": "*", "task": "check", "mode": "pause", "comment": "new disks",
             "starts_at": "2026-11-23T10:00:30Z", "ends_at": "2026-11-23T10:00:40Z"}]}"#,
    )
    .await;
    let mut seen = Vec::new();
    for second in [5, 15, 25, 35, 45] {
        alf.until(|alf| alf.now() >= start() + TimeDelta::seconds(second)).await;
        let host = alf.handle.host_status(&name("web1")).unwrap();
        seen.push((host.in_downtime, alf.status("web1", "check").unwrap().in_downtime));
    }
    assert_eq!(seen, [(false, false), (true, true), (false, false), (false, true), (false, false)]);
    let results = alf.results("web1", "check");
    let skipped: Vec<_> = results.iter().filter(|result| result.reason == Some(Reason::Downtime)).collect();
    assert_eq!(skipped.len(), 10, "those from its first instant to the one before its end");
    assert_eq!(skipped[0].scheduled_at.get(), at("2026-11-23T10:00:30Z"));
    assert_eq!(skipped[9].scheduled_at.get(), at("2026-11-23T10:00:39Z"));
    assert!(skipped.iter().all(|result| result.outcome == Outcome::Skipped && result.message.contains("new disks")));
    told(&results, SECOND, alf.now());
    let row = alf.status("web1", "check").unwrap();
    assert_eq!((row.skipped_in_row, row.stale), (0, false));
    let Err(AlfError::InUse { users, .. }) = alf.delete(Noun::Host, "web1", false).await else {
        panic!("it is in use")
    };
    assert!(users.iter().any(|user| user.noun == Noun::Downtime), "{users:?}");
    alf.end().await;
}

#[actix_rt::test]
async fn a_downtime_that_is_set_or_ended_takes_effect_at_once() {
    let alf = Alf::with(&one("@every 1s")).await;
    tokio::time::sleep(seconds(5)).await;
    let before = alf.results("web1", "check").len();
    alf.define(
        r#"{"downtimes": [{"name": "d", "host": "web1", "mode": "pause", "cron": "* * * * *", "duration": "1m"}]}"#,
    )
    .await;
    tokio::time::sleep(seconds(5)).await;
    let results = alf.results("web1", "check");
    assert!(results[before..].iter().all(|result| result.reason == Some(Reason::Downtime)), "{results:?}");
    // A person may all the same.
    assert_eq!(alf.run_to_end("web1", "check").await.outcome, Outcome::Ok);
    alf.delete(Noun::Downtime, "d", false).await.unwrap();
    let before = alf.results("web1", "check").len();
    tokio::time::sleep(seconds(5)).await;
    let results = alf.results("web1", "check");
    assert!(results.len() > before && results[before..].iter().all(|result| result.outcome == Outcome::Ok));
    alf.end().await;
}

#[actix_rt::test]
async fn while_all_firing_is_stopped_instants_are_told_and_a_restart_changes_nothing() {
    let alf = Alf::with(&one("@every 1s")).await;
    tokio::time::sleep(seconds(5)).await;
    let pause = alf.handle.pause(Some(name("anna"))).await.unwrap();
    assert_eq!(alf.handle.pause(Some(name("bert"))).await.unwrap(), pause, "it is stopped already");
    tokio::time::sleep(seconds(5)).await;
    assert_eq!(alf.run_to_end("web1", "check").await.outcome, Outcome::Ok, "by hand");
    let alf = crashed(alf).await;
    assert_eq!(alf.handle.paused(), Some(pause));
    assert!(
        alf.handle.summary(&Rights::all()).paused && alf.handle.summary(&Rights::all()).paused_by == Some(name("anna"))
    );
    tokio::time::sleep(seconds(5)).await;
    let executed = alf.hosts().execs("web1").len();
    assert_eq!(executed, 6, "five before, one by hand");
    assert!(alf.status("web1", "check").unwrap().stale, "nothing has run for a while");
    alf.handle.resume().await.unwrap();
    tokio::time::sleep(seconds(5)).await;
    assert!(alf.hosts().execs("web1").len() >= executed + 4);
    let results = alf.results("web1", "check");
    told(&results, SECOND, alf.now());
    let missed = results.iter().filter(|result| result.reason == Some(Reason::Missed));
    assert!(missed.clone().any(|result| result.message.contains("paused") && result.message.contains("anna")));
    assert!(missed.count() >= 10);
    alf.end().await;
}

#[actix_rt::test]
async fn an_attempt_waits_for_the_end_of_a_pause() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.define(r#"{"tasks": [{"name": "check", "command": "check", "max_attempts": 3, "retry_interval": "5s"}]}"#)
        .await;
    alf.hosts().on_exec("web1", FakeExec::exit(1));
    alf.run_to_end("web1", "check").await;
    alf.handle.pause(None).await.unwrap();
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(alf.results("web1", "check").len(), 1);
    alf.handle.resume().await.unwrap();
    tokio::time::sleep(seconds(6)).await;
    let results = alf.results("web1", "check");
    assert_eq!(results.iter().map(|result| result.trigger).collect::<Vec<_>>(), [Trigger::Manual, Trigger::Retry]);
    alf.end().await;
}

#[actix_rt::test]
async fn a_pair_that_changes_too_often_flaps_if_its_task_says_so() {
    let alf = Alf::with(r#"{"hosts": [{"name": "web1"}]}"#).await;
    let tasks = [
        ("plugin", r#""plugin": "nagios""#, true),
        ("job", r#""cwd": "/""#, false),
        ("told", r#""flapping": true"#, true),
    ];
    for (task, field, _) in tasks {
        alf.define(&format!(
            r#"{{"tasks": [{{"name": "{task}", "command": "check", {field}}}],
                "host_tasks": [{{"task": "{task}", "host": "web1"}}]}}"#
        ))
        .await;
        for turn in 0..10 {
            alf.hosts().on_exec("web1", FakeExec::exit(2 * (turn % 2)));
            alf.run_to_end("web1", task).await;
        }
    }
    let alf = crashed(alf).await;
    for (task, field, flaps) in tasks {
        assert_eq!(alf.status("web1", task).unwrap().flapping, flaps, "{field}");
        for _ in 0..20 {
            alf.run_to_end("web1", task).await;
        }
        assert!(!alf.status("web1", task).unwrap().flapping, "{field}: it has come to rest");
    }
    alf.end().await;
}

/// After so many instants without a run a pair that is due by this line is stale, until something is executed.
async fn stale_after(line: &str, instants: u32) {
    let alf = Alf::with(&one(line)).await;
    alf.define(&format!(
        r#"{{"schedules": [{{"name": "often", "cron": "{line}", "splay": "0s", "missed": "skip"}}],
            "tasks": [{{"name": "check", "command": "check", "timeout": "none"}}]}}"#
    ))
    .await;
    alf.hosts().on_exec("web1", FakeExec::hang());
    alf.until(|alf| alf.status("web1", "check").unwrap().running).await;
    for skipped in 1..=instants {
        alf.until(|alf| alf.status("web1", "check").unwrap().skipped_in_row == skipped).await;
        assert_eq!(alf.status("web1", "check").unwrap().stale, skipped >= instants, "{skipped} of {line}");
    }
    let alf = crashed(alf).await;
    assert!(alf.status("web1", "check").unwrap().stale, "it survives a crash");
    alf.run_to_end("web1", "check").await;
    let row = alf.status("web1", "check").unwrap();
    assert_eq!((row.stale, row.skipped_in_row), (false, 0));
    alf.end().await;
}

#[actix_rt::test]
async fn three_instants_in_a_row_without_a_run_make_a_pair_stale() {
    stale_after("@every 1m", 3).await;
}

#[actix_rt::test]
async fn one_instant_without_a_run_is_enough_where_they_are_an_hour_apart() {
    stale_after("0 * * * *", 1).await;
}

#[actix_rt::test]
async fn what_has_not_gone_well_by_its_time_is_late_until_it_has() {
    let alf = Alf::with(&one("0 12 * * *")).await;
    alf.define(
        r#"{"task_schedules": [{"name": "often", "task": "check", "schedule": "often", "finish_by": "14:00"}]}"#,
    )
    .await;
    let late = |alf: &Alf| alf.status("web1", "check").unwrap().late;
    alf.hosts().on_exec("web1", FakeExec::exit(1));
    alf.until(|alf| alf.results("web1", "check").len() == 1).await;
    assert!(!late(&alf));
    let alf = crashed(alf).await;
    alf.until(|alf| alf.now() >= at("2026-11-23T13:59:59Z")).await;
    assert!(!late(&alf));
    alf.until(late).await;
    assert!(alf.now() < at("2026-11-23T14:00:02Z"), "{}", alf.now());
    let alf = crashed(alf).await;
    assert!(late(&alf), "it survives a crash");
    assert_eq!(alf.run_to_end("web1", "check").await.outcome, Outcome::Ok);
    assert!(!late(&alf), "at last");
    // The next day all is well in time.
    alf.until(|alf| alf.now() >= at("2026-11-24T14:00:02Z")).await;
    assert!(!late(&alf));
    alf.end().await;
}

#[actix_rt::test]
async fn a_run_that_goes_on_beyond_its_time_is_late_and_another_line_forgets_it() {
    let alf = Alf::with(&one("@every 1h")).await;
    let by = |finish_by: &str| {
        format!(r#"{{"task_schedules": [{{"name": "often", "task": "check", "schedule": "often"{finish_by}}}]}}"#)
    };
    alf.define(&by(r#", "finish_by": "10m""#)).await;
    alf.hosts().on_exec("web1", FakeExec::exit(0).after(Duration::from_secs(1800)));
    let late = |alf: &Alf| alf.status("web1", "check").unwrap().late;
    alf.until(late).await;
    assert_eq!((alf.now() - at("2026-11-23T11:10:00Z")).num_minutes(), 0, "{}", alf.now());
    assert!(alf.status("web1", "check").unwrap().running);
    alf.define(&by("")).await;
    alf.until(|alf| !late(alf)).await;
    told(&alf.results("web1", "check"), MINUTE * 60, at("2026-11-23T10:59:00Z"));
    alf.end().await;
}
