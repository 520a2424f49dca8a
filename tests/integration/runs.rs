//! A scheduled task on a real host: run over SSH, stored, judged and shown.

use serde_json::{Value, json};

use crate::ssh_kill::marked;
use crate::support::service::{Service, until};
use crate::support::sshd::Sshd;

fn results(service: &Service, query: &str) -> Vec<Value> {
    service.get(&format!("results?limit=1000&{query}"))["items"].as_array().unwrap().clone()
}

fn instants(results: &[Value]) -> Vec<i64> {
    let mut all: Vec<i64> = results
        .iter()
        .map(|result| {
            let text = result["scheduled_at"].as_str().unwrap();
            chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp()
        })
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn a_task_every_second_gives_a_result_a_second_over_one_login() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task(
        "tick",
        "web1",
        json!({"command": "echo $ALF_HOST $ALF_TASK $ALF_SCHEDULED_AT"}),
        Some("@every 1s"),
    );
    let all = until("five results", || Some(results(&service, "task=tick")).filter(|all| all.len() >= 5));
    let instants = instants(&all);
    assert!(instants.windows(2).all(|pair| pair[1] == pair[0] + 1), "{instants:?}");
    assert_eq!(sshd.logins(), 1, "{}", sshd.log());
    let newest = service.get(&format!("results/{}", all[0]["id"].as_str().unwrap()));
    assert_eq!(newest["outcome"], "OK");
    assert_eq!(newest["state"], "OK");
    assert_eq!(newest["trigger"], "schedule");
    assert_eq!(newest["schedule"], "when-tick-web1");
    assert_eq!(newest["stdout"], format!("web1 tick {}\n", newest["scheduled_at"].as_str().unwrap()));
    assert!(newest["lateness_ms"].as_i64().unwrap() < 2000, "{newest}");
    let status = service.get("status/web1/tick");
    assert_eq!((&status["state"], &status["hard"]), (&json!("OK"), &json!(true)));
    assert!(status["last"].as_array().unwrap().len() >= 5);
    assert_eq!(service.get("status/web1")["state"], "UP");
}

