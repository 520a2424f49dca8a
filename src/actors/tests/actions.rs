//! Actions: who is told what, once, and what a crash leaves.

use super::support::*;
use crate::actors::reactions::Handed;
use crate::model::{
    Notification, NotificationOutcome, NotificationQuery, Outcome, Reason, RunId, RunResult, Trace, Trigger,
};
use crate::ssh::fake::{FakeConnect, FakeExec};
use crate::store::Store as _;

/// Two contacts.
const CONTACTS: &str =
    r#"{"contacts": [{"name": "anna", "email": "anna@example.org"}, {"name": "bo", "email": "bo@example.org"}]}"#;

/// A pair that is due each minute, and what is told of it.
async fn told_by(actions: &str) -> Alf {
    let alf = Alf::with(&one("0 * * * * *")).await;
    alf.define(CONTACTS).await;
    alf.define(&format!(r#"{{"actions": [{actions}]}}"#)).await;
    alf
}

/// The next runs on `web1` end with these codes.
fn ends(alf: &Alf, codes: &[i32]) {
    for code in codes {
        alf.hosts().on_exec("web1", FakeExec::exit(*code));
    }
}

impl Alf {
    /// Waits until the pair has so many Results and all that follows from them has been looked at.
    async fn seen(&self, count: usize) {
        self.until(|alf| alf.results("web1", "check").len() >= count).await;
        self.settle().await;
        tokio::time::sleep(seconds(2)).await;
    }

    /// The first Result of the pair that came to this, looked at.
    async fn first(&self, outcome: Outcome) -> RunResult {
        let first = |alf: &Self| alf.results("web1", "check").into_iter().find(|result| result.outcome == outcome);
        self.until(|alf| first(alf).is_some()).await;
        self.settle().await;
        first(self).unwrap()
    }

    fn told(&self) -> Vec<String> {
        self.world.courier.told()
    }

    async fn notifications(&self) -> Vec<Notification> {
        let query = NotificationQuery { limit: 1000, ..NotificationQuery::default() };
        let mut items = self.store().notifications(query).await.unwrap().items;
        items.reverse();
        items
    }

    async fn trace(&self, result: RunId) -> Trace {
        self.store().trace(result).await.unwrap().expect("there is a trace").0
    }
}

#[actix_rt::test]
async fn a_hard_problem_and_its_recovery_are_told_once_to_each_contact() {
    let alf = told_by(r#"{"name": "oncall", "then": {"email": {}}, "contacts": ["anna", "bo"]}"#).await;
    ends(&alf, &[0, 1, 1, 0, 0]);
    alf.seen(5).await;
    assert_eq!(
        alf.told(),
        [
            "PROBLEM web1/check CRITICAL -> anna",
            "PROBLEM web1/check CRITICAL -> bo",
            "RECOVERY web1/check OK -> anna",
            "RECOVERY web1/check OK -> bo"
        ]
    );
    let sent = alf.world.courier.sent();
    let failed = &alf.results("web1", "check")[1];
    assert_eq!(sent[0].payload["result"]["id"], failed.id.to_string());
    assert_eq!(sent[0].payload["items"].as_array().unwrap().len(), 1);
    let (_, documented) = include_str!("../../../docs/actions.md").split_once("\n| name | what it is |\n").unwrap();
    let rows = documented.lines().take_while(|line| line.starts_with('|')).skip(1);
    let mut documented: Vec<&str> =
        rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2)).collect();
    documented.sort_unstable();
    assert_eq!(documented, sent[0].payload.as_object().unwrap().keys().collect::<Vec<_>>());
    let notifications = alf.notifications().await;
    assert_eq!(notifications.len(), 4);
    assert!(notifications.iter().all(|one| one.outcome == NotificationOutcome::Sent), "{notifications:?}");
    let trace = alf.trace(failed.id).await;
    assert!(trace.items[0].matched && trace.items[0].told.len() == 2, "{trace:?}");
    let trace = alf.trace(alf.results("web1", "check")[2].id).await;
    assert_eq!(
        (trace.items[0].matched, trace.items[0].why.as_deref()),
        (false, Some("on: the hard state is as before"))
    );
    alf.end().await;
}

#[actix_rt::test]
async fn a_fired_task_gets_the_result_and_says_what_caused_it() {
    let alf = told_by("").await;
    alf.define(
        r#"{"tasks": [{"name": "mend", "command": "mend"}], "actions": [{"name": "repair", "then": {"run": "mend"}}]}"#,
    )
    .await;
    alf.hosts().on_command("check", FakeExec::exit(2).stdout("disk is full\n"));
    alf.seen(2).await;
    let [result] = &alf.results("web1", "mend")[..] else { panic!("{:?}", alf.results("web1", "mend")) };
    let failed = &alf.results("web1", "check")[0];
    assert_eq!((result.outcome, result.trigger), (Outcome::Ok, Trigger::Action));
    let cause = result.cause.as_ref().unwrap();
    assert_eq!((cause.action.as_str(), cause.result), ("repair", Some(failed.id)));
    let exec = alf.hosts().execs("web1").into_iter().find(|exec| exec.text() == "mend").unwrap();
    let stdin: serde_json::Value = serde_json::from_slice(exec.stdin.as_ref().unwrap()).unwrap();
    assert_eq!((&stdin["id"], &stdin["stdout"]), (&failed.id.to_string().into(), &"disk is full\n".into()));
    let env = |name: &str| exec.env.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str());
    assert_eq!(env("ALF_TASK"), Some("mend"));
    assert_eq!(env("NAGIOS_SERVICEDESC"), Some("check"));
    assert_eq!(env("NAGIOS_HOSTNAME"), Some("web1"));
    assert_eq!(env("NAGIOS_SERVICESTATE"), Some("CRITICAL"));
    assert_eq!(env("NAGIOS_NOTIFICATIONTYPE"), Some("PROBLEM"));
    let [told] = &alf.notifications().await[..] else { panic!("{:?}", alf.notifications().await) };
    assert_eq!((told.run, told.outcome), (Some(result.id), NotificationOutcome::Sent));
    assert!(alf.told().is_empty(), "a run is no message");
    alf.end().await;
}

