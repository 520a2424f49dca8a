//! Runs that somebody asks for: what is given to them, ad hoc ones, on many hosts, and what they write while they run.

use std::sync::Arc;

use super::support::{Alf, UNSCHEDULED, name, seconds};
use crate::actors::error::AlfError;
use crate::actors::handle::{Followed, Order, Piece, Stream, What};
use crate::model::{Given, Outcome, Reason, ResultQuery, Rights, RunId, Task, Trigger};
use crate::ssh::fake::{FakeConnect, FakeExec};

fn given(json: &str) -> Arc<Given> {
    Arc::new(Given::check(serde_json::from_str(json).unwrap()).unwrap())
}

fn ad_hoc(alf: &Alf, json: &str) -> Arc<Task> {
    alf.handle.ad_hoc(serde_json::from_str(json).unwrap()).unwrap()
}

async fn exec(alf: &Alf, host: &str, json: &str) -> RunId {
    let what = What::AdHoc(ad_hoc(alf, json));
    alf.handle.start(name(host), what, Order::by(Some(name("anna")))).await.unwrap()
}

#[actix_rt::test]
async fn what_is_given_wins_over_host_and_task() {
    let alf = Alf::with(
        r#"{"hosts": [{"name": "web1", "env": {"A": "host", "B": "host"}}],
            "tasks": [{"name": "check", "command": "check", "stdin": "task", "env": {"B": "task", "C": "task"}}],
            "host_tasks": [{"task": "check", "host": "web1"}]}"#,
    )
    .await;
    let order = Order {
        given: given(r#"{"env": {"C": "run", "D": "run"}, "args": ["x y", ""], "stdin": "run"}"#),
        ..Order::default()
    };
    let run = alf.handle.run(name("web1"), name("check"), order).await.unwrap();
    alf.handle.wait(run, seconds(60)).await.unwrap().unwrap();
    alf.run_to_end("web1", "check").await;
    let [given, plain] = alf.hosts().execs("web1").try_into().unwrap();
    let of = |name: &str| given.env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!(["A", "B", "C", "D"].map(of), ["host", "task", "run", "run"].map(Some));
    assert_eq!((given.args, given.stdin.as_deref()), (vec!["x y".to_owned(), String::new()], Some(&b"run"[..])));
    assert!(plain.args.is_empty() && plain.stdin.as_deref() == Some(&b"task"[..]));
    assert!(plain.env.iter().all(|(name, _)| name != "D"), "what was given to one run is not for the next");
    alf.end().await;
}

