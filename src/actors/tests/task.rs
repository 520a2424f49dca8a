//! Instants, overlap, verdicts, and what is caught up with after a restart.

use std::time::Duration;

use chrono::TimeDelta;

use super::support::{Alf, UNSCHEDULED, World, at, every, instants, name, one, seconds, start, told, verdict};
use crate::actors::error::AlfError;
use crate::actors::handle::If;
use crate::model::{Noun, Outcome, Reason, RunResult, RunState, State, Trigger};
use crate::ssh::End;
use crate::ssh::fake::{FakeConnect, FakeExec};
use crate::store::{OpenRun, Store as _, Write};

const SECOND: TimeDelta = TimeDelta::seconds(1);
const MINUTE: TimeDelta = TimeDelta::minutes(1);

fn reasons(results: &[RunResult]) -> Vec<Option<Reason>> {
    results.iter().map(|result| result.reason).collect()
}

#[actix_rt::test]
async fn a_minute_of_seconds_is_sixty_results() {
    let alf = Alf::with(&one("@every 1s")).await;
    tokio::time::sleep(seconds(60)).await;
    let results = alf.results("web1", "check");
    let due = every(SECOND, start(), start() + MINUTE);
    assert_eq!(results.iter().map(|result| result.scheduled_at.get()).collect::<Vec<_>>(), due, "in order, each once");
    assert_eq!(due.len(), 60);
    for result in &results {
        assert_eq!(verdict(result), (Outcome::Ok, Some(State::Ok), None));
        assert_eq!((result.trigger, result.attempt, result.hard), (Trigger::Schedule, 1, true));
        assert_eq!(result.schedule, Some(name("often")));
        let lateness = result.lateness_ms().unwrap();
        assert!((0..=5).contains(&lateness), "{lateness} ms late");
    }
    assert!(results.is_sorted_by_key(|result| result.id), "ids rise with time");
    assert_eq!((alf.hosts().connects("web1"), alf.hosts().execs("web1").len()), (1, 60));
    let status = alf.status("web1", "check").unwrap();
    assert_eq!(
        (status.state, status.outcome, status.hard, status.attempt),
        (Some(State::Ok), Some(Outcome::Ok), true, 0)
    );
    assert_eq!(status.next_run_at, Some(at("2026-11-23T10:01:01Z").into()));
    assert_eq!(status.last.iter().count(), 50, "the newest are kept at hand");
    assert!(status.last.iter().zip(results.iter().rev()).all(|(last, result)| last.id == result.id), "newest first");
    assert_eq!(status.since, Some(results[0].finished_at), "since the first: nothing changed after it");
    alf.end().await;
}

