//! The way to the store: away, refusing, slow; and what becomes of runs meanwhile.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;

use super::support::{Alf, UNSCHEDULED, World, name, one, seconds, told};
use crate::actors::error::AlfError;
use crate::actors::ledger::unsent;
use crate::actors::store::{Queue, StoreActor, StoreWriter};
use crate::actors::supervision::{Crash, Slot, keep};
use crate::app::Ended;
use crate::model::{Noun, Outcome, Reason, RunId, Timestamp, Trigger};
use crate::ssh::fake::FakeExec;
use crate::store::memory::MemoryStore;
use crate::store::{Store, StoreError, Write, Written};

fn away() -> Option<StoreError> {
    Some(StoreError::Unavailable("database is locked".to_owned()))
}

#[actix_rt::test]
async fn nothing_is_lost_while_the_store_is_away() {
    let alf = Alf::with(
        r#"{"hosts": [{"name": "web1"}, {"name": "web2"}],
            "tasks": [{"name": "check", "command": "check"}, {"name": "long", "command": "long"}],
            "host_tasks": [{"name": "all", "task": "check", "selector": "*"}, {"task": "long", "host": "web1"}],
            "schedules": [{"name": "often", "cron": "@every 10s", "splay": "0s"}, {"name": "rarely", "cron": "@every 5m", "splay": "0s"}],
            "task_schedules": [{"task": "check", "schedule": "often"}, {"task": "long", "schedule": "rarely"}]}"#,
    )
    .await;
    alf.hosts().on_command("long", FakeExec::exit(0).stdout("done").after(seconds(60)));
    alf.until(|alf| alf.hosts().execs("web1").iter().any(|exec| exec.text() == "long")).await;
    alf.settle().await;
    assert_eq!(alf.handle.ready().await, Vec::<String>::new());
    let before = alf.store().saved().len();
    alf.store().fail_commits(away());
    tokio::time::sleep(seconds(300)).await;
    assert_eq!(alf.store().saved().len(), before);
    assert_eq!(alf.handle.ready().await, ["the store is not available: database is locked"]);
    assert_eq!(alf.health(&["store"]).await.state, "waiting for the store");
    assert_eq!(alf.hosts().running("web2"), 0, "nothing is sent without its claim");
    let executed = alf.hosts().execs("web2").len();
    let refused = alf.run("web2", "long").await;
    assert_eq!(refused, Err(AlfError::Store("the store is not available: database is locked".to_owned())));
    assert!(alf.handle.stats().store_queue > 0);
    // The one that was sent has ended, its Result is on its way; the next one waits for its claim.
    assert_eq!(alf.handle.runs().await.unwrap().iter().filter(|row| row.task == Some(name("long"))).count(), 2);

    alf.store().fail_commits(None);
    tokio::time::sleep(seconds(20)).await;
    assert_eq!((alf.handle.ready().await, alf.health(&["store"]).await.state), (Vec::new(), "up".to_owned()));
    assert_eq!(alf.results("web1", "long")[0].message, "done");
    for host in ["web1", "web2"] {
        told(&alf.results(host, "check"), TimeDelta::seconds(10), alf.now());
    }
    assert!(alf.hosts().execs("web2").len() > executed, "it goes on by itself");
    alf.end().await;
}

#[actix_rt::test]
async fn definitions_change_after_what_came_due_by_the_old_ones() {
    let alf = Alf::with(&one("@every 10s")).await;
    tokio::time::sleep(seconds(15)).await;
    alf.store().fail_commits(away());
    tokio::time::sleep(seconds(10)).await;
    let unlinked = alf.delete(Noun::HostTask, "check@web1", false).await;
    assert_eq!(unlinked, Err(AlfError::Store("the store is not available: database is locked".to_owned())));
    assert!(alf.get(Noun::HostTask, "check@web1").is_some());
    alf.store().fail_commits(None);
    tokio::time::sleep(seconds(6)).await;
    alf.delete(Noun::HostTask, "check@web1", false).await.unwrap();
    // Nobody will ask for the pair any more: what came due before is known all the same.
    let until = alf.now();
    let alf = alf.crash().await.start().await;
    alf.settle().await;
    told(&alf.results("web1", "check"), TimeDelta::seconds(10), until);
    alf.end().await;
}

