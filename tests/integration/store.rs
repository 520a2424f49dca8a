//! `alf store`: size, check, backup, restore, prune and another place, beside a service and without one.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Output, Stdio};

use alf::clock::Clock;
use alf::model::{Captured, Name, Outcome, RunIds, RunResult, State, Timestamp, Trigger};
use alf::store::sqlite::SqliteStore;
use alf::store::{Store as _, Write};
use serde_json::{Value, json};

use crate::support::service::{Service, alf, until};
use crate::support::sshd::Sshd;
use crate::support::stored::has_no_file;

const DAY: i64 = 86_400_000;

/// Runs `alf store …` on a data directory.
pub(crate) fn store(data_dir: &Path, args: &[&str]) -> Output {
    alf(data_dir).arg("store").args(args).output().unwrap()
}

#[track_caller]
pub(crate) fn done(output: Output) -> (String, String) {
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    (stdout, stderr)
}

#[track_caller]
pub(crate) fn refused(output: Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

pub(crate) fn stats(data_dir: &Path) -> Value {
    serde_json::from_str(&done(store(data_dir, &["stats", "-o", "json"])).0).unwrap()
}

/// A store with so many Results, an hour apart, every fourth a PROBLEM; the newest is from an hour ago.
pub(crate) fn filled(data_dir: &Path, results: usize) -> Vec<RunResult> {
    fs::create_dir_all(data_dir).unwrap();
    let now = Clock::Wall.now();
    let (ids, last) = (RunIds::default(), i32::try_from(results).unwrap());
    let one = |n: usize| {
        let at = Timestamp::from(now - chrono::TimeDelta::hours(1) * (last - i32::try_from(n).unwrap()));
        let is_ok = !n.is_multiple_of(4);
        RunResult {
            id: ids.next(at),
            host: Name::parse(&format!("host{}", n % 10)).unwrap(),
            task: Some(Name::parse("task").unwrap()),
            task_version: Some(1),
            schedule: None,
            node: "here".to_owned(),
            trigger: Trigger::Schedule,
            by: None,
            group: None,
            cause: None,
            scheduled_at: at,
            due_at: at,
            started_at: Some(at),
            finished_at: at,
            attempt: 1,
            exit_code: Some(i32::from(!is_ok)),
            signal: None,
            outcome: if is_ok { Outcome::Ok } else { Outcome::Problem },
            state: Some(if is_ok { State::Ok } else { State::Critical }),
            reason: None,
            hard: true,
            message: "said".to_owned(),
            stdout: Captured::new(vec![b'x'; 500], 500),
            stderr: Captured::default(),
            perfdata: Some(Vec::new()),
            kill: None,
            instants: None,
        }
    };
    let all: Vec<_> = (0..results).map(one).collect();
    actix_rt::System::new().block_on(async {
        let store = SqliteStore::open(data_dir).unwrap();
        for some in all.chunks(1000) {
            let save = |result: &RunResult| Write::Save { result: Box::new(result.clone()), status: None, until: None };
            store.commit(some.iter().map(save).collect()).await.unwrap();
        }
        store.close().await;
    });
    all
}

pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A backup that is taken while tasks run every second starts a service that runs nothing of what was due before.
#[test]
fn a_backup_is_taken_while_tasks_run_and_restored_without_running_anything_twice() {
    if has_no_file() {
        return;
    }
    let (sshd, mut service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let ran = sshd.dir().join("ran");
    let task = json!({"command": format!("echo $ALF_SCHEDULED_AT >> {}", ran.display())});
    service.add_task("often", "web1", task, Some("* * * * * *"));
    let results = |service: &Service| service.get("results?outcome=OK")["total"].as_u64().unwrap();
    until("it runs", || (results(&service) >= 2).then_some(()));
    let backups = tempfile::tempdir().unwrap();
    let folder = backups.path().to_str().unwrap();
    let (_, said) = done(service.cli(&["store", "backup", folder]));
    assert!(said.contains("secret.key is not in it"), "{said}");
    let [backup] = &files(backups.path())[..] else { panic!("{:?}", files(backups.path())) };
    let backup = backups.path().join(backup);
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    let again = service.cli(&["store", "backup", backup.to_str().unwrap()]);
    assert!(refused(again).contains("is there already"));
    let (_, said) = done(service.cli(&["store", "check"]));
    assert!(said.contains("sound"), "{said}");
    let seen = results(&service);
    until("it goes on", || (results(&service) >= seen + 2).then_some(()));
    let running = refused(service.cli(&["store", "restore", backup.to_str().unwrap(), "--force"]));
    assert!(running.contains("in use by another Alf"), "{running}");
    assert_eq!(service.end("TERM"), Some(0));

    let other = tempfile::tempdir().unwrap();
    let data = other.path().join("data");
    let (_, said) = done(store(&data, &["restore", backup.to_str().unwrap()]));
    assert!(said.contains("counts as missed") && said.contains("put the secret.key"), "{said}");
    let restored = Timestamp::from(Clock::Wall.now());
    for key in ["secret.key", "admin.key"] {
        fs::copy(service.data_dir().join(key), data.join(key)).unwrap();
    }
    let before = fs::read_to_string(&ran).unwrap();
    let service = Service::start_in(other, None, &[]);
    until("it runs again", || {
        let now = fs::read_to_string(&ran).unwrap();
        (now.lines().count() >= before.lines().count() + 2).then_some(())
    });
    let missed = service.get("results?reason=missed");
    assert!(missed["total"].as_u64().unwrap() >= 1, "what was due since the backup counts as missed: {missed}");
    let after = fs::read_to_string(&ran).unwrap();
    let mut all = BTreeSet::new();
    for line in after.lines() {
        assert!(all.insert(line), "{line} was run twice");
    }
    for line in after.lines().skip(before.lines().count()) {
        assert!(
            line.parse::<Timestamp>().unwrap() >= Timestamp::from_millis(restored.millis() - 1000).unwrap(),
            "{line}"
        );
    }
    assert!(refused(service.cli(&["store", "prune"])).contains("the service is running"));
    let (foreseen, _) = done(service.cli(&["store", "prune", "--dry-run", "--max-age", "1m"]));
    assert!(foreseen.starts_with("0 results would go"), "{foreseen}");
}

#[test]
fn a_store_is_restored_over_another_one_only_by_force_which_keeps_it() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(one.path(), 100);
    filled(other.path(), 30);
    let backup = one.path().join("copy.db");
    let backup = backup.to_str().unwrap();
    done(store(one.path(), &["backup", backup]));
    let said = refused(store(other.path(), &["restore", backup]));
    assert!(said.contains("--force keeps it aside"), "{said}");
    assert_eq!(stats(other.path())["results"], 30);
    let broken = one.path().join("broken.db");
    fs::write(&broken, "no database").unwrap();
    refused(store(other.path(), &["restore", broken.to_str().unwrap(), "--force"]));
    assert_eq!(stats(other.path())["results"], 30, "what is no backup changes nothing");
    let (_, said) = done(store(other.path(), &["restore", backup, "--force"]));
    assert!(said.contains("is kept as"), "{said}");
    assert_eq!(stats(other.path())["results"], 100);
    let aside = files(other.path()).into_iter().find(|name| name.contains("before-restore")).unwrap();
    fs::create_dir(other.path().join("aside")).unwrap();
    fs::rename(other.path().join(aside), other.path().join("aside/alf.db")).unwrap();
    assert_eq!(stats(&other.path().join("aside"))["results"], 30);
    assert!(!files(other.path()).iter().any(|name| name.starts_with(".alf")), "nothing half done is left");
}

#[test]
fn pruning_goes_by_age_count_and_problems_and_gives_room_back() {
    let dir = tempfile::tempdir().unwrap();
    let all = filled(dir.path(), 24 * 200);
    let prune = |args: &[&str]| {
        let args: Vec<_> = ["prune"].iter().chain(args).copied().collect();
        done(store(dir.path(), &args)).0
    };
    let older = |days: i64, which: &dyn Fn(&RunResult) -> bool| {
        let now = Clock::Wall.now().timestamp_millis();
        all.iter().filter(|one| which(one) && now - one.id.millis() > days * DAY).count()
    };
    let is_ok = |one: &RunResult| one.outcome == Outcome::Ok;
    assert!(prune(&["--dry-run"]).starts_with(&format!("{} results would go", older(90, &is_ok))));
    assert_eq!(stats(dir.path())["results"], 24 * 200);
    let gone = older(90, &is_ok);
    assert!(prune(&[]).starts_with(&format!("{gone} results are gone: {gone} by age, 0 by number")));
    let gone = older(150, &|one| !is_ok(one));
    assert!(prune(&["--keep-problems", "150d"]).starts_with(&format!("{gone} results are gone")));
    let before = stats(dir.path());
    let left = before["results"].as_u64().unwrap();
    let gone = left - 10 * 50;
    assert!(
        prune(&["--max-count", "50", "--compact"])
            .starts_with(&format!("{gone} results are gone: 0 by age, {gone} by number"))
    );
    let after = stats(dir.path());
    assert_eq!(after["results"], 500);
    assert_eq!(after["free_bytes"], 0);
    assert!(after["bytes"].as_u64().unwrap() * 2 < before["bytes"].as_u64().unwrap(), "{before} {after}");
    assert!(after["tables"]["results"]["bytes"].as_u64().unwrap() > 250_000, "{after}");
    let xml = done(store(dir.path(), &["stats", "-o", "xml"])).0;
    assert!(xml.contains("<store>") && xml.contains("<results>500</results>"), "{xml}");
    done(store(dir.path(), &["check"]));
}

#[test]
fn a_prune_that_is_killed_leaves_a_sound_store_and_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 6000);
    for _ in 0..3 {
        let before = stats(dir.path())["results"].as_u64().unwrap();
        let args = ["store", "prune", "--max-age", "1d", "--keep-problems", "1d"];
        let mut prune = alf(dir.path()).args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("something is gone, or all", || {
            let ended = prune.try_wait().unwrap().is_some();
            (ended || stats(dir.path())["results"].as_u64().unwrap() < before).then_some(())
        });
        let _ = prune.kill();
        prune.wait().unwrap();
        done(store(dir.path(), &["check"]));
    }
    done(store(dir.path(), &["prune", "--max-age", "1d", "--keep-problems", "1d"]));
    let left = stats(dir.path())["results"].as_u64().unwrap();
    assert!((23..=24).contains(&left), "{left}");
    done(store(dir.path(), &["check"]));
}