#[actix_rt::test]
async fn chains_end_at_depth_eight_and_never_come_back() {
    let alf = told_by("").await;
    let tasks: Vec<String> = (0..12).map(|n| format!(r#"{{"name": "t{n}", "command": "t{n}"}}"#)).collect();
    let link = |n: usize| {
        format!(
            r#"{{"name": "a{n:02}", "when": {{"tasks": ["{}"], "on": "result"}}, "then": {{"run": "t{n}"}}}}"#,
            if n == 0 { "check".to_owned() } else { format!("t{}", n - 1) }
        )
    };
    let links: Vec<String> = (0..12).map(link).collect();
    alf.define(&format!(r#"{{"tasks": [{}], "actions": [{}]}}"#, tasks.join(","), links.join(","))).await;
    alf.seen(1).await;
    let ran: Vec<usize> = (0..12).filter(|n| !alf.results("web1", &format!("t{n}")).is_empty()).collect();
    assert_eq!(ran, (0..8).collect::<Vec<_>>());
    let last = alf.results("web1", "t7").remove(0);
    let trace = alf.trace(last.id).await;
    let why = trace.items.iter().find(|item| item.action.as_str() == "a08").and_then(|item| item.why.clone());
    assert!(why.as_ref().is_some_and(|why| why.contains('8')), "{why:?}");
    // One that fires the task that led to it.
    alf.define(r#"{"actions": [{"name": "again", "when": {"tasks": ["t0"], "on": "result"}, "then": {"run": "t0"}}]}"#)
        .await;
    let before = alf.results("web1", "t0").len();
    alf.until(|alf| alf.results("web1", "check").len() == 2).await;
    tokio::time::sleep(seconds(20)).await;
    assert_eq!(alf.results("web1", "t0").len(), before + 2, "once by the chain, once by itself, not again");
    alf.end().await;
}

#[actix_rt::test]
async fn what_was_stored_and_not_looked_at_is_looked_at_after_a_crash_and_nothing_twice() {
    let actions = r#"{"name": "oncall", "then": {"email": {}}, "contacts": ["anna"], "throttle": "1h"},
        {"name": "repair", "then": {"run": "mend"}}"#;
    let alf = Alf::with(&one("0 * * * * *")).await;
    alf.define(r#"{"tasks": [{"name": "mend", "command": "mend"}]}"#).await;
    alf.define(CONTACTS).await;
    alf.define(&format!(r#"{{"actions": [{actions}]}}"#)).await;
    alf.hosts().on_command("check", FakeExec::exit(2));
    alf.seen(1).await;
    assert_eq!((alf.told().len(), alf.results("web1", "mend").len()), (1, 1));
    let world = alf.crash().await;
    let alf = world.start().await;
    alf.seen(3).await;
    assert_eq!((alf.told().len(), alf.results("web1", "mend").len()), (1, 1), "{:?}", alf.told());
    // Well, and wrong again within the hour: the throttle was not forgotten.
    let world = alf.crash().await;
    let alf = world.start().await;
    ends(&alf, &[0]);
    alf.until(|alf| alf.told().len() == 2).await;
    assert_eq!(alf.told()[1], "RECOVERY web1/check OK -> anna");
    tokio::time::sleep(seconds(180)).await;
    assert_eq!(alf.told().len(), 2, "{:?}", alf.told());
    let throttled = alf.notifications().await.into_iter().filter(|one| one.outcome == NotificationOutcome::Throttled);
    assert_eq!(throttled.count(), 1);
    alf.until(|alf| alf.told().len() == 3).await;
    let first =
        alf.world.courier.sent()[0].payload["at"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert!(alf.now() - first >= chrono::TimeDelta::hours(1), "{first}");
    assert_eq!(alf.told()[2], "PROBLEM web1/check CRITICAL -> anna");
    alf.end().await;
}

#[actix_rt::test]
async fn what_a_store_that_is_away_keeps_back_is_told_when_it_is_back() {
    let alf = told_by(r#"{"name": "oncall", "then": {"email": {}}, "contacts": ["anna"]}"#).await;
    ends(&alf, &[0, 1]);
    alf.seen(1).await;
    alf.store().fail_commits(Some(crate::store::StoreError::Unavailable("the disk is full".to_owned())));
    tokio::time::sleep(seconds(90)).await;
    assert!(alf.told().is_empty(), "told before it is on disk");
    alf.store().fail_commits(None);
    alf.seen(2).await;
    assert_eq!(alf.told(), ["PROBLEM web1/check CRITICAL -> anna"]);
    alf.end().await;
}

#[actix_rt::test]
async fn a_message_that_is_not_taken_is_tried_again_and_failure_is_seen() {
    let alf = told_by(r#"{"name": "oncall", "then": {"email": {}}, "contacts": ["anna"], "recovery": false}"#).await;
    let not_yet = || Handed::NotYet { why: "the server is away".to_owned(), after: None };
    alf.world.courier.answer(not_yet());
    alf.world.courier.answer(not_yet());
    ends(&alf, &[1, 1, 1, 0, 1]);
    alf.seen(1).await;
    let pending = alf.notifications().await;
    assert_eq!(pending[0].outcome, NotificationOutcome::Pending);
    assert!(pending[0].detail.contains("the server is away"), "{pending:?}");
    let health = alf.health(&["action", "oncall"]).await;
    assert_eq!((health.state.as_str(), health.queue), ("away", 1), "{health:?}");
    alf.seen(3).await;
    assert_eq!(alf.told(), ["PROBLEM web1/check CRITICAL -> anna"]);
    alf.world.courier.answer(Handed::Failed("no such address".to_owned()));
    alf.seen(5).await;
    let failed = alf.notifications().await.pop().unwrap();
    assert_eq!((failed.outcome, failed.detail.as_str()), (NotificationOutcome::Failed, "no such address"));
    let health = alf.health(&["action", "oncall"]).await;
    assert_eq!((health.state.as_str(), health.last_error.as_deref()), ("failing", Some("no such address")));
    assert_eq!((health.details["fired"].as_str(), health.details["failed"].as_str()), ("1", "1"));
    assert!(health.details.contains_key("away_since"), "{health:?}");
    alf.end().await;
}

#[actix_rt::test]
async fn forty_tasks_of_a_dead_host_are_one_message_for_each_contact() {
    let alf = World::new().start().await;
    let tasks: Vec<String> =
        (0..40).map(|n| format!(r#"{{"name": "t{n}", "command": "check", "max_attempts": 1}}"#)).collect();
    let links: Vec<String> = (0..40).map(|n| format!(r#"{{"task": "t{n}", "host": "web1"}}"#)).collect();
    let lines: Vec<String> =
        (0..40).map(|n| format!(r#"{{"name": "l{n}", "task": "t{n}", "cron": "* * * * *"}}"#)).collect();
    alf.define(&format!(
        r#"{{"hosts": [{{"name": "web1", "max_attempts": 2}}], "tasks": [{}], "host_tasks": [{}], "task_schedules": [{}]}}"#,
        tasks.join(","),
        links.join(","),
        lines.join(",")
    ))
    .await;
    alf.define(CONTACTS).await;
    alf.define(r#"{"actions": [{"name": "oncall", "then": {"email": {}}, "contacts": ["anna", "bo"]}]}"#).await;
    tokio::time::sleep(seconds(70)).await;
    assert!(alf.told().is_empty(), "{:?}", alf.told());
    for _ in 0..8 {
        alf.hosts().on_connect("web1", FakeConnect::unreachable("no route"));
    }
    alf.hosts().cut("web1", "gone");
    alf.until(|alf| alf.told().len() == 2).await;
    tokio::time::sleep(seconds(120)).await;
    assert_eq!(alf.told(), ["PROBLEM web1 DOWN -> anna", "PROBLEM web1 DOWN -> bo"]);
    alf.until(|alf| alf.told().len() > 2).await;
    tokio::time::sleep(seconds(120)).await;
    assert_eq!(alf.told()[2..], ["RECOVERY web1 UP -> anna", "RECOVERY web1 UP -> bo"]);
    alf.end().await;
}

#[actix_rt::test]
async fn a_sink_of_metrics_gets_every_result_whatever_stands_in_the_way() {
    let alf = told_by(r#"{"name": "graph", "then": {"graphite": {"address": "127.0.0.1:2003"}}}"#).await;
    alf.define(r#"{"downtimes": [{"name": "work", "host": "web1", "starts_at": "2026-11-23T09:00:00Z", "ends_at": "2026-11-23T19:00:00Z"}]}"#)
        .await;
    ends(&alf, &[0, 2, 2, 0]);
    alf.seen(4).await;
    let measured: Vec<RunId> = alf.world.courier.measured().into_iter().map(|(_, result)| result).collect();
    let results: Vec<RunId> = alf.results("web1", "check").iter().map(|result| result.id).collect();
    assert_eq!(measured, results);
    assert!(alf.notifications().await.is_empty());
    alf.end().await;
}

#[actix_rt::test]
async fn a_receiver_that_hangs_keeps_no_other_waiting() {
    let alf = told_by(
        r#"{"name": "a-hook", "when": {"on": "result"}, "then": {"webhook": {"url": "https://example.org"}}},
           {"name": "oncall", "then": {"email": {}}, "contacts": ["anna"]}"#,
    )
    .await;
    alf.world.courier.hang("a-hook");
    for _ in 0..100 {
        alf.hosts().on_exec("web1", FakeExec::exit(0));
        alf.run_to_end("web1", "check").await;
    }
    alf.hosts().on_exec("web1", FakeExec::exit(2));
    alf.run_to_end("web1", "check").await;
    tokio::time::sleep(seconds(2)).await;
    assert_eq!(alf.told(), ["PROBLEM web1/check CRITICAL -> anna"]);
    alf.end().await;
}

#[actix_rt::test]
async fn a_problem_that_leaves_the_state_has_its_trace_and_one_that_was_skipped_is_told_anew() {
    let alf = told_by(r#"{"name": "oncall", "then": {"email": {}}, "contacts": ["anna"]}"#).await;
    alf.seen(1).await;
    // The one is cut off, the other runs into the next instant.
    alf.hosts().on_exec("web1", FakeExec::exit(0).after(seconds(30)));
    alf.hosts().on_exec("web1", FakeExec::exit(0).after(seconds(90)));
    alf.until(|alf| alf.hosts().running("web1") == 1).await;
    alf.hosts().cut("web1", "gone");
    let lost = alf.first(Outcome::Problem).await;
    assert_eq!(lost.reason, Some(Reason::ConnectionLost));
    let (trace, _) = alf.handle.trace(&lost).await.unwrap();
    let why = trace.items[0].why.as_deref().unwrap_or_default();
    assert!(trace.at.is_some() && why.contains("told of the host"), "{trace:?}");
    let skipped = alf.first(Outcome::Skipped).await;
    let (trace, _) = alf.handle.trace(&skipped).await.unwrap();
    let why = trace.items[0].why.as_deref().unwrap_or_default();
    assert!(trace.at.is_none() && why.contains("SKIPPED"), "{trace:?}");
    alf.end().await;
}
