//! Runs that nothing defines, and runs on many hosts.

use serde_json::{Value, json};

use crate::support::http::request;
use crate::support::service::{Service, until};
use crate::support::sshd::Sshd;

#[test]
fn an_ad_hoc_run_is_done_and_stored_and_is_of_no_task() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let body = json!({"command": "cat; echo \"[$ALF_TASK] $X\" >&2; exit 3", "env": {"X": "it's"}, "stdin": "in\n"});
    let result = service.send("POST", "hosts/web1/exec?wait=60s", &body).expect(200).json();
    assert_eq!((&result["task"], &result["task_version"]), (&Value::Null, &Value::Null));
    assert_eq!((&result["stdout"], &result["stderr"]), (&json!("in\n"), &json!("[] it's\n")));
    assert_eq!((&result["outcome"], &result["exit_code"]), (&json!("PROBLEM"), &json!(3)));
    assert_eq!((&result["trigger"], &result["by"]), (&json!("manual"), &json!("admin")));
    let again = service.get(&format!("results/{}", result["id"].as_str().unwrap()));
    assert_eq!(again, result);
    assert_eq!(service.get("results?host=web1")["total"], 1);
    assert_eq!(service.get("status")["total"], 0);
    let xml = service.call("GET", "/api/v1/results?host=web1&format=xml", &[], None).expect(200).text();
    assert!(xml.contains("<host>web1</host>") && !xml.contains("<task>"), "{xml}");

    let wrong = json!({"name": "x", "enabled": true, "env": {"ALF_X": "1", "A/~": ""}, "timeout": "0s"});
    let pointers = service.send("POST", "hosts/web1/exec", &wrong).pointers();
    for pointer in ["/name", "/enabled", "/env/ALF_X", "/env/A~1~0", "/timeout", ""] {
        assert!(pointers.iter().any(|told| told == pointer), "{pointer} in {pointers:?}");
    }
    service.send("POST", "hosts/web1/exec", &json!({"command": "true", "no": 1})).expect(422);
    service.send("POST", "hosts/none/exec", &json!({"command": "true"})).expect(404);
}