#[actix_rt::test]
async fn what_the_command_is_told() {
    let alf = Alf::with(&one("0 12 * * *")).await;
    alf.until(|alf| alf.results("web1", "check").len() == 1).await;
    let exec = alf.hosts().execs("web1").remove(0);
    let result = alf.results("web1", "check").remove(0);
    let expected = [
        ("ALF_HOST", "web1"),
        ("ALF_HOST_ADDRESS", "web1"),
        ("ALF_TASK", "check"),
        ("ALF_RUN_ID", &result.id.to_string()),
        ("ALF_SCHEDULED_AT", "2026-11-23T12:00:00.000Z"),
    ];
    assert_eq!(exec.env, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!((exec.text(), exec.timeout, exec.kill_grace), ("check", Some(seconds(3600)), seconds(5)));
    alf.end().await;
}

#[actix_rt::test]
async fn instants_during_a_long_run_are_skipped() {
    let alf = Alf::with(&one("@every 1s")).await;
    alf.hosts().on_exec("web1", FakeExec::exit(0).after(Duration::from_millis(3500)));
    tokio::time::sleep(seconds(1)).await;
    let running = alf.status("web1", "check").unwrap();
    assert!(running.running);
    let Err(AlfError::Overlap(first)) = alf.run("web1", "check").await else { panic!("accepted while it runs") };
    assert_eq!(alf.handle.open_run(first).await.unwrap().state, RunState::Running);
    tokio::time::sleep(seconds(5)).await;
    let results = alf.results("web1", "check");
    let skipped: Vec<_> = results.iter().filter(|result| result.outcome == Outcome::Skipped).collect();
    assert_eq!(skipped.len(), 3, "{results:?}");
    for result in skipped {
        assert_eq!((result.reason, result.state, result.started_at), (Some(Reason::Overlap), None, None));
        assert!(result.message.contains(&first.to_string()), "{}", result.message);
    }
    told(&results, SECOND, start() + TimeDelta::seconds(6));
    assert_eq!(alf.hosts().most_running("web1"), 1);
    assert_eq!(alf.hosts().execs("web1").len(), 3, "the long one and those after it");
    alf.end().await;
}

#[actix_rt::test]
async fn skipped_instants_move_what_they_should_and_nothing_else() {
    let alf = Alf::with(&one("@every 1s")).await;
    alf.hosts().on_exec("web1", FakeExec::exit(1));
    alf.hosts().on_exec("web1", FakeExec::hang());
    tokio::time::sleep(seconds(5)).await;
    let status = alf.status("web1", "check").unwrap();
    assert_eq!((status.state, status.outcome, status.hard), (Some(State::Critical), Some(Outcome::Problem), true));
    assert_eq!(status.attempt, 1);
    assert_eq!(status.skipped_in_row, 3);
    assert_eq!(status.since, Some(alf.results("web1", "check")[0].finished_at));
    assert_eq!(status.last.iter().count(), 4);
    assert!(status.running);
    alf.delete(Noun::TaskSchedule, "often", false).await.unwrap();
    assert_eq!(alf.status("web1", "check").unwrap().next_run_at, None);
    alf.end().await;
}

#[actix_rt::test]
async fn a_run_is_either_among_the_runs_or_among_the_results() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.hosts().always("web1", FakeExec::exit(0).after(Duration::from_millis(10)));
    for n in 0..20 {
        match n % 2 {
            0 => alf.store().delay_commits(Duration::from_millis(7)),
            _ => alf.store().delay_answers(Duration::from_millis(7)),
        }
        let run = alf.run("web1", "check").await.unwrap();
        loop {
            // Nothing else gets a turn between the two: this store answers at once.
            let open = alf.handle.open_run(run).await;
            let result = alf.handle.result(run).await.unwrap();
            assert_ne!(open.is_ok(), result.is_some(), "{open:?} {result:?}");
            assert_eq!(alf.handle.runs().await.unwrap().iter().any(|row| row.id == run), open.is_ok());
            if let Some(result) = result {
                let status = alf.status("web1", "check").unwrap();
                assert_eq!((status.running, status.last.iter().next().unwrap().id, result.id), (false, run, run));
                break;
            }
            tokio::time::sleep(Duration::from_micros(1500)).await;
        }
    }
    alf.end().await;
}

#[actix_rt::test]
async fn a_stored_result_makes_room_for_the_next_run() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.store().delay_commits(Duration::from_millis(100));
    alf.hosts().always("web1", FakeExec::exit(0).stdout("all well\n").after(seconds(2)));
    for _ in 0..5 {
        let result = alf.run_to_end("web1", "check").await;
        assert_eq!((result.trigger, result.schedule.clone()), (Trigger::Manual, None));
        assert_eq!((result.stdout.bytes.as_slice(), result.message.as_str()), (b"all well\n".as_slice(), "all well"));
        assert_eq!(result.exit_code, Some(0));
        assert!((2000..2010).contains(&result.duration_ms().unwrap()), "{:?}", result.duration_ms());
        assert_eq!(Some(result.clone()), alf.handle.result(result.id).await.unwrap(), "the whole of it");
    }
    let run = alf.run("web1", "check").await.unwrap();
    assert_eq!(alf.handle.wait(run, seconds(1)).await, Ok(None), "not over by then");
    assert_eq!(alf.run("web1", "check").await, Err(AlfError::Overlap(run)));
    alf.end().await;
}

