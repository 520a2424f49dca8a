//! The store full or locked under a service at work: it says so, loses nothing, runs nothing twice, and goes on by itself.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::disk::SmallDisk;
use crate::support::http::{Answer, request};
use crate::support::service::{Service, alf, until};
use crate::support::sshd::Sshd;
use crate::support::stored::has_no_file;

/// A task every second that leaves a line with its instant on the host: what really ran.
pub(crate) struct Ticking {
    pub(crate) service: Service,
    ran: PathBuf,
    sshd: Sshd,
}

impl Ticking {
    pub(crate) fn on(service: Service) -> Self {
        let sshd = Sshd::start();
        let ran = sshd.dir().join("ran");
        service.add_host(&sshd);
        let command = format!("echo $ALF_SCHEDULED_AT >> {}", ran.display());
        service.add_task("tick", "web1", json!({"command": command}), Some("@every 1s"));
        let ticking = Self { service, ran, sshd };
        until("it runs", || (ticking.results().len() >= 3).then_some(()));
        ticking
    }

    pub(crate) fn results(&self) -> Vec<Value> {
        self.service.get("results?task=tick&limit=1000")["items"].as_array().unwrap().clone()
    }

    /// The instants of the runs that the host saw.
    fn ran(&self) -> Vec<String> {
        std::fs::read_to_string(&self.ran).unwrap().lines().map(str::to_owned).collect()
    }

    pub(crate) fn ready(&self) -> Answer {
        request(&self.service.address, "GET", "/health/ready", &[], None)
    }

    /// Waits until it is not ready because of this.
    pub(crate) fn away(&self, cause: &str) {
        let said = until("it is not ready", || Some(self.ready()).filter(|ready| ready.status == 503)).text();
        assert!(said.contains(cause), "{said}");
    }

    /// Lets some instants pass.
    pub(crate) fn instants_pass(&self) {
        let end = Instant::now() + Duration::from_secs(4);
        until("time passes", || (Instant::now() > end).then_some(()));
    }

    /// What is to be written is refused at once, what is to be read is answered.
    fn writes_are_refused_and_reads_go_on(&self) {
        let refused = |answer: Answer| {
            let after = answer.header("retry-after").is_some();
            assert!(answer.status == 503 && after, "{} {}", answer.status, answer.text());
        };
        let started = Instant::now();
        refused(self.service.send("POST", "hosts", &json!({"name": "refused"})));
        refused(self.service.send("PATCH", "tasks/tick", &json!({"title": "refused"})));
        refused(self.service.call("DELETE", "/api/v1/task-schedules/when-tick-web1", &[], None));
        refused(self.service.send("POST", "hosts/web1/tasks/tick/run?wait=30s", &json!({})));
        refused(self.service.send("POST", "hosts/web1/exec", &json!({"command": "true"})));
        assert!(started.elapsed() < Duration::from_secs(10), "refused at once, not when time is over");
        for path in ["hosts/web1", "tasks", "results?limit=5", "status", "status/web1/tick", "runs", "stats"] {
            self.service.get(path);
        }
        request(&self.service.address, "GET", "/health/live", &[], None).expect(200);
        assert!(self.ready().status == 503);
    }

    /// It goes on by itself, and every instant since the first has one Result that is true to what the host saw.
    pub(crate) fn goes_on_with_nothing_lost(&self, before: &[Value]) {
        until("it is ready", || (self.ready().status == 200).then_some(()));
        let now = chrono::Utc::now();
        let at =
            |result: &Value| chrono::DateTime::parse_from_rfc3339(result["scheduled_at"].as_str().unwrap()).unwrap();
        let ran_anew = |result: &&Value| result["outcome"] == "OK" && at(result) > now;
        let mut all = until("it runs again", || {
            let all = self.results();
            (all.iter().filter(ran_anew).count() >= 2).then_some(all)
        });
        // The ground truth first, so that it holds no more than what follows tells of.
        let (newest, ran) = (at(&all[0]), self.ran());
        all.reverse();
        for result in before {
            assert!(all.iter().any(|other| other["id"] == result["id"]), "{result} is lost");
        }
        let mut seconds: Vec<i64> = all.iter().map(|result| at(result).timestamp()).collect();
        seconds.sort_unstable();
        assert!(seconds.windows(2).all(|pair| pair[1] == pair[0] + 1), "one result an instant: {all:#?}");
        for line in &ran {
            assert_eq!(ran.iter().filter(|other| *other == line).count(), 1, "{line} ran twice: {ran:?}");
            let told = all.iter().find(|result| result["scheduled_at"] == line.as_str());
            let later = chrono::DateTime::parse_from_rfc3339(line).unwrap() > newest;
            assert!(later || told.is_some_and(|it| it["outcome"] != "SKIPPED"), "{line} ran, but {told:?}");
        }
        for result in all.iter().filter(|result| result["outcome"] == "OK") {
            assert!(ran.iter().any(|line| result["scheduled_at"] == line.as_str()), "{result} did not run");
        }
        assert_eq!(self.service.get("results?trigger=manual")["total"], 0, "what was refused was not done later");
        self.service.call("GET", "/api/v1/hosts/refused", &[], None).expect(404);
        assert_eq!(self.service.get("tasks/tick")["title"], "tick");
        assert!(!self.sshd.log().is_empty());
    }
}