#[test]
fn exec_needs_a_key_that_may() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let key = |body: Value| service.send("POST", "keys", &body).expect(201).json()["key"].as_str().unwrap().to_owned();
    let plain = key(json!({"name": "plain", "role": "operator"}));
    let trusted = key(json!({"name": "trusted", "role": "operator", "exec": true}));
    assert_eq!(service.get("keys/plain")["exec"], false);
    assert_eq!(service.get("keys/admin")["exec"], true);
    assert_eq!(
        service.send("POST", "keys", &json!({"name": "v", "role": "viewer", "exec": true})).pointers(),
        ["/exec"]
    );
    for (key, path, status) in [
        (&plain, "/api/v1/hosts/web1/exec?wait=30s", 403),
        (&plain, "/api/v1/exec", 403),
        (&trusted, "/api/v1/hosts/web1/exec?wait=30s", 200),
    ] {
        let headers = [("X-Api-Key", key.as_str()), ("Content-Type", "application/json")];
        let answer = request(&service.address, "POST", path, &headers, Some(br#"{"command": "true"}"#));
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
}

#[test]
fn on_many_hosts_all_are_told_of_in_one_group() {
    let (sshd, service) = (Sshd::start(), Service::start());
    for name in ["web1", "web2", "web3"] {
        service.add_host_named(&sshd, name);
    }
    service.send("PATCH", "hosts/web3", &json!({"enabled": false})).expect(200);
    let body = json!({"selector": "@name in (web1,web2,web3)", "command": "echo $ALF_HOST"});
    let started = service.send("POST", "exec", &body).expect(202).json();
    assert_eq!(started["runs"].as_array().unwrap().len(), 2, "{started}");
    assert_eq!(started["refused"][0]["host"], "web3", "{started}");
    let group = started["group"].as_str().unwrap();
    let results = until("both Results", || {
        Some(service.get(&format!("results?group={group}"))).filter(|found| found["total"] == 2)
    });
    assert!(results["items"].as_array().unwrap().iter().all(|result| result["group"] == group), "{results}");

    service.send("PUT", "tasks/hello", &json!({"command": "echo $1"})).expect(201);
    let run = service.send("POST", "tasks/hello/run", &json!({"selector": "@name=web1"})).expect(202).json();
    assert_eq!(run["runs"][0]["host"], "web1");
    assert_eq!(service.send("POST", "tasks/hello/run", &json!({"selector": "none"})).pointers(), ["/selector"]);
    assert_eq!(service.send("POST", "tasks/hello/run", &json!({})).pointers(), ["/selector"]);
    service.send("POST", "tasks/none/run", &json!({"selector": "*"})).expect(404);
}

#[test]
fn what_is_given_to_a_run_arrives_in_both_forms() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let task =
        json!({"command": "cat; printf '%s.' \"$A\" \"$B\" >&2", "stdin": "task", "env": {"A": "task", "B": "task"}});
    service.add_task("exact", "web1", task, None);
    let body = json!({"env": {"A": "run's \"$x\""}, "stdin": "ä\n"});
    let result = service.send("POST", "hosts/web1/tasks/exact/run?wait=60s", &body).expect(200).json();
    assert_eq!((&result["stdout"], &result["stderr"]), (&json!("ä\n"), &json!("run's \"$x\".task.")), "{result}");
    let xml = "<run><env><entry key=\"B\">x</entry></env><stdin>y</stdin></run>";
    let headers = [("Content-Type", "application/xml")];
    let path = "/api/v1/hosts/web1/tasks/exact/run?wait=60s";
    let result = service.call("POST", path, &headers, Some(xml.as_bytes())).expect(200).json();
    assert_eq!((&result["stdout"], &result["stderr"]), (&json!("y"), &json!("task.x.")), "{result}");
    let wrong = json!({"env": {"UID": "0", "A": "\0"}, "args": ["a", "\0"]});
    let pointers = service.send("POST", "hosts/web1/tasks/exact/run", &wrong).pointers();
    assert_eq!(pointers, ["/args/1", "/env/A", "/env/UID"]);
    assert!(!service.log().contains("run's"), "what is given is never logged");

    // A NUL is a byte like any other: of a run, of a task, in XML, and where sudo or a script stand between.
    service.send("PUT", "tasks/exact", &json!({"command": "od -An -c", "stdin": "t\0k"})).expect(200);
    let od = |body: &Value| service.send("POST", "hosts/web1/tasks/exact/run?wait=60s", body).expect(200).json();
    assert_eq!(od(&json!({}))["stdout"], "   t  \\0   k\n");
    assert_eq!(od(&json!({"stdin": "\0a\0\n\0"}))["stdout"], "  \\0   a  \\0  \\n  \\0\n");
    let xml = "<run><stdin encoding=\"base64\">eAB5</stdin></run>";
    let result = service.call("POST", path, &headers, Some(xml.as_bytes())).expect(200).json();
    assert_eq!(result["stdout"], "   x  \\0   y\n");
    let shown = service.call("GET", "/api/v1/tasks/exact?format=xml", &[], None).expect(200).text();
    assert!(shown.contains("<stdin encoding=\"base64\">dABr</stdin>"), "{shown}");
    let script = json!({"script": {"body": "od -An -c"}, "stdin": "a\0b"});
    let result = service.send("POST", "hosts/web1/exec?wait=60s", &script).expect(200).json();
    assert_eq!(result["stdout"], "   a  \\0   b\n", "{result}");
}

#[test]
fn alf_exec_is_as_the_command_was() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let done = service.cli(&["exec", "web1", "--", "echo", "a  b", "$HOME"]);
    assert_eq!((done.status.code(), &done.stdout[..]), (Some(0), &b"a  b $HOME\n"[..]));
    let done = service.cli(&["exec", "web1", "--", "printf 'a\\377'; echo oh >&2; exit 3"]);
    assert_eq!((done.status.code(), &done.stdout[..]), (Some(1), &b"a\xff"[..]));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(said.starts_with("oh\n") && said.contains("PROBLEM, CRITICAL (exit_code): exit code 3"), "{said}");
    let done = service.cli(&["exec", "-l", "@name=web1", "--env", "X=y", "--", "echo $X"]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(
        (done.status.code(), &done.stdout[..]),
        (Some(0), &b"web1: y\n"[..]),
        "{said} {}",
        service.get("results?limit=1")
    );
}