#[actix_rt::test]
async fn an_ad_hoc_run_has_no_task_no_status_and_no_overlap() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.hosts().always("web1", FakeExec::exit(3).after(seconds(5)));
    let runs = [exec(&alf, "web1", r#"{"command": "x"}"#).await, exec(&alf, "web1", r#"{"command": "x"}"#).await];
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(alf.hosts().running("web1"), 2, "they do not wait for each other");
    let rows = alf.handle.runs().await.unwrap();
    assert!(rows.iter().all(|row| row.task.is_none()), "{rows:?}");
    for run in runs {
        let result = alf.handle.wait(run, seconds(60)).await.unwrap().unwrap();
        assert_eq!((result.task, result.task_version, result.trigger), (None, None, Trigger::Manual));
        assert_eq!((result.outcome, result.exit_code, result.by), (Outcome::Problem, Some(3), Some(name("anna"))));
    }
    let env = &alf.hosts().execs("web1")[0].env;
    assert!(env.contains(&("ALF_TASK".to_owned(), String::new())), "{env:?}");
    assert_eq!(alf.handle.status().len(), 1, "only the linked pair");
    assert_eq!(alf.status("web1", "check").unwrap().state, None, "it is still as it was");
    assert!(alf.store().pairs().iter().all(|pair| pair.task.is_some()), "nothing of them is kept but Results");
    let of_task = ResultQuery { task: Some(name("ad-hoc")), limit: 10, ..ResultQuery::default() };
    assert_eq!(alf.handle.results(of_task).await.unwrap().total, 0);
    alf.end().await;
}

#[actix_rt::test]
async fn a_crash_leaves_an_ad_hoc_run_aborted() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.hosts().always("web1", FakeExec::hang());
    let run = exec(&alf, "web1", r#"{"command": "x"}"#).await;
    alf.until(|alf| alf.hosts().running("web1") == 1).await;
    let alf = alf.crash().await.start().await;
    let result = alf.handle.wait(run, seconds(60)).await.unwrap().unwrap();
    assert_eq!((result.reason, result.task, result.by), (Some(Reason::Aborted), None, Some(name("anna"))));
    assert!(alf.store().pairs().iter().all(|pair| pair.task.is_some()), "{:?}", alf.store().pairs());
    alf.end().await;
}

#[actix_rt::test]
async fn on_many_hosts_what_cannot_start_is_told_and_the_others_run() {
    let alf = Alf::with(
        r#"{"hosts": [{"name": "a", "labels": {"role": "web"}}, {"name": "b", "labels": {"role": "web"}},
                      {"name": "off", "labels": {"role": "web"}, "enabled": false}, {"name": "db"}],
            "tasks": [{"name": "check", "command": "check"}], "host_tasks": [{"task": "check", "host": "a"}]}"#,
    )
    .await;
    alf.hosts().always("a", FakeExec::exit(0).after(seconds(5)));
    let busy = alf.run("a", "check").await.unwrap();
    let selector = "role=web".parse().unwrap();
    let what = What::Task(name("check"));
    let group = alf.handle.start_on_many(&selector, &Rights::all(), what.clone(), Arc::default(), None).await.unwrap();
    assert_eq!(group.runs.iter().map(|(host, _)| host.as_str()).collect::<Vec<_>>(), ["b"]);
    let refused = [(name("a"), AlfError::Overlap(busy)), (name("off"), AlfError::Disabled(name("off")))];
    assert_eq!(group.refused, refused);
    let (_, run) = &group.runs[0];
    alf.handle.wait(*run, seconds(60)).await.unwrap().unwrap();
    let of_group = ResultQuery { group: Some(group.id), limit: 10, ..ResultQuery::default() };
    let found = alf.handle.results(of_group).await.unwrap();
    assert_eq!(found.items.iter().map(|result| result.id).collect::<Vec<_>>(), [*run]);
    let nobody =
        alf.handle.start_on_many(&"role=none".parse().unwrap(), &Rights::all(), what, Arc::default(), None).await;
    assert!(matches!(nobody, Err(AlfError::Invalid(faults)) if faults[0].pointer == "/selector"));
    alf.end().await;
}

#[actix_rt::test]
async fn output_is_read_along_from_waiting_to_the_end() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.hosts().on_connect("web1", FakeConnect::ok().after(seconds(3)));
    alf.hosts().always("web1", FakeExec::exit(3).stdout("last").after(seconds(5)));
    let run = alf.run("web1", "check").await.unwrap();
    let mut early = alf.handle.follow(run, [0, 0]).await.unwrap();
    alf.until(|alf| alf.hosts().running("web1") == 1).await;
    alf.hosts().execs("web1")[0].output.push(Stream::Stdout, b"first ");
    let Some(Followed::Piece(Piece::Data { stream, offset, bytes })) = early.next().await else { panic!("no piece") };
    assert_eq!((stream, offset, &bytes[..]), (Stream::Stdout, 0, &b"first "[..]));
    let mut late = alf.handle.follow(run, [2, 0]).await.unwrap();
    let Some(Followed::Piece(Piece::Data { offset, bytes, .. })) = late.next().await else { panic!("no piece") };
    assert_eq!((offset, &bytes[..]), (2, &b"rst "[..]), "who comes later goes on from where it wants to");
    for mut follower in [early, late] {
        let Some(Followed::Piece(Piece::Data { offset, bytes, .. })) = follower.next().await else { panic!("none") };
        assert_eq!((offset, &bytes[..]), (6, &b"last"[..]));
        let Some(Followed::Ended(Some(result))) = follower.next().await else { panic!("no end") };
        assert_eq!((result.id, result.exit_code), (run, Some(3)));
        assert!(follower.next().await.is_none());
    }
    let Err(AlfError::NoRun(_)) = alf.handle.follow(run, [0, 0]).await else { panic!("it has ended") };
    alf.end().await;
}