#[actix_rt::test]
async fn what_waits_for_the_store_is_bounded_and_told_afterwards() {
    let mut world = World::new();
    world.queue = 700;
    let alf = world.start().await;
    alf.define(&one("@every 1s")).await;
    alf.settle().await;
    tokio::time::sleep(seconds(10)).await;
    alf.store().fail_commits(away());
    tokio::time::sleep(seconds(6 * 3600)).await;
    assert_eq!(alf.handle.stats().store_queue, 700);
    alf.store().fail_commits(None);
    tokio::time::sleep(seconds(60)).await;
    let results = alf.results("web1", "check");
    told(&results, TimeDelta::seconds(1), alf.now());
    assert!(results.len() < 1_700);
    assert_eq!(alf.results("web1", "check").last().unwrap().outcome, Outcome::Ok);
    assert!(alf.store().counters().most_writes <= 500);
    alf.end().await;
}

#[actix_rt::test]
async fn runs_wait_for_a_slow_store_and_what_waits_is_bounded() {
    let mut world = World::new();
    world.queue = 200;
    let alf = world.start().await;
    let hosts: Vec<String> = (0..30).map(|n| format!("h{n}")).collect();
    let listed = hosts.iter().map(|host| format!(r#"{{"name": "{host}"}}"#)).collect::<Vec<_>>().join(",");
    alf.define(&format!(
        r#"{{"hosts": [{listed}], "tasks": [{{"name": "check", "command": "check"}}],
            "host_tasks": [{{"name": "all", "task": "check", "selector": "*"}}],
            "schedules": [{{"name": "often", "cron": "@every 1s", "splay": "0s"}}],
            "task_schedules": [{{"task": "check", "schedule": "often"}}]}}"#
    ))
    .await;
    alf.settle().await;
    alf.store().delay_commits(seconds(3));
    let mut longest = 0;
    for _ in 0..300 {
        tokio::time::sleep(seconds(1)).await;
        longest = longest.max(alf.handle.stats().store_queue);
        for host in &hosts {
            let claimed = alf.store().pair(host, "check").map_or(0, |pair| pair.open.len());
            assert!(alf.hosts().running(host) <= claimed, "nothing is sent without its claim");
        }
    }
    // What is in flight adds its Results, and who finds room deals with all that has come meanwhile.
    assert!((200..400).contains(&longest), "{longest}");
    let slow_until = Timestamp::from(alf.now());
    assert_eq!(alf.handle.ready().await, Vec::<String>::new(), "slow is not away");
    alf.store().delay_commits(Duration::ZERO);
    tokio::time::sleep(seconds(30)).await;
    for host in &hosts {
        let results = alf.results(host, "check");
        told(&results, TimeDelta::seconds(1), alf.now());
        let ran: Vec<_> = results.iter().filter(|it| it.outcome == Outcome::Ok).map(|it| it.scheduled_at).collect();
        let while_slow = ran.iter().filter(|at| **at < slow_until).count();
        assert!(while_slow > 3 && ran.len() > while_slow + 20 && ran.is_sorted(), "{ran:?}");
    }
    alf.end().await;
}

#[actix_rt::test]
async fn a_claim_that_comes_too_late_is_not_sent() {
    let alf = Alf::with(&one("0 11 * * *")).await;
    alf.define(r#"{"tasks": [{"name": "check", "command": "check", "start_within": "30s"}]}"#).await;
    alf.settle().await;
    tokio::time::sleep(seconds(3000)).await;
    alf.store().fail_commits(away());
    tokio::time::sleep(seconds(1000)).await;
    alf.store().fail_commits(None);
    tokio::time::sleep(seconds(10)).await;
    let result = alf.results("web1", "check").remove(0);
    assert_eq!((result.outcome, result.reason), (Outcome::Skipped, Some(Reason::Late)));
    assert_eq!(result.message, "could not be claimed within start_within (30s)");
    assert!(alf.hosts().execs("web1").is_empty());
    alf.end().await;
}

#[actix_rt::test]
async fn a_write_that_is_refused_for_good_stops_no_other() {
    let alf = Alf::with(
        r#"{"hosts": [{"name": "web1"}], "tasks": [{"name": "bad", "command": "x"}, {"name": "good", "command": "x"}],
            "host_tasks": [{"task": "bad", "host": "web1"}, {"task": "good", "host": "web1"}],
            "schedules": [{"name": "often", "cron": "@every 10s", "splay": "0s"}],
            "task_schedules": [{"task": "bad", "schedule": "often"}, {"task": "good", "schedule": "often"}]}"#,
    )
    .await;
    alf.settle().await;
    alf.store().fail_task("bad", Some(StoreError::Corrupt("no such column".to_owned())));
    tokio::time::sleep(seconds(60)).await;
    let good = alf.results("web1", "good");
    assert_eq!(good.len(), 6);
    assert!(good.iter().all(|result| result.reason.is_none() && result.lateness_ms().unwrap() < 100));
    assert_eq!(alf.results("web1", "bad").len(), 0);
    assert_eq!(alf.hosts().execs("web1").len(), 6, "what could not be claimed was not sent");
    let health = alf.health(&["store"]).await;
    assert_eq!(health.last_error.as_deref(), Some("the store holds something unreadable: no such column"));
    assert_eq!((health.state.as_str(), health.queue), ("up", 0));
    alf.store().fail_task("bad", None);
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(alf.results("web1", "bad").len(), 6, "it goes on");
    let (ended, _) = alf.end_after(seconds(10)).await;
    assert_eq!(ended, Ended::Lost(6), "what could not be stored is told at the end");
}