#[actix_rt::test]
async fn a_run_is_cancelled_wherever_it_is() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.define(r#"{"tasks": [{"name": "once", "command": "once"}]}"#).await;
    alf.run_to_end("web1", "check").await;
    let before = alf.status("web1", "check").unwrap();
    alf.hosts().always("web1", FakeExec::hang());
    for task in ["check", "once"] {
        // While it runs.
        let run = alf.run("web1", task).await.unwrap();
        alf.until(|alf| alf.hosts().running("web1") == 1).await;
        alf.handle.cancel(run).await.unwrap();
        let result = alf.handle.wait(run, seconds(60)).await.unwrap().unwrap();
        assert_eq!(verdict(&result), (Outcome::Problem, Some(State::Unknown), Some(Reason::Cancelled)));
        assert_eq!((result.message.as_str(), result.kill.unwrap().gone), ("cancelled (scripted)", Some(true)));
        assert_eq!(alf.handle.cancel(run).await, Err(AlfError::NoRun(run)), "it has ended");
        // While it waits.
        alf.hosts().on_connect("web1", FakeConnect::hang()).cut("web1", "rebooted");
        alf.settle().await;
        let run = alf.run("web1", task).await.unwrap();
        tokio::time::sleep(seconds(60)).await;
        alf.handle.cancel(run).await.unwrap();
        let result = alf.handle.wait(run, seconds(1)).await.unwrap().unwrap();
        assert_eq!((result.reason, result.started_at), (Some(Reason::Cancelled), None));
        tokio::time::sleep(seconds(600)).await;
        // While it is being claimed.
        alf.store().delay_commits(seconds(1));
        let claimed = async {
            alf.settle().await;
            let claimed = alf.handle.runs().await.unwrap().remove(0).id;
            alf.handle.cancel(claimed).await.unwrap();
            claimed
        };
        let (run, cancelled) = tokio::join!(alf.run("web1", task), claimed);
        assert_eq!(run, Ok(cancelled));
        let result = alf.handle.wait(cancelled, seconds(60)).await.unwrap().unwrap();
        assert_eq!(result.reason, Some(Reason::Cancelled));
        alf.store().delay_commits(Duration::ZERO);
    }
    let after = alf.status("web1", "check").unwrap();
    assert_eq!((after.state, after.since, after.attempt), (before.state, before.since, before.attempt));
    alf.end().await;
}

