//! Many tasks on a host, many hosts on a node: places, lost connections, hosts that hang, jump hosts.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::service::{Service, until};
use crate::support::sshd::{Options, Sshd};

/// Starts a task on many pairs at once and waits for all Results.
fn run_all(service: &Service, pairs: &[(String, String)]) -> Vec<Value> {
    for (host, task) in pairs {
        service.send("POST", &format!("hosts/{host}/tasks/{task}/run"), &json!({})).expect(202);
    }
    until("all runs end", || service.get("runs")["items"].as_array().unwrap().is_empty().then_some(()));
    pairs
        .iter()
        .map(|(host, task)| {
            let page = service.get(&format!("results?host={host}&task={task}"));
            assert_eq!(page["total"], 1, "{host} {task}");
            service.get(&format!("results/{}", page["items"][0]["id"].as_str().unwrap()))
        })
        .collect()
}

fn sixty_at_once(max_sessions: u32, told: u32) {
    let sshd = Sshd::start_with(&Options { max_sessions: Some(max_sessions), ..Options::default() });
    let service = Service::start();
    service.add_host(&sshd);
    let merge = json!({"max_sessions": told});
    service.send("PATCH", "hosts/web1", &merge).expect(200);
    for n in 0..60 {
        let task = json!({"name": format!("t{n}"), "command": format!("sleep 0.05; echo I am {n}")});
        service.send("POST", "tasks", &task).expect(201);
    }
    let pairs: Vec<(String, String)> = (0..60).map(|n| ("web1".to_owned(), format!("t{n}"))).collect();
    for (n, result) in run_all(&service, &pairs).into_iter().enumerate() {
        assert_eq!(result["outcome"], "OK", "{result}");
        assert_eq!(result["stdout"], format!("I am {n}\n"));
    }
    assert_eq!(sshd.logins(), 1, "one login does for all");
}

#[test]
fn sixty_tasks_at_once_with_ten_sessions() {
    sixty_at_once(10, 10);
}

#[test]
fn sixty_tasks_at_once_with_four_sessions_where_ten_were_promised() {
    sixty_at_once(4, 10);
}

#[test]
fn sixty_tasks_at_once_with_one_session() {
    sixty_at_once(1, 1);
}

#[test]
fn what_runs_when_its_connection_is_cut_is_ended_after_the_next_login() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let marker = sshd.dir().join("child");
    let command = format!("setsid sleep 3000 & echo $! > {}; sleep 3000", marker.display());
    service.add_task("slow", "web1", json!({"command": command, "kill_grace": "1s"}), None);
    let run = service.send("POST", "hosts/web1/tasks/slow/run", &json!({})).expect(202).json()["run"].clone();
    let run = run.as_str().unwrap();
    let child: u32 = until("it runs", || std::fs::read_to_string(&marker).ok()?.trim().parse().ok());
    sshd.cut_connections();
    let path = format!("results/{run}");
    let result = until("it is told", || {
        let answer = service.call("GET", &format!("/api/v1/{path}"), &[], None);
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!((result["outcome"].as_str(), result["reason"].as_str()), (Some("PROBLEM"), Some("connection_lost")));
    let kill = until("it is looked for", || Some(service.get(&path)["kill"].clone()).filter(|kill| !kill.is_null()));
    assert_eq!(kill["gone"], true, "{kill}");
    let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "the child that left the session is gone too: {stat}");
    assert_eq!(sshd.logins(), 2);
}

#[test]
fn a_host_that_hangs_costs_the_others_nothing() {
    let (sshd, hung) = (Sshd::start(), Sshd::start());
    let service = Service::start_with(&[("ALF_SSH__KEEPALIVE_INTERVAL", "1s"), ("ALF_SSH__CONNECT_TIMEOUT", "2s")]);
    service.add_host_named(&hung, "hung");
    for n in 0..30 {
        service.add_host_named(&sshd, &format!("web{n}"));
    }
    service.add_task("check", "hung", json!({"command": "true", "start_within": "12s"}), None);
    service.send("POST", "hosts/hung/tasks/check/run?wait=30s", &json!({})).expect(200);
    hung.freeze();
    let lost = service.send("POST", "hosts/hung/tasks/check/run", &json!({})).expect(202).json()["run"].clone();
    let began = Instant::now();
    for n in 0..30 {
        let result = service.send("POST", &format!("hosts/web{n}/tasks/check/run?wait=30s"), &json!({}));
        assert_eq!(result.expect(200).json()["outcome"], "OK");
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let lost = until("the hung one is told", || {
        let answer = service.call("GET", &format!("/api/v1/results/{}", lost.as_str().unwrap()), &[], None);
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(lost["outcome"], "PROBLEM");
    assert!(["unreachable", "connection_lost"].contains(&lost["reason"].as_str().unwrap()), "{lost}");
    assert_eq!(service.get("status/hung")["state"], "DOWN");
    hung.thaw();
}

#[test]
fn hosts_behind_jump_hosts_use_the_connections_that_are_there_and_are_unreachable_without() {
    let (mut bastion, first, second) = (Sshd::start(), Sshd::start(), Sshd::start());
    let service = Service::start();
    service.add_host_named(&bastion, "bastion");
    service.add_host_named(&first, "in1");
    service.add_host_named(&second, "in2");
    service.send("PATCH", "hosts/in1", &json!({"jump": "bastion"})).expect(200);
    service.send("PATCH", "hosts/in2", &json!({"jump": "in1"})).expect(200);
    service.send("POST", "tasks", &json!({"name": "check", "command": "echo $ALF_HOST"})).expect(201);
    for host in ["in2", "in1", "bastion", "in2"] {
        let result = service.send("POST", &format!("hosts/{host}/tasks/check/run?wait=30s"), &json!({}));
        assert_eq!(result.expect(200).json()["stdout"], format!("{host}\n"));
    }
    assert_eq!([&bastion, &first, &second].map(|sshd| sshd.logins()), [1, 1, 1], "nobody logs in twice");
    bastion.kill();
    service.send("POST", "tasks", &json!({"name": "late", "command": "true", "start_within": "8s"})).expect(201);
    let result = service.send("POST", "hosts/in2/tasks/late/run?wait=30s", &json!({})).expect(200).json();
    assert_eq!((result["outcome"].as_str(), result["reason"].as_str()), (Some("PROBLEM"), Some("unreachable")));
    assert!(result["message"].as_str().unwrap().contains("its jump host \"in1\" is down"), "{result}");
    assert_eq!(service.get("status/in2")["state"], "UNREACHABLE");
    assert_eq!(service.get("status/in1")["state"], "UNREACHABLE");
    assert_eq!(service.get("status/bastion")["state"], "DOWN");
    bastion.restart();
    let result = service.send("POST", "hosts/in2/tasks/check/run?wait=60s", &json!({})).expect(200).json();
    assert_eq!(result["outcome"], "OK", "{result}");
    assert_eq!(service.get("status/in2")["state"], "UP");
}
