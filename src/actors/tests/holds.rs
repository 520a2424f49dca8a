//! What stands in the way of telling somebody, and what becomes of it when that ends: every hold, and every end.

use chrono::TimeDelta;

use super::support::*;
use crate::model::{Ack, Hold, Notification, NotificationOutcome, NotificationQuery, Noun};
use crate::ssh::fake::FakeExec;
use crate::store::{Store as _, StoreError};

/// A pair that runs when it is told to, and two who are told of it; `quiet` hears nothing until 11 o'clock.
const WORLD: &str = r#"{
    "hosts": [{"name": "web1", "max_attempts": 1}], "tasks": [{"name": "check", "command": "check", "plugin": "nagios", "max_attempts": 1}],
    "host_tasks": [{"task": "check", "host": "web1"}],
    "contacts": [{"name": "anna", "email": "anna@example.org"},
        {"name": "quiet", "email": "q@example.org", "quiet_hours": {"timezone": "UTC", "periods": [{"from": "00:00", "to": "11:00"}]}}]}"#;

async fn world(action: &str) -> Alf {
    let alf = Alf::with(WORLD).await;
    alf.define(&format!(r#"{{"actions": [{action}]}}"#)).await;
    alf
}

impl Alf {
    /// The pair runs once and ends with this code; what follows from it has followed.
    async fn ends_with(&self, code: i32) {
        self.hosts().on_exec("web1", FakeExec::exit(code));
        self.run_to_end("web1", "check").await;
        self.pass(3).await;
    }

    async fn pass(&self, count: u64) {
        tokio::time::sleep(seconds(count)).await;
    }

    fn heard(&self) -> Vec<String> {
        self.world.courier.told()
    }

    async fn noted(&self) -> Vec<Notification> {
        let query = NotificationQuery { limit: 1000, ..NotificationQuery::default() };
        let mut items = self.store().notifications(query).await.unwrap().items;
        items.reverse();
        items
    }

    async fn hold(&self, hold: Hold) {
        match hold {
            Hold::Downtime => {
                let (starts, ends) = (self.now() - TimeDelta::minutes(1), self.now() + TimeDelta::days(3));
                self.define(&format!(
                    r#"{{"downtimes": [{{"name": "work", "host": "web1", "starts_at": "{}", "ends_at": "{}"}}]}}"#,
                    starts.to_rfc3339(),
                    ends.to_rfc3339()
                ))
                .await;
            }
            Hold::Flapping => {
                for n in 0..20 {
                    self.ends_with(if n % 2 == 0 { 0 } else { 2 }).await;
                }
                assert!(self.status("web1", "check").unwrap().flapping);
            }
            Hold::HostDown | Hold::Acknowledged | Hold::QuietHours | Hold::Throttle | Hold::Limit => {}
        }
    }

    async fn release(&self, hold: Hold, code: i32) {
        match hold {
            Hold::Downtime => self.delete(Noun::Downtime, "work", false).await.unwrap(),
            Hold::Flapping => {
                while self.status("web1", "check").unwrap().flapping {
                    self.ends_with(code).await;
                }
            }
            Hold::QuietHours => self.until(|alf| alf.now() > at("2026-11-23T11:00:00Z")).await,
            Hold::Throttle | Hold::Limit => self.pass(3600).await,
            Hold::HostDown | Hold::Acknowledged => {}
        }
        self.pass(3).await;
    }
}

const ANNA: &str = r#"{"name": "oncall", "then": {"email": {}}, "contacts": ["anna"]}"#;
const QUIET: &str = r#"{"name": "oncall", "then": {"email": {}}, "contacts": ["quiet"]}"#;
const THROTTLED: &str = r#"{"name": "oncall", "then": {"email": {}}, "contacts": ["anna"], "throttle": "30m"}"#;
const LIMITED: &str = r#"{"name": "oncall", "then": {"email": {}}, "contacts": ["anna"], "limit": "1/h"}"#;

/// What a throttle or a limit needs before it holds: something that was told, and its end.
async fn use_up(alf: &Alf, hold: Hold, action: &str) -> usize {
    alf.ends_with(0).await;
    if matches!(hold, Hold::Throttle | Hold::Limit) {
        alf.ends_with(2).await;
        alf.ends_with(0).await;
    }
    if hold == Hold::Flapping {
        // Nobody was told what came before, so nobody is owed the end of that.
        alf.delete(Noun::Action, "oncall", false).await.unwrap();
    }
    alf.hold(hold).await;
    if hold == Hold::Flapping {
        alf.ends_with(0).await;
        alf.define(&format!(r#"{{"actions": [{action}]}}"#)).await;
    }
    alf.heard().len()
}

async fn is_told_when_it_ends(hold: Hold, action: &str) {
    let alf = world(action).await;
    let before = use_up(&alf, hold, action).await;
    alf.ends_with(2).await;
    assert_eq!(alf.heard().len(), before, "{hold:?} does not hold: {:?}", alf.heard());
    let noted = alf.noted().await.pop().unwrap();
    let outcome = match hold {
        Hold::Throttle | Hold::Limit => NotificationOutcome::Throttled,
        _ => NotificationOutcome::Held,
    };
    assert_eq!((noted.outcome, noted.reason), (outcome, Some(hold)), "{noted:?}");
    // It survives a crash.
    let alf = alf.crash().await.start().await;
    alf.pass(3).await;
    assert_eq!(alf.heard().len(), before, "{hold:?} was forgotten in the crash: {:?}", alf.heard());
    alf.release(hold, 2).await;
    let told = &alf.heard()[before..];
    let problems = told.iter().filter(|told| told.starts_with("PROBLEM web1/check CRITICAL"));
    assert_eq!(problems.count(), 1, "{hold:?}: {told:?}");
    alf.ends_with(2).await;
    let count = alf.heard().len();
    alf.ends_with(0).await;
    let recovery: Vec<_> = alf.heard()[count..].iter().map(|told| told.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(recovery, ["RECOVERY"], "{hold:?}");
    alf.end().await;
}

async fn is_dropped_when_it_is_over(hold: Hold, action: &str) {
    let alf = world(action).await;
    let before = use_up(&alf, hold, action).await;
    alf.ends_with(2).await;
    alf.ends_with(0).await;
    let dropped = alf.noted().await.pop().unwrap();
    assert_eq!((dropped.outcome, dropped.reason), (NotificationOutcome::Dropped, Some(hold)), "{dropped:?}");
    alf.release(hold, 0).await;
    let told: Vec<_> = alf.heard()[before..].iter().filter(|told| !told.starts_with("FLAPPING")).cloned().collect();
    assert!(told.is_empty(), "{hold:?}: {told:?}");
    alf.end().await;
}

/// A test for each hold that is there before the PROBLEM, and each way it ends: time is frozen once in each.
macro_rules! each_hold {
    ($($hold:ident by $action:ident: $told:ident, $dropped:ident;)*) => {$(
        #[actix_rt::test]
        async fn $told() {
            is_told_when_it_ends(Hold::$hold, $action).await;
        }

        #[actix_rt::test]
        async fn $dropped() {
            is_dropped_when_it_is_over(Hold::$hold, $action).await;
        }
    )*};
}

each_hold! {
    Downtime by ANNA: what_is_still_so_after_a_downtime_is_told_once, what_is_over_before_the_downtime_is_never_told;
    Flapping by ANNA: what_is_still_so_when_it_flaps_no_longer_is_told_once, what_is_over_while_it_flaps_is_never_told;
    QuietHours by QUIET: what_is_still_so_after_quiet_hours_is_told_once, what_is_over_in_quiet_hours_is_never_told;
    Throttle by THROTTLED: what_is_still_so_after_the_throttle_is_told_once, what_is_over_within_the_throttle_is_never_told;
    Limit by LIMITED: what_is_still_so_when_there_is_room_is_told_once, what_is_over_before_there_is_room_is_never_told;
}

#[actix_rt::test]
async fn an_acknowledgement_ends_repeats_and_its_end_tells_what_is_still_so() {
    let alf = world(r#"{"name": "oncall", "then": {"email": {}}, "contacts": ["anna"], "repeat": "10m"}"#).await;
    alf.ends_with(2).await;
    alf.pass(1300).await;
    assert_eq!(alf.heard(), ["PROBLEM web1/check CRITICAL -> anna"; 3], "each ten minutes");
    let until = (alf.now() + TimeDelta::minutes(60)).into();
    let ack = Ack {
        by: Some(name("anna")),
        at: alf.now().into(),
        comment: "known".to_owned(),
        sticky: true,
        until: Some(until),
    };
    alf.handle.acknowledge(&name("web1"), Some(&name("check")), Some(ack)).await.unwrap();
    alf.pass(3000).await;
    assert_eq!(alf.heard().len(), 3, "{:?}", alf.heard());
    alf.pass(1500).await;
    assert!(alf.heard().len() > 3, "the acknowledgement is over, the PROBLEM is not");
    // A recovery is told in spite of it.
    let ack =
        Ack { by: Some(name("anna")), at: alf.now().into(), comment: "known".to_owned(), sticky: true, until: None };
    alf.handle.acknowledge(&name("web1"), Some(&name("check")), Some(ack)).await.unwrap();
    alf.ends_with(0).await;
    assert_eq!(alf.heard().last().unwrap(), "RECOVERY web1/check OK -> anna");
    alf.end().await;
}

#[actix_rt::test]
async fn a_worse_state_and_a_recovery_pass_the_throttle() {
    let alf = world(THROTTLED).await;
    for code in [1, 2, 1, 0, 1, 2] {
        alf.ends_with(code).await;
    }
    assert_eq!(
        alf.heard(),
        ["PROBLEM web1/check WARNING -> anna", "PROBLEM web1/check CRITICAL -> anna", "RECOVERY web1/check OK -> anna",]
    );
    alf.end().await;
}

#[actix_rt::test]
async fn only_who_was_told_hears_the_end() {
    let alf = world(r#"{"name": "oncall", "then": {"email": {}}, "contacts": ["anna", "quiet"]}"#).await;
    alf.ends_with(2).await;
    alf.ends_with(0).await;
    assert_eq!(alf.heard(), ["PROBLEM web1/check CRITICAL -> anna", "RECOVERY web1/check OK -> anna"]);
    alf.ends_with(2).await;
    alf.release(Hold::QuietHours, 2).await;
    assert_eq!(alf.heard()[2..], ["PROBLEM web1/check CRITICAL -> anna", "PROBLEM web1/check CRITICAL -> quiet"]);
    alf.ends_with(0).await;
    assert_eq!(alf.heard()[4..], ["RECOVERY web1/check OK -> anna", "RECOVERY web1/check OK -> quiet"]);
    alf.end().await;
}

#[actix_rt::test]
async fn what_is_owed_is_told_with_the_newest_result_and_that_one_not_once_more() {
    let alf =
        world(r#"{"name": "oncall", "when": {"on": "result"}, "then": {"email": {}}, "contacts": ["quiet"]}"#).await;
    alf.ends_with(2).await;
    alf.until(|alf| alf.now() > at("2026-11-23T10:59:30Z")).await;
    // How it stands is known at once, what is looked at is on disk: that comes after the quiet hours.
    alf.hosts().on_exec("web1", FakeExec::exit(2).after(seconds(10)));
    let newest = alf.run("web1", "check").await.unwrap();
    alf.store().fail_commits(Some(StoreError::Unavailable("it is away".to_owned())));
    alf.until(|alf| alf.now() > at("2026-11-23T11:00:05Z")).await;
    assert!(alf.heard().is_empty(), "{:?}", alf.heard());
    alf.store().fail_commits(None);
    alf.pass(20).await;
    assert_eq!(alf.heard(), ["PROBLEM web1/check CRITICAL -> quiet"]);
    assert_eq!(alf.world.courier.sent()[0].payload["result"]["id"], newest.to_string());
    alf.ends_with(2).await;
    assert_eq!(alf.heard().len(), 2, "the next one is told");
    alf.end().await;
}

#[actix_rt::test]
async fn a_state_that_is_not_asked_for_is_not_told_when_a_hold_ends() {
    let alf =
        world(r#"{"name": "oncall", "when": {"states": ["CRITICAL"]}, "then": {"email": {}}, "contacts": ["quiet"]}"#)
            .await;
    alf.ends_with(2).await;
    alf.ends_with(1).await;
    alf.release(Hold::QuietHours, 1).await;
    assert!(alf.heard().is_empty(), "{:?}", alf.heard());
    alf.ends_with(2).await;
    assert_eq!(alf.heard(), ["PROBLEM web1/check CRITICAL -> quiet"]);
    // Filters judge the PROBLEM; its end follows by itself.
    alf.ends_with(1).await;
    alf.ends_with(0).await;
    assert_eq!(alf.heard()[1..], ["RECOVERY web1/check OK -> quiet"]);
    alf.end().await;
}

#[actix_rt::test]
async fn what_falls_due_within_half_a_minute_is_one_message() {
    let alf = world(r#"{"name": "oncall", "then": {"email": {}}, "contacts": ["anna"], "digest": "30s"}"#).await;
    alf.define(
        r#"{"tasks": [{"name": "other", "command": "other"}], "host_tasks": [{"task": "other", "host": "web1"}]}"#,
    )
    .await;
    alf.hosts().always("web1", FakeExec::exit(2));
    alf.run_to_end("web1", "check").await;
    alf.run_to_end("web1", "other").await;
    alf.pass(20).await;
    assert!(alf.heard().is_empty(), "{:?}", alf.heard());
    let alf = alf.crash().await.start().await;
    alf.pass(20).await;
    assert_eq!(alf.heard(), ["PROBLEM web1/check CRITICAL -> anna (2 in all)"]);
    let sent = alf.world.courier.sent();
    let tasks: Vec<_> = sent[0].payload["items"].as_array().unwrap().iter().map(|item| item["task"].clone()).collect();
    assert_eq!(tasks, ["check", "other"]);
    alf.end().await;
}

#[actix_rt::test]
async fn what_has_to_last_is_told_once_it_has() {
    let alf =
        world(r#"{"name": "oncall", "when": {"lasting": "10m"}, "then": {"email": {}}, "contacts": ["anna"]}"#).await;
    alf.ends_with(2).await;
    alf.pass(300).await;
    alf.ends_with(0).await;
    alf.pass(600).await;
    assert!(alf.heard().is_empty(), "it did not last: {:?}", alf.heard());
    alf.ends_with(2).await;
    let alf = alf.crash().await.start().await;
    alf.pass(500).await;
    assert!(alf.heard().is_empty(), "not yet: {:?}", alf.heard());
    alf.pass(120).await;
    alf.ends_with(2).await;
    alf.pass(1200).await;
    assert_eq!(alf.heard(), ["PROBLEM web1/check CRITICAL -> anna"], "once");
    alf.ends_with(0).await;
    assert_eq!(alf.heard()[1..], ["RECOVERY web1/check OK -> anna"]);
    alf.end().await;
}

#[actix_rt::test]
async fn the_third_problem_in_a_row_once() {
    let alf = world(r#"{"name": "oncall", "when": {"after": 3}, "then": {"email": {}}, "contacts": ["anna"]}"#).await;
    for code in [2, 2, 0, 2, 1] {
        alf.ends_with(code).await;
    }
    assert!(alf.heard().is_empty(), "{:?}", alf.heard());
    let alf = alf.crash().await.start().await;
    for code in [2, 2, 2] {
        alf.ends_with(code).await;
    }
    assert_eq!(alf.heard(), ["PROBLEM web1/check CRITICAL -> anna"]);
    alf.ends_with(0).await;
    assert_eq!(alf.heard()[1..], ["RECOVERY web1/check OK -> anna"]);
    alf.end().await;
}
