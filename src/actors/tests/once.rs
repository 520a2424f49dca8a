//! Requests that are done once: repeated at once, later, after a crash, and by whoever did not wait for the first.

use std::sync::Arc;
use std::time::Duration;

use super::support::{Alf, UNSCHEDULED, name, seconds};
use crate::actors::error::AlfError;
use crate::actors::handle::{Applied, Apply, Asked, CameTo, ChangedOne, Changes, Once, Order, What};
use crate::model::{ContentHash, ResultQuery, Rights, RunId};
use crate::ssh::fake::FakeExec;

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn asked(alf: &Alf, key: &str, request: &str) -> Result<Asked, AlfError> {
    alf.handle.ask_once(ContentHash::of(key.as_bytes()), ContentHash::of(request.as_bytes())).await
}

async fn anew(alf: &Alf, key: &str) -> Once {
    match asked(alf, key, "request").await {
        Ok(Asked::Anew(once)) => once,
        other => panic!("{other:?}"),
    }
}

async fn before(alf: &Alf, key: &str) -> CameTo {
    match asked(alf, key, "request").await {
        Ok(Asked::Before(came_to)) => came_to,
        other => panic!("{other:?}"),
    }
}

/// Runs the task `check` as a request with this key does.
async fn run(alf: &Alf, task: &str, key: &str) -> Result<RunId, AlfError> {
    match asked(alf, key, "request").await? {
        Asked::Anew(once) => {
            let order = Order { once: Some(once), ..Order::default() };
            alf.handle.run(name("web1"), name(task), order).await
        }
        Asked::Before(CameTo::Run(run)) => Ok(run),
        other => panic!("{other:?}"),
    }
}

