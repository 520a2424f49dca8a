//! Each failing Result fires its task once, whenever Alf is killed.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::service::{Service, until, within};
use crate::support::sshd::{Sshd, pause};

const KILLS: u64 = 8;
/// What waits for its turn, or to be tried again, takes its time.
const LONG: Duration = Duration::from_secs(150);

/// All Results of a task, newest first.
fn results(service: &Service, task: &str) -> Vec<Value> {
    service.get(&format!("results?task={task}&limit=1000"))["items"].as_array().unwrap().clone()
}

/// Those that say something of the task: what was cut off by a kill does not.
fn failed(service: &Service) -> Vec<String> {
    let mut results = results(service, "check");
    results.retain(|result| result["reason"] == "exit_code");
    results.iter().map(|result| result["id"].as_str().unwrap().to_owned()).collect()
}

/// How many Results of `log` each Result of `check` has.
fn fired(service: &Service) -> HashMap<String, usize> {
    let mut fired = HashMap::new();
    for result in results(service, "log") {
        assert_eq!((&result["trigger"], &result["cause"]["action"]), (&json!("action"), &json!("tell")), "{result}");
        *fired.entry(result["cause"]["result"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    fired
}

#[test]
fn each_failing_result_fires_one_run_though_alf_is_killed_again_and_again() {
    let (sshd, mut service) = (Sshd::start(), Service::start());
    let log = sshd.dir().join("log-of-runs");
    service.add_host(&sshd);
    let task = json!({"name": "log", "command": format!("echo $ALF_RESULT_ID $ALF_RUN_ID >> '{}'", log.display())});
    service.send("POST", "tasks", &task).expect(201);
    service.add_task("check", "web1", json!({"command": "exit 1"}), None);
    let when = json!({"tasks": ["check"], "on": "result", "outcome": "PROBLEM"});
    service.send("POST", "actions", &json!({"name": "tell", "when": when, "then": {"run": "log"}})).expect(201);
    let link = json!({"name": "each-second", "task": "check", "cron": "* * * * * *"});
    service.send("POST", "task-schedules", &link).expect(201);

    let mut before = 0;
    for kill in 0..KILLS {
        before = until("another Result", || Some(failed(&service).len()).filter(|count| *count > before));
        // At another moment between two instants each time.
        (0..kill * 37 % 60).for_each(|_| pause());
        service.end("KILL");
        service.restart();
    }
    until("a Result after the last start", || (failed(&service).len() > before).then_some(()));
    service.send("PATCH", "task-schedules/each-second", &json!({"enabled": false})).expect(200);
    until("an end of all runs of check", || {
        let runs = service.get("runs?limit=1000");
        runs["items"].as_array()?.iter().all(|run| run["task"] != "check").then_some(())
    });
    let failed = failed(&service);
    let told = within(LONG, "a run for each of them", || {
        let told = fired(&service);
        failed.iter().all(|id| told.contains_key(id)).then_some(told)
    });
    until("an end of all runs", || (service.get("runs")["total"] == 0).then_some(()));
    assert_eq!(told, fired(&service), "none more comes");
    assert!(told.values().all(|count| *count == 1), "{told:?}");
    assert_eq!(told.len(), failed.len(), "and none for what was cut off");
    let count = |query: &str| service.get(&format!("notifications?action=tell{query}"))["total"].as_u64().unwrap();
    until("an end of all notifications", || (count("&outcome=sent") == failed.len() as u64).then_some(()));
    assert_eq!(count(""), failed.len() as u64, "each is told once");

    // What the runs themselves have written down on the host.
    let lines = std::fs::read_to_string(&log).unwrap();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for line in lines.lines() {
        *seen.entry(line.split(' ').next().unwrap()).or_default() += 1;
    }
    assert!(seen.values().all(|count| *count == 1), "{seen:?}");
    for result in results(&service, "log") {
        let known = seen.contains_key(result["cause"]["result"].as_str().unwrap());
        assert!(known || result["reason"] == "aborted", "it says that it ran: {result}");
    }
}