#[actix_rt::test]
async fn every_end_is_judged_by_the_contract() {
    use Outcome::{Ok as Good, Problem};
    let alf = Alf::with(
        r#"{"hosts": [{"name": "web1"}], "tasks": [{"name": "check", "command": "check", "timeout": "5s"}],
            "host_tasks": [{"task": "check", "host": "web1"}]}"#,
    )
    .await;
    let cases = [
        (FakeExec::exit(0), (Good, Some(State::Ok), None), "exit code 0, no output"),
        (
            FakeExec::exit(3).stderr("no disk\n"),
            (Problem, Some(State::Critical), Some(Reason::ExitCode)),
            "exit code 3: no disk",
        ),
        (
            FakeExec::ends(End::Signaled("SEGV".to_owned())),
            (Problem, Some(State::Critical), Some(Reason::Signal)),
            "died by signal SEGV",
        ),
        (
            FakeExec::hang().kill_finds(None),
            (Problem, Some(State::Critical), Some(Reason::Timeout)),
            "did not end within its timeout (scripted)",
        ),
        (
            FakeExec::ends(End::Setup("no /bin/sh".to_owned())),
            (Problem, Some(State::Unknown), Some(Reason::Setup)),
            "could not be started on web1: no /bin/sh",
        ),
        (
            FakeExec::ends(End::Refused("no sessions".to_owned())),
            (Problem, Some(State::Unknown), Some(Reason::Refused)),
            "sshd of web1 refused: no sessions",
        ),
        (FakeExec::exit(0).stdout("fine"), (Good, Some(State::Ok), None), "fine"),
    ];
    let mut before = alf.status("web1", "check").unwrap();
    assert_eq!((before.state, before.outcome, before.last.iter().count()), (None, None, 0), "never run");
    let mut ended = Vec::new();
    for (script, expected, message) in cases {
        alf.hosts().on_exec("web1", script);
        let result = alf.run_to_end("web1", "check").await;
        assert_eq!((verdict(&result), result.message.as_str()), (expected, message));
        let status = alf.status("web1", "check").unwrap();
        assert_eq!((status.state, status.outcome, status.hard), (result.state, Some(result.outcome), true));
        assert_eq!(status.attempt, u32::from(result.outcome == Problem));
        let changed = before.state != status.state;
        assert_eq!(
            status.since,
            if changed { Some(result.finished_at) } else { before.since },
            "since its last change"
        );
        assert_eq!(status.last.iter().next().unwrap().id, result.id);
        before = status;
        ended.push(result);
        tokio::time::sleep(seconds(1)).await;
    }
    let timed_out = &ended[3];
    assert_eq!((timed_out.exit_code, timed_out.kill.as_ref().unwrap().gone), (None, None));
    assert!((5000..5010).contains(&timed_out.duration_ms().unwrap()), "{:?}", timed_out.duration_ms());
    alf.end().await;
}

#[actix_rt::test]
async fn several_lines_at_the_same_instant_are_one_run() {
    let alf = Alf::with(
        r#"{"hosts": [{"name": "web1"}], "tasks": [{"name": "check", "command": "check"}],
            "schedules": [{"name": "half", "cron": "*/30 * * * *"}, {"name": "full", "cron": "0 * * * *"}],
            "host_tasks": [{"task": "check", "host": "web1"}, {"name": "all", "task": "check", "selector": "*"}],
            "task_schedules": [{"task": "check", "schedule": "half"}, {"task": "check", "schedule": "full"},
                               {"name": "inline", "task": "check", "cron": "0 */2 * * *"}]}"#,
    )
    .await;
    tokio::time::sleep(seconds(4 * 3600)).await;
    let results = alf.results("web1", "check");
    told(&results, TimeDelta::minutes(30), start() + TimeDelta::hours(4));
    assert_eq!(alf.hosts().execs("web1").len(), 8);
    assert_eq!(reasons(&results), vec![None; 8]);
    alf.end().await;
}