/// A linked task and one that is not.
fn fleet() -> String {
    UNSCHEDULED.replace(r#""tasks": ["#, r#""tasks": [{"name": "loose", "command": "loose"}, "#)
}

#[actix_rt::test]
async fn a_request_that_is_repeated_came_to_the_same_run_for_a_day() {
    let alf = Alf::with(&fleet()).await;
    for task in ["check", "loose"] {
        let first = run(&alf, task, task).await.unwrap();
        assert_eq!(run(&alf, task, task).await.unwrap(), first);
        alf.handle.wait(first, seconds(60)).await.unwrap().expect("it ends");
        tokio::time::sleep(DAY - seconds(100)).await;
        assert_eq!(run(&alf, task, task).await.unwrap(), first, "it is remembered for a day");
        tokio::time::sleep(seconds(200)).await;
        let second = run(&alf, task, task).await.unwrap();
        assert_ne!(second, first);
        alf.handle.wait(second, seconds(60)).await.unwrap().expect("it ends");
        assert_eq!(alf.results("web1", task).len(), 2, "each is done once");
    }
    alf.end().await;
}

#[actix_rt::test]
async fn another_request_under_the_same_key_is_refused() {
    let alf = Alf::with(&fleet()).await;
    run(&alf, "check", "key").await.unwrap();
    assert_eq!(asked(&alf, "key", "another request").await.err(), Some(AlfError::KeyOfAnother));
    assert!(matches!(asked(&alf, "another key", "another request").await, Ok(Asked::Anew(_))));
    alf.end().await;
}

#[actix_rt::test]
async fn who_repeats_at_once_waits_for_the_first() {
    let alf = Alf::with(&fleet()).await;
    alf.store().delay_commits(seconds(3));
    let all = futures_util::future::join_all((0..20).map(|_| run(&alf, "loose", "key"))).await;
    let first = all[0].clone().unwrap();
    assert!(all.iter().all(|one| *one == Ok(first)), "{all:?}");
    alf.handle.wait(first, seconds(60)).await.unwrap().expect("it ends");
    assert_eq!(alf.results("web1", "loose").len(), 1);

    let once = anew(&alf, "long").await;
    assert_eq!(asked(&alf, "long", "request").await.err(), Some(AlfError::BeingDone), "not for ever");
    drop(once);
    drop(anew(&alf, "long").await);
    alf.end().await;
}

#[actix_rt::test]
async fn who_does_not_wait_for_the_first_does_not_double_it() {
    let alf = Alf::with(&fleet()).await;
    alf.store().delay_commits(seconds(3));
    for task in ["check", "loose"] {
        let gone = tokio::time::timeout(seconds(1), run(&alf, task, task)).await;
        assert!(gone.is_err(), "the client went away before the answer");
        let run = run(&alf, task, task).await.unwrap();
        alf.handle.wait(run, seconds(60)).await.unwrap().expect("it ends");
        assert_eq!(alf.results("web1", task).len(), 1);
    }
    alf.end().await;
}

#[actix_rt::test]
async fn a_crash_neither_doubles_nor_forgets() {
    let alf = Alf::with(&fleet()).await;
    alf.hosts().always("web1", FakeExec::exit(0).after(seconds(600)));
    let first = run(&alf, "check", "key").await.unwrap();
    alf.settle().await;
    let alf = alf.crash().await.start().await;
    assert_eq!(run(&alf, "check", "key").await.unwrap(), first);
    alf.settle().await;
    assert_eq!(alf.results("web1", "check").len(), 1, "the one that was cut off");

    // What was not on disk yet was not sent either.
    alf.store().delay_commits(seconds(3));
    let gone = tokio::time::timeout(seconds(1), run(&alf, "loose", "other")).await;
    assert!(gone.is_err());
    let alf = alf.crash().await;
    alf.store.delay_commits(Duration::ZERO);
    let alf = alf.start().await;
    drop(anew(&alf, "other").await);
    assert_eq!(alf.results("web1", "loose").len(), 0);
    alf.end().await;
}

#[actix_rt::test]
async fn what_is_refused_may_be_tried_again() {
    let alf = Alf::with(&fleet()).await;
    alf.hosts().always("web1", FakeExec::exit(0).after(seconds(60)));
    let busy = alf.run("web1", "check").await.unwrap();
    assert_eq!(run(&alf, "check", "key").await, Err(AlfError::Overlap(busy)));
    alf.handle.wait(busy, seconds(100)).await.unwrap().expect("it ends");
    let done = run(&alf, "check", "key").await.unwrap();
    assert_eq!(run(&alf, "check", "key").await, Ok(done));
    alf.end().await;
}

#[actix_rt::test]
async fn a_group_is_remembered_as_a_whole_and_gone_on_with_where_it_was_cut_off() {
    let hosts = r#""hosts": [{"name": "web2"}, "#;
    let alf = Alf::with(&fleet().replace(r#""hosts": ["#, hosts)).await;
    let selector = "*".parse().unwrap();
    let what = || What::Task(name("loose"));
    let once = anew(&alf, "whole").await;
    let given = Arc::default();
    let group =
        alf.handle.start_on_many(&selector, &Rights::all(), what(), Arc::clone(&given), Some(&once)).await.unwrap();
    let came_to = CameTo::Group { id: group.id, runs: group.runs, refused: Vec::new() };
    alf.handle.began(once, came_to.clone()).await;
    assert_eq!(before(&alf, "whole").await, came_to);

    let once = anew(&alf, "cut").await;
    alf.settle().await;
    alf.hosts().always("web1", FakeExec::exit(0).after(seconds(600)));
    // It came no further than the first host.
    let first = "@name=web1".parse().unwrap();
    let cut = alf.handle.start_on_many(&first, &Rights::all(), what(), Arc::clone(&given), Some(&once)).await.unwrap();
    drop(once);
    let alf = alf.crash().await.start().await;
    assert_eq!(before(&alf, "whole").await, came_to);
    let once = anew(&alf, "cut").await;
    let group = alf.handle.start_on_many(&selector, &Rights::all(), what(), given, Some(&once)).await.unwrap();
    assert_eq!((group.id, &group.runs[0]), (cut.id, &cut.runs[0]), "where it was started it is not started again");
    assert_eq!(group.runs.iter().map(|(host, _)| host.as_str()).collect::<Vec<_>>(), ["web1", "web2"]);
    let came_to = CameTo::Group { id: group.id, runs: group.runs, refused: Vec::new() };
    alf.handle.began(once, came_to.clone()).await;
    assert_eq!(before(&alf, "cut").await, came_to);
    alf.settle().await;
    let of_group = ResultQuery { group: Some(group.id), limit: 10, ..ResultQuery::default() };
    assert_eq!(alf.handle.results(of_group).await.unwrap().total, 2);

    let once = anew(&alf, "nothing").await;
    alf.handle.began(once, CameTo::Group { id: group.id, runs: Vec::new(), refused: Vec::new() }).await;
    drop(anew(&alf, "nothing").await);
    alf.end().await;
}

#[actix_rt::test]
async fn an_apply_is_remembered_with_its_change_also_where_that_is_none() {
    let alf = Alf::with(UNSCHEDULED).await;
    let apply = |once| {
        let nouns = [crate::model::Noun::Host].into();
        let prune = "*".parse().ok();
        let (items, rights, origin) = (Arc::default(), Rights::all(), Arc::default());
        alf.handle.apply(Apply { items, nouns, prune, dry_run: false, rights, origin, documents: true, once })
    };
    let refused = apply(Some(anew(&alf, "in use").await)).await;
    assert!(matches!(refused, Err(AlfError::LeftOutInUse(_))), "{refused:?}");
    drop(anew(&alf, "in use").await);
    alf.delete(crate::model::Noun::HostTask, "check@web1", false).await.unwrap();
    let Applied { gone, .. } = apply(Some(anew(&alf, "key").await)).await.unwrap();
    assert_eq!(gone.len(), 1);
    let web1 = gone[0].document().unwrap();
    assert_eq!(web1["name"], "web1");
    let deleted = ChangedOne { noun: "host".to_owned(), name: name("web1"), before: Some(web1), after: None };
    let came_to = Changes { deleted: vec![deleted], ..Changes::default() };
    assert_eq!(before(&alf, "key").await, CameTo::Applied(came_to));
    apply(Some(anew(&alf, "nothing to do").await)).await.unwrap();
    assert_eq!(before(&alf, "nothing to do").await, CameTo::Applied(Changes::default()));
    alf.end().await;
}