#[actix_rt::test]
async fn a_manual_run_that_cannot_be_claimed_is_refused() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.define(r#"{"tasks": [{"name": "once", "command": "x"}]}"#).await;
    for task in ["check", "once"] {
        alf.store().fail_task(task, Some(StoreError::Corrupt("full".to_owned())));
        let refused = alf.run("web1", task).await;
        assert_eq!(refused, Err(AlfError::Store("the store holds something unreadable: full".to_owned())));
        alf.store().fail_task(task, None);
        alf.run_to_end("web1", task).await;
    }
    assert_eq!((alf.store().saved().len(), alf.hosts().execs("web1").len()), (2, 2));
    alf.end().await;
}

#[actix_rt::test]
async fn a_run_is_answered_when_it_is_claimed() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.define(r#"{"tasks": [{"name": "once", "command": "x"}]}"#).await;
    alf.store().delay_commits(Duration::from_millis(300));
    alf.hosts().always("web1", FakeExec::exit(0).after(seconds(1)));
    for task in ["check", "once"] {
        let run = alf.run("web1", task).await.unwrap();
        assert_eq!(alf.store().pair("web1", task).unwrap().open[0].id, run, "on disk, should Alf crash now");
    }
    alf.end().await;
}

/// A writer on a store, without the rest.
fn writer(store: &MemoryStore) -> (StoreWriter, Slot<StoreActor>) {
    let (store, queue): (Arc<dyn Store>, _) = (Arc::new(store.clone()), Arc::new(Queue::new(10_000)));
    let of_actor = Arc::clone(&queue);
    let slot = keep("store", actix_rt::Arbiter::current(), move |obituary| {
        StoreActor::new(Arc::clone(&store), Arc::clone(&of_actor), obituary)
    });
    (StoreWriter::new(slot.clone(), queue), slot)
}

fn claim(number: u8, until: i64) -> Write {
    let at = Timestamp::from_millis(until).unwrap();
    let open = unsent(RunId::from_bytes([number; 16]), Some(1), Some(name("often")), Trigger::Schedule, at);
    Write::Claim { host: name("web1"), task: Some(name("check")), until: Some(at), open }
}

#[actix_rt::test]
async fn what_waits_goes_into_one_commit() {
    tokio::time::pause();
    let store = MemoryStore::new();
    store.delay_commits(seconds(1));
    let (writer, slot) = writer(&store);
    let writes: Vec<_> = (1..=100).map(|n| writer.write(vec![claim(n, i64::from(n))])).collect();
    assert_eq!(writer.waiting(), 100);
    for written in futures_util::future::join_all(writes).await {
        assert_eq!(written, Ok(vec![Written::Claimed]));
    }
    let counters = store.counters();
    assert_eq!((counters.commits, counters.writes, writer.waiting()), (1, 100, 0));
    // The first one goes alone: nobody waits for company.
    let first = writer.write(vec![claim(101, 101)]);
    tokio::time::sleep(Duration::from_millis(10)).await;
    let rest: Vec<_> = (102..=200).map(|n| writer.write(vec![claim(n, i64::from(n))])).collect();
    assert_eq!(first.await, Ok(vec![Written::Claimed]));
    futures_util::future::join_all(rest).await;
    assert_eq!((store.counters().commits, store.counters().most_writes), (3, 100));
    slot.stop().await;
}

#[actix_rt::test]
async fn writes_stay_in_order_whatever_the_actor_dies_of() {
    tokio::time::pause();
    let store = MemoryStore::new();
    let (writer, slot) = writer(&store);
    store.delay_commits(Duration::from_millis(80));
    let mut answers = Vec::new();
    for n in 1..=200_u8 {
        answers.push(writer.write(vec![claim(n, i64::from(n))]));
        match n % 40 {
            10 => slot.get().do_send(Crash),
            30 => store.panic_next_commit(),
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(13)).await;
    }
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.await, Ok(vec![Written::Claimed]), "claim {n} was overtaken by a later one");
    }
    assert_eq!(store.counters().taken, 0);
    let deaths = slot.health("store").restarts;
    assert!(deaths >= 5, "{deaths}");
    assert_eq!(store.pair("web1", "check").unwrap().open.len(), 200);
    slot.stop().await;
}

