//! Hosts that go down, measurements to Ganglia and InfluxDB, what is held back and what is joined: with the real program.

use serde_json::{Value, json};

use crate::support::checked::Checked;
use crate::support::receivers::{Gmond, Influx, Smtp, SmtpServer};
use crate::support::service::{Service, until};
use crate::support::sshd::Sshd;

#[test]
fn a_host_that_goes_down_is_told_once_and_fires_a_task_elsewhere() {
    let Some(server) = SmtpServer::start(Smtp::Plain, None) else { return };
    let settings = server.settings();
    let service = Service::start_with(&settings.each_ref().map(|(name, value)| (*name, value.as_str())));
    let (mut sshd, other) = (Sshd::start(), Sshd::start());
    service.add_host(&sshd);
    service.add_host_named(&other, "db1");
    service.send("PATCH", "hosts/web1", &json!({"max_attempts": 2})).expect(200);
    for task in ["one", "two", "three"] {
        service.add_task(task, "web1", json!({"command": "true", "plugin": "nagios"}), Some("* * * * * *"));
    }
    let look = json!({"name": "look", "command": "echo \"[$NAGIOS_SERVICEDESC] $NAGIOS_HOSTNAME $NAGIOS_HOSTSTATE $NAGIOS_NOTIFICATIONTYPE\"; cat"});
    service.send("POST", "tasks", &look).expect(201);
    for action in [
        json!({"name": "mail", "when": {"hosts": ["web1"]}, "then": {"email": {"to": ["anna@example.org"]}}}),
        json!({"name": "look", "when": {"object": "host"}, "then": {"run": "look", "on": "db1"}}),
    ] {
        service.send("POST", "actions", &action).expect(201);
    }
    until("a host that is up", || (service.get("status/web1")["state"] == "UP").then_some(()));
    sshd.kill();
    let mail = until("a mail", || server.mails().pop());
    assert_eq!(mail.subject(), "PROBLEM web1 is DOWN");
    assert_eq!((mail.header("X-Alf-Host"), mail.header("X-Alf-Task")), (Some("web1"), None));
    let fired = until("a task", || service.get("results?trigger=action")["items"].as_array()?.first().cloned());
    let fired = service.get(&format!("results/{}", fired["id"].as_str().unwrap()));
    assert_eq!((&fired["host"], &fired["cause"]), (&json!("db1"), &json!({"action": "look", "result": null})));
    let (line, input) = fired["stdout"].as_str().unwrap().split_once('\n').unwrap();
    assert_eq!(line, "[] web1 DOWN PROBLEM");
    let input: Value = serde_json::from_str(input).unwrap();
    assert_eq!((&input["host"], &input["state"], &input["task"]), (&json!("web1"), &json!("DOWN"), &Value::Null));
    assert!(input.as_object().unwrap().contains_key("task"), "{input}");

    sshd.restart();
    let mails = until("its end", || Some(server.mails()).filter(|mails| mails.len() > 1));
    assert_eq!(mails[1].subject(), "RECOVERY web1 is UP");
    assert_eq!(mails[1].header("In-Reply-To"), mail.header("Message-ID"));
    until("a run after it", || {
        let page = service.get("results?task=one&outcome=OK&limit=1");
        let newest = page["items"][0]["scheduled_at"].as_str()?;
        (newest > fired["finished_at"].as_str()?).then_some(())
    });
    assert_eq!(server.mails().len(), 2, "three tasks failed on it, and it is one event: {:?}", server.mails());
}

