//! Retention in the background: old Results go, what is known of pairs stays, and what goes is told.

use super::support::{Alf, World, name, one, seconds, start};
use crate::model::{Keep, Limit, Reason, Retention, RunResult, Span};
use crate::ssh::fake::FakeExec;
use crate::store::StoreError;
use crate::store::restore::over_until;

const HOUR: u64 = 3600;

fn keeping(max_age: u64) -> World {
    let mut world = World::new();
    let keep = Keep { max_age: Limit::After(Span::seconds(max_age)), ..Keep::ALL };
    world.retention = Retention { keep: Keep { keep_problems: keep.max_age, ..keep }, max_bytes: None };
    world
}

async fn left(alf: &Alf) -> Vec<i64> {
    let results = alf.world.store.results_of("web1", "check");
    results.iter().map(|result| result.id.millis()).collect()
}

#[actix_rt::test]
async fn old_results_go_by_themselves_and_the_status_stays() {
    let alf = keeping(2 * HOUR).start().await;
    alf.define(&one("*/10 * * * *")).await;
    tokio::time::sleep(seconds(6 * HOUR)).await;
    let (now, left) = (alf.handle.now().millis(), left(&alf).await);
    // Looked for every ten minutes.
    assert!((12..=14).contains(&left.len()), "{}", left.len());
    assert!(left.iter().all(|at| now - at <= 7_800_000), "{left:?}");
    let status = alf.handle.pair_status(&name("web1"), &name("check"), 50).unwrap();
    assert_eq!(status.last.iter().count(), 36, "what the status knows of them stays");
    let gone = status.last.iter().last().unwrap().id;
    assert_eq!(alf.handle.result(gone).await.unwrap(), None);
    let last = alf.handle.sweeper.last().unwrap();
    assert!(alf.handle.now().get() - last.at.get() <= chrono::TimeDelta::minutes(10));
    assert_eq!(alf.handle.sweeper.removed.get(), 36 - left.len() as u64);
    assert_eq!(alf.handle.stored().await.unwrap().oldest.map(|at| at.millis()), left.first().copied());
}

#[actix_rt::test]
async fn a_task_may_keep_its_results_for_longer_or_shorter() {
    let alf = keeping(2 * HOUR).start().await;
    let with = |own: &str| {
        one("*/10 * * * *").replace(r#""command": "check""#, &format!(r#""command": "check", "retention": {own}"#))
    };
    alf.define(&with(r#"{"max_age": "none"}"#)).await;
    tokio::time::sleep(seconds(6 * HOUR)).await;
    assert_eq!(left(&alf).await.len(), 36, "it keeps its own for ever");
    alf.define(&with(r#"{"max_age": "none", "max_count": 5}"#)).await;
    tokio::time::sleep(seconds(1200)).await;
    assert!((5..=6).contains(&left(&alf).await.len()), "{:?}", left(&alf).await);
}

#[actix_rt::test]
async fn while_the_store_is_away_nothing_is_lost_and_it_goes_on_afterwards() {
    let alf = keeping(HOUR).start().await;
    alf.define(&one("*/10 * * * *")).await;
    tokio::time::sleep(seconds(2 * HOUR)).await;
    alf.world.store.fail_commits(Some(StoreError::Unavailable("away".to_owned())));
    tokio::time::sleep(seconds(HOUR)).await;
    let removed = alf.handle.sweeper.removed.get();
    alf.world.store.fail_commits(None);
    // What was stored when it was old already goes within six hours.
    tokio::time::sleep(seconds(7 * HOUR)).await;
    assert!(alf.handle.sweeper.removed.get() > removed);
    assert!((6..=8).contains(&left(&alf).await.len()), "{:?}", left(&alf).await);
}

#[actix_rt::test]
async fn what_was_due_before_a_restore_is_missed_and_not_run() {
    let alf = World::new().start().await;
    alf.define(
        &one("* * * * *")
            .replace("\"splay\": \"0s\"", "\"splay\": \"0s\", \"missed\": \"all\", \"missed_max_age\": \"1h\""),
    )
    .await;
    alf.world.hosts.on_command("check", FakeExec::exit(1));
    tokio::time::sleep(seconds(150)).await;
    let world = alf.end().await;
    tokio::time::sleep(seconds(300)).await;
    let restored = world.clock.now();
    over_until(&world.store, restored.into()).await.unwrap();
    tokio::time::sleep(seconds(200)).await;
    let alf = world.start().await;
    tokio::time::sleep(seconds(60)).await;
    let results = alf.world.store.results_of("web1", "check");
    let of = |is_before: bool, reason: Reason| {
        let of = |one: &&RunResult| (one.due_at.get() <= restored) == is_before && one.reason == Some(reason);
        results.iter().filter(of).count()
    };
    // From 10:01 on, every minute.
    let due = usize::try_from((restored - start()).num_minutes()).unwrap();
    assert_eq!((of(true, Reason::ExitCode), of(true, Reason::Missed)), (2, due - 2), "what was due before is not run");
    assert!(of(false, Reason::ExitCode) >= 3 && of(false, Reason::Missed) == 0, "what came later is caught up with");
    alf.end().await;
}