#[actix_rt::test]
async fn a_write_that_nobody_waits_for_may_be_left_out() {
    tokio::time::pause();
    let store = MemoryStore::new();
    store.delay_commits(seconds(1));
    let (writer, slot) = writer(&store);
    let first = writer.write(vec![claim(1, 1)]);
    tokio::time::sleep(Duration::from_millis(10)).await;
    drop(writer.write(vec![claim(2, 2)]));
    let third = writer.write(vec![claim(3, 3)]);
    assert_eq!((first.await, third.await), (Ok(vec![Written::Claimed]), Ok(vec![Written::Claimed])));
    assert_eq!(store.pair("web1", "check").unwrap().open.len(), 2);
    slot.stop().await;
}

#[actix_rt::test]
async fn who_is_in_a_hurry_is_refused_and_it_is_not_done_later() {
    tokio::time::pause();
    let store = MemoryStore::new();
    let (writer, slot) = writer(&store);
    store.fail_commits(away());
    let refused = writer.write_soon(vec![claim(1, 1)]);
    let waits = writer.write(vec![claim(2, 2)]);
    assert_eq!(refused.await, Err(away().unwrap()));
    assert_eq!(writer.write_soon(vec![claim(3, 3)]).await, Err(away().unwrap()), "known to be away");
    store.fail_commits(None);
    assert_eq!(waits.await, Ok(vec![Written::Claimed]));
    assert_eq!(writer.write_soon(vec![claim(4, 4)]).await, Ok(vec![Written::Claimed]));

    // A store that is slow: what waits is taken back, what is being written is waited for.
    store.delay_commits(seconds(8));
    let first = writer.write_soon(vec![claim(5, 5)]);
    tokio::time::sleep(Duration::from_millis(10)).await;
    let second = writer.write_soon(vec![claim(6, 6)]);
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first, Ok(vec![Written::Claimed]));
    assert!(second.unwrap_err().to_string().contains("it is slow"));
    tokio::time::sleep(seconds(60)).await;
    let open: Vec<_> = store.pair("web1", "check").unwrap().open.iter().map(|run| run.id.as_bytes()[0]).collect();
    assert_eq!(open, [2, 4, 5]);
    slot.stop().await;
}

#[actix_rt::test]
async fn a_store_that_was_found_away_is_asked_until_it_is_back() {
    tokio::time::pause();
    let store = MemoryStore::new();
    let (writer, slot) = writer(&store);
    store.fail_commits(away());
    assert!(writer.write_soon(vec![claim(1, 1)]).await.is_err());
    slot.get().do_send(Crash);
    tokio::time::sleep(seconds(60)).await;
    assert_eq!((writer.failing(), writer.waiting()), (away(), 0));
    store.fail_commits(None);
    tokio::time::sleep(seconds(6)).await;
    assert_eq!(writer.failing(), None, "though nothing waited to be written");
    writer.found_away(&away().unwrap());
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(writer.failing(), away());
    tokio::time::sleep(seconds(6)).await;
    assert_eq!((writer.failing(), store.counters().commits), (None, 0));

    // What is being committed meanwhile is not told: it finds out by itself.
    store.delay_commits(seconds(2));
    let committing = writer.write_soon(vec![claim(2, 2)]);
    tokio::time::sleep(Duration::from_millis(10)).await;
    let behind = writer.write_soon(vec![claim(3, 3)]);
    writer.found_away(&away().unwrap());
    assert_eq!(behind.await, Err(away().unwrap()));
    assert_eq!(writer.failing(), away());
    assert_eq!(committing.await, Ok(vec![Written::Claimed]));
    assert_eq!(writer.failing(), None);
    slot.stop().await;
}

#[actix_rt::test]
async fn who_waits_at_the_end_is_told() {
    tokio::time::pause();
    let store = MemoryStore::new();
    store.fail_commits(away());
    let (writer, slot) = writer(&store);
    let waits = writer.write(vec![claim(1, 1)]);
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(writer.failing(), away());
    slot.stop().await;
    writer.close();
    assert!(waits.await.is_err());
    let tries = store.counters().failed;
    assert!((10..30).contains(&tries), "tried again every few seconds: {tries}");
}