#[actix_rt::test]
async fn a_changed_line_takes_effect_at_once_and_catches_up_with_nothing() {
    let alf = Alf::with(&one("0 12 * * *")).await;
    tokio::time::sleep(seconds(1800)).await;
    let changed = alf.now();
    alf.put(Noun::TaskSchedule, r#"{"name": "often", "task": "check", "cron": "*/5 * * * *"}"#, If::Exists)
        .await
        .unwrap();
    alf.until(|alf| alf.status("web1", "check").unwrap().next_run_at.unwrap() < at("2026-11-23T12:00:00Z").into())
        .await;
    assert!(alf.now() - changed < SECOND);
    tokio::time::sleep(seconds(600)).await;
    let results = alf.results("web1", "check");
    assert_eq!(instants(&results, SECOND), [at("2026-11-23T10:35:00Z"), at("2026-11-23T10:40:00Z")]);
    // The same line again is no change, and another task's neither.
    alf.put(Noun::TaskSchedule, r#"{"name": "often", "task": "check", "cron": "*/5 * * * *"}"#, If::None)
        .await
        .unwrap();
    alf.define(r#"{"tasks": [{"name": "other", "command": "x"}]}"#).await;
    tokio::time::sleep(seconds(600)).await;
    assert_eq!(alf.results("web1", "check").len(), 4);
    alf.end().await;
}

#[actix_rt::test]
async fn what_came_before_a_change_came_by_the_old_line() {
    let alf = Alf::with(&one("@every 10s")).await;
    tokio::time::sleep(seconds(15)).await;
    // The change overtakes the timer: time jumps, and the actor hears of the change first.
    let change = alf.put(Noun::TaskSchedule, r#"{"name": "often", "task": "check", "cron": "0 23 * * *"}"#, If::Exists);
    let ((), change) = tokio::join!(tokio::time::advance(seconds(30)), change);
    change.unwrap();
    tokio::time::sleep(seconds(60)).await;
    told(&alf.results("web1", "check"), TimeDelta::seconds(10), start() + TimeDelta::seconds(45));
    alf.end().await;
}

#[actix_rt::test]
async fn what_is_disabled_does_not_fire() {
    let alf = Alf::with(&one("@every 10s")).await;
    tokio::time::sleep(seconds(20)).await;
    alf.put(Noun::Task, r#"{"name": "check", "command": "check", "enabled": false}"#, If::None).await.unwrap();
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(alf.results("web1", "check").len(), 2);
    assert_eq!(alf.status("web1", "check").unwrap().next_run_at, None);
    alf.define(r#"{"tasks": [{"name": "check", "command": "check"}], "hosts": [{"name": "web1", "enabled": false}]}"#)
        .await;
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(alf.results("web1", "check").len(), 2);
    assert_eq!(alf.run("web1", "check").await, Err(AlfError::Disabled(name("web1"))));
    alf.define(r#"{"hosts": [{"name": "web1"}]}"#).await;
    tokio::time::sleep(seconds(10)).await;
    let results = alf.results("web1", "check");
    assert_eq!(results.len(), 3, "what passed meanwhile is not caught up with");
    assert_eq!(results[2].trigger, Trigger::Schedule);
    alf.end().await;
}

#[actix_rt::test]
async fn a_night_away_is_told_and_the_last_instant_run() {
    let alf = Alf::with(&one("* * * * *")).await;
    tokio::time::sleep(seconds(120)).await;
    let world = alf.end().await;
    tokio::time::sleep(seconds(8 * 3600)).await;
    let back = world.clock.now();
    let alf = world.start().await;
    alf.settle().await;
    tokio::time::sleep(seconds(60)).await;
    let results = alf.results("web1", "check");
    told(&results, MINUTE, alf.now());
    let folded: Vec<_> = results.iter().filter(|result| result.instants.is_some()).collect();
    assert_eq!(folded.len(), 1);
    assert_eq!(verdict(folded[0]), (Outcome::Skipped, None, Some(Reason::Missed)));
    assert!(folded[0].instants.unwrap().until.get() < back - TimeDelta::minutes(10));
    let missed = results.iter().filter(|result| result.reason == Some(Reason::Missed) && result.instants.is_none());
    assert_eq!(missed.count(), 9, "those of the last ten minutes but the newest");
    let caught_up: Vec<_> = results.iter().filter(|result| result.trigger == Trigger::CatchUp).collect();
    assert_eq!(caught_up.len(), 1);
    assert_eq!(verdict(caught_up[0]), (Outcome::Ok, Some(State::Ok), None));
    assert!(back - caught_up[0].scheduled_at.get() < MINUTE);
    assert_eq!(alf.hosts().execs("web1").len(), 2 + 1 + 1, "before, caught up, after");
    alf.end().await;
}

#[actix_rt::test]
async fn what_is_caught_up_with_has_its_own_time_to_start() {
    let tight = r#"{"tasks": [{"name": "check", "command": "check", "start_within": "5s"}]}"#;
    let alf = Alf::with(&one("*/10 * * * *")).await;
    alf.define(tight).await;
    let world = alf.end().await;
    tokio::time::sleep(seconds(15 * 60)).await;
    let alf = world.start().await;
    alf.settle().await;
    let results = alf.results("web1", "check");
    assert_eq!(reasons(&results), [None], "its instant passed minutes ago: {results:?}");
    assert!(results[0].lateness_ms().unwrap() > 60_000);
    alf.end().await;
}

#[actix_rt::test]
async fn a_restart_does_not_shift_every() {
    let alf = Alf::with(&one("@every 7m")).await;
    tokio::time::sleep(seconds(3600)).await;
    let world = alf.end().await;
    tokio::time::sleep(seconds(100)).await;
    let alf = world.start().await;
    tokio::time::sleep(seconds(3600)).await;
    let results = alf.results("web1", "check");
    told(&results, TimeDelta::minutes(7), alf.now());
    alf.end().await;
}

#[actix_rt::test]
async fn a_run_that_a_crash_cut_off_is_aborted_once() {
    let world = Alf::with(&one("@every 1h")).await.end().await;
    // As it stands after a crash: claimed, and never ended.
    let instant = at("2026-11-23T11:00:00Z");
    let id = crate::model::RunIds::default().next(instant.into());
    let open = OpenRun {
        id,
        task_version: Some(1),
        schedule: Some(name("often")),
        trigger: Trigger::Schedule,
        by: None,
        group: None,
        cause: None,
        scheduled_at: instant.into(),
        due_at: instant.into(),
    };
    let claim = Write::Claim { host: name("web1"), task: Some(name("check")), until: Some(instant.into()), open };
    world.store.commit(vec![claim]).await.unwrap();
    tokio::time::sleep(seconds(3600)).await;
    let alf = world.start().await;
    alf.settle().await;
    let results = alf.results("web1", "check");
    assert_eq!(results.len(), 1, "aborted, not caught up with: {results:?}");
    assert_eq!(
        (results[0].id, verdict(&results[0])),
        (id, (Outcome::Problem, Some(State::Unknown), Some(Reason::Aborted)))
    );
    let status = alf.status("web1", "check").unwrap();
    assert_eq!(
        (status.state, status.running, status.last.iter().count()),
        (None, false, 1),
        "it leaves the state as it was"
    );
    let world = alf.end().await;
    let alf = world.start().await;
    alf.settle().await;
    assert_eq!(alf.results("web1", "check").len(), 1, "once and for all");
    alf.end().await;
}

#[actix_rt::test]
async fn a_crash_in_the_middle_of_runs_loses_none() {
    let alf = Alf::with(&one("@every 10s")).await;
    alf.hosts().on_exec("web1", FakeExec::exit(0)).on_exec("web1", FakeExec::exit(0).after(seconds(3600)));
    tokio::time::sleep(seconds(32)).await;
    let world = alf.crash().await;
    let alf = world.start().await;
    tokio::time::sleep(seconds(20)).await;
    let results = alf.results("web1", "check");
    told(&results, TimeDelta::seconds(10), alf.now());
    assert_eq!(results.iter().filter(|result| result.reason == Some(Reason::Aborted)).count(), 1);
    alf.end().await;
}

#[actix_rt::test]
async fn a_suspended_machine_catches_up() {
    let alf = Alf::with(&one("* * * * *")).await;
    tokio::time::sleep(seconds(90)).await;
    // Nothing gets a turn meanwhile.
    tokio::time::advance(seconds(3600)).await;
    tokio::time::sleep(seconds(90)).await;
    let results = alf.results("web1", "check");
    told(&results, MINUTE, alf.now());
    assert_eq!(results.iter().filter(|result| result.trigger == Trigger::CatchUp).count(), 1);
    assert_eq!(results.iter().filter(|result| result.instants.is_some()).count(), 1);
    alf.end().await;
}

#[actix_rt::test]
async fn an_empty_world_ends_at_once() {
    let alf = World::new().start().await;
    alf.end().await;
}
