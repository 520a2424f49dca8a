//! The plugins of Debian's monitoring-plugins, run on a real sshd and judged by their own rules; and what a task expects
//! of its output.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::support::service::Service;
use crate::support::sshd::Sshd;

const PLUGINS: &str = "/usr/lib/nagios/plugins";

/// A Result's outcome, state and reason.
fn verdict(result: &Value) -> [&str; 3] {
    ["outcome", "state", "reason"].map(|field| result[field].as_str().unwrap_or("null"))
}

struct Checks {
    sshd: Sshd,
    service: Service,
}

impl Checks {
    fn start() -> Self {
        let (sshd, service) = (Sshd::start(), Service::start());
        service.add_host(&sshd);
        Self { sshd, service }
    }

    /// Runs something ad hoc on `web1`.
    #[track_caller]
    fn exec(&self, task: &Value) -> Value {
        self.service.send("POST", "hosts/web1/exec?wait=60s", task).expect(200).json()
    }

    /// Runs a plugin.
    #[track_caller]
    fn check(&self, plugin: &str) -> Value {
        self.exec(&json!({"command": format!("{PLUGINS}/{plugin}"), "plugin": "nagios"}))
    }
}

/// Whether the plugins are installed; says so where not, and the test is left out.
fn plugins_are_there() -> bool {
    let there = std::path::Path::new(PLUGINS).join("check_dummy").exists();
    if !there {
        let _ = writeln!(std::io::stderr(), "left out: there is no {PLUGINS}/check_dummy");
    }
    there
}

/// The labels of what was measured.
fn labels(result: &Value) -> Vec<&str> {
    result["perfdata"].as_array().unwrap().iter().map(|metric| metric["label"].as_str().unwrap()).collect()
}

/// What was measured under a label.
#[track_caller]
fn metric<'a>(result: &'a Value, label: &str) -> &'a Value {
    let all = result["perfdata"].as_array().unwrap();
    all.iter().find(|metric| metric["label"] == label).unwrap_or_else(|| panic!("no {label} in {result}"))
}

#[test]
fn exit_codes_of_a_plugin_are_states() {
    if !plugins_are_there() {
        return;
    }
    let checks = Checks::start();
    for (code, expected, message) in [
        (0, ["OK", "OK", "null"], "OK: all fine"),
        (1, ["PROBLEM", "WARNING", "exit_code"], "WARNING: all fine"),
        (2, ["PROBLEM", "CRITICAL", "exit_code"], "CRITICAL: all fine"),
        (3, ["PROBLEM", "UNKNOWN", "exit_code"], "UNKNOWN: all fine"),
        (4, ["PROBLEM", "UNKNOWN", "exit_code"], "UNKNOWN: Status 4 is not a supported error state"),
    ] {
        let result = checks.check(&format!("check_dummy {code} 'all fine | a=1;2;3'"));
        assert_eq!(verdict(&result), expected, "{result}");
        assert_eq!(result["message"], message, "{result}");
    }
    let missing = checks.check("check_nothing_of_the_kind");
    assert_eq!((verdict(&missing), &missing["exit_code"]), (["PROBLEM", "UNKNOWN", "exit_code"], &json!(127)));
    let plain = checks.exec(&json!({"command": format!("{PLUGINS}/check_dummy 1")}));
    assert_eq!(verdict(&plain), ["PROBLEM", "CRITICAL", "exit_code"], "without plugin it is a command like any other");
}

#[test]
fn real_plugins_are_judged_and_what_they_measure_is_kept() {
    if !plugins_are_there() {
        return;
    }
    let checks = Checks::start();
    let disk = checks.check("check_disk -w 0 -c 0 -p /");
    assert_eq!(verdict(&disk), ["OK", "OK", "null"], "{disk}");
    assert!(
        disk["message"].as_str().unwrap().starts_with("DISK OK") && !disk["message"].as_str().unwrap().contains('|')
    );
    let root = metric(&disk, "/");
    assert!(root["value"].as_f64().unwrap() > 0.0 && root["max"].as_f64() >= root["value"].as_f64(), "{root}");
    assert_eq!(root["min"], 0);
    assert!(root["unit"].as_str().unwrap().ends_with('B'), "{root}");
    let full = checks.check("check_disk -w 100% -c 100% -p /");
    assert_eq!(verdict(&full), ["PROBLEM", "CRITICAL", "exit_code"], "{full}");

    let load = checks.check("check_load -w 9000,9000,9000 -c 9999,9999,9999");
    assert_eq!((verdict(&load), labels(&load)), (["OK", "OK", "null"], vec!["load1", "load5", "load15"]));
    assert_eq!(
        (&metric(&load, "load5")["warn"], &metric(&load, "load5")["crit"]),
        (&json!("9000.000"), &json!("9999.000"))
    );

    let few = checks.check("check_procs -w 0:0 -c 0:999999");
    assert_eq!(verdict(&few), ["PROBLEM", "WARNING", "exit_code"], "{few}");
    assert_eq!((&metric(&few, "procs")["warn"], &metric(&few, "procs")["crit"]), (&json!("0:0"), &json!("0:999999")));
    assert!(metric(&few, "procs")["value"].is_u64(), "{few}");

    let users = checks.check("check_users -w 100000 -c 200000");
    assert_eq!((verdict(&users), labels(&users)), (["OK", "OK", "null"], vec!["users"]));

    let usage = checks.check("check_disk --no-such-option");
    assert_eq!(verdict(&usage), ["PROBLEM", "UNKNOWN", "exit_code"], "{usage}");
}