/// None where no disk can be mounted, or the store would not be on it.
fn on_a_small_disk() -> Option<Service> {
    if has_no_file() { None } else { Service::start_on_a_small_disk() }
}

#[test]
fn a_full_disk_loses_nothing() {
    let Some(service) = on_a_small_disk() else { return };
    let ticking = Ticking::on(service);
    ticking.service.disk().fill();
    ticking.away("the disk is full: make room");
    let before = ticking.results();
    ticking.writes_are_refused_and_reads_go_on();
    ticking.instants_pass();
    assert_eq!(ticking.results().len(), before.len(), "what is shown is stored");
    ticking.service.disk().make_room();
    ticking.goes_on_with_nothing_lost(&before);
}

#[test]
fn a_crash_on_a_full_disk_loses_nothing() {
    let Some(service) = on_a_small_disk() else { return };
    let mut ticking = Ticking::on(service);
    ticking.service.disk().fill();
    ticking.away("the disk is full: make room");
    let before = ticking.results();
    ticking.instants_pass();
    ticking.service.end("KILL");
    // It can start without room: what it says is that it is not ready.
    ticking.service.restart();
    ticking.away("the disk is full: make room");
    ticking.writes_are_refused_and_reads_go_on();
    ticking.service.disk().make_room();
    ticking.goes_on_with_nothing_lost(&before);
}

#[test]
fn a_first_start_on_a_full_disk_says_what_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let Some(disk) = SmallDisk::mount(&data) else { return };
    disk.fill();
    let refused = alf(&data).args(["serve", "--listen", "127.0.0.1:0"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("make room on its file system") && said.lines().count() == 1, "{said}");
}

/// Holds the database as another program would, longer than a write waits for it.
fn hold(service: &Service) -> Connection {
    let holder = Connection::open(service.data_dir().join("alf.db")).unwrap();
    holder.busy_timeout(Duration::from_secs(20)).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    holder
}

const HELD: &str = "another program holds the database";

#[test]
fn a_locked_database_loses_nothing() {
    if has_no_file() {
        return;
    }
    let ticking = Ticking::on(Service::start());
    let holder = hold(&ticking.service);
    ticking.away(HELD);
    let before = ticking.results();
    ticking.writes_are_refused_and_reads_go_on();
    ticking.instants_pass();
    holder.execute_batch("ROLLBACK").unwrap();
    ticking.goes_on_with_nothing_lost(&before);
}

#[test]
fn a_crash_with_a_locked_database_loses_nothing() {
    if has_no_file() {
        return;
    }
    let mut ticking = Ticking::on(Service::start());
    let holder = hold(&ticking.service);
    ticking.away(HELD);
    let before = ticking.results();
    ticking.service.end("KILL");
    ticking.service.restart();
    ticking.away(HELD);
    ticking.writes_are_refused_and_reads_go_on();
    holder.execute_batch("ROLLBACK").unwrap();
    ticking.goes_on_with_nothing_lost(&before);
}

#[test]
fn a_start_waits_for_a_locked_database() {
    if has_no_file() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("data")).unwrap();
    let holder = Connection::open(dir.path().join("data/alf.db")).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let log = dir.path().join("data.log");
    let waits = std::thread::spawn({
        let log = log.clone();
        move || {
            until("it says what it waits for", || {
                let said = std::fs::read_to_string(&log).ok()?;
                said.contains(HELD).then_some(())
            });
            holder.execute_batch("ROLLBACK").unwrap();
        }
    });
    let service = Service::start_in(dir, None, &[]);
    waits.join().unwrap();
    request(&service.address, "GET", "/health/ready", &[], None).expect(200);
}