#[test]
fn what_is_wrong_with_a_store_is_told() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 100);
    let connection = rusqlite::Connection::open(dir.path().join("alf.db")).unwrap();
    connection
        .execute_batch("UPDATE partitions SET results = results + 1 WHERE day = (SELECT max(day) FROM partitions)")
        .unwrap();
    drop(connection);
    let checked = store(dir.path(), &["check"]);
    assert_eq!(checked.status.code(), Some(1));
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(said.contains("are counted") && said.lines().count() == 1, "{said}");
    let nowhere = refused(store(&dir.path().join("none"), &["check"]));
    assert!(nowhere.contains("there is no store") && nowhere.contains("--data-dir"), "{nowhere}");
}

#[test]
fn a_store_moves_to_another_place_with_all_that_is_in_it() {
    let (sshd, mut service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let own = json!({"command": "echo said; exit 1", "retention": {"max_age": "30d"}, "env": {"A": {"secret": "s"}}});
    service.send("PUT", "secrets/s", &json!({"value": "hidden"})).expect(201);
    service.add_task("check", "web1", own, None);
    let (results, export) =
        ((0..3).map(|_| service.run("check")).collect::<Vec<_>>(), done(service.cli(&["export"])).0);
    assert!(export.contains("max_age: 30d"), "{export}");
    assert_eq!(service.end("TERM"), Some(0));
    let other = tempfile::tempdir().unwrap();
    let data = other.path().join("data");
    let to = format!("sqlite:{}", data.display());
    for _ in 0..2 {
        let (_, said) = done(service.program().args(["store", "migrate", "--to", &to]).output().unwrap());
        assert!(said.contains("3 results moved") && said.contains("secret.key is not in the store"), "{said}");
    }
    let onto_itself = store(&data, &["migrate", "--to", &to]);
    assert!(refused(onto_itself).contains("--to is the store"));
    for key in ["secret.key", "admin.key"] {
        fs::copy(service.data_dir().join(key), data.join(key)).unwrap();
    }
    let moved = Service::start_in(other, None, &[("ALF_STORE__KIND", "sqlite")]);
    assert_eq!(done(moved.cli(&["export"])).0, export);
    for result in &results {
        assert_eq!(moved.get(&format!("results/{}", result["id"].as_str().unwrap())), *result);
    }
    let status = moved.get("status/web1/check");
    assert_eq!((&status["state"], status["last"].as_array().unwrap().len()), (&json!("CRITICAL"), 3), "{status}");
    assert_eq!(moved.run("check")["stdout"], "said\n", "the secret is there");
}
