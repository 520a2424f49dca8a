//! Splay, missed instants, overlap and attempts: when runs start, and how often.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::support::{Alf, at, instants, name, one, seconds, start, told};
use crate::actors::error::AlfError;
use crate::actors::handle::If;
use crate::model::{HostState, Noun, Outcome, Reason, RunId, RunResult, State, Trigger};
use crate::ssh::fake::{FakeConnect, FakeExec};

const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// The task `check` with these fields, linked to `web1`.
fn task(fields: &str) -> String {
    format!(r#"{{"tasks": [{{"name": "check", "command": "check", {fields}}}]}}"#)
}

fn by_schedule(fields: &str) -> String {
    format!(r#"{{"schedules": [{{"name": "often", {fields}}}]}}"#)
}

fn attempts(results: &[RunResult]) -> Vec<(Trigger, u32, bool)> {
    results.iter().map(|result| (result.trigger, result.attempt, result.hard)).collect()
}

#[actix_rt::test]
async fn pairs_of_an_interval_are_spread_and_stay_where_they_are_after_a_restart() {
    let hosts: Vec<String> = (0..20).map(|n| format!(r#"{{"name": "web{n}"}}"#)).collect();
    let alf = Alf::with(&format!(
        r#"{{"hosts": [{}], "tasks": [{{"name": "check", "command": "check"}}],
            "host_tasks": [{{"name": "all", "task": "check", "selector": "*"}}],
            "task_schedules": [{{"name": "often", "task": "check", "cron": "@every 1m"}}]}}"#,
        hosts.join(",")
    ))
    .await;
    tokio::time::sleep(seconds(150)).await;
    let world = alf.end().await;
    tokio::time::sleep(seconds(7)).await;
    let alf = world.start().await;
    tokio::time::sleep(seconds(150)).await;
    let mut places = std::collections::BTreeSet::new();
    for n in 0..20 {
        let results = alf.results(&format!("web{n}"), "check");
        let place = results[0].due_at.millis() - results[0].scheduled_at.millis();
        assert!((0..60_000).contains(&place), "{place}");
        for (count, result) in (1_i32..).zip(&results) {
            assert_eq!(result.due_at.millis() - result.scheduled_at.millis(), place, "always the same");
            assert_eq!(result.scheduled_at.get(), at("2026-11-23T10:00:00Z") + MINUTE * count, "each once");
            let caught_up = result.trigger == Trigger::CatchUp;
            assert!(result.lateness_ms().unwrap_or(0) <= if caught_up { 67_100 } else { 10 }, "{result:?}");
        }
        assert!((5..=6).contains(&results.len()), "{}", results.len());
        places.insert(place);
    }
    assert!(places.len() > 15, "{places:?}");
    alf.end().await;
}

#[actix_rt::test]
async fn an_instant_that_has_run_does_not_run_again_at_another_place() {
    let alf = Alf::with(&one("@every 1m")).await;
    tokio::time::sleep(seconds(61)).await;
    assert_eq!(alf.results("web1", "check").len(), 1);
    alf.define(&by_schedule(r#""cron": "@every 1m", "splay": "50s""#)).await;
    tokio::time::sleep(seconds(50)).await;
    assert_eq!(alf.results("web1", "check").len(), 1, "that of 10:01 was settled by the old definition");
    let alf = alf.end().await.start().await;
    tokio::time::sleep(seconds(60)).await;
    let results = alf.results("web1", "check");
    assert_eq!(instants(&results, MINUTE)[..2], [at("2026-11-23T10:01:00Z"), at("2026-11-23T10:02:00Z")]);
    assert!(results[1].due_at > results[1].scheduled_at, "at its place now");
    alf.end().await;
}

#[actix_rt::test]
async fn a_new_title_of_a_schedule_takes_no_instant_away() {
    let alf = Alf::with(&one("@every 1m")).await;
    let spread = r#""cron": "@every 1m", "splay": "1m""#;
    alf.define(&by_schedule(spread)).await;
    tokio::time::sleep(seconds(60)).await;
    for n in 0..30 {
        alf.define(&by_schedule(&format!(r#"{spread}, "title": "{n}""#))).await;
        tokio::time::sleep(seconds(6)).await;
    }
    tokio::time::sleep(seconds(60)).await;
    let results = alf.results("web1", "check");
    assert!(results.len() >= 4, "{}", results.len());
    told(&results, MINUTE, results.last().unwrap().scheduled_at.get());
    alf.end().await;
}

#[actix_rt::test]
async fn nothing_runs_before_or_after_what_the_schedule_says() {
    let alf = Alf::with(&one("* * * * *")).await;
    let bounds = r#""not_before": "2026-11-23T10:03:00Z", "not_after": "2026-11-23T10:05:00Z""#;
    alf.define(&by_schedule(&format!(r#""cron": "* * * * *", {bounds}"#))).await;
    alf.settle().await;
    assert_eq!(alf.status("web1", "check").unwrap().next_run_at, Some(at("2026-11-23T10:03:00Z").into()));
    tokio::time::sleep(seconds(3600)).await;
    assert_eq!(alf.results("web1", "check").len(), 3);
    assert_eq!(alf.status("web1", "check").unwrap().next_run_at, None);
    alf.end().await;
}

/// What is left of a pause of 5 minutes, the schedule having these fields.
async fn after_a_pause(fields: &str) -> Vec<RunResult> {
    let alf = Alf::with(&one("* * * * *")).await;
    alf.define(&by_schedule(&format!(r#""cron": "* * * * *", {fields}"#))).await;
    alf.hosts().always("web1", FakeExec::exit(0).after(seconds(2)));
    let world = alf.end().await;
    tokio::time::sleep(seconds(5 * 60)).await;
    let alf = world.start().await;
    tokio::time::sleep(seconds(20)).await;
    let results = alf.results("web1", "check");
    told(&results, MINUTE, alf.now());
    assert_eq!(alf.hosts().most_running("web1").max(1), 1, "one after the other");
    alf.end().await;
    // For the next story.
    tokio::time::resume();
    results
}

#[actix_rt::test]
async fn missed_instants_run_as_the_schedule_says() {
    let skip = after_a_pause(r#""missed": "skip""#).await;
    assert!(skip.iter().all(|result| result.reason == Some(Reason::Missed)), "{skip:?}");
    let all = after_a_pause(r#""missed": "all""#).await;
    assert!(all.iter().take(5).all(|result| (result.trigger, result.reason) == (Trigger::CatchUp, None)), "{all:?}");
    assert!(all.is_sorted_by_key(|result| result.started_at), "in order");
    let young = after_a_pause(r#""missed": "all", "missed_max_age": "150s""#).await;
    let folded = young[0].instants.unwrap();
    assert_eq!((folded.count, young[0].reason), (3, Some(Reason::Missed)));
    assert_eq!(young.iter().filter(|result| result.trigger == Trigger::CatchUp).count(), 3);
}

#[actix_rt::test]
async fn one_waits_for_its_turn_and_more_are_skipped() {
    let alf = Alf::with(&one("@every 10s")).await;
    alf.define(&task(r#""overlap": "queue""#)).await;
    alf.hosts().on_exec("web1", FakeExec::exit(0).after(seconds(25)));
    tokio::time::sleep(seconds(32)).await;
    let manual = alf.run("web1", "check").await;
    assert!(matches!(manual, Err(AlfError::Overlap(_))), "one waits already: {manual:?}");
    tokio::time::sleep(seconds(10)).await;
    let results = alf.results("web1", "check");
    assert_eq!(
        results.iter().map(|result| (result.outcome, result.lateness_ms().unwrap_or(-1) / 1000)).collect::<Vec<_>>(),
        [(Outcome::Skipped, 0), (Outcome::Ok, 0), (Outcome::Ok, 15), (Outcome::Ok, 0)],
    );
    assert_eq!(results[0].reason, Some(Reason::Overlap));
    told(&results, TimeDelta::seconds(10), alf.now());
    assert_eq!(alf.hosts().most_running("web1"), 1);
    alf.end().await;
}

#[actix_rt::test]
async fn a_run_somebody_starts_waits_too_and_can_be_cancelled() {
    let alf = Alf::with(&one("0 12 * * *")).await;
    alf.define(&task(r#""overlap": "queue""#)).await;
    alf.hosts().on_exec("web1", FakeExec::exit(0).after(seconds(5)));
    let first = alf.run("web1", "check").await.unwrap();
    let second = alf.run("web1", "check").await.unwrap();
    assert_eq!(alf.run("web1", "check").await, Err(AlfError::Overlap(second)));
    alf.handle.cancel(second).await.unwrap();
    let cancelled = alf.handle.wait(second, seconds(1)).await.unwrap().unwrap();
    assert_eq!((cancelled.reason, cancelled.started_at), (Some(Reason::Cancelled), None));
    let third = alf.run("web1", "check").await.unwrap();
    let result = alf.handle.wait(third, seconds(60)).await.unwrap().unwrap();
    assert_eq!(result.outcome, Outcome::Ok);
    assert!(result.started_at > alf.handle.result(first).await.unwrap().unwrap().started_at);
    // What waits when Alf stops, or the task is taken from the host, has its Result.
    for stop in [true, false] {
        alf.hosts().on_exec("web1", FakeExec::exit(0).after(seconds(3)));
        let runs: Vec<RunId> = vec![alf.run("web1", "check").await.unwrap(), alf.run("web1", "check").await.unwrap()];
        if stop {
            alf.delete(Noun::HostTask, "check@web1", false).await.unwrap();
            let result = alf.handle.wait(runs[1], seconds(60)).await.unwrap().unwrap();
            assert_eq!((result.reason, result.started_at), (Some(Reason::Cancelled), None));
            alf.define(&one("0 12 * * *")).await;
            alf.define(&task(r#""overlap": "queue""#)).await;
            tokio::time::sleep(seconds(5)).await;
        }
    }
    let world = alf.end().await;
    let last = world.store.saved().into_iter().filter(|result| result.reason == Some(Reason::Aborted)).count();
    assert_eq!(last, 1, "it did not start any more");
}

async fn ended(alf: &Alf, run: RunId) -> RunResult {
    alf.handle.wait(run, seconds(60)).await.unwrap().unwrap()
}

#[actix_rt::test]
async fn runs_of_a_task_that_is_not_linked_take_turns_as_well() {
    let alf = Alf::with(&one("0 12 * * *")).await;
    alf.define(&task(r#""overlap": "skip""#)).await;
    alf.define(r#"{"hosts": [{"name": "web2"}]}"#).await;
    alf.hosts().always("web2", FakeExec::exit(0).after(seconds(5)));
    let first = alf.run("web2", "check").await.unwrap();
    assert_eq!(alf.run("web2", "check").await, Err(AlfError::Overlap(first)));
    alf.run("web1", "check").await.unwrap();
    alf.define(&task(r#""overlap": "queue", "start_within": "8s""#)).await;
    let second = alf.run("web2", "check").await.unwrap();
    assert_eq!(alf.run("web2", "check").await, Err(AlfError::Overlap(second)));
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(alf.hosts().running("web2"), 1);
    let (one, two) = (ended(&alf, first).await, ended(&alf, second).await);
    assert!(two.outcome == Outcome::Ok && two.started_at.unwrap() >= one.finished_at, "{one:?} {two:?}");
    // One that waits can be cancelled, and does not wait for ever.
    alf.hosts().always("web2", FakeExec::exit(0).after(seconds(20)));
    let long = alf.run("web2", "check").await.unwrap();
    let waits = alf.run("web2", "check").await.unwrap();
    alf.handle.cancel(waits).await.unwrap();
    assert_eq!(ended(&alf, waits).await.reason, Some(Reason::Cancelled));
    let waits = alf.run("web2", "check").await.unwrap();
    let late = ended(&alf, waits).await;
    assert_eq!((late.outcome, late.reason), (Outcome::Skipped, Some(Reason::Late)));
    assert!(late.message.contains("did not get its turn after other runs"), "{}", late.message);
    ended(&alf, long).await;
    alf.define(&task(r#""overlap": "allow""#)).await;
    let runs = [alf.run("web2", "check").await.unwrap(), alf.run("web2", "check").await.unwrap()];
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(alf.hosts().running("web2"), 2);
    for run in runs {
        ended(&alf, run).await;
    }
    alf.end().await;
}

#[actix_rt::test]
async fn what_may_overlap_runs_beside_the_other() {
    let alf = Alf::with(&one("@every 10s")).await;
    alf.define(&task(r#""overlap": "allow""#)).await;
    alf.hosts().always("web1", FakeExec::exit(0).after(seconds(25)));
    tokio::time::sleep(seconds(22)).await;
    alf.run("web1", "check").await.unwrap();
    alf.settle().await;
    assert_eq!(alf.hosts().running("web1"), 3);
    tokio::time::sleep(seconds(40)).await;
    assert!(alf.results("web1", "check").iter().all(|result| result.outcome == Outcome::Ok));
    alf.end_after(seconds(60)).await;
}

#[actix_rt::test]
async fn a_problem_is_tried_again_until_it_is_hard() {
    let alf = Alf::with(&one("0 * * * *")).await;
    alf.define(&task(r#""max_attempts": 3, "retry_interval": "20s""#)).await;
    alf.hosts().always("web1", FakeExec::exit(2));
    tokio::time::sleep(seconds(3700)).await;
    let results = alf.results("web1", "check");
    let expected = [(Trigger::Schedule, 1, false), (Trigger::Retry, 2, false), (Trigger::Retry, 3, true)];
    assert_eq!(attempts(&results), expected);
    for result in &results {
        assert_eq!((result.scheduled_at, result.schedule.clone()), (results[0].scheduled_at, Some(name("often"))));
        assert!(result.lateness_ms().unwrap() < 10);
    }
    let taken = results[2].due_at.millis() - results[0].due_at.millis();
    assert!((40_000..40_050).contains(&taken), "{taken}");
    let status = alf.status("web1", "check").unwrap();
    assert_eq!((status.hard, status.attempt, status.max_attempts), (true, 3, 3));
    // Hard: once an instant, until it is OK; then from the beginning.
    tokio::time::sleep(seconds(3600)).await;
    alf.hosts().always("web1", FakeExec::exit(0));
    tokio::time::sleep(seconds(3600)).await;
    alf.hosts().on_exec("web1", FakeExec::exit(2));
    tokio::time::sleep(seconds(3600)).await;
    let expected = [
        (Trigger::Schedule, 3, true),
        (Trigger::Schedule, 1, true),
        (Trigger::Schedule, 1, false),
        (Trigger::Retry, 1, true),
    ];
    assert_eq!(attempts(&alf.results("web1", "check")[3..]), expected);
    let status = alf.status("web1", "check").unwrap();
    assert_eq!((status.state, status.attempt), (Some(State::Ok), 0));
    alf.end().await;
}

#[actix_rt::test]
async fn the_next_instant_is_an_attempt_of_its_own() {
    let alf = Alf::with(&one("@every 20s")).await;
    alf.define(&task(r#""max_attempts": 3, "retry_interval": "20s""#)).await;
    alf.hosts().always("web1", FakeExec::exit(2));
    tokio::time::sleep(seconds(65)).await;
    let expected = [(Trigger::Schedule, 1, false), (Trigger::Schedule, 2, false), (Trigger::Schedule, 3, true)];
    assert_eq!(attempts(&alf.results("web1", "check")), expected);
    alf.end().await;
}

#[actix_rt::test]
async fn attempts_survive_a_restart() {
    let alf = Alf::with(&one("0 * * * *")).await;
    alf.define(&task(r#""max_attempts": 3, "retry_interval": "60s""#)).await;
    alf.hosts().always("web1", FakeExec::exit(2));
    alf.until(|alf| alf.results("web1", "check").len() == 1).await;
    let alf = alf.crash().await.start().await;
    tokio::time::sleep(seconds(200)).await;
    let results = alf.results("web1", "check");
    let expected = [(Trigger::Schedule, 1, false), (Trigger::Retry, 2, false), (Trigger::Retry, 3, true)];
    assert_eq!(attempts(&results), expected);
    assert!(results.iter().all(|result| result.scheduled_at == results[0].scheduled_at));
    alf.end().await;
}

#[actix_rt::test]
async fn what_may_be_left_on_the_host_is_not_started_again() {
    let alf = Alf::with(&one("0 * * * *")).await;
    alf.define(&task(r#""max_attempts": 3, "timeout": "5s""#)).await;
    tokio::time::sleep(seconds(60)).await;
    for (gone, runs) in [(None, 1), (Some(false), 2), (Some(true), 6)] {
        alf.hosts().always("web1", FakeExec::hang().kill_finds(gone));
        tokio::time::sleep(seconds(3600)).await;
        assert_eq!(alf.results("web1", "check").len(), runs, "{gone:?}");
        if runs == 2 {
            alf.hosts().on_exec("web1", FakeExec::exit(0));
            alf.run_to_end("web1", "check").await;
        }
    }
    alf.end().await;
}

#[actix_rt::test]
async fn one_dead_host_changes_no_state_of_its_tasks() {
    let alf = Alf::with(&one("0 * * * *")).await;
    alf.define(&task(r#""max_attempts": 2, "start_within": "30s", "retry_interval": "5m""#)).await;
    alf.hosts().on_exec("web1", FakeExec::exit(2));
    alf.until(|alf| alf.results("web1", "check").len() == 1).await;
    let before = alf.status("web1", "check").unwrap();
    assert_eq!((before.attempt, before.hard), (1, false));
    for _ in 0..100 {
        alf.hosts().on_connect("web1", FakeConnect::unreachable("no route"));
    }
    alf.hosts().cut("web1", "rebooted");
    tokio::time::sleep(Duration::from_secs(600)).await;
    let results = alf.results("web1", "check");
    assert_eq!(attempts(&results), [(Trigger::Schedule, 1, false), (Trigger::Retry, 1, false)]);
    assert_eq!(results[1].reason, Some(Reason::Unreachable));
    let after = alf.status("web1", "check").unwrap();
    assert_eq!((after.state, after.since, after.attempt, after.hard), (before.state, before.since, 1, false));
    alf.end().await;
}

#[actix_rt::test]
async fn a_task_that_is_disabled_is_not_tried_again() {
    let alf = Alf::with(&one("0 * * * *")).await;
    alf.define(&task(r#""max_attempts": 3, "retry_interval": "60s""#)).await;
    alf.hosts().always("web1", FakeExec::exit(2));
    alf.until(|alf| alf.results("web1", "check").len() == 1).await;
    let disabled = r#"{"name": "check", "command": "check", "max_attempts": 3, "enabled": false}"#;
    alf.put(Noun::Task, disabled, If::Exists).await.unwrap();
    tokio::time::sleep(seconds(600)).await;
    assert_eq!(alf.results("web1", "check").len(), 1);
    assert!(alf.now() > start());
    alf.end().await;
}

#[actix_rt::test]
async fn a_host_is_down_beyond_doubt_after_its_attempts() {
    let alf = Alf::with(&one("0 * * * *")).await;
    alf.define(r#"{"hosts": [{"name": "web1", "max_attempts": 2}]}"#).await;
    let host = |alf: &Alf| alf.handle.host_status(&name("web1")).map(|host| (host.state, host.attempt, host.hard));
    alf.run_to_end("web1", "check").await;
    assert_eq!(host(&alf), Some((Some(HostState::Up), 0, true)));
    alf.hosts().on_connect("web1", FakeConnect::unreachable("no route"));
    alf.hosts().on_connect("web1", FakeConnect::unreachable("no route"));
    alf.hosts().cut("web1", "rebooted");
    alf.settle().await;
    assert_eq!(host(&alf), Some((Some(HostState::Down), 0, false)), "lost, and not tried again yet");
    let run = alf.run("web1", "check").await.unwrap();
    alf.until(|alf| host(alf) == Some((Some(HostState::Down), 1, false))).await;
    alf.until(|alf| host(alf) == Some((Some(HostState::Down), 2, true))).await;
    let result = alf.handle.wait(run, seconds(600)).await.unwrap().unwrap();
    assert_eq!(result.outcome, Outcome::Ok);
    assert_eq!(host(&alf), Some((Some(HostState::Up), 0, true)));
    alf.end().await;
}

#[actix_rt::test]
async fn a_line_may_follow_the_clock_of_each_host() {
    let alf = Alf::with(
        r#"{"hosts": [{"name": "here"}, {"name": "madrid", "timezone": "Europe/Madrid"}],
            "tasks": [{"name": "check", "command": "check"}],
            "host_tasks": [{"name": "all", "task": "check", "selector": "*"}],
            "schedules": [{"name": "noon", "cron": "0 12 * * *", "timezone": "host"}],
            "task_schedules": [{"task": "check", "schedule": "noon"}]}"#,
    )
    .await;
    tokio::time::sleep(seconds(4 * 3600)).await;
    for (host, noon) in [("here", "2026-11-23T12:00:00Z"), ("madrid", "2026-11-23T11:00:00Z")] {
        assert_eq!(instants(&alf.results(host, "check"), MINUTE), [at(noon)], "{host}");
    }
    alf.end().await;
}

/// Until half a minute after the next instant of `@every 10m`.
async fn soon_after_the_instant(alf: &Alf) {
    let gone = u64::try_from(alf.now().timestamp_millis()).unwrap() % 600_000;
    tokio::time::sleep(Duration::from_millis(630_000 - gone)).await;
}

#[actix_rt::test]
async fn another_rule_for_missed_instants_takes_none_away() {
    let due = |missed: &str| by_schedule(&format!(r#""cron": "@every 10m", "splay": "10m", "missed": "{missed}""#));
    let alf = Alf::with(&one("@every 10m")).await;
    alf.define(&due("last")).await;
    soon_after_the_instant(&alf).await;
    alf.define(&due("skip")).await;
    tokio::time::sleep(seconds(60)).await;
    let results = alf.results("web1", "check");
    assert_eq!(results.len(), 1, "its time had not come when the rule was changed");
    assert_eq!(results[0].scheduled_at.get(), at("2026-11-23T10:10:00Z"));
    // The new rule holds.
    let world = alf.end().await;
    tokio::time::sleep(seconds(1000)).await;
    let alf = world.start().await;
    alf.settle().await;
    assert!(alf.results("web1", "check")[1..].iter().all(|result| result.outcome == Outcome::Skipped));
    alf.end().await;
}

#[actix_rt::test]
async fn a_restart_counts_the_same_instants_as_before() {
    // It has its place 67 s after the instant.
    let due = |words: &str| by_schedule(&format!(r#""cron": "@every 10m", "splay": "10m", "description": "{words}""#));
    let instants_of = |alf: &Alf| -> Vec<DateTime<Utc>> {
        alf.results("web1", "check").iter().map(|result| result.scheduled_at.get()).collect()
    };
    let alf = Alf::with(&one("@every 10m")).await;
    alf.define(&due("one")).await;
    soon_after_the_instant(&alf).await;
    assert!(instants_of(&alf).is_empty());
    // What changes nothing of when it is due takes no instant away whose time is still to come.
    alf.define(&due("two")).await;
    let alf = alf.crash().await.start().await;
    soon_after_the_instant(&alf).await;
    assert_eq!(instants_of(&alf), [at("2026-11-23T10:10:00Z")]);
    // Taken from the host and given back: an instant before that is not due, whatever its time is.
    alf.delete(Noun::HostTask, "check@web1", false).await.unwrap();
    alf.define(r#"{"host_tasks": [{"task": "check", "host": "web1"}]}"#).await;
    alf.settle().await;
    let alf = alf.crash().await.start().await;
    soon_after_the_instant(&alf).await;
    soon_after_the_instant(&alf).await;
    assert_eq!(instants_of(&alf), [at("2026-11-23T10:10:00Z"), at("2026-11-23T10:30:00Z")]);
    alf.end().await;
}