#[test]
fn plugins_that_look_at_the_network_are_judged_too() {
    if !plugins_are_there() {
        return;
    }
    let checks = Checks::start();
    let ssh = checks.check(&format!("check_ssh -p {} 127.0.0.1", checks.sshd.port()));
    assert_eq!((verdict(&ssh), &metric(&ssh, "time")["unit"]), (["OK", "OK", "null"], &json!("s")), "{ssh}");
    let tcp = checks.check(&format!("check_tcp -H 127.0.0.1 -p {}", checks.sshd.port()));
    assert_eq!(verdict(&tcp), ["OK", "OK", "null"], "{tcp}");
    let port = checks.service.address.rsplit(':').next().unwrap().to_owned();
    let http = checks.check(&format!("check_http -I 127.0.0.1 -p {port} -u /health/live"));
    assert_eq!((verdict(&http), labels(&http)), (["OK", "OK", "null"], vec!["time", "size"]), "{http}");
    assert_eq!(metric(&http, "size")["unit"], "B");
    let refused = checks.check(&format!("check_http -I 127.0.0.1 -p {port} -u /api/v1/hosts"));
    assert_eq!(verdict(&refused), ["PROBLEM", "WARNING", "exit_code"], "{refused}");
    // Whether the network lets it ping depends on the machine; what it measures where it does, does not.
    let ping = checks.check("check_ping -H 127.0.0.1 -w 3000,80% -c 5000,100% -p 1 -4");
    if ping["state"] == "OK" {
        assert_eq!(labels(&ping), ["rta", "pl"]);
        let (rta, lost) = (metric(&ping, "rta"), metric(&ping, "pl"));
        assert_eq!((&rta["unit"], &lost["unit"], &lost["value"]), (&json!("ms"), &json!("%"), &json!(0)));
    }
}

#[test]
fn a_plugin_that_does_not_end_knows_nothing() {
    if !plugins_are_there() {
        return;
    }
    let checks = Checks::start();
    let result =
        checks.exec(&json!({"command": "echo 'OK | a=1'; exec sleep 300", "plugin": "nagios", "timeout": "1s"}));
    assert_eq!(verdict(&result), ["PROBLEM", "UNKNOWN", "timeout"], "{result}");
    assert_eq!(result["perfdata"], json!([]));
}

#[test]
fn what_was_measured_is_shown_everywhere() {
    if !plugins_are_there() {
        return;
    }
    let Checks { service, sshd: _sshd } = Checks::start();
    let command = "printf '%s\\n' \"OK | 'a b'=1,5s;10:20;@~:5;0 broken c=U\" long 'more | d=7%'; exit 1";
    service.add_task("odd", "web1", json!({"command": command, "plugin": "nagios"}), None);
    let task = service.get("tasks/odd");
    assert_eq!((&task["timeout"], &task["start_within"]), (&json!("60s"), &json!("30s")));
    assert_eq!((&task["plugin"], &task["expect"]["exit_codes"]), (&json!("nagios"), &json!([0])));
    let result = service.run("odd");
    let measured = json!([
        {"label": "a b", "value": 1.5, "unit": "s", "warn": "10:20", "crit": "@~:5", "min": 0, "max": null},
        {"label": "c", "value": null, "unit": null, "warn": null, "crit": null, "min": null, "max": null},
        {"label": "d", "value": 7, "unit": "%", "warn": null, "crit": null, "min": null, "max": null},
    ]);
    assert_eq!((&result["perfdata"], &result["message"]), (&measured, &json!("OK")));
    let id = result["id"].as_str().unwrap();
    assert_eq!(service.get(&format!("results/{id}"))["perfdata"], measured);
    assert_eq!(service.get("results?task=odd&state=WARNING")["items"][0]["perfdata"], measured);
    assert_eq!(service.get("status/web1/odd")["state"], "WARNING");
    let xml = service.call("GET", &format!("/api/v1/results/{id}?format=xml"), &[], None).expect(200).text();
    let first = "<perfdata><item><label>a b</label><value>1.5</value><unit>s</unit><warn>10:20</warn><crit>@~:5</crit>\
                 <min>0</min></item><item><label>c</label></item>";
    assert!(xml.contains(first), "{xml}");
    let shown = String::from_utf8(service.cli(&["result", id]).stdout).unwrap();
    assert!(shown.contains("perfdata:\nLABEL") && shown.contains("a b    1.5    s     10:20  @~:5  0    -"), "{shown}");

    // A page leaves out what is big; the Result itself has all.
    let many = "printf 'OK |'; i=0; while [ $i -lt 2000 ]; do printf ' l%s=%s' $i $i; i=$((i+1)); done";
    let whole = service.send("POST", "hosts/web1/exec?wait=60s", &json!({"command": many, "plugin": "nagios"}));
    let whole = whole.expect(200).json();
    assert_eq!(whole["perfdata"].as_array().unwrap().len(), 1000);
    assert_eq!(service.get("results?limit=1")["items"][0].get("perfdata"), None);
}