#[test]
fn what_a_task_measures_is_in_ganglia_and_influxdb() {
    let (Some(gmond), Some(influx)) = (Gmond::start(), Influx::start()) else { return };
    let checked = Checked::start(&[]);
    let service = &checked.service;
    service.send("POST", "secrets", &json!({"name": "influx", "value": "pass w0rd"})).expect(201);
    let then = json!({
        "url": influx.url(), "database": "alf", "user": "alf", "password": {"secret": "influx"}, "measurement": "checks",
        "tags": {"site": "north"},
    });
    for (name, then) in
        [("ganglia", json!({"ganglia": {"address": gmond.address()}})), ("influx", json!({"influx": then}))]
    {
        service.send("POST", "actions", &json!({"name": name, "when": {"tasks": ["check"]}, "then": then})).expect(201);
    }
    checked.check(1, "WARNING - high | load1=7.5;5;10;0 '/var log'=12MB");
    let xml = until("a metric", || {
        // A datagram may be lost.
        checked.check(1, "WARNING - high | load1=7.5;5;10;0 '/var log'=12MB");
        Some(gmond.xml()).filter(|xml| xml.contains("check._var_log") && xml.contains("check.load1"))
    });
    assert!(xml.contains("NAME=\"web1\"") && xml.contains("NAME=\"check.load1\" VAL=\"7.5\""), "{xml}");
    let query =
        "SELECT host, label, site, task, unit, value FROM checks WHERE label != 'duration_ms' ORDER BY time LIMIT 2";
    let series = until("values", || Some(influx.series(query)).filter(|series| series["values"][1].is_array()));
    let mut values: Vec<Vec<Value>> =
        series["values"].as_array().unwrap().iter().map(|row| row.as_array().unwrap()[1..].to_vec()).collect();
    values.sort_by_key(|row| row[1].to_string());
    let expected =
        json!([["web1", "/var log", "north", "check", "MB", 12], ["web1", "load1", "north", "check", null, 7.5]]);
    assert_eq!(json!(values), expected);
}

#[test]
fn what_a_downtime_holds_back_is_told_when_it_ends_and_what_falls_due_together_is_one_mail() {
    let Some(server) = SmtpServer::start(Smtp::Plain, None) else { return };
    let checked = Checked::start(&server.settings());
    let service = &checked.service;
    for task in ["disk", "load"] {
        service.add_task(
            task,
            "web1",
            json!({"command": format!("echo {task} is bad; exit 2"), "plugin": "nagios"}),
            None,
        );
    }
    service.send("POST", "contacts", &json!({"name": "anna", "email": "anna@example.org"})).expect(201);
    let action = json!({"name": "mail", "then": {"email": {}}, "contacts": ["anna"], "digest": "2s"});
    service.send("POST", "actions", &action).expect(201);
    let work = json!({"name": "work", "host": "web1", "starts_at": "2020-01-01T00:00:00Z", "ends_at": "2100-01-01T00:00:00Z", "comment": "work"});
    service.send("POST", "downtimes", &work).expect(201);
    for task in ["disk", "load"] {
        assert_eq!(service.run(task)["state"], "CRITICAL");
    }
    checked.check(2, "CRITICAL - bad");
    let total = |query: &str| service.get(&format!("notifications?{query}"))["total"].as_u64().unwrap();
    until("three that are held back", || (total("outcome=held") == 3).then_some(()));
    // It is over before the downtime is: of that nobody hears.
    checked.check(0, "OK - good");
    service.call("DELETE", "/api/v1/downtimes/work", &[], None).expect(204);
    let mail = until("a mail", || server.mails().pop());
    assert!(
        mail.subject().starts_with("PROBLEM web1/") && mail.subject().ends_with("is CRITICAL (and 1 more)"),
        "{mail:?}"
    );
    for part in ["disk is bad", "load is bad", "PROBLEM: web1/disk is CRITICAL", "PROBLEM: web1/load is CRITICAL"] {
        assert!(mail.text.contains(part), "{part} is not in {}", mail.text);
    }
    assert!(!mail.text.contains("check"), "{}", mail.text);
    until("what became of all", || (total("outcome=sent") == 2 && total("outcome=dropped") == 1).then_some(()));
    let dropped = &service.get("notifications?outcome=dropped")["items"][0];
    assert_eq!((&dropped["task"], &dropped["reason"]), (&json!("check"), &json!("downtime")), "{dropped}");
    assert_eq!(server.mails().len(), 1);
}