#[test]
fn results_are_kept_across_term_and_kill_and_no_instant_has_two() {
    let (sshd, mut service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task("tick", "web1", json!({"command": "true"}), Some("@every 1s"));
    for signal in ["TERM", "KILL"] {
        let before = until("results", || Some(results(&service, "task=tick")).filter(|all| all.len() >= 3));
        let ended = service.end(signal);
        assert_eq!(ended, (signal == "TERM").then_some(0), "{}", service.log());
        service.restart();
        let after =
            until("more results", || Some(results(&service, "task=tick")).filter(|all| all.len() >= before.len() + 3));
        for result in &before {
            assert!(after.iter().any(|other| other["id"] == result["id"]), "{result} is lost after {signal}");
        }
        let instants = instants(&after);
        assert!(instants.windows(2).all(|pair| pair[1] == pair[0] + 1), "after {signal}: {instants:?}");
    }
    assert_eq!(sshd.logins(), 3, "one login a life");
}

#[test]
fn a_run_that_was_cut_off_by_a_crash_is_told_as_aborted() {
    let (sshd, mut service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task("slow", "web1", json!({"command": "sleep 30"}), None);
    let run = service.send("POST", "hosts/web1/tasks/slow/run", &json!({})).expect(202).json()["run"].clone();
    let run = run.as_str().unwrap();
    until("it runs", || Some(service.get(&format!("runs/{run}"))).filter(|run| run["state"] == "running"));
    service.end("KILL");
    service.restart();
    let result = until("its result", || {
        let answer = service.call("GET", &format!("/api/v1/results/{run}"), &[], None);
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!((&result["reason"], &result["outcome"]), (&json!("aborted"), &json!("PROBLEM")));
    service.call("GET", &format!("/api/v1/runs/{run}"), &[], None).expect(404);
    let status = service.get("status/web1/slow");
    assert_eq!(status["state"], Value::Null, "an aborted run leaves the state as it was");
}

#[test]
fn what_a_killed_alf_left_on_a_host_is_ended_before_its_task_runs_again() {
    let (sshd, mut service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let file = |name: &str| sshd.dir().join(name);
    let (pids, twice) = (file("pids"), file("twice"));
    let (pids_there, twice_there) = (pids.display(), twice.display());
    // The first run goes on for long; each looks whether one before it is still there.
    let command = format!(
        "touch {pids_there}
         while read -r pid run; do
           ! grep -qs ALF_RUN_ID=$run /proc/$pid/environ || echo $pid >>{twice_there}
         done <{pids_there}
         first=$([ -s {pids_there} ] || echo yes)
         echo $$ $ALF_RUN_ID >>{pids_there}
         [ -z \"$first\" ] || {{ sleep 411 & sleep 410; :; }}"
    );
    service.add_task("slow", "web1", json!({"command": "sleep 412"}), None);
    let slow = service.send("POST", "hosts/web1/tasks/slow/run", &json!({})).expect(202).json()["run"].clone();
    let slow = slow.as_str().unwrap();
    until("it runs", || Some(service.get(&format!("runs/{slow}"))).filter(|run| run["state"] == "running"));
    service.add_task("often", "web1", json!({"command": command, "kill_grace": "1s"}), Some("@every 2s"));
    let begun = || -> Vec<String> {
        let text = std::fs::read_to_string(&pids).unwrap_or_default();
        text.lines().filter_map(|line| Some(line.split_once(' ')?.1.to_owned())).collect()
    };
    let often = until("the scheduled one runs", || begun().pop().filter(|run| run.len() == 36));
    until("all of it is there", || (marked(&often).len() == 3).then_some(()));
    service.end("KILL");
    assert!(!marked(slow).is_empty() && !marked(&often).is_empty(), "nobody has ended them");
    service.restart();
    for run in [slow, &*often] {
        let result = until("what was left is told", || {
            let answer = service.call("GET", &format!("/api/v1/results/{run}"), &[], None);
            (answer.status == 200).then(|| answer.json()).filter(|result| !result["kill"].is_null())
        });
        assert_eq!((&result["reason"], &result["kill"]["gone"]), (&json!("aborted"), &json!(true)), "{result}");
        let detail = result["kill"]["detail"].as_str().unwrap();
        assert!(detail.starts_with("looked for after the next login: ") && detail.ends_with(" ended"), "{detail}");
        assert_eq!(marked(run), [] as [u32; 0]);
    }
    until("it runs again", || (begun().len() > 1).then_some(()));
    assert_eq!(std::fs::read_to_string(&twice).ok(), None, "two of it ran at once");
    assert!(service.log().contains("left behind when Alf stopped or crashed: "), "{}", service.log());
}

#[test]
fn outcomes_are_judged_and_told() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task("ok", "web1", json!({"command": "printf 'a\\377b'; echo warn >&2"}), None);
    service.add_task("fails", "web1", json!({"command": "echo broken >&2; exit 3"}), None);
    service.add_task("killed", "web1", json!({"command": "kill -SEGV $$"}), None);
    service.add_task("hangs", "web1", json!({"command": "sleep 60 & sleep 60", "timeout": "500ms"}), None);
    service.add_task(
        "lines",
        "web1",
        json!({"command": "x='it'\\''s'\nfor i in 1 2; do\n  echo \"$x $i!\"\ndone\n"}),
        None,
    );

    let ok = service.run("ok");
    assert_eq!((&ok["outcome"], &ok["exit_code"], &ok["reason"]), (&json!("OK"), &json!(0), &Value::Null));
    assert_eq!((&ok["stdout"], &ok["stdout_encoding"]), (&json!("Yf9i"), &json!("base64")));
    assert_eq!((&ok["stderr"], &ok["stderr_encoding"]), (&json!("warn\n"), &json!("utf-8")));
    assert_eq!((&ok["trigger"], &ok["by"]), (&json!("manual"), &json!("admin")));
    let raw = service.call("GET", &format!("/api/v1/results/{}/stdout", ok["id"].as_str().unwrap()), &[], None);
    assert_eq!(raw.expect(200).body, b"a\xffb");

    let fails = service.run("fails");
    assert_eq!((&fails["outcome"], &fails["state"]), (&json!("PROBLEM"), &json!("CRITICAL")));
    assert_eq!((&fails["reason"], &fails["exit_code"]), (&json!("exit_code"), &json!(3)));
    assert_eq!(fails["message"], "exit code 3: broken");
    assert_eq!(service.get("status?outcome=PROBLEM")["total"], 1);

    let killed = service.run("killed");
    assert_eq!((&killed["reason"], &killed["signal"]), (&json!("signal"), &json!("SEGV")));

    let hangs = service.run("hangs");
    assert_eq!((&hangs["reason"], &hangs["state"]), (&json!("timeout"), &json!("CRITICAL")));
    assert_eq!(hangs["kill"]["gone"], true, "{hangs}");

    assert_eq!(service.run("lines")["stdout"], "it's 1!\nit's 2!\n");
    assert_eq!(sshd.logins(), 1);
}

#[test]
fn a_pattern_that_takes_too_long_holds_up_nobody() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    // More states than any cache of them holds, in as much text as is searched: half a minute's work.
    let slow = "(?s-u)(?:a|b|c|[d-z]){900}[0-9]";
    let text = "head -c 400000 /dev/urandom | base64 -w 0 | tr A-Z a-z | tr -cd a-z | head -c 262144";
    let task = json!({"command": text, "expect": {"stdout_regex": slow}, "output_limit": 262_144});
    service.add_task("slow", "web1", task, None);
    service.add_task("tick", "web1", json!({"command": "true"}), Some("@every 1s"));
    let result = service.run("slow");
    assert_eq!((&result["outcome"], &result["reason"]), (&json!("PROBLEM"), &json!("output")), "{}", result["message"]);
    let said = "stdout_regex takes longer than 5s to be searched for in 262144 bytes of stdout: make it simpler";
    assert_eq!(result["message"], said);
    assert_eq!(result["stdout_bytes"], 262_144);
    assert!(result["duration_ms"].as_i64().unwrap() < 5000, "the search is none of its time");
    let since = result["finished_at"].as_str().unwrap();
    let ticks = results(&service, &format!("task=tick&since={since}"));
    assert!(ticks.len() >= 3, "{ticks:?}");
    assert!(
        ticks.iter().all(|tick| tick["outcome"] == "OK" && tick["lateness_ms"].as_i64().unwrap() < 2000),
        "{ticks:?}"
    );
}

#[test]
fn env_and_stdin_arrive_exactly_and_the_later_wins() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let value = "it's \"$HOME\" `id` \\ !\n\t\r ä😀 %s";
    service.send("PATCH", "hosts/web1", &json!({"env": {"WHO": "host", "WHERE": value}})).expect(200);
    let task = json!({"command": "cat; printf %s \"$WHERE\" >&2; test \"$WHO\" = link", "stdin": value, "env": {"WHO": "task"}});
    service.add_task("exact", "web1", task, None);
    service.send("PATCH", "host-tasks/exact@web1", &json!({"env": {"WHO": "link"}})).expect(200);
    let result = service.run("exact");
    assert_eq!((&result["stdout"], &result["stderr"]), (&json!(value), &json!(value)), "{result}");
    assert_eq!(result["exit_code"], 0, "the link's value wins over the task's and the host's");

    let refused = json!({"name": "x", "command": "true", "env": {"ALF_TASK": "x", "A": "a\0b"}});
    assert_eq!(service.send("POST", "tasks", &refused).pointers(), ["/env/A", "/env/ALF_TASK"]);
    service.send("PATCH", "hosts/web1", &json!({"env": {"UID": "0"}})).expect(422);
}

#[test]
fn output_over_the_limit_keeps_both_ends_and_the_true_count() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task(
        "flood",
        "web1",
        json!({"command": "echo first; head -c 3000000 /dev/zero | tr '\\0' x; echo last", "output_limit": 1000}),
        None,
    );
    let result = service.run("flood");
    let stdout = result["stdout"].as_str().unwrap();
    assert_eq!((&result["stdout_bytes"], &result["stdout_truncated"]), (&json!(3_000_011), &json!(true)));
    assert!(stdout.len() <= 1000 && stdout.starts_with("first\n") && stdout.ends_with("last\n"));
}

#[test]
fn a_task_that_still_runs_is_not_started_twice() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task("slow", "web1", json!({"command": "sleep 2.5"}), Some("@every 1s"));
    let skipped = until("a skip", || results(&service, "reason=overlap").pop());
    assert_eq!((&skipped["outcome"], &skipped["state"]), (&json!("SKIPPED"), &Value::Null));
    assert_eq!(skipped["started_at"], Value::Null);
    let run = until("it runs", || service.get("runs")["items"].as_array().unwrap().first().cloned());
    let refused = service.send("POST", "hosts/web1/tasks/slow/run", &json!({}));
    if refused.status == 409 {
        assert!(refused.text().contains(run["id"].as_str().unwrap()) || !refused.text().is_empty());
    }
    let all = until("a run that ended", || {
        let all = results(&service, "task=slow");
        all.iter().any(|result| result["outcome"] == "OK").then_some(all)
    });
    let instants = instants(&all);
    assert!(instants.windows(2).all(|pair| pair[1] > pair[0]), "one result an instant: {instants:?}");
}

#[test]
fn a_run_is_cancelled_whether_it_runs_or_waits() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let mark = sshd.dir().join("mark");
    let command = format!("sleep 60 & touch {}; sleep 60", mark.display());
    service.add_task("long", "web1", json!({"command": command}), None);
    let start = |host: &str| {
        let run = service.send("POST", &format!("hosts/{host}/tasks/long/run"), &json!({})).expect(202).json();
        run["run"].as_str().unwrap().to_owned()
    };
    let result = |run: &str| {
        until("its result", || {
            let answer = service.call("GET", &format!("/api/v1/results/{run}"), &[], None);
            (answer.status == 200).then(|| answer.json())
        })
    };
    let running = start("web1");
    until("it runs", || mark.exists().then_some(()));
    assert_eq!(service.cli(&["cancel", &running]).status.code(), Some(0));
    let cancelled = result(&running);
    assert_eq!((&cancelled["reason"], &cancelled["outcome"]), (&json!("cancelled"), &json!("PROBLEM")), "{cancelled}");
    assert_eq!(cancelled["kill"]["gone"], true, "{cancelled}");
    assert_eq!(service.get("status/web1/long")["state"], Value::Null, "a cancelled run leaves the state as it was");

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    service.send("POST", "hosts", &json!({"name": "gone", "address": "127.0.0.1", "port": free})).expect(201);
    let waiting = start("gone");
    service.call("DELETE", &format!("/api/v1/runs/{waiting}"), &[], None).expect(204);
    let cancelled = result(&waiting);
    assert_eq!((&cancelled["reason"], &cancelled["started_at"]), (&json!("cancelled"), &Value::Null));
    service.call("DELETE", &format!("/api/v1/runs/{waiting}"), &[], None).expect(404);
    assert_eq!(service.cli(&["cancel", &waiting]).status.code(), Some(1));
}