#[test]
fn what_a_run_is_expected_to_do_decides() {
    if !plugins_are_there() {
        return;
    }
    let checks = Checks::start();
    let run = |command: &str, expect: Value| checks.exec(&json!({"command": command, "expect": expect}));
    let good = run(
        "echo ready; exit 3",
        json!({"exit_codes": [0, 3], "stdout_regex": "^ready$|^r.*\n$", "stderr_empty": true}),
    );
    assert_eq!(verdict(&good), ["OK", "OK", "null"], "{good}");
    let output = ["PROBLEM", "CRITICAL", "output"];
    let wrong = run("echo starting", json!({"stdout_regex": "ready"}));
    assert_eq!((verdict(&wrong), &wrong["message"]), (output, &json!("stdout does not match stdout_regex: starting")));
    assert_eq!(verdict(&run("echo yes", json!({"stdout_equals": "yes"}))), ["OK", "OK", "null"]);
    assert_eq!(verdict(&run("echo yes; echo", json!({"stdout_equals": "yes"}))), output);
    assert_eq!(verdict(&run("echo oh >&2", json!({"stderr_empty": true}))), output);
    let slow = run("sleep 1", json!({"max_duration": "500ms"}));
    assert_eq!(verdict(&slow), ["PROBLEM", "CRITICAL", "duration"], "{slow}");
    let failed = run("exit 1", json!({"stdout_regex": "ready"}));
    assert_eq!(verdict(&failed), ["PROBLEM", "CRITICAL", "exit_code"]);
    let cut = json!({"command": "yes | head -c 100000", "output_limit": 1000, "expect": {"stdout_regex": "^(y\n)+$"}});
    let cut = checks.exec(&cut);
    assert_eq!(verdict(&cut), output);
    assert!(cut["message"].as_str().unwrap().contains("only 1000 of its 100000 bytes were kept"), "{cut}");
}

#[test]
fn expectations_are_checked_and_read_in_both_forms() {
    if !plugins_are_there() {
        return;
    }
    let Checks { service, sshd: _sshd } = Checks::start();
    let bad = json!({"name": "t", "command": "c", "expect": {"stdout_regex": "(", "exit_codes": [0, 256]}});
    assert_eq!(service.send("POST", "tasks", &bad).pointers(), ["/expect/exit_codes/1", "/expect/stdout_regex"]);
    let unknown = json!({"command": "c", "expect": {"stdout": "x"}, "plugin": "zabbix"});
    assert_eq!(service.send("POST", "hosts/web1/exec", &unknown).pointers(), ["/expect/stdout", "/plugin"]);
    let xml = "<task><name>t</name><command>echo a</command><expect><exit_codes><item>0</item><item>2</item></exit_codes>\
               <stdout_equals>a</stdout_equals><max_duration>1m</max_duration></expect></task>";
    let headers = [("Content-Type", "application/xml")];
    service.call("POST", "/api/v1/tasks", &headers, Some(xml.as_bytes())).expect(201);
    let read = service.get("tasks/t");
    let expected = json!({"exit_codes": [0, 2], "stdout_regex": null, "stdout_equals": "a", "stderr_empty": false,
                          "max_duration": "60s"});
    assert_eq!(read["expect"].clone(), expected, "{read}");
    let shown = service.call("GET", "/api/v1/tasks/t?format=xml", &[], None).expect(200).text();
    assert!(shown.contains("<exit_codes><item>0</item><item>2</item></exit_codes>"), "{shown}");
    service.call("PUT", "/api/v1/tasks/t", &headers, Some(shown.as_bytes())).expect(200);
    assert_eq!(service.get("tasks/t")["version"], 1, "what is read and sent back changes nothing");
    let patched = service.send("PATCH", "tasks/t", &json!({"expect": {"stdout_regex": "a"}})).expect(200).json();
    assert_eq!((&patched["expect"]["stdout_equals"], &patched["expect"]["stdout_regex"]), (&json!("a"), &json!("a")));
}
