//! What Actions are told of beside states: what is late, stale or skipped, hosts, runs that nothing is linked to.

use super::support::*;
use crate::actors::handle::{Order, What};
use crate::model::{Outcome, Reason, Trigger};
use crate::ssh::fake::{FakeConnect, FakeExec};

const ANNA: &str = r#"{"contacts": [{"name": "anna", "email": "anna@example.org"}]}"#;

async fn world(line: &str, when: &str) -> Alf {
    let alf = Alf::with(&one(line)).await;
    alf.define(ANNA).await;
    alf.define(&format!(
        r#"{{"actions": [{{"name": "oncall", "when": {when}, "then": {{"email": {{}}}}, "contacts": ["anna"]}}]}}"#
    ))
    .await;
    alf
}

fn heard(alf: &Alf) -> Vec<String> {
    alf.world.courier.told()
}

async fn pass(count: u64) {
    tokio::time::sleep(seconds(count)).await;
}

#[actix_rt::test]
async fn what_has_not_gone_well_by_its_time_is_told_once_and_that_it_has_after_all() {
    let alf = world("0 0 12 * * *", r#"{"on": "late"}"#).await;
    let finish_by =
        r#"{"task_schedules": [{"name": "often", "task": "check", "schedule": "often", "finish_by": "14:00"}]}"#;
    alf.define(finish_by).await;
    alf.hosts().on_exec("web1", FakeExec::exit(1));
    alf.until(|alf| alf.now() > at("2026-11-23T13:59:00Z")).await;
    assert!(heard(&alf).is_empty(), "{:?}", heard(&alf));
    alf.until(|alf| alf.now() > at("2026-11-23T14:00:05Z")).await;
    assert_eq!(heard(&alf), ["PROBLEM web1/check CRITICAL -> anna"]);
    let alf = alf.crash().await.start().await;
    pass(60).await;
    assert_eq!(heard(&alf).len(), 1, "once: {:?}", heard(&alf));
    alf.run_to_end("web1", "check").await;
    pass(3).await;
    assert_eq!(heard(&alf)[1..], ["RECOVERY web1/check OK -> anna"]);
    alf.end().await;
}

#[actix_rt::test]
async fn what_has_not_run_for_too_long_is_told_once_and_its_end() {
    let alf = world("@every 1m", r#"{"on": "stale"}"#).await;
    pass(90).await;
    alf.handle.pause(None).await.unwrap();
    pass(400).await;
    assert_eq!(heard(&alf), ["PROBLEM web1/check UNKNOWN -> anna"], "it was OK when it was last looked at");
    alf.handle.resume().await.unwrap();
    pass(120).await;
    assert_eq!(heard(&alf)[1..], ["RECOVERY web1/check OK -> anna"]);
    alf.end().await;
}

#[actix_rt::test]
async fn that_nothing_runs_in_a_downtime_that_pauses_is_no_reason_to_tell_anybody() {
    let alf = world("@every 1m", r#"{"on": "stale"}"#).await;
    pass(90).await;
    let until = (alf.now() + chrono::TimeDelta::minutes(10)).to_rfc3339();
    alf.define(&format!(
        r#"{{"downtimes": [{{"name": "d", "host": "web1", "mode": "pause", "comment": "", "starts_at": "2026-11-23T00:00:00Z", "ends_at": "{until}"}}]}}"#
    ))
    .await;
    alf.until(|alf| alf.status("web1", "check").unwrap().skipped_in_row > 5).await;
    assert!(!alf.status("web1", "check").unwrap().stale);
    pass(900).await;
    assert_eq!(alf.status("web1", "check").unwrap().skipped_in_row, 0);
    assert!(heard(&alf).is_empty(), "{:?}", heard(&alf));
    alf.end().await;
}

#[actix_rt::test]
async fn a_task_that_is_fired_as_something_is_late_or_stale_finds_what_is() {
    let alf = world("0 0 12 * * *", r#"{"on": "late"}"#).await;
    alf.define(
        r#"{"task_schedules": [{"name": "often", "task": "check", "schedule": "often", "finish_by": "14:00"}],
            "hosts": [{"name": "watch"}], "tasks": [{"name": "look", "command": "look"}],
            "actions": [{"name": "late", "when": {"on": "late"}, "then": {"run": "look", "on": "watch"}},
                {"name": "stale", "when": {"on": "stale"}, "then": {"run": "look", "on": "watch"}}]}"#,
    )
    .await;
    alf.hosts().on_exec("web1", FakeExec::exit(3));
    alf.until(|alf| !alf.results("watch", "look").is_empty()).await;
    let exec = alf.hosts().execs("watch").pop().unwrap();
    let stdin: serde_json::Value = serde_json::from_slice(exec.stdin.as_ref().unwrap()).unwrap();
    assert_eq!((&stdin["task"], &stdin["exit_code"]), (&"check".into(), &3.into()), "the Result before: {stdin}");
    let env = |name: &str| exec.env.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str());
    let says = Some("no OK Result by 2026-11-23T14:00:00.000Z (finish_by)");
    assert_eq!((env("ALF_EVENT_MESSAGE"), env("NAGIOS_SERVICEOUTPUT")), (says, says));
    alf.handle.pause(None).await.unwrap();
    alf.until(|alf| alf.results("watch", "look").len() == 2).await;
    let exec = alf.hosts().execs("watch").pop().unwrap();
    let message = exec.env.iter().find(|(of, _)| of == "ALF_EVENT_MESSAGE").map(|(_, value)| value.clone());
    assert_eq!(message.as_deref(), Some("stale: the last instant executed nothing"));
    alf.end().await;
}

#[actix_rt::test]
async fn what_is_skipped_is_told_to_who_asks_for_it() {
    let alf = world("@every 1m", r#"{"reasons": ["overlap"]}"#).await;
    alf.define(r#"{"actions": [{"name": "quiet", "then": {"email": {}}, "contacts": ["anna"]}]}"#).await;
    alf.hosts().on_exec("web1", FakeExec::exit(0).after(seconds(90)));
    pass(200).await;
    assert_eq!(heard(&alf), ["CUSTOM web1/check -> anna"]);
    assert_eq!(alf.world.courier.sent()[0].action.as_str(), "oncall");
    alf.end().await;
}

#[actix_rt::test]
async fn a_run_that_nothing_is_linked_to_is_told_of_only_with_on_result() {
    let alf = world("@every 1m", r#"{"on": "result", "outcome": "PROBLEM"}"#).await;
    alf.define(
        r#"{"hosts": [{"name": "web2"}], "actions": [{"name": "hard", "then": {"email": {}}, "contacts": ["anna"]}]}"#,
    )
    .await;
    alf.hosts().on_exec("web2", FakeExec::exit(1));
    alf.run_to_end("web2", "check").await;
    pass(3).await;
    assert_eq!(heard(&alf), ["PROBLEM web2/check CRITICAL -> anna"]);
    alf.end().await;
}

#[actix_rt::test]
async fn a_task_is_fired_for_a_host_that_is_down_and_finds_no_result() {
    let alf = world("@every 1m", r#"{"object": "host"}"#).await;
    alf.define(
        r#"{"hosts": [{"name": "web1", "max_attempts": 2}, {"name": "watch"}], "tasks": [{"name": "cut-off", "command": "cut-off"}],
            "actions": [{"name": "fence", "when": {"object": "host"}, "then": {"run": "cut-off", "on": "watch"}}]}"#,
    )
    .await;
    pass(70).await;
    for _ in 0..4 {
        alf.hosts().on_connect("web1", FakeConnect::unreachable("no route"));
    }
    alf.hosts().cut("web1", "gone");
    alf.until(|alf| !alf.results("watch", "cut-off").is_empty()).await;
    let exec = alf.hosts().execs("watch").pop().unwrap();
    let stdin: serde_json::Value = serde_json::from_slice(exec.stdin.as_ref().unwrap()).unwrap();
    assert_eq!(
        (&stdin["host"], &stdin["state"], &stdin["task"]),
        (&"web1".into(), &"DOWN".into(), &serde_json::Value::Null)
    );
    assert!(stdin.as_object().unwrap().contains_key("task"), "task: null is said");
    let env = |name: &str| exec.env.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str());
    assert_eq!((env("NAGIOS_HOSTSTATE"), env("NAGIOS_SERVICEDESC")), (Some("DOWN"), Some("")));
    assert_eq!(env("NAGIOS_HOSTNAME"), Some("web1"));
    let result = alf.results("watch", "cut-off").pop().unwrap();
    assert_eq!((result.trigger, result.cause.unwrap().result), (Trigger::Action, None));
    alf.until(|alf| heard(alf).len() == 2).await;
    assert_eq!(heard(&alf), ["PROBLEM web1 DOWN -> anna", "RECOVERY web1 UP -> anna"]);
    alf.end().await;
}

#[actix_rt::test]
async fn fired_runs_wait_their_turn_and_no_longer_than_they_may() {
    let alf = Alf::with(&one("@every 1m")).await;
    alf.define(
        r#"{"tasks": [{"name": "mend", "command": "mend", "timeout": "none", "start_within": "5m"}],
            "host_tasks": [{"task": "mend", "host": "web1"}],
            "actions": [{"name": "repair", "when": {"on": "result", "tasks": ["check"]}, "then": {"run": "mend"}}]}"#,
    )
    .await;
    alf.hosts().on_command("mend", FakeExec::exit(0).after(seconds(100)));
    pass(330).await;
    let mended = alf.results("web1", "mend");
    assert!(mended.len() >= 2 && mended.iter().all(|result| result.outcome == Outcome::Ok), "{mended:?}");
    alf.until(|alf| alf.results("web1", "mend").iter().any(|result| result.reason == Some(Reason::Late))).await;
    let late = alf.results("web1", "mend").into_iter().find(|result| result.reason == Some(Reason::Late)).unwrap();
    let waited = late.finished_at.get() - late.due_at.get();
    assert!((300..=305).contains(&waited.num_seconds()), "{waited}");
    assert!(alf.results("web1", "mend").iter().all(|result| result.reason != Some(Reason::Overlap)));
    alf.end_after(seconds(0)).await;
}

#[actix_rt::test]
async fn a_run_of_no_task_fires_nothing() {
    let alf = world("@every 1h", r#"{"on": "result", "object": "task"}"#).await;
    let task = alf.handle.ad_hoc(serde_json::from_str(r#"{"command": "false"}"#).unwrap()).unwrap();
    alf.hosts().on_command("false", FakeExec::exit(1));
    let run = alf.handle.start(name("web1"), What::AdHoc(task), Order::default()).await.unwrap();
    assert_eq!(alf.handle.wait(run, seconds(60)).await.unwrap().unwrap().outcome, Outcome::Problem);
    pass(5).await;
    assert!(heard(&alf).is_empty(), "{:?}", heard(&alf));
    alf.end().await;
}

#[actix_rt::test]
async fn a_host_that_is_defined_anew_while_it_is_down_is_not_told_of_again() {
    let alf = world("@every 1m", r#"{"object": "host"}"#).await;
    alf.define(r#"{"hosts": [{"name": "web1", "max_attempts": 1}]}"#).await;
    pass(70).await;
    for _ in 0..40 {
        alf.hosts().on_connect("web1", FakeConnect::unreachable("no route"));
    }
    alf.hosts().cut("web1", "gone");
    alf.until(|alf| heard(alf).len() == 1).await;
    alf.define(r#"{"hosts": [{"name": "web1", "max_attempts": 1, "port": 2222}]}"#).await;
    pass(300).await;
    assert_eq!(heard(&alf)[0], "PROBLEM web1 DOWN -> anna");
    alf.until(|alf| heard(alf).len() > 1).await;
    assert_eq!(heard(&alf)[1..], ["RECOVERY web1 UP -> anna"]);
    alf.end().await;
}