#[test]
fn a_host_that_goes_away_is_one_event_and_comes_back() {
    let (mut sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task("tick", "web1", json!({"command": "true", "start_within": "1s"}), Some("@every 1s"));
    until("a result", || results(&service, "outcome=OK").pop());
    sshd.kill();
    let down = until("it is down", || Some(service.get("status/web1")).filter(|host| host["state"] == "DOWN"));
    assert!(down["message"].is_string(), "{down}");
    let lost = until("unreachable results", || results(&service, "reason=unreachable").pop());
    assert_eq!((&lost["outcome"], &lost["state"]), (&json!("PROBLEM"), &json!("UNKNOWN")));
    assert_eq!(service.get("status/web1/tick")["state"], "OK", "a dead host does not change its tasks' state");
    sshd.restart();
    until("it is up", || Some(service.get("status/web1")).filter(|host| host["state"] == "UP"));
    let up = service.get("status/web1")["since"].as_str().unwrap().to_owned();
    until("new results", || results(&service, &format!("outcome=OK&since={up}")).pop());
}

#[test]
fn sixty_tasks_at_once_share_one_login() {
    let sshd = Sshd::start();
    let service = Service::start();
    service.add_host(&sshd);
    for number in 0..60 {
        service.add_task(&format!("t{number}"), "web1", json!({"command": format!("sleep 0.1; echo {number}")}), None);
    }
    let runs: Vec<(usize, String)> = (0..60)
        .map(|number| {
            let answer = service.send("POST", &format!("hosts/web1/tasks/t{number}/run"), &json!({})).expect(202);
            (number, answer.json()["run"].as_str().unwrap().to_owned())
        })
        .collect();
    for (number, run) in runs {
        let result = until("its result", || {
            let answer = service.call("GET", &format!("/api/v1/results/{run}"), &[], None);
            (answer.status == 200).then(|| answer.json())
        });
        assert_eq!((&result["outcome"], &result["stdout"]), (&json!("OK"), &json!(format!("{number}\n"))));
    }
    assert_eq!(sshd.logins(), 1);
}
